/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util/: arithmetic at its edges, the page pool under threads and at its limit,
 * the index stack, the ring, messages.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "util/util.h"

#define THREADS 4
#define NR 64u

static void arithmetic(void **state)
{
	uint64_t last = 7;

	(void)state;
	assert_true(mask64(64) == UINT64_MAX && mask64(0) == 0);
	assert_int_equal(align_up(4097, 12), 8192);
	assert_int_equal(align_up(4096, 12), 4096);
	assert_int_equal(lg2_floor(1), 0);
	assert_int_equal(lg2_floor(UINT64_MAX), 63);
	assert_int_equal(lg2_ceil(0), 0);
	assert_int_equal(lg2_ceil(5), 3);
	assert_int_equal(lg2_ceil(8), 3);
	assert_false(range_last(0, 0, &last));
	assert_false(range_last(UINT64_MAX, 2, &last));
	assert_int_equal(last, 7);
	assert_true(range_last(UINT64_MAX, 1, &last));
	assert_true(last == UINT64_MAX);
	assert_true(range_last(0, UINT64_MAX, &last));
	assert_true(ranges_overlap(1, 3, 3, 9) && ranges_overlap(3, 9, 1, 3));
	assert_false(ranges_overlap(1, 2, 3, 9));
}

static void pool_limit(void **state)
{
	struct pagepool *pool = NULL;
	struct pagecache a, b;
	void *page[100];
	int n = 0;

	(void)state;
	assert_int_equal(pagepool_create(0, 12, &pool), -EINVAL);
	assert_int_equal(pagepool_create(bit64(32), 12, &pool), -EINVAL);
	assert_null(pool);
	assert_int_equal(pagepool_create(40, 12, &pool), 0);
	pagecache_init(&a, pool);
	pagecache_init(&b, pool);
	while ((page[n] = pagecache_get(&a)))
		assert_true(++n <= 40);
	assert_int_equal(n, 40);
	assert_int_equal(pagepool_used(pool), 40);
	assert_null(pagecache_get(&b));
	for (int i = 0; i < n; i++) {
		assert_true(aligned_lg2((uintptr_t)page[i], 12));
		assert_int_equal(*(uint64_t *)page[i], 0);
		pagecache_put(&a, page[i]);
	}
	pagecache_drain(&a);
	assert_int_equal(pagepool_used(pool), 0);
	assert_non_null(pagecache_get(&b));
	pagepool_destroy(pool);
	pagepool_destroy(NULL);
}

static struct pagepool *shared;

/* Pages that two threads hold at once would spoil each other's mark. */
static void *take_and_give(void *arg)
{
	uint64_t mark = (uintptr_t)arg, bad = 0;
	uint64_t *held[NR];
	struct pagecache pc;

	pagecache_init(&pc, shared);
	for (int round = 0; round < 2000; round++) {
		uint32_t n = 0;

		while (n < NR && (held[n] = pagecache_get(&pc)))
			*held[n++] = mark;
		while (n > 0) {
			bad += *held[--n] != mark;
			*held[n] = 0;
			pagecache_put(&pc, held[n]);
		}
		if (round % 7 == 0)
			pagecache_drain(&pc);
	}
	pagecache_drain(&pc);
	return (void *)(uintptr_t)bad;
}

static void pool_threads(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	/* Too few for all at once. */
	assert_int_equal(pagepool_create(3 * NR, 12, &shared), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take_and_give,
		                                (void *)(i + 1)),
		                 0);
	for (int i = 0; i < THREADS; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(pagepool_used(shared), 0);
	pagepool_destroy(shared);
}

static void index_stack(void **state)
{
	const uint32_t some[] = {3, 1, 4};
	struct idxstack s;
	uint32_t many[4];
	au32 next[8];

	(void)state;
	idxstack_init(&s, next);
	assert_int_equal(idxstack_pop(&s), IDXSTACK_NONE);
	idxstack_push(&s, &some[1], 1);
	idxstack_push(&s, (const uint32_t[]){3, 4, 0}, 3);
	assert_int_equal(idxstack_pop(&s), 0);
	assert_int_equal(idxstack_pop(&s), 4);
	assert_int_equal(idxstack_pop(&s), 3);
	assert_int_equal(idxstack_pop(&s), 1);
	assert_int_equal(idxstack_pop(&s), IDXSTACK_NONE);
	assert_int_equal(idxstack_pop_many(&s, many, 4), 0);
	idxstack_push(&s, (const uint32_t[]){3, 4, 0}, 3);
	assert_int_equal(idxstack_pop_many(&s, many, 2), 2);
	assert_int_equal(many[0], 0);
	assert_int_equal(many[1], 4);
	assert_int_equal(idxstack_pop_many(&s, many, 4), 1);
	assert_int_equal(many[0], 3);
	assert_int_equal(idxstack_pop(&s), IDXSTACK_NONE);
}

#ifdef HAVE_RING
static void ring_is_bounded(void **state)
{
	uint64_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8] = {0};
	struct ring *r = NULL;
	uint32_t n;

	(void)state;
	assert_int_equal(ring_create(0, 8, RING_SPSC, &r), -EINVAL);
	assert_int_equal(ring_create(4, 3, RING_SPSC, &r), -EINVAL);
	assert_null(r);
	assert_int_equal(ring_create(4, 8, RING_SPSC, &r), 0);
	n = ring_put(r, in, 8);
	assert_in_range(n, 4, 7);
	assert_int_equal(ring_put(r, in, 1), 0);
	assert_int_equal(ring_count(r), n);
	assert_int_equal(ring_get(r, out, 8), n);
	assert_memory_equal(in, out, n * sizeof(in[0]));
	assert_int_equal(ring_get(r, out, 8), 0);
	ring_destroy(r);
	ring_destroy(NULL);
}
#else
static void ring_is_bounded(void **state)
{
	(void)state;
	print_message("skipped: built without DPDK, -Dring=disabled\n");
	skip();
}
#endif

static void messages(void **state)
{
	(void)state;
	assert_int_equal(msg_lit(-EINVAL, "plain"), -EINVAL);
	assert_string_equal(msg_last(), "plain");
	assert_int_equal(msg_fmt(-EIO, "%s and %d", msg_last(), 2), -EIO);
	assert_string_equal(msg_last(), "plain and 2");
	/* The former text as an argument. */
	(void)msg_fmt(0, "<%s>", msg_last());
	assert_string_equal(msg_last(), "<plain and 2>");
	assert_string_equal(msg_errname(-EEXIST), "EEXIST");
	assert_string_equal(msg_errname(EEXIST), "EEXIST");
	assert_string_equal(msg_errname(-100000), "E?");
}

static void ticks(void **state)
{
	uint64_t t0, ns0, dt, dns;

	(void)state;
	ticks_init();
	t0 = ticks_now();
	ns0 = clock_ns();
	while (clock_ns() - ns0 < 5000000)
		;
	dt = ticks_to_ns(ticks_now() - t0);
	dns = clock_ns() - ns0;
	/* Within a tenth, on a busy machine. */
	assert_true(dt > dns - dns / 10 && dt < dns + dns / 10);
	assert_true(ticks_from_us(1000) >= ticks_info.per_ms - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arithmetic),
	        cmocka_unit_test(pool_limit),
	        cmocka_unit_test(pool_threads),
	        cmocka_unit_test(index_stack),
	        cmocka_unit_test(ring_is_bounded),
	        cmocka_unit_test(messages),
	        cmocka_unit_test(ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
