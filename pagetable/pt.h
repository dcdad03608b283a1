/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Face of pagetable/: formats and the walk, map and unmap templates. Knows no
 * thread, no group, no cache. Table pages come from the caller's pagecache.
 *
 * Contract (docs/ordering.md has the proof): the caller owns the range that
 * it maps or unmaps exclusively; other ranges, and walkers of any range, run
 * in parallel. A leaf is published by a release store of the whole word and
 * read with acquire, so who finds it sees what its owner wrote before the map
 * (vector stores: x86 orders them; ThreadSanitizer and other machines get the
 * scalar kernels). Nobody is told of a range before the call returns. A table
 * is zero before a CAS with release links it. Empty tables stay linked; what is
 * unlinked keeps its words until the caller frees it after a grace period.
 */
#ifndef SLUICE_PAGETABLE_PT_H
#define SLUICE_PAGETABLE_PT_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/pagetable.h>
#include "util/util.h"

/* Bits of prot beyond SLUICE_READ | SLUICE_WRITE: two software bits that a
 * leaf carries for the owner of the table. Every format has room for them. */
#define PT_SW0 0x100u
#define PT_SW1 0x200u
#define PT_PROT_MASK 0x303u

struct pt;

/* A leaf or a run of leaves. Closed range [iova, last]. */
struct pt_run {
	uint64_t iova;
	uint64_t last;
	uint64_t oa;
	uint32_t prot; /* SLUICE_* and PT_SW* */
};

/* What unmap removed: appended behind nr, the runs of one call merged where OA
 * continues and prot is equal. A leaf with PT_SW1, the head mark, begins a run,
 * and leaves without it continue one: so a run never reaches over the head of
 * another mapping, unless merge_heads is set. A run carries the prot of its
 * first leaf. Runs that do not fit are not removed: unmap comes back short.
 * With run NULL nothing is recorded. */
struct pt_gather {
	struct pt_run *run;
	uint32_t nr;
	uint32_t max;
	bool merge_heads;
};

/* Sizes of the tables of a configuration, as powers of two: those above level
 * 0 in [0], those of level 0 in [1]. Where the two differ, pc below is an array
 * of two hands, one for each size; else it is one. -EINVAL. */
int pt_table_sizes(const struct sluice_pt_config *cfg, unsigned ret_lg2[2]);

/* Control. -EINVAL, -ENOMEM. The root is taken from pc. max_bytes of cfg has no
 * meaning here. */
int pt_create(const struct sluice_pt_config *cfg, struct pagecache *pc,
              struct pt **ret_pt);
/* Control; nobody uses the table any more. Pages go back zeroed through pc. */
void pt_destroy(struct pt *pt, struct pagecache *pc);

enum sluice_pt_format pt_format(const struct pt *pt);
uint64_t pt_max_iova(const struct pt *pt); /* last valid input address */
uint64_t pt_max_oa(const struct pt *pt);   /* last valid output address */

/* Tables that a call unlinked. Zero-initialise. They keep their words until
 * pt_free_list gives them back, after the grace period: a walker that is still
 * inside finds what was there. The list is kept beside the tables, by the pool;
 * pt is any table of that configuration. */
struct pt_freed {
	uint32_t head; /* 0: none */
	uint32_t nr;
	uint64_t bytes;
};
void pt_free_list(const struct pt *pt, struct pt_freed *freed,
                  struct pagecache *pc);

/* Maps [iova, last] -> oa. All page-aligned (last + 1 too). Largest leaves.
 * 0, -EINVAL (alignment, width, a prot that the format cannot say), -EEXIST,
 * -ENOMEM; a map that fails was never visible, not even in part (tables that
 * were added may stay). What was unlinked is added to *freed, never NULL.
 * PT_SW1, if in prot, is set on the first leaf only: it marks the head of a
 * mapping. */
int pt_map(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last,
           uint64_t oa, uint32_t prot, struct pt_freed *freed);
/* The same for nr pieces of memory, one behind the other from iova on. */
int pt_map_sg(struct pt *pt, struct pagecache *pc, uint64_t iova,
              const struct sluice_pt_seg *seg, uint32_t nr, uint32_t prot,
              struct pt_freed *freed);

/* The tables that a later pt_map of [iova, last] with single pages (or
 * larger leaves, when oa allows) needs: afterwards that pt_map cannot fail with
 * -ENOMEM. Does not touch leaves. 0, -EINVAL, -ENOMEM. */
int pt_populate(struct pt *pt, struct pagecache *pc, uint64_t iova,
                uint64_t last, uint64_t oa);

/* Like pt_map, but the range is not owned: each leaf is installed by CAS on an
 * empty slot; a slot in use gives -EEXIST and what was installed before is
 * taken back. Never replaces a table: where one hangs, empty or not, smaller
 * leaves go into it. For the VA->IOVA direction, where two
 * lanes may map one buffer at the same time. */
int pt_claim(struct pt *pt, struct pagecache *pc, uint64_t va, uint64_t last,
             uint64_t iova, uint32_t prot);

/* Removes [iova, last]. Bytes removed (short when g is full), -EINVAL,
 * -ENOENT (a part is not mapped), -ERANGE (would split a leaf); where both are
 * true, what comes first by address decides; -EBUSY (the tables are shared:
 * pt_unshare first). Unchanged on failure. g may be NULL. */
int64_t pt_unmap(struct pt *pt, uint64_t iova, uint64_t last,
                 struct pt_gather *g);

/* The leaf under iova. 0, -ENOENT, -EINVAL. Lock-free, any thread. */
int pt_walk(const struct pt *pt, uint64_t iova, struct pt_run *ret_leaf);

/*
 * What one reader remembers of the way down: the tables of level 0 that it met
 * last, one in each slot, by the block of IOVA that they serve. Owned by the
 * reader, who is inside a grace period: pt_near_drop() before it lets the
 * period end in which a table was unlinked. A table that was unlinked holds no
 * leaf, so until then a stale slot finds nothing, which proves nothing:
 * pt_walk_near() has the last word. For formats whose level 0 has 512 pages of
 * 4 KiB; with others it stays empty.
 */
struct pt_near_slot {
	uint64_t key; /* block of IOVA | age */
	au64 *table;
};

struct pt_near {
	struct pt_near_slot *slot;
	uint64_t mask; /* slots - 1 */
	uint64_t age;  /* slots of another age are empty */
	/* A word is a leaf of one page that allows the access a when the bits
	 * bits[a] of it are want[a]; no word is for a = 0. */
	uint64_t bits[4], want[4];
	uint64_t addr; /* bits of its address, which is shifted by ... */
	unsigned shl;
	uint64_t leaf[4]; /* such a word for a prot, without address; or 0 */
	uint64_t max_oa;
	uint64_t larger; /* a word with one of these is not a page alone */
	uint64_t head;   /* PT_SW1 in such a word, or 0 */
};

#define PT_NEAR_LG2 21u /* bytes that a table of level 0 serves */
#define PT_NEAR_AGE_LG2 44u

/* Owner thread. slots: a power of two; their memory comes as it is used. 0,
 * -ENOMEM. */
int pt_near_create(const struct pt *pt, uint32_t slots,
                   struct pt_near *ret_near);
void pt_near_destroy(struct pt_near *near);
void pt_near_drop(struct pt_near *near);

/* As pt_walk; remembers the table that it came through. Owner thread. */
int pt_walk_near(const struct pt *pt, struct pt_near *near, uint64_t iova,
                 struct pt_run *ret_leaf);

/* Is the table of this block of IOVA remembered? */
static always_inline bool pt_near_has(const struct pt_near *near,
                                      uint64_t block)
{
	return near->slot[block & near->mask].key == (block | near->age);
}

/* The word of a page, or NULL when its table is not remembered. */
static always_inline au64 *pt_near_slot(const struct pt_near *near,
                                        uint64_t iova)
{
	uint64_t block = iova >> PT_NEAR_LG2;
	const struct pt_near_slot *s = &near->slot[block & near->mask];

	if (unlikely(s->key != (block | near->age)))
		return NULL;
	return &s->table[iova >> SLUICE_PAGE_LG2 & 511];
}

static always_inline uint64_t pt_near_order(uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(w);
#else
	return w;
#endif
}

/* True: iova lies in a leaf of one page that allows access (1..3) and has
 * *ret_word. False says nothing. Pairs with the release of a leaf, as every
 * walk. */
static always_inline bool pt_near_read(const struct pt_near *near,
                                       const au64 *slot, uint32_t access,
                                       uint64_t *ret_word)
{
	uint64_t w = pt_near_order(ld_acq(slot));

	*ret_word = w;
	return likely((w & near->bits[access]) == near->want[access]);
}

static always_inline bool pt_near_find(const struct pt_near *near,
                                       uint64_t iova, uint32_t access,
                                       uint64_t *ret_word)
{
	uint64_t block = iova >> PT_NEAR_LG2;
	const struct pt_near_slot *s = &near->slot[block & near->mask];

	/* Not pt_near_slot(): its NULL would be asked for once more. */
	return likely(s->key == (block | near->age)) &&
	       pt_near_read(near, &s->table[iova >> SLUICE_PAGE_LG2 & 511],
	                    access, ret_word);
}

/*
 * Maps and unmaps nr pages of one block that the caller owns, fewer than a
 * block; prot is SLUICE_* alone. A slot may not be stale here: tables must be
 * known to be unlinked, by pt_near_drop(), before a page of their block is
 * owned anew. False: nothing was done, pt_map() or pt_unmap() says more.
 */
static always_inline bool pt_near_map(const struct pt_near *near, uint64_t iova,
                                      uint64_t oa, unsigned nr, uint32_t prot)
{
	au64 *slot = pt_near_slot(near, iova);
	uint64_t w;

	if (unlikely(!slot || prot > SLUICE_RW || !near->leaf[prot] ||
	             oa > near->max_oa))
		return false;
	if (unlikely(nr > 1) &&
	    (near->larger || near->max_oa - oa < nr * SLUICE_PAGE_SIZE))
		return false; /* may want a larger leaf, or be refused */
	for (unsigned i = 0; i < nr; i++)
		if (unlikely(ld_rlx(&slot[i])))
			return false;
	w = near->leaf[prot] | oa >> near->shl;
	/* Release: pairs with the walks, as in pt_store. */
	for (unsigned i = 0; i < nr; i++, w += SLUICE_PAGE_SIZE >> near->shl)
		st_rel(&slot[i], pt_near_order(w));
	return true;
}

/* The same for one page; prot is at most SLUICE_RW. */
static always_inline bool pt_near_map_page(const struct pt_near *near,
                                           uint64_t iova, uint64_t oa,
                                           uint32_t prot)
{
	uint64_t block = iova >> PT_NEAR_LG2, leaf = near->leaf[prot];
	const struct pt_near_slot *s = &near->slot[block & near->mask];
	au64 *slot;

	if (unlikely(s->key != (block | near->age)) || unlikely(!leaf) ||
	    unlikely(oa > near->max_oa))
		return false;
	slot = &s->table[iova >> SLUICE_PAGE_LG2 & 511];
	if (unlikely(ld_rlx(slot)))
		return false;
	/* Release: as in pt_near_map. */
	st_rel(slot, pt_near_order(leaf | oa >> near->shl));
	return true;
}
static always_inline bool pt_near_unmap_page(const struct pt_near *near,
                                             uint64_t iova)
{
	uint64_t block = iova >> PT_NEAR_LG2, w;
	const struct pt_near_slot *s = &near->slot[block & near->mask];
	au64 *slot;

	if (unlikely(s->key != (block | near->age)))
		return false;
	slot = &s->table[iova >> SLUICE_PAGE_LG2 & 511];
	w = pt_near_order(ld_rlx(slot));
	if (unlikely(!w || w & near->larger))
		return false;
	st_rlx(slot, 0);
	return true;
}
static always_inline bool pt_near_unmap(const struct pt_near *near,
                                        uint64_t iova, unsigned nr)
{
	au64 *slot = pt_near_slot(near, iova);

	if (unlikely(!slot))
		return false;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t w = pt_near_order(ld_rlx(&slot[i]));

		if (unlikely(!w || w & near->larger))
			return false;
	}
	for (unsigned i = 0; i < nr; i++)
		st_rlx(&slot[i], 0);
	return true;
}

/* Where the page of such a word lies. */
static always_inline uint64_t pt_near_oa(const struct pt_near *near, uint64_t w)
{
	return (w & near->addr) << near->shl;
}

static always_inline uint32_t pt_near_prot(const struct pt_near *near,
                                           uint64_t w)
{
	uint32_t prot = 0;

	if (likely((w & near->bits[SLUICE_RW]) == near->want[SLUICE_RW]))
		return SLUICE_RW;
	for (uint32_t a = SLUICE_READ; a <= SLUICE_WRITE; a++)
		if ((w & near->bits[a]) == near->want[a])
			prot |= a;
	return prot;
}

/* ---- windows ---- */

/* A range of single pages whose tables are there and stay until the window is
 * closed: a leaf in it is one store. Only the owner of the range maps and
 * unmaps in it, by these calls; walkers do not care. Tables below a window are
 * neither replaced by a large leaf (-EEXIST) nor reclaimed. Not for tables that
 * are shared. */
struct pt_window {
	struct pt *pt;
	uint64_t word[4]; /* a leaf to address 0, by prot; 0: cannot be said */
	uint32_t nr_tables;
	uint32_t first; /* slot of page 0 in the first table */
	uint32_t mask;  /* slots of a table - 1 */
	uint8_t page_lg2, index_lg2, oa_shr;
	bool swapped; /* words have the other order of bytes than the host */
	au64 *table[];
};

/* Control. -EINVAL, -ENOMEM, -EEXIST (a large leaf is in the way), -EOPNOTSUPP
 * (words are not put together by one shift and one or, or the walker does not
 * snoop). */
int pt_window_open(struct pt *pt, struct pagecache *pc, uint64_t iova,
                   uint64_t last, struct pt_window **ret_window);
/* NULL is fine. Leaves that are left stay. */
void pt_window_close(struct pt_window *w);

/* The word of a leaf; oa and prot must fit the table (word[prot] not 0). */
static inline uint64_t pt_window_word(const struct pt_window *w, uint64_t oa,
                                      uint32_t prot)
{
	return w->word[prot] | oa >> w->oa_shr;
}

/* False: the page is mapped already, by somebody who should not. */
static inline bool pt_window_set(const struct pt_window *w, uint64_t page,
                                 uint64_t oa, uint32_t prot)
{
	uint64_t at = w->first + page;
	au64 *slot = &w->table[at >> w->index_lg2][at & w->mask];
	uint64_t word = pt_window_word(w, oa, prot);

	if (unlikely(ld_rlx(slot)))
		return false;
	/* Pairs with pt_load of a walk. */
	st_rel(slot, unlikely(w->swapped) ? __builtin_bswap64(word) : word);
	return true;
}

/* The same for nr pages, all or none. */
bool pt_window_fill(const struct pt_window *w, uint64_t page, uint64_t nr,
                    uint64_t oa, uint32_t prot);
/* Pages that are not mapped are fine. */
void pt_window_clear(const struct pt_window *w, uint64_t page, uint64_t nr);

#endif
