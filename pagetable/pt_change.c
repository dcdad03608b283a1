/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes of leaves that stay mapped: another permission, smaller leaves for a
 * larger one. Walkers go on meanwhile, and may mark leaves accessed and dirty
 * at any moment, so words are exchanged and never simply overwritten.
 *
 * Formats with bbm want a changed leaf to be absent for a moment, with an
 * invalidation before the new words (Arm DDI 0487, D8.16.1 "Using
 * break-before-make"); for the others the old and the new words translate
 * alike, and the invalidation comes after.
 */
#include "pagetable/pt_change.h"

#include <errno.h>

uint64_t pt_word_reprot(const struct pt *pt, uint64_t w, unsigned level,
                        uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t bits = f->read | f->write | f->clean;
	uint64_t n = pt_leaf_word(f, &pt->geo, level, 0, 0, prot);

	n = (w & ~bits) | (n & bits);
	/* The mark is one of those bits: it survives where it has a meaning. */
	if ((f->dirty & bits) && pt->geo.dirty_on && (prot & SLUICE_WRITE) &&
	    (pt_word_prot(f, w, level) & SLUICE_WRITE) && pt_word_dirty(f, w))
		n = pt_word_set_dirty(f, n);
	return n;
}

/* Takes nr items out and tells walkers; the words are kept in taken. */
void pt_break(struct pt *pt, au64 *slot, unsigned nr, unsigned level,
              uint64_t iova, uint64_t *taken)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t empty = pt_order(f, pt_empty(f, level));

	/* Acquire: marks that walkers of this process have set; pairs with
	 * the CAS in pt_set_dirty. Release: none follows. */
	for (unsigned i = 0; i < nr; i++)
		taken[i] = pt_order(f, xchg_acqrel(&slot[i], empty));
	pt_flush(pt, slot, nr);
	pt_tell(pt, iova, (uint64_t)nr << pt_shift(f, &pt->geo, level));
}

/* New permission for nr items, in place. */
static void reprot_items(struct pt *pt, au64 *slot, unsigned nr, unsigned level,
                         uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t seen = ld_rlx(&slot[i]);
		uint64_t w;

		do {
			w = pt_word_reprot(pt, pt_order(f, seen), level, prot);
			/* Release: pairs with pt_load. */
		} while (!cas_rel(&slot[i], &seen, pt_order(f, w)));
	}
	pt_flush(pt, slot, nr);
}

static void reprot_broken(struct pt *pt, au64 *slot, unsigned nr,
                          unsigned level, uint64_t iova, uint32_t prot)
{
	uint64_t taken[1u << PT_CONT_LG2_MAX];

	pt_break(pt, slot, nr, level, iova, taken);
	for (unsigned i = 0; i < nr; i++)
		pt_store(pt->fmt, &slot[i],
		         pt_word_reprot(pt, taken[i], level, prot));
	pt_flush(pt, slot, nr);
}

static void reprot_chunk(struct pt *pt, const struct pt_chunk *c, uint64_t iova,
                         uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, c->level);
	unsigned n;

	for (unsigned i = 0; i < c->nr; i += n) {
		uint64_t w = pt_load_rlx(f, &c->slot[i]);

		n = 1u << pt_word_cont(f, &pt->geo, w, c->level);
		if (f->bbm && n > 1)
			reprot_broken(pt, &c->slot[i], n, c->level,
			              iova + ((uint64_t)i << shift), prot);
		else
			reprot_items(pt, &c->slot[i], n, c->level, prot);
	}
}

int pt_protect(struct pt *pt, uint64_t iova, uint64_t last, uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;
	struct pt_path p;
	uint64_t end;
	int err;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (!pt_range_ok(f, pt, iova, last) || !pt_prot_ok(f, prot))
		return pt_refuse_map(pt, iova, last, 0, prot);
	err = pt_check_mapped(f, pt, iova, last);
	if (err)
		return pt_leaf_error(err);
	pt_path_start(pt, &p, iova);
	do {
		struct pt_chunk c;

		if (pt_chunk_find(f, pt, &p, last, &c) ||
		    pt_chunk_trim(f, pt, &p, &c))
			break; /* the owner broke the promise: stop here */
		reprot_chunk(pt, &c, p.at, prot);
		end = pt_chunk_last(f, &pt->geo, &c, p.at);
		pt_path_move(f, &pt->geo, &p, end + 1);
	} while (end < last);
	pt_tell(pt, iova, last - iova + 1);
	return 0;
}

/* Marks nr items dirty. */
void pt_mark_items(const struct pt *pt, au64 *slot, unsigned nr)
{
	uint64_t bit = pt_order(pt->fmt, pt->fmt->dirty);

	for (unsigned i = 0; i < nr; i++) {
		if (pt->fmt->dirty_low)
			fand_rlx(&slot[i], ~bit);
		else
			for_rlx(&slot[i], bit);
	}
	pt_flush(pt, slot, nr);
}

bool pt_leaf_marked(const struct pt *pt, uint64_t w)
{
	return pt->geo.dirty_on && pt_word_dirty(pt->fmt, w);
}

/* Writes [iova, last] -> oa at one level over items that translate alike, or
 * are broken. Returns whether a mark was met on the way. */
static bool rewrite(struct pt *pt, au64 *slot0, unsigned level, uint64_t base,
                    uint64_t iova, uint64_t last, uint64_t oa, uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned shift = pt_shift(f, g, level);
	bool marked = false;

	for (;;) {
		struct pt_size s = pt_best(f, g, level, iova, last, oa);
		struct pt_chunk c = {
		        .slot = &slot0[(iova - base) >> shift],
		        .level = level,
		        .cont = s.cont,
		};
		uint64_t first = pt_leaf_word(f, g, level, s.cont, oa, prot);

		c.nr = 1u << s.cont;
		for (unsigned i = 0; i < c.nr; i++) {
			uint64_t w = pt_item_word(f, g, &c, first, i);

			/* See pt_break. */
			w = pt_order(f,
			             xchg_acqrel(&c.slot[i], pt_order(f, w)));
			marked |= pt_is_leaf(f, w, level) &&
			          pt_leaf_marked(pt, w);
		}
		prot &= ~PT_SW1;
		oa += (uint64_t)c.nr << shift;
		/* This was the last piece. */
		if (last - iova < (uint64_t)c.nr << shift)
			return marked;
		iova += (uint64_t)c.nr << shift;
	}
}

/* A contiguous entry becomes smaller ones, of which one begins, or is a single
 * item that holds, at. */
static void split_entry(struct pt *pt, struct pt_path *p, uint64_t at,
                        const struct pt_run *run, uint64_t w)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned shift = pt_shift(f, g, p->level);
	unsigned nr = (unsigned)pt_items(run->last - run->iova, shift);
	au64 *slot =
	        &p->tbl[p->level][pt_index(f, g, run->iova, p->level, p->top)];
	uint64_t item = align_down(at, shift);
	uint64_t first[3] = {run->iova, item, item + bit64(shift)};
	uint64_t past[3] = {item, item + bit64(shift), run->last + 1};
	uint64_t taken[1u << PT_CONT_LG2_MAX];
	uint32_t prot = run->prot;
	bool marked = false;

	/* On an item's border two pieces do. */
	if (item == at) {
		first[1] = item;
		past[1] = run->last + 1;
		first[2] = past[2];
	}
	if (f->bbm) {
		pt_break(pt, slot, nr, p->level, run->iova, taken);
		for (unsigned i = 0; i < nr; i++)
			marked |= pt_leaf_marked(pt, taken[i]);
	} else {
		marked = pt_leaf_marked(pt, w);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (first[i] == past[i])
			continue;
		marked |= rewrite(pt, slot, p->level, run->iova, first[i],
		                  past[i] - 1, run->oa + (first[i] - run->iova),
		                  prot);
		prot &= ~PT_SW1;
	}
	if (marked)
		pt_mark_items(pt, slot, nr);
	pt_flush(pt, slot, nr);
	if (!f->bbm)
		pt_tell(pt, run->iova, run->last - run->iova + 1);
}

/* A single leaf above level 0 becomes a table of leaves. */
static int split_leaf(struct pt *pt, struct pagecache *pc, struct pt_path *p,
                      const struct pt_run *run)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned level = p->level - 1;
	unsigned nr = pt_slots(f, g, level, PT_LEVELS_MAX);
	au64 *slot = pt_path_slot(f, g, p);
	au64 *t = pagecache_get(&pc[pt_class(g, level)]);
	uint64_t seen = ld_rlx(slot);
	uint64_t link;

	if (!t)
		return pt_no_memory();
	pt_table_init(f, pt, t, level);
	rewrite(pt, t, level, run->iova, run->iova, run->last, run->oa,
	        run->prot);
	link = pt_link_word(f, p->level, (uintptr_t)t) |
	       (g->flush ? f->link_flushed : 0);
	if (f->bbm) {
		pt_break(pt, slot, 1, p->level, run->iova, &seen);
		if (pt_leaf_marked(pt, seen))
			pt_mark_items(pt, t, nr);
	}
	pt_flush(pt, t, nr);
	if (f->bbm) {
		pt_store(f, slot, link);
		pt_flush(pt, slot, 1);
		return 0;
	}
	do {
		if (pt_leaf_marked(pt, pt_order(f, seen)))
			pt_mark_items(pt, t, nr);
		/* Release: the table is complete; pairs with pt_load. */
	} while (!cas_rel(slot, &seen, pt_order(f, link)));
	pt_flush(pt, slot, 1);
	pt_tell(pt, run->iova, run->last - run->iova + 1);
	return 0;
}

/* Makes at the first byte of a leaf, if it lies in one. Leaves split, or
 * -errno. */
static int split_at(struct pt *pt, struct pagecache *pc, uint64_t at)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	struct pt_path p;
	int n = 0;

	pt_path_start(pt, &p, at);
	if (!pt_in_reach(f, g, at, p.top))
		return 0;
	for (;;) {
		uint64_t w = pt_path_settle(f, g, &p, 0);
		struct pt_run run;

		if (!pt_is_leaf(f, w, p.level))
			return n;
		pt_leaf_run(f, g, p.level, at, w, &run);
		if (run.iova == at)
			return n;
		if (pt_word_cont(f, g, w, p.level)) {
			split_entry(pt, &p, at, &run, w);
		} else {
			int err = split_leaf(pt, pc, &p, &run);

			if (err)
				return err;
		}
		n++;
	}
}

static bool is_shared_at(const struct pt *pt, uint64_t at)
{
	const struct pt_fmt *f = pt->fmt;
	struct pt_path p;
	uint64_t w;

	pt_path_start(pt, &p, at);
	if (!pt_in_reach(f, &pt->geo, at, p.top))
		return false;
	w = pt_path_settle(f, &pt->geo, &p, 0);
	return pt_is_link(f, w, p.level);
}

int pt_split(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last)
{
	uint64_t max = pt->geo.max_iova;
	int n;
	int m;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (!pt_range_ok(pt->fmt, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (is_shared_at(pt, iova) ||
	    (last < max && is_shared_at(pt, last + 1)))
		return pt_is_shared();
	n = split_at(pt, pc, iova);
	if (n < 0 || last == max)
		return n;
	m = split_at(pt, pc, last + 1);
	return m < 0 ? m : n + m;
}
