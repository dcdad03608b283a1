/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words and memory from outside: what odd ones mean, and what a table does not
 * take in. Knows bits from the specifications alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "corners.h"
#include "pagetable/pt_public.h"

#define BIT(n) ((uint64_t)1 << (n))

struct odd_word {
	struct sluice_pt_config cfg;
	uint64_t word;
	uint32_t level;
	enum sluice_pt_kind kind;
	uint64_t unknown;
	uint64_t len;
};

/* AMD v1, 48882: PR 0, next level 11:9, IR 61, IW 62; Arm, DDI 0487 D8.3;
 * RISC-V: V R W X 3:0; s390: invalid 0x20, of a page 0x400. */
static const struct odd_word odd_words[] = {
        /* Next level 7 and a size below what the level has, and above. */
        {CFG(AMDV1), 0x6000000000000e01, 1, SLUICE_PT_INVALID, 0xe00, MIB2},
        {CFG(AMDV1), 0x6000000000000e01, 0, SLUICE_PT_LEAF, 0, 2 * PAGE},
        {CFG(AMDV1), 0x60000000fffffe01, 0, SLUICE_PT_INVALID, 0, PAGE},
        {CFG(AMDV1), 0x6000ffffffffffff, 0, SLUICE_PT_INVALID, 0, PAGE},
        /* No permission at all. */
        {CFG(AMDV1), 0x1001, 0, SLUICE_PT_LEAF, 0x6000000000000000, PAGE},
        /* Present, and of no kind that the level has. */
        {CFG(ARM_LPAE_S1), 0x1, 3, SLUICE_PT_INVALID, 0x1, BIT(39)},
        {CFG(ARM_LPAE_S1), 0x2, 3, SLUICE_PT_EMPTY, 0x2, BIT(39)},
        {CFG(X86_64), 0x2, 0, SLUICE_PT_EMPTY, 0x2, PAGE},
        {CFG(X86_64), 0, 0, SLUICE_PT_EMPTY, 0, PAGE},
        {CFG(X86_64, .oa_bits = 40), BIT(41) | 0x25, 0, SLUICE_PT_LEAF, BIT(41),
         PAGE},
        {CFG(RISCV), 0x11, 0, SLUICE_PT_INVALID, 0, PAGE},
        /* An invalid entry means nothing else. */
        {CFG(S390), 0x1234000 | 0x20, 1, SLUICE_PT_EMPTY, 0, BIT(20)},
        {CFG(S390), 0x1234000 | 0x400, 0, SLUICE_PT_EMPTY, 0, PAGE},
        {CFG(S390), 0x1234000, 2, SLUICE_PT_INVALID, 0, BIT(31)},
        {CFG(TCE), 0x1234000, 0, SLUICE_PT_EMPTY, 0x1234000, PAGE},
};

static void test_explain(void **state)
{
	struct sluice_pt_meaning m;

	(void)state;
	for (unsigned i = 0; i < NR_OF(odd_words); i++) {
		const struct odd_word *o = &odd_words[i];
		struct sluice_pt *pt = make(o->cfg);

		assert_int_equal(sluice_pt_explain(pt, o->word, o->level, &m),
		                 0);
		if (m.kind != o->kind || m.len != o->len ||
		    (o->unknown && (m.unknown & o->unknown) != o->unknown))
			fail_msg("word %u: kind %d unknown %llx len %llx", i,
			         (int)m.kind, (unsigned long long)m.unknown,
			         (unsigned long long)m.len);
		assert_int_equal(sluice_pt_explain(pt, 0, 9, &m), -EINVAL);
		says("this table has levels 0 to");
		sluice_pt_destroy(pt);
	}
}

/* Words that no table of this kind wrote, each by its own. */
struct bad_load {
	struct sluice_pt_config cfg;
	struct sluice_pt_word word;
	const char *says;
};

static const struct bad_load bad_loads[] = {
        {CFG(VTDSS), {0, 0x2, 512, 3}, "at no place"},
        {CFG(VTDSS), {0, 0x3, 0, 2}, "at no place"},
        {CFG(VTDSS), {0, 0x3, 0, 3}, "no place of a table"},
        {CFG(VTDSS), {0, 0x1803, 0, 3}, "not as this table"},
        {CFG(VTDSS), {0, 0x83, 0, 3}, "not as this table"},
        {CFG(VTDSS), {0, 0x1000, 0, 3}, "not as this table"},
        {CFG(VTDSS), {PAGE, 0x3, 0, 3}, "hang below no link"},
        {CFG(ARM_LPAE_S1), {0, 0x1, 0, 3}, "not as this table"},
        {CFG(ARM_LPAE_S1), {0, 0x2, 0, 3}, "not as this table"},
        {CFG(AMDV1, .iova_bits = 64), {0, 0x1, 0, 6}, "at no place"},
        {CFG(TCE), {0, 0x1000, 0, 0}, "not as this table"},
};

static void test_load(void **state)
{
	struct sluice_pt_word w[2] = {{0}};
	struct sluice_pt *pt;

	(void)state;
	for (unsigned i = 0; i < NR_OF(bad_loads); i++) {
		pt = make(bad_loads[i].cfg);
		assert_int_equal(sluice_pt_load(pt, &bad_loads[i].word, 1),
		                 -EINVAL);
		says(bad_loads[i].says);
		assert_true(pt_is_empty(pt->pt));
		sluice_pt_destroy(pt);
	}
	pt = make((struct sluice_pt_config)CFG(S390));
	/* An invalid entry that is not the one of an empty table is one. */
	w[0] = (struct sluice_pt_word){0, 0x1020 | 0x8, 0, 2};
	assert_int_equal(sluice_pt_load(pt, w, 0), 0);
	assert_int_equal(sluice_pt_load(pt, w, 1), 0);
	assert_int_equal(sluice_pt_load(pt, w, SIZE_MAX / sizeof(w[0]) + 1),
	                 -ENOMEM);
	says("too many words");
	assert_true(pt_is_empty(pt->pt));
	sluice_pt_destroy(pt);
	pt = make((struct sluice_pt_config)CFG(VTDSS));
	w[0] = w[1] = (struct sluice_pt_word){0, PAGE | 3, 0, 3};
	assert_int_equal(sluice_pt_load(pt, w, 2), -EINVAL);
	says("is there twice");
	w[1].index = 1;
	assert_int_equal(sluice_pt_load(pt, w, 2), 0);
	sluice_pt_destroy(pt);
}

/* Into a table that maps something, as a leaf of the root or below it. */
static void test_load_full(void **state)
{
	static const struct sluice_pt_config cfg[] = {
	        CFG(TCE), CFG(VTDSS, .iova_bits = 39), CFG(X86_64)};
	struct sluice_pt_word w = {0};

	(void)state;
	for (unsigned i = 0; i < NR_OF(cfg); i++) {
		struct sluice_pt *pt = make(cfg[i]);
		uint64_t len = i == 1 ? BIT(30) : PAGE;

		assert_int_equal(sluice_pt_map(pt, 0, 0, len, RW), 0);
		assert_int_equal(sluice_pt_load(pt, &w, 1), -EEXIST);
		says("not empty");
		assert_int_equal(sluice_pt_unmap(pt, 0, len, NULL, NULL), len);
		/* Tables that map nothing are nothing. */
		assert_int_equal(sluice_pt_load(pt, &w, 0), 0);
		sluice_pt_destroy(pt);
	}
}

static void put(uint8_t *image, uint64_t at, uint64_t word)
{
	for (unsigned i = 0; i < sizeof(word); i++)
		image[at + i] = (uint8_t)(word >> 8 * i);
}

/* A RISC-V second stage: four pages of root, and tables of one. */
static void test_image(void **state)
{
	struct sluice_pt *pt =
	        make((struct sluice_pt_config)CFG(RISCV_G, .iova_bits = 41));
	uint64_t base = BIT(40);
	uint8_t *image = aligned_alloc(4 * PAGE, 8 * PAGE);
	struct sluice_pt_extent e;

	(void)state;
	assert_non_null(image);
	memset(image, 0, 8 * PAGE);
	/* The root must lie in it, all four pages. */
	assert_int_equal(
	        sluice_pt_load_image(pt, base, image, 8 * PAGE, base - PAGE),
	        -EINVAL);
	says("does not lie in the memory");
	assert_int_equal(sluice_pt_load_image(pt, base, image, 8 * PAGE,
	                                      base + 5 * PAGE),
	                 -EINVAL);
	assert_int_equal(sluice_pt_load_image(pt, base, image, 8 * PAGE,
	                                      base + 9 * PAGE),
	                 -EINVAL);
	assert_int_equal(
	        sluice_pt_load_image(pt, base, image, 8 * PAGE, base + 8),
	        -EINVAL);
	/* A table inside of the root: less memory than tables. V, PPN at 10. */
	put(image, 0, (base + PAGE) >> 2 | 1);
	assert_int_equal(sluice_pt_load_image(pt, base, image, 4 * PAGE, base),
	                 -EINVAL);
	says("lies over others");
	/* Two links to one. */
	put(image, 0, (base + 4 * PAGE) >> 2 | 1);
	put(image, 8, (base + 4 * PAGE) >> 2 | 1);
	assert_int_equal(sluice_pt_load_image(pt, base, image, 8 * PAGE, base),
	                 -EINVAL);
	says("linked twice");
	/* Writable and not readable: kept by the scan, refused by the load. */
	put(image, 8, 0x5);
	assert_int_equal(sluice_pt_load_image(pt, base, image, 8 * PAGE, base),
	                 -EINVAL);
	says("not as this table");
	/* A leaf of 2 MiB, V R W U A D. */
	put(image, 8, 0);
	put(image, 4 * PAGE + 16, MIB2 >> 2 | 0xd7);
	assert_int_equal(sluice_pt_load_image(pt, base, image, 8 * PAGE, base),
	                 0);
	assert_int_equal(sluice_pt_walk(pt, 2 * MIB2, &e), 0);
	assert_int_equal(e.oa, MIB2);
	assert_int_equal(e.len, MIB2);
	sluice_pt_destroy(pt);
	free(image);
}

/* Room for a part of an image: that part is right, and nothing behind it is
 * touched. */
static void test_small_image(void **state)
{
	static const struct sluice_pt_config cfg[] = {
	        CFG(S390), CFG(X86_64), CFG(ARM_LPAE_S2, .iova_bits = 40)};

	(void)state;
	for (unsigned i = 0; i < NR_OF(cfg); i++) {
		struct sluice_pt *pt = make(cfg[i]);
		uint8_t *whole;
		uint8_t *part;
		int64_t n;

		assert_int_equal(sluice_pt_map(pt, 0, 0, 5 * PAGE, RW), 0);
		n = sluice_pt_image(pt, 0, NULL, 0);
		assert_true(n > (int64_t)PAGE);
		whole = malloc((size_t)n);
		part = malloc((size_t)n);
		assert_non_null(whole);
		assert_non_null(part);
		assert_int_equal(sluice_pt_image(pt, 0, whole, (uint64_t)n), n);
		for (int64_t room = 0; room < n; room += n / 13 / 8 * 8) {
			memset(part, 0x5a, (size_t)n);
			assert_int_equal(
			        sluice_pt_image(pt, 0, part, (uint64_t)room),
			        n);
			assert_memory_equal(part, whole, (size_t)room);
			for (int64_t k = room; k < n; k++)
				assert_int_equal(part[k], 0x5a);
		}
		free(whole);
		free(part);
		sluice_pt_destroy(pt);
	}
}

/* A mark of software that came in with a word does not cut what goes out. */
static void test_marks(void **state)
{
	struct sluice_pt *pt = make((struct sluice_pt_config)CFG(X86_64));
	struct sluice_pt *copy = make((struct sluice_pt_config)CFG(X86_64));
	const struct carry_words *ws;
	struct sluice_pt_extent e[4];
	struct sluice_pt_meaning m;
	uint32_t nr = NR_OF(e);
	unsigned bit = 0;

	(void)state;
	assert_int_equal(sluice_pt_map(pt, 0, MIB2, 3 * PAGE, RW), 0);
	ws = carry_dump(pt);
	assert_int_equal(ws->word[ws->nr - 2].level, 0);
	do {
		assert_true(bit < 64);
		assert_int_equal(
		        sluice_pt_explain(pt,
		                          ws->word[ws->nr - 2].word | BIT(bit),
		                          0, &m),
		        0);
	} while (m.software != BIT(bit++));
	ws->word[ws->nr - 2].word |= m.software;
	assert_int_equal(sluice_pt_load(copy, ws->word, ws->nr), 0);
	assert_int_equal(sluice_pt_unmap(copy, 0, 3 * PAGE, e, &nr), 3 * PAGE);
	assert_int_equal(nr, 1);
	assert_int_equal(e[0].oa, MIB2);
	assert_int_equal(e[0].len, 3 * PAGE);
	sluice_pt_destroy(pt);
	sluice_pt_destroy(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_explain),
	        cmocka_unit_test(test_load),
	        cmocka_unit_test(test_marks),
	        cmocka_unit_test(test_load_full),
	        cmocka_unit_test(test_image),
	        cmocka_unit_test(test_small_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
