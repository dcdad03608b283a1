/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges set aside for callers who choose their own IOVAs: what can be
 * reserved, what cannot, and that frees leave it alone.
 */
#include "tests/iova/rig.h"

static void reserve_bad(void **state)
{
	struct rig r = open_rig("32 bits");
	static const struct sluice_range bad[] = {
	        {8192, 4095},
	        {1, 4096},
	        {4096, 8190},
	        {0xfee00000, 0xfee00fff},
	        {0xfed00000, 0xfee00fff},
	        {0xfed00000, 0xffffffff},
	        {FOUR_GIB, FOUR_GIB + 4095},
	        {0xfffff000, UINT64_MAX},
	};

	(void)state;
	for (uint32_t i = 0; i < NR_OF(bad); i++) {
		assert_int_equal(
		        iova_space_reserve(r.space, bad[i].first, bad[i].last),
		        -EINVAL);
		assert_false(iova_space_is_reserved(r.space, bad[i].first,
		                                    bad[i].last));
	}
	close_rig(&r, 0);
}

static void reserve_busy(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t a = get_arena(&r, granule);
	uint64_t first = a - 8 * granule, last = a + 9 * granule - 1;
	uint64_t b = get(&r, PAGE, IOVA_32BIT);

	(void)state;
	assert_int_equal(iova_space_reserve(r.space, a, a + PAGE - 1), -EBUSY);
	assert_int_equal(iova_space_reserve(r.space, b, b + PAGE - 1), -EBUSY);
	/* Across 4 GiB and its segments: all or nothing. */
	assert_int_equal(iova_space_reserve(r.space, 0xffc00000, last), -EBUSY);
	assert_false(iova_space_is_reserved(r.space, 0xffc00000, 0xffc00fff));
	iova_space_free(r.space, a, granule);
	iova_free(r.cache, b, PAGE);
	other_cache(&r);
	assert_int_equal(iova_space_free_bytes(r.space), r.first_free);
	first = 0xffc00000;
	assert_int_equal(iova_space_reserve(r.space, first, last), 0);
	assert_int_equal(iova_space_reserve(r.space, b, b + PAGE - 1), 0);
	assert_true(iova_space_is_reserved(r.space, first, last));
	assert_true(iova_space_is_reserved(r.space, a, a));
	assert_false(iova_space_is_reserved(r.space, first, last + 1));
	assert_false(iova_space_is_reserved(r.space, first - 1, last));
	assert_false(iova_space_is_reserved(r.space, last, first));
	/* Once more is fine. */
	assert_int_equal(iova_space_reserve(r.space, first, last), 0);
	close_rig(&r, last + 1 - first + granule);
}

static void reserve_far(void **state)
{
	static const char *const names[] = {"48 bits", "57 bits", "64 bits"};
	static const unsigned bits[] = {48, 57, 64};

	(void)state;
	for (uint32_t i = 0; i < NR_OF(names); i++) {
		struct rig r = open_rig(names[i]);
		uint64_t last = mask64(bits[i]);

		assert_false(iova_space_is_reserved(r.space, last, last));
		assert_int_equal(
		        iova_space_reserve(r.space, last - 0xfff, last), 0);
		assert_true(
		        iova_space_is_reserved(r.space, last - 0xfff, last));
		iova_free(r.cache, last - 0xfff, PAGE);
		iova_free(r.cache, last - 0x1fffff, 0x200000);
		assert_true(iova_space_is_reserved(r.space, last, last));
		/* The whole of it, the far part included. */
		assert_int_equal(iova_space_reserve(r.space, ABOVE_MSI, last),
		                 0);
		assert_true(iova_space_is_reserved(r.space, ABOVE_MSI, last));
		assert_true(get(&r, PAGE, IOVA_ANY) < ABOVE_MSI);
		iova_cache_destroy(r.cache);
		iova_space_destroy(r.space);
	}
}

/* Unmap frees what callers had mapped in their reservation as well. */
static void reserved_stays(void **state)
{
	struct rig r = open_rig("64 MiB");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t first = 32 * MIB, last = first + 4 * granule - 1;
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr;

	(void)state;
	assert_int_equal(iova_space_reserve(r.space, first, last), 0);
	for (uint64_t len = PAGE; len <= 2 * granule; len *= 2)
		iova_free(r.cache, first + PAGE, len);
	nr = get_all(&r, PAGE, IOVA_ANY, all);
	assert_int_equal(nr, (r.first_free - 4 * granule) / PAGE);
	for (uint32_t i = 0; i < nr; i++)
		assert_false(all[i] >= first && all[i] <= last);
	/* Together with the pages around it. */
	iova_free(r.cache, first - PAGE, 2 * PAGE);
	iova_free(r.cache, last + 1 - PAGE, 2 * PAGE);
	assert_int_equal(get_all(&r, PAGE, IOVA_ANY, all + nr), 2);
	iova_free(r.cache, 16 * MIB, 64 * MIB);
	assert_true(iova_space_is_reserved(r.space, first, last));
	free(all);
	close_rig(&r, 4 * granule);
}

/* Looked at page by page only between the lowest and the highest of them. */
static void between_reservations(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t a = get(&r, PAGE, IOVA_ANY);
	uint64_t high = align_down(a, 21) + 4096 * granule;
	uint64_t across = FOUR_GIB - PAGE, got[1024];

	(void)state;
	assert_int_equal(iova_space_reserve(r.space, high, high + PAGE - 1), 0);
	assert_int_equal(iova_space_reserve(r.space, 64 * MIB, 64 * MIB + 4095),
	                 0);
	assert_int_equal(iova_space_reserve(r.space, across, FOUR_GIB + 4095),
	                 -EBUSY);
	iova_free(r.cache, a, PAGE);
	other_cache(&r);
	assert_int_equal(iova_space_reserve(r.space, across, FOUR_GIB + 4095),
	                 0);
	/* Now every IOVA lies between, and few are reserved. */
	a = get(&r, PAGE, IOVA_ANY);
	assert_true(a > FOUR_GIB && a < high);
	iova_free(r.cache, a, PAGE);
	assert_int_equal(get(&r, PAGE, IOVA_ANY), a);
	iova_free(r.cache, across, 2 * PAGE);
	iova_free(r.cache, across, PAGE);
	iova_free(r.cache, FOUR_GIB, PAGE);
	iova_free(r.cache, high, PAGE);
	iova_free(r.cache, 64 * MIB, PAGE);
	for (uint32_t i = 0; i < NR_OF(got); i++) {
		got[i] = get(&r, PAGE, i % 2 ? IOVA_32BIT : IOVA_ANY);
		assert_false(iova_space_is_reserved(r.space, got[i], got[i]));
	}
	put_all(&r, got, NR_OF(got), PAGE);
	iova_free(r.cache, a, PAGE);
	close_rig(&r, 4 * granule);
}

/* A reservation of one page keeps its whole granule, so all of it may come back
 * from an unmap. */
static void reserved_granule(void **state)
{
	struct rig r = open_rig("64 MiB");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t at = 32 * MIB;
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr;

	(void)state;
	assert_int_equal(
	        iova_space_reserve(r.space, at + 9 * PAGE, at + 10 * PAGE - 1),
	        0);
	assert_true(iova_space_is_reserved(r.space, at, at + granule - 1));
	iova_free(r.cache, at, PAGE);
	iova_free(r.cache, at + granule - PAGE, PAGE);
	nr = get_all(&r, PAGE, IOVA_ANY, all);
	assert_int_equal(nr, (r.first_free - granule) / PAGE);
	for (uint32_t i = 0; i < nr; i++)
		assert_false(all[i] >= at && all[i] < at + granule);
	put_all(&r, all, nr, PAGE);
	free(all);
	close_rig(&r, granule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reserve_bad),
	        cmocka_unit_test(reserve_busy),
	        cmocka_unit_test(reserve_far),
	        cmocka_unit_test(reserved_stays),
	        cmocka_unit_test(reserved_granule),
	        cmocka_unit_test(between_reservations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
