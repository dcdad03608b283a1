/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A game: one table, the model beside it, and random operations on both.
 */
#ifndef SLUICE_TESTS_PLAY_H
#define SLUICE_TESTS_PLAY_H

#include "model.h"
#include "shapes.h"

#define UNITS ((uint64_t)2048)

struct game {
	const struct shape *shape;
	struct sluice_pt *pt;
	struct sluice_pt_info info;
	struct model m;
	uint64_t seed;
	uint64_t ops;
	uint64_t told; /* calls of invalidate */
};

/* Ends the test with the operation that it happened in. */
_Noreturn void play_failed(const struct game *g, const char *file, int line,
                           const char *what);

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			play_failed(g, __FILE__, __LINE__, #x);                \
	} while (0)

/* Where a game is played. */
struct play_start {
	const struct shape *shape;
	unsigned unit_lg2;
	unsigned which; /* place in the address space */
};

#define PLAY_GAMES_MAX 128u

/* All games of a format. */
unsigned play_list(int format, struct play_start *ret_list, unsigned max);
/* An empty table; false when the window does not fit. g must not move. */
bool play_open(struct game *g, const struct play_start *at, uint64_t seed);
void play_close(struct game *g);
/* A number from the environment. */
uint64_t play_number(const char *name, uint64_t otherwise);

/* One random operation, and what it must have done. */
void play_step(struct game *g);

#endif
