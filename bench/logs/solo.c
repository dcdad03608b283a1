/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread plays all lanes in turn: what the calls cost by themselves, with
 * no line on its way between processors.
 */
#include <stdlib.h>

#include "bench/logs/measure.h"
#include "bench/rig.h"

#define ROUNDS 101
#define RECORDS 64 /* of a round: no ring laps */
#define ASKS 16
#define IDLE_POLLS 8 /* fewer than make a view sleep */
#define SETTLE 100   /* more than make a view sleep */

const char *const solo_op_name[NR_OPS] = {"post", "idle poll", "record read",
                                          "passed", "post that wakes"};

static void fill(struct invlog_rec *rec, uint32_t n)
{
	/* Every second page: no two are one range. */
	for (uint32_t i = 0; i < n; i++) {
		rec[i].first = (2 * i + 1) * PAGE;
		rec[i].last = rec[i].first + PAGE - 1;
	}
}

static void poll_lanes(const struct way *way, void *ctx, const struct shape *s,
                       uint32_t first)
{
	for (uint32_t l = 0; l < s->lanes; l++)
		if (l != first)
			way->poll(ctx, l);
}

void solo_round(const struct way *way, void *ctx, const struct shape *s,
                uint32_t batch, const struct solo_clock *clock)
{
	struct invlog_rec rec[INVLOG_BATCH];
	uint32_t posts = RECORDS / batch;
	uint32_t busy = s->domains < BUSY ? s->domains : BUSY;
	uint32_t reader = s->lanes > 1 ? 1 : 0, domain = 0;
	uint64_t ticket = 0;
	bool ok = true;

	fill(rec, batch);
	clock->begin(clock->ctx);
	for (uint32_t i = 0; i < posts; i++) {
		domain = i % busy;
		ticket = way->post(ctx, 0, domain, rec, batch);
	}
	clock->end(clock->ctx, OP_POST, posts);

	clock->begin(clock->ctx);
	way->poll(ctx, reader);
	clock->end(clock->ctx, OP_READ, RECORDS);
	poll_lanes(way, ctx, s, reader);

	clock->begin(clock->ctx);
	for (uint32_t i = 0; i < ASKS; i++)
		ok &= way->passed(ctx, 0, domain, ticket);
	clock->end(clock->ctx, OP_PASSED, ASKS);
	rig_check(ok ? 0 : -1, "all have polled, the ticket must have passed");

	clock->begin(clock->ctx);
	for (uint32_t i = 0; i < IDLE_POLLS; i++)
		way->poll(ctx, reader);
	clock->end(clock->ctx, OP_IDLE, IDLE_POLLS);
}

void solo_wake(const struct way *way, void *ctx, const struct shape *s,
               const struct solo_clock *clock)
{
	struct invlog_rec rec[1];

	fill(rec, 1);
	for (unsigned i = 0; i < SETTLE; i++)
		poll_lanes(way, ctx, s, s->lanes);
	clock->begin(clock->ctx);
	way->post(ctx, 0, s->domains - 1, rec, 1);
	clock->end(clock->ctx, OP_WAKE, 1);
	poll_lanes(way, ctx, s, s->lanes);
}

/* Lane l caches a page; lane 0 takes it away; nothing has passed until l and
 * everybody else has polled, and then the entry is gone. */
static void check_once(const struct way *way, void *ctx, const struct shape *s,
                       uint32_t domain)
{
	struct invlog_rec rec = {PAGE, 2 * PAGE - 1};
	uint64_t ticket;

	for (uint32_t l = 0; l < s->lanes; l++)
		tlb_fill(hot_of(s, l, domain), PAGE, PAGE, 2 * PAGE - 1, 0,
		         SLUICE_RW);
	ticket = way->post(ctx, 0, domain, &rec, 1);
	for (uint32_t l = 1; l < s->lanes; l++) {
		rig_check(way->passed(ctx, 0, domain, ticket) ? -1 : 0,
		          "passed before all have polled");
		way->poll(ctx, l);
		rig_check(hot_of(s, l, domain)->tlb[1].size[0] ? -1 : 0,
		          "an entry outlived its record");
	}
	way->poll(ctx, 0);
	rig_check(way->passed(ctx, 0, domain, ticket) ? 0 : -1,
	          "not passed although all have polled");
}

void solo_check(const struct way *way, const struct shape *s)
{
	void *ctx = way->open(s);

	for (unsigned k = 0; k < 2; k++) {
		for (uint32_t d = 0; d < min_u64(s->domains, 16); d++)
			check_once(way, ctx, s, d);
		/* The next time all are asleep, where there is sleep. */
		for (unsigned i = 0; i < SETTLE; i++)
			poll_lanes(way, ctx, s, s->lanes);
	}
	way->close(ctx);
}

struct watch {
	uint64_t start;
	double ns[NR_OPS]; /* of the last round */
};

static void watch_begin(void *ctx)
{
	struct watch *w = ctx;

	w->start = now_ns();
}

static void watch_end(void *ctx, enum solo_op op, uint64_t n)
{
	struct watch *w = ctx;
	double ns = (double)(now_ns() - w->start) - clock_cost();

	w->ns[op] = ns / (double)n;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median_of(double *sample, unsigned n)
{
	qsort(sample, n, sizeof(*sample), ascending);
	return sample[n / 2];
}

void solo_measure(const struct shape *s, uint32_t batch, double ns[][NR_OPS])
{
	static double sample[NR_WAYS][NR_OPS][ROUNDS];
	struct watch watch = {0};
	struct solo_clock clock = {watch_begin, watch_end, &watch};
	void *ctx[NR_WAYS];

	for (unsigned k = 0; k < NR_WAYS; k++) {
		ctx[k] = ways[k]->open(s);
		/* Idle domains fall asleep. */
		for (unsigned i = 0; i < SETTLE; i++)
			poll_lanes(ways[k], ctx[k], s, s->lanes);
	}
	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned k = 0; k < NR_WAYS; k++) {
			solo_round(ways[k], ctx[k], s, batch, &clock);
			solo_round(ways[k], ctx[k], s, batch, &clock);
			watch.ns[OP_READ] -= watch.ns[OP_IDLE] / RECORDS;
			for (unsigned o = 0; o < NR_OPS; o++)
				sample[k][o][r] = watch.ns[o];
		}
	/* Few: each lets all views fall asleep first. */
	for (unsigned k = 0; k < NR_WAYS; k++) {
		for (unsigned r = 0; r < 3; r++) {
			solo_wake(ways[k], ctx[k], s, &clock);
			sample[k][OP_WAKE][r] = watch.ns[OP_WAKE];
		}
		ns[k][OP_WAKE] = median_of(sample[k][OP_WAKE], 3);
		for (unsigned o = 0; o < OP_WAKE; o++)
			ns[k][o] = median_of(sample[k][o], ROUNDS);
		ways[k]->close(ctx[k]);
	}
}
