/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that tell where on which disk they belong: every 64-bit word is a hash
 * of its position and a seed. at and len are multiples of 8.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stdint.h>

void pattern_fill(void *buf, uint64_t at, uint64_t len, uint64_t seed);

/* Offset of the first wrong byte, rounded down to a word, or len. */
uint64_t pattern_check(const void *buf, uint64_t at, uint64_t len,
                       uint64_t seed);

/* How many bytes are wrong. */
uint64_t pattern_wrong(const void *buf, uint64_t at, uint64_t len,
                       uint64_t seed);

/* What a buffer holds before a device writes to it. */
#define POISON 0xa5
bool all_poison(const void *buf, uint64_t len);

#endif
