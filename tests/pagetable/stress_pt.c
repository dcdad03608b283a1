/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes that share the tables of one table of each format. Each has a range of
 * its own with a model beside it and does there what it likes; all go through
 * the same areas of the address space together, so that they race for every
 * table on the way. Walkers look everywhere meanwhile: what they find is
 * nothing, or right. One range is only split, promoted and given other
 * permissions: where the format needs no break, a walker always finds it.
 *
 * Twice: with tables that are used again at once (a generation tells walkers),
 * and with tables that wait for the end of all walks. SLUICE_PT_STRESS_OPS:
 * calls of all lanes, over all formats, one in twenty a change;
 * SLUICE_STRESS_SEED; SLUICE_LONG=1: a hundred times more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stress_lane.h"

#define WALKERS 2u

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

/* Of each format the one with most to go wrong: levels that grow, contiguous
 * entries, dirty marks, wide roots, bytes in the other order. */
static const char *const played[] = {
        "x86_64-57",     "vtdss-48",      "amdv1-64",    "arm_s1-4k-39d",
        "arm_s1-16k-48", "arm_s2-4k-40d", "riscv-48",    "riscv_g-50d",
        "s390-53",       "s390-64",       "tce-4k-50x3",
};

static void start(struct lane *l, void *(*fn)(void *))
{
	assert_int_equal(pthread_create(&l->thread, NULL, fn, l), 0);
}

static void finish(struct lane *l)
{
	pthread_join(l->thread, NULL);
	if (l->wrong)
		fail_msg("%s: %s", l->w->shape->name, l->wrong);
	assert_true(l->done > 0);
}

/* All lanes are over: no leaf is left, and no page is lost. */
static void check_end(struct world *w)
{
	const struct pt *pt = w->base->pt;
	uint64_t all = pt_max_iova(pt);
	uint64_t used = 0;
	struct sluice_pt_stats s;

	assert_int_equal(sluice_pt_detach(w->base, w->fixed_at, w->fixed_len),
	                 0);
	/* A length has 64 bits: of the widest tables the end stays. */
	assert_true(sluice_pt_reclaim(w->base, 0,
	                              align_down(all, 31) ? align_down(all, 31)
	                                                  : all + 1) >= 0);
	sluice_pt_get_stats(w->base, &s);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(s.leaves[i], 0);
	for (unsigned i = 0; i < 2 && w->base->family->pool[i]; i++) {
		struct pagepool *pool = w->base->family->pool[i];

		pagecache_drain(&w->base->pc[i]);
		used += pagepool_used(pool) << pagepool_page_lg2(pool);
	}
	assert_int_equal(used, s.table_bytes);
}

/* Every area once, in a new table. */
static uint64_t round_of(const struct shape *shape, bool wait, uint64_t seed)
{
	static struct lane lane[LANES + 1 + WALKERS];
	struct world w;
	uint64_t done = 0;

	world_open(&w, shape, wait);
	for (unsigned i = 0; i < NR_OF(lane); i++)
		lane_open(&lane[i], &w, i, seed);
	for (unsigned i = 0; i < LANES; i++)
		start(&lane[i], lane_main);
	start(&lane[LANES], lane_fixed);
	for (unsigned i = LANES + 1; i < NR_OF(lane); i++)
		start(&lane[i], lane_walker);
	for (unsigned i = 0; i < LANES; i++)
		finish(&lane[i]);
	st_rlx(&w.stop, 1);
	for (unsigned i = LANES; i < NR_OF(lane); i++)
		finish(&lane[i]);
	for (unsigned i = 0; i < NR_OF(lane); i++) {
		lane_close(&lane[i]);
		done += i < LANES ? lane[i].done : 0;
	}
	check_end(&w);
	world_close(&w);
	return done;
}

static void play(bool wait)
{
	uint64_t ops = number("SLUICE_PT_STRESS_OPS", 12000000) / 2;
	uint64_t seed = number("SLUICE_STRESS_SEED", 1);

	if (number("SLUICE_LONG", 0))
		ops *= 100;
	for (unsigned i = 0; i < NR_OF(played); i++) {
		const struct shape *shape = NULL;
		uint64_t done = 0;
		unsigned rounds = 0;

		for (unsigned k = 0; k < nr_shapes; k++)
			if (strcmp(shapes[k].name, played[i]) == 0)
				shape = &shapes[k];
		assert_non_null(shape);
		for (; done < ops / NR_OF(played); rounds++)
			done += round_of(shape, wait, seed++);
		print_message("%s: %u rounds, %llu calls\n", shape->name,
		              rounds, (unsigned long long)done);
	}
}

static void test_tables_used_again(void **state)
{
	(void)state;
	play(false);
}

static void test_tables_that_wait(void **state)
{
	(void)state;
	play(true);
}

/* One table after another that lanes make higher at the same moment. */
struct growth {
	struct pagepool *pool;
	au64 arrived;
	struct pt *pt;
	uint64_t rounds;
	au32 wrong;
};

struct grower {
	pthread_t thread;
	struct growth *g;
	unsigned id;
};

/* Addresses that want three levels or more, in turn; in each round one wants
 * the most, and none wants more. */
static unsigned round_top(uint64_t round)
{
	return 3 + (unsigned)(round % 3);
}

static uint64_t high_address(uint64_t round, unsigned id)
{
	unsigned tops = round_top(round) - 1;
	unsigned n = (unsigned)((round / 3 + id) % tops);

	return bit64(9 * n + 36) + id * 4096u;
}

/* All lanes and the one who makes tables: n times in all so far. */
static void grow_meet(struct growth *g, uint64_t n)
{
	/* Pairs with itself: the table is there, or nobody uses it any more. */
	faa_acqrel(&g->arrived, 1);
	for (unsigned spins = 0; ld_acq(&g->arrived) < n * (LANES + 1);
	     spins++) {
		if (spins % 256 == 255)
			sched_yield();
		cpu_relax();
	}
}

static void *grower(void *arg)
{
	struct grower *me = arg;
	struct growth *g = me->g;
	struct pt_freed freed = {0};
	struct pagecache pc;
	struct pt_run run;

	pagecache_init(&pc, g->pool);
	for (uint64_t i = 0; i < g->rounds; i++) {
		uint64_t at = high_address(i, me->id);

		grow_meet(g, 2 * i + 1);
		if (pt_map(g->pt, &pc, at, at + 4095, me->id * 4096u, SLUICE_RW,
		           &freed) ||
		    pt_walk(g->pt, at, &run) || run.oa != me->id * 4096u)
			st_rlx(&g->wrong, 1);
		grow_meet(g, 2 * i + 2);
	}
	pagecache_drain(&pc);
	return NULL;
}

static void test_growth(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_AMDV1,
	                               .iova_bits = 64};
	struct growth g = {.rounds = number("SLUICE_LONG", 0) ? 500000 : 5000};
	struct grower lane[LANES];
	struct pagecache pc;
	struct pt_run run;

	(void)state;
	assert_int_equal(pagepool_create(4096, 12, &g.pool), 0);
	pagecache_init(&pc, g.pool);
	for (unsigned i = 0; i < LANES; i++) {
		lane[i] = (struct grower){.g = &g, .id = i};
		assert_int_equal(
		        pthread_create(&lane[i].thread, NULL, grower, &lane[i]),
		        0);
	}
	for (uint64_t i = 0; i < g.rounds; i++) {
		assert_int_equal(pt_create(&cfg, &pc, &g.pt), 0);
		grow_meet(&g, 2 * i + 1);
		grow_meet(&g, 2 * i + 2);
		assert_int_equal(pt_root_top(pt_root_word(g.pt)), round_top(i));
		for (unsigned k = 0; k < LANES; k++)
			if (pt_walk(g.pt, high_address(i, k), &run) ||
			    run.oa != k * 4096u)
				st_rlx(&g.wrong, 1);
		pt_destroy(g.pt, &pc);
	}
	for (unsigned i = 0; i < LANES; i++)
		pthread_join(lane[i].thread, NULL);
	assert_int_equal(ld_rlx(&g.wrong), 0);
	pagecache_drain(&pc);
	assert_int_equal(pagepool_used(g.pool), 0);
	pagepool_destroy(g.pool);
}

/* A walker that marks a leaf again and again, and a harvest: a mark that is
 * made between the beginnings of two harvests is counted by one of them. The
 * first that is reported in between may have been made before. */
struct marks {
	struct sluice_pt *pt;
	au64 nr;
	au32 stop;
	au32 wrong;
};

static void *marker(void *arg)
{
	struct marks *m = arg;

	while (!ld_rlx(&m->stop)) {
		if (pt_set_dirty(m->pt->pt, 4096))
			st_rlx(&m->wrong, 1);
		/* Pairs with the harvest's look. */
		st_rel(&m->nr, ld_rlx(&m->nr) + 1);
	}
	return NULL;
}

static void harvest(const struct sluice_pt_config *cfg, unsigned rounds)
{
	struct marks m = {0};
	pthread_t thread;
	uint64_t seen = 0;
	int64_t before = 1;

	assert_int_equal(sluice_pt_create(cfg, &m.pt), 0);
	assert_int_equal(sluice_pt_map(m.pt, 0, 0, 4 * 4096, SLUICE_RW), 0);
	assert_int_equal(pthread_create(&thread, NULL, marker, &m), 0);
	for (unsigned i = 0; i < rounds;) {
		uint64_t nr = ld_acq(&m.nr);
		int64_t bytes = sluice_pt_dirty(m.pt, 0, 4 * 4096, 1);
		/* In between, permissions that stay as they are. */
		int err = sluice_pt_protect(m.pt, 0, 4 * 4096, SLUICE_RW);

		if (err || bytes < 0 || (nr > seen + 1 && bytes + before == 0))
			st_rlx(&m.wrong, 1);
		i += nr > seen + 1;
		seen = nr;
		before = bytes;
	}
	st_rlx(&m.stop, 1);
	pthread_join(thread, NULL);
	assert_int_equal(ld_rlx(&m.wrong), 0);
	sluice_pt_destroy(m.pt);
}

static void test_marks(void **state)
{
	static const struct sluice_pt_config cfg[] = {
	        {.format = SLUICE_PT_X86_64},
	        {.format = SLUICE_PT_AMDV1},
	        {.format = SLUICE_PT_ARM_LPAE_S1, .flags = SLUICE_PT_DIRTY},
	        {.format = SLUICE_PT_RISCV, .flags = SLUICE_PT_DIRTY},
	};

	(void)state;
	for (unsigned i = 0; i < NR_OF(cfg); i++)
		harvest(&cfg[i], number("SLUICE_LONG", 0) ? 10000000 : 200000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_growth),
	        cmocka_unit_test(test_marks),
	        cmocka_unit_test(test_tables_used_again),
	        cmocka_unit_test(test_tables_that_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
