/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ways down a table: the straight descent, and a path that remembers the
 * tables it came through while a call moves along its range. Loads and links
 * words; knows no leaf. Ways of writers stop at a table that others share.
 */
#ifndef SLUICE_PAGETABLE_PT_PATH_H
#define SLUICE_PAGETABLE_PT_PATH_H

#include <errno.h>

#include "pagetable/pt_priv.h"

/* One level down on the way to a change; false when the word is no link, or
 * one that is shared. */
static always_inline bool pt_step_own(const struct pt_fmt *f,
                                      const struct pt_geo *g, unsigned level,
                                      unsigned top, au64 **t, uint64_t iova)
{
	uint64_t w = pt_load(f, &(*t)[pt_index(f, g, iova, level, top)]);

	if (unlikely(!pt_is_own_link(f, w, level)))
		return false;
	*t = pt_word_table(f, w);
	return true;
}

/* May leaves of this level be in a table that is not the root, whose slots some
 * formats count differently? */
static always_inline bool pt_below_root(const struct pt_fmt *f,
                                        const struct pt *pt, unsigned level)
{
	return pt_level_has_leaves(f, level) &&
	       (f->top_min > level || pt_root_top(pt_root_word(pt)) > level);
}

/* The table of level 0 or 1 that serves iova, for a change; NULL when the way
 * ends above. Written out: level is a constant, top_min often is the top. */
static always_inline au64 *pt_table_at(const struct pt_fmt *f,
                                       const struct pt *pt, uint64_t iova,
                                       unsigned level)
{
	const struct pt_geo *g = &pt->geo;
	uint64_t root = pt_root_word(pt);
	unsigned top = pt_root_top(root);
	au64 *t = pt_root_table(root);

	if (unlikely(!pt_in_reach(f, g, iova, top)))
		return NULL;
	if (f->top_max >= 5 && top >= 5 && !pt_step_own(f, g, 5, top, &t, iova))
		return NULL;
	if (f->top_max >= 4 && top >= 4 && !pt_step_own(f, g, 4, top, &t, iova))
		return NULL;
	if (f->top_max >= 3 && (f->top_min >= 3 || top >= 3) &&
	    !pt_step_own(f, g, 3, top, &t, iova))
		return NULL;
	if (f->top_max >= 2 && (f->top_min >= 2 || top >= 2) &&
	    !pt_step_own(f, g, 2, top, &t, iova))
		return NULL;
	if (level == 0 && (f->top_min >= 1 || top >= 1) &&
	    !pt_step_own(f, g, 1, top, &t, iova))
		return NULL;
	return t;
}

struct pt_path {
	au64 *tbl[PT_LEVELS_MAX]; /* valid from level to top */
	unsigned level;
	unsigned top;
	uint64_t at;
	bool fresh; /* the lowest table was linked by this very path */
};

static always_inline void pt_path_start(const struct pt *pt, struct pt_path *p,
                                        uint64_t iova)
{
	uint64_t root = pt_root_word(pt);

	p->top = pt_root_top(root);
	p->tbl[p->top] = pt_root_table(root);
	p->level = p->top;
	p->at = iova;
	p->fresh = false;
}

/* Forgets the tables that do not serve iova. */
static always_inline void pt_path_move(const struct pt_fmt *f,
                                       const struct pt_geo *g,
                                       struct pt_path *p, uint64_t iova)
{
	uint64_t differ = p->at ^ iova;

	while (p->level < p->top && differ >> pt_shift(f, g, p->level) >>
	                                    pt_index_lg2(f, g, p->level)) {
		p->level++;
		p->fresh = false;
	}
	p->at = iova;
}

static always_inline au64 *pt_path_slot(const struct pt_fmt *f,
                                        const struct pt_geo *g,
                                        const struct pt_path *p)
{
	return &p->tbl[p->level][pt_index(f, g, p->at, p->level, p->top)];
}

static always_inline void pt_path_down(const struct pt_fmt *f,
                                       struct pt_path *p, uint64_t link)
{
	p->level--;
	p->tbl[p->level] = pt_word_table(f, link);
	p->fresh = false;
}

/* Down to the word that decides about p->at: a leaf, an empty slot, a shared
 * link or, when lowest is reached, whatever stands there. Returns the word. */
static always_inline uint64_t pt_path_settle(const struct pt_fmt *f,
                                             const struct pt_geo *g,
                                             struct pt_path *p, unsigned lowest)
{
	for (;;) {
		uint64_t w = pt_load(f, pt_path_slot(f, g, p));

		if (p->level <= lowest || !pt_is_own_link(f, w, p->level))
			return w;
		pt_path_down(f, p, w);
	}
}

/* The same on the way to a look: through shared tables as well. */
static always_inline uint64_t pt_path_look(const struct pt_fmt *f,
                                           const struct pt_geo *g,
                                           struct pt_path *p)
{
	for (;;) {
		uint64_t w = pt_load(f, pt_path_slot(f, g, p));

		if (!pt_is_link(f, w, p->level))
			return w;
		pt_path_down(f, p, w);
	}
}

/* A page as an empty table of a level. */
static inline void pt_table_init(const struct pt_fmt *f, const struct pt *pt,
                                 au64 *t, unsigned level)
{
	unsigned nr = pt_slots(f, &pt->geo, level, PT_LEVELS_MAX);

	if (pt_empty(f, level))
		pt_run_clear(f, pt, t, nr, level);
	else
		pt_flush(pt, t, nr);
}

/* All zero again, as the pool wants it. */
static inline void pt_table_give(const struct pt_fmt *f, const struct pt *pt,
                                 struct pagecache *pc, au64 *t, unsigned level)
{
	if (pt_empty(f, level))
		pt_words_clear(pt->simd, t,
		               pt_slots(f, &pt->geo, level, PT_LEVELS_MAX));
	pagecache_put(&pc[pt_class(&pt->geo, level)], t);
}

/*
 * A walker that does not snoop must find the link in memory before anyone
 * relies on what lies below it. Who linked the table writes the slot back and
 * then says so in a bit; who comes by before that writes it back as well.
 */
static inline void pt_link_written(const struct pt_fmt *f, const struct pt *pt,
                                   au64 *slot)
{
	pt_flush(pt, slot, 1);
	/* Pairs with the acquire of pt_load: who sees it skips the flush. */
	for_rel(slot, pt_order(f, f->link_flushed));
}

/* Links an empty table below an empty slot. Another thread may be first: its
 * table serves as well. Returns the word that stands there now, the empty one
 * without memory. */
static inline uint64_t pt_link_table(const struct pt_fmt *f,
                                     const struct pt *pt, struct pagecache *pc,
                                     au64 *slot, unsigned level, bool *ret_mine)
{
	uint64_t seen = pt_order(f, pt_empty(f, level));
	au64 *t = pagecache_get(&pc[pt_class(&pt->geo, level - 1)]);
	uint64_t link = pt_link_word(f, level, (uintptr_t)t);

	*ret_mine = false;
	if (!t)
		return pt_empty(f, level);
	pt_table_init(f, pt, t, level - 1);
	/* Release: the table is empty before it can be reached. Acquire: a
	 * loser reads the winner's table. Pairs with itself and pt_load. */
	if (cas_acqrel(slot, &seen, pt_order(f, link))) {
		*ret_mine = true;
		return link;
	}
	pt_table_give(f, pt, pc, t, level - 1);
	return pt_order(f, seen);
}

/* Down to level, linking what is missing. 0, -ENOMEM, -EEXIST (a leaf is in
 * the way), -EBUSY (a shared table is); the path stands at it. */
static always_inline int pt_path_build(const struct pt_fmt *f,
                                       const struct pt *pt, struct pt_path *p,
                                       struct pagecache *pc, unsigned level)
{
	const struct pt_geo *g = &pt->geo;

	while (p->level > level) {
		au64 *slot = pt_path_slot(f, g, p);
		uint64_t w = pt_load(f, slot);
		bool mine = false;

		if (w == pt_empty(f, p->level)) {
			w = pt_link_table(f, pt, pc, slot, p->level, &mine);
			if (w == pt_empty(f, p->level))
				return -ENOMEM;
		}
		if (unlikely(!pt_is_own_link(f, w, p->level)))
			return pt_is_link(f, w, p->level) ? -EBUSY : -EEXIST;
		if (unlikely(g->flush) && !(w & f->link_flushed))
			pt_link_written(f, pt, slot);
		pt_path_down(f, p, w);
		p->fresh = mine;
	}
	return 0;
}

#endif
