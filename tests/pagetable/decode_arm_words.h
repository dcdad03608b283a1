/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arm tables made by hand, word by word, and what the decoder reads in them.
 * Knows the fields of a descriptor by their numbers in the Arm ARM (DDI 0487,
 * D8.3.1.2), no writer of tables. Include after cmocka.
 */
#ifndef SLUICE_TESTS_DECODE_ARM_WORDS_H
#define SLUICE_TESTS_DECODE_ARM_WORDS_H

#include <stdlib.h>
#include <string.h>

#include "decode_arm.h"

#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (UINT64_C(1) << (n))

/* Descriptors, each field as the manual numbers it. */
#define BLOCK UINT64_C(1)
#define PAGE UINT64_C(3)
#define LINK UINT64_C(3)
#define CONT BIT(52)
#define RW_S1 (BIT(51) | BIT(54) | BIT(53) | 0x400 | 0x300 | 0x40 | 0x4)
#define RO_S1 (BIT(54) | BIT(53) | 0x400 | 0x300 | 0x80 | 0x40 | 0x4)
#define NONE_S2 (BIT(54) | 0x400 | 0x300 | 0x3c)
#define RW_S2 (NONE_S2 | BIT(51) | 0xc0)
#define RO_S2 (NONE_S2 | 0x40)
#define WO_S2 (NONE_S2 | BIT(51) | 0x80)

struct image {
	struct decode_word w[1024];
	size_t nr;
};

struct leaves {
	struct decode_leaf l[256];
	size_t nr;
};

/* level is the architectural one. */
static inline void put(struct image *im, int level, uint64_t table,
                       uint64_t index, uint64_t word)
{
	assert_true(im->nr < NR_OF(im->w));
	im->w[im->nr++] = (struct decode_word){.table = table,
	                                       .index = (uint32_t)index,
	                                       .level = (uint32_t)(3 - level),
	                                       .word = word};
}

static inline int by_place(const void *va, const void *vb)
{
	const struct decode_word *a = va;
	const struct decode_word *b = vb;

	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static inline int by_va(const void *va, const void *vb)
{
	const struct decode_leaf *a = va;
	const struct decode_leaf *b = vb;

	return a->va < b->va ? -1 : a->va > b->va;
}

static inline void add_leaf(void *ctx, const struct decode_leaf *leaf)
{
	struct leaves *ls = ctx;

	assert_true(ls->nr < NR_OF(ls->l));
	ls->l[ls->nr++] = *leaf;
}

static inline const char *read_image(const struct decode_arm_cfg *cfg,
                                     struct image *im, struct leaves *ret_ls)
{
	struct decode_image di = {.words = im->w, .nr = im->nr};

	qsort(im->w, im->nr, sizeof(im->w[0]), by_place);
	ret_ls->nr = 0;
	return decode_arm(&di, cfg, add_leaf, ret_ls);
}

static inline int same_leaf(const struct decode_leaf *a,
                            const struct decode_leaf *b)
{
	return a->va == b->va && a->size == b->size && a->pa == b->pa &&
	       !a->readable == !b->readable && !a->writable == !b->writable &&
	       !a->dirty == !b->dirty;
}

static inline void expect(const struct decode_arm_cfg *cfg, struct image *im,
                          struct leaves *want)
{
	struct leaves got;
	const char *wrong = read_image(cfg, im, &got);

	if (wrong)
		fail_msg("%s", wrong);
	qsort(want->l, want->nr, sizeof(want->l[0]), by_va);
	assert_int_equal(got.nr, want->nr);
	for (size_t i = 0; i < got.nr; i++) {
		if (!same_leaf(&got.l[i], &want->l[i]))
			fail_msg("leaf %zu at %#llx: want %#llx", i,
			         (unsigned long long)got.l[i].va,
			         (unsigned long long)want->l[i].va);
	}
}

static inline void expect_refused(const struct decode_arm_cfg *cfg,
                                  struct image *im, const char *reason)
{
	struct leaves got;
	const char *wrong = read_image(cfg, im, &got);

	if (!wrong)
		fail_msg("not refused: %s", reason);
	else if (!strstr(wrong, reason))
		fail_msg("refused for \"%s\", not \"%s\"", wrong, reason);
}

#endif
