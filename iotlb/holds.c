/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Held ranges of one reader: which of them forbid its cursor to go on. Knows
 * ranges and positions of the log; one owner, no atomic.
 */
#include "iotlb/iotlb.h"

#include <errno.h>

#include "iotlb/invlog_priv.h"

static void forget_hull(struct holds *h)
{
	h->low = UINT64_MAX;
	h->high = 0;
}

void holds_init(struct holds *h)
{
	h->nr = 0;
	h->nr_blocked = 0;
	for (uint32_t i = 0; i < HOLDS_MAX; i++)
		h->id[i] = (uint16_t)i;
	forget_hull(h);
}

int holds_take(struct holds *h, uint64_t first, uint64_t last)
{
	uint32_t place = h->nr;

	if (place == HOLDS_MAX)
		return -ENOSPC;
	h->held[place] = (struct hold){first, last, HOLD_FREE};
	h->at[h->id[place]] = (uint16_t)place;
	h->nr++;
	h->low = min_u64(h->low, first);
	h->high = max_u64(h->high, last);
	return h->id[place];
}

bool holds_release(struct holds *h, uint32_t id)
{
	uint32_t place, end;

	if (id >= HOLDS_MAX)
		return false;
	place = h->at[id];
	if (place >= h->nr || h->id[place] != id)
		return false;
	h->nr_blocked -= h->held[place].blocked != HOLD_FREE;
	/* The last one moves into the gap, and the two change ids. */
	end = --h->nr;
	h->held[place] = h->held[end];
	h->id[place] = h->id[end];
	h->at[h->id[place]] = (uint16_t)place;
	h->id[end] = (uint16_t)id;
	if (h->nr == 0)
		forget_hull(h);
	return true;
}

void holds_meet(struct holds *h, uint64_t first, uint64_t last, uint64_t pos)
{
	if (first > h->high || last < h->low)
		return;
	for (uint32_t i = 0; i < h->nr; i++) {
		struct hold *held = &h->held[i];

		if (first > held->last || last < held->first ||
		    held->blocked != HOLD_FREE)
			continue;
		held->blocked = pos;
		h->nr_blocked++;
	}
}

uint64_t holds_limit(const struct holds *h, uint64_t pos)
{
	for (uint32_t i = 0; h->nr_blocked && i < h->nr; i++)
		pos = min_u64(pos, h->held[i].blocked);
	return pos;
}
