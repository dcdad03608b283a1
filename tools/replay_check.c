/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checked pass of a replay. Each lane compares after each of its steps:
 * the pages around it must translate exactly as the oracle of its share says,
 * in its own domain and, for the step's first page, in every other one; pages
 * that belong to another lane are changing and are left out. Then every lane
 * compares every page of every domain with the oracle of the whole trace, which
 * knows nothing of lanes. Takes no time.
 */
#include "tools/replay_int.h"
#include "tools/trace_int.h"

#include "yardstick/yardstick.h"

#include <sluice/translate.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE UINT64_C(4096)

static void diverged(struct player *p, uint32_t line, uint32_t domain,
                     uint64_t iova, const char *what)
{
	if (p->divergence++)
		return;
	if (p->m->nr == 1)
		snprintf(p->first_bad, sizeof(p->first_bad),
		         "%s:%u: domain %u, IOVA 0x%" PRIx64 ": %s", p->m->name,
		         line, domain, iova, what);
	else
		snprintf(p->first_bad, sizeof(p->first_bad),
		         "%s:%u: lane %u of %u, domain %u, IOVA 0x%" PRIx64
		         ": %s",
		         p->m->name, line, p->id, p->m->nr, domain, iova, what);
}

/* One page, by both of its ends. */
static void check_page(struct player *p, struct oracle *const *by,
                       uint32_t line, uint32_t d, uint64_t iova)
{
	struct oracle_piece x;
	sluice_oa_t oa = 0;
	int64_t n;

	if (iova >> p->m->iova_bits)
		return;
	p->checks++;
	n = sluice_translate(p->view[d], iova, PAGE, SLUICE_RW, &oa);
	if (oracle_lookup(by[d], iova, &x)) {
		if (n != -EFAULT)
			diverged(p, line, d, iova,
			         "translates, but must not be mapped");
		return;
	}
	if (n < 0)
		diverged(p, line, d, iova,
		         "must be mapped, but does not "
		         "translate");
	else if (n != (int64_t)PAGE || oa != x.oa + (iova - x.iova))
		diverged(p, line, d, iova, "translates to the wrong address");
}

/* While lanes run: only what no other lane may change. */
static void check_mine(struct player *p, uint32_t line, uint32_t d,
                       uint64_t iova)
{
	uint32_t owner = replay_deal_owner(p->m->deal, d, iova);

	if (owner == p->id || owner == REPLAY_NOBODY)
		check_page(p, p->oracle, line, d, iova);
}

/* Takes a page of another lane into the IOTLB, whatever it is by now: should
 * its invalidation get lost, the last comparison finds it. */
static void peek(struct player *p, size_t i)
{
	const struct machine *m = p->m;
	const struct replay_part *other = &m->deal->part[(p->id + 1) % m->nr];
	const struct replay_step *s;
	sluice_oa_t oa;

	if (m->nr == 1 || other->nr == 0)
		return;
	s = &other->step[i % other->nr];
	(void)sluice_translate(p->view[step_domain(s)], step_iova(s), PAGE,
	                       SLUICE_READ, &oa);
}

static void check_around(struct player *p, const struct replay_step *s,
                         uint32_t line)
{
	uint64_t iova = step_iova(s), end = iova + s->len;
	uint32_t own = step_domain(s);

	check_mine(p, line, own, iova);
	check_mine(p, line, own, end - PAGE);
	if (iova)
		check_mine(p, line, own, iova - PAGE);
	check_mine(p, line, own, end);
	for (uint32_t d = 0; d < p->m->plan->nr_domains; d++)
		if (d != own)
			check_mine(p, line, d, iova);
}

static int oracle_step(struct oracle *const *by, const struct replay_step *s)
{
	struct oracle *o = by[step_domain(s)];
	uint64_t iova = step_iova(s), last = iova + s->len - 1;

	return step_is_unmap(s) ? oracle_unmap(o, iova, last, NULL, NULL)
	                        : oracle_map(o, iova, last, s->oa, SLUICE_RW);
}

static int step(struct player *p, const struct replay_step *s, uint32_t line)
{
	int want = oracle_step(p->oracle, s), rc;

	if (want == -ENOMEM)
		return want;
	rc = player_act(p, s);
	if ((rc < 0) != (want < 0))
		diverged(p, line, step_domain(s), step_iova(s),
		         rc < 0 ? sluice_last_error() : "must be refused");
	if (rc > 0)
		p->promised += (uint64_t)rc;
	if (p->m->opts->check == REPLAY_CHECK_EACH)
		check_around(p, s, line);
	return 0;
}

static void check_completions(struct player *p)
{
	uint32_t line = p->part->nr ? p->part->line[p->part->nr - 1] : 0;
	uint64_t strict = 0;

	if (player_settle(p) < 0)
		diverged(p, line, 0, 0, "a completion is missing");
	if (p->completions > p->promised)
		diverged(p, line, 0, 0, "more completions than were promised");
	if (p->bad_completions)
		diverged(p, line, 0, 0, "an unmap completed with an error");
	for (size_t i = 0; i < p->part->nr; i++)
		strict += (uint64_t)step_is_unmap(&p->part->step[i]);
	if (p->m->opts->mode == SLUICE_MODE_LAZY)
		strict = 0;
	if (p->promised != strict)
		diverged(p, line, 0, 0,
		         "strict unmaps owe one completion "
		         "each, lazy ones none");
}

/* A lazy unmap reaches the other lanes when its batch is full or old: now. */
static void flush(struct player *p)
{
	if (p->m->opts->mode == SLUICE_MODE_LAZY && player_flush(p))
		diverged(p, 0, 0, 0, sluice_last_error());
}

/* Every step of the share, each compared at once. */
static void walk(void *ctx, uint32_t id)
{
	struct player *p = ctx;
	uint32_t since = 0;

	(void)id;
	meeting_wait(&p->m->ready, p->m->nr);
	for (size_t i = 0; i < p->part->nr && !p->rc; i++) {
		p->rc = step(p, &p->part->step[i], p->part->line[i]);
		peek(p, i);
		if (++since >= p->m->opts->poll) {
			since = 0;
			player_poll(p);
		}
	}
	check_completions(p);
	flush(p);
	player_await(p, &p->m->played, p->m->nr);
}

/* Every page of every piece, and the page behind each piece. */
static void check_pieces(struct player *p, uint32_t line)
{
	struct oracle *const *by = p->m->whole;
	struct oracle_piece x;

	for (uint32_t d = 0; d < p->m->plan->nr_domains; d++) {
		uint64_t at = 0;

		while (!oracle_next(by[d], at, &x)) {
			for (at = x.iova; at <= x.last; at += PAGE)
				check_page(p, by, line, d, at);
			check_page(p, by, line, d, at);
		}
	}
}

/* The whole table; nothing changes meanwhile. What was ever touched and is not
 * mapped now must not translate either. */
static void compare(void *ctx, uint32_t id)
{
	struct player *p = ctx;
	const struct plan *plan = p->m->plan;

	(void)id;
	check_pieces(p, plan->nr ? plan->act[plan->nr - 1].line : 0);
	for (size_t i = 0; i < plan->nr; i++) {
		const struct plan_action *a = &plan->act[i];

		check_page(p, p->m->whole, a->line, a->domain, a->iova);
		check_page(p, p->m->whole, a->line, a->domain,
		           a->iova + a->len - PAGE);
	}
}

/* Leaves the domains empty, as the timed passes want them. */
static void empty(void *ctx, uint32_t id)
{
	struct player *p = ctx;

	(void)id;
	for (size_t i = 0; i < p->part->nr_left; i++) {
		const struct replay_step *s = &p->part->left[i];
		int rc = player_act(p, s);

		if (rc < 0)
			diverged(p, 0, step_domain(s), step_iova(s),
			         sluice_last_error());
		else
			p->promised += (uint64_t)rc;
	}
	if (player_settle(p) < 0)
		diverged(p, 0, 0, 0, "a completion is missing");
	flush(p);
	player_await(p, &p->m->cleaned, p->m->nr);
}

/* What the checks have put into the IOTLB is no part of the trace: a timed
 * pass begins as a fresh lane does. */
static void forget(void *ctx, uint32_t id)
{
	struct player *p = ctx;

	(void)id;
	sluice_lane_offline(p->lane);
	sluice_lane_online(p->lane);
}

static int new_oracles(const struct machine *m, struct oracle **by)
{
	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		by[d] = oracle_new();
		if (!by[d])
			return -ENOMEM;
	}
	return 0;
}

/* What the trace says, not dealt and not replayed. */
static int whole_trace(struct machine *m)
{
	int rc = new_oracles(m, m->whole);

	for (size_t i = 0; i < m->plan->nr && !rc; i++) {
		const struct plan_action *a = &m->plan->act[i];
		struct oracle *o = m->whole[a->domain];
		uint64_t last = a->iova + a->len - 1;

		rc = a->op == TRACE_UNMAP
		             ? oracle_unmap(o, a->iova, last, NULL, NULL)
		             : oracle_map(o, a->iova, last, a->oa, SLUICE_RW);
		rc = rc == -ENOMEM ? rc : 0;
	}
	return rc;
}

/* Nothing of the whole trace is left. */
static int whole_empty(struct machine *m)
{
	for (size_t i = 0; i < m->plan->nr_left; i++) {
		const struct plan_action *a = &m->plan->left[i];

		if (oracle_unmap(m->whole[a->domain], a->iova,
		                 a->iova + a->len - 1, NULL, NULL) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static void sum_up(struct machine *m, struct replay_result *res)
{
	struct sluice_domain_stats s;

	machine_stats(m, &s);
	res->kernel_calls = s.kernel_maps + s.kernel_unmaps;
	res->invalidations = s.invalidations;
	res->completions = 0;
	for (uint32_t i = 0; i < m->nr; i++)
		res->completions += m->player[i]->completions;
}

static void collect(struct machine *m, struct replay_result *res)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		struct player *p = m->player[i];

		if (p->divergence && !res->divergence)
			memcpy(res->first_bad, p->first_bad,
			       sizeof(res->first_bad));
		res->checks += p->checks;
		res->divergence += p->divergence;
		for (uint32_t d = 0; d < m->plan->nr_domains; d++)
			oracle_free(p->oracle[d]);
	}
	for (uint32_t d = 0; d < m->plan->nr_domains; d++)
		oracle_free(m->whole[d]);
}

int replay_checked(struct machine *m, struct replay_result *res)
{
	int rc = whole_trace(m);

	for (uint32_t i = 0; i < m->nr && !rc; i++)
		rc = new_oracles(m, m->player[i]->oracle);
	if (!rc)
		rc = machine_run(m, walk);
	if (!rc) {
		sum_up(m, res);
		rc = machine_run(m, compare);
	}
	if (!rc)
		rc = machine_run(m, empty);
	if (!rc)
		rc = whole_empty(m);
	if (!rc)
		rc = machine_run(m, compare);
	if (!rc)
		rc = machine_run(m, forget);
	collect(m, res);
	if (rc == -ENOMEM)
		trace_fail(m->err, rc, "%s: no memory for the checks", m->name);
	return rc;
}
