/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Templates of map. Two passes: the first finds the tables and looks at every
 * slot, the second writes and cannot fail, so a refused map was never visible.
 * A range inside one table needs no second descent.
 */
#ifndef SLUICE_PAGETABLE_PT_MAP_H
#define SLUICE_PAGETABLE_PT_MAP_H

#include "pagetable/pt_chunk.h"

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

static inline int pt_map_error(int err)
{
	if (err == -EEXIST)
		return pt_occupied();
	return err == -EBUSY ? pt_is_shared() : pt_no_memory();
}

/* Adds levels until last is in reach. 0, -ENOMEM. */
int pt_grow(struct pt *pt, struct pagecache *pc, uint64_t last);
/* One level above the root that the caller has looked at. */
int pt_grow_one(struct pt *pt, struct pagecache *pc, uint64_t old);

/* Slots with no leaf at or below them: 0 or -EEXIST. */
static always_inline int pt_chunk_check(const struct pt_fmt *f,
                                        const struct pt *pt,
                                        const struct pt_chunk *c)
{
	if (likely(pt_run_empty(f, pt, c->slot, c->nr, c->level)))
		return 0;
	if (c->level == 0)
		return -EEXIST;
	for (unsigned i = 0; i < c->nr; i++) {
		uint64_t w = pt_load(f, &c->slot[i]);

		if (w == pt_empty(f, c->level))
			continue;
		if (!pt_is_link(f, w, c->level) ||
		    !pt_table_empty(pt, pt_word_table(f, w), c->level - 1))
			return -EEXIST;
	}
	return 0;
}

static always_inline void pt_chunk_write(const struct pt_fmt *f, struct pt *pt,
                                         const struct pt_chunk *c,
                                         uint64_t iova, uint64_t oa,
                                         uint32_t prot, struct pt_freed *freed)
{
	for (unsigned i = 0; c->level && i < c->nr; i++)
		if (pt_load(f, &c->slot[i]) != pt_empty(f, c->level))
			pt_take_out(pt, &c->slot[i], c->level,
			            iova + ((uint64_t)i
			                    << pt_shift(f, &pt->geo, c->level)),
			            freed);
	pt_chunk_fill(f, pt, c, oa, prot);
}

/* The chunk that begins at p->at, its tables in place and its slots free. */
static always_inline int pt_chunk_prepare(const struct pt_fmt *f,
                                          const struct pt *pt,
                                          struct pagecache *pc,
                                          struct pt_path *p, uint64_t last,
                                          uint64_t oa, struct pt_chunk *c)
{
	const struct pt_geo *g = &pt->geo;
	struct pt_size s = pt_best(f, g, p->top, p->at, last, oa);
	int err = pt_path_build(f, pt, p, pc, s.level);

	if (err)
		return err;
	c->level = s.level;
	c->cont = s.cont;
	c->slot = pt_path_slot(f, g, p);
	c->nr = pt_chunk_nr(f, g, p->top, s, p->at, last, oa);
	/* A table that this path has linked is empty here: ours alone. */
	return p->fresh ? 0 : pt_chunk_check(f, pt, c);
}

/* Checks, and makes tables for, [p->at, last] -> oa. *c is the last chunk. */
static always_inline int pt_prepare_all(const struct pt_fmt *f,
                                        const struct pt *pt,
                                        struct pagecache *pc, struct pt_path *p,
                                        uint64_t last, uint64_t oa,
                                        struct pt_chunk *c)
{
	const struct pt_geo *g = &pt->geo;

	for (;;) {
		int err = pt_chunk_prepare(f, pt, pc, p, last, oa, c);
		uint64_t end;

		if (err)
			return err;
		end = pt_chunk_last(f, g, c, p->at);
		if (end >= last)
			return 0;
		oa += end + 1 - p->at;
		pt_path_move(f, g, p, end + 1);
	}
}

/* Writes [p->at, last] -> oa. */
static always_inline void pt_write_all(const struct pt_fmt *f, struct pt *pt,
                                       struct pt_path *p, uint64_t last,
                                       uint64_t oa, uint32_t prot,
                                       struct pt_freed *freed)
{
	const struct pt_geo *g = &pt->geo;

	for (;;) {
		struct pt_size s = pt_best(f, g, p->top, p->at, last, oa);
		struct pt_chunk c = {.level = s.level, .cont = s.cont};
		uint64_t end;

		pt_path_settle(f, g, p, s.level);
		c.slot = pt_path_slot(f, g, p);
		c.nr = pt_chunk_nr(f, g, p->top, s, p->at, last, oa);
		pt_chunk_write(f, pt, &c, p->at, oa, prot, freed);
		prot &= ~PT_SW1;
		end = pt_chunk_last(f, g, &c, p->at);
		if (end >= last)
			return;
		oa += end + 1 - p->at;
		pt_path_move(f, g, p, end + 1);
	}
}

/* Any range, any state. */
static always_inline int pt_tmpl_map(const struct pt_fmt *f, struct pt *pt,
                                     struct pagecache *pc, uint64_t iova,
                                     uint64_t last, uint64_t oa, uint32_t prot,
                                     struct pt_freed *freed)
{
	struct pt_chunk c;
	struct pt_path p;
	int err;

	if (!pt_range_ok(f, pt, iova, last) ||
	    !pt_oa_ok(f, pt, oa, last - iova) || !pt_prot_ok(f, prot))
		return pt_refuse_map(pt, iova, last, oa, prot);
	if (f->grows && pt_grow(pt, pc, last))
		return pt_no_memory();
	pt_path_start(pt, &p, iova);
	err = pt_prepare_all(f, pt, pc, &p, last, oa, &c);
	if (err)
		return pt_map_error(err);
	/* No return from here: the leaves become visible. */
	if (p.at == iova) {
		pt_chunk_write(f, pt, &c, iova, oa, prot, freed);
		return 0;
	}
	pt_path_start(pt, &p, iova);
	pt_write_all(f, pt, &p, last, oa, prot, freed);
	return 0;
}

/* Pieces that continue each other as one: a cursor over a scatter list. */
struct pt_pieces {
	const struct sluice_pt_seg *seg;
	uint32_t nr;
	uint64_t oa;
	uint64_t len;
};

static always_inline bool pt_piece_next(struct pt_pieces *s)
{
	if (s->nr == 0)
		return false;
	s->oa = s->seg->oa;
	s->len = s->seg->len;
	for (s->seg++, s->nr--; s->nr && s->seg->oa == s->oa + s->len;
	     s->seg++, s->nr--)
		s->len += s->seg->len;
	return true;
}

/* The whole list, before anything is touched: says what is wrong. */
int pt_check_pieces(const struct pt *pt, uint64_t iova,
                    const struct sluice_pt_seg *seg, uint32_t nr, uint32_t prot,
                    uint64_t *ret_last);

/*
 * The straight way for a list: all of it in one table of level 0 that is there,
 * and no piece that might be a larger entry. False when it is not that simple;
 * nothing was changed.
 */
static always_inline bool pt_tmpl_sg_fast(const struct pt_fmt *f, struct pt *pt,
                                          uint64_t iova, uint64_t last,
                                          const struct sluice_pt_seg *seg,
                                          uint32_t nr, uint32_t prot)
{
	const struct pt_geo *g = &pt->geo;
	unsigned page = pt_page_lg2(f, g);
	unsigned n = (unsigned)((last - iova) >> page) + 1;
	au64 *slot;

	/* Less than a table, so that nothing larger can begin in it. */
	if ((iova ^ last) >> pt_shift(f, g, 1) ||
	    last - iova == mask64(pt_shift(f, g, 1)) || g->flush ||
	    !pt_below_root(f, pt, 0))
		return false;
	for (uint32_t i = 0; f->cont != PT_CONT_NONE && i < nr; i++)
		if (seg[i].len >> page != 1 ||
		    (i && seg[i].oa == seg[i - 1].oa + seg[i - 1].len))
			return false;
	slot = pt_table_at(f, pt, iova, 0);
	if (unlikely(!slot))
		return false;
	slot += pt_index(f, g, iova, 0, PT_LEVELS_MAX);
	if (unlikely(!pt_run_empty(f, pt, slot, n, 0)))
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t first = pt_leaf_word(f, g, 0, 0, seg[i].oa, prot);

		n = (unsigned)(seg[i].len >> page);
		pt_store(f, slot, first);
		prot &= ~PT_SW1;
		if (n > 1)
			pt_run_fill(f, pt, slot + 1, n - 1,
			            pt_leaf_word(f, g, 0, 0, seg[i].oa, prot) +
			                    pt_step(f, g, 0),
			            pt_step(f, g, 0));
		slot += n;
	}
	return true;
}

static always_inline int pt_tmpl_map_sg(const struct pt_fmt *f, struct pt *pt,
                                        struct pagecache *pc, uint64_t iova,
                                        const struct sluice_pt_seg *seg,
                                        uint32_t nr, uint32_t prot,
                                        struct pt_freed *freed)
{
	struct pt_pieces s = {.seg = seg, .nr = nr};
	struct pt_path p;
	uint64_t at = iova;
	uint64_t last;
	int err = pt_check_pieces(pt, iova, seg, nr, prot, &last);

	if (err)
		return err;
	if (likely(pt_tmpl_sg_fast(f, pt, iova, last, seg, nr, prot)))
		return 0;
	if (f->grows && pt_grow(pt, pc, last))
		return pt_no_memory();
	pt_path_start(pt, &p, at);
	while (pt_piece_next(&s)) {
		struct pt_chunk c;

		pt_path_move(f, &pt->geo, &p, at);
		err = pt_prepare_all(f, pt, pc, &p, at + s.len - 1, s.oa, &c);
		if (err)
			return pt_map_error(err);
		at += s.len;
	}
	/* No return from here: the leaves become visible. */
	s = (struct pt_pieces){.seg = seg, .nr = nr};
	at = iova;
	pt_path_start(pt, &p, at);
	while (pt_piece_next(&s)) {
		pt_path_move(f, &pt->geo, &p, at);
		pt_write_all(f, pt, &p, at + s.len - 1, s.oa, prot, freed);
		prot &= ~PT_SW1;
		at += s.len;
	}
	return 0;
}

/*
 * The straight way: one leaf at a constant level into an empty slot of a
 * table that is there. False when it is not that simple; nothing was changed.
 */
static always_inline bool pt_tmpl_map_one(const struct pt_fmt *f,
                                          unsigned level, struct pt *pt,
                                          uint64_t iova, uint64_t oa,
                                          uint32_t prot)
{
	au64 *t = pt_table_at(f, pt, iova, level);
	au64 *slot;

	if (unlikely(!t))
		return false;
	/* The root is higher. */
	slot = &t[pt_index(f, &pt->geo, iova, level, PT_LEVELS_MAX)];
	if (unlikely(pt_load_rlx(f, slot) != pt_empty(f, level)))
		return false;
	pt_store(f, slot, pt_leaf_word(f, &pt->geo, level, 0, oa, prot));
	return true;
}

/* One leaf of level 0 or 1, or false. */
static always_inline bool pt_tmpl_map_fast(const struct pt_fmt *f,
                                           struct pt *pt, uint64_t iova,
                                           uint64_t last, uint64_t oa,
                                           uint32_t prot)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t len_1 = last - iova;

	if (((iova | oa) & pt_page_mask(f, g)) || last > g->max_iova ||
	    iova > last || !pt_oa_ok(f, pt, oa, len_1) ||
	    !pt_prot_ok(f, prot) || g->flush)
		return false;
	if (likely(len_1 == pt_page_mask(f, g)))
		return pt_tmpl_map_one(f, 0, pt, iova, oa, prot);
	if (len_1 == mask64(pt_shift(f, g, 1)) && pt_below_root(f, pt, 1) &&
	    aligned_lg2(iova | oa, pt_shift(f, g, 1)))
		return pt_tmpl_map_one(f, 1, pt, iova, oa, prot);
	return false;
}

#endif
