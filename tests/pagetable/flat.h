/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of table tests: one record per 4 KiB page of a window, every rule
 * applied page by page. Knows leaf sizes (which the interval oracle of the
 * tools does not need) but no tables, words or levels of a walk.
 */
#ifndef SLUICE_TESTS_FLAT_H
#define SLUICE_TESTS_FLAT_H

#include "pagetable/pt.h"

struct flat_page {
	uint64_t oa;
	uint32_t prot; /* 0: not mapped */
	uint8_t level; /* size of the leaf it is in */
	uint8_t dirty;
};

struct flat {
	uint64_t base; /* 1 GiB aligned */
	uint64_t nr;   /* pages */
	uint64_t mapped;
	struct flat_page *page;
};

void flat_init(struct flat *f, uint64_t base, uint64_t nr);
void flat_done(struct flat *f);

/* What the call on the table must return; applied when that is success. */
int flat_map(struct flat *f, uint64_t iova, uint64_t last, uint64_t oa,
             uint32_t prot);
int flat_unmap(struct flat *f, uint64_t iova, uint64_t last);
int flat_walk(const struct flat *f, uint64_t iova, struct pt_run *ret);
int flat_set_dirty(struct flat *f, uint64_t iova);
int64_t flat_dirty(struct flat *f, uint64_t iova, uint64_t last, bool clear);

/* What a gather of a mapped range must hold; at most max are written, the
 * number of all is returned. */
uint32_t flat_runs(const struct flat *f, uint64_t iova, uint64_t last,
                   bool merge_heads, struct pt_run *run, uint32_t max);

/* Walks each page of [iova, last]; prints and returns false on the first that
 * differs. */
bool flat_agrees(const struct flat *f, const struct pt *pt, uint64_t iova,
                 uint64_t last);
bool flat_agrees_all(const struct flat *f, const struct pt *pt);

/* First and last byte of the leaf that holds a mapped page. */
void flat_leaf(const struct flat *f, uint64_t iova, uint64_t *ret_first,
               uint64_t *ret_last);

/* xorshift64*: the same sequence everywhere. */
static inline uint64_t rnd(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t rnd_below(uint64_t *state, uint64_t n)
{
	return rnd(state) % n;
}

#endif
