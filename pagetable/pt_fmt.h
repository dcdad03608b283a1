/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a table word means: the descriptor of a format, the geometry of a
 * table, and pure encoding and decoding through them. Knows bits; touches no
 * table. A hot format passes a constant descriptor, so that these helpers,
 * always inline, fold to immediates; the same code also serves a descriptor
 * that is only known at run time.
 *
 * A slot of a table is an item. An entry is one item, or 2^n of them that a
 * walker may take as one larger leaf.
 */
#ifndef SLUICE_PAGETABLE_PT_FMT_H
#define SLUICE_PAGETABLE_PT_FMT_H

#include "pagetable/pt.h"

#define PT_LEVELS_MAX 6u

/* How a format says that items belong to one leaf. */
enum pt_cont {
	PT_CONT_NONE,
	PT_CONT_BIT,   /* each item has its own address and a bit (Arm) */
	PT_CONT_NAPOT, /* items are equal; size below the address (RISC-V) */
	PT_CONT_AMD    /* items are equal; size below the address (AMD v1) */
};

struct pt_fmt {
	enum sluice_pt_format id;
	const char *name;
	/* Geometry that the format fixes; 0 where the table decides. */
	uint8_t page_lg2;   /* bytes of a level 0 leaf */
	uint8_t index0_lg2; /* slots of a table of level 0 */
	uint8_t index_lg2;  /* ... of the other levels but the root */
	uint8_t top_min, top_max;
	uint8_t leaf_levels; /* bit n: level n may hold leaves */
	bool wide_root;      /* the root may have more slots than others */
	bool grows;          /* levels may be added at the top */
	bool big_endian;
	bool bbm; /* break before make: a leaf is replaced by way of empty */
	enum pt_cont cont;
	uint8_t cont_lg2[PT_LEVELS_MAX]; /* items of an entry, by level */
	uint64_t cont_bits;              /* set in the items of an entry */
	/* Address. */
	uint8_t oa_shr;     /* the word holds the address shifted right */
	bool oa_high;       /* address bits 51:48 in word bits 15:12 */
	uint64_t addr;      /* word bits of a leaf's address */
	uint64_t link_addr; /* word bits of a table's address */
	/* Kinds of words; by level, and [1] stands for all above 0. */
	uint64_t present[2]; /* a leaf or a link has one of these ... */
	bool absent;         /* ... or, if set, has none of these */
	uint64_t link_mask;
	uint64_t link[PT_LEVELS_MAX]; /* a link equals it in link_mask */
	uint64_t large_any; /* above level 0, a leaf has one of these; 0: no
	                     * such bits exist */
	uint64_t empty[PT_LEVELS_MAX];
	/* Leaf. */
	uint64_t leaf[PT_LEVELS_MAX]; /* a leaf without permission */
	uint64_t read, write;         /* toggled by SLUICE_READ, SLUICE_WRITE */
	uint64_t rd_mask, rd_not;     /* readable: (w & rd_mask) != rd_not */
	uint64_t wr_mask, wr_not;
	uint64_t accessed; /* written by the walker */
	uint64_t dirty;    /* written by the walker; 0: not kept */
	bool dirty_low;    /* ... and the bit is clear when dirty */
	uint64_t clean;    /* toggled in writable leaves where the walker
	                    * keeps dirty marks; 0: no such choice */
	uint32_t need;     /* prot must hold one of these */
	const char *need_text;
	/* Bits that no walker reads. 0: the format has none. */
	uint8_t sw_lg2[2];     /* PT_SW0 of a leaf; PT_SW1 is the next one */
	uint64_t link_shared;  /* of a link: the table is not ours alone */
	uint64_t link_flushed; /* of a link: written back to memory */
};

/* What a table is made of; filled in by the plan of its format. */
struct pt_geo {
	uint8_t page_lg2, index0_lg2, index_lg2;
	uint8_t top;            /* level of the root at the start */
	uint8_t root_lg2;       /* bytes of the root */
	uint8_t table_lg2;      /* bytes of the tables above level 0 ... */
	uint8_t leaf_table_lg2; /* ... and of level 0 */
	bool contig;
	bool dirty_on;
	bool flush;
	bool is_signed; /* both halves of max_iova are canonical */
	uint64_t clean;
	uint64_t max_iova, max_oa;
};

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define PT_HOST_BIG 1
#else
#define PT_HOST_BIG 0
#endif

/* Between a number and the bytes of a format: its own inverse. */
static always_inline uint64_t pt_order(const struct pt_fmt *f, uint64_t w)
{
	return f->big_endian != PT_HOST_BIG ? __builtin_bswap64(w) : w;
}

static always_inline unsigned pt_page_lg2(const struct pt_fmt *f,
                                          const struct pt_geo *g)
{
	return f->page_lg2 ? f->page_lg2 : g->page_lg2;
}

static always_inline unsigned pt_index_lg2(const struct pt_fmt *f,
                                           const struct pt_geo *g,
                                           unsigned level)
{
	if (level == 0)
		return f->index0_lg2 ? f->index0_lg2 : g->index0_lg2;
	return f->index_lg2 ? f->index_lg2 : g->index_lg2;
}

/* Bytes that one slot covers, as a power of two. */
static always_inline unsigned pt_shift(const struct pt_fmt *f,
                                       const struct pt_geo *g, unsigned level)
{
	unsigned shift = pt_page_lg2(f, g);

	if (level)
		shift += pt_index_lg2(f, g, 0) +
		         (level - 1) * pt_index_lg2(f, g, 1);
	return shift;
}

static always_inline uint64_t pt_page_mask(const struct pt_fmt *f,
                                           const struct pt_geo *g)
{
	return mask64(pt_page_lg2(f, g));
}

/* Slots of a table. top: the level of the root now. */
static always_inline unsigned pt_slots(const struct pt_fmt *f,
                                       const struct pt_geo *g, unsigned level,
                                       unsigned top)
{
	if (f->wide_root && level == top)
		return (unsigned)bit64(g->root_lg2 - 3u);
	return (unsigned)bit64(pt_index_lg2(f, g, level));
}

/* iova must lie in the table: at the root of some formats no bit is masked. */
static always_inline unsigned pt_index(const struct pt_fmt *f,
                                       const struct pt_geo *g, uint64_t iova,
                                       unsigned level, unsigned top)
{
	return (unsigned)(iova >> pt_shift(f, g, level)) &
	       (pt_slots(f, g, level, top) - 1);
}

/* Which of the two table sizes a level has. */
static always_inline unsigned pt_class(const struct pt_geo *g, unsigned level)
{
	return level == 0 && g->leaf_table_lg2 != g->table_lg2;
}

static always_inline uint64_t pt_empty(const struct pt_fmt *f, unsigned level)
{
	return f->empty[level];
}

static always_inline bool pt_is_present(const struct pt_fmt *f, uint64_t w,
                                        unsigned level)
{
	return ((w & f->present[level != 0]) != 0) != f->absent;
}

static always_inline bool pt_is_link(const struct pt_fmt *f, uint64_t w,
                                     unsigned level)
{
	return level != 0 && ((w ^ f->link[level]) & f->link_mask) == 0;
}

/* A link to a table that may be written: not one that others hold. */
static always_inline bool pt_is_own_link(const struct pt_fmt *f, uint64_t w,
                                         unsigned level)
{
	uint64_t mask = f->link_mask | f->link_shared;

	return level != 0 && ((w ^ f->link[level]) & mask) == 0;
}

static always_inline bool pt_level_has_leaves(const struct pt_fmt *f,
                                              unsigned level)
{
	return (f->leaf_levels >> level & 1) != 0;
}

static always_inline bool pt_is_leaf(const struct pt_fmt *f, uint64_t w,
                                     unsigned level)
{
	if (level == 0)
		return pt_is_present(f, w, 0);
	if (!pt_level_has_leaves(f, level))
		return false;
	if (f->large_any)
		return (w & f->large_any) != 0;
	return pt_is_present(f, w, level) && !pt_is_link(f, w, level);
}

/* The word's form of an address, and back. */
static always_inline uint64_t pt_addr_word(const struct pt_fmt *f, uint64_t a)
{
	if (f->oa_high)
		return (a & (mask64(48) & ~mask64(16))) | (a >> 48 & mask64(4))
		                                                  << 12;
	return a >> f->oa_shr;
}

static always_inline uint64_t pt_word_addr(const struct pt_fmt *f, uint64_t w)
{
	if (f->oa_high)
		return (w & (mask64(48) & ~mask64(16))) | (w >> 12 & mask64(4))
		                                                  << 48;
	return w << f->oa_shr;
}

/* What the word grows by from one item to the next. */
static always_inline uint64_t pt_step(const struct pt_fmt *f,
                                      const struct pt_geo *g, unsigned level)
{
	return bit64(pt_shift(f, g, level)) >> f->oa_shr;
}

/* lg2 of the items of the entry that a leaf word belongs to. */
static always_inline unsigned pt_word_cont(const struct pt_fmt *f,
                                           const struct pt_geo *g, uint64_t w,
                                           unsigned level)
{
	switch (f->cont) {
	case PT_CONT_NONE:
		break;
	case PT_CONT_BIT:
	case PT_CONT_NAPOT:
		return w & f->cont_bits ? f->cont_lg2[level] : 0;
	case PT_CONT_AMD:
		/* The lowest clear address bit tells the size. */
		if ((w & f->cont_bits) == f->cont_bits)
			return (unsigned)__builtin_ctzll(~(w >> 12)) + 13 -
			       pt_shift(f, g, level);
		break;
	}
	return 0;
}

/* Address of the entry's first byte; cont from pt_word_cont. */
static always_inline uint64_t pt_word_oa(const struct pt_fmt *f,
                                         const struct pt_geo *g, uint64_t w,
                                         unsigned level, unsigned cont)
{
	uint64_t oa = pt_word_addr(f, w & f->addr);

	/* Below the address of a larger leaf, bits have other meanings. */
	if (f->cont == PT_CONT_NONE && level == 0)
		return oa;
	return align_down(oa, pt_shift(f, g, level) + cont);
}

/* What an entry of 2^cont items adds to its words. */
static always_inline uint64_t pt_cont_word(const struct pt_fmt *f,
                                           const struct pt_geo *g,
                                           unsigned level, unsigned cont)
{
	if (f->cont == PT_CONT_NONE || cont == 0)
		return 0;
	if (f->cont == PT_CONT_AMD)
		return f->cont_bits |
		       (mask64(pt_shift(f, g, level) + cont - 1) & ~mask64(12));
	if (f->cont == PT_CONT_NAPOT)
		/* The bit below the address: half of the entry. */
		return f->cont_bits | pt_step(f, g, level) << (cont - 1);
	return f->cont_bits;
}

static always_inline uint64_t pt_leaf_word(const struct pt_fmt *f,
                                           const struct pt_geo *g,
                                           unsigned level, unsigned cont,
                                           uint64_t oa, uint32_t prot)
{
	uint64_t w = pt_addr_word(f, oa) | f->leaf[level];

	w |= pt_cont_word(f, g, level, cont);
	if (prot & SLUICE_READ)
		w ^= f->read;
	if (prot & SLUICE_WRITE)
		w ^= f->clean ? f->write ^ g->clean : f->write;
	if (f->sw_lg2[1])
		w |= (uint64_t)(prot / PT_SW0 & 3) << f->sw_lg2[level != 0];
	return w;
}

static always_inline uint32_t pt_word_prot(const struct pt_fmt *f, uint64_t w,
                                           unsigned level)
{
	uint32_t prot = 0;

	if ((w & f->rd_mask) != f->rd_not)
		prot |= SLUICE_READ;
	if ((w & f->wr_mask) != f->wr_not)
		prot |= SLUICE_WRITE;
	if (f->sw_lg2[1])
		prot |= (uint32_t)(w >> f->sw_lg2[level != 0] & 3) * PT_SW0;
	return prot;
}

/* The head mark of a leaf. */
static always_inline uint64_t pt_word_sw1(const struct pt_fmt *f,
                                          unsigned level)
{
	return f->sw_lg2[1] ? (uint64_t)2 << f->sw_lg2[level != 0] : 0;
}

static always_inline bool pt_prot_ok(const struct pt_fmt *f, uint32_t prot)
{
	uint32_t known = f->sw_lg2[1] ? PT_PROT_MASK : SLUICE_RW;

	return (prot & ~known) == 0 && (prot & f->need) != 0;
}

/* A leaf that may not be written any more can still be dirty, except where a
 * clear bit says so: that is also what forbids writing. */
static always_inline bool pt_word_dirty(const struct pt_fmt *f, uint64_t w)
{
	if (f->dirty_low)
		return (w & f->dirty) == 0;
	return (w & f->dirty) != 0;
}

static always_inline uint64_t pt_word_set_dirty(const struct pt_fmt *f,
                                                uint64_t w)
{
	return f->dirty_low ? w & ~f->dirty : w | f->dirty;
}

/* A link holds the address at which the CPU sees the table. */
static always_inline uint64_t pt_link_word(const struct pt_fmt *f,
                                           unsigned level, uint64_t table)
{
	return pt_addr_word(f, table) | f->link[level];
}

static always_inline uint64_t pt_word_link(const struct pt_fmt *f, uint64_t w)
{
	return pt_word_addr(f, w & f->link_addr);
}

static always_inline au64 *pt_word_table(const struct pt_fmt *f, uint64_t w)
{
	return (au64 *)(uintptr_t)pt_word_link(f, w);
}

/* The size of a leaf: its level and, as lg2, the items of its entry. */
struct pt_size {
	unsigned level;
	unsigned cont;
};

/* Largest cont of a level that two addresses, congruent so far, allow. */
static always_inline unsigned pt_cont_max(const struct pt_fmt *f,
                                          const struct pt_geo *g,
                                          unsigned level, uint64_t bits)
{
	unsigned shift = pt_shift(f, g, level);

	if (f->cont == PT_CONT_NONE || !g->contig || !f->cont_lg2[level])
		return 0;
	if (f->cont != PT_CONT_AMD)
		return aligned_lg2(bits, shift + f->cont_lg2[level])
		               ? f->cont_lg2[level]
		               : 0;
	bits = bits >> shift | bit64(f->cont_lg2[level]);
	return (unsigned)__builtin_ctzll(bits);
}

/* Largest leaf that may stand at iova: aligned on both sides, no longer than
 * what is left of the range. */
static always_inline struct pt_size pt_best(const struct pt_fmt *f,
                                            const struct pt_geo *g,
                                            unsigned top, uint64_t iova,
                                            uint64_t last, uint64_t oa)
{
	struct pt_size s = {0};
	uint64_t left = last - iova; /* bytes less one */
	uint64_t bits = iova | oa;

	for (unsigned level = lg2_floor(f->leaf_levels); level > 0; level--) {
		unsigned shift = pt_shift(f, g, level);

		if (pt_level_has_leaves(f, level) && level <= top &&
		    aligned_lg2(bits, shift) && left >= mask64(shift)) {
			s.level = level;
			break;
		}
	}
	s.cont = pt_cont_max(f, g, s.level, bits);
	while (s.cont && left < mask64(pt_shift(f, g, s.level) + s.cont))
		s.cont = f->cont == PT_CONT_AMD ? s.cont - 1 : 0;
	return s;
}

#endif
