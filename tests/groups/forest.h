/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random PCI topologies, and a second opinion on them: the groups as somebody
 * makes them who takes one device after the other and asks each rule anew whose
 * group it has to share.
 */
#ifndef SLUICE_TESTS_GROUPS_FOREST_H
#define SLUICE_TESTS_GROUPS_FOREST_H

#include "groups/platform.h"
#include "groups/topo.h"

#define FOREST_MAX 96

struct forest {
	struct topo topo;
	struct topo_dev dev[FOREST_MAX];
	char name[FOREST_MAX][24];
	/* Which device this is in any numbering of the buses. */
	uint32_t label[FOREST_MAX];
	struct unit unit[FOREST_MAX];
	struct platform platform;
};

/* The same tree for one seed; order_seed decides in which order slots are
 * scanned, and so which bus numbers and which place each device gets. */
void forest_grow(struct forest *f, uint64_t seed, uint64_t order_seed);

/* Takes devices out, and all that is below each: those that gone says. */
void forest_cut(struct forest *f, const bool gone[FOREST_MAX]);

/* The group of each device, as a number that its members share; UINT32_MAX
 * in none. */
void naive_groups(const struct forest *f, uint32_t ret_group[FOREST_MAX]);

/* Whether the bond is one, by nothing but the definition of its rule. */
bool naive_bond(const struct forest *f, const struct bond *b);

#endif
