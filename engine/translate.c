/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The miss path of a translation, and the forms of translation that are not
 * inlined. Fills the view's IOTLB; never posts, never frees.
 */
#include "engine/engine_int.h"

#include <errno.h>

static int64_t fault(struct sluice_view *view, int err, const char *text)
{
	ctr_add(&view->st.faults, 1);
	return msg_lit(err, text);
}

int64_t sluice_translate_miss(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	struct pt_run leaf;
	int rc;

	if (lane_check(view->lane))
		return -EPERM;
	if (unlikely(len == 0 || access == 0 || access & ~SLUICE_RW))
		return msg_lit(-EINVAL, "len must not be 0 and access must be "
		                        "SLUICE_READ, SLUICE_WRITE or both");
	if (unlikely(!view->lane->online))
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	ctr_add(&view->st.misses, 1);
	rc = pt_walk(view->pt, iova, &leaf);
	if (unlikely(rc == -EINVAL))
		return fault(view, -EINVAL,
		             "the IOVA is wider than the "
		             "domain");
	if (unlikely(rc))
		return fault(view, -EFAULT, "the IOVA is not mapped");
	if (unlikely(access & ~leaf.prot))
		return fault(view, -EACCES,
		             "the mapping does not allow that "
		             "access");
	tlb_fill(&view->hot, iova, leaf.iova, leaf.last, leaf.oa - leaf.iova,
	         leaf.prot & SLUICE_RW);
	*ret_oa = leaf.oa + (iova - leaf.iova);
	return (int64_t)min_u64(len, leaf.last - iova + 1);
}

int64_t sluice_translate_call(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	return sluice_translate(view, iova, len, access, ret_oa);
}

uint32_t sluice_translate_batch(struct sluice_view *view,
                                const sluice_iova_t *iova, uint32_t n,
                                uint64_t len, uint32_t access,
                                sluice_oa_t *ret_oa, int64_t *ret_n)
{
	uint32_t full = 0;

	for (uint32_t i = 0; i < n; i++) {
		ret_n[i] = sluice_translate(view, iova[i], len, access,
		                            &ret_oa[i]);
		full += ret_n[i] == (int64_t)len;
	}
	return full;
}

int64_t sluice_va_to_iova(struct sluice_view *view, uint64_t va, uint64_t len,
                          sluice_iova_t *ret_iova)
{
	struct pt_run leaf;

	if (lane_check(view->lane))
		return -EPERM;
	if (!view->domain->rev)
		return msg_lit(-EOPNOTSUPP,
		               "the domain keeps no VA side: create it with "
		               "SLUICE_DOMAIN_VA_LOOKUP");
	if (len == 0)
		return msg_lit(-EINVAL, "len must not be 0");
	if (!view->lane->online)
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (pt_walk(view->domain->rev, va, &leaf))
		return msg_lit(-EFAULT, "this memory is not mapped in the "
		                        "domain");
	*ret_iova = leaf.oa + (va - leaf.iova);
	return (int64_t)min_u64(len, leaf.last - va + 1);
}
