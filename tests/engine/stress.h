/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For stress programs, many threads of which check at once: the first thing
 * that is wrong ends the program, so a core dump shows all of them.
 */
#ifndef TESTS_ENGINE_STRESS_H
#define TESTS_ENGINE_STRESS_H

#include <sluice/base.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s (last error: %s)\n", what, sluice_last_error());
	abort();
}

/* Cheap and repeatable, 16 bits. */
static inline uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 16;
}

#endif
