/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B9 to B11: mapping one page, 512 pages in one table, one large leaf; through
 * the engine (IOVA included) and on a bare table. Only the maps are timed;
 * what undoes them is not.
 */
#include "bench/set.h"

#define BURST 256
#define LARGE (UINT64_C(1) << 21)
#define VA UINT64_C(0x7f0000001000)       /* 4 KiB leaves only */
#define VA_LARGE UINT64_C(0x7f0000000000) /* aligned for a 2 MiB leaf */
#define BASE (UINT64_C(1) << 32)

/* nr maps of len each, timed; then unmapped. */
static double ours_maps(struct set *s, uint64_t nr, uint64_t va, uint64_t len,
                        uint32_t align)
{
	struct sluice_view *view = s->rig.view;
	struct sluice_ticket t = {0};
	uint64_t start = now_ns();
	double ns;
	int rc = 0;

	for (uint64_t i = 0; i < nr; i++) {
		struct sluice_map_req req = {.va = va + i * len,
		                             .len = len,
		                             .prot = SLUICE_RW,
		                             .align_lg2 = align};

		rc |= sluice_map(view, &req, &s->iova[i]);
	}
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "map");
	for (uint64_t i = 0; i < nr; i++)
		rig_check(sluice_unmap(view, s->iova[i], len, 0, &t), "unmap");
	rig_settle(&s->rig);
	return ns;
}

static double page_ours(void *ctx, uint64_t n)
{
	return ours_maps(ctx, n, VA, PAGE, 0);
}

static double table512_ours(void *ctx, uint64_t n)
{
	return ours_maps(ctx, n, VA, LARGE, 21);
}

static double large_ours(void *ctx, uint64_t n)
{
	return ours_maps(ctx, n, VA_LARGE, LARGE, 21);
}

/* The same on a bare table; step is the distance of the maps. */
static double pt_maps(struct set *s, uint64_t nr, uint64_t oa, uint64_t len)
{
	uint64_t start = now_ns();
	uint32_t none = 0;
	double ns;
	int rc = 0;

	for (uint64_t i = 0; i < nr; i++)
		rc |= sluice_pt_map(s->pt, BASE + i * len, oa + i * len, len,
		                    SLUICE_RW);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "pt_map");
	rig_check(sluice_pt_unmap(s->pt, BASE, nr * len, NULL, &none) < 0 ? -1
	                                                                  : 0,
	          "pt_unmap");
	return ns;
}

static double page_table(void *ctx, uint64_t n)
{
	return pt_maps(ctx, n, VA, PAGE);
}

static double table512_table(void *ctx, uint64_t n)
{
	return pt_maps(ctx, n, VA, LARGE);
}

static double large_table(void *ctx, uint64_t n)
{
	return pt_maps(ctx, n, VA_LARGE, LARGE);
}

static double naive_maps(struct set *s, uint64_t nr, uint64_t len)
{
	uint64_t start = now_ns();
	double ns;
	int rc = 0;

	for (uint64_t i = 0; i < nr; i++)
		rc |= naive_map(s->naive, VA + i * len, len, SLUICE_RW,
		                &s->iova[i]);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "naive map");
	for (uint64_t i = 0; i < nr; i++)
		rig_check(naive_unmap(s->naive, s->iova[i], len), "naive");
	return ns;
}

static double page_naive(void *ctx, uint64_t n)
{
	return naive_maps(ctx, n, PAGE);
}

static double large_naive(void *ctx, uint64_t n)
{
	return naive_maps(ctx, n, LARGE);
}

/* A hash of pages: what has to be written for 512 single pages. */
static double table512_naive(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	uint64_t start = now_ns();
	double ns;
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= naive_pages_map(s->pages, BASE + i * LARGE,
		                      VA + i * LARGE, 512);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(rc, "naive map");
	for (uint64_t i = 0; i < n; i++)
		rig_check(naive_pages_unmap(s->pages, BASE + i * LARGE, 512),
		          "naive unmap");
	return ns;
}

#define CASE(label, n, up, fn)                                                 \
	{                                                                      \
		.name = label, .batch = n, .setup = up, .teardown = set_close, \
		.timed = fn                                                    \
	}

void cases_map(void)
{
	static const struct gb_case cases[] = {
	        CASE("B9/sluice", BURST, set_ours, page_ours),
	        CASE("B9/table", BURST, set_table, page_table),
	        CASE("B9/naive", BURST, set_naive, page_naive),
	        CASE("B10/sluice", 16, set_ours, table512_ours),
	        CASE("B10/table", 16, set_table, table512_table),
	        CASE("B10/naive", 16, set_naive, table512_naive),
	        CASE("B11/sluice", 64, set_ours, large_ours),
	        CASE("B11/table", 64, set_table, large_table),
	        CASE("B11/naive", 64, set_naive, large_naive),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
