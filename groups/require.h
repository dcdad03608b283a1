/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the two files that settle requirements: require.c finds what
 * contradicts, decision.c keeps what was decided.
 */
#ifndef SLUICE_GROUPS_REQUIRE_H
#define SLUICE_GROUPS_REQUIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <sluice/require.h>

#include "groups/grp.h"

/* Where addresses for all of the members are. */
struct room {
	uint32_t bits; /* what all can send */
	uint64_t low_first, low_bytes;
};

/* One member, or several, in one domain. Returns 0; -ENOSPC: not one page;
 * -ERANGE: too little below 4 GiB; -ENOMEM. */
int require_room(const struct sluice_require *const *m, uint32_t nr,
                 struct room *ret);

/* Does it make sense in itself? 0; -EINVAL with a message; -ENOMEM. */
int require_check(const struct sluice_require *m);

/* Pointers to the members, by name; freed by the caller. -EINVAL with a
 * message; -ENOMEM. */
int require_sort(const struct sluice_require *members, uint32_t nr,
                 const struct sluice_require ***ret);

/* "needs translated addresses", … with why in brackets. */
const char *require_wish(const struct sluice_require *m, char *buf, size_t len);

#endif
