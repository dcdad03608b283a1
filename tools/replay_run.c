/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who plays when: the checked passes first, then one lane, several lanes and
 * the other way take turns of timed passes, so that what disturbs the machine
 * disturbs them alike. What has to be true after each
 * step is known to replay_check.c alone.
 */
#include "tools/replay_int.h"
#include "tools/replay_rival.h"

#include "tools/trace_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MACHINES 3 /* by REPLAY_ONE, REPLAY_MANY and REPLAY_APART */

struct show {
	const char *name;
	const struct plan *plan[2]; /* for one lane, for several */
	struct plan copies;         /* REPLAY_DEAL_COPIES: one for each lane */
	const struct replay_opts *opts;
	struct replay_result *res;
	struct trace_error *err;
	struct team *team;
	struct replay_deal deal[2];
	struct machine machine[MACHINES];
	struct rival *rival[2];
	int on[MACHINES];
};

static int no_memory(struct show *s)
{
	return trace_fail(s->err, -ENOMEM,
	                  "%s: no memory for the replay: take a shorter "
	                  "trace or fewer lanes",
	                  s->name);
}

/* Who plays what. */
static int write_plans(struct show *s, const struct plan *plan)
{
	int rc;

	s->plan[0] = s->plan[1] = plan;
	if (s->opts->deal != REPLAY_DEAL_COPIES || s->opts->lanes == 1)
		return 0;
	rc = replay_copies(plan, s->opts->lanes, &s->copies);
	s->plan[1] = &s->copies;
	if (rc == -ERANGE)
		return trace_fail(s->err, rc,
		                  "%s: a copy for each lane exceeds the "
		                  "address space: take fewer --lanes",
		                  s->name);
	return rc ? no_memory(s) : 0;
}

/* The same depth of tables for all. */
static unsigned iova_bits(const struct show *s)
{
	return s->plan[1]->last_iova >> 48 ? 57 : 48;
}

static int prepare(struct show *s, int many)
{
	uint32_t lanes = many ? s->opts->lanes : 1;
	struct replay_result *res = s->res;
	int rc = replay_deal(s->plan[many], lanes, s->opts->deal,
	                     &s->deal[many]);

	if (rc)
		return no_memory(s);
	res->chains = s->deal[many].nr_chains;
	res->largest = s->deal[many].largest;
	res->fullest = s->deal[many].fullest;
	res->events = s->deal[many].nr;
	s->machine[many] = (struct machine){.name = s->name,
	                                    .plan = s->plan[many],
	                                    .opts = s->opts,
	                                    .deal = &s->deal[many],
	                                    .team = s->team,
	                                    .err = s->err,
	                                    .iova_bits = iova_bits(s),
	                                    .nr = lanes};
	s->on[many] = 1;
	rc = machine_on(&s->machine[many]);
	if (!rc)
		rc = replay_checked(&s->machine[many], res);
	if (!rc && s->opts->against)
		rc = rival_open(s->name, s->plan[many], s->opts, &s->deal[many],
		                s->team, &s->rival[many], s->err);
	return rc;
}

/* Not checked: what it does is what the lanes that share were checked for. */
static int prepare_apart(struct show *s)
{
	s->machine[REPLAY_APART] = (struct machine){
	        .name = s->name,
	        .plan = s->plan[1],
	        .opts = s->opts,
	        .deal = &s->deal[1],
	        .team = s->team,
	        .err = s->err,
	        .iova_bits = iova_bits(s),
	        .nr = s->opts->lanes,
	        .apart = 1,
	};
	s->on[REPLAY_APART] = 1;
	return machine_on(&s->machine[REPLAY_APART]);
}

static int enlist(struct show *s, enum replay_player who, int many)
{
	struct replay_speed *v = &s->res->speed[who];

	v->turn_ps = calloc(s->opts->repeat, sizeof(*v->turn_ps));
	if (!v->turn_ps)
		return no_memory(s);
	v->lanes = s->deal[many].nr_parts;
	v->events = s->deal[many].nr;
	return 0;
}

/* The i-th turn of a machine, if it plays. */
static int turn(struct show *s, enum replay_player who, uint32_t i)
{
	struct replay_speed *v = &s->res->speed[who];
	struct machine *m = &s->machine[who];
	uint64_t ps;
	int rc;

	if (!s->on[who])
		return 0;
	rc = machine_turn(m, &ps);
	if (rc)
		return rc;
	v->turn_ps[i] = ps;
	v->passes += REPLAY_PASSES;
	for (uint32_t n = 0; n < m->nr; n++) {
		v->waits += m->player[n]->waits;
		v->polls += m->player[n]->polls;
	}
	return 0;
}

/* The way's, if there is one. */
static int way_turn(struct show *s, int many, uint32_t i)
{
	struct replay_speed *v =
	        &s->res->speed[many ? REPLAY_WAY_MANY : REPLAY_WAY_ONE];
	uint64_t ps;
	int rc;

	if (!s->rival[many])
		return 0;
	rc = rival_turn(s->rival[many], &ps, s->err);
	if (rc)
		return rc;
	v->turn_ps[i] = ps;
	v->passes += REPLAY_PASSES;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Of repeat values; sorts them. */
static double median(double *x, uint32_t nr)
{
	qsort(x, nr, sizeof(*x), by_value);
	return nr % 2 ? x[nr / 2] : (x[nr / 2 - 1] + x[nr / 2]) / 2.0;
}

/* Median over the turns of how often a's rate is b's. */
static double ratio(const struct show *s, int a, int b, double *tmp)
{
	const struct replay_speed *va = &s->res->speed[a];
	const struct replay_speed *vb = &s->res->speed[b];

	if (!va->turn_ps || !vb->turn_ps)
		return 0.0;
	for (uint32_t i = 0; i < s->opts->repeat; i++)
		tmp[i] = replay_ratio(va, va->turn_ps[i], vb, vb->turn_ps[i]);
	return median(tmp, s->opts->repeat);
}

static void evaluate(struct show *s, int who, double *tmp)
{
	struct replay_speed *v = &s->res->speed[who];

	if (!v->turn_ps)
		return;
	v->best_ps = v->turn_ps[0];
	for (uint32_t i = 0; i < s->opts->repeat; i++) {
		if (v->turn_ps[i] < v->best_ps)
			v->best_ps = v->turn_ps[i];
		tmp[i] = (double)v->turn_ps[i];
	}
	v->median_ps = (uint64_t)median(tmp, s->opts->repeat);
}

static int conclude(struct show *s)
{
	double *tmp = calloc(s->opts->repeat, sizeof(*tmp));
	struct replay_result *res = s->res;

	if (!tmp)
		return no_memory(s);
	for (int who = 0; who < REPLAY_PLAYERS; who++)
		evaluate(s, who, tmp);
	res->scaling = ratio(s, REPLAY_MANY, REPLAY_ONE, tmp);
	res->apart = ratio(s, REPLAY_APART, REPLAY_ONE, tmp);
	for (int who = 0; who < MACHINES; who++) {
		struct machine *m = &s->machine[who];
		struct replay_speed *v = &res->speed[who];

		for (uint32_t i = 0; v->lanes && i < m->nr; i++)
			hist_merge(&v->pair, &m->player[i]->pair);
	}
	for (int many = 0; many < 2; many++)
		if (s->rival[many])
			rival_blocks(s->rival[many],
			             &res->speed[REPLAY_WAY_ONE + many].pair);
	res->against[0] = ratio(s, REPLAY_ONE, REPLAY_WAY_ONE, tmp);
	res->against[1] = ratio(s, REPLAY_MANY, REPLAY_WAY_MANY, tmp);
	free(tmp);
	return 0;
}

static int enlist_all(struct show *s)
{
	int rc = enlist(s, REPLAY_ONE, 0);

	if (!rc && s->on[REPLAY_MANY])
		rc = enlist(s, REPLAY_MANY, 1);
	if (!rc && s->on[REPLAY_APART])
		rc = enlist(s, REPLAY_APART, 1);
	if (!rc && s->rival[0])
		rc = enlist(s, REPLAY_WAY_ONE, 0);
	if (!rc && s->rival[1])
		rc = enlist(s, REPLAY_WAY_MANY, 1);
	return rc;
}

static int timed(struct show *s)
{
	int rc = enlist_all(s);

	for (uint32_t i = 0; i < s->opts->repeat && !rc; i++) {
		rc = turn(s, REPLAY_ONE, i);
		if (!rc)
			rc = turn(s, REPLAY_MANY, i);
		if (!rc)
			rc = turn(s, REPLAY_APART, i);
		for (int many = 0; many < 2 && !rc; many++)
			rc = way_turn(s, many, i);
	}
	return rc ? rc : conclude(s);
}

/* After an error or a divergence, what is left behind is no news. */
static int dismiss(struct show *s, int quiet)
{
	struct trace_error unused;
	int rc = 0, off;

	for (int who = 0; who < MACHINES; who++) {
		if (!s->on[who])
			continue;
		s->machine[who].err = quiet || rc ? &unused : s->err;
		off = machine_off(&s->machine[who]);
		rc = rc ? rc : off;
	}
	for (int many = 0; many < 2; many++)
		rival_close(s->rival[many]);
	for (int many = 0; many < 2; many++)
		replay_deal_free(&s->deal[many]);
	plan_free(&s->copies);
	for (int who = 0; who < REPLAY_PLAYERS; who++) {
		free(s->res->speed[who].turn_ps);
		s->res->speed[who].turn_ps = NULL;
	}
	team_close(s->team);
	return quiet ? 0 : rc;
}

int replay_run(const char *name, const struct plan *plan,
               const struct replay_opts *opts, struct replay_result *ret,
               struct trace_error *err)
{
	struct show s = {.name = name, .opts = opts, .res = ret, .err = err};
	int rc, off;

	memset(ret, 0, sizeof(*ret));
	rc = team_open(opts->lanes, &s.team);
	if (rc)
		return trace_fail(err, rc,
		                  "%s: no thread for a lane: take "
		                  "fewer --lanes",
		                  name);
	rc = write_plans(&s, plan);
	if (!rc)
		rc = prepare(&s, 0);
	if (!rc && opts->lanes > 1)
		rc = prepare(&s, 1);
	if (!rc && opts->lanes > 1 && !ret->divergence)
		rc = prepare_apart(&s);
	/* What diverged cannot be timed. */
	if (!rc && !ret->divergence)
		rc = timed(&s);
	off = dismiss(&s, rc || ret->divergence);
	return rc ? rc : off;
}
