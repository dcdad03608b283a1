/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the allocator says about itself, and what it does when one lane keeps
 * what another lacks. That no byte is lost is judged by the random operations.
 */
#include "tests/iova/rig.h"

static struct iova_report report(const struct rig *r)
{
	struct iova_report got;

	iova_space_report(r->space, &got);
	return got;
}

/* The same by the simplest means: granule after granule. */
static void longest_range(void **state)
{
	static const char *const names[] = {"64 MiB", "across 4 GiB",
	                                    "32 bits"};
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint64_t rng = 88172645463325252u;

	(void)state;
	assert_non_null(all);
	for (uint32_t i = 0; i < NR_OF(names) * 8; i++) {
		struct rig r = open_rig(names[i % NR_OF(names)]);
		uint64_t granule = iova_space_granule(r.space);
		uint32_t nr = get_all(&r, granule, IOVA_ANY, all);
		uint64_t run = 0, best = 0;

		assert_int_equal(report(&r).largest, 0);
		for (uint32_t k = 0; k < nr; k++) {
			/* One in two to one in 2^8 stays. */
			if (shape_rnd(&rng) % (2u << i / NR_OF(names)) == 0)
				continue;
			iova_free(r.cache, all[k], granule);
			all[k] |= 1;
		}
		other_cache(&r);
		for (uint32_t k = 0; k < nr; k++) {
			bool next = k &&
			            (all[k] & ~1ull) - granule ==
			                    (all[k - 1] & ~1ull) &&
			            (all[k] & ~1ull) != FOUR_GIB;

			run = !(all[k] & 1) ? 0
			      : next        ? run + granule
			                    : granule;
			best = max_u64(best, run);
		}
		assert_int_equal(report(&r).largest, best);
		for (uint32_t k = 0; k < nr; k++)
			if (!(all[k] & 1))
				iova_free(r.cache, all[k], granule);
		close_rig(&r, 0);
	}
	free(all);
}

static void places(void **state)
{
	struct rig r = open_rig("39 bits");
	struct iova_report a = report(&r), b;
	uint64_t at[200], large;

	(void)state;
	assert_int_equal(a.total, a.free);
	assert_int_equal(a.largest, bit64(39) - FOUR_GIB);
	assert_int_equal(iova_cache_kept(r.cache), 0);
	for (uint32_t i = 0; i < NR_OF(at); i++)
		at[i] = get(&r, 3 * PAGE, IOVA_ANY);
	put_all(&r, at, NR_OF(at), 3 * PAGE);
	b = report(&r);
	/* Two magazines, the rest at the lane. */
	assert_int_equal(b.depot, 2 * 63 * 3 * PAGE);
	assert_int_equal(a.free - b.free - b.depot - b.fragments,
	                 iova_cache_kept(r.cache));
	large = get(&r, 2 * MIB + PAGE, IOVA_ANY);
	assert_true(report(&r).fragments >= 2 * MIB - PAGE);
	iova_free(r.cache, large, 2 * MIB + PAGE);
	other_cache(&r);
	b = report(&r);
	assert_int_equal(b.free, a.free);
	assert_int_equal(b.fragments + b.depot + b.stranded, 0);
	assert_int_equal(iova_space_reserve(r.space, GIB, GIB + 4 * MIB - 1),
	                 0);
	assert_int_equal(report(&r).total, a.total - 4 * MIB);
	close_rig(&r, 4 * MIB);
}

/* All free addresses lie at one lane, another is refused: the one gives them
 * back as it goes on, though it lacks nothing. */
static void relief(void **state)
{
	struct rig r = open_rig("64 MiB");
	uint64_t granule = iova_space_granule(r.space);
	uint64_t *all = malloc(MANY * sizeof(*all));
	struct iova_cache *poor;
	uint32_t nr = get_all(&r, PAGE, IOVA_ANY, all);
	uint32_t whole = (uint32_t)(granule / PAGE), tries = 0;
	uint64_t iova;

	(void)state;
	assert_non_null(all);
	assert_int_equal(iova_cache_create(r.space, &poor), 0);
	/* Half of what a stack holds: nothing reaches the depot. */
	put_all(&r, all + whole, 60, PAGE);
	assert_int_equal(iova_alloc(poor, PAGE, 12, IOVA_ANY, &iova), -ENOSPC);
	iova_free(r.cache, all[0], granule);
	assert_int_equal(iova_cache_kept(r.cache), granule + 60 * PAGE);
	while (iova_cache_kept(r.cache) >= granule + 60 * PAGE) {
		assert_true(tries++ < 1000);
		assert_int_equal(get(&r, granule, IOVA_ANY), all[0]);
		iova_free(r.cache, all[0], granule);
	}
	assert_true(tries > 1);
	for (uint32_t i = 0; i < 60; i++)
		assert_int_equal(
		        iova_alloc(poor, PAGE, 12, IOVA_ANY, &all[whole + i]),
		        0);
	put_all(&r, all + whole, nr - whole, PAGE);
	iova_cache_destroy(poor);
	free(all);
	close_rig(&r, 0);
}

#ifdef SLUICE_DEBUG_CHECKS
/* Refused, counted, and harmless. */
static void bogus(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t a = get(&r, 2 * PAGE, IOVA_ANY), b = get(&r, MIB, IOVA_ANY);
	uint64_t c = get(&r, 5 * MIB, IOVA_ANY), d, e;

	(void)state;
	assert_int_equal(iova_space_reserve(r.space, GIB, GIB + PAGE - 1), 0);
	iova_free(r.cache, GIB, PAGE);
	iova_free(r.cache, a, 2 * PAGE);
	assert_int_equal(report(&r).bogus, 0);
	iova_free(r.cache, a, 2 * PAGE);
	iova_free(r.cache, a + PAGE, PAGE);
	iova_free(r.cache, b - PAGE, 2 * PAGE);
	iova_free(r.cache, c, 6 * MIB);
	iova_free(r.cache, bit64(38), PAGE);
	iova_free(r.cache, bit64(40), PAGE);
	iova_space_free(r.space, bit64(38), 2 * MIB);
	assert_int_equal(report(&r).bogus, 7);
	d = get(&r, 2 * PAGE, IOVA_ANY);
	e = get(&r, 2 * PAGE, IOVA_ANY);
	assert_int_equal(a, d);
	assert_int_not_equal(d, e);
	iova_free(r.cache, d, 2 * PAGE);
	iova_free(r.cache, e, 2 * PAGE);
	iova_free(r.cache, b, MIB);
	iova_free(r.cache, c, 5 * MIB);
	assert_int_equal(report(&r).bogus, 7);
	close_rig(&r, 2 * MIB);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(longest_range),
	        cmocka_unit_test(places),
	        cmocka_unit_test(relief),
#ifdef SLUICE_DEBUG_CHECKS
	        cmocka_unit_test(bogus),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
