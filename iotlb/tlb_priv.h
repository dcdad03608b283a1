/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One probe of a software IOTLB, shared by tlb.c and the log's drain.
 */
#ifndef SLUICE_IOTLB_TLB_PRIV_H
#define SLUICE_IOTLB_TLB_PRIV_H

#include "iotlb/iotlb.h"

static inline struct sluice_tlb_entry *tlb_slot(
        const struct sluice_view_hot *hot, uint64_t iova)
{
	return &hot->tlb[(iova >> SLUICE_PAGE_LG2) & hot->tlb_mask];
}

/* Pages that [first, last] touches, less one. */
static inline uint64_t tlb_pages(uint64_t first, uint64_t last)
{
	return (last >> SLUICE_PAGE_LG2) - (first >> SLUICE_PAGE_LG2);
}

/* Large extents lie behind the others, by blocks of 2 MiB. */
static inline struct sluice_tlb_entry *tlb_large_slot(
        const struct sluice_view_hot *hot, uint64_t iova)
{
	return &hot->tlb[hot->tlb_mask + 1 +
	                 (iova >> TLB_LARGE_LG2 & (TLB_LARGE - 1))];
}

/* False: no large extent in [first, last] was cached since the last flush. */
static inline bool tlb_may_be_large(const struct sluice_view_hot *hot,
                                    uint64_t first, uint64_t last)
{
	return first <= hot->high && last >= hot->low;
}

static inline bool tlb_overlaps(const struct sluice_tlb_entry *e,
                                uint64_t first, uint64_t last)
{
	uint64_t size = e->size[0] | e->size[1];

	return e->first <= last && e->first + (size - 1) >= first && size;
}

static inline void tlb_probe(struct sluice_tlb_entry *e, uint64_t first,
                             uint64_t last)
{
	if (tlb_overlaps(e, first, last))
		e->size[0] = e->size[1] = 0;
}

#endif
