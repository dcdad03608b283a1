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
	                        " unmap as it was mapped, or split it first");
}

static inline int pt_leaf_error(int err)
{
	if (err == -ERANGE)
		return pt_would_split();
	return err == -EBUSY ? pt_is_shared() : pt_not_mapped();
}

/* Bits by which two leaves of one run may differ: the walker's, and the head
 * mark where the caller merges over heads. */
static always_inline uint64_t pt_run_keep(const struct pt_fmt *f,
                                          const struct pt_gather *g,
                                          unsigned level)
{
	uint64_t loose = f->accessed | f->dirty;

	if (!g || g->merge_heads)
		loose |= pt_word_sw1(f, level);
	return ~loose;
}

/*
 * How many of nr single-item leaves continue the first one, w. A continuation
 * has no head mark (it starts a run unless keep ignores it), and its address
 * does not carry into other bits.
 */
static always_inline unsigned pt_run_nr(const struct pt_fmt *f,
                                        const struct pt *pt, const au64 *slot,
                                        uint64_t w, unsigned nr, unsigned level,
                                        uint64_t keep)
{
	uint64_t step = pt_step(f, &pt->geo, level);
	uint64_t first = w & ~pt_word_sw1(f, level);
	uint64_t field = f->addr & mask64(f->oa_high ? 48 : 64);
	unsigned shift = pt_shift(f, &pt->geo, level) - f->oa_shr;
	uint64_t room = ((field | mask64(shift)) - (w & field)) >> shift;
	unsigned skip = ((w ^ first) & keep) != 0; /* a head that counts */
	unsigned i;

	nr = (unsigned)min_u64(nr - 1, room) + 1;
	if (nr == 1 || ((pt_load_rlx(f, &slot[1]) ^ (first + step)) & keep))
		return 1;
	if (pt_swapped(f)) {
		for (i = 2; i < nr; i++)
			if ((pt_load_rlx(f, &slot[i]) ^ (first + i * step)) &
			    keep)
				break;
		return i;
	}
	/* From the first word on, if possible: that is where lines begin. */
	return skip + pt_words_run(pt->simd, slot + skip, nr - skip,
	                           first + skip * step, step, keep);
}

/* The run of leaves that begins at item i of a chunk. Returns its items. */
static always_inline unsigned pt_run_at(const struct pt_fmt *f,
                                        const struct pt *pt,
                                        const struct pt_chunk *c, uint64_t iova,
                                        unsigned i, uint64_t keep,
                                        struct pt_run *ret)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t w = pt_load_rlx(f, &c->slot[i]);
	unsigned cont = pt_word_cont(f, g, w, c->level);
	unsigned shift = pt_shift(f, g, c->level);
	unsigned n = cont ? 1u << cont
	                  : pt_run_nr(f, pt, &c->slot[i], w, c->nr - i,
	                              c->level, keep);
	uint64_t first = iova + ((uint64_t)i << shift);

	*ret = (struct pt_run){
	        .iova = first,
	        .last = first + ((uint64_t)n << shift) - 1,
	        .oa = pt_word_oa(f, g, w, c->level, cont),
	        .prot = pt_word_prot(f, w, c->level),
	};
	return n;
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

/* Records and clears the leaves of a chunk; returns the items that fitted into
 * g. */
static always_inline unsigned pt_chunk_remove(
        const struct pt_fmt *f, const struct pt *pt, const struct pt_chunk *c,
        uint64_t iova, struct pt_gather *g, uint32_t from)
{
	uint64_t keep = pt_run_keep(f, g, c->level);
	unsigned done = 0;

	if (!g || !g->run)
		done = c->nr;
	while (done < c->nr) {
		struct pt_run run;
		unsigned n = pt_run_at(f, pt, c, iova, done, keep, &run);

		if (!pt_gather_add(g, from, &run))
			break;
		done += n;
	}
	pt_run_clear(f, pt, c->slot, done, c->level);
	return done;
}

/* Do the entries at both ends of a chunk of leaves lie inside it? Those between
 * do, then. A chunk that a hole cuts short is cut back to whole entries. */
static always_inline bool pt_chunk_whole(const struct pt_fmt *f,
                                         const struct pt *pt,
                                         const struct pt_chunk *c,
                                         unsigned index)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t w;
	unsigned end = index + c->nr;

	if (f->cont == PT_CONT_NONE)
		return true;
	w = pt_load_rlx(f, c->slot);
	if (index & mask64(pt_word_cont(f, g, w, c->level)))
		return false;
	w = pt_load_rlx(f, &c->slot[c->nr - 1]);
	return (end & mask64(pt_word_cont(f, g, w, c->level))) == 0;
}

/*
 * The leaves at p->at that one table holds, as far as last. 0, -ENOENT,
 * -ERANGE, -EBUSY. Only the first is known to be a leaf.
 */
static always_inline int pt_chunk_find(const struct pt_fmt *f,
                                       const struct pt *pt, struct pt_path *p,
                                       uint64_t last, struct pt_chunk *c)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t w = pt_path_settle(f, g, p, 0);
	unsigned shift = pt_shift(f, g, p->level);
	unsigned index;

	if (unlikely(!pt_is_leaf(f, w, p->level)))
		return pt_is_link(f, w, p->level) ? -EBUSY : -ENOENT;
	index = pt_index(f, g, p->at, p->level, p->top);
	c->level = p->level;
	c->slot = &p->tbl[p->level][index];
	c->cont = 0;
	c->nr = (unsigned)min_u64(pt_slots(f, g, p->level, p->top) - index,
	                          pt_items(last - p->at, shift));
	if (!aligned_lg2(p->at, shift) || c->nr == 0)
		return -ERANGE;
	return 0;
}

/* Cuts a chunk to the leaves it begins with and sees that they are whole. 0,
 * -ERANGE. */
static always_inline int pt_chunk_trim(const struct pt_fmt *f,
                                       const struct pt *pt,
                                       const struct pt_path *p,
                                       struct pt_chunk *c)
{
	c->nr = pt_run_leaves(f, pt, c->slot, c->nr, c->level);
	if (f->cont != PT_CONT_NONE &&
	    !pt_chunk_whole(f, pt, c,
	                    pt_index(f, &pt->geo, p->at, p->level, p->top)))
		return -ERANGE;
	return 0;
}

/* The whole range consists of whole leaves: 0, -ENOENT, -ERANGE, -EBUSY. */
static inline int pt_check_mapped(const struct pt_fmt *f, const struct pt *pt,
                                  uint64_t iova, uint64_t last)
{
	struct pt_path p;

	pt_path_start(pt, &p, iova);
	if (!pt_in_reach(f, &pt->geo, last, p.top))
		return -ENOENT;
	for (;;) {
		struct pt_chunk c;
		uint64_t end;
		int err = pt_chunk_find(f, pt, &p, last, &c);

		if (!err)
			err = pt_chunk_trim(f, pt, &p, &c);
		if (err)
			return err;
		end = pt_chunk_last(f, &pt->geo, &c, p.at);
		if (end >= last)
			return 0;
		pt_path_move(f, &pt->geo, &p, end + 1);
	}
}

static always_inline int64_t pt_tmpl_remove(const struct pt_fmt *f,
                                            struct pt *pt, uint64_t iova,
                                            uint64_t last, struct pt_gather *g)
{
	uint32_t from = g ? g->nr : 0;
	struct pt_path p;

	pt_path_start(pt, &p, iova);
	for (;;) {
		struct pt_chunk c;
		uint64_t end;
		unsigned found;

		if (pt_chunk_find(f, pt, &p, last, &c) ||
		    pt_chunk_trim(f, pt, &p, &c))
			break; /* the owner broke the promise: stop here */
		found = c.nr;
		c.nr = pt_chunk_remove(f, pt, &c, p.at, g, from);
		end = pt_chunk_last(f, &pt->geo, &c, p.at);
		if (end >= last || c.nr < found)
			return (int64_t)(end - iova + 1);
		pt_path_move(f, &pt->geo, &p, end + 1);
	}
	return (int64_t)(p.at - iova);
}

/* A range that is one run in one table, without a second look. False: not
 * that simple, nothing was changed. */
static always_inline bool pt_unmap_run(const struct pt_fmt *f, struct pt *pt,
                                       uint64_t iova, uint64_t last,
                                       struct pt_gather *g)
{
	struct pt_path p;
	struct pt_chunk c;
	struct pt_run run;

	pt_path_start(pt, &p, iova);
	if (!pt_in_reach(f, &pt->geo, last, p.top) ||
	    pt_chunk_find(f, pt, &p, last, &c) ||
	    pt_chunk_last(f, &pt->geo, &c, iova) < last)
		return false;
	if (g && g->run) {
		/* The run may be longer than the chunk: a larger entry. */
		if (pt_run_at(f, pt, &c, iova, 0, pt_run_keep(f, g, c.level),
		              &run) != c.nr ||
		    !pt_chunk_whole(
		            f, pt, &c,
		            pt_index(f, &pt->geo, iova, c.level, p.top)) ||
		    !pt_gather_add(g, g->nr, &run))
			return false;
	} else {
		unsigned nr = c.nr;

		if (pt_chunk_trim(f, pt, &p, &c) || c.nr != nr)
			return false;
	}
	pt_run_clear(f, pt, c.slot, c.nr, c.level);
	return true;
}

/* Any range, any state. */
static always_inline int64_t pt_tmpl_unmap(const struct pt_fmt *f,
                                           struct pt *pt, uint64_t iova,
                                           uint64_t last, struct pt_gather *g)
{
	int err;

	if (!pt_range_ok(f, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (pt_unmap_run(f, pt, iova, last, g))
		return (int64_t)(last - iova + 1);
	err = pt_check_mapped(f, pt, iova, last);
	if (err)
		return pt_leaf_error(err);
	/* No return from here: the leaves disappear. */
	return pt_tmpl_remove(f, pt, iova, last, g);
}

/* The straight way: one single-item leaf at a constant level. */
static always_inline bool pt_tmpl_unmap_one(const struct pt_fmt *f,
                                            unsigned level, struct pt *pt,
                                            uint64_t iova, struct pt_gather *g)
{
	au64 *t = pt_table_at(f, pt, iova, level);
	au64 *slot;
	uint64_t w;

	if (unlikely(!t))
		return false;
	slot = &t[pt_index(f, &pt->geo, iova, level, PT_LEVELS_MAX)];
	w = pt_load_rlx(f, slot);
	if (unlikely(!pt_is_leaf(f, w, level)) ||
	    pt_word_cont(f, &pt->geo, w, level))
		return false;
	if (g && g->run) {
		if (unlikely(g->nr == g->max))
			return false;
		pt_leaf_run(f, &pt->geo, level, iova, w, &g->run[g->nr++]);
	}
	pt_clear(f, slot, level);
	return true;
}

/* One leaf of level 0 or 1, or false. */
static always_inline bool pt_tmpl_unmap_fast(const struct pt_fmt *f,
                                             struct pt *pt, uint64_t iova,
                                             uint64_t last, struct pt_gather *g)
{
	uint64_t len_1 = last - iova;

	if ((iova & pt_page_mask(f, &pt->geo)) || last > pt->geo.max_iova ||
	    iova > last || pt->geo.flush)
		return false;
	if (likely(len_1 == pt_page_mask(f, &pt->geo)))
		return pt_tmpl_unmap_one(f, 0, pt, iova, g);
	if (len_1 == mask64(pt_shift(f, &pt->geo, 1)) &&
	    pt_below_root(f, pt, 1) &&
	    aligned_lg2(iova, pt_shift(f, &pt->geo, 1)))
		return pt_tmpl_unmap_one(f, 1, pt, iova, g);
	return false;
}

#endif
