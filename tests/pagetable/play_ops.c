/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations of a game, each judged as soon as it returns.
 */
#include "play.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXTENTS 64u
#define SEGS 6u

void play_failed(const struct game *g, const char *file, int line,
                 const char *what)
{
	fprintf(stderr,
	        "%s:%d: %s\nshape %s, unit 2^%u, operation %" PRIu64 ": %s\n",
	        file, line, what, g->shape->name, g->m.unit_lg2, g->ops,
	        sluice_last_error());
	exit(1);
}

/* Which units a call is about. */
struct span {
	uint64_t i, n;
	uint64_t iova, len;
};

static struct span span_of(const struct game *g, uint64_t i, uint64_t n)
{
	return (struct span){i, n, model_iova(&g->m, i), n << g->m.unit_lg2};
}

/* Mostly a few units, sometimes a good part of the window. */
static struct span random_span(struct game *g)
{
	uint64_t dice = rnd_below(&g->seed, 256);
	uint64_t n = 1 + rnd_below(&g->seed, 8);
	uint64_t i;

	if (dice == 0)
		n = 1 + rnd_below(&g->seed, UNITS);
	else if (dice < 8)
		n = 1 + rnd_below(&g->seed, 600);
	else if (dice < 10)
		n = 512 * (1 + rnd_below(&g->seed, 3));
	else if (dice < 40)
		n = 1 + rnd_below(&g->seed, 64);
	i = rnd_below(&g->seed, UNITS - n + 1);
	/* Whole tables. */
	if (n % 512 == 0)
		i &= ~(uint64_t)511;
	/* Where larger leaves can begin, too. */
	if (dice & 1)
		i &= ~((uint64_t)1 << rnd_below(&g->seed, 10)) + 1;
	return span_of(g, i, n);
}

static uint32_t random_prot(struct game *g)
{
	static const uint32_t some[] = {SLUICE_RW, SLUICE_READ, SLUICE_RW,
	                                SLUICE_WRITE};
	uint32_t prot = some[rnd_below(&g->seed, 4)];

	return g->m.write_only || prot != SLUICE_WRITE ? prot : SLUICE_RW;
}

/* Congruent to the address as far as a random power of two, inside range. */
static uint64_t random_oa(struct game *g, uint64_t iova, uint64_t len)
{
	unsigned unit = g->m.unit_lg2;
	unsigned lg2 = unit + (unsigned)rnd_below(&g->seed, 12);
	uint64_t mask = ((uint64_t)1 << lg2) - 1;
	uint64_t oa = rnd(&g->seed) & g->info.max_oa;

	oa = (oa & ~mask) | (iova & mask);
	if (rnd_below(&g->seed, 4) == 0)
		oa = rnd(&g->seed) & g->info.max_oa;
	/* Over a multiple of 2^48, where Arm's address field is cut. */
	if (g->info.max_oa >> 48 && rnd_below(&g->seed, 16) == 0)
		oa = ((1 + rnd_below(&g->seed, 3)) << 48) - len / 2;
	oa &= ~(((uint64_t)1 << unit) - 1);
	if (oa > g->info.max_oa || len - 1 > g->info.max_oa - oa)
		oa = (g->info.max_oa - len + 1) & ~(((uint64_t)1 << unit) - 1);
	return oa;
}

static void check_walks(struct game *g, const struct span *s)
{
	for (unsigned k = 0; k < 2; k++) {
		uint64_t i = k ? rnd_below(&g->seed, UNITS)
		               : s->i + rnd_below(&g->seed, s->n);
		uint64_t off =
		        rnd(&g->seed) & (((uint64_t)1 << g->m.unit_lg2) - 1);
		struct sluice_pt_extent e = {0};
		int err = sluice_pt_walk(g->pt, model_iova(&g->m, i) + off, &e);

		CHECK(model_walk_ok(&g->m, i, err, &e));
	}
}

static void do_map(struct game *g)
{
	struct span s = random_span(g);
	uint64_t oa = random_oa(g, s.iova, s.len);
	uint32_t prot = random_prot(g);
	int want = model_map(&g->m, s.i, s.n, oa, prot);

	CHECK(sluice_pt_map(g->pt, s.iova, oa, s.len, prot) == want);
	check_walks(g, &s);
}

static void do_map_sg(struct game *g)
{
	struct sluice_pt_seg seg[SEGS];
	uint32_t nr = 1 + (uint32_t)rnd_below(&g->seed, SEGS);
	struct span s = random_span(g);
	uint32_t prot = random_prot(g);
	uint64_t at = s.i;
	uint64_t n = s.n;
	int want = 0;

	for (uint64_t k = s.i; k < s.i + s.n; k++)
		if (g->m.unit[k].prot)
			want = -EEXIST;
	for (uint32_t k = 0; k < nr; k++) {
		uint64_t part = k == nr - 1 ? n : 1 + rnd_below(&g->seed, n);

		seg[k].len = part << g->m.unit_lg2;
		/* Some continue the one before. */
		seg[k].oa = k && rnd_below(&g->seed, 3) == 0 &&
		                            seg[k - 1].oa + seg[k - 1].len +
		                                            seg[k].len - 1 <=
		                                    g->info.max_oa
		                    ? seg[k - 1].oa + seg[k - 1].len
		                    : random_oa(g, model_iova(&g->m, at),
		                                seg[k].len);
		at += part;
		n -= part;
		if (n == 0)
			nr = k + 1;
	}
	CHECK(sluice_pt_map_sg(g->pt, s.iova, seg, nr, prot) == want);
	at = s.i;
	for (uint32_t k = 0; want == 0 && k < nr;) {
		uint64_t oa = seg[k].oa;
		uint64_t len = seg[k].len;

		while (++k < nr && seg[k].oa == oa + len)
			len += seg[k].len;
		CHECK(model_map(&g->m, at, len >> g->m.unit_lg2, oa, prot) ==
		      0);
		at += len >> g->m.unit_lg2;
	}
	check_walks(g, &s);
}

/* Whole leaves, if something is mapped near. */
static struct span mapped_span(struct game *g)
{
	struct span s = random_span(g);
	uint64_t end;
	uint64_t n;

	for (unsigned k = 0; k < 16 && !g->m.unit[s.i].prot; k++)
		s = random_span(g);
	if (!g->m.unit[s.i].prot || rnd_below(&g->seed, 8) == 0)
		return s;
	s.i = model_leaf(&g->m, s.i, &n);
	end = s.i + s.n;
	for (s.n = 0;
	     s.n == 0 || (s.i + s.n < end && g->m.unit[s.i + s.n].prot);
	     s.n += n)
		model_leaf(&g->m, s.i + s.n, &n);
	return span_of(g, s.i, s.n);
}

static void do_unmap(struct game *g)
{
	struct sluice_pt_extent got[EXTENTS];
	struct sluice_pt_extent want[EXTENTS];
	struct span s = mapped_span(g);
	int err = model_whole(&g->m, s.i, s.n);
	bool ask = rnd_below(&g->seed, 4) != 0;
	uint32_t max = 1 + (uint32_t)rnd_below(&g->seed, EXTENTS);
	uint32_t nr = max;
	uint64_t units = s.n;
	int64_t n;

	n = sluice_pt_unmap(g->pt, s.iova, s.len, ask ? got : NULL,
	                    ask ? &nr : NULL);
	if (err) {
		CHECK(n == err);
	} else if (ask) {
		CHECK(nr == model_extents(&g->m, s.i, s.n, want, max, &units));
		for (uint32_t k = 0; k < nr; k++)
			CHECK(got[k].iova == want[k].iova &&
			      got[k].oa == want[k].oa &&
			      got[k].len == want[k].len &&
			      got[k].prot == want[k].prot);
	}
	if (!err) {
		CHECK((uint64_t)n == units << g->m.unit_lg2);
		model_clear(&g->m, s.i, units);
	}
	check_walks(g, &s);
}

static void do_protect(struct game *g)
{
	struct span s = mapped_span(g);
	uint32_t prot = random_prot(g);
	int want = model_whole(&g->m, s.i, s.n);
	uint64_t told = g->told;

	CHECK(sluice_pt_protect(g->pt, s.iova, s.len, prot) == want);
	CHECK(g->told > told || want);
	if (!want)
		model_protect(&g->m, s.i, s.n, prot);
	check_walks(g, &s);
}

/* The units of all leaves that a span touches. */
static struct span widen(const struct game *g, struct span s)
{
	uint64_t end = s.i + s.n;
	uint64_t n;

	if (s.i && g->m.unit[s.i].prot)
		s.i = model_leaf(&g->m, s.i, &n);
	if (g->m.unit[end - 1].prot) {
		uint64_t first = model_leaf(&g->m, end - 1, &n);

		end = first + n;
	}
	return span_of(g, s.i, end - s.i);
}

/* Marks something of a span before it is changed. */
static void mark_in(struct game *g, const struct span *s)
{
	for (unsigned k = 0; k < 2; k++) {
		uint64_t i = s->i + rnd_below(&g->seed, s->n);

		CHECK(sluice_pt_set_dirty(g->pt, model_iova(&g->m, i)) ==
		      model_set_dirty(&g->m, i));
	}
}

/* No mark was lost, or made, in a span. */
static void check_marks(struct game *g, const struct span *s)
{
	int64_t want = 0;

	for (uint64_t i = s->i; i < s->i + s->n; i++)
		want += g->m.unit[i].dirty;
	if (g->m.keeps_marks)
		CHECK(sluice_pt_dirty(g->pt, s->iova, s->len, 0) ==
		      want << g->m.unit_lg2);
}

/* Inside of a larger leaf, if one is met soon. */
static struct span inner_span(struct game *g)
{
	struct span s = random_span(g);

	for (unsigned k = 0; k < 16; k++) {
		uint64_t i = rnd_below(&g->seed, UNITS);
		uint64_t n;

		if (!g->m.unit[i].prot)
			continue;
		s = span_of(g, model_leaf(&g->m, i, &n), 1);
		if (n > 1) {
			i = s.i + rnd_below(&g->seed, n);
			return span_of(g, i,
			               1 + rnd_below(&g->seed, s.i + n - i));
		}
	}
	return s;
}

static void do_split(struct game *g)
{
	struct span s = inner_span(g);
	struct span w = widen(g, s);
	bool over = w.i < s.i || w.i + w.n > s.i + s.n;
	uint64_t told;
	uint64_t nr;
	int n;

	mark_in(g, &w);
	told = g->told;
	n = sluice_pt_split(g->pt, s.iova, s.len);

	/* Shared tables that became private are told of as well. */
	CHECK(n >= 0 && (n > 0) == over && (!over || g->told > told));
	CHECK(model_relearn(&g->m, g->pt, w.i, w.n));
	if (g->m.unit[s.i].prot)
		CHECK(model_leaf(&g->m, s.i, &nr) == s.i);
	if (s.i + s.n < UNITS && g->m.unit[s.i + s.n].prot)
		CHECK(model_leaf(&g->m, s.i + s.n, &nr) == s.i + s.n);
	check_marks(g, &w);
	check_walks(g, &w);
}

/* Dirty leaves that are joined make the larger one dirty. */
static void spread_marks(struct game *g, const struct span *s)
{
	uint64_t n;

	for (uint64_t i = s->i; i < s->i + s->n; i += n) {
		uint64_t k;

		n = 1;
		if (!g->m.unit[i].prot)
			continue;
		CHECK(model_leaf(&g->m, i, &n) == i);
		for (k = 0; k < n && !g->m.unit[i + k].dirty; k++)
			;
		for (uint64_t j = 0; k < n && j < n; j++)
			g->m.unit[i + j].dirty = 1;
	}
}

static void promote(struct game *g, struct span s)
{
	struct span w = widen(g, s);

	mark_in(g, &w);
	CHECK(sluice_pt_promote(g->pt, s.iova, s.len) >= 0);
	CHECK(model_relearn(&g->m, g->pt, w.i, w.n));
	spread_marks(g, &w);
	check_marks(g, &w);
	/* Nothing is left to do. */
	CHECK(sluice_pt_promote(g->pt, s.iova, s.len) == 0);
	check_walks(g, &w);
}

/* A leaf is split and made again; some of its pieces are marked between. */
static void do_promote(struct game *g)
{
	struct span s = inner_span(g);
	struct span w = widen(g, s);

	if (rnd_below(&g->seed, 2)) {
		promote(g, random_span(g));
		return;
	}
	CHECK(sluice_pt_split(g->pt, s.iova, s.len) >= 0);
	CHECK(model_relearn(&g->m, g->pt, w.i, w.n));
	promote(g, w);
}

static void do_dirty(struct game *g)
{
	uint64_t got[UNITS / 64 * 4] = {0};
	uint64_t want[UNITS / 64 * 4] = {0};
	struct span s = random_span(g);
	bool clear = rnd(&g->seed) >> 63;
	bool bits = g->m.unit_lg2 <= g->info.granule_lg2 + 2;
	int64_t bytes;

	for (unsigned k = 0; k < 4; k++) {
		uint64_t i = rnd_below(&g->seed, UNITS);
		uint64_t off =
		        rnd(&g->seed) & (((uint64_t)1 << g->m.unit_lg2) - 1);

		CHECK(sluice_pt_set_dirty(g->pt, model_iova(&g->m, i) + off) ==
		      model_set_dirty(&g->m, i));
	}
	bytes = model_dirty(&g->m, s.i, s.n, clear,
	                    bits ? g->info.granule_lg2 : g->m.unit_lg2, want);
	if (bits) {
		CHECK(sluice_pt_dirty_bitmap(g->pt, s.iova, s.len, clear,
		                             got) == bytes);
		CHECK(memcmp(got, want, sizeof(got)) == 0);
	} else {
		CHECK(sluice_pt_dirty(g->pt, s.iova, s.len, clear) == bytes);
	}
}

/* Makes room for a leaf of the next level, and maps it. */
static void do_large(struct game *g)
{
	uint64_t n = 512u << rnd_below(&g->seed, 3);
	uint64_t i = rnd_below(&g->seed, UNITS / n) * n;
	struct span s = span_of(g, i, n);
	struct span w = widen(g, s);
	uint64_t oa = rnd(&g->seed) & g->info.max_oa & ~(s.len - 1);
	uint32_t prot = random_prot(g);

	if (w.n != s.n)
		return;
	CHECK(sluice_pt_detach(g->pt, s.iova, s.len) == 0);
	model_clear(&g->m, s.i, s.n);
	oa += s.iova & (s.len - 1);
	if (oa > g->info.max_oa || s.len - 1 > g->info.max_oa - oa)
		oa = 0;
	CHECK(sluice_pt_map(g->pt, s.iova, oa, s.len, prot) ==
	      model_map(&g->m, s.i, s.n, oa, prot));
	check_walks(g, &s);
}

static void do_detach(struct game *g)
{
	struct span s = random_span(g);
	struct span w = widen(g, s);
	bool over = w.i < s.i || w.i + w.n > s.i + s.n;

	CHECK(sluice_pt_detach(g->pt, s.iova, s.len) == (over ? -ERANGE : 0));
	if (!over)
		model_clear(&g->m, s.i, s.n);
	check_walks(g, &s);
}

void play_step(struct game *g)
{
	uint64_t dice = rnd_below(&g->seed, 256);
	struct span s;

	g->ops++;
	if (dice < 110) {
		do_map(g);
	} else if (dice < 120) {
		do_map_sg(g);
	} else if (dice < 220) {
		do_unmap(g);
	} else if (dice < 230) {
		do_protect(g);
	} else if (dice < 238) {
		do_split(g);
	} else if (dice < 243) {
		do_promote(g);
	} else if (dice < 253) {
		do_dirty(g);
	} else if (dice < 254) {
		do_detach(g);
	} else if (dice < 255) {
		do_large(g);
	} else {
		s = random_span(g);
		CHECK(sluice_pt_reclaim(g->pt, s.iova, s.len) >= 0);
		check_walks(g, &s);
	}
}
