/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translation, inlined into the caller: a hit reads one entry of the lane's
 * own IOTLB, no atomic, no shared line, no call.
 */
#ifndef SLUICE_TRANSLATE_H
#define SLUICE_TRANSLATE_H

#include <sluice/base.h>
#include <sluice/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One extent the lane has used. Owned and written by the lane alone, hence
 * no atomics. An empty entry has prot 0. */
struct sluice_tlb_entry {
	sluice_iova_t first;
	uint64_t span;  /* last - first */
	uint64_t delta; /* oa - iova, modulo 2^64 */
	uint64_t prot;
};

/* The first member of every view. Layout is ABI; do not write to it. */
struct sluice_view_hot {
	struct sluice_tlb_entry *tlb;
	uint64_t tlb_mask; /* entries - 1 */
	/* What was cached since the last flush lies in [low, high]; nothing
	 * when low > high. Not read by a hit. */
	sluice_iova_t low;
	sluice_iova_t high;
};

/* The miss path of sluice_translate(); same contract. */
SLUICE_API int64_t sluice_translate_miss(struct sluice_view *view,
                                         sluice_iova_t iova, uint64_t len,
                                         uint32_t access, sluice_oa_t *ret_oa);

/**
 * sluice_translate() - where an access of a device goes.
 * @len:    bytes the access wants, > 0
 * @access: SLUICE_READ, SLUICE_WRITE or both
 * @ret_oa: the output address of iova
 *
 * Thread: lane. Blocks: never. Valid until: the lane's next sluice_poll(),
 * sluice_lane_offline() or sluice_view_close().
 * Returns: how many bytes from iova on translate contiguously, at most len
 * (short when the access crosses a leaf: call again for the rest);
 * -EFAULT when iova is not mapped, -EACCES when it is mapped without that
 * access, -EINVAL for len 0 or access 0 or an iova wider than the domain.
 */
static inline int64_t sluice_translate(struct sluice_view *view,
                                       sluice_iova_t iova, uint64_t len,
                                       uint32_t access, sluice_oa_t *ret_oa)
{
	const struct sluice_view_hot *hot =
	        (const struct sluice_view_hot *)(const void *)view;
	const struct sluice_tlb_entry *e =
	        &hot->tlb[(iova >> SLUICE_PAGE_LG2) & hot->tlb_mask];
	uint64_t off = iova - e->first;

	/* len 0 and access 0 fall through to the miss path, which refuses. */
	if (SLUICE_LIKELY(off <= e->span && len - 1 <= e->span - off &&
	                  (access & ~e->prot) == 0 && access != 0)) {
		*ret_oa = iova + e->delta;
		return (int64_t)len;
	}
	return sluice_translate_miss(view, iova, len, access, ret_oa);
}

/* The same, out of line: for languages that cannot inline C. */
SLUICE_API int64_t sluice_translate_call(struct sluice_view *view,
                                         sluice_iova_t iova, uint64_t len,
                                         uint32_t access, sluice_oa_t *ret_oa);

/**
 * sluice_translate_batch() - n translations of len bytes each.
 * @ret_oa: n output addresses; untouched where the result is an error
 * @ret_n:  n results as sluice_translate() returns them
 *
 * Thread: lane. Returns: how many of the n translated in full.
 */
SLUICE_API uint32_t sluice_translate_batch(struct sluice_view *view,
                                           const sluice_iova_t *iova,
                                           uint32_t n, uint64_t len,
                                           uint32_t access, sluice_oa_t *ret_oa,
                                           int64_t *ret_n);

/**
 * sluice_va_to_iova() - the other direction: which IOVA a device must use for
 * memory that is mapped.
 *
 * Needs SLUICE_DOMAIN_VA_LOOKUP. When memory is mapped more than once the
 * answer is the mapping that was there first; the others are known by the IOVA
 * that sluice_map() returned, and take over no answer when the first goes.
 *
 * Thread: lane. Returns: bytes from va on that are contiguous in IOVA, at most
 * len; -EFAULT when va is not mapped; -EINVAL; -EOPNOTSUPP without the flag.
 */
SLUICE_API int64_t sluice_va_to_iova(struct sluice_view *view, uint64_t va,
                                     uint64_t len, sluice_iova_t *ret_iova);

#ifdef __cplusplus
}
#endif
#endif
