/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every call on every shape with each allocation failing in turn: a call that
 * finds no page is -ENOMEM and leaves both tables as the model has them, and
 * the same call succeeds when there is memory again. Pages are kept away by
 * carry_hold(); the heap fails by wrappers that the linker puts in between.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "failing_heap.h"
#include "model.h"
#include "pagetable/pt.h"
#include "shapes.h"

#define PAGES 96u /* tables that a game may have, of the larger size */
#define TRIES 64u

struct side {
	struct sluice_pt *pt;
	struct model m;
};

/* a does something; b has tables for it to share. Half of the units lie below
 * the middle of the address space. */
struct game {
	const struct shape *shape;
	struct sluice_pt_config cfg;
	struct sluice_pt_info info;
	struct side a, b;
	struct carry_hold hold;
	uint64_t nr, page;
	bool can_share, has_large;
	const char *doing;
	unsigned left;
};

static const struct game *playing;

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			give_up(__LINE__, #x);                                 \
	} while (0)

static void give_up(int line, const char *what)
{
	fprintf(stderr,
	        "test_failing.c:%d: %s\n%s, %s with %u allocations: %s\n", line,
	        what, playing->shape->name, playing->doing, playing->left,
	        msg_last());
	exit(1);
}

static uint64_t at(const struct game *g, uint64_t i)
{
	return model_iova(&g->a.m, i);
}

static int map(struct game *g, struct side *s, uint64_t i, uint64_t n,
               uint64_t oa)
{
	int err = sluice_pt_map(s->pt, at(g, i), oa, n * g->page, SLUICE_RW);

	if (!err)
		CHECK(model_map(&s->m, i, n, oa, SLUICE_RW) == 0);
	return err;
}

/* Setups: what both tables hold before the call. */
static void nothing(struct game *g)
{
	(void)g;
}

static void own_leaf(struct game *g)
{
	CHECK(map(g, &g->a, g->nr / 2, g->nr / 2, 0) == 0);
}

/* Pages that do not follow each other, at both ends of each half. */
static void pages_beside(struct game *g)
{
	for (uint64_t k = 0; k < 8; k++) {
		CHECK(map(g, &g->b, k, 1, 3 * k * g->page) == 0);
		CHECK(map(g, &g->b, g->nr / 2 - 8 + k, 1, k * 5 * g->page) ==
		      0);
		CHECK(map(g, &g->b, g->nr / 2 + k, 1, 3 * k * g->page) == 0);
		CHECK(map(g, &g->b, g->nr - 8 + k, 1, k * 5 * g->page) == 0);
	}
}

static void leaf_beside(struct game *g)
{
	for (uint64_t k = 0; k < 8; k++)
		CHECK(map(g, &g->b, g->nr / 2 - 8 + k, 1, k * 5 * g->page) ==
		      0);
	CHECK(map(g, &g->b, g->nr / 2, g->nr / 2, 0) == 0);
}

static int64_t attach(struct game *g)
{
	int err = sluice_pt_attach(g->a.pt, g->b.pt, at(g, 0), g->nr * g->page);

	if (!err)
		memcpy(g->a.m.unit, g->b.m.unit, g->nr * sizeof(struct unit));
	return err;
}

static void shared_pages(struct game *g)
{
	pages_beside(g);
	CHECK(attach(g) == 0);
}

static void shared_leaf(struct game *g)
{
	leaf_beside(g);
	CHECK(attach(g) == 0);
}

/* Both halves: tables on both sides of the border between upper ones. */
static int64_t map_middle(struct game *g)
{
	return map(g, &g->a, g->nr / 2 - 4, 8, 7 * g->page);
}

static int64_t map_all(struct game *g)
{
	return map(g, &g->a, 0, g->nr, 0);
}

static int64_t map_sg(struct game *g)
{
	const struct sluice_pt_seg seg[] = {
	        {5 * g->page, g->nr / 2 * g->page},
	        {0, g->page},
	        {9 * g->page, (g->nr / 2 - 1) * g->page},
	};
	int err = sluice_pt_map_sg(g->a.pt, at(g, 0), seg, 3, SLUICE_READ);
	uint64_t i = 0;

	for (unsigned k = 0; !err && k < 3; k++) {
		uint64_t n = seg[k].len / g->page;

		CHECK(model_map(&g->a.m, i, n, seg[k].oa, SLUICE_READ) == 0);
		i += n;
	}
	return err;
}

/* Into holes of tables that b holds as well. */
static int64_t map_hole(struct game *g)
{
	return map(g, &g->a, g->nr / 2 - 10, 2, 0);
}

static int64_t unmap_some(struct game *g)
{
	struct sluice_pt_extent ext[16];
	uint32_t nr = 16;
	uint64_t len = 8 * g->page;
	int64_t n =
	        sluice_pt_unmap(g->a.pt, at(g, g->nr / 2 - 4), len, ext, &nr);

	if (n == -ENOMEM)
		return n;
	CHECK((uint64_t)n == len && nr == 8);
	model_clear(&g->a.m, g->nr / 2 - 4, 8);
	return 0;
}

static int64_t protect_some(struct game *g)
{
	uint64_t i = g->nr / 2 - 4;
	uint64_t n = g->nr - i;
	int err =
	        sluice_pt_protect(g->a.pt, at(g, i), n * g->page, SLUICE_READ);

	if (!err)
		model_protect(&g->a.m, i, n, SLUICE_READ);
	return err;
}

/* What was split may stay so. */
static int64_t split_some(struct game *g)
{
	uint64_t i = g->nr / 2 + 1;
	int n = sluice_pt_split(g->a.pt, at(g, i), 2 * g->page);
	uint64_t units;

	CHECK(n > 0 || n == -ENOMEM || !g->has_large);
	CHECK(model_relearn(&g->a.m, g->a.pt, g->nr / 2, g->nr / 2));
	if (n < 0)
		return n;
	CHECK(model_leaf(&g->a.m, i, &units) == i);
	CHECK(model_leaf(&g->a.m, i + 2, &units) == i + 2);
	return 0;
}

static int64_t detach_some(struct game *g)
{
	int err = sluice_pt_detach(g->a.pt, at(g, 4), (g->nr - 8) * g->page);

	if (!err)
		model_clear(&g->a.m, 4, g->nr - 8);
	return err;
}

static int64_t mark(struct game *g)
{
	int err = sluice_pt_set_dirty(g->a.pt, at(g, g->nr / 2));

	if (err == -ENOMEM)
		return err;
	CHECK(err == model_set_dirty(&g->a.m, g->nr / 2));
	return 0;
}

static void shared_marks(struct game *g)
{
	leaf_beside(g);
	CHECK(sluice_pt_set_dirty(g->b.pt, at(g, g->nr / 2)) ==
	      model_set_dirty(&g->b.m, g->nr / 2));
	CHECK(attach(g) == 0);
}

static int64_t harvest(struct game *g)
{
	uint64_t *got = calloc(g->nr / 64 + 1, sizeof(*got));
	uint64_t *want = calloc(g->nr / 64 + 1, sizeof(*want));
	int64_t n;

	CHECK(got && want);
	n = sluice_pt_dirty_bitmap(g->a.pt, at(g, 0), g->nr * g->page, 1, got);
	if (n != -ENOMEM) {
		CHECK(n == model_dirty(&g->a.m, 0, g->nr, true,
		                       g->info.granule_lg2, want));
		CHECK(memcmp(got, want, g->nr / 64 * sizeof(*got)) == 0);
		n = 0;
	}
	free(got);
	free(want);
	return n;
}

static int64_t load(struct game *g)
{
	unsigned left = heap_left;
	const struct carry_words *ws;
	int err;

	heap_left = HEAP_OK;
	ws = carry_dump(g->b.pt);
	heap_left = left;
	err = sluice_pt_load(g->a.pt, ws->word, ws->nr);
	if (!err)
		memcpy(g->a.m.unit, g->b.m.unit, g->nr * sizeof(struct unit));
	return err;
}

/* An image tells no levels: the table must have as many. */
static void image_beside(struct game *g)
{
	pages_beside(g);
	CHECK(map(g, &g->a, g->nr - 1, 1, 0) == 0);
	CHECK(sluice_pt_detach(g->a.pt, at(g, 0), g->nr * g->page) == 0);
	CHECK(sluice_pt_reclaim(g->a.pt, at(g, 0), g->nr * g->page) >= 0);
	model_clear(&g->a.m, 0, g->nr);
}

/* Beside a and b, and gone again. */
static int64_t third(struct game *g)
{
	struct sluice_pt *pt;
	int err = sluice_pt_create_beside(g->a.pt, NULL, &pt);

	if (!err)
		sluice_pt_destroy(pt);
	return err;
}

static int64_t other(struct game *g)
{
	struct sluice_pt *pt;
	int err = sluice_pt_create(&g->cfg, &pt);

	if (!err)
		sluice_pt_destroy(pt);
	return err;
}

static int none(void *ctx, const struct sluice_pt_word *w)
{
	(void)ctx;
	(void)w;
	return 0;
}

static int64_t dump(struct game *g)
{
	return sluice_pt_dump(g->b.pt, none, NULL);
}

static int64_t image(struct game *g)
{
	int64_t n = sluice_pt_image(g->b.pt, 0, NULL, 0);
	unsigned left = heap_left;
	void *buf;

	heap_left = HEAP_OK;
	buf = malloc(n > 0 ? (size_t)n : 1);
	CHECK(buf);
	heap_left = left;
	if (n > 0)
		n = sluice_pt_image(g->b.pt, 0, buf, (uint64_t)n);
	free(buf);
	return n > 0 ? 0 : n;
}

static int64_t load_image(struct game *g)
{
	uint64_t base = 2 * g->info.root_bytes;
	unsigned left = heap_left;
	uint8_t *buf;
	int64_t n;
	int err;

	heap_left = HEAP_OK;
	n = sluice_pt_image(g->b.pt, base, NULL, 0);
	buf = malloc((size_t)n);
	CHECK(buf && sluice_pt_image(g->b.pt, base, buf, (uint64_t)n) == n);
	heap_left = left;
	err = sluice_pt_load_image(g->a.pt, base, buf, (uint64_t)n, base);
	if (!err)
		memcpy(g->a.m.unit, g->b.m.unit, g->nr * sizeof(struct unit));
	free(buf);
	return err;
}

struct act {
	const char *name;
	void (*before)(struct game *g);
	int64_t (*run)(struct game *g);
	bool shares;
	/* Tables of so many levels and more cannot do without a page. */
	unsigned needs;
};

static const struct act acts[] = {
        {"map", nothing, map_middle, false, 2},
        {"map of all", nothing, map_all, false, 3},
        {"map_sg", nothing, map_sg, false, 2},
        {"split", own_leaf, split_some, false, 6},
        {"attach", leaf_beside, attach, true, 3},
        {"map beside shared pages", shared_pages, map_hole, true, 2},
        {"unmap of shared pages", shared_pages, unmap_some, true, 2},
        {"protect of shared leaves", shared_leaf, protect_some, true, 2},
        {"split of a shared leaf", shared_leaf, split_some, true, 2},
        {"detach of shared pages", shared_pages, detach_some, true, 2},
        {"set_dirty of a shared leaf", shared_leaf, mark, true, 6},
        {"dirty of shared leaves", shared_marks, harvest, true, 6},
        {"load", leaf_beside, load, false, 2},
        {"load_image", image_beside, load_image, false, 2},
        {"create_beside", nothing, third, false, 1},
};

static const struct act heap_acts[] = {
        {"create", nothing, other, false, 1},
        {"create_beside", nothing, third, false, 1},
        {"dump", pages_beside, dump, false, 1},
        {"image", pages_beside, image, false, 1},
        {"load", pages_beside, load, false, 1},
        {"load_image", image_beside, load_image, false, 1},
};

/* Two tables of level 0 and what is above them, one of each side. */
static void open_game(struct game *g, const struct shape *shape)
{
	unsigned lg2[2];
	uint64_t base;

	*g = (struct game){.shape = shape, .cfg = shape->cfg, .doing = "open"};
	playing = g;
	CHECK(pt_table_sizes(&g->cfg, lg2) == 0);
	g->cfg.max_bytes = (uint64_t)PAGES << lg2[0];
	CHECK(sluice_pt_create(&g->cfg, &g->a.pt) == 0);
	CHECK(sluice_pt_create_beside(g->a.pt, NULL, &g->b.pt) == 0);
	sluice_pt_get_info(g->a.pt, &g->info);
	g->page = (uint64_t)1 << g->info.granule_lg2;
	g->nr = 2 * sluice_pt_table_reach(g->a.pt) / g->page;
	if (g->info.levels == 1)
		g->nr = 1024;
	g->can_share = g->cfg.format != SLUICE_PT_TCE &&
	               g->cfg.format != SLUICE_PT_S390;
	g->has_large = (g->info.leaf_sizes & (g->info.leaf_sizes - 1)) != 0;
	base = g->info.max_iova / 2 + 1 - g->nr / 2 * g->page;
	model_init(&g->a.m, &g->cfg, g->info.leaf_sizes, base,
	           g->info.granule_lg2, g->nr);
	model_init(&g->b.m, &g->cfg, g->info.leaf_sizes, base,
	           g->info.granule_lg2, g->nr);
}

static void check(const struct game *g)
{
	CHECK(model_agrees(&g->a.m, g->a.pt));
	CHECK(model_agrees(&g->b.m, g->b.pt));
}

static void close_game(struct game *g)
{
	const char *wrong;

	sluice_pt_destroy(g->b.pt);
	wrong = carry_nothing(g->a.pt);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	CHECK(!wrong);
	sluice_pt_destroy(g->a.pt);
	model_done(&g->a.m);
	model_done(&g->b.m);
}

/* Returns how often the act has failed before it succeeded. */
static unsigned play(const struct shape *shape, const struct act *act,
                     bool heap)
{
	unsigned failed = 0;
	int64_t n = -ENOMEM;

	while (n) {
		struct game g;

		open_game(&g, shape);
		if (act->shares && !g.can_share) {
			close_game(&g);
			return 0;
		}
		g.doing = act->name;
		g.left = failed;
		act->before(&g);
		if (heap)
			heap_left = failed;
		else
			carry_hold(&g.hold, g.a.pt, g.b.pt, failed);
		n = act->run(&g);
		heap_left = HEAP_OK;
		CHECK(n == 0 || n == -ENOMEM);
		check(&g);
		carry_release(&g.hold, g.a.pt);
		if (n) {
			CHECK(++failed < TRIES);
			CHECK(act->run(&g) == 0);
			check(&g);
		}
		CHECK(n || failed || g.info.levels < act->needs);
		close_game(&g);
	}
	return failed;
}

int main(void)
{
	unsigned failed = 0;

	for (unsigned k = 0; k < nr_shapes; k++) {
		for (unsigned n = 0; n < sizeof(acts) / sizeof(acts[0]); n++)
			failed += play(&shapes[k], &acts[n], false);
		for (unsigned n = 0;
		     n < sizeof(heap_acts) / sizeof(heap_acts[0]); n++)
			failed += play(&shapes[k], &heap_acts[n], true);
	}
	printf("%u calls failed for memory on %u shapes\n", failed, nr_shapes);
	return failed ? 0 : 1;
}
