/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time for measurements: the processor's time-stamp counter where it runs at a
 * constant rate, else clock_gettime(). A reading waits for the instructions
 * before it, so that what is timed does not leak out of the measured piece.
 */
#ifndef SLUICE_TOOLS_TICKS_H
#define SLUICE_TOOLS_TICKS_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct ticks {
	int tsc;           /* read the counter, not the clock */
	double ps;         /* picoseconds of one tick */
	uint64_t overhead; /* ticks between two readings of nothing */
};

/* Takes about 20 ms the first time. The same answer for the whole process. */
const struct ticks *ticks_init(void);

static inline uint64_t ticks_now(const struct ticks *t)
{
#if defined(__x86_64__)
	if (t->tsc) {
		uint64_t v;

		_mm_lfence();
		v = __rdtsc();
		_mm_lfence();
		return v;
	}
#endif
	(void)t;
	return clock_ns();
}

/* Picoseconds between two readings, the cost of reading taken off. */
static inline uint64_t ticks_ps(const struct ticks *t, uint64_t from,
                                uint64_t to)
{
	uint64_t d = to - from;

	d = d > t->overhead ? d - t->overhead : 0;
	return (uint64_t)((double)d * t->ps);
}

#endif
