/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A flat leaf directory, as an experiment: one reserved array with a word for
 * each 2 MiB of a 48-bit x86_64 table, a copy of the word of level 1 (a link to
 * a leaf table, or a leaf of 2 MiB). A smaller one has a word for each 1 GiB.
 * Reads tables through the root that the public API names; changes none.
 */
#ifndef SLUICE_BENCH_DIRECTORY_H
#define SLUICE_BENCH_DIRECTORY_H

#include <sluice/pagetable.h>

#define DIR_SHIFT 21
#define DIR_SLOTS (UINT64_C(1) << (48 - DIR_SHIFT))
#define TOP_SHIFT 30
#define TOP_SLOTS (UINT64_C(1) << (48 - TOP_SHIFT))

struct directory {
	uint64_t *leaf; /* DIR_SLOTS */
	uint64_t *top;  /* TOP_SLOTS */
	const uint64_t *root;
	/* What was filled in, in the order of addresses. */
	uint32_t *slot;
	uint64_t *word;
	uint64_t nr, tables;
	uint64_t pages; /* of 4 KiB of the array that the entries touch */
};

/* What a reader could keep for himself instead: the words of level 1 that he
 * met last. A tag of 0 is none: nothing is asked for below 2 MiB. */
#define MEMO_SLOTS 256u

struct dir_memo {
	uint64_t tag; /* iova >> DIR_SHIFT */
	uint64_t word;
};

/* NULL without memory. huge: ask for huge pages, as the tables do. */
uint64_t *dir_reserve(uint64_t slots, int huge);
void dir_release(uint64_t *slots, uint64_t nr);

/* 0, -ENOMEM. */
int dir_build(struct directory *d, const struct sluice_pt *pt);
void dir_free(struct directory *d);

/* Four ways to the OA of an address; 0 when nothing is mapped there. */
#define X86_P ((uint64_t)1)         /* Intel SDM vol. 3, table 4-15 ff. */
#define X86_PS ((uint64_t)1 << 7)   /* ..., "PS" */
#define X86_ADDR 0xffffffffff000ull /* ..., bits 51:12 */

static inline const uint64_t *dir_table(uint64_t w)
{
	return (const uint64_t *)(uintptr_t)(w & X86_ADDR);
}

static inline uint64_t dir_oa(uint64_t w, uint64_t iova, unsigned shift)
{
	uint64_t mask = (UINT64_C(1) << shift) - 1;

	return w & X86_P ? (w & X86_ADDR & ~mask) | (iova & mask) : 0;
}

static inline uint64_t dir_leaf(uint64_t w, uint64_t iova)
{
	if (__builtin_expect((w & (X86_P | X86_PS)) != X86_P, 0))
		return dir_oa(w, iova, DIR_SHIFT);
	return dir_oa(dir_table(w)[iova >> 12 & 511], iova, 12);
}

static inline uint64_t dir_walk(const struct directory *d, uint64_t iova)
{
	return dir_leaf(d->leaf[iova >> DIR_SHIFT], iova);
}

static inline uint64_t dir_large(uint64_t w, uint64_t iova)
{
	if (__builtin_expect((w & (X86_P | X86_PS)) != X86_P, 0))
		return dir_oa(w, iova, TOP_SHIFT);
	return dir_leaf(dir_table(w)[iova >> DIR_SHIFT & 511], iova);
}

static inline uint64_t dir_walk_top(const struct directory *d, uint64_t iova)
{
	return dir_large(d->top[iova >> TOP_SHIFT], iova);
}

static inline uint64_t dir_walk_radix(const struct directory *d, uint64_t iova)
{
	uint64_t w = d->root[iova >> 39];

	if (__builtin_expect(!(w & X86_P), 0))
		return 0;
	return dir_large(dir_table(w)[iova >> TOP_SHIFT & 511], iova);
}

static inline uint64_t dir_walk_memo(const struct directory *d,
                                     struct dir_memo *memo, uint64_t iova)
{
	uint64_t tag = iova >> DIR_SHIFT;
	struct dir_memo *m = &memo[tag % MEMO_SLOTS];

	if (__builtin_expect(m->tag != tag, 0)) {
		uint64_t w = d->root[iova >> 39];

		if (!(w & X86_P))
			return 0;
		w = dir_table(w)[iova >> TOP_SHIFT & 511];
		if ((w & (X86_P | X86_PS)) != X86_P)
			return dir_oa(w, iova, TOP_SHIFT);
		*m = (struct dir_memo){tag, dir_table(w)[tag & 511]};
	}
	return dir_leaf(m->word, iova);
}

#endif
