/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arithmetic on addresses and closed ranges.
 */
#ifndef SLUICE_UTIL_BITS_H
#define SLUICE_UTIL_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHELINE 64
#define NR_OF(a) (sizeof(a) / sizeof((a)[0]))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))

static inline uint64_t bit64(unsigned n)
{
	return (uint64_t)1 << n;
}

/* The low n bits set, n in 0..64. */
static inline uint64_t mask64(unsigned n)
{
	return n >= 64 ? UINT64_MAX : bit64(n) - 1;
}

static inline bool aligned_lg2(uint64_t v, unsigned lg2)
{
	return (v & mask64(lg2)) == 0;
}

static inline uint64_t align_down(uint64_t v, unsigned lg2)
{
	return v & ~mask64(lg2);
}

/* Rounds up; the caller has made sure that it does not wrap. */
static inline uint64_t align_up(uint64_t v, unsigned lg2)
{
	return align_down(v + mask64(lg2), lg2);
}

/* Index of the highest set bit; v must not be 0. */
static inline unsigned lg2_floor(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

static inline unsigned lg2_ceil(uint64_t v)
{
	return v <= 1 ? 0 : lg2_floor(v - 1) + 1;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* (first, len) to a closed range; false when len is 0 or the end wraps. */
static inline bool range_last(uint64_t first, uint64_t len, uint64_t *ret_last)
{
	uint64_t last = first + len - 1;

	if (len == 0 || last < first)
		return false;
	*ret_last = last;
	return true;
}

static inline bool ranges_overlap(uint64_t a, uint64_t a_last, uint64_t b,
                                  uint64_t b_last)
{
	return a <= b_last && b <= a_last;
}

#endif
