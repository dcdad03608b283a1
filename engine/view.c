/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views: the way of an unmap from the call to its completion. Leaves are
 * cleared by the caller; here the range joins a batch, the batch is posted to
 * the log, the log passes, the backend (if any) tears down, the IOVA is free
 * again and the completion goes out.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int view_alloc(struct sluice_lane *lane, struct sluice_domain *domain,
                      struct sluice_view **ret_view)
{
	struct sluice_view *view;
	uint64_t ring = domain->cfg.max_inflight;
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
	rc = view->pend ? revive_create(domain, &view->revive) : -ENOMEM;
	if (rc == 0)
		rc = tlb_create(domain->cfg.tlb_entries, &view->hot);
	view->plain = !domain->be && !view->revive;
	if (rc) {
		free(view->revive);
		free(view->pend);
		free(view);
		return rc;
	}
	*ret_view = view;
	return 0;
}

static void view_free(struct sluice_view *view)
{
	iova_cache_destroy(view->iova);
	tlb_destroy(&view->hot);
	free(view->revive);
	free(view->pend);
	free(view);
}

static int view_register(struct sluice_view *view)
{
	struct sluice_lane *lane = view->lane;
	struct sluice_domain *domain = view->domain;
	struct sluice_view **list;

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
	if (!list)
		return msg_lit(-ENOMEM, "no memory for a view");
	lane->views = list;
	list[lane->nr_views++] = view;
	domain->views[lane->id] = view;
	domain->nr_views++;
	return 0;
}

int sluice_view_open(struct sluice_lane *lane, struct sluice_domain *domain,
                     struct sluice_view **ret_view)
{
	struct sluice_view *view;
	int rc;

	if (!lane || !domain || !ret_view)
		return msg_lit(-EINVAL, "lane, domain or ret_view is NULL");
	if (lane_check(lane))
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
	pthread_mutex_lock(&domain->lock);
	rc = view_register(view);
	pthread_mutex_unlock(&domain->lock);
	if (rc) {
		view_free(view);
		return rc;
	}
	invlog_online(view->log, view->reader);
	*ret_view = view;
	return 0;
}

bool view_idle(const struct sluice_view *view)
{
	return view->emitted == view->tail && view->nr_maps_inflight == 0 &&
	       view->nr_batch == 0 && !view->freed_new.head &&
	       !view->freed_wait.head;
}

int sluice_view_close(struct sluice_view *view)
{
	struct sluice_domain *domain;
	struct sluice_lane *lane;

	if (!view)
		return 0;
	lane = view->lane;
	domain = view->domain;
	if (lane_check(lane))
		return -EPERM;
	if (!view_idle(view))
		return msg_lit(-EBUSY, "requests of this view are in flight: "
		                       "call sluice_drain() first");
	if (view->nr_rings)
		return msg_fmt(-EBUSY,
		               "%u rings of this view are there: call "
		               "sluice_ring_destroy() first",
		               view->nr_rings);
	if (lane->online)
		invlog_offline(view->log, view->reader);
	for (uint32_t i = 0; i < lane->nr_views; i++)
		if (lane->views[i] == view)
			lane->views[i] = lane->views[--lane->nr_views];
	pthread_mutex_lock(&domain->lock);
	domain->views[lane->id] = NULL;
	domain->nr_views--;
	view_stats_add(&domain->closed, view);
	pthread_mutex_unlock(&domain->lock);
	view_free(view);
	return 0;
}

static void filter_count(struct sluice_view *view, uint64_t iova, uint64_t len,
                         int add)
{
	struct pend_filter *f = &view->filter;
	uint64_t page = iova >> SLUICE_PAGE_LG2;
	uint64_t nr = len >> SLUICE_PAGE_LG2;

	if (view->iova)
		return;
	if (nr > FILTER_MAX_PAGES) {
		f->nr_large += (uint32_t)add;
		return;
	}
	for (uint64_t i = 0; i < nr; i++) {
		uint16_t *c = &f->nr[(page + i) % FILTER_SLOTS];

		*c = (uint16_t)(*c + add);
	}
}

/* False: certainly none of these pages waits for its ticket. */
static bool filter_maybe(const struct sluice_view *view, uint64_t iova,
                         uint64_t last)
{
	const struct pend_filter *f = &view->filter;
	uint64_t page = iova >> SLUICE_PAGE_LG2;
	uint64_t nr = (last >> SLUICE_PAGE_LG2) - page + 1;

	if (view->iova || f->nr_large || nr > FILTER_MAX_PAGES)
		return true;
	for (uint64_t i = 0; i < nr; i++)
		if (f->nr[(page + i) % FILTER_SLOTS])
			return true;
	return false;
}

bool view_is_pending(const struct sluice_view *view, uint64_t iova,
                     uint64_t last)
{
	if (!filter_maybe(view, iova, last))
		return false;
	for (uint64_t i = view->passed; i != view->tail; i++) {
		const struct pend *p = &view->pend[i & view->pend_mask];

		if (ranges_overlap(iova, last, p->iova, p->iova + p->len - 1))
			return true;
	}
	return false;
}

/* Hands the batch to every lane of the domain. */
void view_post(struct sluice_view *view)
{
	uint64_t seq;

	if (view->nr_batch == 0) {
		/* Only unlinked tables: any record carries their grace
		 * period. This one costs a miss at most, should page 0 be
		 * mapped. */
		if (!view->freed_new.head || view->freed_wait.head)
			return;
		view->batch[view->nr_batch++] =
		        (struct invlog_rec){0, SLUICE_PAGE_SIZE - 1};
	}
	seq = invlog_post(view->log, view->reader, view->batch, view->nr_batch);
	ctr_add(&view->st.invalidations, view->nr_batch);
	ctr_add(&view->st.posts, 1);
	for (; view->posted != view->tail; view->posted++)
		view->pend[view->posted & view->pend_mask].log_seq = seq;
	if (view->freed_new.head && !view->freed_wait.head) {
		view->freed_wait = view->freed_new;
		view->freed_new = (struct pt_freed){0};
		view->freed_seq = seq;
	}
	view->nr_batch = 0;
	view->batch_unmaps = 0;
	view->batch_bytes = 0;
}

static void batch_add(struct sluice_view *view, uint64_t first, uint64_t last)
{
	struct invlog_rec *prev;

	if (view->nr_batch) {
		prev = &view->batch[view->nr_batch - 1];
		if (prev->last + 1 == first) {
			prev->last = last;
			return;
		}
		if (last + 1 == prev->first) {
			prev->first = first;
			return;
		}
		if (view->nr_batch == INVLOG_BATCH)
			view_post(view);
	}
	if (view->nr_batch == 0) {
		/* Once a batch: later members are taken for as old. */
		view->lane->now = ticks_now();
		view->batch_ticks = view->lane->now;
	}
	view->batch[view->nr_batch++] = (struct invlog_rec){first, last};
}

void view_retire(struct sluice_view *view, uint64_t iova, uint64_t len,
                 uint64_t cookie, uint8_t flags)
{
	struct pend *p;

	/* First: a full batch is posted here, and must not count this one. */
	batch_add(view, iova, iova + len - 1);
	p = &view->pend[view->tail++ & view->pend_mask];
	p->iova = iova;
	p->len = len;
	p->cookie = cookie;
	p->ticks = view->lane->now;
	p->result = 0;
	p->flags = flags;
	p->state = PEND_WAITS;
	filter_count(view, iova, len, 1);
	view->batch_unmaps++;
	view->batch_bytes += len;
	view->pend_bytes += len;
	ctr_max(&view->st.exposed_entries_max, view->tail - view->passed);
	ctr_max(&view->st.exposed_bytes_max, view->pend_bytes);
}

static bool must_post(const struct sluice_view *view)
{
	const struct sluice_domain_cfg *cfg = &view->domain->cfg;

	if (view->nr_batch == 0)
		return view->freed_new.head && !view->freed_wait.head;
	return !view->lazy || view->batch_unmaps >= cfg->lazy_entries ||
	       view->batch_bytes >= cfg->lazy_bytes ||
	       view->lane->now - view->batch_ticks >= view->domain->lazy_ticks;
}

static bool log_has_passed(struct sluice_view *view, uint64_t seq)
{
#ifdef SLUICE_MUTANT_TICKET_NO_WAIT /* tests/engine: must be caught */
	return true;
#endif
	if (view->log_passed < seq)
		view->log_passed = invlog_passed(view->log);
	return view->log_passed >= seq;
}

static void refuse_ticket(struct sluice_view *view, uint64_t seq)
{
	if (view->nr_refused < REFUSED_MAX)
		view->refused[view->nr_refused++] = seq;
}

static bool was_refused(const struct sluice_view *view, uint64_t seq)
{
	for (uint32_t i = 0; i < view->nr_refused; i++)
		if (seq == view->refused[i])
			return true;
	return view->nr_refused == REFUSED_MAX &&
	       seq > view->refused[REFUSED_MAX - 1];
}

/* Moves unmaps on whose ticket in the log has passed: to the backend, or
 * straight to the end. */
static void advance(struct sluice_view *view)
{
	while (view->submitted != view->posted) {
		struct pend *p = &view->pend[view->submitted & view->pend_mask];

		if (!log_has_passed(view, p->log_seq))
			break;
		if (view->domain->be && !(p->flags & PEND_STAYS)) {
			if (!kernel_unmap(view, view->submitted))
				break;
			p->state = PEND_AT_BACKEND;
		} else {
			p->state = PEND_DONE;
		}
		view->submitted++;
	}
	while (view->passed != view->submitted) {
		struct pend *p = &view->pend[view->passed & view->pend_mask];

		if (p->state != PEND_DONE)
			break;
		/* A range the kernel did not give back is never reused, and
		 * its ticket never passes. */
		if (unlikely(p->result))
			refuse_ticket(view, view->passed + 1);
		else if (view->iova && !(p->flags & PEND_STAYS))
			iova_free(view->iova, p->iova, p->len);
		filter_count(view, p->iova, p->len, -1);
		view->pend_bytes -= p->len;
		ctr_max(&view->st.exposed_ticks_max,
		        view->lane->now - p->ticks);
		view->passed++;
	}
	if (view->freed_wait.head && log_has_passed(view, view->freed_seq))
		pt_free_list(view->pt, &view->freed_wait, &view->lane->pc);
}

static uint32_t emit(struct sluice_view *view, struct sluice_completion *out,
                     uint32_t max, bool drop)
{
	uint32_t n = 0;

	for (; view->emitted != view->passed; view->emitted++) {
		const struct pend *p =
		        &view->pend[view->emitted & view->pend_mask];

		if (drop || !(p->flags & PEND_NOTIFY))
			continue;
		if (n == max)
			break;
		out[n++] = (struct sluice_completion){
		        .cookie = p->cookie,
		        .iova = p->iova,
		        .len = p->len,
		        .result = p->result,
		        .op = SLUICE_OP_UNMAP,
		};
	}
	return n;
}

uint32_t view_poll(struct sluice_view *view, struct sluice_completion *out,
                   uint32_t max, bool drop)
{
	struct sluice_lane *lane = view->lane;

	if (view->emitted != view->tail || view->nr_batch ||
	    view->freed_new.head || view->freed_wait.head) {
		lane->now = ticks_now();
		if (must_post(view))
			view_post(view);
	}
	if (likely(lane->online) &&
	    invlog_drain(view->log, view->reader, &view->hot))
		ctr_add(&view->st.flushes, 1);
	if (view->emitted == view->tail && !view->freed_wait.head)
		return 0;
	advance(view);
	return emit(view, out, max, drop);
}

int sluice_ticket_passed(const struct sluice_view *view,
                         struct sluice_ticket ticket)
{
	return view->passed >= ticket.seq && (likely(view->nr_refused == 0) ||
	                                      !was_refused(view, ticket.seq));
}

void view_stats_add(struct sluice_domain_stats *sum,
                    const struct sluice_view *view)
{
	const struct view_stats *st = &view->st;

	sum->maps += ld_rlx(&st->maps);
	sum->map_bytes += ld_rlx(&st->map_bytes);
	sum->unmaps += ld_rlx(&st->unmaps);
	sum->unmap_bytes += ld_rlx(&st->unmap_bytes);
	sum->map_failures += ld_rlx(&st->map_failures);
	sum->unmap_failures += ld_rlx(&st->unmap_failures);
	sum->misses += ld_rlx(&st->misses);
	sum->faults += ld_rlx(&st->faults);
	sum->invalidations += ld_rlx(&st->invalidations);
	sum->posts += ld_rlx(&st->posts);
	sum->revived += ld_rlx(&st->revived);
	sum->view_flushes += ld_rlx(&st->flushes);
	/* Views peak at different times: the sum is an upper bound. */
	sum->exposed_entries_max += ld_rlx(&st->exposed_entries_max);
	sum->exposed_bytes_max += ld_rlx(&st->exposed_bytes_max);
	sum->exposed_ns_max =
	        max_u64(sum->exposed_ns_max,
	                ticks_to_ns(ld_rlx(&st->exposed_ticks_max)));
}
