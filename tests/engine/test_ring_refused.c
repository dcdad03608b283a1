/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings on the type1 backend with a VFIO that exists only in this process: what
 * is refused, by the ring or by the kernel, and what that leaves behind.
 */
#include "tests/engine/kring.h"

static void kernel_refuses_maps(void **state)
{
	const uint64_t va[3] = {VA, VA + M2, VA + 2 * M2};
	struct sluice_completion c;
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 4, PAGE);
	fake_vfio_fail(MAP, 1, ENOMEM);
	assert_int_equal(slot_map(ring, 1, 1), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, -ENOMEM);
	assert_int_equal(c.cookie, 1);
	assert_int_equal(xlate(&k.r, sluice_ring_iova(ring, 1), 1), -EFAULT);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, NULL), -ENOENT);
	/* The slot is free again, at once. */
	map_slots(&k, ring, 1, 1, 1);
	unmap_slots(&k, ring, 1, 1);
	/* Of a burst nothing stays. */
	fake_vfio_fail(MAP, 3, ENOSPC);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 3, va, RW, 0), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, -ENOSPC);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	map_slots(&k, ring, 0, 4, 1);
	unmap_slots(&k, ring, 0, 4);
	ring_down(&k, ring);
}

/* A device may still reach what was there: the slots stay out of use, and the
 * window too. */
static void kernel_refuses_unmaps(void **state)
{
	const struct sluice_domain_cfg cfg = {.backend =
	                                              SLUICE_BACKEND_VFIO_TYPE1,
	                                      .first = M2,
	                                      .last = M2 + 12 * PAGE - 1};
	const uint64_t va[2] = {VA, VA + PAGE};
	struct sluice_completion c;
	struct sluice_ticket t, later;
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	for (uint32_t first = 1; first < 8; first += 6) {
		krig_up(&k, NULL, &cfg, 0);
		ring = ring_up(&k, 8, PAGE);
		map_slots(&k, ring, 0, 8, 1);
		/* With first = 7: the part before the end, and all after it. */
		fake_vfio_fail(UNMAP, first == 7 ? 2 : 1, EIO);
		assert_int_equal(sluice_ring_unmap(ring, first, 2, 3, &t), 1);
		wait_for(&k, &c, 1);
		assert_int_equal(c.cookie, 3);
		assert_true(c.result < 0);
		assert_int_equal(sluice_ring_unmap(ring, 4, 1, 0, &later), 1);
		wait_for(&k, &c, 1);
		assert_int_equal(c.result, 0);
		assert_true(sluice_ticket_passed(k.r.view, later));
		assert_false(sluice_ticket_passed(k.r.view, t));
		assert_int_equal(slot_map(ring, first, 1), -EIO);
		assert_int_equal(slot_map(ring, (first + 1) % 8, 1), -EIO);
		assert_int_equal(
		        sluice_ring_map_burst(ring, first, 1, va, RW, 0), -EIO);
		assert_non_null(strstr(sluice_last_error(), "again"));
		map_slots(&k, ring, 4, 1, 1);
		unmap_slots(&k, ring, 3, 4);
		unmap_slots(&k, ring, first == 7 ? 1 : 0, 1);
		if (first == 7)
			unmap_slots(&k, ring, 2, 1);
		else
			unmap_slots(&k, ring, 7, 1);
		assert_int_equal(sluice_ring_destroy(ring), 0);
		/* Eight of twelve pages are gone for good. */
		for (uint32_t i = 0; i < 4; i++)
			map_and_wait(&k, VA + i * PAGE, PAGE, &iova);
		assert_int_equal(map(&k.r, VA, PAGE, &iova), -ENOSPC);
		krig_down(&k);
	}
}

/* The first part of a burst over the end is what the kernel keeps. */
static void first_part_refused(void **state)
{
	struct sluice_completion c;
	struct sluice_ticket t;
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 4, PAGE);
	map_slots(&k, ring, 0, 4, 1);
	/* Nobody unmaps slot 3's mapping: it was stolen. */
	fake_vfio_steal(sluice_ring_iova(ring, 3));
	assert_int_equal(sluice_ring_unmap(ring, 3, 2, 5, &t), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.iova, sluice_ring_iova(ring, 0));
	assert_true(c.result < 0);
	assert_false(sluice_ticket_passed(k.r.view, t));
	assert_int_equal(slot_map(ring, 0, 1), -EIO);
	/* What follows has a result of its own. */
	unmap_slots(&k, ring, 1, 2);
	map_slots(&k, ring, 1, 2, 1);
	unmap_slots(&k, ring, 1, 2);
	ring_down(&k, ring);
}

/* What the kernel has and the format cannot express is taken back. */
static void leaves_fail(void **state)
{
	const struct sluice_domain_cfg cfg = {.backend =
	                                              SLUICE_BACKEND_VFIO_TYPE1,
	                                      .format = SLUICE_PT_X86_64,
	                                      .max_inflight = 2};
	struct sluice_completion c[3];
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct krig k;
	uint64_t va;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	ring = ring_up(&k, 8, PAGE);
	assert_int_equal(sluice_ring_map(ring, 2, VA, PAGE, SLUICE_WRITE, NULL),
	                 1);
	wait_for(&k, c, 1);
	assert_int_equal(c[0].result, -EINVAL);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	assert_false(reach(ring, 2, &va));
	/* The address is the ring's still. */
	map_and_wait(&k, VA, PAGE, &iova);
	assert_int_not_equal(iova, sluice_ring_iova(ring, 2));
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	map_slots(&k, ring, 0, 3, 1);
	/* No place for that among the unmaps in flight: out of use. */
	fake_vfio_gate();
	assert_int_equal(sluice_ring_map(ring, 3, VA, PAGE, SLUICE_WRITE, NULL),
	                 1);
	fake_vfio_gate_wait();
	assert_int_equal(sluice_ring_unmap(ring, 0, 1, 0, NULL), 1);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, NULL), 1);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), -EAGAIN);
	assert_int_equal(slot_map(ring, 4, 1), -EAGAIN);
	fake_vfio_gate_open();
	wait_for(&k, c, 3);
	assert_int_equal(c[0].result, -EINVAL);
	assert_true(reach(ring, 3, &va));
	assert_int_equal(slot_map(ring, 3, 1), -EIO);
	unmap_slots(&k, ring, 2, 1);
	ring_down(&k, ring);
}

static void refused_calls(void **state)
{
	const uint64_t va[4] = {VA, VA + PAGE, VA + 2 * PAGE, VA + 1};
	const uint64_t top[1] = {0 - (uint64_t)PAGE};
	struct sluice_completion c;
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 4, 2 * PAGE);
	assert_int_equal(slot_map(ring, 4, 1), -EINVAL);
	assert_int_equal(slot_map(ring, 0, 0), -EINVAL);
	assert_int_equal(slot_map(ring, 0, 3), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA + 1, PAGE, RW, NULL),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, 4, NULL), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, VA, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_map(ring, 0, top[0], 2 * PAGE, RW, NULL),
	                 -EINVAL);
	assert_int_equal(
	        sluice_ring_map(ring, 0, UINT64_C(1) << 60, PAGE, RW, NULL),
	        -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 3, 2, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 4, 1, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 0, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 4, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, NULL, RW, 0),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, top, RW, 0),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va, 8, 0), -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 0, 1, 0, NULL), -ENOENT);
	assert_int_equal(sluice_ring_unmap(ring, 4, 1, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(sluice_ring_unmap(ring, 0, 5, 0, NULL), -EINVAL);
	map_slots(&k, ring, 0, 1, 2);
	assert_int_equal(slot_map(ring, 0, 1), -EEXIST);
	assert_int_equal(sluice_ring_destroy(ring), -EBUSY);
	assert_int_equal(sluice_view_close(k.r.view), -EBUSY);
	sluice_lane_offline(k.r.lane);
	assert_int_equal(slot_map(ring, 1, 1), -ENETDOWN);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 1, va, RW, 0),
	                 -ENETDOWN);
	assert_int_equal(sluice_ring_unmap(ring, 0, 1, 0, NULL), -ENETDOWN);
	sluice_lane_online(k.r.lane);
	unmap_slots(&k, ring, 0, 1);
	assert_int_equal(fake_vfio_calls(MAP), 1);
	/* The last group goes. */
	assert_int_equal(sluice_domain_detach(k.r.domain, &k.group[0]), 0);
	assert_int_equal(slot_map(ring, 1, 1), -ENODEV);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 1, va, RW, 0), -ENODEV);
	assert_int_equal(sluice_poll(k.r.lane, &c, 1), 0);
	ring_down(&k, ring);
}

static void too_many_requests(void **state)
{
	const uint64_t va[1] = {VA};
	struct sluice_completion c[1024];
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 1025, PAGE);
	fake_vfio_gate();
	for (uint32_t i = 0; i < 1024; i++)
		assert_int_equal(slot_map(ring, i, 1), 1);
	assert_int_equal(slot_map(ring, 1024, 1), -EAGAIN);
	assert_int_equal(sluice_ring_map_burst(ring, 1024, 1, va, RW, 0),
	                 -EAGAIN);
	fake_vfio_gate_open();
	wait_for(&k, c, 1024);
	map_slots(&k, ring, 1024, 1, 1);
	unmap_slots(&k, ring, 0, 1025);
	assert_int_equal(fake_vfio_calls(UNMAP), 1);
	ring_down(&k, ring);
}

static void table_memory(void **state)
{
	const struct sluice_ring_cfg wide = {.stride = M2 / 2,
	                                     .nr_slots = 4096};
	struct sluice_ring *ring = NULL;
	struct krig k;
	uint32_t i = 0;
	int rc;

	(void)state;
	krig_table_bytes = 64u << 10;
	krig_up(&k, NULL, NULL, 0);
	krig_table_bytes = 0;
	assert_int_equal(sluice_ring_create(k.r.view, &wide, &ring), -ENOMEM);
	assert_non_null(strstr(sluice_last_error(), "max_table_bytes"));
	/* Slots with tables of their own, made when needed. */
	ring = ring_up(&k, 64, 2 * M2);
	while ((rc = sluice_ring_map(ring, i, VA, PAGE, RW, NULL)) == 1)
		assert_true(++i < 64);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	for (uint32_t n = 0; n < i; n++)
		assert_int_equal(sluice_ring_unmap(ring, n, 1, 0, NULL), 1);
	ring_down(&k, ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(kernel_refuses_maps),
	        cmocka_unit_test(kernel_refuses_unmaps),
	        cmocka_unit_test(first_part_refused),
	        cmocka_unit_test(leaves_fail),
	        cmocka_unit_test(refused_calls),
	        cmocka_unit_test(too_many_requests),
	        cmocka_unit_test(table_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
