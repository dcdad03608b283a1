/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The depot: magazines of free ranges of one exact size, traded between
 * caches through one lock-free stack per size. Knows no addresses beyond
 * passing them on. Magazines lie in a bounded array that is never unmapped,
 * so a late reader of a link reads a stale index, not foreign memory; the tag
 * in the head then makes its exchange fail.
 */
#include "engine/iova_priv.h"

#include <string.h>

/* head = tag << 16 | index; 48 bits of tag do not come round. */
#define IDX_BITS 16
_Static_assert(MAG_MAX < 1u << IDX_BITS, "index does not fit the head");

static uint64_t next_head(uint64_t head, uint32_t idx)
{
	return ((head >> IDX_BITS) + 1) << IDX_BITS | idx;
}

static uint32_t pop(struct iova_space *sp, au64 *stack)
{
	/* Pairs with the release in push: link and ranges are visible. */
	uint64_t head = ld_acq(stack);

	for (;;) {
		uint32_t idx = (uint32_t)(head & mask64(IDX_BITS));
		uint32_t next;

		if (!idx)
			return 0;
		next = ld_rlx(&sp->mags[idx].next);
		if (cas_acqrel(stack, &head, next_head(head, next)))
			return idx;
	}
}

static void push(struct iova_space *sp, au64 *stack, uint32_t idx)
{
	uint64_t head = ld_rlx(stack);

	do {
		st_rlx(&sp->mags[idx].next,
		       (uint32_t)(head & mask64(IDX_BITS)));
		/* Pairs with the acquires in pop. */
	} while (!cas_rel(stack, &head, next_head(head, idx)));
}

static uint32_t blank_mag(struct iova_space *sp)
{
	uint32_t idx = pop(sp, &sp->mag_free);

	if (idx || ld_rlx(&sp->mag_bump) >= MAG_MAX)
		return idx;
	idx = faa_rlx(&sp->mag_bump, 1) + 1;
	return idx <= MAG_MAX ? idx : 0;
}

bool iova_depot_put(struct iova_space *sp, unsigned zone, uint32_t cls,
                    const uint64_t *ranges, uint32_t nr)
{
	uint32_t idx = blank_mag(sp);

	if (!idx)
		return false;
	sp->mags[idx].nr = nr;
	memcpy(sp->mags[idx].range, ranges, nr * sizeof(*ranges));
	faa_rlx(&sp->depot_pages, (uint64_t)nr * (cls + 1));
	push(sp, &sp->depot[zone][cls], idx);
	return true;
}

uint32_t iova_depot_get(struct iova_space *sp, unsigned zone, uint32_t cls,
                        uint64_t *ranges)
{
	uint32_t idx = pop(sp, &sp->depot[zone][cls]);
	uint32_t nr;

	if (!idx)
		return 0;
	nr = sp->mags[idx].nr;
	memcpy(ranges, sp->mags[idx].range, nr * sizeof(*ranges));
	push(sp, &sp->mag_free, idx);
	fsub_rlx(&sp->depot_pages, (uint64_t)nr * (cls + 1));
	return nr;
}

void iova_depot_drain(struct iova_space *sp, unsigned zone,
                      struct iova_hint *hint)
{
	uint64_t ranges[MAG_RANGES];
	uint32_t budget = MAG_MAX; /* others may refill while we drain */

	for (uint32_t cls = 0; cls < sp->pages; cls++) {
		while (budget) {
			uint32_t nr = iova_depot_get(sp, zone, cls, ranges);
			uint64_t len = (uint64_t)(cls + 1) << SLUICE_PAGE_LG2;

			if (!nr)
				break;
			for (uint32_t i = 0; i < nr; i++)
				iova_give(sp, ranges[i], len, hint);
			budget--;
		}
	}
}
