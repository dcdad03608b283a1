/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which maps does an unmap end? Live maps are kept in layers, each a flat
 * oracle; a map goes to the first layer where it does not overlap, so a
 * layer is not a domain yet, and whatever it overlaps in other layers is noted
 * as a conflict. An unmap is laid out with live pieces once from each layer
 * that covers its start, and the most plausible of these tilings wins.
 */
#include "tools/plan_int.h"

#include "yardstick/yardstick.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tile {
	uint64_t iova, last;
	uint32_t piece;
	uint32_t layer;
};

/* One way to cover the range of an unmap. Less is better from top to
 * bottom; see better(). */
struct tiling {
	struct tile *tile;
	size_t nr, room;
	uint64_t holes;    /* bytes that nothing covers */
	uint64_t contrary; /* pieces that cannot belong to the first one's */
	uint64_t partial;  /* pieces used in part */
	uint64_t torn;     /* bursts of which neighbours stay behind */
	uint64_t disorder; /* a later address was mapped earlier */
	uint64_t spread;   /* other events between the first and last map */
	uint64_t tie;      /* see tie_break() */
};

struct layers {
	struct oracle *at[PLAN_MAX_DOMAINS];
	uint32_t nr;
	struct matching *m;
	struct tiling best, cur;
};

void *plan_grow(void *array, size_t nr, size_t *room, size_t size)
{
	size_t want = *room ? 2 * *room : 256;
	void *p;

	if (nr < *room)
		return array;
	p = realloc(array, want * size);
	if (p)
		*room = want;
	return p;
}

static int push_edge(struct matching *m, uint32_t a, uint32_t b)
{
	void *p = plan_grow(m->edge, m->nr_edges, &m->room_edges,
	                    sizeof(*m->edge));

	if (!p)
		return -ENOMEM;
	m->edge = p;
	m->edge[m->nr_edges++] = (struct edge){a, b};
	return 0;
}

static int push_piece(struct matching *m, const struct piece *x)
{
	void *p = plan_grow(m->piece, m->nr_pieces, &m->room_pieces,
	                    sizeof(*m->piece));

	if (!p)
		return -ENOMEM;
	m->piece = p;
	m->piece[m->nr_pieces++] = *x;
	return 0;
}

static int push_slice(struct matching *m, const struct slice *x)
{
	void *p = plan_grow(m->slice, m->nr_slices, &m->room_slices,
	                    sizeof(*m->slice));

	if (!p)
		return -ENOMEM;
	m->slice = p;
	m->slice[m->nr_slices++] = *x;
	return 0;
}

static int push_tile(struct tiling *t, const struct tile *x)
{
	void *p = plan_grow(t->tile, t->nr, &t->room, sizeof(*t->tile));

	if (!p)
		return -ENOMEM;
	t->tile = p;
	t->tile[t->nr++] = *x;
	return 0;
}

static int note_conflicts(struct layers *ls, struct oracle *layer,
                          uint64_t iova, uint64_t last, uint32_t piece,
                          int *ret_any)
{
	struct matching *m = ls->m;
	struct oracle_piece p;

	*ret_any = 0;
	while (!oracle_next(layer, iova, &p) && p.iova <= last) {
		*ret_any = 1;
		sides_learn(m, (uint32_t)p.tag, piece, SIDES_DIFFER);
		if (push_edge(m, piece, (uint32_t)p.tag))
			return -ENOMEM;
		if (p.last >= last)
			break;
		iova = p.last + 1;
	}
	return 0;
}

static uint32_t burst_of(const struct matching *m, const struct trace_event *e,
                         uint32_t ev)
{
	const struct piece *prev;

	if (!m->nr_pieces)
		return 0;
	prev = &m->piece[m->nr_pieces - 1];
	if (prev->ev + 1 == ev && prev->last + 1 == e->iova)
		return prev->burst;
	return prev->burst + 1;
}

static int on_map(struct layers *ls, const struct trace_event *e, uint32_t ev)
{
	struct matching *m = ls->m;
	struct piece p = {.iova = e->iova,
	                  .last = e->iova + e->len - 1,
	                  .oa = e->paddr,
	                  .ev = ev,
	                  .burst = burst_of(m, e, ev)};
	uint32_t id = (uint32_t)m->nr_pieces;
	int placed = 0, any, rc;

	rc = push_piece(m, &p);
	if (rc)
		return rc;
	sides_init(m, id);
	for (uint32_t i = 0; i < ls->nr || !placed; i++) {
		if (i == PLAN_MAX_DOMAINS)
			return -E2BIG;
		if (i == ls->nr) {
			ls->at[i] = oracle_new();
			if (!ls->at[i])
				return -ENOMEM;
			ls->nr++;
		}
		rc = note_conflicts(ls, ls->at[i], p.iova, p.last, id, &any);
		if (rc)
			return rc;
		if (any || placed)
			continue;
		rc = oracle_map_tag(ls->at[i], p.iova, p.last, p.oa, 0, id);
		if (rc)
			return rc;
		placed = 1;
	}
	return 0;
}

#define FAR (UINT64_C(1) << 40)

/* How far a piece is in time from the one before it in the tiling. A whole
 * piece is always nearer than a part of one, and what cannot be in the domain
 * of the tiling is farthest. */
static uint64_t distance(const struct layers *ls, const struct oracle_piece *p,
                         uint64_t pos, uint32_t prev_ev)
{
	uint32_t id = (uint32_t)p->tag;
	uint64_t ev = ls->m->piece[id].ev;
	uint64_t d = ev > prev_ev ? 2 * (ev - prev_ev) : 2 * (prev_ev - ev) + 1;

	if (p->iova != pos)
		d += FAR;
	if (ls->cur.nr &&
	    sides_ask(ls->m, ls->cur.tile[0].piece, id) == SIDES_DIFFER)
		d += 2 * FAR;
	return d;
}

/* The best piece at pos, or the address of the next piece. */
static int candidate(const struct layers *ls, uint64_t pos, uint32_t prev_ev,
                     uint32_t *ret_layer, struct oracle_piece *ret,
                     uint64_t *ret_next)
{
	uint64_t best = UINT64_MAX;

	*ret_next = UINT64_MAX;
	for (uint32_t i = 0; i < ls->nr; i++) {
		struct oracle_piece p;
		uint64_t d;

		if (oracle_next(ls->at[i], pos, &p))
			continue;
		if (p.iova > pos) {
			if (p.iova < *ret_next)
				*ret_next = p.iova;
			continue;
		}
		d = distance(ls, &p, pos, prev_ev);
		if (d < best) {
			best = d;
			*ret_layer = i;
			*ret = p;
		}
	}
	return best != UINT64_MAX;
}

static int add_tile(struct layers *ls, const struct oracle_piece *p,
                    uint64_t pos, uint64_t last, uint32_t layer)
{
	struct tiling *t = &ls->cur;
	const struct piece *whole = &ls->m->piece[p->tag];
	struct tile x = {pos, p->last < last ? p->last : last, (uint32_t)p->tag,
	                 layer};

	if (x.iova != whole->iova || x.last != whole->last)
		t->partial++;
	if (t->nr && whole->ev < ls->m->piece[t->tile[t->nr - 1].piece].ev)
		t->disorder++;
	if (t->nr &&
	    sides_ask(ls->m, t->tile[0].piece, x.piece) == SIDES_DIFFER)
		t->contrary++;
	return push_tile(t, &x);
}

/* Would a burst be torn: is its piece just before or after still mapped? */
static int torn(const struct matching *m, uint32_t piece, int step)
{
	size_t other = (size_t)((int64_t)piece + step);

	return other < m->nr_pieces && !m->piece[other].gone &&
	       m->piece[other].burst == m->piece[piece].burst;
}

/* Which of equally plausible tilings ends, by the first of its maps: the
 * youngest (what lives shortly ends first), the oldest, or any. A less score
 * wins. */
static uint64_t tie_break(uint32_t policy, uint32_t ev)
{
	if (policy == 0)
		return UINT32_MAX - ev;
	if (policy == 1)
		return ev;
	return (ev + (uint64_t)policy) * 0x9e3779b97f4a7c15u >> 32;
}

static void judge(const struct matching *m, struct tiling *t)
{
	uint32_t lo = UINT32_MAX, hi = 0;

	if (!t->nr)
		return;
	for (size_t i = 0; i < t->nr; i++) {
		uint32_t ev = m->piece[t->tile[i].piece].ev;

		lo = ev < lo ? ev : lo;
		hi = ev > hi ? ev : hi;
	}
	t->spread = hi - lo;
	t->tie = tie_break(m->policy, lo);
	t->torn = (uint64_t)torn(m, t->tile[0].piece, -1) +
	          (uint64_t)torn(m, t->tile[t->nr - 1].piece, 1);
}

/* Covers [iova, last], starting with the given layer. Leaves cur empty when
 * that layer does not cover the first address that any layer covers. */
static int lay(struct layers *ls, uint64_t iova, uint64_t last, uint32_t seed)
{
	struct tiling *t = &ls->cur;
	struct oracle_piece p;
	uint64_t pos = iova, next;
	uint32_t layer, prev = 0;

	t->nr = 0;
	t->contrary = t->holes = t->partial = t->torn = t->disorder =
	        t->spread = 0;
	t->tie = 0;
	for (;;) {
		if (!candidate(ls, pos, prev, &layer, &p, &next)) {
			next = next > last ? last + 1 : next;
			t->holes += next - pos;
		} else {
			if (!t->nr) {
				layer = seed;
				if (oracle_lookup(ls->at[seed], pos, &p))
					return 0;
			}
			if (add_tile(ls, &p, pos, last, layer))
				return -ENOMEM;
			prev = ls->m->piece[p.tag].ev;
			next = t->tile[t->nr - 1].last + 1;
		}
		if (next > last)
			break;
		pos = next;
	}
	judge(ls->m, t);
	return 0;
}

static int better(const struct tiling *a, const struct tiling *b)
{
	if (!a->nr || !b->nr)
		return a->nr > b->nr;
	if (a->holes != b->holes)
		return a->holes < b->holes;
	if (a->contrary != b->contrary)
		return a->contrary < b->contrary;
	if (a->partial != b->partial)
		return a->partial < b->partial;
	if (a->torn != b->torn)
		return a->torn < b->torn;
	if (a->disorder != b->disorder)
		return a->disorder < b->disorder;
	if (a->spread != b->spread)
		return a->spread < b->spread;
	return a->tie < b->tie;
}

static int take(struct layers *ls, const struct tiling *t, uint32_t ev)
{
	struct matching *m = ls->m;

	for (size_t i = 0; i < t->nr; i++) {
		const struct tile *x = &t->tile[i];
		struct slice s = {x->iova, x->last, ev, x->piece};
		int rc = oracle_unmap(ls->at[x->layer], x->iova, x->last, NULL,
		                      NULL);

		if (rc)
			return rc;
		m->piece[x->piece].gone = 1;
		if (i)
			sides_learn(m, t->tile[0].piece, x->piece, SIDES_SAME);
		if (push_slice(m, &s))
			return -ENOMEM;
	}
	return 0;
}

static int on_unmap(struct layers *ls, const struct trace_event *e, uint32_t ev)
{
	uint64_t last = e->iova + e->len - 1;

	ls->best.nr = 0;
	for (uint32_t i = 0; e->len && i < ls->nr; i++) {
		struct tiling tmp;

		if (lay(ls, e->iova, last, i))
			return -ENOMEM;
		if (!better(&ls->cur, &ls->best))
			continue;
		tmp = ls->best;
		ls->best = ls->cur;
		ls->cur = tmp;
	}
	if (!ls->best.nr) {
		ls->m->unmatched++;
		return 0;
	}
	if (ls->best.holes)
		ls->m->partial++;
	return take(ls, &ls->best, ev);
}

int plan_match(const struct trace *t, struct matching *m, uint32_t *ret_line)
{
	struct layers ls = {.m = m};
	int rc = 0;

	for (size_t i = 0; i < t->nr && !rc; i++) {
		const struct trace_event *e = &t->ev[i];

		rc = e->op == TRACE_MAP ? on_map(&ls, e, (uint32_t)i)
		                        : on_unmap(&ls, e, (uint32_t)i);
		if (rc)
			*ret_line = e->line;
	}
	for (uint32_t i = 0; i < ls.nr; i++)
		oracle_free(ls.at[i]);
	free(ls.best.tile);
	free(ls.cur.tile);
	return rc;
}
