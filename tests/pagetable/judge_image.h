/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What judges a decoder: images made by hand with the leaves that they must
 * give, and breaches of them with the text that must name them. Knows no
 * format and no table of ours. Include after cmocka.
 */
#ifndef SLUICE_TESTS_JUDGE_IMAGE_H
#define SLUICE_TESTS_JUDGE_IMAGE_H

#include <string.h>

#include "decode.h"

#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (UINT64_C(1) << (n))
#define MAX_WORDS 64

struct image {
	const char *(*run)(struct decode_image *im, decode_fn *fn, void *ctx);
	const struct decode_word *word;
	size_t nr;
	const struct decode_leaf *leaf;
	size_t nr_leaves;
};
#define IMAGE(run, words, leaves)                                              \
	{                                                                      \
		run, words, NR_OF(words), leaves, NR_OF(leaves)                \
	}
/* table, index, level, word */
#define W(t, i, l, w)                                                          \
	{                                                                      \
		.table = (t), .index = (i), .level = (l), .word = (w)          \
	}
/* va, size, pa, readable, writable, dirty */
#define LEAF(v, s, p, r, w, d)                                                 \
	{                                                                      \
		(v), (s), (p), (r), (w), (d)                                   \
	}

/* One word of an image replaced by another: how the decoder must call it. */
struct breach {
	const struct image *of;
	size_t at;
	struct decode_word word;
	const char *says;
};

struct told {
	const struct image *of;
	size_t nr;
};

static inline void same_leaf(void *ctx, const struct decode_leaf *leaf)
{
	struct told *t = ctx;
	const struct decode_leaf *want = &t->of->leaf[t->nr];

	assert_true(t->nr < t->of->nr_leaves);
	assert_int_equal(leaf->va, want->va);
	assert_int_equal(leaf->size, want->size);
	assert_int_equal(leaf->pa, want->pa);
	assert_int_equal(leaf->readable, want->readable);
	assert_int_equal(leaf->writable, want->writable);
	assert_int_equal(leaf->dirty, want->dirty);
	t->nr++;
}

static inline void count_leaf(void *ctx, const struct decode_leaf *leaf)
{
	(void)leaf;
	++*(size_t *)ctx;
}

static inline void says(const char *wrong, const char *want)
{
	if (!want && wrong)
		fail_msg("refused: %s", wrong);
	if (want && (!wrong || !strstr(wrong, want)))
		fail_msg("'%s', not '%s'", wrong ? wrong : "passes", want);
}

static inline void expect(const struct image *of)
{
	struct decode_image im = {.words = of->word, .nr = of->nr};
	const struct decode_image none = {0};
	struct told told = {.of = of};
	size_t leaves = 0;

	/* Twice: a walk leaves nothing behind in the image. */
	for (unsigned i = 0; i < 2; i++) {
		says(of->run(&im, same_leaf, &told), NULL);
		assert_int_equal(told.nr, of->nr_leaves);
		told.nr = 0;
	}
	im = none;
	assert_null(of->run(&im, count_leaf, &leaves));
	assert_int_equal(leaves, 0);
}

static inline void expect_breach(const struct breach *b)
{
	struct decode_word w[MAX_WORDS];
	struct decode_image im = {.words = w, .nr = b->of->nr};
	size_t leaves = 0;

	assert_true(b->of->nr <= MAX_WORDS && b->at < b->of->nr);
	memcpy(w, b->of->word, b->of->nr * sizeof(*w));
	w[b->at] = b->word;
	says(b->of->run(&im, count_leaf, &leaves), b->says);
}

#endif
