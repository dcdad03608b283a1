/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device node of a group. Knows how opening it fails and what to say then.
 */
#ifndef SLUICE_GROUPS_OPEN_H
#define SLUICE_GROUPS_OPEN_H

#include "groups/grp.h"

/*
 * Opens dev_root/ID (NULL: /dev/vfio) and asks the kernel whether the group is
 * viable. bdf is for messages. Returns a file descriptor or, with a message,
 * -errno as sluice_group_open() lists them.
 */
int open_node(const struct sluice_group_info *info, const char *bdf,
              const char *dev_root);

#endif
