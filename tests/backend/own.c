/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The set of mappings against the simplest model: an array of pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 4096u
#define PAGE 4096u

static uint8_t head[PAGES + 1]; /* length in pages of the mapping that begins */
static uint8_t used[PAGES + 1];

static int model_whole(uint32_t first, uint32_t nr)
{
	uint32_t at = first, end = first + nr;
	int n = 0;

	while (at < end) {
		if (!head[at])
			return n ? -EINVAL : -ENOENT;
		at += head[at];
		n++;
	}
	return at == end ? n : -EINVAL;
}

static void step(struct t1_own *own, uint64_t base, uint32_t *nr)
{
	uint32_t first = (uint32_t)rand() % PAGES;
	uint32_t len = 1 + (uint32_t)rand() % 8;
	uint64_t iova = base + (uint64_t)first * PAGE;
	uint64_t last = iova + (uint64_t)len * PAGE - 1;
	int whole;

	if (first + len > PAGES)
		return;
	whole = model_whole(first, len);
	assert_int_equal(own_whole(own, iova, last), whole);
	assert_int_equal(own_len(own, iova), head[first] * PAGE);
	if (whole > 0 && rand() % 3 == 0) {
		own_drop(own, iova, last);
		memset(head + first, 0, len);
		memset(used + first, 0, len);
		*nr -= (uint32_t)whole;
	} else if (!memchr(used + first, 1, len)) {
		assert_int_equal(own_reserve(own, 1), 0);
		own_add(own, iova, (uint64_t)len * PAGE);
		head[first] = (uint8_t)len;
		memset(used + first, 1, len);
		*nr += 1;
	}
	assert_int_equal(own->nr, *nr);
}

static void test_against_model(void **state)
{
	/* The second ends where the address space does. */
	static const uint64_t base[] = {0, 0 - (uint64_t)PAGES * PAGE};

	(void)state;
	srand(1);
	for (int b = 0; b < 2; b++) {
		struct t1_own own = {0};
		uint32_t nr = 0;

		memset(head, 0, sizeof(head));
		memset(used, 0, sizeof(used));
		assert_int_equal(own_whole(&own, base[b], base[b] + 1),
		                 -ENOENT);
		for (int i = 0; i < 400000; i++)
			step(&own, base[b], &nr);
		assert_true(nr > 100);
		own_free(&own);
		assert_int_equal(own.nr, 0);
	}
}

/* The kernel's limit, at addresses that collide as much as they can. */
static void test_full(void **state)
{
	const uint32_t nr = 65535;
	struct t1_own own = {0};

	(void)state;
	for (uint32_t i = 0; i < nr; i++) {
		assert_int_equal(own_reserve(&own, 1), 0);
		own_add(&own, (uint64_t)i << 30, bit64(30));
	}
	assert_int_equal(own_whole(&own, 0, ((uint64_t)nr << 30) - 1), nr);
	for (uint32_t i = 0; i < nr; i += 2)
		own_drop(&own, (uint64_t)i << 30,
		         ((uint64_t)i + 1) * bit64(30) - 1);
	assert_int_equal(own.nr, nr / 2);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(own_len(&own, (uint64_t)i << 30),
		                 i % 2 ? bit64(30) : 0);
	own_free(&own);
	assert_int_equal(own_reserve(&own, UINT32_MAX), -ENOMEM);
	assert_null(own.slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_against_model),
	        cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
