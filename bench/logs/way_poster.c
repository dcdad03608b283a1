/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Way 2: a log for each posting lane in each domain. One writer, so a post has
 * no locked instruction and a slot no stamp; in exchange a poll looks at the
 * heads of all other lanes, and every reader keeps a cursor for each of them.
 * Left out, which flatters it: lanes that go on and off line.
 *
 * "packed": the heads of a domain side by side, so that a poll reads eight of
 * them in one line, which the posters then share. "sleep": with sleeping
 * views, for which a post needs a full fence after all.
 */
#include "bench/logs/sleep.h"

#include <stdlib.h>

#include "bench/rig.h"

struct slot {
	au64 first, last;
};

struct world {
	struct shape shape;
	uint32_t stride; /* heads are so many words apart */
	uint64_t mask;
	au64 *head;          /* by domain and poster: written up to here */
	au64 *reserved;      /* by domain and poster: may be writing up to */
	au64 *cursor;        /* by domain and reader, then poster */
	uint32_t cursor_row; /* words of a reader's row */
	struct slot *slot;   /* by domain and poster, then position */
	struct sleep sleep;
	struct sleepers *sleepers; /* by domain */
	size_t bytes;
};

#define WORDS (APART / sizeof(au64))

static size_t at(const struct world *w, uint32_t domain, uint32_t lane)
{
	return (size_t)domain * w->shape.lanes + lane;
}

static au64 *head_of(const struct world *w, uint32_t domain, uint32_t poster)
{
	size_t row = align_up(w->shape.lanes * w->stride, 4);

	return &w->head[domain * row + poster * w->stride];
}

static void *open_world(const struct shape *shape, uint32_t stride)
{
	struct world *w = calloc(1, sizeof(*w));
	size_t pairs = (size_t)shape->lanes * shape->domains;

	rig_check(w ? 0 : -1, "memory");
	w->shape = *shape;
	w->stride = stride;
	w->mask = shape->records - 1;
	w->cursor_row = (uint32_t)align_up(shape->lanes, lg2_ceil(WORDS));
	w->head = zalloc_lines(shape->domains *
	                               align_up(shape->lanes * stride, 4) * 8,
	                       &w->bytes);
	w->reserved = zalloc_lines(pairs * APART, &w->bytes);
	w->cursor = zalloc_lines(pairs * w->cursor_row * 8, &w->bytes);
	w->slot = zalloc_lines(pairs * shape->records * sizeof(*w->slot),
	                       &w->bytes);
	return w;
}

static void *open_apart(const struct shape *shape)
{
	return open_world(shape, WORDS);
}

static void *open_packed(const struct shape *shape)
{
	return open_world(shape, 1);
}

static void close_world(void *ctx)
{
	struct world *w = ctx;

	free(w->head);
	free(w->reserved);
	free(w->cursor);
	free(w->slot);
	free(w);
}

static inline uint64_t post(void *ctx, uint32_t lane, uint32_t domain,
                            const struct invlog_rec *rec, uint32_t n)
{
	struct world *w = ctx;
	size_t pair = at(w, domain, lane);
	struct slot *slot = &w->slot[pair * w->shape.records];
	au64 *head = head_of(w, domain, lane);
	uint64_t pos = ld_rlx(head);

	/* Before the slots change: the releases below pair with the acquires
	 * in read_on, whose second look at this word finds it moved. */
	st_rlx(&w->reserved[pair * WORDS], pos + n);
	for (uint32_t i = 0; i < n; i++) {
		st_rel(&slot[(pos + i) & w->mask].first, rec[i].first);
		st_rel(&slot[(pos + i) & w->mask].last, rec[i].last);
	}
	/* Pairs with the acquire in look: records and cleared table words. */
	st_rel(head, pos + n);
	return pos + n;
}

static uint64_t post_plain(void *ctx, uint32_t lane, uint32_t domain,
                           const struct invlog_rec *rec, uint32_t n)
{
	return post(ctx, lane, domain, rec, n);
}

static uint64_t post_sleep(void *ctx, uint32_t lane, uint32_t domain,
                           const struct invlog_rec *rec, uint32_t n)
{
	struct world *w = ctx;
	uint64_t ticket = post(ctx, lane, domain, rec, n);

	fence_sc(); /* the head, then the sleepers: see sleep.h */
	sleepers_wake(&w->sleepers[domain], &w->sleep, domain);
	return ticket;
}

static bool read_on(struct world *w, uint32_t lane, uint32_t domain,
                    size_t pair, uint64_t pos, uint64_t head)
{
	struct sluice_view_hot *hot = hot_of(&w->shape, lane, domain);
	const struct slot *slot = &w->slot[pair * w->shape.records];

	if (head - pos > w->mask + 1 || head - pos > 2 * (hot->tlb_mask + 1))
		return false;
	for (; pos != head; pos++) {
		/* Acquire: pairs with the releases in post. */
		uint64_t first = ld_acq(&slot[pos & w->mask].first);
		uint64_t last = ld_acq(&slot[pos & w->mask].last);

		if (unlikely(ld_rlx(&w->reserved[pair * WORDS]) - pos >
		             w->mask + 1))
			return false;
		drop_one(hot, first, last);
	}
	return true;
}

static noinline void drain(struct world *w, uint32_t lane, uint32_t domain,
                           uint32_t poster, au64 *cursor, uint64_t head)
{
	if (!read_on(w, lane, domain, at(w, domain, poster), ld_rlx(cursor),
	             head))
		flush_counted(&w->shape, lane, domain);
	/* Pairs with the acquire in passed: what was cached is gone. */
	st_rel(cursor, head);
}

static inline bool look(void *ctx, uint32_t lane, uint32_t domain)
{
	struct world *w = ctx;
	au64 *row = &w->cursor[at(w, domain, lane) * w->cursor_row];
	bool news = false;

	for (uint32_t p = 0; p < w->shape.lanes; p++) {
		/* Pairs with the release in post. */
		uint64_t head = ld_acq(head_of(w, domain, p));

		if (likely(head == ld_rlx(&row[p])) || p == lane)
			continue;
		drain(w, lane, domain, p, &row[p], head);
		news = true;
	}
	return news;
}

static void poll_all(void *ctx, uint32_t lane)
{
	struct world *w = ctx;

	for (uint32_t d = 0; d < w->shape.domains; d++)
		look(ctx, lane, d);
}

static bool passed(void *ctx, uint32_t lane, uint32_t domain, uint64_t ticket)
{
	struct world *w = ctx;

	for (uint32_t r = 0; r < w->shape.lanes; r++) {
		au64 *row = &w->cursor[at(w, domain, r) * w->cursor_row];

		/* Pairs with the release in drain. */
		if (r != lane && ld_acq(&row[lane]) < ticket)
			return false;
	}
	return true;
}

static size_t bytes(const void *ctx)
{
	const struct world *w = ctx;

	return w->bytes;
}

const struct way way_poster = {"poster", open_apart, close_world, post_plain,
                               poll_all, passed,     bytes};
const struct way way_poster_packed = {
        "poster, packed", open_packed, close_world, post_plain,
        poll_all,         passed,      bytes};

static void *open_sleep(const struct shape *shape)
{
	struct world *w = open_world(shape, WORDS);

	sleep_open(&w->sleep, shape, &w->bytes);
	w->sleepers =
	        zalloc_lines(shape->domains * sizeof(*w->sleepers), &w->bytes);
	return w;
}

static void close_sleep(void *ctx)
{
	struct world *w = ctx;

	sleep_close(&w->sleep);
	free(w->sleepers);
	close_world(ctx);
}

static bool doze(void *ctx, uint32_t lane, uint32_t domain);

static const struct sleep_ops sleep_ops = {look, doze};

static bool doze(void *ctx, uint32_t lane, uint32_t domain)
{
	struct world *w = ctx;

	return sleepers_doze(&w->sleepers[domain], ctx, lane, domain,
	                     &sleep_ops);
}

static void poll_sleep(void *ctx, uint32_t lane)
{
	struct world *w = ctx;

	sleep_poll(&w->sleep, ctx, lane, &sleep_ops);
}

const struct way way_poster_sleep = {"poster+sleep", open_sleep, close_sleep,
                                     post_sleep,     poll_sleep, passed,
                                     bytes};
