/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views: birth and death. Control path; what a view does meanwhile is view.c.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(struct sluice_view, va) ==
                       sizeof(struct sluice_view_hot),
               "sluice_va_to_iova() finds it there");

static void view_free(struct sluice_view *view)
{
	iova_cache_destroy(view->iova);
	tlb_destroy(&view->hot);
	if (view->domain->rev)
		tlb_destroy(&view->va);
	pt_near_destroy(&view->near);
	pt_near_destroy(&view->va_near);
	free(view->log_side.holds);
	free(view->revive);
	free(view->pend);
	free(view);
}

/* Both directions. Without a VA side nothing ever hits there. */
static int view_alloc_sides(struct sluice_view *view)
{
	static struct sluice_tlb_entry nothing;
	const struct sluice_domain_cfg *cfg = &view->domain->cfg;
	struct holds *holds = calloc(1, sizeof(*holds));
	int rc;

	view->log_side.hot = &view->hot;
	view->log_side.holds = holds;
	/* What view_free() must not free is there only where it looks not. */
	view->va.tlb = view->domain->rev ? NULL : &nothing;
	if (!holds)
		return -ENOMEM;
	holds_init(holds);
	rc = tlb_create(cfg->tlb_entries, &view->hot);
	if (!rc)
		rc = pt_near_create(view->pt, cfg->walk_entries, &view->near);
	if (rc || !view->domain->rev)
		return rc;
	view->log_side.va = &view->va;
	rc = tlb_create(cfg->tlb_entries, &view->va);
	return rc ? rc
	          : pt_near_create(view->domain->rev, cfg->walk_entries,
	                           &view->va_near);
}

static int view_alloc(struct sluice_lane *lane, struct sluice_domain *domain,
                      struct sluice_view **ret_view)
{
	struct sluice_view *view;
	uint64_t ring = domain->cfg.max_inflight;
	uint8_t notify = domain->cfg.mode == SLUICE_MODE_LAZY ? 0 : PEND_NOTIFY;
	int rc;

	view = aligned_alloc(CACHELINE, align_up(sizeof(*view), 6));
	if (!view)
		return -ENOMEM;
	memset(view, 0, sizeof(*view));
	view->lane = lane;
	view->domain = domain;
	view->pt = domain->pt;
	view->log = domain->log;
	view->reader = lane->id;
	view->lazy = domain->cfg.mode == SLUICE_MODE_LAZY;
	view->pend_mask = ring - 1;
	view->pend = calloc(ring, sizeof(*view->pend));
	rc = view->pend ? view_alloc_sides(view) : -ENOMEM;
	if (!rc)
		rc = revive_create(domain, &view->near, &view->revive);
	view->how_new = (struct pend){.flags = notify}.how;
	view->how_back =
	        (struct pend){.flags = notify | PEND_STAYS, .state = PEND_DONE}
	                .how;
	view->plain = !domain->be && !domain->rev && !view->revive;
	if (rc) {
		view_free(view);
		return rc;
	}
	*ret_view = view;
	return 0;
}

static int view_register(struct sluice_view *view)
{
	struct sluice_lane *lane = view->lane;
	struct sluice_domain *domain = view->domain;
	struct sluice_view **list;
	struct sluice_view **awake;

	if (domain->views[lane->id])
		return msg_fmt(-EEXIST, "lane %u has a view on this domain",
		               lane->id);
	if (domain->be && ld_rlx(&domain->nr_groups) == 0)
		return msg_lit(-ENODEV, "no group is attached: call "
		                        "sluice_domain_attach() before opening "
		                        "views");
	if (domain->iova && iova_cache_create(domain->iova, &view->iova))
		return msg_lit(-ENOMEM, "no memory for an IOVA cache");
	list = realloc(lane->views, (lane->nr_views + 1) * sizeof(*list));
	if (list)
		lane->views = list;
	awake = realloc(lane->awake, (lane->nr_views + 1) * sizeof(*awake));
	if (awake)
		lane->awake = awake;
	if (!list || !awake)
		return msg_lit(-ENOMEM, "no memory for a view");
	list[lane->nr_views++] = view;
	view_awake(view);
	invlog_set_wake(view->log, view->reader, view_wake, view);
	domain->views[lane->id] = view;
	domain->nr_views++;
	carve_count(view->carve, 1);
	return 0;
}

int sluice_view_open(struct sluice_lane *lane, struct sluice_domain *domain,
                     struct sluice_view **ret_view)
{
	return view_open(lane, domain, NULL, ret_view);
}

int view_open(struct sluice_lane *lane, struct sluice_domain *domain,
              struct sluice_carve *carve, struct sluice_view **ret_view)
{
	struct sluice_view *view;
	int rc;

	if (!lane || !domain || !ret_view)
		return msg_lit(-EINVAL, "lane, domain or ret_view is NULL");
	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	if (lane->engine != domain->engine)
		return msg_lit(-EINVAL, "lane and domain belong to different "
		                        "engines");
	if (!lane->online)
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (domain->be && !lane->kernel) {
		rc = lane_kernel_create(lane);
		if (rc)
			return rc;
	}
	rc = view_alloc(lane, domain, &view);
	if (rc)
		return msg_lit(rc, "no memory for a view");
	view->carve = carve;
	pthread_mutex_lock(&domain->lock);
	rc = view_register(view);
	pthread_mutex_unlock(&domain->lock);
	if (rc) {
		view_free(view);
		return rc;
	}
	*ret_view = view;
	return 0;
}

static void leave_list(struct sluice_view **list, uint32_t *nr,
                       const struct sluice_view *view)
{
	for (uint32_t i = 0; i < *nr; i++)
		if (list[i] == view)
			list[i] = list[--*nr];
}

/* Nobody knows the view any more afterwards, not even one who wakes it. */
static void leave_lane(struct sluice_view *view)
{
	struct sluice_lane *lane = view->lane;

	if (view->asleep && invlog_rouse(view->log, view->reader))
		view->asleep = false;
	while (view->asleep) {
		lane_open_inbox(lane);
		cpu_relax();
	}
	leave_list(lane->views, &lane->nr_views, view);
	leave_list(lane->awake, &lane->nr_awake, view);
}

int sluice_view_close(struct sluice_view *view)
{
	struct sluice_domain *domain;
	struct sluice_lane *lane;

	if (!view)
		return 0;
	lane = view->lane;
	domain = view->domain;
	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	if (!view_idle(view))
		return msg_lit(-EBUSY, "requests of this view are in flight: "
		                       "call sluice_drain() first");
	if (view->nr_rings)
		return msg_fmt(-EBUSY,
		               "%u rings of this view are there: call "
		               "sluice_ring_destroy() first",
		               view->nr_rings);
	if (view->log_side.holds->nr)
		return msg_fmt(-EBUSY,
		               "%u ranges of this view are held: call "
		               "sluice_hold_release() first",
		               view->log_side.holds->nr);
	view_leave(view);
	leave_lane(view);
	pthread_mutex_lock(&domain->lock);
	domain->views[lane->id] = NULL;
	domain->nr_views--;
	carve_count(view->carve, -1);
	view_stats_add(&domain->closed, view);
	exposure_merge(&domain->closed_exposure, &view->exposure);
	pthread_mutex_unlock(&domain->lock);
	view_free(view);
	return 0;
}
