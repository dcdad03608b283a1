/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Events of devices at a lane. What the port reports goes into a list of those
 * that have fired; sluice_poll() reads their eventfds when it has room, so a
 * poll that drops completions drops no interrupt.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define SLOT_BITS 20
#define LOOK_US 20u /* where no ring tells: how often to ask the kernel */
#define LOOK_IDS 32u

void events_init(struct lane_events *events)
{
	events->hot_tail = &events->hot;
}

void events_destroy(struct lane_events *events)
{
	free(events->slot);
}

static struct lane_events *of(struct sluice_lane *lane)
{
	return &lane->kernel->events;
}

static int find_slot(struct lane_events *ev, uint32_t *ret_slot)
{
	uint32_t nr = ev->nr_slots ? ev->nr_slots * 2 : 16;
	struct event **more;

	for (uint32_t i = 0; i < ev->nr_slots; i++)
		if (!ev->slot[i]) {
			*ret_slot = i;
			return 0;
		}
	more = ev->nr_slots < 1u << (SLOT_BITS - 1)
	               ? realloc(ev->slot, nr * sizeof(struct event *))
	               : NULL;
	if (!more)
		return -ENOMEM;
	*ret_slot = ev->nr_slots;
	for (uint32_t i = ev->nr_slots; i < nr; i++)
		more[i] = NULL;
	ev->slot = more;
	ev->nr_slots = nr;
	return 0;
}

static void event_free(struct event *event)
{
	if (event->fd >= 0)
		(void)sys->close(event->fd);
	free(event);
}

static int begin(struct event *event)
{
	struct lane_events *ev = of(event->lane);
	uint32_t slot;
	int rc = find_slot(ev, &slot);

	if (rc)
		return rc;
	event->fd = sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event->fd < 0)
		return event->fd;
	/* Another one each time: what was reported of a former user of the slot
	 * does not count. The last 16 ids are the port's: no slot is so high.
	 */
	ev->generation++;
	event->id = FABRIC_WATCH |
	            (uint64_t)(ev->generation & 0xffffff) << SLOT_BITS | slot;
	rc = fabric_watch(event->lane->kernel->port, event->fd, event->id);
	if (rc)
		return rc;
	event->armed = true;
	ev->slot[slot] = event;
	ev->nr++;
	return 0;
}

int event_create(struct sluice_lane *lane, uint32_t op, uint32_t vector,
                 uint64_t cookie, struct event **ret_event)
{
	struct event *event = calloc(1, sizeof(*event));
	int rc;

	if (!event)
		return msg_lit(-ENOMEM, "no memory for an interrupt");
	event->lane = lane;
	event->op = op;
	event->vector = vector;
	event->cookie = cookie;
	event->fd = -1;
	rc = begin(event);
	if (rc) {
		event_free(event);
		if (rc == -EMFILE || rc == -ENFILE)
			return msg_lit(rc, "too many open files for "
			                   "interrupts: raise 'ulimit -n'");
		return msg_fmt(rc,
		               "no eventfd can be had or watched for an "
		               "interrupt: %s",
		               msg_errname(rc));
	}
	*ret_event = event;
	return 0;
}

void event_end(struct event *event)
{
	au64 *ended = &of(event->lane)->ended;
	uint64_t last = ld_rlx(ended);

	st_rlx(&event->ended, 1);
	do {
		event->next_ended = last;
		/* Pairs with the exchange in event_bury. */
	} while (!cas_rel(ended, &last, (uintptr_t)event));
}

static void unlink_hot(struct lane_events *ev, struct event *event)
{
	struct event **at = &ev->hot;

	if (!event->hot)
		return;
	while (*at != event)
		at = &(*at)->next_hot;
	*at = event->next_hot;
	if (ev->hot_tail == &event->next_hot)
		ev->hot_tail = at;
}

uint32_t event_bury(struct sluice_lane *lane)
{
	struct lane_events *ev = of(lane);
	/* Pairs with the release in event_end. */
	uint64_t at = xchg_acqrel(&ev->ended, 0);

	while (at) {
		struct event *event = (struct event *)(uintptr_t)at;

		at = event->next_ended;
		unlink_hot(ev, event);
		fabric_unwatch(lane->kernel->port, event->fd, event->id);
		ev->slot[event->id & mask64(SLOT_BITS)] = NULL;
		ev->nr--;
		event_free(event);
	}
	return ev->nr;
}

void event_fired(struct sluice_lane *lane, uint64_t id, bool more)
{
	struct lane_events *ev = of(lane);
	uint32_t slot = (uint32_t)(id & mask64(SLOT_BITS));
	struct event *event = slot < ev->nr_slots ? ev->slot[slot] : NULL;

	if (!event || event->id != id)
		return;
	event->armed = more;
	if (event->hot)
		return;
	event->hot = true;
	event->next_hot = NULL;
	*ev->hot_tail = event;
	ev->hot_tail = &event->next_hot;
}

/* Asks the kernel, at times. */
static void look(struct sluice_lane *lane)
{
	struct lane_events *ev = of(lane);
	uint64_t now, id[LOOK_IDS];
	uint32_t nr;

	if (fabric_port_kind(lane->kernel->port) == FABRIC_MSG_RING)
		return;
	now = ticks_now();
	if (now - ev->looked < ticks_from_us(LOOK_US))
		return;
	ev->looked = now;
	nr = fabric_look(lane->kernel->port, id, LOOK_IDS);
	for (uint32_t i = 0; i < nr; i++)
		event_fired(lane, id[i], true);
}

/* False: it was signalled once and reported twice. */
static bool tell(struct event *event, struct sluice_completion *out)
{
	uint64_t times;

	if (sys->read(event->fd, &times, sizeof(times)) != sizeof(times) ||
	    ld_rlx(&event->ended))
		return false;
	*out = (struct sluice_completion){
	        .cookie = event->cookie,
	        .iova = event->vector,
	        .len = times,
	        .op = event->op,
	};
	return true;
}

/* What the port has stopped to watch is watched again; until that works it is
 * looked at in each poll. */
static bool rearm(struct sluice_lane *lane, struct event *event)
{
	if (!event->armed)
		event->armed = fabric_watch(lane->kernel->port, event->fd,
		                            event->id) == 0;
	return event->armed;
}

uint32_t event_poll(struct sluice_lane *lane, struct sluice_completion *out,
                    uint32_t max)
{
	struct lane_events *ev = of(lane);
	struct event *event, *again = NULL;
	uint32_t n = 0;

	if (unlikely(ld_rlx(&ev->ended)))
		(void)event_bury(lane);
	if (max == 0)
		return 0;
	look(lane);
	while (n < max && (event = ev->hot)) {
		ev->hot = event->next_hot;
		if (!ev->hot)
			ev->hot_tail = &ev->hot;
		event->hot = false;
		/* Before it is read: what comes after is reported anew. */
		if (unlikely(!rearm(lane, event))) {
			event->next_hot = again;
			again = event;
		}
		n += tell(event, out + n);
	}
	while (unlikely(again != NULL)) {
		event = again;
		again = event->next_hot;
		event_fired(lane, event->id, false);
	}
	return n;
}
