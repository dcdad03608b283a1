/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings: slots at fixed IOVAs. Knows which slots are mapped and which wait for
 * a ticket; what happens to a burst after its leaves are gone is view.c's. Two
 * kinds: those whose leaves are stores into a window of the table, and, for
 * large strides, domains with a VA side and formats without windows, those
 * that go through map and unmap of the table slot by slot. On a kernel backend
 * ring_kernel.c takes the calls over.
 */
#include "engine/ring_int.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MAX (1u << 24)
/* From here on a slot can hold a large leaf. */
#define STRIDE_LARGE_LG2 21

static int check_cfg(const struct sluice_view *view,
                     const struct sluice_ring_cfg *cfg)
{
	if (lane_check(view->lane))
		return -EPERM;
	if (!view->lane->online)
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (!view->iova)
		return msg_lit(-EOPNOTSUPP,
		               "rings need the IOVA allocator, which a "
		               "SLUICE_DOMAIN_CALLER_IOVA domain has not");
	if (cfg->nr_slots == 0 || cfg->nr_slots > SLOTS_MAX)
		return msg_fmt(-EINVAL, "nr_slots is %u; use 1 to %u",
		               cfg->nr_slots, SLOTS_MAX);
	if (cfg->stride == 0 || !aligned_lg2(cfg->stride, SLUICE_PAGE_LG2) ||
	    cfg->stride > bit64(63) / cfg->nr_slots)
		return msg_lit(-EINVAL, "stride must be a multiple of 4096, "
		                        "and nr_slots of it fit the address "
		                        "space");
	if (cfg->flags & ~(SLUICE_MAP_32BIT | MAP_WINDOWS))
		return msg_lit(-EINVAL, "only SLUICE_MAP_32BIT and "
		                        "SLUICE_MAP_WINDOW are flags of rings");
	return 0;
}

/* As few tables as possible: not over the border of one, if it fits. */
static int take_window(struct sluice_ring *ring, uint32_t flags)
{
	uint64_t len = ring->nr_slots * ring->stride;
	unsigned align = (unsigned)min_u64(lg2_ceil(len), STRIDE_LARGE_LG2);
	int rc = aperture_window(ring->view->domain, flags);
	enum iova_window part = (enum iova_window)rc;

	if (rc < 0)
		return rc;
	rc = iova_alloc(ring->view->iova, len, align, part, &ring->iova);
	if (rc)
		rc = iova_alloc(ring->view->iova, len, SLUICE_PAGE_LG2, part,
		                &ring->iova);
	if (rc)
		return msg_lit(rc, "no free IOVA range for a ring of that "
		                   "size: unmap something and poll, or widen "
		                   "the aperture");
	return 0;
}

/* Memory that agrees with an IOVA in the page only. */
static uint64_t no_large_leaf(uint64_t iova)
{
	return (iova & mask64(STRIDE_LARGE_LG2)) ^ SLUICE_PAGE_SIZE;
}

static int open_window(struct sluice_ring *ring)
{
	struct sluice_view *view = ring->view;
	uint64_t last = ring->iova + ring->nr_slots * ring->stride - 1;
	int rc;

	if (ring->stride >= bit64(STRIDE_LARGE_LG2) || view->domain->rev)
		return 0;
	if (view->domain->be)
		rc = pt_populate(view->pt, &view->lane->pc, ring->iova, last,
		                 no_large_leaf(ring->iova));
	else
		rc = pt_window_open(view->pt, &view->lane->pc, ring->iova, last,
		                    &ring->win);
	if (rc == -EOPNOTSUPP)
		return 0;
	if (rc == -ENOMEM)
		return msg_lit(rc, "no memory for the ring's page tables: "
		                   "raise max_table_bytes in "
		                   "sluice_engine_cfg");
	return rc;
}

int sluice_ring_create(struct sluice_view *view,
                       const struct sluice_ring_cfg *cfg,
                       struct sluice_ring **ret_ring)
{
	struct sluice_ring *ring;
	int rc;

	if (!view || !cfg || !ret_ring)
		return msg_lit(-EINVAL, "view, cfg or ret_ring is NULL");
	rc = check_cfg(view, cfg);
	if (rc)
		return rc;
	ring = calloc(1, sizeof(*ring) + cfg->nr_slots * sizeof(uint64_t));
	if (!ring)
		return msg_lit(-ENOMEM, "no memory for a ring");
	ring->view = view;
	ring->stride = cfg->stride;
	ring->nr_slots = cfg->nr_slots;
	ring->nr_quick = view->domain->be ? 0 : cfg->nr_slots;
	ring->max_oa = pt_max_oa(view->pt);
	rc = take_window(ring, cfg->flags);
	if (rc == 0) {
		rc = open_window(ring);
		if (rc)
			iova_free(view->iova, ring->iova,
			          ring->nr_slots * ring->stride);
	}
	if (rc) {
		free(ring);
		return rc;
	}
	view->nr_rings++;
	*ret_ring = ring;
	return 0;
}

int sluice_ring_destroy(struct sluice_ring *ring)
{
	struct sluice_view *view;
	uint64_t len, newest = 0;
	int rc;

	if (!ring)
		return 0;
	view = ring->view;
	if (lane_check(view->lane))
		return -EPERM;
	for (uint32_t i = 0; i < ring->nr_slots; i++)
		newest = max_u64(newest, ring->slot[i]);
	if (newest & SLOT_MAPPED)
		return msg_lit(-EBUSY, "slots of the ring are mapped: unmap "
		                       "them first");
	len = ring->nr_slots * ring->stride;
	if (view->domain->be) {
		rc = kring_end(ring);
		if (rc < 0)
			return rc;
		if (rc)
			iova_free(view->iova, ring->iova, len);
	} else if (newest <= view->passed) {
		iova_free(view->iova, ring->iova, len);
	} else {
		if (!view->lane->online)
			return msg_lit(-ENETDOWN,
			               "the lane is offline and the ring's "
			               "last unmaps have not passed: poll "
			               "first");
		if (!view_has_room(view))
			return msg_lit(-EAGAIN,
			               "too many unmaps in flight: call "
			               "sluice_poll(), then try again");
		/* Behind the last of them; the window goes with it. */
		view_retire(view, ring->iova, len, 0, 0);
	}
	view->nr_rings--;
	pt_window_close(ring->win);
	free(ring);
	return 0;
}

sluice_iova_t sluice_ring_iova(const struct sluice_ring *ring, uint32_t slot)
{
	return ring->iova + slot * ring->stride;
}

noinline int ring_refuse_map(const struct sluice_ring *ring, uint32_t slot,
                             uint64_t va, uint64_t len, uint32_t prot)
{
	if (!ring->view->lane->online)
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (slot >= ring->nr_slots)
		return msg_fmt(-EINVAL, "the ring has %u slots, from 0 on",
		               ring->nr_slots);
	if (!aligned_lg2(va | len, SLUICE_PAGE_LG2) || len - 1 >= ring->stride)
		return msg_lit(-EINVAL, "address and length must be multiples "
		                        "of 4096, the length not 0 and at "
		                        "most the stride");
	if (prot == 0 || prot & ~SLUICE_RW)
		return msg_lit(-EINVAL, "prot must be SLUICE_READ, "
		                        "SLUICE_WRITE or both");
	if (ring->slot[slot] & SLOT_MAPPED)
		return msg_lit(-EEXIST, "the slot is mapped: unmap it first");
	if (ring->slot[slot] == SLOT_LOST ||
	    (ring->slot[slot] <= ring->view->passed &&
	     !sluice_ticket_passed(ring->view,
	                           (struct sluice_ticket){ring->slot[slot]})))
		return msg_lit(-EIO, "the kernel refused to take the slot "
		                     "back: it cannot be used again");
	if (ring->slot[slot] > ring->view->passed)
		return msg_lit(-EBUSY, "the slot was unmapped and its ticket "
		                       "has not passed: poll, then try again");
	return msg_lit(-EINVAL,
	               "the domain's table format cannot express this address "
	               "or permission (most have no write-only pages: use "
	               "SLUICE_RW, or vtdss)");
}

/* True when the arguments are fine and the slot is free. */
static bool may_map(const struct sluice_ring *ring, uint32_t slot, uint64_t va,
                    uint64_t len, uint32_t prot)
{
	return ring->view->lane->online && slot < ring->nr_quick &&
	       aligned_lg2(va | len, SLUICE_PAGE_LG2) &&
	       len - 1 < ring->stride && prot - 1 < SLUICE_RW &&
	       ring->slot[slot] <= ring->view->passed;
}

static noinline int map_slow(struct sluice_ring *ring, uint32_t slot,
                             uint64_t va, uint64_t len, uint32_t prot)
{
	const struct be_seg seg = {va, len};
	bool undone = false;
	int rc;

	if (va > UINT64_MAX - (len - 1))
		return msg_lit(-EINVAL, "the memory wraps around the end of "
		                        "the address space");
	rc = map_leaves(ring->view, sluice_ring_iova(ring, slot), &seg, 1, prot,
	                &undone);
	return rc ? map_error(rc) : 0;
}

static int map_window(struct sluice_ring *ring, uint32_t slot, uint64_t va,
                      uint64_t len, uint32_t prot)
{
	const struct pt_window *w = ring->win;
	uint64_t page = slot * (ring->stride >> SLUICE_PAGE_LG2);

	if (unlikely(len - 1 > ring->max_oa || va > ring->max_oa - (len - 1) ||
	             !w->word[prot]))
		return ring_refuse_map(ring, slot, va, len, prot);
	if (likely(len == SLUICE_PAGE_SIZE
	                   ? pt_window_set(w, page, va, prot)
	                   : pt_window_fill(w, page, len >> SLUICE_PAGE_LG2, va,
	                                    prot)))
		return 0;
	return msg_lit(-EEXIST, "there is a mapping that is not the ring's: "
	                        "only sluice_ring_unmap() may unmap its "
	                        "slots");
}

/* What does not pass the quick checks: a mistake, or a kernel backend. */
static noinline int not_now(struct sluice_ring *ring, uint32_t slot,
                            uint64_t va, uint64_t len, uint32_t prot,
                            sluice_iova_t *ret_iova)
{
	if (!ring->nr_quick)
		return kring_map(ring, slot, va, len, prot, ret_iova);
	ctr_add(&ring->view->st.map_failures, 1);
	return ring_refuse_map(ring, slot, va, len, prot);
}

int sluice_ring_map(struct sluice_ring *ring, uint32_t slot, uint64_t va,
                    uint64_t len, uint32_t prot, sluice_iova_t *ret_iova)
{
	struct sluice_view *view = ring->view;
	int rc;

	if (lane_check(view->lane))
		return -EPERM;
	if (unlikely(!may_map(ring, slot, va, len, prot)))
		return not_now(ring, slot, va, len, prot, ret_iova);
	if (likely(ring->win))
		rc = map_window(ring, slot, va, len, prot);
	else
		rc = map_slow(ring, slot, va, len, prot);
	if (unlikely(rc)) {
		ctr_add(&view->st.map_failures, 1);
		return rc;
	}
	ring->slot[slot] = SLOT_MAPPED | len >> SLUICE_PAGE_LG2;
	ctr_add(&view->st.maps, 1);
	ctr_add(&view->st.map_bytes, len);
	if (ret_iova)
		*ret_iova = sluice_ring_iova(ring, slot);
	return 0;
}

/* Part of a burst that does not wrap. */
struct run {
	uint32_t first, nr;
	uint64_t pages; /* mapped */
};

/* Every slot is mapped, and how many pages that makes. */
static bool run_mapped(const struct sluice_ring *ring, struct run *run)
{
	uint64_t all = SLOT_MAPPED, pages = 0;

	for (uint32_t i = 0; i < run->nr; i++) {
		uint64_t s = ring->slot[run->first + i];

		all &= s;
		pages += s & ~SLOT_MAPPED;
	}
	run->pages = pages;
	return all != 0;
}

/* 0, -errno, or KERNEL_RING: nothing was looked at. */
#define KERNEL_RING 1

static int check_unmap(const struct sluice_ring *ring, struct run run[2],
                       uint32_t first, uint32_t nr)
{
	const struct sluice_view *view = ring->view;
	uint32_t room = ring->nr_quick - first;

	if (unlikely(!view->lane->online))
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (unlikely(first >= ring->nr_quick || nr == 0 || nr > ring->nr_quick))
		return ring->nr_quick == 0
		               ? KERNEL_RING
		               : msg_fmt(-EINVAL,
		                         "the ring has %u slots, from 0 on",
		                         ring->nr_slots);
	run[0] = (struct run){.first = first, .nr = nr};
	run[1] = (struct run){0};
	if (unlikely(nr > room)) {
		run[0].nr = room;
		run[1].nr = nr - room;
	}
	if (unlikely(view->tail - view->emitted + (run[1].nr != 0) >
	             view->pend_mask))
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	if (unlikely(!run_mapped(ring, &run[0]) ||
	             (run[1].nr && !run_mapped(ring, &run[1]))))
		return msg_lit(-ENOENT, "a slot of the burst is not mapped");
	return 0;
}

static void clear_run(struct sluice_ring *ring, const struct run *run)
{
	uint64_t each = ring->stride >> SLUICE_PAGE_LG2;

	if (likely(ring->win && run->pages == run->nr * each)) {
		pt_window_clear(ring->win, run->first * each, run->pages);
		return;
	}
	for (uint32_t i = run->first; i < run->first + run->nr; i++) {
		uint64_t pages = ring->slot[i] & ~SLOT_MAPPED;
		uint64_t iova = sluice_ring_iova(ring, i);

		if (ring->win)
			pt_window_clear(ring->win, i * each, pages);
		else
			/* What is gone already is gone. */
			(void)unmap_leaves(ring->view->domain, ring->view, iova,
			                   iova + (pages << SLUICE_PAGE_LG2) -
			                           1);
	}
}

/* The leaves go, and [run] waits in the view for its ticket. */
static void retire_run(struct sluice_ring *ring, const struct run *run,
                       uint64_t seq, uint64_t cookie, uint8_t flags)
{
	struct sluice_view *view = ring->view;
	uint64_t iova = sluice_ring_iova(ring, run->first);
	uint64_t len = run->nr * ring->stride;

	clear_run(ring, run);
	for (uint32_t i = 0; i < run->nr; i++)
		ring->slot[run->first + i] = seq;
	if (tlb_drop(&view->hot, iova, iova + len - 1))
		ctr_add(&view->st.flushes, 1);
	view_retire(view, iova, len, cookie, flags | PEND_STAYS);
	ctr_add(&view->st.unmaps, run->nr);
	ctr_add(&view->st.unmap_bytes, run->pages << SLUICE_PAGE_LG2);
}

int sluice_ring_unmap(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                      uint64_t cookie, struct sluice_ticket *ret_ticket)
{
	struct sluice_view *view = ring->view;
	struct run run[2];
	uint64_t seq;
	int rc;

	if (lane_check(view->lane))
		return -EPERM;
	rc = check_unmap(ring, run, first, nr);
	if (unlikely(rc == KERNEL_RING))
		return kring_unmap(ring, first, nr, cookie, ret_ticket);
	if (unlikely(rc)) {
		ctr_add(&view->st.unmap_failures, 1);
		return rc;
	}
	/* No return from here: the leaves disappear. */
	seq = view->tail + 1 + (run[1].nr != 0);
	if (unlikely(run[1].nr))
		retire_run(ring, &run[0], seq, 0, 0);
	retire_run(ring, &run[run[1].nr != 0], seq, cookie,
	           view->lazy ? 0 : PEND_NOTIFY);
	if (ret_ticket)
		ret_ticket->seq = seq;
	return view->lazy ? 0 : 1;
}

static int check_burst(const struct sluice_ring *ring, uint32_t first,
                       uint32_t nr, const uint64_t *va, uint32_t prot)
{
	if (!ring->view->lane->online)
		return msg_lit(-ENETDOWN, "the lane is offline: call "
		                          "sluice_lane_online() first");
	if (!va)
		return msg_lit(-EINVAL, "va is NULL");
	if (first >= ring->nr_slots || nr == 0 || nr > ring->nr_slots - first)
		return msg_fmt(-EINVAL,
		               "the ring has %u slots: a burst that is mapped "
		               "together ends at the last, map the rest as a "
		               "burst of its own",
		               ring->nr_slots);
	if (!view_has_room(ring->view))
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	for (uint32_t i = 0; i < nr; i++)
		if (!aligned_lg2(va[i], SLUICE_PAGE_LG2) || prot == 0 ||
		    prot & ~SLUICE_RW || va[i] > UINT64_MAX - ring->stride ||
		    ring->slot[first + i] > ring->view->passed ||
		    !sluice_ticket_passed(
		            ring->view,
		            (struct sluice_ticket){ring->slot[first + i]}))
			return ring_refuse_map(ring, first + i, va[i],
			                       ring->stride, prot);
	return 0;
}

/* All or none: what was mapped before one that fails waits for a ticket. */
static int map_each(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                    const uint64_t *va, uint32_t prot)
{
	struct run run = {.first = first};
	int rc;

	for (uint32_t i = 0; i < nr; i++) {
		rc = sluice_ring_map(ring, first + i, va[i], ring->stride, prot,
		                     NULL);
		if (unlikely(rc))
			break;
		run.nr++;
	}
	if (likely(run.nr == nr))
		return 0;
	if (run.nr) {
		(void)run_mapped(ring, &run);
		retire_run(ring, &run, ring->view->tail + 1, 0, 0);
	}
	return rc;
}

int sluice_ring_map_burst(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                          const uint64_t *va, uint32_t prot, uint64_t cookie)
{
	int rc;

	if (lane_check(ring->view->lane))
		return -EPERM;
	rc = check_burst(ring, first, nr, va, prot);
	if (rc) {
		ctr_add(&ring->view->st.map_failures, 1);
		return rc;
	}
	return ring->nr_quick
	               ? map_each(ring, first, nr, va, prot)
	               : kring_map_burst(ring, first, nr, va, prot, cookie);
}
