/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Template of claim: a map of a range that nobody owns, decided slot by slot.
 */
#ifndef SLUICE_PAGETABLE_PT_CLAIM_H
#define SLUICE_PAGETABLE_PT_CLAIM_H

#include "pagetable/pt_map.h"

/* Takes back [va, end): leaves that this call has installed, so nobody else
 * writes them. */
static always_inline void pt_claim_undo(const struct pt_fmt *f, struct pt *pt,
                                        uint64_t va, uint64_t end)
{
	const struct pt_geo *g = &pt->geo;
	struct pt_path p;

	pt_path_start(pt, &p, va);
	while (p.at < end) {
		au64 *slot;

		pt_path_settle(f, g, &p, 0);
		slot = pt_path_slot(f, g, &p);
		pt_clear(f, slot, p.level);
		pt_flush(pt, slot, 1);
		pt_path_move(f, g, &p, p.at + bit64(pt_shift(f, g, p.level)));
	}
}

/* One leaf at p->at, as large as best allows and the slots are free. */
static always_inline int pt_claim_one(const struct pt_fmt *f, struct pt *pt,
                                      struct pt_path *p, struct pagecache *pc,
                                      unsigned best, uint64_t iova,
                                      uint32_t prot)
{
	const struct pt_geo *g = &pt->geo;

	for (;;) {
		uint64_t word = pt_leaf_word(f, g, best, 0, iova, prot);
		uint64_t seen = pt_order(f, pt_empty(f, best));
		int err = pt_path_build(f, pt, p, pc, best);
		au64 *slot;

		if (err)
			return err;
		slot = pt_path_slot(f, g, p);
		/* Release: what the owner wrote about this mapping is seen by
		 * whoever finds the leaf. Pairs with pt_load. */
		if (cas_rel(slot, &seen, pt_order(f, word))) {
			pt_flush(pt, slot, 1);
			return 0;
		}
		if (!pt_is_link(f, pt_order(f, seen), best))
			return -EEXIST;
		/* Down into the table that hangs there, to the next level that
		 * may hold leaves. */
		do {
			best--;
		} while (!pt_level_has_leaves(f, best));
	}
}

static always_inline int pt_tmpl_claim(const struct pt_fmt *f, struct pt *pt,
                                       struct pagecache *pc, uint64_t va,
                                       uint64_t last, uint64_t iova,
                                       uint32_t prot)
{
	const struct pt_geo *g = &pt->geo;
	struct pt_path p;

	if (!pt_range_ok(f, pt, va, last) ||
	    !pt_oa_ok(f, pt, iova, last - va) || !pt_prot_ok(f, prot))
		return pt_refuse_map(pt, va, last, iova, prot);
	if (f->grows && pt_grow(pt, pc, last))
		return pt_no_memory();
	pt_path_start(pt, &p, va);
	for (;;) {
		uint64_t oa = iova + (p.at - va);
		struct pt_size best = pt_best(f, g, p.top, p.at, last, oa);
		uint64_t end;
		int err = pt_claim_one(f, pt, &p, pc, best.level, oa, prot);

		if (err) {
			pt_claim_undo(f, pt, va, p.at);
			return pt_map_error(err);
		}
		prot &= ~PT_SW1;
		end = p.at + mask64(pt_shift(f, g, p.level));
		if (end >= last)
			return 0;
		pt_path_move(f, g, &p, end + 1);
	}
}

#endif
