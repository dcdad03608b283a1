/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the members of a group need of one domain: each way in which two cannot
 * share one, newcomers, what sysfs tells.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/require.h>

#include "needs.h"
#include "scarce.h"
#include "tree.h"
#include "util/util.h"

#define KEEP ((struct sluice_decision *)(uintptr_t)0x5a5a)

/* The message names both, and whatever else is given; nothing is returned. */
static void conflict_says(const struct sluice_require *m, uint32_t nr,
                          enum sluice_conflict_kind kind, const char *words)
{
	struct sluice_decision *d = KEEP;
	struct sluice_conflict c;

	assert_int_equal(sluice_require_conflicts(m, nr, &c, 1), 1);
	assert_int_equal(c.kind, kind);
	assert_true(strcmp(c.a, c.b) < 0);
	assert_int_equal(sluice_require_decide(m, nr, &d), -EBUSY);
	assert_ptr_equal(d, KEEP);
	assert_non_null(strstr(msg_last(), c.a));
	assert_non_null(strstr(msg_last(), c.b));
	if (!strstr(msg_last(), words))
		fail_msg("'%s' is not in '%s'", words, msg_last());
	assert_non_null(strstr(msg_last(), "leave one of the two unbound"));
}

static void nobody_minds(void **state)
{
	const struct sluice_require m[] = {member("b", SLUICE_REQUIRE_ANY),
	                                   member("a", SLUICE_REQUIRE_ANY)};
	struct sluice_decision *d = decide(m, 2);
	const struct sluice_decision_info *info = sluice_decision_get(d);

	(void)state;
	assert_int_equal(info->type, SLUICE_REQUIRE_TRANSLATED);
	assert_null(info->type_by);
	assert_int_equal(info->dma_bits, 64);
	assert_null(info->bits_by);
	assert_int_equal(info->low_bytes, 0);
	assert_int_equal(info->nr_regions, 0);
	assert_string_equal(info->members[0], "a");
	assert_string_equal(info->members[1], "b");
	sluice_decision_free(d);
	sluice_decision_free(NULL);
	assert_null(sluice_decision_get(NULL));
}

static void what_all_need(void **state)
{
	const struct sluice_group_region msi[] = {
	        {0xfee00000, 0xfeefffff, SLUICE_RESV_MSI, "msi"},
	        {0x2000, 0x2fff, SLUICE_RESV_DIRECT_RELAXABLE, "x"}};
	const struct sluice_group_region low[] = {
	        {0xfee00000, 0xfeefffff, SLUICE_RESV_MSI, "msi"},
	        {0x1000, 0x1fff, SLUICE_RESV_DIRECT, "direct"}};
	struct sluice_require m[] = {member("c", SLUICE_REQUIRE_TRANSLATED),
	                             member("b", SLUICE_REQUIRE_TRANSLATED),
	                             member("a", SLUICE_REQUIRE_ANY)};
	const struct sluice_decision_info *info;
	struct sluice_decision *d;

	(void)state;
	m[0].regions = msi;
	m[1].regions = low;
	m[0].nr_regions = m[1].nr_regions = 2;
	m[0].dma_bits = 40;
	m[1].dma_bits = 39;
	m[0].low_bytes = 0x3000;
	m[2].low_bytes = 0x1000;
	d = decide(m, 3);
	info = sluice_decision_get(d);
	assert_int_equal(info->type, SLUICE_REQUIRE_TRANSLATED);
	assert_string_equal(info->type_by, "b");
	assert_int_equal(info->dma_bits, 39);
	assert_string_equal(info->bits_by, "b");
	assert_int_equal(info->low_first, 0x2000);
	assert_int_equal(info->low_bytes, 0x4000);
	assert_int_equal(info->nr_regions, 2);
	assert_int_equal(info->regions[0].type, SLUICE_RESV_DIRECT);
	assert_string_equal(info->regions[1].text, "msi");
	assert_int_equal(info->nr_members, 3);
	sluice_decision_free(d);
}

static void types_conflict(void **state)
{
	struct sluice_require m[] = {
	        member("0000:01:00.2", SLUICE_REQUIRE_TRANSLATED),
	        member("0000:01:00.1", SLUICE_REQUIRE_ANY),
	        member("0000:01:00.0", SLUICE_REQUIRE_IDENTITY)};
	struct sluice_conflict c[2];

	(void)state;
	m[2].why = "firmware";
	conflict_says(m, 3, SLUICE_CONFLICT_TYPE,
	              "0000:01:00.0 needs untranslated addresses (firmware) "
	              "and 0000:01:00.2 needs translated addresses");
	/* A third one: two pairs, in order. */
	m[1].type = SLUICE_REQUIRE_IDENTITY;
	assert_int_equal(sluice_require_conflicts(m, 3, c, 2), 2);
	assert_string_equal(c[0].a, "0000:01:00.0");
	assert_string_equal(c[1].a, "0000:01:00.1");
	assert_string_equal(c[1].b, "0000:01:00.2");
	assert_int_equal(sluice_require_conflicts(m, 3, NULL, 0), 2);
	assert_int_equal(
	        sluice_require_decide(m, 3, &(struct sluice_decision *){NULL}),
	        -EBUSY);
	assert_non_null(strstr(msg_last(), "(and 1 more conflicts)"));
}

static void windows_conflict(void **state)
{
	const struct sluice_group_region big[] = {
	        {0x100000, 0xffffffff, SLUICE_RESV_RESERVED, "reserved"}};
	const struct sluice_group_region rest[] = {
	        {0x1000, 0xffff, SLUICE_RESV_MSI, "msi"}};
	const struct sluice_group_region own[] = {
	        {0x3000, 0x3fff, SLUICE_RESV_DIRECT, "direct"}};
	struct sluice_require m[] = {member("a", SLUICE_REQUIRE_IDENTITY),
	                             member("b", SLUICE_REQUIRE_ANY),
	                             member("c", SLUICE_REQUIRE_ANY)};

	(void)state;
	m[1].low_bytes = 0x10000;
	conflict_says(m, 3, SLUICE_CONFLICT_LOW,
	              "b needs a window of addresses below 4 GiB and a");
	/* What is reserved for one leaves none to the other … */
	m[0] = member("a", SLUICE_REQUIRE_ANY);
	m[0].regions = big;
	m[0].nr_regions = 1;
	m[1].low_bytes = 0x100000;
	conflict_says(m, 3, SLUICE_CONFLICT_ROOM,
	              "b needs 1048576 bytes of addresses below 2^32 and a has "
	              "reserved addresses");
	m[1].low_bytes = 0xff000;
	sluice_decision_free(decide(m, 3));
	/* … or only with a third. */
	m[2].regions = rest;
	m[2].nr_regions = 1;
	assert_int_equal(sluice_require_conflicts(m, 3, NULL, 0), 2);
	/* Not a single page that the narrow one can send. */
	m[1].low_bytes = 0;
	m[1].dma_bits = 16;
	conflict_says(m, 3, SLUICE_CONFLICT_ROOM,
	              "b needs 4096 bytes of addresses below 2^16 and c has");
	/* Mapped to itself, and not to be used. */
	m[1] = member("b", SLUICE_REQUIRE_ANY);
	m[1].regions = own;
	m[1].nr_regions = 1;
	conflict_says(m, 3, SLUICE_CONFLICT_DIRECT,
	              "b must have 0x3000-0x3fff mapped to itself and c");
}

static void bad_requirements(void **state)
{
	const struct sluice_group_region back = {2, 1, SLUICE_RESV_MSI, ""};
	const struct sluice_group_region all = {0, UINT64_MAX,
	                                        SLUICE_RESV_RESERVED, ""};
	const struct sluice_group_region both[] = {
	        {0x1000, 0x1fff, SLUICE_RESV_DIRECT, ""},
	        {0x1800, 0x2fff, SLUICE_RESV_MSI, ""}};
	const struct sluice_require good = member("a", SLUICE_REQUIRE_ANY);
	const struct {
		struct sluice_require m;
		const char *words;
	} bad[] = {
	        {{.name = NULL}, "without the name"},
	        {{.name = ""}, "without the name"},
	        {{.name = "a", .type = (enum sluice_require_type)3}, "type"},
	        {{.name = "a", .dma_bits = 12}, "from 13"},
	        {{.name = "a", .dma_bits = 65}, "from 13"},
	        {{.name = "a", .nr_regions = 1}, "NULL"},
	        {{.name = "a", .regions = &back, .nr_regions = 1}, "ends"},
	        {{.name = "a", .regions = &all, .nr_regions = 1}, "no address"},
	        {{.name = "a", .regions = both, .nr_regions = 2}, "overlaps"},
	        {{.name = "a", .low_bytes = 1ull << 32}, "no address"},
	        {{.name = "a", .type = SLUICE_REQUIRE_IDENTITY, .low_bytes = 1},
	         "takes translation"},
	};
	struct sluice_require twice[] = {good, good};
	struct sluice_decision *d = KEEP, *ok;

	(void)state;
	ok = decide(&good, 1);
	for (size_t i = 0; i < NR_OF(bad); i++) {
		assert_int_equal(sluice_require_decide(&bad[i].m, 1, &d),
		                 -EINVAL);
		assert_non_null(strstr(msg_last(), bad[i].words));
		assert_int_equal(
		        sluice_require_conflicts(&bad[i].m, 1, NULL, 0),
		        -EINVAL);
		assert_int_equal(sluice_decision_check(ok, &bad[i].m), -EINVAL);
		assert_non_null(strstr(msg_last(), bad[i].words));
	}
	assert_int_equal(sluice_require_decide(twice, 2, &d), -EINVAL);
	assert_non_null(strstr(msg_last(), "a is named twice"));
	assert_int_equal(sluice_require_decide(&good, 0, &d), -EINVAL);
	assert_int_equal(sluice_require_decide(NULL, 1, &d), -EINVAL);
	assert_int_equal(sluice_require_decide(&good, 1, NULL), -EINVAL);
	assert_int_equal(sluice_decision_check(NULL, &good), -EINVAL);
	assert_int_equal(sluice_decision_check(ok, NULL), -EINVAL);
	assert_int_equal(sluice_require_from_group(NULL, NULL, 0), -EINVAL);
	assert_ptr_equal(d, KEEP);
	sluice_decision_free(ok);
}

static void no_memory(void **state)
{
	const struct sluice_group_region r = {0x1000, 0x1fff, SLUICE_RESV_MSI,
	                                      ""};
	struct sluice_require m[] = {member("a", SLUICE_REQUIRE_ANY),
	                             member("b", SLUICE_REQUIRE_ANY)};
	struct sluice_decision *d = KEEP;
	int rc = -ENOMEM, n;

	(void)state;
	m[0].regions = &r;
	m[0].nr_regions = 1;
	for (n = 0; rc == -ENOMEM; n++) {
		allocations = n;
		rc = sluice_require_decide(m, 2, &d);
		allocations = -1;
		if (rc) {
			assert_ptr_equal(d, KEEP);
			assert_non_null(strstr(msg_last(), "out of memory"));
		}
	}
	assert_int_equal(rc, 0);
	assert_in_range(n, 8, 50);
	allocations = 0;
	rc = sluice_decision_check(d, &m[0]);
	allocations = -1;
	assert_int_equal(rc, -ENOMEM);
	sluice_decision_free(d);
}

static void refused(const struct sluice_decision *d,
                    const struct sluice_require *late, const char *other,
                    const char *words)
{
	char before[2048], after[2048];

	write_out(d, before, sizeof(before));
	assert_int_equal(sluice_decision_check(d, late), -EBUSY);
	write_out(d, after, sizeof(after));
	assert_string_equal(before, after);
	assert_non_null(strstr(msg_last(), late->name));
	assert_non_null(strstr(msg_last(), other));
	if (!strstr(msg_last(), words))
		fail_msg("'%s' is not in '%s'", words, msg_last());
	assert_non_null(strstr(msg_last(), "Unbind it, or detach the group"));
}

static void newcomers(void **state)
{
	const struct sluice_group_region kept[] = {
	        {0xfee00000, 0xfeefffff, SLUICE_RESV_MSI, "msi"},
	        {0x10000, 0x1ffff, SLUICE_RESV_DIRECT, "direct"}};
	struct sluice_group_region r = {0xfee01000, 0xfee01fff,
	                                SLUICE_RESV_RESERVED, "reserved"};
	struct sluice_require m[] = {member("a", SLUICE_REQUIRE_ANY),
	                             member("b", SLUICE_REQUIRE_TRANSLATED)};
	struct sluice_require late = member("late", SLUICE_REQUIRE_IDENTITY);
	struct sluice_decision *d;

	(void)state;
	m[0].regions = kept;
	m[0].nr_regions = 2;
	m[1].dma_bits = 40;
	m[1].low_bytes = 0x1000;
	d = decide(m, 2);
	refused(d, &late, "b needs translated addresses",
	        "late needs untranslated addresses");
	late.type = SLUICE_REQUIRE_TRANSLATED;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	late.dma_bits = 40;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	late.dma_bits = 39;
	refused(d, &late, "b may have been given any below 2^40", "below 2^39");
	late.dma_bits = 0;
	late.low_bytes = 0x1000;
	refused(d, &late, "a may have", "4096 bytes below 4 GiB");
	/* The one that it was set aside for may come back. */
	late.name = "b";
	assert_int_equal(sluice_decision_check(d, &late), 0);
	late.low_bytes++;
	assert_int_equal(sluice_decision_check(d, &late), -EBUSY);
	late = member("late", SLUICE_REQUIRE_ANY);
	late.regions = &r;
	late.nr_regions = 1;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	r.last = 0xfef00000;
	refused(d, &late, "a may have", "must not be given 0xfee01000");
	r = (struct sluice_group_region){0x10000, 0x10fff, SLUICE_RESV_DIRECT,
	                                 ""};
	assert_int_equal(sluice_decision_check(d, &late), 0);
	r.type = SLUICE_RESV_MSI;
	assert_int_equal(sluice_decision_check(d, &late), -EBUSY);
	r.first = r.last = 0x20000;
	r.type = SLUICE_RESV_DIRECT;
	refused(d, &late, "a may have", "must have 0x20000-0x20000 mapped");
	r.type = SLUICE_RESV_DIRECT_RELAXABLE;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	sluice_decision_free(d);
	/* Nobody had asked for a type. */
	d = decide(m, 1);
	late = member("late", SLUICE_REQUIRE_IDENTITY);
	refused(d, &late, "a has translated ones: it takes any type", "late");
	sluice_decision_free(d);
}

/* Nobody was given what not all can send. */
static void newcomers_out_of_reach(void **state)
{
	struct sluice_group_region r = {UINT64_C(1) << 40, UINT64_MAX,
	                                SLUICE_RESV_RESERVED, ""};
	struct sluice_require m = member("a", SLUICE_REQUIRE_ANY), late;
	struct sluice_decision *d;

	(void)state;
	m.dma_bits = 40;
	d = decide(&m, 1);
	late = member("late", SLUICE_REQUIRE_ANY);
	late.regions = &r;
	late.nr_regions = 1;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	r.first--;
	refused(d, &late, "a may have", "must not be given 0xffffffffff");
	r.first++;
	r.type = SLUICE_RESV_DIRECT;
	refused(d, &late, "a may have", "must have 0x10000000000");
	sluice_decision_free(d);
}

/* Where nothing is translated all is mapped to itself. */
static void newcomers_untranslated(void **state)
{
	struct sluice_group_region r = {0x20000, 0x2ffff, SLUICE_RESV_DIRECT,
	                                ""};
	struct sluice_require m = member("a", SLUICE_REQUIRE_IDENTITY), late;
	struct sluice_decision *d;

	(void)state;
	d = decide(&m, 1);
	late = member("late", SLUICE_REQUIRE_ANY);
	late.regions = &r;
	late.nr_regions = 1;
	assert_int_equal(sluice_decision_check(d, &late), 0);
	r.type = SLUICE_RESV_RESERVED;
	refused(d, &late, "a may have", "must not be given 0x20000");
	sluice_decision_free(d);
}

/* ---- sysfs ---- */

static void what_sysfs_tells(void **state)
{
	struct tree *t = *state;
	const struct sluice_group_info *g;
	struct sluice_group_set *set;
	struct sluice_require m[4];
	struct sluice_decision *d;

	tree_pci(t, "0000:00:02.0", 3, "nvme", "0x010802\n");
	tree_pci(t, "0000:00:02.1", 3, "vfio-pci", "0x010802\n");
	tree_pci(t, "0000:00:02.2", 3, "e1000e", "0x020000\n");
	tree_file(t, "bus/pci/devices/0000:00:02.0/dma_mask_bits", "64\n");
	tree_file(t, "bus/pci/devices/0000:00:02.1/dma_mask_bits", "32\n");
	tree_file(t, "bus/pci/devices/0000:00:02.2/dma_mask_bits", "many\n");
	tree_file(t, "kernel/iommu_groups/3/type", "identity\n");
	tree_file(t, "kernel/iommu_groups/3/reserved_regions",
	          "0x0000000000010000 0x000000000001ffff direct\n"
	          "0x00000000fee00000 0x00000000feefffff msi\n");
	assert_int_equal(sluice_groups_read(t->root, &set), 0);
	g = sluice_groups_get(set, 0);
	memset(m, 0, sizeof(m));
	assert_int_equal(sluice_require_from_group(g, m, 2), 3);
	assert_null(m[2].name);
	assert_int_equal(sluice_require_from_group(g, m, 4), 3);
	assert_string_equal(m[0].name, "0000:00:02.0");
	assert_int_equal(m[0].type, SLUICE_REQUIRE_IDENTITY);
	assert_string_equal(m[0].why, "nvme");
	assert_int_equal(m[0].dma_bits, 64);
	/* Nobody asked for these 32 bits. */
	assert_int_equal(m[1].dma_bits, 0);
	assert_int_equal(m[1].type, SLUICE_REQUIRE_ANY);
	assert_int_equal(m[2].dma_bits, 0);
	assert_int_equal(m[1].nr_regions, 2);
	/* What we want of ours and what the kernel does with its own. */
	m[1].type = SLUICE_REQUIRE_TRANSLATED;
	m[1].why = "this program";
	assert_int_equal(sluice_require_decide(m, 3, &d), -EBUSY);
	assert_non_null(strstr(msg_last(), "0000:00:02.0 needs untranslated "
	                                   "addresses (nvme)"));
	assert_non_null(strstr(msg_last(), "0000:00:02.1 needs translated "
	                                   "addresses (this program)"));
	sluice_group_set_free(set);

	tree_file(t, "kernel/iommu_groups/3/type", "DMA-FQ\n");
	assert_int_equal(sluice_groups_read(t->root, &set), 0);
	g = sluice_groups_get(set, 0);
	assert_int_equal(sluice_require_from_group(g, m, 4), 3);
	assert_int_equal(m[2].type, SLUICE_REQUIRE_TRANSLATED);
	d = decide(m, 3);
	assert_int_equal(sluice_decision_get(d)->nr_regions, 2);
	assert_int_equal(sluice_decision_get(d)->regions[0].type,
	                 SLUICE_RESV_DIRECT);
	sluice_decision_free(d);
	sluice_group_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nobody_minds),
	        cmocka_unit_test(what_all_need),
	        cmocka_unit_test(types_conflict),
	        cmocka_unit_test(windows_conflict),
	        cmocka_unit_test(bad_requirements),
	        cmocka_unit_test(no_memory),
	        cmocka_unit_test(newcomers),
	        cmocka_unit_test(newcomers_out_of_reach),
	        cmocka_unit_test(newcomers_untranslated),
	        cmocka_unit_test_setup_teardown(what_sysfs_tells, scarce_make,
	                                        scarce_unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
