/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the actions of a plan once the pieces of a trace have their domains,
 * and proves them: each domain's actions are run through a flat oracle that
 * must agree with every one.
 */
#include "tools/plan.h"
#include "tools/plan_int.h"
#include "tools/trace_int.h"

#include "yardstick/yardstick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cut {
	uint64_t at; /* a piece is mapped in two parts, the second from here */
	uint32_t piece;
};

struct writer {
	struct matching m;
	struct cut *cut;
	size_t nr_cuts, room_cuts;
	struct oracle *space[PLAN_MAX_DOMAINS];
	struct plan *plan;
};

static int push_action(struct plan *p, const struct plan_action *a)
{
	void *v = plan_grow(p->act, p->nr, &p->room, sizeof(*p->act));

	if (!v)
		return -ENOMEM;
	p->act = v;
	p->act[p->nr++] = *a;
	if (a->iova + a->len - 1 > p->last_iova)
		p->last_iova = a->iova + a->len - 1;
	return 0;
}

static int add_cut(struct writer *w, uint32_t piece, uint64_t at)
{
	void *v = plan_grow(w->cut, w->nr_cuts, &w->room_cuts, sizeof(*w->cut));

	if (!v)
		return -ENOMEM;
	w->cut = v;
	w->cut[w->nr_cuts++] = (struct cut){at, piece};
	return 0;
}

static int by_piece(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	if (x->piece != y->piece)
		return x->piece < y->piece ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Where a later unmap ends inside a piece, the piece is mapped in parts, so
 * that no large leaf of our table is asked to split. */
static int find_cuts(struct writer *w)
{
	const struct matching *m = &w->m;
	int rc = 0;

	for (size_t i = 0; i < m->nr_slices && !rc; i++) {
		const struct slice *s = &m->slice[i];
		const struct piece *p = &m->piece[s->piece];

		if (s->iova > p->iova)
			rc = add_cut(w, s->piece, s->iova);
		if (!rc && s->last < p->last)
			rc = add_cut(w, s->piece, s->last + 1);
	}
	if (!rc && w->nr_cuts)
		qsort(w->cut, w->nr_cuts, sizeof(*w->cut), by_piece);
	return rc;
}

static int write_map(struct writer *w, uint32_t piece, uint32_t line,
                     size_t *cut)
{
	const struct piece *p = &w->m.piece[piece];
	struct plan_domain *d = &w->plan->domain[p->domain];
	uint64_t at = p->iova;
	int rc = 0;

	d->maps++;
	d->mapped_pages += (p->last - p->iova + 1) >> 12;
	while (at <= p->last && !rc) {
		struct plan_action a = {.iova = at,
		                        .oa = p->oa + (at - p->iova),
		                        .line = line,
		                        .domain = p->domain,
		                        .op = TRACE_MAP};
		uint64_t end = p->last + 1;

		while (*cut < w->nr_cuts && w->cut[*cut].piece == piece &&
		       w->cut[*cut].at <= at)
			++*cut;
		if (*cut < w->nr_cuts && w->cut[*cut].piece == piece)
			end = w->cut[*cut].at;
		a.len = end - at;
		at = end;
		rc = push_action(w->plan, &a);
	}
	while (*cut < w->nr_cuts && w->cut[*cut].piece == piece)
		++*cut;
	return rc;
}

/* The slices of one event, neighbours in one domain in one action. */
static int write_unmap(struct writer *w, uint32_t ev, uint32_t line,
                       size_t *slice)
{
	const struct matching *m = &w->m;
	struct plan_action a = {.line = line, .op = TRACE_UNMAP};
	uint32_t first = m->piece[m->slice[*slice].piece].domain;
	int rc = 0, split = 0;

	w->plan->domain[first].unmaps++;
	for (; *slice < m->nr_slices && m->slice[*slice].ev == ev; ++*slice) {
		const struct slice *s = &m->slice[*slice];
		uint16_t dom = m->piece[s->piece].domain;

		split |= dom != first;
		w->plan->domain[dom].unmapped_pages +=
		        (s->last - s->iova + 1) >> 12;
		if (a.len && (dom != a.domain || a.iova + a.len != s->iova)) {
			rc = push_action(w->plan, &a);
			a.len = 0;
			if (rc)
				return rc;
		}
		if (!a.len)
			a.iova = s->iova;
		a.domain = dom;
		a.len += s->last - s->iova + 1;
	}
	w->plan->split_unmaps += (uint64_t)split;
	return push_action(w->plan, &a);
}

static int write_actions(struct writer *w, const struct trace *t)
{
	size_t slice = 0, cut = 0;
	uint32_t piece = 0;
	int rc = 0;

	for (uint32_t i = 0; i < t->nr && !rc; i++) {
		if (t->ev[i].op == TRACE_MAP)
			rc = write_map(w, piece++, t->ev[i].line, &cut);
		else if (slice < w->m.nr_slices && w->m.slice[slice].ev == i)
			rc = write_unmap(w, i, t->ev[i].line, &slice);
	}
	return rc;
}

static int list_left(struct plan *p, const struct oracle *o, uint32_t d)
{
	struct oracle_piece x;

	for (uint64_t at = 0; !oracle_next(o, at, &x); at = x.last + 1) {
		void *v = plan_grow(p->left, p->nr_left, &p->room_left,
		                    sizeof(*p->left));

		if (!v)
			return -ENOMEM;
		p->left = v;
		p->left[p->nr_left++] =
		        (struct plan_action){.iova = x.iova,
		                             .len = x.last - x.iova + 1,
		                             .domain = (uint16_t)d,
		                             .op = TRACE_UNMAP};
	}
	return 0;
}

/* Every action must be right for a flat map of its domain. */
static int prove(struct writer *w, uint32_t *ret_line)
{
	struct plan *p = w->plan;
	int rc = 0;

	for (uint32_t d = 0; d < p->nr_domains; d++) {
		w->space[d] = oracle_new();
		if (!w->space[d])
			return -ENOMEM;
	}
	for (size_t i = 0; i < p->nr && !rc; i++) {
		const struct plan_action *a = &p->act[i];
		struct oracle *o = w->space[a->domain];
		uint64_t last = a->iova + a->len - 1;

		rc = a->op == TRACE_MAP
		             ? oracle_map(o, a->iova, last, a->oa, 0)
		             : oracle_unmap(o, a->iova, last, NULL, NULL);
		*ret_line = a->line;
	}
	for (uint32_t d = 0; d < p->nr_domains && !rc; d++) {
		p->domain[d].left_pages = oracle_pages(w->space[d]);
		p->left_pages += p->domain[d].left_pages;
		rc = list_left(p, w->space[d], d);
	}
	return rc;
}

static void forget(struct matching *m)
{
	free(m->piece);
	free(m->slice);
	free(m->edge);
	memset(m, 0, sizeof(*m));
}

static int match_and_colour(const struct trace *t, struct matching *m,
                            uint32_t *ret_line)
{
	int rc = plan_match(t, m, ret_line);

	return rc ? rc : plan_colour(m);
}

/* Where two maps cover what an unmap ends, a wrong choice can make later events
 * look like those of a third device. So when more than two domains come out,
 * choose otherwise and keep what needs the fewest. */
static int explain(struct writer *w, const struct trace *t, uint32_t *ret_line)
{
	int rc = match_and_colour(t, &w->m, ret_line);

	if (rc && rc != -E2BIG)
		return rc;
	for (uint32_t i = 1; i < PLAN_POLICIES; i++) {
		struct matching other = {.policy = i};
		uint32_t line;
		int again;

		if (!rc && w->m.nr_domains <= 2)
			break;
		again = match_and_colour(t, &other, &line);
		if (!again && (rc || other.nr_domains < w->m.nr_domains)) {
			struct matching tmp = w->m;

			w->m = other;
			other = tmp;
			rc = 0;
		}
		forget(&other);
		if (again && again != -E2BIG)
			return again;
	}
	return rc;
}

static int build(struct writer *w, const struct trace *t, uint32_t *ret_line)
{
	int rc = explain(w, t, ret_line);

	if (rc)
		return rc;
	w->plan->nr_domains = w->m.nr_domains;
	w->plan->unmatched_unmaps = w->m.unmatched;
	w->plan->partial_unmaps = w->m.partial;
	rc = find_cuts(w);
	if (!rc)
		rc = write_actions(w, t);
	if (!rc)
		rc = prove(w, ret_line);
	return rc;
}

int plan_make(const char *name, const struct trace *t, struct plan *ret,
              struct trace_error *err)
{
	struct writer w = {.plan = ret};
	uint32_t line = t->nr_lines;
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = build(&w, t, &line);
	for (uint32_t d = 0; d < PLAN_MAX_DOMAINS; d++)
		oracle_free(w.space[d]);
	forget(&w.m);
	free(w.cut);
	if (!rc)
		return 0;
	plan_free(ret);
	if (rc == -E2BIG)
		return trace_fail(err, rc,
		                  "%s:%u: more than %d domains would be needed "
		                  "for the maps that overlap here: the trace "
		                  "lost unmaps. Record again with a larger "
		                  "buffer (buffer_size_kb)",
		                  name, line, PLAN_MAX_DOMAINS);
	if (rc == -ENOMEM)
		return trace_fail(err, rc,
		                  "%s: no memory for the plan: replay a "
		                  "shorter trace",
		                  name);
	return trace_fail(err, rc,
	                  "%s:%u: the events could not be told apart by "
	                  "domain (error %d): please report this trace",
	                  name, line, rc);
}

void plan_free(struct plan *p)
{
	free(p->act);
	free(p->left);
	memset(p, 0, sizeof(*p));
}
