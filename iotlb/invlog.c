/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of the invalidation log: many posters, each record read by every
 * reader. Knows positions and slots; who is online and what has passed is
 * cursor.c.
 *
 * A post takes its positions with one RMW and writes the slots after it, so
 * posters never wait for each other and a slot may be reserved but not yet
 * written. The ring never waits for a reader: one that was overtaken drops its
 * whole TLB and continues at the head. That also heals a lost record, which
 * is the way out of the one hard case: a poster held up for a whole lap still
 * owns its slots, so later ones leave those alone and lose their record.
 */
#include "iotlb/iotlb.h"

#include "iotlb/invlog_priv.h"
#include "iotlb/mutant.h"
#include "iotlb/tlb_priv.h"

/* A nameless poster's line, or NULL. */
static struct poster *claim_anon(struct invlog *log, uint64_t at)
{
	for (uint32_t i = 0; i < INVLOG_ANON; i++) {
		uint64_t idle = AT_IDLE;

		/* Acquire pairs with the release of the line's last user in
		 * post_finish: who sees this claim sees that one's slots. */
		if (cas_acqrel(&log->poster[i].at, &idle, at))
			return &log->poster[i];
	}
	return NULL;
}

uint64_t invlog_post_begin(struct invlog *log, uint32_t reader, uint32_t n,
                           struct poster **ret_poster)
{
	struct poster *p;
	uint64_t low, pos;

	/* Both lines at once: every reader has a copy of them. */
	prefetch_write(&log->head);
	pos = ld_rlx(&log->head);
	prefetch_write(&log->slot[pos & log->mask]);
	low = at_of(pos, 0);
	if (likely(reader != INVLOG_NOBODY)) {
		if (unlikely(ld_rlx(&log->nr_used) <= reader))
			invlog_raise(log, reader);
		p = &log->poster[INVLOG_ANON + reader];
		/* Seen by all who take a later position, through head. Release:
		 * pairs with settle; who reads this and not the idle mark
		 * before it knows as well that the post before is over. */
		st_rel(&p->at, low);
	} else {
		p = claim_anon(log, low);
	}
	/* Release: pairs with the acquires of head in drain, online and
	 * passed; who sees the position sees the cleared table words.
	 * Acquire: pairs with earlier posts; we see what their posters were
	 * doing. seq_cst: the poster's half of the online protocol. */
	pos = faa_sc(&log->head, n);
	if (likely(p != NULL))
		st_rel(&p->at, at_of(pos, n)); /* pairs with settle */
	*ret_poster = p;
	STALL(POST_RESERVED);
	return pos;
}

_Static_assert(INVLOG_BATCH < 1u << AT_LG2, "the size of a batch fits");

/* May the post that is at `at` be writing slots of [pos, pos + n)? */
static bool slots_meet(const struct invlog *log, uint64_t at, uint64_t pos,
                       uint32_t n)
{
	uint64_t x = at >> AT_LG2;
	uint64_t len = at & mask64(AT_LG2);

	return len == 0 || ((pos - x) & log->mask) < len ||
	       ((x - pos) & log->mask) < n;
}

/* Looks at every poster under way: is one of them, from a lap ago, still in
 * the slots of [pos, pos + n)? */
static noinline bool settle(struct invlog *log, uint64_t pos, uint32_t n)
{
	uint64_t need = pos + n - (log->mask + 1);
	uint32_t nr = INVLOG_ANON + nr_readers(ld_rlx(&log->nr_used), log);
	uint64_t low = pos;
	bool met = false;

	for (uint32_t i = 0; i < nr; i++) {
		/* Pairs with the releases in post_begin and post_finish: an
		 * older post of this poster is over, its stores before ours. */
		uint64_t at = ld_acq(&log->poster[i].at);
		uint64_t x = at >> AT_LG2;

		if (at == AT_IDLE || x >= pos)
			continue;
		low = min_u64(low, x);
		if (x < need && slots_meet(log, at, pos, n))
			met = true;
	}
	/* Pairs with the acquire in slots_ours. True once, true for ever: a
	 * smaller value written over a larger one costs a look, no more. */
	st_rel(&log->settled, low);
	return !met;
}

/* May the post at pos write its slots? Not while one of an earlier lap may. */
static bool slots_ours(struct invlog *log, uint64_t pos, uint32_t n)
{
	if (MUTANT(TWO_WRITERS))
		return true;
	/* Acquire: pairs with the release in settle. */
	return pos + n <= log->mask + 1 ||
	       pos + n - (log->mask + 1) <= ld_acq(&log->settled) ||
	       settle(log, pos, n);
}

static void write_slot(struct slot *s, uint64_t pos, uint32_t reader,
                       const struct invlog_rec *rec)
{
	uint64_t stamp = stamp_of(pos);

	/* The releases of the payload pair with the acquires in read_slot: a
	 * reader that sees a new word sees that the old stamp is gone. */
	if (!MUTANT(NO_BUSY_MARK))
		st_rlx(&s->stamp, stamp - 1);
	if (MUTANT(PUBLISH_EARLY))
		st_rel(&s->stamp, stamp);
	st_rel(&s->first, rec->first);
	STALL(POST_PAYLOAD);
	st_rel(&s->last, rec->last);
	st_rel(&s->poster, reader);
	STALL(POST_WRITTEN);
	/* Pairs with the first acquire in read_slot: the payload is there. */
	st_rel(&s->stamp, stamp);
}

void invlog_post_finish(struct invlog *log, struct poster *poster,
                        uint32_t reader, uint64_t pos,
                        const struct invlog_rec *rec, uint32_t n)
{
	if (unlikely(!poster && !MUTANT(TWO_WRITERS)))
		return;
	if (likely(slots_ours(log, pos, n)))
		for (uint32_t i = 0; i < n; i++)
			write_slot(&log->slot[(pos + i) & log->mask], pos + i,
			           reader, &rec[i]);
	/* Pairs with settle and claim_anon: the slots are free for others. */
	if (likely(poster != NULL))
		st_rel(&poster->at, AT_IDLE);
}

uint64_t invlog_post(struct invlog *log, uint32_t reader,
                     const struct invlog_rec *rec, uint32_t n)
{
	struct poster *poster;
	uint64_t pos = invlog_post_begin(log, reader, n, &poster);

	invlog_post_finish(log, poster, reader, pos, rec, n);
	invlog_wake(log, reader);
	return MUTANT(TICKET_EARLY) ? pos : pos + n;
}

enum got { GOT_RECORD, GOT_NOTHING, GOT_OVERTAKEN };

static enum got read_slot(struct slot *s, uint64_t pos, uint64_t *ret_poster,
                          struct invlog_rec *ret_rec)
{
	uint64_t want = stamp_of(pos);
	/* Pairs with the last release in write_slot. */
	uint64_t stamp = ld_acq(&s->stamp);

	if (unlikely(stamp != want))
		return stamp > want ? GOT_OVERTAKEN : GOT_NOTHING;
	STALL(DRAIN_SLOT);
	/* Acquire: a word of a later lap brings its busy mark along. */
	ret_rec->first = ld_acq(&s->first);
	ret_rec->last = ld_acq(&s->last);
	*ret_poster = ld_acq(&s->poster);
	if (unlikely(ld_rlx(&s->stamp) != want && !MUTANT(NO_RECHECK)))
		return GOT_OVERTAKEN;
	return GOT_RECORD;
}

/* Drops one record; returns how many entries that looked at. */
static uint64_t drop(const struct invlog_view *v, struct invlog_rec rec,
                     unsigned *got)
{
	struct sluice_view_hot *hot = v->hot;
	uint64_t pages;

	if (unlikely(rec.first > rec.last)) {
		*got |= INVLOG_GOT_TABLES;
		return 1;
	}
	if (unlikely(rec.first & INVLOG_VA_SIDE)) {
		if (!v->va)
			return 1;
		hot = v->va;
		rec.first -= INVLOG_VA_SIDE;
	}
	pages = tlb_pages(rec.first, rec.last);
	if (likely(pages == 0))
		tlb_probe(tlb_slot(hot, rec.first), rec.first, rec.last);
	else
		tlb_drop(hot, rec.first, rec.last);
	return min_u64(pages, hot->tlb_mask) + 1;
}

static bool has_holds(const struct invlog_view *v)
{
	return v->holds && v->holds->nr && !MUTANT(HOLDS_IGNORED);
}

/* Reads from *pos towards head. False when the reader must flush: overtaken,
 * or more work than a flush is worth. */
static bool read_on(struct invlog *log, uint32_t reader,
                    const struct invlog_view *v, uint64_t head, uint64_t *pos,
                    unsigned *got_bits)
{
	/* A flush costs one pass over the entries and then their refill. */
	uint64_t limit = 2 * (v->hot->tlb_mask + 1);
	uint64_t work = 0;

	if (head - *pos > log->mask + 1 || head - *pos > limit)
		return false;
	while (*pos != head) {
		struct invlog_rec rec;
		uint64_t poster;
		enum got got = read_slot(&log->slot[*pos & log->mask], *pos,
		                         &poster, &rec);

		if (unlikely(got == GOT_OVERTAKEN))
			return false;
		if (unlikely(got == GOT_NOTHING && !MUTANT(SKIP_UNPUBLISHED)))
			return true;
		if (got == GOT_RECORD && unlikely(has_holds(v)) &&
		    !(rec.first & INVLOG_VA_SIDE))
			holds_meet(v->holds, rec.first, rec.last, *pos);
		if (got == GOT_RECORD && poster != reader) {
			work += drop(v, rec, got_bits);
			if (unlikely(work > limit))
				return false;
		}
		++*pos;
	}
	return true;
}

static void flush(const struct invlog_view *v)
{
	if (MUTANT(LAP_KEEPS_TLB))
		return;
	tlb_flush(v->hot);
	if (v->va)
		tlb_flush(v->va);
}

static noinline unsigned drain(struct invlog *log, uint32_t reader,
                               const struct invlog_view *v, uint64_t head)
{
	struct reader *r = &log->reader[reader];
	uint64_t from = r->read_to;
	uint64_t pos = from;
	bool flushed = false;
	unsigned got = 0;

	/* Who waits for it has a copy: fetched while the slots are read. */
	prefetch_write(&r->cursor);
	if (!read_on(log, reader, v, head, &pos, &got))
		flushed = true;
	else if (unlikely(pos == from && pos != head))
		flushed = ++r->stuck == INVLOG_PATIENCE;
	/* Over the head: each record below it, written or not, belongs to
	 * words that were cleared before the head we acquired. */
	if (flushed) {
		flush(v);
		pos = head;
		/* Any of those records may be about what is held. */
		if (has_holds(v))
			holds_meet(v->holds, 0, UINT64_MAX, from);
	}
	if (pos != from) {
		r->stuck = 0;
		got |= INVLOG_GOT_MORE;
	}
	r->read_to = pos;
	if (unlikely(has_holds(v)))
		pos = holds_limit(v->holds, pos);
	if (flushed)
		got |= INVLOG_GOT_FLUSH;
	if (pos == ld_rlx(&r->cursor))
		return got;
	STALL(DRAIN_CURSOR);
	if (MUTANT(CURSOR_EARLY))
		pos = ld_acq(&log->head);
	/* Pairs with the load in passed(): each use of a translation from
	 * before this drain is over, and its entry is gone. */
	if (MUTANT(CURSOR_RELAXED))
		st_rlx(&r->cursor, pos);
	else
		st_rel(&r->cursor, pos);
	return got;
}

unsigned invlog_drain(struct invlog *log, uint32_t reader,
                      const struct invlog_view *view)
{
	/* Pairs with the RMW in post_begin. */
	uint64_t head = ld_acq(&log->head);

	/* A hold that was released lets the cursor go on without a record. */
	if (likely(head == ld_rlx(&log->reader[reader].cursor)))
		return 0;
	return drain(log, reader, view, head);
}

uint64_t invlog_head(struct invlog *log)
{
	/* Pairs with the RMW in post_begin. */
	return ld_acq(&log->head);
}
