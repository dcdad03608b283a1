/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The threads of stress_pt.c: lanes, the one that never unmaps, and walkers.
 */
#ifndef SLUICE_TESTS_STRESS_LANE_H
#define SLUICE_TESTS_STRESS_LANE_H

#include <pthread.h>

#include "model.h"
#include "pagetable/pt_public.h"
#include "shapes.h"

#define LANES 4u

struct world {
	const struct shape *shape;
	struct sluice_pt *base;
	bool wait; /* unlinked tables wait for the end */
	uint64_t page;
	uint64_t sizes;
	uint64_t fixed_at, fixed_len;
	au64 arrived; /* lanes, at the ends of areas */
	au64 area;    /* where they are now */
	au32 fixed;   /* the range that stays is mapped */
	au32 stop;
};

/* A handle of its own into the table that all share. */
struct lane {
	pthread_t thread;
	struct world *w;
	struct sluice_pt pt;
	struct pt_freed freed;
	unsigned id;
	uint64_t seed;
	uint64_t done;
	struct model m;
	const char *wrong; /* what was, first */
};

void world_open(struct world *w, const struct shape *shape, bool wait);
void world_close(struct world *w);
void lane_open(struct lane *l, struct world *w, unsigned id, uint64_t seed);
void lane_close(struct lane *l);

void *lane_main(void *lane);
void *lane_fixed(void *lane);
void *lane_walker(void *lane);

#endif
