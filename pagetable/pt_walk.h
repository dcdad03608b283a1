/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Template of the walk. Loads only, at any time, from any thread.
 */
#ifndef SLUICE_PAGETABLE_PT_WALK_H
#define SLUICE_PAGETABLE_PT_WALK_H

#include "pagetable/pt_path.h"

static always_inline void pt_leaf_run(const struct pt_fmt *f, unsigned level,
                                      uint64_t iova, uint64_t w,
                                      struct pt_run *ret)
{
	uint64_t first = align_down(iova, pt_shift(level));

	*ret = (struct pt_run){
	        .iova = first,
	        .last = first + mask64(pt_shift(level)),
	        .oa = pt_word_oa(w),
	        .prot = pt_word_prot(f, w),
	};
}

static always_inline int pt_not_mapped(void)
{
	return msg_lit(-ENOENT, "nothing is mapped at this address: map it "
	                        "first, or check the address");
}

static always_inline int pt_too_wide(void)
{
	return msg_lit(-EINVAL, "address beyond the width of the table: create "
	                        "it with more address bits");
}

/*
 * gen NULL: tables that were reachable when the walk began stay tables until
 * it ends (a grace period). Otherwise a word counts only if *gen has not moved
 * since the start: else its table may be in use elsewhere by now. The load of
 * gen pairs with the fence in recycle() of pt_public.c: new words of a page
 * are stored after gen was bumped.
 */
static always_inline bool pt_walk_step(const struct pt_fmt *f, unsigned level,
                                       au64 **t, uint64_t iova, uint64_t *w,
                                       const au64 *gen, uint64_t born)
{
	return pt_step(f, level, t, iova, w) && (!gen || ld_rlx(gen) == born);
}

static always_inline int pt_tmpl_walk(const struct pt_fmt *f, unsigned top,
                                      const struct pt *pt, uint64_t iova,
                                      const au64 *gen, struct pt_run *ret)
{
	unsigned level;
	uint64_t born;
	uint64_t w;
	au64 *t;

	if (unlikely(iova > pt->max_iova))
		return pt_too_wide();
	do {
		born = gen ? ld_acq(gen) : 0;
		t = pt->root;
		level = 4;
		if (top >= 4 && !pt_walk_step(f, 4, &t, iova, &w, gen, born))
			continue;
		level = 3;
		if (top >= 3 && !pt_walk_step(f, 3, &t, iova, &w, gen, born))
			continue;
		level = 2;
		if (!pt_walk_step(f, 2, &t, iova, &w, gen, born))
			continue;
		level = 1;
		if (!pt_walk_step(f, 1, &t, iova, &w, gen, born))
			continue;
		level = 0;
		w = pt_load(&t[pt_index(iova, 0)]);
	} while (gen && unlikely(ld_rlx(gen) != born));
	/* A page on its way out holds a chain word, which is no leaf. */
	if (unlikely(!pt_is_leaf(f, w, level)))
		return pt_not_mapped();
	pt_leaf_run(f, level, iova, w, ret);
	return 0;
}

#endif
