/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the threads of stress_pt.c do. A lane's handle is a struct sluice_pt of
 * its own around the table that all share: the calls that need no more than
 * their own range may then run side by side. Where tables have to wait the
 * calls of the inside serve, whose callers keep what is unlinked.
 */
#include "stress_lane.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define AREAS 128u
#define OPS 64u /* of a lane in an area */
#define WINDOW ((uint64_t)640)
#define VARIANTS 3u
#define NEAR_LG2 36u

void world_open(struct world *w, const struct shape *shape, bool wait)
{
	struct sluice_pt_info info;
	uint64_t reach;

	*w = (struct world){.shape = shape, .wait = wait};
	if (sluice_pt_create(&shape->cfg, &w->base))
		abort();
	sluice_pt_get_info(w->base, &info);
	reach = sluice_pt_table_reach(w->base);
	w->page = bit64(info.granule_lg2);
	w->sizes = info.leaf_sizes;
	w->fixed_at = 64 * reach;
	w->fixed_len = reach;
}

void world_close(struct world *w)
{
	sluice_pt_destroy(w->base);
}

void lane_open(struct lane *l, struct world *w, unsigned id, uint64_t seed)
{
	*l = (struct lane){
	        .w = w,
	        .id = id,
	        .seed = seed * 64 + id + 1,
	        .pt = {.pt = w->base->pt,
	               .family = w->base->family,
	               .cfg = w->base->cfg},
	};
	for (unsigned i = 0; i < 2; i++)
		pagecache_init(&l->pt.pc[i], w->base->family->pool[i]);
}

void lane_close(struct lane *l)
{
	pt_free_list(l->pt.pt, &l->freed, l->pt.pc);
	for (unsigned i = 0; i < 2 && l->pt.family->pool[i]; i++)
		pagecache_drain(&l->pt.pc[i]);
}

/* Areas lie below other tables of every level, the low ones first. */
static uint64_t area_base(const struct world *w, uint64_t area)
{
	const struct pt *pt = w->base->pt;
	uint64_t at = (area & 3) << 4;
	uint64_t base = at << pt_shift(pt->fmt, &pt->geo, 1);

	for (unsigned level = 2; level < PT_LEVELS_MAX; level++) {
		unsigned shift = pt_shift(pt->fmt, &pt->geo, level);
		uint64_t index =
		        level == 2 ? area >> 2 & 3 : area >> (level + 1) & 1;

		if (shift < 64 && index <= pt->geo.max_iova >> shift)
			base |= index << shift;
	}
	return base;
}

/* Windows are a page apart: a split looks at what follows its range. */
static uint64_t window_at(const struct world *w, uint64_t area, unsigned id)
{
	return area_base(w, area) + (37 + id * (WINDOW + 1)) * w->page;
}

/* Where a lane maps an address to; which of them, a walker cannot know. */
static uint64_t oa_of(const struct world *w, uint64_t iova, unsigned id,
                      unsigned variant)
{
	static const uint64_t off[VARIANTS] = {0, 1, 16};

	return (iova & mask64(NEAR_LG2)) + ((uint64_t)id << 44) +
	       ((uint64_t)(variant + 1) << 40) + off[variant] * w->page;
}

static void is_wrong(struct lane *l, const char *what)
{
	if (!l->wrong)
		l->wrong = what;
}

#define EXPECT(x)                                                              \
	do {                                                                   \
		if (!(x))                                                      \
			is_wrong(l, #x);                                       \
	} while (0)

struct span {
	uint64_t i, n, iova, last;
};

static struct span span_of(const struct lane *l, uint64_t i, uint64_t n)
{
	uint64_t iova = model_iova(&l->m, i);

	return (struct span){i, n, iova, iova + n * l->w->page - 1};
}

static struct span random_span(struct lane *l)
{
	uint64_t dice = rnd_below(&l->seed, 16);
	uint64_t n = 1 + rnd_below(&l->seed, dice ? 40 : WINDOW);

	return span_of(l, rnd_below(&l->seed, WINDOW - n + 1), n);
}

/* To the borders of leaves. */
static struct span widen(const struct lane *l, struct span s)
{
	uint64_t end = s.i + s.n;
	uint64_t n;

	if (l->m.unit[s.i].prot)
		s.i = model_leaf(&l->m, s.i, &n);
	if (l->m.unit[end - 1].prot)
		end = model_leaf(&l->m, end - 1, &n) + n;
	return span_of(l, s.i, end - s.i);
}

static void do_map(struct lane *l)
{
	struct span s = random_span(l);
	unsigned variant = (unsigned)rnd_below(&l->seed, VARIANTS);
	uint64_t oa = oa_of(l->w, s.iova, l->id, variant);
	uint32_t prot = s.n & 3 ? SLUICE_RW : SLUICE_READ;
	int want = model_map(&l->m, s.i, s.n, oa, prot);
	int err = l->w->wait ? pt_map(l->pt.pt, l->pt.pc, s.iova, s.last, oa,
	                              prot, &l->freed)
	                     : sluice_pt_map(&l->pt, s.iova, oa,
	                                     s.last - s.iova + 1, prot);

	EXPECT(err == want);
}

static void do_unmap(struct lane *l, struct span s)
{
	struct sluice_pt_extent want[8];
	struct sluice_pt_extent got[8];
	struct pt_run run[8];
	struct pt_gather g = {.run = run, .max = 8, .merge_heads = true};
	int err = model_whole(&l->m, s.i, s.n);
	uint32_t nr = 8;
	uint64_t units;
	int64_t n;

	if (l->w->wait) {
		n = pt_unmap(l->pt.pt, s.iova, s.last, &g);
		for (uint32_t k = 0; k < g.nr; k++)
			got[k] = (struct sluice_pt_extent){
			        run[k].iova, run[k].oa,
			        run[k].last - run[k].iova + 1, run[k].prot};
		nr = g.nr;
	} else {
		n = sluice_pt_unmap(&l->pt, s.iova, s.last - s.iova + 1, got,
		                    &nr);
	}
	if (err) {
		EXPECT(n == err);
		return;
	}
	EXPECT(nr == model_extents(&l->m, s.i, s.n, want, 8, &units));
	EXPECT(n == (int64_t)(units * l->w->page));
	for (uint32_t k = 0; k < nr && !l->wrong; k++)
		EXPECT(got[k].iova == want[k].iova && got[k].oa == want[k].oa &&
		       got[k].len == want[k].len &&
		       got[k].prot == want[k].prot);
	model_clear(&l->m, s.i, units);
}

static int set_prot(struct lane *l, struct span s, uint32_t prot)
{
	return l->w->wait ? pt_protect(l->pt.pt, s.iova, s.last, prot)
	                  : sluice_pt_protect(&l->pt, s.iova,
	                                      s.last - s.iova + 1, prot);
}

static int64_t promote(struct lane *l, struct span s)
{
	return l->w->wait
	               ? pt_promote(l->pt.pt, s.iova, s.last, &l->freed)
	               : sluice_pt_promote(&l->pt, s.iova, s.last - s.iova + 1);
}

static int split(struct lane *l, struct span s)
{
	return l->w->wait
	               ? pt_split(l->pt.pt, l->pt.pc, s.iova, s.last)
	               : sluice_pt_split(&l->pt, s.iova, s.last - s.iova + 1);
}

static void do_protect(struct lane *l)
{
	struct span s = widen(l, random_span(l));
	uint32_t prot = s.n & 1 ? SLUICE_RW : SLUICE_READ;
	int want = model_whole(&l->m, s.i, s.n);

	EXPECT(set_prot(l, s, prot) == want);
	if (!want)
		model_protect(&l->m, s.i, s.n, prot);
}

static void do_resize(struct lane *l, bool larger)
{
	struct span s = random_span(l);
	struct span w = widen(l, s);

	EXPECT((larger ? promote(l, s) : split(l, s)) >= 0);
	EXPECT(model_relearn(&l->m, &l->pt, w.i, w.n));
}

static void do_reclaim(struct lane *l)
{
	struct span s = span_of(l, 0, WINDOW);

	EXPECT((l->w->wait ? pt_reclaim(l->pt.pt, s.iova, s.last, &l->freed)
	                   : sluice_pt_reclaim(&l->pt, s.iova,
	                                       s.last - s.iova + 1)) >= 0);
}

static void step(struct lane *l)
{
	uint64_t dice = rnd_below(&l->seed, 64);

	l->done++;
	if (dice < 26)
		do_map(l);
	else if (dice < 44)
		do_unmap(l, widen(l, random_span(l)));
	else if (dice < 50)
		do_protect(l);
	else if (dice < 63)
		do_resize(l, dice & 1);
	else
		do_reclaim(l);
}

/* All lanes, and not before: the next area is new to each of them. */
static void meet(struct lane *l, uint64_t area)
{
	uint64_t all = (area + 1) * LANES;

	/* Pairs with itself: what is not mapped any more is not looked for. */
	if (faa_acqrel(&l->w->arrived, 1) == all - 1)
		st_rlx(&l->w->area, area + 1);
	for (unsigned spins = 0; ld_acq(&l->w->arrived) < all; spins++) {
		if (spins % 64 == 63)
			sched_yield();
		cpu_relax();
	}
}

static void check_all(struct lane *l)
{
	EXPECT(model_agrees(&l->m, &l->pt));
	l->done += WINDOW;
}

void *lane_main(void *arg)
{
	struct lane *l = arg;

	for (uint64_t area = 0; area < AREAS; area++) {
		struct sluice_pt_config cfg = l->pt.cfg;
		unsigned lg2 = lg2_floor(l->w->page);

		model_init(&l->m, &cfg, l->w->sizes,
		           window_at(l->w, area, l->id), lg2, WINDOW);
		for (unsigned i = 0; i < OPS && !l->wrong; i++)
			step(l);
		check_all(l);
		for (uint64_t i = 0; i < WINDOW && !l->wrong; i++) {
			struct span s = span_of(l, i, 1);

			if (l->m.unit[i].prot)
				do_unmap(l, widen(l, s));
		}
		check_all(l);
		model_done(&l->m);
		meet(l, area);
	}
	return NULL;
}

/* The range that is always mapped. */
void *lane_fixed(void *arg)
{
	struct lane *l = arg;
	struct world *w = l->w;
	struct span all = {0, 0, w->fixed_at, w->fixed_at + w->fixed_len - 1};
	uint64_t oa = oa_of(w, all.iova, LANES, 0);
	uint64_t most = w->wait ? 3000 : UINT64_MAX;

	EXPECT(sluice_pt_map(&l->pt, all.iova, oa, w->fixed_len, SLUICE_RW) ==
	       0);
	/* Release: walkers may rely on it from here on. */
	st_rel(&w->fixed, 1);
	while (!ld_rlx(&w->stop) && l->done < most && !l->wrong) {
		uint64_t pages = w->fixed_len / w->page;
		uint64_t i = rnd_below(&l->seed, pages);
		struct span s = all;

		s.iova += i * w->page;
		s.last = s.iova + w->page - 1;
		EXPECT(split(l, s) >= 0);
		EXPECT(set_prot(l, s, SLUICE_READ) == 0);
		EXPECT(set_prot(l, s, SLUICE_RW) == 0);
		EXPECT(promote(l, all) >= 0);
		l->done++;
	}
	return NULL;
}

static void look(struct lane *l, uint64_t iova, unsigned id, uint64_t first,
                 uint64_t last, bool must)
{
	struct sluice_pt_extent e;
	int err = sluice_pt_walk(&l->pt, iova, &e);
	bool right = false;

	if (err == -ENOENT && !must)
		return;
	EXPECT(err == 0);
	if (err)
		return;
	for (unsigned v = 0; v < VARIANTS; v++)
		right |= e.oa == oa_of(l->w, e.iova, id, v);
	EXPECT(right);
	EXPECT(e.iova <= iova && iova - e.iova < e.len);
	EXPECT(e.iova >= first && e.iova + e.len - 1 <= last);
	EXPECT(e.prot == SLUICE_RW || e.prot == SLUICE_READ);
}

void *lane_walker(void *arg)
{
	struct lane *l = arg;
	struct world *w = l->w;

	while (!ld_rlx(&w->stop) && !l->wrong) {
		uint64_t area = ld_rlx(&w->area);
		unsigned id = (unsigned)rnd_below(&l->seed, LANES);
		uint64_t first = window_at(w, area % AREAS, id);
		uint64_t off = rnd_below(&l->seed, WINDOW * w->page);
		bool must;

		look(l, first + off, id, first, first + WINDOW * w->page - 1,
		     false);
		/* Pairs with the release in lane_fixed. */
		must = ld_acq(&w->fixed) && !w->base->pt->fmt->bbm;
		off = rnd_below(&l->seed, w->fixed_len);
		look(l, w->fixed_at + off, LANES, w->fixed_at,
		     w->fixed_at + w->fixed_len - 1, must);
		l->done++;
	}
	return NULL;
}
