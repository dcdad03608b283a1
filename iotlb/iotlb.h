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

/* Control. entries: power of two, 16..65536. -EINVAL, -ENOMEM. */
int tlb_create(uint32_t entries, struct sluice_view_hot *ret_hot);
void tlb_destroy(struct sluice_view_hot *hot);

/* Caches the extent [first, last] -> first + delta for the page of iova, which
 * lies inside. An extent is one leaf: 4 KiB or larger, naturally aligned, and
 * dies whole. */
void tlb_fill(struct sluice_view_hot *hot, uint64_t iova, uint64_t first,
              uint64_t last, uint64_t delta, uint32_t prot);

/* Drops every entry that overlaps [first, last], which holds whole extents.
 * True when that was a pass over the whole TLB and nothing is left in it. */
bool tlb_drop(struct sluice_view_hot *hot, uint64_t first, uint64_t last);
void tlb_flush(struct sluice_view_hot *hot);

/* ---- invalidation log ---- */

struct invlog;

struct invlog_rec {
	uint64_t first;
	uint64_t last;
};

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

/* Reads what came since the last drain, drops it from the TLB and publishes
 * the cursor: every translation the lane got before is over. Owner thread, an
 * online reader. Returns true when the whole TLB was dropped (lapped, or
 * cheaper). */
bool invlog_drain(struct invlog *log, uint32_t reader,
                  struct sluice_view_hot *hot);

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
