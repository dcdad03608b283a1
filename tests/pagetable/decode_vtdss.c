/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of VT-d second-stage tables, written from the VT-d specification,
 * 3.7 (the walk) and 9.8 (SS-PML5E, SS-PML4E, SS-PDPE, SS-PDE, SS-PTE), for an
 * IOMMU without execute, memory-type, device-TLB and snoop support: their bits
 * must be zero. Addresses are 52 bits wide.
 */
#include "decode.h"

#define R UINT64_C(1)
#define W UINT64_C(2)
#define PAGE_SIZE_BIT UINT64_C(0x80)
#define ACCESSED UINT64_C(0x100)
#define DIRTY UINT64_C(0x200)
#define SNOOP UINT64_C(0x800)
#define TRANSIENT UINT64_C(0x4000000000000000)
#define ADDRESS UINT64_C(0x000ffffffffff000)

struct reader {
	struct decode_image *image;
	decode_fn *tell;
	void *ctx;
	const char *error;
};

/* What a leaf of each height maps, from SS-PTE (0) to SS-PML5E (4). */
static const uint64_t span[5] = {
        UINT64_C(1) << 12, UINT64_C(1) << 21, UINT64_C(1) << 30,
        UINT64_C(1) << 39, UINT64_C(1) << 48,
};

static int is_page(unsigned height, uint64_t w)
{
	return height == 0 || (w & PAGE_SIZE_BIT);
}

static const char *reserved(unsigned height, uint64_t w)
{
	if (height > 2 && (w & PAGE_SIZE_BIT))
		return "PS is reserved above the SS-PDPE";
	if (height == 0 && (w & PAGE_SIZE_BIT))
		return "bit 7 of an SS-PTE is the page-attribute bit";
	if (w & TRANSIENT)
		return "TM is reserved without device-TLB support";
	if (w & SNOOP)
		return "SNP is reserved without snoop control";
	if (w & 0x7c)
		return "X and memory-type bits are not zero";
	if (is_page(height, w) && (w & ADDRESS & (span[height] - 1)))
		return "low address bits of a large page are reserved";
	if (!is_page(height, w) && (w & DIRTY))
		return "a dirty bit in an entry that is no page";
	return NULL;
}

/* Access is what every entry on the way grants (3.7.1). */
static void read_table(struct reader *rd, uint64_t table, unsigned height,
                       uint64_t va, uint64_t granted)
{
	for (uint32_t slot = 0; slot < 512; slot++) {
		uint64_t here = va + slot * span[height];
		const struct decode_word *d;
		const char *bad;
		uint64_t w;

		d = decode_find(rd->image, table, slot);
		if (!d)
			continue;
		w = d->word;
		bad = reserved(height, w);
		if (d->level != height)
			bad = "the dump names another level than the walk";
		if (!(w & (R | W)))
			bad = "neither R nor W, yet not zero";
		if (bad) {
			rd->error = bad;
			continue;
		}
		if (is_page(height, w)) {
			struct decode_leaf leaf = {
			        .va = here,
			        .size = span[height],
			        .pa = w & ADDRESS,
			        .readable = (granted & w & R) != 0,
			        .writable = (granted & w & W) != 0,
			        .dirty = (w & DIRTY) != 0,
			};

			rd->tell(rd->ctx, &leaf);
		} else {
			read_table(rd, w & ADDRESS, height - 1, here,
			           granted & w);
		}
	}
}

const char *decode_vtdss(struct decode_image *im, unsigned va_bits,
                         decode_fn *fn, void *ctx)
{
	struct reader rd = {.image = im, .tell = fn, .ctx = ctx};

	im->seen = 0;
	/* 39, 48 and 57 bits are walked in 3, 4 and 5 steps (3.7). */
	read_table(&rd, 0, (va_bits - 12) / 9 - 1, 0, R | W);
	if (!rd.error && im->seen != im->nr)
		rd.error = "words that no walk comes by";
	return rd.error;
}
