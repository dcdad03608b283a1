/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The many-word kernels: whole cache lines by AVX-512 or AVX2, ends and all
 * other machines by atomic 8-byte accesses. Picked by a flag that pt_create
 * reads once: a branch that predicts, no ifunc and no function pointer.
 */
#include "pagetable/pt_simd.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SCALAR_ONLY 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define SCALAR_ONLY 1
#endif

#define LINE 8u   /* words of a cache line */
#define BLOCK 32u /* words looked at between two branches */

#ifndef SCALAR_ONLY
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f")))
#define AVX2 __attribute__((target("avx2")))

AVX512 static __m512i steps512(uint64_t first, uint64_t step)
{
	const __m512i i = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);

	/* step is a power of two: a shift, where a 64-bit multiply is slow. */
	return _mm512_add_epi64(
	        _mm512_set1_epi64((int64_t)first),
	        _mm512_sll_epi64(i, _mm_cvtsi64_si128(lg2_floor(step))));
}

AVX2 static __m256i steps256(uint64_t first, uint64_t step)
{
	const __m256i i = _mm256_set_epi64x(3, 2, 1, 0);

	return _mm256_add_epi64(
	        _mm256_set1_epi64x((int64_t)first),
	        _mm256_sll_epi64(i, _mm_cvtsi64_si128(lg2_floor(step))));
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

AVX512 static void clear512(au64 *w, unsigned n)
{
	for (unsigned i = 0; i < n; i += LINE)
		_mm512_store_si512((void *)&w[i], _mm512_setzero_si512());
}

AVX2 static void clear256(au64 *w, unsigned n)
{
	for (unsigned i = 0; i < n; i += 4)
		_mm256_store_si256((__m256i *)(void *)&w[i],
		                   _mm256_setzero_si256());
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

enum pt_simd pt_simd_detect(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return PT_AVX512;
	return __builtin_cpu_supports("avx2") ? PT_AVX2 : PT_SCALAR;
}

#define PICK(simd, name, none, ...)                                            \
	((simd) == PT_AVX512 ? name##512(__VA_ARGS__)                          \
	 : (simd) == PT_AVX2 ? name##256(__VA_ARGS__)                          \
	                     : (none))
#else
enum pt_simd pt_simd_detect(void)
{
	return PT_SCALAR;
}

#define PICK(simd, name, none, ...) ((void)(simd), (none))
#endif

/* Words before the next cache line, at most n. */
static unsigned head_of(const au64 *w, unsigned n)
{
	unsigned skip = (unsigned)(-(uintptr_t)w / sizeof(*w)) % LINE;

	return skip < n ? skip : n;
}

bool pt_zero_many(enum pt_simd simd, const au64 *w, unsigned n)
{
	unsigned i;
	unsigned head = head_of(w, n);

	for (i = 0; i < head; i++)
		if (ld_rlx(&w[i]))
			return false;
	i += PICK(simd, zero, 0, &w[i], n - i);
	for (; i < n; i++)
		if (ld_rlx(&w[i]))
			return false;
	return true;
}

unsigned pt_any_many(enum pt_simd simd, const au64 *w, unsigned n,
                     uint64_t mask)
{
	unsigned i;
	unsigned head = head_of(w, n);

	for (i = 0; i < head; i++)
		if (!(ld_rlx(&w[i]) & mask))
			return i;
	i += PICK(simd, any, 0, &w[i], n - i, mask);
	for (; i < n; i++)
		if (!(ld_rlx(&w[i]) & mask))
			break;
	return i;
}

unsigned pt_run_many(enum pt_simd simd, const au64 *w, unsigned n,
                     uint64_t first, uint64_t step, uint64_t keep)
{
	unsigned i;
	unsigned head = head_of(w, n);

	for (i = 0; i < head; i++)
		if ((ld_rlx(&w[i]) ^ (first + i * step)) & keep)
			return i;
	i += PICK(simd, run, 0, &w[i], n - i, first + i * step, step, keep);
	for (; i < n; i++)
		if ((ld_rlx(&w[i]) ^ (first + i * step)) & keep)
			break;
	return i;
}

void pt_fill_many(enum pt_simd simd, au64 *w, unsigned n, uint64_t first,
                  uint64_t step)
{
	unsigned head = head_of(w, n);
	unsigned body = simd == PT_SCALAR ? 0 : (n - head) / LINE * LINE;
	unsigned i;

	for (i = 0; i < head; i++)
		st_rel(&w[i], first + i * step);
	PICK(simd, fill, (void)0, &w[i], body, first + i * step, step);
	for (i += body; i < n; i++)
		st_rel(&w[i], first + i * step);
}

void pt_clear_many(enum pt_simd simd, au64 *w, unsigned n)
{
	unsigned head = head_of(w, n);
	unsigned body = simd == PT_SCALAR ? 0 : (n - head) / LINE * LINE;
	unsigned i;

	for (i = 0; i < head; i++)
		st_rlx(&w[i], 0);
	PICK(simd, clear, (void)0, &w[i], body);
	for (i += body; i < n; i++)
		st_rlx(&w[i], 0);
}
