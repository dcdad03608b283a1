/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane's own store of free IOVA ranges: per exact size a LIFO stack, and a
 * slice of a granule to carve new ranges from. Knows one owner thread; all
 * that is shared lies behind iova_priv.h.
 *
 * A miss asks, in this order: the depot, fragments near the last find, a
 * fresh granule. Only when all of them fail does it empty its own stacks and
 * the depot into the fragment map, where neighbours merge, and look through
 * everything. Nothing here allocates: the stacks are bounded, their memory
 * comes by page fault.
 */
#include "engine/iova_hot.h"

#include <errno.h>
#include <string.h>

/* Whole granules that a lane keeps: where they are plenty, and where not. */
#define GRANULES_MANY 64u
#define GRANULES_FEW 4u
/* Of a zone, what a lane may keep of larger ranges: a 256th. */
#define LARGE_SHARE_LG2 8u
#define ALIGNED_LOOK 16u /* stack entries an aligned request looks at */
#define DRY_SKIPS 64u    /* misses that pass over a zone found empty */
#define RELIEF_SKIPS 64u /* misses and slow frees before a lane gives all */

/* What tables of 4 KiB have above their pages, see include/sluice/pagetable.h:
 * a domain takes no other formats. */
#define LARGE_LEAF_LG2 21u
#define HUGE_LEAF_LG2 30u

/* Caches start apart, by as much as the zone can spare without being broken
 * up: a block of bits in huge zones, a word in large ones. */
static void init_hints(struct iova_cache *c, unsigned zone, uint32_t id)
{
	const struct iova_zone *z = &c->sp->zone[zone];
	uint64_t nr = z->slot1 - z->slot0;
	uint64_t step = nr >= bit64(20) ? BLOCK : nr >= bit64(16) ? 64 : 0;
	struct iova_hint *h = &c->zone[zone].hint;

	if (!nr)
		return;
	h->slice = z->slot0;
	if (z->nr_slices)
		h->slice += id * step % z->nr_slices;
	h->one = z->large0 + id * step % (z->slot1 - z->large0);
	h->run = h->wide = h->one;
	h->part = z->part0;
	if (z->nr_slices)
		h->part += id * step % (z->slot0 + z->nr_slices - z->part0);
	c->max_large[zone] = (nr << c->sp->lg2) >> LARGE_SHARE_LG2;
}

static void init_first(struct iova_cache *c)
{
	const struct iova_space *sp = c->sp;

	for (unsigned w = 0; w < IOVA_NR_WINDOWS; w++) {
		const struct iova_order *o = &sp->order[w];

		c->first[w] = &c->zone[o->nr ? o->zone[0] : sp->nr_zones];
	}
	c->any = c->first[IOVA_ANY];
	c->hull = &sp->zone[sp->order[IOVA_ANY].zone[0]];
	c->any_first = c->hull->first;
	c->any_pages = (c->hull->last - c->hull->first) >> SLUICE_PAGE_LG2;
	c->any_pages -= min_u64(c->any_pages, c->nr_classes);
}

int iova_cache_create(struct iova_space *sp, struct iova_cache **ret_cache)
{
	/* One more that stays empty. */
	size_t len = sizeof(struct iova_cache) +
	             (sp->nr_zones + 1) * sizeof(struct iova_zone_cache);
	struct iova_cache *c;
	uint32_t id;

	c = sys_reserve(len);
	if (!c)
		return -ENOMEM;
	c->map_len = len;
	c->sp = sp;
	c->nr_classes = sp->pages - 1;
	c->max_granules =
	        sp->nr_slots >= bit64(20) ? GRANULES_MANY : GRANULES_FEW;
	init_first(c);
	c->hunger = ld_rlx(&sp->hunger);
	id = faa_rlx(&sp->nr_caches, 1);
	for (unsigned i = 0; i < c->sp->nr_zones; i++)
		init_hints(c, i, id);
	*ret_cache = c;
	return 0;
}

/* Out: what it was. */
static void set_slice(struct iova_zone_cache *z, uint64_t cur, uint64_t end,
                      uint64_t *old_cur, uint64_t *old_end)
{
	*old_cur = ld_rlx(&z->cur);
	*old_end = ld_rlx(&z->end);
	st_rlx(&z->cur, cur);
	st_rlx(&z->end, end);
}

static void flush(struct iova_cache *c, unsigned zone)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint64_t cur, end;

	for (uint32_t cls = 0; cls <= c->nr_classes; cls++) {
		uint64_t len = (uint64_t)(cls + 1) << SLUICE_PAGE_LG2;

		for (uint32_t i = 0; i < ld_rlx(&z->nr[cls]); i++)
			iova_cache_give(c, z->range[cls][i], len);
		st_rlx(&z->nr[cls], 0);
	}
	set_slice(z, 0, 0, &cur, &end);
	if (end > cur)
		iova_cache_give(c, cur, end - cur);
	iova_large_flush(c, zone);
}

void iova_cache_destroy(struct iova_cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->sp->nr_zones; i++) {
		flush(c, i);
		iova_depot_drain(c->sp, i, &c->zone[i].hint);
	}
	(void)sys->munmap(c, c->map_len);
}

/* The top, or the nearest below it that is aligned. */
static bool pop(struct iova_zone_cache *z, uint32_t cls, unsigned align_lg2,
                uint64_t *ret_iova)
{
	uint32_t nr = ld_rlx(&z->nr[cls]);
	uint32_t stop = nr > ALIGNED_LOOK ? nr - ALIGNED_LOOK : 0;

	for (uint32_t i = nr; i > stop; i--) {
		uint64_t iova = z->range[cls][i - 1];

		if (!aligned_lg2(iova, align_lg2))
			continue;
		z->range[cls][i - 1] = z->range[cls][nr - 1];
		st_rlx(&z->nr[cls], nr - 1);
		*ret_iova = iova;
		return true;
	}
	return false;
}

/* Keeps the larger of the slice and [cur, end), gives the other back. */
static void keep(struct iova_cache *c, struct iova_zone_cache *z, uint64_t cur,
                 uint64_t end)
{
	if (end - cur > ld_rlx(&z->end) - ld_rlx(&z->cur))
		set_slice(z, cur, end, &cur, &end);
	if (end > cur)
		iova_cache_give(c, cur, end - cur);
}

static bool carve(struct iova_cache *c, struct iova_zone_cache *z,
                  const struct iova_want *want, uint64_t *ret_iova)
{
	uint64_t cur = ld_rlx(&z->cur), end = ld_rlx(&z->end);
	uint64_t iova = align_up(cur, want->place.lg2);

	if (iova < cur || iova >= end || end - iova < want->len)
		return false;
	st_rlx(&z->cur, iova + want->len);
	if (iova > cur)
		iova_cache_give(c, cur, iova - cur);
	*ret_iova = iova;
	return true;
}

static bool take_fragment(struct iova_cache *c, unsigned zone,
                          const struct iova_want *want, bool all,
                          uint64_t *ret_iova)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint32_t nr = (uint32_t)(want->len >> SLUICE_PAGE_LG2);
	uint64_t iova, end;

	if (all ? !iova_frag_take_any(c->sp, zone, nr, want->place.lg2, &iova,
	                              &end)
	        : !iova_frag_take(c->sp, zone, nr, want->place.lg2, &z->frag_at,
	                          &iova, &end))
		return false;
	keep(c, z, iova + want->len, end);
	*ret_iova = iova;
	return true;
}

static bool take_granule(struct iova_cache *c, unsigned zone,
                         const struct iova_want *want, uint64_t *ret_iova)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint64_t iova;

	/* Nothing left that may be carved: a granule for this range alone. */
	if (iova_take_slice(c->sp, zone, want->place.lg2, &z->hint, &iova))
		return iova_large_take(c, zone, want, ret_iova);
	keep(c, z, iova + want->len, iova + bit64(c->sp->lg2));
	*ret_iova = iova;
	return true;
}

static bool miss_small(struct iova_cache *c, unsigned zone,
                       const struct iova_want *want, uint64_t *ret_iova)
{
	struct iova_zone_cache *z = &c->zone[zone];
	uint32_t cls = (uint32_t)(want->len >> SLUICE_PAGE_LG2) - 1;

	if (!ld_rlx(&z->nr[cls]))
		st_rlx(&z->nr[cls],
		       iova_depot_get(c->sp, zone, cls, z->range[cls]));
	return pop(z, cls, want->place.lg2, ret_iova) ||
	       take_fragment(c, zone, want, false, ret_iova) ||
	       take_granule(c, zone, want, ret_iova);
}

/* From the lane's own. */
static bool own(struct iova_cache *c, struct iova_zone_cache *z,
                const struct iova_want *want, uint64_t *ret_iova)
{
	uint64_t cls = (want->len >> SLUICE_PAGE_LG2) - 1;

	if (cls > c->nr_classes || want->place.off)
		return iova_large_pop(z, want, ret_iova);
	return pop(z, (uint32_t)cls, want->place.lg2, ret_iova) ||
	       (cls < c->nr_classes && carve(c, z, want, ret_iova));
}

/* Everything this zone can offer. last: no other zone is left to try. */
static bool zone_alloc(struct iova_cache *c, unsigned zone,
                       const struct iova_want *want, bool last,
                       uint64_t *ret_iova)
{
	struct iova_zone_cache *z = &c->zone[zone];
	const struct iova_zone *sz = &c->sp->zone[zone];
	bool small = want->len < bit64(c->sp->lg2);

	if ((want->len - 1) >> c->sp->lg2 >= sz->slot1 - sz->slot0)
		return false;
	if (own(c, z, want, ret_iova))
		return true;
	if (z->dry && !last) {
		z->dry--;
		return false;
	}
	if (small ? miss_small(c, zone, want, ret_iova)
	          : iova_large_take(c, zone, want, ret_iova))
		return true;
	flush(c, zone);
	iova_depot_drain(c->sp, zone, &z->hint);
	if (small ? take_fragment(c, zone, want, true, ret_iova) ||
	                    take_granule(c, zone, want, ret_iova)
	          : iova_large_take(c, zone, want, ret_iova))
		return true;
	z->dry = DRY_SKIPS;
	return false;
}

static bool alloc_any(struct iova_cache *c, const struct iova_want *want,
                      enum iova_window window, uint64_t *ret_iova)
{
	const struct iova_order *o = &c->sp->order[window];

	for (uint32_t i = 0; i < o->nr; i++)
		if (zone_alloc(c, o->zone[i], want, i + 1 == o->nr, ret_iova))
			return true;
	/* Those that may have been passed over. */
	for (uint32_t i = 0; i + 1 < o->nr; i++)
		if (zone_alloc(c, o->zone[i], want, true, ret_iova))
			return true;
	return false;
}

/* Another lane found nothing: what this one keeps may be all there is. Not at
 * every call, or a full aperture would leave no lane anything. */
void iova_cache_relieve(struct iova_cache *c)
{
	if (++c->relief_skips < RELIEF_SKIPS)
		return;
	c->relief_skips = 0;
	c->hunger = ld_rlx(&c->sp->hunger);
	for (unsigned i = 0; i < c->sp->nr_zones; i++)
		flush(c, i);
}

static int no_space(struct iova_cache *c)
{
	bool fed = c->hunger == faa_rlx(&c->sp->hunger, 1);

	/* Its own are given back already. */
	if (fed)
		c->hunger++;
	return msg_lit(-ENOSPC, IOVA_NOSPC);
}

static noinline int alloc_miss(struct iova_cache *c, uint64_t len,
                               unsigned align_lg2, enum iova_window window,
                               uint64_t *ret_iova)
{
	struct iova_want want = {
	        .len = len,
	        .place.lg2 = align_lg2 > SLUICE_PAGE_LG2 ? align_lg2
	                                                 : SLUICE_PAGE_LG2,
	};

	if (!len || !aligned_lg2(len, SLUICE_PAGE_LG2) || align_lg2 > 63)
		return msg_lit(-EINVAL,
		               "IOVA length must be whole 4 KiB pages, at "
		               "least one, and its alignment below 2^64");
	if (unlikely(iova_cache_is_asked(c)))
		iova_cache_relieve(c);
	return alloc_any(c, &want, window, ret_iova) ? 0 : no_space(c);
}

static inline int alloc(struct iova_cache *c, uint64_t len, unsigned align_lg2,
                        enum iova_window window, uint64_t *ret_iova)
{
	/* A length of 0 becomes the largest class: a miss. */
	uint64_t cls = iova_pages(len) - 1;
	struct iova_zone_cache *z = c->first[window];

	if (likely(cls < c->nr_classes && align_lg2 <= SLUICE_PAGE_LG2 &&
	           iova_hot_take(z, cls, len, ret_iova)))
		return 0;
	return alloc_miss(c, len, align_lg2, window, ret_iova);
}

/* Is a block of 2^lg2 aligned bytes inside? */
static bool holds_leaf(uint64_t first, uint64_t len, unsigned lg2)
{
	uint64_t skip = -first & mask64(lg2);

	return len >= skip && (len - skip) >> lg2;
}

/* Where it is to be had at once: leaves of 1 GiB are worth no more. */
static bool take_wide(struct iova_cache *c, uint64_t len, uint64_t like,
                      enum iova_window window, uint64_t *ret_iova)
{
	struct iova_want want = {
	        .len = len,
	        .place = {HUGE_LEAF_LG2, like & mask64(HUGE_LEAF_LG2)},
	};
	const struct iova_order *o = &c->sp->order[window];

	return o->nr && (own(c, &c->zone[o->zone[0]], &want, ret_iova) ||
	                 iova_large_take(c, o->zone[0], &want, ret_iova));
}

static int alloc_like(struct iova_cache *c, uint64_t len, uint64_t like,
                      enum iova_window window, uint64_t *ret_iova)
{
	struct iova_want want = {
	        .len = len,
	        .place = {LARGE_LEAF_LG2, like & mask64(LARGE_LEAF_LG2)},
	};

	if (!aligned_lg2(len | like, SLUICE_PAGE_LG2) ||
	    !holds_leaf(like, len, LARGE_LEAF_LG2))
		return alloc(c, len, SLUICE_PAGE_LG2, window, ret_iova);
	if ((holds_leaf(like, len, HUGE_LEAF_LG2) &&
	     take_wide(c, len, like, window, ret_iova)) ||
	    alloc_any(c, &want, window, ret_iova))
		return 0;
	return alloc_miss(c, len, SLUICE_PAGE_LG2, window, ret_iova);
}

int iova_alloc(struct iova_cache *c, uint64_t len, unsigned align_lg2,
               enum iova_window window, uint64_t *ret_iova)
{
	int rc = alloc(c, len, align_lg2, window, ret_iova);

	if (likely(rc == 0))
		iova_check_out(c->sp, *ret_iova, len);
	return rc;
}

int iova_alloc_like(struct iova_cache *c, uint64_t len, uint64_t like,
                    enum iova_window window, uint64_t *ret_iova)
{
	int rc = alloc_like(c, len, like, window, ret_iova);

	if (likely(rc == 0))
		iova_check_out(c->sp, *ret_iova, len);
	return rc;
}
