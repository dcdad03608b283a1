/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoders themselves, on images made by hand from the specifications:
 * what each shape of entry maps, and every breach by the text that names it.
 * Here the formats of big-endian machines, s390 and PowerPC. Knows no table of
 * ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "judge_image.h"

/* --- s390 --- */

static const char *s390_5(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_s390(im, 5, fn, ctx);
}

static const char *s390_3(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_s390(im, 3, fn, ctx);
}

static const char *s390_2(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_s390(im, 2, fn, ctx);
}

#define S_FC 0x400
#define S_P 0x200

static const struct decode_word s390_5_words[] = {
        W(0, 0, 4, 0x2c), /* invalid, type region-first */
        W(0, 2047, 4, 0x4000 | 0xf),
        W(0x4000, 2047, 3, 0x8000 | 0xb),
        W(0x8000, 1, 2, 0xfffffffff8c | 0x20), /* invalid: the rest is free */
        W(0x8000, 2, 2, 0xffffffff80000000 | 0x3804 | S_FC),
        W(0x8000, 2047, 2, 0xc000 | 0x7),
        W(0xc000, 2047, 1, 0x10800),
        W(0x10800, 255, 0, 0xfffffffffffff000 | 0xff),
};
static const struct decode_leaf s390_5_leaves[] = {
        LEAF(0xffffffffffffffff - BIT(42) + 1 + 2 * BIT(31), BIT(31),
             0xffffffff80000000, 1, 1, 0),
        LEAF(0xfffffffffffff000, 0x1000, 0xfffffffffffff000, 1, 1, 0),
};
static const struct image s390_5_image =
        IMAGE(s390_5, s390_5_words, s390_5_leaves);

static const struct decode_word s390_3_words[] = {
        W(0, 0, 2, 0x4000 | 0x7),
        W(0, 1, 2, 0x8000 | 0x7 | S_P),
        W(0, 3, 2, 0x80000000 | 0x7 | S_FC | S_P),
        W(0x4000, 0, 1, 0xc000),
        W(0x4000, 1, 1, 0xc800 | S_P | 0x3), /* 62, 63: software's */
        W(0x4000, 2, 1, 0xabc00000 | S_FC | 0x3000),
        W(0x4000, 3, 1, 0xfff00000 | S_FC | S_P),
        W(0x4000, 4, 1, 0x20),
        W(0x8000, 0, 1, 0xd000),
        W(0x8000, 2047, 1, 0x100000 | S_FC),
        W(0xc000, 0, 0, 0), /* a machine without an empty word */
        W(0xc000, 1, 0, 0x1000 | S_P),
        W(0xc000, 2, 0, 0x400),
        W(0xc800, 0, 0, 0x5000),
        W(0xd000, 0, 0, 0x6000),
};
static const struct decode_leaf s390_3_leaves[] = {
        LEAF(0, 0x1000, 0, 1, 1, 0),
        LEAF(0x1000, 0x1000, 0x1000, 1, 0, 0),
        LEAF(0x100000, 0x1000, 0x5000, 1, 0, 0),
        LEAF(0x200000, 0x100000, 0xabc00000, 1, 1, 0),
        LEAF(0x300000, 0x100000, 0xfff00000, 1, 0, 0),
        LEAF(0x80000000, 0x1000, 0x6000, 1, 0, 0),
        LEAF(0xfff00000, 0x100000, 0x100000, 1, 0, 0),
        LEAF(0x180000000, 0x80000000, 0x80000000, 1, 0, 0),
};
static const struct image s390_3_image =
        IMAGE(s390_3, s390_3_words, s390_3_leaves);

static const struct decode_word s390_2_words[] = {
        W(0, 5, 1, 0x300000 | S_FC),
};
static const struct decode_leaf s390_2_leaves[] = {
        LEAF(0x500000, 0x100000, 0x300000, 1, 1, 0),
};
static const struct image s390_2_image =
        IMAGE(s390_2, s390_2_words, s390_2_leaves);

static const struct breach s390_breaches[] = {
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0xb), "TT"},
        {&s390_5_image, 1, W(0, 2047, 4, 0), "TT"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0xe), "TL"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0xc), "TL"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x4f), "TF"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x8f), "TF"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x1f), "bit 59"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x10f), "bit 55"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x80f), "bit 52"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x40f), "FC"},
        {&s390_5_image, 1, W(0, 2047, 4, 0x4000 | 0x2f), "no walk"},
        {&s390_5_image, 2, W(0x4000, 2047, 3, 0x8000 | 0x40b), "FC"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x40000404), "address and AV"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80020404), "address and AV"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80010404), "frame: AV"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80000504), "55 to 57"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80000484), "55 to 57"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80000414), "bit 59"},
        {&s390_5_image, 4, W(0x8000, 2, 2, 0x80000400), "TT"},
        {&s390_5_image, 7, W(0x10800, 256, 0, 0), "outside"},
        {&s390_3_image, 1, W(0, 1, 2, 0x4000 | 0x7), "twice"},
        {&s390_3_image, 2, W(0, 2048, 2, 0x80000407), "outside"},
        {&s390_3_image, 3, W(0x4000, 0, 1, 0xc004), "TT"},
        {&s390_3_image, 3, W(0x4000, 0, 1, 0xc010), "bit 59"},
        {&s390_3_image, 3, W(0x4000, 0, 1, 0xc040), "TF"},
        {&s390_3_image, 3, W(0x4000, 0, 1, 0xc100), "bit 55"},
        {&s390_3_image, 5, W(0x4000, 2, 1, 0x80000 | S_FC), "address and AV"},
        {&s390_3_image, 5, W(0x4000, 2, 1, 0x20000 | S_FC), "address and AV"},
        {&s390_3_image, 5, W(0x4000, 2, 1, 0x10000 | S_FC), "frame: AV"},
        {&s390_3_image, 11, W(0xc000, 1, 0, 0x1800), "bit 52"},
        {&s390_3_image, 11, W(0xc000, 1, 0, 0x1100), "bit 55"},
        {&s390_3_image, 11, W(0xc000, 0, 0, 0x1000), "order"},
        {&s390_3_image, 12, W(0xc000, 255, 1, 0x400), "names"},
        {&s390_2_image, 0, W(0, 5, 1, 0x300000 | S_FC | 4), "TT"},
};

/* --- TCE --- */

/* 2 GiB of 4 KiB pages in one table of 2^19 entries. */
static const char *tce1(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_tce(im, 31, 12, 1, fn, ctx);
}

/* 2^59 in 64 KiB pages: 43 bits are three for 15 each, 13 on top. */
static const char *tce3(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_tce(im, 59, 16, 3, fn, ctx);
}

/* 2^34 in 16 MiB pages: 10 bits, yet five levels of nine. */
static const char *tce5(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_tce(im, 34, 24, 5, fn, ctx);
}

/* 2^30 in 4 KiB pages: 18 bits are just two for 9 each. */
static const char *tce2(struct decode_image *im, decode_fn *fn, void *ctx)
{
	return decode_tce(im, 30, 12, 2, fn, ctx);
}

static const struct decode_word tce1_words[] = {
        W(0, 0, 0, 0x1),
        W(0, 1, 0, 0xffffffffffff002),
        W(0, 524287, 0, 0x1003),
};
static const struct decode_leaf tce1_leaves[] = {
        LEAF(0, 0x1000, 0, 1, 0, 0),
        LEAF(0x1000, 0x1000, 0xffffffffffff000, 0, 1, 0),
        LEAF(0x7ffff000, 0x1000, 0x1000, 1, 1, 0),
};
static const struct image tce1_image = IMAGE(tce1, tce1_words, tce1_leaves);

static const struct decode_word tce2_words[] = {
        W(0, 511, 1, 0x1003),
        W(0x1000, 511, 0, 0x5001),
};
static const struct decode_leaf tce2_leaves[] = {
        LEAF(0x3ffff000, 0x1000, 0x5000, 1, 0, 0),
};
static const struct image tce2_image = IMAGE(tce2, tce2_words, tce2_leaves);

static const struct decode_word tce3_words[] = {
        W(0, 0, 2, 0x40003),       W(0, 8191, 2, 0x80003),
        W(0x40000, 2, 1, 0xc0003), W(0x80000, 32767, 1, 0x100003),
        W(0xc0000, 1, 0, 0x30001), W(0x100000, 32767, 0, 0xfffffffffff0003),
};
static const struct decode_leaf tce3_leaves[] = {
        LEAF(2 * BIT(31) + BIT(16), BIT(16), 0x30000, 1, 0, 0),
        LEAF(BIT(59) - BIT(16), BIT(16), 0xfffffffffff0000, 1, 1, 0),
};
static const struct image tce3_image = IMAGE(tce3, tce3_words, tce3_leaves);

static const struct decode_word tce5_words[] = {
        W(0, 0, 4, 0x1003),           W(0x1000, 0, 3, 0x2003),
        W(0x2000, 0, 2, 0x3003),      W(0x3000, 0, 1, 0x4003),
        W(0x3000, 1, 1, 0x5003),      W(0x4000, 0, 0, 0x2000003),
        W(0x5000, 511, 0, 0x1000002),
};
static const struct decode_leaf tce5_leaves[] = {
        LEAF(0, BIT(24), 0x2000000, 1, 1, 0),
        LEAF(BIT(34) - BIT(24), BIT(24), 0x1000000, 0, 1, 0),
};
static const struct image tce5_image = IMAGE(tce5, tce5_words, tce5_leaves);

static const struct breach tce_breaches[] = {
        {&tce1_image, 0, W(0, 0, 0, 0x1000), "no permission"},
        {&tce1_image, 0, W(0, 0, 0, 0x1005), "between"},
        {&tce1_image, 0, W(0, 0, 0, 0x1801), "between"},
        {&tce1_image, 0, W(0, 0, 0, BIT(60) | 1), "60 bits"},
        {&tce1_image, 0, W(0, 0, 0, BIT(63) | 1), "60 bits"},
        {&tce1_image, 2, W(0, 524288, 0, 1), "outside"},
        {&tce1_image, 2, W(0, 1, 0, 1), "order"},
        {&tce1_image, 2, W(0x1000, 1, 0, 1), "no walk"},
        {&tce2_image, 0, W(0, 512, 1, 0x1003), "outside"},
        {&tce2_image, 1, W(0x1000, 512, 0, 0x5001), "outside"},
        {&tce3_image, 0, W(0, 0, 2, 0x40001), "lacks a permission"},
        {&tce3_image, 0, W(0, 0, 2, 0x40002), "lacks a permission"},
        {&tce3_image, 0, W(0, 0, 2, 0x40803), "between"},
        {&tce3_image, 0, W(0, 0, 2, BIT(60) | 0x40003), "60 bits"},
        {&tce3_image, 0, W(0, 0, 2, 0x80003), "twice"},
        {&tce3_image, 1, W(0, 8192, 2, 0x80003), "outside"},
        {&tce3_image, 2, W(0x40000, 32768, 1, 0xc0003), "outside"},
        {&tce3_image, 2, W(0xfff8, 1, 1, 0xc0003), "reaches into"},
        {&tce3_image, 4, W(0xc0000, 1, 0, 0x31001), "between"},
        {&tce3_image, 4, W(0xc0000, 1, 1, 0x30001), "names"},
        {&tce3_image, 4, W(0xbfff8, 1, 0, 0x30001), "reaches into"},
        {&tce5_image, 0, W(0, 1, 4, 0x1003), "outside"},
        {&tce5_image, 2, W(0x2000, 1, 2, 0x3003), "outside"},
        {&tce5_image, 4, W(0x3000, 2, 1, 0x5003), "outside"},
        {&tce5_image, 6, W(0x5000, 512, 0, 0x1000001), "outside"},
        {&tce5_image, 6, W(0x5000, 511, 0, 0x1800001), "between"},
};

static void test_s390(void **state)
{
	(void)state;
	expect(&s390_5_image);
	expect(&s390_3_image);
	expect(&s390_2_image);
	for (size_t i = 0; i < NR_OF(s390_breaches); i++)
		expect_breach(&s390_breaches[i]);
}

static void test_tce(void **state)
{
	(void)state;
	expect(&tce1_image);
	expect(&tce2_image);
	expect(&tce3_image);
	expect(&tce5_image);
	for (size_t i = 0; i < NR_OF(tce_breaches); i++)
		expect_breach(&tce_breaches[i]);
}

static void test_parameters(void **state)
{
	struct decode_image im = {0};
	size_t n = 0;

	(void)state;
	says(decode_s390(&im, 1, count_leaf, &n), "2 to 5");
	says(decode_s390(&im, 4, count_leaf, &n), NULL);
	says(decode_s390(&im, 6, count_leaf, &n), "2 to 5");
	says(decode_tce(&im, 31, 12, 0, count_leaf, &n), "1 to 5");
	says(decode_tce(&im, 31, 12, 6, count_leaf, &n), "1 to 5");
	says(decode_tce(&im, 31, 11, 1, count_leaf, &n), "12 to 60");
	says(decode_tce(&im, 61, 61, 1, count_leaf, &n), "12 to 60");
	says(decode_tce(&im, 60, 60, 1, count_leaf, &n), NULL);
	says(decode_tce(&im, 15, 16, 1, count_leaf, &n), "up to 64");
	says(decode_tce(&im, 65, 16, 1, count_leaf, &n), "up to 64");
	says(decode_tce(&im, 64, 12, 1, count_leaf, &n), NULL);
	says(decode_tce(&im, 64, 60, 5, count_leaf, &n), NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_s390),
	        cmocka_unit_test(test_tce),
	        cmocka_unit_test(test_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
