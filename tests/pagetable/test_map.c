/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map, unmap, populate and walk case by case, each judged by the flat record.
 * Random sequences are in test_random.c, claims in test_claim.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pagetable/pt_priv.h"
#include "table.h"

#define BASE GIB1
#define PAGES (3 * GIB1 / KIB4)
#define RW SLUICE_RW

struct judged {
	struct table t;
	struct flat f;
};

static void open_judged(struct judged *j, struct kind k, uint64_t pages)
{
	table_open(&j->t, k, pages);
	flat_init(&j->f, BASE, PAGES);
}

static void close_judged(struct judged *j)
{
	assert_true(flat_agrees_all(&j->f, j->t.pt));
	flat_done(&j->f);
	table_close(&j->t);
}

static int map(struct judged *j, uint64_t iova, uint64_t len, uint64_t oa,
               uint32_t prot)
{
	int err = table_map(&j->t, iova, len, oa, prot);

	assert_int_equal(err, flat_map(&j->f, iova, iova + len - 1, oa, prot));
	return err;
}

/* A refused map changes nothing anywhere near. */
static void map_refused(struct judged *j, uint64_t iova, uint64_t len,
                        uint64_t oa)
{
	assert_int_equal(map(j, iova, len, oa, RW), -EEXIST);
	assert_true(flat_agrees(&j->f, j->t.pt, iova, iova + len - 1));
}

static int64_t unmap(struct judged *j, uint64_t iova, uint64_t len)
{
	int want = flat_unmap(&j->f, iova, iova + len - 1);
	int64_t got = table_unmap(&j->t, iova, len);

	assert_int_equal(got, want ? want : (int64_t)len);
	assert_true(flat_agrees(&j->f, j->t.pt, iova, iova + len - 1));
	return got;
}

/* For each kind: existing mappings of each leaf size, and a request over it
 * at its head, middle, tail and whole. */
static void test_overlap(void **state)
{
	static const uint64_t sizes[] = {KIB4, 16 * KIB4, MIB2, 4 * MIB2};

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		for (unsigned s = 0; s < NR_OF(sizes); s++) {
			uint64_t len = sizes[s];
			uint64_t at = BASE + 64 * MIB2;
			struct judged j;

			open_judged(&j, kinds[k], 4096);
			assert_int_equal(map(&j, at, len, 0, RW), 0);
			map_refused(&j, at - len, 2 * len, 0); /* its tail */
			map_refused(&j, at, len, 0);
			map_refused(&j, at + len - KIB4, 2 * len, 0);
			map_refused(&j, at - 2 * len, 5 * len, 7 * KIB4);
			map_refused(&j, at - KIB4, len + KIB4, GIB1);
			map_refused(&j, at - 600 * KIB4, 601 * KIB4, 0);
			map_refused(&j, at - 33 * MIB2, 33 * MIB2 + KIB4, 0);
			map_refused(&j, BASE, GIB1, 0);
			if (len > KIB4)
				map_refused(&j, at + KIB4, KIB4, 0);
			close_judged(&j);
		}
	}
}

static void test_refused_ranges(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		uint64_t end = bit64(kinds[k].bits);
		struct judged j;
		struct table *t = &j.t;
		struct pt_run r = {.iova = 99};

		open_judged(&j, kinds[k], 4096);
		assert_int_equal(map(&j, BASE, KIB4, 0, RW), 0);
		assert_int_equal(table_map(t, BASE, 0, 0, RW), -EINVAL);
		assert_int_equal(table_map(t, BASE + 1, KIB4, 0, RW), -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, 4095, 0, RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, KIB4, 8, RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, end, KIB4, 0, RW), -EINVAL);
		assert_int_equal(table_map(t, end - KIB4, 2 * KIB4, 0, RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, 0 - KIB4, KIB4, 0, RW), -EINVAL);
		assert_int_equal(table_map(t, 0 - KIB4, 2 * KIB4, 0, RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, KIB4, bit64(52), RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, 2 * KIB4,
		                           bit64(52) - KIB4, RW),
		                 -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, KIB4, 0, 0),
		                 -EINVAL);
		assert_int_equal(table_map(t, BASE + KIB4, KIB4, 0, 7),
		                 -EINVAL);
		assert_int_equal(table_unmap(t, BASE, 0), -EINVAL);
		assert_int_equal(table_unmap(t, BASE + 1, KIB4), -EINVAL);
		assert_int_equal(table_unmap(t, BASE, 100), -EINVAL);
		assert_int_equal(table_unmap(t, end, KIB4), -EINVAL);
		assert_int_equal(pt_walk(t->pt, end, &r), -EINVAL);
		assert_int_equal(pt_walk(t->pt, end - 1, &r), -ENOENT);
		assert_int_equal(r.iova, 99);
		assert_int_equal(pt_populate(t->pt, &t->pc, end, end + 4095, 0),
		                 -EINVAL);
		close_judged(&j);
	}
}

static void test_write_only(void **state)
{
	struct judged j;

	(void)state;
	open_judged(&j, (struct kind){SLUICE_PT_X86_64, 48}, 64);
	assert_int_equal(table_map(&j.t, BASE, KIB4, 0, SLUICE_WRITE), -EINVAL);
	assert_non_null(strstr(msg_last(), "SLUICE_READ"));
	close_judged(&j);
	open_judged(&j, (struct kind){SLUICE_PT_VTDSS, 48}, 64);
	assert_int_equal(map(&j, BASE, KIB4, 0, SLUICE_WRITE), 0);
	close_judged(&j);
}

/* The ends of both address spaces. */
static void test_corners(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		uint64_t end = bit64(kinds[k].bits);
		struct table t;
		struct pt_run r;

		table_open(&t, kinds[k], 64);
		assert_int_equal(pt_max_iova(t.pt), end - 1);
		assert_int_equal(pt_max_oa(t.pt), bit64(52) - 1);
		assert_int_equal(pt_format(t.pt), kinds[k].format);
		assert_int_equal(table_map(&t, 0, KIB4, bit64(52) - KIB4, RW),
		                 0);
		assert_int_equal(
		        table_map(&t, end - GIB1, GIB1, bit64(52) - GIB1, RW),
		        0);
		assert_int_equal(pt_walk(t.pt, end - 1, &r), 0);
		assert_int_equal(r.iova, end - GIB1);
		assert_int_equal(r.last, end - 1);
		assert_int_equal(r.oa, bit64(52) - GIB1);
		assert_int_equal(table_unmap(&t, end - GIB1, GIB1), GIB1);
		assert_int_equal(pt_walk(t.pt, 0, &r), 0);
		assert_int_equal(r.oa, bit64(52) - KIB4);
		table_close(&t);
	}
}

/* Only a part is mapped (a peer took that for success), a leaf would split. */
static void test_unmap_refused(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct judged j;

		open_judged(&j, kinds[k], 4096);
		assert_int_equal(map(&j, BASE, 16 * KIB4, 0, RW), 0);
		assert_int_equal(unmap(&j, BASE, 17 * KIB4), -ENOENT);
		assert_int_equal(unmap(&j, BASE, MIB2), -ENOENT);
		assert_int_equal(unmap(&j, BASE - KIB4 + GIB1, KIB4), -ENOENT);
		assert_int_equal(unmap(&j, BASE + 15 * KIB4, 2 * KIB4),
		                 -ENOENT);
		assert_int_equal(map(&j, BASE + MIB2, MIB2, 0, RW), 0);
		assert_int_equal(unmap(&j, BASE + MIB2, KIB4), -ERANGE);
		assert_int_equal(unmap(&j, BASE + MIB2 + KIB4, KIB4), -ERANGE);
		assert_int_equal(unmap(&j, BASE + 2 * MIB2 - KIB4, KIB4),
		                 -ERANGE);
		assert_int_equal(
		        map(&j, BASE + 16 * KIB4, MIB2 - 16 * KIB4, 0, RW), 0);
		assert_int_equal(unmap(&j, BASE, MIB2 + KIB4), -ERANGE);
		assert_int_equal(map(&j, BASE + GIB1, GIB1, GIB1, RW), 0);
		assert_int_equal(unmap(&j, BASE + GIB1, MIB2), -ERANGE);
		assert_int_equal(unmap(&j, BASE, 2 * MIB2), 2 * MIB2);
		assert_int_equal(unmap(&j, BASE + GIB1, GIB1), GIB1);
		close_judged(&j);
	}
}

/* A neighbour right behind the range stays (a peer dropped it). */
static void test_neighbours(void **state)
{
	static const uint64_t sizes[] = {KIB4, 16 * KIB4, MIB2, GIB1};

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		for (unsigned s = 0; s < NR_OF(sizes); s++) {
			uint64_t len = sizes[s];
			struct judged j;

			open_judged(&j, kinds[k], 4096);
			for (unsigned i = 0; i < 3; i++)
				assert_int_equal(map(&j, BASE + i * len, len,
				                     i * len, RW),
				                 0);
			assert_int_equal(unmap(&j, BASE + len, len), len);
			assert_int_equal(map(&j, BASE + len, len, 0, RW), 0);
			assert_int_equal(unmap(&j, BASE, 2 * len), 2 * len);
			close_judged(&j);
		}
	}
}

/* One request yields exactly 14 x 2M, 3 x 1G and 3 x 2M, no small leaf. */
static void test_exact_leaves(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct sluice_pt_stats s;
		struct table t;
		uint64_t iova = 2 * GIB1 - 14 * MIB2;
		uint64_t len = 17 * MIB2 + 3 * GIB1;

		table_open(&t, kinds[k], 64);
		assert_int_equal(table_map(&t, iova, len, iova + GIB1, RW), 0);
		pt_count(t.pt, &s);
		assert_int_equal(s.leaves[12], 0);
		assert_int_equal(s.leaves[21], 17);
		assert_int_equal(s.leaves[30], 3);
		assert_int_equal(table_unmap(&t, iova, len), len);
		table_close(&t);
	}
}

/* A larger leaf over empty tables takes them out; over a leaf it does not. */
static void test_replace_empty(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct judged j;

		open_judged(&j, kinds[k], 4096);
		for (unsigned i = 0; i < 5; i++) {
			uint64_t at = BASE + i * 100 * MIB2;

			assert_int_equal(map(&j, at, KIB4, 0, RW), 0);
		}
		map_refused(&j, BASE, GIB1, 0);
		map_refused(&j, BASE, MIB2, 0);
		assert_int_equal(j.t.freed.nr, 0);
		assert_int_equal(unmap(&j, BASE, KIB4), KIB4);
		assert_int_equal(map(&j, BASE, 2 * MIB2, 0, RW | PT_SW1), 0);
		assert_int_equal(j.t.freed.nr, 1);
		assert_int_equal(unmap(&j, BASE, 2 * MIB2), 2 * MIB2);
		for (unsigned i = 1; i < 5; i++)
			unmap(&j, BASE + i * 100 * MIB2, KIB4);
		assert_int_equal(map(&j, BASE, 2 * GIB1, 0, RW), 0);
		/* Four small tables left, and the one above them. */
		assert_int_equal(j.t.freed.nr, 1 + 4 + 1);
		pt_free_list(j.t.pt, &j.t.freed, &j.t.pc);
		assert_int_equal(j.t.freed.nr, 0);
		assert_int_equal(j.t.freed.head, 0);
		close_judged(&j);
	}
}

/* Whatever the limit of the pool, a map that fails leaves the record as it
 * was, and one that is repeated with more room succeeds. */
static void test_exhaustion(void **state)
{
	uint64_t iova = BASE + GIB1 - 5 * MIB2 - 3 * KIB4;
	uint64_t len = GIB1 + 9 * MIB2 + 5 * KIB4;

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		unsigned failed = 0;

		for (uint64_t pages = 1; pages < 20; pages++) {
			struct judged j;
			int err;

			open_judged(&j, kinds[k], pages);
			err = table_map(&j.t, BASE, MIB2, 0, RW);
			if (!err)
				flat_map(&j.f, BASE, BASE + MIB2 - 1, 0, RW);
			err = table_map(&j.t, iova, len, iova, RW);
			assert_true(err == 0 || err == -ENOMEM);
			failed += err != 0;
			if (!err)
				flat_map(&j.f, iova, iova + len - 1, iova, RW);
			close_judged(&j);
		}
		assert_true(failed >= 3 && failed < 15);
	}
}

/* After populate the map needs no page: the pool is empty by then. */
static void test_populate(void **state)
{
	static const uint64_t oas[] = {0, 3 * KIB4, MIB2, GIB1, 5 * MIB2};
	uint64_t iova = BASE + GIB1 - 3 * MIB2 - KIB4;
	uint64_t len = GIB1 / 8 + 8 * MIB2;

	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		for (unsigned o = 0; o < NR_OF(oas); o++) {
			uint64_t oa = oas[o] + (o & 1 ? 0 : iova % GIB1);
			struct judged j;

			open_judged(&j, kinds[k], 256);
			assert_int_equal(pt_populate(j.t.pt, &j.t.pc, iova,
			                             iova + len - 1, oa),
			                 0);
			assert_true(flat_agrees_all(&j.f, j.t.pt));
			while (pagecache_get(&j.t.pc))
				;
			assert_int_equal(map(&j, iova, len, oa, RW), 0);
			assert_int_equal(unmap(&j, iova, len), len);
			assert_int_equal(map(&j, iova, len, oa, RW), 0);
			assert_true(flat_agrees_all(&j.f, j.t.pt));
			flat_done(&j.f);
			pt_destroy(j.t.pt, &j.t.pc);
			pagepool_destroy(j.t.pool);
		}
	}
}

static void test_populate_limits(void **state)
{
	struct judged j;

	(void)state;
	open_judged(&j, kinds[3], 8);
	/* Over a leaf: no table is missing, the leaf stays. */
	assert_int_equal(map(&j, BASE, GIB1, 0, RW), 0);
	assert_int_equal(pt_populate(j.t.pt, &j.t.pc, BASE,
	                             BASE + GIB1 + KIB4 - 1, KIB4),
	                 0);
	assert_int_equal(pt_populate(j.t.pt, &j.t.pc, BASE + GIB1,
	                             BASE + 2 * GIB1 - 1, KIB4),
	                 -ENOMEM);
	assert_int_equal(pt_populate(j.t.pt, &j.t.pc, 0, GIB1 - 1, bit64(52)),
	                 -EINVAL);
	close_judged(&j);
}

static int create(enum sluice_pt_format format, unsigned bits,
                  struct pagecache *pc, struct pt **pt)
{
	struct sluice_pt_config cfg = {.format = format, .iova_bits = bits};

	return pt_create(&cfg, pc, pt);
}

static void test_create(void **state)
{
	static const unsigned bad[] = {1, 38, 40, 49, 55, 58, 64};
	struct pagecache pc;
	struct pagepool *pool;
	struct pt *pt = (void *)&pool;

	(void)state;
	assert_int_equal(pagepool_create(1, 12, &pool), 0);
	pagecache_init(&pc, pool);
	for (unsigned i = 0; i < NR_OF(bad); i++) {
		assert_int_equal(create(SLUICE_PT_VTDSS, bad[i], &pc, &pt),
		                 -EINVAL);
		assert_int_equal(create(SLUICE_PT_X86_64, bad[i], &pc, &pt),
		                 -EINVAL);
	}
	assert_int_equal(create(SLUICE_PT_X86_64, 39, &pc, &pt), -EINVAL);
	assert_int_equal(create(SLUICE_PT_VTDSS, 47, &pc, &pt), -EINVAL);
	assert_int_equal(create(SLUICE_PT_NR_FORMATS, 0, &pc, &pt), -EINVAL);
	assert_int_equal(create((enum sluice_pt_format)77, 0, &pc, &pt),
	                 -EINVAL);
	assert_ptr_equal(pt, &pool);
	assert_int_equal(create(SLUICE_PT_VTDSS, 0, &pc, &pt), 0);
	assert_int_equal(pt_max_iova(pt), bit64(48) - 1);
	/* No page left for a second root. */
	assert_int_equal(create(SLUICE_PT_VTDSS, 0, &pc, &pt), -ENOMEM);
	pt_destroy(pt, &pc);
	pt_destroy(NULL, &pc);
	pagecache_drain(&pc);
	assert_int_equal(pagepool_used(pool), 0);
	pagepool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_overlap),
	        cmocka_unit_test(test_refused_ranges),
	        cmocka_unit_test(test_write_only),
	        cmocka_unit_test(test_corners),
	        cmocka_unit_test(test_unmap_refused),
	        cmocka_unit_test(test_neighbours),
	        cmocka_unit_test(test_exact_leaves),
	        cmocka_unit_test(test_replace_empty),
	        cmocka_unit_test(test_exhaustion),
	        cmocka_unit_test(test_populate),
	        cmocka_unit_test(test_populate_limits),
	        cmocka_unit_test(test_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
