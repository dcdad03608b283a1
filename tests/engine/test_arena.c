/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slots of an arena among lanes: what a lane may keep, what others find, what
 * a closed lane leaves, and threads that hand slots around.
 */
#include "tests/engine/rig.h"

#include "util/util.h"

#define SLOT 3072u /* no power of two */
#define MANY 8192u
#define THREADS 4

struct pair {
	struct rig r;
	struct sluice_lane *other;
	struct sluice_arena *a;
};

static void pair_up(struct pair *p, uint64_t slots)
{
	const struct sluice_arena_cfg cfg = {.size = slots * SLOT,
	                                     .slots_bytes = slots * SLOT,
	                                     .slot_size = SLOT,
	                                     .no_huge = 1};

	rig_up(&p->r, NULL);
	assert_int_equal(sluice_lane_open(p->r.engine, NULL, &p->other), 0);
	assert_int_equal(sluice_arena_create(p->r.domain, &cfg, &p->a), 0);
}

static void pair_down(struct pair *p)
{
	sluice_arena_destroy(p->a);
	assert_int_equal(sluice_lane_close(p->other), 0);
	rig_down(&p->r);
}

/* As many slots as the lane finds. */
static uint32_t get_all(struct sluice_lane *lane, struct sluice_arena *a,
                        struct sluice_buf *buf)
{
	uint32_t n = 0;
	int rc;

	while ((rc = sluice_arena_get(lane, a, &buf[n])) == 0)
		n++;
	assert_int_equal(rc, -ENOBUFS);
	return n;
}

static void put_all(struct sluice_lane *lane, struct sluice_arena *a,
                    const struct sluice_buf *buf, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		sluice_arena_put(lane, a, buf[i].va);
}

static void a_lane_keeps_little(void **state)
{
	static const uint64_t sizes[] = {1, 2, 15, 16, 64, 1000, 2016, MANY};
	static struct sluice_buf mine[MANY], its[MANY];
	struct pair p;

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t nr = (uint32_t)sizes[i], keeps = nr / 16, n;

		keeps = keeps > 126 ? 126 : keeps < 1 ? 1 : keeps;
		pair_up(&p, nr);
		assert_int_equal(get_all(p.r.lane, p.a, mine), nr);
		put_all(p.r.lane, p.a, mine, nr);
		n = get_all(p.other, p.a, its);
		assert_in_range(n, nr - keeps, nr);
		/* And those are there for whom they were kept. */
		assert_int_equal(get_all(p.r.lane, p.a, mine), nr - n);
		put_all(p.r.lane, p.a, mine, nr - n);
		put_all(p.r.lane, p.a, its, n);
		/* One slot, in turn: the same comes back. */
		for (int k = 0; k < 3 && nr > 1; k++) {
			assert_int_equal(sluice_arena_get(p.r.lane, p.a, mine),
			                 0);
			sluice_arena_put(p.r.lane, p.a, mine[0].va);
			assert_int_equal(sluice_arena_get(p.r.lane, p.a, its),
			                 0);
			assert_ptr_equal(its[0].va, mine[0].va);
			sluice_arena_put(p.r.lane, p.a, its[0].va);
		}
		pair_down(&p);
	}
}

static void closed_lanes_leave_all(void **state)
{
	static struct sluice_buf buf[MANY];
	struct pair p;

	(void)state;
	pair_up(&p, 640);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get_all(p.other, p.a, buf), 640);
		put_all(p.other, p.a, buf, 640);
		assert_int_equal(sluice_lane_close(p.other), 0);
		assert_int_equal(get_all(p.r.lane, p.a, buf), 640);
		assert_int_equal(sluice_lane_open(p.r.engine, NULL, &p.other),
		                 0);
		put_all(p.other, p.a, buf, 640);
	}
	pair_down(&p);
}

/* ---- threads ---- */

static struct pair shared;
static au64 board[64]; /* addresses */
static au32 broken;

/* Takes slots, writes into them, passes them on or puts back what others
 * passed. Who has a slot has it alone. */
static void *hands_around(void *arg)
{
	uint64_t rng = (uintptr_t)arg * 77 + 1, tag = (uintptr_t)arg;
	struct sluice_lane *lane;

	if (sluice_lane_open(shared.r.engine, NULL, &lane)) {
		st_rlx(&broken, 1);
		return NULL;
	}
	for (int i = 0; i < 200000 && !ld_rlx(&broken); i++) {
		struct sluice_buf b;
		void *old;

		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		if (sluice_arena_get(lane, shared.a, &b))
			b.va = NULL;
		else
			*(uint64_t *)b.va = tag;
		/* Pairs with itself: what the last owner wrote is over. */
		old = (void *)(uintptr_t)xchg_acqrel(&board[rng % 64],
		                                     (uintptr_t)b.va);
		if (b.va && old == b.va)
			st_rlx(&broken, 1);
		if (!old)
			continue;
		/* Poisoned while it is ours: the next owner must not see. */
		for (int k = 0; k < 8; k++)
			((uint64_t *)old)[k] = tag;
		for (int k = 0; k < 8; k++)
			if (((uint64_t *)old)[k] != tag)
				st_rlx(&broken, 1);
		sluice_arena_put(lane, shared.a, old);
	}
	if (sluice_lane_close(lane))
		st_rlx(&broken, 1);
	return NULL;
}

static void threads(void **state)
{
	static struct sluice_buf buf[MANY];
	pthread_t t[THREADS];
	uint32_t out = 0, n;

	(void)state;
	pair_up(&shared, 96);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hands_around,
		                                (void *)(i + 1)),
		                 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(ld_rlx(&broken), 0);
	for (int i = 0; i < 64; i++)
		out += ld_rlx(&board[i]) != 0;
	/* The rest is there, each once. */
	n = get_all(shared.r.lane, shared.a, buf);
	assert_int_equal(n + out, 96);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			assert_ptr_not_equal(buf[i].va, buf[k].va);
	pair_down(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_lane_keeps_little),
	        cmocka_unit_test(closed_lanes_leave_all),
	        cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
