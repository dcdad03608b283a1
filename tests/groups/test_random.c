/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must hold of groups on any topology, on random ones: a second
 * implementation agrees, each link of a chain is one, more isolation and fewer
 * devices never merge anything, and the numbers of buses do not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forest.h"
#include "groups/partition.h"
#include "util/util.h"

#define TREES 100000u

static uint64_t trees(void)
{
	const char *n = getenv("SLUICE_GROUP_TREES");

	return n ? strtoull(n, NULL, 10) : TREES;
}

/* By label, so that two numberings can be compared. */
struct groups {
	uint32_t nr;
	uint32_t of[FOREST_MAX]; /* by label; UINT32_MAX: not there */
};

static void groups_of(const struct forest *f, struct groups *g,
                      struct partition *p)
{
	assert_int_equal(partition_make(&f->topo, &f->platform, p), 0);
	g->nr = FOREST_MAX;
	for (uint32_t i = 0; i < FOREST_MAX; i++)
		g->of[i] = UINT32_MAX;
	for (uint32_t i = 0; i < f->topo.nr; i++)
		if (p->leader[i] != TOPO_NONE)
			g->of[f->label[i]] = f->label[p->leader[i]];
}

/* What is together in the finer one is together in the coarser one. */
static void check_refines(uint64_t seed, const struct groups *fine,
                          const struct groups *coarse)
{
	for (uint32_t i = 0; i < FOREST_MAX; i++)
		for (uint32_t k = 0; k < i; k++)
			if (fine->of[i] != UINT32_MAX &&
			    fine->of[i] == fine->of[k] &&
			    coarse->of[i] != coarse->of[k])
				fail_msg("seed %llu: %u and %u were merged",
				         (unsigned long long)seed, i, k);
}

static void same_as_naive(void **state)
{
	static struct forest f;
	uint64_t bonds = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= trees(); seed++) {
		uint32_t want[FOREST_MAX];
		struct partition p;

		forest_grow(&f, seed, 0);
		assert_int_equal(partition_make(&f.topo, &f.platform, &p), 0);
		naive_groups(&f, want);
		for (uint32_t i = 0; i < f.topo.nr; i++)
			for (uint32_t k = 0; k < i; k++) {
				bool ours = p.leader[i] == p.leader[k] &&
				            p.leader[i] != TOPO_NONE;
				bool theirs = want[i] == want[k] &&
				              want[i] != UINT32_MAX;

				if (ours != theirs)
					fail_msg("seed %llu: %s and %s: %d",
					         (unsigned long long)seed,
					         f.name[k], f.name[i], ours);
			}
		for (uint32_t i = 0; i < p.nr_bonds; i++, bonds++)
			if (!naive_bond(&f, &p.bond[i]))
				fail_msg("seed %llu: bond %u is none",
				         (unsigned long long)seed, i);
		partition_free(&p);
	}
	print_message("%llu bonds\n", (unsigned long long)bonds);
	assert_true(bonds > trees());
}

static void no_merge_by_acs(void **state)
{
	static struct forest f;

	(void)state;
	for (uint64_t seed = 1; seed <= trees(); seed++) {
		struct groups before, after;
		struct partition p;
		uint32_t i;

		forest_grow(&f, seed, 0);
		groups_of(&f, &before, &p);
		partition_free(&p);
		i = (uint32_t)(seed * 2654435761u % f.topo.nr);
		f.dev[i].has_acs = f.dev[i].is_pcie;
		f.dev[i].acs_cap |= 0x1d;
		f.dev[i].acs_ctrl |= 0x1d;
		groups_of(&f, &after, &p);
		partition_free(&p);
		check_refines(seed, &after, &before);
	}
}

static void no_merge_by_removal(void **state)
{
	static struct forest f;

	(void)state;
	for (uint64_t seed = 1; seed <= trees(); seed++) {
		bool gone[FOREST_MAX] = {false};
		struct groups before, after;
		struct partition p;

		forest_grow(&f, seed, 0);
		groups_of(&f, &before, &p);
		partition_free(&p);
		gone[seed * 2654435761u % f.topo.nr] = true;
		forest_cut(&f, gone);
		groups_of(&f, &after, &p);
		partition_free(&p);
		check_refines(seed, &after, &before);
	}
}

static void any_order(void **state)
{
	static struct forest f;

	(void)state;
	for (uint64_t seed = 1; seed <= trees(); seed++) {
		struct groups one, two;
		struct partition p;

		forest_grow(&f, seed, 0);
		groups_of(&f, &one, &p);
		partition_free(&p);
		forest_grow(&f, seed, seed * 7919 + 1);
		groups_of(&f, &two, &p);
		partition_free(&p);
		check_refines(seed, &one, &two);
		check_refines(seed, &two, &one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(same_as_naive),
	        cmocka_unit_test(no_merge_by_acs),
	        cmocka_unit_test(no_merge_by_removal),
	        cmocka_unit_test(any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
