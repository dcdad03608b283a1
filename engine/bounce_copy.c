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
/* And words from becoming vectors, which emulators take apart again. */
#define STAY_A_WORD(w) __asm__ volatile("" : "+r"(w))

static always_inline uint64_t load(const uint8_t *from)
{
	uint64_t w;

	memcpy(&w, from, sizeof(w));
	STAY_A_WORD(w);
	return w;
}

static always_inline void store(uint8_t *to, uint64_t w)
{
	memcpy(to, &w, sizeof(w));
}

/* Loads first, then stores: where the two pages compete for one place in a
 * cache of translations, as they may in an emulator, each is found once. */
static void copy_words(uint8_t *to, const uint8_t *from, uint64_t len)
{
	uint64_t at = 0;

	for (; len - at >= BLOCK; at += BLOCK) {
		uint64_t a = load(from + at), b = load(from + at + 8);
		uint64_t c = load(from + at + 16), d = load(from + at + 24);
		uint64_t e = load(from + at + 32), f = load(from + at + 40);
		uint64_t g = load(from + at + 48), h = load(from + at + 56);

		store(to + at, a);
		store(to + at + 8, b);
		store(to + at + 16, c);
		store(to + at + 24, d);
		store(to + at + 32, e);
		store(to + at + 40, f);
		store(to + at + 48, g);
		store(to + at + 56, h);
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
