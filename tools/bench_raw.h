/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VFIO type1 container by hand: one ioctl for each map and each unmap, as a
 * driver does it that has no layer for it. What sluice is measured against.
 */
#ifndef SLUICE_TOOLS_BENCH_RAW_H
#define SLUICE_TOOLS_BENCH_RAW_H

#include <stdint.h>

struct bench_raw {
	int container;
	int group;
};

/* bdf: a device bound to vfio-pci whose group nobody else holds. 0, or
 * TOOL_FAILED after saying why. */
int bench_raw_open(const char *bdf, struct bench_raw *raw);
void bench_raw_close(struct bench_raw *raw);
/* 0 or -errno. prot: SLUICE_*. */
int bench_raw_map(const struct bench_raw *raw, uint64_t iova, uint64_t va,
                  uint64_t len, uint32_t prot);
int bench_raw_unmap(const struct bench_raw *raw, uint64_t iova, uint64_t len);

#endif
