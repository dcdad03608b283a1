/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table object and its operations, private to pagetable/ and its tests.
 * One constant ops table per (format, number of levels); a public call makes
 * one indirect call through it and no other.
 */
#ifndef SLUICE_PAGETABLE_PT_PRIV_H
#define SLUICE_PAGETABLE_PT_PRIV_H

#include "pagetable/pt_fmt.h"
#include "pagetable/pt_simd.h"

struct pt_ops {
	const struct pt_fmt *fmt;
	unsigned top; /* level of the root table */
	int (*map)(struct pt *pt, struct pagecache *pc, uint64_t iova,
	           uint64_t last, uint64_t oa, uint32_t prot,
	           struct pt_freed *freed);
	int (*populate)(struct pt *pt, struct pagecache *pc, uint64_t iova,
	                uint64_t last, uint64_t oa);
	int (*claim)(struct pt *pt, struct pagecache *pc, uint64_t va,
	             uint64_t last, uint64_t iova, uint32_t prot);
	int64_t (*unmap)(struct pt *pt, uint64_t iova, uint64_t last,
	                 struct pt_gather *g);
	/* The second half of unmap: the range is known to be mapped. */
	int64_t (*remove)(struct pt *pt, uint64_t iova, uint64_t last,
	                  struct pt_gather *g);
	int (*walk)(const struct pt *pt, uint64_t iova, struct pt_run *ret);
	int (*walk_gen)(const struct pt *pt, uint64_t iova, const au64 *gen,
	                struct pt_run *ret);
	int64_t (*dirty)(struct pt *pt, uint64_t iova, uint64_t last,
	                 bool clear);
	int (*set_dirty)(struct pt *pt, uint64_t iova);
};

struct pt {
	const struct pt_ops *ops;
	au64 *root;
	uint64_t max_iova;
	enum pt_simd simd;
};

/* The ops of a format at a width in bits; NULL when it has no such width. */
const struct pt_ops *pt_x86_64_ops(unsigned iova_bits);
const struct pt_ops *pt_vtdss_ops(unsigned iova_bits);

/* The lock-free walk for a table whose unlinked tables are used again without
 * a grace period: whoever does that bumps *gen first. */
int pt_walk_gen(const struct pt *pt, uint64_t iova, const au64 *gen,
                struct pt_run *ret_leaf);
/* The rest of an unmap that came back short, or any range that the caller
 * knows to be mapped in whole leaves. */
int64_t pt_remove(struct pt *pt, uint64_t iova, uint64_t last,
                  struct pt_gather *g);

/* Bytes of [iova, last] that lie below dirty leaves; -EINVAL, -EOPNOTSUPP.
 * clear: leaves that lie whole in the range lose the bit, atomically. */
int64_t pt_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear);
/* As a walker's write would. 0, -ENOENT, -EINVAL, -EOPNOTSUPP. */
int pt_set_dirty(struct pt *pt, uint64_t iova);

/* Visits every non-zero word, tables breadth-first; see sluice_pt_dump(). */
int pt_dump(const struct pt *pt,
            int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx);
void pt_count(const struct pt *pt, struct sluice_pt_stats *ret_stats);

#endif
