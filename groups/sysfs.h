/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded, suspicious reading of a sysfs tree, relative to a folder that is
 * open. Knows files, links and folders; nothing of groups. Each function
 * returns -errno and sets no message: the caller knows what the file meant.
 */
#ifndef SLUICE_GROUPS_SYSFS_H
#define SLUICE_GROUPS_SYSFS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "groups/mem.h"

/* Says what this process lacks, and nothing about the tree: a picture without
 * the part that was asked for would be false. */
static inline bool sysfs_lacking(int rc)
{
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}

/* A file descriptor of the folder, for the calls below and close(). */
int sysfs_dir(int at, const char *path);

/*
 * The first size - 1 bytes of a regular file, with a terminator behind them.
 * Returns how many bytes; -EFBIG when there are more; -EINVAL for what is no
 * regular file (a pipe would block, a device has no end).
 */
ssize_t sysfs_read(int at, const char *path, char *buf, size_t size);

/* Which folder this is among all that had its name: its inode. 0 when that
 * cannot be told, or dir is none. */
uint64_t sysfs_birth(int dir);

/* One hexadecimal number of at most max; -EINVAL for anything else. */
int sysfs_hex(int at, const char *path, uint64_t max, uint64_t *ret);

/* The last part of a link's target, in mem. The target need not exist. */
int sysfs_link_name(struct grp_mem *mem, int at, const char *path,
                    const char **ret);

/* The part before the last of a link's target, in mem: for a device, what it
 * hangs on. NULL, and 0, when there is no such part or no link; what this
 * process lacks. */
int sysfs_link_above(struct grp_mem *mem, int at, const char *path,
                     const char **ret);

/* Names in a folder, sorted, without those that begin with a dot; in mem.
 * -E2BIG when there are more than any kernel makes. */
int sysfs_list(struct grp_mem *mem, int at, const char *path,
               const char *const **ret_names, uint32_t *ret_nr);

#endif
