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
void pend_filter_add_many(struct sluice_view *view, uint64_t iova,
                          uint64_t len);

static inline void pend_filter_add(struct sluice_view *view, uint64_t iova,
                                   uint64_t len)
{
	uint64_t page = iova >> SLUICE_PAGE_LG2;

	if (likely(len == SLUICE_PAGE_SIZE))
		view->filter.last[page % FILTER_SLOTS] = view->tail;
	else
		pend_filter_add_many(view, iova, len);
}

/* True: a domain without allocator, and this page does not wait for its
 * ticket. False says nothing. */
static inline bool pend_filter_clear(const struct sluice_view *view,
                                     uint64_t iova, uint64_t last)
{
	const struct pend_filter *f = &view->filter;

	return last - iova < SLUICE_PAGE_SIZE &&
	       f->last[(iova >> SLUICE_PAGE_LG2) % FILTER_SLOTS] <=
	               view->passed &&
	       f->large <= view->passed;
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
		pend_filter_add(view, iova, len);
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
