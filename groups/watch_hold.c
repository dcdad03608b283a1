/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is there, and records lent out. A record keeps the picture that it was
 * taken from, and the number of its handle out of use.
 */
#include "groups/watch_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "groups/parse.h"

struct held_device {
	struct sluice_watch_device pub;
	struct watch_pic *pic;
	uint32_t slot;
};

struct held_group {
	struct sluice_watch_group pub;
	struct watch_pic *pic;
	uint32_t slot;
	sluice_handle_t members[];
};

static uint32_t list(const struct watch_table *t, sluice_handle_t *handles,
                     uint32_t nr)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nr; i++) {
		if (t->slot[i].state != SLOT_LIVE)
			continue;
		if (n < nr)
			handles[n] = slots_handle(t, i);
		n++;
	}
	return n;
}

uint32_t sluice_watch_devices(struct sluice_watch *w, sluice_handle_t *handles,
                              uint32_t nr)
{
	uint32_t n;

	pthread_mutex_lock(&w->lock);
	n = list(&w->model.devices, handles, nr);
	pthread_mutex_unlock(&w->lock);
	return n;
}

uint32_t sluice_watch_groups(struct sluice_watch *w, sluice_handle_t *handles,
                             uint32_t nr)
{
	uint32_t n;

	pthread_mutex_lock(&w->lock);
	n = list(&w->model.groups, handles, nr);
	pthread_mutex_unlock(&w->lock);
	return n;
}

static bool has_name(const struct sluice_group_member *m, const char *name,
                     const char *bdf)
{
	return strcmp(m->name, name) == 0 ||
	       (bdf && m->is_pci && strcmp(m->name, bdf) == 0);
}

int sluice_watch_find(struct sluice_watch *w, const char *name,
                      sluice_handle_t *ret_device)
{
	char bdf[GRP_BDF_LEN];
	bool is_bdf;
	int rc = -ENODEV;

	if (!w || !name || !ret_device)
		return msg_lit(-EINVAL, "watch, name or ret_device is NULL");
	is_bdf = grp_bdf_parse(name, bdf);
	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < w->model.devices.nr && rc; i++) {
		const struct watch_slot *s = &w->model.devices.slot[i];

		if (s->state != SLOT_LIVE ||
		    !has_name(s->member, name, is_bdf ? bdf : NULL))
			continue;
		*ret_device = slots_handle(&w->model.devices, i);
		rc = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return rc ? msg_fmt(rc,
	                    "there is no device %.100s in a group, nor a PCI "
	                    "device of that address: 'sluice groups' lists "
	                    "them",
	                    name)
	          : 0;
}

int sluice_watch_find_group(struct sluice_watch *w, int id,
                            sluice_handle_t *ret_group)
{
	int rc = -ENOENT;

	if (!w || !ret_group)
		return msg_lit(-EINVAL, "watch or ret_group is NULL");
	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < w->model.groups.nr && rc; i++) {
		const struct watch_slot *s = &w->model.groups.slot[i];

		if (s->state != SLOT_LIVE || s->info->id != id)
			continue;
		*ret_group = slots_handle(&w->model.groups, i);
		rc = 0;
	}
	pthread_mutex_unlock(&w->lock);
	return rc ? msg_fmt(rc,
	                    "there is no group %d: 'sluice groups' lists "
	                    "them",
	                    id)
	          : 0;
}

static int no_memory(void)
{
	return msg_lit(-ENOMEM, "out of memory for a record of a watch");
}

static void hold(struct watch_model *m, struct watch_table *t, uint32_t slot)
{
	slots_hold(t, slot);
	m->pic->refs++;
	m->nr_held++;
}

static int get_device(struct watch_model *m, sluice_handle_t handle,
                      struct held_device *h)
{
	uint32_t i = 0;
	int rc = slots_find(&m->devices, handle, false, &i);

	if (rc)
		return rc;
	h->slot = i;
	h->pic = m->pic;
	h->pub.device = handle;
	h->pub.member = m->devices.slot[i].member;
	h->pub.group = slots_handle(&m->groups, m->devices.slot[i].group);
	hold(m, &m->devices, i);
	return 0;
}

int sluice_watch_get_device(struct sluice_watch *w, sluice_handle_t handle,
                            const struct sluice_watch_device **ret_device)
{
	struct held_device *h;
	int rc;

	if (!w || !ret_device)
		return msg_lit(-EINVAL, "watch or ret_device is NULL");
	h = calloc(1, sizeof(*h));
	if (!h)
		return no_memory();
	pthread_mutex_lock(&w->lock);
	rc = get_device(&w->model, handle, h);
	pthread_mutex_unlock(&w->lock);
	if (rc) {
		free(h);
		return rc;
	}
	*ret_device = &h->pub;
	return 0;
}

/* A device of the group that a twin stands for has none of its own. */
static void fill_members(const struct watch_model *m, struct held_group *h)
{
	const struct sluice_group_info *info = h->pub.info;

	for (uint32_t i = 0; i < m->devices.nr; i++) {
		const struct watch_slot *s = &m->devices.slot[i];

		if (s->state == SLOT_LIVE && s->group == h->slot)
			h->members[s->member - info->members] =
			        slots_handle(&m->devices, i);
	}
}

static int get_group(struct watch_model *m, sluice_handle_t handle,
                     struct held_group **ret)
{
	const struct sluice_group_info *info;
	struct held_group *h;
	uint32_t i = 0;
	int rc = slots_find(&m->groups, handle, false, &i);

	if (rc)
		return rc;
	info = m->groups.slot[i].info;
	h = calloc(1, sizeof(*h) + info->nr_members * sizeof(*h->members));
	if (!h)
		return no_memory();
	h->slot = i;
	h->pic = m->pic;
	h->pub = (struct sluice_watch_group){handle, info, h->members};
	fill_members(m, h);
	hold(m, &m->groups, i);
	*ret = h;
	return 0;
}

int sluice_watch_get_group(struct sluice_watch *w, sluice_handle_t handle,
                           const struct sluice_watch_group **ret_group)
{
	struct held_group *h = NULL;
	int rc;

	if (!w || !ret_group)
		return msg_lit(-EINVAL, "watch or ret_group is NULL");
	pthread_mutex_lock(&w->lock);
	rc = get_group(&w->model, handle, &h);
	pthread_mutex_unlock(&w->lock);
	if (rc)
		return rc;
	*ret_group = &h->pub;
	return 0;
}

static void drop(struct sluice_watch *w, struct watch_table *t, uint32_t slot,
                 struct watch_pic *pic)
{
	pthread_mutex_lock(&w->lock);
	slots_unhold(t, slot);
	pic_put(pic);
	w->model.nr_held--;
	pthread_mutex_unlock(&w->lock);
}

void sluice_watch_put_device(struct sluice_watch *w,
                             const struct sluice_watch_device *device)
{
	struct held_device *h = (struct held_device *)(uintptr_t)device;

	if (!h)
		return;
	drop(w, &w->model.devices, h->slot, h->pic);
	free(h);
}

void sluice_watch_put_group(struct sluice_watch *w,
                            const struct sluice_watch_group *group)
{
	struct held_group *h = (struct held_group *)(uintptr_t)group;

	if (!h)
		return;
	drop(w, &w->model.groups, h->slot, h->pic);
	free(h);
}
