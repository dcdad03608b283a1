/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slots of a ring that are mapped together, on a soft domain. What a kernel
 * makes of them is in test_ring_kernel.c.
 */
#include "tests/engine/rig.h"

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

/* On a soft domain a burst that is mapped together is nothing but its slots. */
static void mapped_together(void **state)
{
	const uint64_t va[4] = {VA, VA + PAGE, VA + M2, VA + 3 * M2};
	struct sluice_domain_stats st;
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	ring = ring_up(&r, 6, PAGE);
	assert_int_equal(sluice_ring_map_burst(ring, 2, 4, va, RW, 0), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_maps(&r, sluice_ring_iova(ring, 2 + i), va[i]);
	assert_int_equal(sluice_ring_unmap(ring, 3, 2, 0, NULL), 1);
	assert_int_equal(sluice_ring_map_burst(ring, 3, 1, va, RW, 0), -EBUSY);
	settle(&r);
	assert_int_equal(sluice_ring_map_burst(ring, 3, 2, va, RW, 0), 0);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 2, va, RW, 0), -EEXIST);
	assert_int_equal(xlate(&r, sluice_ring_iova(ring, 1), 1), -EFAULT);
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.maps, 6);
	assert_int_equal(st.map_failures, 2);
	assert_int_equal(sluice_ring_unmap(ring, 2, 4, 0, NULL), 1);
	ring_down(&r, ring);
}

static void refused_bursts(void **state)
{
	const uint64_t va[3] = {VA, UINT64_C(1) << 60, 0 - (uint64_t)PAGE};
	const uint64_t odd[2] = {VA, VA + 1};
	const struct sluice_domain_cfg small = {.max_inflight = 2};
	struct sluice_ticket t = {0};
	struct sluice_ring *ring;
	struct rig r;

	(void)state;
	rig_up(&r, &small);
	ring = ring_up(&r, 4, 2 * PAGE);
	assert_int_equal(sluice_ring_map_burst(ring, 3, 2, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 4, 1, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 0, va, RW, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, NULL, RW, 0),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va, 0, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va, 8, 0), -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 2, odd, RW, 0),
	                 -EINVAL);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va + 2, RW, 0),
	                 -EINVAL);
	/* Found out at the second slot: the first one goes back. */
	assert_int_equal(sluice_ring_map_burst(ring, 1, 2, va, RW, 0), -EINVAL);
	assert_int_equal(xlate(&r, sluice_ring_iova(ring, 1), 1), -EFAULT);
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, RW, NULL), -EBUSY);
	assert_int_equal(sluice_ring_map(ring, 2, VA, PAGE, RW, NULL), 0);
	settle(&r);
	assert_int_equal(sluice_ring_map(ring, 1, VA, PAGE, RW, NULL), 0);
	sluice_lane_offline(r.lane);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va, RW, 0),
	                 -ENETDOWN);
	sluice_lane_online(r.lane);
	assert_int_equal(sluice_ring_unmap(ring, 1, 1, 0, &t), 1);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, &t), 1);
	/* No place for what might have to go back. */
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1, va, RW, 0), -EAGAIN);
	ring_down(&r, ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mapped_together),
	        cmocka_unit_test(refused_bursts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
