/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake VFIO's insides: descriptors and faults are in fake_vfio.c, the rules
 * of type1 v2 in fake_type1.c.
 */
#ifndef SLUICE_TESTS_BACKEND_FAKE_VFIO_INT_H
#define SLUICE_TESTS_BACKEND_FAKE_VFIO_INT_H

#include "tests/backend/fake_vfio.h"

#define FAKE_CONTAINERS 8
#define FAKE_GROUPS 8

struct fake_container {
	bool open;
	bool iommu;
	uint32_t nr_groups;
	struct fake_vfio_mapping *map; /* ascending */
	uint32_t nr, room;
	uint64_t pinned; /* bytes that count */
};

struct fake_group {
	bool open;
	bool device;
	struct fake_container *in;
};

struct fake_kernel {
	struct fake_vfio_cfg cfg;
	struct fake_container container[FAKE_CONTAINERS];
	struct fake_group group[FAKE_GROUPS];
	uint32_t short_at; /* UNMAPs until a short one; 0: none */
	uint64_t locked;   /* by other means than mappings */
	uint32_t others;   /* mappings of another user, in each container */
	bool short_lie;
	bool fired;
};

/* -errno or 0, as the kernel's ioctl would. */
int fake_type1_map(struct fake_kernel *k, struct fake_container *c, void *arg);
int fake_type1_unmap(struct fake_kernel *k, struct fake_container *c,
                     void *arg);
int fake_type1_info(struct fake_kernel *k, struct fake_container *c, void *arg);
bool fake_type1_counted(const struct fake_kernel *k, uint64_t va);
/* Bytes that the process has locked. */
uint64_t fake_type1_locked(const struct fake_kernel *k);
void fake_type1_clear(struct fake_container *c);
/* Index of the first mapping that ends at or above iova. */
uint32_t fake_type1_find(const struct fake_container *c, uint64_t iova);
void fake_type1_remove(struct fake_container *c, uint32_t at, uint32_t n);

#endif
