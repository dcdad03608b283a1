/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pattern: splitmix64 of seed and position. tests/vm/image.py computes the
 * same outside the VM.
 */
#include "pattern.h"

#include <string.h>

static uint64_t word(uint64_t at, uint64_t seed)
{
	uint64_t x = seed + (at / 8 + 1) * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void pattern_fill(void *buf, uint64_t at, uint64_t len, uint64_t seed)
{
	uint64_t *to = buf;

	for (uint64_t i = 0; i < len / 8; i++)
		to[i] = word(at + 8 * i, seed);
}

uint64_t pattern_check(const void *buf, uint64_t at, uint64_t len,
                       uint64_t seed)
{
	const uint64_t *have = buf;

	for (uint64_t i = 0; i < len / 8; i++)
		if (have[i] != word(at + 8 * i, seed))
			return 8 * i;
	return len;
}

uint64_t pattern_wrong(const void *buf, uint64_t at, uint64_t len,
                       uint64_t seed)
{
	const uint8_t *have = buf;
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < len; i++) {
		uint64_t want = word(at + i, seed);
		uint8_t byte[8];

		memcpy(byte, &want, 8);
		wrong += have[i] != byte[i % 8];
	}
	return wrong;
}

bool all_poison(const void *buf, uint64_t len)
{
	const uint8_t *have = buf;

	for (uint64_t i = 0; i < len; i++)
		if (have[i] != POISON)
			return false;
	return true;
}
