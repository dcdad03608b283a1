/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of RISC-V tables, written from the privileged specification: the
 * Sv39, Sv48 and Sv57 page-table entry and walk, the Svnapot chapter, and for
 * the second stage the hypervisor chapter on guest physical address
 * translation (Sv39x4...); with what the RISC-V IOMMU specification adds: a
 * request without process_id has User privilege, so every leaf needs U. Read
 * for an IOMMU without Svpbmt that does not set A, so A must be there. X is
 * not judged: a device does not fetch.
 */
#include "decode.h"

enum {
	V = 1 << 0,
	R = 1 << 1,
	W = 1 << 2,
	X = 1 << 3,
	U = 1 << 4,
	G = 1 << 5,
	A = 1 << 6,
	D = 1 << 7,
};
#define PPN(w) ((w) >> 10 & ((UINT64_C(1) << 44) - 1))
#define RESERVED (UINT64_C(0x7f) << 54)
#define PBMT (UINT64_C(3) << 61)
#define N (UINT64_C(1) << 63)

/* Svnapot: the one encoding that is not reserved, 64 KiB. */
#define NAPOT_SLOTS 16
#define NAPOT_PPN 8

struct reader {
	struct decode_image *im;
	decode_fn *fn;
	void *ctx;
	unsigned top;
	int g_stage;
};

static unsigned slot_lg2(unsigned level)
{
	return 12 + 9 * level;
}

/* What neither a leaf nor a pointer may be. */
static const char *odd_pte(const struct reader *rd, uint64_t w)
{
	if (!(w & V))
		return "V is 0 in a word that is not zero";
	if ((w & W) && !(w & R))
		return "W without R is reserved";
	if (w & RESERVED)
		return "bits 60:54 are reserved";
	if (w & PBMT)
		return "PBMT is reserved without Svpbmt";
	if (rd->g_stage && (w & G))
		return "G is for software to clear in the second stage";
	return NULL;
}

static const char *read_leaf(const struct reader *rd,
                             const struct decode_row *row, size_t i,
                             unsigned level, uint64_t va, uint32_t *ret_slots)
{
	uint64_t w = row->word[i].word;
	uint64_t ppn = PPN(w);
	uint64_t any = w;
	struct decode_leaf leaf = {
	        .va = va,
	        .size = UINT64_C(1) << slot_lg2(level),
	        .readable = (w & R) != 0,
	        .writable = (w & W) != 0,
	};

	if (!(w & U))
		return "a leaf without U: requests come as User";
	if (!(w & A))
		return "a leaf without A: an access faults";
	if (w & N) {
		const char *bad;

		if (level > 0)
			return "N is reserved above level 0";
		if (ppn % NAPOT_SLOTS != NAPOT_PPN)
			return "N with a reserved size in the low PPN bits";
		bad = decode_copies(row, i, NAPOT_SLOTS, A | D, &any);
		if (bad)
			return bad;
		ppn -= NAPOT_PPN;
		leaf.size *= NAPOT_SLOTS;
		*ret_slots = NAPOT_SLOTS;
	}
	leaf.pa = ppn << 12;
	if (leaf.pa & (leaf.size - 1))
		return "a misaligned superpage";
	leaf.dirty = (any & D) != 0;
	rd->fn(rd->ctx, &leaf);
	return NULL;
}

static const char *odd_pointer(uint64_t w, unsigned level)
{
	if (level == 0)
		return "a pointer to a table in the last level";
	if (w & (U | A | D))
		return "U, A and D are reserved in a pointer";
	if (w & N)
		return "N is reserved in a pointer";
	return NULL;
}

static const char *read_table(const struct reader *rd, uint64_t table,
                              unsigned level, uint64_t va)
{
	/* The second stage has two more bits for its first table. */
	uint64_t nr = rd->g_stage && level == rd->top ? 2048 : 512;
	struct decode_row row;
	const char *bad = decode_row(rd->im, table, level, nr, &row);
	uint32_t slots;

	for (size_t i = 0; !bad && i < row.nr; i += slots) {
		uint64_t w = row.word[i].word;
		uint64_t here =
		        va + ((uint64_t)row.word[i].index << slot_lg2(level));

		slots = 1;
		bad = odd_pte(rd, w);
		if (bad)
			break;
		if (w & (R | X)) {
			bad = read_leaf(rd, &row, i, level, here, &slots);
			continue;
		}
		bad = odd_pointer(w, level);
		if (!bad)
			bad = read_table(rd, PPN(w) << 12, level - 1, here);
	}
	return bad;
}

const char *decode_riscv(struct decode_image *im, unsigned va_bits, int g_stage,
                         decode_fn *fn, void *ctx)
{
	struct reader rd = {.im = im, .fn = fn, .ctx = ctx, .g_stage = g_stage};
	const char *bad;

	if (va_bits != 39 && va_bits != 48 && va_bits != 57)
		return "known are Sv39, Sv48 and Sv57";
	rd.top = (va_bits - 12) / 9 - 1;
	decode_start(im);
	bad = read_table(&rd, 0, rd.top, 0);
	return bad ? bad : decode_rest(im);
}
