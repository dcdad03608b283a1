/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Templates of the dirty harvest. The bit is the walker's to set at any time,
 * so it is taken by an atomic and: a write that comes later sets it again.
 */
#ifndef SLUICE_PAGETABLE_PT_DIRTY_H
#define SLUICE_PAGETABLE_PT_DIRTY_H

#include "pagetable/pt_unmap.h"

static always_inline int pt_no_dirty(void)
{
	return msg_lit(-EOPNOTSUPP, "this format keeps no dirty bit: choose "
	                            "another, or treat all pages as dirty");
}

/* Is the leaf that holds at dirty? Takes the bit only from a leaf that lies
 * whole in [first, last]: the rest of it would be forgotten. */
static always_inline bool pt_leaf_dirty(const struct pt_fmt *f,
                                        const struct pt_path *p, uint64_t w,
                                        uint64_t first, uint64_t last,
                                        bool clear)
{
	uint64_t start = align_down(p->at, pt_shift(p->level));
	uint64_t end_1 = start + mask64(pt_shift(p->level));

	if (!pt_is_leaf(f, w, p->level) || !(w & f->dirty))
		return false;
	if (clear && start >= first && end_1 <= last)
		return (fand_rlx(pt_path_slot(p), ~f->dirty) & f->dirty) != 0;
	return true;
}

static always_inline int64_t pt_tmpl_dirty(const struct pt_fmt *f, unsigned top,
                                           struct pt *pt, uint64_t iova,
                                           uint64_t last, bool clear)
{
	struct pt_path p;
	int64_t bytes = 0;

	if (!pt_range_ok(pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (!f->dirty)
		return pt_no_dirty();
	pt_path_start(&p, top, pt->root, iova);
	for (;;) {
		uint64_t w = pt_path_settle(f, &p, 0);
		uint64_t end =
		        align_down(p.at, pt_shift(p.level)) + pt_size(p.level);

		if (pt_leaf_dirty(f, &p, w, iova, last, clear))
			bytes += (int64_t)(min_u64(end - 1, last) - p.at + 1);
		if (end > last)
			return bytes;
		pt_path_move(&p, end);
	}
}

/* CAS rather than or: a slot that is emptied meanwhile stays empty. */
static always_inline int pt_tmpl_set_dirty(const struct pt_fmt *f, unsigned top,
                                           struct pt *pt, uint64_t iova)
{
	struct pt_path p;
	uint64_t w;

	if (iova > pt->max_iova)
		return pt_too_wide();
	if (!f->dirty)
		return pt_no_dirty();
	pt_path_start(&p, top, pt->root, iova);
	w = pt_path_settle(f, &p, 0);
	do {
		if (!pt_is_leaf(f, w, p.level))
			return pt_not_mapped();
	} while (!cas_rlx(pt_path_slot(&p), &w, w | f->dirty | f->accessed));
	return 0;
}

#endif
