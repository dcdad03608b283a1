/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The software IOTLB: a direct-mapped array of extents, indexed by page
 * number. One lane owns it, so there is no atomic here. Knows neither table
 * nor log.
 *
 * An extent larger than a page sits in the slot of each page that missed on
 * it, nowhere else: all its slots are those of pages inside the extent.
 * Therefore probing every page of a range that holds whole extents finds every
 * copy, and a range of more pages than the array has slots needs one pass over
 * the array, never more.
 */
#include "iotlb/iotlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iotlb/tlb_priv.h"

#define TLB_MIN 16u
#define TLB_MAX 65536u

int tlb_create(uint32_t entries, struct sluice_view_hot *ret_hot)
{
	struct sluice_tlb_entry *tlb;

	if (entries < TLB_MIN || entries > TLB_MAX || entries & (entries - 1))
		return -EINVAL;
	tlb = aligned_alloc(CACHELINE, entries * sizeof(*tlb));
	if (!tlb)
		return -ENOMEM;
	memset(tlb, 0, entries * sizeof(*tlb));
	ret_hot->tlb = tlb;
	ret_hot->tlb_mask = entries - 1;
	tlb_forget_bounds(ret_hot);
	return 0;
}

void tlb_destroy(struct sluice_view_hot *hot)
{
	free(hot->tlb);
	hot->tlb = NULL;
	hot->tlb_mask = 0;
}

void tlb_fill(struct sluice_view_hot *hot, uint64_t iova, uint64_t first,
              uint64_t last, uint64_t delta, uint32_t prot)
{
	hot->low = min_u64(hot->low, first);
	hot->high = max_u64(hot->high, last);
	*tlb_slot(hot, iova) = (struct sluice_tlb_entry){
	        .first = first,
	        .span = last - first,
	        .delta = delta,
	        .prot = prot & SLUICE_RW,
	};
}

static bool drop_scan(struct sluice_view_hot *hot, uint64_t first,
                      uint64_t last)
{
	uint64_t left = 0;

	for (uint64_t i = 0; i <= hot->tlb_mask; i++) {
		struct sluice_tlb_entry *e = &hot->tlb[i];

		if (tlb_overlaps(e, first, last))
			e->prot = 0;
		left |= e->prot;
	}
	return left == 0;
}

bool tlb_drop(struct sluice_view_hot *hot, uint64_t first, uint64_t last)
{
	uint64_t pages = tlb_pages(first, last);

	if (pages >= hot->tlb_mask)
		return drop_scan(hot, first, last);
	for (uint64_t i = 0; i <= pages; i++)
		tlb_probe(hot, first + (i << SLUICE_PAGE_LG2), first, last);
	return false;
}

void tlb_flush(struct sluice_view_hot *hot)
{
	memset(hot->tlb, 0, (hot->tlb_mask + 1) * sizeof(*hot->tlb));
	tlb_forget_bounds(hot);
}
