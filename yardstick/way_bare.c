/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of two levels, a word for each page, as user-space drivers keep the
 * map of their memory: a translation is two loads and takes no lock. It knows
 * nothing of who translates meanwhile: what was unmapped may still be in use.
 * IOVAs of up to 48 bits.
 */
#include "yardstick/ways_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PAGE_LG2 12
#define LEAF_LG2 18 /* words: one leaf stands for 1 GiB */
#define TOP_LG2 18
#define PROT UINT64_C(3)
#define IN_PAGE ((UINT64_C(1) << PAGE_LG2) - 1)
#define PAGES (UINT64_C(1) << (TOP_LG2 + LEAF_LG2))

struct leaf {
	_Atomic uint64_t word[1 << LEAF_LG2]; /* address and rights; 0: none */
};

struct bare {
	pthread_mutex_t lock; /* of who writes */
	_Atomic(struct leaf *) top[1 << TOP_LG2];
};

static void *bare_open(uint64_t max_pages)
{
	struct bare *b = calloc(1, sizeof(*b));

	(void)max_pages;
	if (b)
		pthread_mutex_init(&b->lock, NULL);
	return b;
}

static void bare_close(void *w)
{
	struct bare *b = w;

	for (size_t i = 0; i < sizeof(b->top) / sizeof(b->top[0]); i++)
		free(atomic_load_explicit(&b->top[i], memory_order_relaxed));
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* NULL when page has no leaf. */
static inline _Atomic uint64_t *word_of(struct bare *b, uint64_t page)
{
	struct leaf *leaf;

	if (page >= PAGES)
		return NULL;
	/* Pairs with the release in grow(). */
	leaf = atomic_load_explicit(&b->top[page >> LEAF_LG2],
	                            memory_order_acquire);
	return leaf ? &leaf->word[page & ((1 << LEAF_LG2) - 1)] : NULL;
}

static int grow(struct bare *b, uint64_t page)
{
	struct leaf *leaf;

	if (page >= PAGES)
		return -ENOMEM;
	if (word_of(b, page))
		return 0;
	leaf = calloc(1, sizeof(*leaf));
	if (!leaf)
		return -ENOMEM;
	/* Pairs with the acquire in word_of(). */
	atomic_store_explicit(&b->top[page >> LEAF_LG2], leaf,
	                      memory_order_release);
	return 0;
}

static uint64_t word(struct bare *b, uint64_t page)
{
	_Atomic uint64_t *at = word_of(b, page);

	return at ? atomic_load_explicit(at, memory_order_relaxed) : 0;
}

static void put(struct bare *b, uint64_t page, uint64_t v)
{
	atomic_store_explicit(word_of(b, page), v, memory_order_relaxed);
}

static int bare_map(void *w, uint64_t iova, uint64_t oa, uint64_t len,
                    uint32_t prot)
{
	struct bare *b = w;
	uint64_t first = iova >> PAGE_LG2, n = len >> PAGE_LG2;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = word(b, first + i) ? -EEXIST : grow(b, first + i);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		put(b, first + i, (oa + (i << PAGE_LG2)) | prot);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int bare_unmap(void *w, uint64_t iova, uint64_t len)
{
	struct bare *b = w;
	uint64_t first = iova >> PAGE_LG2, n = len >> PAGE_LG2;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = word(b, first + i) ? 0 : -ENOENT;
	for (uint64_t i = 0; i < n && rc == 0; i++)
		put(b, first + i, 0);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int bare_translate(void *w, uint64_t iova, uint32_t prot,
                          uint64_t *ret_oa)
{
	uint64_t v = word(w, iova >> PAGE_LG2);

	if (!v)
		return -EFAULT;
	if (prot & ~(v & PROT))
		return -EACCES;
	*ret_oa = (v & ~IN_PAGE) | (iova & IN_PAGE);
	return 0;
}

static void nothing(void *w)
{
	(void)w;
}

const struct way way_bare = {
        .name = "bare",
        .open = bare_open,
        .map = bare_map,
        .unmap = bare_unmap,
        .translate = bare_translate,
        .thread_enter = nothing,
        .thread_leave = nothing,
        .close = bare_close,
};
