/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which games there are for a format: its shapes, each with its leaf sizes as
 * units, each at three places of the address space.
 */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>

static void told(void *ctx, sluice_iova_t iova, uint64_t len)
{
	struct game *g = ctx;

	g->told++;
	CHECK(len && iova + (len - 1) >= iova);
}

/* Windows at the lower end, across borders of upper tables, and at the end. */
static uint64_t window(const struct game *g, unsigned unit_lg2, unsigned which)
{
	uint64_t len = (uint64_t)UNITS << unit_lg2;
	bool sign = (g->shape->cfg.flags & SLUICE_PT_SIGNED) != 0;

	if (which == 0)
		return 0;
	if (which == 1)
		return g->info.max_iova / 2 + 1 - len / 2;
	return (sign ? UINT64_MAX : g->info.max_iova) - len + 1;
}

/* Leaf sizes by themselves, up to what a window still fits: the page, and
 * those that are not contiguous entries of it. */
static unsigned units_of(const struct shape *shape, unsigned *unit)
{
	struct sluice_pt_config cfg = shape->cfg;
	struct sluice_pt_info info;
	struct sluice_pt *pt;
	unsigned nr = 0;

	cfg.flags |= SLUICE_PT_NO_CONTIG;
	if (sluice_pt_create(&cfg, &pt))
		exit(1);
	sluice_pt_get_info(pt, &info);
	sluice_pt_destroy(pt);
	for (unsigned lg2 = 0; lg2 < 64 && nr < 3; lg2++)
		if (info.leaf_sizes >> lg2 & 1)
			unit[nr++] = lg2;
	return nr;
}

uint64_t play_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

unsigned play_list(int format, struct play_start *ret_list, unsigned max)
{
	unsigned nr = 0;
	unsigned unit[3];

	for (unsigned k = 0; k < nr_shapes; k++) {
		unsigned units = (int)shapes[k].cfg.format == format
		                         ? units_of(&shapes[k], unit)
		                         : 0;

		for (unsigned u = 0; u < 3 * units && nr < max; u++)
			ret_list[nr++] = (struct play_start){
			        &shapes[k], unit[u / 3], u % 3};
	}
	return nr;
}

bool play_open(struct game *g, const struct play_start *at, uint64_t seed)
{
	struct sluice_pt_config cfg = at->shape->cfg;

	*g = (struct game){.shape = at->shape, .seed = seed};
	cfg.invalidate = told;
	cfg.ctx = g;
	CHECK(sluice_pt_create(&cfg, &g->pt) == 0);
	sluice_pt_get_info(g->pt, &g->info);
	if ((g->info.max_iova >> at->unit_lg2) < UNITS ||
	    (g->info.max_oa >> at->unit_lg2) < UNITS) {
		sluice_pt_destroy(g->pt);
		return false;
	}
	model_init(&g->m, &cfg, g->info.leaf_sizes,
	           window(g, at->unit_lg2, at->which), at->unit_lg2, UNITS);
	return true;
}

void play_close(struct game *g)
{
	model_done(&g->m);
	sluice_pt_destroy(g->pt);
}
