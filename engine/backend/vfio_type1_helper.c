/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper: one thread per container that makes the ioctls which lanes may
 * not make. Lanes put pointers on a queue; the helper drains it in batches and
 * posts each request's own result. Knows queue, batch and sleep; what a batch
 * costs in kernel calls is vfio_type1_map.c's.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <linux/futex.h>

#define SPIN_NS 30000 /* a futex round trip is about this long */

/* Dekker on one word with nothing but read-modify-writes: of a lane's and the
 * helper's, the later one sees what the earlier did before. Either the lane
 * reads 1 and wakes, or the helper's look at the queue finds the request.
 * Pairs with the xchg_acqrel in nap. */
static void wake(struct t1 *t1)
{
	if (xchg_acqrel(&t1->asleep, 0))
		(void)sys->futex(&t1->asleep, FUTEX_WAKE, 1);
}

uint32_t t1_submit(struct backend *be, struct be_req *const *req, uint32_t n)
{
	struct t1 *t1 = (struct t1 *)be;
	uint32_t k = mpsc_put(t1->queue, req, n);

	if (k)
		wake(t1);
	return k;
}

static bool called(struct t1 *t1)
{
	return !mpsc_empty(t1->queue) || ld_acq(&t1->stop);
}

static void nap(struct t1 *t1)
{
	uint64_t until = clock_ns() + SPIN_NS;

	do {
		for (int i = 0; i < 32; i++) {
			if (called(t1))
				return;
			cpu_relax();
		}
	} while (clock_ns() < until);
	xchg_acqrel(&t1->asleep, 1); /* pairs with wake */
	while (!called(t1) && ld_acq(&t1->asleep))
		(void)sys->futex(&t1->asleep, FUTEX_WAIT, 1);
	xchg_acqrel(&t1->asleep, 0); /* pairs with wake */
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

/* Unmaps first: they return budget, and nothing orders requests in flight. */
static void run_batch(struct t1 *t1, struct be_req *const *req, uint32_t n,
                      int32_t *res)
{
	struct t1_cut cut[T1_BATCH];
	uint32_t nr_cut = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct t1_cut *c = &cut[nr_cut];

		res[i] = -EINVAL;
		if (req[i]->op != BE_UNMAP)
			continue;
		*c = (struct t1_cut){.iova = req[i]->iova, .pos = i};
		if (range_last(c->iova, req[i]->len, &c->last))
			nr_cut++;
	}
	t1_unmap(t1, cut, nr_cut);
	for (uint32_t i = 0; i < nr_cut; i++)
		res[cut[i].pos] = cut[i].res;
	for (uint32_t i = 0; i < n; i++)
		if (req[i]->op == BE_MAP)
			res[i] = t1_map(t1, req[i]->iova, req[i]->seg,
			                req[i]->nr_seg, req[i]->prot);
}

static bool drain(struct t1 *t1)
{
	struct be_req *req[T1_BATCH];
	int32_t res[T1_BATCH];
	uint32_t n;

	while (ld_rlx(&t1->waiting))
		sched_yield();
	n = mpsc_get(t1->queue, req, T1_BATCH);
	if (n == 0)
		return false;
	pthread_mutex_lock(&t1->lock);
	t1_budget_turn(t1);
	run_batch(t1, req, n, res);
	pthread_mutex_unlock(&t1->lock);
	for (uint32_t i = 0; i < n; i++)
		fabric_post(t1->source, req[i]->port, req[i]->id, res[i]);
	fabric_flush(t1->source);
	return true;
}

static void *helper(void *arg)
{
	struct t1 *t1 = arg;

	for (;;) {
		/* Looked at before the queue: what was submitted before the
		 * stop is still drained. Pairs with t1_helper_stop. */
		bool stop = ld_acq(&t1->stop);

		if (drain(t1))
			continue;
		if (stop)
			return NULL;
		nap(t1);
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
	fabric_source_destroy(t1->source);
	mpsc_destroy(t1->queue);
}
