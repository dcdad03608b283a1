/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the Arm decoder refuses, and why: tables made by hand with one fault
 * each, beside their sound likes where these are not read elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decode_arm_words.h"

/* A sound run of 16 pages from slot 16 on, and one spoiled entry. */
static const struct {
	unsigned at;
	uint64_t flip;
	const char *reason; /* NULL: allowed */
} spoilt_runs[] = {
        {0, 0, NULL},
        {3, UINT64_C(0xf) << 55, NULL},
        {0, CONT, "begins no aligned run"},
        {1, CONT, "entries of a run differ"},
        {15, CONT, "entries of a run differ"},
        {5, BIT(11), "entries of a run differ"},
        {5, BIT(2), "entries of a run differ"},
        {5, BIT(7), "entries of a run differ"},
        {5, BIT(51), "entries of a run differ"},
        {5, BIT(0), "entries of a run differ"},
        {5, BIT(10), "AF is clear"},
        {5, 0x1000, "output is not contiguous"},
        {15, BIT(47), "output is not contiguous"},
        {0, 0x1000, "output address is not aligned"},
};

static void put_run(struct image *im, unsigned first, uint64_t pa, unsigned nr)
{
	im->nr = 0;
	for (unsigned k = 0; k < nr; k++)
		put(im, 3, 0, first + k,
		    (pa + k * 0x1000) | RW_S1 | CONT | PAGE);
}

static void test_spoilt_runs(void **state)
{
	struct decode_arm_cfg cfg = {12, 21, 48, 0, 1, 3, 0};
	struct leaves want = {.nr = 0};
	struct image im;

	(void)state;
	add_leaf(&want,
	         &(struct decode_leaf){0x10000, 0x10000, 0x40000, 1, 1, 0});
	for (size_t i = 0; i < NR_OF(spoilt_runs); i++) {
		put_run(&im, 16, 0x40000, 16);
		im.w[spoilt_runs[i].at].word ^= spoilt_runs[i].flip;
		if (spoilt_runs[i].reason)
			expect_refused(&cfg, &im, spoilt_runs[i].reason);
		else
			expect(&cfg, &im, &want);
	}
	put_run(&im, 16, 0x40000, 15);
	expect_refused(&cfg, &im, "a run has a gap");
	put_run(&im, 16, 0x40000, 15);
	put(&im, 3, 0, 32, RW_S1 | CONT | PAGE);
	expect_refused(&cfg, &im, "a run has a gap");
	put_run(&im, 8, 0x40000, 16);
	expect_refused(&cfg, &im, "begins no aligned run");
	put_run(&im, 16, 0x41000, 16);
	expect_refused(&cfg, &im, "output address is not aligned");
	/* A run may fill the input, but not reach beyond it. */
	cfg.ias = 16;
	put_run(&im, 0, 0x40000, 16);
	expect(&cfg, &im,
	       &(struct leaves){{{0, 0x10000, 0x40000, 1, 1, 0}}, 1});
	cfg = (struct decode_arm_cfg){12, 32, 48, 0, 1, 1, 0};
	im.nr = 0;
	for (unsigned k = 0; k < 4; k++)
		put(&im, 1, 0, k, BIT(30) * k | RW_S1 | CONT | BLOCK);
	expect_refused(&cfg, &im, "a run has a gap");
}

/* One word in the root, which may not be there. */
static const struct {
	struct decode_arm_cfg cfg;
	uint64_t word;
	const char *reason;
} lone[] = {
        {{12, 48, 48, 0, 1, 0, 0}, RW_S1 | BLOCK, "a level that has none"},
        {{14, 48, 48, 0, 1, 0, 0}, RW_S1 | BLOCK, "a level that has none"},
        {{14, 47, 48, 0, 1, 1, 0}, RW_S1 | BLOCK, "a level that has none"},
        {{16, 48, 48, 0, 1, 1, 0}, RW_S1 | BLOCK, "a level that has none"},
        {{14, 48, 48, 1, 2, 1, 0}, RW_S2 | BLOCK, "a level that has none"},
        {{16, 52, 52, 0, 1, 1, 0}, RW_S1 | CONT | BLOCK, "no run exists"},
        {{12, 21, 48, 0, 1, 3, 0}, RW_S1 | BLOCK, "level 3 is reserved"},
        {{16, 29, 48, 1, 1, 3, 0}, RW_S2 | BLOCK, "level 3 is reserved"},
        {{12, 21, 48, 0, 1, 3, 0}, RW_S1 | 2, "invalid entry that is not"},
        {{12, 21, 48, 0, 1, 3, 0}, BIT(56), "invalid entry that is not"},
        {{12, 48, 48, 0, 1, 0, 0}, LINK, "a link into the root"},
        {{12, 34, 48, 1, 16, 2, 0}, 0xf000 | LINK, "a link into the root"},
        {{12, 48, 44, 0, 1, 0, 0}, BIT(44) | LINK, "beyond the output size"},
        {{12, 48, 48, 0, 1, 0, 0}, 0x1000 | BIT(59) | LINK, "narrows"},
        {{12, 48, 48, 0, 1, 0, 0}, 0x1000 | BIT(63) | LINK, "narrows"},
        {{12, 48, 48, 0, 1, 0, 0}, 0x1000 | BIT(48) | LINK, "50:48"},
        {{14, 47, 48, 0, 1, 1, 0}, 0x5000 | LINK, "below the address"},
        {{16, 48, 48, 0, 1, 1, 0}, 0x18000 | LINK, "below the address"},
        {{12, 39, 48, 0, 1, 1, 0}, BIT(16) | RW_S1 | BLOCK, "below the add"},
        {{12, 39, 48, 0, 1, 1, 0}, BIT(29) | RW_S1 | BLOCK, "below the add"},
        {{12, 39, 40, 0, 1, 1, 0}, BIT(40) | RW_S1 | BLOCK, "beyond the out"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(10), "AF is clear"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(8), "inner share"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(5), "NS is set"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(6), "AP[1] keeps"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(53), "UXN and PXN"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(54), "UXN and PXN"},
        {{12, 21, 48, 0, 1, 3, 0}, (RW_S1 | PAGE) ^ BIT(60), "bits 63:59"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(10), "AF is clear"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(9), "inner share"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(5), "write-back"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(11), "bit 11 is"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(53), "XN does not"},
        {{12, 21, 48, 1, 1, 3, 0}, (RW_S2 | PAGE) ^ BIT(63), "bits 63:59"},
};

static void test_lone_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_OF(lone); i++) {
		struct image im = {.nr = 0};

		put(&im, lone[i].cfg.start_level, 0, 0, lone[i].word);
		expect_refused(&lone[i].cfg, &im, lone[i].reason);
	}
}

/* Two tables of pages below a root at level 2. */
static void put_tree(struct image *im)
{
	im->nr = 0;
	put(im, 2, 0, 1, 0x1000 | LINK);
	put(im, 2, 0, 6, 0x2000 | LINK);
	put(im, 3, 0x1000, 3, 0x7000 | RW_S1 | PAGE);
	put(im, 3, 0x2000, 511, 0x8000 | RO_S1 | PAGE);
}

/* What decode_image.c refuses is refused here too; the words are its own. */
static void test_dumps(void **state)
{
	struct decode_arm_cfg cfg = {12, 24, 48, 0, 1, 2, 0};
	struct leaves want = {.nr = 0};
	struct leaves got = {.nr = 0};
	struct decode_image di;
	struct image im;

	(void)state;
	add_leaf(&want,
	         &(struct decode_leaf){0x203000, 0x1000, 0x7000, 1, 1, 0});
	add_leaf(&want,
	         &(struct decode_leaf){0xdff000, 0x1000, 0x8000, 1, 0, 0});
	put_tree(&im);
	expect(&cfg, &im, &want);
	di = (struct decode_image){.words = im.w, .nr = im.nr};
	assert_null(decode_arm(&di, &cfg, add_leaf, &got));
	assert_int_equal(di.seen, 4);
	put(&im, 3, 0x3000, 0, RW_S1 | PAGE);
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	im.w[2].level = 1;
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	im.w[1].word = 0x1000 | LINK;
	im.nr = 3;
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	im.w[1].index = 8;
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	im.w[3].index = 512;
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	put(&im, 3, 0x2000, 511, 0x9000 | RO_S1 | PAGE);
	expect_refused(&cfg, &im, "");
	put_tree(&im);
	im.w[0].word = 0x2000 | LINK;
	im.w[1].word = 0x1000 | LINK;
	expect_refused(&cfg, &im, "");
}

static const struct {
	struct decode_arm_cfg cfg;
	const char *reason; /* NULL: an empty table is read */
} configurations[] = {
        {{12, 48, 48, 0, 1, 0, 0}, NULL},
        {{12, 48, 48, 0, 0, 0, 0}, NULL},
        {{13, 48, 48, 0, 1, 0, 0}, "no such granule"},
        {{12, 48, 52, 0, 1, 0, 0}, "no such output size"},
        {{14, 48, 52, 0, 1, 0, 0}, "no such output size"},
        {{16, 48, 50, 0, 1, 1, 0}, "no such output size"},
        {{12, 48, 31, 0, 1, 0, 0}, "no such output size"},
        {{12, 49, 48, 0, 1, 0, 0}, "no such input size"},
        {{12, 15, 48, 0, 1, 3, 0}, "no such input size"},
        {{16, 53, 52, 0, 1, 1, 0}, "no such input size"},
        {{16, 16, 52, 0, 1, 3, 0}, "no such input size"},
        {{16, 52, 48, 0, 1, 1, 0}, NULL},
        {{16, 52, 48, 1, 1, 1, 0}, "no more bits than it gives"},
        {{12, 48, 48, 0, 1, -1, 0}, "level -1"},
        {{12, 48, 48, 0, 1, 4, 0}, "no such level"},
        {{12, 39, 48, 0, 1, 0, 0}, "does not follow"},
        {{12, 40, 48, 0, 1, 1, 0}, "does not follow"},
        {{14, 47, 48, 0, 1, 0, 0}, "does not follow"},
        {{12, 40, 48, 0, 2, 0, 0}, "concatenates no tables"},
        {{14, 48, 48, 1, 1, 0, 0}, "level 0 with 4K only"},
        {{16, 48, 48, 1, 1, 0, 0}, "level 0 with 4K only"},
        {{12, 40, 40, 1, 2, 1, 0}, NULL},
        {{12, 40, 40, 1, 1, 1, 0}, "number of root tables"},
        {{12, 40, 40, 1, 4, 1, 0}, "number of root tables"},
        {{12, 39, 40, 1, 2, 1, 0}, "number of root tables"},
        {{12, 44, 44, 1, 32, 1, 0}, "does not fit"},
        {{12, 30, 44, 1, 1, 1, 0}, "does not fit"},
};

static void test_configurations(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_OF(configurations); i++) {
		struct image im = {.nr = 0};
		struct leaves none = {.nr = 0};

		if (configurations[i].reason)
			expect_refused(&configurations[i].cfg, &im,
			               configurations[i].reason);
		else
			expect(&configurations[i].cfg, &im, &none);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_spoilt_runs),
	        cmocka_unit_test(test_lone_words),
	        cmocka_unit_test(test_dumps),
	        cmocka_unit_test(test_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
