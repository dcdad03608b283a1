/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The naive model of a machine whose devices come, go and change at random: an
 * array. Knows nothing of watches.
 */
#ifndef SLUICE_TESTS_GROUPS_STORM_H
#define SLUICE_TESTS_GROUPS_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include "groups/set.h"
#include "live.h"

#define NR_DEV 12
#define NR_GRP 4
#define NR_DRIVERS 4

/* NULL first; of the others one is in the way. */
extern const char *const storm_drivers[NR_DRIVERS];

struct machine {
	struct {
		uint64_t birth; /* 0: not there */
		int group;      /* -1: none */
		unsigned driver;
	} dev[NR_DEV];
	struct {
		uint64_t birth;   /* 0: no members */
		unsigned regions; /* each number has those below it, and more */
	} grp[NR_GRP];
};

extern struct machine now;
/* A tree that follows; NULL: none. */
extern struct live *live;

void storm_begin(uint64_t seed);
unsigned storm_roll(unsigned n);
/* Something happens. */
void storm_step(void);
/* A picture of now. */
struct sluice_group_set *storm_draw(void);

void storm_name(unsigned i, char buf[16]);
bool storm_viable(const struct machine *m, int g);

#endif
