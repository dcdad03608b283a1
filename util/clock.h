/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time without a system call. clock_ns is CLOCK_MONOTONIC through the vdso;
 * ticks_now is the cheapest monotonic counter of the machine (the invariant
 * TSC on x86, 9 ns against 22), for intervals on lane paths.
 */
#ifndef SLUICE_UTIL_CLOCK_H
#define SLUICE_UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Set by ticks_init; read-only afterwards. */
struct ticks_info {
	bool tsc;
	uint64_t per_ms; /* ticks in a millisecond */
};
extern struct ticks_info ticks_info;

/* Once per process and before the first ticks_now; any thread, idempotent.
 * Takes about a millisecond the first time. */
void ticks_init(void);

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
	if (ticks_info.tsc)
		return __builtin_ia32_rdtsc();
#endif
	return clock_ns();
}

static inline uint64_t ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((double)ticks * 1e6 / (double)ticks_info.per_ms);
}

static inline uint64_t ticks_from_us(uint64_t us)
{
	return us * ticks_info.per_ms / 1000;
}

#endif
