/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Same or different domain? A union-find that keeps, for each piece, whether
 * it is on the side of its leader or on the other one. It helps to tell which
 * of several maps an unmap ends; it is a guess while matching, the colouring
 * decides.
 */
#include "tools/plan_int.h"

void sides_init(struct matching *m, uint32_t piece)
{
	m->piece[piece].up = piece;
	m->piece[piece].odd = 0;
}

/* The leader, and on which side of it the piece is; shortens the way. */
static uint32_t leader(struct matching *m, uint32_t i, uint16_t *ret_odd)
{
	struct piece *p = m->piece;
	uint32_t top = i;
	uint16_t odd = 0;

	while (p[top].up != top) {
		odd ^= p[top].odd;
		top = p[top].up;
	}
	*ret_odd = odd;
	while (p[i].up != top && i != top) {
		uint32_t next = p[i].up;
		uint16_t step = p[i].odd;

		p[i].up = top;
		p[i].odd = odd;
		odd ^= step;
		i = next;
	}
	return top;
}

enum sides sides_ask(struct matching *m, uint32_t a, uint32_t b)
{
	uint16_t x, y;

	if (leader(m, a, &x) != leader(m, b, &y))
		return SIDES_UNKNOWN;
	return x == y ? SIDES_SAME : SIDES_DIFFER;
}

void sides_learn(struct matching *m, uint32_t a, uint32_t b, enum sides s)
{
	uint16_t x, y;
	uint32_t top = leader(m, a, &x), other = leader(m, b, &y);

	if (top == other)
		return;
	m->piece[other].up = top;
	m->piece[other].odd = (uint16_t)(x ^ y ^ (s == SIDES_DIFFER));
}
