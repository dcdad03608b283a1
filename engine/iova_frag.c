/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free pages inside granules that are being carved: one bit a page (set:
 * free) and one counter a granule. Neighbours merge by lying side by side,
 * whichever lane freed them; no memory is needed to remember them. Knows
 * nothing of sizes or lanes.
 *
 * Counter protocol. A giver sets bits, then adds. A taker first subtracts (it
 * now holds rights to so many pages), then clears a run; if the run was lost
 * to another it adds back. Whoever turns a full counter into zero holds the
 * rights to every page, so owns the granule alone and returns it.
 */
#include "engine/iova_priv.h"

#define FRAG_WORDS_MAX (PAGES_MAX / 64)
#define PROBES 64u /* granules that a cheap search looks at */

struct run {
	uint32_t first, end;
};

static au64 *words_of(const struct iova_space *sp, const struct iova_zone *z,
                      uint64_t f)
{
	return &z->frag[f * sp->words];
}

/* Returns how many bits were not set before. */
static uint32_t set_pages(au64 *w, uint32_t first, uint32_t end)
{
	uint32_t nr = 0;

	for (uint64_t p = first; p < end; p = iova_next_word(p)) {
		uint64_t mask = iova_mask(p, end);
		/* Pairs with the acquire in clear_pages. */
		uint64_t old = for_rel(&w[p >> 6], mask);

		nr += (uint32_t)__builtin_popcountll(mask & ~old);
	}
	return nr;
}

static bool clear_pages(au64 *w, uint32_t first, uint32_t end)
{
	for (uint64_t p = first; p < end; p = iova_next_word(p)) {
		uint64_t mask = iova_mask(p, end);
		uint64_t old = ld_rlx(&w[p >> 6]);

		do {
			if ((old & mask) != mask) {
				set_pages(w, first, (uint32_t)p);
				return false;
			}
			/* Pairs with the release in set_pages. */
		} while (!cas_acq(&w[p >> 6], &old, old & ~mask));
	}
	return true;
}

static uint32_t worth(const struct iova_space *sp)
{
	return sp->pages < FRAG_WANT ? sp->pages : FRAG_WANT;
}

static void note(struct iova_zone *z, uint64_t f)
{
	if (ld_rlx(&z->some_frag[f >> 6]) & bit64(f & 63))
		return;
	for_rlx(&z->some_frag[f >> 6], bit64(f & 63));
	for_rlx(&z->some_words[f >> 12], bit64((f >> 6) & 63));
}

/* Who looks clears what is not worth a look any more. A note that is lost to a
 * race is found again by iova_frag_take_any, or with the next pages. */
static void forget(const struct iova_space *sp, struct iova_zone *z, uint64_t f)
{
	uint64_t rest = fand_rlx(&z->some_frag[f >> 6], ~bit64(f & 63)) &
	                ~bit64(f & 63);

	if (ld_rlx(&z->nr_frag[f]) >= worth(sp)) {
		note(z, f);
		return;
	}
	if (rest)
		return;
	fand_rlx(&z->some_words[f >> 12], ~bit64((f >> 6) & 63));
	if (ld_rlx(&z->some_frag[f >> 6]))
		for_rlx(&z->some_words[f >> 12], bit64((f >> 6) & 63));
}

/* The first noted granule of [f, e), or e. */
static uint64_t next_noted(const struct iova_zone *z, uint64_t f, uint64_t e)
{
	while (f < e) {
		uint64_t w = ld_rlx(&z->some_frag[f >> 6]) & iova_mask(f, e);

		if (w)
			return (f & ~63ull) + (unsigned)__builtin_ctzll(w);
		/* On to the next word that has any. */
		for (f = iova_next_word(f); f < e; f = (f | 4095) + 1) {
			w = ld_rlx(&z->some_words[f >> 12]) >> ((f >> 6) & 63);
			if (w) {
				f += (uint64_t)__builtin_ctzll(w) << 6;
				break;
			}
		}
	}
	return e;
}

static void add_pages(struct iova_space *sp, struct iova_zone *z, uint64_t f,
                      uint32_t nr, struct iova_hint *hint)
{
	uint32_t full = sp->pages;
	uint32_t have;

	/* Release, and acquire below: the owner of the whole granule sees
	 * every bit that the givers have set. */
	have = faa_acqrel(&z->nr_frag[f], nr) + nr;
	if (have != full) {
		if (have >= worth(sp) && f < z->nr_slices)
			note(z, f);
		return;
	}
	if (!cas_acqrel(&z->nr_frag[f], &full, 0))
		return;
	for (uint32_t i = 0; f < z->nr_slices && i < sp->words; i++)
		st_rlx(&words_of(sp, z, f)[i], 0);
	iova_bits_release(sp, z->slot0 + f, z->slot0 + f + 1);
	iova_hint_lower(hint, z, z->slot0 + f);
}

static void raise_top(struct iova_zone *z, uint64_t f)
{
	uint64_t top = ld_rlx(&z->frag_top);

	while (f >= top)
		if (cas_rlx(&z->frag_top, &top, f + 1))
			return;
}

void iova_frag_put(struct iova_space *sp, uint64_t iova, uint64_t pages,
                   struct iova_hint *hint)
{
	const struct iova_seg *seg = iova_seg_of(sp, iova);
	struct iova_zone *z = &sp->zone[iova_zone_of(sp, iova)];
	uint32_t p = (uint32_t)(iova >> SLUICE_PAGE_LG2) & (sp->pages - 1);
	uint32_t nr = (uint32_t)pages;
	uint64_t slot, f;

	if (!seg || seg->lg2 != sp->lg2)
		return;
	slot = iova_seg_slot(seg, iova);
	f = slot - z->slot0;
	if (slot < seg->full0 || slot >= seg->full1 ||
	    !iova_bits_is_out(sp, slot))
		return;
	if (f < z->nr_slices) {
		raise_top(z, f);
		nr = set_pages(words_of(sp, z, f), p, p + nr);
	}
	if (nr)
		add_pages(sp, z, f, nr, hint);
}

static uint32_t next_page(const uint64_t *w, uint32_t p, uint32_t nr, bool set)
{
	while (p < nr) {
		uint64_t v = (set ? w[p >> 6] : ~w[p >> 6]) & iova_mask(p, nr);

		if (v)
			return (p & ~63u) + (uint32_t)__builtin_ctzll(v);
		p = (p | 63) + 1;
	}
	return nr;
}

/* The first run of pages that are free, starts aligned and is long enough. */
static bool find_run(const uint64_t *w, uint32_t pages, uint32_t want,
                     unsigned align_pages_lg2, struct run *ret_run)
{
	uint32_t p = 0;

	for (;;) {
		uint32_t end;

		p = next_page(w, p, pages, true);
		end = next_page(w, p, pages, false);
		p = (uint32_t)align_up(p, align_pages_lg2);
		if (p >= pages)
			return false;
		if (p < end && end - p >= want) {
			*ret_run = (struct run){p, end};
			return true;
		}
		p = end > p ? end : p;
	}
}

static bool take_rights(au32 *nr_frag, uint32_t nr)
{
	uint32_t have = ld_rlx(nr_frag);

	do {
		if (have < nr)
			return false;
		/* Acquire pairs with the release in add_pages. */
	} while (!cas_acqrel(nr_frag, &have, have - nr));
	return true;
}

static bool take_from(struct iova_space *sp, struct iova_zone *z, uint64_t f,
                      uint32_t want, unsigned align_lg2, struct run *ret_run)
{
	unsigned align_pages_lg2 = align_lg2 - SLUICE_PAGE_LG2;
	uint64_t copy[FRAG_WORDS_MAX];
	au64 *w = words_of(sp, z, f);
	struct run r;

	/* An alignment beyond the granule only its first page can have. */
	if (align_lg2 > sp->lg2) {
		if (!aligned_lg2(iova_slot_addr(sp, z->slot0 + f), align_lg2))
			return false;
		align_pages_lg2 = sp->lg2 - SLUICE_PAGE_LG2;
	}
	for (uint32_t i = 0; i < sp->words; i++)
		copy[i] = ld_rlx(&w[i]);
	if (!find_run(copy, sp->pages, want, align_pages_lg2, &r) ||
	    !take_rights(&z->nr_frag[f], r.end - r.first))
		return false;
	if (!clear_pages(w, r.first, r.end)) {
		add_pages(sp, z, f, r.end - r.first, NULL);
		return false;
	}
	*ret_run = r;
	return true;
}

static bool take_at(struct iova_space *sp, struct iova_zone *z, uint64_t f,
                    uint32_t want, unsigned align_lg2, uint64_t *ret_iova,
                    uint64_t *ret_end)
{
	uint64_t base;
	struct run r;

	if (ld_rlx(&z->nr_frag[f]) < want ||
	    !take_from(sp, z, f, want, align_lg2, &r))
		return false;
	base = iova_slot_addr(sp, z->slot0 + f);
	*ret_iova = base + ((uint64_t)r.first << SLUICE_PAGE_LG2);
	*ret_end = base + ((uint64_t)r.end << SLUICE_PAGE_LG2);
	return true;
}

bool iova_frag_take(struct iova_space *sp, unsigned zone, uint32_t nr,
                    unsigned align_lg2, uint64_t *at, uint64_t *ret_iova,
                    uint64_t *ret_end)
{
	struct iova_zone *z = &sp->zone[zone];
	uint64_t top = min_u64(ld_rlx(&z->frag_top), z->nr_slices);
	uint32_t want = nr > worth(sp) ? nr : worth(sp);
	uint64_t f = *at;
	bool wrapped = false;

	for (uint32_t i = 0; i < PROBES; i++) {
		f = next_noted(z, f, top);
		if (f >= top) {
			if (wrapped)
				break;
			wrapped = true;
			f = 0;
			continue;
		}
		if (take_at(sp, z, f, want, align_lg2, ret_iova, ret_end)) {
			*at = f;
			return true;
		}
		if (ld_rlx(&z->nr_frag[f]) < worth(sp))
			forget(sp, z, f);
		f++;
	}
	*at = f;
	return false;
}

bool iova_frag_take_any(struct iova_space *sp, unsigned zone, uint32_t nr,
                        unsigned align_lg2, uint64_t *ret_iova,
                        uint64_t *ret_end)
{
	struct iova_zone *z = &sp->zone[zone];
	uint64_t top = ld_rlx(&z->frag_top);

	for (uint64_t f = 0; f < top; f++)
		if (take_at(sp, z, f, nr, align_lg2, ret_iova, ret_end))
			return true;
	return false;
}
