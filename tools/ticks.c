/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds out how long a tick of the time-stamp counter is, and what a reading
 * costs. Knows nothing of what is measured.
 */
#include "tools/ticks.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATE_NS 20000000u

static struct ticks the_ticks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Intel SDM and AMD APM, CPUID 80000007h: EDX bit 8, the counter's rate is the
 * same in all states. */
static int constant_rate(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 0x100u);
#else
	return 0;
#endif
}

static void calibrate(void)
{
	struct ticks *t = &the_ticks;
	uint64_t best = UINT64_MAX;

	t->ps = 1000.0;
	if (constant_rate()) {
		uint64_t ns0, ns1, tick0, tick1;

		t->tsc = 1;
		ns0 = clock_ns();
		tick0 = ticks_now(t);
		do {
			ns1 = clock_ns();
			tick1 = ticks_now(t);
		} while (ns1 - ns0 < CALIBRATE_NS);
		if (tick1 > tick0)
			t->ps = (double)(ns1 - ns0) * 1000.0 /
			        (double)(tick1 - tick0);
		else
			t->tsc = 0;
	}
	for (int i = 0; i < 1000; i++) {
		uint64_t a = ticks_now(t), d = ticks_now(t) - a;

		best = d < best ? d : best;
	}
	t->overhead = best;
}

const struct ticks *ticks_init(void)
{
	pthread_once(&once, calibrate);
	return &the_ticks;
}
