/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Somebody else with a container on the fake VFIO: opens it, puts a group into
 * it, sets the IOMMU and maps, as EAL does.
 */
#ifndef TESTS_ENGINE_OWNER_H
#define TESTS_ENGINE_OWNER_H

#include "tests/engine/krig.h"

#define OWN_IOVA UINT64_C(0x100000000)
#define OWN_LEN (16u * PAGE)

struct owner {
	int container;
	int group;
};

static inline int own_map(const struct owner *o, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_map arg = {
	        .argsz = sizeof(arg),
	        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	        .vaddr = iova,
	        .iova = iova,
	        .size = len,
	};

	return fake_vfio_ioctl(o->container, VFIO_IOMMU_MAP_DMA, &arg);
}

static inline int own_unmap(const struct owner *o, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap arg = {
	        .argsz = sizeof(arg),
	        .iova = iova,
	        .size = len,
	};

	return fake_vfio_ioctl(o->container, VFIO_IOMMU_UNMAP_DMA, &arg);
}

static inline void owner_open(struct owner *o, const struct fake_vfio_cfg *vfio)
{
	fake_vfio_reset(vfio);
	o->container = fake_vfio_open("/dev/vfio/vfio", 0);
	o->group = fake_vfio_open("/dev/vfio/2", 0);
	assert_true(o->container >= 0 && o->group >= 0);
}

static inline void owner_up(struct owner *o, const struct fake_vfio_cfg *vfio)
{
	owner_open(o, vfio);
	assert_int_equal(fake_vfio_ioctl(o->group, VFIO_GROUP_SET_CONTAINER,
	                                 &o->container),
	                 0);
	assert_int_equal(fake_vfio_ioctl(o->container, VFIO_SET_IOMMU,
	                                 (void *)(uintptr_t)VFIO_TYPE1_IOMMU),
	                 0);
	assert_int_equal(own_map(o, OWN_IOVA, OWN_LEN), 0);
}

static inline void owner_down(const struct owner *o)
{
	assert_int_equal(fake_vfio_close(o->group), 0);
	assert_int_equal(fake_vfio_close(o->container), 0);
	assert_int_equal(fake_vfio_open_fds(), 0);
}

#endif
