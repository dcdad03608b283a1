/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The miss path of a translation, in either direction: a large extent that is
 * cached, else one word through a table that the view remembers, else a walk.
 * Fills the view's IOTLB; never posts, never frees.
 */
#include "engine/engine_int.h"

#include <errno.h>

static int refuse_offline(void)
{
	return msg_lit(-ENETDOWN, "the lane is offline: call "
	                          "sluice_lane_online() first");
}

static noinline int64_t fault(struct sluice_view *view, uint64_t iova,
                              uint64_t len, uint32_t access, int err,
                              const char *text)
{
	ctr_add(&view->st.faults, 1);
	fault_record(&view->lane->faults, &(struct sluice_fault){
	                                          .iova = iova,
	                                          .len = len,
	                                          .device = view->device,
	                                          .domain = view->domain,
	                                          .lane = view->lane->id,
	                                          .access = access,
	                                          .error = err,
	                                  });
	return msg_lit(err, text);
}

/* A full IOTLB is filled by one in eight of the misses that one word answers:
 * what is asked for again and again gets there soon, and what is not does not
 * push it out. */
#define FILL_EVERY 8u

static noinline int64_t fill_near(struct sluice_view *view,
                                  struct sluice_view_hot *hot,
                                  const struct pt_near *near, uint64_t addr,
                                  uint64_t w, uint64_t len)
{
	uint64_t first = addr & ~(uint64_t)(SLUICE_PAGE_SIZE - 1);

	tlb_fill(hot, addr, first, first + (SLUICE_PAGE_SIZE - 1),
	         pt_near_oa(near, w) - first, pt_near_prot(near, w));
	if (view->fills == hot->tlb_mask)
		view->fill_mask = FILL_EVERY - 1;
	else
		view->fills++;
	return (int64_t)len;
}

/* True: a valid request that ends in the page where it begins, and one load
 * found the word of that page. False says nothing. */
static always_inline bool find_near(const struct sluice_view *view,
                                    const struct pt_near *near, uint64_t addr,
                                    uint64_t len, uint32_t access,
                                    uint64_t *ret_w)
{
	uint64_t mask = SLUICE_PAGE_SIZE - 1;

	return likely(view->reading && len - 1 <= (~addr & mask) &&
	              access - 1 < SLUICE_RW) &&
	       !lane_check(view->lane) &&
	       pt_near_find(near, addr, access, ret_w);
}

static always_inline int64_t answer_near(struct sluice_view *view,
                                         struct sluice_view_hot *hot,
                                         const struct pt_near *near,
                                         uint64_t addr, uint64_t w,
                                         uint64_t len, uint64_t *ret_to)
{
	uint64_t misses = ld_rlx(&view->st.misses) + 1;

	st_rlx(&view->st.misses, misses);
	*ret_to = pt_near_oa(near, w) + (addr & (SLUICE_PAGE_SIZE - 1));
	if (unlikely(!(misses & view->fill_mask)))
		return fill_near(view, hot, near, addr, w, len);
	return (int64_t)len;
}

/* Any length, any leaf, any refusal. */
static noinline int64_t translate_far(struct sluice_view *view, uint64_t iova,
                                      uint64_t len, uint32_t access,
                                      uint64_t *ret_oa)
{
	const struct sluice_tlb_entry *e;
	struct pt_run leaf;
	int rc;

	if (lane_check(view->lane))
		return -EPERM;
	if (unlikely(len == 0 || access == 0 || access & ~SLUICE_RW))
		return msg_lit(-EINVAL, "len must not be 0 and access must be "
		                        "SLUICE_READ, SLUICE_WRITE or both");
	if (unlikely(!view->lane->online))
		return refuse_offline();
	if (unlikely(!view->reading))
		view_join(view);
	e = tlb_find_large(&view->hot, iova, access);
	if (e) {
		*ret_oa = iova + e->delta;
		return (int64_t)min_u64(len, (e->size[0] | e->size[1]) -
		                                     (iova - e->first));
	}
	ctr_add(&view->st.misses, 1);
	if (unlikely(view->carve))
		rc = carve_walk(view, iova, &leaf);
	else
		rc = pt_walk_near(view->pt, &view->near, iova, &leaf);
	if (unlikely(rc == -EINVAL))
		return fault(view, iova, len, access, -EINVAL,
		             "the IOVA is wider than the domain");
	if (unlikely(rc))
		return fault(view, iova, len, access, -EFAULT,
		             "the IOVA is not mapped");
	if (unlikely(access & ~leaf.prot))
		return fault(view, iova, len, access, -EACCES,
		             "the mapping does not allow that access");
	tlb_fill(&view->hot, iova, leaf.iova, leaf.last, leaf.oa - leaf.iova,
	         leaf.prot & SLUICE_RW);
	*ret_oa = leaf.oa + (iova - leaf.iova);
	return (int64_t)min_u64(len, leaf.last - iova + 1);
}

int64_t sluice_translate_miss(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	uint64_t w;

	if (likely(find_near(view, &view->near, iova, len, access, &w)))
		return answer_near(view, &view->hot, &view->near, iova, w, len,
		                   ret_oa);
	return translate_far(view, iova, len, access, ret_oa);
}

int64_t sluice_translate_call(struct sluice_view *view, sluice_iova_t iova,
                              uint64_t len, uint32_t access,
                              sluice_oa_t *ret_oa)
{
	return sluice_translate(view, iova, len, access, ret_oa);
}

/* Translations that are under way together: as many misses of the cache as a
 * core can have, and some in store for when the first ones come back. */
#define GROUP 32u

/* Straight through the tables: 8 bytes a page, where an entry of the IOTLB has
 * 32, and nothing to write. First all words are asked for, then read. */
static always_inline uint32_t translate_group(struct sluice_view *view,
                                              const struct pt_near *near,
                                              const uint64_t *iova, uint32_t n,
                                              uint64_t len, uint32_t access,
                                              uint64_t *ret_oa, int64_t *ret_n)
{
	uint64_t mask = SLUICE_PAGE_SIZE - 1;
	const au64 *slot[GROUP];
	uint32_t full = 0;

	for (uint32_t i = 0; i < n; i++) {
		slot[i] = pt_near_slot(near, iova[i]);
		__builtin_prefetch((const void *)slot[i]);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t off = iova[i] & mask;
		uint64_t w;

		if (likely(slot[i] && len - 1 <= mask - off) &&
		    likely(pt_near_read(near, slot[i], access, &w))) {
			ret_oa[i] = pt_near_oa(near, w) | off;
			ret_n[i] = (int64_t)len;
			full++;
			continue;
		}
		ret_n[i] = sluice_translate(view, iova[i], len, access,
		                            &ret_oa[i]);
		full += ret_n[i] == (int64_t)len;
	}
	return full;
}

uint32_t sluice_translate_batch(struct sluice_view *view,
                                const sluice_iova_t *iova, uint32_t n,
                                uint64_t len, uint32_t access,
                                sluice_oa_t *ret_oa, int64_t *ret_n)
{
	struct pt_near near;
	uint32_t full = 0, i;

	if (lane_check(view->lane) || access - 1 >= SLUICE_RW)
		len = 0;
	/* An offline lane remembers no table. */
	if (unlikely(!view->reading) && view->lane->online)
		view_join(view);
	near = view->near;
	for (i = 0; n - i >= GROUP; i += GROUP)
		full += translate_group(view, &near, iova + i, GROUP, len,
		                        access, ret_oa + i, ret_n + i);
	return full + translate_group(view, &near, iova + i, n - i, len, access,
	                              ret_oa + i, ret_n + i);
}

static noinline int64_t va_far(struct sluice_view *view, uint64_t va,
                               uint64_t len, uint64_t *ret_iova)
{
	const struct sluice_tlb_entry *e;
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
		return refuse_offline();
	if (unlikely(!view->reading))
		view_join(view);
	e = tlb_find_large(&view->va, va, SLUICE_READ);
	if (e) {
		*ret_iova = va + e->delta;
		return (int64_t)min_u64(len, e->size[0] - (va - e->first));
	}
	ctr_add(&view->st.misses, 1);
	if (pt_walk_near(view->domain->rev, &view->va_near, va, &leaf))
		return msg_lit(-EFAULT, "this memory is not mapped in the "
		                        "domain");
	tlb_fill(&view->va, va, leaf.iova, leaf.last, leaf.oa - leaf.iova,
	         SLUICE_READ);
	*ret_iova = leaf.oa + (va - leaf.iova);
	return (int64_t)min_u64(len, leaf.last - va + 1);
}

int64_t sluice_va_to_iova_miss(struct sluice_view *view, uint64_t va,
                               uint64_t len, sluice_iova_t *ret_iova)
{
	uint64_t w;

	if (likely(view->va_near.slot) &&
	    likely(find_near(view, &view->va_near, va, len, SLUICE_READ, &w)))
		return answer_near(view, &view->va, &view->va_near, va, w, len,
		                   ret_iova);
	return va_far(view, va, len, ret_iova);
}

int64_t sluice_va_to_iova_call(struct sluice_view *view, uint64_t va,
                               uint64_t len, sluice_iova_t *ret_iova)
{
	return sluice_va_to_iova(view, va, len, ret_iova);
}

void view_join(struct sluice_view *view)
{
	invlog_online(view->log, view->reader);
	/* Maps and unmaps remember tables too, which may have been given back
	 * since: nothing waited for this view. */
	view_forget(view);
	view_refill(view);
	view->reading = true;
	view->vain_drains = 0;
	view_awake(view);
}

void view_leave(struct sluice_view *view)
{
	if (!view->reading)
		return;
	tlb_flush(&view->hot);
	if (view->domain->rev)
		tlb_flush(&view->va);
	view->reading = false;
	invlog_offline(view->log, view->reader);
}

void view_forget(struct sluice_view *view)
{
	if (view->revive)
		revive_forget(view->revive, view->tail);
	pt_near_drop(&view->near);
	if (view->va_near.slot)
		pt_near_drop(&view->va_near);
}

int sluice_hold_take(struct sluice_view *view, sluice_iova_t iova, uint64_t len,
                     struct sluice_hold *ret_hold)
{
	uint64_t last;
	int id;

	if (lane_check(view->lane))
		return -EPERM;
	if (!range_last(iova, len, &last))
		return msg_lit(-EINVAL, "the range to hold is empty or wraps");
	if (!view->lane->online)
		return refuse_offline();
	id = holds_take(view->log_side.holds, iova, last);
	if (id < 0)
		return msg_fmt(-ENOSPC,
		               "%u ranges are held already: release some",
		               HOLDS_MAX);
	ret_hold->id = (uint32_t)id;
	if (unlikely(!view->reading))
		view_join(view);
	return 0;
}

int sluice_hold_release(struct sluice_view *view, struct sluice_hold hold)
{
	if (lane_check(view->lane))
		return -EPERM;
	if (!holds_release(view->log_side.holds, hold.id))
		return msg_lit(-EINVAL, "no such hold: it was released before, "
		                        "or belongs to another view");
	/* The next poll may publish what it held back. */
	view_awake(view);
	return 0;
}
