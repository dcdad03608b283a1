/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table carried out and in again, as a dump and as memory; how many pages its
 * pool has, and what it says when everything is gone. Looks inside the public
 * object for the pool alone.
 */
#ifndef SLUICE_TESTS_CARRY_H
#define SLUICE_TESTS_CARRY_H

#include <stddef.h>

#include <sluice/pagetable.h>

struct carry_words {
	struct sluice_pt_word *word;
	uint64_t nr, max;
};

/* The dump of a table, in memory that the next call uses again. NULL without
 * memory: never, or the program ends. */
const struct carry_words *carry_dump(const struct sluice_pt *pt);

/* Loads a dump into an empty table of cfg: NULL when that dumps alike, else
 * what is wrong. */
const char *carry_load(const struct carry_words *ws,
                       const struct sluice_pt_config *cfg);

/* The same by way of an image that begins at base. */
const char *carry_image(const struct sluice_pt *pt,
                        const struct sluice_pt_config *cfg, uint64_t base);

/* Drops and reclaims all that pt maps: NULL when nothing but its root is taken
 * from the pool then, which no other table may use, else what is wrong. */
const char *carry_nothing(struct sluice_pt *pt);

/* Pages kept away from a table and the one beside it, so that memory ends
 * exactly where a test wants it to. Zero at first. */
struct carry_hold {
	void **page[2];
	size_t nr[2], max[2];
};

/* Takes all free pages of each size but some. other may be NULL. */
void carry_hold(struct carry_hold *h, struct sluice_pt *pt,
                struct sluice_pt *other, unsigned leave);
/* Gives all of them back. */
void carry_release(struct carry_hold *h, struct sluice_pt *pt);

#endif
