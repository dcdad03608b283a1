/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/pagepool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/bits.h"
#include "util/idxstack.h"
#include "util/sys.h"

#define REFILL 16u
#define HUGE_LG2 21
/* The first pages, upper tables mostly, lie before the first huge page: few of
 * them take no huge page, and 2^n full tables fill the huge pages exactly. Two
 * hands full, the control thread's and a lane's. Spans keep their alignment. */
#define HEAD_LG2 5u
static_assert(HEAD_LG2 >= PAGEPOOL_SPAN_LG2_MAX, "see above");

struct pagepool {
	uint8_t *base;
	size_t map_len;
	void *map;
	uint64_t max_pages;
	unsigned page_lg2;
	au32 *next; /* links of free pages, kept outside: pages stay zero */
	au32 *counter;
	au64 *budget; /* bytes; NULL: no limit but max_pages */
	_Alignas(CACHELINE) struct idxstack free;
	struct idxstack span[PAGEPOOL_SPAN_LG2_MAX]; /* linked by first page */
	_Alignas(CACHELINE) au64 bump;
	_Alignas(CACHELINE) au64 nr_free;
};

/* Where the pages lie in the reserved range. Advice only: plain pages serve as
 * well, slower on cold walks. */
static void lay_out(struct pagepool *pool, unsigned align_lg2)
{
	uint64_t len = pool->max_pages << pool->page_lg2;
	uint64_t head = bit64(HEAD_LG2 + pool->page_lg2);
	uint64_t huge;

	if (head >= bit64(align_lg2))
		head = 0;
	huge = align_up((uintptr_t)pool->map + head, align_lg2);
	pool->base =
	        (uint8_t *)pool->map + (huge - head - (uintptr_t)pool->map);
	if (len <= head)
		return;
	if (head)
		(void)sys->madvise(pool->base, head, MADV_NOHUGEPAGE);
	(void)sys->madvise(pool->base + head, len - head, MADV_HUGEPAGE);
}

int pagepool_create(uint64_t max_pages, unsigned page_lg2,
                    struct pagepool **ret_pool)
{
	unsigned align_lg2 = page_lg2 > HUGE_LG2 ? page_lg2 : HUGE_LG2;
	size_t size = align_up(sizeof(struct pagepool), 6);
	struct pagepool *pool;

	if (max_pages == 0 || max_pages > bit64(31) || page_lg2 < 3 ||
	    page_lg2 > 40 || max_pages > bit64(62 - page_lg2))
		return -EINVAL;
	pool = aligned_alloc(CACHELINE, size);
	if (!pool)
		return -ENOMEM;
	*pool = (struct pagepool){.max_pages = max_pages, .page_lg2 = page_lg2};
	/* Slack lets huge pages be aligned, or larger pages of the pool. */
	pool->map_len = (max_pages << page_lg2) + bit64(align_lg2);
	pool->map = sys_reserve(pool->map_len);
	pool->next = sys_reserve(max_pages * sizeof(*pool->next));
	pool->counter = sys_reserve(max_pages * sizeof(*pool->counter));
	if (!pool->map || !pool->next || !pool->counter) {
		pagepool_destroy(pool);
		return -ENOMEM;
	}
	idxstack_init(&pool->free, pool->next);
	for (unsigned i = 0; i < PAGEPOOL_SPAN_LG2_MAX; i++)
		idxstack_init(&pool->span[i], pool->next);
	lay_out(pool, align_lg2);
	*ret_pool = pool;
	return 0;
}

void pagepool_destroy(struct pagepool *pool)
{
	if (!pool)
		return;
	if (pool->map)
		(void)sys->munmap(pool->map, pool->map_len);
	if (pool->next)
		(void)sys->munmap(pool->next,
		                  pool->max_pages * sizeof(*pool->next));
	if (pool->counter)
		(void)sys->munmap(pool->counter,
		                  pool->max_pages * sizeof(*pool->counter));
	free(pool);
}

uint64_t pagepool_used(const struct pagepool *pool)
{
	uint64_t bump = min_u64(ld_rlx(&pool->bump), pool->max_pages);
	uint64_t nr_free = ld_rlx(&pool->nr_free);

	return bump > nr_free ? bump - nr_free : 0;
}

static uint32_t pop_free(struct pagepool *pool)
{
	uint32_t idx = idxstack_pop(&pool->free);

	if (idx != IDXSTACK_NONE)
		fsub_rlx(&pool->nr_free, 1);
	return idx;
}

static void push_free(struct pagecache *pc, uint32_t n)
{
	if (n == 0)
		return;
	pc->nr -= n;
	faa_rlx(&pc->pool->nr_free, n);
	idxstack_push(&pc->pool->free, &pc->idx[pc->nr], n);
}

/* Pays for n pages; false: the budget is not enough. */
static bool pay(struct pagepool *pool, uint32_t n)
{
	uint64_t cost = (uint64_t)n << pool->page_lg2;
	uint64_t left;

	if (likely(!pool->budget))
		return true;
	left = ld_rlx(pool->budget);
	do {
		if (left < cost)
			return false;
	} while (!cas_rlx(pool->budget, &left, left - cost));
	return true;
}

static void repay(struct pagepool *pool, uint32_t n)
{
	if (unlikely(pool->budget != NULL))
		faa_rlx(pool->budget, (uint64_t)n << pool->page_lg2);
}

void pagepool_set_budget(struct pagepool *pool, au64 *budget)
{
	pool->budget = budget;
}

static void refill(struct pagecache *pc)
{
	struct pagepool *pool = pc->pool;
	uint64_t bump;
	uint32_t idx;

	while (pc->nr < REFILL) {
		idx = pop_free(pool);
		if (idx == IDXSTACK_NONE)
			break;
		pc->idx[pc->nr++] = idx;
	}
	if (pc->nr || ld_rlx(&pool->bump) >= pool->max_pages)
		return;
	bump = faa_rlx(&pool->bump, REFILL);
	/* Highest first, so that pages are handed out in address order. */
	for (uint64_t i = min_u64(bump + REFILL, pool->max_pages); i > bump;
	     i--)
		pc->idx[pc->nr++] = (uint32_t)(i - 1);
}

#ifndef NDEBUG
static bool page_is_zero(const void *page, unsigned page_lg2)
{
	const uint64_t *w = page;

	for (uint64_t i = 0; i < bit64(page_lg2) / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}
#endif

unsigned pagepool_page_lg2(const struct pagepool *pool)
{
	return pool->page_lg2;
}

uint32_t pagepool_index(const struct pagepool *pool, const void *page)
{
	size_t off = (size_t)((const uint8_t *)page - pool->base);

	return (uint32_t)(off >> pool->page_lg2);
}

void *pagepool_at(const struct pagepool *pool, uint32_t index)
{
	return pool->base + ((size_t)index << pool->page_lg2);
}

au32 *pagepool_counter(struct pagepool *pool, const void *page)
{
	return &pool->counter[pagepool_index(pool, page)];
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A span of single pages that came back. Takes all of them for a moment. */
static void *gather_span(struct pagepool *pool, uint32_t n)
{
	uint64_t max = ld_rlx(&pool->nr_free);
	uint32_t *idx = calloc(max ? max : 1, sizeof(*idx));
	uint32_t found = IDXSTACK_NONE;
	uint64_t nr = 0;

	while (idx && nr < max && (idx[nr] = pop_free(pool)) != IDXSTACK_NONE)
		nr++;
	if (nr)
		qsort(idx, nr, sizeof(*idx), by_value);
	for (uint64_t i = 0; i < nr; i++) {
		if (found == IDXSTACK_NONE && idx[i] % n == 0 && i + n <= nr &&
		    idx[i + n - 1] == idx[i] + n - 1) {
			found = idx[i];
			i += n - 1;
			continue;
		}
		faa_rlx(&pool->nr_free, 1);
		idxstack_push(&pool->free, &idx[i], 1);
	}
	free(idx);
	return found == IDXSTACK_NONE ? NULL : pagepool_at(pool, found);
}

static void *take_span(struct pagepool *pool, unsigned n_lg2)
{
	uint64_t bump = ld_rlx(&pool->bump);
	uint32_t idx = idxstack_pop(&pool->span[n_lg2 - 1]);
	uint32_t n = 1u << n_lg2;
	uint64_t first;

	if (idx != IDXSTACK_NONE) {
		fsub_rlx(&pool->nr_free, n);
		return pagepool_at(pool, idx);
	}
	do {
		first = align_up(bump, n_lg2);
		if (first + n > pool->max_pages)
			return gather_span(pool, n);
	} while (!cas_rlx(&pool->bump, &bump, first + n));
	/* What lies before the aligned start is free. */
	for (; bump < first; bump++) {
		idx = (uint32_t)bump;
		faa_rlx(&pool->nr_free, 1);
		idxstack_push(&pool->free, &idx, 1);
	}
	return pool->base + ((size_t)first << pool->page_lg2);
}

void *pagepool_span(struct pagepool *pool, unsigned n_lg2)
{
	void *span = NULL;

	if (pay(pool, 1u << n_lg2)) {
		span = take_span(pool, n_lg2);
		if (!span)
			repay(pool, 1u << n_lg2);
	}
	return span;
}

void pagepool_span_put(struct pagepool *pool, void *span, unsigned n_lg2)
{
	uint32_t idx = pagepool_index(pool, span);

	assert(page_is_zero(span, pool->page_lg2 + n_lg2));
	faa_rlx(&pool->nr_free, 1u << n_lg2);
	repay(pool, 1u << n_lg2);
	idxstack_push(&pool->span[n_lg2 - 1], &idx, 1);
}

void pagecache_init(struct pagecache *pc, struct pagepool *pool)
{
	pc->pool = pool;
	pc->nr = 0;
}

void pagecache_drain(struct pagecache *pc)
{
	push_free(pc, pc->nr);
}

void *pagecache_get(struct pagecache *pc)
{
	if (unlikely(pc->nr == 0)) {
		refill(pc);
		if (pc->nr == 0)
			return NULL;
	}
	if (unlikely(!pay(pc->pool, 1)))
		return NULL;
	return pagepool_at(pc->pool, pc->idx[--pc->nr]);
}

void pagecache_put(struct pagecache *pc, void *page)
{
	assert(page_is_zero(page, pc->pool->page_lg2));
	repay(pc->pool, 1);
	if (pc->nr == PAGECACHE_MAX)
		push_free(pc, PAGECACHE_MAX / 2);
	pc->idx[pc->nr++] = pagepool_index(pc->pool, page);
}
