/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOVA allocator case by case: apertures, alignment, exhaustion, and ranges
 * that come back otherwise than they were handed out.
 */
#include "tests/iova/rig.h"

static void bad_apertures(void **state)
{
	static const struct {
		uint32_t nr;
		struct sluice_range r[2];
	} bad[] = {
	        {0, {{0, 0}}},
	        {1, {{8192, 4095}}},
	        {1, {{1, 8191}}},
	        {1, {{0, 8190}}},
	        {2, {{0, 8191}, {4096, 16383}}},
	        {2, {{8192, 16383}, {0, 4095}}},
	};
	struct iova_space *space = NULL;

	(void)state;
	for (uint32_t i = 0; i < NR_OF(bad); i++) {
		assert_int_equal(iova_space_create(bad[i].r, bad[i].nr, &space),
		                 -EINVAL);
		assert_null(space);
	}
	iova_space_destroy(NULL);
	iova_cache_destroy(NULL);
}

/* One range of each length at each alignment, all at once. A refusal is right
 * only where not even one would fit. */
static void one_of_each(struct rig *r, enum iova_window win)
{
	static const uint64_t lens[] = {PAGE,       3 * PAGE, MIB,
	                                2 * MIB,    3 * MIB,  2 * MIB + PAGE,
	                                MIB - PAGE, 16 * MIB, GIB};
	uint64_t at[NR_OF(lens) * 19];

	for (uint32_t i = 0; i < NR_OF(at); i++) {
		uint64_t len = lens[i % NR_OF(lens)];
		unsigned align = 12 + i / NR_OF(lens);
		int rc;

		at[i] = 0;
		rc = iova_alloc(r->cache, len, align, win, &at[i]);
		if (rc) {
			assert_int_equal(rc, -ENOSPC);
			assert_int_equal(at[i], 0);
			/* The wide ones have room for all of these. */
			assert_true(r->first_free < bit64(38) ||
			            win == IOVA_32BIT);
			continue;
		}
		assert_true(shape_holds(r->shape, at[i], at[i] + len - 1));
		assert_true(aligned_lg2(at[i], align));
		if (win == IOVA_32BIT)
			assert_true(at[i] + len - 1 <= UINT32_MAX);
		for (uint32_t j = 0; j < i; j++)
			assert_false(
			        at[j] &&
			        ranges_overlap(at[i], at[i] + len - 1, at[j],
			                       at[j] + lens[j % NR_OF(lens)] -
			                               1));
	}
	for (uint32_t i = 0; i < NR_OF(at); i++)
		if (at[i])
			iova_free(r->cache, at[i], lens[i % NR_OF(lens)]);
}

static void apertures(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_OF(shapes); i++) {
		struct rig r = open_rig(shapes[i].name);

		one_of_each(&r, IOVA_ANY);
		one_of_each(&r, IOVA_32BIT);
		close_rig(&r, 0);
	}
}

static void windows(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t any = get(&r, PAGE, IOVA_ANY);
	uint64_t low = get(&r, PAGE, IOVA_32BIT);

	(void)state;
	assert_true(any >= FOUR_GIB);
	assert_true(low < FOUR_GIB);
	iova_free(r.cache, any, PAGE);
	iova_free(r.cache, low, PAGE);
	assert_int_equal(get(&r, PAGE, IOVA_32BIT), low);
	iova_free(r.cache, low, PAGE);
	close_rig(&r, 0);
}

static void no_low_window(void **state)
{
	struct rig r = open_rig("high only");
	uint64_t iova = 1;

	(void)state;
	assert_int_equal(iova_alloc(r.cache, PAGE, 12, IOVA_32BIT, &iova),
	                 -ENOSPC);
	assert_int_equal(iova_space_alloc(r.space, PAGE, 12, IOVA_32BIT, &iova),
	                 -ENOSPC);
	assert_int_equal(iova, 1);
	close_rig(&r, 0);
}

static void bad_requests(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t iova = 1;

	(void)state;
	assert_int_equal(iova_alloc(r.cache, 0, 12, IOVA_ANY, &iova), -EINVAL);
	assert_int_equal(iova_alloc(r.cache, 100, 12, IOVA_ANY, &iova),
	                 -EINVAL);
	assert_int_equal(iova_alloc(r.cache, PAGE, 64, IOVA_ANY, &iova),
	                 -EINVAL);
	assert_int_equal(iova_alloc(r.cache, 1ull << 39, 12, IOVA_ANY, &iova),
	                 -ENOSPC);
	assert_int_equal(iova_alloc(r.cache, 0 - PAGE, 63, IOVA_ANY, &iova),
	                 -ENOSPC);
	assert_int_equal(iova_space_alloc(r.space, 0, 12, IOVA_ANY, &iova),
	                 -EINVAL);
	assert_int_equal(
	        iova_space_alloc(r.space, UINT64_MAX, 12, IOVA_ANY, &iova),
	        -ENOSPC);
	assert_int_equal(iova, 1);
	close_rig(&r, 0);
}

/* Every page of a small aperture, again and again, through changing caches. */
static void exhaustion(void **state)
{
	static const char *const names[] = {"1 MiB", "64 MiB", "across 4 GiB"};
	uint64_t *all = malloc(MANY * sizeof(*all));

	(void)state;
	for (uint32_t i = 0; i < NR_OF(names); i++) {
		struct rig r = open_rig(names[i]);
		uint64_t granule = iova_space_granule(r.space);
		uint32_t nr = get_all(&r, PAGE, IOVA_ANY, all);
		uint64_t iova;

		assert_int_equal(nr, r.first_free / PAGE);
		assert_int_equal(iova_space_free_bytes(r.space), 0);
		iova_free(r.cache, all[nr / 2], PAGE);
		iova = get(&r, PAGE, IOVA_ANY);
		assert_int_equal(iova, all[nr / 2]);
		other_cache(&r);
		put_all(&r, all, nr, PAGE);
		/* Neighbours have merged, in the stacks and the depot too. */
		nr = get_all(&r, granule, IOVA_ANY, all);
		assert_int_equal(nr, r.first_free / granule);
		put_all(&r, all, nr, granule);
		nr = get_all(&r, 2 * granule, IOVA_ANY, all);
		assert_true(nr >= r.first_free / granule / 2 - 2);
		put_all(&r, all, nr, 2 * granule);
		close_rig(&r, 0);
	}
	free(all);
}

static void page_zero(void **state)
{
	struct rig r = open_rig("1 MiB");
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr = get_all(&r, PAGE, IOVA_ANY, all);

	(void)state;
	assert_int_equal(nr, MIB / PAGE - 1);
	assert_int_equal(all[0], PAGE);
	put_all(&r, all, nr, PAGE);
	/* Not even when it is "given back". */
	iova_free(r.cache, 0, PAGE);
	assert_int_equal(get_all(&r, PAGE, IOVA_ANY, all), nr);
	assert_int_equal(all[0], PAGE);
	put_all(&r, all, nr, PAGE);
	free(all);
	close_rig(&r, 0);
}

static void tails(void **state)
{
	static const char *const names[] = {"64 MiB", "39 bits", "48 bits"};

	(void)state;
	for (uint32_t i = 0; i < NR_OF(names); i++) {
		struct rig r = open_rig(names[i]);
		uint64_t granule = iova_space_granule(r.space);
		uint64_t at[64];

		for (uint32_t k = 0; k < NR_OF(at); k++)
			at[k] = get(&r, granule + (k % 7 + 1) * PAGE, IOVA_ANY);
		for (uint32_t k = 0; k < NR_OF(at); k++)
			iova_free(r.cache, at[k], granule + (k % 7 + 1) * PAGE);
		close_rig(&r, 0);
	}
}

/* An unmap may take a part. The rest stays with its owner until its last page
 * is back, also where granules are never carved. */
static void in_pieces(void **state)
{
	static const char *const names[] = {"64 MiB", "39 bits", "48 bits"};

	(void)state;
	for (uint32_t i = 0; i < NR_OF(names); i++) {
		struct rig r = open_rig(names[i]);
		uint64_t granule = iova_space_granule(r.space);
		uint64_t at = get(&r, 2 * granule, IOVA_ANY);

		for (uint64_t k = 0; k < 2 * granule; k += PAGE) {
			assert_int_equal(
			        iova_space_free_bytes(r.space),
			        r.first_free - 2 * granule +
			                align_down(k, lg2_floor(granule)));
			iova_free(r.cache, at + k, PAGE);
			other_cache(&r);
		}
		close_rig(&r, 0);
	}
}

/* ... or several at once, across granules and across 4 GiB. */
static void joined(void **state)
{
	struct rig r = open_rig("across 4 GiB");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr = get_all(&r, PAGE, IOVA_ANY, all);
	uint64_t iova = 1;

	(void)state;
	for (uint32_t i = 1; i < nr; i++)
		assert_int_equal(all[i], all[i - 1] + PAGE);
	iova_free(r.cache, FOUR_GIB - PAGE, 2 * PAGE);
	assert_int_equal(iova_alloc(r.cache, 2 * PAGE, 12, IOVA_32BIT, &iova),
	                 -ENOSPC);
	assert_int_equal(get(&r, PAGE, IOVA_32BIT), FOUR_GIB - PAGE);
	assert_int_equal(get(&r, PAGE, IOVA_ANY), FOUR_GIB);
	iova_free(r.cache, all[0], granule / 2);
	iova_free(r.cache, all[0] + granule / 2, granule);
	iova_free(r.cache, all[0] + granule / 2 * 3,
	          nr * PAGE - granule / 2 * 3);
	free(all);
	close_rig(&r, 0);
}

static void never_handed_out(void **state)
{
	struct rig r = open_rig("holes");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t a = get_arena(&r, granule);

	(void)state;
	iova_space_free(r.space, a + PAGE, granule); /* misaligned */
	iova_space_free(r.space, a + granule, granule);
	iova_space_free(r.space, 0, granule);
	iova_space_free(r.space, 0xfee00000, granule);
	iova_space_free(r.space, 0 - granule, granule);
	iova_free(r.cache, a + granule, 2 * granule);
	iova_free(r.cache, 0xfec00000, 4 * granule);
	iova_free(r.cache, 0 - PAGE, 2 * PAGE); /* wraps */
	iova_free(r.cache, a, 0);
	iova_free(r.cache, a, 100);
	iova_free(r.cache, a + 1, PAGE);
	other_cache(&r);
	assert_int_equal(iova_space_free_bytes(r.space),
	                 r.first_free - granule);
	assert_int_not_equal(get_arena(&r, granule), a);
	other_cache(&r);
	assert_int_equal(iova_space_free_bytes(r.space),
	                 r.first_free - 2 * granule);
	iova_cache_destroy(r.cache);
	iova_space_destroy(r.space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bad_apertures),
	        cmocka_unit_test(apertures),
	        cmocka_unit_test(windows),
	        cmocka_unit_test(no_low_window),
	        cmocka_unit_test(bad_requests),
	        cmocka_unit_test(exhaustion),
	        cmocka_unit_test(page_zero),
	        cmocka_unit_test(tails),
	        cmocka_unit_test(in_pieces),
	        cmocka_unit_test(joined),
	        cmocka_unit_test(never_handed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
