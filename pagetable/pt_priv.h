/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table object and its operations, private to pagetable/ and its tests.
 * One constant ops table per format; a public call makes one indirect call
 * through it and no other. What is not called at I/O rate has no entry there:
 * it takes the descriptor at run time.
 */
#ifndef SLUICE_PAGETABLE_PT_PRIV_H
#define SLUICE_PAGETABLE_PT_PRIV_H

#include "pagetable/pt_fmt.h"
#include "pagetable/pt_simd.h"

struct pt_ops {
	int (*map)(struct pt *pt, struct pagecache *pc, uint64_t iova,
	           uint64_t last, uint64_t oa, uint32_t prot,
	           struct pt_freed *freed);
	int (*map_sg)(struct pt *pt, struct pagecache *pc, uint64_t iova,
	              const struct sluice_pt_seg *seg, uint32_t nr,
	              uint32_t prot, struct pt_freed *freed);
	int (*claim)(struct pt *pt, struct pagecache *pc, uint64_t va,
	             uint64_t last, uint64_t iova, uint32_t prot);
	int64_t (*unmap)(struct pt *pt, uint64_t iova, uint64_t last,
	                 struct pt_gather *g);
	/* The second half of unmap: the range is known to be mapped. */
	int64_t (*remove)(struct pt *pt, uint64_t iova, uint64_t last,
	                  struct pt_gather *g);
	/* ret_table: of level 0 on the way, or NULL. */
	int (*walk)(const struct pt *pt, uint64_t iova, struct pt_run *ret,
	            au64 **ret_table);
	int (*walk_gen)(const struct pt *pt, uint64_t iova, const au64 *gen,
	                struct pt_run *ret);
};

struct pt {
	const struct pt_ops *ops;
	const struct pt_fmt *fmt;
	au64 root; /* address of the root table | its level */
	enum pt_simd simd;
	struct pt_geo geo;
	struct pagepool *pool[2]; /* by size class */
	void (*invalidate)(void *ctx, uint64_t iova, uint64_t len);
	void *ctx;
};

/* The plan of a format: from a configuration to a geometry, its descriptor and
 * its operations. -EINVAL says in words what the format can be. */
typedef int pt_plan_fn(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                       const struct pt_fmt **ret_fmt,
                       const struct pt_ops **ret_ops);
pt_plan_fn pt_plan_x86_64, pt_plan_vtdss, pt_plan_amdv1, pt_plan_arm_s1,
        pt_plan_arm_s2, pt_plan_riscv, pt_plan_riscv_g, pt_plan_s390,
        pt_plan_tce;

/* The operations for a descriptor without code of its own. */
const struct pt_ops *pt_run_time_ops(void);

/* Finishes a geometry whose top, root_lg2 and, where the format leaves it open,
 * page and index sizes are set: fills in the rest. 0, -EINVAL for oa_bits (0:
 * as many as oa_max). */
int pt_geo_done(const struct pt_fmt *f, struct pt_geo *g, unsigned iova_bits,
                unsigned oa_bits, unsigned oa_max);

#define PT_ROOT_LEVEL_MASK 7u

static always_inline uint64_t pt_root_word(const struct pt *pt)
{
	/* Pairs with the release in pt_grow: the new root is complete. */
	return ld_acq(&pt->root);
}

static always_inline unsigned pt_root_top(uint64_t root)
{
	return (unsigned)root & PT_ROOT_LEVEL_MASK;
}

static always_inline au64 *pt_root_table(uint64_t root)
{
	return (au64 *)(uintptr_t)(root & ~(uint64_t)PT_ROOT_LEVEL_MASK);
}

/* Is iova below what the levels that exist can say? */
static always_inline bool pt_in_reach(const struct pt_fmt *f,
                                      const struct pt_geo *g, uint64_t iova,
                                      unsigned top)
{
	unsigned shift;

	if (!f->grows)
		return true;
	shift = pt_shift(f, g, top) + pt_index_lg2(f, g, top);
	return shift >= 64 || iova >> shift == 0;
}

/* Pairs with the release of a leaf, with the release half of the CAS in
 * pt_link_table (a table is zero before it is seen) and of the one in pt_claim
 * (what its owner wrote before is seen by whoever finds the leaf). */
static always_inline uint64_t pt_load(const struct pt_fmt *f, const au64 *slot)
{
	return pt_order(f, ld_acq(slot));
}

static always_inline uint64_t pt_load_rlx(const struct pt_fmt *f,
                                          const au64 *slot)
{
	return pt_order(f, ld_rlx(slot));
}

/* Release: pairs with pt_load. */
static always_inline void pt_store(const struct pt_fmt *f, au64 *slot,
                                   uint64_t w)
{
	st_rel(slot, pt_order(f, w));
}

static always_inline void pt_clear(const struct pt_fmt *f, au64 *slot,
                                   unsigned level)
{
	st_rlx(slot, pt_order(f, pt_empty(f, level)));
}

/* The address as the caller knows it. */
static inline uint64_t pt_signed_iova(const struct pt_geo *g, uint64_t iova)
{
	return g->is_signed && iova > g->max_iova >> 1 ? iova | ~g->max_iova
	                                               : iova;
}

/* A range of a signed table as the table counts it; false when it is not
 * canonical. Other tables: true. */
bool pt_fold(const struct pt *pt, uint64_t *iova, uint64_t *last);
int pt_refuse_sign(void);
/* Canonical, whole pages, inside the width: 0 or -EINVAL. */
int pt_check_range(const struct pt *pt, uint64_t iova, uint64_t last);

/* Calls the owner's invalidate. */
void pt_tell(const struct pt *pt, uint64_t iova, uint64_t len);

/* Writes [p, p + bytes) back to memory where the walker does not snoop. */
void pt_flush_lines(const void *p, uint64_t bytes);
bool pt_can_flush(void);

static always_inline void pt_flush(const struct pt *pt, const au64 *slot,
                                   uint64_t nr)
{
	if (unlikely(pt->geo.flush))
		pt_flush_lines((const void *)slot, nr * sizeof(*slot));
}

/* Runs of words, in the order of the format. A format in the other byte order
 * takes the scalar way. */
static always_inline bool pt_swapped(const struct pt_fmt *f)
{
	return f->big_endian != PT_HOST_BIG;
}

static always_inline bool pt_run_empty(const struct pt_fmt *f,
                                       const struct pt *pt, const au64 *slot,
                                       unsigned nr, unsigned level)
{
	uint64_t empty = pt_order(f, pt_empty(f, level));

	if (empty == 0)
		return pt_words_zero(pt->simd, slot, nr);
	return pt_words_run(pt->simd, slot, nr, empty, 0, ~(uint64_t)0) == nr;
}

static always_inline void pt_run_clear(const struct pt_fmt *f,
                                       const struct pt *pt, au64 *slot,
                                       unsigned nr, unsigned level)
{
	uint64_t empty = pt_order(f, pt_empty(f, level));

	if (empty == 0)
		pt_words_clear(pt->simd, slot, nr);
	else
		pt_words_fill(pt->simd, slot, nr, empty, 0);
	pt_flush(pt, slot, nr);
}

static always_inline void pt_run_fill(const struct pt_fmt *f,
                                      const struct pt *pt, au64 *slot,
                                      unsigned nr, uint64_t first,
                                      uint64_t step)
{
	if (!pt_swapped(f)) {
		pt_words_fill(pt->simd, slot, nr, first, step);
		return;
	}
	for (unsigned i = 0; i < nr; i++)
		pt_store(f, &slot[i], first + i * step);
}

/* How many words from the first on are leaves. */
static always_inline unsigned pt_run_leaves(const struct pt_fmt *f,
                                            const struct pt *pt,
                                            const au64 *slot, unsigned nr,
                                            unsigned level)
{
	uint64_t any = level ? f->large_any : f->present[0];
	unsigned i;

	if (level == 0 && f->absent)
		return pt_words_run(pt->simd, slot, nr, 0, 0, pt_order(f, any));
	if (any)
		return pt_words_any(pt->simd, slot, nr, pt_order(f, any));
	for (i = 0; i < nr; i++)
		if (!pt_is_leaf(f, pt_load_rlx(f, &slot[i]), level))
			break;
	return i;
}

/* The lock-free walk for a table whose unlinked tables are used again without
 * a grace period: whoever does that bumps *gen first. */
int pt_walk_gen(const struct pt *pt, uint64_t iova, const au64 *gen,
                struct pt_run *ret_leaf);
/* The rest of an unmap that came back short, or any range that the caller
 * knows to be mapped in whole leaves. */
int64_t pt_remove(struct pt *pt, uint64_t iova, uint64_t last,
                  struct pt_gather *g);

/* Bytes of [iova, last] that lie below dirty leaves; -EINVAL, -EOPNOTSUPP.
 * clear: leaves that lie whole in the range lose the mark, atomically. bitmap:
 * NULL, or a bit per page to be set. Shared tables were made private. */
int64_t pt_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear,
                 uint64_t *bitmap);
/* As a walker's write would. 0, -ENOENT, -EINVAL, -EOPNOTSUPP, -EACCES. */
int pt_set_dirty(struct pt *pt, uint64_t iova);

/* pt_change.c; see sluice_pt_protect() and so on. What is unlinked is added to
 * *freed. */
int pt_protect(struct pt *pt, uint64_t iova, uint64_t last, uint32_t prot);
int pt_split(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last);
int64_t pt_promote(struct pt *pt, uint64_t iova, uint64_t last,
                   struct pt_freed *freed);
int64_t pt_reclaim(struct pt *pt, uint64_t iova, uint64_t last,
                   struct pt_freed *freed);

/* pt_share.c. Makes the tables on the way to every address of the range
 * private. 0, -ENOMEM, -EINVAL. */
int pt_unshare(struct pt *pt, struct pagecache *pc, uint64_t iova,
               uint64_t last, struct pt_freed *freed);
/* The same for the first address and the one behind the last. */
int pt_unshare_ends(struct pt *pt, struct pagecache *pc, uint64_t iova,
                    uint64_t last, struct pt_freed *freed);
int pt_attach(struct pt *pt, struct pagecache *pc, struct pt *src,
              uint64_t iova, uint64_t last, struct pt_freed *freed);
int pt_detach(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last,
              struct pt_freed *freed);
/* The pool's count of other holders of a table; of a table that nobody holds
 * any more, its place in a list. */
au32 *pt_counter(const struct pt *pt, const au64 *t, unsigned level);
/* Its bits from here on count the windows that hold a table of level 0. */
#define PT_HOLD_LG2 22u
/* Lets a table go that a shared link named: the last holder unlinks it. */
void pt_drop(struct pt *pt, uint64_t link, unsigned level,
             struct pt_freed *freed);

/* pt_create.c. Does no slot of the table map anything? */
bool pt_is_empty(const struct pt *pt);
/* Takes everything below the root out of use; nobody else is in the table. */
void pt_empty_root(struct pt *pt, struct pt_freed *freed);

/* pt_dump.c: every word that is not empty, breadth-first. */
int pt_dump(const struct pt *pt,
            int (*fn)(void *ctx, const struct sluice_pt_word *word), void *ctx);
int64_t pt_image(const struct pt *pt, uint64_t base, void *buf, uint64_t size);
void pt_count(const struct pt *pt, struct sluice_pt_stats *ret_stats);
/* pt_load.c */
int pt_load_words(struct pt *pt, struct pagecache *pc,
                  const struct sluice_pt_word *word, uint64_t nr);
int pt_load_image(struct pt *pt, struct pagecache *pc, uint64_t base,
                  const void *buf, uint64_t size, uint64_t root);
/* pt_explain.c: level is one of this table. */
void pt_explain(const struct pt *pt, uint64_t word, unsigned level,
                struct sluice_pt_meaning *ret_meaning);

#endif
