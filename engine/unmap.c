/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unmap on a lane: the leaves go at once, everything else is queued.
 */
#include "engine/page_near.h"
#include "engine/revive_near.h"

#include <errno.h>

#define RUNS 32

void unclaim(struct sluice_domain *domain, struct sluice_view *view,
             uint64_t va, uint64_t last)
{
	struct invlog_rec rec = {va | INVLOG_VA_SIDE, last};

	(void)pt_unmap(domain->rev, va, last, NULL);
	if (view) {
		tlb_drop(&view->va, va, last);
		view_note(view, rec.first, rec.last);
	} else {
		(void)invlog_post(domain->log, INVLOG_NOBODY, &rec, 1);
	}
}

int64_t unmap_leaves(struct sluice_domain *domain, struct sluice_view *view,
                     uint64_t iova, uint64_t last)
{
	struct pt_run runs[RUNS];
	uint64_t done = 0;

	if (!domain->rev)
		return pt_unmap(domain->pt, iova, last, NULL);
	/* The first round has checked the whole range: later ones fail only
	 * for a caller who unmaps it twice at a time. What is gone is gone
	 * then, and must be invalidated. */
	while (iova + done - 1 != last) {
		struct pt_gather g = {
		        .run = runs,
		        .max = RUNS,
		        .merge_heads = true,
		};
		int64_t n = pt_unmap(domain->pt, iova + done, last, &g);

		if (n <= 0)
			return done ? (int64_t)done : n;
		/* Gives the VA side back for each run that had claimed it. */
		for (uint32_t i = 0; i < g.nr; i++)
			if (runs[i].prot & LEAF_CLAIMED)
				unclaim(domain, view, runs[i].oa,
				        runs[i].oa +
				                (runs[i].last - runs[i].iova));
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int unmap_error(int rc)
{
	switch (rc) {
	case -ENOENT:
		return msg_lit(rc, "a part of the range is not mapped: unmap "
		                   "exactly what was mapped (what "
		                   "sluice_foreign_add() told is its owner's "
		                   "to unmap)");
	case -ERANGE:
		return msg_lit(rc, "the range would split a large leaf: unmap "
		                   "the whole mapping");
	case -EINVAL:
		return msg_lit(rc, "the range lies outside the domain's "
		                   "address width");
	default:
		return rc;
	}
}

static int check_unmap(const struct sluice_view *view, uint64_t iova,
                       uint64_t len, uint64_t *ret_last)
{
	if (lane_check(view->lane))
		return -EPERM;
	if (unlikely(!view->lane->online))
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (unlikely(!range_last(iova, len, ret_last)))
		return msg_lit(-EINVAL, "the length is zero or the range "
		                        "wraps");
	if (unlikely(!aligned_lg2(iova | len, SLUICE_PAGE_LG2)))
		return msg_lit(-EINVAL, "IOVA and length must be multiples of "
		                        "4096");
	if (unlikely(!view_has_room(view)))
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	if (view->domain->be && !kernel_whole(view, iova, *ret_last))
		return msg_lit(-ERANGE,
		               "a kernel mapping dies only whole: unmap the "
		               "range that one sluice_map() or "
		               "sluice_map_sg() returned");
	return 0;
}

/* What was unmapped is queued for its ticket. */
static always_inline int unmapped(struct sluice_view *view, uint64_t len,
                                  struct sluice_ticket *ret_ticket)
{
	ctr_add(&view->st.unmaps, 1);
	ctr_add(&view->st.unmap_bytes, len);
	if (ret_ticket)
		ret_ticket->seq = view->tail;
	return view->lazy ? 0 : 1;
}

/* The same for a page: one counter for both. */
static always_inline int page_unmapped(struct sluice_view *view,
                                       struct sluice_ticket *ret_ticket)
{
	ctr_add(&view->st.pages_unmapped, 1);
	if (ret_ticket)
		ret_ticket->seq = view->tail;
	return view->lazy ? 0 : 1;
}

/* For what is gone from the tables, with a record of its own. */
static noinline int retire(struct sluice_view *view, sluice_iova_t iova,
                           uint64_t len, uint64_t cookie,
                           struct sluice_ticket *ret_ticket)
{
	view_retire(view, iova, len, cookie, view->lazy ? 0 : PEND_NOTIFY);
	return unmapped(view, len, ret_ticket);
}

static noinline int unmap_any(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint64_t cookie,
                              struct sluice_ticket *ret_ticket)
{
	uint64_t last;
	int64_t n;
	int rc;

	rc = check_unmap(view, iova, len, &last);
	if (likely(rc == 0)) {
		n = view->revive ? revive_unmap(view, iova, last)
		                 : unmap_leaves(view->domain, view, iova, last);
		if (unlikely(n < 0))
			rc = unmap_error((int)n);
	}
	if (unlikely(rc)) {
		ctr_add(&view->st.unmap_failures, 1);
		return rc;
	}
	/* No return from here: the leaves are gone. */
	if (view->hot.filled && tlb_drop(&view->hot, iova, last))
		ctr_add(&view->st.flushes, 1);
	return retire(view, iova, len, cookie, ret_ticket);
}

/* A few pages of a plain view. */
static noinline int unmap_pages(struct sluice_view *view, sluice_iova_t iova,
                                uint64_t len, uint64_t cookie,
                                struct sluice_ticket *ret_ticket)
{
	if (unlikely(!pages_unmap(view, iova, len)))
		return unmap_any(view, iova, len, cookie, ret_ticket);
	if (unlikely(!view_note_soft(view, iova, iova + len - 1)))
		return retire(view, iova, len, cookie, ret_ticket);
	view_queue_pages(view, iova, len >> SLUICE_PAGE_LG2, cookie);
	return unmapped(view, len, ret_ticket);
}

static noinline int unmap_other(struct sluice_view *view, sluice_iova_t iova,
                                uint64_t len, uint64_t cookie,
                                struct sluice_ticket *ret_ticket)
{
	if (!view->revive || !revive_near_unmap(view, iova, len))
		return unmap_any(view, iova, len, cookie, ret_ticket);
	return retire(view, iova, len, cookie, ret_ticket);
}

/* Calls nothing that comes back: a page whose table is remembered needs no
 * frame. */
int sluice_unmap(struct sluice_view *view, sluice_iova_t iova, uint64_t len,
                 uint64_t cookie, struct sluice_ticket *ret_ticket)
{
	if (likely(view->plain)) {
		if (unlikely(!page_unmap(view, iova, len)))
			return unmap_pages(view, iova, len, cookie, ret_ticket);
		if (unlikely(!view_note_soft(view, iova,
		                             iova + SLUICE_PAGE_SIZE - 1)))
			return retire(view, iova, SLUICE_PAGE_SIZE, cookie,
			              ret_ticket);
		view_queue_pages(view, iova, 1, cookie);
		return page_unmapped(view, ret_ticket);
	}
	if (unlikely(!view->revive) || !revive_page_unmap(view, iova, len))
		return unmap_other(view, iova, len, cookie, ret_ticket);
	if (!view_note_next(view, iova, iova + SLUICE_PAGE_SIZE - 1))
		return retire(view, iova, SLUICE_PAGE_SIZE, cookie, ret_ticket);
	view_queue_own(view, iova, SLUICE_PAGE_SIZE, cookie);
	return page_unmapped(view, ret_ticket);
}
