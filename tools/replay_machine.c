/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine under test: soft domains that all lanes share (or, to see what
 * sharing costs, none do), one lane and a view on each domain per thread;
 * opened, run job by job, and closed.
 */
#include "tools/replay_int.h"

#include "tools/ticks.h"
#include "tools/trace_int.h"

#include <sluice/engine.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_NS UINT64_C(20000000000)

static int refused(const struct machine *m, struct trace_error *err, int rc,
                   const char *what)
{
	return trace_fail(err, rc, "%s: %s: %s: %s", m->name, what,
	                  sluice_errname(rc), sluice_last_error());
}

static void meeting_clear(struct meeting *m)
{
	atomic_init(&m->here, 0);
}

struct job {
	struct machine *m;
	team_job *job;
};

static void on_lane(void *ctx, uint32_t id)
{
	const struct job *j = ctx;

	if (id < j->m->nr)
		j->job(j->m->player[id], id);
}

int machine_run(struct machine *m, team_job *job)
{
	struct job j = {m, job};

	meeting_clear(&m->ready);
	meeting_clear(&m->played);
	meeting_clear(&m->cleaned);
	team_run(m->team, on_lane, &j);
	for (uint32_t i = 0; i < m->nr; i++)
		if (m->player[i]->rc) {
			*m->err = m->player[i]->err;
			return m->player[i]->rc;
		}
	return 0;
}

void machine_stats(const struct machine *m, struct sluice_domain_stats *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		struct sluice_domain_stats s;

		sluice_domain_get_stats(m->stage[0].domain[d], &s);
		ret_sum->kernel_maps += s.kernel_maps;
		ret_sum->kernel_unmaps += s.kernel_unmaps;
		ret_sum->invalidations += s.invalidations;
	}
}

static uint32_t nr_stages(const struct machine *m)
{
	return m->apart ? m->nr : 1;
}

static struct stage *stage_of(const struct machine *m, uint32_t lane)
{
	return &m->stage[m->apart ? lane : 0];
}

static int open_domain(struct machine *m, struct stage *s, uint32_t d)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_SOFT,
	        .mode = m->opts->mode,
	        .format = m->opts->format,
	        .iova_bits = m->iova_bits,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA,
	        .last = (UINT64_C(1) << m->iova_bits) - 1,
	};
	int rc = sluice_domain_create(s->engine, &cfg, &s->domain[d]);

	return rc < 0 ? refused(m, m->err, rc, "a domain cannot be created")
	              : 0;
}

static int new_player(struct machine *m, uint32_t i)
{
	/* Lines of their own. */
	size_t size = (sizeof(*m->player[i]) + 127) & ~(size_t)127;
	struct player *p = aligned_alloc(128, size);

	if (!p)
		return trace_fail(m->err, -ENOMEM, "%s: no memory for a lane",
		                  m->name);
	memset(p, 0, sizeof(*p));
	m->player[i] = p;
	p->m = m;
	p->id = i;
	p->part = &m->deal->part[i];
	p->behind = calloc(m->deal->nr_chains + 1, sizeof(*p->behind));
	p->waiting = calloc(m->deal->nr_chains + 1, sizeof(*p->waiting));
	if (p->behind && p->waiting)
		return 0;
	return trace_fail(m->err, -ENOMEM, "%s: no memory for a lane", m->name);
}

static void open_lane(void *ctx, uint32_t id)
{
	struct player *p = ctx;
	struct machine *m = p->m;
	const struct stage *s = stage_of(m, id);

	p->rc = sluice_lane_open(s->engine, NULL, &p->lane);
	if (p->rc < 0) {
		refused(m, &p->err, p->rc, "a lane cannot be opened");
		return;
	}
	for (uint32_t d = 0; d < m->plan->nr_domains && !p->rc; d++)
		p->rc = sluice_view_open(p->lane, s->domain[d], &p->view[d]);
	if (p->rc < 0)
		refused(m, &p->err, p->rc, "a view cannot be opened");
}

static int open_stage(struct machine *m, struct stage *s)
{
	struct sluice_engine_cfg cfg = {.max_lanes = m->nr};
	int rc = sluice_engine_open(&cfg, &s->engine);

	if (rc < 0)
		return refused(m, m->err, rc, "the engine cannot be opened");
	for (uint32_t d = 0; d < m->plan->nr_domains && !rc; d++)
		rc = open_domain(m, s, d);
	return rc;
}

int machine_on(struct machine *m)
{
	int rc = 0;

	m->stage = calloc(nr_stages(m), sizeof(*m->stage));
	if (!m->stage)
		return trace_fail(m->err, -ENOMEM, "%s: no memory for lanes",
		                  m->name);
	for (uint32_t i = 0; i < nr_stages(m) && !rc; i++)
		rc = open_stage(m, &m->stage[i]);
	if (rc)
		return rc;
	m->player = calloc(m->nr, sizeof(struct player *));
	if (!m->player)
		return trace_fail(m->err, -ENOMEM, "%s: no memory for lanes",
		                  m->name);
	for (uint32_t i = 0; i < m->nr && !rc; i++)
		rc = new_player(m, i);
	return rc ? rc : machine_run(m, open_lane);
}

/* Also of a lane that was opened in part only. */
static void close_lane(void *ctx, uint32_t id)
{
	struct player *p = ctx;
	int rc = 0;

	(void)id;
	if (p->lane)
		rc |= sluice_drain(p->lane, DRAIN_NS);
	for (uint32_t d = 0; d < p->m->plan->nr_domains; d++)
		rc |= sluice_view_close(p->view[d]);
	rc |= sluice_lane_close(p->lane);
	p->rc = rc ? refused(p->m, &p->err, -EBUSY, "a lane cannot be closed")
	           : 0;
}

static int close_stage(struct machine *m, struct stage *s)
{
	int rc = 0;

	for (uint32_t d = 0; d < m->plan->nr_domains; d++)
		rc |= sluice_domain_destroy(s->domain[d]);
	rc |= sluice_engine_close(s->engine);
	return rc ? refused(m, m->err, -EBUSY, "the engine cannot be closed")
	          : 0;
}

int machine_off(struct machine *m)
{
	int rc = 0, complete = m->player != NULL;

	for (uint32_t i = 0; m->player && i < m->nr; i++)
		complete = complete && m->player[i];
	if (complete)
		rc = machine_run(m, close_lane);
	for (uint32_t i = 0; m->player && i < m->nr && m->player[i]; i++) {
		free(m->player[i]->behind);
		free(m->player[i]->waiting);
		free(m->player[i]);
	}
	free(m->player);
	m->player = NULL;
	for (uint32_t i = 0; m->stage && i < nr_stages(m) && !rc; i++)
		rc = close_stage(m, &m->stage[i]);
	free(m->stage);
	m->stage = NULL;
	return rc;
}

static void lost(struct player *p)
{
	p->rc = trace_fail(&p->err, -ETIMEDOUT,
	                   "%s: completions of unmaps did not arrive",
	                   p->m->name);
}

/* Lanes that have failed play no more, but meet the others and poll, or the
 * others' tickets would never pass. */
static void pass(struct player *p, uint32_t round)
{
	struct machine *m = p->m;
	uint32_t all = m->nr * (round + 1);

	p->completions = p->promised = p->bad_completions = 0;
	meeting_wait(&m->ready, all);
	if (!p->rc)
		p->rc = player_play(p, round);
	if (!p->rc && player_settle(p))
		lost(p);
	player_await(p, &m->played, all);
	if (!p->rc)
		p->rc = player_clean(p);
	if (!p->rc && player_settle(p))
		lost(p);
	player_await(p, &m->cleaned, all);
	if (!p->rc && p->bad_completions)
		p->rc = trace_fail(&p->err, -EIO,
		                   "%s: an unmap completed with an error",
		                   m->name);
}

static void turn(void *ctx, uint32_t id)
{
	struct player *p = ctx;

	(void)id;
	p->rc = 0;
	for (uint32_t round = 0; round < REPLAY_ROUNDS; round++) {
		if (round == 1) /* the warm one's do not count */
			p->waits = p->polls = 0;
		pass(p, round);
	}
}

int machine_turn(struct machine *m, uint64_t *ret_ps)
{
	const struct ticks *t = ticks_init();
	uint64_t sum = 0;
	int rc = machine_run(m, turn);

	if (rc)
		return rc;
	for (uint32_t round = 1; round < REPLAY_ROUNDS; round++) {
		struct stint all = m->player[0]->played[round];

		for (uint32_t i = 1; i < m->nr; i++)
			all = stint_join(all, m->player[i]->played[round]);
		sum += ticks_ps(t, all.begin, all.end);
	}
	*ret_ps = sum / REPLAY_PASSES;
	return 0;
}
