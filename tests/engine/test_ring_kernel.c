/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings on the type1 backend with a VFIO that exists only in this process: what
 * a slot and a burst cost in kernel calls, what dies alone and what together.
 * Refusals are test_ring_refused.c, random play is test_ring_kernel_play.c.
 */
#include "tests/engine/kring.h"

static void one_by_one(void **state)
{
	struct sluice_ring *ring;
	struct krig k;
	uint64_t va;

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		krig_up(&k, NULL, NULL, plain);
		ring = ring_up(&k, 16, PAGE);
		map_slots(&k, ring, 3, 8, 1);
		assert_int_equal(fake_vfio_calls(MAP), 8);
		assert_maps(&k.r, sluice_ring_iova(ring, 5), VA + 5 * PAGE);
		assert_true(reach(ring, 5, &va));
		assert_int_equal(va, VA + 5 * PAGE);
		/* One of them dies, its neighbours live. */
		unmap_slots(&k, ring, 6, 1);
		assert_false(reach(ring, 6, &va));
		assert_true(reach(ring, 5, &va) && reach(ring, 7, &va));
		assert_maps(&k.r, sluice_ring_iova(ring, 7), VA + 7 * PAGE);
		assert_int_equal(xlate(&k.r, sluice_ring_iova(ring, 6), 1),
		                 -EFAULT);
		map_slots(&k, ring, 6, 1, 1);
		assert_int_equal(fake_vfio_calls(UNMAP), 1);
		/* Neighbours that go together are one call. */
		unmap_slots(&k, ring, 3, 8);
		assert_int_equal(fake_vfio_calls(UNMAP), 2);
		assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
		ring_down(&k, ring);
	}
}

/* What is under way at the kernel is neither mapped nor free. */
static void before_the_kernel_answers(void **state)
{
	const uint64_t va[2] = {VA, VA + PAGE};
	struct sluice_domain_stats st;
	struct sluice_completion c[2];
	struct sluice_ring *ring;
	sluice_iova_t iova = 0;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 4, PAGE);
	fake_vfio_gate();
	assert_int_equal(sluice_ring_map(ring, 2, VA, PAGE, RW, &iova), 1);
	assert_int_equal(iova, sluice_ring_iova(ring, 2));
	fake_vfio_gate_wait();
	for (int i = 0; i < 100; i++)
		assert_int_equal(sluice_poll(k.r.lane, c, 1), 0);
	assert_int_equal(xlate(&k.r, iova, 1), -EFAULT);
	assert_int_equal(slot_map(ring, 2, 1), -EEXIST);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 2, va, RW, 0), -EEXIST);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), -EBUSY);
	assert_int_equal(sluice_ring_destroy(ring), -EBUSY);
	fake_vfio_gate_open();
	wait_for(&k, c, 1);
	assert_maps(&k.r, iova, VA);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), 1);
	/* Its ticket has not passed. */
	assert_int_equal(slot_map(ring, 2, 1), -EBUSY);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 2, va, RW, 0), -EBUSY);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), -ENOENT);
	assert_int_equal(sluice_ring_destroy(ring), -EAGAIN);
	wait_for(&k, c, 1);
	sluice_domain_get_stats(k.r.domain, &st);
	assert_int_equal(st.maps, 1);
	assert_int_equal(st.unmaps, 1);
	assert_int_equal(st.map_bytes, PAGE);
	assert_int_equal(st.unmap_bytes, PAGE);
	assert_int_equal(st.map_failures, 4);
	ring_down(&k, ring);
}

static void mapped_together(void **state)
{
	/* Three runs: two neighbours, one alone, five neighbours. */
	const uint64_t va[8] = {VA,
	                        VA + PAGE,
	                        VA + M2,
	                        VA + 2 * M2,
	                        VA + 2 * M2 + PAGE,
	                        VA + 2 * M2 + 2 * PAGE,
	                        VA + 2 * M2 + 3 * PAGE,
	                        VA + 2 * M2 + 4 * PAGE};
	struct fake_vfio_mapping m[4];
	struct sluice_completion c;
	struct sluice_ring *ring;
	struct krig k;
	uint64_t to;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 12, PAGE);
	assert_int_equal(sluice_ring_map_burst(ring, 2, 8, va, RW, 99), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.op, SLUICE_OP_MAP);
	assert_int_equal(c.cookie, 99);
	assert_int_equal(c.iova, sluice_ring_iova(ring, 2));
	assert_int_equal(c.len, 8 * PAGE);
	assert_int_equal(fake_vfio_mappings(m, 4), 3);
	assert_int_equal(m[2].len, 5 * PAGE);
	for (uint32_t i = 0; i < 8; i++) {
		assert_true(reach(ring, 2 + i, &to));
		assert_int_equal(to, va[i]);
		assert_maps(&k.r, sluice_ring_iova(ring, 2 + i), va[i]);
	}
	/* A part of it cannot go, whatever the kernel made of it. */
	map_slots(&k, ring, 10, 1, 1);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), -ERANGE);
	assert_int_equal(sluice_ring_unmap(ring, 3, 7, 0, NULL), -ERANGE);
	assert_int_equal(sluice_ring_unmap(ring, 4, 1, 0, NULL), -ERANGE);
	assert_int_equal(sluice_ring_unmap(ring, 9, 2, 0, NULL), -ERANGE);
	assert_int_equal(fake_vfio_calls(UNMAP), 0);
	unmap_slots(&k, ring, 10, 1);
	unmap_slots(&k, ring, 2, 8);
	assert_int_equal(fake_vfio_calls(UNMAP), 2);
	/* Others may go with it. */
	map_slots(&k, ring, 1, 1, 1);
	assert_int_equal(sluice_ring_map_burst(ring, 2, 8, va, RW, 99), 1);
	wait_for(&k, &c, 1);
	map_slots(&k, ring, 10, 1, 1);
	unmap_slots(&k, ring, 1, 10);
	assert_int_equal(fake_vfio_calls(UNMAP), 3);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	ring_down(&k, ring);
}

/* A pool's neighbours over several tables, where a large leaf would fit. */
static void a_large_burst(void **state)
{
	static uint64_t va[1500];
	struct sluice_completion c;
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 1500, PAGE);
	iova = sluice_ring_iova(ring, 0);
	for (uint32_t i = 0; i < 1500; i++)
		va[i] = VA + (iova & (M2 - 1)) + i * PAGE;
	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(
		        sluice_ring_map_burst(ring, 0, 1500, va, RW, 0), 1);
		wait_for(&k, &c, 1);
		assert_int_equal(c.result, 0);
		assert_maps(&k.r, iova + 1499 * PAGE, va[1499]);
		unmap_slots(&k, ring, 0, 1500);
		map_slots(&k, ring, 700, 3, 1);
		unmap_slots(&k, ring, 700, 3);
	}
	assert_int_equal(fake_vfio_calls(UNMAP), 4);
	/* All apart: more than one request takes. */
	for (uint32_t i = 0; i < 1500; i++)
		va[i] = VA + i * 2 * PAGE;
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1025, va, RW, 0),
	                 -E2BIG);
	assert_int_equal(sluice_ring_map_burst(ring, 0, 1024, va, RW, 0), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1024);
	unmap_slots(&k, ring, 0, 1024);
	ring_down(&k, ring);
}

static void over_the_end(void **state)
{
	struct sluice_completion c;
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	ring = ring_up(&k, 8, PAGE);
	map_slots(&k, ring, 6, 2, 1);
	map_slots(&k, ring, 0, 3, 1);
	assert_int_equal(sluice_ring_unmap(ring, 6, 5, 4, NULL), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.cookie, 4);
	assert_int_equal(c.iova, sluice_ring_iova(ring, 0));
	assert_int_equal(c.len, 3 * PAGE);
	assert_int_equal(fake_vfio_calls(UNMAP), 2);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	/* All of the ring, from its middle on. */
	map_slots(&k, ring, 0, 8, 1);
	unmap_slots(&k, ring, 5, 8);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	ring_down(&k, ring);
}

/* Mappings shorter than their slots: a call for each run. */
static void holes(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1, .max_inflight = 4};
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	ring = ring_up(&k, 8, 2 * PAGE);
	map_slots(&k, ring, 0, 2, 2);
	map_slots(&k, ring, 2, 5, 1);
	map_slots(&k, ring, 7, 1, 2);
	assert_int_equal(sluice_ring_unmap(ring, 0, 8, 0, NULL), -E2BIG);
	unmap_slots(&k, ring, 0, 6);
	/* Two whole slots go on in the hole's front half. */
	assert_int_equal(fake_vfio_calls(UNMAP), 4);
	unmap_slots(&k, ring, 6, 2);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	map_slots(&k, ring, 0, 8, 1);
	assert_int_equal(sluice_ring_unmap(ring, 7, 3, 0, NULL), 1);
	assert_int_equal(sluice_ring_unmap(ring, 2, 2, 0, NULL), -EAGAIN);
	assert_int_equal(sluice_ring_unmap(ring, 2, 1, 0, NULL), 1);
	/* Nor is there room for what a map might take back. */
	assert_int_equal(slot_map(ring, 2, 1), -EBUSY);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	unmap_slots(&k, ring, 3, 4);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	ring_down(&k, ring);
}

/* The lane hears of an unmap only by its ticket. */
static void lazy(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1, .mode = SLUICE_MODE_LAZY};
	struct sluice_ticket t;
	struct sluice_ring *ring;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	ring = ring_up(&k, 4, PAGE);
	map_slots(&k, ring, 0, 4, 1);
	assert_int_equal(sluice_ring_unmap(ring, 0, 4, 0, &t), 0);
	assert_int_equal(slot_map(ring, 0, 1), -EBUSY);
	assert_int_equal(sluice_ticket_wait(k.r.view, t, PATIENCE), 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	map_slots(&k, ring, 0, 4, 1);
	assert_int_equal(sluice_ring_unmap(ring, 0, 4, 0, &t), 0);
	ring_down(&k, ring);
}

/* Large leaves, and the VA side. */
static void other_kinds(void **state)
{
	const struct sluice_domain_cfg both = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_VA_LOOKUP};
	const struct sluice_ring_cfg below = {
	        .stride = PAGE, .nr_slots = 30, .flags = SLUICE_MAP_32BIT};
	const uint64_t va[2] = {VA + M2, VA};
	struct sluice_completion c;
	struct sluice_ring *ring;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_ring_create(k.r.view, &below, &ring), 0);
	assert_in_range(sluice_ring_iova(ring, 29), PAGE, UINT32_MAX - PAGE);
	assert_int_equal(sluice_ring_destroy(ring), 0);
	ring = ring_up(&k, 3, M2);
	map_slots(&k, ring, 1, 1, M2 / PAGE);
	assert_int_equal(xlate(&k.r, sluice_ring_iova(ring, 1), M2), M2);
	unmap_slots(&k, ring, 1, 1);
	ring_down(&k, ring);

	krig_up(&k, NULL, &both, 0);
	ring = ring_up(&k, 3, M2);
	assert_int_equal(sluice_ring_map_burst(ring, 1, 2, va, RW, 0), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(sluice_va_to_iova(k.r.view, VA + PAGE, 1, &iova), 1);
	assert_int_equal(iova, sluice_ring_iova(ring, 2) + PAGE);
	unmap_slots(&k, ring, 1, 2);
	assert_int_equal(sluice_va_to_iova(k.r.view, VA, 1, &iova), -EFAULT);
	ring_down(&k, ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_by_one),
	        cmocka_unit_test(before_the_kernel_answers),
	        cmocka_unit_test(mapped_together),
	        cmocka_unit_test(a_large_burst),
	        cmocka_unit_test(over_the_end),
	        cmocka_unit_test(holes),
	        cmocka_unit_test(lazy),
	        cmocka_unit_test(other_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
