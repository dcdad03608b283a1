/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events and their sentences. An event carries all that it says: what it tells
 * of may be gone when it is read. Names from sysfs are defused in sentences,
 * and left as they are where a program reads them.
 */
#include "groups/watch_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/viable.h"

#define TEXT_LEN 512

void events_init_list(struct watch_events *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

void events_append(struct watch_events *l, struct watch_event *e)
{
	e->next = NULL;
	*l->tail = e;
	l->tail = &e->next;
}

void events_free(struct watch_events *l)
{
	while (l->head) {
		struct watch_event *e = l->head;

		l->head = e->next;
		free(e);
	}
	l->tail = &l->head;
}

bool watch_viable(const struct sluice_group_info *info)
{
	return info->viable && info->nr_members;
}

static const char *kind_name(enum sluice_watch_kind kind)
{
	static const char *const names[] = {
	        [SLUICE_WATCH_DEVICE_ADDED] = "device-added",
	        [SLUICE_WATCH_DEVICE_REMOVED] = "device-removed",
	        [SLUICE_WATCH_DRIVER_BOUND] = "driver-bound",
	        [SLUICE_WATCH_DRIVER_UNBOUND] = "driver-unbound",
	        [SLUICE_WATCH_MEMBER_JOINED] = "member-joined",
	        [SLUICE_WATCH_MEMBER_LEFT] = "member-left",
	        [SLUICE_WATCH_GROUP_ADDED] = "group-added",
	        [SLUICE_WATCH_GROUP_REMOVED] = "group-removed",
	        [SLUICE_WATCH_GROUP_VIABLE] = "group-viable",
	        [SLUICE_WATCH_GROUP_NOT_VIABLE] = "group-not-viable",
	        [SLUICE_WATCH_REGIONS_CHANGED] = "regions-changed",
	};

	return names[kind];
}

/* Who is in the way of a group, for its sentence. */
static void blocker_text(const struct sluice_group_info *info, char *buf,
                         size_t len)
{
	char name[64], driver[64];

	for (uint32_t i = 0; i < info->nr_members; i++) {
		const struct sluice_group_member *m = &info->members[i];

		if (!m->is_blocker)
			continue;
		snprintf(buf, len, "%s is bound to %s",
		         viable_name(m->name, name, sizeof(name)),
		         viable_name(m->driver, driver, sizeof(driver)));
		return;
	}
	snprintf(buf, len, "it has no devices");
}

static void device_text(const struct watch_news *n, char buf[TEXT_LEN])
{
	char name[64], driver[64], group[32] = "";

	viable_name(n->member->name, name, sizeof(name));
	viable_name(n->driver ? n->driver : "no driver", driver,
	            sizeof(driver));
	if (n->info)
		snprintf(group, sizeof(group), "group %d", n->info->id);
	switch (n->kind) {
	case SLUICE_WATCH_DEVICE_ADDED:
		snprintf(buf, TEXT_LEN, "%s was added", name);
		return;
	case SLUICE_WATCH_DEVICE_REMOVED:
		snprintf(buf, TEXT_LEN, "%s was removed", name);
		return;
	case SLUICE_WATCH_DRIVER_BOUND:
		snprintf(buf, TEXT_LEN, "%s was bound to %s%s", name, driver,
		         n->member->is_blocker
		                 ? ", which uses DMA for the kernel"
		                 : "");
		return;
	case SLUICE_WATCH_DRIVER_UNBOUND:
		snprintf(buf, TEXT_LEN, "%s was unbound from %s", name, driver);
		return;
	case SLUICE_WATCH_MEMBER_JOINED:
		snprintf(buf, TEXT_LEN, "%s joined %s with %s", name, group,
		         driver);
		return;
	default:
		snprintf(buf, TEXT_LEN, "%s left %s", name, group);
	}
}

static void group_text(const struct watch_news *n, char buf[TEXT_LEN])
{
	char why[200];

	switch (n->kind) {
	case SLUICE_WATCH_GROUP_ADDED:
		snprintf(buf, TEXT_LEN, "group %d was added", n->info->id);
		return;
	case SLUICE_WATCH_GROUP_REMOVED:
		snprintf(buf, TEXT_LEN, "group %d was removed", n->info->id);
		return;
	case SLUICE_WATCH_GROUP_VIABLE:
		snprintf(buf, TEXT_LEN,
		         "group %d is viable: no member has a driver that uses "
		         "DMA for the kernel",
		         n->info->id);
		return;
	case SLUICE_WATCH_GROUP_NOT_VIABLE:
		blocker_text(n->info, why, sizeof(why));
		snprintf(buf, TEXT_LEN, "group %d is not viable: %s",
		         n->info->id, why);
		return;
	default:
		snprintf(buf, TEXT_LEN,
		         "the reserved regions of group %d changed",
		         n->info->id);
	}
}

static void make_text(const struct watch_news *n, char buf[TEXT_LEN])
{
	size_t len;

	if (n->member)
		device_text(n, buf);
	else
		group_text(n, buf);
	if (!n->claim)
		return;
	len = strlen(buf);
	if (n->loss)
		snprintf(buf + len, TEXT_LEN - len,
		         ", while group %d is in "
		         "use%s%s",
		         n->info->id, n->why ? ": " : "", n->why ? n->why : "");
	else if (n->kind == SLUICE_WATCH_MEMBER_JOINED && !n->unfit)
		snprintf(buf + len, TEXT_LEN - len,
		         " and does not disturb its user");
}

static bool usable(const struct watch_news *n)
{
	if (n->kind != SLUICE_WATCH_MEMBER_JOINED &&
	    n->kind != SLUICE_WATCH_DRIVER_BOUND)
		return false;
	return !n->loss && !n->unfit && !n->member->is_blocker;
}

static const char *put(char **at, const char *text)
{
	size_t n;
	char *copy = *at;

	if (!text)
		return NULL;
	n = strlen(text) + 1;
	memcpy(copy, text, n);
	*at += n;
	return copy;
}

static size_t room_for(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

int events_add(struct watch_events *l, const struct watch_news *n)
{
	const char *name = n->member ? n->member->name : NULL;
	char text[TEXT_LEN], *at;
	struct watch_event *e;

	make_text(n, text);
	e = calloc(1, sizeof(*e) + room_for(name) + room_for(n->driver) +
	                      room_for(text));
	if (!e)
		return watch_no_memory();
	at = (char *)(e + 1);
	e->claim = n->loss ? n->claim : NULL;
	e->pub = (struct sluice_watch_event){
	        .kind = n->kind,
	        .loss = n->loss,
	        .usable = usable(n),
	        .device = n->device,
	        .group = n->group,
	        .group_id = n->info ? n->info->id : -1,
	        .kind_name = kind_name(n->kind),
	        .name = put(&at, name),
	        .driver = put(&at, n->driver),
	        .text = put(&at, text),
	};
	events_append(l, e);
	return 0;
}
