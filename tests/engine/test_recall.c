/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between a lane and the type1 helper, on a VFIO that exists only in this
 * process: unmaps that are called back from there, neighbours that are not
 * taken along, lanes that meet at one IOVA.
 */
#include "tests/engine/krig.h"

#include <sched.h>
#include <stdio.h>

#define HOLDER (VA + UINT64_C(0x40000000))

/* The helper stands inside a call that maps another page, for view. */
static void hold_helper_by(struct sluice_view *view, sluice_iova_t *iova)
{
	const struct sluice_map_req req = {
	        .va = HOLDER, .len = PAGE, .prot = SLUICE_RW};

	fake_vfio_gate();
	assert_int_equal(sluice_map(view, &req, iova), 1);
	fake_vfio_gate_wait();
}

static void hold_helper(struct krig *k, sluice_iova_t *iova)
{
	hold_helper_by(k->r.view, iova);
}

/* Polls until all unmaps are at the backend, and nothing completes. */
static void hand_over(struct krig *k)
{
	struct sluice_completion c;
	uint64_t end = clock_ns() + PATIENCE;

	while (k->r.view->submitted != k->r.view->tail) {
		assert_int_equal(sluice_poll(k->r.lane, &c, 1), 0);
		assert_true(clock_ns() < end);
	}
}

static void comes_back_from_the_queue(void **state)
{
	struct sluice_completion c[4];
	sluice_iova_t iova[3], again, holder;
	struct sluice_ticket t;
	uint64_t va;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	for (uint64_t i = 0; i < 3; i++)
		map_and_wait(&k, VA + 2 * i * PAGE, PAGE, &iova[i]);
	hold_helper(&k, &holder);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(
		        sluice_unmap(k.r.view, iova[i], PAGE, 10 + i, &t), 1);
	hand_over(&k);
	/* The second of three. Its completion comes in its turn. */
	assert_int_equal(map(&k.r, VA + 2 * PAGE, PAGE, &again), 0);
	assert_int_equal(again, iova[1]);
	assert_maps(&k.r, iova[1], VA + 2 * PAGE);
	assert_false(sluice_ticket_passed(k.r.view, t));
	assert_int_equal(sluice_view_close(k.r.view), -EBUSY);
	fake_vfio_gate_open();
	wait_for(&k, c, 4);
	assert_int_equal(c[0].op, SLUICE_OP_MAP);
	for (uint32_t i = 1; i < 4; i++) {
		assert_int_equal(c[i].op, SLUICE_OP_UNMAP);
		assert_int_equal(c[i].cookie, 9 + i);
		assert_int_equal(c[i].result, 0);
	}
	assert_true(sluice_ticket_passed(k.r.view, t));
	assert_false(fake_vfio_reach(iova[0], &va, NULL));
	assert_true(fake_vfio_reach(iova[1], &va, NULL));
	assert_int_equal(va, VA + 2 * PAGE);
	assert_false(fake_vfio_reach(iova[2], &va, NULL));
	/* What lies between is alive: two calls. */
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 2);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 4);
	/* Its IOVA was not given back: nobody else gets it. */
	for (uint64_t i = 0; i < 3; i++) {
		map_and_wait(&k, HOLDER + (1 + i) * M2, PAGE, &again);
		assert_int_not_equal(again, iova[1]);
	}
	krig_down(&k);
}

/* Back and forth while the helper stands still; the last word counts. */
static void to_and_fro(void **state)
{
	struct sluice_completion c[16];
	sluice_iova_t iova, again, holder;
	uint64_t va;
	struct krig k;

	(void)state;
	for (uint32_t last = 0; last < 2; last++) {
		krig_up(&k, NULL, NULL, 0);
		map_and_wait(&k, VA, PAGE, &iova);
		hold_helper(&k, &holder);
		for (uint32_t i = 0; i < 10; i++) {
			assert_int_equal(unmap(&k.r, iova, PAGE), 1);
			while (k.r.view->submitted != k.r.view->tail)
				sluice_poll(k.r.lane, c, 16);
			if (i == 9 && last)
				break;
			assert_int_equal(map(&k.r, VA, PAGE, &again), 0);
			assert_int_equal(again, iova);
		}
		fake_vfio_gate_open();
		assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
		assert_int_equal(k.r.view->nr_recalled, 0);
		assert_int_equal(fake_vfio_reach(iova, &va, NULL), !last);
		assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), last);
		krig_down(&k);
	}
}

/* Nothing waits but what was called back: the view is not idle before the
 * request is home. */
static void view_waits_for_it(void **state)
{
	struct sluice_completion c[2];
	sluice_iova_t iova, again, holder;
	struct sluice_lane *other;
	struct sluice_view *view;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_lane_open(k.r.engine, NULL, &other), 0);
	assert_int_equal(sluice_view_open(other, k.r.domain, &view), 0);
	map_and_wait(&k, VA, PAGE, &iova);
	fake_vfio_gate();
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	hand_over(&k);
	/* It has that one; the next lies in the queue. */
	fake_vfio_gate_wait();
	assert_int_equal(map(&k.r, VA, PAGE, &again), 1);
	fake_vfio_gate_open();
	wait_for(&k, c, 2);
	/* Not by a map of its own, for which it would wait as well. */
	hold_helper_by(view, &holder);
	assert_int_equal(unmap(&k.r, again, PAGE), 1);
	hand_over(&k);
	assert_int_equal(map(&k.r, VA, PAGE, &iova), 0);
	assert_int_equal(sluice_poll(k.r.lane, c, 2), 1);
	assert_int_equal(c[0].op, SLUICE_OP_UNMAP);
	assert_int_equal(k.r.view->nr_recalled, 1);
	assert_int_equal(sluice_drain(k.r.lane, 1000), -ETIMEDOUT);
	fake_vfio_gate_open();
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	assert_int_equal(sluice_drain(other, PATIENCE), 0);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(other), 0);
	krig_down(&k);
}

/* Lane and helper reach for the same unmap, at all distances: one has it. */
static void one_of_them_has_it(void **state)
{
	struct sluice_completion c[2];
	uint64_t nr_back = 0, nr_late = 0, end = clock_ns() + PATIENCE / 4;
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	for (uint32_t i = 0; i < 20000 && (i < 200 || clock_ns() < end); i++) {
		int rc;

		assert_int_equal(unmap(&k.r, iova, PAGE), 1);
		hand_over(&k);
		for (uint32_t n = 0; n < i % 64 * 4; n++)
			cpu_relax();
		rc = map(&k.r, VA, PAGE, &again);
		if (rc == 0) {
			nr_back++;
			while (k.r.view->nr_recalled ||
			       k.r.view->emitted != k.r.view->tail)
				sluice_poll(k.r.lane, c, 2);
		} else {
			nr_late++;
			wait_for(&k, c, 2);
			iova = again;
		}
		assert_true(fake_vfio_reach(iova, NULL, NULL));
		assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	}
	printf("%llu came back, %llu were late\n", (unsigned long long)nr_back,
	       (unsigned long long)nr_late);
	assert_true(nr_back);
	krig_down(&k);
}

/* The trap: neighbours that were mapped in one batch, as singles. One of them
 * goes, and only that. */
static void neighbour_is_left_alone(void **state)
{
	struct fake_vfio_call call[8];
	struct sluice_completion c[4];
	sluice_iova_t iova[3], holder;
	uint64_t va;
	struct krig k;

	(void)state;
	for (uint32_t gone = 0; gone < 3; gone++) {
		krig_up(&k, NULL, NULL, 0);
		hold_helper(&k, &holder);
		for (uint64_t i = 0; i < 3; i++)
			assert_int_equal(
			        map(&k.r, VA + i * PAGE, PAGE, &iova[i]), 1);
		fake_vfio_gate_open();
		wait_for(&k, c, 4);
		assert_int_equal(iova[1], iova[0] + PAGE);
		assert_int_equal(iova[2], iova[1] + PAGE);
		assert_int_equal(fake_vfio_mappings(NULL, 0), 4);
		fake_vfio_take_calls(call, NR_OF(call));
		assert_int_equal(unmap(&k.r, iova[gone], PAGE), 1);
		wait_for(&k, c, 1);
		assert_int_equal(fake_vfio_take_calls(call, NR_OF(call)), 1);
		assert_int_equal(call[0].request, VFIO_IOMMU_UNMAP_DMA);
		assert_int_equal(call[0].iova, iova[gone]);
		assert_int_equal(call[0].len, PAGE);
		for (uint64_t i = 0; i < 3; i++) {
			assert_int_equal(fake_vfio_reach(iova[i], &va, NULL),
			                 i != gone);
			if (i != gone)
				assert_int_equal(va, VA + i * PAGE);
		}
		krig_down(&k);
	}
}

/* How long a dozen unmaps take a lane that waits for each. */
static uint64_t dozen_ns(void)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1, .batch_us = 1000000};
	struct sluice_completion c;
	sluice_iova_t iova;
	uint64_t start;
	struct krig k;

	krig_up(&k, NULL, &cfg, 0);
	start = clock_ns();
	for (uint32_t i = 0; i < 12; i++) {
		map_and_wait(&k, VA, PAGE, &iova);
		assert_int_equal(unmap(&k.r, iova, PAGE), 1);
		wait_for(&k, &c, 1);
	}
	start = clock_ns() - start;
	krig_down(&k);
	return start;
}

/* A lane that has nothing to do but wait for its unmap is not kept waiting for
 * company. Had one of them waited to its end, it were a second, each time; a
 * machine that is busy with others may need another look. */
static void waiting_is_noticed(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		if (dozen_ns() < SECOND / 2)
			return;
	fail_msg("unmaps wait for company that cannot come");
}

/* ---- two lanes at the same IOVAs ---- */

#define PLACES 4u
#define LANES 2u

enum place { NOT_MINE, MAPPING, MINE, LEAVING };

struct lanes {
	struct krig k;
	struct sluice_lane *lane[LANES];
	struct sluice_view *view[LANES];
	enum place place[LANES][PLACES];
	uint64_t rng, nr_maps, nr_refused;
};

static sluice_iova_t place_iova(uint64_t p)
{
	return M2 + p * PAGE;
}

static uint64_t place_va(uint64_t lane, uint64_t p)
{
	return VA + lane * M2 + 2 * p * PAGE;
}

static uint64_t rnd(struct lanes *l, uint64_t n)
{
	l->rng ^= l->rng << 13;
	l->rng ^= l->rng >> 7;
	l->rng ^= l->rng << 17;
	return l->rng % n;
}

/* Who was told that a place is his has it, in the kernel and in the table. */
static void check_place(struct lanes *l, uint64_t lane, uint64_t p)
{
	uint64_t va = 0;

	assert_true(fake_vfio_reach(place_iova(p), &va, NULL));
	assert_int_equal(va, place_va(lane, p));
	assert_int_not_equal(l->place[!lane][p], MINE);
}

static void poll_lane(struct lanes *l, uint64_t lane)
{
	struct sluice_completion c[8];
	uint32_t n = sluice_poll(l->lane[lane], c, 8);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t p = (c[i].iova - M2) / PAGE;
		enum place *at = &l->place[lane][p];

		if (c[i].op == SLUICE_OP_UNMAP) {
			assert_int_equal(c[i].result, 0);
			assert_int_equal(*at, LEAVING);
			*at = NOT_MINE;
			continue;
		}
		assert_int_equal(*at, MAPPING);
		if (c[i].result) {
			assert_int_equal(c[i].result, -EEXIST);
			*at = NOT_MINE;
			l->nr_refused++;
			continue;
		}
		*at = MINE;
		check_place(l, lane, p);
		l->nr_maps++;
	}
}

static void step(struct lanes *l)
{
	uint64_t lane = rnd(l, LANES), p = rnd(l, PLACES);
	struct sluice_map_req req = {.va = place_va(lane, p),
	                             .len = PAGE,
	                             .prot = RW,
	                             .flags = SLUICE_MAP_FIXED};
	sluice_iova_t iova = place_iova(p);
	int rc;

	if (l->place[lane][p] == MINE) {
		check_place(l, lane, p);
		assert_int_equal(
		        sluice_unmap(l->view[lane], iova, PAGE, 0, NULL), 1);
		l->place[lane][p] = LEAVING;
	} else if (l->place[lane][p] == NOT_MINE) {
		rc = sluice_map(l->view[lane], &req, &iova);
		assert_int_equal(rc, 1);
		l->place[lane][p] = MAPPING;
	}
	if (rnd(l, 3))
		poll_lane(l, rnd(l, LANES));
}

static bool under_way(const struct lanes *l)
{
	for (uint64_t i = 0; i < LANES * PLACES; i++) {
		enum place at = l->place[i / PLACES][i % PLACES];

		if (at == MAPPING || at == LEAVING)
			return true;
	}
	return false;
}

/* The callers break the rule that a range has one owner, and see: whatever
 * order maps and unmaps of two lanes arrive in, a map is refused or it holds.
 */
static void lanes_meet_at_one_iova(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA};
	uint64_t end = clock_ns() + PATIENCE;
	struct lanes l = {.rng = 1};
	uint32_t mine = 0, steps = 200000;

	(void)state;
	krig_up(&l.k, NULL, &cfg, 0);
	l.lane[0] = l.k.r.lane;
	l.view[0] = l.k.r.view;
	assert_int_equal(sluice_lane_open(l.k.r.engine, NULL, &l.lane[1]), 0);
	assert_int_equal(sluice_view_open(l.lane[1], l.k.r.domain, &l.view[1]),
	                 0);
	/* Until the helper has run often enough, however long that takes; then
	 * no longer than for a while. */
	for (uint32_t i = 0;
	     l.nr_maps <= 100 || l.nr_refused <= 100 || i < steps; i++) {
		step(&l);
		if (i % 16)
			continue;
		sched_yield();
		assert_true(clock_ns() < end);
		if (clock_ns() > end - 3 * PATIENCE / 4)
			steps = 0;
	}
	while (under_way(&l))
		for (uint64_t i = 0; i < LANES; i++)
			poll_lane(&l, i);
	for (uint64_t i = 0; i < LANES * PLACES; i++)
		mine += l.place[i / PLACES][i % PLACES] == MINE;
	assert_int_equal(fake_vfio_mappings(NULL, 0), mine);
	assert_int_equal(sluice_view_close(l.view[1]), 0);
	assert_int_equal(sluice_lane_close(l.lane[1]), 0);
	krig_down(&l.k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(comes_back_from_the_queue),
	        cmocka_unit_test(to_and_fro),
	        cmocka_unit_test(view_waits_for_it),
	        cmocka_unit_test(one_of_them_has_it),
	        cmocka_unit_test(neighbour_is_left_alone),
	        cmocka_unit_test(waiting_is_noticed),
	        cmocka_unit_test(lanes_meet_at_one_iova),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
