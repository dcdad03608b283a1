/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of one picture: allocated piece by piece, freed all at once, so that
 * a half-built picture needs no undo of its own.
 */
#ifndef SLUICE_GROUPS_MEM_H
#define SLUICE_GROUPS_MEM_H

#include <stddef.h>

struct grp_block;

/* Starts as all zeroes. */
struct grp_mem {
	struct grp_block *head;
};

/* nr * size zeroed bytes, aligned for anything; NULL when there are none. */
void *grp_alloc(struct grp_mem *mem, size_t nr, size_t size);

/* A terminated copy of len bytes; ends early at a zero among them. */
const char *grp_strdup(struct grp_mem *mem, const char *text, size_t len);

void grp_free(struct grp_mem *mem);

#endif
