/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way back: a freed range goes on the stack of its size at the lane that
 * freed it, whoever had allocated it; a full stack sends half to the depot.
 * Knows no request.
 */
#include "engine/iova_hot.h"

#include <string.h>

/* Makes room in a full stack: the oldest half goes to the depot, where other
 * lanes find it, or, when that is full, to the fragments. */
static uint32_t spill(struct iova_cache *c, unsigned zone, uint32_t cls)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint64_t len = (uint64_t)(cls + 1) << SLUICE_PAGE_LG2;
	uint64_t *range = z->range[cls];
	uint32_t left = STACK_MAX - MAG_RANGES;

	if (!iova_depot_put(c->sp, zone, cls, range, MAG_RANGES))
		for (uint32_t i = 0; i < MAG_RANGES; i++)
			iova_cache_give(c, range[i], len);
	memmove(range, range + MAG_RANGES, left * sizeof(*range));
	z->dry = 0;
	return left;
}

static void push(struct iova_cache *c, unsigned zone, uint64_t iova,
                 uint64_t cls)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint32_t nr = ld_rlx(&z->nr[cls]);

	if (nr == STACK_MAX)
		nr = spill(c, zone, (uint32_t)cls);
	z->range[cls][nr] = iova;
	st_rlx(&z->nr[cls], nr + 1);
}

static bool touches_reserved(const struct iova_space *sp, uint64_t iova,
                             uint64_t last)
{
	return iova_space_is_reserved(sp, iova, iova) ||
	       ((iova ^ last) >> sp->lg2 &&
	        iova_space_is_reserved(sp, last, last));
}

static bool keep_freed(struct iova_cache *c, unsigned zone, uint64_t iova,
                       uint64_t len)
{
	uint64_t cls = (len >> SLUICE_PAGE_LG2) - 1;
	uint64_t last = iova + len - 1;
	struct iova_zone_cache *z = &c->zone[zone];
	bool hull = iova_touches_hull(&c->sp->zone[zone], iova, last);

	if (cls > c->nr_classes ||
	    (cls == c->nr_classes && !aligned_lg2(iova, c->sp->lg2)))
		return !hull && iova_large_push(c, zone, iova, len);
	if (hull && touches_reserved(c->sp, iova, last))
		return false;
	if (cls == c->nr_classes && ld_rlx(&z->nr[cls]) == c->max_granules)
		return false;
	push(c, zone, iova, cls);
	return true;
}

/* The other zone, a full stack, and what no stack may hold: ranges of a granule
 * or more, across zones, or with pages that belong to the callers who reserved
 * them. */
void iova_free_slow(struct iova_cache *c, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1;
	unsigned zone = iova_zone_of(c->sp, iova);

	if (!aligned_lg2(iova | len, SLUICE_PAGE_LG2) || last < iova)
		return;
	if (unlikely(iova_cache_is_asked(c)))
		iova_cache_relieve(c);
	if (zone == iova_zone_of(c->sp, last) && keep_freed(c, zone, iova, len))
		return;
	iova_cache_give(c, iova, len);
	c->zone[zone].dry = 0;
	c->zone[iova_zone_of(c->sp, last)].dry = 0;
}

void iova_free(struct iova_cache *c, uint64_t iova, uint64_t len)
{
	iova_hot_free(c, iova, len);
}
