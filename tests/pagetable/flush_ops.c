/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations of the play of test_flush.c. Where the outcome is known
 * beforehand the model has it before the call: looks that are taken meanwhile
 * compare with what was and what will be.
 */
#include "flush_game.h"

#include <errno.h>
#include <string.h>

struct span {
	uint64_t i, n;
	uint64_t iova, len;
};

static struct span span_of(const struct game *g, uint64_t i, uint64_t n)
{
	return (struct span){i, n, model_iova(&g->m[0], i),
	                     n << g->m[0].unit_lg2};
}

static struct span random_span(struct game *g)
{
	uint64_t dice = rnd_below(&g->seed, 256);
	uint64_t n = 1 + rnd_below(&g->seed, 8);
	uint64_t i;

	if (dice < 4)
		n = 1 + rnd_below(&g->seed, UNITS);
	else if (dice < 60)
		n = 1 + rnd_below(&g->seed, 64);
	else if (dice < 100)
		n = UNITS >> (1 + (dice & 2));
	i = rnd_below(&g->seed, UNITS - n + 1);
	/* What fills a table or half of it, for larger leaves. */
	if (n >= UNITS / 8)
		i &= ~(n - 1);
	if (dice & 1)
		i &= ~((uint64_t)1 << rnd_below(&g->seed, 10)) + 1;
	return span_of(g, i, n);
}

static uint32_t random_prot(struct game *g)
{
	static const uint32_t some[] = {SLUICE_RW, SLUICE_RW, SLUICE_READ,
	                                SLUICE_WRITE};
	uint32_t prot = some[rnd_below(&g->seed, 4)];

	return g->m[0].write_only || prot != SLUICE_WRITE ? prot : SLUICE_RW;
}

/* Often where neighbours go on, else congruent as far as a random power of two;
 * inside range. */
static uint64_t random_oa(struct game *g, uint64_t iova, uint64_t len)
{
	unsigned unit = g->m[0].unit_lg2;
	uint64_t mask = mask64(unit + (unsigned)rnd_below(&g->seed, 12));
	uint64_t oa = rnd(&g->seed) & g->info.max_oa;

	if (oa & 0x300)
		oa = iova - g->m[0].base;
	else
		oa = align_down((oa & ~mask) | (iova & mask), unit);
	if (oa > g->info.max_oa || len - 1 > g->info.max_oa - oa)
		oa = align_down(g->info.max_oa - len + 1, unit);
	return oa;
}

static void do_map(struct game *g, unsigned t, struct span s, uint64_t oa)
{
	uint32_t prot = g->stage ? SLUICE_RW : random_prot(g);
	int want = model_map(&g->m[t], s.i, s.n, oa, prot);

	g->doing = "map";
	CHECK(sluice_pt_map(g->pt[t], s.iova, oa, s.len, prot) == want);
}

static void do_map_sg(struct game *g, unsigned t)
{
	struct span s = random_span(g);
	uint64_t half = 1 + rnd_below(&g->seed, s.n);
	uint32_t prot = random_prot(g);
	struct sluice_pt_seg seg[2];
	uint32_t nr = half == s.n ? 1 : 2;
	int want = 0;

	g->doing = "map_sg";
	for (uint64_t k = s.i; k < s.i + s.n; k++)
		if (g->m[t].unit[k].prot)
			want = -EEXIST;
	seg[0].len = half << g->m[t].unit_lg2;
	seg[1].len = s.len - seg[0].len;
	for (uint32_t k = 0; k < nr; k++)
		seg[k].oa = random_oa(g, s.iova, s.len);
	/* Two that continue each other would be one. */
	if (nr == 2 && seg[1].oa == seg[0].oa + seg[0].len)
		seg[1].oa = seg[0].oa;
	if (want == 0) {
		model_map(&g->m[t], s.i, half, seg[0].oa, prot);
		model_map(&g->m[t], s.i + half, s.n - half, seg[1].oa, prot);
	}
	CHECK(sluice_pt_map_sg(g->pt[t], s.iova, seg, nr, prot) == want);
}

static void do_claim(struct game *g, unsigned t)
{
	struct span s = random_span(g);
	uint64_t oa = random_oa(g, s.iova, s.len);
	uint32_t prot = random_prot(g);
	struct sluice_pt *pt = g->pt[t];
	int want = model_map(&g->m[t], s.i, s.n, oa, prot);
	int err;

	g->doing = "claim";
	/* One that is refused takes back what it had put there. */
	if (want)
		g->looks = 0;
	err = pt_claim(pt->pt, pt->pc, s.iova, s.iova + s.len - 1, oa, prot);
	/* Shared tables are the caller's to make private. */
	if (err == -EBUSY)
		memcpy(g->m[t].unit, g->old[t], UNITS * sizeof(*g->old[t]));
	else
		CHECK(err == want);
	if (!err)
		CHECK(model_relearn(&g->m[t], pt, s.i, s.n));
}

/* Whole leaves, if something is mapped near. */
static struct span mapped_span(struct game *g, unsigned t)
{
	const struct model *m = &g->m[t];
	struct span s = random_span(g);
	uint64_t end;
	uint64_t n;

	for (unsigned k = 0; k < 16 && !m->unit[s.i].prot; k++)
		s = random_span(g);
	if (!m->unit[s.i].prot || rnd_below(&g->seed, 8) == 0)
		return s;
	s.i = model_leaf(m, s.i, &n);
	end = s.i + s.n;
	for (s.n = 0; s.n == 0 || (s.i + s.n < end && m->unit[s.i + s.n].prot);
	     s.n += n)
		model_leaf(m, s.i + s.n, &n);
	return span_of(g, s.i, s.n);
}

static void do_unmap(struct game *g, unsigned t)
{
	struct span s = mapped_span(g, t);
	int err = model_whole(&g->m[t], s.i, s.n);
	struct sluice_pt_extent ext[80];
	uint32_t nr = NR_OF(ext);
	uint64_t units;
	int64_t n;

	g->doing = "unmap";
	model_extents(&g->m[t], s.i, s.n, ext, nr, &units);
	if (!err)
		model_clear(&g->m[t], s.i, units);
	n = sluice_pt_unmap(g->pt[t], s.iova, units << g->m[t].unit_lg2,
	                    s.n & 1 ? ext : NULL, s.n & 1 ? &nr : NULL);
	CHECK(n == (err ? err : (int64_t)(units << g->m[t].unit_lg2)));
}

static void do_protect(struct game *g, unsigned t)
{
	struct span s = mapped_span(g, t);
	uint32_t prot = random_prot(g);
	int want = model_whole(&g->m[t], s.i, s.n);

	g->doing = "protect";
	if (!want)
		model_protect(&g->m[t], s.i, s.n, prot);
	CHECK(sluice_pt_protect(g->pt[t], s.iova, s.len, prot) == want);
}

static struct span widen(const struct game *g, unsigned t, struct span s)
{
	const struct model *m = &g->m[t];
	uint64_t end = s.i + s.n;
	uint64_t n;

	if (m->unit[s.i].prot)
		s.i = model_leaf(m, s.i, &n);
	if (m->unit[end - 1].prot)
		end = model_leaf(m, end - 1, &n) + n;
	return span_of(g, s.i, end - s.i);
}

/* Larger or smaller leaves; joined leaves are dirty when one was. */
static void do_resize(struct game *g, unsigned t, struct span s, bool larger)
{
	struct span w = widen(g, t, s);
	struct model *m = &g->m[t];
	uint64_t n;

	g->doing = larger ? "promote" : "split";
	if (larger)
		CHECK(sluice_pt_promote(g->pt[t], s.iova, s.len) >= 0);
	else
		CHECK(sluice_pt_split(g->pt[t], s.iova, s.len) >= 0);
	CHECK(model_relearn(m, g->pt[t], w.i, w.n));
	for (uint64_t i = w.i; i < w.i + w.n; i += n) {
		bool dirty = false;

		n = 1;
		if (!m->unit[i].prot)
			continue;
		CHECK(model_leaf(m, i, &n) == i);
		for (uint64_t k = 0; k < n; k++)
			dirty |= m->unit[i + k].dirty;
		for (uint64_t k = 0; k < n; k++)
			m->unit[i + k].dirty = dirty;
	}
}

/* A walker's mark is in memory at once. */
static void mark(struct game *g, unsigned t, uint64_t i)
{
	const struct pt *pt = g->pt[t]->pt;
	uint64_t iova = model_iova(&g->m[t], i);
	struct pt_path p;

	CHECK(sluice_pt_set_dirty(g->pt[t], iova) ==
	      model_set_dirty(&g->m[t], i));
	CHECK(pt_fold(pt, &iova, &(uint64_t){iova}));
	pt_path_start(pt, &p, iova);
	if (!pt_in_reach(pt->fmt, &pt->geo, iova, p.top))
		return;
	pt_path_look(pt->fmt, &pt->geo, &p);
	shadow_take((const void *)pt_path_slot(pt->fmt, &pt->geo, &p));
}

static void do_dirty(struct game *g, unsigned t)
{
	uint64_t bits[UNITS / 64] = {0};
	struct span s = random_span(g);
	int64_t want;

	g->doing = "dirty";
	for (unsigned k = 0; k < 3; k++)
		mark(g, t, rnd_below(&g->seed, UNITS));
	want = model_dirty(&g->m[t], s.i, s.n, true, g->m[t].unit_lg2, bits);
	CHECK(sluice_pt_dirty(g->pt[t], s.iova, s.len, 1) == want);
}

static void do_drop(struct game *g, unsigned t, struct span s)
{
	struct span w = widen(g, t, s);
	bool over = w.i < s.i || w.i + w.n > s.i + s.n;

	g->doing = "detach";
	if (!over)
		model_clear(&g->m[t], s.i, s.n);
	CHECK(sluice_pt_detach(g->pt[t], s.iova, s.len) ==
	      (over ? -ERANGE : 0));
	CHECK(sluice_pt_reclaim(g->pt[t], s.iova, s.len) >= 0);
}

/* A range of whole tables, as the other table maps it. */
static void do_attach(struct game *g, unsigned t)
{
	uint64_t reach = sluice_pt_table_reach(g->pt[t]) >> g->m[t].unit_lg2;
	struct span s = random_span(g);
	struct span w;
	bool taken = false;
	int want = 0;

	if (reach > UNITS)
		return;
	if (reach > 1) {
		s.i = s.i / reach * reach;
		s = span_of(g, s.i, reach * (s.i || s.n < 9 ? 1 : 2));
	}
	g->doing = "attach";
	w = widen(g, !t, s);
	for (uint64_t k = s.i; k < s.i + s.n; k++)
		taken |= g->m[t].unit[k].prot != 0;
	if (w.i < s.i || w.i + w.n > s.i + s.n)
		want = -ERANGE;
	else if (taken)
		want = -EEXIST;
	else
		memcpy(&g->m[t].unit[s.i], &g->m[!t].unit[s.i],
		       s.n * sizeof(struct unit));
	CHECK(sluice_pt_attach(g->pt[t], g->pt[!t], s.iova, s.len) == want);
}

/* Half of the window emptied, filled with what continues each other in small
 * pieces, and joined. */
static void fill_step(struct game *g)
{
	struct span s = span_of(g, g->half * UNITS / 2, UNITS / 2);
	struct span a = span_of(g, s.i, 3);
	struct span b = span_of(g, s.i + 3, UNITS / 2 - 3);
	uint64_t oa = s.iova - g->m[0].base;

	switch (g->stage) {
	case 4:
		do_drop(g, g->filled, s);
		break;
	case 3:
		do_map(g, g->filled, a, oa);
		break;
	case 2:
		do_map(g, g->filled, b, oa + a.len);
		break;
	default:
		do_resize(g, g->filled, s, true);
		break;
	}
	g->stage--;
}

void random_op(struct game *g, unsigned t)
{
	uint64_t dice = rnd_below(&g->seed, 128);
	struct span s = random_span(g);

	if (g->stage == 0 && dice == 127) {
		g->stage = 4;
		g->filled = t;
		g->half = s.i & 1;
	}
	if (g->stage)
		fill_step(g);
	else if (dice < 40)
		do_map(g, t, s, random_oa(g, s.iova, s.len));
	else if (dice < 48)
		do_map_sg(g, t);
	else if (dice < 54)
		do_claim(g, t);
	else if (dice < 86)
		do_unmap(g, t);
	else if (dice < 94)
		do_protect(g, t);
	else if (dice < 106)
		do_resize(g, t, s, dice & 1);
	else if (dice < 114)
		do_dirty(g, t);
	else if (dice < 120)
		do_attach(g, t);
	else
		do_drop(g, t, s);
}
