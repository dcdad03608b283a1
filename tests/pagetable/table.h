/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table with its pool and hand of pages, and the list of all (format,
 * width) pairs, for the tests of this folder. Include after cmocka.
 */
#ifndef SLUICE_TESTS_TABLE_H
#define SLUICE_TESTS_TABLE_H

#include <errno.h>

#include "flat.h"

#define KIB4 ((uint64_t)4096)
#define MIB2 ((uint64_t)1 << 21)
#define GIB1 ((uint64_t)1 << 30)

struct kind {
	enum sluice_pt_format format;
	unsigned bits;
};

static const struct kind kinds[] = {
        {SLUICE_PT_X86_64, 48}, {SLUICE_PT_X86_64, 57}, {SLUICE_PT_VTDSS, 39},
        {SLUICE_PT_VTDSS, 48},  {SLUICE_PT_VTDSS, 57},
};

struct table {
	struct pagepool *pool;
	struct pagecache pc;
	struct pt *pt;
	struct pt_freed freed;
};

static inline void table_open(struct table *t, struct kind k, uint64_t pages)
{
	struct sluice_pt_config cfg = {.format = k.format, .iova_bits = k.bits};

	*t = (struct table){0};
	assert_int_equal(pagepool_create(pages, 12, &t->pool), 0);
	pagecache_init(&t->pc, t->pool);
	assert_int_equal(pt_create(&cfg, &t->pc, &t->pt), 0);
}

/* Everything must have come back to the pool. */
static inline void table_close(struct table *t)
{
	pt_free_list(t->pt, &t->freed, &t->pc);
	pt_destroy(t->pt, &t->pc);
	pagecache_drain(&t->pc);
	assert_int_equal(pagepool_used(t->pool), 0);
	pagepool_destroy(t->pool);
}

static inline int table_map(struct table *t, uint64_t iova, uint64_t len,
                            uint64_t oa, uint32_t prot)
{
	return pt_map(t->pt, &t->pc, iova, iova + len - 1, oa, prot, &t->freed);
}

static inline int64_t table_unmap(struct table *t, uint64_t iova, uint64_t len)
{
	return pt_unmap(t->pt, iova, iova + len - 1, NULL);
}

#endif
