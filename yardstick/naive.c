/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tree, hash and free list behind one mutex. The tree is the C library's
 * red-black tree with overlapping intervals counting as equal. Written as most
 * people would, not slowed down on purpose.
 */
#include "yardstick/naive.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>

#define FREE_PAGES 64 /* lengths with a free list, pages */
#define FIRST_IOVA UINT64_C(0x100000)

struct mapping {
	uint64_t iova, last, oa;
	uint32_t prot;
};

struct freed {
	struct freed *next;
	uint64_t iova;
};

struct naive {
	pthread_mutex_t lock;
	void *tree;
	struct naive_pages *by_va;
	struct freed *freed[FREE_PAGES + 1];
	uint64_t next;
};

static int overlap(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	if (x->last < y->iova)
		return -1;
	return x->iova > y->last;
}

struct naive *naive_new(void)
{
	struct naive *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->by_va = naive_pages_new();
	if (!n->by_va) {
		free(n);
		return NULL;
	}
	pthread_mutex_init(&n->lock, NULL);
	n->next = FIRST_IOVA;
	return n;
}

void naive_free(struct naive *n)
{
	if (!n)
		return;
	tdestroy(n->tree, free);
	for (unsigned i = 0; i <= FREE_PAGES; i++) {
		while (n->freed[i]) {
			struct freed *f = n->freed[i];

			n->freed[i] = f->next;
			free(f);
		}
	}
	naive_pages_free(n->by_va);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static uint64_t iova_alloc(struct naive *n, uint64_t len)
{
	uint64_t pages = len >> 12, iova;

	if (pages <= FREE_PAGES && n->freed[pages]) {
		struct freed *f = n->freed[pages];

		n->freed[pages] = f->next;
		iova = f->iova;
		free(f);
		return iova;
	}
	iova = n->next;
	n->next += len;
	return iova;
}

static void iova_free(struct naive *n, uint64_t iova, uint64_t len)
{
	uint64_t pages = len >> 12;
	struct freed *f = pages <= FREE_PAGES ? malloc(sizeof(*f)) : NULL;

	if (!f)
		return;
	f->iova = iova;
	f->next = n->freed[pages];
	n->freed[pages] = f;
}

uint64_t naive_iova_alloc(struct naive *n, uint64_t len)
{
	uint64_t iova;

	pthread_mutex_lock(&n->lock);
	iova = iova_alloc(n, len);
	pthread_mutex_unlock(&n->lock);
	return iova;
}

void naive_iova_free(struct naive *n, uint64_t iova, uint64_t len)
{
	pthread_mutex_lock(&n->lock);
	iova_free(n, iova, len);
	pthread_mutex_unlock(&n->lock);
}

int naive_map(struct naive *n, uint64_t va, uint64_t len, uint32_t prot,
              uint64_t *ret_iova)
{
	struct mapping *m = malloc(sizeof(*m));
	int rc = -ENOMEM;

	if (!m)
		return rc;
	pthread_mutex_lock(&n->lock);
	m->iova = iova_alloc(n, len);
	m->last = m->iova + len - 1;
	m->oa = va;
	m->prot = prot;
	if (tsearch(m, &n->tree, overlap)) {
		rc = naive_pages_map(n->by_va, va, m->iova, 1);
		if (rc)
			tdelete(m, &n->tree, overlap);
		else
			*ret_iova = m->iova;
	}
	if (rc) {
		iova_free(n, m->iova, len);
		free(m);
	}
	pthread_mutex_unlock(&n->lock);
	return rc;
}

int naive_unmap(struct naive *n, uint64_t iova, uint64_t len)
{
	struct mapping key = {.iova = iova, .last = iova + len - 1};
	struct mapping *m;
	void *found;
	int rc = -ENOENT;

	pthread_mutex_lock(&n->lock);
	found = tfind(&key, &n->tree, overlap);
	if (found) {
		m = *(struct mapping **)found;
		tdelete(m, &n->tree, overlap);
		rc = naive_pages_unmap(n->by_va, m->oa, 1);
		iova_free(n, m->iova, len);
		free(m);
	}
	pthread_mutex_unlock(&n->lock);
	return rc;
}

static struct mapping *find(struct naive *n, uint64_t iova, uint64_t last)
{
	struct mapping key = {.iova = iova, .last = last};
	void *found = tfind(&key, &n->tree, overlap);

	return found ? *(struct mapping **)found : NULL;
}

static int insert(struct naive *n, const struct mapping *what)
{
	struct mapping *m = malloc(sizeof(*m));
	void *at;

	if (!m)
		return -ENOMEM;
	*m = *what;
	at = tsearch(m, &n->tree, overlap);
	if (at && *(struct mapping **)at == m) {
		if (!naive_pages_map(n->by_va, m->oa, m->iova, 1))
			return 0;
		tdelete(m, &n->tree, overlap);
		at = NULL;
	}
	free(m);
	return at ? -EEXIST : -ENOMEM;
}

static void take_out(struct naive *n, struct mapping *m)
{
	tdelete(m, &n->tree, overlap);
	(void)naive_pages_unmap(n->by_va, m->oa, 1);
	free(m);
}

int naive_map_at(struct naive *n, uint64_t iova, uint64_t oa, uint64_t len,
                 uint32_t prot)
{
	struct mapping m = {iova, iova + len - 1, oa, prot};
	int rc;

	pthread_mutex_lock(&n->lock);
	rc = insert(n, &m);
	pthread_mutex_unlock(&n->lock);
	return rc;
}

/* Makes a mapping start at addr where one goes across it. */
static int cut(struct naive *n, uint64_t addr)
{
	struct mapping *m = find(n, addr, addr);
	struct mapping upper;
	int rc;

	if (!m || m->iova == addr)
		return 0;
	upper = *m;
	upper.oa += addr - upper.iova;
	upper.iova = addr;
	m->last = addr - 1;
	rc = insert(n, &upper);
	if (rc)
		m->last = upper.last;
	return rc;
}

int naive_unmap_at(struct naive *n, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1, at = iova;
	struct mapping *m;
	int rc = 0;

	pthread_mutex_lock(&n->lock);
	while ((m = find(n, at, at)) && m->last < last)
		at = m->last + 1;
	if (!m)
		rc = -ENOENT;
	if (!rc)
		rc = cut(n, iova);
	/* A cut more than needed changes nothing that can be seen. */
	if (!rc && last != UINT64_MAX)
		rc = cut(n, last + 1);
	while (!rc && (m = find(n, iova, last)))
		take_out(n, m);
	pthread_mutex_unlock(&n->lock);
	return rc;
}

int64_t naive_translate(struct naive *n, uint64_t iova, uint64_t len,
                        uint32_t access, uint64_t *ret_oa)
{
	struct mapping key = {.iova = iova, .last = iova};
	int64_t ret = -EFAULT;
	void *found;

	pthread_mutex_lock(&n->lock);
	found = tfind(&key, &n->tree, overlap);
	if (found) {
		const struct mapping *m = *(struct mapping **)found;
		uint64_t room = m->last - iova + 1;

		if (access & ~m->prot) {
			ret = -EACCES;
		} else {
			*ret_oa = m->oa + (iova - m->iova);
			ret = (int64_t)(len < room ? len : room);
		}
	}
	pthread_mutex_unlock(&n->lock);
	return ret;
}
