/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes: opening, ownership, on and offline, and the poll that drives every
 * view of the lane. Knows no table.
 */
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REQUESTS 1024
/* struct pend names a request in 16 bits. */
#define MAX_REQUESTS (1u << 14)

/* So many views are polled whether they have work or not. Of more, those that
 * were looked at in vain are left out, the sooner the more there are. */
#define MANY_AWAKE 4u
#define IDLE_LOOKS 256u

#ifdef SLUICE_DEBUG_CHECKS
int lane_check(const struct sluice_lane *lane)
{
	if (pthread_equal(lane->owner, pthread_self()))
		return 0;
	return msg_lit(-EPERM, "this thread does not own the lane; open one "
	                       "lane per thread, or hand it over with "
	                       "sluice_lane_adopt()");
}
#endif

int sluice_lane_open(struct sluice_engine *engine,
                     const struct sluice_lane_cfg *cfg,
                     struct sluice_lane **ret_lane)
{
	struct sluice_lane *lane;
	uint32_t id;

	if (!engine || !ret_lane)
		return msg_lit(-EINVAL, "engine or ret_lane is NULL");
	if (engine_check(engine))
		return -EPERM;
	if (cfg && cfg->max_requests > MAX_REQUESTS)
		return msg_fmt(-EINVAL, "max_requests is %u; use at most %u",
		               cfg->max_requests, MAX_REQUESTS);
	lane = aligned_alloc(CACHELINE, align_up(sizeof(*lane), 6));
	if (!lane)
		return msg_lit(-ENOMEM, "no memory for a lane");
	memset(lane, 0, sizeof(*lane));
	lane->engine = engine;
	lane->owner = pthread_self();
	lane->online = true;
	lane->now = ticks_now();
	lane->cfg.max_requests =
	        cfg && cfg->max_requests ? cfg->max_requests : DEFAULT_REQUESTS;
	pagecache_init(&lane->pc, engine->pool);

	pthread_mutex_lock(&engine->lock);
	for (id = 0; id < engine->cfg.max_lanes && engine->lanes[id]; id++)
		;
	if (id < engine->cfg.max_lanes) {
		lane->id = id;
		engine->lanes[id] = lane;
		engine->nr_lanes++;
	}
	pthread_mutex_unlock(&engine->lock);
	if (id == engine->cfg.max_lanes) {
		free(lane);
		return msg_fmt(-ENOSPC,
		               "all %u lanes are open; close one or raise "
		               "max_lanes in sluice_engine_cfg",
		               engine->cfg.max_lanes);
	}
	*ret_lane = lane;
	return 0;
}

int sluice_lane_close(struct sluice_lane *lane)
{
	struct sluice_engine *engine;

	if (!lane)
		return 0;
	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	if (lane->kernel && event_bury(lane))
		return msg_fmt(-EBUSY,
		               "lane %u is told of %u interrupts of devices: "
		               "disable them, or close the devices, first",
		               lane->id, lane->kernel->events.nr);
	if (lane->nr_views)
		return msg_fmt(-EBUSY,
		               "lane %u has %u open views; close them first",
		               lane->id, lane->nr_views);
	engine = lane->engine;
	pthread_mutex_lock(&engine->lock);
	engine->lanes[lane->id] = NULL;
	engine->nr_lanes--;
	pthread_mutex_unlock(&engine->lock);
	pagecache_drain(&lane->pc);
	lane_kernel_destroy(lane->kernel);
	free(lane->views);
	free(lane->awake);
	free(lane);
	return 0;
}

void sluice_lane_adopt(struct sluice_lane *lane)
{
	lane->owner = pthread_self();
}

uint32_t sluice_lane_id(const struct sluice_lane *lane)
{
	return lane->id;
}

int sluice_lane_offline(struct sluice_lane *lane)
{
	if (lane_check(lane))
		return -EPERM;
	if (!lane->online)
		return 0;
	for (uint32_t i = 0; i < lane->nr_views; i++)
		if (lane->views[i]->log_side.holds->nr)
			return msg_fmt(-EBUSY,
			               "a view of lane %u has %u holds: call "
			               "sluice_hold_release() first",
			               lane->id,
			               lane->views[i]->log_side.holds->nr);
	for (uint32_t i = 0; i < lane->nr_views; i++) {
		struct sluice_view *view = lane->views[i];

		view_post(view);
		/* What it remembers too: the quick ways end there. */
		view_leave(view);
		view_forget(view);
	}
	lane->online = false;
	return 0;
}

void sluice_lane_online(struct sluice_lane *lane)
{
	if (lane_check(lane) || lane->online)
		return;
	lane->online = true;
}

void view_wake(void *ctx)
{
	struct sluice_view *view = ctx;
	au64 *inbox = &view->lane->inbox;
	uint64_t last = ld_rlx(inbox);

	do {
		view->inbox_next = last;
		/* Pairs with the exchange in lane_open_inbox. */
	} while (!cas_rel(inbox, &last, (uintptr_t)view));
}

void lane_open_inbox(struct sluice_lane *lane)
{
	/* Pairs with the release in view_wake. */
	uint64_t at = xchg_acqrel(&lane->inbox, 0);

	while (at) {
		struct sluice_view *view = (struct sluice_view *)(uintptr_t)at;

		at = view->inbox_next;
		view->asleep = false;
		view_awake(view);
	}
}

/* True: the view need not be polled until somebody wakes it. */
static noinline bool fall_asleep(struct sluice_view *view)
{
	bool woken;

	if (!view->reading)
		return view_idle(view); /* and has nothing to read */
	if (++view->idle_polls * view->lane->nr_awake < IDLE_LOOKS ||
	    !view_idle(view))
		return false;
	view->idle_polls = 0;
	/* Still in bed from before it had work of its own. */
	if (view->asleep)
		return true;
	if (invlog_sleep(view->log, view->reader, &woken)) {
		view->asleep = true;
		return true;
	}
	/* Whoever woke it at once will put it into the inbox. */
	view->asleep = woken;
	return false;
}

/* What a kernel has done for the lane, and devices have to say: first what had
 * no room in the last poll. */
static uint32_t poll_kernel(struct sluice_lane *lane,
                            struct sluice_completion *out, uint32_t max,
                            bool drop)
{
	const struct lane_events *ev = &lane->kernel->events;
	uint32_t n = 0;

	if (engine_check(lane->engine))
		return 0;
	if (unlikely(ev->hot != NULL) && !drop)
		n = event_poll(lane, out, max);
	n += kernel_reap(lane, drop ? NULL : out + n, max - n, drop);
	if (unlikely(ev->nr))
		n += event_poll(lane, drop ? NULL : out + n, max - n);
	return n;
}

static noinline uint32_t poll_any(struct sluice_lane *lane,
                                  struct sluice_completion *out, uint32_t max)
{
	bool drop = max == 0;
	uint32_t n = 0;

	if (lane->kernel)
		n = poll_kernel(lane, out, max, drop);
	if (unlikely(ld_rlx(&lane->inbox)))
		lane_open_inbox(lane);
	for (uint32_t i = 0; i < lane->nr_awake;) {
		n += view_poll(lane->awake[i], drop ? NULL : out + n, max - n,
		               drop);
		if (unlikely(lane->nr_awake > MANY_AWAKE) &&
		    fall_asleep(lane->awake[i])) {
			lane->awake[i]->awake = false;
			lane->awake[i] = lane->awake[--lane->nr_awake];
		} else {
			i++;
		}
	}
	return n;
}

uint32_t sluice_poll(struct sluice_lane *lane, struct sluice_completion *out,
                     uint32_t max)
{
	if (lane_check(lane))
		return 0;
	/* One domain in use: the most common, and polled the most. */
	if (likely(lane->nr_awake == 1) && !lane->kernel &&
	    likely(!ld_rlx(&lane->inbox)))
		return view_poll(lane->awake[0], out, max, max == 0);
	return poll_any(lane, out, max);
}

static bool lane_idle(const struct sluice_lane *lane)
{
	for (uint32_t i = 0; i < lane->nr_views; i++)
		if (!view_idle(lane->views[i]))
			return false;
	return true;
}

static int drain_timeout(const struct sluice_lane *lane)
{
	for (uint32_t i = 0; i < lane->nr_views; i++) {
		uint64_t behind;
		uint32_t id;

		if (view_idle(lane->views[i]))
			continue;
		id = invlog_laggard(lane->views[i]->log, &behind);
		if (id != UINT32_MAX)
			return msg_fmt(-ETIMEDOUT,
			               "lane %u has not polled, or holds a "
			               "range, and is %llu records behind; let "
			               "it call sluice_poll(), "
			               "sluice_hold_release() or "
			               "sluice_lane_offline()",
			               id, (unsigned long long)behind);
	}
	return msg_lit(-ETIMEDOUT, "requests to the kernel are still in "
	                           "flight; poll on");
}

int sluice_drain(struct sluice_lane *lane, uint64_t timeout_ns)
{
	uint64_t start = clock_ns();

	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	for (;;) {
		for (uint32_t i = 0; i < lane->nr_views; i++)
			view_post(lane->views[i]);
		sluice_poll(lane, NULL, 0);
		if (lane_idle(lane))
			return 0;
		if (clock_ns() - start >= timeout_ns)
			return drain_timeout(lane);
		cpu_relax();
	}
}

int sluice_ticket_wait(struct sluice_view *view, struct sluice_ticket ticket,
                       uint64_t timeout_ns)
{
	struct sluice_lane *lane = view->lane;
	uint64_t start = clock_ns();

	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	for (;;) {
		view_post(view);
		sluice_poll(lane, NULL, 0);
		if (sluice_ticket_passed(view, ticket))
			return 0;
		if (view->passed >= ticket.seq)
			return msg_lit(-EIO, "the kernel refused this unmap: "
			                     "devices may still reach the "
			                     "memory");
		if (clock_ns() - start >= timeout_ns)
			return drain_timeout(lane);
		cpu_relax();
	}
}

int sluice_lane_event_fd(struct sluice_lane *lane)
{
	if (lane_check(lane) || engine_check(lane->engine))
		return -EPERM;
	if (!lane->kernel)
		return msg_lit(-EOPNOTSUPP,
		               "this lane has no view on a kernel backend, so "
		               "nothing completes behind its back");
	return fabric_port_fd(lane->kernel->port);
}
