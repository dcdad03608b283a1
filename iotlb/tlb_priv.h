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

static inline void tlb_forget_bounds(struct sluice_view_hot *hot)
{
	hot->low = UINT64_MAX;
	hot->high = 0;
}

/* False: nothing in [first, last] was cached since the last flush. A lane that
 * only maps and unmaps never looks at its entries. */
static inline bool tlb_may_hold(const struct sluice_view_hot *hot,
                                uint64_t first, uint64_t last)
{
	return first <= hot->high && last >= hot->low;
}

static inline bool tlb_overlaps(const struct sluice_tlb_entry *e,
                                uint64_t first, uint64_t last)
{
	return e->first <= last && e->first + e->span >= first;
}

/* Prot 0 alone makes an entry empty: the hit path asks for at least one
 * permission and finds none, whatever the other words say. */
static inline void tlb_probe(struct sluice_view_hot *hot, uint64_t iova,
                             uint64_t first, uint64_t last)
{
	struct sluice_tlb_entry *e = tlb_slot(hot, iova);

	if (tlb_overlaps(e, first, last))
		e->prot = 0;
}

#endif
