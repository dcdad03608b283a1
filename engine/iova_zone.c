/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones: the address space cut at 4 GiB and at the ends of each window, and the
 * order in which a request tries them. Knows where zones lie and how much they
 * have, nothing of what is free in them.
 */
#include "engine/iova_priv.h"

#define NR_CUTS (1 + 2 * IOVA_MAX_WINDOWS)

/* Sorts a place where a zone begins in; 0 is no cut. */
static uint32_t add_cut(uint64_t *cut, uint32_t nr, uint64_t at)
{
	uint32_t i = nr;

	for (uint32_t k = 0; k < nr; k++)
		if (cut[k] == at)
			return nr;
	if (!at)
		return nr;
	for (; i > 0 && cut[i - 1] > at; i--)
		cut[i] = cut[i - 1];
	cut[i] = at;
	return nr + 1;
}

void iova_zones_init(struct iova_space *sp, const struct sluice_range *w,
                     uint32_t nr)
{
	uint64_t cut[NR_CUTS];
	uint32_t n = add_cut(cut, 0, bit64(32));

	for (uint32_t i = 0; i < nr; i++) {
		n = add_cut(cut, n, w[i].first);
		n = add_cut(cut, n, w[i].last + 1);
	}
	for (uint32_t i = 0; i <= n; i++) {
		sp->zone[i].first = i ? cut[i - 1] : 0;
		sp->zone[i].last = i < n ? cut[i] - 1 : UINT64_MAX;
	}
	sp->nr_zones = n + 1;
}

static bool inside(const struct iova_zone *z, const struct sluice_range *w)
{
	return z->first >= w->first && z->last <= w->last;
}

bool iova_in_window(const struct iova_zone *z, const struct sluice_range *w,
                    uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (inside(z, &w[i]))
			return true;
	return false;
}

uint64_t iova_usable(const struct iova_zone *z, const struct sluice_range *r,
                     uint32_t nr)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t first = max_u64(r[i].first, z->first);
		uint64_t last = min_u64(r[i].last, z->last);

		if (first <= last &&
		    (last - first == UINT64_MAX ||
		     __builtin_add_overflow(sum, last - first + 1, &sum)))
			return UINT64_MAX;
	}
	return sum;
}

/* Addresses above 4 GiB first, as some devices reach only those below; within
 * each half what lies in no window, then the larger. */
static bool better(const struct iova_zone *a, bool a_in,
                   const struct iova_zone *b, bool b_in)
{
	bool a_high = a->first >> 32, b_high = b->first >> 32;

	if (a_high != b_high)
		return a_high;
	if (a_in != b_in)
		return b_in;
	return a->slot1 - a->slot0 > b->slot1 - b->slot0;
}

static bool may(const struct iova_zone *z, unsigned window,
                const struct sluice_range *w, uint32_t nr)
{
	if (z->slot1 == z->slot0)
		return false;
	if (window == IOVA_32BIT)
		return !(z->first >> 32);
	return window == IOVA_ANY || (window - IOVA_WINDOW < nr &&
	                              inside(z, &w[window - IOVA_WINDOW]));
}

void iova_zones_order(struct iova_space *sp, const struct sluice_range *w,
                      uint32_t nr)
{
	for (unsigned window = 0; window < IOVA_NR_WINDOWS; window++) {
		struct iova_order *o = &sp->order[window];

		for (uint32_t i = 0; i < sp->nr_zones; i++) {
			const struct iova_zone *z = &sp->zone[i];
			uint32_t k = o->nr;

			if (!may(z, window, w, nr))
				continue;
			for (; k > 0; k--) {
				const struct iova_zone *p =
				        &sp->zone[o->zone[k - 1]];

				if (!better(z, iova_in_window(z, w, nr), p,
				            iova_in_window(p, w, nr)))
					break;
				o->zone[k] = o->zone[k - 1];
			}
			o->zone[k] = i;
			o->nr++;
		}
	}
}
