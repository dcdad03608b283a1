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
	size_t at;   /* where the last look ended: the next is mostly near */
	uint64_t next[6]; /* per level: the lowest table not yet read */
};
const struct decode_word *decode_find(struct decode_image *im, uint64_t table,
                                      uint32_t index);

/* The words of one table, so that a walk need not ask for each empty slot. */
struct decode_row {
	const struct decode_word *word;
	size_t nr;
};
/* Before a walk by rows. */
void decode_start(struct decode_image *im);
/* Refuses words out of order, outside of the table's slots, of another level
 * or in memory of the table that follows. A dump places the tables of a level
 * in the order of the walk, so one that does not go up is linked twice. */
const char *decode_row(struct decode_image *im, uint64_t table, unsigned level,
                       uint64_t slots, struct decode_row *ret_row);
/* One page that fills nr slots from the row's word i on: the words must be
 * there and alike but for the bits of may_differ. *ret_any: all words ORed. */
const char *decode_copies(const struct decode_row *row, size_t i, uint32_t nr,
                          uint64_t may_differ, uint64_t *ret_any);
/* After a walk: NULL, or that words are left. */
const char *decode_rest(const struct decode_image *im);

/* Calls fn for each leaf, lowest address first. Returns NULL, or a text that
 * says how the table breaks the specification. */
typedef void decode_fn(void *ctx, const struct decode_leaf *leaf);
const char *decode_x86_64(struct decode_image *im, unsigned va_bits,
                          decode_fn *fn, void *ctx);
const char *decode_vtdss(struct decode_image *im, unsigned va_bits,
                         decode_fn *fn, void *ctx);
/* levels: as the Mode field of a device table entry, 1 to 6. */
const char *decode_amdv1(struct decode_image *im, unsigned levels,
                         decode_fn *fn, void *ctx);
/* va_bits 39, 48 or 57; g_stage adds two bits to it (Sv39x4...). Addresses are
 * those that index the table: not sign-extended. */
const char *decode_riscv(struct decode_image *im, unsigned va_bits, int g_stage,
                         decode_fn *fn, void *ctx);
/* levels: 2 (segment table on top) to 5 (region-first table on top). */
const char *decode_s390(struct decode_image *im, unsigned levels, decode_fn *fn,
                        void *ctx);
const char *decode_tce(struct decode_image *im, unsigned window_lg2,
                       unsigned page_lg2, unsigned levels, decode_fn *fn,
                       void *ctx);

#endif
