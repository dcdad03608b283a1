/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Way 3: one inbox for each lane, whatever the number of domains; who posts
 * writes the records into the inbox of every other lane of the domain. A
 * ticket is a position in each of them. Left out, which flatters it: lanes
 * that go on and off line, and the order of two posters of which one was held
 * up for a whole ring: who reads may then see the older record and run out of
 * patience with the newer one, but could also miss it.
 */
#include "bench/logs/logs.h"

#include <stdlib.h>

#include "bench/rig.h"

#define GROWTH 16u /* an inbox serves all domains: larger than a log */
#define INFLIGHT 64u
#define PATIENCE 64u /* as in iotlb/ */

struct slot {
	au64 stamp; /* 2 (position + 1); one less while it is written */
	au64 first, last, domain;
};

struct inbox {
	_Alignas(APART) au64 head;
	_Alignas(APART) au64 cursor;
	uint32_t stuck; /* polls in a row that found an unwritten slot */
	struct slot *slot;
	_Alignas(APART) uint64_t nr_posts; /* of this lane */
	/* Positions of the last posts of this lane, by reader. */
	uint64_t sent[INFLIGHT][MAX_LANES];
};

struct world {
	struct shape shape;
	uint64_t mask;
	struct inbox *inbox;
	size_t bytes;
};

static void *open_world(const struct shape *shape)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t records = shape->records * GROWTH;

	rig_check(w ? 0 : -1, "memory");
	w->shape = *shape;
	w->mask = records - 1;
	w->inbox = zalloc_lines(shape->lanes * sizeof(*w->inbox), &w->bytes);
	for (uint32_t l = 0; l < shape->lanes; l++)
		w->inbox[l].slot =
		        zalloc_lines(records * sizeof(struct slot), &w->bytes);
	return w;
}

static void close_world(void *ctx)
{
	struct world *w = ctx;

	for (uint32_t l = 0; l < w->shape.lanes; l++)
		free(w->inbox[l].slot);
	free(w->inbox);
	free(w);
}

static uint64_t append(struct inbox *in, uint64_t mask, uint32_t domain,
                       const struct invlog_rec *rec, uint32_t n)
{
	/* Release pairs with the acquire of head in poll; seq_cst as in
	 * invlog_post. */
	uint64_t pos = faa_sc(&in->head, n);

	for (uint32_t i = 0; i < n; i++) {
		struct slot *s = &in->slot[(pos + i) & mask];
		uint64_t stamp = 2 * (pos + i + 1);

		st_rlx(&s->stamp, stamp - 1);
		/* Releases: as in write_slot of iotlb/invlog.c. */
		st_rel(&s->first, rec[i].first);
		st_rel(&s->last, rec[i].last);
		st_rel(&s->domain, domain);
		st_rel(&s->stamp, stamp);
	}
	return pos + n;
}

static uint64_t post(void *ctx, uint32_t lane, uint32_t domain,
                     const struct invlog_rec *rec, uint32_t n)
{
	struct world *w = ctx;
	struct inbox *mine = &w->inbox[lane];
	uint64_t *sent = mine->sent[mine->nr_posts % INFLIGHT];

	for (uint32_t r = 0; r < w->shape.lanes; r++)
		if (r != lane)
			sent[r] = append(&w->inbox[r], w->mask, domain, rec, n);
	return mine->nr_posts++;
}

/* False when the lane was overtaken. */
static bool read_on(struct world *w, uint32_t lane, uint64_t *pos,
                    uint64_t head)
{
	struct inbox *in = &w->inbox[lane];

	if (head - *pos > w->mask + 1)
		return false;
	for (; *pos != head; ++*pos) {
		struct slot *s = &in->slot[*pos & w->mask];
		uint64_t want = 2 * (*pos + 1);
		/* Acquires: as in read_slot of iotlb/invlog.c. */
		uint64_t stamp = ld_acq(&s->stamp), first, last, domain;

		if (unlikely(stamp != want))
			return stamp < want;
		first = ld_acq(&s->first);
		last = ld_acq(&s->last);
		domain = ld_acq(&s->domain);
		if (unlikely(ld_rlx(&s->stamp) != want))
			return false;
		drop_one(hot_of(&w->shape, lane, (uint32_t)domain), first,
		         last);
	}
	return true;
}

static noinline void drain(struct world *w, uint32_t lane, uint64_t head)
{
	struct inbox *in = &w->inbox[lane];
	uint64_t from = ld_rlx(&in->cursor), pos = from;
	bool kept = read_on(w, lane, &pos, head);

	in->stuck = pos == from ? in->stuck + 1 : 0;
	if (!kept || in->stuck == PATIENCE) {
		in->stuck = 0;
		/* Nobody knows whose records were lost: all views. */
		for (uint32_t d = 0; d < w->shape.domains; d++)
			flush_counted(&w->shape, lane, d);
		pos = head;
	}
	/* Pairs with the acquire in passed. */
	st_rel(&in->cursor, pos);
}

static void poll_all(void *ctx, uint32_t lane)
{
	struct world *w = ctx;
	/* Pairs with the RMW in append. */
	uint64_t head = ld_acq(&w->inbox[lane].head);

	if (likely(head == ld_rlx(&w->inbox[lane].cursor)))
		return;
	drain(w, lane, head);
}

static bool passed(void *ctx, uint32_t lane, uint32_t domain, uint64_t ticket)
{
	struct world *w = ctx;
	const uint64_t *sent = w->inbox[lane].sent[ticket % INFLIGHT];

	(void)domain;
	for (uint32_t r = 0; r < w->shape.lanes; r++)
		/* Pairs with the release in drain. */
		if (r != lane && ld_acq(&w->inbox[r].cursor) < sent[r])
			return false;
	return true;
}

static size_t bytes(const void *ctx)
{
	const struct world *w = ctx;

	return w->bytes;
}

const struct way way_inbox = {"inbox",  open_world, close_world, post,
                              poll_all, passed,     bytes};
