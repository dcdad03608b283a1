/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of AMD v1 host tables, written from the AMD I/O Virtualization
 * Technology specification (48882), 2.2.3: I/O page tables for host
 * translations, with the PDE, the PTE and the page size encodings. Knows
 * no device table entry: its Mode comes as a number, its IR and IW as set.
 * Levels are counted from 0 here, so Next Level is the level of the entry
 * itself where it links to the table right below. Skipped levels, which the
 * specification allows, are refused: our tables have none.
 */
#include "decode.h"

#define PRESENT UINT64_C(1)
#define ACCESSED UINT64_C(0x20)
#define DIRTY UINT64_C(0x40)
#define ADDRESS UINT64_C(0x000ffffffffff000)
#define NOT_IN_PTE UINT64_C(0x07f0000000000000) /* 58:52 */
#define NOT_IN_PDE UINT64_C(0x1ff0000000000000) /* 60:52 */
#define MAY_READ (UINT64_C(1) << 61)
#define MAY_WRITE (UINT64_C(1) << 62)
#define OA_BITS 52
#define SIZE_IN_ADDRESS 7 /* Next Level of a page with a size of its own */

struct reader {
	struct decode_image *image;
	decode_fn *tell;
	void *ctx;
};

static unsigned next_level(uint64_t w)
{
	return (unsigned)(w >> 9 & 7);
}

static unsigned slot_lg2(unsigned level)
{
	return 12 + 9 * level;
}

/* The first clear bit from bit 12 on, and all below, are offset. */
static unsigned encoded_lg2(uint64_t w)
{
	unsigned n = 12;

	while (n < OA_BITS && (w >> n & 1))
		n++;
	return n + 1;
}

static const char *read_page(struct reader *rd, const struct decode_row *row,
                             size_t i, unsigned level, uint64_t va,
                             uint64_t granted, uint32_t *ret_slots)
{
	uint64_t w = row->word[i].word;
	unsigned lg2 = slot_lg2(level);
	struct decode_leaf leaf = {.va = va};
	uint64_t any;
	const char *bad;

	if (w & NOT_IN_PTE)
		return "PTE: bits 58:52 are reserved";
	if (next_level(w) == SIZE_IN_ADDRESS) {
		lg2 = encoded_lg2(w);
		if (lg2 <= slot_lg2(level))
			return "PTE: an encoded size below the level's own";
		if (lg2 >= slot_lg2(level + 1))
			return "PTE: an encoded size of a higher level";
		/* The clear bit is offset already: only ones go. */
		w &= ~((UINT64_C(1) << lg2) - 1) | ~ADDRESS;
	}
	if (lg2 > OA_BITS)
		return "PTE: a page larger than the physical address space";
	leaf.size = UINT64_C(1) << lg2;
	if (w & ADDRESS & (leaf.size - 1))
		return "PTE: the address is no multiple of the page size";
	*ret_slots = UINT32_C(1) << (lg2 - slot_lg2(level));
	bad = decode_copies(row, i, *ret_slots, ACCESSED | DIRTY, &any);
	if (bad)
		return bad;
	leaf.pa = w & ADDRESS;
	leaf.readable = (w & granted & MAY_READ) != 0;
	leaf.writable = (w & granted & MAY_WRITE) != 0;
	leaf.dirty = (any & DIRTY) != 0;
	rd->tell(rd->ctx, &leaf);
	return NULL;
}

/* IR and IW hold where every entry on the way has them. */
static const char *read_table(struct reader *rd, uint64_t table, unsigned level,
                              uint64_t va, uint64_t granted)
{
	struct decode_row row;
	/* The sixth table has bits 63:57 for its index: seven. */
	const char *bad = decode_row(rd->image, table, level,
	                             level == 5 ? 128 : 512, &row);
	uint32_t slots;

	for (size_t i = 0; !bad && i < row.nr; i += slots) {
		uint64_t w = row.word[i].word;
		uint64_t here =
		        va + ((uint64_t)row.word[i].index << slot_lg2(level));

		slots = 1;
		if (!(w & PRESENT))
			bad = "PR is 0 in a word that is not zero";
		else if (next_level(w) == 0 || next_level(w) == SIZE_IN_ADDRESS)
			bad = read_page(rd, &row, i, level, here, granted,
			                &slots);
		else if (next_level(w) != level)
			bad = "PDE: Next Level is not the level below";
		else if (w & NOT_IN_PDE)
			bad = "PDE: bits 60:52 are reserved";
		else
			bad = read_table(rd, w & ADDRESS, level - 1, here,
			                 granted & w);
	}
	return bad;
}

const char *decode_amdv1(struct decode_image *im, unsigned levels,
                         decode_fn *fn, void *ctx)
{
	struct reader rd = {.image = im, .tell = fn, .ctx = ctx};
	const char *bad;

	if (levels < 1 || levels > 6)
		return "Mode is 1 to 6";
	decode_start(im);
	bad = read_table(&rd, 0, levels - 1, 0, MAY_READ | MAY_WRITE);
	return bad ? bad : decode_rest(im);
}
