/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From conflicts to domains. The pieces of one unmap belong together (a
 * group); groups that overlap in time and address belong apart. So this is
 * graph colouring: a part of the graph that two colours can paint is painted
 * with two, whatever the order of events, any other one greedily. A part can be
 * painted in several ways without contradiction; among them the one wins that
 * gives memory and addresses to the domain that used them, or their upper
 * neighbour, before: a device's buffers come again, and allocators of IOVAs
 * work downwards and reuse what they freed.
 */
#include "tools/plan_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX
#define PADDR (UINT64_C(1) << 63)

/* Who used an IOVA or an output address last. */
struct memory {
	uint64_t *key; /* page number + 1, PADDR added; 0 is empty */
	uint16_t *domain;
	size_t mask;
};

struct graph {
	struct matching *m;
	uint32_t nr;         /* groups */
	uint32_t *head;      /* groups: start in member[] */
	uint32_t *member;    /* pieces by group */
	uint32_t *edge_head; /* groups: start in to[] */
	uint32_t *to;
	uint32_t *comp; /* members of the component at hand */
	uint8_t *side;  /* 0 unseen, else 1 or 2 */
	uint32_t *colour;
	struct memory mem;
};

static size_t slot(const struct memory *mem, uint64_t page)
{
	size_t i = (size_t)((page + 1) * 0x9e3779b97f4a7c15u >> 20) & mem->mask;

	while (mem->key[i] && mem->key[i] != page + 1)
		i = (i + 1) & mem->mask;
	return i;
}

/* Adds to score[d] how much a piece looks like domain d. */
static void affinity(const struct memory *mem, const struct piece *p,
                     uint32_t *score)
{
	size_t own = slot(mem, p->iova >> 12);
	size_t above = slot(mem, (p->last + 1) >> 12);
	size_t oa = slot(mem, (p->oa >> 12) | PADDR);

	if (mem->key[oa])
		score[mem->domain[oa]] += 4;
	if (mem->key[own])
		score[mem->domain[own]] += 2;
	if (mem->key[above])
		score[mem->domain[above]] += 1;
}

static void store(struct memory *mem, uint64_t page, uint32_t domain)
{
	size_t s = slot(mem, page);

	mem->key[s] = page + 1;
	mem->domain[s] = (uint16_t)domain;
}

static void remember(struct graph *g, uint32_t group)
{
	for (uint32_t i = g->head[group]; i < g->head[group + 1]; i++) {
		const struct piece *p = &g->m->piece[g->member[i]];

		store(&g->mem, p->iova >> 12, g->colour[group]);
		store(&g->mem, (p->oa >> 12) | PADDR, g->colour[group]);
	}
}

static uint32_t find(struct matching *m, uint32_t i)
{
	while (m->piece[i].group != i) {
		m->piece[i].group = m->piece[m->piece[i].group].group;
		i = m->piece[i].group;
	}
	return i;
}

/* The pieces of one unmap become one group, led by the earliest map. */
static void unite(struct matching *m, const uint8_t *alone)
{
	for (uint32_t i = 0; i < m->nr_pieces; i++)
		m->piece[i].group = i;
	for (size_t i = 1; i < m->nr_slices; i++) {
		const struct slice *s = &m->slice[i], *q = s - 1;
		uint32_t a, b;

		if (s->ev != q->ev || alone[s->piece] || alone[q->piece])
			continue;
		a = find(m, s->piece);
		b = find(m, q->piece);
		m->piece[a > b ? a : b].group = a > b ? b : a;
	}
}

/* Unmaps of parts can tie pieces together that cannot be in one domain: such
 * pieces stay alone, and their unmap is split over domains. */
static void group(struct matching *m, uint8_t *alone)
{
	int again = 0;

	unite(m, alone);
	for (size_t i = 0; i < m->nr_edges; i++) {
		const struct edge *e = &m->edge[i];

		if (find(m, e->a) != find(m, e->b))
			continue;
		alone[e->a] = alone[e->b] = 1;
		again = 1;
	}
	if (again)
		unite(m, alone);
}

/* Numbers groups by their first map and lists the pieces of each. */
static int list_members(struct graph *g)
{
	struct matching *m = g->m;
	size_t n = m->nr_pieces;
	uint32_t *id = malloc(n * sizeof(*id));

	g->head = calloc(n + 2, sizeof(*g->head));
	g->member = malloc(n * sizeof(*g->member));
	if (!id || !g->head || !g->member) {
		free(id);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t root = find(m, i);

		if (root == i)
			id[i] = g->nr++;
		g->head[id[root] + 2]++;
	}
	for (uint32_t i = 0; i < n; i++)
		m->piece[i].domain = 0;
	for (uint32_t i = 2; i < g->nr + 2; i++)
		g->head[i] += g->head[i - 1];
	/* Roots last: find() must still work for those after them. */
	for (uint32_t i = 0; i < n; i++)
		g->member[g->head[id[find(m, i)] + 1]++] = i;
	for (uint32_t i = 0; i < g->nr; i++)
		for (uint32_t k = g->head[i]; k < g->head[i + 1]; k++)
			m->piece[g->member[k]].group = i;
	free(id);
	return 0;
}

static int list_edges(struct graph *g)
{
	struct matching *m = g->m;

	g->edge_head = calloc((size_t)g->nr + 2, sizeof(*g->edge_head));
	g->to = malloc((2 * m->nr_edges + 1) * sizeof(*g->to));
	if (!g->edge_head || !g->to)
		return -ENOMEM;
	for (size_t i = 0; i < m->nr_edges; i++) {
		g->edge_head[m->piece[m->edge[i].a].group + 2]++;
		g->edge_head[m->piece[m->edge[i].b].group + 2]++;
	}
	for (uint32_t i = 2; i < g->nr + 2; i++)
		g->edge_head[i] += g->edge_head[i - 1];
	for (size_t i = 0; i < m->nr_edges; i++) {
		uint32_t a = m->piece[m->edge[i].a].group;
		uint32_t b = m->piece[m->edge[i].b].group;

		g->to[g->edge_head[a + 1]++] = b;
		g->to[g->edge_head[b + 1]++] = a;
	}
	return 0;
}

/* Collects the component of a group, breadth first; sides alternate. Returns
 * whether two colours are enough. */
static int collect(struct graph *g, uint32_t first, uint32_t *ret_nr)
{
	uint32_t nr = 0;
	int two = 1;

	g->comp[nr++] = first;
	g->side[first] = 1;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t x = g->comp[i];

		for (uint32_t k = g->edge_head[x]; k < g->edge_head[x + 1];
		     k++) {
			uint32_t y = g->to[k];

			if (!g->side[y]) {
				g->side[y] = (uint8_t)(3 - g->side[x]);
				g->comp[nr++] = y;
			} else if (g->side[y] == g->side[x]) {
				two = 0;
			}
		}
	}
	*ret_nr = nr;
	return two;
}

static void group_score(const struct graph *g, uint32_t x, uint32_t *score)
{
	for (uint32_t i = g->head[x]; i < g->head[x + 1]; i++)
		affinity(&g->mem, &g->m->piece[g->member[i]], score);
}

static void paint_two(struct graph *g, uint32_t nr)
{
	uint32_t score[2][PLAN_MAX_DOMAINS] = {0};
	uint32_t known = g->m->nr_domains, a, b, best = 0, pa = 0, pb = 1;
	uint32_t need = nr > 1 ? 2 : 1;
	int have = 0;

	if (known < need)
		known = need;
	for (uint32_t i = 0; i < nr; i++)
		group_score(g, g->comp[i], score[g->side[g->comp[i]] - 1]);
	for (a = 0; a < known; a++) {
		for (b = 0; b < known; b++) {
			uint32_t s = score[0][a] + (nr > 1 ? score[1][b] : 0);

			if ((nr > 1 && a == b) || (have && s <= best))
				continue;
			have = 1;
			best = s;
			pa = a;
			pb = b;
		}
	}
	for (uint32_t i = 0; i < nr; i++)
		g->colour[g->comp[i]] = g->side[g->comp[i]] == 1 ? pa : pb;
	g->m->nr_domains = known;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int paint_greedy(struct graph *g, uint32_t nr)
{
	qsort(g->comp, nr, sizeof(*g->comp), by_number);
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t score[PLAN_MAX_DOMAINS] = {0};
		uint64_t used = 0;
		uint32_t x = g->comp[i], best = NONE;

		for (uint32_t k = g->edge_head[x]; k < g->edge_head[x + 1]; k++)
			if (g->colour[g->to[k]] != NONE)
				used |= UINT64_C(1) << g->colour[g->to[k]];
		group_score(g, x, score);
		for (uint32_t c = 0; c < PLAN_MAX_DOMAINS; c++) {
			if (used >> c & 1)
				continue;
			if (best != NONE &&
			    (c >= g->m->nr_domains || score[c] <= score[best]))
				continue;
			best = c;
		}
		if (best == NONE)
			return -E2BIG;
		g->colour[x] = best;
		if (best >= g->m->nr_domains)
			g->m->nr_domains = best + 1;
		remember(g, x);
	}
	return 0;
}

static int prepare(struct graph *g, uint8_t *alone)
{
	struct matching *m = g->m;
	size_t slots = 16;
	int rc;

	group(m, alone);
	rc = list_members(g);
	if (!rc)
		rc = list_edges(g);
	if (rc)
		return rc;
	while (slots < 4 * m->nr_pieces)
		slots *= 2;
	g->mem.mask = slots - 1;
	g->mem.key = calloc(slots, sizeof(*g->mem.key));
	g->mem.domain = calloc(slots, sizeof(*g->mem.domain));
	g->comp = malloc(g->nr * sizeof(*g->comp));
	g->side = calloc(g->nr, 1);
	g->colour = malloc(g->nr * sizeof(*g->colour));
	if (!g->mem.key || !g->mem.domain || !g->comp || !g->side || !g->colour)
		return -ENOMEM;
	memset(g->colour, 0xff, g->nr * sizeof(*g->colour));
	return 0;
}

static int paint(struct graph *g)
{
	for (uint32_t x = 0; x < g->nr; x++) {
		uint32_t nr;
		int rc = 0;

		if (g->side[x])
			continue;
		if (collect(g, x, &nr))
			paint_two(g, nr);
		else
			rc = paint_greedy(g, nr);
		if (rc)
			return rc;
		for (uint32_t i = 0; i < nr; i++)
			remember(g, g->comp[i]);
	}
	return 0;
}

int plan_colour(struct matching *m)
{
	struct graph g = {.m = m};
	uint8_t *alone;
	int rc;

	m->nr_domains = 0;
	if (!m->nr_pieces)
		return 0;
	alone = calloc(m->nr_pieces, 1);
	rc = alone ? prepare(&g, alone) : -ENOMEM;
	if (!rc)
		rc = paint(&g);
	for (size_t i = 0; i < m->nr_pieces && !rc; i++)
		m->piece[i].domain = (uint16_t)g.colour[m->piece[i].group];
	free(alone);
	free(g.head);
	free(g.member);
	free(g.edge_head);
	free(g.to);
	free(g.comp);
	free(g.side);
	free(g.colour);
	free(g.mem.key);
	free(g.mem.domain);
	return rc;
}
