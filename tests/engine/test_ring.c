/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: what a slot and a burst do, what is refused and leaves no trace. The
 * heap can be made to fail. Random play is test_ring_play.c.
 */
#include "tests/engine/rig.h"

#include "engine/engine_int.h"
#include "tests/pagetable/failing_heap.h"

#define VA UINT64_C(0x7f0000000000)

static struct sluice_ring *ring_up(struct rig *r, uint32_t nr, uint64_t stride)
{
	const struct sluice_ring_cfg cfg = {.stride = stride, .nr_slots = nr};
	struct sluice_ring *ring = NULL;

	assert_int_equal(sluice_ring_create(r->view, &cfg, &ring), 0);
	return ring;
}

static void settle(struct rig *r)
{
	assert_int_equal(sluice_drain(r->lane, PATIENCE), 0);
}

static void ring_down(struct rig *r, struct sluice_ring *ring)
{
	settle(r);
	assert_int_equal(sluice_ring_destroy(ring), 0);
	rig_down(r);
}

static void a_burst(void **state)
{
	struct sluice_domain_stats before, st;
	struct sluice_completion c[4];
	struct sluice_ticket t;
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 100, PAGE);
	for (uint32_t i = 0; i < 32; i++) {
		assert_int_equal(sluice_ring_map(ring, 10 + i, VA + i * M2,
		                                 PAGE, RW, &iova),
		                 0);
		assert_int_equal(iova, sluice_ring_iova(ring, 10 + i));
		assert_int_equal(iova,
		                 sluice_ring_iova(ring, 0) + (10 + i) * PAGE);
		assert_maps(&r, iova, VA + i * M2);
	}
	sluice_domain_get_stats(r.domain, &before);
	assert_int_equal(before.maps, 32);
	assert_int_equal(sluice_ring_unmap(ring, 10, 32, 77, &t), 1);
	for (uint32_t i = 0; i < 32; i++)
		assert_int_equal(xlate(&r, sluice_ring_iova(ring, 10 + i), 1),
		                 -EFAULT);
	assert_int_equal(sluice_ring_map(ring, 10, VA, PAGE, RW, NULL), -EBUSY);
	assert_false(sluice_ticket_passed(r.view, t));
	assert_int_equal(sluice_poll(r.lane, c, 4), 1);
	assert_true(sluice_ticket_passed(r.view, t));
	assert_int_equal(c[0].cookie, 77);
	assert_int_equal(c[0].op, SLUICE_OP_UNMAP);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(c[0].iova, sluice_ring_iova(ring, 10));
	assert_int_equal(c[0].len, 32 * PAGE);
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.unmaps, 32);
	assert_int_equal(st.unmap_bytes, st.map_bytes);
	assert_int_equal(sluice_ring_map(ring, 10, VA, PAGE, RW, NULL), 0);
	assert_int_equal(sluice_ring_unmap(ring, 10, 1, 0, NULL), 1);
	ring_down(&r, ring);
}

/* One record for a burst, two for one over the end: as another lane, which
 * translates, gets them. */
static void records_of_a_burst(void **state)
{
	struct sluice_domain_stats before, st;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_ticket t;
	struct sluice_ring *ring;
	struct rig r;
	sluice_oa_t oa;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, r.domain, &view), 0);
	ring = ring_up(&r, 10, PAGE);
	for (uint32_t first = 0; first < 10; first++) {
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t slot = (first + i) % 10;

			assert_int_equal(sluice_ring_map(ring, slot,
			                                 VA + i * M2, PAGE, RW,
			                                 NULL),
			                 0);
			assert_int_equal(
			        sluice_translate(view,
			                         sluice_ring_iova(ring, slot),
			                         1, RW, &oa),
			        1);
		}
		sluice_domain_get_stats(r.domain, &before);
		assert_int_equal(sluice_ring_unmap(ring, first, 8, 0, &t), 1);
		sluice_poll(r.lane, NULL, 0);
		assert_false(sluice_ticket_passed(r.view, t));
		sluice_domain_get_stats(r.domain, &st);
		assert_int_equal(st.invalidations - before.invalidations,
		                 first > 2 ? 2 : 1);
		sluice_poll(lane, NULL, 0);
		sluice_poll(r.lane, NULL, 0);
		assert_true(sluice_ticket_passed(r.view, t));
	}
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	ring_down(&r, ring);
}

static void over_the_end(void **state)
{
	struct sluice_domain_stats before, st;
	struct sluice_completion c[4];
	struct sluice_ticket t;
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 7, 3 * PAGE);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(sluice_ring_map(ring, i, VA + i * M2,
		                                 (1 + i % 3) * PAGE, RW, NULL),
		                 0);
	sluice_domain_get_stats(r.domain, &before);
	assert_int_equal(sluice_ring_unmap(ring, 5, 4, 3, &t), 1);
	assert_maps(&r, sluice_ring_iova(ring, 2), VA + 2 * M2);
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, RW, NULL), -EBUSY);
	assert_int_equal(sluice_ring_map(ring, 6, VA, PAGE, RW, NULL), -EBUSY);
	assert_int_equal(sluice_poll(r.lane, c, 4), 1);
	assert_int_equal(c[0].cookie, 3);
	assert_int_equal(c[0].iova, sluice_ring_iova(ring, 0));
	assert_int_equal(c[0].len, 2 * 3 * PAGE);
	assert_true(sluice_ticket_passed(r.view, t));
	sluice_domain_get_stats(r.domain, &st);
	/* The whole of it, from the middle. */
	for (uint32_t i = 0; i < 7; i++)
		if (i < 2 || i > 4)
			assert_int_equal(sluice_ring_map(ring, i, VA + i * M2,
			                                 3 * PAGE, RW, NULL),
			                 0);
	assert_int_equal(sluice_ring_unmap(ring, 3, 7, 4, NULL), 1);
	for (uint32_t i = 0; i < 7; i++)
		for (uint32_t k = 0; k < 3; k++)
			assert_int_equal(
			        xlate(&r, sluice_ring_iova(ring, i) + k * PAGE,
			              1),
			        -EFAULT);
	ring_down(&r, ring);
}

static void refused_rings(void **state)
{
	struct sluice_ring_cfg cfg = {.stride = 2 * PAGE, .nr_slots = 4};
	struct sluice_ring_cfg bad;
	struct sluice_ring *ring = NULL;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	bad = (struct sluice_ring_cfg){.stride = PAGE};
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	bad.nr_slots = (1u << 24) + 1;
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	bad = (struct sluice_ring_cfg){.stride = PAGE + 64, .nr_slots = 4};
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	bad.stride = UINT64_C(1) << 62;
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	bad.stride = UINT64_C(1) << 50;
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -ENOSPC);
	bad.stride = 0;
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	bad = cfg;
	bad.flags = SLUICE_MAP_FIXED;
	assert_int_equal(sluice_ring_create(r.view, &bad, &ring), -EINVAL);
	assert_int_equal(sluice_ring_create(r.view, NULL, &ring), -EINVAL);
	assert_int_equal(sluice_ring_create(NULL, &cfg, &ring), -EINVAL);
	assert_int_equal(sluice_ring_create(r.view, &cfg, NULL), -EINVAL);
	assert_null(ring);
	assert_int_equal(sluice_ring_destroy(NULL), 0);
	rig_down(&r);

	rig_up(&r, &caller_iova);
	assert_int_equal(sluice_ring_create(r.view, &cfg, &ring), -EOPNOTSUPP);
	rig_down(&r);
}

static void refused_calls(void **state)
{
	const struct sluice_ring_cfg cfg = {.stride = PAGE, .nr_slots = 1};
	struct sluice_domain_stats st;
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 4, 2 * PAGE);
	assert_int_equal(sluice_ring_map(ring, 4, VA, PAGE, RW, NULL), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, 0, RW, NULL), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, 3 * PAGE, RW, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA + 1, PAGE, RW, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, 4, NULL), -EINVAL);
	/* x86 has no write-only pages, and no such addresses. */
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, SLUICE_WRITE, NULL),
	                 -EINVAL);
	assert_int_equal(
	        sluice_ring_map(ring, 0, UINT64_C(1) << 60, PAGE, RW, NULL),
	        -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, 0 - (uint64_t)PAGE, 2 * PAGE,
	                                 RW, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 0, 1, 0, NULL), -ENOENT);
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, RW, NULL), 0);
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, RW, NULL), -EEXIST);
	assert_int_equal(sluice_ring_unmap(ring, 1, 2, 0, NULL), -ENOENT);
	assert_int_equal(sluice_ring_unmap(ring, 1, 4, 0, NULL), -ENOENT);
	assert_int_equal(sluice_ring_unmap(ring, 1, 5, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 1, 0, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 4, 1, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_destroy(ring), -EBUSY);
	assert_int_equal(sluice_view_close(r.view), -EBUSY);
	assert_maps(&r, sluice_ring_iova(ring, 1), VA);
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.maps, 1);
	assert_int_equal(st.unmaps, 0);
	sluice_lane_offline(r.lane);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, RW, NULL),
	                 -ENETDOWN);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, NULL), -ENETDOWN);
	assert_int_equal(sluice_ring_create(r.view, &cfg, &ring), -ENETDOWN);
	sluice_lane_online(r.lane);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, NULL), 1);
	ring_down(&r, ring);
}

/* A full ring of unmaps in flight: all of a burst or nothing. */
static void no_room(void **state)
{
	const struct sluice_domain_cfg cfg = {.max_inflight = 2};
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	ring = ring_up(&r, 4, PAGE);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(
		        sluice_ring_map(ring, i, VA + i * PAGE, PAGE, RW, NULL),
		        0);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, NULL), 1);
	/* Wrapped, it takes two places. */
	assert_int_equal(sluice_ring_unmap(ring, 3, 2, 0, NULL), -EAGAIN);
	assert_maps(&r, sluice_ring_iova(ring, 3), VA + 3 * PAGE);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), 1);
	assert_int_equal(sluice_ring_unmap(ring, 3, 1, 0, NULL), -EAGAIN);
	settle(&r);
	assert_int_equal(sluice_ring_unmap(ring, 3, 2, 0, NULL), 1);
	/* The window waits for a place as well. */
	assert_int_equal(sluice_ring_destroy(ring), -EAGAIN);
	ring_down(&r, ring);
}

/* The window is free again when the last ticket has passed, not before. */
static void window_comes_back(void **state)
{
	const struct sluice_domain_cfg cfg = {.first = M2, .last = 2 * M2 - 1};
	const struct sluice_ring_cfg all = {.stride = PAGE, .nr_slots = 512};
	struct sluice_ring *ring, *other;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	for (int i = 0; i < 3; i++) {
		ring = ring_up(&r, 512, PAGE);
		assert_int_equal(sluice_ring_create(r.view, &all, &other),
		                 -ENOSPC);
		assert_int_equal(sluice_ring_map(ring, 511, VA, PAGE, RW, NULL),
		                 0);
		assert_int_equal(sluice_ring_unmap(ring, 511, 1, 0, NULL), 1);
		sluice_lane_offline(r.lane);
		assert_int_equal(sluice_ring_destroy(ring), -ENETDOWN);
		sluice_lane_online(r.lane);
		assert_int_equal(sluice_ring_destroy(ring), 0);
		assert_int_equal(map(&r, VA, PAGE, &iova), -ENOSPC);
		settle(&r);
		assert_int_equal(map(&r, VA, PAGE, &iova), 0);
		assert_int_equal(unmap(&r, iova, PAGE), 1);
		settle(&r);
		/* Unused, it is back at once. */
		assert_int_equal(sluice_ring_destroy(ring_up(&r, 512, PAGE)),
		                 0);
	}
	rig_down(&r);
}

static void below_4g(void **state)
{
	const struct sluice_ring_cfg cfg = {
	        .stride = PAGE, .nr_slots = 300, .flags = SLUICE_MAP_32BIT};
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_ring_create(r.view, &cfg, &ring), 0);
	assert_in_range(sluice_ring_iova(ring, 299), PAGE, UINT32_MAX - PAGE);
	ring_down(&r, ring);
}

/* Slots that take large leaves, and the VA side: the slow kind. */
static void slow_kinds(void **state)
{
	const struct sluice_domain_cfg both = {.flags =
	                                               SLUICE_DOMAIN_VA_LOOKUP};
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 3, M2);
	assert_int_equal(sluice_ring_map(ring, 1, VA, M2, RW, &iova), 0);
	assert_int_equal(xlate(&r, iova, M2), M2);
	assert_int_equal(sluice_ring_map(ring, 2, VA + M2, PAGE, RW, NULL), 0);
	assert_int_equal(sluice_ring_map(ring, 0, 0 - (uint64_t)PAGE, 2 * PAGE,
	                                 RW, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 1, 2, 0, NULL), 1);
	assert_int_equal(xlate(&r, iova, 1), -EFAULT);
	ring_down(&r, ring);

	rig_up(&r, &both);
	ring = ring_up(&r, 3, PAGE);
	assert_int_equal(sluice_ring_map(ring, 2, VA, PAGE, RW, NULL), 0);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &iova), 1);
	assert_int_equal(iova, sluice_ring_iova(ring, 2));
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, SLUICE_WRITE, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), 1);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &iova), -EFAULT);
	ring_down(&r, ring);
}

/* Who breaks the promise loses a mapping; the tables of a ring stay. */
static void strangers(void **state)
{
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 512, PAGE);
	iova = sluice_ring_iova(ring, 0);
	assert_true(aligned_lg2(iova, 21));
	assert_int_equal(pt_map(r.view->pt, &r.lane->pc, iova, iova + M2 - 1,
	                        VA, RW, &r.view->freed_new),
	                 -EEXIST);
	assert_int_equal(pt_map(r.view->pt, &r.lane->pc, iova, iova + PAGE - 1,
	                        VA, RW, &r.view->freed_new),
	                 0);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, RW, NULL), -EEXIST);
	assert_int_equal(pt_unmap(r.view->pt, iova, iova + PAGE - 1, NULL),
	                 PAGE);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, RW, NULL), 0);
	assert_int_equal(sluice_ring_unmap(ring, 0, 1, 0, NULL), 1);
	settle(&r);
	assert_int_equal(sluice_ring_destroy(ring), 0);
	/* Without it the table may go. */
	assert_int_equal(pt_map(r.view->pt, &r.lane->pc, iova, iova + M2 - 1,
	                        VA, RW, &r.view->freed_new),
	                 0);
	assert_int_equal(pt_unmap(r.view->pt, iova, iova + M2 - 1, NULL), M2);
	rig_down(&r);
}

static void memory_runs_out(void **state)
{
	const struct sluice_engine_cfg few = {.max_table_bytes = 64 << 10};
	const struct sluice_ring_cfg cfg = {.stride = PAGE, .nr_slots = 512};
	const struct sluice_ring_cfg wide = {.stride = M2 / 2,
	                                     .nr_slots = 4096};
	struct sluice_ring *ring = NULL;
	sluice_iova_t before, after;
	unsigned n = 0;
	struct rig r;
	int rc;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map(&r, VA, PAGE, &before), 0);
	do {
		heap_left = n++;
		rc = sluice_ring_create(r.view, &cfg, &ring);
		heap_left = HEAP_OK;
		assert_true(rc == 0 || rc == -ENOMEM);
	} while (rc);
	/* The ring and its window. */
	assert_int_equal(n, 3);
	assert_int_equal(sluice_ring_destroy(ring), 0);
	rig_down(&r);

	assert_int_equal(sluice_engine_open(&few, &r.engine), 0);
	assert_int_equal(sluice_domain_create(r.engine, NULL, &r.domain), 0);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &r.lane), 0);
	assert_int_equal(sluice_view_open(r.lane, r.domain, &r.view), 0);
	assert_int_equal(sluice_iova_alloc(r.view, PAGE, 0, 0, &before), 0);
	assert_int_equal(sluice_ring_create(r.view, &wide, &ring), -ENOMEM);
	assert_non_null(strstr(sluice_last_error(), "max_table_bytes"));
	assert_int_equal(sluice_iova_alloc(r.view, PAGE, 0, 0, &after), 0);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_burst),
	        cmocka_unit_test(records_of_a_burst),
	        cmocka_unit_test(over_the_end),
	        cmocka_unit_test(refused_rings),
	        cmocka_unit_test(refused_calls),
	        cmocka_unit_test(no_room),
	        cmocka_unit_test(window_comes_back),
	        cmocka_unit_test(below_4g),
	        cmocka_unit_test(slow_kinds),
	        cmocka_unit_test(strangers),
	        cmocka_unit_test(memory_runs_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
