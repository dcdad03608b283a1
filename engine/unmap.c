/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unmap on a lane: the leaves go at once, everything else is queued.
 */
#include "engine/engine_int.h"

#include <errno.h>

#define RUNS 32

void unmap_unclaim(struct sluice_domain *domain, const struct pt_gather *g)
{
	for (uint32_t i = 0; i < g->nr; i++) {
		const struct pt_run *run = &g->run[i];

		if (run->prot & LEAF_CLAIMED)
			(void)pt_unmap(domain->rev, run->oa,
			               run->oa + (run->last - run->iova), NULL);
	}
}

int64_t unmap_leaves(struct sluice_domain *domain, uint64_t iova, uint64_t last)
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
		unmap_unclaim(domain, &g);
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int unmap_error(int rc)
{
	switch (rc) {
	case -ENOENT:
		return msg_lit(rc, "a part of the range is not mapped: unmap "
		                   "exactly what was mapped");
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
	if (unlikely(!view->plain) && view->domain->be &&
	    !kernel_whole(view, iova, *ret_last))
		return msg_lit(-ERANGE,
		               "a kernel mapping dies only whole: unmap the "
		               "range that one sluice_map() or "
		               "sluice_map_sg() returned");
	return 0;
}

int sluice_unmap(struct sluice_view *view, sluice_iova_t iova, uint64_t len,
                 uint64_t cookie, struct sluice_ticket *ret_ticket)
{
	uint64_t last;
	int64_t n;
	int rc;

	rc = check_unmap(view, iova, len, &last);
	if (likely(rc == 0)) {
		n = likely(!view->revive)
		            ? unmap_leaves(view->domain, iova, last)
		            : revive_unmap(view, iova, last);
		if (unlikely(n < 0))
			rc = unmap_error((int)n);
	}
	if (unlikely(rc)) {
		ctr_add(&view->st.unmap_failures, 1);
		return rc;
	}
	/* No return from here: the leaves are gone. */
	if (tlb_drop(&view->hot, iova, last))
		ctr_add(&view->st.flushes, 1);
	view_retire(view, iova, len, cookie, view->lazy ? 0 : PEND_NOTIFY);
	ctr_add(&view->st.unmaps, 1);
	ctr_add(&view->st.unmap_bytes, len);
	if (ret_ticket)
		ret_ticket->seq = view->tail;
	return view->lazy ? 0 : 1;
}
