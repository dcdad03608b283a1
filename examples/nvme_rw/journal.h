/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the disk has to hold. The disk is cut into units, the size of one
 * transfer; each write of a unit fills it with the pattern of a number that
 * only grows. The journal keeps, for each unit, the number that was written
 * last and the one that was sent last. In a file (MAP_SHARED) it outlives a
 * process that is killed: a unit then holds one of the two, whole.
 *
 * Thread: each unit's own; nothing is shared between units.
 */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

struct journal_unit {
	uint32_t written; /* completed; 0: nobody knows what is there */
	uint32_t sent;    /* the same, or the number of a write that may have
	                   * been done or not */
};

struct journal {
	uint64_t nr;    /* units */
	uint32_t bytes; /* of each */
	struct journal_unit *unit;
	bool *sure; /* this process knows which of the two it is */
	void *map;
	uint64_t map_bytes;
};

/* path NULL: in memory. A file that is there must be of the same shape. */
int journal_open(struct journal *j, const char *path, uint64_t nr,
                 uint32_t bytes);
void journal_close(struct journal *j);

/* Whether it has to be read before it may be written: or else there would be
 * three candidates after the next crash. */
bool journal_ask_first(const struct journal *j, uint64_t unit);
/* Whether anything can be said of what it holds. */
bool journal_known(const struct journal *j, uint64_t unit);

/* Begins a write: fills buf with a new pattern. */
void journal_send(struct journal *j, uint64_t unit, void *buf);
/* The write is done. */
void journal_wrote(struct journal *j, uint64_t unit);
/* The write failed. */
void journal_unsure(struct journal *j, uint64_t unit);
/* How many bytes of a unit that was read are wrong. */
uint64_t journal_check(struct journal *j, uint64_t unit, const void *buf);

#endif
