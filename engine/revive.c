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
#include "engine/revive_near.h"

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

static au64 never_free[2] = {1, 1};

void revive_forget(struct revive *r, uint64_t tail)
{
	r->from = tail;
	for (uint32_t i = 0; i < REVIVE_SLOTS; i++)
		r->at_iova[i] = REVIVE_SLOTS;
}

int revive_create(const struct sluice_domain *domain,
                  const struct pt_near *near, struct revive **ret_revive)
{
	struct revive *r;

	if (!wanted(domain))
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	/* A mapping of a kernel backend is known by its head alone. */
	r->near = !domain->rev && (!domain->be || near->head);
	r->head = domain->be ? near->head : 0;
	for (uint32_t i = 0; i <= REVIVE_SLOTS; i++)
		r->slot[i].leaf = never_free;
	revive_forget(r, 0);
	*ret_revive = r;
	return 0;
}

struct revive_slot *revive_room(struct revive *r, uint64_t va, uint64_t passed)
{
	uint64_t at = revive_at(va);

	for (unsigned way = 0; way < REVIVE_WAYS; way++) {
		struct revive_slot *s = &r->slot[at ^ way];

		if (s->seq <= passed || s->va == va)
			return s;
	}
	return &r->slot[at];
}

static void note(struct sluice_view *view, const struct pt_run *run)
{
	*revive_room(view->revive, run->oa, view->passed) =
	        (struct revive_slot){
	                .va = run->oa,
	                .seq = view->tail + 1,
	                .leaf = never_free,
	                .prot = run->prot & SLUICE_RW,
	        };
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

int64_t revive_unmap(struct sluice_view *view, uint64_t iova, uint64_t last)
{
	struct pt_run run;
	struct pt_gather g = {.run = &run, .max = 1};
	int64_t n, rest;

	view_look(view); /* so that the next may come the near way */
	if (view->domain->rev)
		return unmap_claimed(view, iova, last);
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
	p = &view->pend[(s->seq - 1) & view->pend_mask];
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
	revive_keep(s, p);
	ctr_add(&view->st.revived, 1);
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, req->len);
	*ret_iova = p->iova;
	return true;
}
