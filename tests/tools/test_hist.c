/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Histogram against sorted values: each percentile at most 1/64 too high.
 */
#include "tools/hist.h"
#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define VALUES 20000

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void buckets_tile(void **state)
{
	uint64_t next = 0;

	(void)state;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		assert_int_equal(hist_bucket_first(i), next);
		assert_true(hist_bucket_last(i) >= next);
		/* The bound that the header promises. */
		assert_true(hist_bucket_last(i) - next <= next / 64);
		if (next < 128)
			assert_int_equal(hist_bucket_last(i), next);
		next = hist_bucket_last(i) + 1;
	}
	assert_int_equal(next, 0); /* the last one ends the 64-bit range */
}

static void percentiles(void **state)
{
	static const double shares[] = {0.0001, 0.1, 0.5, 0.99, 0.999, 1.0};
	static struct hist h, half;
	static uint64_t v[VALUES];
	uint64_t x = 88172645463325252u;

	(void)state;
	memset(&h, 0, sizeof(h));
	memset(&half, 0, sizeof(half));
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	for (int i = 0; i < VALUES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* All sizes from one bit to forty. */
		v[i] = (x >> 24) >> (x % 40);
		hist_add(i % 2 ? &h : &half, v[i], 1);
	}
	hist_merge(&h, &half);
	qsort(v, VALUES, sizeof(v[0]), ascending);
	assert_int_equal(h.count, VALUES);
	assert_int_equal(h.min, v[0]);
	assert_int_equal(h.max, v[VALUES - 1]);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		uint64_t at = (uint64_t)(shares[i] * VALUES);
		uint64_t want = v[at ? at - 1 : 0];
		uint64_t got = hist_percentile(&h, shares[i]);

		assert_true(got >= want);
		assert_true(got - want <= want / 64);
	}
}

/* One number in the middle of each bucket, alone: every percentile is that
 * number, because none is over the largest or below the smallest. With a number
 * far above it the end of its bucket shows, 1/64 too high at most. */
static void error_bound(void **state)
{
	static struct hist h;

	(void)state;
	for (unsigned lg2 = 0; lg2 < 63; lg2++) {
		uint64_t base = UINT64_C(1) << lg2;

		for (uint64_t part = 0; part < 130; part++) {
			uint64_t v = base + (base >> 7) * part, got;

			if (v >= 2 * base)
				break;
			memset(&h, 0, sizeof(h));
			hist_add(&h, v, 10);
			assert_int_equal(hist_percentile(&h, 0.999), v);
			hist_add(&h, UINT64_MAX, 1);
			got = hist_percentile(&h, 0.5);
			assert_true(got >= v);
			assert_true(got - v <= v / 64);
		}
	}
}

/* Rank ceil(share * n): 999 of 1000 is the 999th number, not the last. */
static void ranks(void **state)
{
	static struct hist h;

	(void)state;
	memset(&h, 0, sizeof(h));
	hist_add(&h, 1, 500);
	hist_add(&h, 2, 490);
	hist_add(&h, 3, 9);
	hist_add(&h, 100, 1);
	assert_int_equal(hist_percentile(&h, 0.5), 1);
	assert_int_equal(hist_percentile(&h, 0.501), 2);
	assert_int_equal(hist_percentile(&h, 0.99), 2);
	assert_int_equal(hist_percentile(&h, 0.991), 3);
	assert_int_equal(hist_percentile(&h, 0.999), 3);
	assert_int_equal(hist_percentile(&h, 0.9995), 100);
	assert_int_equal(hist_percentile(&h, 1.0), 100);
}

static void extremes(void **state)
{
	static struct hist h;

	(void)state;
	memset(&h, 0, sizeof(h));
	hist_add(&h, UINT64_MAX, 1);
	hist_add(&h, 0, 3);
	hist_add(&h, 7, 0);
	assert_int_equal(h.count, 4);
	assert_int_equal(hist_percentile(&h, 0.5), 0);
	assert_true(hist_percentile(&h, 1.0) == UINT64_MAX);
}

static void numbers(void **state)
{
	uint64_t n = 42;

	(void)state;
	assert_int_equal(tool_number("12", 0, 100, &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(tool_number("4K", 0, 1 << 20, &n), 0);
	assert_int_equal(n, 4096);
	assert_int_equal(tool_number("0x10", 0, 100, &n), 0);
	assert_int_equal(n, 16);
	assert_int_equal(tool_number("101", 0, 100, &n), -ERANGE);
	assert_int_equal(tool_number("0", 1, 100, &n), -ERANGE);
	assert_int_equal(tool_number("99999999999999999999", 0, 9, &n),
	                 -ERANGE);
	assert_int_equal(tool_number("17179869184G", 0, UINT64_MAX, &n),
	                 -ERANGE);
	assert_int_equal(tool_number("", 0, 100, &n), -EINVAL);
	assert_int_equal(tool_number("-1", 0, 100, &n), -EINVAL);
	assert_int_equal(tool_number(" 1", 0, 100, &n), -EINVAL);
	assert_int_equal(tool_number("1KB", 0, 10000, &n), -EINVAL);
	assert_int_equal(n, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(buckets_tile), cmocka_unit_test(percentiles),
	        cmocka_unit_test(error_bound),  cmocka_unit_test(ranks),
	        cmocka_unit_test(extremes),     cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
