/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Independent decoders: from the words of a dump to the mappings that the
 * hardware would see. Written from the specifications; shares nothing with
 * pagetable/, not even a header, so that both cannot be wrong together.
 */
#ifndef SLUICE_TESTS_DECODE_H
#define SLUICE_TESTS_DECODE_H

#include <stddef.h>
#include <stdint.h>

struct decode_word {
	uint64_t table; /* byte offset from the root */
	uint64_t word;
	uint32_t index;
	uint32_t level; /* as the dump claims; the walk checks it */
};

struct decode_leaf {
	uint64_t va;
	uint64_t size;
	uint64_t pa;
	int readable;
	int writable;
	int dirty;
};

/* The words as memory: what stands in slot index of the table at offset. */
struct decode_image {
	const struct decode_word *words;
	size_t nr;
	size_t seen; /* words that the walk came by */
};
const struct decode_word *decode_find(struct decode_image *im, uint64_t table,
                                      uint32_t index);

/* Calls fn for each leaf, lowest address first. Returns NULL, or a text that
 * says how the table breaks the specification. */
typedef void decode_fn(void *ctx, const struct decode_leaf *leaf);
const char *decode_x86_64(struct decode_image *im, unsigned va_bits,
                          decode_fn *fn, void *ctx);
const char *decode_vtdss(struct decode_image *im, unsigned va_bits,
                         decode_fn *fn, void *ctx);

#endif
