/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words for what keeps a group from being used, and the commands that change
 * it. Works on a picture; touches no file.
 */
#ifndef SLUICE_GROUPS_VIABLE_H
#define SLUICE_GROUPS_VIABLE_H

#include <stddef.h>

#include <sluice/group.h>

/* Sets the message of a group that is not viable: member, driver, commands.
 * Returns -EPERM. */
int viable_refuse(const struct sluice_group_info *info);

/*
 * Commands that give a member to vfio-pci, or at least take it from its driver,
 * each with before in front of it and after behind. Returns bytes, as
 * snprintf() does; 0 when there is no command to give.
 */
size_t viable_commands(const struct sluice_group_member *m, const char *before,
                       const char *after, char *buf, size_t len);

/* A name as one printable word: what is not plain ASCII becomes '?'. */
const char *viable_name(const char *name, char *buf, size_t len);

#endif
