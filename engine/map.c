/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Map and unmap on a lane: validation, IOVA, leaves, and the undo of each step
 * when a later one fails. What a kernel backend adds is in kernel.c.
 */
#include "engine/page_near.h"
#include "engine/revive_near.h"

#include <errno.h>

#define LEAF_2M bit64(21) /* one leaf, one table further up, in any format */

static int check_lane(const struct sluice_view *view)
{
	if (lane_check(view->lane))
		return -EPERM;
	if (unlikely(!view->lane->online))
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	return 0;
}

/* Address and length of a piece of memory. */
static int check_memory(uint64_t va, uint64_t len)
{
	uint64_t last;

	if (unlikely(!range_last(va, len, &last)))
		return msg_lit(-EINVAL, "the length is zero or the range wraps "
		                        "around the end of the address space");
	if (unlikely(!aligned_lg2(va | len, SLUICE_PAGE_LG2)))
		return msg_lit(-EINVAL, "address and length must be multiples "
		                        "of 4096: map whole pages");
	return 0;
}

static int check_req(const struct sluice_map_req *req)
{
	if (unlikely(req->prot == 0 || req->prot & ~SLUICE_RW))
		return msg_lit(-EINVAL, "prot must be SLUICE_READ, "
		                        "SLUICE_WRITE or both");
	if (unlikely(req->flags & ~MAP_FLAGS || req->reserved))
		return msg_lit(-EINVAL, "unknown flag: clear the request "
		                        "before filling it");
	if (unlikely(req->align_lg2 > 48))
		return msg_lit(-EINVAL, "align_lg2 is a log2; at most 48");
	return 0;
}

static int check_in_window(const struct sluice_domain *domain, uint32_t flags,
                           uint64_t iova, uint64_t last)
{
	int window = aperture_window(domain, flags);
	const struct sluice_range *w;

	if (window < 0)
		return window;
	w = &domain->cfg.windows[window - IOVA_WINDOW];
	if (iova < w->first || last > w->last)
		return msg_lit(-EADDRNOTAVAIL,
		               "the chosen IOVA lies outside the window that "
		               "SLUICE_MAP_WINDOW names");
	return 0;
}

static int still_busy(void)
{
	return msg_lit(-EBUSY, "the chosen IOVA was unmapped and its ticket "
	                       "has not passed: poll, then try again");
}

static int check_fixed(struct sluice_view *view,
                       const struct sluice_map_req *req, uint64_t iova,
                       uint64_t len)
{
	const struct sluice_domain *domain = view->domain;
	uint64_t last;
	int rc;

	if (!range_last(iova, len, &last))
		return msg_lit(-EINVAL, "the IOVA range wraps around");
	if (!aligned_lg2(iova,
	                 (unsigned)max_u64(req->align_lg2, SLUICE_PAGE_LG2)))
		return msg_lit(-EINVAL, "the chosen IOVA is not aligned to 4 "
		                        "KiB or to align_lg2");
	if (iova < ld_rlx(&domain->first) || last > ld_rlx(&domain->last) ||
	    (req->flags & SLUICE_MAP_32BIT && last > UINT32_MAX))
		return msg_lit(-EADDRNOTAVAIL,
		               "the chosen IOVA lies outside the domain's "
		               "aperture: see sluice_domain_get_info()");
	if (req->flags & MAP_WINDOWS) {
		rc = check_in_window(domain, req->flags, iova, last);
		if (rc)
			return rc;
	}
	if (view->iova && !iova_space_is_reserved(domain->iova, iova, last))
		return msg_lit(-EADDRNOTAVAIL,
		               "the chosen IOVA belongs to the allocator: "
		               "reserve it with sluice_domain_reserve(), or "
		               "create the domain with "
		               "SLUICE_DOMAIN_CALLER_IOVA");
	if (view_must_wait(view, iova, last))
		return still_busy();
	return 0;
}

/* like: where the range would have the leaves that the memory can have. */
static int alloc_iova(struct sluice_view *view,
                      const struct sluice_map_req *req, uint64_t len,
                      uint64_t like, uint64_t *ret_iova)
{
	enum iova_window window = IOVA_ANY;
	int rc;

	if (unlikely(req->flags & (SLUICE_MAP_32BIT | MAP_WINDOWS))) {
		rc = aperture_window(view->domain, req->flags);
		if (rc < 0)
			return rc;
		window = (enum iova_window)rc;
	}
	if (len >= LEAF_2M && !req->align_lg2 &&
	    !(req->flags & SLUICE_MAP_COMPACT))
		rc = iova_alloc_like(view->iova, len, like, window, ret_iova);
	else
		rc = iova_alloc(
		        view->iova, len,
		        (unsigned)max_u64(req->align_lg2, SLUICE_PAGE_LG2),
		        window, ret_iova);
	if (unlikely(rc))
		return map_no_iova(rc);
	return 0;
}

static int choose_iova(struct sluice_view *view,
                       const struct sluice_map_req *req, uint64_t len,
                       uint64_t like, uint64_t *iova)
{
	if (req->flags & SLUICE_MAP_FIXED)
		return check_fixed(view, req, *iova, len);
	if (unlikely(!view->iova))
		return msg_lit(-EADDRNOTAVAIL,
		               "this domain has no allocator: choose the IOVA "
		               "with SLUICE_MAP_FIXED");
	return alloc_iova(view, req, len, like, iova);
}

/* The memory claims the VA side if nobody else has; having no claim is fine.
 * Returns the software bit for the leaves or -ENOMEM. */
static int claim_va(struct sluice_view *view, uint64_t va, uint64_t len,
                    uint64_t iova, uint32_t prot)
{
	int rc = pt_claim(view->domain->rev, &view->lane->pc, va, va + len - 1,
	                  iova, prot & SLUICE_READ ? prot : prot | SLUICE_READ);

	if (rc == 0)
		return (int)LEAF_CLAIMED;
	return rc == -EEXIST ? 0 : rc;
}

static noinline int map_far(struct sluice_view *view, uint64_t iova,
                            uint64_t va, uint64_t len, uint32_t prot)
{
	struct sluice_domain *domain = view->domain;
	uint32_t nr_freed = view->freed_new.nr;
	struct pt_run run;
	int rc;

	if (domain->rev) {
		rc = claim_va(view, va, len, iova, prot & SLUICE_RW);
		if (rc < 0)
			return rc;
		prot |= (uint32_t)rc;
	}
	rc = pt_map(view->pt, &view->lane->pc, iova, iova + len - 1, va, prot,
	            &view->freed_new);
	if (unlikely(rc) && prot & LEAF_CLAIMED)
		unclaim(domain, view, va, va + len - 1);
	if (unlikely(view->freed_new.nr != nr_freed))
		view_unlinked(view);
	/* Its neighbours will come the near way. A carved view remembers only
	 * what it finds by carve_walk(). */
	if (len <= NEAR_PAGES * SLUICE_PAGE_SIZE && !rc && !view->carve)
		(void)pt_walk_near(view->pt, &view->near, iova, &run);
	return rc;
}

/* A piece of a scatter list whose table is remembered. False: nothing was
 * done. */
static bool piece_near(struct sluice_view *view, uint64_t iova,
                       const struct be_seg *seg, uint32_t prot)
{
	uint64_t nr = seg->len >> SLUICE_PAGE_LG2;

	return view->plain && nr - 1 < NEAR_PAGES &&
	       near_block(iova, seg->len) && prot &&
	       pt_near_map(&view->near, iova, seg->va, (unsigned)nr, prot);
}

int map_leaves(struct sluice_view *view, uint64_t iova,
               const struct be_seg *seg, uint32_t nr, uint32_t prot,
               bool *ret_undone)
{
	uint64_t at = iova;
	int rc = 0;

	if (view->domain->be)
		prot |= LEAF_HEAD;
	view_look(view);
	for (uint32_t i = 0; i < nr; i++) {
		if (!piece_near(view, at, &seg[i], prot))
			rc = map_far(view, at, seg[i].va, seg[i].len, prot);
		if (unlikely(rc))
			break;
		prot &= ~LEAF_HEAD;
		at += seg[i].len;
	}
	if (likely(rc == 0) || at == iova)
		return rc;
	/* Other lanes may have cached the first pieces of a fixed range. */
	(void)unmap_leaves(view->domain, view, iova, at - 1);
	tlb_drop(&view->hot, iova, at - 1);
	*ret_undone = true;
	return rc;
}

int map_error(int rc)
{
	switch (rc) {
	case -EEXIST:
		return msg_lit(rc, "a part of the range is mapped already: "
		                   "unmap it first");
	case -ENOMEM:
		return msg_lit(rc, "the limit of page-table memory is "
		                   "reached: raise max_table_bytes in "
		                   "sluice_engine_cfg, or unmap something");
	case -EINVAL:
		return msg_lit(rc,
		               "the domain's table format cannot express "
		               "this address or permission (most have no "
		               "write-only pages: use SLUICE_RW, or vtdss)");
	default:
		return rc;
	}
}

static int soft_map(struct sluice_view *view, const struct map_args *args,
                    uint64_t iova)
{
	bool fixed = args->req->flags & SLUICE_MAP_FIXED;
	struct be_seg seg[MAX_SG];
	bool undone = false;
	int rc;

	for (uint32_t i = 0; i < args->nr; i++)
		seg[i] = (struct be_seg){(uintptr_t)args->iov[i].iov_base,
		                         args->iov[i].iov_len};
	rc = map_leaves(view, iova, seg, args->nr, args->req->prot, &undone);
	if (likely(rc == 0))
		return 0;
	if (undone)
		view_retire(view, iova, args->len, 0, 0);
	else if (!fixed)
		iova_free(view->iova, iova, args->len);
	return map_error(rc);
}

static int do_map(struct sluice_view *view, const struct map_args *args,
                  uint64_t *iova)
{
	uint64_t at = *iova;
	int rc;

	if (unlikely(!view_has_room(view)))
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	rc = choose_iova(view, args->req, args->len, args->like, &at);
	if (unlikely(rc))
		return rc;
	if (view->domain->be)
		rc = kernel_map(view, args, at);
	else
		rc = soft_map(view, args, at);
	if (unlikely(rc < 0))
		return rc;
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, args->len);
	*iova = at;
	return rc;
}

/* The common case, one piece on a soft domain, without the scatter list. */
static int map_one_soft(struct sluice_view *view,
                        const struct sluice_map_req *req, uint64_t *iova)
{
	uint64_t at = *iova;
	int rc;

	rc = choose_iova(view, req, req->len, req->va, &at);
	if (unlikely(rc))
		return rc;
	view_look(view); /* so that the next may come the near way */
	rc = map_far(view, at, req->va, req->len, req->prot);
	if (unlikely(rc)) {
		if (!(req->flags & SLUICE_MAP_FIXED))
			iova_free(view->iova, at, req->len);
		return map_error(rc);
	}
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, req->len);
	*iova = at;
	return 0;
}

static noinline int map_any(struct sluice_view *view,
                            const struct sluice_map_req *req,
                            sluice_iova_t *iova)
{
	struct iovec iov;
	int rc = check_lane(view);

	if (likely(rc == 0))
		rc = check_memory(req->va, req->len);
	if (likely(rc == 0))
		rc = check_req(req);
	if (likely(rc == 0)) {
		if (view->revive && revive_map(view, req, iova)) {
			rc = 0;
		} else if (likely(!view->domain->be)) {
			rc = map_one_soft(view, req, iova);
		} else {
			iov = (struct iovec){(void *)(uintptr_t)req->va,
			                     req->len};
			rc = do_map(view,
			            &(struct map_args){req, &iov, 1, req->len,
			                               req->va},
			            iova);
		}
	}
	if (unlikely(rc < 0))
		ctr_add(&view->st.map_failures, 1);
	return rc;
}

/* Of pages that have an IOVA, but no table that is remembered. */
static noinline int map_with_walk(struct sluice_view *view,
                                  const struct sluice_map_req *req,
                                  sluice_iova_t *iova, uint64_t at)
{
	iova_free(view->iova, at, req->len);
	return map_any(view, req, iova);
}

/* Of pages of which one may wait for its ticket. */
static noinline int map_after_ticket(struct sluice_view *view,
                                     const struct sluice_map_req *req,
                                     sluice_iova_t *iova)
{
	if (unlikely(!view->lane->online))
		return map_any(view, req, iova);
	if (view_must_wait(view, *iova, *iova + req->len - 1)) {
		ctr_add(&view->st.map_failures, 1);
		return still_busy();
	}
	return pages_map(view, req, *iova) ? 0 : map_any(view, req, iova);
}

/* A few pages: as map_page(). */
static noinline int map_pages(struct sluice_view *view,
                              const struct sluice_map_req *req,
                              sluice_iova_t *iova)
{
	uint64_t at = *iova;

	if (unlikely(pages_unlike(req)) || lane_check(view->lane))
		return map_any(view, req, iova);
	if (req->flags == SLUICE_MAP_FIXED) {
		if (unlikely(!pages_fixed(view, at, req->len)))
			return map_any(view, req, iova);
		if (unlikely(!pend_filter_clear(view, at,
		                                req->len >> SLUICE_PAGE_LG2)))
			return map_after_ticket(view, req, iova);
		if (likely(pages_map(view, req, at)))
			return 0;
		return map_any(view, req, iova);
	}
	if (unlikely(req->flags) || unlikely(!pages_take(view, req->len, &at)))
		return map_any(view, req, iova);
	if (unlikely(!pages_map(view, req, at)))
		return map_with_walk(view, req, iova, at);
	*iova = at;
	return 0;
}

static noinline int map_other(struct sluice_view *view,
                              const struct sluice_map_req *req,
                              sluice_iova_t *iova)
{
	if (view->revive && revive_near_map(view, req, iova))
		return 0;
	return map_any(view, req, iova);
}

/* Call nothing that comes back: a page whose table is remembered, or that is
 * revived, needs no frame. */
static always_inline int map_page(struct sluice_view *view,
                                  const struct sluice_map_req *req,
                                  sluice_iova_t *iova)
{
	uint64_t at = *iova;

	if (unlikely(page_unlike(req)) || lane_check(view->lane))
		return map_pages(view, req, iova);
	if (req->flags == SLUICE_MAP_FIXED) {
		if (unlikely(!page_fixed(view, at)))
			return map_pages(view, req, iova);
		if (unlikely(!pend_filter_clear(view, at, 1)))
			return map_after_ticket(view, req, iova);
		if (likely(page_map(view, req, at)))
			return 0;
		return map_any(view, req, iova);
	}
	if (unlikely(req->flags) || unlikely(!page_take(view, &at)))
		return map_any(view, req, iova);
	if (unlikely(!page_map(view, req, at)))
		return map_with_walk(view, req, iova, at);
	*iova = at;
	return 0;
}

int sluice_map(struct sluice_view *view, const struct sluice_map_req *req,
               sluice_iova_t *iova)
{
	if (likely(view->plain))
		return map_page(view, req, iova);
	if (likely(view->revive) && revive_page_map(view, req, iova))
		return 0;
	return map_other(view, req, iova);
}

/* Fills in len, and like from the largest piece. */
static int check_sg(const struct iovec *iov, uint32_t nr, struct map_args *args)
{
	uint64_t len = 0, largest = 0;

	if (nr == 0)
		return msg_lit(-EINVAL, "the scatter list is empty");
	if (nr > MAX_SG)
		return msg_lit(-E2BIG, "a scatter list has at most 1024 "
		                       "pieces: split it");
	for (uint32_t i = 0; i < nr; i++) {
		int rc = check_memory((uintptr_t)iov[i].iov_base,
		                      iov[i].iov_len);

		if (rc)
			return rc;
		if (iov[i].iov_len > largest) {
			largest = iov[i].iov_len;
			args->like = (uintptr_t)iov[i].iov_base - len;
		}
		if (__builtin_add_overflow(len, iov[i].iov_len, &len))
			return msg_lit(-EINVAL, "the pieces together exceed "
			                        "64 bits");
	}
	args->len = len;
	return 0;
}

int sluice_map_sg(struct sluice_view *view, const struct sluice_map_req *req,
                  const struct iovec *iov, uint32_t nr, sluice_iova_t *iova)
{
	struct map_args args = {.req = req, .iov = iov, .nr = nr};
	int rc = check_lane(view);

	if (rc == 0)
		rc = check_sg(iov, nr, &args);
	if (rc == 0)
		rc = check_req(req);
	if (rc == 0)
		rc = do_map(view, &args, iova);
	if (unlikely(rc < 0))
		ctr_add(&view->st.map_failures, 1);
	return rc;
}
