/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measuring loop of one thread. A round maps `depth` buffers, translates
 * them, unmaps them; the time is read around each `batch` of calls, because one
 * call is shorter than a reading. The same loop is compiled for each way of
 * doing it, with the way as a constant, so that no call through a pointer is
 * measured, but for the ways of others, where it is one in each call. It knows
 * nothing of threads; bench_rig.c starts and gathers.
 */
#include "tools/bench.h"

#include "yardstick/ways.h"
#include "yardstick/yardstick.h"
#include "tools/ticks.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define ALWAYS_INLINE inline __attribute__((__always_inline__))
#define ROOM 256
#define CHUNK 128 /* translated together: fits any IOTLB we ask for */
#define DRAIN_NS UINT64_C(5000000000)

enum how {
	HOW_SINGLE,
	HOW_SG,
	HOW_BOUNCE,
	HOW_ARENA,
	HOW_NAIVE,
	HOW_NAIVE_ARENA,
	HOW_WAY,
	HOW_RAW
};

/* Constant but for the state and, with HOW_WAY, the way. */
struct how_to {
	enum how how;
	uint32_t impl;
	const struct way *way;
	void *state;
	struct naive *naive;
};

int bench_error(struct bench_worker *w, const char *what, int rc)
{
	snprintf(w->error, sizeof(w->error), "%s: %s: %s", what,
	         sluice_errname(rc), w->bad ? w->why : sluice_last_error());
	return rc;
}

/* The first completion with an error; out of budget, by how much. */
static void note_bad(struct bench_worker *w, const struct sluice_completion *c)
{
	struct sluice_budget b;

	if (w->bad)
		return;
	w->bad = c->result;
	if (c->op == SLUICE_OP_MAP &&
	    (c->result == -ENOSPC || c->result == -ENOMEM) &&
	    sluice_domain_get_budget(w->rig->domain, &b) == 0)
		sluice_budget_explain(&b, 1, c->len, w->why, sizeof(w->why));
	else
		snprintf(w->why, sizeof(w->why), "%s",
		         sluice_completion_text(c));
}

/* Polls; an unmap's cookie is the time at which its batch began. */
static void reap(struct bench_worker *w)
{
	const struct ticks *t = ticks_init();
	struct sluice_completion c[ROOM];
	uint64_t now;
	uint32_t n;

	do {
		n = sluice_poll(w->lane, c, ROOM);
		now = ticks_now(t);
		w->outstanding -= n;
		for (uint32_t i = 0; i < n; i++) {
			if (c[i].result)
				note_bad(w, &c[i]);
			if (c[i].op == SLUICE_OP_UNMAP)
				hist_add(&w->times[BENCH_OURS].op[BENCH_TICKET],
				         ticks_ps(t, c[i].cookie, now), 1);
			else
				w->maps_due--;
		}
	} while (n == ROOM);
}

int bench_drain(struct bench_worker *w)
{
	uint64_t start = clock_ns();

	while (w->outstanding && clock_ns() - start < DRAIN_NS)
		reap(w);
	if (w->bad)
		return bench_error(w, "a request completed with an error",
		                   w->bad);
	if (w->outstanding)
		return bench_error(w, "completions did not arrive", -ETIMEDOUT);
	/* Lazy unmaps owe no completion but are in flight too. */
	if (sluice_drain(w->lane, DRAIN_NS) < 0)
		return bench_error(w, "drain", -ETIMEDOUT);
	return 0;
}

static ALWAYS_INLINE char *buffer(struct bench_worker *w)
{
	char *va = w->mem + w->next_buf * w->stride;

	w->next_buf = w->next_buf + 1 < w->nr_bufs ? w->next_buf + 1 : 0;
	return va;
}

static int map_sg(struct bench_worker *w, char *va, uint64_t *iova)
{
	uint32_t g = w->rig->opts->granule;
	struct sluice_map_req req = {.prot = w->rig->prot};

	for (uint32_t i = 0; i < g; i++) {
		w->iov[i].iov_base = va + 2 * i * (uint64_t)SLUICE_PAGE_SIZE;
		w->iov[i].iov_len = SLUICE_PAGE_SIZE;
	}
	return sluice_map_sg(w->view, &req, w->iov, g, iova);
}

static ALWAYS_INLINE int map_one(struct bench_worker *w, struct how_to h,
                                 uint64_t len, uint32_t i)
{
	struct sluice_buf buf;
	int rc;

	if (h.how == HOW_NAIVE)
		return naive_map(h.naive, (uint64_t)buffer(w), len,
		                 w->rig->prot, &w->iova[i]);
	if (h.how == HOW_WAY) {
		uint64_t at = w->next_buf;

		w->iova[i] = bench_other_iova(w, at);
		return h.way->map(h.state, w->iova[i], (uint64_t)buffer(w), len,
		                  w->rig->prot);
	}
	if (h.how == HOW_RAW) {
		w->iova[i] = bench_other_iova(w, w->next_buf);
		return bench_raw_map(&w->rig->raw, w->iova[i],
		                     (uint64_t)buffer(w), len, w->rig->prot);
	}
	if (h.how == HOW_BOUNCE) {
		rc = sluice_bounce_map(w->view, w->rig->bounce, buffer(w), len,
		                       w->rig->prot, 0, &w->bounced[i]);
		w->iova[i] = w->bounced[i].iova;
		return rc;
	}
	if (h.how == HOW_NAIVE_ARENA) {
		w->slot[i] = naive_slots_get(w->rig->naive_slots, &w->iova[i]);
		return w->slot[i] ? 0 : -ENOBUFS;
	}
	if (h.how == HOW_ARENA) {
		rc = sluice_arena_get(w->lane, w->rig->arena, &buf);
		if (!rc) {
			w->slot[i] = buf.va;
			w->iova[i] = buf.iova;
		}
		return rc;
	}
	if (h.how == HOW_SG)
		return map_sg(w, buffer(w), &w->iova[i]);
	struct sluice_map_req req = {
	        .va = (uint64_t)buffer(w), .len = len, .prot = w->rig->prot};

	return sluice_map(w->view, &req, &w->iova[i]);
}

static ALWAYS_INLINE int unmap_one(struct bench_worker *w, struct how_to h,
                                   uint64_t len, uint32_t i, uint64_t cookie)
{
	switch (h.how) {
	case HOW_NAIVE:
		return naive_unmap(h.naive, w->iova[i], len);
	case HOW_WAY:
		return h.way->unmap(h.state, w->iova[i], len);
	case HOW_RAW:
		return bench_raw_unmap(&w->rig->raw, w->iova[i], len);
	case HOW_BOUNCE:
		return sluice_bounce_unmap(
		        w->view, w->rig->bounce, &w->bounced[i],
		        SLUICE_BOUNCE_USED_ALL, cookie, NULL);
	case HOW_NAIVE_ARENA:
		naive_slots_put(w->rig->naive_slots, w->slot[i]);
		return 0;
	case HOW_ARENA:
		sluice_arena_put(w->lane, w->rig->arena, w->slot[i]);
		return 0;
	default:
		return sluice_unmap(w->view, w->iova[i], len, cookie, NULL);
	}
}

/* Polls while the engine asks for it: too many requests in flight, or, for a
 * bounded time, no room until tickets pass. */
static int patient(struct bench_worker *w, int rc, uint32_t tries)
{
	if (rc != -EAGAIN && rc != -ENOSPC && rc != -ENOBUFS)
		return 0;
	/* The lane that tickets wait for may not be running at all, or be kept
	 * from it for long. */
	if (tries > 10000)
		nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
	else if (tries > 1000)
		sched_yield();
	reap(w);
	return 1;
}

static ALWAYS_INLINE int map_batch(struct bench_worker *w, struct how_to h,
                                   uint64_t len, uint32_t from, uint32_t to)
{
	const struct ticks *t = ticks_init();
	struct bench_times *out = &w->times[h.impl];
	int kernel = w->rig->opts->backend != SLUICE_BACKEND_SOFT;
	uint64_t start = ticks_now(t), ps;

	for (uint32_t i = from; i < to; i++) {
		int rc = map_one(w, h, len, i);

		for (uint32_t n = 0; rc < 0 && n < 1000000; n++) {
			if (!patient(w, rc, n))
				break;
			rc = map_one(w, h, len, i);
		}
		if (rc < 0)
			return bench_error(w, "map", rc);
		w->outstanding += (uint64_t)rc;
		w->maps_due += (uint64_t)rc;
	}
	/* A kernel mapping is there when its completion says so; nobody waits
	 * for the unmaps of before. */
	while (kernel && h.how < HOW_ARENA && w->maps_due && !w->bad)
		reap(w);
	ps = ticks_ps(t, start, ticks_now(t));
	w->map_ps[from] = ps;
	hist_add(&out->op[BENCH_MAP], ps / (to - from), to - from);
	return w->bad ? bench_error(w, "map", w->bad) : 0;
}

static ALWAYS_INLINE int unmap_batch(struct bench_worker *w, struct how_to h,
                                     uint64_t len, uint32_t from, uint32_t to)
{
	const struct ticks *t = ticks_init();
	struct bench_times *out = &w->times[h.impl];
	uint64_t start = ticks_now(t), ps;

	for (uint32_t i = from; i < to; i++) {
		int rc = unmap_one(w, h, len, i, start);

		for (uint32_t n = 0; rc < 0 && n < 1000000; n++) {
			if (!patient(w, rc, n))
				break;
			rc = unmap_one(w, h, len, i, start);
		}
		if (rc < 0)
			return bench_error(w, "unmap", rc);
		w->outstanding += (uint64_t)rc;
	}
	if (h.how < HOW_NAIVE)
		reap(w);
	ps = ticks_ps(t, start, ticks_now(t));
	hist_add(&out->op[BENCH_UNMAP], ps / (to - from), to - from);
	ps += w->map_ps[from];
	hist_add(&out->op[BENCH_PAIR], ps / (to - from), to - from);
	return w->bad ? bench_error(w, "unmap", w->bad) : 0;
}

static ALWAYS_INLINE int64_t translate_one(struct bench_worker *w,
                                           struct how_to h, uint64_t iova,
                                           uint64_t *oa)
{
	if (h.how == HOW_NAIVE)
		return naive_translate(h.naive, iova, 64, w->rig->prot, oa);
	if (h.how == HOW_WAY) {
		int rc = h.way->translate(h.state, iova, w->rig->prot, oa);

		return rc < 0 ? rc : 64;
	}
	return sluice_translate(w->view, iova, 64, w->rig->prot, oa);
}

/* Twice over the same addresses: the first time the IOTLB has not seen them,
 * the second time it has. */
static ALWAYS_INLINE int translate_chunk(struct bench_worker *w,
                                         struct how_to h, uint32_t from,
                                         uint32_t to)
{
	const struct ticks *t = ticks_init();
	struct bench_times *out = &w->times[h.impl];

	uint32_t granule = w->rig->opts->granule;

	for (int pass = 0; pass < 2; pass++) {
		uint64_t start = ticks_now(t), sum = 0, oa = 0, ps;
		int64_t worst = 64;

		for (uint32_t i = from; i < to; i++) {
			/* Another page of each mapping: aligned ranges would
			 * all fall on one entry of the IOTLB. */
			uint64_t page = granule > 1 ? i % granule : 0;
			int64_t n = translate_one(
			        w, h, w->iova[i] + page * SLUICE_PAGE_SIZE,
			        &oa);

			worst = n < worst ? n : worst;
			sum += oa;
		}
		__asm__ volatile("" : : "r"(sum));
		ps = ticks_ps(t, start, ticks_now(t));
		if (worst != 64)
			return bench_error(w, "translate",
			                   worst < 0 ? (int)worst : -EIO);
		if (pass || h.how < HOW_ARENA)
			hist_add(&out->op[pass ? BENCH_HIT : BENCH_MISS],
			         ps / (to - from), to - from);
	}
	return 0;
}

static void transfer(uint32_t ns)
{
	uint64_t end = clock_ns() + ns;

	while (clock_ns() < end)
		;
}

/* Of the depth mappings that are alive, and of the working set, where whoever
 * is measured keeps it mapped. */
static ALWAYS_INLINE int translate_round(struct bench_worker *w,
                                         struct how_to h)
{
	const struct bench_opts *o = w->rig->opts;
	uint32_t to;
	int rc = 0;

	for (uint32_t i = 0; i < o->depth && !rc; i = to) {
		to = i + CHUNK < o->depth ? i + CHUNK : o->depth;
		rc = translate_chunk(w, h, i, to);
	}
	if (rc || !w->set[h.impl])
		return rc;
	return h.impl == BENCH_OURS ? bench_translate_ours(w)
	                            : bench_translate_other(w, h.impl);
}

static ALWAYS_INLINE int one_round(struct bench_worker *w, struct how_to h)
{
	const struct bench_opts *o = w->rig->opts;
	uint64_t len = (uint64_t)o->granule * SLUICE_PAGE_SIZE;
	uint32_t to;
	int rc = 0;

	for (uint32_t i = 0; i < o->depth && !rc; i = to) {
		to = i + o->batch < o->depth ? i + o->batch : o->depth;
		rc = map_batch(w, h, len, i, to);
	}
	if (o->delay_ns)
		transfer(o->delay_ns);
	if (!rc && h.how != HOW_NAIVE_ARENA && h.how != HOW_RAW)
		rc = translate_round(w, h);
	for (uint32_t i = 0; i < o->depth && !rc; i = to) {
		to = i + o->batch < o->depth ? i + o->batch : o->depth;
		rc = unmap_batch(w, h, len, i, to);
	}
	return rc;
}

static ALWAYS_INLINE int rounds(struct bench_worker *w, struct how_to h,
                                uint64_t until_ns)
{
	int rc;

	do {
		rc = one_round(w, h);
	} while (!rc && clock_ns() < until_ns);
	return rc;
}

static int other_slice(struct bench_worker *w, uint32_t impl, uint64_t until_ns)
{
	const struct bench_other *other = &w->rig->other[impl - 1];
	int rc;

	if (other->is_naive && w->rig->opts->mode == BENCH_ARENA)
		return rounds(
		        w,
		        (struct how_to){.how = HOW_NAIVE_ARENA, .impl = impl},
		        until_ns);
	if (other->is_naive)
		return rounds(w,
		              (struct how_to){.how = HOW_NAIVE,
		                              .impl = impl,
		                              .naive = other->naive},
		              until_ns);
	bench_other_enter(w, impl - 1);
	rc = rounds(w,
	            (struct how_to){.how = HOW_WAY,
	                            .impl = impl,
	                            .way = other->way,
	                            .state = other->state},
	            until_ns);
	bench_other_leave(w, impl - 1);
	return rc;
}

int bench_slice(struct bench_worker *w, uint32_t impl, uint64_t until_ns)
{
	const struct bench_opts *o = w->rig->opts;

	if (impl != BENCH_OURS)
		return other_slice(w, impl, until_ns);
	if (o->mode == BENCH_ARENA)
		return rounds(w, (struct how_to){.how = HOW_ARENA}, until_ns);
	if (o->mode == BENCH_BOUNCE)
		return rounds(w, (struct how_to){.how = HOW_BOUNCE}, until_ns);
	if (o->mode == BENCH_RAW)
		return rounds(w, (struct how_to){.how = HOW_RAW}, until_ns);
	if (o->sg)
		return rounds(w, (struct how_to){.how = HOW_SG}, until_ns);
	return rounds(w, (struct how_to){.how = HOW_SINGLE}, until_ns);
}

int bench_fill(struct bench_worker *w)
{
	uint64_t *set = calloc(w->nr_bufs, sizeof(*set));
	struct sluice_map_req req = {.len = (uint64_t)w->rig->opts->granule *
	                                    SLUICE_PAGE_SIZE,
	                             .prot = w->rig->prot};

	if (!set)
		return bench_error(w, "the working set", -ENOMEM);
	w->set[BENCH_OURS] = set;
	for (uint64_t i = 0; i < w->nr_bufs; i++) {
		int rc;

		req.va = (uint64_t)w->mem + i * w->stride;
		rc = sluice_map(w->view, &req, &set[i]);
		if (rc < 0)
			return bench_error(w, "map of the working set", rc);
	}
	return 0;
}
