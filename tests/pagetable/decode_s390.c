/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of s390 tables, written from the z/Architecture Principles of
 * Operation, chapter 3, dynamic address translation: region-table,
 * segment-table and page-table entries, with enhanced DAT 1 (a segment frame,
 * protection in every entry) and 2 (a region frame). Words are values: bit 63
 * of the manual is bit 0 here. Slots that a dump leaves out are taken as
 * invalid entries, although the machine knows no empty zero. Instruction
 * execution protection, access control and common spaces are not for device
 * tables: their bits must be zero. The architecture keeps no dirty bit here.
 */
#include "decode.h"

#define TABLE_LENGTH 0x3
#define COMMON 0x10
#define INVALID 0x20
#define TABLE_OFFSET 0xc0
#define EXECUTE_PROTECTION 0x100
#define PROTECTION 0x200
#define FORMAT_CONTROL 0x400 /* the entry is a frame, no table */
#define ACCESS_VALID 0x10000 /* 0xf800 counts only where this is 1 */

#define PAGE_INVALID 0x400
#define PAGE_BIT_52 0x800

#define REGION_ORIGIN (~UINT64_C(0xfff))
#define PAGE_TABLE_ORIGIN (~UINT64_C(0x7ff))

enum { PAGE, SEGMENT, REGION_THIRD, REGION_SECOND, REGION_FIRST };

/* What one entry of each table spans: PX, SX, RTX, RSX and RFX begin here. */
static const unsigned span_lg2[] = {12, 20, 31, 42, 53};

struct reader {
	struct decode_image *im;
	decode_fn *fn;
	void *ctx;
};

static void tell(const struct reader *rd, unsigned level, uint64_t va,
                 uint64_t w, uint64_t protection)
{
	struct decode_leaf leaf = {
	        .va = va,
	        .size = UINT64_C(1) << span_lg2[level],
	        .pa = w >> span_lg2[level] << span_lg2[level],
	        .readable = 1,
	        .writable = !((protection | w) & PROTECTION),
	};

	rd->fn(rd->ctx, &leaf);
}

static const char *read_page_table(const struct reader *rd, uint64_t origin,
                                   uint64_t va, uint64_t protection)
{
	struct decode_row row;
	const char *bad = decode_row(rd->im, origin, PAGE, 256, &row);

	for (size_t i = 0; !bad && i < row.nr; i++) {
		uint64_t w = row.word[i].word;
		uint64_t here = va + ((uint64_t)row.word[i].index << 12);

		if (w & PAGE_INVALID)
			continue;
		if (w & PAGE_BIT_52)
			bad = "page entry: bit 52 is not zero";
		else if (w & EXECUTE_PROTECTION)
			bad = "page entry: bit 55 is not zero";
		else
			tell(rd, PAGE, here, w, protection);
	}
	return bad;
}

static const char *odd_frame(uint64_t w, unsigned level)
{
	uint64_t gap = (UINT64_C(1) << span_lg2[level]) - 2 * ACCESS_VALID;

	if (level > REGION_THIRD)
		return "FC: only a region-third or segment entry is a frame";
	if (w & gap)
		return "frame: bits between address and AV are not zero";
	if (w & ACCESS_VALID)
		return "frame: AV is not zero";
	if (w & (TABLE_OFFSET | EXECUTE_PROTECTION))
		return "frame: bits 55 to 57 are not zero";
	return NULL;
}

static const char *odd_link(uint64_t w, unsigned level)
{
	if (w & EXECUTE_PROTECTION)
		return "link: bit 55 is not zero";
	if (w & TABLE_OFFSET)
		return "link: TF is not zero";
	/* A page-table origin reaches down to bit 52 and has no length. */
	if (level == SEGMENT)
		return NULL;
	if (w & 0x800)
		return "link: bit 52 is not zero";
	if ((w & TABLE_LENGTH) != TABLE_LENGTH)
		return "link: TL says that the table is not full";
	return NULL;
}

static const char *read_table(const struct reader *rd, uint64_t origin,
                              unsigned level, uint64_t va, uint64_t protection)
{
	struct decode_row row;
	const char *bad = decode_row(rd->im, origin, level, 2048, &row);

	for (size_t i = 0; !bad && i < row.nr; i++) {
		uint64_t w = row.word[i].word;
		uint64_t here =
		        va + ((uint64_t)row.word[i].index << span_lg2[level]);

		if (w & INVALID)
			continue;
		/* 0 in a segment table up to 3 in a region-first table. */
		if ((w >> 2 & 3) != level - SEGMENT)
			return "TT names another kind of table";
		if (w & COMMON)
			return "bit 59, a common region or segment, is set";
		if (w & FORMAT_CONTROL) {
			bad = odd_frame(w, level);
			if (!bad)
				tell(rd, level, here, w, protection);
			continue;
		}
		bad = odd_link(w, level);
		if (bad)
			break;
		if (level == SEGMENT)
			bad = read_page_table(rd, w & PAGE_TABLE_ORIGIN, here,
			                      protection | w);
		else
			bad = read_table(rd, w & REGION_ORIGIN, level - 1, here,
			                 protection | w);
	}
	return bad;
}

const char *decode_s390(struct decode_image *im, unsigned levels, decode_fn *fn,
                        void *ctx)
{
	struct reader rd = {.im = im, .fn = fn, .ctx = ctx};
	const char *bad;

	if (levels < SEGMENT + 1 || levels > REGION_FIRST + 1)
		return "a segment or region table has 2 to 5 levels";
	decode_start(im);
	bad = read_table(&rd, 0, levels - 1, 0, 0);
	return bad ? bad : decode_rest(im);
}
