/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A chained hash of pages and a free list of slots, a mutex around each.
 */
#include "yardstick/naive.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define BUCKETS_LG2 16

struct page {
	struct page *next;
	uint64_t iova, oa;
};

struct naive_pages {
	pthread_mutex_t lock;
	struct page *bucket[1 << BUCKETS_LG2];
};

static struct page **slot(struct naive_pages *p, uint64_t iova)
{
	uint64_t h = (iova >> 12) * 0x9e3779b97f4a7c15u;
	struct page **at = &p->bucket[h >> (64 - BUCKETS_LG2)];

	while (*at && (*at)->iova != iova)
		at = &(*at)->next;
	return at;
}

struct naive_pages *naive_pages_new(void)
{
	struct naive_pages *p = calloc(1, sizeof(*p));

	if (p)
		pthread_mutex_init(&p->lock, NULL);
	return p;
}

void naive_pages_free(struct naive_pages *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < 1u << BUCKETS_LG2; i++) {
		while (p->bucket[i]) {
			struct page *x = p->bucket[i];

			p->bucket[i] = x->next;
			free(x);
		}
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int naive_pages_map(struct naive_pages *p, uint64_t iova, uint64_t oa,
                    uint64_t nr)
{
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	for (uint64_t i = 0; i < nr && !rc; i++) {
		struct page *x = malloc(sizeof(*x));
		struct page **at;

		if (!x) {
			rc = -ENOMEM;
			break;
		}
		x->iova = iova + (i << 12);
		x->oa = oa + (i << 12);
		at = slot(p, x->iova);
		x->next = *at;
		*at = x;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int naive_pages_unmap(struct naive_pages *p, uint64_t iova, uint64_t nr)
{
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	for (uint64_t i = 0; i < nr; i++) {
		struct page **at = slot(p, iova + (i << 12));
		struct page *x = *at;

		if (!x) {
			rc = -ENOENT;
			continue;
		}
		*at = x->next;
		free(x);
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int naive_pages_lookup(struct naive_pages *p, uint64_t iova, uint64_t *ret_oa)
{
	const struct page *x;
	int rc = -EFAULT;

	pthread_mutex_lock(&p->lock);
	x = *slot(p, iova & ~UINT64_C(0xfff));
	if (x) {
		*ret_oa = x->oa + (iova & 0xfff);
		rc = 0;
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

struct naive_slots {
	pthread_mutex_t lock;
	char *base;
	uint64_t iova, slot;
	uint32_t nr_free;
	uint32_t free[];
};

struct naive_slots *naive_slots_new(void *base, uint64_t iova,
                                    uint64_t slot_len, uint32_t nr)
{
	struct naive_slots *s = malloc(sizeof(*s) + nr * sizeof(s->free[0]));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->base = base;
	s->iova = iova;
	s->slot = slot_len;
	s->nr_free = nr;
	for (uint32_t i = 0; i < nr; i++)
		s->free[i] = nr - 1 - i;
	return s;
}

void naive_slots_free(struct naive_slots *s)
{
	if (s)
		pthread_mutex_destroy(&s->lock);
	free(s);
}

void *naive_slots_get(struct naive_slots *s, uint64_t *ret_iova)
{
	void *va = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->nr_free) {
		uint64_t off = s->free[--s->nr_free] * s->slot;

		va = s->base + off;
		*ret_iova = s->iova + off;
	}
	pthread_mutex_unlock(&s->lock);
	return va;
}

void naive_slots_put(struct naive_slots *s, void *va)
{
	pthread_mutex_lock(&s->lock);
	s->free[s->nr_free++] =
	        (uint32_t)((uint64_t)((char *)va - s->base) / s->slot);
	pthread_mutex_unlock(&s->lock);
}
