/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings on a kernel backend: the window and its slots are the same, but each
 * mapping is the kernel's too. Knows which slots wait for the kernel and which
 * are one kernel mapping; how requests travel is kernel.c's. A slot that is
 * mapped alone is a kernel mapping of its own and dies alone, at one call to
 * the kernel each way; the slots of a burst that was mapped together share
 * mappings and die together.
 */
#include "engine/ring_int.h"

#include <errno.h>

void ring_map_done(struct sluice_ring *ring, uint64_t iova, uint64_t len,
                   bool mapped, uint64_t ticket)
{
	uint64_t first = (iova - ring->iova) / ring->stride;
	uint64_t last = (iova + len - 1 - ring->iova) / ring->stride;

	for (uint64_t i = first; i <= last; i++)
		if (mapped)
			ring->slot[i] &= ~SLOT_ASKED;
		else
			/* Of those that never pass there is one. */
			ring->slot[i] = min_u64(ticket, SLOT_LOST);
}

/* [iov], nr pieces of len bytes in all, from a slot on. */
static int submit(struct sluice_ring *ring, uint32_t slot,
                  const struct iovec *iov, uint32_t nr, uint64_t len,
                  uint32_t prot, uint64_t cookie)
{
	const struct sluice_map_req req = {
	        .prot = prot,
	        .flags = SLUICE_MAP_FIXED,
	        .cookie = cookie,
	};
	const struct map_args args = {
	        .req = &req,
	        .iov = iov,
	        .nr = nr,
	        .len = len,
	        .ring = ring,
	};
	struct sluice_view *view = ring->view;
	int rc = kernel_map(view, &args, sluice_ring_iova(ring, slot));

	if (rc < 0) {
		ctr_add(&view->st.map_failures, 1);
		return rc;
	}
	ctr_add(&view->st.map_bytes, len);
	return rc;
}

static bool may_map(const struct sluice_ring *ring, uint32_t slot, uint64_t va,
                    uint64_t len, uint32_t prot)
{
	return ring->view->lane->online && slot < ring->nr_slots &&
	       aligned_lg2(va | len, SLUICE_PAGE_LG2) &&
	       len - 1 < ring->stride && prot - 1 < SLUICE_RW &&
	       ring->slot[slot] <= ring->view->passed &&
	       sluice_ticket_passed(ring->view,
	                            (struct sluice_ticket){ring->slot[slot]});
}

static int check_map(const struct sluice_ring *ring, uint32_t slot, uint64_t va,
                     uint64_t len, uint32_t prot)
{
	if (!may_map(ring, slot, va, len, prot))
		return ring_refuse_map(ring, slot, va, len, prot);
	if (va > UINT64_MAX - (len - 1))
		return msg_lit(-EINVAL, "the memory wraps around the end of "
		                        "the address space");
	/* For the take-back of a map whose leaves fail. */
	if (!view_has_room(ring->view))
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	return 0;
}

int kring_map(struct sluice_ring *ring, uint32_t slot, uint64_t va,
              uint64_t len, uint32_t prot, sluice_iova_t *ret_iova)
{
	const struct iovec iov = {(void *)(uintptr_t)va, len};
	int rc = check_map(ring, slot, va, len, prot);

	if (rc) {
		ctr_add(&ring->view->st.map_failures, 1);
		return rc;
	}
	rc = submit(ring, slot, &iov, 1, len, prot, slot);
	if (rc < 0)
		return rc;
	ring->slot[slot] = SLOT_MAPPED | SLOT_ASKED | len >> SLUICE_PAGE_LG2;
	ctr_add(&ring->view->st.maps, 1);
	if (ret_iova)
		*ret_iova = sluice_ring_iova(ring, slot);
	return rc;
}

int kring_map_burst(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                    const uint64_t *va, uint32_t prot, uint64_t cookie)
{
	uint64_t each = ring->stride, pages = each >> SLUICE_PAGE_LG2;
	struct iovec iov[MAX_SG];
	uint32_t n = 1;
	int rc;

	iov[0] = (struct iovec){(void *)(uintptr_t)va[0], each};
	for (uint32_t i = 1; i < nr; i++) {
		if (va[i] == va[i - 1] + each) {
			iov[n - 1].iov_len += each;
			continue;
		}
		if (n == MAX_SG) {
			ctr_add(&ring->view->st.map_failures, 1);
			return msg_fmt(-E2BIG,
			               "the memory of the burst is in more "
			               "than %u pieces: map it as several",
			               MAX_SG);
		}
		iov[n++] = (struct iovec){(void *)(uintptr_t)va[i], each};
	}
	rc = submit(ring, first, iov, n, nr * each, prot, cookie);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < nr; i++)
		ring->slot[first + i] =
		        SLOT_MAPPED | SLOT_ASKED | (i ? SLOT_TIED : 0) | pages;
	ctr_add(&ring->view->st.maps, nr);
	return rc;
}

/* Slots of a burst that is unmapped, one behind the other. */
struct part {
	uint32_t first, nr;
	/* Runs of mappings without a hole between: an unmap each. */
	uint32_t runs;
	uint64_t pages;
};

static uint64_t slot_pages(const struct sluice_ring *ring, uint32_t slot)
{
	return ring->slot[slot] & SLOT_PAGES;
}

/* Does the mapping fill its slot, so that the next slot's goes on there? */
static bool slot_full(const struct sluice_ring *ring, uint32_t slot)
{
	return slot_pages(ring, slot) == ring->stride >> SLUICE_PAGE_LG2;
}

static int check_part(const struct sluice_ring *ring, struct part *p)
{
	uint32_t end = p->first + p->nr;

	for (uint32_t i = p->first; i < end; i++) {
		if (!(ring->slot[i] & SLOT_MAPPED))
			return msg_lit(-ENOENT, "a slot of the burst is not "
			                        "mapped");
		if (ring->slot[i] & SLOT_ASKED)
			return msg_lit(-EBUSY, "the map of a slot of the burst "
			                       "has not completed: poll, then "
			                       "try again");
		p->runs += i == p->first || !slot_full(ring, i - 1);
		p->pages += slot_pages(ring, i);
	}
	if (p->nr && (ring->slot[p->first] & SLOT_TIED ||
	              (end < ring->nr_slots && ring->slot[end] & SLOT_TIED)))
		return msg_lit(-ERANGE, "what sluice_ring_map_burst() mapped "
		                        "together dies only whole: unmap all "
		                        "slots of that burst");
	return 0;
}

static int check_unmap(const struct sluice_ring *ring, struct part part[2],
                       uint32_t first, uint32_t nr)
{
	const struct sluice_view *view = ring->view;
	uint64_t used = view->tail - view->emitted;
	uint32_t runs;
	int rc;

	if (first >= ring->nr_slots || nr == 0 || nr > ring->nr_slots)
		return msg_fmt(-EINVAL, "the ring has %u slots, from 0 on",
		               ring->nr_slots);
	part[0].first = first;
	part[0].nr = (uint32_t)min_u64(nr, ring->nr_slots - first);
	part[1].nr = nr - part[0].nr;
	for (int i = 0; i < 2; i++) {
		rc = check_part(ring, &part[i]);
		if (rc)
			return rc;
	}
	runs = part[0].runs + part[1].runs;
	if (runs - 1 > view->pend_mask)
		return msg_fmt(-E2BIG,
		               "the burst has %u mappings with holes between, "
		               "the domain's max_inflight is less: unmap it in "
		               "parts",
		               runs);
	if (used + runs - 1 > view->pend_mask)
		return msg_lit(-EAGAIN, "too many unmaps in flight: call "
		                        "sluice_poll(), then try again");
	return 0;
}

/* How many slots from `first` on are one run, and where that ends. */
static uint32_t run_of(const struct sluice_ring *ring, uint32_t first,
                       uint32_t end, uint64_t *ret_last)
{
	uint32_t i = first;

	while (slot_full(ring, i) && i + 1 < end)
		i++;
	*ret_last = sluice_ring_iova(ring, i) +
	            (slot_pages(ring, i) << SLUICE_PAGE_LG2) - 1;
	return i + 1 - first;
}

/* The leaves go; one record for the lanes, one unmap for each run. */
static void retire_part(struct sluice_ring *ring, const struct part *p,
                        uint64_t seq, uint64_t cookie, uint8_t flags)
{
	struct sluice_view *view = ring->view;
	uint32_t end = p->first + p->nr;
	uint64_t iova = sluice_ring_iova(ring, p->first);
	uint64_t last = 0;

	/* What is gone already is gone. */
	for (uint32_t i = p->first, n; i < end; i += n) {
		n = run_of(ring, i, end, &last);
		(void)unmap_leaves(view->domain, view,
		                   sluice_ring_iova(ring, i), last);
	}
	if (tlb_drop(&view->hot, iova, last))
		ctr_add(&view->st.flushes, 1);
	/* Before all of them: see view_retire. */
	view_note(view, iova, last);
	for (uint32_t i = p->first, n; i < end; i += n) {
		uint64_t at = sluice_ring_iova(ring, i);

		n = run_of(ring, i, end, &last);
		view_queue(view, at, last - at + 1, cookie,
		           i + n == end ? flags : PEND_FIXED | PEND_MORE);
	}
	for (uint32_t i = p->first; i < end; i++)
		ring->slot[i] = seq;
	ctr_add(&view->st.unmaps, p->nr);
	ctr_add(&view->st.unmap_bytes, p->pages << SLUICE_PAGE_LG2);
}

int kring_unmap(struct sluice_ring *ring, uint32_t first, uint32_t nr,
                uint64_t cookie, struct sluice_ticket *ret_ticket)
{
	struct sluice_view *view = ring->view;
	struct part part[2] = {0};
	uint8_t notify = view->lazy ? 0 : PEND_NOTIFY;
	uint64_t seq;
	int rc = check_unmap(ring, part, first, nr);

	if (rc) {
		ctr_add(&view->st.unmap_failures, 1);
		return rc;
	}
	/* No return from here: the leaves disappear. */
	seq = view->tail + part[0].runs + part[1].runs;
	if (part[1].nr)
		retire_part(ring, &part[0], seq, 0, PEND_FIXED | PEND_MORE);
	retire_part(ring, &part[part[1].nr != 0], seq, cookie,
	            PEND_FIXED | notify);
	if (ret_ticket)
		ret_ticket->seq = seq;
	return view->lazy ? 0 : 1;
}

int kring_end(const struct sluice_ring *ring)
{
	const struct sluice_view *view = ring->view;
	int whole = 1;

	for (uint32_t i = 0; i < ring->nr_slots; i++) {
		uint64_t s = ring->slot[i];

		if (s > view->passed && s != SLOT_LOST)
			return msg_lit(-EAGAIN,
			               "the ring's last unmaps have not "
			               "passed: poll, then try again");
		if (!sluice_ticket_passed(view, (struct sluice_ticket){s}))
			whole = 0;
	}
	return whole;
}
