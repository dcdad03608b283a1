/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a reader remembers of the way down, for every shape: it says what the
 * walk says or nothing; its map and unmap leave what the others' would.
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

#define SLOTS 16u
#define PAGE ((uint64_t)SLUICE_PAGE_SIZE)
#define BLOCK (1ull << PT_NEAR_LG2)
#define BASE (4 * BLOCK)
#define OA 0x10000000u
#define RW SLUICE_RW

struct rig {
	struct pagepool *pool[2];
	struct pagecache pc[2];
	struct pt_freed freed;
	struct pt *pt;
	struct pt_near near;
};

static void rig_open(struct rig *r, const struct sluice_pt_config *cfg)
{
	unsigned lg2[2];

	*r = (struct rig){0};
	assert_int_equal(pt_table_sizes(cfg, lg2), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pagepool_create(128, lg2[i], &r->pool[i]), 0);
		pagecache_init(&r->pc[i], r->pool[i]);
	}
	assert_int_equal(pt_create(cfg, r->pc, &r->pt), 0);
	assert_int_equal(pt_near_create(r->pt, SLOTS, &r->near), 0);
}

static void rig_close(struct rig *r)
{
	pt_near_destroy(&r->near);
	pt_free_list(r->pt, &r->freed, r->pc);
	pt_destroy(r->pt, r->pc);
	for (unsigned i = 0; i < 2; i++) {
		pagecache_drain(&r->pc[i]);
		pagepool_destroy(r->pool[i]);
	}
}

/* Does the format have a permission? */
static bool can_map(const struct rig *r, uint32_t prot)
{
	return pt_prot_ok(r->pt->fmt, prot);
}

/* True: a word was found. It says what the walk says, for each access. */
static bool agrees(struct rig *r, uint64_t iova)
{
	struct pt_run run = {0};
	bool found = false;
	int err = pt_walk(r->pt, iova, &run);

	for (uint32_t access = 1; access < 4; access++) {
		uint64_t w;

		if (!pt_near_find(&r->near, iova, access, &w))
			continue;
		found = true;
		assert_int_equal(err, 0);
		assert_int_equal(access & ~run.prot, 0);
		assert_int_equal(pt_near_oa(&r->near, w),
		                 (run.oa + (iova - run.iova)) & ~(PAGE - 1));
		/* Sure of what it says; a walker's own marks may be in its
		 * way. */
		assert_int_equal(pt_near_prot(&r->near, w) & ~run.prot, 0);
		if (!r->pt->geo.dirty_on)
			assert_int_equal(pt_near_prot(&r->near, w),
			                 run.prot & RW);
	}
	return found;
}

static bool walk_near(struct rig *r, uint64_t iova, struct pt_run *run)
{
	struct pt_run other = {0};
	int err = pt_walk(r->pt, iova, &other);

	assert_int_equal(pt_walk_near(r->pt, &r->near, iova, run), err);
	assert_true(err || (run->iova == other.iova && run->oa == other.oa));
	return err == 0;
}

/* Pages of all permissions, and holes between them. */
static void play(struct rig *r, bool *ret_any)
{
	struct pt_run run;

	for (uint64_t i = 0; i < 1024; i++) {
		uint64_t iova = BASE + i * PAGE;
		uint32_t prot = 1 + (uint32_t)i % 4;

		if (prot == 4 || !can_map(r, prot))
			continue;
		assert_int_equal(pt_map(r->pt, r->pc, iova, iova + PAGE - 1,
		                        OA + i * 3 * PAGE, prot, &r->freed),
		                 0);
	}
	for (uint64_t i = 0; i < 1024; i++) {
		uint64_t iova = BASE + i * 37 % 1024 * PAGE + i;
		bool mapped;

		agrees(r, iova);
		mapped = walk_near(r, iova, &run);
		if (agrees(r, iova))
			*ret_any = true;
		else
			assert_true(!mapped || !*ret_any);
	}
	/* Beyond what is remembered, and what a table has. */
	assert_false(agrees(r, 0));
	assert_false(agrees(r, UINT64_MAX));
	pt_near_drop(&r->near);
	for (uint64_t i = 0; i < 1024; i++)
		assert_false(agrees(r, BASE + i * PAGE));
}

static void test_shapes(void **state)
{
	unsigned any = 0;

	(void)state;
	for (unsigned i = 0; i < nr_shapes; i++) {
		bool found = false;
		struct rig r;

		if (shapes[i].cfg.granule_lg2 > 12 ||
		    (shapes[i].cfg.iova_bits && shapes[i].cfg.iova_bits < 30))
			continue;
		rig_open(&r, &shapes[i].cfg);
		if (r.pt->geo.max_iova > BASE + 2 * BLOCK &&
		    pt_page_mask(r.pt->fmt, &r.pt->geo) == PAGE - 1)
			play(&r, &found);
		any += found;
		rig_close(&r);
	}
	assert_true(any >= 8);
}

/* One page, by the ways that are made for it alone. */
static bool map_page(struct rig *r, uint64_t iova, uint64_t oa, uint32_t prot)
{
	return prot < 4 && pt_near_map_page(&r->near, iova, oa, prot);
}

static bool map_one(struct rig *r, uint64_t iova, uint64_t oa, uint32_t prot)
{
	return pt_near_map(&r->near, iova, oa, 1, prot);
}

static bool unmap_page(struct rig *r, uint64_t iova)
{
	return pt_near_unmap_page(&r->near, iova);
}

static bool unmap_one(struct rig *r, uint64_t iova)
{
	return pt_near_unmap(&r->near, iova, 1);
}

static const struct way {
	bool (*map)(struct rig *r, uint64_t iova, uint64_t oa, uint32_t prot);
	bool (*unmap)(struct rig *r, uint64_t iova);
} ways[] = {{map_one, unmap_one}, {map_page, unmap_page}};

/* What is too large to be a page alone is for the walk. */
static void test_larger(void **state)
{
	static const enum sluice_pt_format formats[] = {
	        SLUICE_PT_AMDV1, SLUICE_PT_ARM_LPAE_S1, SLUICE_PT_RISCV,
	        SLUICE_PT_X86_64};

	(void)state;
	for (unsigned i = 0; i < NR_OF(formats); i++) {
		struct sluice_pt_config cfg = {.format = formats[i]};
		uint64_t len = i < 3 ? 16 * PAGE : BLOCK;
		struct pt_run run;
		struct rig r;

		rig_open(&r, &cfg);
		assert_int_equal(pt_map(r.pt, r.pc, BASE, BASE + len - 1, OA,
		                        RW, &r.freed),
		                 0);
		assert_true(walk_near(&r, BASE + PAGE, &run));
		assert_int_equal(run.last - run.iova + 1, len);
		assert_false(agrees(&r, BASE + PAGE));
		for (unsigned k = 0; k < NR_OF(ways); k++) {
			assert_false(ways[k].unmap(&r, BASE));
			assert_false(ways[k].map(&r, BASE, OA, RW));
		}
		rig_close(&r);
	}
}

static void test_map_unmap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * NR_OF(ways); i++) {
		const struct way *way = &ways[i / 4];
		static const enum sluice_pt_format formats[] = {
		        SLUICE_PT_X86_64, SLUICE_PT_VTDSS, SLUICE_PT_RISCV,
		        SLUICE_PT_ARM_LPAE_S2};
		struct sluice_pt_config cfg = {.format = formats[i % 4],
		                               .oa_bits = 40};
		uint64_t max = bit64(40);
		struct pt_run run;
		struct rig r;

		rig_open(&r, &cfg);
		assert_false(way->map(&r, BASE, OA, RW));
		assert_false(way->unmap(&r, BASE));
		assert_int_equal(pt_map(r.pt, r.pc, BASE, BASE + PAGE - 1, OA,
		                        RW, &r.freed),
		                 0);
		assert_true(walk_near(&r, BASE, &run));
		for (uint32_t prot = 0; prot < 0x400; prot++) {
			uint64_t iova = BASE + (1 + prot % 500) * PAGE;
			bool can = prot && prot < 4 && can_map(&r, prot);

			assert_int_equal(way->map(&r, iova, OA + PAGE, prot),
			                 can);
			assert_int_equal(pt_walk(r.pt, iova, &run) == 0, can);
			if (!can)
				continue;
			assert_int_equal(run.oa, OA + PAGE);
			assert_int_equal(run.prot, prot);
			assert_false(way->map(&r, iova, OA, prot));
			assert_true(way->unmap(&r, iova));
			assert_false(way->unmap(&r, iova));
		}
		assert_false(way->map(&r, BASE + PAGE, max, RW));
		assert_true(way->map(&r, BASE + PAGE, max - PAGE, RW));
		assert_true(way->unmap(&r, BASE + PAGE));
		assert_true(way->unmap(&r, BASE));
		assert_true(pt_is_empty(r.pt));
		rig_close(&r);
	}
}

/* Several pages at a time: all or none, and the walk finds each. */
static void test_runs(void **state)
{
	struct sluice_pt_config cfg = {.oa_bits = 40};
	struct pt_run run;
	struct rig r;

	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		bool can = f == 0;

		if (f == 0)
			cfg.format = SLUICE_PT_VTDSS;
		else
			cfg.format = SLUICE_PT_AMDV1; /* larger leaves */
		rig_open(&r, &cfg);
		assert_int_equal(pt_map(r.pt, r.pc, BASE, BASE + PAGE - 1, OA,
		                        RW, &r.freed),
		                 0);
		assert_true(walk_near(&r, BASE, &run));
		assert_false(pt_near_map(&r.near, BASE - PAGE, OA, 2, RW));
		for (unsigned nr = 1; nr < 40; nr++) {
			uint64_t iova = BASE + nr * PAGE;

			assert_int_equal(pt_near_map(&r.near, iova, OA, nr, RW),
			                 can || nr == 1);
			assert_false(
			        pt_near_map(&r.near, BASE, OA, nr + 1, RW));
			for (unsigned i = 0; i < nr && (can || nr == 1); i++) {
				assert_true(
				        walk_near(&r, iova + i * PAGE, &run));
				assert_int_equal(run.oa, OA + i * PAGE);
			}
			assert_false(pt_near_unmap(&r.near, iova, nr + 1));
			assert_int_equal(pt_near_unmap(&r.near, iova, nr),
			                 can || nr == 1);
		}
		/* Not beyond the end of what addresses can be. */
		assert_false(pt_near_map(&r.near, BASE + PAGE, bit64(40) - PAGE,
		                         2, RW));
		assert_true(pt_near_unmap(&r.near, BASE, 1));
		assert_true(pt_is_empty(r.pt));
		rig_close(&r);
	}
}

/* After as many drops as there are ages, nothing of the first comes back. */
static void test_ages(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_X86_64};
	struct pt_run run;
	struct rig r;

	(void)state;
	rig_open(&r, &cfg);
	assert_int_equal(
	        pt_map(r.pt, r.pc, BASE, BASE + PAGE - 1, OA, RW, &r.freed), 0);
	assert_true(walk_near(&r, BASE, &run));
	assert_true(agrees(&r, BASE));
	for (uint64_t i = 1; i < bit64(64 - PT_NEAR_AGE_LG2) + 2; i++) {
		pt_near_drop(&r.near);
		assert_false(agrees(&r, BASE));
	}
	assert_true(walk_near(&r, BASE, &run));
	assert_true(agrees(&r, BASE));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_larger),
	        cmocka_unit_test(test_map_unmap), cmocka_unit_test(test_runs),
	        cmocka_unit_test(test_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
