/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper: one thread per container that makes the ioctls which lanes may
 * not make. Lanes put pointers on a queue; the helper drains it in batches.
 * Knows queue, turn and sleep; what becomes of a batch is vfio_type1_batch.c's.
 */
#include "engine/backend/vfio_type1_int.h"

#include <sched.h>
#include <signal.h>
#include <linux/futex.h>

/* How long the helper looks for work before it sleeps. To be woken takes some
 * microseconds, in a VM a hundred: who often slept less than that looks longer
 * next time, and who slept long looks only for as long as a futex round trip
 * takes. */
#define SPIN_MIN_NS 30000
#define SPIN_MAX_NS 200000
#define LOOK_NS 200000 /* between two looks at what is being faulted in */

/* Dekker on one word with nothing but read-modify-writes: of a lane's and the
 * helper's, the later one sees what the earlier did before. Either the lane
 * reads 1 and wakes, or the helper's look at the queue finds the request.
 * Pairs with the xchg_acqrel in nap. */
static void wake(struct t1 *t1)
{
	if (xchg_acqrel(&t1->asleep, 0))
		(void)sys->futex(&t1->asleep, FUTEX_WAKE, 1, NULL);
}

uint32_t t1_submit(struct backend *be, struct be_req *const *req, uint32_t n)
{
	struct t1 *t1 = (struct t1 *)be;
	uint32_t k = mpsc_put(t1->queue, req, n);

	if (k)
		wake(t1);
	return k;
}

void t1_hurry(struct backend *be)
{
	struct t1 *t1 = (struct t1 *)be;

	st_rel(&t1->hurry, 1); /* pairs with the exchange in turn */
	wake(t1);
}

static bool called(struct t1 *t1)
{
	return !mpsc_empty(t1->queue) || ld_rlx(&t1->hurry) ||
	       ld_acq(&t1->stop);
}

/* False: it is time. */
static bool sleep_until(struct t1 *t1, uint64_t due)
{
	uint64_t now = due == UINT64_MAX ? 0 : clock_ns();
	struct timespec ts = {
	        .tv_sec = (time_t)((due - now) / 1000000000u),
	        .tv_nsec = (long)((due - now) % 1000000000u),
	};

	if (due <= now)
		return false;
	(void)sys->futex(&t1->asleep, FUTEX_WAIT, 1,
	                 due == UINT64_MAX ? NULL : &ts);
	return true;
}

/* It slept from start on, and somebody called. */
static void note_sleep(struct t1 *t1, uint64_t start)
{
	if (clock_ns() - start > SPIN_MAX_NS)
		t1->spin_ns = SPIN_MIN_NS;
	else
		t1->spin_ns = min_u64(2 * t1->spin_ns, SPIN_MAX_NS);
}

/* Until somebody calls, at most until due. */
static void nap(struct t1 *t1, uint64_t due)
{
	uint64_t start = clock_ns();
	uint64_t until = min_u64(due, start + t1->spin_ns);

	do {
		for (int i = 0; i < 32; i++) {
			if (called(t1))
				return;
			cpu_relax();
		}
	} while (clock_ns() < until);
	xchg_acqrel(&t1->asleep, 1); /* pairs with wake */
	while (!called(t1) && ld_acq(&t1->asleep))
		if (!sleep_until(t1, due))
			break;
	if (!xchg_acqrel(&t1->asleep, 0)) /* pairs with wake */
		note_sleep(t1, start);
}

void t1_lock(struct t1 *t1)
{
	/* A mutex favours the thread that just had it: without this a busy
	 * helper starves control calls. */
	faa_rlx(&t1->waiting, 1);
	pthread_mutex_lock(&t1->lock);
	faa_rlx(&t1->waiting, (uint32_t)-1);
}

void t1_unlock(struct t1 *t1)
{
	pthread_mutex_unlock(&t1->lock);
}

static void flush(struct t1 *t1)
{
	pthread_mutex_lock(&t1->lock);
	batch_flush(t1);
	pthread_mutex_unlock(&t1->lock);
	fabric_flush(t1->source);
}

/* Takes what is in the queue, and ends what need not wait any longer. False:
 * there was nothing to take. */
static bool turn(struct t1 *t1, bool stop)
{
	uint64_t due;
	uint32_t n;

	while (ld_rlx(&t1->waiting))
		sched_yield();
	/* The lane's requests are before the mark, but maybe not in this turn:
	 * there may be more than one takes, or one in front of them that its
	 * lane has not published yet. Pairs with the release in t1_hurry. */
	if (ld_rlx(&t1->hurry) && xchg_acqrel(&t1->hurry, 0)) {
		t1->hurried = true;
		t1->hurry_to = mpsc_mark(t1->queue);
	}
	n = mpsc_get(t1->queue, t1->batch.req, ld_rlx(&t1->batch_max));
	if (n || t1->fault.nr) {
		pthread_mutex_lock(&t1->lock);
		t1_budget_turn(t1);
		batch_run(t1, n);
		batch_faulted(t1, stop);
		pthread_mutex_unlock(&t1->lock);
		/* What was answered, by now at the latest. */
		fabric_flush(t1->source);
	}
	due = batch_due(t1);
	if (due != UINT64_MAX &&
	    (stop || t1->hurried || due == 0 || clock_ns() >= due))
		flush(t1);
	if (t1->hurried && mpsc_past(t1->queue, t1->hurry_to))
		t1->hurried = false;
	return n;
}

/* Nobody calls when memory has been faulted in. */
static uint64_t due(struct t1 *t1)
{
	uint64_t when = batch_due(t1);

	return t1->fault.nr ? min_u64(when, clock_ns() + LOOK_NS) : when;
}

static void *helper(void *arg)
{
	struct t1 *t1 = arg;

	for (;;) {
		/* Looked at before the queue: what was submitted before the
		 * stop is still drained. Pairs with t1_helper_stop. */
		bool stop = ld_acq(&t1->stop);

		if (turn(t1, stop))
			continue;
		if (stop)
			return NULL;
		nap(t1, due(t1));
	}
}

int t1_helper_start(struct t1 *t1)
{
	sigset_t all, old;
	int rc = mpsc_create(T1_QUEUE, sizeof(struct be_req *), &t1->queue);

	if (rc)
		return msg_lit(rc, "no memory for the type1 queue");
	rc = fabric_source_create(&t1->source);
	if (rc)
		return rc;
	t1->spin_ns = SPIN_MIN_NS;
	/* Signals are the application's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = sys->thread_create(&t1->helper, helper, t1);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		fabric_source_destroy(t1->source);
		t1->source = NULL;
		return msg_lit(rc, "no helper thread for the container: raise "
		                   "`ulimit -u`");
	}
	pthread_setname_np(t1->helper, "sluice-type1");
	return 0;
}

void t1_helper_stop(struct t1 *t1)
{
	if (t1->source) {
		st_rel(&t1->stop, 1); /* pairs with the acquire in helper */
		wake(t1);
		pthread_join(t1->helper, NULL);
	}
	fault_end(t1);
	fabric_source_destroy(t1->source);
	mpsc_destroy(t1->queue);
}
