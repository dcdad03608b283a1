/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subtrees that several tables hold. A link to a table with more than one
 * holder carries the shared bit in each of them, and writers stop at it; the
 * pool counts, for each table, the holders beyond the first. Who wants to
 * change something below gets a copy of the tables on its way.
 *
 * A holder that finds itself the last one only takes the bit away. A copy
 * makes the tables below shared in the copy and in the original, before the
 * original can lose a holder.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>

#include "pagetable/pt_unmap.h"

void pt_drop(struct pt *pt, uint64_t link, unsigned level,
             struct pt_freed *freed)
{
	au64 *t = pt_word_table(pt->fmt, link);
	au32 *others = pt_counter(pt, t, level - 1);

	/* Acquire: the last one sees what the others did before they let go.
	 * Release: the other side of that. Pairs with itself. */
	if (faa_acqrel(others, (uint32_t)-1) != 0)
		return;
	st_rlx(others, 0);
	pt_unlink(pt, t, level - 1, freed);
}

/* A table of its own for one of the holders. NULL without memory. */
static au64 *copy_table(struct pt *pt, struct pagecache *pc, au64 *from,
                        unsigned level)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned nr = pt_slots(f, &pt->geo, level, PT_LEVELS_MAX);
	uint64_t shared = pt_order(f, f->link_shared);
	au64 *t = pagecache_get(&pc[pt_class(&pt->geo, level)]);

	if (!t)
		return NULL;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t raw = ld_acq(&from[i]); /* pairs as pt_load */

		if (pt_is_link(f, pt_order(f, raw), level)) {
			const au64 *below = pt_word_table(f, pt_order(f, raw));

			faa_acqrel(pt_counter(pt, below, level - 1), 1);
			/* Release: the counter first. Pairs with pt_load of
			 * another holder that descends to write. */
			for_rel(&from[i], shared);
			raw |= shared;
		}
		st_rlx(&t[i], raw);
	}
	pt_flush(pt, t, nr);
	return t;
}

/* Makes the table below slot private. 0, -ENOMEM. */
static int unshare_slot(struct pt *pt, struct pagecache *pc, au64 *slot,
                        unsigned level, uint64_t iova, struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t w = pt_load(f, slot);
	au64 *t = pt_word_table(f, w);
	au64 *copy;

	/* Pairs with the release of another holder's faa_acqrel. */
	if (ld_acq(pt_counter(pt, t, level - 1)) == 0) {
		fand_rel(slot, ~pt_order(f, f->link_shared));
		return 0;
	}
	copy = copy_table(pt, pc, t, level - 1);
	if (!copy)
		return pt_no_memory();
	if (f->bbm) {
		pt_clear(f, slot, level);
		pt_flush(pt, slot, 1);
		pt_tell(pt, iova, bit64(pt_shift(f, &pt->geo, level)));
	}
	pt_store(f, slot,
	         pt_link_word(f, level, (uintptr_t)copy) |
	                 (w & f->link_flushed));
	pt_flush(pt, slot, 1);
	if (!f->bbm)
		pt_tell(pt, iova, bit64(pt_shift(f, &pt->geo, level)));
	pt_drop(pt, w, level, freed);
	return 0;
}

struct range {
	uint64_t iova, last;
	unsigned top;
};

/* The slot behind i of a table, and the part of r that lies in slot i. */
static bool slot_part(const struct pt *pt, const struct range *r,
                      unsigned level, uint64_t base, unsigned i,
                      struct range *ret)
{
	unsigned shift = pt_shift(pt->fmt, &pt->geo, level);
	uint64_t first = base + ((uint64_t)i << shift);

	ret->iova = max_u64(r->iova, first);
	ret->last = min_u64(r->last, first | mask64(shift));
	ret->top = r->top;
	return ret->iova == first && ret->last == (first | mask64(shift));
}

static unsigned first_slot(const struct pt *pt, const struct range *r,
                           unsigned level)
{
	return pt_index(pt->fmt, &pt->geo, r->iova, level, r->top);
}

static unsigned last_slot(const struct pt *pt, const struct range *r,
                          unsigned level)
{
	return pt_index(pt->fmt, &pt->geo, r->last, level, r->top);
}

static uint64_t table_base(const struct pt *pt, const struct range *r,
                           unsigned level)
{
	unsigned shift = pt_shift(pt->fmt, &pt->geo, level);

	return align_down(r->iova, shift) -
	       ((uint64_t)first_slot(pt, r, level) << shift);
}

static int unshare_table(struct pt *pt, struct pagecache *pc, au64 *t,
                         unsigned level, struct range r, struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t base = table_base(pt, &r, level);
	unsigned end = last_slot(pt, &r, level);

	for (unsigned i = first_slot(pt, &r, level); level && i <= end; i++) {
		uint64_t w = pt_load(f, &t[i]);
		struct range part;
		int err;

		if (!pt_is_link(f, w, level))
			continue;
		slot_part(pt, &r, level, base, i, &part);
		if (!pt_is_own_link(f, w, level)) {
			err = unshare_slot(
			        pt, pc, &t[i], level,
			        align_down(part.iova,
			                   pt_shift(f, &pt->geo, level)),
			        freed);
			if (err)
				return err;
			w = pt_load(f, &t[i]);
		}
		err = unshare_table(pt, pc, pt_word_table(f, w), level - 1,
		                    part, freed);
		if (err)
			return err;
	}
	return 0;
}

/* The part of a range that the levels of now can say; false: none of it. */
static bool reach(const struct pt *pt, uint64_t iova, uint64_t last,
                  uint64_t root, struct range *ret)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned top = pt_root_top(root);
	unsigned bits;

	*ret = (struct range){iova, last, top};
	if (!f->grows)
		return true;
	bits = pt_shift(f, &pt->geo, top) + pt_index_lg2(f, &pt->geo, top);
	ret->last = min_u64(last, mask64(bits));
	return iova <= ret->last;
}

static int unshare(struct pt *pt, struct pagecache *pc, uint64_t iova,
                   uint64_t last, struct pt_freed *freed)
{
	uint64_t root = pt_root_word(pt);
	struct range r;

	if (!reach(pt, iova, last, root, &r))
		return 0;
	return unshare_table(pt, pc, pt_root_table(root), r.top, r, freed);
}

int pt_unshare(struct pt *pt, struct pagecache *pc, uint64_t iova,
               uint64_t last, struct pt_freed *freed)
{
	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (iova > last || last > pt->geo.max_iova)
		return pt_refuse_range(pt, iova, last);
	return unshare(pt, pc, iova, last, freed);
}

int pt_unshare_ends(struct pt *pt, struct pagecache *pc, uint64_t iova,
                    uint64_t last, struct pt_freed *freed)
{
	int err = 0;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (last < pt->geo.max_iova)
		err = unshare(pt, pc, last + 1, last + 1, freed);
	return err ? err : unshare(pt, pc, iova, iova, freed);
}

/* Does a leaf reach over an end of the range? */
static bool cuts(const struct pt *pt, uint64_t iova, uint64_t last)
{
	au64 *table;
	struct pt_run run;

	return (pt_tmpl_walk(pt->fmt, pt, iova, NULL, &run, &table) == 0 &&
	        run.iova < iova) ||
	       (pt_tmpl_walk(pt->fmt, pt, last, NULL, &run, &table) == 0 &&
	        run.last > last);
}

/* Is a part of the range mapped? */
static bool is_mapped(const struct pt *pt, uint64_t iova, uint64_t last)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	struct pt_path p;
	struct range r;

	if (!reach(pt, iova, last, pt_root_word(pt), &r))
		return false;
	pt_path_start(pt, &p, iova);
	for (;;) {
		uint64_t w = pt_path_look(f, g, &p);
		uint64_t end = p.at | mask64(pt_shift(f, g, p.level));

		if (pt_is_leaf(f, w, p.level))
			return true;
		if (end >= r.last)
			return false;
		pt_path_move(f, g, &p, end + 1);
	}
}

/*
 * Tables of our own on the way to both ends of a range, as far as slots are not
 * whole in it: afterwards what is in the range can be changed without memory.
 * from: where there is nothing in it, nothing is needed; or NULL.
 */
static int open_ends(struct pt *pt, struct pagecache *pc, au64 *t,
                     const au64 *from, unsigned level, struct range r,
                     struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t base = table_base(pt, &r, level);
	unsigned ends[2] = {first_slot(pt, &r, level),
	                    last_slot(pt, &r, level)};

	for (unsigned k = 0; k < 1u + (ends[0] != ends[1]); k++) {
		unsigned i = ends[k];
		uint64_t w = pt_load(f, &t[i]);
		uint64_t theirs = from ? pt_load(f, &from[i]) : 0;
		struct range part;
		bool mine;
		int err = 0;

		if (slot_part(pt, &r, level, base, i, &part) ||
		    (from && !pt_is_link(f, theirs, level)))
			continue;
		if (from && w == pt_empty(f, level)) {
			w = pt_link_table(f, pt, pc, &t[i], level, &mine);
			if (w == pt_empty(f, level))
				return pt_no_memory();
			if (pt->geo.flush)
				pt_link_written(f, pt, &t[i]);
		}
		if (!pt_is_link(f, w, level))
			continue;
		if (!pt_is_own_link(f, w, level))
			err = unshare_slot(pt, pc, &t[i], level,
			                   base + ((uint64_t)i << pt_shift(
			                                   f, &pt->geo, level)),
			                   freed);
		w = pt_load(f, &t[i]);
		if (!err)
			err = open_ends(pt, pc, pt_word_table(f, w),
			                from ? pt_word_table(f, theirs) : NULL,
			                level - 1, part, freed);
		if (err)
			return err;
	}
	return 0;
}

/* After open_ends. */
static void detach_table(struct pt *pt, au64 *t, unsigned level, struct range r,
                         struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t base = table_base(pt, &r, level);
	unsigned end = last_slot(pt, &r, level);

	for (unsigned i = first_slot(pt, &r, level); i <= end; i++) {
		uint64_t w = pt_load(f, &t[i]);
		struct range part;
		bool whole = slot_part(pt, &r, level, base, i, &part);

		if (w == pt_empty(f, level))
			continue;
		if (!pt_is_link(f, w, level)) {
			pt_clear(f, &t[i], level);
			pt_flush(pt, &t[i], 1);
		} else if (whole) {
			pt_take_out(pt, &t[i], level, part.iova, freed);
		} else {
			detach_table(pt, pt_word_table(f, w), level - 1, part,
			             freed);
		}
	}
}

int pt_detach(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last,
              struct pt_freed *freed)
{
	uint64_t root = pt_root_word(pt);
	struct range r;
	int err;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	if (!pt_range_ok(pt->fmt, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (cuts(pt, iova, last))
		return pt_would_split();
	if (!reach(pt, iova, last, root, &r))
		return 0;
	err = open_ends(pt, pc, pt_root_table(root), NULL, r.top, r, freed);
	if (err)
		return err;
	/* No return from here: the leaves disappear. */
	detach_table(pt, pt_root_table(root), r.top, r, freed);
	return 0;
}

/* Slots of to take what those of from hold, for r. After open_ends. */
static void attach_table(struct pt *pt, au64 *to, au64 *from, unsigned level,
                         struct range r, struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t base = table_base(pt, &r, level);
	unsigned end = last_slot(pt, &r, level);

	for (unsigned i = first_slot(pt, &r, level); i <= end; i++) {
		uint64_t w = pt_load(f, &from[i]);
		struct range part;

		if (w == pt_empty(f, level))
			continue;
		if (!slot_part(pt, &r, level, base, i, &part)) {
			attach_table(pt, pt_word_table(f, pt_load(f, &to[i])),
			             pt_word_table(f, w), level - 1, part,
			             freed);
			continue;
		}
		if (pt_load(f, &to[i]) != pt_empty(f, level))
			pt_take_out(pt, &to[i], level, part.iova, freed);
		if (pt_is_link(f, w, level)) {
			faa_acqrel(
			        pt_counter(pt, pt_word_table(f, w), level - 1),
			        1);
			/* As in copy_table. */
			for_rel(&from[i], pt_order(f, f->link_shared));
			w |= f->link_shared;
		}
		pt_store(f, &to[i], w);
		pt_flush(pt, &to[i], 1);
	}
}

static int check_pair(const struct pt *pt, const struct pt *src, uint64_t iova,
                      uint64_t last)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, 1);

	if (!f->link_shared)
		return msg_fmt(-EOPNOTSUPP,
		               "%s links have no bit for software: subtrees of "
		               "it cannot be shared",
		               f->name);
	if (src->fmt != f || src->pool[0] != pt->pool[0] || src == pt ||
	    src->geo.max_iova != pt->geo.max_iova ||
	    src->geo.clean != pt->geo.clean || src->geo.flush != pt->geo.flush)
		return msg_lit(-EINVAL, "the two tables cannot share: create "
		                        "one beside the other");
	if (!pt_range_ok(f, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (!aligned_lg2(iova, shift) || !aligned_lg2(last + 1, shift))
		return msg_fmt(-EINVAL,
		               "whole tables are shared: iova and len must be "
		               "multiples of 0x%llx",
		               (unsigned long long)bit64(shift));
	return 0;
}

int pt_attach(struct pt *pt, struct pagecache *pc, struct pt *src,
              uint64_t iova, uint64_t last, struct pt_freed *freed)
{
	struct range r;
	uint64_t root;
	au64 *from;
	int err;

	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	err = check_pair(pt, src, iova, last);
	if (err)
		return err;
	if (cuts(src, iova, last))
		return pt_would_split();
	if (is_mapped(pt, iova, last))
		return pt_occupied();
	if (pt->fmt->grows && (pt_grow(pt, pc, last) || pt_grow(src, pc, last)))
		return pt_no_memory();
	/* The same height on both sides. */
	while (pt_root_top(pt_root_word(pt)) !=
	       pt_root_top(pt_root_word(src))) {
		struct pt *low = pt_root_top(pt_root_word(pt)) <
		                                 pt_root_top(pt_root_word(src))
		                         ? pt
		                         : src;

		if (pt_grow_one(low, pc, pt_root_word(low)))
			return pt_no_memory();
	}
	root = pt_root_word(pt);
	r = (struct range){iova, last, pt_root_top(root)};
	from = pt_root_table(pt_root_word(src));
	err = open_ends(pt, pc, pt_root_table(root), from, r.top, r, freed);
	if (err)
		return err;
	/* No return from here: the leaves become visible. */
	attach_table(pt, pt_root_table(root), from, r.top, r, freed);
	return 0;
}
