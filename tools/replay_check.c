/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checked pass of a replay: after each step the engine must translate the
 * pages around it exactly as the oracle says, in its own domain and, for the
 * step's first page, in every other one; at the end every page of every domain
 * is compared. Takes no time.
 */
#include "tools/replay_int.h"
#include "tools/trace_int.h"

#include "yardstick/yardstick.h"

#include <sluice/translate.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE UINT64_C(4096)

static void diverged(struct machine *m, uint32_t line, uint32_t domain,
                     uint64_t iova, const char *what)
{
	struct replay_result *r = m->res;

	if (!r->divergence++)
		snprintf(r->first_bad, sizeof(r->first_bad),
		         "%s:%u: domain %u, IOVA 0x%" PRIx64 ": %s", m->name,
		         line, domain, iova, what);
}

/* One page, by both of its ends. */
static void check_page(struct machine *m, uint32_t line, uint32_t d,
                       uint64_t iova)
{
	struct oracle_piece p;
	sluice_oa_t oa = 0;
	int64_t n;

	if (iova >> m->iova_bits)
		return;
	m->res->checks++;
	n = sluice_translate(m->view[d], iova, PAGE, SLUICE_RW, &oa);
	if (oracle_lookup(m->oracle[d], iova, &p)) {
		if (n != -EFAULT)
			diverged(m, line, d, iova,
			         "translates, but must not be mapped");
		return;
	}
	if (n < 0)
		diverged(m, line, d, iova,
		         "must be mapped, but does not "
		         "translate");
	else if (n != (int64_t)PAGE || oa != p.oa + (iova - p.iova))
		diverged(m, line, d, iova, "translates to the wrong address");
}

static void check_around(struct machine *m, const struct plan_action *a)
{
	uint64_t end = a->iova + a->len;

	check_page(m, a->line, a->domain, a->iova);
	check_page(m, a->line, a->domain, end - PAGE);
	if (a->iova)
		check_page(m, a->line, a->domain, a->iova - PAGE);
	check_page(m, a->line, a->domain, end);
	for (uint32_t d = 0; d < m->plan->nr_domains; d++)
		if (d != a->domain)
			check_page(m, a->line, d, a->iova);
}

static int step(struct machine *m, const struct plan_action *a,
                uint64_t *promised)
{
	struct oracle *o = m->oracle[a->domain];
	uint64_t last = a->iova + a->len - 1;
	int want = a->op == TRACE_MAP
	                   ? oracle_map(o, a->iova, last, a->oa, SLUICE_RW)
	                   : oracle_unmap(o, a->iova, last, NULL, NULL);
	int rc;

	if (want == -ENOMEM)
		return want;
	rc = machine_act(m, a);
	if ((rc < 0) != (want < 0))
		diverged(m, a->line, a->domain, a->iova,
		         rc < 0 ? sluice_last_error() : "must be refused");
	if (rc > 0)
		*promised += (uint64_t)rc;
	if (m->opts->check == REPLAY_CHECK_EACH)
		check_around(m, a);
	return 0;
}

/* Every page of every piece, and the page behind each piece. */
static void check_all(struct machine *m)
{
	uint32_t line = m->plan->nr ? m->plan->act[m->plan->nr - 1].line : 0;
	struct oracle_piece p;

	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		uint64_t at = 0;

		while (!oracle_next(m->oracle[d], at, &p)) {
			for (at = p.iova; at <= p.last; at += PAGE)
				check_page(m, line, d, at);
			check_page(m, line, d, at);
		}
	}
}

/* What was ever touched and is not mapped now must not translate either. */
static void check_ghosts(struct machine *m)
{
	for (size_t i = 0; i < m->plan->nr; i++) {
		const struct plan_action *a = &m->plan->act[i];

		check_page(m, a->line, a->domain, a->iova);
		check_page(m, a->line, a->domain, a->iova + a->len - PAGE);
	}
}

static int walk(struct machine *m, uint64_t *promised)
{
	uint32_t since = 0;
	int rc = 0;

	for (size_t i = 0; i < m->plan->nr && !rc; i++) {
		rc = step(m, &m->plan->act[i], promised);
		if (++since >= m->opts->poll) {
			since = 0;
			machine_poll(m);
		}
	}
	return rc;
}

static void check_completions(struct machine *m, uint64_t promised)
{
	uint32_t line = m->plan->nr ? m->plan->act[m->plan->nr - 1].line : 0;
	uint64_t strict = 0;

	if (machine_settle(m, promised) < 0)
		diverged(m, line, 0, 0, "a completion is missing");
	if (m->completions > promised)
		diverged(m, line, 0, 0, "more completions than were promised");
	if (m->bad_completions)
		diverged(m, line, 0, 0, "an unmap completed with an error");
	for (size_t i = 0; i < m->plan->nr; i++)
		strict += m->plan->act[i].op == TRACE_UNMAP;
	if (m->opts->mode == SLUICE_MODE_LAZY)
		strict = 0;
	if (promised != strict)
		diverged(m, line, 0, 0,
		         "strict unmaps owe one completion "
		         "each, lazy ones none");
	m->res->completions = m->completions;
}

/* Leaves the domains empty, as the timed passes want them. */
static void empty(struct machine *m)
{
	uint64_t promised = m->completions;

	for (size_t i = 0; i < m->plan->nr_left; i++) {
		const struct plan_action *a = &m->plan->left[i];
		int rc = machine_act(m, a);

		if (rc < 0)
			diverged(m, a->line, a->domain, a->iova,
			         sluice_last_error());
		else
			promised += (uint64_t)rc;
		oracle_unmap(m->oracle[a->domain], a->iova,
		             a->iova + a->len - 1, NULL, NULL);
	}
	if (machine_settle(m, promised) < 0)
		diverged(m, 0, 0, 0, "a completion is missing");
	check_ghosts(m);
}

int replay_checked(struct machine *m)
{
	struct sluice_domain_stats s;
	uint64_t promised = 0;
	int rc = 0;

	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		m->oracle[d] = oracle_new();
		if (!m->oracle[d])
			rc = -ENOMEM;
	}
	if (!rc)
		rc = walk(m, &promised);
	if (!rc) {
		check_completions(m, promised);
		machine_stats(m, &s);
		m->res->kernel_calls = s.kernel_maps + s.kernel_unmaps;
		m->res->invalidations = s.invalidations;
		check_all(m);
		check_ghosts(m);
		empty(m);
	}
	for (uint32_t d = 0; d < m->plan->nr_domains; d++)
		oracle_free(m->oracle[d]);
	if (rc)
		trace_fail(m->err, rc, "%s: no memory for the checks", m->name);
	return rc;
}
