/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Face of groups/: what the rooms above may ask of an open group beyond
 * <sluice/group.h>. Knows VFIO's group file, nothing of domains, containers or
 * mappings.
 */
#ifndef SLUICE_GROUPS_GRP_H
#define SLUICE_GROUPS_GRP_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/group.h>

/* 0, or -EPERM with a message in a child of the process that opened it. */
int grp_check(const struct sluice_group *group);

/* The address that the group was opened by. Valid until it is closed. */
const char *grp_bdf(const struct sluice_group *group);

/* The VFIO group file: for VFIO_GROUP_SET_CONTAINER and its undo. Owned by the
 * group, valid until it is closed. */
int grp_fd(const struct sluice_group *group);

/*
 * Which domain holds the group: a pointer that groups/ keeps and never follows,
 * NULL for none. Control paths only; the caller makes sure that no two of them
 * work on one group at a time.
 */
void grp_set_attached(struct sluice_group *group, void *owner);
void *grp_attached(const struct sluice_group *group);

/* Does it take addresses away from a domain? VFIO lets one use a relaxable
 * region: firmware gives it up when the device is given away. */
static inline bool grp_region_binds(const struct sluice_group_region *r)
{
	return r->type != SLUICE_RESV_DIRECT_RELAXABLE;
}

/* Ranges that must stay out of a domain's aperture, as sysfs listed them when
 * the group was opened. Valid until it is closed. */
const struct sluice_group_region *grp_regions(const struct sluice_group *group,
                                              uint32_t *ret_nr);

#endif
