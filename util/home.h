/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that made something. A child after fork() has copies of the
 * memory, but the descriptors behind it are shared and its threads are not
 * there: what it did with them would be done to its parent. Knows processes
 * only.
 */
#ifndef SLUICE_UTIL_HOME_H
#define SLUICE_UTIL_HOME_H

#include <stdbool.h>

#include "util/atomics.h"
#include "util/bits.h"

/* A page that the kernel empties in a child; by process id where it cannot. */
struct home {
	au32 here; /* 1: at home; 0: in a child; 2: ask for the id */
	int pid;
};

/* 0, -ENOMEM. */
int home_open(struct home **ret_home);
void home_close(struct home *home); /* NULL is fine */
bool home_ask(const struct home *home);

/* One load, of a line that nobody writes. */
static inline bool home_mine(const struct home *home)
{
	return likely(ld_rlx(&home->here) == 1) || home_ask(home);
}

#endif
