/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree on a machine whose memory runs out: takes the place of malloc, calloc
 * and realloc at link time (--wrap).
 */
#ifndef SLUICE_TESTS_GROUPS_SCARCE_H
#define SLUICE_TESTS_GROUPS_SCARCE_H

#include <sluice/group.h>

/* What a call that fails must leave alone. */
#define UNTOUCHED ((struct sluice_group_set *)(uintptr_t)0x5a5a)

/* Allocations that still succeed; negative: all do. */
extern int allocations;

/* For cmocka: *state is a new tree, struct tree; and it goes again. */
int scarce_make(void **state);
int scarce_unmake(void **state);

#endif
