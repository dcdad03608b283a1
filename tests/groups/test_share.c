/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may share a domain: by hand, and on random groups that are placed in any
 * order.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/share.h>

#include "tree.h"
#include "util/util.h"

#define MAX 24

static const char *data;

static struct sluice_share_group vtd(int id)
{
	return (struct sluice_share_group){
	        .id = id,
	        .caps = {"dmar0", "vtd", bit64(12) | bit64(21), 48, SLUICE_NO,
	                 SLUICE_YES},
	};
}

static void alike(void **state)
{
	struct sluice_share_group g[] = {vtd(3), vtd(1), vtd(2)};
	struct sluice_share_place p[3];

	(void)state;
	g[1].caps.iommu = "dmar1"; /* another of the same make */
	assert_int_equal(sluice_share_partition(g, 3, p), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(p[i].domain, 0);
		assert_int_equal(p[i].table, 0);
		assert_string_equal(p[i].why, "");
	}
}

/* One call maps for all, into tables of their own. */
static void tables_of_their_own(void **state)
{
	struct sluice_share_group g[] = {vtd(1), vtd(2), vtd(3), vtd(4)};
	struct sluice_share_place p[4];

	(void)state;
	g[1].caps.snoop = SLUICE_NO;
	g[2].caps.family = "amdvi";
	g[3].caps.snoop = SLUICE_NO;
	assert_int_equal(sluice_share_partition(g, 4, p), 1);
	assert_int_equal(p[0].table, 0);
	assert_int_equal(p[1].table, 1);
	assert_int_equal(p[2].table, 2);
	assert_int_equal(p[3].table, 1);
	assert_non_null(strstr(p[1].why, "snooping"));
	assert_non_null(strstr(p[2].why, "another format"));
	assert_string_equal(p[0].why, "");
	g[1].caps.coherent = SLUICE_YES;
	assert_int_equal(sluice_share_partition(g, 4, p), 1);
	assert_non_null(strstr(p[1].why, "coherent"));
}

static void domains_of_their_own(void **state)
{
	const struct sluice_group_region low[] = {
	        {0x100000, UINT64_MAX, SLUICE_RESV_RESERVED, "reserved"}};
	const struct sluice_group_region high[] = {
	        {0, 0xfffff, SLUICE_RESV_RESERVED, "reserved"}};
	struct sluice_share_group g[] = {vtd(1), vtd(2), vtd(3)};
	struct sluice_share_place p[3];

	(void)state;
	g[1].caps.page_sizes = bit64(16);
	assert_int_equal(sluice_share_partition(g, 3, p), 2);
	assert_int_equal(p[1].domain, 1);
	assert_int_equal(p[2].domain, 0);
	assert_non_null(strstr(p[1].why, "page size"));
	g[1] = vtd(2);
	g[0].regions = low;
	g[2].regions = high;
	g[0].nr_regions = g[2].nr_regions = 1;
	assert_int_equal(sluice_share_partition(g, 3, p), 2);
	assert_int_equal(p[2].domain, 1);
	assert_non_null(strstr(p[2].why, "no address"));
	/* A page between the two is enough. */
	g[2].regions = &(struct sluice_group_region){
	        0, 0xfefff, SLUICE_RESV_DIRECT, "direct"};
	assert_int_equal(sluice_share_partition(g, 3, p), 1);
	/* What a narrow IOMMU can reach counts for all. */
	g[1].caps.iova_bits = 16;
	assert_int_equal(sluice_share_partition(g, 3, p), 2);
	g[1] = vtd(2);
	g[1].caps.family = "power";
	assert_int_equal(sluice_share_partition(g, 3, p), 2);
	assert_non_null(strstr(p[1].why, "another kind"));
}

static void refused(void **state)
{
	struct sluice_share_group g[] = {vtd(1), vtd(1)};
	struct sluice_share_place p[2];

	(void)state;
	assert_int_equal(sluice_share_partition(g, 2, p), -EINVAL);
	assert_int_equal(sluice_share_partition(g, 0, p), -EINVAL);
	assert_int_equal(sluice_share_partition(NULL, 1, p), -EINVAL);
	assert_int_equal(sluice_share_partition(g, 1, NULL), -EINVAL);
}

static uint32_t roll(uint64_t *rng, uint32_t n)
{
	*rng = *rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(*rng >> 33) % n;
}

static void random_group(uint64_t *rng, struct sluice_share_group *g)
{
	static const struct sluice_group_region regions[] = {
	        {0xfee00000, 0xfeefffff, SLUICE_RESV_MSI, "msi"},
	        {0x8000, UINT64_MAX, SLUICE_RESV_RESERVED, "reserved"},
	        {0, 0x7fff, SLUICE_RESV_DIRECT, "direct"},
	        {0, 0x6fff, SLUICE_RESV_DIRECT, "direct"},
	};

	*g = vtd(0);
	g->caps.family =
	        (const char *[]){"vtd", "amdvi", "power"}[roll(rng, 8) % 3];
	g->caps.page_sizes = (uint64_t[]){0, bit64(12), bit64(12) | bit64(16),
	                                  bit64(16)}[roll(rng, 4)];
	g->caps.iova_bits = (uint32_t[]){0, 39, 48, 15}[roll(rng, 4)];
	g->caps.snoop = (enum sluice_known)((int)roll(rng, 3) - 1);
	if (roll(rng, 2)) {
		g->regions = &regions[roll(rng, NR_OF(regions))];
		g->nr_regions = 1;
	}
}

/* Two that are alone in the world: may they share? */
static bool pair_may(const struct sluice_share_group *a,
                     const struct sluice_share_group *b)
{
	struct sluice_share_group g[] = {*a, *b};
	struct sluice_share_place p[2];

	return sluice_share_partition(g, 2, p) == 1;
}

static void check(const struct sluice_share_group *g, uint32_t nr,
                  const struct sluice_share_place *p, int domains)
{
	uint32_t seen = 0;

	for (uint32_t i = 0; i < nr; i++) {
		seen |= 1u << p[i].domain;
		assert_true((int)p[i].domain < domains);
		assert_int_equal(p[i].why[0] != 0,
		                 p[i].domain != 0 || p[i].table != 0);
		for (uint32_t k = 0; k < i; k++)
			if (p[i].domain == p[k].domain)
				assert_true(pair_may(&g[i], &g[k]));
	}
	assert_int_equal(seen, (1u << domains) - 1);
}

static void any_order(void **state)
{
	uint64_t rng = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct sluice_share_group g[MAX], h[MAX];
		struct sluice_share_place p[MAX], q[MAX];
		uint32_t nr = 1 + roll(&rng, MAX), at[MAX];
		int domains;

		for (uint32_t i = 0; i < nr; i++) {
			random_group(&rng, &g[i]);
			g[i].id = (int)i * 3;
			at[i] = i;
		}
		domains = sluice_share_partition(g, nr, p);
		check(g, nr, p, domains);
		for (uint32_t i = nr; i > 1; i--) {
			uint32_t k = roll(&rng, i), was = at[i - 1];

			at[i - 1] = at[k];
			at[k] = was;
		}
		for (uint32_t i = 0; i < nr; i++)
			h[i] = g[at[i]];
		assert_int_equal(sluice_share_partition(h, nr, q), domains);
		for (uint32_t i = 0; i < nr; i++) {
			assert_int_equal(q[i].domain, p[at[i]].domain);
			assert_int_equal(q[i].table, p[at[i]].table);
			assert_string_equal(q[i].why, p[at[i]].why);
		}
	}
}

static void registers(void **state)
{
	struct sluice_share_caps c;
	struct tree tree;
	char root[512];

	(void)state;
	tree_unpack(&tree, data, "x86-vtd-02-rootports");
	snprintf(root, sizeof(root), "%s/sys", tree.root);
	assert_int_equal(sluice_share_caps_read(root, "dmar0", &c), 0);
	assert_string_equal(c.family, "vtd");
	assert_int_equal(c.page_sizes, bit64(12) | bit64(21) | bit64(30));
	assert_int_equal(c.iova_bits, 48);
	assert_int_equal(c.coherent, SLUICE_NO);
	assert_int_equal(sluice_share_caps_read(root, "dmar7", &c), -ENOENT);
	assert_int_equal(sluice_share_caps_read(root, "../x", &c), -EINVAL);
	assert_int_equal(sluice_share_caps_read(root, NULL, &c), -EINVAL);
	tree_free(&tree);
	tree_unpack(&tree, data, "x86-amdvi-02-rootports");
	snprintf(root, sizeof(root), "%s/sys", tree.root);
	assert_int_equal(sluice_share_caps_read(root, "ivhd0", &c), 0);
	assert_string_equal(c.family, "amdvi");
	assert_int_equal(c.snoop, SLUICE_YES);
	tree_free(&tree);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(alike),
	        cmocka_unit_test(tables_of_their_own),
	        cmocka_unit_test(domains_of_their_own),
	        cmocka_unit_test(refused),
	        cmocka_unit_test(any_order),
	        cmocka_unit_test(registers),
	};

	if (argc != 2)
		return 2;
	data = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
