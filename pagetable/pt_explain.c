/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a word from outside means in a table, and whether that table could have
 * written it. Trusts nothing: a word may be any 64 bits.
 */
#include "pagetable/pt_priv.h"

/* Bits of a leaf that are the walker's. */
static uint64_t walker_bits(const struct pt *pt)
{
	return pt->fmt->accessed | (pt->geo.dirty_on ? pt->fmt->dirty : 0);
}

static uint64_t software_bits(const struct pt_fmt *f, unsigned level, bool leaf)
{
	if (leaf && f->sw_lg2[1])
		return (uint64_t)3 << f->sw_lg2[level != 0];
	return leaf ? 0 : f->link_shared | f->link_flushed;
}

/* The size of an entry, from words that may be wrong. */
static unsigned cont_of(const struct pt *pt, uint64_t w, unsigned level)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, level);
	unsigned ones;

	if (f->cont != PT_CONT_AMD)
		return pt_word_cont(f, &pt->geo, w, level);
	if ((w & f->cont_bits) != f->cont_bits)
		return 0;
	ones = (unsigned)__builtin_ctzll(~(w >> 12 & mask64(40)));
	return ones + 13 > shift ? ones + 13 - shift : 0;
}

static void explain_leaf(const struct pt *pt, uint64_t w, unsigned level,
                         struct sluice_pt_meaning *m)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	unsigned shift = pt_shift(f, g, level);
	unsigned cont = cont_of(pt, w, level);
	uint32_t prot = pt_word_prot(f, w, level);
	uint64_t want;

	m->kind = SLUICE_PT_LEAF;
	m->items = 1;
	if (cont < 32 && cont <= f->cont_lg2[level])
		m->items = 1u << cont;
	else
		cont = 0;
	m->len = bit64(shift) * m->items;
	/* Items of Arm have addresses of their own. */
	m->oa = align_down(pt_word_addr(f, w & f->addr),
	                   f->cont == PT_CONT_BIT ? shift : shift + cont);
	m->prot = prot & SLUICE_RW;
	m->accessed = f->accessed ? (w & f->accessed) != 0 : -1;
	m->dirty = g->dirty_on ? pt_word_dirty(f, w) : -1;
	m->software = w & software_bits(f, level, true);
	/* What this table would have written for the same meaning. */
	want = pt_leaf_word(f, g, level, cont, m->oa, prot);
	m->unknown = (w ^ want) & ~walker_bits(pt);
	if (cont && !g->contig)
		m->unknown |= f->cont_bits;
	if (!pt_prot_ok(f, prot))
		m->unknown |= f->read | f->write;
	if (m->oa > g->max_oa || m->len - 1 > g->max_oa - m->oa)
		m->unknown |= f->addr & ~pt_addr_word(f, g->max_oa);
}

void pt_explain(const struct pt *pt, uint64_t word, unsigned level,
                struct sluice_pt_meaning *ret)
{
	const struct pt_fmt *f = pt->fmt;
	struct sluice_pt_meaning m = {.dirty = -1, .accessed = -1};
	uint64_t soft;

	m.len = bit64(pt_shift(f, &pt->geo, level));
	m.items = 1;
	if (word == pt_empty(f, level)) {
		m.kind = SLUICE_PT_EMPTY;
	} else if (pt_is_leaf(f, word, level)) {
		explain_leaf(pt, word, level, &m);
	} else if (pt_is_link(f, word, level)) {
		soft = software_bits(f, level, false);
		m.kind = SLUICE_PT_LINK;
		m.oa = pt_word_link(f, word);
		m.software = word & soft;
		m.unknown = (word & ~f->link_addr & ~soft) ^ f->link[level];
	} else {
		m.kind = pt_is_present(f, word, level) ? SLUICE_PT_INVALID
		                                       : SLUICE_PT_EMPTY;
		/* An invalid bit makes the others meaningless. */
		m.unknown = m.kind == SLUICE_PT_EMPTY && f->absent ? 0 : word;
	}
	/* Wrong in what tells the kinds apart: neither. */
	if (m.kind != SLUICE_PT_EMPTY && (m.unknown & f->link_mask))
		m.kind = SLUICE_PT_INVALID;
	*ret = m;
}
