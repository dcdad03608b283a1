/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Apertures that the tests of the IOVA allocator share. Knows shapes, not what
 * is done with them.
 */
#ifndef SLUICE_TESTS_IOVA_SPACE_H
#define SLUICE_TESTS_IOVA_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/iova.h"

#define PAGE ((uint64_t)4096)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define FOUR_GIB (4 * GIB)
#define SHAPE_MAX 8u

struct shape {
	const char *name;
	uint32_t nr;
	struct sluice_range r[SHAPE_MAX];
};

/* The x86 interrupt window is in nobody's aperture. */
#define BELOW_MSI                                                              \
	{                                                                      \
		0, 0xfedfffff                                                  \
	}
#define ABOVE_MSI 0xfef00000

static const struct shape shapes[] = {
        {"1 MiB", 1, {{0, MIB - 1}}},
        {"64 MiB", 1, {{16 * MIB, 80 * MIB - 1}}},
        {"32 bits", 2, {BELOW_MSI, {ABOVE_MSI, FOUR_GIB - 1}}},
        {"across 4 GiB", 1, {{FOUR_GIB - 64 * MIB, FOUR_GIB + 64 * MIB - 1}}},
        {"high only", 1, {{FOUR_GIB, (1ull << 40) - 1}}},
        {"39 bits", 2, {BELOW_MSI, {ABOVE_MSI, (1ull << 39) - 1}}},
        {"48 bits", 2, {BELOW_MSI, {ABOVE_MSI, (1ull << 48) - 1}}},
        {"57 bits", 2, {BELOW_MSI, {ABOVE_MSI, (1ull << 57) - 1}}},
        {"64 bits", 2, {BELOW_MSI, {ABOVE_MSI, UINT64_MAX}}},
        {"the end of 64 bits", 1, {{UINT64_MAX - (GIB - 1), UINT64_MAX}}},
        {"holes",
         6,
         {{0x1000, 0x4fff},
          {0x100000, 0x8fffff},
          {0x900000, 0x4000fff}, /* touches the one before */
          {0x80001000, 0xfedfffff},
          {ABOVE_MSI, 0x11fffffff},
          {0x200000000, 0x27fffffff}}},
};

static inline bool shape_holds(const struct shape *s, uint64_t first,
                               uint64_t last)
{
	for (uint32_t i = 0; i < s->nr; i++)
		if (first >= s->r[i].first && last <= s->r[i].last)
			return first >= PAGE && last >= first;
	return false;
}

static inline uint64_t shape_rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
