/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moving and wiping bytes for bounce mode, in two ways: by the C library, or
 * in plain words. The library picks string instructions where the processor
 * says that they are fast; emulators say so too, and take them byte by byte.
 * Which way is faster is measured elsewhere.
 */
#include "engine/bounce.h"

#include <string.h>

#define BLOCK 64u

/* Keeps the compiler from making the library's call out of a loop. */
#define STAY_A_LOOP() __asm__ volatile("" : : : "memory")

static void copy_words(uint8_t *to, const uint8_t *from, uint64_t len)
{
	uint64_t at = 0;

	for (; len - at >= BLOCK; at += BLOCK) {
		uint64_t w[BLOCK / 8];

		memcpy(w, from + at, BLOCK);
		memcpy(to + at, w, BLOCK);
		STAY_A_LOOP();
	}
	memcpy(to + at, from + at, len - at);
}

static void wipe_words(uint8_t *to, uint64_t len)
{
	uint64_t at = 0;

	for (; len - at >= BLOCK; at += BLOCK) {
		memset(to + at, 0, BLOCK);
		STAY_A_LOOP();
	}
	memset(to + at, 0, len - at);
}

void copy_bytes(bool words, void *to, const void *from, uint64_t len)
{
	if (words)
		copy_words(to, from, len);
	else
		memcpy(to, from, len);
}

void copy_wipe(bool words, void *at, uint64_t len)
{
	if (words)
		wipe_words(at, len);
	else
		memset(at, 0, len);
}
