/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chunks: entries of one size, side by side in one table, and the range checks
 * that all templates share. A range is worked through chunk by chunk.
 */
#ifndef SLUICE_PAGETABLE_PT_CHUNK_H
#define SLUICE_PAGETABLE_PT_CHUNK_H

#include "pagetable/pt_path.h"

/* Everything that can be wrong with a range, apart from what is mapped. */
static always_inline bool pt_range_ok(const struct pt_fmt *f,
                                      const struct pt *pt, uint64_t iova,
                                      uint64_t last)
{
	return ((iova | (last + 1)) & pt_page_mask(f, &pt->geo)) == 0 &&
	       iova <= last && last <= pt->geo.max_iova;
}

static always_inline bool pt_oa_ok(const struct pt_fmt *f, const struct pt *pt,
                                   uint64_t oa, uint64_t len_1)
{
	return (oa & pt_page_mask(f, &pt->geo)) == 0 && oa <= pt->geo.max_oa &&
	       len_1 <= pt->geo.max_oa - oa;
}

/* Cold: which of these it was, in words. */
int pt_refuse_range(const struct pt *pt, uint64_t iova, uint64_t last);
int pt_refuse_map(const struct pt *pt, uint64_t iova, uint64_t last,
                  uint64_t oa, uint32_t prot);

static always_inline int pt_is_shared(void)
{
	return msg_lit(-EBUSY, "tables of this range are shared: make them "
	                       "private first");
}

struct pt_chunk {
	au64 *slot;
	unsigned nr; /* items */
	unsigned level;
	unsigned cont;
};

/* Whole items of a level from the start of [iova, last] on. */
static always_inline uint64_t pt_items(uint64_t len_1, unsigned shift)
{
	return (len_1 >> shift) + ((len_1 & mask64(shift)) == mask64(shift));
}

/* How many items of [iova, last] -> oa this table takes in entries of size s,
 * before another size is better. */
static always_inline unsigned pt_chunk_nr(const struct pt_fmt *f,
                                          const struct pt_geo *g, unsigned top,
                                          struct pt_size s, uint64_t iova,
                                          uint64_t last, uint64_t oa)
{
	unsigned shift = pt_shift(f, g, s.level);
	uint64_t room = pt_slots(f, g, s.level, top) -
	                pt_index(f, g, iova, s.level, top);
	uint64_t nr = min_u64(room, pt_items(last - iova, shift));
	unsigned rel;

	/* The word's address field must not carry. */
	if (f->oa_high)
		nr = min_u64(nr, pt_items(~oa & mask64(48), shift));
	if (f->cont == PT_CONT_NONE || !g->contig || !f->cont_lg2[s.level])
		return (unsigned)nr;
	rel = pt_cont_max(f, g, s.level, iova ^ oa);
	if (s.cont == rel)
		return (unsigned)(nr >> rel << rel);
	if (f->cont == PT_CONT_AMD)
		return (unsigned)bit64(s.cont);
	room = bit64(rel) - (iova >> shift & mask64(rel));
	return (unsigned)min_u64(nr, room);
}

/* Last byte of a chunk that begins at iova. */
static always_inline uint64_t pt_chunk_last(const struct pt_fmt *f,
                                            const struct pt_geo *g,
                                            const struct pt_chunk *c,
                                            uint64_t iova)
{
	return iova + ((uint64_t)c->nr << pt_shift(f, g, c->level)) - 1;
}

/* Word of item i of a chunk whose first word is given. */
static always_inline uint64_t pt_item_word(const struct pt_fmt *f,
                                           const struct pt_geo *g,
                                           const struct pt_chunk *c,
                                           uint64_t first, unsigned i)
{
	uint64_t step = pt_step(f, g, c->level);

	if (f->cont == PT_CONT_NAPOT || f->cont == PT_CONT_AMD)
		i = i >> c->cont << c->cont;
	return first + i * step;
}

/* Writes the leaves of a chunk over words that nobody needs. */
static always_inline void pt_chunk_fill(const struct pt_fmt *f,
                                        const struct pt *pt,
                                        const struct pt_chunk *c, uint64_t oa,
                                        uint32_t prot)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t first =
	        pt_leaf_word(f, g, c->level, c->cont, oa, prot & ~PT_SW1);
	uint64_t step = pt_step(f, g, c->level);
	uint64_t head = pt_word_sw1(f, c->level);
	bool same =
	        c->cont && (f->cont == PT_CONT_NAPOT || f->cont == PT_CONT_AMD);
	unsigned items = 1u << c->cont;
	unsigned i = 0;

	/* All items of the first entry, which must be alike; and before the
	 * rest: where a mapping begins, nobody finds a leaf without its mark.
	 */
	for (; (prot & PT_SW1) && i < items; i++)
		pt_store(f, &c->slot[i],
		         pt_item_word(f, g, c, first, i) | head);
	if (!same && i < c->nr)
		pt_run_fill(f, pt, &c->slot[i], c->nr - i, first + i * step,
		            step);
	for (; same && i < c->nr; i += items)
		pt_run_fill(f, pt, &c->slot[i], items, first + i * step, 0);
	pt_flush(pt, c->slot, c->nr);
}

/* True when neither this table nor one below it holds a leaf. */
bool pt_table_empty(const struct pt *pt, const au64 *t, unsigned level);
/* Takes a table, and those below it that nobody else holds, out of use. Their
 * words stay until the list is freed. */
void pt_unlink(struct pt *pt, au64 *t, unsigned level, struct pt_freed *freed);
/* The same for all tables that nr slots of one that stays link to. */
void pt_unlink_below(struct pt *pt, const au64 *t, unsigned level, unsigned nr,
                     struct pt_freed *freed);
/* Empties the slot that links to a table, tells walkers, and unlinks it. */
void pt_take_out(struct pt *pt, au64 *slot, unsigned level, uint64_t iova,
                 struct pt_freed *freed);

#endif
