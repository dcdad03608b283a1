/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a stress test runs: as many steps as it was told, and at least
 * SLUICE_STRESS_SECONDS from stress_begin() on. Knows no test.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include <stdlib.h>

#include "util/clock.h"

static uint64_t stress_end; /* 0: no time was told */

static inline void stress_begin(void)
{
	const char *text = getenv("SLUICE_STRESS_SECONDS");
	uint64_t seconds = text && *text ? strtoull(text, NULL, 0) : 0;

	stress_end = seconds ? clock_ns() + seconds * 1000000000u : 0;
}

/* Must step i be made? */
static inline bool stress_more(uint64_t i, uint64_t steps)
{
	return i < steps ||
	       (stress_end && (i % 1024 || clock_ns() < stress_end));
}

#endif
