/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty harvest. The mark is the walker's to set at any time, so it is
 * taken by one atomic operation: a write that comes later sets it again.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>

#include "pagetable/pt_unmap.h"

static int no_dirty(const struct pt *pt)
{
	if (pt->fmt->dirty)
		return msg_lit(-EOPNOTSUPP,
		               "the walker keeps no dirty marks here: create "
		               "the table with SLUICE_PT_DIRTY");
	return msg_lit(-EOPNOTSUPP, "this format keeps no dirty mark: choose "
	                            "another, or treat all pages as dirty");
}

/* Takes the mark of an item; returns whether it was there. */
static bool take_mark(const struct pt_fmt *f, au64 *slot)
{
	uint64_t bit = pt_order(f, f->dirty);

	if (f->dirty_low)
		return (for_rlx(slot, bit) & bit) == 0;
	return (fand_rlx(slot, ~bit) & bit) != 0;
}

/* Is the entry of run dirty? A walker may mark any of its items. */
static bool entry_dirty(const struct pt *pt, const struct pt_path *p,
                        const struct pt_run *run, bool clear)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, p->level);
	uint64_t items = pt_items(run->last - run->iova, shift);
	au64 *slot = &p->tbl[p->level][pt_index(f, &pt->geo, run->iova,
	                                        p->level, p->top)];
	bool dirty = false;

	for (uint64_t i = 0; i < items; i++) {
		if (!pt_word_dirty(f, pt_load(f, &slot[i])))
			continue;
		dirty = true;
		if (clear)
			take_mark(f, &slot[i]);
	}
	if (dirty && clear)
		pt_flush(pt, slot, items);
	return dirty;
}

static void set_bits(uint64_t *bitmap, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last;) {
		unsigned bit = (unsigned)(i % 64);
		uint64_t nr = min_u64(64 - bit, last - i + 1);

		bitmap[i / 64] |= mask64((unsigned)nr) << bit;
		i += nr;
	}
}

int64_t pt_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear,
                 uint64_t *bitmap)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned page = pt_page_lg2(f, g);
	struct pt_path p;
	int64_t bytes = 0;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (!pt_range_ok(f, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (!g->dirty_on)
		return no_dirty(pt);
	pt_path_start(pt, &p, iova);
	for (;;) {
		uint64_t w;
		struct pt_run run;

		if (!pt_in_reach(f, g, p.at, p.top))
			return bytes;
		w = pt_path_look(f, g, &p);
		run.iova = align_down(p.at, pt_shift(f, g, p.level));
		run.last = p.at | mask64(pt_shift(f, g, p.level));
		if (pt_is_leaf(f, w, p.level)) {
			uint64_t end;

			pt_leaf_run(f, g, p.level, p.at, w, &run);
			end = min_u64(run.last, last);
			if (entry_dirty(pt, &p, &run,
			                clear && run.iova >= iova &&
			                        run.last <= last)) {
				bytes += (int64_t)(end - p.at + 1);
				if (bitmap)
					set_bits(bitmap, (p.at - iova) >> page,
					         (end - iova) >> page);
			}
		}
		if (run.last >= last)
			return bytes;
		pt_path_move(f, g, &p, run.last + 1);
	}
}

/* CAS rather than or: a slot that is emptied meanwhile stays empty. */
int pt_set_dirty(struct pt *pt, uint64_t iova)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t last = iova;
	struct pt_path p;
	au64 *slot;
	uint64_t seen;
	uint64_t w;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (iova > pt->geo.max_iova)
		return pt_too_wide();
	if (!pt->geo.dirty_on)
		return no_dirty(pt);
	pt_path_start(pt, &p, iova);
	if (!pt_in_reach(f, &pt->geo, iova, p.top))
		return pt_not_mapped();
	w = pt_path_settle(f, &pt->geo, &p, 0);
	slot = pt_path_slot(f, &pt->geo, &p);
	do {
		if (!pt_is_leaf(f, w, p.level))
			return pt_is_link(f, w, p.level) ? pt_is_shared()
			                                 : pt_not_mapped();
		if (!(pt_word_prot(f, w, p.level) & SLUICE_WRITE))
			return msg_lit(-EACCES, "a walker does not write here: "
			                        "the leaf is not writable");
		seen = pt_order(f, w);
		w = pt_word_set_dirty(f, w) | f->accessed;
		if (cas_rlx(slot, &seen, pt_order(f, w)))
			return 0;
		w = pt_order(f, seen);
	} while (true);
}
