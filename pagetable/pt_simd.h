/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling, clearing and comparing runs of table words. Knows neither format
 * nor level. Below PT_SIMD_MIN words a loop is faster than the call.
 *
 * Why vector stores may stand for atomic ones: a mapping call owns its range
 * and nobody is told of it before the call returns; the release by which the
 * caller passes the IOVA on orders these stores like any other. A walker that
 * strays into the range meanwhile reads either the old or the new word: x86
 * CPUs with AVX move aligned pieces of at least 16 bytes whole (Intel SDM
 * vol. 3, 9.1.1 "Guaranteed Atomic Operations"), and a word never crosses one;
 * Arm moves aligned 8-byte elements whole. Each word is written once.
 * ThreadSanitizer knows only C11, so under it the scalar loops serve.
 */
#ifndef SLUICE_PAGETABLE_PT_SIMD_H
#define SLUICE_PAGETABLE_PT_SIMD_H

#include "util/util.h"

#define PT_SIMD_MIN 16u

enum pt_simd { PT_SCALAR, PT_NEON, PT_AVX2, PT_AVX512 };

/* What this CPU and this build can do. */
enum pt_simd pt_simd_detect(void);

bool pt_zero_many(enum pt_simd simd, const au64 *w, unsigned n);
void pt_fill_many(enum pt_simd simd, au64 *w, unsigned n, uint64_t first,
                  uint64_t step);
void pt_clear_many(enum pt_simd simd, au64 *w, unsigned n);
unsigned pt_any_many(enum pt_simd simd, const au64 *w, unsigned n,
                     uint64_t mask);
unsigned pt_run_many(enum pt_simd simd, const au64 *w, unsigned n,
                     uint64_t first, uint64_t step, uint64_t keep);

/* Are all n words zero? */
static always_inline bool pt_words_zero(enum pt_simd simd, const au64 *w,
                                        unsigned n)
{
	if (n >= PT_SIMD_MIN)
		return pt_zero_many(simd, w, n);
	for (unsigned i = 0; i < n; i++)
		if (ld_rlx(&w[i]))
			return false;
	return true;
}

/* w[i] = first + i * step */
static always_inline void pt_words_fill(enum pt_simd simd, au64 *w, unsigned n,
                                        uint64_t first, uint64_t step)
{
	if (n >= PT_SIMD_MIN) {
		pt_fill_many(simd, w, n, first, step);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		st_rel(&w[i], first + i * step);
}

static always_inline void pt_words_clear(enum pt_simd simd, au64 *w, unsigned n)
{
	if (n >= PT_SIMD_MIN) {
		pt_clear_many(simd, w, n);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		st_rlx(&w[i], 0);
}

/* How many words from the first on have a bit of mask. */
static always_inline unsigned pt_words_any(enum pt_simd simd, const au64 *w,
                                           unsigned n, uint64_t mask)
{
	unsigned i;

	if (n >= PT_SIMD_MIN)
		return pt_any_many(simd, w, n, mask);
	for (i = 0; i < n; i++)
		if (!(ld_rlx(&w[i]) & mask))
			break;
	return i;
}

/* How many words from the first on equal first + i * step in the bits of
 * keep. */
static always_inline unsigned pt_words_run(enum pt_simd simd, const au64 *w,
                                           unsigned n, uint64_t first,
                                           uint64_t step, uint64_t keep)
{
	unsigned i;

	if (n >= PT_SIMD_MIN)
		return pt_run_many(simd, w, n, first, step, keep);
	for (i = 0; i < n; i++)
		if ((ld_rlx(&w[i]) ^ (first + i * step)) & keep)
			break;
	return i;
}

#endif
