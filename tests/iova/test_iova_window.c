/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Named windows: a request stays inside its own, any other request spares them,
 * and what they have is all that they give.
 */
#include "tests/iova/rig.h"

#define WINDOW(i) ((enum iova_window)(IOVA_WINDOW + (i)))

static struct rig open_windows(const struct shape *shape,
                               const struct sluice_range *w, uint32_t nr)
{
	struct rig r = {.shape = shape};

	assert_int_equal(
	        iova_space_create_windows(shape->r, shape->nr, w, nr, &r.space),
	        0);
	assert_int_equal(iova_cache_create(r.space, &r.cache), 0);
	r.first_free = iova_space_free_bytes(r.space);
	return r;
}

static uint64_t get_in(struct rig *r, uint64_t len, unsigned i,
                       const struct sluice_range *w)
{
	uint64_t iova = get(r, len, WINDOW(i));

	assert_true(iova >= w[i].first && iova + len - 1 <= w[i].last);
	return iova;
}

/* A platform that translates in windows only. */
static void power(void **state)
{
	static const struct sluice_range w[] = {
	        {0, 2 * GIB - 1},
	        {1ull << 59, (1ull << 59) + (1ull << 40) - 1}};
	static const struct shape shape = {
	        "POWER",
	        2,
	        {{0, 2 * GIB - 1},
	         {1ull << 59, (1ull << 59) + (1ull << 40) - 1}}};
	struct rig r = open_windows(&shape, w, 2);
	static const uint64_t lens[] = {PAGE, 3 * PAGE, MIB, 2 * MIB, 5 * MIB};
	uint64_t at[4][NR_OF(lens)];

	(void)state;
	assert_int_equal(iova_space_granule(r.space), 2 * MIB);
	for (uint32_t i = 0; i < NR_OF(lens); i++) {
		at[0][i] = get_in(&r, lens[i], 0, w);
		at[1][i] = get_in(&r, lens[i], 1, w);
		at[2][i] = get(&r, lens[i], IOVA_ANY);
		at[3][i] = get(&r, lens[i], IOVA_32BIT);
		assert_true(at[2][i] >= w[1].first);
		assert_true(at[3][i] <= w[0].last);
	}
	for (uint32_t i = 0; i < NR_OF(at) * NR_OF(lens); i++)
		iova_free(r.cache, at[i / NR_OF(lens)][i % NR_OF(lens)],
		          lens[i % NR_OF(lens)]);
	close_rig(&r, 0);
}

/* Windows in windows, across 4 GiB, and where nothing else is handed out. */
static void overlapping(void **state)
{
	static const struct sluice_range w[] = {
	        {0, 16 * MIB - 1},
	        {0, GIB - 1},
	        {3 * GIB, 5 * GIB - 1},
	        {1ull << 55, (1ull << 55) + 64 * MIB - 1}};
	struct rig r = open_windows(shape_named("57 bits"), w, 4);
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr;

	(void)state;
	assert_non_null(all);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t a = get_in(&r, 3 * PAGE, i, w);
		uint64_t b = get_in(&r, 2 * MIB, i, w);

		iova_free(r.cache, a, 3 * PAGE);
		iova_free(r.cache, b, 2 * MIB);
	}
	/* The larger window gives the smaller one's addresses last, and no
	 * others: page 0 is nobody's, and what it shares a granule with. */
	nr = get_all(&r, 2 * MIB, WINDOW(1), all);
	assert_int_equal(nr, GIB / (2 * MIB) - 1);
	assert_true(all[nr - 1] < GIB);
	put_all(&r, all, nr, 2 * MIB);
	nr = get_all(&r, 2 * MIB, WINDOW(0), all);
	assert_int_equal(nr, 7);
	put_all(&r, all, nr, 2 * MIB);
	nr = get_all(&r, PAGE, WINDOW(3), all);
	assert_int_equal(nr, 64 * MIB / PAGE);
	put_all(&r, all, nr, PAGE);
	free(all);
	close_rig(&r, 0);
}

/* Any address will do: those of the window go last. */
static void spared(void **state)
{
	static const struct sluice_range w[] = {{32 * MIB, 48 * MIB - 1}};
	struct rig r = open_windows(shape_named("64 MiB"), w, 1);
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr = 0;

	(void)state;
	assert_non_null(all);
	for (; nr < 48 * MIB / PAGE; nr++) {
		all[nr] = get(&r, PAGE, IOVA_ANY);
		assert_true(all[nr] < w[0].first || all[nr] > w[0].last);
	}
	all[nr++] = get_in(&r, PAGE, 0, w);
	all[nr] = get(&r, PAGE, IOVA_ANY);
	assert_true(all[nr] >= w[0].first && all[nr] <= w[0].last);
	put_all(&r, all, nr + 1, PAGE);
	free(all);
	close_rig(&r, 0);
}

static void bad_windows(void **state)
{
	static const struct sluice_range bad[] = {
	        {1, 4095}, {0, 4096}, {8192, 4095}};
	static const struct sluice_range five[5] = {
	        {0, 4095}, {0, 4095}, {0, 4095}, {0, 4095}, {0, 4095}};
	/* Smaller than any granule, and outside of what is usable. */
	static const struct sluice_range odd[] = {{0x1000, 0x3fff},
	                                          {1ull << 60, UINT64_MAX}};
	const struct shape *s = shape_named("39 bits");
	struct iova_space *space = NULL;
	struct rig r;
	uint64_t iova = 1;

	(void)state;
	for (uint32_t i = 0; i < NR_OF(bad); i++)
		assert_int_equal(iova_space_create_windows(s->r, s->nr, &bad[i],
		                                           1, &space),
		                 -EINVAL);
	assert_int_equal(
	        iova_space_create_windows(s->r, s->nr, five, 5, &space),
	        -EINVAL);
	assert_null(space);
	r = open_windows(s, odd, 2);
	assert_int_equal(iova_space_granule(r.space), PAGE);
	assert_int_equal(get_in(&r, 3 * PAGE, 0, odd), 0x1000);
	assert_int_equal(iova_alloc(r.cache, PAGE, 12, WINDOW(0), &iova),
	                 -ENOSPC);
	assert_int_equal(iova_alloc(r.cache, PAGE, 12, WINDOW(1), &iova),
	                 -ENOSPC);
	assert_int_equal(iova_alloc(r.cache, PAGE, 12, WINDOW(2), &iova),
	                 -ENOSPC);
	assert_int_equal(iova_space_alloc(r.space, PAGE, 12, WINDOW(1), &iova),
	                 -ENOSPC);
	assert_int_equal(iova, 1);
	iova_free(r.cache, 0x1000, 3 * PAGE);
	close_rig(&r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(power),
	        cmocka_unit_test(overlapping),
	        cmocka_unit_test(spared),
	        cmocka_unit_test(bad_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
