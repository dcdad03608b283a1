/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of ways that were built, and the naive one.
 */
#include "yardstick/naive.h"
#include "yardstick/ways_int.h"

#include <string.h>

static void *naive_open(uint64_t max_pages)
{
	(void)max_pages;
	return naive_new();
}

static int map(void *w, uint64_t iova, uint64_t oa, uint64_t len, uint32_t prot)
{
	return naive_map_at(w, iova, oa, len, prot);
}

static int unmap(void *w, uint64_t iova, uint64_t len)
{
	return naive_unmap_at(w, iova, len);
}

static int translate(void *w, uint64_t iova, uint32_t prot, uint64_t *ret_oa)
{
	int64_t rc = naive_translate(w, iova, 1, prot, ret_oa);

	return rc < 0 ? (int)rc : 0;
}

static void nothing(void *w)
{
	(void)w;
}

static void naive_close(void *w)
{
	naive_free(w);
}

const struct way way_naive = {
        .name = "naive",
        .open = naive_open,
        .map = map,
        .unmap = unmap,
        .translate = translate,
        .thread_enter = nothing,
        .thread_leave = nothing,
        .close = naive_close,
};

/* Copies, because an array of structs is the handier face. */
static struct way list[5];
static unsigned nr;

__attribute__((constructor)) static void fill(void)
{
	list[nr++] = way_naive;
	list[nr++] = way_bare;
#ifdef HAVE_WAY_GLIB
	list[nr++] = way_glib;
#endif
#ifdef HAVE_WAY_RTE_HASH
	list[nr++] = way_rte_hash;
#endif
#ifdef HAVE_WAY_RCULFHASH
	list[nr++] = way_rculfhash;
#endif
}

const struct way *ways_all(unsigned *ret_nr)
{
	*ret_nr = nr;
	return list;
}

const struct way *ways_find(const char *name)
{
	for (unsigned i = 0; i < nr; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}
