/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/pagepool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "util/atomics.h"
#include "util/bits.h"
#include "util/idxstack.h"

#define REFILL 16u
#define HUGE_LG2 21

struct pagepool {
	uint8_t *base;
	size_t map_len;
	void *map;
	uint64_t max_pages;
	au32 *next; /* links of free pages, kept outside: pages stay zero */
	_Alignas(CACHELINE) struct idxstack free;
	_Alignas(CACHELINE) au64 bump;
	_Alignas(CACHELINE) au64 nr_free;
};

static void *reserve(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int pagepool_create(uint64_t max_pages, struct pagepool **ret_pool)
{
	size_t size = align_up(sizeof(struct pagepool), 6);
	struct pagepool *pool;

	if (max_pages == 0 || max_pages > bit64(31))
		return -EINVAL;
	pool = aligned_alloc(CACHELINE, size);
	if (!pool)
		return -ENOMEM;
	*pool = (struct pagepool){.max_pages = max_pages};
	/* A huge page of slack lets the base be huge-page aligned. */
	pool->map_len = max_pages * PAGEPOOL_PAGE + bit64(HUGE_LG2);
	pool->map = reserve(pool->map_len);
	pool->next = reserve(max_pages * sizeof(*pool->next));
	if (!pool->map || !pool->next) {
		pagepool_destroy(pool);
		return -ENOMEM;
	}
	idxstack_init(&pool->free, pool->next);
	pool->base = (uint8_t *)align_up((uintptr_t)pool->map, HUGE_LG2);
	/* Advice only: plain pages serve as well, slower on cold walks. */
	(void)madvise(pool->base, max_pages * PAGEPOOL_PAGE, MADV_HUGEPAGE);
	*ret_pool = pool;
	return 0;
}

void pagepool_destroy(struct pagepool *pool)
{
	if (!pool)
		return;
	if (pool->map)
		munmap(pool->map, pool->map_len);
	if (pool->next)
		munmap(pool->next, pool->max_pages * sizeof(*pool->next));
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
	return pc->pool->base + (size_t)pc->idx[--pc->nr] * PAGEPOOL_PAGE;
}

#ifndef NDEBUG
static bool page_is_zero(const void *page)
{
	const uint64_t *w = page;

	for (unsigned i = 0; i < PAGEPOOL_PAGE / sizeof(*w); i++)
		if (w[i])
			return false;
	return true;
}
#endif

void pagecache_put(struct pagecache *pc, void *page)
{
	size_t off = (size_t)((uint8_t *)page - pc->pool->base);

	assert(page_is_zero(page));
	if (pc->nr == PAGECACHE_MAX)
		push_free(pc, PAGECACHE_MAX / 2);
	pc->idx[pc->nr++] = (uint32_t)(off / PAGEPOOL_PAGE);
}
