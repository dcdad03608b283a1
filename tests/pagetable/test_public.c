/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * <sluice/pagetable.h> as its users see it: names, limits, messages, extents
 * in portions, dirty pages, counts, dumps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "table.h"

#define BASE GIB1
#define RW SLUICE_RW

static int create(enum sluice_pt_format format, unsigned bits,
                  uint64_t max_bytes, struct sluice_pt **ret)
{
	struct sluice_pt_config cfg = {
	        .format = format,
	        .iova_bits = bits,
	        .max_bytes = max_bytes,
	};

	return sluice_pt_create(&cfg, ret);
}

static struct sluice_pt *open_kind(struct kind k)
{
	struct sluice_pt *pt = NULL;

	assert_int_equal(create(k.format, k.bits, 0, &pt), 0);
	return pt;
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < SLUICE_PT_NR_FORMATS; i++)
		assert_int_equal(sluice_pt_format_by_name(sluice_pt_format_name(
		                         (enum sluice_pt_format)i)),
		                 i);
	assert_null(sluice_pt_format_name(SLUICE_PT_NR_FORMATS));
	assert_null(sluice_pt_format_name((enum sluice_pt_format) - 1));
	assert_int_equal(sluice_pt_format_by_name("vtd"), -EINVAL);
	assert_non_null(strstr(msg_last(), "x86_64"));
	assert_non_null(strstr(msg_last(), "vtdss"));
	assert_int_equal(sluice_pt_format_by_name(""), -EINVAL);
	assert_int_equal(sluice_pt_format_by_name(NULL), -EINVAL);
}

static void test_create(void **state)
{
	struct sluice_pt *pt = (void *)state;

	assert_int_equal(create(SLUICE_PT_X86_64, 39, 0, &pt), -EINVAL);
	assert_int_equal(create(SLUICE_PT_NR_FORMATS, 0, 0, &pt), -EINVAL);
	assert_int_equal(create(SLUICE_PT_VTDSS, 0, 4095, &pt), -EINVAL);
	assert_int_equal(create(SLUICE_PT_VTDSS, 0, UINT64_MAX, &pt), -EINVAL);
	assert_ptr_equal(pt, state);
	assert_int_equal(create(SLUICE_PT_VTDSS, 0, 4096, &pt), 0);
	assert_int_equal(sluice_pt_map(pt, 0, 0, KIB4, RW), -ENOMEM);
	sluice_pt_destroy(pt);
	sluice_pt_destroy(NULL);
}

static void test_refused(void **state)
{
	struct sluice_pt_extent e = {.oa = 42};
	uint32_t nr = 1;

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct sluice_pt *pt = open_kind(kinds[k]);
		uint64_t end = bit64(kinds[k].bits);

		assert_int_equal(sluice_pt_map(pt, BASE, 0, 0, RW), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 1, 0, KIB4, RW), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 0, 0, 1, RW), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 0, 1, KIB4, RW), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 0 - KIB4, 0, 2 * KIB4, RW),
		                 -EINVAL);
		assert_int_equal(sluice_pt_map(pt, end, 0, KIB4, RW), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 0, 0, KIB4, 0), -EINVAL);
		assert_int_equal(sluice_pt_map(pt, 0, 0, KIB4, RW | PT_SW0),
		                 -EINVAL);
		assert_non_null(strstr(msg_last(), "prot"));
		assert_int_equal(sluice_pt_unmap(pt, 0, 0, &e, &nr), -EINVAL);
		assert_int_equal(sluice_pt_unmap(pt, 0, KIB4, &e, &nr),
		                 -ENOENT);
		assert_int_equal(sluice_pt_dirty(pt, 0, 0, 0), -EINVAL);
		assert_int_equal(sluice_pt_dirty(pt, 8, KIB4, 0), -EINVAL);
		assert_int_equal(sluice_pt_set_dirty(pt, 0), -ENOENT);
		assert_int_equal(sluice_pt_set_dirty(pt, end), -EINVAL);
		assert_int_equal(sluice_pt_walk(pt, end, &e), -EINVAL);
		assert_int_equal(sluice_pt_walk(pt, 0, &e), -ENOENT);
		assert_int_equal(nr, 1);
		assert_int_equal(e.oa, 42);
		sluice_pt_destroy(pt);
	}
}

/* 200 pieces with gaps in OA, taken out in portions of every size. */
static void test_portions(void **state)
{
	(void)state;
	for (uint32_t room = 1; room < 260; room += room < 70 ? 1 : 37) {
		struct sluice_pt *pt = open_kind(kinds[3]);
		struct sluice_pt_extent ext[260];
		uint64_t at = BASE + GIB1 - 100 * KIB4;
		uint64_t left = 200 * KIB4;
		unsigned i = 0;

		for (unsigned n = 0; n < 200; n++)
			assert_int_equal(sluice_pt_map(pt, at + n * KIB4,
			                               2 * n * KIB4, KIB4, RW),
			                 0);
		while (left) {
			uint32_t nr = room;
			int64_t n = sluice_pt_unmap(pt, at, left, ext, &nr);

			assert_int_equal(nr, min_u64(room, left / KIB4));
			assert_int_equal(n, nr * KIB4);
			for (uint32_t e = 0; e < nr; e++, i++) {
				assert_int_equal(ext[e].iova, at + e * KIB4);
				assert_int_equal(ext[e].len, KIB4);
				assert_int_equal(ext[e].oa, 2 * i * KIB4);
				assert_int_equal(ext[e].prot, RW);
			}
			at += (uint64_t)n;
			left -= (uint64_t)n;
		}
		assert_int_equal(i, 200);
		sluice_pt_destroy(pt);
	}
}

/* Neighbours join over leaf sizes and tables; nothing fits into no room. */
static void test_joined(void **state)
{
	struct sluice_pt *pt = open_kind(kinds[0]);
	uint64_t at = BASE + MIB2 - 7 * KIB4;
	uint64_t len = GIB1 + MIB2;
	struct sluice_pt_extent e;
	uint32_t nr = 0;

	(void)state;
	assert_int_equal(sluice_pt_map(pt, at, at, len, RW), 0);
	assert_int_equal(sluice_pt_unmap(pt, at, len, &e, &nr), 0);
	nr = 1;
	assert_int_equal(sluice_pt_unmap(pt, at, len, &e, &nr), len);
	assert_int_equal(nr, 1);
	assert_int_equal(e.iova, at);
	assert_int_equal(e.oa, at);
	assert_int_equal(e.len, len);
	assert_int_equal(sluice_pt_map(pt, at, at, len, RW), 0);
	nr = 5;
	assert_int_equal(sluice_pt_unmap(pt, at, len, NULL, &nr), len);
	assert_int_equal(nr, 0);
	sluice_pt_destroy(pt);
}

/* More than 256 pages (a peer's bit index was 8 bits wide), leaves of all
 * sizes, clearing of leaves that lie whole in the range only. */
static void test_dirty(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct sluice_pt *pt = open_kind(kinds[k]);
		uint64_t pages = 1500;

		assert_int_equal(
		        sluice_pt_map(pt, BASE, KIB4, pages * KIB4, RW), 0);
		assert_int_equal(sluice_pt_map(pt, BASE + GIB1, GIB1, GIB1, RW),
		                 0);
		assert_int_equal(sluice_pt_dirty(pt, 0, 4 * GIB1, 0), 0);
		for (uint64_t i = 0; i < pages; i += 3)
			assert_int_equal(
			        sluice_pt_set_dirty(pt, BASE + i * KIB4 + 5),
			        0);
		assert_int_equal(sluice_pt_dirty(pt, 0, 4 * GIB1, 0),
		                 500 * KIB4);
		assert_int_equal(sluice_pt_dirty(pt, BASE, 300 * KIB4, 1),
		                 100 * KIB4);
		assert_int_equal(sluice_pt_dirty(pt, 0, 4 * GIB1, 1),
		                 400 * KIB4);
		assert_int_equal(sluice_pt_dirty(pt, 0, 4 * GIB1, 1), 0);
		/* A part of a leaf: counted, but the bit is kept. */
		assert_int_equal(sluice_pt_set_dirty(pt, BASE + 2 * GIB1 - 1),
		                 0);
		assert_int_equal(
		        sluice_pt_dirty(pt, BASE + GIB1 + MIB2, MIB2, 1), MIB2);
		assert_int_equal(
		        sluice_pt_dirty(pt, BASE + GIB1 - KIB4, GIB1, 1),
		        GIB1 - KIB4);
		assert_int_equal(sluice_pt_dirty(pt, BASE + GIB1, GIB1, 1),
		                 GIB1);
		assert_int_equal(sluice_pt_dirty(pt, BASE + GIB1, GIB1, 1), 0);
		/* The bit neither disturbs an unmap nor survives it. */
		assert_int_equal(sluice_pt_set_dirty(pt, BASE), 0);
		assert_int_equal(
		        sluice_pt_unmap(pt, BASE, pages * KIB4, NULL, NULL),
		        pages * KIB4);
		assert_int_equal(sluice_pt_dirty(pt, 0, 4 * GIB1, 0), 0);
		sluice_pt_destroy(pt);
	}
}

static void test_stats(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		uint64_t levels = (kinds[k].bits - 12) / 9;
		struct sluice_pt *pt = open_kind(kinds[k]);
		struct sluice_pt_stats s;

		sluice_pt_get_stats(pt, &s);
		assert_int_equal(s.table_bytes, KIB4);
		assert_int_equal(s.leaves[12] + s.leaves[21] + s.leaves[30], 0);
		assert_int_equal(sluice_pt_map(pt, BASE, 0, 3 * KIB4, RW), 0);
		sluice_pt_get_stats(pt, &s);
		assert_int_equal(s.table_bytes, levels * KIB4);
		assert_int_equal(s.leaves[12], 3);
		assert_int_equal(sluice_pt_map(pt, BASE + MIB2, 0, MIB2, RW),
		                 0);
		assert_int_equal(sluice_pt_map(pt, 2 * GIB1, 0, 2 * GIB1, RW),
		                 0);
		sluice_pt_get_stats(pt, &s);
		assert_int_equal(s.table_bytes, levels * KIB4);
		assert_int_equal(s.leaves[21], 1);
		assert_int_equal(s.leaves[30], 2);
		sluice_pt_destroy(pt);
	}
}

/* Small and large leaves in turn at one place: replaced tables are used
 * again, so a small limit suffices for ever. */
static void test_recycled(void **state)
{
	struct sluice_pt *pt;

	(void)state;
	assert_int_equal(create(SLUICE_PT_VTDSS, 48, 8 * KIB4, &pt), 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t len = i & 1 ? MIB2 : KIB4;

		if (i % 5 == 4)
			len = GIB1;
		assert_int_equal(sluice_pt_map(pt, BASE, 0, len, RW), 0);
		assert_int_equal(sluice_pt_unmap(pt, BASE, len, NULL, NULL),
		                 len);
	}
	sluice_pt_destroy(pt);
}

static int stop_at(void *ctx, const struct sluice_pt_word *w)
{
	unsigned *left = ctx;

	assert_int_not_equal(w->word, 0);
	return --*left ? 0 : 77;
}

static void test_dump_stops(void **state)
{
	struct sluice_pt *pt = open_kind(kinds[3]);
	unsigned left = 5;

	(void)state;
	assert_int_equal(sluice_pt_map(pt, BASE, 0, 9 * KIB4, RW), 0);
	assert_int_equal(sluice_pt_dump(pt, stop_at, &left), 77);
	assert_int_equal(left, 0);
	left = 100;
	assert_int_equal(sluice_pt_dump(pt, stop_at, &left), 0);
	assert_int_equal(left, 100 - 3 - 9);
	sluice_pt_destroy(pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_create),
	        cmocka_unit_test(test_refused),
	        cmocka_unit_test(test_portions),
	        cmocka_unit_test(test_joined),
	        cmocka_unit_test(test_dirty),
	        cmocka_unit_test(test_stats),
	        cmocka_unit_test(test_recycled),
	        cmocka_unit_test(test_dump_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
