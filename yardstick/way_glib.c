/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a virtual machine monitor keeps its IOTLB with GLib: a hash of pages as
 * the cache, a balanced tree of intervals as the store behind it, one mutex
 * around everything. The cache holds 1024 pages and is emptied when it is full,
 * as monitors do. Kinder than the usual in two points: an unmap of a few pages
 * looks each of them up in the cache instead of walking all of it, and key and
 * entry are one allocation. GLib ends the program when there is no memory.
 */
#include "yardstick/ways_int.h"

#include <errno.h>
#include <glib.h>

#define CACHE_PAGES 1024

struct interval {
	uint64_t iova, last, oa;
	uint32_t prot;
};

struct cached {
	gint64 page; /* the key */
	uint64_t oa;
	uint32_t prot;
};

struct glib {
	GMutex lock;
	GHashTable *cache; /* struct cached */
	GTree *tree;       /* struct interval, key and value */
};

static gint compare(gconstpointer a, gconstpointer b, gpointer ctx)
{
	const struct interval *x = a, *y = b;

	(void)ctx;
	if (x->last < y->iova)
		return -1;
	return x->iova > y->last;
}

static void *glib_open(uint64_t max_pages)
{
	struct glib *g = g_new0(struct glib, 1);

	(void)max_pages;
	g_mutex_init(&g->lock);
	g->cache = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL,
	                                 g_free);
	g->tree = g_tree_new_full(compare, NULL, NULL, g_free);
	return g;
}

static void glib_close(void *w)
{
	struct glib *g = w;

	g_hash_table_destroy(g->cache);
	g_tree_destroy(g->tree);
	g_mutex_clear(&g->lock);
	g_free(g);
}

static struct interval *find(struct glib *g, uint64_t iova, uint64_t last)
{
	struct interval key = {.iova = iova, .last = last};

	return g_tree_lookup(g->tree, &key);
}

static void insert(struct glib *g, uint64_t iova, uint64_t last, uint64_t oa,
                   uint32_t prot)
{
	struct interval *n = g_new(struct interval, 1);

	*n = (struct interval){iova, last, oa, prot};
	g_tree_insert(g->tree, n, n);
}

static int map(void *w, uint64_t iova, uint64_t oa, uint64_t len, uint32_t prot)
{
	struct glib *g = w;
	int rc = -EEXIST;

	g_mutex_lock(&g->lock);
	if (!find(g, iova, iova + len - 1)) {
		insert(g, iova, iova + len - 1, oa, prot);
		rc = 0;
	}
	g_mutex_unlock(&g->lock);
	return rc;
}

static gboolean within(gpointer key, gpointer value, gpointer ctx)
{
	uint64_t page = (uint64_t)((struct cached *)value)->page;
	const struct interval *range = ctx;

	(void)key;
	return page >= range->iova >> 12 && page <= range->last >> 12;
}

static void forget(struct glib *g, uint64_t iova, uint64_t last)
{
	struct interval range = {.iova = iova, .last = last};
	gint64 page = (gint64)(iova >> 12);

	if (last - iova < g_hash_table_size(g->cache) * WAY_PAGE) {
		for (; page <= (gint64)(last >> 12); page++)
			g_hash_table_remove(g->cache, &page);
	} else {
		g_hash_table_foreach_remove(g->cache, within, &range);
	}
}

static int covered(struct glib *g, uint64_t iova, uint64_t last)
{
	for (;;) {
		const struct interval *i = find(g, iova, iova);

		if (!i)
			return 0;
		if (i->last >= last)
			return 1;
		iova = i->last + 1;
	}
}

/* All of [iova, last] is mapped; what sticks out stays. */
static void take_out(struct glib *g, uint64_t iova, uint64_t last)
{
	struct interval *i;

	while ((i = find(g, iova, last))) {
		struct interval was = *i;

		g_tree_remove(g->tree, i);
		if (was.iova < iova)
			insert(g, was.iova, iova - 1, was.oa, was.prot);
		if (was.last > last)
			insert(g, last + 1, was.last,
			       was.oa + (last + 1 - was.iova), was.prot);
	}
}

static int unmap(void *w, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1;
	struct glib *g = w;
	struct interval *i;
	int rc = 0;

	g_mutex_lock(&g->lock);
	i = find(g, iova, last);
	if (i && i->iova == iova && i->last == last)
		g_tree_remove(g->tree, i);
	else if (covered(g, iova, last))
		take_out(g, iova, last);
	else
		rc = -ENOENT;
	if (!rc)
		forget(g, iova, last);
	g_mutex_unlock(&g->lock);
	return rc;
}

static struct cached *fill(struct glib *g, gint64 page)
{
	uint64_t iova = (uint64_t)page << 12;
	const struct interval *i = find(g, iova, iova);
	struct cached *c;

	if (!i)
		return NULL;
	if (g_hash_table_size(g->cache) >= CACHE_PAGES)
		g_hash_table_remove_all(g->cache);
	c = g_new(struct cached, 1);
	*c = (struct cached){page, i->oa + (iova - i->iova), i->prot};
	g_hash_table_insert(g->cache, &c->page, c);
	return c;
}

static int translate(void *w, uint64_t iova, uint32_t prot, uint64_t *ret_oa)
{
	gint64 page = (gint64)(iova >> 12);
	struct glib *g = w;
	const struct cached *c;
	int rc = 0;

	g_mutex_lock(&g->lock);
	c = g_hash_table_lookup(g->cache, &page);
	if (!c)
		c = fill(g, page);
	if (!c)
		rc = -EFAULT;
	else if (prot & ~c->prot)
		rc = -EACCES;
	else
		*ret_oa = c->oa + (iova & (WAY_PAGE - 1));
	g_mutex_unlock(&g->lock);
	return rc;
}

static void nothing(void *w)
{
	(void)w;
}

const struct way way_glib = {
        .name = "glib",
        .open = glib_open,
        .map = map,
        .unmap = unmap,
        .translate = translate,
        .thread_enter = nothing,
        .thread_leave = nothing,
        .close = glib_close,
};
