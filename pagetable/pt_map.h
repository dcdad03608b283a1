/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Templates of map and populate. Two passes: the first finds the tables and
 * looks at every slot, the second writes and cannot fail, so a refused map was
 * never visible. A range inside one table needs no second descent.
 */
#ifndef SLUICE_PAGETABLE_PT_MAP_H
#define SLUICE_PAGETABLE_PT_MAP_H

#include "pagetable/pt_path.h"

static always_inline int pt_occupied(void)
{
	return msg_lit(-EEXIST, "a part of the range is mapped already: unmap "
	                        "it first or choose another range");
}

static always_inline int pt_no_memory(void)
{
	return msg_lit(-ENOMEM, "no page left for a page table: unmap something"
	                        " or create the table with a higher limit");
}

/* Everything that can be wrong with a range, apart from what is mapped. */
static always_inline bool pt_range_ok(const struct pt *pt, uint64_t iova,
                                      uint64_t last)
{
	return ((iova | (last + 1)) & PT_PAGE_MASK) == 0 && iova <= last &&
	       last <= pt->max_iova;
}

static always_inline bool pt_oa_ok(uint64_t oa, uint64_t len_1)
{
	return (oa & PT_PAGE_MASK) == 0 && oa <= (PT_ADDR | PT_PAGE_MASK) &&
	       len_1 <= (PT_ADDR | PT_PAGE_MASK) - oa;
}

/* Cold: which of these it was, in words. */
int pt_refuse_range(const struct pt *pt, uint64_t iova, uint64_t last);
int pt_refuse_map(const struct pt *pt, uint64_t iova, uint64_t last,
                  uint64_t oa, uint32_t prot);

/* True when neither this table nor one below it holds a leaf. */
bool pt_table_empty(const struct pt_fmt *f, const au64 *t, unsigned level,
                    enum pt_simd simd);
/* Takes a table without leaves, and those below it, out of use. */
void pt_unlink(const struct pt_fmt *f, au64 *t, unsigned level,
               struct pt_freed *freed);

/* Leaves of one size in one table. */
struct pt_chunk {
	au64 *slot;
	unsigned nr;
	unsigned level;
};

static always_inline unsigned pt_chunk_nr(unsigned level, uint64_t iova,
                                          uint64_t last)
{
	uint64_t room = PT_SLOTS - pt_index(iova, level);

	return (unsigned)min_u64(room, (last - iova + 1) >> pt_shift(level));
}

static always_inline uint64_t pt_chunk_end(const struct pt_chunk *c,
                                           uint64_t iova)
{
	return iova + ((uint64_t)c->nr << pt_shift(c->level));
}

/* Slots with no leaf at or below them: 0 or -EEXIST. */
static always_inline int pt_chunk_check(const struct pt_fmt *f,
                                        const struct pt *pt,
                                        const struct pt_chunk *c)
{
	if (likely(pt_words_zero(pt->simd, c->slot, c->nr)))
		return 0;
	if (c->level == 0)
		return -EEXIST;
	for (unsigned i = 0; i < c->nr; i++) {
		uint64_t w = pt_load(&c->slot[i]);

		if (w && (!pt_is_link(f, w, c->level) ||
		          !pt_table_empty(f, pt_word_table(w), c->level - 1,
		                          pt->simd)))
			return -EEXIST;
	}
	return 0;
}

static always_inline void pt_chunk_write(const struct pt_fmt *f,
                                         const struct pt *pt,
                                         const struct pt_chunk *c, uint64_t oa,
                                         uint32_t prot, struct pt_freed *freed)
{
	uint64_t first = pt_leaf_word(f, c->level, oa, prot & ~PT_SW1);
	uint64_t step = pt_size(c->level);

	if (c->level && !pt_words_zero(pt->simd, c->slot, c->nr)) {
		for (unsigned i = 0; i < c->nr; i++) {
			uint64_t w = pt_load(&c->slot[i]);

			st_rel(&c->slot[i], first + i * step);
			if (w)
				pt_unlink(f, pt_word_table(w), c->level - 1,
				          freed);
		}
	} else {
		pt_words_fill(pt->simd, c->slot, c->nr, first, step);
	}
	if (prot & PT_SW1)
		st_rel(c->slot, first | PT_WORD_SW1);
}

/* The chunk that begins at iova, its tables in place and its slots free. */
static always_inline int pt_chunk_prepare(const struct pt_fmt *f, unsigned top,
                                          const struct pt *pt,
                                          struct pagecache *pc,
                                          struct pt_path *p, uint64_t last,
                                          uint64_t oa, struct pt_chunk *c)
{
	int err;

	c->level = pt_best_level(top, p->at, last, oa);
	err = pt_path_build(f, p, pc, c->level);
	if (err)
		return err;
	c->slot = pt_path_slot(p);
	c->nr = pt_chunk_nr(c->level, p->at, last);
	/* A table that this path has linked is empty here: ours alone. */
	return p->fresh ? 0 : pt_chunk_check(f, pt, c);
}

static always_inline void pt_write_all(const struct pt_fmt *f, unsigned top,
                                       const struct pt *pt, uint64_t iova,
                                       uint64_t last, uint64_t oa,
                                       uint32_t prot, struct pt_freed *freed)
{
	struct pt_path p;

	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		uint64_t end;
		struct pt_chunk c;

		c.level = pt_best_level(top, p.at, last, oa);
		pt_path_settle(f, &p, c.level);
		c.slot = pt_path_slot(&p);
		c.nr = pt_chunk_nr(c.level, p.at, last);
		pt_chunk_write(f, pt, &c, oa, prot, freed);
		prot &= ~PT_SW1;
		end = pt_chunk_end(&c, p.at);
		if (end > last)
			return;
		oa += end - p.at;
		pt_path_move(&p, end);
	}
}

/* Any range, any state. */
static always_inline int pt_tmpl_map(const struct pt_fmt *f, unsigned top,
                                     struct pt *pt, struct pagecache *pc,
                                     uint64_t iova, uint64_t last, uint64_t oa,
                                     uint32_t prot, struct pt_freed *freed)
{
	struct pt_chunk c;
	struct pt_path p;
	uint64_t end;
	int err;

	if (!pt_range_ok(pt, iova, last) || !pt_oa_ok(oa, last - iova) ||
	    !pt_prot_ok(f, prot))
		return pt_refuse_map(pt, iova, last, oa, prot);
	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		err = pt_chunk_prepare(f, top, pt, pc, &p, last,
		                       oa + (p.at - iova), &c);
		if (err)
			return err == -EEXIST ? pt_occupied() : pt_no_memory();
		end = pt_chunk_end(&c, p.at);
		if (end > last)
			break;
		pt_path_move(&p, end);
	}
	/* No return from here: the leaves become visible. */
	if (p.at == iova)
		pt_chunk_write(f, pt, &c, oa, prot, freed);
	else
		pt_write_all(f, top, pt, iova, last, oa, prot, freed);
	return 0;
}

/*
 * The straight way: one leaf at a constant level into an empty slot of a
 * table that is there. False when it is not that simple; nothing was changed.
 */
static always_inline bool pt_tmpl_map_one(const struct pt_fmt *f, unsigned top,
                                          unsigned level, struct pt *pt,
                                          uint64_t iova, uint64_t oa,
                                          uint32_t prot)
{
	au64 *t = pt_table_at(f, top, pt->root, iova, level);
	au64 *slot;

	if (unlikely(!t))
		return false;
	slot = &t[pt_index(iova, level)];
	if (unlikely(ld_rlx(slot)))
		return false;
	st_rel(slot, pt_leaf_word(f, level, oa, prot));
	return true;
}

/* One 4 KiB or 2 MiB leaf, or false. */
static always_inline bool pt_tmpl_map_fast(const struct pt_fmt *f, unsigned top,
                                           struct pt *pt, uint64_t iova,
                                           uint64_t last, uint64_t oa,
                                           uint32_t prot)
{
	uint64_t len_1 = last - iova;

	if (((iova | oa) & PT_PAGE_MASK) || last > pt->max_iova ||
	    iova > last || !pt_oa_ok(oa, len_1) || !pt_prot_ok(f, prot))
		return false;
	if (likely(len_1 == pt_size(0) - 1))
		return pt_tmpl_map_one(f, top, 0, pt, iova, oa, prot);
	if (len_1 == pt_size(1) - 1 && aligned_lg2(iova | oa, pt_shift(1)))
		return pt_tmpl_map_one(f, top, 1, pt, iova, oa, prot);
	return false;
}

static always_inline int pt_tmpl_populate(const struct pt_fmt *f, unsigned top,
                                          struct pt *pt, struct pagecache *pc,
                                          uint64_t iova, uint64_t last,
                                          uint64_t oa)
{
	struct pt_path p;

	if (!pt_range_ok(pt, iova, last) || !pt_oa_ok(oa, last - iova))
		return pt_refuse_map(pt, iova, last, oa, f->need);
	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		unsigned level =
		        pt_best_level(top, p.at, last, oa + (p.at - iova));
		int err = pt_path_build(f, &p, pc, level);
		uint64_t end;

		if (err == -ENOMEM)
			return pt_no_memory();
		/* A leaf in the way: no table is missing below it. */
		end = align_down(p.at, pt_shift(p.level)) + pt_size(p.level);
		if (!err)
			end = p.at + ((uint64_t)pt_chunk_nr(level, p.at, last)
			              << pt_shift(level));
		if (end > last)
			return 0;
		pt_path_move(&p, end);
	}
}

#endif
