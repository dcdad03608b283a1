/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes that share the tables of a walker that does not snoop (shadow.h). Who
 * linked a table may be stopped before the link is in memory; another lane that
 * comes by may rely on the link only after it has written it back itself. Every
 * place where the first lane can stop is forced once, in one thread; then real
 * threads race for fresh tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "shadow.h"
#include "shapes.h"

#define POOL_LG2 26u
#define LANES 4u
#define AREAS 240u
#define SHIFTED ((uint64_t)1 << 30) /* OA = IOVA + SHIFTED */

struct rig {
	struct pagepool *pool;
	struct pagecache pc[LANES];
	struct pt *pt;
	uint64_t page;
};

/* False: walkers of this format snoop. */
static bool rig_open(struct rig *r, const struct shape *shape)
{
	struct sluice_pt_config cfg = shape->cfg;
	unsigned lg2[2];

	cfg.flags |= SLUICE_PT_NONCOHERENT;
	if (pt_table_sizes(&cfg, lg2))
		return false;
	assert_int_equal(lg2[0], lg2[1]);
	assert_int_equal(
	        pagepool_create(bit64(POOL_LG2 - lg2[0]), lg2[0], &r->pool), 0);
	for (unsigned i = 0; i < LANES; i++)
		pagecache_init(&r->pc[i], r->pool);
	shadow_open(bit64(POOL_LG2));
	assert_int_equal(pt_create(&cfg, r->pc, &r->pt), 0);
	r->page = bit64(r->pt->geo.page_lg2);
	return true;
}

static void rig_close(struct rig *r)
{
	pt_destroy(r->pt, r->pc);
	for (unsigned i = 0; i < LANES; i++)
		pagecache_drain(&r->pc[i]);
	assert_int_equal(pagepool_used(r->pool), 0);
	pagepool_destroy(r->pool);
	shadow_close();
}

static int map_page(struct rig *r, unsigned lane, uint64_t iova, bool claim)
{
	struct pt_freed freed = {0};
	uint64_t last = iova + r->page - 1;

	return claim ? pt_claim(r->pt, &r->pc[lane], iova, last, iova + SHIFTED,
	                        SLUICE_RW)
	             : pt_map(r->pt, &r->pc[lane], iova, last, iova + SHIFTED,
	                      SLUICE_RW, &freed);
}

static bool in_memory(const struct rig *r, uint64_t iova)
{
	struct pt_run run;

	return shadow_walk(r->pt, pt_root_word(r->pt), iova, &run) == 0 &&
	       run.oa == iova + SHIFTED && run.iova == iova;
}

/* Lane 0 maps a; when it has come to its nth write-back, before or after it,
 * lane 1 maps b from begin to end. */
struct race {
	struct rig r;
	uint64_t a, b;
	bool claim;
	bool after;
	unsigned stop;
	unsigned calls;
	uint64_t drop; /* write-back that lane 1 forgets */
	bool dropped;
	bool raced;
	bool seen;
};

static void stopped(void *ctx, bool after)
{
	struct race *t = ctx;

	t->calls += !after;
	if (after != t->after || t->calls != t->stop || t->raced)
		return;
	t->raced = true;
	shadow_begin();
	shadow_drop(t->drop);
	assert_int_equal(map_page(&t->r, 1, t->b, t->claim), 0);
	t->dropped = shadow_dropped();
	shadow_drop(0);
	t->seen = in_memory(&t->r, t->b);
}

/* Returns whether lane 0 came as far. */
static bool race(const struct shape *shape, struct race *t)
{
	if (!rig_open(&t->r, shape))
		return false;
	t->calls = 0;
	t->raced = false;
	shadow_begin();
	shadow_hook(stopped, t);
	assert_int_equal(map_page(&t->r, 0, t->a, t->claim), 0);
	shadow_hook(NULL, NULL);
	if (!t->drop) {
		assert_true(in_memory(&t->r, t->a));
		assert_true(!t->raced || in_memory(&t->r, t->b));
	}
	rig_close(&t->r);
	return t->raced;
}

/* Lane 1 is right wherever lane 0 stops, and would not be if it left out any
 * one of its write-backs. Returns the places. */
static unsigned race_all(const struct shape *shape, uint64_t a, uint64_t b,
                         bool claim)
{
	struct race t = {.a = a, .b = b, .claim = claim};
	unsigned places = 0;

	for (t.stop = 1;; t.stop++) {
		bool come = false;

		for (unsigned after = 0; after < 2; after++) {
			t.after = after;
			t.drop = 0;
			if (!race(shape, &t))
				continue;
			assert_true(t.seen);
			come = true;
			places++;
			for (t.drop = 1; race(shape, &t) && t.dropped; t.drop++)
				assert_false(t.seen);
			assert_in_range(t.drop, 2, 20);
		}
		if (!come)
			return places;
	}
}

static void test_stopped_lane(void **state)
{
	unsigned places = 0;

	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		uint64_t page = bit64(shapes[k].cfg.granule_lg2
		                              ? shapes[k].cfg.granule_lg2
		                              : 12);
		/* One table for both, and tables of the same level 1 table. */
		uint64_t far = page * page / 8;

		for (unsigned i = 0; i < 4; i++)
			places +=
			        race_all(&shapes[k], 3 * page,
			                 i & 1 ? far + page : 9 * page, i & 2);
	}
	/* Each shape links two tables at least: 4 stops each, and the leaf. */
	assert_true(places > 7 * 4 * 5);
	print_message("%u places\n", places);
}

struct lane {
	pthread_t thread;
	struct rig *r;
	unsigned id;
	uint64_t wrong;
};

/* Areas lie in other tables of level 0, and some of level 1 where the table is
 * wide enough. */
static uint64_t area(const struct rig *r, unsigned i)
{
	const struct pt *pt = r->pt;
	uint64_t high = (uint64_t)(i / 8 % 4) << pt_shift(pt->fmt, &pt->geo, 2);

	return (uint64_t)(i % 8) << pt_shift(pt->fmt, &pt->geo, 1) |
	       (high & pt->geo.max_iova);
}

static void *lane_main(void *arg)
{
	struct lane *l = arg;
	struct rig *r = l->r;

	for (unsigned i = 0; i < AREAS; i++) {
		uint64_t at = area(r, i) + (l->id + LANES * (i / 8)) * r->page;
		struct pt_run run;
		bool mapped = i % 3 != 0;

		if (map_page(r, l->id, at, i & 1) || !in_memory(r, at))
			l->wrong++;
		if (mapped)
			continue;
		if (pt_unmap(r->pt, at, at + r->page - 1, NULL) !=
		            (int64_t)r->page ||
		    shadow_walk(r->pt, pt_root_word(r->pt), at, &run) !=
		            -ENOENT)
			l->wrong++;
	}
	return NULL;
}

static bool right_leaf(void *ctx, const struct pt_run *item, unsigned size_lg2)
{
	uint64_t *nr = ctx;

	(void)size_lg2;
	++*nr;
	return item->oa == item->iova + SHIFTED;
}

static void test_racing_lanes(void **state)
{
	unsigned ran = 0;

	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct lane l[LANES];
		uint64_t leaves = 0;
		struct rig r;

		if (!rig_open(&r, &shapes[k]))
			continue;
		ran++;
		for (unsigned i = 0; i < LANES; i++) {
			l[i] = (struct lane){.r = &r, .id = i};
			assert_int_equal(pthread_create(&l[i].thread, NULL,
			                                lane_main, &l[i]),
			                 0);
		}
		for (unsigned i = 0; i < LANES; i++) {
			pthread_join(l[i].thread, NULL);
			assert_int_equal(l[i].wrong, 0);
		}
		assert_null(shadow_scan(r.pt, pt_root_word(r.pt), true,
		                        right_leaf, &leaves));
		assert_int_equal(leaves, LANES * AREAS * 2 / 3);
		rig_close(&r);
	}
	assert_true(ran > 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_stopped_lane),
	        cmocka_unit_test(test_racing_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
