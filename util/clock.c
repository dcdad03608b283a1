/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/clock.h"

#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

struct ticks_info ticks_info = {.tsc = false, .per_ms = 1000000};

#if defined(__x86_64__)
/* CPUID leaf 80000007H, EDX bit 8: the TSC runs at a constant rate in all
 * power states (Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E). */
static bool tsc_is_invariant(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8);
}

static void calibrate(void)
{
	uint64_t ns, t0, t;

	if (!tsc_is_invariant())
		return;
	ns = clock_ns();
	t0 = __builtin_ia32_rdtsc();
	while (clock_ns() - ns < 1000000)
		;
	t = __builtin_ia32_rdtsc() - t0;
	ns = clock_ns() - ns;
	if (t == 0)
		return;
	ticks_info.per_ms = t * 1000000 / ns;
	ticks_info.tsc = true;
}
#else
static void calibrate(void)
{
}
#endif

void ticks_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, calibrate);
}
