/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a watch, and its looks at sysfs. It listens before it looks for
 * the first time, and reads all that was said before it looks again: a change
 * is in what it sees, or its message is still to come.
 */
#include "groups/watch_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/read.h"
#include "groups/sysfs.h"

/* ---- looking ---- */

static bool in_list(const struct sluice_group_member *m, uint32_t nr,
                    const char *name)
{
	for (uint32_t i = 0; i < nr; i++)
		if (strcmp(m[i].name, name) == 0)
			return true;
	return false;
}

static bool in_set(const struct sluice_group_set *set, const char *name)
{
	for (uint32_t i = 0; i < set->nr_groups; i++)
		if (in_list(set->groups[i].members, set->groups[i].nr_members,
		            name))
			return true;
	return in_list(set->ungrouped, set->nr_ungrouped, name);
}

/* Is it still the same, on its bus, in no group that was seen? */
static int look_for(struct sluice_group_set *set, int root,
                    const struct watch_slot *s, struct sluice_group_member *m)
{
	const char *name, *bus;
	char path[600];
	int rc, n;

	name = grp_strdup(&set->mem, s->member->name, SIZE_MAX);
	bus = grp_strdup(&set->mem, s->member->bus, SIZE_MAX);
	if (!name || !bus)
		return watch_no_memory();
	n = snprintf(path, sizeof(path), "bus/%s/devices/%s", bus, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return 0;
	rc = grp_read_member(&set->mem, root, path, name, m);
	if (rc == -ENOMEM)
		return watch_no_memory();
	if (rc)
		return msg_fmt(rc, "cannot look for devices in sysfs: %s",
		               strerror(-rc));
	return m->birth && m->birth == s->birth;
}

/*
 * Devices that the picture has not, though they are there: those of other buses
 * that left their group, and one that moved while the picture was taken. They
 * are themselves still, and in no group.
 */
static int add_missing(const struct watch_model *m,
                       struct sluice_group_set *set, int root)
{
	const struct watch_table *t = &m->devices;
	struct sluice_group_member *all, one;
	uint32_t nr = 0;
	int rc = 0;

	for (uint32_t i = 0; i < t->nr; i++)
		nr += t->slot[i].state == SLOT_LIVE &&
		      !in_set(set, t->slot[i].member->name);
	if (!nr)
		return 0;
	all = grp_alloc(&set->mem, set->nr_ungrouped + nr, sizeof(*all));
	if (!all)
		return watch_no_memory();
	nr = set->nr_ungrouped;
	if (nr)
		memcpy(all, set->ungrouped, nr * sizeof(*all));
	for (uint32_t i = 0; i < t->nr && rc >= 0; i++) {
		if (t->slot[i].state != SLOT_LIVE ||
		    in_set(set, t->slot[i].member->name))
			continue;
		rc = look_for(set, root, &t->slot[i], &one);
		if (rc == 1)
			all[nr++] = one;
	}
	set->ungrouped = all;
	set->nr_ungrouped = nr;
	return rc < 0 ? rc : 0;
}

static int look(struct sluice_watch *w, bool silent)
{
	struct sluice_group_set *set;
	int root, rc = sluice_groups_read(w->root, &set);

	if (rc)
		return rc;
	if (w->model.pic) {
		root = grp_root_open(w->root);
		rc = root < 0 ? root : add_missing(&w->model, set, root);
		if (root >= 0)
			(void)sys->close(root);
	}
	if (rc == 0)
		rc = model_apply(&w->model, set, silent);
	if (rc)
		sluice_group_set_free(set);
	return rc;
}

/* ---- its life ---- */

static int check_fd(int fd)
{
	struct stat st;
	int rc = sys->fstatat(fd, "", &st, AT_EMPTY_PATH);

	if (rc == 0 && S_ISSOCK(st.st_mode))
		return 0;
	return msg_fmt(-EINVAL, "event_fd %d is no socket", fd);
}

static int watch_start(struct sluice_watch *w,
                       const struct sluice_watch_cfg *cfg)
{
	int rc = 0;

	if (cfg->flags & ~(SLUICE_WATCH_EVENT_FD | SLUICE_WATCH_INITIAL))
		return msg_lit(-EINVAL, "flags has bits that are not "
		                        "SLUICE_WATCH_*");
	if (cfg->sysfs_root) {
		size_t n = strlen(cfg->sysfs_root) + 1;

		w->root = malloc(n);
		if (!w->root)
			return watch_no_memory();
		memcpy(w->root, cfg->sysfs_root, n);
	}
	w->own_fd = !(cfg->flags & SLUICE_WATCH_EVENT_FD);
	if (w->own_fd)
		rc = source_open();
	else
		rc = check_fd(cfg->event_fd);
	if (rc < 0)
		return rc;
	w->fd = w->own_fd ? rc : cfg->event_fd;
	return look(w, !(cfg->flags & SLUICE_WATCH_INITIAL));
}

static void watch_free(struct sluice_watch *w)
{
	events_free(&w->lent);
	model_destroy(&w->model);
	if (w->own_fd && w->fd >= 0)
		(void)sys->close(w->fd);
	pthread_mutex_destroy(&w->lock);
	free(w->root);
	free(w);
}

int sluice_watch_open(const struct sluice_watch_cfg *cfg,
                      struct sluice_watch **ret_watch)
{
	static const struct sluice_watch_cfg defaults;
	struct sluice_watch *w;
	int rc;

	if (!ret_watch)
		return msg_lit(-EINVAL, "ret_watch is NULL");
	w = calloc(1, sizeof(*w));
	if (!w)
		return watch_no_memory();
	pthread_mutex_init(&w->lock, NULL);
	model_init(&w->model);
	events_init_list(&w->lent);
	w->fd = -1;
	rc = watch_start(w, cfg ? cfg : &defaults);
	if (rc) {
		watch_free(w);
		return rc;
	}
	*ret_watch = w;
	return 0;
}

int sluice_watch_close(struct sluice_watch *w)
{
	if (!w)
		return 0;
	if (w->model.nr_held)
		return msg_fmt(-EBUSY,
		               "%u records of the watch are held, or groups "
		               "claimed: put and release them first",
		               w->model.nr_held);
	watch_free(w);
	return 0;
}

int sluice_watch_fd(const struct sluice_watch *w)
{
	return w ? w->fd : -EINVAL;
}

void sluice_watch_refresh(struct sluice_watch *w)
{
	pthread_mutex_lock(&w->lock);
	w->dirty = true;
	pthread_mutex_unlock(&w->lock);
}

static uint32_t fetch(struct sluice_watch *w, struct sluice_watch_event *out,
                      uint32_t nr)
{
	struct watch_events *from = &w->model.events;
	uint32_t n = 0;

	while (n < nr && from->head) {
		struct watch_event *e = from->head;

		from->head = e->next;
		if (!from->head)
			from->tail = &from->head;
		out[n++] = e->pub;
		events_append(&w->lent, e);
	}
	return n;
}

int sluice_watch_poll(struct sluice_watch *w, struct sluice_watch_event *events,
                      uint32_t nr)
{
	bool more = false;
	int rc = 0;

	if (!w || (!events && nr) || nr > INT32_MAX)
		return msg_lit(-EINVAL, "watch or events is NULL, or nr is no "
		                        "int");
	pthread_mutex_lock(&w->lock);
	events_free(&w->lent);
	/* Those of the last look first: they are older. */
	if (!w->model.events.head) {
		rc = source_drain(w->fd, w->own_fd, &more);
		/* After an error too: what was read before it is not said
		 * again. */
		w->dirty |= rc != 0;
		if (rc >= 0 && w->dirty)
			rc = look(w, false);
		if (rc == 0)
			w->dirty = more;
	}
	if (rc >= 0)
		rc = (int)fetch(w, events, nr);
	pthread_mutex_unlock(&w->lock);
	return rc;
}
