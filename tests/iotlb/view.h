/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A view that is nothing but its IOTLB: lets the tests of this room go through
 * the public inline hit path. A program that includes this defines
 * sluice_translate_miss() itself.
 */
#ifndef TESTS_IOTLB_VIEW_H
#define TESTS_IOTLB_VIEW_H

#include "iotlb/iotlb.h"

#define PAGE ((uint64_t)SLUICE_PAGE_SIZE)

struct sluice_view {
	struct sluice_view_hot hot;
	void *ctx;
};

/* With the miss path of the unit tests, which answers -EFAULT: does the IOTLB
 * hold iova, and what does it say? */
static inline bool cached(struct sluice_view *view, uint64_t iova,
                          uint64_t *ret_oa)
{
	return sluice_translate(view, iova, 1, SLUICE_READ, ret_oa) == 1;
}

static inline bool has(struct sluice_view *view, uint64_t iova)
{
	uint64_t oa;

	return cached(view, iova, &oa);
}

/* Caches a leaf of pages pages at page number nr, missed at page at of it. */
static inline void fill(struct sluice_view *view, uint64_t nr, uint64_t pages,
                        uint64_t at)
{
	tlb_fill(&view->hot, (nr + at) * PAGE, nr * PAGE,
	         (nr + pages) * PAGE - 1, 0x100000000u, SLUICE_RW);
}

static inline struct invlog_rec rec_of(uint64_t nr, uint64_t pages)
{
	return (struct invlog_rec){nr * PAGE, (nr + pages) * PAGE - 1};
}

#endif
