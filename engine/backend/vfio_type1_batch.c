/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the helper does with what it took from the queue, until each request has
 * been answered with its own result. Requests that touch
 * each other keep their order; of the others unmaps may wait, while maps are
 * served, for neighbours that die in the same call. Knows time and ranges; what
 * a call is, is vfio_type1_map.c's, and when the helper sleeps, is
 * vfio_type1_helper.c's.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>

#include <sluice/domain.h>

/* Waiting pays when the calls that it saves are dear. A lane that maps and
 * unmaps one buffer after the other takes two calls a pair: by default some
 * eight pairs meet, within bounds. */
#define WORTH_CALLS 16
#define LINGER_MIN_NS 10000u
#define LINGER_MAX_NS 1000000u
/* So many waits in a row that brought nobody together, and no unmap waits; but
 * one in so many tries it again. */
#define VAIN_WAITS 4
#define TRY_AGAIN 64

static uint64_t mean(uint64_t old, uint64_t now)
{
	return (old * 3 + now) / 4;
}

static uint64_t linger_ns(const struct t1 *t1)
{
	uint64_t us = ld_rlx(&t1->batch_us);

	if (us == SLUICE_BATCH_NO_WAIT)
		return 0;
	if (us)
		return us * 1000;
	return max_u64(LINGER_MIN_NS,
	               min_u64(LINGER_MAX_NS, WORTH_CALLS * t1->batch.call_ns));
}

/* Unmaps come so fast that another is due within the time, and those that came
 * lately had neighbours among them. */
static bool company_likely(struct t1 *t1)
{
	struct t1_batch *b = &t1->batch;
	uint64_t ns = linger_ns(t1);

	if (b->gap_ns >= ns)
		return false;
	if (b->vain < VAIN_WAITS)
		return true;
	if (++b->refused < TRY_AGAIN)
		return false;
	b->refused = 0;
	return true;
}

/* At once: its lane goes on while the next is made. The request is the lane's
 * again, and nothing here may touch it any more. */
static void answer(struct t1 *t1, const struct be_req *req, int32_t res)
{
	fabric_post(t1->source, req->port, req->id, res);
}

/* Neighbours that came at different times. */
static uint32_t met(const struct t1_cut *cut, uint32_t nr)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < nr; i++)
		n += cut[i - 1].last + 1 == cut[i].iova &&
		     cut[i - 1].turn != cut[i].turn;
	return n;
}

void batch_flush(struct t1 *t1)
{
	struct t1_batch *b = &t1->batch;
	uint64_t calls = ld_rlx(&t1->kernel_unmaps);
	uint64_t start = clock_ns();

	if (b->nr_held == 0)
		return;
	t1_unmap(t1, b->held, b->nr_held);
	calls = ld_rlx(&t1->kernel_unmaps) - calls;
	if (calls)
		b->call_ns = mean(b->call_ns, (clock_ns() - start) / calls);
	if (b->lingers)
		b->vain = met(b->held, b->nr_held) ? 0 : b->vain + 1;
	for (uint32_t i = 0; i < b->nr_held; i++)
		answer(t1, b->held[i].req, b->held[i].res);
	b->nr_held = 0;
}

static void hold(struct t1 *t1, struct be_req *req)
{
	struct t1_batch *b = &t1->batch;
	struct t1_cut *cut = &b->held[b->nr_held];

	*cut = (struct t1_cut){.iova = req->iova, .req = req, .turn = b->turn};
	if (!range_last(req->iova, req->len, &cut->last)) {
		(void)be_take(req);
		answer(t1, req, -EINVAL);
		return;
	}
	if (b->nr_held++ == 0)
		b->since = b->now;
}

/* One of the first n is a map, and touches the request. */
static bool behind_map(const struct t1_batch *b, uint32_t n,
                       const struct be_req *req)
{
	for (uint32_t i = 0; i < n; i++)
		if (b->req[i] && b->req[i]->op == BE_MAP &&
		    be_touch(b->req[i], req))
			return true;
	return false;
}

static bool behind_held(const struct t1_batch *b, const struct be_req *req)
{
	for (uint32_t i = 0; i < b->nr_held; i++)
		if (be_touch(b->held[i].req, req))
			return true;
	return false;
}

static void map_now(struct t1 *t1, struct be_req *req)
{
	struct t1_batch *b = &t1->batch;
	int rc;

	if (behind_held(b, req))
		batch_flush(t1);
	rc = t1_map(t1, req->iova, req->seg, req->nr_seg, req->prot);
	/* What waits returns budget. */
	if ((rc == -ENOSPC || rc == -ENOMEM) && b->nr_held) {
		batch_flush(t1);
		rc = t1_map(t1, req->iova, req->seg, req->nr_seg, req->prot);
	}
	answer(t1, req, rc);
}

static void map(struct t1 *t1, struct be_req *req)
{
	if (unlikely(req->len >= ld_rlx(&t1->prefault_bytes)) &&
	    fault_start(t1, req))
		return;
	map_now(t1, req);
}

void batch_faulted(struct t1 *t1, bool wait)
{
	struct be_req *req;

	while ((req = fault_reap(t1, wait)))
		map_now(t1, req);
}

/* A map that it touches goes first. */
static void behind_faults(struct t1 *t1, const struct be_req *req)
{
	if (unlikely(t1->fault.nr) && fault_touches(t1, req))
		batch_faulted(t1, true);
}

/* How often unmaps come: nr of them came together. */
static void note_arrival(struct t1 *t1, uint32_t nr)
{
	struct t1_batch *b = &t1->batch;
	uint64_t gap = (b->now - b->last_ns) / nr;

	/* After a pause it takes a few to believe in the next. */
	b->gap_ns = mean(b->gap_ns, min_u64(gap, 4 * linger_ns(t1)));
	b->last_ns = b->now;
}

void batch_run(struct t1 *t1, uint32_t n)
{
	struct t1_batch *b = &t1->batch;
	uint32_t before = b->nr_held, maps = 0;

	b->now = clock_ns();
	b->turn++;
	for (uint32_t i = 0; i < n; i++) {
		if (b->req[i]->op == BE_MAP) {
			maps++;
		} else if (!maps || !behind_map(b, i, b->req[i])) {
			behind_faults(t1, b->req[i]);
			hold(t1, b->req[i]);
			b->req[i] = NULL;
		}
	}
	if (b->nr_held != before) {
		note_arrival(t1, b->nr_held - before);
		if (before == 0)
			b->lingers = company_likely(t1);
	}
	/* They return budget. */
	if (!b->lingers)
		batch_flush(t1);
	for (uint32_t i = 0; i < n; i++) {
		if (!b->req[i])
			continue;
		behind_faults(t1, b->req[i]);
		if (b->req[i]->op == BE_MAP)
			map(t1, b->req[i]);
		else
			hold(t1, b->req[i]);
	}
}

uint64_t batch_due(const struct t1 *t1)
{
	const struct t1_batch *b = &t1->batch;

	if (b->nr_held == 0)
		return UINT64_MAX;
	if (!b->lingers || b->nr_held >= ld_rlx(&t1->batch_max))
		return 0;
	return b->since + linger_ns(t1);
}
