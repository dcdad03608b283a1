/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables as memory: the bytes of one leaf in each format, written down by hand
 * from the specifications, on whatever machine this runs; and links that hold
 * the address at which their table will lie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/pagetable.h>

#define OA UINT64_C(0x12345000)

/* One page at IOVA 0, readable and writable, at OA. */
static const struct leaf {
	struct sluice_pt_config cfg;
	uint64_t at; /* offset of the leaf from the root */
	uint8_t bytes[8];
} leaves[] = {
        {{.format = SLUICE_PT_X86_64},
         0x3000,
         {0x27, 0x50, 0x34, 0x12, 0, 0, 0, 0}},
        {{.format = SLUICE_PT_VTDSS},
         0x3000,
         {0x03, 0x50, 0x34, 0x12, 0, 0, 0, 0}},
        {{.format = SLUICE_PT_AMDV1},
         0x2000,
         {0x01, 0x50, 0x34, 0x12, 0, 0, 0, 0x60}},
        {{.format = SLUICE_PT_ARM_LPAE_S1},
         0x3000,
         {0x43, 0x5f, 0x34, 0x12, 0, 0, 0x68, 0}},
        {{.format = SLUICE_PT_ARM_LPAE_S2},
         0x3000,
         {0xff, 0x57, 0x34, 0x12, 0, 0, 0x48, 0}},
        {{.format = SLUICE_PT_RISCV},
         0x3000,
         {0xd7, 0x14, 0x8d, 0x04, 0, 0, 0, 0}},
        {{.format = SLUICE_PT_RISCV_G},
         0x6000,
         {0xd7, 0x14, 0x8d, 0x04, 0, 0, 0, 0}},
        {{.format = SLUICE_PT_S390},
         0x8000,
         {0, 0, 0, 0, 0x12, 0x34, 0x50, 0x00}},
        {{.format = SLUICE_PT_TCE}, 0, {0, 0, 0, 0, 0x12, 0x34, 0x50, 0x03}},
};

#define NR (sizeof(leaves) / sizeof(leaves[0]))

static uint8_t *image_of(struct sluice_pt *pt, uint64_t base, int64_t *ret_n)
{
	int64_t n = sluice_pt_image(pt, base, NULL, 0);
	uint8_t *buf;

	assert_true(n > 0);
	buf = malloc((size_t)n);
	assert_non_null(buf);
	assert_int_equal(sluice_pt_image(pt, base, buf, (uint64_t)n), n);
	*ret_n = n;
	return buf;
}

static void test_leaf_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR; i++) {
		struct sluice_pt *pt;
		uint8_t *buf;
		int64_t n;

		assert_int_equal(sluice_pt_create(&leaves[i].cfg, &pt), 0);
		assert_int_equal(sluice_pt_map(pt, 0, OA, 4096, SLUICE_RW), 0);
		buf = image_of(pt, 0, &n);
		assert_in_range(leaves[i].at + 8, 8, n);
		assert_memory_equal(buf + leaves[i].at, leaves[i].bytes, 8);
		free(buf);
		sluice_pt_destroy(pt);
	}
}

/* The same table at another place: read back from there, it maps the same. */
static void test_moved(void **state)
{
	const uint64_t base = UINT64_C(0x340000000);

	(void)state;
	for (unsigned i = 0; i < NR; i++) {
		struct sluice_pt_extent e;
		struct sluice_pt *pt;
		struct sluice_pt *again;
		uint8_t *buf;
		int64_t n;

		assert_int_equal(sluice_pt_create(&leaves[i].cfg, &pt), 0);
		assert_int_equal(
		        sluice_pt_map(pt, 0x7000, OA, 0x5000, SLUICE_RW), 0);
		buf = image_of(pt, base, &n);
		assert_int_equal(sluice_pt_create(&leaves[i].cfg, &again), 0);
		assert_int_equal(sluice_pt_load_image(again, base, buf,
		                                      (uint64_t)n, base),
		                 0);
		for (uint64_t a = 0x7000; a < 0xc000; a += 4096) {
			assert_int_equal(sluice_pt_walk(again, a, &e), 0);
			assert_int_equal(e.oa + (a - e.iova), OA + a - 0x7000);
		}
		assert_int_equal(sluice_pt_walk(again, 0x6000, &e), -ENOENT);
		sluice_pt_destroy(again);
		/* Memory that ends too early. */
		assert_int_equal(sluice_pt_create(&leaves[i].cfg, &again), 0);
		assert_int_equal(sluice_pt_load_image(again, base, buf,
		                                      (uint64_t)n - 8, base),
		                 -EINVAL);
		sluice_pt_destroy(again);
		free(buf);
		sluice_pt_destroy(pt);
	}
}

/* Links of an image must be able to hold all its addresses. */
static void test_far_image(void **state)
{
	struct sluice_pt_config cfg = {.format = SLUICE_PT_X86_64};
	uint64_t end = (uint64_t)1 << 52;
	struct sluice_pt *pt;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_map(pt, 0, 0, 4096, SLUICE_RW), 0);
	assert_int_equal(sluice_pt_image(pt, end - 0x4000, NULL, 0), 0x4000);
	assert_int_equal(sluice_pt_image(pt, end - 0x3000, NULL, 0), -EINVAL);
	assert_int_equal(sluice_pt_image(pt, end, NULL, 0), -EINVAL);
	assert_int_equal(sluice_pt_image(pt, 0x800, NULL, 0), -EINVAL);
	assert_int_equal(sluice_pt_image(pt, ~(uint64_t)0xfff, NULL, 0),
	                 -EINVAL);
	sluice_pt_destroy(pt);
}

/* Tables of two sizes come out of one limit. */
static void test_limit(void **state)
{
	struct sluice_pt_config cfg = {
	        .format = SLUICE_PT_S390,
	        .max_bytes = (uint64_t)4 << 14,
	};
	struct sluice_pt_stats s;
	struct sluice_pt *pt;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	while (sluice_pt_map(pt, n << 20, 0, 4096, SLUICE_RW) == 0)
		n++;
	sluice_pt_get_stats(pt, &s);
	/* A root, a table of 16 KiB, and page tables of 2 KiB in the rest. */
	assert_int_equal(n, 16);
	assert_int_equal(s.table_bytes, cfg.max_bytes);
	sluice_pt_destroy(pt);
}

/* Roots of several pages are used again. */
static void test_wide_root(void **state)
{
	struct sluice_pt_config cfg = {
	        .format = SLUICE_PT_RISCV_G,
	        .max_bytes = (uint64_t)1 << 20,
	};
	struct sluice_pt *a;
	struct sluice_pt *b;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &a), 0);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(sluice_pt_create_beside(a, NULL, &b), 0);
		sluice_pt_destroy(b);
	}
	sluice_pt_destroy(a);
}

static void test_too_long(void **state)
{
	struct sluice_pt_config cfg = {
	        .format = SLUICE_PT_AMDV1,
	        .iova_bits = 64,
	};
	uint64_t half = (uint64_t)1 << 63;
	struct sluice_pt *pt;

	(void)state;
	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_unmap(pt, 0, half, NULL, NULL), -EINVAL);
	assert_int_equal(sluice_pt_unmap(pt, 0, half - 4096, NULL, NULL),
	                 -ENOENT);
	assert_int_equal(sluice_pt_dirty(pt, 0, half, 0), -EINVAL);
	assert_int_equal(sluice_pt_dirty(pt, 0, half - 4096, 0), 0);
	sluice_pt_destroy(pt);
}

/* The leaf sizes of each geometry, from its specification. */
static void test_sizes(void **state)
{
	static const struct {
		struct sluice_pt_config cfg;
		uint64_t sizes;
	} want[] = {
	        {{.format = SLUICE_PT_X86_64}, 0x40201000},
	        {{.format = SLUICE_PT_VTDSS, .iova_bits = 57}, 0x40201000},
	        /* Every power of two from 4 KiB to 256 GiB. */
	        {{.format = SLUICE_PT_AMDV1}, 0x7ffffff000},
	        {{.format = SLUICE_PT_AMDV1, .flags = SLUICE_PT_NO_CONTIG},
	         0x40201000},
	        /* 4K 64K 2M 32M 1G 16G; 16K 2M 32M 1G; 64K 2M 512M 16G. */
	        {{.format = SLUICE_PT_ARM_LPAE_S1}, 0x442211000},
	        {{.format = SLUICE_PT_ARM_LPAE_S1, .granule_lg2 = 14},
	         0x42204000},
	        {{.format = SLUICE_PT_ARM_LPAE_S2, .granule_lg2 = 16},
	         0x420210000},
	        {{.format = SLUICE_PT_ARM_LPAE_S2,
	          .granule_lg2 = 16,
	          .iova_bits = 52,
	          .oa_bits = 52},
	         0x40420210000},
	        /* 4K 64K 2M 1G 512G. */
	        {{.format = SLUICE_PT_RISCV}, 0x8040211000},
	        {{.format = SLUICE_PT_RISCV, .iova_bits = 39}, 0x40211000},
	        {{.format = SLUICE_PT_RISCV_G, .iova_bits = 59},
	         0x1008040211000},
	        /* 4K 1M 2G. */
	        {{.format = SLUICE_PT_S390}, 0x80101000},
	        {{.format = SLUICE_PT_TCE, .granule_lg2 = 16}, 0x10000},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct sluice_pt_info info;
		struct sluice_pt *pt;

		assert_int_equal(sluice_pt_create(&want[i].cfg, &pt), 0);
		sluice_pt_get_info(pt, &info);
		assert_int_equal(info.leaf_sizes, want[i].sizes);
		sluice_pt_destroy(pt);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_leaf_bytes),
	        cmocka_unit_test(test_moved),
	        cmocka_unit_test(test_sizes),
	        cmocka_unit_test(test_far_image),
	        cmocka_unit_test(test_limit),
	        cmocka_unit_test(test_wide_root),
	        cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
