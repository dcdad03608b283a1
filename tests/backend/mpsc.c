/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue from many producers to one consumer: what fits, order of each
 * producer, nothing lost or torn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/mpsc.h"
#include "util/util.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

struct elem {
	uint64_t who;
	uint64_t nr;
};

static void test_bounds(void **state)
{
	struct mpsc *q = NULL;
	uint64_t in[8], out[8];
	uint32_t mark;

	(void)state;
	assert_int_equal(mpsc_create(0, 8, &q), -EINVAL);
	assert_int_equal(mpsc_create(4, 0, &q), -EINVAL);
	assert_int_equal(mpsc_create(4, 12, &q), -EINVAL);
	assert_int_equal(mpsc_create((1u << 20) + 1, 8, &q), -EINVAL);
	assert_null(q);
	mpsc_destroy(NULL);
	/* Rounded up to 4; every fill at another place of the wheel. */
	assert_int_equal(mpsc_create(3, 8, &q), 0);
	for (uint64_t round = 0; round < 100; round++) {
		for (uint64_t i = 0; i < 8; i++)
			in[i] = round * 8 + i;
		assert_true(mpsc_empty(q));
		assert_int_equal(mpsc_get(q, out, 8), 0);
		assert_int_equal(mpsc_put(q, in, 3), 3);
		assert_false(mpsc_empty(q));
		assert_int_equal(mpsc_put(q, in + 3, 5), 1);
		assert_int_equal(mpsc_put(q, in + 4, 1), 0);
		mark = mpsc_mark(q);
		assert_int_equal(mpsc_get(q, out, 1), 1);
		assert_int_equal(mpsc_put(q, in + 4, 2), 1);
		/* What came later does not count. */
		assert_int_equal(mpsc_get(q, out + 1, 2), 2);
		assert_false(mpsc_past(q, mark));
		assert_int_equal(mpsc_get(q, out + 3, 1), 1);
		assert_true(mpsc_past(q, mark));
		assert_int_equal(mpsc_get(q, out + 4, 8), 1);
		assert_true(mpsc_past(q, mark));
		for (uint64_t i = 0; i < 5; i++)
			assert_int_equal(out[i], in[i]);
	}
	mpsc_destroy(q);
}

#define PRODUCERS 4
#define EACH 50000u

static struct mpsc *shared;

static void *produce(void *arg)
{
	struct elem e[5];
	uint64_t at = 0;

	while (at < EACH) {
		uint32_t n = 1 + (uint32_t)(at % 5), k;

		for (uint32_t i = 0; i < n; i++)
			e[i] = (struct elem){(uintptr_t)arg, at + i};
		k = mpsc_put(shared, e, n);
		at += k;
		if (k == 0)
			sched_yield();
	}
	return (void *)(uintptr_t)at;
}

static void test_producers(void **state)
{
	uint64_t next[PRODUCERS] = {0}, want = 0, got = 0;
	pthread_t thread[PRODUCERS];
	struct elem e[7];
	void *made;

	(void)state;
	assert_int_equal(mpsc_create(64, sizeof(struct elem), &shared), 0);
	for (uintptr_t i = 0; i < PRODUCERS; i++)
		assert_int_equal(
		        pthread_create(&thread[i], NULL, produce, (void *)i),
		        0);
	while (got < PRODUCERS * EACH) {
		uint32_t n = mpsc_get(shared, e, 7);

		for (uint32_t i = 0; i < n; i++, got++) {
			assert_true(e[i].who < PRODUCERS);
			assert_int_equal(e[i].nr, next[e[i].who]++);
		}
		if (n == 0)
			sched_yield();
	}
	/* A producer's last put may have gone beyond EACH. */
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		pthread_join(thread[i], &made);
		want += (uintptr_t)made;
	}
	while (mpsc_get(shared, e, 1))
		got++;
	assert_int_equal(got, want);
	mpsc_destroy(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_bounds),
	        cmocka_unit_test(test_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
