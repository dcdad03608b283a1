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

/* One extent the lane has used: naturally aligned, 2^n bytes. Owned and written
 * by the lane alone, hence no atomics. */
struct sluice_tlb_entry {
	sluice_iova_t first;
	uint64_t delta; /* oa - iova, modulo 2^64 */
	/* Its size for those who read, and for those who write: 2^n bytes,
	 * below 2^63, or 0 where that is not allowed. Both 0: empty. */
	uint64_t size[2];
};

/* Every view begins with two of these: IOVA to OA, then VA to IOVA. Layout is
 * ABI; do not write to it. */
struct sluice_view_hot {
	struct sluice_tlb_entry *tlb;
	uint64_t tlb_mask; /* entries - 1 */
	/* The large extents that were cached since the last flush lie in
	 * [low, high]; none when low > high. Not read by a hit. */
	sluice_iova_t low;
	sluice_iova_t high;
	uint64_t filled; /* 0: nothing was cached since the last flush */
};

/* The size of an entry for an access; 0 for what is no access. */
static inline uint64_t sluice_tlb_size(const struct sluice_tlb_entry *e,
                                       uint32_t access)
{
	if (access - 1 >= SLUICE_RW)
		return 0;
	return e->size[access >> 1] & e->size[!(access & SLUICE_READ)];
}

/* Nothing that is added to an offset below 2^63 wraps: known before it runs. */
#if defined(__GNUC__)
#define SLUICE_IS_SHORT(more)                                                  \
	(__builtin_constant_p(more) && (more) <= UINT32_MAX)
#else
#define SLUICE_IS_SHORT(more) 0
#endif

/*
 * The hit: true, and *ret_to is where addr goes. For sluice_translate() and
 * sluice_va_to_iova(); empty and very long requests are no hit.
 *
 * Numbers lie below a power of two when their bits together do: the offset of
 * the first byte (an address below first has one beyond any size), that of the
 * last, and the distance, without which their sum could wrap.
 */
static inline int sluice_tlb_hit(const struct sluice_view_hot *hot,
                                 uint64_t addr, uint64_t len, uint32_t access,
                                 uint64_t *ret_to)
{
	const struct sluice_tlb_entry *e =
	        &hot->tlb[(addr >> SLUICE_PAGE_LG2) & hot->tlb_mask];
	uint64_t off = addr - e->first;
	uint64_t more = len - 1;
	uint64_t bits = off | (off + more) | (SLUICE_IS_SHORT(more) ? 0 : more);

	if (SLUICE_LIKELY(bits < sluice_tlb_size(e, access))) {
		*ret_to = addr + e->delta;
		return 1;
	}
	return 0;
}

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
 * access, -EINVAL for len 0 or access 0 or an iova wider than the domain,
 * -ENETDOWN (lane is offline). The first three are recorded as faults, see
 * sluice_lane_faults().
 */
static inline int64_t sluice_translate(struct sluice_view *view,
                                       sluice_iova_t iova, uint64_t len,
                                       uint32_t access, sluice_oa_t *ret_oa)
{
	const struct sluice_view_hot *hot =
	        (const struct sluice_view_hot *)(const void *)view;

	if (SLUICE_LIKELY(sluice_tlb_hit(hot, iova, len, access, ret_oa)))
		return (int64_t)len;
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

/* The miss path of sluice_va_to_iova(); same contract. */
SLUICE_API int64_t sluice_va_to_iova_miss(struct sluice_view *view, uint64_t va,
                                          uint64_t len,
                                          sluice_iova_t *ret_iova);

/**
 * sluice_va_to_iova() - the other direction: which IOVA a device must use for
 * memory that is mapped.
 *
 * Needs SLUICE_DOMAIN_VA_LOOKUP. When memory is mapped more than once the
 * answer is the mapping that was there first; the others are known by the IOVA
 * that sluice_map() returned, and take over no answer when the first goes.
 *
 * Thread: lane. Valid until: as sluice_translate(). Returns: bytes from va on
 * that are contiguous in IOVA, at most len; -EFAULT when va is not mapped;
 * -EINVAL; -EOPNOTSUPP without the flag; -ENETDOWN.
 */
static inline int64_t sluice_va_to_iova(struct sluice_view *view, uint64_t va,
                                        uint64_t len, sluice_iova_t *ret_iova)
{
	const struct sluice_view_hot *hot =
	        (const struct sluice_view_hot *)(const void *)view;

	if (SLUICE_LIKELY(
	            sluice_tlb_hit(hot + 1, va, len, SLUICE_READ, ret_iova)))
		return (int64_t)len;
	return sluice_va_to_iova_miss(view, va, len, ret_iova);
}

/* The same, out of line. */
SLUICE_API int64_t sluice_va_to_iova_call(struct sluice_view *view, uint64_t va,
                                          uint64_t len,
                                          sluice_iova_t *ret_iova);

/* A translation that must outlive sluice_poll(). Fill in by sluice_hold_take().
 */
struct sluice_hold {
	uint32_t id;
};

/**
 * sluice_hold_take() - keep translations of a range valid across polls.
 * @iova, @len: the range; what was translated in it since the last poll, or
 *              will be, stays valid until sluice_hold_release()
 *
 * For a device model that hands an address to somebody else: a disk read that
 * completes later. Unmaps of the range go on, but their tickets, and those
 * behind them, wait for the release. Up to 256 holds of a view at a time.
 *
 * Thread: lane. Blocks: never. Returns: 0; -EINVAL (empty or wrapping range);
 * -ENOSPC (256 holds: release some); -ENETDOWN (lane is offline).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_hold_take(struct sluice_view *view,
                                                  sluice_iova_t iova,
                                                  uint64_t len,
                                                  struct sluice_hold *ret_hold);

/* Thread: lane. Returns: 0; -EINVAL when that hold is not active. */
SLUICE_API int sluice_hold_release(struct sluice_view *view,
                                   struct sluice_hold hold);

/* An access that was refused. */
struct sluice_fault {
	sluice_iova_t iova;
	uint64_t len;
	uint64_t device;              /* sluice_view_set_device() */
	struct sluice_domain *domain; /* as long as it exists */
	uint32_t lane;                /* sluice_lane_id() */
	uint32_t access;              /* SLUICE_READ, SLUICE_WRITE */
	int32_t error;                /* -EFAULT, -EACCES, -EINVAL */
	uint32_t reserved;
};

/* On whose behalf the view translates from now on: any number, a PCI address or
 * a stream id for instance. It only appears in faults. Thread: lane. */
SLUICE_API void sluice_view_set_device(struct sluice_view *view,
                                       uint64_t device);

/**
 * sluice_lane_faults() - the refused accesses of a lane, oldest first.
 * @out:         room for max faults
 * @ret_dropped: NULL, or how many more were lost since the last call because
 *               256 were waiting
 *
 * Thread: lane. Blocks: never. Returns: faults written to out.
 */
SLUICE_API uint32_t sluice_lane_faults(struct sluice_lane *lane,
                                       struct sluice_fault *out, uint32_t max,
                                       uint64_t *ret_dropped);

#ifdef __cplusplus
}
#endif
#endif
