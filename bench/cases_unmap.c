/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B13, 512 pages out of one table, and B14, one page with its share of the
 * invalidation: bursts of 64 unmaps and the polls until the last ticket has
 * passed. Only the unmaps are timed. Plus the pair, map and unmap, as a driver
 * has it.
 */
#include "bench/set.h"

#define BURST 64
#define LARGE (UINT64_C(1) << 21)
#define VA UINT64_C(0x7f0000001000)
#define BASE (UINT64_C(1) << 32)

static double table512_table(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	uint32_t none = 0;
	uint64_t start;
	int64_t bytes = 0;
	double ns;

	rig_check(sluice_pt_map(s->pt, BASE, VA, n * LARGE, SLUICE_RW), "map");
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		bytes += sluice_pt_unmap(s->pt, BASE + i * LARGE, LARGE, NULL,
		                         &none);
	ns = (double)(now_ns() - start) - clock_cost();
	rig_check(bytes == (int64_t)(n * LARGE) ? 0 : -1, "pt_unmap");
	return ns;
}

static double table512_naive(void *ctx, uint64_t n)
{
	struct set *s = ctx;
	uint64_t start;
	int rc = 0;

	rig_check(naive_pages_map(s->pages, BASE, VA, n * 512), "naive map");
	start = now_ns();
	for (uint64_t i = 0; i < n; i++)
		rc |= naive_pages_unmap(s->pages, BASE + i * LARGE, 512);
	rig_check(rc, "naive unmap");
	return (double)(now_ns() - start) - clock_cost();
}

static void map_burst(struct set *s, uint64_t n)
{
	int rc = 0;

	for (uint64_t i = 0; i < n; i++) {
		struct sluice_map_req req = {
		        .va = VA + i * PAGE, .len = PAGE, .prot = SLUICE_RW};

		rc |= sluice_map(s->rig.view, &req, &s->iova[i]);
	}
	rig_check(rc, "map");
}

static void unmap_burst(struct set *s, uint64_t n)
{
	struct sluice_ticket t = {0};
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= sluice_unmap(s->rig.view, s->iova[i], PAGE, i, &t);
	rig_check(rc, "unmap");
	rig_wait(&s->rig, t);
}

static void naive_map_burst(struct set *s, uint64_t n)
{
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= naive_map(s->naive, VA + i * PAGE, PAGE, SLUICE_RW,
		                &s->iova[i]);
	rig_check(rc, "naive map");
}

static void naive_unmap_burst(struct set *s, uint64_t n)
{
	int rc = 0;

	for (uint64_t i = 0; i < n; i++)
		rc |= naive_unmap(s->naive, s->iova[i], PAGE);
	rig_check(rc, "naive unmap");
}

static double page_ours(void *ctx, uint64_t n)
{
	uint64_t start;

	map_burst(ctx, n);
	start = now_ns();
	unmap_burst(ctx, n);
	return (double)(now_ns() - start) - clock_cost();
}

static double page_naive(void *ctx, uint64_t n)
{
	uint64_t start;

	naive_map_burst(ctx, n);
	start = now_ns();
	naive_unmap_burst(ctx, n);
	return (double)(now_ns() - start) - clock_cost();
}

static double pair_ours(void *ctx, uint64_t n)
{
	uint64_t start = now_ns();

	map_burst(ctx, n);
	unmap_burst(ctx, n);
	return (double)(now_ns() - start) - clock_cost();
}

static double pair_naive(void *ctx, uint64_t n)
{
	uint64_t start = now_ns();

	naive_map_burst(ctx, n);
	naive_unmap_burst(ctx, n);
	return (double)(now_ns() - start) - clock_cost();
}

#define CASE(label, n, up, fn)                                                 \
	{                                                                      \
		.name = label, .batch = n, .setup = up, .teardown = set_close, \
		.timed = fn                                                    \
	}

void cases_unmap(void)
{
	static const struct gb_case cases[] = {
	        CASE("B13/sluice", 16, set_table, table512_table),
	        CASE("B13/naive", 16, set_naive, table512_naive),
	        CASE("B14/sluice", BURST, set_ours, page_ours),
	        CASE("B14/naive", BURST, set_naive, page_naive),
	        CASE("pair/sluice", BURST, set_ours, pair_ours),
	        CASE("pair/naive", BURST, set_naive, pair_naive),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
