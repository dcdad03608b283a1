/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who of one picture is who in the next. Knows names and births; nothing of
 * what follows from it.
 */
#ifndef SLUICE_GROUPS_WATCH_MATCH_H
#define SLUICE_GROUPS_WATCH_MATCH_H

#include "groups/watch_int.h"

/* A device of the model. */
struct known {
	const struct sluice_group_member *m;
	uint64_t birth;
	uint32_t slot;
	bool kept; /* it is in the new picture too */
};

/* A device of the new picture. */
struct seen {
	const struct sluice_group_member *m;
	const struct sluice_group_info *g; /* NULL: in no group */
	uint32_t slot;                     /* SLOT_NONE: new */
	bool fresh;
};

/* All live devices, sorted; or -ENOMEM. Freed by the caller. */
int known_list(const struct watch_model *m, struct known **ret, uint32_t *nr);
/* All devices of a set, sorted, each once; or -ENOMEM. */
int seen_list(const struct sluice_group_set *set, struct seen **ret,
              uint32_t *nr);
/* Sets kept and slot. */
void match(struct known *known, uint32_t nr_known, struct seen *seen,
           uint32_t nr_seen);

#endif
