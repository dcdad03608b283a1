/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the Arm decoder reads in sound tables made by hand: each leaf size of
 * each granule and stage, rights, dirty states, and what each single bit of
 * each kind of descriptor does. Sizes and runs are those of the Arm ARM (DDI
 * 0487, D8.3.1.2 and D8.7.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "decode_arm_words.h"

/* granule, ias, oas, stage2, concat, start_level, dbm */
static const struct decode_arm_cfg walks[] = {
        {12, 48, 48, 0, 1, 0, 0},  {12, 39, 40, 0, 1, 1, 0},
        {12, 32, 36, 0, 1, 1, 0},  {12, 16, 32, 0, 1, 3, 0},
        {14, 48, 48, 0, 1, 0, 0},  {14, 47, 48, 0, 1, 1, 0},
        {14, 36, 44, 0, 1, 2, 0},  {16, 48, 48, 0, 1, 1, 0},
        {16, 42, 42, 0, 1, 2, 0},  {16, 52, 52, 0, 1, 1, 0},
        {16, 48, 52, 0, 1, 1, 0},  {12, 48, 48, 1, 1, 0, 0},
        {12, 40, 40, 1, 2, 1, 0},  {12, 43, 44, 1, 16, 1, 0},
        {12, 34, 48, 1, 16, 2, 0}, {12, 25, 40, 1, 16, 3, 0},
        {12, 39, 40, 1, 1, 1, 0},  {12, 40, 44, 1, 1, 0, 0},
        {14, 48, 48, 1, 2, 1, 0},  {14, 40, 44, 1, 16, 2, 0},
        {16, 46, 48, 1, 16, 2, 0}, {16, 48, 48, 1, 1, 1, 0},
        {16, 52, 52, 1, 1, 1, 0},  {16, 44, 52, 1, 4, 2, 0},
};

/* What a leaf of a level maps, and how many the Contiguous bit joins. */
static const struct {
	unsigned granule_lg2;
	int level;
	unsigned size_lg2;
	uint32_t run;
	unsigned least_oas;
} sizes[] = {
        {12, 3, 12, 16, 0},  {12, 2, 21, 16, 0}, {12, 1, 30, 16, 0},
        {14, 3, 14, 128, 0}, {14, 2, 25, 32, 0}, {16, 3, 16, 32, 0},
        {16, 2, 29, 32, 0},  {16, 1, 42, 0, 52},
};

/* An output address in its descriptor. */
static uint64_t oa(const struct decode_arm_cfg *cfg, uint64_t pa)
{
	if (cfg->oas == 52)
		return (pa & (BIT(48) - 1)) | pa >> 48 << 12;
	return pa;
}

/* Fills a table's slot 1 with a leaf and slots run..2*run-1 with another,
 * where the level has them, in the high half of the output. */
static void put_leaves(const struct decode_arm_cfg *cfg, struct image *im,
                       struct leaves *want, int level, uint64_t table,
                       uint64_t va, uint64_t entries)
{
	uint64_t attr = cfg->stage2 ? RW_S2 : RW_S1;
	uint64_t run_attr = cfg->stage2 ? WO_S2 : RO_S1;

	attr |= level == 3 ? PAGE : BLOCK;
	run_attr |= CONT | (level == 3 ? PAGE : BLOCK);
	for (size_t i = 0; i < NR_OF(sizes); i++) {
		uint64_t size = BIT(sizes[i].size_lg2);
		uint32_t run = sizes[i].run;
		uint64_t pa = BIT(cfg->oas - 1) + 3 * size;

		if (sizes[i].granule_lg2 != cfg->granule_lg2 ||
		    sizes[i].level != level || sizes[i].least_oas > cfg->oas)
			continue;
		put(im, level, table, 1, oa(cfg, pa) | attr);
		add_leaf(want,
		         &(struct decode_leaf){va + size, size, pa, 1, 1, 0});
		if (!run || 2 * run >= entries)
			continue;
		pa = BIT(cfg->oas - 1) + run * size;
		for (uint32_t k = 0; k < run; k++)
			put(im, level, table, run + k,
			    oa(cfg, pa + k * size) | run_attr);
		add_leaf(want,
		         &(struct decode_leaf){va + run * size, run * size, pa,
		                               !cfg->stage2, cfg->stage2, 0});
	}
}

/* Down from the last entry of the root, below it from each table's first. */
static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_OF(walks); i++) {
		const struct decode_arm_cfg *cfg = &walks[i];
		unsigned stride = cfg->granule_lg2 - 3;
		uint64_t table = 0;
		uint64_t va = 0;
		uint64_t next = cfg->concat << cfg->granule_lg2;
		struct image im = {.nr = 0};
		struct leaves want = {.nr = 0};

		for (int level = cfg->start_level; level <= 3; level++) {
			unsigned lg2 = cfg->granule_lg2 +
			               stride * (unsigned)(3 - level);
			int root = level == cfg->start_level;
			uint64_t entries =
			        root ? BIT(cfg->ias - lg2) : BIT(stride);

			put_leaves(cfg, &im, &want, level, table, va, entries);
			if (level == 3)
				break;
			put(&im, level, table, root ? entries - 1 : 0,
			    next | LINK);
			va += root ? (entries - 1) << lg2 : 0;
			table = next;
			next += BIT(cfg->granule_lg2);
		}
		assert_true(want.nr > 0);
		expect(cfg, &im, &want);
	}
}

/* Word for a page of 4K, and what it grants: r, w, d for dirty. */
static const struct {
	int stage2;
	int dbm;
	uint64_t word;
	const char *grants; /* or why not */
} rights[] = {
        {0, 0, RW_S1, "rw"},
        {0, 0, RO_S1, "r"},
        {0, 0, RO_S1 | BIT(51), "DBM in a read-only"},
        {0, 0, RW_S1 & ~BIT(51), "lacks DBM"},
        {0, 1, RW_S1, "rwd"},
        {0, 1, RO_S1, "r"},
        {0, 1, RO_S1 | BIT(51), "rw"},
        {0, 1, RW_S1 & ~BIT(51), "lacks DBM"},
        {1, 0, RW_S2, "rw"},
        {1, 0, RO_S2, "r"},
        {1, 0, WO_S2, "w"},
        {1, 0, NONE_S2, "grants nothing"},
        {1, 0, RO_S2 | BIT(51), "DBM in a read-only"},
        {1, 0, RW_S2 & ~BIT(51), "lacks DBM"},
        {1, 1, RW_S2, "rwd"},
        {1, 1, RO_S2, "r"},
        {1, 1, WO_S2, "wd"},
        {1, 1, RO_S2 | BIT(51), "rw"},
        {1, 1, NONE_S2 | BIT(51), "w"},
        {1, 1, NONE_S2, "grants nothing"},
        {1, 1, RW_S2 & ~BIT(51), "lacks DBM"},
};

static void test_rights(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_OF(rights); i++) {
		struct decode_arm_cfg cfg = {
		        12, 21, 48, rights[i].stage2, 1, 3, rights[i].dbm};
		const char *g = rights[i].grants;
		struct image im = {.nr = 0};
		struct leaves want = {.nr = 0};

		put(&im, 3, 0, 5, 0x7000 | rights[i].word | PAGE);
		if (strspn(g, "rwd") != strlen(g)) {
			expect_refused(&cfg, &im, g);
			continue;
		}
		add_leaf(&want, &(struct decode_leaf){0x5000, 0x1000, 0x7000,
		                                      strchr(g, 'r') != NULL,
		                                      strchr(g, 'w') != NULL,
		                                      strchr(g, 'd') != NULL});
		expect(&cfg, &im, &want);
	}
}

/* Hardware sets one entry of a run dirty: the run is. */
static void test_dirty_run(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 4; n++) {
		int stage2 = n & 1;
		uint64_t clean = stage2 ? RW_S2 & ~BIT(7) : RW_S1 | BIT(7);
		struct decode_arm_cfg cfg = {12, 21, 48, stage2, 1, 3, 1};
		struct image im = {.nr = 0};
		struct leaves want = {.nr = 0};

		for (unsigned k = 0; k < 16; k++)
			put(&im, 3, 0, 32 + k,
			    (0x10000 + k * 0x1000) | clean | CONT | PAGE);
		add_leaf(&want, &(struct decode_leaf){0x20000, 0x10000, 0x10000,
		                                      1, 1, 0});
		expect(&cfg, &im, &want);
		im.w[n < 2 ? 0 : 11].word ^= BIT(7);
		want.l[0].dirty = 1;
		expect(&cfg, &im, &want);
		cfg.dbm = 0;
		expect_refused(&cfg, &im, n < 2 ? "run differ" : "DBM in a");
	}
}

/*
 * Flips each bit of the leaf at output address 0, from 63 down. '.': nothing
 * changes; A: the address does; R: what is granted does; N: refused.
 */
#define A4 "AAAA"
#define N4 "NNNN"
#define TOP "NNNNN....NNNNNNN"

static const struct {
	unsigned granule_lg2;
	unsigned oas;
	int stage2;
	int level;
	int dbm;
	uint64_t attr;
	const char *flips;
} kinds[] = {
        {12, 48, 0, 3, 0, RW_S1, TOP A4 A4 A4 A4 A4 A4 A4 A4 A4 ".NNNNNN...NN"},
        {12, 40, 0, 3, 0, RO_S1, TOP N4 N4 A4 A4 A4 A4 A4 A4 A4 ".NNNNNN...NN"},
        {12, 48, 0, 3, 1, RW_S1, TOP A4 A4 A4 A4 A4 A4 A4 A4 A4 ".NNNRNN...NN"},
        {12, 48, 0, 3, 1, RO_S1,
         "NNNNN....NNNRNNN" A4 A4 A4 A4 A4 A4 A4 A4 A4 ".NNNNNN...NN"},
        {12, 48, 1, 3, 0, RW_S2, TOP A4 A4 A4 A4 A4 A4 A4 A4 A4 "NNNNNRNNNNNN"},
        {12, 48, 1, 3, 1, RW_S2, TOP A4 A4 A4 A4 A4 A4 A4 A4 A4 "NNNNRRNNNNNN"},
        {12, 48, 0, 2, 0, RW_S1,
         TOP A4 A4 A4 A4 A4 A4 "AAANNNNNNNNN.NNNNNN...NN"},
        {12, 48, 1, 1, 0, RW_S2,
         TOP A4 A4 A4 A4 "AANN" N4 N4 N4 N4 "NNNNNRNNNNNN"},
        {14, 48, 0, 3, 0, RW_S1,
         TOP A4 A4 A4 A4 A4 A4 A4 A4 "AANN.NNNNNN...NN"},
        {14, 48, 1, 2, 0, RW_S2,
         TOP A4 A4 A4 A4 A4 "AAAN" N4 N4 N4 "NNNNNRNNNNNN"},
        {16, 48, 0, 3, 0, RW_S1, TOP A4 A4 A4 A4 A4 A4 A4 A4 N4 ".NNNNNN...NN"},
        {16, 52, 0, 3, 0, RW_S1, TOP A4 A4 A4 A4 A4 A4 A4 A4 A4 ".NNNNNN...NN"},
        {16, 52, 1, 2, 0, RW_S2,
         TOP A4 A4 A4 A4 "AAAN" N4 N4 N4 A4 "NNNNNRNNNNNN"},
        {16, 52, 0, 1, 0, RW_S1,
         TOP A4 "AANN" N4 N4 N4 N4 N4 N4 A4 ".NNNNNN...NN"},
};

static char effect(const struct decode_arm_cfg *cfg, struct image *im,
                   const struct decode_leaf *before)
{
	struct leaves got;

	if (read_image(cfg, im, &got) || got.nr != 1)
		return 'N';
	if (same_leaf(&got.l[0], before))
		return '.';
	return got.l[0].pa == before->pa ? 'R' : 'A';
}

static void test_leaf_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_OF(kinds); i++) {
		unsigned g = kinds[i].granule_lg2;
		unsigned stride = g - 3;
		unsigned lg2 = g + stride * (unsigned)(3 - kinds[i].level);
		/* A root of 16 entries at the leaf's level. */
		struct decode_arm_cfg cfg = {
		        g, lg2 + 4,        kinds[i].oas, kinds[i].stage2,
		        1, kinds[i].level, kinds[i].dbm};
		uint64_t word =
		        kinds[i].attr | (kinds[i].level == 3 ? PAGE : BLOCK);
		struct leaves before;
		struct image im = {.nr = 0};

		put(&im, kinds[i].level, 0, 2, word);
		assert_null(read_image(&cfg, &im, &before));
		assert_int_equal(before.nr, 1);
		assert_int_equal(before.l[0].pa, 0);
		assert_int_equal(strlen(kinds[i].flips), 64);
		for (unsigned b = 0; b < 64; b++) {
			im.w[0].word = word ^ BIT(b);
			if (effect(&cfg, &im, &before.l[0]) !=
			    kinds[i].flips[63 - b])
				fail_msg("kind %zu, bit %u", i, b);
		}
	}
}

/* The same for a link. Its address bits lead away from the one leaf. */
static void test_link_bits(void **state)
{
	static const char flips[] =
	        "NNNNN........NNN" N4 N4 N4 N4 N4 N4 N4 N4 N4 "..........NN";

	(void)state;
	assert_int_equal(strlen(flips), 64);
	for (unsigned n = 0; n < 6; n++) {
		unsigned g = 12 + n / 2 * 2;
		int stage2 = n & 1;
		struct decode_arm_cfg cfg = {
		        g, g + (g - 3) + 3, 48, stage2, 1, 2, 0};
		uint64_t attr = stage2 ? RO_S2 : RO_S1;
		struct leaves before;
		struct image im = {.nr = 0};

		put(&im, 2, 0, 1, BIT(g) | LINK);
		put(&im, 3, BIT(g), 3, attr | PAGE);
		assert_null(read_image(&cfg, &im, &before));
		assert_int_equal(before.nr, 1);
		for (unsigned b = 0; b < 64; b++) {
			im.w[0].word = (BIT(g) | LINK) ^ BIT(b);
			if (effect(&cfg, &im, &before.l[0]) != flips[63 - b])
				fail_msg("granule %u, bit %u", g, b);
		}
	}
}

/* AttrIndx may be any, yet one; nG and software bits are free. */
static void test_free_bits(void **state)
{
	struct decode_arm_cfg cfg = {12, 21, 48, 0, 1, 3, 0};
	uint64_t plain = (RO_S1 & ~UINT64_C(0x1c)) | PAGE;

	(void)state;
	for (uint64_t index = 0; index < 8; index++) {
		struct image im = {.nr = 0};
		struct leaves want = {.nr = 0};

		put(&im, 3, 0, 1, plain | index << 2 | BIT(11));
		put(&im, 3, 0, 2, plain | index << 2 | UINT64_C(0xf) << 55);
		add_leaf(&want,
		         &(struct decode_leaf){0x1000, 0x1000, 0, 1, 0, 0});
		add_leaf(&want,
		         &(struct decode_leaf){0x2000, 0x1000, 0, 1, 0, 0});
		expect(&cfg, &im, &want);
		im.w[1].word ^= BIT(2 + index % 3);
		expect_refused(&cfg, &im, "leaves differ in AttrIndx");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sizes),
	        cmocka_unit_test(test_rights),
	        cmocka_unit_test(test_dirty_run),
	        cmocka_unit_test(test_leaf_bits),
	        cmocka_unit_test(test_link_bits),
	        cmocka_unit_test(test_free_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
