/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of a granule or more: how a lane takes them from the space, and the
 * few it keeps for itself so that a size that comes back costs no search and
 * no bitmap. Knows lengths and places, not why a caller wants a place.
 *
 * What is kept is a list of at most 32 ranges, newest last, looked through
 * from the newest; the oldest goes back when the list is full or holds more
 * than its share of the zone.
 */
#include "engine/iova_priv.h"

#include <string.h>

static void forget(struct iova_zone_cache *z, uint32_t i)
{
	uint32_t behind = --z->nr_large - i;

	st_rlx(&z->large_bytes, ld_rlx(&z->large_bytes) - z->large[i].len);
	if (behind)
		memmove(&z->large[i], &z->large[i + 1],
		        behind * sizeof(z->large[0]));
}

bool iova_large_pop(struct iova_zone_cache *z, const struct iova_want *want,
                    uint64_t *ret_iova)
{
	uint64_t mask = mask64(want->place.lg2);

	for (uint32_t i = z->nr_large; i-- > 0;) {
		const struct iova_large *l = &z->large[i];

		if (l->len != want->len || (l->iova ^ want->place.off) & mask)
			continue;
		*ret_iova = l->iova;
		forget(z, i);
		return true;
	}
	return false;
}

static void give_oldest(struct iova_cache *c, struct iova_zone_cache *z)
{
	struct iova_large old = z->large[0];

	forget(z, 0);
	iova_give(c->sp, old.iova, old.len, &z->hint);
}

bool iova_large_push(struct iova_cache *c, unsigned zone, uint64_t iova,
                     uint64_t len)
{
	struct iova_zone_cache *z = &c->zone[zone];

	if (len > c->max_large[zone])
		return false;
	while (z->nr_large == LARGE_KEPT ||
	       ld_rlx(&z->large_bytes) + len > c->max_large[zone])
		give_oldest(c, z);
	z->large[z->nr_large++] = (struct iova_large){iova, len};
	st_rlx(&z->large_bytes, ld_rlx(&z->large_bytes) + len);
	return true;
}

void iova_large_flush(struct iova_cache *c, unsigned zone)
{
	struct iova_zone_cache *z = &c->zone[zone];

	while (z->nr_large)
		give_oldest(c, z);
}

/* The next small range of this lane finds the pages. */
static void leave(struct iova_cache *c, unsigned zone, uint64_t iova,
                  uint64_t len)
{
	struct iova_zone_cache *z = &c->zone[zone];
	const struct iova_seg *seg = iova_seg_of(c->sp, iova);
	uint64_t f = iova_seg_slot(seg, iova) - c->sp->zone[zone].slot0;

	iova_frag_put(c->sp, iova, len >> SLUICE_PAGE_LG2, &z->hint);
	if (f < c->sp->zone[zone].nr_slices)
		z->frag_at = f;
}

bool iova_large_take(struct iova_cache *c, unsigned zone,
                     const struct iova_want *want, uint64_t *ret_iova)
{
	struct iova_space *sp = c->sp;
	struct iova_hint *hint = &c->zone[zone].hint;
	uint64_t head = want->place.off & mask64(sp->lg2);
	uint64_t n = ((head + want->len - 1) >> sp->lg2) + 1;
	uint64_t tail = (n << sp->lg2) - head - want->len;
	/* Ranges placed apart are so large that what they leave is little. */
	bool part = (head || tail) && want->place.lg2 <= sp->lg2;
	uint64_t base;

	if (!(part && !iova_take_part(sp, zone, n, want->place, hint, &base)) &&
	    iova_take(sp, zone, n, want->place, hint, &base))
		return false;
	if (head)
		leave(c, zone, base, head);
	if (tail)
		leave(c, zone, base + head + want->len, tail);
	*ret_iova = base + head;
	return true;
}
