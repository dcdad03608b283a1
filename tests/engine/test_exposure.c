/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sluice_domain_get_exposure() says, on a clock that moves only when a
 * test says so: clock_gettime() is this file's own, and the engine is told that
 * there is no time-stamp counter. The histograms beside sorted numbers.
 */
#include "tests/engine/rig.h"

#include <stdlib.h>
#include <time.h>

#include "engine/engine_int.h"

static uint64_t the_ns = SECOND;
/* Per reading, so that whoever waits for time to pass is not stuck. */
static uint64_t drift_ns = 1000;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	the_ns += drift_ns;
	ts->tv_sec = (time_t)(the_ns / SECOND);
	ts->tv_nsec = (long)(the_ns % SECOND);
	return 0;
}

static void clock_up(struct rig *r, const struct sluice_domain_cfg *cfg)
{
	drift_ns = 1000;
	/* Before views exist: the domain turns microseconds into ticks. */
	ticks_init();
	ticks_info = (struct ticks_info){.tsc = false, .per_ms = 1000000};
	rig_up(r, cfg);
	drift_ns = 0;
}

static struct sluice_exposure exposure(const struct rig *r)
{
	struct sluice_exposure e;

	memset(&e, 0xff, sizeof(e));
	sluice_domain_get_exposure(r->domain, &e);
	return e;
}

#define assert_three(what, v50, v99, vmax)                                     \
	do {                                                                   \
		assert_int_equal((what).p50, v50);                             \
		assert_int_equal((what).p99, v99);                             \
		assert_int_equal((what).max, vmax);                            \
	} while (0)

static void buckets_tile(void **state)
{
	uint64_t next = 0;

	(void)state;
	for (uint32_t i = 0; i < EXPOSURE_BUCKETS; i++) {
		uint64_t last = exposure_bucket_last(i);

		assert_true(last >= next);
		assert_int_equal(exposure_bucket(next), i);
		assert_int_equal(exposure_bucket(last), i);
		/* The bound that the header promises. */
		assert_true(last - next <= next / 8);
		if (next < 16)
			assert_int_equal(last, next);
		next = last + 1;
	}
	assert_int_equal(next, 0); /* the last one ends the 64-bit range */
}

#define NUMBERS 10007

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void percentiles(void **state)
{
	static struct exposure one, two;
	static uint64_t v[NUMBERS];
	uint64_t x = 88172645463325252u;
	struct sluice_exposure e;

	(void)state;
	for (uint32_t i = 0; i < NUMBERS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v[i] = (x >> 20) >> (x % 30);
		exposure_time(i % 3 ? &one : &two, 5, v[i] + 5, 1);
	}
	exposure_merge(&one, &two);
	ticks_info = (struct ticks_info){.tsc = false, .per_ms = 1000000};
	exposure_report(&one, &e);
	qsort(v, NUMBERS, sizeof(v[0]), ascending);
	assert_int_equal(e.samples, NUMBERS);
	/* The number at the rank ceil(share * n). */
	assert_in_range(e.ns.p50, v[5003], v[5003] + v[5003] / 8);
	assert_in_range(e.ns.p99, v[9906], v[9906] + v[9906] / 8);
	assert_int_equal(e.ns.max, v[NUMBERS - 1]);
	assert_three(e.entries, 0, 0, 0);
}

static void rank_of_few(void **state)
{
	static struct exposure e;
	struct sluice_exposure r;

	(void)state;
	exposure_level(&e, 1, 1, 99);
	exposure_level(&e, 9, 3, 1);
	exposure_report(&e, &r);
	assert_three(r.entries, 1, 1, 9);
	assert_three(r.bytes, PAGE, PAGE, 3 * PAGE);
	exposure_level(&e, 9, 3, 1);
	exposure_report(&e, &r);
	assert_three(r.entries, 1, 9, 9);
	assert_three(r.bytes, PAGE, 3 * PAGE, 3 * PAGE);
}

static void a_clock_that_goes_back(void **state)
{
	static struct exposure e;

	(void)state;
	exposure_time(&e, 100, 99, 1);
	assert_int_equal(ld_rlx(&e.max[EXPOSURE_TICKS]), 0);
	assert_int_equal(ld_rlx(&e.bucket[EXPOSURE_TICKS][0]), 1);
}

static void nothing_yet(void **state)
{
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	clock_up(&r, NULL);
	assert_int_equal(map(&r, M2, PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova, PAGE), 1);
	/* Not passed: no sample. */
	assert_int_equal(exposure(&r).samples, 0);
	assert_three(exposure(&r).ns, 0, 0, 0);
	assert_three(exposure(&r).entries, 0, 0, 0);
	assert_three(exposure(&r).bytes, 0, 0, 0);
	rig_down(&r);
}

static void a_batch_has_the_time_of_its_first(void **state)
{
	struct sluice_domain_stats s;
	sluice_iova_t iova[3];
	struct rig r;

	(void)state;
	clock_up(&r, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		        map(&r, M2, (uint64_t)(i + 1) * PAGE, &iova[i]), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(unmap(&r, iova[i], (uint64_t)(i + 1) * PAGE),
		                 1);
		the_ns += 1000;
	}
	the_ns += 7000;
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(exposure(&r).samples, 3);
	/* 10 us lie in [9216, 10239]: never over the largest. */
	assert_three(exposure(&r).ns, 10000, 10000, 10000);
	assert_three(exposure(&r).entries, 3, 3, 3);
	assert_three(exposure(&r).bytes, 6 * PAGE, 6 * PAGE, 6 * PAGE);
	sluice_domain_get_stats(r.domain, &s);
	assert_int_equal(s.exposed_ns_max, 10000);
	/* A second one, alone and at once. */
	assert_int_equal(map(&r, M2, PAGE, &iova[0]), 0);
	assert_int_equal(unmap(&r, iova[0], PAGE), 1);
	the_ns += 12;
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(exposure(&r).samples, 4);
	assert_three(exposure(&r).ns, 10000, 10000, 10000);
	assert_three(exposure(&r).entries, 3, 3, 3);
	rig_down(&r);
}

static void lazy_waits_for_its_bound(void **state)
{
	const struct sluice_domain_cfg cfg = {.mode = SLUICE_MODE_LAZY,
	                                      .lazy_us = 100};
	sluice_iova_t iova[4];
	struct rig r;

	(void)state;
	clock_up(&r, &cfg);
	for (int i = 0; i < 4; i++)
		assert_int_equal(map(&r, M2, PAGE, &iova[i]), 0);
	for (int i = 0; i < 4; i++) {
		/* Not neighbours: a record each. */
		assert_int_equal(unmap(&r, iova[(i * 2 + i / 2) % 4], PAGE), 0);
		the_ns += 30000;
		sluice_poll(r.lane, NULL, 0);
		assert_int_equal(exposure(&r).samples, i == 3 ? 4 : 0);
	}
	/* Polls between them tell their times apart: 120, 90, 60 and 30 us. */
	assert_int_equal(exposure(&r).ns.max, 120000);
	assert_in_range(exposure(&r).ns.p50, 60000, 60000 * 9 / 8);
	assert_three(exposure(&r).entries, 4, 4, 4);
	rig_down(&r);
}

static void another_lane_holds_it_back(void **state)
{
	struct sluice_lane *lane;
	struct sluice_view *view;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	clock_up(&r, NULL);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, r.domain, &view), 0);
	assert_int_equal(map(&r, M2, PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova, PAGE), 1);
	for (int i = 0; i < 5; i++) {
		the_ns += 3000;
		sluice_poll(r.lane, NULL, 0);
		assert_int_equal(exposure(&r).samples, 0);
	}
	sluice_poll(lane, NULL, 0);
	the_ns += 1000;
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(exposure(&r).samples, 1);
	assert_three(exposure(&r).ns, 16000, 16000, 16000);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	rig_down(&r);
}

static void closed_views_count(void **state)
{
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	clock_up(&r, NULL);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_int_equal(map(&r, M2, i * PAGE, &iova), 0);
		assert_int_equal(unmap(&r, iova, i * PAGE), 1);
		the_ns += 1000 * i;
		sluice_poll(r.lane, NULL, 0);
		assert_int_equal(sluice_view_close(r.view), 0);
		assert_int_equal(exposure(&r).samples, i);
		assert_int_equal(exposure(&r).ns.max, 1000 * i);
		assert_int_equal(sluice_view_open(r.lane, r.domain, &r.view),
		                 0);
	}
	assert_three(exposure(&r).bytes, PAGE, 2 * PAGE, 2 * PAGE);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(buckets_tile),
	        cmocka_unit_test(percentiles),
	        cmocka_unit_test(rank_of_few),
	        cmocka_unit_test(a_clock_that_goes_back),
	        cmocka_unit_test(nothing_yet),
	        cmocka_unit_test(a_batch_has_the_time_of_its_first),
	        cmocka_unit_test(lazy_waits_for_its_bound),
	        cmocka_unit_test(another_lane_holds_it_back),
	        cmocka_unit_test(closed_views_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
