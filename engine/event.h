/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of devices on their way to a lane: each is an eventfd that the kernel
 * signals and the lane's port watches. Knows eventfds and lanes; what signals
 * them is device*.c.
 */
#ifndef SLUICE_ENGINE_EVENT_H
#define SLUICE_ENGINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/lane.h>
#include "util/util.h"

/* One watched eventfd. Made and freed by its lane; whoever ends it does so from
 * any thread, with event_end() as the last touch. */
struct event {
	struct sluice_lane *lane;
	uint64_t cookie;
	uint64_t id; /* at the port: FABRIC_WATCH, a generation, the slot */
	uint32_t vector;
	uint32_t op; /* enum sluice_op */
	int fd;
	bool armed; /* the port watches it */
	bool hot;   /* is in the list of those that have fired */
	struct event *next_hot;
	au32 ended;
	uint64_t next_ended;
};

/* Of a lane that has, or had, events. */
struct lane_events {
	struct event **slot; /* nr_slots of them, NULL: free */
	uint32_t nr_slots;
	uint32_t nr; /* events that the lane knows */
	uint32_t generation;
	struct event *hot, **hot_tail; /* in the order in which they fired */
	uint64_t looked;               /* ticks, where no ring tells */
	au64 ended;                    /* the last struct event, or 0 */
};

void events_init(struct lane_events *events);
void events_destroy(struct lane_events *events);

/* Lane. Begins to watch. 0, or -errno with a message. */
int event_create(struct sluice_lane *lane, uint32_t op, uint32_t vector,
                 uint64_t cookie, struct event **ret_event);
/* Any thread, once; the kernel signals it no more, or does not matter. */
void event_end(struct event *event);
/* Lane. The port says that it was signalled; more: and still watches it. */
void event_fired(struct sluice_lane *lane, uint64_t id, bool more);
/* Lane. Writes completions of what has fired; with max 0 they wait. */
uint32_t event_poll(struct sluice_lane *lane, struct sluice_completion *out,
                    uint32_t max);
/* Lane. Frees those that have ended; how many are left. */
uint32_t event_bury(struct sluice_lane *lane);

#endif
