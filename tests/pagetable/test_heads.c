/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The software bits that the owner of a table has in its leaves: the head mark
 * begins a run whatever happens to the leaf that carries it, and all items of a
 * contiguous entry carry it alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "pagetable/pt_priv.h"
#include "shapes.h"

#define RUNS 8u
#define WORDS 4096u
#define HEAD (SLUICE_RW | PT_SW1)

struct rig {
	struct pagepool *pool[2];
	struct pagecache pc[2];
	struct pt_freed freed;
	struct pt *pt;
	struct pt *again;
	uint64_t page;
};

static void rig_open(struct rig *r, const struct shape *shape)
{
	unsigned lg2[2];

	*r = (struct rig){0};
	assert_int_equal(pt_table_sizes(&shape->cfg, lg2), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pagepool_create(128, lg2[i], &r->pool[i]), 0);
		pagecache_init(&r->pc[i], r->pool[i]);
	}
	assert_int_equal(pt_create(&shape->cfg, r->pc, &r->pt), 0);
	assert_int_equal(pt_create(&shape->cfg, r->pc, &r->again), 0);
	r->page = bit64(r->pt->geo.page_lg2);
}

static void rig_close(struct rig *r)
{
	pt_free_list(r->pt, &r->freed, r->pc);
	pt_destroy(r->pt, r->pc);
	pt_destroy(r->again, r->pc);
	for (unsigned i = 0; i < 2; i++) {
		pagecache_drain(&r->pc[i]);
		assert_int_equal(pagepool_used(r->pool[i]), 0);
		pagepool_destroy(r->pool[i]);
	}
}

struct words {
	struct sluice_pt_word w[WORDS];
	uint64_t nr;
};

static int keep(void *ctx, const struct sluice_pt_word *w)
{
	struct words *ws = ctx;

	assert_in_range(ws->nr, 0, WORDS - 1);
	ws->w[ws->nr++] = *w;
	return 0;
}

/* A load refuses entries whose items differ. */
static void check_alike(struct rig *r)
{
	static struct words ws;

	ws.nr = 0;
	assert_int_equal(pt_dump(r->pt, keep, &ws), 0);
	assert_int_equal(pt_load_words(r->again, r->pc, ws.w, ws.nr), 0);
	pt_empty_root(r->again, &r->freed);
	pt_free_list(r->pt, &r->freed, r->pc);
}

static void map_two(struct rig *r, uint64_t pages)
{
	uint64_t len = pages * r->page;

	for (unsigned k = 0; k < 2; k++)
		assert_int_equal(pt_map(r->pt, r->pc, k * len,
		                        (k + 1) * len - 1, k * len, HEAD,
		                        &r->freed),
		                 0);
}

/* Two runs, each with its head; one where heads do not count. */
static void unmap_two(struct rig *r, uint64_t pages, uint32_t prot, bool merge)
{
	uint64_t len = pages * r->page;
	struct pt_run run[RUNS];
	struct pt_gather g = {.run = run, .max = RUNS, .merge_heads = merge};

	check_alike(r);
	assert_int_equal(pt_unmap(r->pt, 0, 2 * len - 1, &g), 2 * len);
	assert_int_equal(g.nr, merge ? 1 : 2);
	assert_int_equal(run[0].prot, prot);
	assert_int_equal(run[0].last, (merge ? 2 : 1) * len - 1);
	if (merge)
		return;
	assert_int_equal(run[1].iova, len);
	assert_int_equal(run[1].oa, len);
	assert_int_equal(run[1].prot, prot);
}

static void play(struct rig *r, uint64_t pages, bool merge)
{
	uint64_t len = pages * r->page;

	map_two(r, pages);
	unmap_two(r, pages, HEAD, merge);
	/* Pieces of a leaf: the first keeps the mark. */
	map_two(r, pages);
	assert_true(pt_split(r->pt, r->pc, 3 * r->page,
	                     len + 5 * r->page - 1) >= 0);
	unmap_two(r, pages, HEAD, merge);
	/* Joined again: not over a head. */
	map_two(r, pages);
	assert_true(pt_split(r->pt, r->pc, r->page, 2 * len - r->page - 1) >=
	            0);
	assert_true(pt_promote(r->pt, 0, 2 * len - 1, &r->freed) >= 0);
	assert_int_equal(pt_promote(r->pt, 0, 2 * len - 1, &r->freed), 0);
	unmap_two(r, pages, HEAD, merge);
	map_two(r, pages);
	assert_int_equal(pt_protect(r->pt, 0, 2 * len - 1, SLUICE_READ), 0);
	unmap_two(r, pages, SLUICE_READ | PT_SW1, merge);
}

static void test_heads(void **state)
{
	static const uint64_t pages[] = {8, 16, 48, 128, 512};

	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;

		rig_open(&r, &shapes[k]);
		for (unsigned i = 0; i < NR_OF(pages); i++) {
			if (!r.pt->fmt->sw_lg2[1])
				continue;
			play(&r, pages[i], false);
			play(&r, pages[i], true);
		}
		rig_close(&r);
	}
}

/* Where a format has no such bits, a map that wants them is refused. */
static void test_no_room(void **state)
{
	(void)state;
	for (unsigned k = 0; k < nr_shapes; k++) {
		struct rig r;
		int want;

		rig_open(&r, &shapes[k]);
		want = r.pt->fmt->sw_lg2[1] ? 0 : -EINVAL;
		assert_int_equal(
		        pt_map(r.pt, r.pc, 0, r.page - 1, 0, HEAD, &r.freed),
		        want);
		rig_close(&r);
	}
}

/* The calls that no public one makes, on signed addresses. */
static void test_signed_inside(void **state)
{
	static const struct shape shape = {
	        "x86_64-48s",
	        {.format = SLUICE_PT_X86_64, .flags = SLUICE_PT_SIGNED},
	};
	uint64_t top = ~mask64(21); /* the last 2 MiB */
	uint64_t odd = bit64(47);   /* not canonical */
	struct pt_run run[RUNS];
	struct pt_gather g = {.run = run, .max = RUNS};
	struct rig r;

	(void)state;
	rig_open(&r, &shape);
	assert_int_equal(pt_claim(r.pt, r.pc, odd, odd + 4095, 0, HEAD),
	                 -EINVAL);
	assert_int_equal(pt_remove(r.pt, odd, odd + 4095, &g), -EINVAL);
	assert_int_equal(pt_walk(r.pt, odd, &run[0]), -EINVAL);
	assert_int_equal(pt_unshare(r.pt, r.pc, odd, odd, &r.freed), -EINVAL);
	assert_int_equal(pt_unshare_ends(r.pt, r.pc, odd, odd, &r.freed),
	                 -EINVAL);
	assert_int_equal(pt_unshare(r.pt, r.pc, 4096, 0, &r.freed), -EINVAL);
	assert_int_equal(pt_claim(r.pt, r.pc, top, top + 8191, 0x1000, HEAD),
	                 0);
	assert_int_equal(pt_walk(r.pt, top + 4096, &run[0]), 0);
	assert_int_equal(run[0].iova, top + 4096);
	assert_int_equal(run[0].oa, 0x2000);
	assert_int_equal(pt_remove(r.pt, top, top + 8191, &g), 8192);
	assert_int_equal(g.nr, 1);
	assert_int_equal(run[0].iova, top);
	assert_int_equal(run[0].last, top + 8191);
	/* What is not mapped is not removed. */
	assert_int_equal(pt_remove(r.pt, top, top + 8191, NULL), 0);
	rig_close(&r);
}

/* Populate and claim without a page to build with. */
static void test_no_pages(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_AMDV1,
	                               .iova_bits = 64};
	struct pagepool *pool;
	struct pagecache pc;
	struct pt *pt;

	(void)state;
	assert_int_equal(pagepool_create(1, 12, &pool), 0);
	pagecache_init(&pc, pool);
	assert_int_equal(pt_create(&cfg, &pc, &pt), 0);
	/* No table below the root, and no level above it. */
	assert_int_equal(pt_populate(pt, &pc, 0, 4095, 0), -ENOMEM);
	assert_int_equal(pt_populate(pt, &pc, bit64(40), bit64(40) + 4095, 0),
	                 -ENOMEM);
	assert_int_equal(pt_claim(pt, &pc, 0, 4095, 0, HEAD), -ENOMEM);
	assert_int_equal(
	        pt_claim(pt, &pc, bit64(40), bit64(40) + 4095, 0, HEAD),
	        -ENOMEM);
	pt_destroy(pt, &pc);
	pagecache_drain(&pc);
	assert_int_equal(pagepool_used(pool), 0);
	pagepool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_heads),
	        cmocka_unit_test(test_no_room),
	        cmocka_unit_test(test_signed_inside),
	        cmocka_unit_test(test_no_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
