/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of a log, and its readers: who takes part, where each one is, and up to
 * where all have come. Knows no slot of the ring.
 *
 * The hard case is a reader that goes online while somebody asks what has
 * passed. Either the one who asks sees the reader's cursor, or the reader sees
 * the head that the answer was based on (both sides store or RMW, then load,
 * all seq_cst). In between the reader is JOINING: who asks then turns it away
 * and leaves it out, and the reader starts again with a newer head. So an
 * answer never goes back, not even in the eyes of another thread.
 */
#include "iotlb/iotlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iotlb/invlog_priv.h"
#include "iotlb/mutant.h"

#define RECORDS_MIN 64u
#define RECORDS_MAX (1u << 20)
#define READERS_MAX 256u

static void *zalloc_apart(size_t size)
{
	void *p = aligned_alloc(APART, align_up(size, lg2_ceil(APART)));

	if (p)
		memset(p, 0, size);
	return p;
}

int invlog_create(uint32_t records, uint32_t max_readers,
                  struct invlog **ret_log)
{
	uint32_t posters = INVLOG_ANON + max_readers;
	struct invlog *log;

	if (records < RECORDS_MIN || records > RECORDS_MAX ||
	    records & (records - 1) || max_readers == 0 ||
	    max_readers > READERS_MAX)
		return -EINVAL;
	log = zalloc_apart(sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->mask = records - 1;
	log->max_readers = max_readers;
	log->slot = zalloc_apart(records * sizeof(*log->slot));
	log->reader = zalloc_apart(max_readers * sizeof(*log->reader));
	log->poster = zalloc_apart(posters * sizeof(*log->poster));
	if (!log->slot || !log->reader || !log->poster) {
		invlog_destroy(log);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < max_readers; i++)
		st_rlx(&log->reader[i].cursor, CURSOR_OFFLINE);
	for (uint32_t i = 0; i < posters; i++)
		st_rlx(&log->poster[i].at, AT_IDLE);
	*ret_log = log;
	return 0;
}

void invlog_destroy(struct invlog *log)
{
	if (!log)
		return;
	free(log->slot);
	free(log->reader);
	free(log->poster);
	free(log);
}

void invlog_online(struct invlog *log, uint32_t reader)
{
	struct reader *r = &log->reader[reader];
	uint64_t joining, head = 0;

	if (MUTANT(ONLINE_LATE))
		return;
	if (MUTANT(ONLINE_STALE))
		head = ld_acq(&log->head);
	invlog_raise(log, reader);
	/* Against invlog_quiet(): counted, then the fence, then the walks. */
	faa_sc(&log->nr_online, 1);
	if (!MUTANT(QUIET_UNFENCED))
		fence_sc();
	r->stuck = 0;
	do {
		/* The reader's half of the protocol with post and passed: a
		 * store and a load, both seq_cst. */
		if (MUTANT(ONLINE_UNFENCED))
			st_rlx(&r->cursor, CURSOR_JOINING);
		else
			st_sc(&r->cursor, CURSOR_JOINING);
		/* Acquire: the walks to come see each word that was cleared
		 * before a post below head. */
		if (!MUTANT(ONLINE_STALE))
			head = ld_sc(&log->head);
		STALL(ONLINE);
		joining = CURSOR_JOINING;
		/* Fails when passed() turned us away; acquire pairs with that,
		 * so that the next head is not older than its answer. */
	} while (!cas_acqrel(&r->cursor, &joining, head));
	r->read_to = head;
}

void invlog_offline(struct invlog *log, uint32_t reader)
{
	/* Pairs with the load in passed(): each use of a translation is
	 * over. */
	if (MUTANT(OFFLINE_RELAXED))
		st_rlx(&log->reader[reader].cursor, CURSOR_OFFLINE);
	else
		st_rel(&log->reader[reader].cursor, CURSOR_OFFLINE);
	/* Pairs with the load in quiet(), likewise. */
	fsub_rel(&log->nr_online, 1);
}

bool invlog_quiet(struct invlog *log, uint32_t self)
{
	/* To say no is always right, and most often known without a fence. */
	if (ld_rlx(&log->nr_online) != self && !MUTANT(QUIET_ALWAYS))
		return false;
	/* The words were cleared, then the fence, then the load: a reader who
	 * is not counted yet finds them cleared. */
	if (!MUTANT(QUIET_UNFENCED))
		fence_sc();
	/* Acquire: pairs with offline; uses of those who left are over. */
	return ld_acq(&log->nr_online) == self || MUTANT(QUIET_ALWAYS);
}

/* A reader that is joining loads a newer head than the one we have. */
static noinline uint64_t turn_away(struct reader *r)
{
	uint64_t cursor = CURSOR_JOINING;

	/* Release pairs with the failing CAS in online; acquire, when it is
	 * not joining any more, with the store of its cursor. */
	if (cas_acqrel(&r->cursor, &cursor, CURSOR_OFFLINE))
		return CURSOR_OFFLINE;
	return cursor;
}

uint64_t invlog_passed(struct invlog *log)
{
	/* All three seq_cst: head before nr_used before cursors, against the
	 * opposite order in online. Acquire of a cursor pairs with the
	 * releases in drain and offline. */
	uint64_t min = ld_sc(&log->head);
	uint32_t nr = nr_readers(ld_sc(&log->nr_used), log);

	if (MUTANT(PASSED_SKIPS_ONE) && nr)
		nr--;
	for (uint32_t i = 0; i < nr; i++) {
		struct reader *r = &log->reader[i];
		uint64_t cursor = MUTANT(PASSED_RELAXED) ? ld_rlx(&r->cursor)
		                                         : ld_sc(&r->cursor);

		if (unlikely(cursor == CURSOR_JOINING) &&
		    !MUTANT(PASSED_LETS_JOIN))
			cursor = turn_away(r);
		min = min_u64(min, cursor);
	}
	return min;
}

uint32_t invlog_laggard(struct invlog *log, uint64_t *ret_behind)
{
	uint64_t head = ld_rlx(&log->head);
	uint32_t nr = nr_readers(ld_rlx(&log->nr_used), log);
	uint32_t who = UINT32_MAX;
	uint64_t behind = 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint64_t cursor = ld_rlx(&log->reader[i].cursor);

		/* OFFLINE and JOINING are above any head. */
		if (cursor < head && head - cursor > behind) {
			behind = head - cursor;
			who = i;
		}
	}
	*ret_behind = behind;
	return who;
}

void invlog_set_wake(struct invlog *log, uint32_t reader,
                     void (*wake)(void *ctx), void *ctx)
{
	log->reader[reader].wake = wake;
	log->reader[reader].ctx = ctx;
}

/*
 * Sleeping is the online protocol once more: the reader sets its bit, then
 * looks at the head; a poster moves the head, then looks at the bits. All four
 * are seq_cst, so one of the two sees the other. Whoever clears the bit has
 * the reader: the reader itself is awake then, a poster owes it a call. The
 * bit's RMWs also carry wake and ctx from the reader to the poster.
 */
static au64 *bed_of(struct invlog *log, uint32_t reader)
{
	return &log->asleep[reader / 64];
}

bool invlog_rouse(struct invlog *log, uint32_t reader)
{
	uint64_t bit = bit64(reader % 64);

	return fand_sc(bed_of(log, reader), ~bit) & bit;
}

bool invlog_sleep(struct invlog *log, uint32_t reader, bool *ret_woken)
{
	uint64_t cursor = ld_rlx(&log->reader[reader].cursor);

	*ret_woken = false;
	if (cursor != ld_rlx(&log->head))
		return false;
	if (MUTANT(SLEEP_UNFENCED)) {
		/* The load of head may come before the store is out. */
		uint64_t head = ld_rlx(&log->head);

		STALL(SLEEP);
		for_sc(bed_of(log, reader), bit64(reader % 64));
		return head == cursor;
	}
	for_sc(bed_of(log, reader), bit64(reader % 64));
	STALL(SLEEP);
	if (likely(ld_sc(&log->head) == cursor))
		return true;
	*ret_woken = !invlog_rouse(log, reader);
	return false;
}

static noinline void wake_some(struct invlog *log, uint32_t word, uint64_t bits)
{
	while (bits) {
		uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
		struct reader *r = &log->reader[i];

		bits &= bits - 1;
		if (invlog_rouse(log, i))
			r->wake(r->ctx);
	}
}

void invlog_wake(struct invlog *log, uint32_t poster)
{
	/* seq_cst: who set its bit before the post was counted before. */
	uint32_t nr = nr_readers(ld_sc(&log->nr_used), log);

	for (uint32_t i = 0; i * 64 < nr; i++) {
		uint64_t bits = ld_sc(&log->asleep[i]);

		/* The poster itself is awake, whatever its bit says. */
		if (unlikely(bits) && poster / 64 == i)
			bits &= ~bit64(poster % 64);
		if (unlikely(bits) && !MUTANT(WAKE_NOBODY))
			wake_some(log, i, bits);
	}
}
