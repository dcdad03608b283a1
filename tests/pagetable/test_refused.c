/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the public calls refuse, with the error and a text that says why, and
 * that nothing is changed: configurations, signed addresses, lists, names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <sluice/base.h>
#include <sluice/pagetable.h>

#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HALF ((uint64_t)1 << 47)

static void check_text(const char *word)
{
	if (!strstr(sluice_last_error(), word))
		fail_msg("'%s' lacks '%s'", sluice_last_error(), word);
}

static const struct {
	struct sluice_pt_config cfg;
	const char *word;
} bad[] = {
        {{.format = SLUICE_PT_NR_FORMATS}, "number"},
        {{.format = SLUICE_PT_VTDSS, .flags = 0x80}, "flags"},
        {{.format = SLUICE_PT_VTDSS, .flags = SLUICE_PT_SIGNED}, "signed"},
        {{.format = SLUICE_PT_S390, .flags = SLUICE_PT_DIRTY}, "dirty"},
        {{.format = SLUICE_PT_TCE, .flags = SLUICE_PT_NONCOHERENT},
         "written back"},
        {{.format = SLUICE_PT_VTDSS, .iova_bits = 40}, "39, 48"},
        {{.format = SLUICE_PT_VTDSS, .oa_bits = 53}, "output"},
        {{.format = SLUICE_PT_VTDSS, .oa_bits = 12}, "output"},
        {{.format = SLUICE_PT_VTDSS, .granule_lg2 = 14}, "granule_lg2"},
        {{.format = SLUICE_PT_VTDSS, .levels = 3}, "levels"},
        {{.format = SLUICE_PT_X86_64, .iova_bits = 39}, "48"},
        {{.format = SLUICE_PT_X86_64,
          .iova_bits = 47,
          .flags = SLUICE_PT_SIGNED},
         "48"},
        {{.format = SLUICE_PT_AMDV1, .iova_bits = 29}, "30"},
        {{.format = SLUICE_PT_AMDV1, .iova_bits = 65}, "64"},
        {{.format = SLUICE_PT_AMDV1, .levels = 2}, "levels"},
        {{.format = SLUICE_PT_AMDV1, .levels = 6}, "levels"},
        {{.format = SLUICE_PT_ARM_LPAE_S1, .granule_lg2 = 13}, "12, 14"},
        {{.format = SLUICE_PT_ARM_LPAE_S1, .iova_bits = 31}, "32"},
        {{.format = SLUICE_PT_ARM_LPAE_S1, .oa_bits = 52}, "64 KiB"},
        {{.format = SLUICE_PT_ARM_LPAE_S2, .granule_lg2 = 13}, "12, 14"},
        {{.format = SLUICE_PT_ARM_LPAE_S2, .granule_lg2 = 16, .iova_bits = 53},
         "52"},
        {{.format = SLUICE_PT_RISCV, .iova_bits = 40}, "39, 48"},
        {{.format = SLUICE_PT_RISCV,
          .iova_bits = 38,
          .flags = SLUICE_PT_SIGNED},
         "39, 48"},
        {{.format = SLUICE_PT_RISCV_G, .iova_bits = 48}, "50"},
        {{.format = SLUICE_PT_S390, .iova_bits = 48}, "42"},
        {{.format = SLUICE_PT_TCE, .granule_lg2 = 11}, "12 to 34"},
        {{.format = SLUICE_PT_TCE, .granule_lg2 = 35}, "12 to 34"},
        {{.format = SLUICE_PT_TCE, .iova_bits = 12}, "window"},
        {{.format = SLUICE_PT_TCE, .iova_bits = 61}, "window"},
        {{.format = SLUICE_PT_TCE, .levels = 6}, "1 to 5"},
        {{.format = SLUICE_PT_TCE, .iova_bits = 60}, "more than 1"},
        {{.format = SLUICE_PT_TCE, .iova_bits = 20, .levels = 2}, "no use"},
        {{.format = SLUICE_PT_VTDSS, .max_bytes = 4095}, "4096"},
        {{.format = SLUICE_PT_VTDSS, .max_bytes = UINT64_MAX}, "2^43"},
};

static void test_configurations(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_OF(bad); i++) {
		struct sluice_pt *pt = (void *)&bad;

		assert_int_equal(sluice_pt_create(&bad[i].cfg, &pt), -EINVAL);
		assert_ptr_equal(pt, (void *)&bad);
		check_text(bad[i].word);
	}
}

/* The narrowest table of each: a window smaller than a table, and so on. */
static void test_narrow(void **state)
{
	static const struct sluice_pt_config narrow[] = {
	        {.format = SLUICE_PT_TCE, .iova_bits = 13},
	        {.format = SLUICE_PT_TCE, .iova_bits = 53, .levels = 5},
	        {.format = SLUICE_PT_AMDV1, .iova_bits = 30},
	        {.format = SLUICE_PT_AMDV1, .iova_bits = 58, .levels = 6},
	        {.format = SLUICE_PT_RISCV, .iova_bits = 38},
	};
	struct sluice_pt_extent e;

	(void)state;
	for (unsigned i = 0; i < NR_OF(narrow); i++) {
		uint64_t last = ((uint64_t)1 << narrow[i].iova_bits) - 4096;
		struct sluice_pt *pt;

		assert_int_equal(sluice_pt_create(&narrow[i], &pt), 0);
		assert_int_equal(sluice_pt_map(pt, last, 0, 4096, SLUICE_READ),
		                 0);
		assert_int_equal(sluice_pt_map(pt, last, 0, 8192, SLUICE_READ),
		                 -EINVAL);
		assert_int_equal(sluice_pt_walk(pt, last + 4095, &e), 0);
		assert_int_equal(sluice_pt_walk(pt, last + 4096, &e), -EINVAL);
		sluice_pt_destroy(pt);
	}
}

/* Every call, for a range between the halves and one over the middle. */
static void test_signed(void **state)
{
	static const uint64_t from[] = {HALF, HALF - 4096, -HALF - 4096};
	struct sluice_pt_config cfg = {.format = SLUICE_PT_X86_64,
	                               .flags = SLUICE_PT_SIGNED};
	struct sluice_pt_seg seg[2] = {{0, 4096}, {0x100000, 4096}};
	struct sluice_pt_extent e;
	struct sluice_pt *pt;
	struct sluice_pt *b;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_create_beside(pt, NULL, &b), 0);
	for (unsigned i = 0; i < NR_OF(from); i++) {
		uint64_t a = from[i];

		assert_int_equal(sluice_pt_map(pt, a, 0, 8192, SLUICE_RW),
		                 -EINVAL);
		check_text("canonical");
		assert_int_equal(sluice_pt_map_sg(pt, a, seg, 2, SLUICE_RW),
		                 -EINVAL);
		assert_int_equal(sluice_pt_unmap(pt, a, 8192, NULL, NULL),
		                 -EINVAL);
		assert_int_equal(sluice_pt_protect(pt, a, 8192, SLUICE_READ),
		                 -EINVAL);
		assert_int_equal(sluice_pt_split(pt, a, 8192), -EINVAL);
		assert_int_equal(sluice_pt_promote(pt, a, 8192), -EINVAL);
		assert_int_equal(sluice_pt_reclaim(pt, a, 8192), -EINVAL);
		assert_int_equal(sluice_pt_dirty(pt, a, 8192, 0), -EINVAL);
		assert_int_equal(sluice_pt_dirty(pt, a, 8192, 1), -EINVAL);
		assert_int_equal(sluice_pt_attach(pt, b, a, 8192), -EINVAL);
		assert_int_equal(sluice_pt_detach(pt, a, 8192), -EINVAL);
	}
	assert_int_equal(sluice_pt_walk(pt, HALF, &e), -EINVAL);
	assert_int_equal(sluice_pt_set_dirty(pt, HALF), -EINVAL);
	/* The last page of either half, and both as one list. */
	assert_int_equal(sluice_pt_map(pt, HALF - 4096, 0, 4096, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_map_sg(pt, -HALF, seg, 2, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_walk(pt, -HALF + 4096, &e), 0);
	assert_int_equal(e.iova, -HALF + 4096);
	assert_int_equal(e.oa, 0x100000);
	sluice_pt_destroy(pt);
	sluice_pt_destroy(b);
}

static void test_lists(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_VTDSS};
	struct sluice_pt_seg seg[3] = {{0, 4096}, {0x5000, 8192}, {0, 4096}};
	struct sluice_pt_seg odd[2] = {{0, 4096}, {0x5010, 4096}};
	struct sluice_pt_seg none[2] = {{0, 4096}, {0x5000, 0}};
	struct sluice_pt_extent e[2];
	uint64_t iova[2] = {0x1000, 0x9000};
	struct sluice_pt *pt;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 0, SLUICE_RW), -EINVAL);
	check_text("empty list");
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 3, 8), -EINVAL);
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 3, 0), -EINVAL);
	assert_int_equal(sluice_pt_map_sg(pt, 0, odd, 2, SLUICE_RW), -EINVAL);
	assert_int_equal(sluice_pt_map_sg(pt, 0, none, 2, SLUICE_RW), -EINVAL);
	check_text("piece 1");
	assert_int_equal(
	        sluice_pt_map_sg(pt, -(uint64_t)4096, seg, 3, SLUICE_RW),
	        -EINVAL);
	assert_int_equal(sluice_pt_map(pt, 0x6000, 0, 4096, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_map_sg(pt, 0, seg, 3, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_map_sg(pt, 0x4000, seg, 3, SLUICE_RW),
	                 -EEXIST);
	assert_int_equal(sluice_pt_walk_batch(pt, iova, 2, e), 1);
	assert_int_equal(e[0].oa, 0x5000);
	assert_int_equal(e[1].len, 0);
	assert_int_equal(e[1].iova, 0x9000);
	sluice_pt_destroy(pt);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(sluice_pt_format_by_name("amdv2"), SLUICE_PT_X86_64);
	assert_int_equal(sluice_pt_format_by_name("lpae"), -EINVAL);
	assert_int_equal(sluice_pt_format_by_name(NULL), -EINVAL);
	for (int f = 0; f < SLUICE_PT_NR_FORMATS; f++)
		assert_int_equal(sluice_pt_format_by_name(sluice_pt_format_name(
		                         (enum sluice_pt_format)f)),
		                 f);
	assert_null(sluice_pt_format_name(SLUICE_PT_NR_FORMATS));
	sluice_pt_destroy(NULL);
}

/* A load into a table that is in use, of nothing, and of no memory. */
static void test_loads(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_VTDSS};
	struct sluice_pt_word w = {0, 0x3, 0, 3};
	static uint8_t memory[8192];
	struct sluice_pt *pt;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_load(pt, NULL, 0), 0);
	assert_int_equal(
	        sluice_pt_load_image(pt, 0x1000, memory, sizeof(memory), 0),
	        -EINVAL);
	assert_int_equal(
	        sluice_pt_load_image(pt, 0, memory, sizeof(memory), 0x2000),
	        -EINVAL);
	assert_int_equal(
	        sluice_pt_load_image(pt, 0, memory, sizeof(memory), 0x1000), 0);
	/* A link to itself. */
	memory[0] = 0x3; /* the word's low byte, on any machine */
	assert_int_equal(sluice_pt_load_image(pt, 0, memory, sizeof(memory), 0),
	                 -EINVAL);
	check_text("linked twice");
	assert_int_equal(sluice_pt_load(pt, &w, 1), -EINVAL);
	assert_int_equal(sluice_pt_load(pt, &w, UINT64_MAX), -ENOMEM);
	assert_int_equal(sluice_pt_map(pt, 0, 0, 4096, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_load(pt, &w, 1), -EEXIST);
	sluice_pt_destroy(pt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_configurations),
	        cmocka_unit_test(test_narrow),
	        cmocka_unit_test(test_signed),
	        cmocka_unit_test(test_lists),
	        cmocka_unit_test(test_names),
	        cmocka_unit_test(test_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
