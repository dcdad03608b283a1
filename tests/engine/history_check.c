/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge of a history. One pass over each lane for what concerns it alone:
 * every promised completion comes once, with its own request's words, unmaps of
 * a view in the order of their calls, never before their ticket; tickets pass
 * in order and stay passed. Then, for each ticket that is known to have passed,
 * a look at the other lanes: each that had translated has polled or left since.
 */
#include "tests/engine/history.h"

#include <stdlib.h>

#define TABLE 65536u
#define VIEWS_MAX 65536u
#define REFUSED_MAX 64u

/* A request that was promised a completion. */
struct want {
	uint64_t cookie;
	const struct ev *call; /* NULL: a free slot */
	bool optional;         /* may have been dropped */
};

struct view_state {
	bool open;
	uint64_t next_order; /* of unmap calls */
	uint64_t last_done;  /* order of the last unmap that completed */
	uint64_t passed;     /* highest ticket known to have passed */
	uint64_t refused[REFUSED_MAX];
	unsigned nr_refused;
	/* Asked for and not passed although a later one had: right only if
	 * its completion, still to come, is a refusal. */
	uint64_t suspect[REFUSED_MAX];
	size_t suspect_at[REFUSED_MAX];
	unsigned nr_suspect;
};

struct judge {
	const struct history *h;
	struct want *want;
	uint64_t *order; /* of the unmap call at each event */
	struct view_state *view;
	size_t nr_want;
};

/* Requests in flight differ in the low bits of their cookies. */
static struct want *slot_of(struct judge *j, uint64_t cookie)
{
	return &j->want[cookie % TABLE];
}

static const char *on_call(struct judge *j, const struct ev *e)
{
	struct view_state *v = &j->view[e->view];
	struct want *w = slot_of(j, e->cookie);

	if (!v->open)
		return "a request on a view that is not open";
	if (e->kind == EV_UNMAP && e->result >= 0)
		j->order[e - j->h->ev] = ++v->next_order;
	if (e->result <= 0)
		return NULL;
	if (w->call && !w->optional)
		return "cookies in flight are too alike: a bad test";
	j->nr_want += !w->call;
	*w = (struct want){.cookie = e->cookie, .call = e};
	return NULL;
}

static void on_refused(struct view_state *v, uint64_t ticket)
{
	unsigned k = 0;

	if (v->nr_refused < REFUSED_MAX)
		v->refused[v->nr_refused++] = ticket;
	for (unsigned i = 0; i < v->nr_suspect; i++) {
		if (v->suspect[i] == ticket)
			continue;
		v->suspect[k] = v->suspect[i];
		v->suspect_at[k++] = v->suspect_at[i];
	}
	v->nr_suspect = k;
}

static const char *on_unmap_done(struct judge *j, const struct ev *e,
                                 const struct ev *call)
{
	struct view_state *v = &j->view[call->view];
	uint64_t order = j->order[call - j->h->ev];

	if (order <= v->last_done)
		return "unmaps of one view completed out of order";
	v->last_done = order;
	if (e->result == 0 && !e->passed)
		return "an unmap completed before its ticket";
	if (e->result && e->passed)
		return "the ticket of a refused unmap has passed";
	if (e->result)
		on_refused(v, call->ticket);
	if (e->passed && call->ticket > v->passed)
		v->passed = call->ticket;
	return NULL;
}

static const char *on_done(struct judge *j, const struct ev *e)
{
	struct want *w = slot_of(j, e->cookie);
	const struct ev *call = w->cookie == e->cookie ? w->call : NULL;

	if (!call)
		return "a completion that nobody waits for: twice, or unasked";
	if (!j->view[call->view].open)
		return "a completion after its view was closed";
	if ((e->op == OP_MAP) != (call->kind == EV_MAP) ||
	    e->iova != call->iova || e->len != call->len)
		return "a completion with the words of another request";
	if (!e->fits)
		return "translations do not agree with the result";
	*w = (struct want){0};
	j->nr_want--;
	return e->op == OP_UNMAP ? on_unmap_done(j, e, call) : NULL;
}

static const char late_text[] =
        "a ticket has not passed although a later one, or the same, had";

static const char *on_ticket(struct judge *j, const struct ev *e)
{
	struct view_state *v = &j->view[e->view];

	for (unsigned i = 0; i < v->nr_refused; i++)
		if (v->refused[i] == e->ticket)
			return e->passed ? "a refused ticket has passed" : NULL;
	if (e->passed && e->ticket > v->passed)
		v->passed = e->ticket;
	if (!e->passed && e->ticket <= v->passed) {
		if (v->nr_suspect == REFUSED_MAX)
			return late_text;
		v->suspect[v->nr_suspect] = e->ticket;
		v->suspect_at[v->nr_suspect++] = (size_t)(e - j->h->ev);
	}
	return NULL;
}

/* No refusal has come for it. */
static const char *suspects(const struct judge *j, size_t *ret_at)
{
	for (size_t i = 0; i < VIEWS_MAX; i++)
		if (j->view[i].nr_suspect) {
			*ret_at = j->view[i].suspect_at[0];
			return late_text;
		}
	return NULL;
}

/* What must be over: of one view, or of all. */
static const char *must_be_over(const struct judge *j, const struct ev *e,
                                const char *text)
{
	for (unsigned i = 0; i < TABLE && j->nr_want; i++) {
		const struct want *w = &j->want[i];

		if (w->call && !w->optional &&
		    (e->kind == EV_QUIET || w->call->view == e->view))
			return text;
	}
	return NULL;
}

static void on_drop(struct judge *j)
{
	for (unsigned i = 0; i < TABLE && j->nr_want; i++)
		j->want[i].optional = true;
}

static const char *judge_one(struct judge *j, const struct ev *e)
{
	switch ((enum ev_kind)e->kind) {
	case EV_OPEN:
		if (j->view[e->view].open || j->view[e->view].next_order)
			return "a view number is used twice: a bad test";
		j->view[e->view].open = true;
		return NULL;
	case EV_CLOSE:
		j->view[e->view].open = false;
		return must_be_over(j, e, "a view was closed over requests");
	case EV_MAP:
	case EV_UNMAP:
		return on_call(j, e);
	case EV_DONE:
		return on_done(j, e);
	case EV_TICKET:
		return on_ticket(j, e);
	case EV_DROP:
		on_drop(j);
		return NULL;
	case EV_QUIET:
		return must_be_over(j, e, "a completion is lost");
	default:
		return NULL;
	}
}

static const char *judge_lane(const struct history *h, size_t *ret_at)
{
	struct judge j = {
	        .h = h,
	        .want = calloc(TABLE, sizeof(*j.want)),
	        .order = calloc(h->nr + 1, sizeof(*j.order)),
	        .view = calloc(VIEWS_MAX, sizeof(*j.view)),
	};
	const char *wrong = NULL;

	if (!j.want || !j.order || !j.view)
		wrong = "out of memory";
	for (size_t i = 0; i < h->nr && !wrong; i++) {
		*ret_at = i;
		if (h->ev[i].end < h->ev[i].begin)
			wrong = "a call ended before it began: a bad test";
		else
			wrong = judge_one(&j, &h->ev[i]);
	}
	if (!wrong)
		wrong = suspects(&j, ret_at);
	free(j.want);
	free(j.order);
	free(j.view);
	return wrong;
}

/* ---- grace periods ---- */

/* When a lane translated in a domain, and when it let go of all it had got: by
 * a poll, by going offline or with the view. In order of time. */
struct moment {
	uint64_t begin, end;
	bool look;
};

struct presence {
	struct moment *at;
	size_t nr;
};

static bool collect(const struct history *h, unsigned domain,
                    struct presence *p)
{
	p->at = malloc((h->nr + 1) * sizeof(*p->at));
	p->nr = 0;
	for (size_t i = 0; p->at && i < h->nr; i++) {
		const struct ev *e = &h->ev[i];

		if (e->kind == EV_POLL || e->kind == EV_DROP ||
		    e->kind == EV_OFFLINE ||
		    (e->domain == domain &&
		     (e->kind == EV_LOOK || e->kind == EV_CLOSE)))
			p->at[p->nr++] = (struct moment){e->begin, e->end,
			                                 e->kind == EV_LOOK};
	}
	return p->at;
}

/* Did the lane go on with what it had got before first until last? */
static bool held_on(const struct presence *p, uint64_t first, uint64_t last)
{
	size_t lo = 0, hi = p->nr;

	/* The first moment that ends after first. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->at[mid].end > first)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo == 0 || !p->at[lo - 1].look)
		return false;
	for (; lo < p->nr && p->at[lo].begin < last; lo++)
		if (!p->at[lo].look)
			return false;
	return true;
}

/* The last unmap so far that returned a ticket: what is asked for again and
 * again may be as old as the history. */
struct givers {
	size_t *call; /* 1 + index of the event; 0: free */
	size_t mask;
};

static bool givers_init(struct givers *g, const struct history *h)
{
	size_t room = 16;

	while (room < 2 * h->nr)
		room *= 2;
	g->mask = room - 1;
	g->call = calloc(room, sizeof(*g->call));
	return g->call;
}

static size_t *giver_of(const struct givers *g, const struct history *h,
                        const struct ev *e)
{
	uint64_t key = (e->ticket ^ (uint64_t)e->view << 48) *
	               UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(key >> 20) & g->mask;

	while (g->call[at]) {
		const struct ev *other = &h->ev[g->call[at] - 1];

		if (other->view == e->view && other->ticket == e->ticket)
			break;
		at = (at + 1) & g->mask;
	}
	return &g->call[at];
}

/* The calls whose ticket passed in this lane: by the ticket's number. */
static const char *judge_passed(const struct history *lanes, unsigned nr_lanes,
                                unsigned lane, unsigned domain,
                                const struct presence *p,
                                const struct givers *g, size_t *ret_at)
{
	const struct history *h = &lanes[lane];

	for (size_t i = 0; i < h->nr; i++) {
		const struct ev *e = &h->ev[i];
		size_t call;

		if (e->kind == EV_UNMAP && e->result >= 0)
			*giver_of(g, h, e) = i + 1;
		if (e->kind != EV_TICKET || !e->passed || e->domain != domain)
			continue;
		*ret_at = i;
		call = *giver_of(g, h, e);
		if (call == 0)
			return "a ticket that no unmap returned: a bad test";
		for (unsigned k = 0; k < nr_lanes; k++)
			if (k != lane &&
			    held_on(&p[k], h->ev[call - 1].begin, e->end))
				return "a ticket passed although a lane that "
				       "had translated neither polled nor left";
	}
	return NULL;
}

static const char *judge_graces(const struct history *lanes, unsigned nr_lanes,
                                unsigned lane, unsigned domain,
                                const struct presence *p, size_t *ret_at)
{
	struct givers g;
	const char *wrong;

	if (!givers_init(&g, &lanes[lane]))
		return "out of memory";
	wrong = judge_passed(lanes, nr_lanes, lane, domain, p, &g, ret_at);
	free(g.call);
	return wrong;
}

static const char *judge_domain(const struct history *lanes, unsigned nr_lanes,
                                unsigned domain, unsigned *ret_lane,
                                size_t *ret_at)
{
	struct presence p[HISTORY_LANES] = {0};
	const char *wrong = NULL;

	for (unsigned k = 0; k < nr_lanes; k++)
		if (!collect(&lanes[k], domain, &p[k]))
			wrong = "out of memory";
	for (unsigned k = 0; k < nr_lanes && !wrong; k++) {
		*ret_lane = k;
		wrong = judge_graces(lanes, nr_lanes, k, domain, p, ret_at);
	}
	for (unsigned k = 0; k < nr_lanes; k++)
		free(p[k].at);
	return wrong;
}

const char *history_check(const struct history *lanes, unsigned nr_lanes,
                          unsigned *ret_lane, size_t *ret_at)
{
	const char *wrong = NULL;

	*ret_lane = 0;
	*ret_at = 0;
	for (unsigned k = 0; k < nr_lanes && !wrong; k++) {
		*ret_lane = k;
		wrong = judge_lane(&lanes[k], ret_at);
	}
	for (unsigned d = 0; d < HISTORY_DOMAINS && !wrong; d++)
		wrong = judge_domain(lanes, nr_lanes, d, ret_lane, ret_at);
	return wrong;
}
