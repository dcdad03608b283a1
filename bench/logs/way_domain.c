/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Way 1: a log for each domain, the one that sluice has (iotlb/), as it is and
 * behind views that sleep.
 */
#include "bench/logs/sleep.h"

#include <stdlib.h>

#include "bench/rig.h"

struct world {
	struct shape shape;
	struct invlog **log;
	uint64_t **seen; /* head at the last look, by lane and domain */
	struct sleep sleep;
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

static void poll_all(void *ctx, uint32_t lane)
{
	struct world *w = ctx;

	for (uint32_t d = 0; d < w->shape.domains; d++)
		if (invlog_drain(w->log[d], lane, hot_of(&w->shape, lane, d)))
			ctr_add(&w->shape.flushes[lane], 1);
}

static bool passed(void *ctx, uint32_t lane, uint32_t domain, uint64_t ticket)
{
	struct world *w = ctx;

	(void)lane;
	return invlog_passed(w->log[domain]) >= ticket;
}

/* By invlog_priv.h: a slot 32 bytes, a cursor and a poster's line two lines
 * each, four nameless posters, the log itself six lines. */
static size_t bytes(const void *ctx)
{
	const struct world *w = ctx;
	const struct shape *s = &w->shape;

	return w->bytes + s->domains * (s->records * (size_t)32 +
	                                (2 * s->lanes + 4 + 3) * (size_t)APART);
}

const struct way way_domain = {"domain", open_world, close_world, post,
                               poll_all, passed,     bytes};

static void *open_sleep(const struct shape *shape)
{
	struct world *w = open_world(shape);

	w->seen = zalloc_lines(shape->lanes * sizeof(*w->seen), &w->bytes);
	for (uint32_t l = 0; l < shape->lanes; l++)
		w->seen[l] = zalloc_lines(shape->domains * sizeof(uint64_t),
		                          &w->bytes);
	sleep_open(&w->sleep, shape, &w->bytes);
	return w;
}

static void close_sleep(void *ctx)
{
	struct world *w = ctx;

	for (uint32_t l = 0; l < w->shape.lanes; l++)
		free(w->seen[l]);
	free(w->seen);
	sleep_close(&w->sleep);
	close_world(ctx);
}

static uint64_t post_sleep(void *ctx, uint32_t lane, uint32_t domain,
                           const struct invlog_rec *rec, uint32_t n)
{
	struct world *w = ctx;
	uint64_t ticket = invlog_post(w->log[domain], lane, rec, n);

	/* The RMW of head in the post is the fence. */
	sleep_wake(&w->sleep, domain);
	return ticket;
}

/* The head alone does not tell that the cursor is there: a slot may not have
 * been written yet. So it always drains; before a view sleeps it has drained
 * more often than the log has patience with such a slot. */
static bool look(void *ctx, uint32_t lane, uint32_t domain)
{
	struct world *w = ctx;
	uint64_t head = invlog_head(w->log[domain]);
	uint64_t *seen = &w->seen[lane][domain];

	if (invlog_drain(w->log[domain], lane, hot_of(&w->shape, lane, domain)))
		ctr_add(&w->shape.flushes[lane], 1);
	if (likely(head == *seen))
		return false;
	*seen = head;
	return true;
}

static void poll_sleep(void *ctx, uint32_t lane)
{
	struct world *w = ctx;

	sleep_poll(&w->sleep, ctx, lane, look);
}

const struct way way_domain_sleep = {"domain+sleep", open_sleep, close_sleep,
                                     post_sleep,     poll_sleep, passed,
                                     bytes};
