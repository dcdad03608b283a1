/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The near way of plain views: one page whose table is remembered is mapped and
 * unmapped without a call, so that what ends here needs no frame. It does what
 * map.c and unmap.c do, and may decline whenever it is not sure.
 */
#ifndef SLUICE_ENGINE_PAGE_NEAR_H
#define SLUICE_ENGINE_PAGE_NEAR_H

#include "engine/iova_hot.h"
#include "engine/pend.h"

/* 0 when what was unlinked before the caller owned the range is forgotten
 * already; else the long way does it. A lane that is offline has forgotten its
 * tables, and so finds nothing. */
static always_inline uint64_t page_look(const struct sluice_view *view)
{
	return view->unlinked ^ ld_rlx(&view->domain->unlinked);
}

/* 0 when the request is for one page, whatever its flags. */
static always_inline uint64_t page_unlike(const struct sluice_map_req *req)
{
	return (req->len ^ SLUICE_PAGE_SIZE) |
	       (req->va & (SLUICE_PAGE_SIZE - 1)) |
	       ((req->prot & ~SLUICE_RW) | req->align_lg2 | req->reserved);
}

/* A place that the caller chose, where there is no allocator. */
static always_inline bool page_fixed(const struct sluice_view *view,
                                     uint64_t iova)
{
	const struct sluice_domain *domain = view->domain;

	return likely(!((uintptr_t)view->iova |
	                (iova & (SLUICE_PAGE_SIZE - 1)))) &&
	       likely(iova >= ld_rlx(&domain->first) &&
	              (iova | (SLUICE_PAGE_SIZE - 1)) <= ld_rlx(&domain->last));
}

/* A place of the lane's own. */
static always_inline bool page_take(const struct sluice_view *view,
                                    uint64_t *ret_iova)
{
	struct iova_cache *c = view->iova;

	if (unlikely(!c || !view->lane->online) ||
	    unlikely(!iova_hot_page(c, ret_iova)))
		return false;
	iova_check_out(c->sp, *ret_iova, SLUICE_PAGE_SIZE);
	return true;
}

static always_inline bool page_map(struct sluice_view *view,
                                   const struct sluice_map_req *req,
                                   uint64_t iova)
{
	if (unlikely(page_look(view)) ||
	    unlikely(!pt_near_map_page(&view->near, iova, req->va, req->prot)))
		return false;
	ctr_add(&view->st.pages_mapped, 1);
	return true;
}

/* Clears the leaf. */
static always_inline bool page_unmap(struct sluice_view *view, uint64_t iova,
                                     uint64_t len)
{
	if (unlikely((len ^ SLUICE_PAGE_SIZE) |
	             (iova & (SLUICE_PAGE_SIZE - 1)) | page_look(view)) ||
	    unlikely(!view_has_room(view)) || lane_check(view->lane) ||
	    unlikely(!pt_near_unmap_page(&view->near, iova)))
		return false;
	if (view->hot.filled)
		tlb_drop_page(&view->hot, iova);
	return true;
}

/* ---- the same for 1 to NEAR_PAGES pages ---- */

static always_inline bool pages_unlike(const struct sluice_map_req *req)
{
	return (req->len >> SLUICE_PAGE_LG2) - 1 >= NEAR_PAGES ||
	       !aligned_lg2(req->va | req->len, SLUICE_PAGE_LG2) ||
	       req->prot - 1 >= SLUICE_RW || (req->align_lg2 | req->reserved);
}

static always_inline bool pages_fixed(const struct sluice_view *view,
                                      uint64_t iova, uint64_t len)
{
	const struct sluice_domain *domain = view->domain;
	uint64_t last = iova + len - 1;

	return !view->iova && aligned_lg2(iova, SLUICE_PAGE_LG2) &&
	       iova < last && iova >= ld_rlx(&domain->first) &&
	       last <= ld_rlx(&domain->last);
}

static always_inline bool pages_take(const struct sluice_view *view,
                                     uint64_t len, uint64_t *ret_iova)
{
	return view->iova && view->lane->online &&
	       !iova_hot_alloc(view->iova, len, ret_iova);
}

static always_inline bool pages_map(struct sluice_view *view,
                                    const struct sluice_map_req *req,
                                    uint64_t iova)
{
	unsigned nr = (unsigned)(req->len >> SLUICE_PAGE_LG2);

	view_look(view);
	if (unlikely(!near_block(iova, req->len)) ||
	    unlikely(!pt_near_map(&view->near, iova, req->va, nr, req->prot)))
		return false;
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, req->len);
	return true;
}

static always_inline bool pages_unmap(struct sluice_view *view, uint64_t iova,
                                      uint64_t len)
{
	uint64_t nr = len >> SLUICE_PAGE_LG2;

	if (unlikely(nr - 1 >= NEAR_PAGES) ||
	    unlikely(!aligned_lg2(iova | len, SLUICE_PAGE_LG2)) ||
	    unlikely(!view_has_room(view)) || lane_check(view->lane))
		return false;
	view_look(view);
	if (unlikely(!near_block(iova, len)) ||
	    unlikely(!pt_near_unmap(&view->near, iova, (unsigned)nr)))
		return false;
	if (view->hot.filled)
		for (uint64_t i = 0; i < nr; i++)
			tlb_drop_page(&view->hot,
			              iova + (i << SLUICE_PAGE_LG2));
	return true;
}

#endif
