/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Face of iotlb/: the software IOTLB of one view, and a domain's invalidation
 * log with its cursors and tickets. Knows no page table and no kernel.
 *
 * The log is a broadcast ring: any lane of the domain posts batches of ranges,
 * every lane with a view reads all of them. A reader's cursor says how far it
 * has read AND that it holds no translation older than that: it is the lane's
 * quiescent state. A ticket is a position in the log; it has passed when every
 * online cursor is at or beyond it.
 */
#ifndef SLUICE_IOTLB_IOTLB_H
#define SLUICE_IOTLB_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/translate.h>
#include "util/util.h"

/* ---- software IOTLB: all calls by the owning lane only ---- */

/* Extents of this size and more have an array of their own. */
#define TLB_LARGE_LG2 21u
#define TLB_LARGE 64u

/* Control. entries: power of two, 16..65536. -EINVAL, -ENOMEM. */
int tlb_create(uint32_t entries, struct sluice_view_hot *ret_hot);
void tlb_destroy(struct sluice_view_hot *hot);

static inline struct sluice_tlb_entry tlb_entry(uint64_t first, uint64_t size,
                                                uint64_t delta, uint32_t prot)
{
	return (struct sluice_tlb_entry){
	        .first = first,
	        .delta = delta,
	        .size = {prot & SLUICE_READ ? size : 0,
	                 prot & SLUICE_WRITE ? size : 0},
	};
}

/* Caches the extent [first, last] -> first + delta for the page of iova, which
 * lies inside. An extent is one leaf: 4 KiB or larger, naturally aligned, and
 * dies whole. */
void tlb_fill(struct sluice_view_hot *hot, uint64_t iova, uint64_t first,
              uint64_t last, uint64_t delta, uint32_t prot);

/* The large extent that holds iova and allows access, or NULL; it is cached for
 * the page of iova as well. */
const struct sluice_tlb_entry *tlb_find_large(struct sluice_view_hot *hot,
                                              uint64_t iova, uint32_t access);

/* Drops every entry that overlaps [first, last], which holds whole extents.
 * True when that was a pass over the whole TLB and nothing is left in it. */
bool tlb_drop(struct sluice_view_hot *hot, uint64_t first, uint64_t last);
/* The same for an extent of one page. */
static inline void tlb_drop_page(struct sluice_view_hot *hot, uint64_t first)
{
	struct sluice_tlb_entry *e =
	        &hot->tlb[first >> SLUICE_PAGE_LG2 & hot->tlb_mask];

	if (e->first == first)
		e->size[0] = e->size[1] = 0;
}
void tlb_flush(struct sluice_view_hot *hot);

/* ---- invalidation log ---- */

struct invlog;

struct invlog_rec {
	uint64_t first;
	uint64_t last;
};

/* The record that says: tables were unlinked. Readers who remember any must
 * forget them. */
#define INVLOG_TABLES ((struct invlog_rec){1, 0})

#define INVLOG_BATCH 32 /* most records in one post */

/* Control. records: power of two, 64..2^20; max_readers 1..256. */
int invlog_create(uint32_t records, uint32_t max_readers,
                  struct invlog **ret_log);
void invlog_destroy(struct invlog *log);

/* The reader starts to take part: its TLB is empty, and from the return on it
 * may walk the table. Its cursor is the head of the log at that moment. Owner
 * thread. */
void invlog_online(struct invlog *log, uint32_t reader);
/* The reader holds no translation any more and walks no table until it is
 * online again. Owner thread. */
void invlog_offline(struct invlog *log, uint32_t reader);

/* Appends n (1..INVLOG_BATCH) records; the table words they stand for were
 * cleared before by the calling thread. Any thread; reader is the poster's own
 * number (its records are skipped when it drains: it dropped its entries
 * itself), or INVLOG_NOBODY. Lock-free. Returns the ticket. */
#define INVLOG_NOBODY UINT32_MAX
uint64_t invlog_post(struct invlog *log, uint32_t reader,
                     const struct invlog_rec *rec, uint32_t n);

/* ---- holds: translations that outlive a drain ---- */

/* A reader's held ranges. While one of them overlaps a record that was read,
 * the reader's cursor stays before that record; what was cached goes all the
 * same. Owner thread. */
#define HOLDS_MAX 256u

struct hold {
	uint64_t first, last;
	uint64_t blocked; /* the first record that it holds back */
};
struct holds {
	uint32_t nr; /* holds are held[0 .. nr - 1], in no order */
	uint32_t nr_blocked;
	struct hold held[HOLDS_MAX];
	uint16_t at[HOLDS_MAX]; /* by id: its place in held */
	uint16_t id[HOLDS_MAX]; /* by place: its id; then the free ids */
	uint64_t low, high;     /* all of held lies within */
};

void holds_init(struct holds *holds);
/* The id, or -ENOSPC. */
int holds_take(struct holds *holds, uint64_t first, uint64_t last);
/* False: no such hold. */
bool holds_release(struct holds *holds, uint32_t id);

/* ---- draining ---- */

/* What a drain acts on. A record with INVLOG_VA_SIDE in first is about the
 * second TLB. */
struct invlog_view {
	struct sluice_view_hot *hot;
	struct sluice_view_hot *va; /* NULL: none */
	struct holds *holds;        /* NULL: none */
};
#define INVLOG_VA_SIDE 1u

/* Nobody is online, or only self, the calling thread's own reader: then what it
 * unmapped before the call is out of reach once it uses no translation from
 * before any more, and need not be posted. Whoever goes online later finds the
 * words that the calling thread has cleared. Any thread; self: 1 when its
 * reader is online, else 0. */
bool invlog_quiet(struct invlog *log, uint32_t self);

/* Reads what came since the last drain, drops it from the TLB and publishes
 * the cursor: every translation the lane got before, but those held, is over.
 * Owner thread, an online reader. Returns INVLOG_GOT_* bits, or 0. */
#define INVLOG_GOT_FLUSH                                                       \
	1u                   /* the whole TLB was dropped: lapped, or cheaper  \
	                      */
#define INVLOG_GOT_TABLES 2u /* INVLOG_TABLES was read */
#define INVLOG_GOT_MORE 4u   /* there was something to read */
unsigned invlog_drain(struct invlog *log, uint32_t reader,
                      const struct invlog_view *view);

/* ---- sleeping readers ---- */

/* A reader that has read everything may sleep: it need not drain until
 * somebody posts, who then calls wake(ctx) once, from his own thread, after
 * his records are written. Whoever does not sleep is never called for.
 * Control, before the reader goes online. */
void invlog_set_wake(struct invlog *log, uint32_t reader,
                     void (*wake)(void *ctx), void *ctx);
/* Owner. True: asleep. False: something was posted meanwhile; the reader may
 * be awake (*ret_woken false) or be asleep and about to be called. */
bool invlog_sleep(struct invlog *log, uint32_t reader, bool *ret_woken);
/* Owner: is the reader awake again? False: somebody has undertaken to call
 * wake(), which comes soon. */
bool invlog_rouse(struct invlog *log, uint32_t reader);

/* The position that every online reader has reached (the log's head when none
 * is online): tickets up to it have passed. Contains the full fence that the
 * online/offline protocol needs. Any thread. */
uint64_t invlog_passed(struct invlog *log);

/* Next ticket would be larger than this. Any thread. */
uint64_t invlog_head(struct invlog *log);

/* The online reader furthest behind and by how many records; UINT32_MAX when
 * all are at the head. Any thread, racy by nature. */
uint32_t invlog_laggard(struct invlog *log, uint64_t *ret_behind);

#endif
