/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random operations on 4 GiB of a table beside the flat record, for every
 * format and width. A million in all; SLUICE_LONG=1 asks for 10^8.
 * SLUICE_SEED=n repeats another sequence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "pagetable/pt_priv.h"
#include "table.h"

#define WINDOW (4 * GIB1)
#define RUNS 64u

struct game {
	struct table t;
	struct flat f;
	uint64_t seed;
	struct pt_run got[RUNS];
	struct pt_run want[RUNS];
};

/* Mostly a few pages, sometimes around a table, rarely gigabytes. */
static uint64_t random_len(struct game *g)
{
	uint64_t dice = rnd_below(&g->seed, 4096);

	if (dice == 0)
		return GIB1 * (1 + rnd_below(&g->seed, 2));
	if (dice < 40)
		return MIB2 * (1 + rnd_below(&g->seed, 20));
	if (dice < 150)
		return KIB4 * (1 + rnd_below(&g->seed, 1500));
	return KIB4 * (1 + rnd_below(&g->seed, 24));
}

static uint64_t random_iova(struct game *g, uint64_t len)
{
	uint64_t off = rnd_below(&g->seed, WINDOW - len + KIB4) & ~(KIB4 - 1);

	if (len % GIB1 == 0)
		off &= ~(GIB1 - 1);
	else if (len % MIB2 == 0 || rnd_below(&g->seed, 8) == 0)
		off &= ~(MIB2 - 1);
	/* Crowd three quarters of the requests so that they meet. */
	if (len < MIB2 && rnd_below(&g->seed, 4))
		off %= 32 * MIB2;
	return g->f.base + off;
}

static uint32_t random_prot(struct game *g)
{
	static const uint32_t some[] = {SLUICE_READ, SLUICE_RW,
	                                SLUICE_RW | PT_SW0, SLUICE_RW | PT_SW1};

	return some[rnd_below(&g->seed, NR_OF(some))];
}

static void do_map(struct game *g)
{
	uint64_t len = random_len(g);
	uint64_t iova = random_iova(g, len);
	uint64_t last = iova + len - 1;
	uint64_t oa = rnd(&g->seed) & (bit64(51) - 1) & ~(KIB4 - 1);
	uint32_t prot = random_prot(g);

	if (len % GIB1 == 0)
		oa &= ~(GIB1 - 1);
	else if (rnd_below(&g->seed, 4))
		oa = (oa & ~(MIB2 - 1)) + iova % MIB2;
	if (rnd_below(&g->seed, 16) == 0)
		assert_int_equal(pt_populate(g->t.pt, &g->t.pc, iova, last, oa),
		                 0);
	assert_int_equal(table_map(&g->t, iova, len, oa, prot),
	                 flat_map(&g->f, iova, last, oa, prot));
	pt_free_list(g->t.pt, &g->t.freed, &g->t.pc);
	if (len <= MIB2)
		assert_true(flat_agrees(&g->f, g->t.pt, iova, last));
}

static bool all_mapped(const struct flat *f, uint64_t iova, uint64_t last)
{
	for (uint64_t a = iova; a <= last; a += KIB4)
		if (!f->page[(a - f->base) / KIB4].prot)
			return false;
	return true;
}

/* Compares what came out with the record; returns the bytes it stands for. */
static uint64_t check_gather(struct game *g, const struct pt_gather *gather,
                             uint64_t iova, uint64_t last)
{
	uint32_t nr = flat_runs(&g->f, iova, last, gather->merge_heads, g->want,
	                        RUNS);
	uint32_t fit = nr < gather->max ? nr : gather->max;

	assert_int_equal(gather->nr, fit);
	for (uint32_t i = 0; i < fit; i++) {
		assert_int_equal(g->got[i].iova, g->want[i].iova);
		assert_int_equal(g->got[i].last, g->want[i].last);
		assert_int_equal(g->got[i].oa, g->want[i].oa);
		assert_int_equal(g->got[i].prot, g->want[i].prot);
	}
	return g->want[fit - 1].last - iova + 1;
}

static void unmap_range(struct game *g, uint64_t iova, uint64_t last)
{
	struct pt_gather gather = {
	        .run = rnd_below(&g->seed, 4) ? g->got : NULL,
	        .max = 1 + (uint32_t)rnd_below(&g->seed, RUNS),
	        .merge_heads = rnd(&g->seed) & 1,
	};
	int64_t n = pt_unmap(g->t.pt, iova, last, &gather);
	uint64_t done = last - iova + 1;

	if (n < 0) {
		assert_int_equal(n, flat_unmap(&g->f, iova, last));
	} else {
		assert_true(all_mapped(&g->f, iova, last));
		if (gather.run)
			done = check_gather(g, &gather, iova, last);
		assert_int_equal(n, done);
		assert_int_equal(flat_unmap(&g->f, iova, iova + done - 1), 0);
	}
	if (last - iova < MIB2)
		assert_true(flat_agrees(&g->f, g->t.pt, iova, last));
}

static void do_unmap(struct game *g)
{
	uint64_t len = random_len(g);
	uint64_t iova = random_iova(g, len);
	uint64_t last = iova + len - 1;
	struct pt_run leaf;

	/* Mostly what is there: whole leaves from a random page on. */
	for (unsigned i = 0; i < 8 && flat_walk(&g->f, iova, &leaf); i++)
		iova = random_iova(g, len);
	last = iova + len - 1;
	if (rnd_below(&g->seed, 8) && flat_walk(&g->f, iova, &leaf) == 0) {
		uint64_t end = iova + len - 1;

		iova = leaf.iova;
		last = leaf.last;
		while (last < end && flat_walk(&g->f, last + 1, &leaf) == 0)
			last = leaf.last;
	}
	unmap_range(g, iova, last);
}

static void do_dirty(struct game *g)
{
	uint64_t len = KIB4 * (1 + rnd_below(&g->seed, 700));
	uint64_t iova = random_iova(g, len);
	bool clear = rnd(&g->seed) & 1;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t a = random_iova(g, KIB4) + rnd_below(&g->seed, KIB4);

		assert_int_equal(pt_set_dirty(g->t.pt, a),
		                 flat_set_dirty(&g->f, a));
	}
	assert_int_equal(pt_dirty(g->t.pt, iova, iova + len - 1, clear, NULL),
	                 flat_dirty(&g->f, iova, iova + len - 1, clear));
}

static void play(struct kind kind, uint64_t base, uint64_t rounds,
                 uint64_t seed)
{
	struct game *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->seed = seed;
	table_open(&g->t, kind, 8192);
	flat_init(&g->f, base, WINDOW / KIB4);
	for (uint64_t i = 0; i < rounds; i++) {
		unsigned dice = (unsigned)rnd_below(&g->seed, 16);

		if (dice < 8)
			do_map(g);
		else if (dice < 15)
			do_unmap(g);
		else
			do_dirty(g);
		if (i % 100000 == 99999)
			assert_true(flat_agrees_all(&g->f, g->t.pt));
	}
	assert_true(flat_agrees_all(&g->f, g->t.pt));
	flat_done(&g->f);
	table_close(&g->t);
	free(g);
}

static void test_random(void **state)
{
	const char *longer = getenv("SLUICE_LONG");
	const char *chosen = getenv("SLUICE_SEED");
	uint64_t total = longer && *longer == '1' ? 100000000 : 1000000;
	uint64_t seed = chosen ? strtoull(chosen, NULL, 0) : 20261121;

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		/* Across a border of the top levels where there is room. */
		uint64_t base = kinds[k].bits > 39
		                        ? bit64(39) * (1 + k) - 2 * GIB1
		                        : bit64(39) - WINDOW;

		play(kinds[k], base, total / NR_OF(kinds), seed + k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
