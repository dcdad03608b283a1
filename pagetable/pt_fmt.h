/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a table word means: the descriptor of a format and pure encoding and
 * decoding through it. Knows bits; touches no table. Each format is a constant
 * descriptor, so that these helpers, always inline, fold to immediates.
 *
 * Shared by all formats so far: 9 index bits a level, leaves at levels 0, 1
 * and 2 (4 KiB, 2 MiB, 1 GiB), address in bits 51:12.
 */
#ifndef SLUICE_PAGETABLE_PT_FMT_H
#define SLUICE_PAGETABLE_PT_FMT_H

#include "pagetable/pt.h"

#define PT_PAGE_LG2 12
#define PT_PAGE_MASK 0xfffu
#define PT_INDEX_LG2 9
#define PT_SLOTS 512u
#define PT_LEVELS_MAX 5u
#define PT_LEAF_LEVEL_MAX 2u

#define PT_ADDR 0x000ffffffffff000u
/* Bits 52 and 53 are ignored by the walkers of every format here. */
#define PT_WORD_SW0 ((uint64_t)1 << 52)
#define PT_WORD_SW1 ((uint64_t)1 << 53)
/* PT_SW0 and PT_SW1 of prot sit this far below their place in a word. */
#define PT_SW_SHIFT 44

struct pt_fmt {
	enum sluice_pt_format id;
	uint32_t need;     /* prot must hold one of these */
	uint64_t present;  /* any of these: the word is a leaf or a link */
	uint64_t large;    /* above level 0: a leaf */
	uint64_t read;     /* of a leaf: SLUICE_READ */
	uint64_t write;    /* of a leaf: SLUICE_WRITE */
	uint64_t leaf;     /* set in every leaf */
	uint64_t link;     /* set in every link */
	uint64_t accessed; /* written by the walker */
	uint64_t dirty;    /* written by the walker; 0: not kept */
	const char *need_text;
};

static always_inline unsigned pt_shift(unsigned level)
{
	return PT_PAGE_LG2 + PT_INDEX_LG2 * level;
}

static always_inline uint64_t pt_size(unsigned level)
{
	return bit64(pt_shift(level));
}

static always_inline unsigned pt_index(uint64_t iova, unsigned level)
{
	return (unsigned)(iova >> pt_shift(level)) & (PT_SLOTS - 1);
}

static always_inline bool pt_prot_ok(const struct pt_fmt *f, uint32_t prot)
{
	return (prot & ~PT_PROT_MASK) == 0 && (prot & f->need) != 0;
}

static always_inline bool pt_is_present(const struct pt_fmt *f, uint64_t w)
{
	return (w & f->present) != 0;
}

/* What tells a leaf of this level from an empty slot or a link: one of these
 * bits is set. A large bit never stands alone, so it implies present. */
static always_inline uint64_t pt_leaf_mask(const struct pt_fmt *f,
                                           unsigned level)
{
	return level == 0 ? f->present : f->large;
}

static always_inline bool pt_is_leaf(const struct pt_fmt *f, uint64_t w,
                                     unsigned level)
{
	return level <= PT_LEAF_LEVEL_MAX && (w & pt_leaf_mask(f, level)) != 0;
}

static always_inline bool pt_is_link(const struct pt_fmt *f, uint64_t w,
                                     unsigned level)
{
	return level != 0 && pt_is_present(f, w) && !pt_is_leaf(f, w, level);
}

static always_inline uint64_t pt_leaf_word(const struct pt_fmt *f,
                                           unsigned level, uint64_t oa,
                                           uint32_t prot)
{
	uint64_t w = oa | f->leaf;

	if (level)
		w |= f->large;
	if (prot & SLUICE_READ)
		w |= f->read;
	if (prot & SLUICE_WRITE)
		w |= f->write;
	return w | (uint64_t)(prot & (PT_SW0 | PT_SW1)) << PT_SW_SHIFT;
}

static always_inline uint64_t pt_word_oa(uint64_t w)
{
	return w & PT_ADDR;
}

static always_inline uint32_t pt_word_prot(const struct pt_fmt *f, uint64_t w)
{
	uint32_t prot = (uint32_t)(w >> PT_SW_SHIFT) & (PT_SW0 | PT_SW1);

	if (w & f->read)
		prot |= SLUICE_READ;
	if (w & f->write)
		prot |= SLUICE_WRITE;
	return prot;
}

/* A link holds the address at which the CPU sees the table. */
static always_inline uint64_t pt_link_word(const struct pt_fmt *f,
                                           const void *table)
{
	return (uint64_t)(uintptr_t)table | f->link;
}

static always_inline au64 *pt_word_table(uint64_t w)
{
	return (au64 *)(uintptr_t)(w & PT_ADDR);
}

/* Largest leaf that may stand at iova: aligned on both sides, no longer than
 * what is left of the range. */
static always_inline unsigned pt_best_level(unsigned top, uint64_t iova,
                                            uint64_t last, uint64_t oa)
{
	uint64_t left = last - iova; /* bytes less one */
	uint64_t bits = iova | oa;

	if (top >= 2 && aligned_lg2(bits, pt_shift(2)) &&
	    left >= pt_size(2) - 1)
		return 2;
	if (aligned_lg2(bits, pt_shift(1)) && left >= pt_size(1) - 1)
		return 1;
	return 0;
}

#endif
