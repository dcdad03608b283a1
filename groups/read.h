/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From sysfs to the public picture of a group. Knows where the kernel keeps
 * what; nothing of /dev/vfio.
 */
#ifndef SLUICE_GROUPS_READ_H
#define SLUICE_GROUPS_READ_H

#include <sluice/group.h>

#include "groups/mem.h"

/* The root of sysfs as an open folder; sets a message. */
int grp_root_open(const char *root);

/* One group into ret, its parts into mem; sets a message, except for -ENOENT:
 * the group is not there (any more). */
int grp_read_one(struct grp_mem *mem, int root, int id,
                 struct sluice_group_info *ret);

/* One device; at/path is its folder or a link to it, fallback its name where
 * that is no link. The folder need not exist. What this process lacks
 * (sysfs_lacking) is the one error. */
int grp_read_member(struct grp_mem *mem, int at, const char *path,
                    const char *fallback, struct sluice_group_member *ret);

/* Member by name (see sluice_groups_find()), or NULL. */
const struct sluice_group_member *grp_member(
        const struct sluice_group_info *info, const char *name);

#endif
