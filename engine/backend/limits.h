/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Linux allows this process to pin, and what other limits bound a VFIO
 * container.
 */
#ifndef SLUICE_ENGINE_BACKEND_LIMITS_H
#define SLUICE_ENGINE_BACKEND_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* UINT64_MAX: no limit, or none known. */
struct limits_locked {
	uint64_t bytes; /* locked by the process */
	uint64_t limit; /* as it binds the calling thread */
	uint64_t hard;
};

struct limits_cgroup {
	uint64_t bytes, limit;
	char path[256]; /* "" without one */
};

/* 0, or -errno when /proc does not tell. */
int limits_locked(struct limits_locked *ret);
/* The tightest memory.max (cgroup v2) from root/path up to root, without one
 * no limit. */
void limits_cgroup_at(const char *root, const char *path,
                      struct limits_cgroup *ret);
/* Of this process. */
void limits_cgroup(struct limits_cgroup *ret);
/* dma_entry_limit of vfio_iommu_type1. */
uint64_t limits_entries(void);
/* False: the memory is not there, or the kernel does not count it when it is
 * pinned (that of a device), or this cannot be told. Looks at both ends, which
 * are read in. */
bool limits_counted(uint64_t va, uint64_t len);

struct limits_table {
	int (*locked)(struct limits_locked *ret);
	bool (*counted)(uint64_t va, uint64_t len);
	void (*cgroup)(struct limits_cgroup *ret);
	uint64_t (*entries)(void);
};

extern const struct limits_table limits_kernel;

/* Whom backends ask: limits_kernel, unless a test with a kernel of its own says
 * otherwise before it makes one. */
extern const struct limits_table *limits;

#endif
