/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows cut out of a soft domain for some of its views. Outside of them the
 * domain's own table is walked, so there is nothing to keep equal; an extent
 * that reaches into a window ends at its edge. Tables that a view remembers
 * answer without asking here: one that serves a part of a window is never
 * remembered.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sluice_carve {
	struct sluice_domain *domain;
	uint32_t nr_views; /* guarded by the domain's lock */
	uint32_t nr;
	struct sluice_carve_window window[];
};

static int check_window(const struct sluice_domain *d,
                        const struct sluice_carve_window *w)
{
	uint64_t oa_last;

	if (w->first > w->last || !aligned_lg2(w->first, SLUICE_PAGE_LG2) ||
	    !aligned_lg2(w->last + 1, SLUICE_PAGE_LG2))
		return msg_lit(-EINVAL, "a window must be whole 4 KiB pages "
		                        "with first <= last (last is the last "
		                        "byte)");
	if (w->last > pt_max_iova(d->pt))
		return msg_fmt(-EINVAL,
		               "the window 0x%llx-0x%llx ends behind the "
		               "domain's last address, 0x%llx",
		               (unsigned long long)w->first,
		               (unsigned long long)w->last,
		               (unsigned long long)pt_max_iova(d->pt));
	if (w->prot & ~SLUICE_RW || w->reserved)
		return msg_lit(-EINVAL, "prot of a window is 0, SLUICE_READ, "
		                        "SLUICE_WRITE or both; clear the "
		                        "structure before filling it");
	if (w->prot &&
	    (!aligned_lg2(w->target, SLUICE_PAGE_LG2) ||
	     __builtin_add_overflow(w->target, w->last - w->first, &oa_last)))
		return msg_lit(-EINVAL, "the target of a window must be whole "
		                        "4 KiB pages, and not wrap around");
	return 0;
}

static int check(const struct sluice_domain *d,
                 const struct sluice_carve_window *w, uint32_t nr)
{
	int rc = 0;

	if (!w || !nr || nr > SLUICE_CARVE_WINDOWS)
		return msg_fmt(-EINVAL,
		               "%u windows: from 1 to %d, and not NULL", nr,
		               SLUICE_CARVE_WINDOWS);
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		rc = check_window(d, &w[i]);
		for (uint32_t k = 0; k < i && rc == 0; k++)
			if (ranges_overlap(w[i].first, w[i].last, w[k].first,
			                   w[k].last))
				rc = msg_fmt(-EINVAL,
				             "windows %u and %u overlap", k, i);
	}
	return rc;
}

int sluice_carve_create(struct sluice_domain *d,
                        const struct sluice_carve_window *window, uint32_t nr,
                        struct sluice_carve **ret_carve)
{
	struct sluice_carve *c;
	int rc;

	if (!d || !ret_carve)
		return msg_lit(-EINVAL, "domain or ret_carve is NULL");
	if (engine_check(d->engine))
		return -EPERM;
	if (d->be)
		return msg_lit(-EOPNOTSUPP,
		               "the kernel keeps one table for all groups of "
		               "a container: give this group a domain of its "
		               "own, and map there too");
	rc = check(d, window, nr);
	if (rc)
		return rc;
	c = calloc(1, sizeof(*c) + nr * sizeof(*window));
	if (!c)
		return msg_lit(-ENOMEM, "no memory for a carved window");
	c->domain = d;
	c->nr = nr;
	memcpy(c->window, window, nr * sizeof(*window));
	pthread_mutex_lock(&d->lock);
	d->nr_carves++;
	pthread_mutex_unlock(&d->lock);
	*ret_carve = c;
	return 0;
}

int sluice_carve_destroy(struct sluice_carve *c)
{
	struct sluice_domain *d;
	int rc = 0;

	if (!c)
		return 0;
	d = c->domain;
	if (engine_check(d->engine))
		return -EPERM;
	pthread_mutex_lock(&d->lock);
	if (c->nr_views)
		rc = msg_fmt(-EBUSY,
		             "%u views are open on the carved domain: close "
		             "them first",
		             c->nr_views);
	else
		d->nr_carves--;
	pthread_mutex_unlock(&d->lock);
	if (rc == 0)
		free(c);
	return rc;
}

int sluice_carve_view_open(struct sluice_lane *lane, struct sluice_carve *carve,
                           struct sluice_view **ret_view)
{
	if (!carve)
		return msg_lit(-EINVAL, "carve is NULL");
	return view_open(lane, carve->domain, carve, ret_view);
}

void carve_count(struct sluice_carve *carve, int add)
{
	if (carve)
		carve->nr_views += (uint32_t)add;
}

void sluice_carve_get_info(struct sluice_carve *c,
                           struct sluice_carve_info *ret_info)
{
	pthread_mutex_lock(&c->domain->lock);
	*ret_info = (struct sluice_carve_info){
	        .nr_windows = c->nr,
	        .nr_views = c->nr_views,
	        .bytes = sizeof(*c) + c->nr * sizeof(c->window[0]),
	};
	pthread_mutex_unlock(&c->domain->lock);
}

/* Does the table of level 0 that serves iova serve a part of a window? */
static bool is_near(const struct sluice_carve *c, uint64_t iova)
{
	uint64_t first = align_down(iova, PT_NEAR_LG2);

	for (uint32_t i = 0; i < c->nr; i++)
		if (ranges_overlap(first, first | mask64(PT_NEAR_LG2),
		                   c->window[i].first, c->window[i].last))
			return true;
	return false;
}

/* The part of a leaf between two windows that holds iova. */
static void clip(const struct sluice_carve *c, uint64_t iova,
                 struct pt_run *leaf)
{
	for (uint32_t i = 0; i < c->nr; i++) {
		const struct sluice_carve_window *w = &c->window[i];

		if (w->first > iova) {
			leaf->last = min_u64(leaf->last, w->first - 1);
		} else if (w->last >= leaf->iova) {
			leaf->oa += w->last + 1 - leaf->iova;
			leaf->iova = w->last + 1;
		}
	}
}

int carve_walk(struct sluice_view *view, uint64_t iova, struct pt_run *ret_leaf)
{
	const struct sluice_carve *c = view->carve;
	int rc;

	for (uint32_t i = 0; i < c->nr; i++) {
		const struct sluice_carve_window *w = &c->window[i];

		if (iova < w->first || iova > w->last)
			continue;
		*ret_leaf =
		        (struct pt_run){w->first, w->last, w->target, w->prot};
		return w->prot ? 0 : -ENOENT;
	}
	if (is_near(c, iova))
		rc = pt_walk(view->pt, iova, ret_leaf);
	else
		rc = pt_walk_near(view->pt, &view->near, iova, ret_leaf);
	if (rc == 0)
		clip(c, iova, ret_leaf);
	return rc;
}
