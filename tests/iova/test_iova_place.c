/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where ranges lie that are to have large leaves, what they leave to others,
 * and that a lane takes again what it gave.
 */
#include "tests/iova/rig.h"

#define LEAF_2M (2 * MIB)
#define NR 64u

static uint64_t like(struct rig *r, uint64_t len, uint64_t va)
{
	uint64_t iova = 0;

	assert_int_equal(iova_alloc_like(r->cache, len, va, IOVA_ANY, &iova),
	                 0);
	assert_true(shape_holds(r->shape, iova, iova + len - 1));
	assert_true(aligned_lg2(iova, 12));
	return iova;
}

/* Every kind of length at every kind of address; wide apertures have room for
 * the gigabytes too. */
static void leaves_possible(void **state)
{
	static const char *const names[] = {"64 MiB", "across 4 GiB", "39 bits",
	                                    "48 bits", "64 bits"};
	static const uint64_t lens[] = {
	        2 * MIB,        3 * MIB, 4 * MIB - PAGE,
	        5 * MIB + PAGE, GIB,     2 * GIB - PAGE};
	static const uint64_t vas[] = {0,   5 * PAGE,       MIB,
	                               GIB, 2 * MIB - PAGE, GIB - PAGE};

	(void)state;
	for (uint32_t i = 0; i < NR_OF(names) * NR_OF(lens) * NR_OF(vas); i++) {
		const char *name = names[i / NR_OF(vas) / NR_OF(lens)];
		uint64_t len = lens[i / NR_OF(vas) % NR_OF(lens)];
		uint64_t va = (1ull << 46) + vas[i % NR_OF(vas)];
		struct rig r = open_rig(name);
		uint64_t wide = align_up(va, 30) + GIB;
		uint64_t large = align_up(va, 21) + LEAF_2M;
		uint64_t a, b;

		if (len * 3 > r.first_free) {
			close_rig(&r, 0);
			continue;
		}
		a = like(&r, len, va);
		b = like(&r, len, va);
		assert_true(a + len <= b || b + len <= a);
		if (large <= va + len) {
			assert_int_equal((a ^ va) & (LEAF_2M - 1), 0);
			assert_int_equal((b ^ va) & (LEAF_2M - 1), 0);
		}
		if (wide <= va + len) {
			assert_int_equal((a ^ va) & (GIB - 1), 0);
			assert_int_equal((b ^ va) & (GIB - 1), 0);
		}
		iova_free(r.cache, b, len);
		iova_free(r.cache, a, len);
		assert_int_equal(like(&r, len, va), a);
		iova_free(r.cache, a, len);
		close_rig(&r, 0);
	}
}

/* The bound: a range costs its length and less than two granules, and every
 * page of these goes to ranges that are smaller before anything else does. */
static void rest_is_used(void **state)
{
	static const char *const names[] = {"64 MiB", "39 bits", "48 bits",
	                                    "57 bits"};
	const uint64_t len = 3 * MIB + 3 * PAGE, off = 5 * PAGE;
	uint64_t at[NR], *small = malloc(MANY * sizeof(*small));

	(void)state;
	assert_non_null(small);
	for (uint32_t i = 0; i < NR_OF(names); i++) {
		struct rig r = open_rig(names[i]);
		uint64_t granule = iova_space_granule(r.space);
		uint32_t nr = i ? NR : 8, n = 0;
		uint64_t used, rest, slack;

		for (uint32_t k = 0; k < nr; k++)
			at[k] = like(&r, len, off);
		used = r.first_free - iova_space_free_bytes(r.space);
		assert_true(used < nr * (len + 2 * granule));
		rest = used - nr * len;
		/* The slice of this lane may be a granule more; fragments below
		 * eight pages wait for a shortage. */
		slack = nr * 2 * 8 * PAGE;
		while (iova_space_free_bytes(r.space) >=
		       r.first_free - used - granule)
			small[n++] = get(&r, PAGE, IOVA_ANY);
		assert_true(n * PAGE + slack >= rest + granule);
		put_all(&r, small, n, PAGE);
		put_all(&r, at, nr, len);
		close_rig(&r, 0);
	}
	free(small);
}

/* When no range suits the leaves any more, one that does not is still found. */
static void full_aperture(void **state)
{
	struct rig r = open_rig("64 MiB");
	uint64_t *all = malloc(MANY * sizeof(*all));
	uint32_t nr = 0;
	uint64_t iova;

	(void)state;
	assert_non_null(all);
	while (!iova_alloc_like(r.cache, 2 * MIB + PAGE, 2 * MIB - PAGE,
	                        IOVA_ANY, &iova))
		all[nr++] = iova;
	/* One in 4 MiB has the leaf, and nine granules of 256 KiB are not left
	 * between two of them. */
	assert_int_equal(nr, 16);
	put_all(&r, all, nr, 2 * MIB + PAGE);
	nr = get_all(&r, 2 * MIB + PAGE, IOVA_ANY, all);
	assert_int_equal(nr, 64 * 4 / 9);
	/* Room for a leaf's congruence is gone: any room will do. */
	iova_free(r.cache, all[nr / 2], 2 * MIB + PAGE);
	iova = like(&r, 2 * MIB + PAGE, 2 * MIB - PAGE);
	assert_int_equal(iova, all[nr / 2]);
	put_all(&r, all, nr, 2 * MIB + PAGE);
	free(all);
	close_rig(&r, 0);
}

/* A lane keeps no more of larger ranges than a 256th of the zone. */
static void kept_is_bounded(void **state)
{
	struct rig r = open_rig("39 bits");
	uint64_t at[256], share = bit64(39 - 8);

	(void)state;
	for (uint32_t i = 0; i < NR_OF(at); i++)
		at[i] = like(&r, 128 * MIB, 0);
	put_all(&r, at, NR_OF(at), 128 * MIB);
	assert_true(iova_space_free_bytes(r.space) + share >= r.first_free);
	for (uint32_t i = 0; i < NR_OF(at); i++)
		at[i] = like(&r, 3 * MIB, PAGE);
	put_all(&r, at, NR_OF(at), 3 * MIB);
	/* Nor more than 32 of them. */
	assert_true(iova_space_free_bytes(r.space) + 32 * 6 * MIB >=
	            r.first_free);
	close_rig(&r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(leaves_possible),
	        cmocka_unit_test(rest_is_used),
	        cmocka_unit_test(full_aperture),
	        cmocka_unit_test(kept_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
