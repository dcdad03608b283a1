/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways down a table: the straight descent, and a path that remembers the
 * tables it came through while a call moves along its range. Loads and links
 * words; knows no leaf.
 */
#ifndef SLUICE_PAGETABLE_PT_PATH_H
#define SLUICE_PAGETABLE_PT_PATH_H

#include <errno.h>

#include "pagetable/pt_priv.h"

/* Pairs with the release of a leaf, with the release half of the CAS in
 * pt_link_table (a table is zero before it is seen) and of the one in pt_claim
 * (what its owner wrote before is seen by whoever finds the leaf). */
static always_inline uint64_t pt_load(const au64 *slot)
{
	return ld_acq(slot);
}

/* One level down; false when the word is no link. */
static always_inline bool pt_step(const struct pt_fmt *f, unsigned level,
                                  au64 **t, uint64_t iova, uint64_t *ret_word)
{
	uint64_t w = pt_load(&(*t)[pt_index(iova, level)]);

	*ret_word = w;
	if (unlikely(!pt_is_link(f, w, level)))
		return false;
	*t = pt_word_table(w);
	return true;
}

/* The table of level 0 or 1 that serves iova; NULL when the way ends above.
 * Written out: top and level are constants, and compilers differ in whether
 * they unroll the loop. */
static always_inline au64 *pt_table_at(const struct pt_fmt *f, unsigned top,
                                       au64 *root, uint64_t iova,
                                       unsigned level)
{
	au64 *t = root;
	uint64_t w;

	if (top >= 4 && !pt_step(f, 4, &t, iova, &w))
		return NULL;
	if (top >= 3 && !pt_step(f, 3, &t, iova, &w))
		return NULL;
	if (!pt_step(f, 2, &t, iova, &w))
		return NULL;
	if (level == 0 && !pt_step(f, 1, &t, iova, &w))
		return NULL;
	return t;
}

struct pt_path {
	au64 *tbl[PT_LEVELS_MAX]; /* valid from level to top */
	unsigned level;
	uint64_t at;
	bool fresh; /* the lowest table was linked by this very path */
};

static always_inline void pt_path_start(struct pt_path *p, unsigned top,
                                        au64 *root, uint64_t iova)
{
	p->tbl[top] = root;
	p->level = top;
	p->at = iova;
	p->fresh = false;
}

/* Forgets the tables that do not serve iova. */
static always_inline void pt_path_move(struct pt_path *p, uint64_t iova)
{
	uint64_t differ = p->at ^ iova;

	while (differ >> pt_shift(p->level) >> PT_INDEX_LG2) {
		p->level++;
		p->fresh = false;
	}
	p->at = iova;
}

static always_inline au64 *pt_path_slot(const struct pt_path *p)
{
	return &p->tbl[p->level][pt_index(p->at, p->level)];
}

static always_inline void pt_path_down(struct pt_path *p, uint64_t link)
{
	p->level--;
	p->tbl[p->level] = pt_word_table(link);
	p->fresh = false;
}

/* Down to the word that decides about iova: a leaf, an empty slot or, when
 * lowest is reached, whatever stands there. Returns the word. */
static always_inline uint64_t pt_path_settle(const struct pt_fmt *f,
                                             struct pt_path *p, unsigned lowest)
{
	for (;;) {
		uint64_t w = pt_load(pt_path_slot(p));

		if (p->level <= lowest || !pt_is_link(f, w, p->level))
			return w;
		pt_path_down(p, w);
	}
}

/* Links a zeroed page below an empty slot. Another thread may be first: its
 * table serves as well. Returns the word that stands there now, 0 without
 * memory. */
static inline uint64_t pt_link_table(const struct pt_fmt *f,
                                     struct pagecache *pc, au64 *slot,
                                     bool *ret_mine)
{
	void *page = pagecache_get(pc);
	uint64_t link = pt_link_word(f, page);
	uint64_t seen = 0;

	*ret_mine = false;
	if (!page)
		return 0;
	/* Release: the page is zero before it can be reached. Acquire: a
	 * loser reads the winner's table. Pairs with itself and pt_load. */
	if (cas_acqrel(slot, &seen, link)) {
		*ret_mine = true;
		return link;
	}
	pagecache_put(pc, page);
	return seen;
}

/* Down to level, linking what is missing. 0, -ENOMEM, -EEXIST (a leaf is in
 * the way; the path stands at it). */
static always_inline int pt_path_build(const struct pt_fmt *f,
                                       struct pt_path *p, struct pagecache *pc,
                                       unsigned level)
{
	while (p->level > level) {
		au64 *slot = pt_path_slot(p);
		uint64_t w = pt_load(slot);
		bool mine = false;

		if (w == 0) {
			w = pt_link_table(f, pc, slot, &mine);
			if (w == 0)
				return -ENOMEM;
		}
		if (!pt_is_link(f, w, p->level))
			return -EEXIST;
		pt_path_down(p, w);
		p->fresh = mine;
	}
	return 0;
}

#endif
