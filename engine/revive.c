/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing back a mapping whose unmap still waits for its ticket. Its IOVA is
 * taken from nobody, its stale translations lead where the new ones do, and a
 * kernel backend has not been told yet: so its leaves are written again and the
 * unmap in the ring forgets to free what it named. Knows which unmaps of the
 * view can come back; their way to the ticket is view.c's.
 *
 * docs/decisions/0010 has the reasons.
 */
#include "engine/pend.h"

#include <errno.h>
#include <stdlib.h>

#define RUNS 32

int revive_check(const struct sluice_domain_cfg *cfg)
{
	uint32_t both = SLUICE_DOMAIN_REVIVE | SLUICE_DOMAIN_NO_REVIVE;

	if ((cfg->flags & both) == both)
		return msg_lit(-EINVAL, "SLUICE_DOMAIN_REVIVE and "
		                        "SLUICE_DOMAIN_NO_REVIVE exclude each "
		                        "other");
	if (cfg->flags & SLUICE_DOMAIN_REVIVE &&
	    cfg->flags & SLUICE_DOMAIN_CALLER_IOVA)
		return msg_lit(-EINVAL, "a revived mapping has its old IOVA: "
		                        "SLUICE_DOMAIN_REVIVE does not go with "
		                        "SLUICE_DOMAIN_CALLER_IOVA");
	return 0;
}

static bool wanted(const struct sluice_domain *d)
{
	if (d->cfg.flags & SLUICE_DOMAIN_CALLER_IOVA)
		return false;
	/* Lazy on a kernel backend: the memory may be other pages by now. */
	if (!d->be || d->cfg.mode == SLUICE_MODE_LAZY)
		return d->cfg.flags & SLUICE_DOMAIN_REVIVE;
	return !(d->cfg.flags & SLUICE_DOMAIN_NO_REVIVE);
}

int revive_create(const struct sluice_domain *domain,
                  struct revive **ret_revive)
{
	if (!wanted(domain))
		return 0;
	*ret_revive = calloc(1, sizeof(**ret_revive));
	return *ret_revive ? 0 : -ENOMEM;
}

static void note(struct sluice_view *view, const struct pt_run *run)
{
	struct revive_slot *s = revive_slot(view->revive, run->oa);

	s->key = run->oa | (run->prot & SLUICE_RW);
	s->pend = view->tail;
}

/* As unmap_leaves; with the VA side what was there is known anyway. */
static int64_t unmap_claimed(struct sluice_view *view, uint64_t iova,
                             uint64_t last)
{
	struct pt_run runs[RUNS];
	uint64_t done = 0;

	while (iova + done - 1 != last) {
		struct pt_gather g = {.run = runs, .max = RUNS};
		int64_t n = pt_unmap(view->pt, iova + done, last, &g);

		if (n <= 0)
			return done ? (int64_t)done : n;
		for (uint32_t i = 0; i < g.nr; i++)
			if (runs[i].prot & LEAF_CLAIMED)
				unclaim(view->domain, view, runs[i].oa,
				        runs[i].oa +
				                (runs[i].last - runs[i].iova));
		if (g.nr == 1 && runs[0].iova == iova && runs[0].last == last)
			note(view, &runs[0]);
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

/* One page whose table is remembered. */
static bool unmap_near(struct sluice_view *view, uint64_t iova)
{
	struct pt_run run;
	const au64 *slot;
	uint64_t w;

	view_look(view);
	slot = pt_near_slot(&view->near, iova);
	w = slot ? pt_near_order(ld_rlx(slot)) : 0;
	run = (struct pt_run){
	        .oa = pt_near_oa(&view->near, w),
	        .prot = pt_near_prot(&view->near, w),
	};
	if (!pt_near_unmap(&view->near, iova, 1))
		return false;
	note(view, &run);
	return true;
}

int64_t revive_unmap(struct sluice_view *view, uint64_t iova, uint64_t last)
{
	struct pt_run run;
	struct pt_gather g = {.run = &run, .max = 1};
	int64_t n, rest;

	if (view->domain->rev)
		return unmap_claimed(view, iova, last);
	if (last - iova == SLUICE_PAGE_SIZE - 1 && unmap_near(view, iova))
		return SLUICE_PAGE_SIZE;
	n = pt_unmap(view->pt, iova, last, &g);
	if (unlikely(n <= 0))
		return n;
	if (likely(iova + (uint64_t)n - 1 == last)) {
		note(view, &run);
		return n;
	}
	/* Not one mapping alone. What is gone is gone: see unmap_leaves. */
	rest = unmap_leaves(view->domain, view, iova + (uint64_t)n, last);
	return rest > 0 ? n + rest : n;
}

/* The unmap waits, here or at the backend, it has the mapping to itself, and
 * the request can have its IOVA. */
static bool fits(const struct sluice_view *view, const struct pend *p,
                 const struct sluice_map_req *req)
{
	uint64_t last = p->iova + p->len - 1;

	if (p->len != req->len || p->flags & PEND_STAYS ||
	    p->state == PEND_DONE)
		return false;
	if (req->flags & ~(SLUICE_MAP_32BIT | SLUICE_MAP_COMPACT) ||
	    (req->flags & SLUICE_MAP_32BIT && last > UINT32_MAX) ||
	    !aligned_lg2(p->iova, req->align_lg2))
		return false;
	/* Chosen by the caller, who may choose it again. */
	return !iova_space_touches_reserved(view->domain->iova, p->iova, last);
}

bool revive_map(struct sluice_view *view, const struct sluice_map_req *req,
                sluice_iova_t *ret_iova)
{
	struct revive_slot *s =
	        revive_find(view->revive, req->va, req->prot, view->passed);
	const struct be_seg seg = {req->va, req->len};
	bool undone = false, recalled;
	struct pend *p;

	if (!s)
		return false;
	p = &view->pend[s->pend & view->pend_mask];
	if (!fits(view, p, req))
		return false;
	recalled = p->state == PEND_AT_BACKEND;
	if (recalled && !kernel_recall(view, p, &seg))
		return false;
	if (map_leaves(view, p->iova, &seg, 1, req->prot, &undone)) {
		/* Without memory for the VA side: the ordinary way says so.
		 * The tables of what was recalled are there, so this was a
		 * caller who used an IOVA that is not his. Nobody unmaps there
		 * now: the ticket must not pass, nor the IOVA be used. */
		if (recalled) {
			p->flags |= PEND_STAYS;
			p->result = -EIO;
		}
		return false;
	}
#ifndef SLUICE_MUTANT_REVIVE_FREES /* tests/engine: must be caught */
	p->flags |= PEND_STAYS;
#endif
	s->key = 0;
	ctr_add(&view->st.revived, 1);
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, req->len);
	*ret_iova = p->iova;
	return true;
}
