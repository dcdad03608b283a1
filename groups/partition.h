/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From bonds to groups: devices that a chain of bonds connects are one group.
 */
#ifndef SLUICE_GROUPS_PARTITION_H
#define SLUICE_GROUPS_PARTITION_H

#include "groups/bond.h"
#include "groups/platform.h"

struct partition {
	/* Of each device, the lowest member of its group; TOPO_NONE where it
	 * is in none. */
	uint32_t *leader;
	/* A tree for each group, which connects its members; a device of no
	 * group may be on the way. */
	struct bond *bond;
	uint32_t nr_bonds, room;
};

/* -ENOMEM. p must be freed in any case. */
int partition_make(const struct topo *t, const struct platform *platform,
                   struct partition *p);
void partition_free(struct partition *p);

#endif
