/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups in use: what their user was promised, and whether it still holds.
 * Knows no domain; whether addresses are in use is asked of the user.
 */
#include "groups/watch_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/grp.h"
#include "groups/viable.h"

/* Behind the regions of g that have at in them; *ret_next: the first byte
 * behind it of another one. False: up to the last address there is. */
static bool skip(const struct sluice_group_info *g, uint64_t *at,
                 uint64_t *ret_next)
{
	bool again = true;

	while (again) {
		again = false;
		for (uint32_t i = 0; i < g->nr_regions; i++) {
			const struct sluice_group_region *r = &g->regions[i];

			if (!grp_region_binds(r) || r->first > *at ||
			    r->last < *at)
				continue;
			if (r->last == UINT64_MAX)
				return false;
			*at = r->last + 1;
			again = true;
		}
	}
	*ret_next = UINT64_MAX;
	for (uint32_t i = 0; i < g->nr_regions; i++) {
		const struct sluice_group_region *r = &g->regions[i];

		if (grp_region_binds(r) && r->first > *at &&
		    r->first - 1 < *ret_next)
			*ret_next = r->first - 1;
	}
	return true;
}

static bool in_use(const struct watch_claim *c, uint64_t first, uint64_t last)
{
	return !c->user.in_use || c->user.in_use(c->user.ctx, first, last);
}

int claim_regions(const struct watch_claim *c,
                  const struct sluice_group_info *old,
                  const struct sluice_group_info *now, char *why, size_t len)
{
	int bad = 0;

	for (uint32_t i = 0; i < now->nr_regions; i++) {
		const struct sluice_group_region *r = &now->regions[i];
		uint64_t at = r->first, end;

		while (grp_region_binds(r) && at <= r->last &&
		       skip(old, &at, &end) && at <= r->last) {
			if (end > r->last)
				end = r->last;
			/* All are asked about, the first is named. */
			if (in_use(c, at, end) && !bad++)
				snprintf(why, len,
				         "0x%llx-0x%llx is reserved now and in "
				         "use",
				         (unsigned long long)at,
				         (unsigned long long)end);
			if (end == r->last)
				break;
			at = end + 1;
		}
	}
	return bad != 0;
}

void claim_lost(struct watch_claim *c, const struct sluice_watch_event *e)
{
	if (c->complete)
		snprintf(c->why, sizeof(c->why), "%s", e->text);
	c->complete = false;
	if (c->user.lost)
		c->user.lost(c->user.ctx, e);
}

static int claim_slot(struct watch_model *m, sluice_handle_t group,
                      struct watch_claim *c)
{
	struct watch_slot *s;
	uint32_t i = 0;
	int rc = slots_find(&m->groups, group, false, &i);

	if (rc)
		return rc;
	s = &m->groups.slot[i];
	if (s->claim)
		return msg_fmt(-EBUSY, "group %d is claimed already",
		               s->info->id);
	if (!s->info->viable)
		return viable_refuse(s->info);
	if (!s->info->nr_members)
		return msg_fmt(-EPERM, "group %d has no devices", s->info->id);
	s->claim = c;
	slots_hold(&m->groups, i);
	m->nr_held++;
	return 0;
}

int sluice_watch_claim(struct sluice_watch *w, sluice_handle_t group,
                       const struct sluice_watch_user *user)
{
	struct watch_claim *c;
	int rc;

	if (!w)
		return msg_lit(-EINVAL, "watch is NULL");
	c = calloc(1, sizeof(*c));
	if (!c)
		return msg_lit(-ENOMEM, "out of memory for a claim");
	c->complete = true;
	if (user)
		c->user = *user;
	pthread_mutex_lock(&w->lock);
	rc = claim_slot(&w->model, group, c);
	pthread_mutex_unlock(&w->lock);
	if (rc)
		free(c);
	return rc;
}

/* A claimed group, gone or not. */
static int find_claimed(const struct watch_model *m, sluice_handle_t group,
                        uint32_t *ret_i)
{
	int rc = slots_find(&m->groups, group, true, ret_i);

	if (rc == -EINVAL)
		return rc;
	if (rc || !m->groups.slot[*ret_i].claim)
		return msg_lit(-ENOENT, "the group is not claimed");
	return 0;
}

int sluice_watch_release(struct sluice_watch *w, sluice_handle_t group)
{
	uint32_t i = 0;
	int rc;

	if (!w)
		return msg_lit(-EINVAL, "watch is NULL");
	pthread_mutex_lock(&w->lock);
	rc = find_claimed(&w->model, group, &i);
	if (rc == 0) {
		struct watch_table *t = &w->model.groups;

		free(t->slot[i].claim);
		t->slot[i].claim = NULL;
		slots_unhold(t, i);
		w->model.nr_held--;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

int sluice_watch_complete(struct sluice_watch *w, sluice_handle_t group,
                          char *buf, size_t len)
{
	uint32_t i = 0;
	int rc;

	if (!w)
		return msg_lit(-EINVAL, "watch is NULL");
	pthread_mutex_lock(&w->lock);
	rc = find_claimed(&w->model, group, &i);
	if (rc == 0) {
		const struct watch_claim *c = w->model.groups.slot[i].claim;

		if (buf && len)
			snprintf(buf, len, "%s", c->why);
		rc = c->complete;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
