/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pt_claim: a map of a range that nobody owns. First alone, then by threads
 * that fight for the same pages: each page ends with one owner, a loser
 * leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "pagetable/pt_priv.h"
#include "table.h"

#define BASE GIB1
#define PAGES (2 * GIB1 / KIB4)
#define RW SLUICE_RW

static int claim(struct table *t, uint64_t va, uint64_t len, uint64_t iova)
{
	return pt_claim(t->pt, &t->pc, va, va + len - 1, iova, RW | PT_SW1);
}

static void test_alone(void **state)
{
	(void)state;
	for (unsigned k = 0; k < NR_OF(kinds); k++) {
		struct table t;
		struct flat f;
		uint64_t at = BASE + 10 * MIB2 - 3 * KIB4;
		uint64_t len = 3 * MIB2 + 9 * KIB4;

		table_open(&t, kinds[k], 64);
		flat_init(&f, BASE, PAGES);
		assert_int_equal(claim(&t, at, len, at), 0);
		assert_int_equal(
		        flat_map(&f, at, at + len - 1, at, RW | PT_SW1), 0);
		assert_int_equal(claim(&t, BASE + GIB1, GIB1, GIB1), 0);
		flat_map(&f, BASE + GIB1, BASE + 2 * GIB1 - 1, GIB1,
		         RW | PT_SW1);
		/* Refused at the head, in the middle, at the tail, whole. */
		assert_int_equal(claim(&t, at, KIB4, 0), -EEXIST);
		assert_int_equal(claim(&t, at - 600 * KIB4, 601 * KIB4, 0),
		                 -EEXIST);
		assert_int_equal(claim(&t, BASE, 2 * GIB1, BASE), -EEXIST);
		assert_int_equal(claim(&t, at + len - KIB4, 20 * KIB4, 0),
		                 -EEXIST);
		assert_int_equal(claim(&t, at + len,
		                       BASE + GIB1 - at - len + KIB4, at + len),
		                 -EEXIST);
		assert_int_equal(claim(&t, BASE + GIB1 + MIB2, MIB2, 0),
		                 -EEXIST);
		assert_int_equal(claim(&t, at + 1, KIB4, 0), -EINVAL);
		assert_int_equal(claim(&t, at, KIB4, bit64(52)), -EINVAL);
		assert_int_equal(pt_claim(t.pt, &t.pc, BASE, BASE + 4095, 0, 0),
		                 -EINVAL);
		assert_int_equal(t.freed.nr, 0);
		assert_true(flat_agrees_all(&f, t.pt));
		assert_int_equal(table_unmap(&t, at, len), len);
		flat_done(&f);
		table_close(&t);
	}
}

/* A table in the slot, even an empty one, is used and never replaced. */
static void test_keeps_tables(void **state)
{
	struct sluice_pt_stats s;
	struct table t;

	(void)state;
	table_open(&t, kinds[3], 64);
	assert_int_equal(claim(&t, BASE, KIB4, 0), 0);
	assert_int_equal(table_unmap(&t, BASE, KIB4), KIB4);
	assert_int_equal(claim(&t, BASE, 2 * MIB2, 0), 0);
	pt_count(t.pt, &s);
	assert_int_equal(s.leaves[12], 512);
	assert_int_equal(s.leaves[21], 1);
	assert_int_equal(table_unmap(&t, BASE, 2 * MIB2), 2 * MIB2);
	table_close(&t);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (uint64_t pages = 1; pages < 12; pages++) {
		struct table t;
		struct flat f;
		int err;

		table_open(&t, kinds[3], pages);
		flat_init(&f, BASE, PAGES);
		err = claim(&t, BASE + MIB2 - KIB4, 6 * MIB2, 0);
		assert_int_equal(err, pages < 4 + 6 ? -ENOMEM : 0);
		if (!err)
			flat_map(&f, BASE + MIB2 - KIB4,
			         BASE + 7 * MIB2 - KIB4 - 1, 0, RW | PT_SW1);
		assert_true(flat_agrees_all(&f, t.pt));
		flat_done(&f);
		table_close(&t);
	}
}

#define THREADS 4u
#define SPOTS 24u
#define ROUNDS 3000u

struct fighter {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct pagepool *pool;
	struct pt *pt;
	uint64_t id;
	uint32_t won;
	uint32_t lost;
	uint32_t wrong;
};

/* The length and place of fight i, the same for every thread up to a shift
 * that makes their ranges overlap at heads and tails. */
static void spot(unsigned i, uint64_t id, uint64_t *ret_va, uint64_t *ret_len)
{
	static const uint64_t lens[] = {KIB4, 3 * KIB4, 40 * KIB4, MIB2,
	                                MIB2 + 2 * KIB4};
	uint64_t len = lens[i % NR_OF(lens)];

	*ret_va = BASE + i * 8 * MIB2 + (len >= MIB2 ? 0 : (id % 3) * KIB4);
	*ret_len = len;
}

static void verify(struct fighter *me, uint64_t va, uint64_t len, uint64_t tag)
{
	for (uint64_t off = 0; off < len; off += KIB4) {
		struct pt_run r;

		if (pt_walk(me->pt, va + off, &r) ||
		    r.oa + (va + off - r.iova) != tag + off)
			me->wrong++;
	}
}

static void *fight(void *arg)
{
	struct fighter *me = arg;
	/* 2 MiB aligned, so that large leaves are possible. */
	uint64_t tag = me->id << 40;
	struct pagecache pc;

	pagecache_init(&pc, me->pool);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t held[SPOTS] = {0};

		pthread_barrier_wait(me->barrier);
		for (unsigned i = 0; i < SPOTS; i++) {
			uint64_t va;
			uint64_t len;
			int err;

			spot(i, me->id, &va, &len);
			err = pt_claim(me->pt, &pc, va, va + len - 1, tag, RW);
			if (err == 0) {
				held[i] = len;
				me->won++;
			} else if (err == -EEXIST) {
				me->lost++;
			} else {
				me->wrong++;
			}
		}
		for (unsigned i = 0; i < SPOTS; i++) {
			uint64_t va;
			uint64_t len;

			spot(i, me->id, &va, &len);
			if (!held[i])
				continue;
			verify(me, va, len, tag);
			if (pt_unmap(me->pt, va, va + len - 1, NULL) !=
			    (int64_t)len)
				me->wrong++;
		}
	}
	pagecache_drain(&pc);
	return NULL;
}

static void test_race(void **state)
{
	struct fighter f[THREADS];
	pthread_barrier_t barrier;
	struct sluice_pt_stats s;
	uint64_t won = 0;
	uint64_t lost = 0;
	struct table t;

	(void)state;
	table_open(&t, kinds[3], 4096);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		f[i] = (struct fighter){.barrier = &barrier,
		                        .pool = t.pool,
		                        .pt = t.pt,
		                        .id = i + 1};
		assert_int_equal(
		        pthread_create(&f[i].thread, NULL, fight, &f[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(f[i].thread, NULL);
		assert_int_equal(f[i].wrong, 0);
		won += f[i].won;
		lost += f[i].lost;
	}
	pthread_barrier_destroy(&barrier);
	assert_int_equal(won + lost, (uint64_t)THREADS * SPOTS * ROUNDS);
	assert_true(won > 0);
	pt_count(t.pt, &s);
	assert_int_equal(s.leaves[12] + s.leaves[21] + s.leaves[30], 0);
	table_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_alone),
	        cmocka_unit_test(test_keeps_tables),
	        cmocka_unit_test(test_no_memory),
	        cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
