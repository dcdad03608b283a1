/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOVAs without a mapping: for callers who map elsewhere. Knows no table.
 */
#include "engine/engine_int.h"
#include "engine/iova_hot.h"

#include <errno.h>

noinline int map_no_iova(int rc)
{
	return msg_lit(rc, "no free IOVA range of that length, alignment and "
	                   "width: unmap something and poll, or widen the "
	                   "aperture");
}

static noinline int iova_alloc_as(struct sluice_view *view, uint64_t len,
                                  uint32_t align_lg2, uint32_t flags,
                                  sluice_iova_t *ret_iova)
{
	int window = IOVA_ANY, rc;

	if (!view->iova)
		return msg_lit(-EOPNOTSUPP, "this domain has no allocator: "
		                            "the caller chooses every IOVA");
	if (len == 0 || !aligned_lg2(len, SLUICE_PAGE_LG2) || align_lg2 > 48 ||
	    flags & ~(SLUICE_MAP_32BIT | MAP_WINDOWS))
		return msg_lit(-EINVAL, "len must be a multiple of 4096, "
		                        "align_lg2 at most 48 and the only "
		                        "flags SLUICE_MAP_32BIT and "
		                        "SLUICE_MAP_WINDOW");
	if (flags)
		window = aperture_window(view->domain, flags);
	if (window < 0)
		return window;
	/* No memory whose leaves it could have. */
	rc = iova_alloc(view->iova, len,
	                (unsigned)max_u64(align_lg2, SLUICE_PAGE_LG2),
	                (enum iova_window)window, ret_iova);
	return rc ? map_no_iova(rc) : 0;
}

int sluice_iova_alloc(struct sluice_view *view, uint64_t len,
                      uint32_t align_lg2, uint32_t flags,
                      sluice_iova_t *ret_iova)
{
	if (lane_check(view->lane))
		return -EPERM;
	if (likely(view->iova && !flags && !align_lg2))
		return iova_hot_alloc(view->iova, len, ret_iova);
	return iova_alloc_as(view, len, align_lg2, flags, ret_iova);
}

void sluice_iova_free(struct sluice_view *view, sluice_iova_t iova,
                      uint64_t len)
{
	if (lane_check(view->lane) || !view->iova)
		return;
	if (view->lane->online)
		iova_hot_free(view->iova, iova, len);
	else
		(void)msg_lit(-ENETDOWN, "the lane is offline: call "
		                         "sluice_lane_online() first");
}
