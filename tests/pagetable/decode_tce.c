/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of PowerPC TCE tables, written from PAPR (the TCE: real page
 * number, write and read permission in the two last bits) and the OpenPOWER
 * IODA2 specification (one page size per window, tables of one size in up to
 * five levels). Words are values of the big-endian doublewords. There is no
 * dirty bit. How the bits of a window fall to the levels is our tables' own
 * rule: each level has the same number, at least the nine of a 4 KiB table,
 * and the window's end bounds every index.
 */
#include "decode.h"

#define READ UINT64_C(1)
#define WRITE UINT64_C(2)
#define REAL_ADDRESS_LG2 60
#define TABLE_LG2 12 /* the smallest table and its alignment */

struct reader {
	struct decode_image *im;
	decode_fn *fn;
	void *ctx;
	unsigned window_lg2;
	unsigned page_lg2;
	unsigned index_bits;
};

static uint64_t below(unsigned lg2)
{
	return (UINT64_C(1) << lg2) - 1;
}

/* Neither a page nor a link may have bits there. */
static const char *odd_address(uint64_t w, unsigned aligned_lg2)
{
	if (w >> REAL_ADDRESS_LG2)
		return "a real address of more than 60 bits";
	if (w & below(aligned_lg2) & ~(READ | WRITE))
		return "bits between address and permissions are not zero";
	return NULL;
}

static const char *read_page(const struct reader *rd, uint64_t w, uint64_t va)
{
	const char *bad = odd_address(w, rd->page_lg2);
	struct decode_leaf leaf = {
	        .va = va,
	        .size = UINT64_C(1) << rd->page_lg2,
	        .pa = w & ~(READ | WRITE),
	        .readable = (w & READ) != 0,
	        .writable = (w & WRITE) != 0,
	};

	if (!bad && !(w & (READ | WRITE)))
		bad = "no permission in a word that is not zero";
	if (!bad)
		rd->fn(rd->ctx, &leaf);
	return bad;
}

static const char *read_table(const struct reader *rd, uint64_t table,
                              unsigned level, uint64_t va)
{
	unsigned shift = rd->page_lg2 + level * rd->index_bits;
	unsigned bits = rd->window_lg2 > shift ? rd->window_lg2 - shift : 0;
	struct decode_row row;
	const char *bad;

	if (bits > rd->index_bits)
		bits = rd->index_bits;
	bad = decode_row(rd->im, table, level, UINT64_C(1) << bits, &row);
	for (size_t i = 0; !bad && i < row.nr; i++) {
		uint64_t w = row.word[i].word;
		uint64_t index = row.word[i].index;
		/* A slot beyond 64 bits is the first: no bit is left. */
		uint64_t here = va + (bits ? index << shift : 0);

		if (level == 0) {
			bad = read_page(rd, w, here);
			continue;
		}
		bad = odd_address(w, TABLE_LG2);
		if (!bad && (w & (READ | WRITE)) != (READ | WRITE))
			bad = "a link that lacks a permission";
		if (!bad)
			bad = read_table(rd, w & ~(READ | WRITE), level - 1,
			                 here);
	}
	return bad;
}

const char *decode_tce(struct decode_image *im, unsigned window_lg2,
                       unsigned page_lg2, unsigned levels, decode_fn *fn,
                       void *ctx)
{
	struct reader rd = {
	        .im = im,
	        .fn = fn,
	        .ctx = ctx,
	        .window_lg2 = window_lg2,
	        .page_lg2 = page_lg2,
	        .index_bits = TABLE_LG2 - 3,
	};
	const char *bad;

	if (levels < 1 || levels > 5)
		return "a TCE table has 1 to 5 levels";
	if (page_lg2 < TABLE_LG2 || page_lg2 > REAL_ADDRESS_LG2)
		return "a page has 12 to 60 bits";
	if (window_lg2 < page_lg2 || window_lg2 > 64)
		return "a window has a page or more, and up to 64 bits";
	while (rd.index_bits * levels < window_lg2 - page_lg2)
		rd.index_bits++;
	decode_start(im);
	bad = read_table(&rd, 0, levels - 1, 0);
	return bad ? bad : decode_rest(im);
}
