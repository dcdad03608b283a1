/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast ways of a lane's own store of IOVAs, inline: a call is a third of
 * what they take. Stacks of exact sizes and the slice in the zone that is tried
 * first; whatever else it takes is behind a call.
 */
#ifndef SLUICE_ENGINE_IOVA_HOT_H
#define SLUICE_ENGINE_IOVA_HOT_H

#include "engine/iova_priv.h"

/* cls: pages less one, below c->nr_classes. */
static always_inline bool iova_hot_take(struct iova_zone_cache *z, uint64_t cls,
                                        uint64_t len, uint64_t *ret_iova)
{
	uint32_t nr = ld_rlx(&z->nr[cls]);
	uint64_t cur;

	if (likely(nr)) {
		st_rlx(&z->nr[cls], nr - 1);
		*ret_iova = z->range[cls][nr - 1];
		return true;
	}
	cur = ld_rlx(&z->cur);
	if (ld_rlx(&z->end) - cur < len)
		return false;
	st_rlx(&z->cur, cur + len);
	*ret_iova = cur;
	return true;
}

/* The same for one page. */
static always_inline bool iova_hot_page(struct iova_cache *c,
                                        uint64_t *ret_iova)
{
	return likely(c->nr_classes) &&
	       iova_hot_take(c->any, 0, SLUICE_PAGE_SIZE, ret_iova);
}

/* iova_alloc() with pages' alignment, in any window. */
static always_inline int iova_hot_alloc(struct iova_cache *c, uint64_t len,
                                        uint64_t *ret_iova)
{
	/* A length of 0 becomes the largest class: a miss. */
	uint64_t cls = iova_pages(len) - 1;

	if (unlikely(cls >= c->nr_classes ||
	             !iova_hot_take(c->any, cls, len, ret_iova)))
		return iova_alloc(c, len, SLUICE_PAGE_LG2, IOVA_ANY, ret_iova);
	iova_check_out(c->sp, *ret_iova, len);
	return 0;
}

static always_inline bool iova_touches_hull(const struct iova_zone *sz,
                                            uint64_t iova, uint64_t last)
{
	return iova <= ld_rlx(&sz->reserved_last) &&
	       last >= ld_rlx(&sz->reserved_first);
}

/* iova_free() */
static always_inline void iova_hot_free(struct iova_cache *c, uint64_t iova,
                                        uint64_t len)
{
	uint64_t cls = iova_pages(len) - 1;
	struct iova_zone_cache *z = c->any;
	uint32_t nr;

	if (!iova_check_back(c->sp, iova, len))
		return;
	/* The zone is compared, not computed, so that the stack's address does
	 * not wait for the range's. */
	if (unlikely(cls >= c->nr_classes ||
	             iova_pages(iova - c->any_first) > c->any_pages ||
	             iova_touches_hull(c->hull, iova, iova + len - 1))) {
		iova_free_slow(c, iova, len);
		return;
	}
	nr = ld_rlx(&z->nr[cls]);
	if (unlikely(nr == STACK_MAX)) {
		iova_free_slow(c, iova, len);
		return;
	}
	z->range[cls][nr] = iova;
	st_rlx(&z->nr[cls], nr + 1);
}

#endif
