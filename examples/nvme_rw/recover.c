/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: a command that is late is aborted; if that does not end it, the
 * controller is reset; if that does not help, the function; else the controller
 * is lost and cut off from memory.
 *
 * Who touches what. A reset runs in one thread, under the controller's lock,
 * and never looks at an I/O queue's memory: it closes the gate, so that no
 * thread writes to a doorbell meanwhile, stops the controller, lets the epoch
 * grow, and starts it with an admin queue only. Each queue's thread sees at its
 * next poll that the epoch is not its queue's any more. It then gives back what
 * was in flight, clears its rings and has them created again. So rings need no
 * lock.
 *
 * The epoch grows after the controller has stopped and is read before anything
 * is given back: a caller that gets -ECANCELED may unmap and reuse the memory.
 */
#include "nvme_int.h"
#include "nvme_spec.h"

#include <errno.h>
#include <sched.h>

/* Pairs with enter() in io.c. */
static void close_gate(struct nvme *n)
{
	atomic_store_explicit(&n->gate, true, memory_order_seq_cst);
	for (unsigned i = 0; i < n->info.nr_queues; i++)
		while (atomic_load_explicit(&n->io[i].inside,
		                            memory_order_seq_cst))
			sched_yield();
}

/* Commands that the controller has been told of but has not fetched are the
 * worst moment to stop it: QEMU's (7.2) crashes. An answer to an admin command
 * says that it has been around. If it does not answer that, so be it. */
static void settle(struct nvme *n)
{
	if (n->admin.nr_free == n->admin.nr_slots)
		(void)admin_identify(n, CNS_CONTROLLER, 0);
}

static int stop(struct nvme *n, enum nvme_reset_kind kind)
{
	int rc;

	settle(n);
	if (kind == NVME_RESET_CONTROLLER && controller_stop(n) == 0)
		return 0;
	rc = sluice_device_reset(n->dev);
	if (rc)
		return nvme_failed(n, rc, "reset");
	/* The same state as after the other kind. */
	return controller_stop(n);
}

static void lose(struct nvme *n)
{
	fail(0, "%s: recovery failed: the controller is cut off from memory",
	     n->bdf);
	if (sluice_device_bus_master(n->dev, 0))
		fail(0, "%s: not even that: it is gone", n->bdf);
	atomic_store_explicit(&n->lost, true, memory_order_relaxed);
}

static int stop_and_start(struct nvme *n, enum nvme_reset_kind kind)
{
	uint32_t nr = n->info.nr_queues;
	int rc = stop(n, kind);

	if (rc)
		lose(n);
	/* Pairs with the acquire in nvme_poll(): nothing of the former life is
	 * in use by the controller any more. */
	atomic_fetch_add_explicit(&n->epoch, 1, memory_order_release);
	if (rc)
		return -ENODEV;
	atomic_fetch_add_explicit(&n->resets, 1, memory_order_relaxed);
	rc = controller_start(n);
	if (rc == 0)
		rc = admin_nr_queues(n, &nr);
	if (rc == 0 && nr >= n->info.nr_queues)
		return 0;
	lose(n);
	return -ENODEV;
}

/* With the lock held. */
static int reset(struct nvme *n, enum nvme_reset_kind kind)
{
	int rc;

	if (atomic_load_explicit(&n->lost, memory_order_relaxed))
		return -ENODEV;
	close_gate(n);
	rc = stop_and_start(n, kind);
	atomic_store_explicit(&n->gate, false, memory_order_release);
	return rc;
}

int nvme_reset(struct nvme *n, enum nvme_reset_kind kind)
{
	int rc;

	pthread_mutex_lock(&n->lock);
	rc = reset(n, kind);
	pthread_mutex_unlock(&n->lock);
	return rc;
}

/* Ends up to max of the commands in flight. */
static uint32_t give_up(struct nvme_queue *q, int result, struct nvme_done *out,
                        uint32_t max)
{
	struct queue *r = &q->ring;
	uint32_t n = 0;

	for (uint16_t i = 0; i < r->nr_slots && n < max; i++) {
		if (!r->slot[i].busy)
			continue;
		out[n++] = (struct nvme_done){
		        .cookie = r->slot[i].cookie,
		        .result = result,
		};
		queue_put(r, i);
	}
	return n;
}

/* The lock keeps the life that the queue is created in from ending meanwhile.
 * If it cannot be created, another reset may help; the second time it does not.
 */
static void create_again(struct nvme_queue *q)
{
	struct nvme *n = q->nvme;
	int rc;

	pthread_mutex_lock(&n->lock);
	if (!atomic_load_explicit(&n->lost, memory_order_relaxed)) {
		queue_clear(&q->ring);
		rc = admin_create_queue(n, q);
		if (rc && reset(n, NVME_RESET_FUNCTION) == 0) {
			queue_clear(&q->ring);
			rc = admin_create_queue(n, q);
			if (rc)
				lose(n);
		}
		q->epoch =
		        atomic_load_explicit(&n->epoch, memory_order_relaxed);
	}
	pthread_mutex_unlock(&n->lock);
}

uint32_t recover_queue(struct nvme_queue *q, struct nvme_done *out,
                       uint32_t max)
{
	bool lost = atomic_load_explicit(&q->nvme->lost, memory_order_relaxed);
	uint32_t n = give_up(q, lost ? -ENODEV : -ECANCELED, out, max);

	if (!lost && nvme_in_flight(q) == 0)
		create_again(q);
	return n;
}

/* The first time a command is late it is aborted, and has a quarter of its time
 * more to come back; the second time nobody waits any longer. */
static bool give_one_more(struct nvme_queue *q, uint16_t cid, uint64_t now)
{
	struct queue_slot *s = &q->ring.slot[cid];
	struct nvme *n = q->nvme;
	bool hit = false;
	int rc;

	if (s->aborted)
		return false;
	atomic_fetch_add_explicit(&n->timeouts, 1, memory_order_relaxed);
	s->aborted = true;
	s->deadline_ms = now + n->cfg.timeout_ms / 4;
	fail(0, "%s: queue %u: command %u is late: aborting it", n->bdf,
	     q->ring.id, cid);
	pthread_mutex_lock(&n->lock);
	rc = admin_abort(n, q->ring.id, cid, &hit);
	pthread_mutex_unlock(&n->lock);
	if (hit)
		atomic_fetch_add_explicit(&n->aborts, 1, memory_order_relaxed);
	return rc == 0;
}

void recover_late(struct nvme_queue *q)
{
	struct nvme *n = q->nvme;
	uint64_t now = now_ms();

	for (uint16_t i = 0; i < q->ring.nr_slots; i++) {
		const struct queue_slot *s = &q->ring.slot[i];

		if (!s->busy || now < s->deadline_ms)
			continue;
		if (give_one_more(q, i, now))
			continue;
		pthread_mutex_lock(&n->lock);
		/* Unless another queue's thread came first. */
		if (atomic_load_explicit(&n->epoch, memory_order_relaxed) ==
		    q->epoch)
			(void)reset(n, NVME_RESET_CONTROLLER);
		pthread_mutex_unlock(&n->lock);
		return;
	}
}

void nvme_get_counts(const struct nvme *n, struct nvme_counts *ret)
{
	ret->timeouts =
	        atomic_load_explicit(&n->timeouts, memory_order_relaxed);
	ret->aborts = atomic_load_explicit(&n->aborts, memory_order_relaxed);
	ret->resets = atomic_load_explicit(&n->resets, memory_order_relaxed);
}
