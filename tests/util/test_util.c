/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util/: arithmetic at its edges, the page pool under threads and at its limit,
 * the index stack, the ring, messages, home.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/home.h"
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

/* The first pages come one by one, and what follows begins a huge page: the
 * upper tables of 2^n full ones do not begin another. */
static void pool_head_is_small(void **state)
{
	struct pagepool *pool = NULL;
	struct pagecache pc;
	unsigned char here[32] = {0};
	uint8_t *page = NULL;

	(void)state;
	assert_int_equal(pagepool_create(2048, 12, &pool), 0);
	pagecache_init(&pc, pool);
	*(uint64_t *)pagecache_get(&pc) = 1;
	assert_int_equal(
	        mincore(pagepool_at(pool, 0), 32 * PAGEPOOL_PAGE, here), 0);
	assert_true(here[0] & 1);
	for (int i = 1; i < 32; i++)
		assert_false(here[i] & 1);
	for (int i = 1; i <= 32; i++)
		page = pagecache_get(&pc);
	assert_ptr_equal(page, pagepool_at(pool, 32));
	assert_true(aligned_lg2((uintptr_t)page, 21));
	pagepool_destroy(pool);
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

/* Of a child: whether it takes itself for the parent. */
static bool child_at_home(const struct home *home)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(home_mine(home));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int refuses(void *at, size_t len, int advice)
{
	(void)at;
	(void)len;
	(void)advice;
	return -EINVAL;
}

static int agrees(void *at, size_t len, int advice)
{
	(void)at;
	(void)len;
	(void)advice;
	return 0;
}

/* Also on an old kernel, and in an emulator that agrees to any advice. */
static void home_of_a_child(void **state)
{
	int (*const advise[])(void *, size_t, int) = {sys->madvise, refuses,
	                                              agrees};
	const struct sys_table *real = sys;
	struct sys_table table = *sys;
	struct home *home;

	(void)state;
	for (unsigned i = 0; i < NR_OF(advise); i++) {
		table.madvise = advise[i];
		sys = &table;
		assert_int_equal(home_open(&home), 0);
		sys = real;
		assert_true(home_mine(home));
		assert_false(child_at_home(home));
		assert_true(home_mine(home));
		home_close(home);
	}
}

/* The ticks and the time, read when nobody else ran between. */
static uint64_t ticks_at(uint64_t *ret_ns)
{
	uint64_t t;

	do {
		*ret_ns = clock_ns();
		t = ticks_now();
	} while (clock_ns() - *ret_ns > 100000);
	return t;
}

static void ticks(void **state)
{
	uint64_t t0, ns0, dt, dns;

	(void)state;
	ticks_init();
	t0 = ticks_at(&ns0);
	while (clock_ns() - ns0 < 5000000)
		;
	dt = ticks_to_ns(ticks_at(&dns) - t0);
	dns -= ns0;
	assert_true(dt > dns - dns / 10 && dt < dns + dns / 10);
	assert_true(ticks_from_us(1000) >= ticks_info.per_ms - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(arithmetic),
	        cmocka_unit_test(pool_limit),
	        cmocka_unit_test(pool_head_is_small),
	        cmocka_unit_test(pool_threads),
	        cmocka_unit_test(index_stack),
	        cmocka_unit_test(ring_is_bounded),
	        cmocka_unit_test(messages),
	        cmocka_unit_test(home_of_a_child),
	        cmocka_unit_test(ticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
