/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one lane does in a timed pass: its steps in order, a poll after every
 * few as a driver would, and the time of each block. As little as possible
 * stands between two calls of the engine.
 */
#include "tools/replay_int.h"

#include "tools/ticks.h"
#include "tools/trace_int.h"

#include <sluice/translate.h>

#include <errno.h>
#include <string.h>

/* A ticket passes within a round of polls of every lane; a machine that does
 * other work may keep a lane from polling for some time slices. Beyond this
 * the ticket is lost. */
#define PATIENCE_NS UINT64_C(20000000000)
#define SPIN_ROUNDS 1024 /* between looks at the clock */
#define POLL_ROOM 64
/* What a translation asks for. */
#define ACCESS_LEN 64
#define PAGE UINT64_C(4096)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

void player_poll(struct player *p)
{
	struct sluice_completion c[POLL_ROOM];
	uint32_t n;

	do {
		n = sluice_poll(p->lane, c, POLL_ROOM);
		p->completions += n;
		for (uint32_t i = 0; i < n; i++)
			p->bad_completions += c[i].result != 0;
	} while (n == POLL_ROOM);
}

int player_flush(struct player *p)
{
	return sluice_drain(p->lane, PATIENCE_NS);
}

/* What every map asks for; va and len are the step's. */
static const struct sluice_map_req all_alike = {
        .prot = SLUICE_RW,
        .flags = SLUICE_MAP_FIXED,
};

/* req: a copy of the above, so that a loop fills it once. */
static inline int act(struct sluice_view *const *views,
                      struct sluice_map_req *req, const struct replay_step *s)
{
	struct sluice_view *view = views[step_domain(s)];
	sluice_iova_t iova = step_iova(s);

	if (step_is_unmap(s))
		return sluice_unmap(view, iova, s->len, 0, NULL);
	req->va = s->oa;
	req->len = s->len;
	return sluice_map(view, req, &iova);
}

static int act_once(const struct player *p, const struct replay_step *s)
{
	struct sluice_map_req req = all_alike;

	return act(p->view, &req, s);
}

static inline int wants_again(int rc)
{
	return rc == -EBUSY || rc == -EAGAIN;
}

/* Nothing is lost when a wait ends too late, so the time is looked at now and
 * then only. */
static int too_long(uint32_t round, uint64_t *since)
{
	if (likely(round % SPIN_ROUNDS || round == 0))
		return 0;
	if (round == SPIN_ROUNDS) {
		*since = clock_ns();
		return 0;
	}
	return clock_ns() - *since > PATIENCE_NS;
}

static __attribute__((__noinline__)) int act_again(struct player *p,
                                                   const struct replay_step *s)
{
	uint64_t since = 0;
	int rc = -EBUSY;

	p->waits++;
	for (uint32_t n = 0; wants_again(rc); n++) {
		if (too_long(n, &since))
			return -ETIMEDOUT;
		if (n)
			team_pause(n);
		p->polls++;
		player_poll(p);
		/* A lazy domain would sit on its invalidations for up to a
		 * millisecond: flush, as an allocator does that runs dry.
		 * Lazy unmaps owe no completion that could be lost here. */
		if (p->m->opts->mode == SLUICE_MODE_LAZY && player_flush(p))
			return -ETIMEDOUT;
		rc = act_once(p, s);
	}
	return rc;
}

int player_act(struct player *p, const struct replay_step *s)
{
	int rc = act_once(p, s);

	return wants_again(rc) ? act_again(p, s) : rc;
}

int player_settle(struct player *p)
{
	uint64_t since = 0;

	for (uint32_t n = 0; p->completions < p->promised; n++) {
		if (too_long(n, &since))
			return -ETIMEDOUT;
		player_poll(p);
		team_pause(n);
	}
	return 0;
}

void player_await(struct player *p, struct meeting *at, uint32_t all)
{
	meeting_arrive(at);
	for (uint32_t n = 0; !meeting_full(at, all); n++) {
		player_poll(p);
		team_pause(n);
	}
}

int player_failed(struct player *p, const struct replay_step *s, uint32_t line,
                  int rc)
{
	return trace_fail(&p->err, rc,
	                  "%s:%u: the engine refused this %s: %s: %s",
	                  p->m->name, line, step_is_unmap(s) ? "unmap" : "map",
	                  sluice_errname(rc), sluice_last_error());
}

/* The device uses what was mapped, page after page. */
static int use(const struct player *p, const struct replay_step *s)
{
	struct sluice_view *view = p->view[step_domain(s)];
	uint64_t off = 0;

	if (step_is_unmap(s))
		return 0;
	for (uint32_t i = 0; i < p->m->opts->translate; i++) {
		sluice_oa_t oa = 0;

		if (sluice_translate(view, step_iova(s) + off, ACCESS_LEN,
		                     SLUICE_READ, &oa) != ACCESS_LEN ||
		    oa != s->oa + off)
			return -EFAULT;
		off = off + PAGE < s->len ? off + PAGE : 0;
	}
	return 0;
}

/* Steps [from, to) in the order of the trace. */
static int block(struct player *p, size_t from, size_t to)
{
	const struct replay_step *step = p->part->step;
	struct sluice_map_req req = all_alike;
	uint32_t translate = p->m->opts->translate;
	uint32_t until_poll = p->until_poll;
	uint64_t promised = 0;

	for (size_t i = from; i < to; i++) {
		int rc = act(p->view, &req, &step[i]);

		if (unlikely(rc < 0)) {
			if (wants_again(rc))
				rc = act_again(p, &step[i]);
			if (rc < 0)
				return player_failed(p, &step[i],
				                     p->part->line[i], rc);
		}
		promised += (uint64_t)rc;
		if (translate && use(p, &step[i]))
			return player_failed(p, &step[i], p->part->line[i],
			                     -EFAULT);
		if (--until_poll == 0) {
			until_poll = p->m->opts->poll;
			player_poll(p);
		}
	}
	p->until_poll = until_poll;
	p->promised += promised;
	return 0;
}

/* One step out of turn: 0, -EAGAIN when it must wait, or an error. */
static inline int try(struct player *p, uint32_t i)
{
	const struct replay_step *s = &p->part->step[i];
	int rc = act_once(p, s);

	if (unlikely(wants_again(rc)))
		return -EAGAIN;
	if (likely(rc >= 0)) {
		p->promised += (uint64_t)rc;
		rc = use(p, s);
	}
	if (unlikely(rc < 0))
		return player_failed(p, s, p->part->line[i], rc);
	return 0;
}

/* Chains that waited go on, as far as they were left behind. */
static int catch_up(struct player *p)
{
	const struct replay_part *part = p->part;
	uint32_t n = 0;

	for (uint32_t k = 0; k < p->nr_waiting; k++) {
		uint32_t i = p->waiting[k], chain = part->chain[i];
		int rc = 0;

		while (p->behind[chain]) {
			rc = try(p, i);
			if (rc)
				break;
			i = part->next[i];
			p->behind[chain]--;
		}
		if (rc && rc != -EAGAIN)
			return rc;
		if (rc)
			p->waiting[n++] = i;
	}
	p->nr_waiting = n;
	return 0;
}

/* Steps [from, to), but a chain whose map must wait for a ticket does so
 * alone. */
static int block_by_chain(struct player *p, size_t from, size_t to)
{
	const struct replay_part *part = p->part;

	for (size_t i = from; i < to; i++) {
		int rc = -EAGAIN;

		if (p->nr_waiting == 0 || p->behind[part->chain[i]] == 0) {
			rc = try(p, (uint32_t)i);
			if (rc == -EAGAIN) {
				p->waits++;
				p->waiting[p->nr_waiting++] = (uint32_t)i;
			}
		}
		if (rc == -EAGAIN)
			p->behind[part->chain[i]]++;
		else if (rc)
			return rc;
		if (--p->until_poll)
			continue;
		p->until_poll = p->m->opts->poll;
		player_poll(p);
		if (p->nr_waiting) {
			rc = catch_up(p);
			if (rc)
				return rc;
		}
	}
	return 0;
}

/* What still waits when the trace has ended. */
static int last_ones(struct player *p)
{
	uint64_t since = 0;
	int rc = 0;

	for (uint32_t n = 0; p->nr_waiting && !rc; n++) {
		if (too_long(n, &since))
			return player_failed(p, &p->part->step[p->waiting[0]],
			                     p->part->line[p->waiting[0]],
			                     -ETIMEDOUT);
		p->polls++;
		player_poll(p);
		team_pause(n);
		rc = catch_up(p);
	}
	return rc;
}

static int play_block(struct player *p, size_t from, size_t to)
{
	int rc;

	if (p->m->opts->order == REPLAY_ORDER_TRACE)
		return block(p, from, to);
	rc = block_by_chain(p, from, to);
	if (!rc && to == p->part->nr)
		rc = last_ones(p);
	return rc;
}

int player_play(struct player *p, uint32_t round)
{
	const struct ticks *t = ticks_init();
	struct stint *played = &p->played[round];
	size_t nr = p->part->nr, step = p->m->opts->block;
	int rc = 0;

	p->nr_waiting = 0;
	p->until_poll = p->m->opts->poll;
	played->end = played->begin = ticks_now(t);
	for (size_t i = 0; i < nr && !rc; i += step) {
		size_t end = nr - i < step ? nr : i + step;
		uint64_t from = played->end, now;

		rc = play_block(p, i, end);
		played->end = now = ticks_now(t);
		/* A tail shorter than half a block would be noise. */
		if (round && (2 * (end - i) >= step || nr < step))
			hist_add(&p->pair,
			         2 * ticks_ps(t, from, now) / (end - i), 1);
	}
	return rc;
}

int player_clean(struct player *p)
{
	for (size_t i = 0; i < p->part->nr_left; i++) {
		int rc = player_act(p, &p->part->left[i]);

		if (rc < 0)
			return player_failed(p, &p->part->left[i], 0, rc);
		p->promised += (uint64_t)rc;
	}
	return 0;
}
