/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Template of unmap. Finds the whole range mapped in whole leaves, then
 * clears it and says what was there. A range that is one run inside one table
 * is found and compared in the same look.
 */
#ifndef SLUICE_PAGETABLE_PT_UNMAP_H
#define SLUICE_PAGETABLE_PT_UNMAP_H

#include "pagetable/pt_map.h"
#include "pagetable/pt_walk.h"

static always_inline int pt_would_split(void)
{
	return msg_lit(-ERANGE, "the range begins or ends inside a larger leaf:"
	                        " unmap as it was mapped");
}

/* Bits by which two leaves of one run may differ: the walker's, and the head
 * mark where the caller merges over heads. */
static always_inline uint64_t pt_run_keep(const struct pt_fmt *f,
                                          const struct pt_gather *g)
{
	uint64_t loose = f->accessed | f->dirty;

	if (!g || g->merge_heads)
		loose |= PT_WORD_SW1;
	return ~loose;
}

/*
 * How many of nr leaves continue the first one. A continuation has no head
 * mark (it starts a run unless keep ignores it), and its address does not
 * carry into the software bits.
 */
static always_inline unsigned pt_run_nr(enum pt_simd simd, const au64 *slot,
                                        unsigned nr, unsigned level,
                                        uint64_t keep)
{
	uint64_t step = pt_size(level);
	uint64_t w = ld_rlx(slot);
	uint64_t first = w & ~PT_WORD_SW1;
	uint64_t room = (PT_ADDR - pt_word_oa(w)) >> pt_shift(level);
	unsigned skip = ((w ^ first) & keep) != 0; /* a head that counts */

	nr = (unsigned)min_u64(nr - 1, room) + 1;
	if (nr == 1 || ((ld_rlx(&slot[1]) ^ (first + step)) & keep))
		return 1;
	/* From the first word on, if possible: that is where lines begin. */
	return skip + pt_words_run(simd, slot + skip, nr - skip,
	                           first + skip * step, step, keep);
}

/* Adds a run to what this call has recorded from slot from on; false when
 * there is no room. */
static always_inline bool pt_gather_add(struct pt_gather *g, uint32_t from,
                                        const struct pt_run *run)
{
	uint32_t loose = g->merge_heads ? PT_SW1 : 0;
	struct pt_run *prev;

	if (g->nr > from) {
		prev = &g->run[g->nr - 1];
		/* Runs of one call follow each other without a gap. */
		if (((prev->prot & ~PT_SW1) ^ (run->prot & ~loose)) == 0 &&
		    prev->oa + (prev->last - prev->iova) + 1 == run->oa) {
			prev->last = run->last;
			return true;
		}
	}
	if (g->nr == g->max)
		return false;
	g->run[g->nr++] = *run;
	return true;
}

/* Records and clears nr leaves; returns how many fitted into g. */
static always_inline unsigned pt_chunk_remove(
        const struct pt_fmt *f, const struct pt *pt, const struct pt_chunk *c,
        uint64_t iova, struct pt_gather *g, uint32_t from)
{
	uint64_t keep = pt_run_keep(f, g);
	unsigned done = 0;

	if (!g || !g->run) {
		pt_words_clear(pt->simd, c->slot, c->nr);
		return c->nr;
	}
	while (done < c->nr) {
		uint64_t w = ld_rlx(&c->slot[done]);
		unsigned n = pt_run_nr(pt->simd, &c->slot[done], c->nr - done,
		                       c->level, keep);
		uint64_t first = iova + ((uint64_t)done << pt_shift(c->level));
		uint64_t len = (uint64_t)n << pt_shift(c->level);
		struct pt_run run = {
		        .iova = first,
		        .last = first + len - 1,
		        .oa = pt_word_oa(w),
		        .prot = pt_word_prot(f, w),
		};

		if (!pt_gather_add(g, from, &run))
			break;
		done += n;
	}
	pt_words_clear(pt->simd, c->slot, done);
	return done;
}

/*
 * The leaves at p->at that one table holds, as far as last. 0, -ENOENT,
 * -ERANGE. Only the first is known to be a leaf.
 */
static always_inline int pt_chunk_find(const struct pt_fmt *f,
                                       struct pt_path *p, uint64_t last,
                                       struct pt_chunk *c)
{
	uint64_t w = pt_path_settle(f, p, 0);

	if (!pt_is_leaf(f, w, p->level))
		return -ENOENT;
	c->level = p->level;
	c->slot = pt_path_slot(p);
	c->nr = pt_chunk_nr(p->level, p->at, last);
	if (!aligned_lg2(p->at, pt_shift(p->level)) || c->nr == 0)
		return -ERANGE;
	return 0;
}

/* The whole range consists of whole leaves: 0, -ENOENT, -ERANGE. */
static always_inline int pt_check_mapped(const struct pt_fmt *f, unsigned top,
                                         const struct pt *pt, uint64_t iova,
                                         uint64_t last)
{
	struct pt_path p;

	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		struct pt_chunk c;
		uint64_t end;
		int err = pt_chunk_find(f, &p, last, &c);

		if (err)
			return err;
		c.nr = pt_words_any(pt->simd, c.slot, c.nr,
		                    pt_leaf_mask(f, c.level));
		end = pt_chunk_end(&c, p.at);
		if (end > last)
			return 0;
		pt_path_move(&p, end);
	}
}

static always_inline int64_t pt_tmpl_remove(const struct pt_fmt *f,
                                            unsigned top, struct pt *pt,
                                            uint64_t iova, uint64_t last,
                                            struct pt_gather *g)
{
	uint32_t from = g ? g->nr : 0;
	struct pt_path p;

	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		struct pt_chunk c;
		uint64_t end;
		unsigned found;

		if (pt_chunk_find(f, &p, last, &c))
			break; /* the owner broke the promise: stop here */
		c.nr = pt_words_any(pt->simd, c.slot, c.nr,
		                    pt_leaf_mask(f, c.level));
		found = c.nr;
		c.nr = pt_chunk_remove(f, pt, &c, p.at, g, from);
		end = pt_chunk_end(&c, p.at);
		if (end > last || c.nr < found)
			return (int64_t)(end - iova);
		pt_path_move(&p, end);
	}
	return (int64_t)(p.at - iova);
}

/* A range that is one run in one table, without a second look. False: not
 * that simple, nothing was changed. */
static always_inline bool pt_unmap_run(const struct pt_fmt *f, unsigned top,
                                       struct pt *pt, uint64_t iova,
                                       uint64_t last, struct pt_gather *g)
{
	struct pt_path p;
	struct pt_chunk c;

	pt_path_start(&p, top, pt->root, iova);
	if (pt_chunk_find(f, &p, last, &c) || pt_chunk_end(&c, iova) <= last)
		return false;
	if (g && g->run) {
		uint64_t w = ld_rlx(c.slot);
		struct pt_run run = {iova, last, pt_word_oa(w),
		                     pt_word_prot(f, w)};

		if (pt_run_nr(pt->simd, c.slot, c.nr, c.level,
		              pt_run_keep(f, g)) != c.nr ||
		    !pt_gather_add(g, g->nr, &run))
			return false;
	} else if (pt_words_any(pt->simd, c.slot, c.nr,
	                        pt_leaf_mask(f, c.level)) != c.nr) {
		return false;
	}
	pt_words_clear(pt->simd, c.slot, c.nr);
	return true;
}

/* Any range, any state. */
static always_inline int64_t pt_tmpl_unmap(const struct pt_fmt *f, unsigned top,
                                           struct pt *pt, uint64_t iova,
                                           uint64_t last, struct pt_gather *g)
{
	int err;

	if (!pt_range_ok(pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (pt_unmap_run(f, top, pt, iova, last, g))
		return (int64_t)(last - iova + 1);
	err = pt_check_mapped(f, top, pt, iova, last);
	if (err)
		return err == -ERANGE ? pt_would_split() : pt_not_mapped();
	/* No return from here: the leaves disappear. */
	return pt_tmpl_remove(f, top, pt, iova, last, g);
}

/* The straight way: one leaf at a constant level. */
static always_inline bool pt_tmpl_unmap_one(const struct pt_fmt *f,
                                            unsigned top, unsigned level,
                                            struct pt *pt, uint64_t iova,
                                            struct pt_gather *g)
{
	au64 *t = pt_table_at(f, top, pt->root, iova, level);
	au64 *slot;
	uint64_t w;

	if (unlikely(!t))
		return false;
	slot = &t[pt_index(iova, level)];
	w = ld_rlx(slot);
	if (unlikely(!pt_is_leaf(f, w, level)))
		return false;
	if (g && g->run) {
		if (unlikely(g->nr == g->max))
			return false;
		pt_leaf_run(f, level, iova, w, &g->run[g->nr++]);
	}
	st_rlx(slot, 0);
	return true;
}

/* One 4 KiB or 2 MiB leaf, or false. */
static always_inline bool pt_tmpl_unmap_fast(const struct pt_fmt *f,
                                             unsigned top, struct pt *pt,
                                             uint64_t iova, uint64_t last,
                                             struct pt_gather *g)
{
	uint64_t len_1 = last - iova;

	if ((iova & PT_PAGE_MASK) || last > pt->max_iova || iova > last)
		return false;
	if (likely(len_1 == pt_size(0) - 1))
		return pt_tmpl_unmap_one(f, top, 0, pt, iova, g);
	if (len_1 == pt_size(1) - 1 && aligned_lg2(iova, pt_shift(1)))
		return pt_tmpl_unmap_one(f, top, 1, pt, iova, g);
	return false;
}

#endif
