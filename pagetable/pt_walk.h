/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Template of the walk. Loads only, at any time, from any thread.
 */
#ifndef SLUICE_PAGETABLE_PT_WALK_H
#define SLUICE_PAGETABLE_PT_WALK_H

#include "pagetable/pt_path.h"

static always_inline void pt_leaf_run(const struct pt_fmt *f,
                                      const struct pt_geo *g, unsigned level,
                                      uint64_t iova, uint64_t w,
                                      struct pt_run *ret)
{
	unsigned cont = pt_word_cont(f, g, w, level);
	uint64_t size_1 = mask64(pt_shift(f, g, level) + cont);
	uint64_t first = iova & ~size_1;

	*ret = (struct pt_run){
	        .iova = first,
	        .last = first + size_1,
	        .oa = pt_word_oa(f, g, w, level, cont),
	        .prot = pt_word_prot(f, w, level),
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
 * *ret_table: the table of level 0 on the way, or NULL.
 *
 * gen NULL: tables that were reachable when the walk began stay tables until
 * it ends (a grace period). Otherwise a word counts only if *gen has not moved
 * since the start: else its table may be in use elsewhere by now. The load of
 * gen pairs with the fence in recycle() of pt_public.c: new words of a page
 * are stored after gen was bumped.
 */
static always_inline bool pt_walk_step(const struct pt_fmt *f,
                                       const struct pt_geo *g, unsigned level,
                                       unsigned top, au64 **t, uint64_t iova,
                                       uint64_t *w, const au64 *gen,
                                       uint64_t born)
{
	*w = pt_load(f, &(*t)[pt_index(f, g, iova, level, top)]);
	if (unlikely(!pt_is_link(f, *w, level)))
		return false;
	*t = pt_word_table(f, *w);
	return !gen || ld_rlx(gen) == born;
}

/* Down from *t to the word that decides; returns its level and table. */
static always_inline unsigned pt_descend(const struct pt_fmt *f,
                                         const struct pt_geo *g, unsigned top,
                                         au64 **t, uint64_t iova, uint64_t *w,
                                         const au64 *gen, uint64_t born)
{
	if (f->top_max >= 5 && top >= 5 &&
	    !pt_walk_step(f, g, 5, top, t, iova, w, gen, born))
		return 5;
	if (f->top_max >= 4 && top >= 4 &&
	    !pt_walk_step(f, g, 4, top, t, iova, w, gen, born))
		return 4;
	if (f->top_max >= 3 && (f->top_min >= 3 || top >= 3) &&
	    !pt_walk_step(f, g, 3, top, t, iova, w, gen, born))
		return 3;
	if (f->top_max >= 2 && (f->top_min >= 2 || top >= 2) &&
	    !pt_walk_step(f, g, 2, top, t, iova, w, gen, born))
		return 2;
	if ((f->top_min >= 1 || top >= 1) &&
	    !pt_walk_step(f, g, 1, top, t, iova, w, gen, born))
		return 1;
	*w = pt_load(f, &(*t)[pt_index(f, g, iova, 0, top)]);
	return 0;
}

static always_inline int pt_tmpl_walk(const struct pt_fmt *f,
                                      const struct pt *pt, uint64_t iova,
                                      const au64 *gen, struct pt_run *ret,
                                      au64 **ret_table)
{
	const struct pt_geo *g = &pt->geo;
	unsigned level;
	uint64_t born;
	uint64_t root;
	uint64_t w;
	au64 *t;

	*ret_table = NULL;
	if (unlikely(iova > g->max_iova))
		return pt_too_wide();
	do {
		born = gen ? ld_acq(gen) : 0;
		root = pt_root_word(pt);
		if (unlikely(!pt_in_reach(f, g, iova, pt_root_top(root))))
			return pt_not_mapped();
		t = pt_root_table(root);
		level = pt_descend(f, g, pt_root_top(root), &t, iova, &w, gen,
		                   born);
	} while (gen && unlikely(ld_rlx(gen) != born));
	if (level == 0)
		*ret_table = t;
	if (unlikely(!pt_is_leaf(f, w, level)))
		return pt_not_mapped();
	pt_leaf_run(f, g, level, iova, w, ret);
	return 0;
}

#endif
