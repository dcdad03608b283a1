/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the engine places a mapping in IOVA: so that its memory's large leaves
 * are leaves. What one translation returns tells how large the leaf is.
 */
#include "tests/engine/rig.h"

#define M4 (2 * M2)
#define G1 (UINT64_C(1) << 30)

/* How far the leaf of this byte of the memory reaches. */
static uint64_t leaf_at(struct rig *r, sluice_iova_t iova, uint64_t off)
{
	return (uint64_t)xlate(r, iova + off, UINT64_C(1) << 40);
}

/* Each 2 MiB of 4 MiB buffers wherever they lie; memory that has none gets
 * none. */
static void buffers_have_large_leaves(void **state)
{
	static const uint64_t offs[] = {0, 0x5000, M2 / 2, M2 - PAGE};
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	for (uint32_t i = 0; i < 64; i++) {
		uint64_t va = (1ull << 40) + i * 8ull * M2 + offs[i % 4];
		uint64_t skip = -va & (M2 - 1);
		sluice_iova_t iova = 0;

		assert_int_equal(map(&r, va, M4, &iova), 0);
		assert_int_equal(leaf_at(&r, iova, skip), M2);
		assert_int_equal((iova ^ va) & (M2 - 1), 0);
		if (skip)
			assert_int_equal(leaf_at(&r, iova, 0), PAGE);
	}
	rig_down(&r);
}

static void gigabytes(void **state)
{
	struct rig r;
	const uint64_t va = (1ull << 40) + 3 * M2 + PAGE;
	const uint64_t skip = G1 - 3 * M2 - PAGE;
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map(&r, va, 2 * G1, &iova), 0);
	assert_int_equal(leaf_at(&r, iova, skip), G1);
	assert_int_equal(leaf_at(&r, iova, skip - M2), M2);
	assert_int_equal(leaf_at(&r, iova, 0), PAGE);
	rig_down(&r);
}

/* Without: the range is like any other, and a part of it can go. */
static void declined(void **state)
{
	struct rig r;
	struct sluice_map_req req = {.va = (1ull << 40) + 5 * PAGE,
	                             .len = M4,
	                             .prot = RW,
	                             .flags = SLUICE_MAP_COMPACT};
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	assert_int_equal(leaf_at(&r, iova, M2 - 5 * PAGE), PAGE);
	assert_int_equal(unmap(&r, iova + M2, PAGE), 1);
	assert_int_equal(unmap(&r, iova, M2), 1);
	assert_int_equal(unmap(&r, iova + M2 + PAGE, M2 - PAGE), 1);
	req.flags = 0;
	req.align_lg2 = 16;
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	assert_int_equal(iova & 0xffff, 0);
	req.align_lg2 = 0;
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	assert_int_equal(unmap(&r, iova + M2, PAGE), -ERANGE);
	rig_down(&r);
}

/* The largest piece of a list decides. */
static void scatter_list(void **state)
{
	struct rig r;
	struct sluice_map_req req = {.prot = RW};
	struct iovec iov[3] = {
	        {(void *)(uintptr_t)((1ull << 40) + 7 * PAGE), 3 * PAGE},
	        {(void *)(uintptr_t)((1ull << 41) + PAGE), M4},
	        {(void *)(uintptr_t)(1ull << 42), M2 / 2},
	};
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 3, &iova), 0);
	assert_int_equal(leaf_at(&r, iova, 3 * PAGE + M2 - PAGE), M2);
	rig_down(&r);
}

/* Below 4 GiB as well, until it is full; then without. */
static void narrow_aperture(void **state)
{
	const struct sluice_domain_cfg cfg = {.first = 16 * M2,
	                                      .last = 48 * M2 - 1};
	struct rig r;
	sluice_iova_t at[16] = {0};
	uint32_t nr = 0, large = 0;

	(void)state;
	rig_up(&r, &cfg);
	for (; nr < 16; nr++) {
		uint64_t va = (1ull << 40) + nr * 16ull * M2 + PAGE;

		if (map(&r, va, M4, &at[nr]))
			break;
		large += leaf_at(&r, at[nr], M2 - PAGE) == M2;
	}
	assert_true(nr >= 10 && large >= 10);
	while (nr-- > 0)
		assert_int_equal(unmap(&r, at[nr], M4), 1);
	rig_down(&r);
}

/* A mapping lies in the window that it asks for, by number. */
static void windows(void **state)
{
	struct sluice_range w[] = {{2 * G1, 2 * G1 + 64ull * M2 - 1},
	                           {1ull << 40, (1ull << 40) + G1 - 1}};
	const struct sluice_domain_cfg cfg = {.windows = w, .nr_windows = 2};
	struct rig r;
	struct sluice_map_req req = {.va = 1ull << 41, .prot = RW};
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, &cfg);
	for (uint32_t i = 0; i < 24; i++) {
		uint32_t n = i % 2;

		req.len = i % 3 ? PAGE : M4;
		req.flags = SLUICE_MAP_WINDOW(n + 1);
		assert_int_equal(sluice_map(r.view, &req, &iova), 0);
		assert_true(iova >= w[n].first &&
		            iova + req.len - 1 <= w[n].last);
		assert_int_equal(
		        sluice_iova_alloc(r.view, PAGE, 0, req.flags, &iova),
		        0);
		assert_true(iova >= w[n].first && iova < w[n].last);
		sluice_iova_free(r.view, iova, PAGE);
	}
	req.len = 2 * G1;
	assert_int_equal(sluice_map(r.view, &req, &iova), -ENOSPC);
	req.len = PAGE;
	req.flags = SLUICE_MAP_WINDOW(3);
	assert_int_equal(sluice_map(r.view, &req, &iova), -EINVAL);
	req.flags = SLUICE_MAP_WINDOW(1) | SLUICE_MAP_32BIT;
	assert_int_equal(sluice_map(r.view, &req, &iova), -EINVAL);
	req.flags = SLUICE_MAP_WINDOW(8);
	assert_int_equal(sluice_map(r.view, &req, &iova), -EINVAL);
	rig_down(&r);
}

static void fixed_in_a_window(void **state)
{
	const struct sluice_range w[] = {{2 * G1, 3 * G1 - 1}};
	const struct sluice_domain_cfg cfg = {.flags =
	                                              SLUICE_DOMAIN_CALLER_IOVA,
	                                      .windows = w,
	                                      .nr_windows = 1};
	struct rig r;
	struct sluice_map_req req = {.va = 1ull << 41,
	                             .len = PAGE,
	                             .prot = RW,
	                             .flags = SLUICE_MAP_FIXED |
	                                      SLUICE_MAP_WINDOW(1)};
	sluice_iova_t iova = 2 * G1 - PAGE;

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(sluice_map(r.view, &req, &iova), -EADDRNOTAVAIL);
	iova = 3 * G1;
	assert_int_equal(sluice_map(r.view, &req, &iova), -EADDRNOTAVAIL);
	iova = 2 * G1;
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	req.flags = SLUICE_MAP_FIXED | SLUICE_MAP_WINDOW(2);
	assert_int_equal(sluice_map(r.view, &req, &iova), -EINVAL);
	rig_down(&r);
}

static void bad_windows(void **state)
{
	static const struct sluice_range bad[] = {
	        {1, 4095}, {0, 4096}, {8192, 4095}};
	struct rig r;
	struct sluice_domain_cfg cfg = {.nr_windows = 1};
	struct sluice_domain *domain = NULL;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_domain_create(r.engine, &cfg, &domain),
	                 -EINVAL);
	for (uint32_t i = 0; i < 3; i++) {
		cfg.windows = &bad[i];
		assert_int_equal(sluice_domain_create(r.engine, &cfg, &domain),
		                 -EINVAL);
	}
	cfg.nr_windows = SLUICE_MAX_WINDOWS + 1;
	assert_int_equal(sluice_domain_create(r.engine, &cfg, &domain),
	                 -EINVAL);
	assert_null(domain);
	rig_down(&r);
}

/* The domain tells where its addresses are. */
static void information(void **state)
{
	struct rig r;
	struct sluice_domain_info a, b;
	sluice_iova_t iova = 0;

	(void)state;
	rig_up(&r, NULL);
	sluice_domain_get_info(r.domain, &a);
	assert_true(a.iova_total > 0);
	assert_int_equal(a.iova_total, a.iova_free);
	assert_true(a.iova_largest_free <= a.iova_free);
	assert_int_equal(map(&r, (1ull << 40) + PAGE, M4, &iova), 0);
	sluice_domain_get_info(r.domain, &b);
	assert_int_equal(b.iova_free + b.iova_fragments + M4, a.iova_free);
	assert_int_equal(unmap(&r, iova, M4), 1);
	assert_int_equal(sluice_drain(r.lane, PATIENCE), 0);
	sluice_domain_get_info(r.domain, &b);
	assert_int_equal(b.iova_free + b.iova_fragments + b.iova_lanes,
	                 a.iova_free);
	assert_int_equal(b.iova_lanes, M4);
	assert_int_equal(b.iova_stranded + b.iova_magazines, 0);
	assert_int_equal(b.iova_bogus_frees, 0);
	rig_down(&r);
	rig_up(&r, &caller_iova);
	sluice_domain_get_info(r.domain, &b);
	assert_int_equal(b.iova_total + b.iova_free + b.iova_lanes, 0);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(windows),
	        cmocka_unit_test(fixed_in_a_window),
	        cmocka_unit_test(bad_windows),
	        cmocka_unit_test(information),
	        cmocka_unit_test(buffers_have_large_leaves),
	        cmocka_unit_test(gigabytes),
	        cmocka_unit_test(declined),
	        cmocka_unit_test(scatter_list),
	        cmocka_unit_test(narrow_aperture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
