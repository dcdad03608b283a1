/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The many-word kernels of pt_simd.c for x86-64: whole cache lines by AVX-512
 * or AVX2. Included there and nowhere else.
 */
#ifndef SLUICE_PAGETABLE_PT_SIMD_X86_H
#define SLUICE_PAGETABLE_PT_SIMD_X86_H

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f")))
#define AVX2 __attribute__((target("avx2")))

/* Shifts by 64 give zero. */
static int64_t shift_of(uint64_t step)
{
	return step ? lg2_floor(step) : 64;
}

AVX512 static __m512i steps512(uint64_t first, uint64_t step)
{
	const __m512i i = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);

	/* step is 0 or a power of two: a shift, where a 64-bit multiply is
	 * slow. */
	return _mm512_add_epi64(
	        _mm512_set1_epi64((int64_t)first),
	        _mm512_sll_epi64(i, _mm_cvtsi64_si128(shift_of(step))));
}

AVX2 static __m256i steps256(uint64_t first, uint64_t step)
{
	const __m256i i = _mm256_set_epi64x(3, 2, 1, 0);

	return _mm256_add_epi64(
	        _mm256_set1_epi64x((int64_t)first),
	        _mm256_sll_epi64(i, _mm_cvtsi64_si128(shift_of(step))));
}

AVX512 static void fill512(au64 *w, unsigned n, uint64_t first, uint64_t step)
{
	__m512i inc = _mm512_set1_epi64((int64_t)(LINE * step));
	__m512i v = steps512(first, step);

	for (unsigned i = 0; i < n; i += LINE) {
		_mm512_store_si512((void *)&w[i], v);
		v = _mm512_add_epi64(v, inc);
	}
}

AVX2 static void fill256(au64 *w, unsigned n, uint64_t first, uint64_t step)
{
	__m256i inc = _mm256_set1_epi64x((int64_t)(4 * step));
	__m256i v = steps256(first, step);

	for (unsigned i = 0; i < n; i += 4) {
		_mm256_store_si256((__m256i *)(void *)&w[i], v);
		v = _mm256_add_epi64(v, inc);
	}
}

/* A word that is zero may be somebody else's already. A compiler that knows the
 * value makes a memset() of the loop (clang 14 does), which writes words twice
 * where its own vectors overlap, or a byte at a time. */
AVX512 static void clear512(au64 *w, unsigned n)
{
	__m512i zero = _mm512_setzero_si512();

	__asm__("" : "+v"(zero));
	for (unsigned i = 0; i < n; i += LINE)
		_mm512_store_si512((void *)&w[i], zero);
}

AVX2 static void clear256(au64 *w, unsigned n)
{
	__m256i zero = _mm256_setzero_si256();

	__asm__("" : "+x"(zero)); /* see clear512 */
	for (unsigned i = 0; i < n; i += 4)
		_mm256_store_si256((__m256i *)(void *)&w[i], zero);
}

/* The scans return how many words of whole blocks pass. */
AVX512 static unsigned zero512(const au64 *w, unsigned n)
{
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const void *p = &w[i];
		__m512i a = _mm512_load_si512(p);

		for (unsigned k = 1; k < BLOCK / LINE; k++)
			a = _mm512_or_si512(
			        a, _mm512_load_si512((const char *)p + k * 64));
		if (_mm512_test_epi64_mask(a, a))
			break;
	}
	return i;
}

AVX2 static unsigned zero256(const au64 *w, unsigned n)
{
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const __m256i *p = (const void *)&w[i];
		__m256i a = _mm256_load_si256(p);

		for (unsigned k = 1; k < BLOCK / 4; k++)
			a = _mm256_or_si256(a, _mm256_load_si256(p + k));
		if (!_mm256_testz_si256(a, a))
			break;
	}
	return i;
}

AVX512 static unsigned any512(const au64 *w, unsigned n, uint64_t mask)
{
	__m512i m = _mm512_set1_epi64((int64_t)mask);
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const char *p = (const void *)&w[i];
		unsigned miss = 0;

		for (unsigned k = 0; k < BLOCK / LINE; k++)
			miss |= _mm512_testn_epi64_mask(
			        _mm512_load_si512(p + k * 64), m);
		if (miss)
			break;
	}
	return i;
}

AVX2 static unsigned any256(const au64 *w, unsigned n, uint64_t mask)
{
	__m256i m = _mm256_set1_epi64x((int64_t)mask);
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const __m256i *p = (const void *)&w[i];
		__m256i miss = _mm256_setzero_si256();

		for (unsigned k = 0; k < BLOCK / 4; k++) {
			__m256i v = _mm256_load_si256(p + k);

			v = _mm256_cmpeq_epi64(_mm256_and_si256(v, m),
			                       _mm256_setzero_si256());
			miss = _mm256_or_si256(miss, v);
		}
		if (!_mm256_testz_si256(miss, miss))
			break;
	}
	return i;
}

AVX512 static unsigned run512(const au64 *w, unsigned n, uint64_t first,
                              uint64_t step, uint64_t keep)
{
	__m512i inc = _mm512_set1_epi64((int64_t)(LINE * step));
	__m512i m = _mm512_set1_epi64((int64_t)keep);
	__m512i v = steps512(first, step);
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const char *p = (const void *)&w[i];
		__m512i diff = _mm512_setzero_si512();

		for (unsigned k = 0; k < BLOCK / LINE; k++) {
			__m512i x = _mm512_load_si512(p + k * 64);

			/* diff | (x ^ v) */
			diff = _mm512_ternarylogic_epi64(diff, x, v, 0xf6);
			v = _mm512_add_epi64(v, inc);
		}
		if (_mm512_test_epi64_mask(diff, m))
			break;
	}
	return i;
}

AVX2 static unsigned run256(const au64 *w, unsigned n, uint64_t first,
                            uint64_t step, uint64_t keep)
{
	__m256i inc = _mm256_set1_epi64x((int64_t)(4 * step));
	__m256i m = _mm256_set1_epi64x((int64_t)keep);
	__m256i v = steps256(first, step);
	unsigned i;

	for (i = 0; i + BLOCK <= n; i += BLOCK) {
		const __m256i *p = (const void *)&w[i];
		__m256i diff = _mm256_setzero_si256();

		for (unsigned k = 0; k < BLOCK / 4; k++) {
			__m256i x = _mm256_load_si256(p + k);

			diff = _mm256_or_si256(diff, _mm256_xor_si256(x, v));
			v = _mm256_add_epi64(v, inc);
		}
		if (!_mm256_testz_si256(diff, m))
			break;
	}
	return i;
}

#endif
