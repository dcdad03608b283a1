/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What unmap says it removed: merging, head marks, gathers that are too
 * small, and the edge where an address would carry into the software bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pagetable/pt_priv.h"
#include "table.h"

#define BASE GIB1
#define PAGES (2 * GIB1 / KIB4)
#define RW SLUICE_RW
#define RUNS 2048u

static struct pt_run got[RUNS];
static struct pt_run want[RUNS];

/* Maps the same thing in the table and in the record. */
static void both_map(struct table *t, struct flat *f, uint64_t iova,
                     uint64_t len, uint64_t oa, uint32_t prot)
{
	assert_int_equal(table_map(t, iova, len, oa, prot), 0);
	assert_int_equal(flat_map(f, iova, iova + len - 1, oa, prot), 0);
}

/* Unmaps in portions of max runs and compares each with the record. */
static void check_unmap(struct table *t, struct flat *f, uint64_t iova,
                        uint64_t last, bool heads, uint32_t max)
{
	struct pt_gather g = {.run = got, .max = max, .merge_heads = heads};

	while (iova <= last) {
		uint32_t nr = flat_runs(f, iova, last, heads, want, RUNS);
		int64_t n = pt_unmap(t->pt, iova, last, &g);
		uint32_t fit = nr < max ? nr : max;

		assert_in_range(nr, 1, RUNS);
		assert_int_equal(g.nr, fit);
		assert_int_equal(n, want[fit - 1].last - iova + 1);
		for (uint32_t i = 0; i < fit; i++) {
			assert_int_equal(got[i].iova, want[i].iova);
			assert_int_equal(got[i].last, want[i].last);
			assert_int_equal(got[i].oa, want[i].oa);
			assert_int_equal(got[i].prot, want[i].prot);
		}
		assert_int_equal(flat_unmap(f, iova, iova + (uint64_t)n - 1),
		                 0);
		assert_true(flat_agrees(f, t->pt, iova, last));
		iova += (uint64_t)n;
		g.nr = 0;
	}
}

/* A patchwork that touches every way runs can join or not. */
static uint64_t patchwork(struct table *t, struct flat *f)
{
	uint64_t a = BASE + MIB2 - 3 * KIB4;

	/* Heads joined by OA: one run only if heads merge. */
	both_map(t, f, a, KIB4, 0x1000000, RW | PT_SW1);
	both_map(t, f, a + KIB4, KIB4, 0x1001000, RW | PT_SW1);
	/* Across a table border, then into a 2 MiB leaf, OA goes on. */
	both_map(t, f, a + 2 * KIB4, KIB4, 4 * MIB2 - KIB4, RW);
	both_map(t, f, BASE + MIB2, MIB2, 4 * MIB2, RW);
	both_map(t, f, BASE + 2 * MIB2, 20 * KIB4, 5 * MIB2, RW);
	/* Same OA sequence, other prot; same prot, gap in OA. */
	a = BASE + 2 * MIB2 + 20 * KIB4;
	both_map(t, f, a, 40 * KIB4, 5 * MIB2 + 20 * KIB4, SLUICE_READ);
	both_map(t, f, a + 40 * KIB4, 40 * KIB4, 0x7000000, RW | PT_SW0);
	a += 80 * KIB4;
	for (unsigned i = 0; i < 40; i++)
		both_map(t, f, a + i * KIB4, KIB4, i * 8 * KIB4, RW);
	a += 40 * KIB4;
	both_map(t, f, a, 100 * KIB4, 0, RW | PT_SW1);
	both_map(t, f, a + 100 * KIB4, 100 * KIB4, 100 * KIB4, RW | PT_SW1);
	return a + 200 * KIB4 - 1;
}

static void test_runs(void **state)
{
	static const uint32_t maxes[] = {1, 2, 3, 7, RUNS};

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		for (unsigned m = 0; m < 2 * NR_OF(maxes); m++) {
			struct table t;
			struct flat f;
			uint64_t last;

			table_open(&t, kinds[k], 64);
			flat_init(&f, BASE, PAGES);
			last = patchwork(&t, &f);
			check_unmap(&t, &f, BASE + MIB2 - 3 * KIB4, last, m & 1,
			            maxes[m / 2]);
			assert_int_equal(f.mapped, 0);
			flat_done(&f);
			table_close(&t);
		}
	}
}

/* A gather without room removes nothing; one with runs in it is added to,
 * and what was there is not merged with. */
static void test_room(void **state)
{
	struct pt_gather g = {.run = got};
	struct table t;
	struct pt_run r;

	(void)state;
	table_open(&t, kinds[3], 64);
	assert_int_equal(table_map(&t, BASE, 64 * KIB4, 0, RW), 0);
	assert_int_equal(pt_unmap(t.pt, BASE, BASE + KIB4 - 1, &g), 0);
	assert_int_equal(pt_unmap(t.pt, BASE, BASE + 64 * KIB4 - 1, &g), 0);
	assert_int_equal(pt_unmap(t.pt, BASE, BASE + 65 * KIB4 - 1, &g),
	                 -ENOENT);
	assert_int_equal(pt_walk(t.pt, BASE, &r), 0);
	assert_int_equal(g.nr, 0);
	g.max = RUNS;
	assert_int_equal(pt_unmap(t.pt, BASE, BASE + KIB4 - 1, &g), KIB4);
	assert_int_equal(pt_unmap(t.pt, BASE + KIB4, BASE + 32 * KIB4 - 1, &g),
	                 31 * KIB4);
	assert_int_equal(
	        pt_unmap(t.pt, BASE + 32 * KIB4, BASE + 34 * KIB4 - 1, &g),
	        2 * KIB4);
	assert_int_equal(g.nr, 3);
	assert_int_equal(got[1].iova, BASE + KIB4);
	assert_int_equal(got[1].last, BASE + 32 * KIB4 - 1);
	assert_int_equal(got[2].oa, 32 * KIB4);
	table_close(&t);
}

/* The OA after the last one would carry into bit 52, a software bit: a leaf
 * at OA 0 that has that bit does not continue it. */
static void test_no_carry(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 32; n += 31) {
		struct table t;
		struct flat f;

		table_open(&t, kinds[3], 64);
		flat_init(&f, BASE, PAGES);
		both_map(&t, &f, BASE, n * KIB4, bit64(52) - n * KIB4, RW);
		both_map(&t, &f, BASE + n * KIB4, n * KIB4, 0, RW | PT_SW0);
		check_unmap(&t, &f, BASE, BASE + 2 * n * KIB4 - 1, true, RUNS);
		flat_done(&f);
		table_close(&t);
	}
}

/* A and D, which the walker writes, neither split a run nor leak into prot. */
static void test_walker_bits(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct pt_gather g = {.run = got, .max = RUNS};
		struct table t;

		table_open(&t, kinds[k], 64);
		assert_int_equal(
		        table_map(&t, BASE, 512 * KIB4, KIB4, RW | PT_SW1), 0);
		for (unsigned i = 0; i < 512; i += 5)
			assert_int_equal(pt_set_dirty(t.pt, BASE + i * KIB4),
			                 0);
		assert_int_equal(
		        pt_unmap(t.pt, BASE, BASE + 512 * KIB4 - 1, &g),
		        512 * KIB4);
		assert_int_equal(g.nr, 1);
		assert_int_equal(got[0].prot, RW | PT_SW1);
		assert_int_equal(got[0].last, BASE + 512 * KIB4 - 1);
		table_close(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_runs),
	        cmocka_unit_test(test_room),
	        cmocka_unit_test(test_no_carry),
	        cmocka_unit_test(test_walker_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
