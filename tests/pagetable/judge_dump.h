/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collects dump words and has the independent decoder judge them against the
 * flat record. Include after cmocka.
 */
#ifndef SLUICE_TESTS_JUDGE_DUMP_H
#define SLUICE_TESTS_JUDGE_DUMP_H

#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "flat.h"

struct words {
	struct decode_word *w;
	size_t nr;
	size_t max;
};

static inline void words_add(struct words *ws, struct decode_word w)
{
	if (ws->nr == ws->max) {
		ws->max = ws->max ? 2 * ws->max : 256;
		ws->w = realloc(ws->w, ws->max * sizeof(*ws->w));
		assert_non_null(ws->w);
	}
	ws->w[ws->nr++] = w;
}

struct verdict {
	const struct flat *f;
	uint64_t pages;
	uint64_t differ;
};

static inline void judge_leaf(void *ctx, const struct decode_leaf *leaf)
{
	struct verdict *v = ctx;
	struct pt_run want;

	v->pages += leaf->size / 4096;
	if (leaf->va < v->f->base ||
	    leaf->va + leaf->size > v->f->base + v->f->nr * 4096 ||
	    flat_walk(v->f, leaf->va, &want)) {
		v->differ++;
		return;
	}
	v->differ += want.iova != leaf->va ||
	             want.last != leaf->va + leaf->size - 1 ||
	             want.oa != leaf->pa ||
	             !(want.prot & SLUICE_READ) != !leaf->readable ||
	             !(want.prot & SLUICE_WRITE) != !leaf->writable ||
	             !v->f->page[(leaf->va - v->f->base) / 4096].dirty !=
	                     !leaf->dirty;
}

/* Each decoded leaf is in the record, and the record has no other. */
static inline void judge_words(const struct words *ws,
                               enum sluice_pt_format format, unsigned bits,
                               const struct flat *f)
{
	struct decode_image im = {.words = ws->w, .nr = ws->nr};
	struct verdict v = {.f = f};
	const char *wrong;

	wrong = format == SLUICE_PT_X86_64
	                ? decode_x86_64(&im, bits, judge_leaf, &v)
	                : decode_vtdss(&im, bits, judge_leaf, &v);
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(v.differ, 0);
	assert_int_equal(v.pages, f->mapped);
}

#endif
