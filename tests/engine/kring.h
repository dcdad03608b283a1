/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of rings on the type1 backend with a fake VFIO start from: a ring,
 * slots that are mapped and taken back as it should be.
 */
#ifndef TESTS_ENGINE_KRING_H
#define TESTS_ENGINE_KRING_H

#include "tests/engine/krig.h"

#define MAP VFIO_IOMMU_MAP_DMA
#define UNMAP VFIO_IOMMU_UNMAP_DMA

static inline struct sluice_ring *ring_up(struct krig *k, uint32_t nr,
                                          uint64_t stride)
{
	const struct sluice_ring_cfg cfg = {.stride = stride, .nr_slots = nr};
	struct sluice_ring *ring = NULL;

	assert_int_equal(sluice_ring_create(k->r.view, &cfg, &ring), 0);
	return ring;
}

static inline void ring_down(struct krig *k, struct sluice_ring *ring)
{
	assert_int_equal(sluice_drain(k->r.lane, PATIENCE), 0);
	assert_int_equal(sluice_ring_destroy(ring), 0);
	krig_down(k);
}

static inline int slot_map(struct sluice_ring *ring, uint32_t slot,
                           uint64_t pages)
{
	return sluice_ring_map(ring, slot, VA + slot * pages * PAGE,
	                       pages * PAGE, RW, NULL);
}

/* Slots first .. first + nr - 1, alone each, their memory side by side. */
static inline void map_slots(struct krig *k, struct sluice_ring *ring,
                             uint32_t first, uint32_t nr, uint64_t pages)
{
	struct sluice_completion c[64];

	for (uint32_t i = first; i < first + nr; i++)
		assert_int_equal(slot_map(ring, i, pages), 1);
	wait_for(k, c, nr);
	for (uint32_t i = 0; i < nr; i++) {
		assert_int_equal(c[i].result, 0);
		assert_int_equal(c[i].op, SLUICE_OP_MAP);
		assert_int_equal(c[i].cookie, first + i);
		assert_int_equal(c[i].iova, sluice_ring_iova(ring, first + i));
		assert_int_equal(c[i].len, pages * PAGE);
	}
}

static inline void unmap_slots(struct krig *k, struct sluice_ring *ring,
                               uint32_t first, uint32_t nr)
{
	struct sluice_completion c;
	struct sluice_ticket t;

	assert_int_equal(sluice_ring_unmap(ring, first, nr, 7, &t), 1);
	assert_false(sluice_ticket_passed(k->r.view, t));
	wait_for(k, &c, 1);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.op, SLUICE_OP_UNMAP);
	assert_int_equal(c.cookie, 7);
	assert_true(sluice_ticket_passed(k->r.view, t));
}

static inline bool reach(struct sluice_ring *ring, uint32_t slot, uint64_t *va)
{
	return fake_vfio_reach(sluice_ring_iova(ring, slot), va, NULL);
}

#endif
