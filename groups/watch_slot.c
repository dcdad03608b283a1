/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handles: the place of a slot and how often the place was used, so that one
 * of an earlier user is found to be stale. A place whose numbers are used up
 * is never used again.
 */
#include "groups/watch_int.h"

#include <errno.h>
#include <stdlib.h>

/* generation 63..32, kind 31, place 30..0; generations begin with 1. */
#define MAX_SLOTS (1u << 31)

int watch_no_memory(void)
{
	return msg_lit(-ENOMEM, "out of memory while following groups");
}

void slots_init(struct watch_table *t, enum slot_kind kind)
{
	*t = (struct watch_table){.kind = kind, .free = SLOT_NONE};
}

void slots_destroy(struct watch_table *t)
{
	free(t->slot);
	slots_init(t, t->kind);
}

int slots_reserve(struct watch_table *t, uint32_t nr)
{
	uint64_t room = t->room ? t->room : 16;
	struct watch_slot *more;

	/* Free places in the list count for nothing: simpler, and no more than
	 * twice what is needed. */
	while (room - t->nr < nr)
		room *= 2;
	if (room == t->room)
		return 0;
	if (room > MAX_SLOTS)
		return msg_lit(-ENOMEM, "too many devices for one watch");
	more = realloc(t->slot, room * sizeof(*more));
	if (!more)
		return watch_no_memory();
	t->slot = more;
	t->room = (uint32_t)room;
	return 0;
}

uint32_t slots_take(struct watch_table *t)
{
	uint32_t i = t->free, generation = 1;

	if (i == SLOT_NONE) {
		i = t->nr++;
	} else {
		generation = t->slot[i].generation;
		t->free = t->slot[i].next_free;
	}
	t->slot[i] = (struct watch_slot){.state = SLOT_LIVE,
	                                 .generation = generation,
	                                 .group = SLOT_NONE};
	return i;
}

void slots_untake(struct watch_table *t, uint32_t i)
{
	t->slot[i].state = SLOT_FREE;
	t->slot[i].next_free = t->free;
	t->free = i;
}

static void slot_empty(struct watch_table *t, uint32_t i)
{
	struct watch_slot *s = &t->slot[i];

	s->member = NULL;
	s->info = NULL;
	if (s->generation == UINT32_MAX) {
		s->state = SLOT_RETIRED;
		return;
	}
	s->generation++;
	slots_untake(t, i);
}

void slots_leave(struct watch_table *t, uint32_t i)
{
	t->slot[i].state = SLOT_GONE;
	t->slot[i].member = NULL;
	t->slot[i].info = NULL;
	if (t->slot[i].holds == 0)
		slot_empty(t, i);
}

void slots_hold(struct watch_table *t, uint32_t i)
{
	t->slot[i].holds++;
}

void slots_unhold(struct watch_table *t, uint32_t i)
{
	if (--t->slot[i].holds == 0 && t->slot[i].state == SLOT_GONE)
		slot_empty(t, i);
}

sluice_handle_t slots_handle(const struct watch_table *t, uint32_t i)
{
	if (i == SLOT_NONE)
		return 0;
	return (uint64_t)t->slot[i].generation << 32 | (uint64_t)t->kind << 31 |
	       i;
}

int slots_find(const struct watch_table *t, sluice_handle_t handle, bool gone,
               uint32_t *ret_i)
{
	const char *what = t->kind == SLOT_GROUP ? "group" : "device";
	uint32_t i = (uint32_t)handle & (MAX_SLOTS - 1);
	uint32_t generation = (uint32_t)(handle >> 32);
	const struct watch_slot *s;

	if (generation == 0 || (handle >> 31 & 1) != t->kind || i >= t->nr ||
	    generation > t->slot[i].generation ||
	    (t->slot[i].state == SLOT_FREE &&
	     generation == t->slot[i].generation))
		return msg_fmt(-EINVAL, "0x%llx is no handle of a %s here",
		               (unsigned long long)handle, what);
	s = &t->slot[i];
	if (generation != s->generation || s->state == SLOT_RETIRED ||
	    (s->state == SLOT_GONE && !gone))
		return msg_fmt(
		        -ESTALE,
		        "the %s of handle 0x%llx has gone; one that came "
		        "in its place has another handle: find it anew",
		        what, (unsigned long long)handle);
	*ret_i = i;
	return 0;
}
