/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows: tables that are found once and kept. In every format that has them,
 * what they write is what a map would have, and nobody takes their tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "failing_heap.h"
#include "pagetable/pt_priv.h"

#define PAGE ((uint64_t)SLUICE_PAGE_SIZE)
#define MIB2 (512 * PAGE)
#define BASE (4 * MIB2)
#define OA 0x40000000u
#define RW SLUICE_RW

struct rig {
	struct pagepool *pool[2];
	struct pagecache pc[2];
	struct pt_freed freed;
	struct pt *pt;
};

static void rig_open_as(struct rig *r, const struct sluice_pt_config *cfg)
{
	unsigned lg2[2];

	*r = (struct rig){0};
	assert_int_equal(pt_table_sizes(cfg, lg2), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(pagepool_create(64, lg2[i], &r->pool[i]), 0);
		pagecache_init(&r->pc[i], r->pool[i]);
	}
	assert_int_equal(pt_create(cfg, r->pc, &r->pt), 0);
}

static void rig_open(struct rig *r, enum sluice_pt_format format)
{
	const struct sluice_pt_config cfg = {.format = format};

	rig_open_as(r, &cfg);
}

static void rig_close(struct rig *r)
{
	pt_free_list(r->pt, &r->freed, r->pc);
	pt_destroy(r->pt, r->pc);
	for (unsigned i = 0; i < 2; i++) {
		pagecache_drain(&r->pc[i]);
		assert_int_equal(pagepool_used(r->pool[i]), 0);
		pagepool_destroy(r->pool[i]);
	}
}

static void check(struct rig *r, uint64_t iova, uint64_t oa, uint32_t prot)
{
	struct pt_run run;

	assert_int_equal(pt_walk(r->pt, iova, &run), 0);
	assert_int_equal(run.iova, iova);
	assert_int_equal(run.last, iova + PAGE - 1);
	assert_int_equal(run.oa, oa);
	assert_int_equal(run.prot, prot);
}

/* The last has the other order of bytes than most machines. */
static const struct sluice_pt_config formats[] = {
        {.format = SLUICE_PT_X86_64},
        {.format = SLUICE_PT_VTDSS},
        {.format = SLUICE_PT_AMDV1},
        {.format = SLUICE_PT_ARM_LPAE_S1},
        {.format = SLUICE_PT_RISCV},
        {.format = SLUICE_PT_RISCV_G},
        {.format = SLUICE_PT_TCE, .levels = 3},
};

/* Over three tables, at an address that is no border. */
static void writes_what_a_map_would(void **state)
{
	uint64_t first = BASE + 500 * PAGE, nr = 600;

	(void)state;
	for (unsigned f = 0; f < NR_OF(formats); f++) {
		struct pt_window *w = NULL;
		struct pt_run run;
		struct rig r;

		rig_open_as(&r, &formats[f]);
		assert_int_equal(pt_window_open(r.pt, r.pc, first,
		                                first + nr * PAGE - 1, &w),
		                 0);
		for (uint64_t i = 0; i < nr; i++) {
			assert_int_equal(pt_walk(r.pt, first + i * PAGE, &run),
			                 -ENOENT);
			assert_true(pt_window_set(w, i, OA + i * PAGE, RW));
			assert_false(pt_window_set(w, i, OA, RW));
			check(&r, first + i * PAGE, OA + i * PAGE, RW);
		}
		assert_false(pt_window_fill(w, 599, 1, OA, RW));
		pt_window_clear(w, 3, 590);
		assert_false(pt_window_fill(w, 3, 591, OA, RW));
		assert_true(pt_window_fill(w, 3, 590, 2 * OA, SLUICE_READ));
		for (uint64_t i = 0; i < nr; i++)
			check(&r, first + i * PAGE,
			      i < 3 || i > 592 ? OA + i * PAGE
			                       : 2 * OA + (i - 3) * PAGE,
			      i < 3 || i > 592 ? RW : SLUICE_READ);
		pt_window_clear(w, 0, nr);
		assert_int_equal(pt_walk(r.pt, first, &run), -ENOENT);
		pt_window_close(w);
		rig_close(&r);
	}
}

/* An empty table below a window stays when a large leaf would take its place,
 * and goes when the window is closed. */
static void tables_stay(void **state)
{
	struct pt_window *w = NULL, *v = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, SLUICE_PT_X86_64);
	assert_int_equal(pt_window_open(r.pt, r.pc, BASE, BASE + PAGE - 1, &w),
	                 0);
	assert_int_equal(pt_window_open(r.pt, r.pc, BASE + 8 * PAGE,
	                                BASE + 9 * PAGE - 1, &v),
	                 0);
	assert_int_equal(
	        pt_map(r.pt, r.pc, BASE, BASE + MIB2 - 1, OA, RW, &r.freed),
	        -EEXIST);
	assert_int_equal(r.freed.nr, 0);
	assert_true(pt_window_set(w, 0, OA, RW));
	check(&r, BASE, OA, RW);
	pt_window_clear(w, 0, 1);
	pt_window_close(w);
	pt_window_close(v);
	pt_window_close(NULL);
	assert_int_equal(
	        pt_map(r.pt, r.pc, BASE, BASE + MIB2 - 1, OA, RW, &r.freed), 0);
	assert_int_equal(r.freed.nr, 1);
	/* No window where a large leaf is. */
	assert_int_equal(pt_window_open(r.pt, r.pc, BASE, BASE + PAGE - 1, &w),
	                 -EEXIST);
	rig_close(&r);
}

static void refused(void **state)
{
	struct pt_window *w = NULL;
	struct rig r;

	(void)state;
	rig_open(&r, SLUICE_PT_S390);
	assert_int_equal(pt_window_open(r.pt, r.pc, BASE, BASE + PAGE - 1, &w),
	                 -EOPNOTSUPP);
	rig_close(&r);
	rig_open(&r, SLUICE_PT_X86_64);
	/* More tables than there is memory for. */
	assert_int_equal(
	        pt_window_open(r.pt, r.pc, BASE, BASE + 80 * MIB2 - 1, &w),
	        -ENOMEM);
	heap_left = 0;
	assert_int_equal(pt_window_open(r.pt, r.pc, BASE, BASE + PAGE - 1, &w),
	                 -ENOMEM);
	heap_left = HEAP_OK;
	assert_null(w);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(writes_what_a_map_would),
	        cmocka_unit_test(tables_stay),
	        cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
