/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The software IOTLB: a direct-mapped array of extents, indexed by page
 * number, and a small one for those of 2 MiB and more, indexed by blocks of
 * that size, where a miss in the first looks before it walks. One lane owns
 * both, so there is no atomic here. Knows neither table nor log.
 *
 * An extent larger than a page sits in the slot of each page that missed on
 * it, nowhere else: all its slots are those of pages inside the extent.
 * Therefore probing every page of a range that holds whole extents finds every
 * copy, and a range of more pages than the array has slots needs one pass over
 * the array, never more. The same holds for blocks in the small array.
 */
#include "iotlb/iotlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iotlb/tlb_priv.h"

#define TLB_MIN 16u
#define TLB_MAX 65536u

static size_t tlb_bytes(uint64_t mask)
{
	return (mask + 1 + TLB_LARGE) * sizeof(struct sluice_tlb_entry);
}

int tlb_create(uint32_t entries, struct sluice_view_hot *ret_hot)
{
	struct sluice_tlb_entry *tlb;
	size_t size;

	if (entries < TLB_MIN || entries > TLB_MAX || entries & (entries - 1))
		return -EINVAL;
	size = tlb_bytes(entries - 1);
	tlb = aligned_alloc(CACHELINE, size);
	if (!tlb)
		return -ENOMEM;
	memset(tlb, 0, size);
	*ret_hot = (struct sluice_view_hot){
	        .tlb = tlb,
	        .tlb_mask = entries - 1,
	        .low = UINT64_MAX,
	};
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
	struct sluice_tlb_entry e =
	        tlb_entry(first, last - first + 1, delta, prot);

	hot->filled = 1;
	*tlb_slot(hot, iova) = e;
	if (likely(last - first < mask64(TLB_LARGE_LG2)))
		return;
	hot->low = min_u64(hot->low, first);
	hot->high = max_u64(hot->high, last);
	*tlb_large_slot(hot, iova) = e;
}

const struct sluice_tlb_entry *tlb_find_large(struct sluice_view_hot *hot,
                                              uint64_t iova, uint32_t access)
{
	const struct sluice_tlb_entry *e;

	if (!tlb_may_be_large(hot, iova, iova))
		return NULL;
	e = tlb_large_slot(hot, iova);
	if (iova - e->first >= sluice_tlb_size(e, access))
		return NULL;
	*tlb_slot(hot, iova) = *e;
	return e;
}

static bool drop_scan(struct sluice_view_hot *hot, uint64_t first,
                      uint64_t last)
{
	uint64_t left = 0;

	for (uint64_t i = 0; i <= hot->tlb_mask + TLB_LARGE; i++) {
		struct sluice_tlb_entry *e = &hot->tlb[i];

		if (tlb_overlaps(e, first, last))
			e->size[0] = e->size[1] = 0;
		left |= e->size[0] | e->size[1];
	}
	return left == 0;
}

static void drop_large(struct sluice_view_hot *hot, uint64_t first,
                       uint64_t last)
{
	uint64_t nr =
	        min_u64((last >> TLB_LARGE_LG2) - (first >> TLB_LARGE_LG2) + 1,
	                TLB_LARGE);

	if (!tlb_may_be_large(hot, first, last))
		return;
	for (uint64_t i = 0; i < nr; i++)
		tlb_probe(tlb_large_slot(hot, first + (i << TLB_LARGE_LG2)),
		          first, last);
}

bool tlb_drop(struct sluice_view_hot *hot, uint64_t first, uint64_t last)
{
	uint64_t pages = tlb_pages(first, last);

	if (pages >= hot->tlb_mask)
		return drop_scan(hot, first, last);
	for (uint64_t i = 0; i <= pages; i++)
		tlb_probe(tlb_slot(hot, first + (i << SLUICE_PAGE_LG2)), first,
		          last);
	/* Whole extents: a shorter range holds no large one. */
	if (last - first >= mask64(TLB_LARGE_LG2))
		drop_large(hot, first, last);
	return false;
}

void tlb_flush(struct sluice_view_hot *hot)
{
	if (!hot->filled)
		return;
	memset(hot->tlb, 0, tlb_bytes(hot->tlb_mask));
	hot->low = UINT64_MAX;
	hot->high = 0;
	hot->filled = 0;
}
