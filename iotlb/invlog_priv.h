/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the log: invlog.c (ring: posting and draining) and cursor.c (who is
 * where, what has passed). docs/ordering.md has the proofs that the short
 * comments on each pair refer to.
 */
#ifndef SLUICE_IOTLB_INVLOG_PRIV_H
#define SLUICE_IOTLB_INVLOG_PRIV_H

#include "iotlb/iotlb.h"

/* Lines are fetched in pairs by the hardware: what different threads write
 * lies two lines apart. */
#define APART (2 * CACHELINE)

/* Posters without a number of their own that can be under way at a time; one
 * more still posts, but its records are lost (readers flush). */
#define INVLOG_ANON 4

/* A reader that found a slot reserved but not written so often in a row stops
 * waiting for the poster and flushes instead. */
#define INVLOG_PATIENCE 64

/* A slot that holds the record of position p has the stamp 2(p + 1); while a
 * poster writes it, one less. */
struct slot {
	au64 stamp;
	au64 first;
	au64 last;
	au64 poster;
};

static inline uint64_t stamp_of(uint64_t pos)
{
	return 2 * (pos + 1);
}

/* Cursor values that are no position. */
#define CURSOR_OFFLINE UINT64_MAX
#define CURSOR_JOINING (UINT64_MAX - 1)

struct reader {
	_Alignas(APART) au64 cursor;
	/* The rest is the owner's. Everything below read_to was read; the
	 * cursor is behind it while a hold forbids more. */
	uint64_t read_to;
	uint32_t stuck; /* drains in a row that found an unwritten slot */
	void (*wake)(void *ctx);
	void *ctx;
};

#define SLEEP_WORDS 4 /* a bit for each of 256 readers */

/* What a poster is doing: AT_IDLE; at_of(p, 0): about to take a position, p or
 * later; at_of(p, n): writing n records from position p on. */
#define AT_IDLE UINT64_MAX
#define AT_LG2 6

static inline uint64_t at_of(uint64_t pos, uint32_t n)
{
	return pos << AT_LG2 | n;
}

struct poster {
	_Alignas(APART) au64 at;
};

struct invlog {
	struct slot *slot;
	uint64_t mask; /* slots - 1 */
	struct reader *reader;
	struct poster *poster; /* INVLOG_ANON nameless ones, then by reader */
	uint32_t max_readers;
	au32 nr_used; /* readers 0 .. nr_used - 1 have taken part; may exceed
	               * max_readers by the number of racing raisers */
	/* Readers that sleep, and how many are online: rarely written, so
	 * posters share the line. */
	_Alignas(APART) au64 asleep[SLEEP_WORDS];
	au64 nr_online;
	_Alignas(APART) au64 head;
	_Alignas(APART) au64 settled; /* posts below this position are over */
};

static inline uint32_t nr_readers(uint32_t nr_used, const struct invlog *log)
{
	return nr_used < log->max_readers ? nr_used : log->max_readers;
}

/* Counts reader among those that passed() and settle() look at. */
static inline void invlog_raise(struct invlog *log, uint32_t reader)
{
	/* Pairs with the load of nr_used in invlog_passed; seq_cst, as
	 * part of the online protocol. */
	while (unlikely(ld_sc(&log->nr_used) <= reader))
		faa_sc(&log->nr_used, 1);
}

/* holds.c. A record that was read at pos; up to where the cursor may go. */
#define HOLD_FREE UINT64_MAX
void holds_meet(struct holds *holds, uint64_t first, uint64_t last,
                uint64_t pos);
uint64_t holds_limit(const struct holds *holds, uint64_t pos);

/* Calls those who sleep, but for the poster. */
void invlog_wake(struct invlog *log, uint32_t poster);

/* The two halves of a post. begin reserves n positions and returns the first;
 * *ret_poster is NULL when all nameless posters are taken. */
uint64_t invlog_post_begin(struct invlog *log, uint32_t reader, uint32_t n,
                           struct poster **ret_poster);
void invlog_post_finish(struct invlog *log, struct poster *poster,
                        uint32_t reader, uint64_t pos,
                        const struct invlog_rec *rec, uint32_t n);

#endif
