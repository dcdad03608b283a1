/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zeroed pages for page tables, all of one power-of-two size and aligned to it,
 * without a system call after creation.
 *
 * A pool reserves address space once; memory arrives by page fault on first
 * touch, in transparent huge pages where the kernel grants them. A thread
 * takes pages through its own pagecache; caches trade with a lock-free stack.
 * Pages go back all-zero: the caller's duty, checked in debug builds.
 */
#ifndef SLUICE_UTIL_PAGEPOOL_H
#define SLUICE_UTIL_PAGEPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "util/atomics.h"

#define PAGEPOOL_LG2 12u /* of most table formats */
#define PAGEPOOL_PAGE 4096u
#define PAGECACHE_MAX 64

struct pagepool;

/* One thread's hand of pages. Zero-initialise through pagecache_init. */
struct pagecache {
	struct pagepool *pool;
	uint32_t nr;
	uint32_t idx[PAGECACHE_MAX];
};

/* Control. -EINVAL for 0 or more than 2^31 pages, -ENOMEM. Pages of 2^page_lg2
 * bytes, 8 to 2^40. */
int pagepool_create(uint64_t max_pages, unsigned page_lg2,
                    struct pagepool **ret_pool);
/* Control; every cache must have been drained. NULL is fine. */
void pagepool_destroy(struct pagepool *pool);

/* Pages handed out and not returned, any thread, approximate by what lies in
 * caches. */
uint64_t pagepool_used(const struct pagepool *pool);

/* 2^n_lg2 pages side by side, n_lg2 of 1 to PAGEPOOL_SPAN_LG2_MAX, aligned to
 * their size; NULL when the pool's limit is reached. They go back as they came,
 * all zero. */
#define PAGEPOOL_SPAN_LG2_MAX 4u
void *pagepool_span(struct pagepool *pool, unsigned n_lg2);
void pagepool_span_put(struct pagepool *pool, void *span, unsigned n_lg2);
/* Control, before the first page: pages in use are paid for out of *budget,
 * bytes, which several pools may share. */
void pagepool_set_budget(struct pagepool *pool, au64 *budget);
/* A counter of the caller's for a page in use: 0 at first. */
au32 *pagepool_counter(struct pagepool *pool, const void *page);
unsigned pagepool_page_lg2(const struct pagepool *pool);
/* The number of a page, below 2^31, and back. */
uint32_t pagepool_index(const struct pagepool *pool, const void *page);
void *pagepool_at(const struct pagepool *pool, uint32_t index);

void pagecache_init(struct pagecache *pc, struct pagepool *pool);
/* Returns every cached page to the pool. */
void pagecache_drain(struct pagecache *pc);

/* A zeroed page, or NULL when the pool's limit is reached. */
void *pagecache_get(struct pagecache *pc);
/* page must be all-zero and unreachable by anyone. */
void pagecache_put(struct pagecache *pc, void *page);

#endif
