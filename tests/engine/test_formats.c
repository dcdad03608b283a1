/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A soft domain in each table format: what is mapped is translated, what is
 * unmapped is not, in the same way whatever the words look like.
 */
#include "rig.h"

#define PAGES 300u
#define BUF UINT64_C(0x7f0000001000)

static void use(struct rig *r)
{
	sluice_iova_t small = 0;
	sluice_iova_t large = 0;
	sluice_oa_t oa = 0;

	assert_int_equal(map(r, BUF, PAGES * PAGE, &small), 0);
	assert_int_equal(map(r, BUF & ~(uint64_t)(M2 - 1), 3 * M2, &large), 0);
	for (uint64_t i = 0; i < PAGES; i++) {
		assert_in_range(sluice_translate(r->view, small + i * PAGE + 5,
		                                 7, SLUICE_READ, &oa),
		                7, 7);
		assert_int_equal(oa, BUF + i * PAGE + 5);
	}
	assert_int_equal(sluice_translate(r->view, large + M2 + 77, 1,
	                                  SLUICE_WRITE, &oa),
	                 1);
	assert_int_equal(oa, (BUF & ~(uint64_t)(M2 - 1)) + M2 + 77);
	/* One page out of the middle. */
	assert_int_equal(unmap(r, small + 17 * PAGE, PAGE), 1);
	assert_int_equal(sluice_drain(r->lane, PATIENCE), 0);
	assert_true(xlate(r, small + 17 * PAGE, 1) < 0);
	assert_int_equal(xlate(r, small + 18 * PAGE, 1), 1);
	assert_int_equal(unmap(r, small, 17 * PAGE), 1);
	assert_int_equal(unmap(r, small + 18 * PAGE, (PAGES - 18) * PAGE), 1);
	assert_int_equal(unmap(r, large, 3 * M2), 1);
	assert_int_equal(sluice_drain(r->lane, PATIENCE), 0);
	assert_true(xlate(r, large, 1) < 0);
	assert_true(xlate(r, small, 1) < 0);
}

static void test_formats(void **state)
{
	static const enum sluice_pt_format fits[] = {
	        SLUICE_PT_X86_64,      SLUICE_PT_VTDSS,       SLUICE_PT_AMDV1,
	        SLUICE_PT_ARM_LPAE_S1, SLUICE_PT_ARM_LPAE_S2, SLUICE_PT_RISCV,
	        SLUICE_PT_RISCV_G,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
		struct sluice_domain_cfg cfg = {.format = fits[i]};
		struct rig r;

		rig_up(&r, &cfg);
		use(&r);
		rig_down(&r);
	}
}

static void test_others(void **state)
{
	static const struct sluice_domain_cfg bad[] = {
	        {.format = SLUICE_PT_S390},
	        {.format = SLUICE_PT_TCE},
	        {.format = SLUICE_PT_NR_FORMATS},
	        {.format = SLUICE_PT_VTDSS, .iova_bits = 47},
	};
	struct sluice_engine *engine;

	(void)state;
	assert_int_equal(sluice_engine_open(NULL, &engine), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sluice_domain *d = NULL;

		assert_int_equal(sluice_domain_create(engine, &bad[i], &d),
		                 -EINVAL);
		assert_null(d);
	}
	assert_int_equal(sluice_engine_close(engine), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_formats),
	        cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
