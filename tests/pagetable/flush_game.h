/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state of the play of test_flush.c: two tables beside each other, their
 * models, and what both were before the operation under way.
 */
#ifndef SLUICE_TESTS_FLUSH_GAME_H
#define SLUICE_TESTS_FLUSH_GAME_H

#include "model.h"
#include "pagetable/pt_public.h"
#include "pagetable/pt_unmap.h"
#include "shadow.h"
#include "shapes.h"

#define UNITS ((uint64_t)1024)

struct game;

struct side {
	struct game *game;
	unsigned t;
};

struct game {
	const struct shape *shape;
	struct sluice_pt_config cfg;
	struct sluice_pt_info info;
	struct sluice_pt *pt[2];
	struct side side[2]; /* for invalidate */
	struct model m[2];
	struct unit *old[2]; /* before the operation */
	uint64_t root[2];    /* where walkers begin */
	uint64_t seed;
	uint64_t ops;
	const char *doing;
	/* A filling of half a table's window in several operations. */
	unsigned stage, filled;
	uint64_t half;
	bool evicting;
	unsigned looks; /* left in this operation */
	/* One look. */
	unsigned at;
	bool after;
	uint64_t found;
};

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			give_up(__FILE__, __LINE__, #x);                       \
	} while (0)

_Noreturn void give_up(const char *file, int line, const char *what);

/* One random operation on table t. */
void random_op(struct game *g, unsigned t);

#endif
