/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the map and unmap cases run on: the engine, a bare table, or the naive
 * way; one of them is there. Knows no case.
 */
#ifndef SLUICE_BENCH_SET_H
#define SLUICE_BENCH_SET_H

#include "bench/rig.h"

#include "yardstick/yardstick.h"

#define SET_IOVAS 256

struct set {
	struct rig rig;
	struct sluice_pt *pt;
	struct naive *naive;
	struct naive_pages *pages;
	uint64_t iova[SET_IOVAS];
};

void *set_ours(void);
void *set_table(void);
void *set_naive(void);
void set_close(void *set);

#endif
