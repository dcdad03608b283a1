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
#define FAKE_MAPS 64
#define FAKE_CALLS 4096

struct fake_container {
	bool open;
	bool iommu;
	uint32_t nr_groups;
	struct fake_vfio_mapping *map; /* ascending */
	uint32_t nr, room;
	uint64_t pinned; /* bytes that count */
};

#define FAKE_VECTORS 8
#define FAKE_IRQS 5

/* A group's one device, see fake_device.c. */
struct fake_device {
	bool open;
	uint8_t config[256];
	uint32_t resets;
	uint32_t nr_on[FAKE_IRQS];
	bool masked;                     /* INTx */
	int fd[FAKE_IRQS][FAKE_VECTORS]; /* our own duplicates; 0: none */
};

struct fake_group {
	bool open;
	bool device;
	bool removed;
	struct fake_container *in;
	struct fake_device dev;
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
	void *maps[FAKE_MAPS]; /* of devices' regions */
	uint32_t nr_maps;
	struct {
		unsigned long request; /* 0: none */
		uint64_t iova;
		int err;
		bool partly;
	} refuse;
	uint32_t map_us, unmap_us; /* how long a call takes at least */
	struct fake_vfio_call call[FAKE_CALLS];
	uint32_t nr_calls;
};

/* MAP and UNMAP only: time passes, the call is noted, and true means that it
 * is refused with *ret_rc. */
bool fake_type1_refuse(struct fake_kernel *k, unsigned long request,
                       const void *arg, int *ret_rc);

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

/* The kernel, locked, and given back. */
struct fake_kernel *fake_enter(void);
void fake_leave(void);

/* ---- fake_device.c: but for the table, with the lock ---- */
#define FAKE_FD_DEVICE 3000000
struct fake_group *fake_device_of(struct fake_kernel *k, int fd);
void fake_device_table(struct sys_table *table);
int fake_device_open(struct fake_group *g);
void fake_device_close(struct fake_group *g);
int fake_device_ioctl(const struct fake_kernel *k, struct fake_group *g,
                      unsigned long request, void *arg);
bool fake_device_signal(struct fake_group *g, uint32_t index, uint32_t vector);

#endif
