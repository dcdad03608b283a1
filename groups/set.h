/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A picture of groups, whoever took it: read from the kernel, or computed.
 */
#ifndef SLUICE_GROUPS_SET_H
#define SLUICE_GROUPS_SET_H

#include <sluice/group.h>

#include "groups/mem.h"

struct sluice_group_set {
	struct grp_mem mem;
	struct sluice_group_info *groups; /* by id */
	struct sluice_group_member *ungrouped;
	const char **why; /* of each ungrouped one; NULL: not known */
	uint32_t nr_groups;
	uint32_t nr_ungrouped;
};

#endif
