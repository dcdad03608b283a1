/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views: the way of an unmap from the call to its completion. Leaves are
 * cleared by the caller; here the range joins a batch, the batch is posted to
 * the log, the log passes, the backend (if any) tears down, the IOVA is free
 * again and the completion goes out.
 */
#include "engine/iova_hot.h"
#include "engine/pend.h"

static inline struct pend *pend_at(const struct sluice_view *view, uint64_t i)
{
	return &view->pend[i & view->pend_mask];
}

static inline const struct pend *pend_end(const struct sluice_view *view)
{
	return view->pend + view->pend_mask + 1;
}

/* Has nothing of its own under way but maps. */
static inline bool no_unmaps(const struct sluice_view *view)
{
	return view->emitted == view->tail && view->nr_batch == 0 &&
	       !(view->freed_new.head | view->freed_wait.head);
}

bool view_idle(const struct sluice_view *view)
{
	return no_unmaps(view) && view->nr_maps_inflight == 0 &&
	       view->nr_recalled == 0;
}

/* False: certainly none of these pages waits for its ticket. */
static bool may_be_pending(const struct sluice_view *view, uint64_t iova,
                           uint64_t last)
{
	uint64_t nr = (last >> SLUICE_PAGE_LG2) - (iova >> SLUICE_PAGE_LG2) + 1;

	return view->passed != view->tail &&
	       (view->iova || nr > FILTER_MAX_PAGES ||
	        !pend_filter_clear(view, iova, nr));
}

bool view_is_pending(const struct sluice_view *view, uint64_t iova,
                     uint64_t last)
{
	if (!may_be_pending(view, iova, last))
		return false;
	for (uint64_t i = view->passed; i != view->tail; i++) {
		const struct pend *p = &view->pend[i & view->pend_mask];

		if (ranges_overlap(iova, last, p->iova, p->iova + p->len - 1))
			return true;
	}
	return false;
}

/* Hands records to every lane of the domain that translates. Returns their
 * ticket in the log: 0, which has passed, when there is no other such lane. */
static uint64_t post(struct sluice_view *view, const struct invlog_rec *rec,
                     uint32_t nr)
{
	/* A view that reads alone ends its own translations in the poll in
	 * which the ticket passes, but for those it holds. */
	if (likely(!view->log_side.holds->nr) &&
	    invlog_quiet(view->log, view->reading))
		return 0;
	ctr_add(&view->st.invalidations, nr);
	ctr_add(&view->st.posts, 1);
	return invlog_post(view->log, view->reader, rec, nr);
}

/* The batch is handed over, with this ticket in the log. */
static void posted(struct sluice_view *view, uint64_t seq)
{
	/* Passed, as all before: nothing need be written down. */
	if (seq == 0 && view->cleared == view->posted)
		view->cleared = view->posted = view->tail;
	for (; view->posted != view->tail; view->posted++)
		view->pend[view->posted & view->pend_mask].log_seq = seq;
	view->nr_batch = 0;
}

/* Hands over the batch. */
void view_post(struct sluice_view *view)
{
	if (view->nr_batch)
		posted(view, post(view, view->batch, view->nr_batch));
}

/* At once, and not with the batch: whoever unmaps this range, and owns a page
 * of it after that, finds the record before his own. */
void view_unlinked(struct sluice_view *view)
{
	/* Who owns a page of the range after us learns of it from us. */
	faa_rlx(&view->domain->unlinked, 1);
	view->freed_new_seq = post(view, &INVLOG_TABLES, 1);
	view_forget(view);
	view_awake(view);
}

void view_note_new(struct sluice_view *view, uint64_t first, uint64_t last)
{
	if (view->nr_batch == INVLOG_BATCH)
		view_post(view);
	if (view->nr_batch == 0) {
		view_awake(view);
		/* Once a batch: later members are taken for as old. */
		view->lane->now = ticks_now();
		view->batch_ticks = view->lane->now;
		view->batch_bytes = view->pend_bytes;
	}
	view->batch[view->nr_batch++] = (struct invlog_rec){first, last};
}

static bool must_post(struct sluice_view *view)
{
	const struct sluice_domain_cfg *cfg = &view->domain->cfg;

	if (!view->lazy || view->tail - view->posted >= cfg->lazy_entries ||
	    view->pend_bytes - view->batch_bytes >= cfg->lazy_bytes)
		return true;
	view->lane->now = ticks_now();
	return view->lane->now - view->batch_ticks >= view->domain->lazy_ticks;
}

static bool log_has_passed(struct sluice_view *view, uint64_t seq)
{
#ifdef SLUICE_MUTANT_TICKET_NO_WAIT /* tests/engine: must be caught */
	return true;
#endif
	if (view->log_passed < seq)
		view->log_passed = invlog_passed(view->log);
	return view->log_passed >= seq;
}

/* Tables whose grace period is over go back; the next ones begin to wait. */
static void free_tables(struct sluice_view *view)
{
	if (view->freed_wait.head && log_has_passed(view, view->freed_seq))
		pt_free_list(view->pt, &view->freed_wait, &view->lane->pc);
	if (view->freed_new.head && !view->freed_wait.head) {
		view->freed_wait = view->freed_new;
		view->freed_seq = view->freed_new_seq;
		view->freed_new = (struct pt_freed){0};
	}
}

static void refuse_ticket(struct sluice_view *view, uint64_t seq)
{
	if (view->nr_refused < REFUSED_MAX)
		view->refused[view->nr_refused++] = seq;
}

static bool was_refused(const struct sluice_view *view, uint64_t seq)
{
	for (uint32_t i = 0; i < view->nr_refused; i++)
		if (seq == view->refused[i])
			return true;
	return view->nr_refused == REFUSED_MAX &&
	       seq > view->refused[REFUSED_MAX - 1];
}

/* Counts nr unmaps that began at `since` and pass now. */
static uint64_t expose(struct sluice_view *view, uint64_t since, uint64_t nr)
{
	if (likely(nr))
		exposure_time(&view->exposure, since, view->lane->now, nr);
	return nr;
}

/* At a backend: a range that the kernel did not give back is never reused, and
 * its ticket never passes. */
static noinline bool end_at_backend(struct sluice_view *view, struct pend *p,
                                    uint64_t ticket)
{
	if (unlikely(view->burst_result) && !p->result)
		p->result = view->burst_result;
	view->burst_result = p->flags & PEND_MORE ? p->result : 0;
	if (p->result)
		refuse_ticket(view, ticket);
	else if (view->iova && !(p->flags & (PEND_STAYS | PEND_FIXED)))
		iova_free(view->iova, p->iova, p->len);
	return p->result;
}

/* Of those that came back nothing is to be ended. The first from i on that is
 * another, or of another time. */
static uint64_t pass_revived(const struct sluice_view *view, uint64_t i,
                             uint64_t to, uint64_t since, uint64_t *bytes)
{
	const struct pend *p = pend_at(view, i), *end = pend_end(view);
	uint64_t how = view->how_back, sum = 0;

	while (i != to && p->how == how && p->ticks == since) {
		sum += p->len;
		i++;
		if (unlikely(++p == end))
			p = view->pend;
	}
	*bytes += sum;
	return i;
}

/* Ends unmaps that nothing can reach any more, those below `to` unless the
 * backend has them still. Each is a sample of exposure, and most is exposed
 * just before the first of them passes. */
static void end_done(struct sluice_view *view, uint64_t to)
{
	uint64_t entries = view->tail - view->passed;
	uint64_t pages = view->pend_bytes >> SLUICE_PAGE_LG2;
	uint64_t since = 0, from = view->passed, nr = 0;
	uint64_t bytes = 0, i = view->passed, n;
	struct pend *p = pend_at(view, i), *ring = view->pend;
	const struct pend *end = pend_end(view);
	bool soft = !view->domain->be;

	view->lane->now = ticks_now();
	for (; i != to; i++, p = likely(p + 1 != end) ? p + 1 : ring) {
		if (!soft && p->state != PEND_DONE)
			break;
		/* Seldom: a batch has the time of its first. */
		if (unlikely(p->ticks != since)) {
			nr += expose(view, since, i - from);
			from = i;
			since = p->ticks;
		}
		if (unlikely(!soft)) {
			n = pass_revived(view, i, to, since, &bytes);
			if (n != i) {
				i = n - 1;
				p = pend_at(view, i);
				continue;
			}
			if (end_at_backend(view, p, i + 1)) {
				nr += expose(view, since, i - from);
				from = i + 1;
			}
		} else if (view->iova && likely(!(p->flags & PEND_STAYS))) {
			iova_hot_free(view->iova, p->iova, p->len);
		}
		bytes += p->len;
	}
	view->passed = i;
	view->pend_bytes -= bytes;
	view->batch_bytes -= bytes;
	nr += expose(view, since, i - from);
	if (likely(nr))
		exposure_level(&view->exposure, entries, pages, nr);
}

/* To the backend, but for those that came back. */
static noinline uint64_t hand_over(struct sluice_view *view, uint64_t from,
                                   uint64_t to)
{
	while (from != to) {
		uint64_t i = from, sent;

		while (i != to &&
		       !(view->pend[i & view->pend_mask].flags & PEND_STAYS))
			i++;
		while (from != i) {
			sent = kernel_unmap(view, from, i);
			if (sent == from)
				return from;
			from = sent;
		}
		for (; i != to; i++) {
			struct pend *p = &view->pend[i & view->pend_mask];

			if (!(p->flags & PEND_STAYS))
				break;
			p->state = PEND_DONE;
		}
		from = i;
	}
	return from;
}

/* With nothing at the backend, those that came back before any other end
 * without being handed over: mostly all. */
static noinline void advance_kernel(struct sluice_view *view)
{
	uint64_t from = view->submitted, to = view->cleared;

	if (view->passed == from && from != to &&
	    view->pend[from & view->pend_mask].state == PEND_DONE) {
		end_done(view, to);
		view->submitted = hand_over(view, view->passed, to);
		return;
	}
	view->submitted = hand_over(view, from, to);
	if (view->passed != view->submitted)
		end_done(view, view->submitted);
}

/* Moves unmaps on whose ticket in the log has passed: to the backend, or
 * straight to the end. */
static void advance(struct sluice_view *view)
{
	uint64_t i = view->cleared;

	while (i != view->posted &&
	       log_has_passed(view, view->pend[i & view->pend_mask].log_seq))
		i++;
	view->cleared = i;
	if (unlikely(view->domain->be)) {
		advance_kernel(view);
	} else {
		view->submitted = i;
		if (view->passed != i)
			end_done(view, i);
	}
	if (unlikely(view->revive != NULL))
		view->revive->from =
		        max_u64(view->revive->from, view->submitted);
	st_rlx(&view->st.waiting_since,
	       view->passed == view->tail
	               ? 0
	               : view->pend[view->passed & view->pend_mask].ticks);
}

static uint32_t emit(struct sluice_view *view, struct sluice_completion *out,
                     uint32_t max, bool drop)
{
	/* Lazy ones have no completion. */
	uint64_t i = drop || view->lazy ? view->passed : view->emitted;
	const struct pend *p = pend_at(view, i), *end = pend_end(view);
	const struct pend *ring = view->pend;
	uint64_t passed = view->passed;
	uint32_t n = 0;

	for (; i != passed; i++, p = likely(p + 1 != end) ? p + 1 : ring) {
		if (!(p->flags & PEND_NOTIFY))
			continue;
		if (n == max)
			break;
		out[n++] = (struct sluice_completion){
		        .cookie = p->cookie,
		        .iova = p->iova,
		        .len = p->len,
		        .result = p->result,
		        .op = SLUICE_OP_UNMAP,
		};
	}
	view->emitted = i;
	return n;
}

#define VAIN_DRAINS 4096u

/* What was read from the log. A view that has read so often, and missed nothing
 * between, leaves: it may have had hits, but others pay for its being told. */
static noinline void heed(struct sluice_view *view, unsigned got)
{
	uint64_t misses;

	if (unlikely(got & (INVLOG_GOT_FLUSH | INVLOG_GOT_TABLES)))
		view_forget(view);
	if (unlikely(got & INVLOG_GOT_FLUSH)) {
		ctr_add(&view->st.flushes, 1);
		view_refill(view);
	}
	misses = ld_rlx(&view->st.misses);
	if (misses != view->misses_then) {
		view->misses_then = misses;
		view->vain_drains = 0;
	} else if (unlikely(++view->vain_drains >= VAIN_DRAINS) &&
	           !view->log_side.holds->nr) {
		view_leave(view);
	}
}

static inline void read_log(struct sluice_view *view)
{
	unsigned got = invlog_drain(view->log, view->reader, &view->log_side);

	if (unlikely(got))
		heed(view, got);
}

static noinline uint32_t poll_busy(struct sluice_view *view,
                                   struct sluice_completion *out, uint32_t max,
                                   bool drop)
{
	if (view->nr_batch && must_post(view))
		view_post(view);
	if (view->reading)
		read_log(view);
	if (unlikely(view->freed_wait.head || view->freed_new.head))
		free_tables(view);
	if (view->emitted == view->tail)
		return 0;
	advance(view);
	return emit(view, out, max, drop);
}

/* Lets all unmaps pass at once where nobody translates; neither does this
 * view, whose own translations are over with its next poll only. */
static void settle(struct sluice_view *view)
{
	if (view->domain->be || view->revive || !invlog_quiet(view->log, 0))
		return;
	posted(view, 0);
	advance(view);
}

bool view_must_wait(struct sluice_view *view, uint64_t iova, uint64_t last)
{
	if (!may_be_pending(view, iova, last))
		return false;
	settle(view);
	return view_is_pending(view, iova, last);
}

uint32_t view_poll(struct sluice_view *view, struct sluice_completion *out,
                   uint32_t max, bool drop)
{
	if (!no_unmaps(view))
		return poll_busy(view, out, max, drop);
	if (view->reading)
		read_log(view);
	return 0;
}

int sluice_ticket_passed(const struct sluice_view *view,
                         struct sluice_ticket ticket)
{
	return view->passed >= ticket.seq && (likely(view->nr_refused == 0) ||
	                                      !was_refused(view, ticket.seq));
}

void view_stats_add(struct sluice_domain_stats *sum,
                    const struct sluice_view *view)
{
	const struct view_stats *st = &view->st;
	uint64_t since, now, mapped, revived, unmapped;

	sum->maps += ld_rlx(&st->maps);
	sum->map_bytes += ld_rlx(&st->map_bytes);
	sum->unmaps += ld_rlx(&st->unmaps);
	sum->unmap_bytes += ld_rlx(&st->unmap_bytes);
	sum->map_failures += ld_rlx(&st->map_failures);
	sum->unmap_failures += ld_rlx(&st->unmap_failures);
	sum->misses += ld_rlx(&st->misses);
	sum->faults += ld_rlx(&st->faults);
	sum->invalidations += ld_rlx(&st->invalidations);
	sum->posts += ld_rlx(&st->posts);
	revived = ld_rlx(&st->pages_revived);
	mapped = ld_rlx(&st->pages_mapped) + revived;
	sum->maps += mapped;
	sum->map_bytes += mapped << SLUICE_PAGE_LG2;
	sum->revived += ld_rlx(&st->revived) + revived;
	unmapped = ld_rlx(&st->pages_unmapped);
	sum->unmaps += unmapped;
	sum->unmap_bytes += unmapped << SLUICE_PAGE_LG2;
	sum->view_flushes += ld_rlx(&st->flushes);
	since = ld_rlx(&st->waiting_since);
	now = ticks_now();
	if (since && now > since)
		sum->waiting_ns =
		        max_u64(sum->waiting_ns, ticks_to_ns(now - since));
	/* Views peak at different times: the sum is an upper bound. */
	sum->exposed_entries_max +=
	        ld_rlx(&view->exposure.max[EXPOSURE_ENTRIES]);
	sum->exposed_bytes_max += ld_rlx(&view->exposure.max[EXPOSURE_PAGES])
	                          << SLUICE_PAGE_LG2;
	sum->exposed_ns_max = max_u64(
	        sum->exposed_ns_max,
	        ticks_to_ns(ld_rlx(&view->exposure.max[EXPOSURE_TICKS])));
}
