/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A turn of another way: its calls take a mutex or none, and free nothing late,
 * so there is no poll and no ticket. Each domain is a table of its own.
 */
#include "tools/replay_rival.h"

#include "tools/ticks.h"
#include "tools/trace_int.h"

#include "yardstick/ways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)
#define READ 1u
#define RW 3u

/* A lane; its thread's alone while a turn runs. */
struct seat {
	_Alignas(128) struct stint played[REPLAY_ROUNDS];
	struct hist pair; /* of all turns */
	int rc;
	uint32_t line;
};

struct rival {
	const char *name;
	const struct way *way;
	const struct plan *plan;
	const struct replay_opts *opts;
	const struct replay_deal *deal;
	struct team *team;
	uint32_t nr;
	void *table[PLAN_MAX_DOMAINS];
	struct meeting ready, played, cleaned;
	struct seat *seat;
};

static int use(const struct rival *r, const struct replay_step *s)
{
	void *w = r->table[step_domain(s)];
	uint64_t off = 0;

	for (uint32_t i = 0; i < r->opts->translate; i++) {
		uint64_t oa = 0;

		if (r->way->translate(w, step_iova(s) + off, READ, &oa) ||
		    oa != s->oa + off)
			return -EFAULT;
		off = off + PAGE < s->len ? off + PAGE : 0;
	}
	return 0;
}

static inline int one(const struct rival *r, const struct replay_step *s)
{
	void *w = r->table[step_domain(s)];
	int rc;

	if (step_is_unmap(s))
		return r->way->unmap(w, step_iova(s), s->len);
	rc = r->way->map(w, step_iova(s), s->oa, s->len, RW);
	return rc || !r->opts->translate ? rc : use(r, s);
}

static void play(const struct rival *r, struct seat *seat,
                 const struct replay_part *part, uint32_t round)
{
	const struct ticks *t = ticks_init();
	struct stint *played = &seat->played[round];
	size_t nr = part->nr, step = r->opts->block;

	played->end = played->begin = ticks_now(t);
	for (size_t i = 0; i < nr && !seat->rc; i += step) {
		size_t end = nr - i < step ? nr : i + step;
		uint64_t from = played->end, now;

		for (size_t k = i; k < end && !seat->rc; k++) {
			seat->rc = one(r, &part->step[k]);
			seat->line = part->line[k];
		}
		played->end = now = ticks_now(t);
		if (round && (2 * (end - i) >= step || nr < step))
			hist_add(&seat->pair,
			         2 * ticks_ps(t, from, now) / (end - i), 1);
	}
}

static void enter(const struct rival *r)
{
	for (uint32_t d = 0; d < r->plan->nr_domains; d++)
		r->way->thread_enter(r->table[d]);
}

static void leave(const struct rival *r)
{
	for (uint32_t d = 0; d < r->plan->nr_domains; d++)
		r->way->thread_leave(r->table[d]);
}

/* Nobody is inside while it waits for others who are still calling. */
static void pass(struct rival *r, struct seat *seat,
                 const struct replay_part *part, uint32_t round)
{
	uint32_t all = r->nr * (round + 1);

	enter(r);
	meeting_wait(&r->ready, all);
	play(r, seat, part, round);
	leave(r);
	meeting_wait(&r->played, all);
	enter(r);
	for (size_t i = 0; i < part->nr_left && !seat->rc; i++) {
		seat->rc = one(r, &part->left[i]);
		seat->line = 0;
	}
	leave(r);
	meeting_wait(&r->cleaned, all);
}

static void turn(void *ctx, uint32_t id)
{
	struct rival *r = ctx;

	if (id >= r->nr)
		return;
	for (uint32_t round = 0; round < REPLAY_ROUNDS; round++)
		pass(r, &r->seat[id], &r->deal->part[id], round);
}

static int refused(const struct rival *r, struct trace_error *err)
{
	for (uint32_t i = 0; i < r->nr; i++) {
		const struct seat *s = &r->seat[i];

		if (s->rc)
			return trace_fail(err, s->rc,
			                  "%s:%u: the way \"%s\" refused this "
			                  "event or translates it wrongly "
			                  "(error %d): please report it",
			                  r->name, s->line, r->way->name,
			                  s->rc);
	}
	return 0;
}

int rival_turn(struct rival *r, uint64_t *ret_ps, struct trace_error *err)
{
	const struct ticks *t = ticks_init();
	uint64_t sum = 0;
	int rc;

	atomic_init(&r->ready.here, 0);
	atomic_init(&r->played.here, 0);
	atomic_init(&r->cleaned.here, 0);
	team_run(r->team, turn, r);
	rc = refused(r, err);
	if (rc)
		return rc;
	for (uint32_t round = 1; round < REPLAY_ROUNDS; round++) {
		struct stint all = r->seat[0].played[round];

		for (uint32_t i = 1; i < r->nr; i++)
			all = stint_join(all, r->seat[i].played[round]);
		sum += ticks_ps(t, all.begin, all.end);
	}
	*ret_ps = sum / REPLAY_PASSES;
	return 0;
}

void rival_blocks(const struct rival *r, struct hist *to)
{
	for (uint32_t i = 0; i < r->nr; i++)
		hist_merge(to, &r->seat[i].pair);
}

/* Most pages that a domain has mapped at a time. */
static uint64_t most_pages(const struct plan *plan, uint32_t domain)
{
	uint64_t now = 0, most = 0;

	for (size_t i = 0; i < plan->nr; i++) {
		const struct plan_action *a = &plan->act[i];

		if (a->domain != domain)
			continue;
		now += a->op == TRACE_UNMAP ? 0 - a->len : a->len;
		most = now > most ? now : most;
	}
	return most / PAGE;
}

static int open_tables(struct rival *r, struct trace_error *err)
{
	r->seat = aligned_alloc(128, r->nr * sizeof(*r->seat));
	if (!r->seat)
		return trace_fail(err, -ENOMEM, "%s: no memory for lanes",
		                  r->name);
	memset(r->seat, 0, r->nr * sizeof(*r->seat));
	for (uint32_t d = 0; d < r->plan->nr_domains; d++) {
		r->table[d] = r->way->open(most_pages(r->plan, d));
		if (!r->table[d])
			return trace_fail(
			        err, -ENODEV,
			        "%s: the way \"%s\" cannot work here "
			        "or has no memory: choose another for "
			        "--against",
			        r->name, r->way->name);
	}
	return 0;
}

int rival_open(const char *name, const struct plan *plan,
               const struct replay_opts *opts, const struct replay_deal *deal,
               struct team *team, struct rival **ret, struct trace_error *err)
{
	struct rival *r = aligned_alloc(128, sizeof(*r));
	int rc;

	if (!r)
		return trace_fail(err, -ENOMEM, "%s: no memory for a way",
		                  name);
	memset(r, 0, sizeof(*r));
	r->name = name;
	r->way = opts->against;
	r->plan = plan;
	r->opts = opts;
	r->deal = deal;
	r->team = team;
	r->nr = deal->nr_parts;
	rc = open_tables(r, err);
	if (rc)
		rival_close(r);
	else
		*ret = r;
	return rc;
}

void rival_close(struct rival *r)
{
	if (!r)
		return;
	for (uint32_t d = 0; d < r->plan->nr_domains; d++)
		if (r->table[d])
			r->way->close(r->table[d]);
	free(r->seat);
	free(r);
}
