/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The many-word kernels: whole cache lines by AVX-512, AVX2 or Advanced SIMD,
 * ends and all other machines by atomic 8-byte accesses. Picked by a flag that
 * pt_create reads once: a branch that predicts, no ifunc and no function
 * pointer.
 */
#include "pagetable/pt_simd.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SCALAR_ONLY 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) ||                                            \
        !(defined(__x86_64__) ||                                               \
          (defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__))
#define SCALAR_ONLY 1
#endif

#define LINE 8u   /* words of a cache line */
#define BLOCK 32u /* words looked at between two branches */

#ifdef SCALAR_ONLY
enum pt_simd pt_simd_detect(void)
{
	return PT_SCALAR;
}

#define HAS_KERNEL(simd) ((void)(simd), false)
#define PICK(simd, name, none, ...) ((void)(simd), (none))
#elif defined(__x86_64__)
#include "pagetable/pt_simd_x86.h"

enum pt_simd pt_simd_detect(void)
{
	static const enum pt_simd widest[] = {PT_SCALAR, PT_AVX2, PT_AVX512};

	/* No CPU has the wider without the narrower. */
	return widest[!!__builtin_cpu_supports("avx2") +
	              !!__builtin_cpu_supports("avx512f")];
}

#define HAS_KERNEL(simd) ((simd) >= PT_AVX2)
#define PICK(simd, name, none, ...)                                            \
	((simd) == PT_AVX512 ? name##512(__VA_ARGS__)                          \
	 : (simd) == PT_AVX2 ? name##256(__VA_ARGS__)                          \
	                     : (none))
#else
#include "pagetable/pt_simd_neon.h"

enum pt_simd pt_simd_detect(void)
{
	return PT_NEON;
}

#define HAS_KERNEL(simd) ((simd) == PT_NEON)
#define PICK(simd, name, none, ...)                                            \
	((simd) == PT_NEON ? name##_neon(__VA_ARGS__) : (none))
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
	unsigned body = HAS_KERNEL(simd) ? (n - head) / LINE * LINE : 0;
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
	unsigned body = HAS_KERNEL(simd) ? (n - head) / LINE * LINE : 0;
	unsigned i;

	for (i = 0; i < head; i++)
		st_rlx(&w[i], 0);
	PICK(simd, clear, (void)0, &w[i], body);
	for (i += body; i < n; i++)
		st_rlx(&w[i], 0);
}
