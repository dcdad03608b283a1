/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread's loop: two heartbeats, sluice_poll() and nvme_poll(), and each slot
 * is pushed on when one of them tells something about it. Knows lane, queue,
 * and how a thread sleeps without holding others up; of a transfer only its
 * state.
 */
#include "stress.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BATCH 64
/* The cookie of a burst; slots have theirs below it. */
#define BURST UINT64_MAX

/* ---- bursts: as many slots as have something to do, in one mapping ---- */

static uint32_t count(const struct worker *w, enum slot_state state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->depth; i++)
		n += w->slot[i].state == state;
	return n;
}

static void move_all(struct worker *w, enum slot_state from, enum slot_state to)
{
	for (uint32_t i = 0; i < w->depth; i++)
		if (w->slot[i].state == from)
			w->slot[i].state = to;
}

/* The slots of a burst lie one behind the other in its IOVA range. */
static void burst_mapped(struct worker *w, sluice_iova_t iova, int result)
{
	w->burst = iova;
	for (uint32_t i = 0; i < w->depth; i++) {
		if (w->slot[i].state != SLOT_MAPPING)
			continue;
		slot_mapped(w, &w->slot[i], iova, result);
		iova += w->room;
	}
}

static void burst_unmapped(struct worker *w, int result)
{
	for (uint32_t i = 0; i < w->depth; i++)
		if (w->slot[i].state == SLOT_UNMAPPING)
			slot_unmapped(w, &w->slot[i], result);
}

static bool burst_map(struct worker *w)
{
	struct sluice_map_req req = {.prot = SLUICE_RW, .cookie = BURST};
	struct iovec iov[1024];
	sluice_iova_t iova = 0;
	uint32_t n = 0;
	int rc;

	for (uint32_t i = 0; i < w->depth; i++)
		if (w->slot[i].state == SLOT_CHOSEN)
			iov[n++] = (struct iovec){w->slot[i].va, w->room};
	rc = sluice_map_sg(w->view, &req, iov, n, &iova);
	if (rc == -EAGAIN)
		return false;
	w->burst_slots = n;
	move_all(w, SLOT_CHOSEN, SLOT_MAPPING);
	if (rc <= 0)
		burst_mapped(w, iova, rc);
	return true;
}

static bool burst_unmap(struct worker *w)
{
	int rc = sluice_unmap(w->view, w->burst, w->burst_slots * w->room,
	                      BURST, NULL);

	if (rc == -EAGAIN)
		return false;
	move_all(w, SLOT_MOVED, SLOT_UNMAPPING);
	if (rc <= 0)
		burst_unmapped(w, rc);
	return true;
}

static bool burst_step(struct worker *w)
{
	uint32_t out = count(w, SLOT_RETIRED);
	uint32_t chosen = count(w, SLOT_CHOSEN), moved = count(w, SLOT_MOVED);

	if (chosen && chosen + out == w->depth)
		return burst_map(w);
	if (moved && moved == w->burst_slots)
		return burst_unmap(w);
	return false;
}

/* ---- the loop ---- */

static void completed(struct worker *w, const struct sluice_completion *c)
{
	struct slot *s = c->cookie == BURST ? NULL : &w->slot[c->cookie];

	if (c->op == SLUICE_OP_IRQ)
		return; /* the queue is polled next in any case */
	if (c->result)
		fail(0, "map or unmap: %s: %s", sluice_errname(c->result),
		     sluice_completion_text(c));
	if (c->op == SLUICE_OP_MAP && s)
		slot_mapped(w, s, c->iova, c->result);
	else if (c->op == SLUICE_OP_MAP)
		burst_mapped(w, c->iova, c->result);
	else if (s)
		slot_unmapped(w, s, c->result);
	else
		burst_unmapped(w, c->result);
}

static uint32_t collect(struct worker *w)
{
	struct sluice_completion c[BATCH];
	struct nvme_done d[BATCH];
	uint32_t nr = sluice_poll(w->lane, c, BATCH), moved;

	for (uint32_t i = 0; i < nr; i++)
		completed(w, &c[i]);
	moved = nvme_poll(w->queue, d, BATCH);
	for (uint32_t i = 0; i < moved; i++) {
		if (d[i].result && d[i].result != -ECANCELED)
			fail(0, "queue %u: %s, status 0x%03x", w->nr,
			     sluice_errname(d[i].result), d[i].status);
		slot_moved(w, &w->slot[d[i].cookie], &d[i]);
	}
	return nr + moved;
}

/* Nothing to do until the lane's descriptor says so: it is readable for
 * completions of the kernel and for the queue's interrupts. A lane that does
 * not poll holds tickets of all lanes back, so it goes offline. What waits for
 * others in turn, the unmaps of this one, is seen by polling alone: then not
 * for long. */
static void rest(struct worker *w)
{
	struct pollfd fd = {.events = POLLIN};

	fd.fd = w->st->cfg.irq ? sluice_lane_event_fd(w->lane) : -1;
	if (fd.fd < 0 || sluice_lane_offline(w->lane)) {
		sched_yield();
		return;
	}
	(void)poll(&fd, 1, count(w, SLOT_UNMAPPING) ? 1 : 100);
	sluice_lane_online(w->lane);
}

static void run(struct worker *w)
{
	while (count(w, SLOT_RETIRED) < w->depth) {
		bool moved = collect(w) != 0;

		for (uint32_t i = 0; i < w->depth; i++)
			moved |= slot_step(w, &w->slot[i]);
		if (w->st->cfg.map == STRESS_BURST)
			moved |= burst_step(w);
		if (!moved)
			rest(w);
	}
}

static int open_worker(struct worker *w)
{
	struct stress *st = w->st;

	w->queue = nvme_get_queue(st->rig->nvme[0], w->nr);
	w->slot = calloc(w->depth, sizeof(*w->slot));
	w->mem = rig_alloc(w->depth * w->room);
	if (!w->slot || !w->mem)
		return fail(-ENOMEM, "no memory for buffers");
	for (uint32_t i = 0; i < w->depth; i++)
		w->slot[i].va = (uint8_t *)w->mem + i * w->room;
	return rig_enter(st->rig, w->nr, &w->view);
}

void *worker_main(void *arg)
{
	struct worker *w = arg;

	if (open_worker(w) == 0)
		run(w);
	else
		slot_error(w, NULL, -ENOMEM);
	if (w->view)
		rig_leave(w->st->rig, w->nr, w->view);
	if (w->mem)
		munmap(w->mem, w->depth * w->room);
	free(w->slot);
	atomic_store_explicit(&w->done, true, memory_order_release);
	return NULL;
}
