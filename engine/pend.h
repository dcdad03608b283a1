/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of unmaps in flight of a view: how one goes in, inline for the calls
 * that end there. How they come out again is view.c.
 */
#ifndef SLUICE_ENGINE_PEND_H
#define SLUICE_ENGINE_PEND_H

#include "engine/engine_int.h"

/* Ranges of so many pages go through remembered tables one by one. */
#define NEAR_PAGES 16u

/* Is the range served by one table of the lowest level? */
static inline bool near_block(uint64_t iova, uint64_t len)
{
	return (iova ^ (iova + len - 1)) >> PT_NEAR_LG2 == 0;
}

/* Keeps the ticket of an unmap, the newest, for view_is_pending(). */
static inline void pend_filter_add(struct sluice_view *view, uint64_t iova,
                                   uint64_t nr)
{
	uint64_t page = iova >> SLUICE_PAGE_LG2;

	if (unlikely(nr > FILTER_MAX_PAGES)) {
		view->filter.large = view->tail;
		return;
	}
	for (uint64_t i = 0; i < nr; i++)
		view->filter.last[(page + i) % FILTER_SLOTS] = view->tail;
}

/* True: on a domain without allocator, none of these pages, FILTER_MAX_PAGES at
 * most, waits for its ticket. False says nothing. */
static inline bool pend_filter_clear(const struct sluice_view *view,
                                     uint64_t iova, uint64_t nr)
{
	const struct pend_filter *f = &view->filter;
	uint64_t page = iova >> SLUICE_PAGE_LG2, passed = view->passed;

	for (uint64_t i = 0; i < nr; i++)
		if (f->last[(page + i) % FILTER_SLOTS] > passed)
			return false;
	return f->large <= passed;
}

/* Adds a record to the batch that cannot be joined to the last one. */
void view_note_new(struct sluice_view *view, uint64_t first, uint64_t last);

/* Adds a record to the batch; with INVLOG_VA_SIDE in first, of the VA side. */
static inline void view_note(struct sluice_view *view, uint64_t first,
                             uint64_t last)
{
	uint64_t side = first & INVLOG_VA_SIDE;
	struct invlog_rec *prev;

	if (likely(view->nr_batch)) {
		prev = &view->batch[view->nr_batch - 1];
		if (unlikely((prev->first & INVLOG_VA_SIDE) != side)) {
			/* Their addresses may look like neighbours. */
		} else if (prev->last + 1 == first - side) {
			prev->last = last;
			return;
		} else if (last + 1 == prev->first - side) {
			prev->first = first;
			return;
		}
	}
	view_note_new(view, first, last);
}

/* The same for a range of IOVA that continues the last record, which is of IOVA
 * too. False: it does not, and nothing was done. */
static inline bool view_note_next(struct sluice_view *view, uint64_t first,
                                  uint64_t last)
{
	struct invlog_rec *prev;

	if (unlikely(view->nr_batch == 0))
		return false;
	prev = &view->batch[view->nr_batch - 1];
	if (prev->last != first - 1)
		return false;
	prev->last = last;
	return true;
}

/* The same where there is no VA side, and also before or behind the last
 * record. False: the batch is empty or full. */
static inline bool view_note_soft(struct sluice_view *view, uint64_t first,
                                  uint64_t last)
{
	uint32_t n = view->nr_batch;
	struct invlog_rec *prev;

	if (unlikely(n - 1 >= INVLOG_BATCH - 1))
		return false;
	prev = &view->batch[n - 1];
	if (prev->last + 1 == first) {
		prev->last = last;
	} else if (last + 1 == prev->first) {
		prev->first = first;
	} else {
		prev[1] = (struct invlog_rec){first, last};
		view->nr_batch = n + 1;
	}
	return true;
}

/* view_queue() for one mapping on a view with an allocator. */
static inline void view_queue_own(struct sluice_view *view, uint64_t iova,
                                  uint64_t len, uint64_t cookie)
{
	struct pend *p = &view->pend[view->tail++ & view->pend_mask];

	p->iova = iova;
	p->len = len;
	p->cookie = cookie;
	p->ticks = view->lane->now;
	p->how = view->how_new;
	view->pend_bytes += len;
}

/* view_queue() for nr pages on a plain view. */
static inline void view_queue_pages(struct sluice_view *view, uint64_t iova,
                                    uint64_t nr, uint64_t cookie)
{
	view_queue_own(view, iova, nr << SLUICE_PAGE_LG2, cookie);
	/* Where there is an allocator nobody asks; it is as quick as to look
	 * whether there is. */
	pend_filter_add(view, iova, nr);
}

/* Queues [iova, iova + len), of which the batch has a record, for its ticket.
 * There must be room: view_has_room. */
static inline void view_queue(struct sluice_view *view, uint64_t iova,
                              uint64_t len, uint64_t cookie, uint8_t flags)
{
	struct pend *p = &view->pend[view->tail++ & view->pend_mask];

	p->iova = iova;
	p->len = len;
	p->cookie = cookie;
	p->ticks = view->lane->now;
	p->result = 0;
	p->flags = flags;
	p->state = PEND_WAITS;
	if (unlikely(!view->iova))
		pend_filter_add(view, iova, len >> SLUICE_PAGE_LG2);
	view->pend_bytes += len;
}

/* The same for leaves that were just cleared, with the record. */
static inline void view_retire(struct sluice_view *view, uint64_t iova,
                               uint64_t len, uint64_t cookie, uint8_t flags)
{
	/* First: a full batch is posted here, and must not count this one. */
	view_note(view, iova, iova + len - 1);
	view_queue(view, iova, len, cookie, flags);
}

#endif
