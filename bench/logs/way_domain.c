/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Way 1: a log for each domain, the one that sluice has (iotlb/), as it is and
 * behind views that sleep.
 */
#include "bench/logs/sleep.h"

#include <stdlib.h>

#include "bench/rig.h"

struct sleeper {
	struct sleep *sleep;
	uint64_t seen; /* head at the last look */
	uint32_t lane, domain;
};

struct world {
	struct shape shape;
	struct invlog **log;
	struct sleep sleep;
	struct sleeper *sleeper; /* by lane, then domain */
	size_t bytes;
};

static void *open_world(const struct shape *shape)
{
	struct world *w = calloc(1, sizeof(*w));

	rig_check(w ? 0 : -1, "memory");
	w->shape = *shape;
	w->log = zalloc_lines(shape->domains * sizeof(struct invlog *),
	                      &w->bytes);
	for (uint32_t d = 0; d < shape->domains; d++) {
		rig_check(
		        invlog_create(shape->records, shape->lanes, &w->log[d]),
		        "log");
		for (uint32_t l = 0; l < shape->lanes; l++)
			invlog_online(w->log[d], l);
	}
	return w;
}

static void close_world(void *ctx)
{
	struct world *w = ctx;

	for (uint32_t d = 0; d < w->shape.domains; d++)
		invlog_destroy(w->log[d]);
	free(w->log);
	free(w);
}

static uint64_t post(void *ctx, uint32_t lane, uint32_t domain,
                     const struct invlog_rec *rec, uint32_t n)
{
	struct world *w = ctx;

	return invlog_post(w->log[domain], lane, rec, n);
}

static inline void drain(struct world *w, uint32_t lane, uint32_t domain)
{
	struct invlog_view view = {.hot = hot_of(&w->shape, lane, domain)};

	if (invlog_drain(w->log[domain], lane, &view) & INVLOG_GOT_FLUSH)
		ctr_add(&w->shape.flushes[lane], 1);
}

static void poll_all(void *ctx, uint32_t lane)
{
	struct world *w = ctx;

	for (uint32_t d = 0; d < w->shape.domains; d++)
		drain(w, lane, d);
}

static bool passed(void *ctx, uint32_t lane, uint32_t domain, uint64_t ticket)
{
	struct world *w = ctx;

	(void)lane;
	return invlog_passed(w->log[domain]) >= ticket;
}

/* By invlog_priv.h: a slot 32 bytes, a cursor and a poster's line two lines
 * each, four nameless posters, the log itself eight lines. */
static size_t bytes(const void *ctx)
{
	const struct world *w = ctx;
	const struct shape *s = &w->shape;

	return w->bytes + s->domains * (s->records * (size_t)32 +
	                                (2 * s->lanes + 4 + 4) * (size_t)APART);
}

const struct way way_domain = {"domain", open_world, close_world, post,
                               poll_all, passed,     bytes};

static void wake(void *ctx)
{
	struct sleeper *me = ctx;

	sleep_wake(me->sleep, me->lane, me->domain);
}

static void *open_sleep(const struct shape *shape)
{
	struct world *w = open_world(shape);
	size_t pairs = (size_t)shape->lanes * shape->domains;

	w->sleeper = zalloc_lines(pairs * sizeof(*w->sleeper), &w->bytes);
	for (size_t i = 0; i < pairs; i++) {
		struct sleeper *me = &w->sleeper[i];

		me->sleep = &w->sleep;
		me->lane = (uint32_t)(i / shape->domains);
		me->domain = (uint32_t)(i % shape->domains);
		invlog_set_wake(w->log[me->domain], me->lane, wake, me);
	}
	sleep_open(&w->sleep, shape, &w->bytes);
	return w;
}

static void close_sleep(void *ctx)
{
	struct world *w = ctx;

	free(w->sleeper);
	sleep_close(&w->sleep);
	close_world(ctx);
}

static struct sleeper *sleeper_of(const struct world *w, uint32_t lane,
                                  uint32_t domain)
{
	return &w->sleeper[(size_t)lane * w->shape.domains + domain];
}

/* The head alone does not tell that the cursor is there: a slot may not have
 * been written yet. So it always drains. */
static bool look(void *ctx, uint32_t lane, uint32_t domain)
{
	struct world *w = ctx;
	struct sleeper *me = sleeper_of(w, lane, domain);
	uint64_t head = invlog_head(w->log[domain]);

	drain(w, lane, domain);
	if (likely(head == me->seen))
		return false;
	me->seen = head;
	return true;
}

static bool doze(void *ctx, uint32_t lane, uint32_t domain)
{
	struct world *w = ctx;
	bool woken;

	return invlog_sleep(w->log[domain], lane, &woken) || woken;
}

static void poll_sleep(void *ctx, uint32_t lane)
{
	static const struct sleep_ops ops = {look, doze};
	struct world *w = ctx;

	sleep_poll(&w->sleep, ctx, lane, &ops);
}

const struct way way_domain_sleep = {"domain+sleep", open_sleep, close_sleep,
                                     post,           poll_sleep, passed,
                                     bytes};
