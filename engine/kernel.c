/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lane's side of a kernel backend: requests out, completions back. A map
 * becomes visible to translations only when the kernel has it, an unmap
 * reaches the kernel only when no lane can translate it any more: the mirror
 * outlives the visible mapping at both ends.
 */
#include "engine/pend.h"

#include <errno.h>
#include <stdlib.h>

int lane_kernel_create(struct sluice_lane *lane)
{
	uint32_t nr = lane->cfg.max_requests;
	struct lane_kernel *k = calloc(1, sizeof(*k));
	int rc = -ENOMEM;

	if (!k)
		return msg_lit(-ENOMEM, "no memory for kernel requests");
	k->nr_req = nr;
	events_init(&k->events);
	k->req = calloc(nr, sizeof(*k->req));
	k->free = calloc(nr, sizeof(*k->free));
	k->seg_bytes = (size_t)nr * MAX_SG * sizeof(*k->seg);
	k->seg = sys_reserve(k->seg_bytes);
	if (k->req && k->free && k->seg)
		rc = fabric_port_create(nr,
		                        lane->engine->cfg.no_io_uring
		                                ? FABRIC_PLAIN
		                                : FABRIC_MSG_RING,
		                        &k->port);
	if (rc) {
		lane_kernel_destroy(k);
		return msg_lit(rc, "no memory for kernel requests: lower "
		                   "max_requests in sluice_lane_cfg");
	}
	for (uint32_t i = 0; i < nr; i++) {
		k->req[i].be.seg = k->seg + (size_t)i * MAX_SG;
		k->req[i].be.port = k->port;
		k->req[i].be.id = i;
		k->free[i] = nr - 1 - i;
	}
	k->nr_free = nr;
	lane->kernel = k;
	return 0;
}

void lane_kernel_destroy(struct lane_kernel *k)
{
	if (!k)
		return;
	fabric_port_destroy(k->port);
	events_destroy(&k->events);
	if (k->seg)
		(void)sys->munmap(k->seg, k->seg_bytes);
	free(k->req);
	free(k->free);
	free(k);
}

#define RECALLED UINT64_MAX /* for a request's pend: it has none any more */

static struct lane_req *req_get(struct lane_kernel *k)
{
	return k->nr_free ? &k->req[k->free[--k->nr_free]] : NULL;
}

static void req_put(struct lane_kernel *k, struct lane_req *req)
{
	k->free[k->nr_free++] = (uint32_t)req->be.id;
}

static bool submit_one(struct sluice_view *view, struct lane_req *req)
{
	struct backend *be = view->domain->be;
	struct be_req *one = &req->be;

	view->lane->kernel->vain_polls = 0;
	return be->ops->submit(be, &one, 1) == 1;
}

/* Pieces that continue each other in VA become one segment: they die
 * together, so one kernel mapping may hold them. */
static void fill_segs(struct be_req *be, const struct map_args *args)
{
	be->nr_seg = 0;
	for (uint32_t i = 0; i < args->nr; i++) {
		uint64_t va = (uintptr_t)args->iov[i].iov_base;
		uint64_t len = args->iov[i].iov_len;
		struct be_seg *prev =
		        be->nr_seg ? &be->seg[be->nr_seg - 1] : NULL;

		if (prev && prev->va + prev->len == va)
			prev->len += len;
		else
			be->seg[be->nr_seg++] = (struct be_seg){va, len};
	}
}

/* Tables first: once the kernel has mapped, writing leaves must not fail. */
static int populate(struct sluice_view *view, uint64_t at,
                    const struct be_seg *seg, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		int rc = pt_populate(view->pt, &view->lane->pc, at,
		                     at + seg[i].len - 1, seg[i].va);

		if (rc == 0 && view->domain->rev)
			rc = pt_populate(view->domain->rev, &view->lane->pc,
			                 seg[i].va, seg[i].va + seg[i].len - 1,
			                 at);
		if (rc == -ENOMEM)
			return msg_lit(rc, "the limit of page-table memory is "
			                   "reached: raise max_table_bytes");
		if (rc)
			return msg_lit(rc, "the domain's table format cannot "
			                   "express this address");
		at += seg[i].len;
	}
	return 0;
}

int kernel_map(struct sluice_view *view, const struct map_args *args,
               uint64_t iova)
{
	struct lane_kernel *k = view->lane->kernel;
	struct lane_req *req = NULL;
	int rc;

	if (engine_check(view->domain->engine)) {
		rc = -EPERM;
		goto fail;
	}
	if (unlikely(ld_rlx(&view->domain->nr_groups) == 0)) {
		rc = msg_lit(-ENODEV, "no group is attached to the domain");
		goto fail;
	}
	req = req_get(k);
	if (unlikely(!req)) {
		rc = msg_lit(-EAGAIN, "too many requests in flight: call "
		                      "sluice_poll(), then try again");
		goto fail;
	}
	req->view = view;
	req->ring = args->ring;
	req->cookie = args->req->cookie;
	req->flags = args->req->flags;
	req->be.op = BE_MAP;
	req->be.prot = args->req->prot;
	req->be.iova = iova;
	req->be.len = args->len;
	fill_segs(&req->be, args);
	rc = populate(view, iova, req->be.seg, req->be.nr_seg);
	if (unlikely(rc))
		goto fail;
	if (unlikely(!submit_one(view, req))) {
		rc = msg_lit(-EAGAIN, "the backend's queue is full: call "
		                      "sluice_poll(), then try again");
		goto fail;
	}
	view->nr_maps_inflight++;
	return 1;
fail:
	if (req)
		req_put(k, req);
	if (view->iova && !(args->req->flags & SLUICE_MAP_FIXED))
		iova_free(view->iova, iova, args->len);
	return rc;
}

static struct lane_req *unmap_req(struct sluice_view *view, uint64_t pend)
{
	struct pend *p = &view->pend[pend & view->pend_mask];
	struct lane_req *req = req_get(view->lane->kernel);

	if (!req)
		return NULL;
	req->view = view;
	req->pend = pend;
	req->be.op = BE_UNMAP;
	req->be.iova = p->iova;
	req->be.len = p->len;
	req->be.nr_seg = 0;
	st_rlx(&req->be.state, BE_QUEUED);
	/* Should it not fit, it is overwritten. */
	p->req = (uint16_t)req->be.id;
	p->state = PEND_AT_BACKEND;
	return req;
}

#define UNMAPS_AT_ONCE 32

uint64_t kernel_unmap(struct sluice_view *view, uint64_t from, uint64_t to)
{
	struct lane_kernel *k = view->lane->kernel;
	struct backend *be = view->domain->be;
	struct be_req *req[UNMAPS_AT_ONCE];
	struct lane_req *r;
	uint32_t n = 0, sent;

	while (n < UNMAPS_AT_ONCE && from + n != to) {
		r = unmap_req(view, from + n);
		if (!r)
			break;
		req[n++] = &r->be;
	}
	if (n == 0)
		return from;
	/* In one go: what belongs together is found together. */
	sent = be->ops->submit(be, req, n);
	k->nr_unmaps += sent;
	k->vain_polls = 0;
	while (n > sent) {
		r = &k->req[req[--n]->id];
		view->pend[r->pend & view->pend_mask].state = PEND_WAITS;
		req_put(k, r);
	}
	return from + sent;
}

bool kernel_recall(struct sluice_view *view, struct pend *p,
                   const struct be_seg *seg)
{
	struct lane_req *req = &view->lane->kernel->req[p->req];

	if (populate(view, p->iova, seg, 1) || !be_cancel(&req->be))
		return false;
	/* The request is still on its way, and holds the view up. */
	req->pend = RECALLED;
	view->nr_recalled++;
	p->state = PEND_DONE;
	return true;
}

/* The kernel has the mapping: now translations may see it. If the kernel
 * refused, the IOVA is free again. If our leaves fail, which populate has made
 * impossible for callers who keep their promises, the kernel's mapping is taken
 * back first; without room for that its IOVA is not used again. */
static int map_done(struct sluice_view *view, struct lane_req *req, int res)
{
	const struct be_req *be = &req->be;
	bool fixed = req->flags & SLUICE_MAP_FIXED;
	bool undone = false;
	uint64_t ticket = 0;

	view->nr_maps_inflight--;
	if (res) {
		if (view->iova && !fixed)
			iova_free(view->iova, be->iova, be->len);
	} else {
		res = map_leaves(view, be->iova, be->seg, be->nr_seg, be->prot,
		                 &undone);
		if (res && view_has_room(view)) {
			view_retire(view, be->iova, be->len, 0,
			            fixed ? PEND_FIXED : 0);
			ticket = view->tail;
		} else if (res) {
			ticket = UINT64_MAX;
		}
	}
	if (req->ring)
		ring_map_done(req->ring, be->iova, be->len, !res, ticket);
	if (res)
		ctr_add(&view->st.map_failures, 1);
	return res;
}

static void unmap_done(struct sluice_view *view, const struct lane_req *req,
                       int res)
{
	struct pend *p = &view->pend[req->pend & view->pend_mask];

	if (req->pend == RECALLED) {
		view->nr_recalled--;
		return;
	}
	p->result = res;
	p->state = PEND_DONE;
	if (res)
		ctr_add(&view->st.unmap_failures, 1);
}

/* A lane that polls and finds nothing, and has nothing but unmaps at backends,
 * waits for them. A poll or two in vain are no sign of that. */
#define VAIN_POLLS 4

static noinline void hurry(struct sluice_lane *lane)
{
	for (uint32_t i = 0; i < lane->nr_views; i++) {
		const struct sluice_view *view = lane->views[i];
		struct backend *be = view->domain->be;

		if (be &&
		    (view->passed != view->submitted || view->nr_recalled))
			be->ops->hurry(be);
	}
}

static inline bool only_unmaps(const struct lane_kernel *k)
{
	return k->nr_unmaps && k->nr_req - k->nr_free == k->nr_unmaps;
}

uint32_t kernel_reap(struct sluice_lane *lane, struct sluice_completion *out,
                     uint32_t max, bool drop)
{
	struct lane_kernel *k = lane->kernel;
	struct fabric_cqe cqe[64];
	uint32_t room = drop ? NR_OF(cqe) : (uint32_t)min_u64(max, NR_OF(cqe));
	uint32_t nr = fabric_reap(k->port, cqe, room);
	uint32_t n = 0;

	if (nr == 0 && room && only_unmaps(k) && ++k->vain_polls == VAIN_POLLS)
		hurry(lane);
	for (uint32_t i = 0; i < nr; i++) {
		struct lane_req *req;
		struct sluice_view *view;

		if (unlikely(cqe[i].id & FABRIC_WATCH)) {
			event_fired(lane, cqe[i].id,
			            cqe[i].flags & FABRIC_MORE);
			continue;
		}
		req = &k->req[cqe[i].id];
		view = req->view;
		if (req->be.op == BE_UNMAP) {
			k->nr_unmaps--;
			unmap_done(view, req, cqe[i].res);
		} else {
			int res = map_done(view, req, cqe[i].res);

			if (!drop)
				out[n++] = (struct sluice_completion){
				        .cookie = req->cookie,
				        .iova = req->be.iova,
				        .len = req->be.len,
				        .result = res,
				        .op = SLUICE_OP_MAP,
				};
		}
		req_put(k, req);
	}
	return n;
}

bool kernel_whole(const struct sluice_view *view, uint64_t iova, uint64_t last)
{
	struct pt_run run;

	/* Not mapped at all: the unmap itself says so. */
	if (pt_walk(view->pt, iova, &run))
		return true;
	if (run.iova != iova || !(run.prot & LEAF_HEAD))
		return false;
	if (last == UINT64_MAX || pt_walk(view->pt, last + 1, &run))
		return true;
	return run.iova == last + 1 && run.prot & LEAF_HEAD;
}

static const char *map_text(int err)
{
	switch (-err) {
	case ENOMEM:
		return "the memory cannot be pinned: RLIMIT_MEMLOCK is used "
		       "up, raise it with `ulimit -l` (in KiB, or unlimited); "
		       "sluice_budget_explain() says to how much";
	case ENOSPC:
		return "the container takes no more mappings: map larger "
		       "pieces, use an arena, or raise dma_entry_limit of "
		       "vfio_iommu_type1; sluice_budget_explain() says to "
		       "how much";
	case EEXIST:
		return "a part of the IOVA range is mapped already: unmap it "
		       "first";
	case EFAULT:
		return "the memory is not there, or is read-only and was to "
		       "be written: map what exists, with fitting prot";
	case ENODEV:
		return "no group is attached to the domain: call "
		       "sluice_domain_attach() first";
	case EINVAL:
		return "the kernel refuses this IOVA range: it must lie in "
		       "the domain's aperture, see sluice_domain_get_info()";
	default:
		return "the kernel refused the mapping: see the errno";
	}
}

const char *sluice_completion_text(const struct sluice_completion *c)
{
	if (c->result == 0)
		return "";
	if (c->op == SLUICE_OP_MAP)
		return map_text(c->result);
	return "the kernel did not give the range back: devices may still "
	       "reach the memory, keep it until the domain is destroyed";
}
