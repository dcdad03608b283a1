/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader of x86-64 tables, written from Intel SDM vol. 3A chapter 4.5:
 * figure 4-11 and tables 4-14 (PML5E) to 4-20 (PTE). One function per kind of
 * entry, as the manual has one table per kind.
 */
#include "decode.h"

#include <stdlib.h>

struct walk {
	struct decode_image *im;
	decode_fn *fn;
	void *ctx;
	const char *wrong;
};

struct rights {
	int write;
	int user;
};

static int bit(uint64_t w, unsigned n)
{
	return (int)(w >> n & 1);
}

/* Bits hi..lo of w, in place. */
static uint64_t field(uint64_t w, unsigned hi, unsigned lo)
{
	return w >> lo << lo & (~UINT64_C(0) >> (63 - hi));
}

/* Rights of this entry, narrowed by the entries above (4.6.1). */
static struct rights narrow(struct rights r, uint64_t w)
{
	r.write = r.write && bit(w, 1);
	r.user = r.user && bit(w, 2);
	return r;
}

static void leaf(struct walk *k, uint64_t va, uint64_t size, uint64_t pa,
                 uint64_t w, struct rights r)
{
	struct decode_leaf l = {.va = va, .size = size, .pa = pa};

	if (!r.user)
		k->wrong = "a leaf is supervisor-only: DMA is a user access";
	if (bit(w, 63))
		k->wrong = "XD is set: reserved where NXE is 0";
	l.readable = 1;
	l.writable = r.write;
	l.dirty = bit(w, 6);
	k->fn(k->ctx, &l);
}

/* A present entry of a table, or 0. */
static uint64_t entry(struct walk *k, uint64_t table, uint32_t i,
                      uint32_t level)
{
	const struct decode_word *d = decode_find(k->im, table, i);

	if (!d)
		return 0;
	if (d->level != level)
		k->wrong = "the dump names another level than the walk";
	if (!bit(d->word, 0)) {
		k->wrong = "a word that is not present is not zero";
		return 0;
	}
	return d->word;
}

/* Table 4-20: format of a page-table entry that maps a 4-KByte page. */
static void page_table(struct walk *k, uint64_t at, uint64_t va,
                       struct rights r)
{
	for (uint32_t i = 0; i < 512; i++) {
		uint64_t e = entry(k, at, i, 0);

		if (!e)
			continue;
		if (bit(e, 7))
			k->wrong = "PTE: PAT selects another memory type";
		leaf(k, va + i * UINT64_C(0x1000), 0x1000, field(e, 51, 12), e,
		     narrow(r, e));
	}
}

/* Tables 4-18 and 4-19: page-directory entries. */
static void page_directory(struct walk *k, uint64_t at, uint64_t va,
                           struct rights r)
{
	for (uint32_t i = 0; i < 512; i++) {
		uint64_t e = entry(k, at, i, 1);
		uint64_t base = va + i * UINT64_C(0x200000);

		if (!e)
			continue;
		if (!bit(e, 7)) {
			page_table(k, field(e, 51, 12), base, narrow(r, e));
			continue;
		}
		if (field(e, 20, 13))
			k->wrong = "PDE of a 2-MByte page: bits 20:13 reserved";
		leaf(k, base, 0x200000, field(e, 51, 21), e, narrow(r, e));
	}
}

/* Tables 4-16 and 4-17: page-directory-pointer-table entries. */
static void pdpt(struct walk *k, uint64_t at, uint64_t va, struct rights r)
{
	for (uint32_t i = 0; i < 512; i++) {
		uint64_t e = entry(k, at, i, 2);
		uint64_t base = va + i * UINT64_C(0x40000000);

		if (!e)
			continue;
		if (!bit(e, 7)) {
			page_directory(k, field(e, 51, 12), base, narrow(r, e));
			continue;
		}
		if (field(e, 29, 13))
			k->wrong =
			        "PDPTE of a 1-GByte page: bits 29:13 reserved";
		leaf(k, base, 0x40000000, field(e, 51, 30), e, narrow(r, e));
	}
}

/* Table 4-15: PML4 entries. */
static void pml4(struct walk *k, uint64_t at, uint64_t va, struct rights r)
{
	for (uint32_t i = 0; i < 512; i++) {
		uint64_t e = entry(k, at, i, 3);

		if (!e)
			continue;
		if (bit(e, 7))
			k->wrong = "PML4E: bit 7 is reserved";
		pdpt(k, field(e, 51, 12), va + i * UINT64_C(0x8000000000),
		     narrow(r, e));
	}
}

/* Table 4-14: PML5 entries. */
static void pml5(struct walk *k, uint64_t at, struct rights r)
{
	for (uint32_t i = 0; i < 512; i++) {
		uint64_t e = entry(k, at, i, 4);

		if (!e)
			continue;
		if (bit(e, 7))
			k->wrong = "PML5E: bit 7 is reserved";
		pml4(k, field(e, 51, 12), i * UINT64_C(0x1000000000000),
		     narrow(r, e));
	}
}

const char *decode_x86_64(struct decode_image *im, unsigned va_bits,
                          decode_fn *fn, void *ctx)
{
	struct walk k = {.im = im, .fn = fn, .ctx = ctx};
	struct rights all = {.write = 1, .user = 1};

	im->seen = 0;
	if (va_bits == 57)
		pml5(&k, 0, all);
	else
		pml4(&k, 0, 0, all);
	if (!k.wrong && im->seen != im->nr)
		k.wrong = "words that no walk comes by";
	return k.wrong;
}
