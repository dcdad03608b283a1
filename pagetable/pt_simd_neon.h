/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The many-word kernels of pt_simd.c for 64-bit Arm: pairs of words by
 * Advanced SIMD, which every such CPU has. An aligned 8-byte element of a
 * vector access is single-copy atomic (DDI 0487, B2.2.1). Included there and
 * nowhere else.
 */
#ifndef SLUICE_PAGETABLE_PT_SIMD_NEON_H
#define SLUICE_PAGETABLE_PT_SIMD_NEON_H

#include <arm_neon.h>

#define PAIRS(p) ((uint64_t *)(uintptr_t)(p))

static void fill_neon(au64 *w, unsigned n, uint64_t first, uint64_t step)
{
	uint64x2_t v =
	        vcombine_u64(vcreate_u64(first), vcreate_u64(first + step));
	uint64x2_t inc = vdupq_n_u64(2 * step);

	/* What the owner wrote before comes first: a plain store orders
	 * nothing. Pairs with pt_load. */
	fence_rel();
	for (unsigned i = 0; i < n; i += 2) {
		vst1q_u64(PAIRS(&w[i]), v);
		v = vaddq_u64(v, inc);
	}
}

/* A word that is zero may be somebody else's already. A compiler that knows the
 * value may make a memset() of the loop, which may write a word twice. */
static void clear_neon(au64 *w, unsigned n)
{
	uint64x2_t zero = vdupq_n_u64(0);

	__asm__("" : "+w"(zero));
	for (unsigned i = 0; i < n; i += 2)
		vst1q_u64(PAIRS(&w[i]), zero);
}

/* The scans return how many words of whole lines pass. */
static unsigned zero_neon(const au64 *w, unsigned n)
{
	unsigned i;

	for (i = 0; i + LINE <= n; i += LINE) {
		uint64x2_t a = vld1q_u64(PAIRS(&w[i]));

		for (unsigned k = 2; k < LINE; k += 2)
			a = vorrq_u64(a, vld1q_u64(PAIRS(&w[i + k])));
		if (vgetq_lane_u64(a, 0) | vgetq_lane_u64(a, 1))
			break;
	}
	return i;
}

static unsigned any_neon(const au64 *w, unsigned n, uint64_t mask)
{
	uint64x2_t m = vdupq_n_u64(mask);
	unsigned i;

	for (i = 0; i + LINE <= n; i += LINE) {
		uint64x2_t hit = vdupq_n_u64(~(uint64_t)0);

		for (unsigned k = 0; k < LINE; k += 2)
			hit = vandq_u64(
			        hit, vtstq_u64(vld1q_u64(PAIRS(&w[i + k])), m));
		if (~(vgetq_lane_u64(hit, 0) & vgetq_lane_u64(hit, 1)))
			break;
	}
	return i;
}

static unsigned run_neon(const au64 *w, unsigned n, uint64_t first,
                         uint64_t step, uint64_t keep)
{
	uint64x2_t v =
	        vcombine_u64(vcreate_u64(first), vcreate_u64(first + step));
	uint64x2_t inc = vdupq_n_u64(2 * step);
	unsigned i;

	for (i = 0; i + LINE <= n; i += LINE) {
		uint64x2_t diff = vdupq_n_u64(0);

		for (unsigned k = 0; k < LINE; k += 2) {
			diff = vorrq_u64(
			        diff,
			        veorq_u64(vld1q_u64(PAIRS(&w[i + k])), v));
			v = vaddq_u64(v, inc);
		}
		if ((vgetq_lane_u64(diff, 0) | vgetq_lane_u64(diff, 1)) & keep)
			break;
	}
	return i;
}

#undef PAIRS

#endif
