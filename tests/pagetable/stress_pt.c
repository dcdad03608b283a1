/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads on disjoint ranges of one table, sharing its tables, beside walkers
 * of everything. Every leaf translates to its own address plus a constant, so
 * a walker can tell a wrong word whenever it sees one. SLUICE_LONG=1 plays a
 * hundred times longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "pagetable/pt_priv.h"
#include "table.h"

#define BASE (bit64(39) - GIB1) /* across a border of the upper levels */
#define SPAN (2 * GIB1)
#define SHIFTED (7 * GIB1) /* OA = IOVA + SHIFTED */
#define MAPPERS 4u
#define WALKERS 2u
#define STRIPE (16 * KIB4)
#define AREAS 64u

struct shared {
	struct pt *pt;
	struct pagepool *pool;
	struct sluice_pt *public;
	uint64_t rounds;
	au32 stop;
};

struct worker {
	pthread_t thread;
	struct shared *s;
	uint64_t id;
	uint64_t wrong;
	uint64_t done;
	struct pt_freed freed;
};

static uint64_t rounds(uint64_t n)
{
	const char *longer = getenv("SLUICE_LONG");

	return longer && *longer == '1' ? 100 * n : n;
}

static void one_round(struct worker *w, struct pagecache *pc, uint64_t iova,
                      uint64_t len)
{
	struct pt_run run[64];
	struct pt_gather g = {.run = run, .max = 64};
	uint64_t last = iova + len - 1;
	struct pt_run leaf;

	if (pt_map(w->s->pt, pc, iova, last, iova + SHIFTED, SLUICE_RW,
	           &w->freed) ||
	    pt_walk(w->s->pt, iova, &leaf) ||
	    pt_map(w->s->pt, pc, last - KIB4 + 1, last, 0, SLUICE_RW,
	           &w->freed) != -EEXIST ||
	    pt_unmap(w->s->pt, iova, last, &g) != (int64_t)len || g.nr != 1 ||
	    run[0].iova != iova || run[0].last != last ||
	    run[0].oa != iova + SHIFTED ||
	    pt_unmap(w->s->pt, iova, last, &g) != -ENOENT ||
	    pt_walk(w->s->pt, iova, &leaf) != -ENOENT)
		w->wrong++;
	w->done++;
}

/* Stripes of 16 pages go round the threads; so do whole areas of 2 MiB, which
 * see small and large leaves in turn. */
static void *mapper(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = 1 + w->id;
	struct pagecache pc;

	pagecache_init(&pc, w->s->pool);
	for (uint64_t i = 0; i < w->s->rounds; i++) {
		uint64_t dice = rnd(&seed);
		uint64_t pages = 1 + dice % 16;
		uint64_t stripe = (dice >> 8) % 2048 * MAPPERS + w->id;
		uint64_t area = (dice >> 32) % AREAS * MAPPERS + w->id;
		uint64_t at = BASE + SPAN / 2 - 512 * STRIPE + stripe * STRIPE;

		if (i % 16)
			one_round(w, &pc, at, pages * KIB4);
		else
			one_round(w, &pc, BASE + area * MIB2,
			          dice & 128 ? MIB2 : pages * KIB4);
	}
	pagecache_drain(&pc);
	return NULL;
}

static void *walker(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = 99 + w->id;

	while (!ld_rlx(&w->s->stop)) {
		uint64_t a = BASE + rnd_below(&seed, SPAN);
		struct pt_run r;
		int err;

		if (w->done & 3)
			a = BASE + SPAN / 2 + rnd_below(&seed, 8 * MIB2);
		err = pt_walk(w->s->pt, a, &r);
		w->done++;
		if (err == -ENOENT)
			continue;
		if (err || a < r.iova || a > r.last ||
		    r.oa != r.iova + SHIFTED || r.prot != SLUICE_RW)
			w->wrong++;
	}
	return NULL;
}

static void start(struct worker *w, struct shared *s, uint64_t id,
                  void *(*fn)(void *))
{
	*w = (struct worker){.s = s, .id = id};
	assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
}

static void finish(struct worker *w)
{
	pthread_join(w->thread, NULL);
	assert_int_equal(w->wrong, 0);
	assert_true(w->done > 0);
}

static void test_shared_tables(void **state)
{
	struct worker w[MAPPERS + WALKERS];
	struct sluice_pt_stats stats;
	struct table t;
	struct shared s;

	(void)state;
	/* Unlinked tables wait for the end of the walkers: room for all. */
	table_open(&t, kinds[3], 1u << 18);
	s = (struct shared){.pt = t.pt, .pool = t.pool};
	s.rounds = rounds(300000);
	for (unsigned i = 0; i < MAPPERS + WALKERS; i++)
		start(&w[i], &s, i, i < MAPPERS ? mapper : walker);
	for (unsigned i = 0; i < MAPPERS; i++)
		finish(&w[i]);
	st_rlx(&s.stop, 1);
	for (unsigned i = MAPPERS; i < MAPPERS + WALKERS; i++)
		finish(&w[i]);
	pt_count(t.pt, &stats);
	assert_int_equal(stats.leaves[12] + stats.leaves[21], 0);
	for (unsigned i = 0; i < MAPPERS; i++)
		pt_free_list(t.pt, &w[i].freed, &t.pc);
	table_close(&t);
}

/* One thread makes tables come and go in a public table, whose pages are used
 * again at once, at other heights too; walkers must never believe an old one.
 */
static void *recycler(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = 5;

	for (uint64_t i = 0; i < w->s->rounds; i++) {
		uint64_t area = rnd_below(&seed, 8);
		uint64_t at = BASE + area * MIB2;
		uint64_t small = 1 + rnd_below(&seed, 40);
		uint64_t wide = rnd_below(&seed, 16) == 0;
		uint64_t len = small * KIB4;

		for (unsigned k = 0; k < 2; k++) {
			if (k)
				len = MIB2;
			if (k && wide) {
				at = BASE;
				len = GIB1;
			}
			if (sluice_pt_map(w->s->public, at, at + SHIFTED, len,
			                  SLUICE_RW) ||
			    sluice_pt_unmap(w->s->public, at, len, NULL,
			                    NULL) != (int64_t)len)
				w->wrong++;
		}
		w->done++;
	}
	return NULL;
}

static void *public_walker(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = 7 + w->id;

	while (!ld_rlx(&w->s->stop)) {
		uint64_t a = BASE + rnd_below(&seed, 8) * MIB2 +
		             rnd_below(&seed, 40) * KIB4;
		struct sluice_pt_extent e;
		int err = sluice_pt_walk(w->s->public, a, &e);

		w->done++;
		if (err != -ENOENT && (err || e.oa != e.iova + SHIFTED))
			w->wrong++;
	}
	return NULL;
}

static void test_recycled_tables(void **state)
{
	struct worker w[4];
	struct shared s = {.rounds = rounds(600000)};
	struct sluice_pt_config cfg = {
	        .format = SLUICE_PT_VTDSS,
	        .max_bytes = 4 * MIB2,
	};

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &s.public), 0);
	for (unsigned i = 0; i < 4; i++)
		start(&w[i], &s, i, i ? public_walker : recycler);
	finish(&w[0]);
	st_rlx(&s.stop, 1);
	for (unsigned i = 1; i < 4; i++)
		finish(&w[i]);
	sluice_pt_destroy(s.public);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_shared_tables),
	        cmocka_unit_test(test_recycled_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
