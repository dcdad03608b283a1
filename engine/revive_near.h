/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The near way of reviving: a page whose table is remembered is unmapped and
 * comes back without a walk, and without asking the allocator or the backend,
 * which were told nothing yet. What it does is what revive.c does, so it may
 * decline whenever it is not sure. Twice: the common case, whose conditions are
 * asked together and not one after the other, and the rest.
 */
#ifndef SLUICE_ENGINE_REVIVE_NEAR_H
#define SLUICE_ENGINE_REVIVE_NEAR_H

#include "engine/pend.h"

/* The unmap goes on to its ticket and frees nothing. Once only. */
static always_inline void revive_keep(struct revive_slot *s, struct pend *p)
{
	s->seq = 0;
#ifdef SLUICE_MUTANT_REVIVE_FREES /* tests/engine: must be caught */
	(void)p;
#else
	p->flags |= PEND_STAYS;
	p->state = PEND_DONE;
#endif
}

/* May the caller choose this IOVA, and again while it waits? A range cannot
 * become reserved while it is handed out, so who unmaps it asks for whoever
 * maps it again. */
static always_inline bool revive_reserved(const struct sluice_domain *domain,
                                          uint64_t iova)
{
	return iova <= ld_rlx(&domain->reserved_last) &&
	       iova >= ld_rlx(&domain->reserved_first);
}

/* 0 when what was unlinked before the caller owned the range is forgotten
 * already; else the long way does it. */
static always_inline uint64_t revive_look(const struct sluice_view *view)
{
	return view->unlinked ^ ld_rlx(&view->domain->unlinked);
}

/* And is there again. */
static always_inline void revive_give(struct sluice_view *view,
                                      struct revive_slot *s,
                                      sluice_iova_t *ret_iova)
{
	struct pend *p = &view->pend[(s->seq - 1) & view->pend_mask];

	/* Release: pairs with the walks, as in pt_near_map. */
	st_rel(s->leaf, s->word);
	*ret_iova = p->iova;
	revive_keep(s, p);
	ctr_add(&view->st.pages_revived, 1);
}

/* The prot of the page at a leaf of this word, when it is a mapping alone. 0:
 * perhaps it is not. */
static always_inline uint32_t revive_prot(const struct sluice_view *view,
                                          const au64 *leaf, uint64_t w)
{
	uint64_t head = view->near.head, next = pt_near_order(ld_rlx(leaf + 1));

	if (!view->revive->near)
		return 0;
	if (view->domain->be && (!(w & head) || (next && !(next & head))))
		return 0;
	return pt_near_prot(&view->near, w);
}

/* A page whose table is remembered, with its next word; *ret_leaf is written
 * always. */
static always_inline bool revive_leaf(const struct sluice_view *view,
                                      uint64_t iova, uint64_t len,
                                      au64 **ret_leaf)
{
	uint64_t block = iova >> PT_NEAR_LG2;
	uint64_t at = iova >> SLUICE_PAGE_LG2 & 511;
	const struct pt_near_slot *s =
	        &view->near.slot[block & view->near.mask];

	*ret_leaf = s->table + at;
	return likely(!((len ^ SLUICE_PAGE_SIZE) |
	                (iova & (SLUICE_PAGE_SIZE - 1)) |
	                (s->key ^ (block | view->near.age)) | (at + 1) >> 9 |
	                revive_look(view))) &&
	       likely(view_has_room(view)) && !lane_check(view->lane) &&
	       likely(!revive_reserved(view->domain, iova));
}

/* Clears the leaf and notes it for the unmap that is retired next. False:
 * nothing was done, as in all of these. */
static inline bool revive_near_unmap(struct sluice_view *view, uint64_t iova,
                                     uint64_t len)
{
	struct revive *r = view->revive;
	struct revive_slot *s;
	uint64_t w, va;
	uint32_t prot;
	au64 *leaf;

	if (!revive_leaf(view, iova, len, &leaf))
		return false;
	w = ld_rlx(leaf);
	prot = revive_prot(view, leaf, pt_near_order(w));
	if (!prot)
		return false;
	va = pt_near_oa(&view->near, pt_near_order(w));
	s = revive_room(r, va, view->passed);
	st_rlx(leaf, 0);
	*s = (struct revive_slot){
	        .va = va,
	        .seq = view->tail + 1,
	        .leaf = leaf,
	        .word = w,
	        .iova = iova,
	        .prot = prot,
	};
	r->at_iova[(iova >> SLUICE_PAGE_LG2) % REVIVE_SLOTS] =
	        (uint16_t)(s - r->slot);
	if (view->hot.filled)
		tlb_drop_page(&view->hot, iova);
	return true;
}

/* A page that came back before, as it was, with another mapping behind it. */
static always_inline bool revive_page_unmap(struct sluice_view *view,
                                            uint64_t iova, uint64_t len)
{
	struct revive *r = view->revive;
	struct revive_slot *s =
	        &r->slot[r->at_iova[(iova >> SLUICE_PAGE_LG2) % REVIVE_SLOTS]];

	if (unlikely((s->iova ^ iova) | (len ^ SLUICE_PAGE_SIZE) |
	             revive_look(view)) ||
	    unlikely((ld_rlx(s->leaf) ^ s->word) |
	             (~pt_near_order(ld_rlx(s->leaf + 1)) & r->head)) ||
	    unlikely(!view_has_room(view)) || lane_check(view->lane) ||
	    unlikely(revive_reserved(view->domain, iova)))
		return false;
	st_rlx(s->leaf, 0);
	s->seq = view->tail + 1;
	if (unlikely(view->hot.filled))
		tlb_drop_page(&view->hot, iova);
	return true;
}

/* 0 when the request is for such a page, as it was. */
static always_inline uint64_t revive_unlike(const struct revive_slot *s,
                                            const struct sluice_map_req *req)
{
	return (s->va ^ req->va) | (req->len ^ SLUICE_PAGE_SIZE) |
	       (((uint32_t)s->prot ^ req->prot) | req->flags | req->align_lg2 |
	        req->reserved);
}

/* A lane that is offline has forgotten its tables, and so finds nothing. */
static inline bool revive_near_map(struct sluice_view *view,
                                   const struct sluice_map_req *req,
                                   sluice_iova_t *ret_iova)
{
	struct revive *r = view->revive;
	struct revive_slot *s = revive_find(r, req->va, req->prot, r->from);

	if (!s || revive_unlike(s, req) || revive_look(view) ||
	    ld_rlx(s->leaf) || lane_check(view->lane))
		return false;
	revive_give(view, s, ret_iova);
	return true;
}

/* One that lies in the first of its slots. */
static always_inline bool revive_page_map(struct sluice_view *view,
                                          const struct sluice_map_req *req,
                                          sluice_iova_t *ret_iova)
{
	struct revive *r = view->revive;
	struct revive_slot *s = &r->slot[revive_at(req->va)];

	if (unlikely(revive_unlike(s, req) | revive_look(view)) ||
	    unlikely(s->seq <= r->from) || unlikely(ld_rlx(s->leaf)) ||
	    lane_check(view->lane))
		return false;
	revive_give(view, s, ret_iova);
	return true;
}

#endif
