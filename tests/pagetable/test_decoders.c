/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoders themselves, on images made by hand from the specifications:
 * what each shape of entry maps, and every breach by the text that names it.
 * Here the formats of little-endian machines, and what all decoders share.
 * Knows no table of ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge_image.h"

/* --- AMD v1 --- */

static const char *amd1(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_amdv1(im, 1, fn, ctx);
}

static const char *amd3(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_amdv1(im, 3, fn, ctx);
}

static const char *amd6(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_amdv1(im, 6, fn, ctx);
}

#define AMD_R (BIT(61) | BIT(0))
#define AMD_W (BIT(62) | BIT(0))
#define AMD_RW (AMD_R | AMD_W)
#define AMD_A BIT(5)
#define AMD_D BIT(6)
#define NL(n) (UINT64_C(n) << 9)

static const struct decode_word amd1_words[] = {
        W(0, 0, 0, 0xffffffffff000 | AMD_R | AMD_A),
        W(0, 256, 0, BIT(63) | BIT(60) | BIT(59) | 0x19e | AMD_RW),
        W(0, 511, 0, 0x5000 | AMD_W | AMD_D),
};
static const struct decode_leaf amd1_leaves[] = {
        LEAF(0, 0x1000, 0xffffffffff000, 1, 0, 0),
        LEAF(0x100000, 0x1000, 0, 1, 1, 0),
        LEAF(0x1ff000, 0x1000, 0x5000, 0, 1, 1),
};
static const struct image amd1_image = IMAGE(amd1, amd1_words, amd1_leaves);

static const struct decode_word amd3_words[] = {
        W(0, 0, 2, 0x1000 | NL(2) | AMD_RW),
        W(0, 1, 2, 0x40000000 | AMD_R),
        W(0, 4, 2, 0xbffff000 | NL(7) | AMD_RW), /* 2 GiB */
        W(0, 5, 2, 0xbffff000 | NL(7) | AMD_RW | AMD_A | AMD_D),
        W(0x1000, 0, 1, 0x2000 | NL(1) | AMD_RW),
        W(0x1000, 1, 1, 0x3000 | NL(1) | AMD_W),
        W(0x1000, 2, 1, 0x4000 | NL(1) | AMD_R),
        W(0x1000, 3, 1, 0x200000 | AMD_RW | AMD_D),  /* 2 MiB */
        W(0x1000, 4, 1, 0x13ff000 | NL(7) | AMD_RW), /* 8 MiB */
        W(0x1000, 5, 1, 0x13ff000 | NL(7) | AMD_RW),
        W(0x1000, 6, 1, 0x13ff000 | NL(7) | AMD_RW | AMD_A),
        W(0x1000, 7, 1, 0x13ff000 | NL(7) | AMD_RW),
        W(0x2000, 2, 0, 0x6000 | NL(7) | AMD_RW), /* 8 KiB */
        W(0x2000, 3, 0, 0x6000 | NL(7) | AMD_RW),
        W(0x2000, 4, 0, 0x15000 | NL(7) | AMD_RW), /* 16 KiB */
        W(0x2000, 5, 0, 0x15000 | NL(7) | AMD_RW),
        W(0x2000, 6, 0, 0x15000 | NL(7) | AMD_RW),
        W(0x2000, 7, 0, 0x15000 | NL(7) | AMD_RW),
        W(0x2000, 511, 0, 0x7000 | AMD_RW),
        W(0x3000, 0, 0, 0x8000 | AMD_RW),
        W(0x4000, 0, 0, 0x9000 | AMD_RW),
};
static const struct decode_leaf amd3_leaves[] = {
        LEAF(0x2000, 0x2000, 0x6000, 1, 1, 0),
        LEAF(0x4000, 0x4000, 0x14000, 1, 1, 0),
        LEAF(0x1ff000, 0x1000, 0x7000, 1, 1, 0),
        LEAF(0x200000, 0x1000, 0x8000, 0, 1, 0),
        LEAF(0x400000, 0x1000, 0x9000, 1, 0, 0),
        LEAF(0x600000, 0x200000, 0x200000, 1, 1, 1),
        LEAF(0x800000, 0x800000, 0x1000000, 1, 1, 0),
        LEAF(0x40000000, 0x40000000, 0x40000000, 1, 0, 0),
        LEAF(0x100000000, 0x80000000, 0x80000000, 1, 1, 1),
};
static const struct image amd3_image = IMAGE(amd3, amd3_words, amd3_leaves);

/* 4 PiB, all of the physical space: bits 50:12 ones, bit 51 clear. */
#define ALL_OF_IT (0x7fffffffff000 | NL(7) | AMD_RW)

static const struct decode_word amd6_words[] = {
        W(0, 0, 5, 0x1000 | NL(5) | AMD_RW),
        W(0, 127, 5, 0x2000 | NL(5) | AMD_RW),
        W(0x1000, 0, 4, ALL_OF_IT),
        W(0x1000, 1, 4, ALL_OF_IT),
        W(0x1000, 2, 4, ALL_OF_IT),
        W(0x1000, 3, 4, ALL_OF_IT),
        W(0x1000, 4, 4, ALL_OF_IT),
        W(0x1000, 5, 4, ALL_OF_IT),
        W(0x1000, 6, 4, ALL_OF_IT),
        W(0x1000, 7, 4, ALL_OF_IT),
        W(0x1000, 8, 4, ALL_OF_IT),
        W(0x1000, 9, 4, ALL_OF_IT),
        W(0x1000, 10, 4, ALL_OF_IT),
        W(0x1000, 11, 4, ALL_OF_IT),
        W(0x1000, 12, 4, ALL_OF_IT),
        W(0x1000, 13, 4, ALL_OF_IT),
        W(0x1000, 14, 4, ALL_OF_IT),
        W(0x1000, 15, 4, ALL_OF_IT),
        W(0x1000, 17, 4, BIT(49) | AMD_RW), /* 256 TiB */
        W(0x2000, 511, 4, 0x3000 | NL(4) | AMD_RW),
        W(0x3000, 1, 3, BIT(40) | AMD_RW), /* 512 GiB */
        W(0x3000, 511, 3, 0x4000 | NL(3) | AMD_RW),
        W(0x4000, 511, 2, 0x5000 | NL(2) | AMD_RW),
        W(0x5000, 511, 1, 0x6000 | NL(1) | AMD_RW),
        W(0x6000, 511, 0, 0x1000 | AMD_RW),
};
static const struct decode_leaf amd6_leaves[] = {
        LEAF(0, BIT(52), 0, 1, 1, 0),
        LEAF(17 * BIT(48), BIT(48), BIT(49), 1, 1, 0),
        LEAF(0xffff008000000000, BIT(39), BIT(40), 1, 1, 0),
        LEAF(0xfffffffffffff000, 0x1000, 0x1000, 1, 1, 0),
};
static const struct image amd6_image = IMAGE(amd6, amd6_words, amd6_leaves);

static const struct breach amd_breaches[] = {
        {&amd1_image, 0, W(0, 0, 0, AMD_R & ~BIT(0)), "PR is 0"},
        {&amd1_image, 0, W(0, 0, 0, BIT(52) | AMD_R), "58:52"},
        {&amd1_image, 0, W(0, 0, 0, BIT(58) | AMD_R), "58:52"},
        {&amd1_image, 0, W(0, 0, 0, NL(1) | AMD_R), "not the level below"},
        {&amd1_image, 2, W(0, 512, 0, AMD_R), "outside"},
        {&amd3_image, 0, W(0, 0, 2, 0x1000 | NL(1) | AMD_RW), "level below"},
        {&amd3_image, 0, W(0, 0, 2, 0x1000 | NL(3) | AMD_RW), "level below"},
        {&amd3_image, 0, W(0, 0, 2, BIT(52) | 0x1000 | NL(2) | AMD_RW),
         "60:52"},
        {&amd3_image, 0, W(0, 0, 2, BIT(60) | 0x1000 | NL(2) | AMD_RW),
         "60:52"},
        {&amd3_image, 1, W(0, 1, 2, 0x60000000 | AMD_RW), "no multiple"},
        {&amd3_image, 1, W(0, 1, 2, 0x40001000 | AMD_RW), "no multiple"},
        {&amd3_image, 5, W(0x1000, 1, 1, 0x2000 | NL(1) | AMD_RW), "twice"},
        {&amd3_image, 5, W(0x1000, 1, 1, 0x8000 | NL(1) | AMD_RW), "order"},
        {&amd3_image, 6, W(0x1000, 2, 1, 0x8000 | NL(1) | AMD_RW), "no walk"},
        {&amd3_image, 7, W(0x1000, 3, 1, 0x2ff000 | NL(7) | AMD_R), "below"},
        {&amd3_image, 7, W(0x1000, 3, 1, NL(7) | AMD_R), "below"},
        {&amd3_image, 7, W(0x1000, 3, 1, 0x3ff000 | NL(7) | AMD_R), "at its"},
        {&amd3_image, 7, W(0x1000, 3, 1, 0x1ffff000 | NL(7) | AMD_R), "higher"},
        {&amd3_image, 7, W(0x1000, 3, 1, BIT(53) | AMD_R), "58:52"},
        {&amd3_image, 11, W(0x1000, 8, 1, 0x13ff000 | NL(7) | AMD_RW), "gap"},
        {&amd3_image, 11, W(0x1000, 7, 1, 0x13ff000 | NL(7) | AMD_R), "differ"},
        {&amd3_image, 11, W(0x1000, 7, 1, 0xbff000 | NL(7) | AMD_RW), "differ"},
        {&amd3_image, 18, W(0x2000, 510, 0, NL(7) | AMD_RW), "lacks"},
        {&amd3_image, 19, W(0x3000, 0, 0, NL(7) | AMD_RW), "lacks"},
        {&amd3_image, 13, W(0x2000, 2, 0, 0x6000 | NL(7) | AMD_RW), "order"},
        {&amd3_image, 12, W(0x2000, 2, 1, 0x6000 | NL(7) | AMD_RW), "names"},
        {&amd6_image, 1, W(0, 128, 5, 0x2000 | NL(5) | AMD_RW), "outside"},
        {&amd6_image, 1, W(0, 127, 5, AMD_RW), "larger than the phys"},
        {&amd6_image, 18, W(0x1000, 17, 4, 0xffffffffff000 | NL(7) | AMD_RW),
         "larger than the phys"},
};

/* --- RISC-V --- */

static const char *sv39(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_riscv(im, 39, 0, fn, ctx);
}

static const char *sv39x4(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_riscv(im, 39, 1, fn, ctx);
}

static const char *sv57x4(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_riscv(im, 57, 1, fn, ctx);
}

#define PA(a) (UINT64_C(a) >> 2)
#define RV_LINK 0x1
#define RV_R 0x53 /* A U R V */
#define RV_RW 0x57
#define RV_D 0x80
#define RV_N BIT(63)

/* 64 KiB at 0x230000, seen from slot 16 on; the dirty copy is one of them. */
#define NAPOT(i, d) W(0x2000, i, 0, PA(0x238000) | RV_N | RV_RW | (d))

static const struct decode_word sv39_words[] = {
        W(0, 0, 2, PA(0x1000) | RV_LINK | 0x300), /* RSW */
        W(0, 3, 2, PA(0xffffffc0000000) | RV_RW | RV_D | 0x20),
        W(0, 511, 2, PA(0x80000000) | RV_R | 0x8),    /* X */
        W(0x1000, 0, 1, PA(0x2000) | RV_LINK | 0x20), /* G */
        W(0x1000, 511, 1, PA(0x600000) | RV_R),
        W(0x2000, 0, 0, PA(0xfffffffffff000) | RV_RW | 0x100),
        NAPOT(16, 0),
        NAPOT(17, 0),
        NAPOT(18, 0),
        NAPOT(19, 0),
        NAPOT(20, 0),
        NAPOT(21, 0),
        NAPOT(22, 0),
        NAPOT(23, 0),
        NAPOT(24, 0),
        NAPOT(25, RV_D),
        NAPOT(26, 0),
        NAPOT(27, 0),
        NAPOT(28, 0),
        NAPOT(29, 0),
        NAPOT(30, 0),
        NAPOT(31, 0),
        W(0x2000, 511, 0, PA(0x9000) | 0x59), /* X only */
};
static const struct decode_leaf sv39_leaves[] = {
        LEAF(0, 0x1000, 0xfffffffffff000, 1, 1, 0),
        LEAF(0x10000, 0x10000, 0x230000, 1, 1, 1),
        LEAF(0x1ff000, 0x1000, 0x9000, 0, 0, 0),
        LEAF(0x3fe00000, 0x200000, 0x600000, 1, 0, 0),
        LEAF(0xc0000000, BIT(30), 0xffffffc0000000, 1, 1, 1),
        LEAF(0x7fc0000000, BIT(30), 0x80000000, 1, 0, 0),
};
static const struct image sv39_image = IMAGE(sv39, sv39_words, sv39_leaves);

static const struct decode_word sv39x4_words[] = {
        W(0, 512, 2, PA(0x4000) | RV_LINK),
        W(0, 2047, 2, PA(0xc0000000) | RV_RW),
        W(0x4000, 1, 1, PA(0x200000) | RV_R),
};
static const struct decode_leaf sv39x4_leaves[] = {
        LEAF(BIT(39) + 0x200000, 0x200000, 0x200000, 1, 0, 0),
        LEAF(BIT(41) - BIT(30), BIT(30), 0xc0000000, 1, 1, 0),
};
static const struct image sv39x4_image =
        IMAGE(sv39x4, sv39x4_words, sv39x4_leaves);

static const struct decode_word sv57x4_words[] = {
        W(0, 2046, 4, PA(0x4000) | RV_LINK),
        W(0, 2047, 4, PA(0x3000000000000) | RV_RW | RV_D), /* 256 TiB */
        W(0x4000, 7, 3, PA(0x8000000000) | RV_R),          /* 512 GiB */
};
static const struct decode_leaf sv57x4_leaves[] = {
        LEAF(BIT(59) - 2 * BIT(48) + 7 * BIT(39), BIT(39), BIT(39), 1, 0, 0),
        LEAF(BIT(59) - BIT(48), BIT(48), 3 * BIT(48), 1, 1, 1),
};
static const struct image sv57x4_image =
        IMAGE(sv57x4, sv57x4_words, sv57x4_leaves);

static const struct breach riscv_breaches[] = {
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | 0x300), "V is 0"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | 0x11), "in a pointer"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | 0x41), "in a pointer"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | 0x81), "in a pointer"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | RV_N | 1), "N is reserved in"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | BIT(61) | 1), "PBMT"},
        {&sv39_image, 0, W(0, 0, 2, PA(0x1000) | BIT(54) | 1), "60:54"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW & ~2), "W without R"},
        {&sv39_image, 1, W(0, 3, 2, (RV_RW & ~2) | 8), "W without R"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW & ~0x10), "without U"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW & ~0x40), "without A"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW | BIT(62)), "PBMT"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW | BIT(60)), "60:54"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW | RV_N | PA(0x8000)), "above level"},
        {&sv39_image, 1, W(0, 3, 2, RV_RW | PA(0x200000)), "misaligned"},
        {&sv39_image, 4, W(0x1000, 511, 1, RV_RW | PA(0x601000)), "misaligned"},
        {&sv39_image, 4, W(0x1000, 511, 1, RV_RW | RV_N | PA(0x8000)), "above"},
        {&sv39_image, 4, W(0x1000, 512, 1, RV_RW), "outside"},
        {&sv39_image, 5, W(0x2000, 0, 0, PA(0x1000) | RV_LINK), "last level"},
        {&sv39_image, 6, W(0x2000, 16, 0, RV_N | RV_RW), "low PPN bits"},
        {&sv39_image, 6, W(0x2000, 16, 0, PA(0x4000) | RV_N | RV_RW),
         "low PPN"},
        {&sv39_image, 6, W(0x2000, 15, 0, PA(0x238000) | RV_N | RV_RW),
         "at its"},
        {&sv39_image, 12, W(0x2000, 22, 0, PA(0x248000) | RV_N | RV_RW),
         "diff"},
        {&sv39_image, 12, W(0x2000, 22, 0, PA(0x238000) | RV_N | RV_R), "diff"},
        {&sv39_image, 12, W(0x2000, 22, 0, PA(0x238000) | RV_RW), "differ"},
        {&sv39_image, 21, W(0x2000, 32, 0, PA(0x238000) | RV_N | RV_RW), "gap"},
        {&sv39_image, 22, W(0x2000, 512, 0, RV_RW), "outside"},
        {&sv39x4_image, 0, W(0, 512, 2, PA(0x4000) | 0x21), "second stage"},
        {&sv39x4_image, 1, W(0, 2048, 2, RV_RW), "outside"},
        {&sv39x4_image, 1, W(0, 2047, 2, RV_RW | 0x20), "second stage"},
        {&sv39x4_image, 1, W(0, 2047, 2, RV_RW & ~0x10), "without U"},
        {&sv39x4_image, 2, W(0x4000, 512, 1, RV_RW), "outside"},
        {&sv39x4_image, 0, W(0, 512, 2, PA(0x3000) | RV_LINK), "no walk"},
        {&sv39x4_image, 2, W(0x3000, 0, 1, RV_RW), "reaches into"},
        {&sv57x4_image, 2, W(0x4000, 7, 3, PA(0x40000000) | RV_R), "misalig"},
        {&sv57x4_image, 2, W(0x4000, 7, 2, PA(0x8000000000) | RV_R), "names"},
};

static void test_amdv1(void **state)
{
	(void)state;
	expect(&amd1_image);
	expect(&amd3_image);
	expect(&amd6_image);
	for (size_t i = 0; i < NR_OF(amd_breaches); i++)
		expect_breach(&amd_breaches[i]);
}

static void test_riscv(void **state)
{
	(void)state;
	expect(&sv39_image);
	expect(&sv39x4_image);
	expect(&sv57x4_image);
	for (size_t i = 0; i < NR_OF(riscv_breaches); i++)
		expect_breach(&riscv_breaches[i]);
}

static void test_parameters(void **state)
{
	struct decode_image im = {0};
	size_t n = 0;

	(void)state;
	says(decode_amdv1(&im, 0, count_leaf, &n), "Mode");
	says(decode_amdv1(&im, 7, count_leaf, &n), "Mode");
	says(decode_riscv(&im, 41, 1, count_leaf, &n), "Sv39");
	says(decode_riscv(&im, 48, 0, count_leaf, &n), NULL);
}

/* decode_find, which goes by where it was, against a look at every word. */
static void test_find(void **state)
{
	struct decode_word w[MAX_WORDS];
	struct decode_image im = {.words = w};
	uint64_t seed = 1;
	size_t hits = 0;

	(void)state;
	for (uint64_t key = 0; key < 256; key++) {
		seed = seed * UINT64_C(6364136223846793005) + 1;
		if (seed >> 62 == 0 && im.nr < MAX_WORDS)
			w[im.nr++] = (struct decode_word){
			        .table = key / 8 * 4096,
			        .index = (uint32_t)(key % 8),
			};
	}
	assert_true(im.nr > MAX_WORDS / 2);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t key = i < 512 ? i / 2 : seed >> 56;
		const struct decode_word *want = NULL;

		seed = seed * UINT64_C(6364136223846793005) + 1;
		for (size_t k = 0; k < im.nr; k++)
			if (w[k].table == key / 8 * 4096 &&
			    w[k].index == key % 8)
				want = &w[k];
		assert_ptr_equal(
		        decode_find(&im, key / 8 * 4096, (uint32_t)(key % 8)),
		        want);
		hits += want != NULL;
	}
	assert_int_equal(im.seen, hits);
	/* Another image of fewer words in the same place. */
	im.at = im.nr;
	im.nr = 1;
	assert_ptr_equal(decode_find(&im, w[0].table, w[0].index), w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_amdv1),
	        cmocka_unit_test(test_riscv),
	        cmocka_unit_test(test_parameters),
	        cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
