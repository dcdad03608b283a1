/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The face of the room: one dispatch per call through the ops of the table's
 * format, and the sign extension that surrounds it. Also the cold halves of
 * the templates, which serve every format through its descriptor.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pagetable/pt_map.h"

enum sluice_pt_format pt_format(const struct pt *pt)
{
	return pt->fmt->id;
}

uint64_t pt_max_iova(const struct pt *pt)
{
	return pt->geo.is_signed ? pt->geo.max_iova >> 1 : pt->geo.max_iova;
}

uint64_t pt_max_oa(const struct pt *pt)
{
	return pt->geo.max_oa;
}

bool pt_table_empty(const struct pt *pt, const au64 *t, unsigned level)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned nr = pt_slots(f, &pt->geo, level, PT_LEVELS_MAX);

	if (pt_run_empty(f, pt, t, nr, level))
		return level ||
		       ld_rlx(pt_counter(pt, t, 0)) >> PT_HOLD_LG2 == 0;
	if (level == 0)
		return false;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t w = pt_load(f, &t[i]);

		if (w != pt_empty(f, level) &&
		    (!pt_is_link(f, w, level) ||
		     !pt_table_empty(pt, pt_word_table(f, w), level - 1)))
			return false;
	}
	return true;
}

au32 *pt_counter(const struct pt *pt, const au64 *t, unsigned level)
{
	return pagepool_counter(pt->pool[pt_class(&pt->geo, level)],
	                        (const void *)t);
}

void pt_unlink_below(struct pt *pt, const au64 *t, unsigned level, unsigned nr,
                     struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;

	for (unsigned i = 0; level && i < nr; i++) {
		uint64_t w = pt_load_rlx(f, &t[i]);

		if (pt_is_own_link(f, w, level))
			pt_unlink(pt, pt_word_table(f, w), level - 1, freed);
		else if (pt_is_link(f, w, level))
			pt_drop(pt, w, level, freed);
	}
}

void pt_unlink(struct pt *pt, au64 *t, unsigned level, struct pt_freed *freed)
{
	unsigned nr = pt_slots(pt->fmt, &pt->geo, level, PT_LEVELS_MAX);
	unsigned class = pt_class(&pt->geo, level);

	pt_unlink_below(pt, t, level, nr, freed);
	/* The number of the page and which pool it is of, never 0. */
	st_rlx(pt_counter(pt, t, level), freed->head);
	freed->head = (pagepool_index(pt->pool[class], (const void *)t) << 1 |
	               class) +
	              1;
	freed->nr++;
	freed->bytes += (uint64_t)nr * sizeof(*t);
}

void pt_free_list(const struct pt *pt, struct pt_freed *freed,
                  struct pagecache *pc)
{
	while (freed->head) {
		unsigned class = (freed->head - 1) & 1;
		struct pagepool *pool = pt->pool[class];
		au64 *t = pagepool_at(pool, (freed->head - 1) >> 1);
		au32 *next = pagepool_counter(pool, (const void *)t);

		freed->head = ld_rlx(next);
		st_rlx(next, 0);
		pt_words_clear(pt->simd, t,
		               1u << (pagepool_page_lg2(pool) - 3));
		pagecache_put(&pc[class], t);
	}
	*freed = (struct pt_freed){0};
}

void pt_take_out(struct pt *pt, au64 *slot, unsigned level, uint64_t iova,
                 struct pt_freed *freed)
{
	const struct pt_fmt *f = pt->fmt;
	uint64_t w = pt_load(f, slot);
	uint64_t reach = bit64(pt_shift(f, &pt->geo, level));

	pt_clear(f, slot, level);
	pt_flush(pt, slot, 1);
	/* Walkers may know the way to the table, which is used again soon. */
	pt_tell(pt, align_down(iova, pt_shift(f, &pt->geo, level)), reach);
	if (pt_is_own_link(f, w, level))
		pt_unlink(pt, pt_word_table(f, w), level - 1, freed);
	else
		pt_drop(pt, w, level, freed);
}

void pt_tell(const struct pt *pt, uint64_t iova, uint64_t len)
{
	if (pt->invalidate)
		pt->invalidate(pt->ctx, pt_signed_iova(&pt->geo, iova), len);
}

int pt_grow_one(struct pt *pt, struct pagecache *pc, uint64_t old)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned level = pt_root_top(old) + 1;
	au64 *t = pagecache_get(&pc[0]);
	uint64_t link;

	if (!t)
		return -ENOMEM;
	link = pt_link_word(f, level, (uintptr_t)pt_root_table(old));
	st_rlx(&t[0], pt_order(f, link | f->link_flushed));
	pt_flush(pt, t, bit64(pt->geo.table_lg2 - 3u));
	/* Release: the table is complete before it is the root. Acquire: a
	 * loser goes on with the winner's. Pairs with itself and
	 * pt_root_word. */
	if (!cas_acqrel(&pt->root, &old, (uintptr_t)t | level)) {
		st_rlx(&t[0], 0);
		pagecache_put(&pc[0], t);
	}
	return 0;
}

int pt_grow(struct pt *pt, struct pagecache *pc, uint64_t last)
{
	uint64_t root;

	/* Only over the root that was looked at: another lane may be first. */
	while (root = pt_root_word(pt),
	       !pt_in_reach(pt->fmt, &pt->geo, last, pt_root_top(root)))
		if (pt_grow_one(pt, pc, root))
			return -ENOMEM;
	return 0;
}

int pt_refuse_range(const struct pt *pt, uint64_t iova, uint64_t last)
{
	uint64_t page = bit64(pt_page_lg2(pt->fmt, &pt->geo));

	if (iova > last)
		return msg_lit(-EINVAL, "the range ends before it begins");
	if ((iova | (last + 1)) & (page - 1))
		return msg_fmt(-EINVAL,
		               "address or length is no multiple of %" PRIu64
		               ": mappings are whole pages",
		               page);
	return msg_lit(-EINVAL, "the range does not fit the address width of "
	                        "the table: create it with more address bits");
}

int pt_check_range(const struct pt *pt, uint64_t iova, uint64_t last)
{
	if (!pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	return pt_range_ok(pt->fmt, pt, iova, last)
	               ? 0
	               : pt_refuse_range(pt, iova, last);
}

int pt_refuse_map(const struct pt *pt, uint64_t iova, uint64_t last,
                  uint64_t oa, uint32_t prot)
{
	const struct pt_fmt *f = pt->fmt;

	if (!pt_range_ok(f, pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (oa & pt_page_mask(f, &pt->geo))
		return msg_fmt(-EINVAL,
		               "output address is no multiple of %" PRIu64
		               ": mappings are whole pages",
		               bit64(pt_page_lg2(f, &pt->geo)));
	if (!pt_oa_ok(f, pt, oa, last - iova))
		return msg_fmt(-EINVAL,
		               "output addresses end at 2^%u: the range does "
		               "not fit below",
		               lg2_floor(pt->geo.max_oa) + 1);
	if (prot & ~PT_PROT_MASK)
		return msg_lit(-EINVAL, "unknown bits in prot: only "
		                        "SLUICE_READ and SLUICE_WRITE exist");
	if (prot & (PT_SW0 | PT_SW1) && !f->sw_lg2[1])
		return msg_lit(-EINVAL, "this format has no bits for software");
	return msg_lit(-EINVAL, f->need_text);
}

int pt_check_pieces(const struct pt *pt, uint64_t iova,
                    const struct sluice_pt_seg *seg, uint32_t nr, uint32_t prot,
                    uint64_t *ret_last)
{
	uint64_t at = iova;
	uint64_t last = iova;

	if (nr == 0)
		return msg_lit(-EINVAL,
		               "an empty list: give one piece or more");
	for (uint32_t i = 0; i < nr; i++) {
		if (!range_last(at, seg[i].len, &last) ||
		    (i && at == 0)) /* the piece before ended at 2^64 */
			return msg_fmt(-EINVAL,
			               "piece %" PRIu32
			               " is empty or wraps: give a length "
			               "of one page or more",
			               i);
		if (!pt_range_ok(pt->fmt, pt, at, last) ||
		    !pt_oa_ok(pt->fmt, pt, seg[i].oa, last - at) ||
		    !pt_prot_ok(pt->fmt, prot))
			return pt_refuse_map(pt, at, last, seg[i].oa, prot);
		at = last + 1;
	}
	*ret_last = last;
	return 0;
}

int pt_populate(struct pt *pt, struct pagecache *pc, uint64_t iova,
                uint64_t last, uint64_t oa)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	struct pt_path p;

	if (!pt_range_ok(f, pt, iova, last) ||
	    !pt_oa_ok(f, pt, oa, last - iova))
		return pt_refuse_map(pt, iova, last, oa, f->need);
	if (f->grows && pt_grow(pt, pc, last))
		return pt_no_memory();
	pt_path_start(pt, &p, iova);
	for (;;) {
		uint64_t to = oa + (p.at - iova);
		struct pt_size s = pt_best(f, g, p.top, p.at, last, to);
		int err = pt_path_build(f, pt, &p, pc, s.level);
		unsigned shift = pt_shift(f, g, p.level);
		uint64_t end;

		if (err == -ENOMEM || err == -EBUSY)
			return pt_map_error(err);
		/* A leaf in the way: no table is missing below it. */
		end = p.at | mask64(shift);
		if (!err)
			end = p.at - 1 +
			      ((uint64_t)pt_chunk_nr(f, g, p.top, s, p.at, last,
			                             to)
			       << shift);
		if (end >= last)
			return 0;
		pt_path_move(f, g, &p, end + 1);
	}
}

/* Ranges of a signed table that end in the upper half, as the table counts
 * them. False: not canonical, or over the middle. */
bool pt_fold(const struct pt *pt, uint64_t *iova, uint64_t *last)
{
	uint64_t half = pt->geo.max_iova >> 1;

	if (!pt->geo.is_signed || *last <= half)
		return true; /* the lower half, or a range that wraps */
	if (*iova < ~half)
		return false;
	*iova &= pt->geo.max_iova;
	*last &= pt->geo.max_iova;
	return true;
}

int pt_refuse_sign(void)
{
	return msg_lit(-EINVAL, "not a canonical range: the upper half is "
	                        "sign-extended and lies apart from the lower");
}

int pt_map(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last,
           uint64_t oa, uint32_t prot, struct pt_freed *freed)
{
	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	return pt->ops->map(pt, pc, iova, last, oa, prot, freed);
}

int pt_map_sg(struct pt *pt, struct pagecache *pc, uint64_t iova,
              const struct sluice_pt_seg *seg, uint32_t nr, uint32_t prot,
              struct pt_freed *freed)
{
	uint64_t last = iova;

	for (uint32_t i = 0; pt->geo.is_signed && i < nr; i++)
		last += seg[i].len;
	last -= last != iova;
	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	return pt->ops->map_sg(pt, pc, iova, seg, nr, prot, freed);
}

int pt_claim(struct pt *pt, struct pagecache *pc, uint64_t va, uint64_t last,
             uint64_t iova, uint32_t prot)
{
	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &va, &last))
		return pt_refuse_sign();
	return pt->ops->claim(pt, pc, va, last, iova, prot);
}

/* Runs that this call has added, back to canonical addresses. */
static noinline void unfold(const struct pt *pt, struct pt_gather *g,
                            uint32_t from)
{
	for (uint32_t i = from; g && g->run && i < g->nr; i++) {
		g->run[i].iova = pt_signed_iova(&pt->geo, g->run[i].iova);
		g->run[i].last = pt_signed_iova(&pt->geo, g->run[i].last);
	}
}

int64_t pt_unmap(struct pt *pt, uint64_t iova, uint64_t last,
                 struct pt_gather *g)
{
	uint32_t from = g ? g->nr : 0;
	int64_t n;

	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	n = pt->ops->unmap(pt, iova, last, g);
	if (unlikely(pt->geo.is_signed))
		unfold(pt, g, from);
	return n;
}

int64_t pt_remove(struct pt *pt, uint64_t iova, uint64_t last,
                  struct pt_gather *g)
{
	uint32_t from = g ? g->nr : 0;
	int64_t n;

	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	n = pt->ops->remove(pt, iova, last, g);
	if (unlikely(pt->geo.is_signed))
		unfold(pt, g, from);
	return n;
}

static noinline int unfold_leaf(const struct pt *pt, int err,
                                struct pt_run *ret)
{
	if (!err) {
		ret->iova = pt_signed_iova(&pt->geo, ret->iova);
		ret->last = pt_signed_iova(&pt->geo, ret->last);
	}
	return err;
}

int pt_walk(const struct pt *pt, uint64_t iova, struct pt_run *ret_leaf)
{
	uint64_t last = iova;
	au64 *table;
	int err;

	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	err = pt->ops->walk(pt, iova, ret_leaf, &table);
	return likely(!pt->geo.is_signed) ? err
	                                  : unfold_leaf(pt, err, ret_leaf);
}

int pt_walk_gen(const struct pt *pt, uint64_t iova, const au64 *gen,
                struct pt_run *ret_leaf)
{
	uint64_t last = iova;
	int err;

	if (unlikely(pt->geo.is_signed) && !pt_fold(pt, &iova, &last))
		return pt_refuse_sign();
	err = pt->ops->walk_gen(pt, iova, gen, ret_leaf);
	return likely(!pt->geo.is_signed) ? err
	                                  : unfold_leaf(pt, err, ret_leaf);
}
