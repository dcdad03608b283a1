/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Template of claim: a map of a range that nobody owns, decided slot by slot.
 */
#ifndef SLUICE_PAGETABLE_PT_CLAIM_H
#define SLUICE_PAGETABLE_PT_CLAIM_H

#include "pagetable/pt_map.h"

/* Takes back [va, end): leaves that this call has installed, so nobody else
 * writes them. */
static always_inline void pt_claim_undo(const struct pt_fmt *f, unsigned top,
                                        struct pt *pt, uint64_t va,
                                        uint64_t end)
{
	struct pt_path p;

	pt_path_start(&p, top, pt->root, va);
	while (p.at < end) {
		pt_path_settle(f, &p, 0);
		st_rlx(pt_path_slot(&p), 0);
		pt_path_move(&p, p.at + pt_size(p.level));
	}
}

/* One leaf at p->at, as large as best allows and the slots are free. */
static always_inline int pt_claim_one(const struct pt_fmt *f, struct pt_path *p,
                                      struct pagecache *pc, unsigned best,
                                      uint64_t iova, uint32_t prot)
{
	for (;;) {
		uint64_t seen = 0;
		int err = pt_path_build(f, p, pc, best);

		if (err)
			return err;
		/* Release: what the owner wrote about this mapping is seen by
		 * whoever finds the leaf. Pairs with pt_load. */
		if (cas_rel(pt_path_slot(p), &seen,
		            pt_leaf_word(f, best, iova, prot)))
			return 0;
		if (!pt_is_link(f, seen, best))
			return -EEXIST;
		best--;
	}
}

static always_inline int pt_tmpl_claim(const struct pt_fmt *f, unsigned top,
                                       struct pt *pt, struct pagecache *pc,
                                       uint64_t va, uint64_t last,
                                       uint64_t iova, uint32_t prot)
{
	struct pt_path p;

	if (!pt_range_ok(pt, va, last) || !pt_oa_ok(iova, last - va) ||
	    !pt_prot_ok(f, prot))
		return pt_refuse_map(pt, va, last, iova, prot);
	pt_path_start(&p, top, pt->root, va);
	for (;;) {
		uint64_t oa = iova + (p.at - va);
		unsigned best = pt_best_level(top, p.at, last, oa);
		uint64_t end;
		int err = pt_claim_one(f, &p, pc, best, oa, prot);

		if (err) {
			pt_claim_undo(f, top, pt, va, p.at);
			return err == -EEXIST ? pt_occupied() : pt_no_memory();
		}
		prot &= ~PT_SW1;
		end = p.at + pt_size(p.level);
		if (end > last)
			return 0;
		pt_path_move(&p, end);
	}
}

#endif
