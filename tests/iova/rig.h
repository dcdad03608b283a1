/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A space with one cache on it, and helpers that check what they are handed.
 * Reading the count of free bytes needs the caches destroyed first: what they
 * hold is not free for others.
 */
#ifndef SLUICE_TESTS_IOVA_RIG_H
#define SLUICE_TESTS_IOVA_RIG_H

#include "tests/iova/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY 65536u

struct rig {
	const struct shape *shape;
	struct iova_space *space;
	struct iova_cache *cache;
	uint64_t first_free; /* bytes */
};

static inline const struct shape *shape_named(const char *name)
{
	for (uint32_t i = 0; i < NR_OF(shapes); i++)
		if (!strcmp(shapes[i].name, name))
			return &shapes[i];
	fail_msg("no shape %s", name);
	return NULL;
}

static inline struct rig open_rig(const char *name)
{
	struct rig r = {.shape = shape_named(name)};

	assert_int_equal(iova_space_create(r.shape->r, r.shape->nr, &r.space),
	                 0);
	assert_int_equal(iova_cache_create(r.space, &r.cache), 0);
	r.first_free = iova_space_free_bytes(r.space);
	assert_true(r.first_free > 0);
	return r;
}

static inline void other_cache(struct rig *r)
{
	iova_cache_destroy(r->cache);
	assert_int_equal(iova_cache_create(r->space, &r->cache), 0);
}

static inline void close_rig(struct rig *r, uint64_t reserved)
{
	iova_cache_destroy(r->cache);
	assert_int_equal(iova_space_free_bytes(r->space),
	                 r->first_free - reserved);
	iova_space_destroy(r->space);
}

static inline uint64_t get(struct rig *r, uint64_t len, enum iova_window win)
{
	uint64_t iova = 0;

	assert_int_equal(iova_alloc(r->cache, len, 12, win, &iova), 0);
	assert_true(shape_holds(r->shape, iova, iova + len - 1));
	return iova;
}

static inline uint64_t get_arena(struct rig *r, uint64_t len)
{
	uint64_t iova = 0;

	assert_int_equal(iova_space_alloc(r->space, len, 12, IOVA_ANY, &iova),
	                 0);
	assert_true(shape_holds(r->shape, iova, iova + len - 1));
	return iova;
}

static inline int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* All that is left, in ranges of len, ascending and checked for overlap. */
static inline uint32_t get_all(struct rig *r, uint64_t len,
                               enum iova_window win, uint64_t *out)
{
	uint32_t nr = 0;
	uint64_t iova = 1;
	int rc;

	while ((rc = iova_alloc(r->cache, len, 12, win, &iova)) == 0) {
		assert_true(nr < MANY);
		assert_true(shape_holds(r->shape, iova, iova + len - 1));
		out[nr++] = iova;
		iova = 1;
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(iova, 1);
	qsort(out, nr, sizeof(*out), by_value);
	for (uint32_t i = 1; i < nr; i++)
		assert_true(out[i] - out[i - 1] >= len);
	return nr;
}

static inline void put_all(struct rig *r, const uint64_t *in, uint32_t nr,
                           uint64_t len)
{
	for (uint32_t i = 0; i < nr; i++)
		iova_free(r->cache, in[i], len);
}

#endif
