/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From one picture to the next. All that can fail is done first, beside the
 * model: who is who, the events, the places of what is new. Then the model
 * takes it over, which cannot fail.
 */
#include "groups/watch_match.h"

#include <stdlib.h>
#include <string.h>

/* A group of the new picture, in its order. */
struct seen_group {
	uint32_t slot;
	bool fresh;
	const char *conflict; /* with its user's mappings; NULL: none */
};

struct watch_plan {
	struct watch_model *m;
	struct sluice_group_set *set;
	struct watch_pic *pic;
	struct grp_mem mem;
	struct known *known;
	struct seen *seen;
	struct seen_group *group;
	uint32_t nr_known, nr_seen;
	uint32_t taken, taken_groups; /* how many of seen and group, so far */
	struct watch_events events;
};

void model_init(struct watch_model *m)
{
	*m = (struct watch_model){0};
	slots_init(&m->devices, SLOT_DEVICE);
	slots_init(&m->groups, SLOT_GROUP);
	events_init_list(&m->events);
}

void pic_put(struct watch_pic *pic)
{
	if (!pic || --pic->refs)
		return;
	sluice_group_set_free(pic->set);
	free(pic);
}

void model_destroy(struct watch_model *m)
{
	events_free(&m->events);
	slots_destroy(&m->devices);
	slots_destroy(&m->groups);
	pic_put(m->pic);
	m->pic = NULL;
}

/* ---- who is who ---- */

static bool same_group(const struct watch_slot *s,
                       const struct sluice_group_info *g)
{
	return s->info->id == g->id &&
	       (!s->birth || !g->birth || s->birth == g->birth);
}

static int by_id(const void *key, const void *elem)
{
	const struct sluice_group_info *x = key, *y = elem;

	return (x->id > y->id) - (x->id < y->id);
}

/* Sets next of all live groups, and slot of those that stay. */
static void match_groups(struct watch_plan *p)
{
	for (uint32_t i = 0; i < p->m->groups.nr; i++) {
		struct watch_slot *s = &p->m->groups.slot[i];
		const struct sluice_group_info *g;

		s->next = NULL;
		if (s->state != SLOT_LIVE || !p->set->nr_groups)
			continue;
		g = bsearch(s->info, p->set->groups, p->set->nr_groups,
		            sizeof(*g), by_id);
		if (!g || !same_group(s, g))
			continue;
		s->next = g;
		p->group[g - p->set->groups].slot = i;
	}
}

static int place_groups(struct watch_plan *p)
{
	uint32_t nr = p->set->nr_groups;
	int rc = slots_reserve(&p->m->groups, nr);

	if (rc)
		return rc;
	p->group = calloc(nr ? nr : 1, sizeof(*p->group));
	if (!p->group)
		return watch_no_memory();
	for (uint32_t i = 0; i < nr; i++)
		p->group[i].slot = SLOT_NONE;
	match_groups(p);
	for (; p->taken_groups < nr; p->taken_groups++) {
		struct seen_group *g = &p->group[p->taken_groups];

		if (g->slot != SLOT_NONE)
			continue;
		g->slot = slots_take(&p->m->groups);
		g->fresh = true;
	}
	return 0;
}

static int place_devices(struct watch_plan *p)
{
	int rc = known_list(p->m, &p->known, &p->nr_known);

	if (rc == 0)
		rc = seen_list(p->set, &p->seen, &p->nr_seen);
	if (rc == 0)
		rc = slots_reserve(&p->m->devices, p->nr_seen);
	if (rc)
		return rc;
	match(p->known, p->nr_known, p->seen, p->nr_seen);
	for (; p->taken < p->nr_seen; p->taken++) {
		struct seen *s = &p->seen[p->taken];

		if (s->slot != SLOT_NONE)
			continue;
		s->slot = slots_take(&p->m->devices);
		s->fresh = true;
	}
	return 0;
}

static struct watch_slot *group_slot(const struct watch_plan *p, uint32_t i)
{
	return &p->m->groups.slot[i];
}

static struct watch_slot *device_slot(const struct watch_plan *p, uint32_t i)
{
	return &p->m->devices.slot[i];
}

static struct seen_group *seen_group(const struct watch_plan *p,
                                     const struct sluice_group_info *g)
{
	return g ? &p->group[g - p->set->groups] : NULL;
}

static uint32_t new_group(const struct watch_plan *p, const struct seen *s)
{
	return s->g ? seen_group(p, s->g)->slot : SLOT_NONE;
}

/* ---- what is told ---- */

static int tell_left(struct watch_plan *p, uint32_t slot)
{
	const struct watch_slot *s = device_slot(p, slot);
	const struct watch_slot *g = group_slot(p, s->group);
	const struct watch_news n = {
	        .kind = SLUICE_WATCH_MEMBER_LEFT,
	        .member = s->member,
	        .info = g->info,
	        .device = slots_handle(&p->m->devices, slot),
	        .group = slots_handle(&p->m->groups, s->group),
	        .driver = s->member->driver,
	        .claim = g->claim,
	        .loss = g->claim != NULL,
	};

	return events_add(&p->events, &n);
}

static int tell_removed(struct watch_plan *p, const struct known *k)
{
	const struct watch_slot *s = device_slot(p, k->slot);
	const struct watch_news n = {
	        .kind = SLUICE_WATCH_DEVICE_REMOVED,
	        .member = s->member,
	        .device = slots_handle(&p->m->devices, k->slot),
	        .driver = s->member->driver,
	};
	int rc = s->group == SLOT_NONE ? 0 : tell_left(p, k->slot);

	return rc ? rc : events_add(&p->events, &n);
}

static struct watch_claim *claim_of(const struct watch_plan *p,
                                    const struct seen *s)
{
	return s->g ? group_slot(p, new_group(p, s))->claim : NULL;
}

/* Events of a device of the new picture. */
static int tell_device(struct watch_plan *p, const struct seen *s,
                       enum sluice_watch_kind kind, const char *driver,
                       const char *why)
{
	struct watch_claim *claim = claim_of(p, s);
	const struct watch_news n = {
	        .kind = kind,
	        .member = s->m,
	        .info = s->g,
	        .device = slots_handle(&p->m->devices, s->slot),
	        .group = slots_handle(&p->m->groups, new_group(p, s)),
	        .driver = driver,
	        .claim = claim,
	        .unfit = claim &&
	                 (claim->unfit || seen_group(p, s->g)->conflict),
	        .loss = why != NULL,
	        .why = why,
	};

	return events_add(&p->events, &n);
}

static int tell_bound(struct watch_plan *p, const struct seen *s, bool loss)
{
	const char *why = loss ? "its memory is not safe from that driver, nor "
	                         "the other way round"
	                       : NULL;

	return s->m->driver ? tell_device(p, s, SLUICE_WATCH_DRIVER_BOUND,
	                                  s->m->driver, why)
	                    : 0;
}

static int tell_joined(struct watch_plan *p, const struct seen *s)
{
	const char *why = NULL;

	if (claim_of(p, s))
		why = s->m->is_blocker ? "that driver uses DMA for the kernel"
		                       : seen_group(p, s->g)->conflict;
	return tell_device(p, s, SLUICE_WATCH_MEMBER_JOINED, s->m->driver, why);
}

static int tell_fresh(struct watch_plan *p, const struct seen *s)
{
	int rc = tell_device(p, s, SLUICE_WATCH_DEVICE_ADDED, s->m->driver,
	                     NULL);

	if (rc == 0 && s->g)
		rc = tell_joined(p, s);
	return rc ? rc : tell_bound(p, s, false);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int tell_kept(struct watch_plan *p, const struct seen *s)
{
	const struct watch_slot *old = device_slot(p, s->slot);
	bool stays = old->group == new_group(p, s);
	int rc = 0;

	if (!same_text(old->member->driver, s->m->driver)) {
		if (old->member->driver)
			rc = tell_device(p, s, SLUICE_WATCH_DRIVER_UNBOUND,
			                 old->member->driver, NULL);
		if (rc == 0)
			rc = tell_bound(p, s,
			                stays && s->m->is_blocker &&
			                        claim_of(p, s));
	}
	return rc || stays || !s->g ? rc : tell_joined(p, s);
}

static int tell_group(struct watch_plan *p, uint32_t slot,
                      const struct sluice_group_info *info,
                      enum sluice_watch_kind kind, bool loss, const char *why)
{
	struct watch_claim *claim = group_slot(p, slot)->claim;
	const struct watch_news n = {
	        .kind = kind,
	        .info = info,
	        .group = slots_handle(&p->m->groups, slot),
	        .claim = claim,
	        .loss = claim && loss,
	        .why = why,
	};

	return events_add(&p->events, &n);
}

static int tell_viable(struct watch_plan *p, uint32_t slot,
                       const struct sluice_group_info *g)
{
	bool viable = watch_viable(g);

	return tell_group(p, slot, g,
	                  viable ? SLUICE_WATCH_GROUP_VIABLE
	                         : SLUICE_WATCH_GROUP_NOT_VIABLE,
	                  !viable, NULL);
}

static bool same_regions(const struct sluice_group_info *a,
                         const struct sluice_group_info *b)
{
	if (a->nr_regions != b->nr_regions)
		return false;
	for (uint32_t i = 0; i < a->nr_regions; i++)
		if (a->regions[i].first != b->regions[i].first ||
		    a->regions[i].last != b->regions[i].last ||
		    strcmp(a->regions[i].text, b->regions[i].text) != 0)
			return false;
	return true;
}

/* ---- in order: what left, what is new, what it means for groups ---- */

static int find_conflicts(struct watch_plan *p)
{
	for (uint32_t i = 0; i < p->set->nr_groups; i++) {
		struct seen_group *g = &p->group[i];
		const struct watch_slot *s = group_slot(p, g->slot);
		char why[200];
		int rc;

		if (g->fresh || !s->claim)
			continue;
		rc = claim_regions(s->claim, s->info, &p->set->groups[i], why,
		                   sizeof(why));
		if (!rc)
			continue;
		g->conflict = grp_strdup(&p->mem, why, sizeof(why));
		if (!g->conflict)
			return watch_no_memory();
	}
	return 0;
}

static int tell_gone(struct watch_plan *p)
{
	const struct watch_table *t = &p->m->groups;
	int rc = 0;

	for (uint32_t i = 0; i < p->nr_known && rc == 0; i++)
		if (!p->known[i].kept)
			rc = tell_removed(p, &p->known[i]);
	for (uint32_t i = 0; i < p->nr_seen && rc == 0; i++) {
		const struct seen *s = &p->seen[i];
		uint32_t group = device_slot(p, s->slot)->group;

		if (!s->fresh && group != SLOT_NONE && group != new_group(p, s))
			rc = tell_left(p, s->slot);
	}
	for (uint32_t i = 0; i < t->nr && rc == 0; i++)
		/* Those just taken have no info yet. */
		if (t->slot[i].state == SLOT_LIVE && t->slot[i].info &&
		    !t->slot[i].next)
			rc = tell_group(p, i, t->slot[i].info,
			                SLUICE_WATCH_GROUP_REMOVED, true, NULL);
	return rc;
}

static int tell_new(struct watch_plan *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < p->set->nr_groups && rc == 0; i++)
		if (p->group[i].fresh)
			rc = tell_group(p, p->group[i].slot, &p->set->groups[i],
			                SLUICE_WATCH_GROUP_ADDED, false, NULL);
	for (uint32_t i = 0; i < p->nr_seen && rc == 0; i++)
		rc = p->seen[i].fresh ? tell_fresh(p, &p->seen[i])
		                      : tell_kept(p, &p->seen[i]);
	return rc;
}

static int tell_groups(struct watch_plan *p)
{
	int rc = 0;

	for (uint32_t i = 0; i < p->set->nr_groups && rc == 0; i++) {
		const struct sluice_group_info *now = &p->set->groups[i], *old;
		const struct seen_group *g = &p->group[i];

		old = g->fresh ? NULL : group_slot(p, g->slot)->info;
		if (old && !same_regions(old, now))
			rc = tell_group(p, g->slot, now,
			                SLUICE_WATCH_REGIONS_CHANGED,
			                g->conflict != NULL, g->conflict);
		if (rc == 0 && (!old || watch_viable(old) != watch_viable(now)))
			rc = tell_viable(p, g->slot, now);
	}
	return rc;
}

/* ---- the two ends ---- */

static void plan_undo(struct watch_plan *p)
{
	while (p->taken--)
		if (p->seen[p->taken].fresh)
			slots_untake(&p->m->devices, p->seen[p->taken].slot);
	while (p->taken_groups--)
		if (p->group[p->taken_groups].fresh)
			slots_untake(&p->m->groups,
			             p->group[p->taken_groups].slot);
	events_free(&p->events);
	free(p->pic);
}

static void take_devices(struct watch_plan *p)
{
	for (uint32_t i = 0; i < p->nr_known; i++)
		if (!p->known[i].kept)
			slots_leave(&p->m->devices, p->known[i].slot);
	for (uint32_t i = 0; i < p->nr_seen; i++) {
		const struct seen *s = &p->seen[i];
		struct watch_slot *slot = device_slot(p, s->slot);

		slot->member = s->m;
		slot->group = new_group(p, s);
		if (s->m->birth)
			slot->birth = s->m->birth;
	}
}

static void take_groups(struct watch_plan *p)
{
	struct watch_table *t = &p->m->groups;

	for (uint32_t i = 0; i < t->nr; i++)
		if (t->slot[i].state == SLOT_LIVE && t->slot[i].info &&
		    !t->slot[i].next)
			slots_leave(t, i);
	for (uint32_t i = 0; i < p->set->nr_groups; i++) {
		const struct sluice_group_info *g = &p->set->groups[i];
		struct watch_slot *slot = group_slot(p, p->group[i].slot);

		slot->info = g;
		if (p->group[i].conflict)
			slot->claim->unfit = true;
		if (g->birth)
			slot->birth = g->birth;
	}
}

static void plan_take(struct watch_plan *p, bool silent)
{
	struct watch_model *m = p->m;

	take_devices(p);
	take_groups(p);
	pic_put(m->pic);
	*p->pic = (struct watch_pic){.refs = 1, .set = p->set};
	m->pic = p->pic;
	while (p->events.head && !silent) {
		struct watch_event *e = p->events.head;

		p->events.head = e->next;
		events_append(&m->events, e);
		if (e->claim)
			claim_lost(e->claim, &e->pub);
	}
	events_free(&p->events);
}

int model_apply(struct watch_model *m, struct sluice_group_set *set,
                bool silent)
{
	struct watch_plan p = {.m = m, .set = set};
	int rc = 0;

	events_init_list(&p.events);
	p.pic = malloc(sizeof(*p.pic));
	if (!p.pic)
		rc = watch_no_memory();
	if (rc == 0)
		rc = place_groups(&p);
	if (rc == 0)
		rc = place_devices(&p);
	if (rc == 0)
		rc = find_conflicts(&p);
	if (rc == 0)
		rc = tell_gone(&p);
	if (rc == 0)
		rc = tell_new(&p);
	if (rc == 0)
		rc = tell_groups(&p);
	if (rc)
		plan_undo(&p);
	else
		plan_take(&p, silent);
	grp_free(&p.mem);
	free(p.known);
	free(p.seen);
	free(p.group);
	return rc;
}
