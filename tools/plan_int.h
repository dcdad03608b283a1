/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stages of a plan: match unmaps to maps (plan_match.c with
 * plan_sides.c), colour what conflicts (plan_colour.c), write actions (plan.c).
 */
#ifndef SLUICE_TOOLS_PLAN_INT_H
#define SLUICE_TOOLS_PLAN_INT_H

#include "tools/plan.h"

/* One map event. burst: pieces mapped one after the other at rising,
 * touching IOVAs, as a scatter list is. */
struct piece {
	uint64_t iova, last, oa;
	uint32_t ev;
	uint32_t burst;
	uint32_t group; /* union-find parent while grouping, then group id */
	uint32_t up;    /* plan_sides.c */
	uint16_t odd;
	uint16_t gone;   /* some of it was unmapped */
	uint16_t domain; /* after colouring */
};

/* What one unmap event takes from one piece, in order of events. */
struct slice {
	uint64_t iova, last;
	uint32_t ev;
	uint32_t piece;
};

/* Two pieces that overlap while both are mapped. */
struct edge {
	uint32_t a, b;
};

struct matching {
	struct piece *piece;
	struct slice *slice;
	struct edge *edge;
	size_t nr_pieces, nr_slices, nr_edges;
	size_t room_pieces, room_slices, room_edges;
	uint64_t unmatched, partial;
	uint32_t nr_domains; /* after colouring */
	uint32_t policy;     /* how to choose between equals; 0 first */
};

/* Policies that plan.c tries when more domains than overlaps prove come out. */
#define PLAN_POLICIES 12

/* Makes room for one more element. NULL when there is no memory. */
void *plan_grow(void *array, size_t nr, size_t *room, size_t size);

/* What is known of two pieces as long as two domains explain the trace. */
enum sides { SIDES_UNKNOWN, SIDES_SAME, SIDES_DIFFER };

void sides_init(struct matching *m, uint32_t piece);
enum sides sides_ask(struct matching *m, uint32_t a, uint32_t b);
/* A contradiction to what is known is ignored: then there are more domains. */
void sides_learn(struct matching *m, uint32_t a, uint32_t b, enum sides s);

/* -ENOMEM, or -E2BIG when more than PLAN_MAX_DOMAINS overlap; *ret_line is
 * then the line of the event. */
int plan_match(const struct trace *t, struct matching *m, uint32_t *ret_line);
/* Fills piece.domain and nr_domains. -ENOMEM, -E2BIG. */
int plan_colour(struct matching *m);

#endif
