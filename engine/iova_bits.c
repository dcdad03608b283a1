/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The granule bitmap: a set bit is a granule that is taken. Knows slots and
 * words, not addresses (but for alignment) and not who takes.
 *
 * Each block of 4096 slots has a counter of taken ones so that a search walks
 * past full blocks without reading their words. A taker sets bits first and
 * counts after; a giver uncounts first and clears after. Counter updates of
 * one granule are ordered by its hand-overs, so a counter is never more than
 * the taken granules: a block that looks full is full, and whoever sees its
 * own free done finds the granule.
 */
#include "engine/iova_priv.h"

#include <errno.h>

static bool block_full(const struct iova_space *sp, uint64_t slot)
{
	return ld_rlx(&sp->nr_taken[slot >> BLOCK_LG2]) >= BLOCK;
}

/* The first free slot of [s, e), or e. */
static uint64_t next_free(const struct iova_space *sp, uint64_t s, uint64_t e)
{
	bool enter = true;

	while (s < e) {
		uint64_t w;

		if ((enter || (s & (BLOCK - 1)) == 0) && block_full(sp, s)) {
			s = (s | (BLOCK - 1)) + 1;
			continue;
		}
		enter = false;
		w = ~ld_rlx(&sp->taken[s >> 6]) & iova_mask(s, e);
		if (w)
			return (s & ~63ull) + (unsigned)__builtin_ctzll(w);
		s = iova_next_word(s);
	}
	return e;
}

/* The first taken slot of [s, e), or e. */
static uint64_t next_taken(const struct iova_space *sp, uint64_t s, uint64_t e)
{
	while (s < e) {
		uint64_t w = ld_rlx(&sp->taken[s >> 6]) & iova_mask(s, e);

		if (w)
			return (s & ~63ull) + (unsigned)__builtin_ctzll(w);
		s = iova_next_word(s);
	}
	return e;
}

static void count_taken(struct iova_space *sp, uint64_t s, uint64_t e)
{
	while (s < e) {
		uint64_t stop = min_u64(e, (s | (BLOCK - 1)) + 1);
		uint32_t n = (uint32_t)(stop - s);

		faa_rlx(&sp->nr_taken[s >> BLOCK_LG2], n);
		s = stop;
	}
}

static void clear_bits(struct iova_space *sp, uint64_t s, uint64_t e)
{
	for (; s < e; s = iova_next_word(s))
		/* Pairs with the acquire in take_word: what the last owner did
		 * with the range comes before what the next one does. */
		fand_rel(&sp->taken[s >> 6], ~iova_mask(s, e));
}

/* Sets all bits of mask, or none. */
static bool take_word(au64 *word, uint64_t mask)
{
	uint64_t old = ld_rlx(word);

	do {
		if (old & mask)
			return false;
		/* Pairs with the release in clear_bits. */
	} while (!cas_acq(word, &old, old | mask));
	return true;
}

bool iova_bits_take(struct iova_space *sp, uint64_t slot, uint64_t n)
{
	uint64_t end = slot + n;

	/* Ascending for all, so of two takers that meet one goes on. */
	for (uint64_t s = slot; s < end; s = iova_next_word(s)) {
		if (!take_word(&sp->taken[s >> 6], iova_mask(s, end))) {
			clear_bits(sp, slot, s);
			return false;
		}
	}
	count_taken(sp, slot, end);
	return true;
}

static void give_word(struct iova_space *sp, uint64_t s, uint64_t mask)
{
	faa_rlx(&sp->nr_taken[s >> BLOCK_LG2],
	        0u - (uint32_t)__builtin_popcountll(mask));
	/* Pairs with the acquire in take_word. */
	fand_rel(&sp->taken[s >> 6], ~mask);
}

static uint64_t out_mask(const struct iova_space *sp, uint64_t s, uint64_t end)
{
	return iova_mask(s, end) & ld_rlx(&sp->taken[s >> 6]) &
	       ~ld_rlx(&sp->reserved[s >> 6]);
}

bool iova_bits_is_out(const struct iova_space *sp, uint64_t slot)
{
	return out_mask(sp, slot, slot + 1);
}

void iova_bits_release(struct iova_space *sp, uint64_t slot, uint64_t end)
{
	for (uint64_t s = slot; s < end; s = iova_next_word(s)) {
		uint64_t mask = out_mask(sp, s, end);

		if (mask)
			give_word(sp, s, mask);
	}
}

/* The first slot from there on that has the place's remainder. */
static uint64_t place_slot(const struct iova_seg *seg, uint64_t slot,
                           struct iova_place place)
{
	uint64_t g = seg->g0 + (slot - seg->slot0);

	if (place.lg2 <= seg->lg2)
		return slot;
	return slot +
	       (((place.off >> seg->lg2) - g) & mask64(place.lg2 - seg->lg2));
}

bool iova_bits_find_take(struct iova_space *sp, const struct iova_seg *seg,
                         uint64_t from, uint64_t to, uint64_t n,
                         struct iova_place place, uint64_t *ret_slot)
{
	uint64_t s = max_u64(from, seg->full0);
	uint64_t e = min_u64(to, seg->full1);

	while (s < e) {
		uint64_t t;

		s = place_slot(seg, next_free(sp, s, e), place);
		if (s >= e || e - s < n)
			return false;
		t = next_taken(sp, s, s + n);
		if (t < s + n) {
			s = t;
			continue;
		}
		if (iova_bits_take(sp, s, n)) {
			*ret_slot = s;
			return true;
		}
		/* Lost a race: look at the same place again. */
	}
	return false;
}

void iova_bits_exclude(struct iova_space *sp, uint64_t slot, uint64_t end)
{
	for (uint64_t s = slot; s < end; s = iova_next_word(s))
		for_rlx(&sp->taken[s >> 6], iova_mask(s, end));
	count_taken(sp, slot, end);
}

/* What a reservation must take from a word: not what is reserved already, not
 * the rims, which nobody can be handed. */
static uint64_t reserve_mask(const struct iova_space *sp,
                             const struct iova_seg *seg, uint64_t s,
                             uint64_t end)
{
	uint64_t lo = max_u64(s, seg->full0);
	uint64_t hi = min_u64(min_u64(end, iova_next_word(s)), seg->full1);

	return lo >= hi ? 0
	                : iova_mask(lo, hi) & ~ld_rlx(&sp->reserved[s >> 6]);
}

void iova_bits_unreserve(struct iova_space *sp, const struct iova_seg *seg,
                         uint64_t slot, uint64_t end)
{
	for (uint64_t s = slot; s < end; s = iova_next_word(s))
		give_word(sp, s, reserve_mask(sp, seg, s, end));
}

int iova_bits_reserve(struct iova_space *sp, const struct iova_seg *seg,
                      uint64_t slot, uint64_t end)
{
	for (uint64_t s = slot; s < end; s = iova_next_word(s)) {
		uint64_t mask = reserve_mask(sp, seg, s, end);

		if (!mask)
			continue;
		if (!take_word(&sp->taken[s >> 6], mask)) {
			iova_bits_unreserve(sp, seg, slot, s);
			return -EBUSY;
		}
		faa_rlx(&sp->nr_taken[s >> BLOCK_LG2],
		        (uint32_t)__builtin_popcountll(mask));
	}
	return 0;
}

void iova_bits_publish(struct iova_space *sp, uint64_t slot, uint64_t end)
{
	/* Relaxed: the bit stands for itself, no other data rides on it. */
	for (uint64_t s = slot; s < end; s = iova_next_word(s))
		for_rlx(&sp->reserved[s >> 6], iova_mask(s, end));
}

bool iova_bits_reserved(const struct iova_space *sp, uint64_t slot,
                        uint64_t end)
{
	for (uint64_t s = slot; s < end; s = iova_next_word(s)) {
		uint64_t mask = iova_mask(s, end);

		if ((ld_rlx(&sp->reserved[s >> 6]) & mask) != mask)
			return false;
	}
	return true;
}

uint64_t iova_bits_free(const struct iova_space *sp, uint64_t slot,
                        uint64_t end)
{
	uint64_t nr = 0;

	for (uint64_t b = slot >> BLOCK_LG2; b < end >> BLOCK_LG2; b++)
		nr += BLOCK - min_u64(ld_rlx(&sp->nr_taken[b]), BLOCK);
	return nr;
}
