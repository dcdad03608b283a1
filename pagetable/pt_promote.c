/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fewer and larger: full runs of leaves become contiguous entries or leaves of
 * the next level, and tables that map nothing are unlinked. The marks that
 * walkers make meanwhile are kept; see pt_change.c for the order of things.
 */
#include "pagetable/pt_change.h"

#include <errno.h>

struct job {
	struct pt *pt;
	uint64_t iova, last;
	struct pt_freed *freed;
	int64_t n;
};

/* Items of [iova, last] in the table whose first byte is base. */
static void clip(const struct job *j, unsigned level, unsigned top,
                 uint64_t base, unsigned *ret_from, unsigned *ret_to)
{
	const struct pt_fmt *f = j->pt->fmt;
	unsigned shift = pt_shift(f, &j->pt->geo, level);
	uint64_t nr = pt_slots(f, &j->pt->geo, level, top);
	uint64_t to = j->last < base ? 0 : (j->last - base) >> shift;

	*ret_from = j->iova > base ? (unsigned)((j->iova - base) >> shift) : 0;
	*ret_to = (unsigned)min_u64(to, nr - 1);
}

/* Where an item's own memory begins. */
static uint64_t item_oa(const struct pt *pt, uint64_t w, unsigned level,
                        unsigned index)
{
	unsigned cont = pt_word_cont(pt->fmt, &pt->geo, w, level);

	return pt_word_oa(pt->fmt, &pt->geo, w, level, cont) +
	       ((index & mask64(cont)) << pt_shift(pt->fmt, &pt->geo, level));
}

/* Do nr items from index on translate as one leaf? */
static bool is_run(const struct pt *pt, const au64 *t, unsigned level,
                   unsigned index, unsigned nr, struct pt_run *ret)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, level);
	uint64_t w = pt_load(f, &t[index]);

	if (!pt_is_leaf(f, w, level))
		return false;
	ret->oa = item_oa(pt, w, level, index);
	ret->prot = pt_word_prot(f, w, level);
	if (ret->oa & (((uint64_t)nr << shift) - 1))
		return false;
	for (unsigned i = 1; i < nr; i++) {
		uint32_t prot = ret->prot;
		unsigned first = pt_word_cont(f, &pt->geo, w, level);

		/* The head mark is on all items of the first entry. */
		if (i >> first)
			prot &= ~PT_SW1;
		w = pt_load(f, &t[index + i]);
		if (!pt_is_leaf(f, w, level) ||
		    item_oa(pt, w, level, index + i) !=
		            ret->oa + ((uint64_t)i << shift) ||
		    pt_word_prot(f, w, level) != prot)
			return false;
		w = pt_load(f, &t[index]);
	}
	return true;
}

static bool any_marked(const struct pt *pt, const au64 *t, unsigned nr)
{
	bool marked = false;

	for (unsigned i = 0; i < nr; i++)
		marked |= pt_leaf_marked(pt, pt_load(pt->fmt, &t[i]));
	return marked;
}

/* nr items from index on become one contiguous entry. */
static void make_entry(struct job *j, au64 *t, unsigned level, unsigned index,
                       unsigned cont, uint64_t base, const struct pt_run *run)
{
	struct pt *pt = j->pt;
	const struct pt_fmt *f = pt->fmt;
	struct pt_chunk c = {&t[index], 1u << cont, level, cont};
	unsigned shift = pt_shift(f, &pt->geo, level);
	uint64_t iova = base + ((uint64_t)index << shift);
	uint64_t first =
	        pt_leaf_word(f, &pt->geo, level, cont, run->oa, run->prot);
	uint64_t taken[1u << PT_CONT_LG2_MAX];
	bool marked = false;

	if (f->bbm)
		pt_break(pt, c.slot, c.nr, level, iova, taken);
	for (unsigned i = 0; i < c.nr; i++) {
		uint64_t w = pt_item_word(f, &pt->geo, &c, first, i);

		/* See pt_break. */
		w = pt_order(f, xchg_acqrel(&c.slot[i], pt_order(f, w)));
		if (f->bbm)
			w = taken[i];
		marked |= pt_leaf_marked(pt, w);
	}
	if (marked)
		pt_mark_items(pt, c.slot, c.nr);
	pt_flush(pt, c.slot, c.nr);
	if (!f->bbm)
		pt_tell(pt, iova, (uint64_t)c.nr << shift);
	j->n++;
}

/* Contiguous entries inside one table, the smaller ones first. */
static void join_items(struct job *j, au64 *t, unsigned level, unsigned from,
                       unsigned to, uint64_t base)
{
	const struct pt_fmt *f = j->pt->fmt;
	unsigned max = f->cont_lg2[level];
	unsigned cont = f->cont == PT_CONT_AMD ? 1 : max;
	struct pt_run run;

	if (f->cont == PT_CONT_NONE || !j->pt->geo.contig || !max)
		return;
	for (; cont <= max; cont++) {
		unsigned nr = 1u << cont;
		unsigned i = (from + nr - 1) >> cont << cont;

		for (; i + nr <= to + 1; i += nr) {
			uint64_t w = pt_load(f, &t[i]);

			if (pt_is_leaf(f, w, level) &&
			    pt_word_cont(f, &j->pt->geo, w, level) < cont &&
			    is_run(j->pt, t, level, i, nr, &run))
				make_entry(j, t, level, i, cont, base, &run);
		}
	}
}

/* The table below slot becomes a leaf, if it is full and its leaves follow each
 * other. */
static bool join_table(struct job *j, au64 *slot, unsigned level, uint64_t iova)
{
	struct pt *pt = j->pt;
	const struct pt_fmt *f = pt->fmt;
	uint64_t reach = bit64(pt_shift(f, &pt->geo, level));
	uint64_t link = pt_load(f, slot);
	au64 *t = pt_word_table(f, link);
	unsigned nr = pt_slots(f, &pt->geo, level - 1, PT_LEVELS_MAX);
	struct pt_run run;
	uint64_t leaf;
	uint64_t seen;

	if (!pt_level_has_leaves(f, level) ||
	    !is_run(pt, t, level - 1, 0, nr, &run))
		return false;
	leaf = pt_leaf_word(f, &pt->geo, level, 0, run.oa, run.prot);
	if (f->bbm)
		pt_break(pt, slot, 1, level, iova, &seen);
	pt_store(f, slot, leaf);
	pt_flush(pt, slot, 1);
	pt_tell(pt, iova, reach);
	/* What walkers have marked before they forgot the old way. */
	if (any_marked(pt, t, nr))
		pt_mark_items(pt, slot, 1);
	pt_unlink(pt, t, level - 1, j->freed);
	j->n++;
	return true;
}

static void promote_table(struct job *j, au64 *t, unsigned level, unsigned top,
                          uint64_t base)
{
	const struct pt_fmt *f = j->pt->fmt;
	unsigned shift = pt_shift(f, &j->pt->geo, level);
	unsigned from;
	unsigned to;

	clip(j, level, top, base, &from, &to);
	for (unsigned i = from; level && i <= to; i++) {
		uint64_t w = pt_load(f, &t[i]);
		uint64_t iova = base + ((uint64_t)i << shift);

		if (!pt_is_own_link(f, w, level))
			continue;
		promote_table(j, pt_word_table(f, w), level - 1, top, iova);
		if (iova >= j->iova && (iova | mask64(shift)) <= j->last)
			join_table(j, &t[i], level, iova);
	}
	/* Items that the range covers only in part stay as they are. */
	if (j->iova > base + ((uint64_t)from << shift))
		from++;
	if (j->last < ((base + ((uint64_t)to << shift)) | mask64(shift))) {
		if (to == 0)
			return;
		to--;
	}
	if (from <= to)
		join_items(j, t, level, from, to, base);
}

static int start(struct job *j)
{
	if (!pt_fold(j->pt, &j->iova, &j->last))
		return pt_refuse_sign();
	if (!pt_range_ok(j->pt->fmt, j->pt, j->iova, j->last))
		return pt_refuse_range(j->pt, j->iova, j->last);
	return 0;
}

int64_t pt_promote(struct pt *pt, uint64_t iova, uint64_t last,
                   struct pt_freed *freed)
{
	struct job j = {.pt = pt, .iova = iova, .last = last, .freed = freed};
	uint64_t root = pt_root_word(pt);
	int err = start(&j);

	if (err)
		return err;
	if (pt_in_reach(pt->fmt, &pt->geo, j.iova, pt_root_top(root)))
		promote_table(&j, pt_root_table(root), pt_root_top(root),
		              pt_root_top(root), 0);
	return j.n;
}

static void reclaim_table(struct job *j, au64 *t, unsigned level, unsigned top,
                          uint64_t base)
{
	struct pt *pt = j->pt;
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, level);
	unsigned from;
	unsigned to;

	clip(j, level, top, base, &from, &to);
	for (unsigned i = from; i <= to; i++) {
		uint64_t w = pt_load(f, &t[i]);
		uint64_t iova = base + ((uint64_t)i << shift);
		au64 *below;

		if (!pt_is_own_link(f, w, level))
			continue;
		below = pt_word_table(f, w);
		if (iova >= j->iova && (iova | mask64(shift)) <= j->last &&
		    pt_table_empty(pt, below, level - 1)) {
			pt_clear(f, &t[i], level);
			pt_flush(pt, &t[i], 1);
			pt_unlink(pt, below, level - 1, j->freed);
		} else if (level > 1) {
			reclaim_table(j, below, level - 1, top, iova);
		}
	}
}

int64_t pt_reclaim(struct pt *pt, uint64_t iova, uint64_t last,
                   struct pt_freed *freed)
{
	struct job j = {.pt = pt, .iova = iova, .last = last, .freed = freed};
	uint64_t root = pt_root_word(pt);
	unsigned top = pt_root_top(root);
	uint64_t before = freed->bytes;
	int err = start(&j);

	if (err)
		return err;
	if (top && pt_in_reach(pt->fmt, &pt->geo, j.iova, top))
		reclaim_table(&j, pt_root_table(root), top, top, 0);
	if (freed->bytes != before)
		pt_tell(pt, j.iova, j.last - j.iova + 1);
	return (int64_t)(freed->bytes - before);
}
