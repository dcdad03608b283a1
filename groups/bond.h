/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One reason why two devices belong together, and its words.
 */
#ifndef SLUICE_GROUPS_BOND_H
#define SLUICE_GROUPS_BOND_H

#include <sluice/group.h>

#include "groups/topo.h"

struct bond {
	uint32_t a, b; /* indexes of devices */
	enum sluice_group_rule rule;
	/* Of an alias: the id is that of the bus below the bridge, not that of
	 * the bridge. */
	bool bus_id;
	/* Of what firmware says: a stream id, not a requester id. */
	bool stream;
	uint32_t via; /* the bridge or port that is to blame, or TOPO_NONE */
	/* The lowest member of the group that it helps to hold together; by
	 * partition_make(). */
	uint32_t lead;
};

/* The bond in words, all of them in mem. -ENOMEM. */
int bond_say(struct grp_mem *mem, const struct topo *t, const struct bond *b,
             struct sluice_group_reason *ret);

#endif
