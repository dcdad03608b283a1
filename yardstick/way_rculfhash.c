/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * liburcu's resizable lock-free hash, a node for each page. Lookups run in a
 * read-side section of the general flavour (a barrier for the compiler only,
 * membarrier does the rest), removed nodes are freed by call_rcu(). The table
 * gets its size at once, so that no lookup meets a resize.
 */
#include "yardstick/ways_int.h"

#include <errno.h>
#include <stdlib.h>

#include <urcu.h>
#include <urcu/rculfhash.h>

struct page {
	struct cds_lfht_node node;
	uint64_t page, oa;
	uint32_t prot;
	struct rcu_head head;
};

/* A thread registers once, however many ways it is in. */
static _Thread_local unsigned inside;

static struct page *page_of(struct cds_lfht_node *n)
{
	return (struct page *)(void *)((char *)n - offsetof(struct page, node));
}

static unsigned long hash(uint64_t page)
{
	page *= 0x9e3779b97f4a7c15u;
	return (unsigned long)(page ^ page >> 32);
}

static int match(struct cds_lfht_node *n, const void *key)
{
	return page_of(n)->page == *(const uint64_t *)key;
}

static void enter(void *w)
{
	(void)w;
	if (!inside++)
		rcu_register_thread();
}

static void leave(void *w)
{
	(void)w;
	if (!--inside)
		rcu_unregister_thread();
}

static void *lfht_open(uint64_t max_pages)
{
	unsigned long buckets = 1;

	while (buckets < max_pages)
		buckets <<= 1;
	return cds_lfht_new(buckets, buckets, buckets, 0, NULL);
}

static void free_page(struct rcu_head *head)
{
	free((char *)head - offsetof(struct page, head));
}

static struct page *look(struct cds_lfht *t, uint64_t page)
{
	struct cds_lfht_iter at;
	struct cds_lfht_node *n;

	cds_lfht_lookup(t, hash(page), match, &page, &at);
	n = cds_lfht_iter_get_node(&at);
	return n ? page_of(n) : NULL;
}

static int take(struct cds_lfht *t, uint64_t page)
{
	struct page *p = look(t, page);

	if (!p || cds_lfht_del(t, &p->node))
		return -ENOENT;
	call_rcu(&p->head, free_page);
	return 0;
}

static int put(struct cds_lfht *t, uint64_t page, uint64_t oa, uint32_t prot)
{
	struct page *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	cds_lfht_node_init(&p->node);
	p->page = page;
	p->oa = oa;
	p->prot = prot;
	if (cds_lfht_add_unique(t, hash(page), match, &page, &p->node) !=
	    &p->node) {
		free(p);
		return -EEXIST;
	}
	return 0;
}

static int map(void *w, uint64_t iova, uint64_t oa, uint64_t len, uint32_t prot)
{
	uint64_t first = iova >> 12, nr = len >> 12, i;
	int rc = 0;

	rcu_read_lock();
	for (i = 0; i < nr && !rc; i++)
		rc = put(w, first + i, oa + (i << 12), prot);
	if (rc)
		for (i--; i-- > 0;)
			(void)take(w, first + i);
	rcu_read_unlock();
	return rc;
}

static int unmap(void *w, uint64_t iova, uint64_t len)
{
	uint64_t first = iova >> 12, nr = len >> 12;
	int rc = 0;

	rcu_read_lock();
	for (uint64_t i = 0; nr > 1 && i < nr && !rc; i++)
		rc = look(w, first + i) ? 0 : -ENOENT;
	for (uint64_t i = 0; i < nr && !rc; i++)
		rc = take(w, first + i);
	rcu_read_unlock();
	return rc;
}

static int translate(void *w, uint64_t iova, uint32_t prot, uint64_t *ret_oa)
{
	const struct page *p;
	int rc = 0;

	rcu_read_lock();
	p = look(w, iova >> 12);
	if (!p)
		rc = -EFAULT;
	else if (prot & ~p->prot)
		rc = -EACCES;
	else
		*ret_oa = p->oa + (iova & (WAY_PAGE - 1));
	rcu_read_unlock();
	return rc;
}

static void lfht_close(void *w)
{
	struct cds_lfht_iter at;
	struct cds_lfht_node *n;

	enter(w);
	rcu_read_lock();
	cds_lfht_first(w, &at);
	while ((n = cds_lfht_iter_get_node(&at))) {
		cds_lfht_next(w, &at);
		cds_lfht_del(w, n);
		call_rcu(&page_of(n)->head, free_page);
	}
	rcu_read_unlock();
	leave(w);
	rcu_barrier();
	cds_lfht_destroy(w, NULL);
}

const struct way way_rculfhash = {
        .name = "rculfhash",
        .open = lfht_open,
        .map = map,
        .unmap = unmap,
        .translate = translate,
        .thread_enter = enter,
        .thread_leave = leave,
        .close = lfht_close,
};
