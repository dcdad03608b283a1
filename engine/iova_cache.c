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
#include "engine/iova_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_MAX (2 * MAG_RANGES)
/* Not a power of two: tops of different sizes use different cache sets. */
#define STACK_ROOM 136u
/* Whole granules that a lane keeps: where they are plenty, and where not. */
#define GRANULES_MANY 64u
#define GRANULES_FEW 4u
#define ALIGNED_LOOK 16u /* stack entries an aligned request looks at */
#define PROBES 64u       /* fragment counters a cheap miss looks at */
#define PROBE_WANT 8u    /* pages a fragment needs to be worth it */
#define DRY_SKIPS 64u    /* misses that pass over a zone found empty */

struct zone_cache {
	uint64_t cur, end; /* the slice: bytes, empty when equal */
	struct iova_hint hint;
	uint64_t frag_at;
	uint32_t dry;
	uint16_t nr[PAGES_MAX];
	uint64_t range[PAGES_MAX][STACK_ROOM];
};

struct iova_cache {
	struct iova_space *sp;
	uint32_t nr_classes;      /* sizes of 1..nr_classes pages are cached, */
	uint32_t max_granules;    /* and so many whole granules of each zone */
	uint32_t any;             /* the zone that IOVA_ANY tries first */
	struct zone_cache *first; /* its stacks */
	const struct iova_zone *hull; /* and what is reserved in it */
	struct zone_cache zone[NR_ZONES];
};

struct want {
	uint64_t len;
	unsigned align_lg2; /* at least a page */
};

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
	h->run = h->one;
}

int iova_cache_create(struct iova_space *sp, struct iova_cache **ret_cache)
{
	const struct iova_zone *high = &sp->zone[ZONE_HIGH];
	struct iova_cache *c;
	uint32_t id;

	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
	         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c == MAP_FAILED)
		return -ENOMEM;
	c->sp = sp;
	c->nr_classes = sp->pages - 1;
	c->max_granules =
	        sp->nr_slots >= bit64(20) ? GRANULES_MANY : GRANULES_FEW;
	c->any = high->slot1 > high->slot0 ? ZONE_HIGH : ZONE_LOW;
	c->first = &c->zone[c->any];
	c->hull = &sp->zone[c->any];
	id = faa_rlx(&sp->nr_caches, 1);
	for (unsigned i = 0; i < NR_ZONES; i++)
		init_hints(c, i, id);
	*ret_cache = c;
	return 0;
}

static void give(struct iova_cache *c, uint64_t iova, uint64_t len)
{
	iova_give(c->sp, iova, len, &c->zone[iova_zone_of(iova)].hint);
}

static void flush(struct iova_cache *c, unsigned zone)
{
	struct zone_cache *z = &c->zone[zone];

	for (uint32_t cls = 0; cls <= c->nr_classes; cls++) {
		uint64_t len = (uint64_t)(cls + 1) << SLUICE_PAGE_LG2;

		for (uint32_t i = 0; i < z->nr[cls]; i++)
			give(c, z->range[cls][i], len);
		z->nr[cls] = 0;
	}
	if (z->end > z->cur)
		give(c, z->cur, z->end - z->cur);
	z->cur = z->end = 0;
}

void iova_cache_destroy(struct iova_cache *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < NR_ZONES; i++) {
		flush(c, i);
		iova_depot_drain(c->sp, i, &c->zone[i].hint);
	}
	munmap(c, sizeof(*c));
}

/* The top, or the nearest below it that is aligned. */
static bool pop(struct zone_cache *z, uint32_t cls, unsigned align_lg2,
                uint64_t *ret_iova)
{
	uint32_t nr = z->nr[cls];
	uint32_t stop = nr > ALIGNED_LOOK ? nr - ALIGNED_LOOK : 0;

	for (uint32_t i = nr; i > stop; i--) {
		uint64_t iova = z->range[cls][i - 1];

		if (!aligned_lg2(iova, align_lg2))
			continue;
		z->range[cls][i - 1] = z->range[cls][nr - 1];
		z->nr[cls] = (uint16_t)(nr - 1);
		*ret_iova = iova;
		return true;
	}
	return false;
}

/* Keeps the larger of the slice and [cur, end), gives the other back. */
static void keep(struct iova_cache *c, struct zone_cache *z, uint64_t cur,
                 uint64_t end)
{
	if (end - cur > z->end - z->cur) {
		uint64_t old = z->cur, old_end = z->end;

		z->cur = cur;
		z->end = end;
		cur = old;
		end = old_end;
	}
	if (end > cur)
		give(c, cur, end - cur);
}

static bool carve(struct iova_cache *c, struct zone_cache *z,
                  const struct want *want, uint64_t *ret_iova)
{
	uint64_t cur = z->cur;
	uint64_t iova = align_up(cur, want->align_lg2);

	if (iova < cur || iova >= z->end || z->end - iova < want->len)
		return false;
	z->cur = iova + want->len;
	if (iova > cur)
		give(c, cur, iova - cur);
	*ret_iova = iova;
	return true;
}

static bool take_fragment(struct iova_cache *c, unsigned zone,
                          const struct want *want, uint32_t min_pages,
                          uint64_t probes, uint64_t *ret_iova)
{
	struct zone_cache *z = &c->zone[zone];
	uint64_t iova, end;

	if (!iova_frag_take(c->sp, zone,
	                    (uint32_t)(want->len >> SLUICE_PAGE_LG2), min_pages,
	                    want->align_lg2, probes, &z->frag_at, &iova, &end))
		return false;
	keep(c, z, iova + want->len, end);
	*ret_iova = iova;
	return true;
}

/* A granule or more. The pages behind the end go to who needs fewer. */
static bool take_large(struct iova_cache *c, unsigned zone,
                       const struct want *want, uint64_t *ret_iova)
{
	uint64_t n = ((want->len - 1) >> c->sp->lg2) + 1;
	uint64_t tail = (n << c->sp->lg2) - want->len;
	uint64_t iova;

	if (iova_take(c->sp, zone, n, want->align_lg2, &c->zone[zone].hint,
	              &iova))
		return false;
	if (tail)
		iova_frag_put(c->sp, iova + want->len, tail >> SLUICE_PAGE_LG2,
		              &c->zone[zone].hint);
	*ret_iova = iova;
	return true;
}

static bool take_granule(struct iova_cache *c, unsigned zone,
                         const struct want *want, uint64_t *ret_iova)
{
	struct zone_cache *z = &c->zone[zone];
	uint64_t iova;

	/* Nothing left that may be carved: a granule for this range alone. */
	if (iova_take_slice(c->sp, zone, want->align_lg2, &z->hint, &iova))
		return take_large(c, zone, want, ret_iova);
	keep(c, z, iova + want->len, iova + bit64(c->sp->lg2));
	*ret_iova = iova;
	return true;
}

static bool miss_small(struct iova_cache *c, unsigned zone,
                       const struct want *want, uint64_t *ret_iova)
{
	struct zone_cache *z = &c->zone[zone];
	uint32_t cls = (uint32_t)(want->len >> SLUICE_PAGE_LG2) - 1;

	if (!z->nr[cls])
		z->nr[cls] = (uint16_t)iova_depot_get(c->sp, zone, cls,
		                                      z->range[cls]);
	return pop(z, cls, want->align_lg2, ret_iova) ||
	       take_fragment(c, zone, want,
	                     (uint32_t)min_u64(PROBE_WANT, c->sp->pages),
	                     PROBES, ret_iova) ||
	       take_granule(c, zone, want, ret_iova);
}

/* Everything this zone can offer. last: no other zone is left to try. */
static bool zone_alloc(struct iova_cache *c, unsigned zone,
                       const struct want *want, bool last, uint64_t *ret_iova)
{
	struct zone_cache *z = &c->zone[zone];
	const struct iova_zone *sz = &c->sp->zone[zone];
	bool small = want->len < bit64(c->sp->lg2);

	if ((want->len - 1) >> c->sp->lg2 >= sz->slot1 - sz->slot0)
		return false;
	if (small && (pop(z, (uint32_t)(want->len >> SLUICE_PAGE_LG2) - 1,
	                  want->align_lg2, ret_iova) ||
	              carve(c, z, want, ret_iova)))
		return true;
	if (z->dry && !last) {
		z->dry--;
		return false;
	}
	if (small ? miss_small(c, zone, want, ret_iova)
	          : take_large(c, zone, want, ret_iova))
		return true;
	flush(c, zone);
	iova_depot_drain(c->sp, zone, &z->hint);
	if (small ? take_fragment(c, zone, want, 1, UINT64_MAX, ret_iova) ||
	                    take_granule(c, zone, want, ret_iova)
	          : take_large(c, zone, want, ret_iova))
		return true;
	z->dry = DRY_SKIPS;
	return false;
}

static noinline int alloc_miss(struct iova_cache *c, uint64_t len,
                               unsigned align_lg2, enum iova_window window,
                               uint64_t *ret_iova)
{
	struct want want = {len, align_lg2 > SLUICE_PAGE_LG2 ? align_lg2
	                                                     : SLUICE_PAGE_LG2};
	bool both = window == IOVA_ANY && c->any == ZONE_HIGH;

	if (!len || !aligned_lg2(len, SLUICE_PAGE_LG2) || align_lg2 > 63)
		return msg_lit(-EINVAL,
		               "IOVA length must be whole 4 KiB pages, at "
		               "least one, and its alignment below 2^64");
	if (both && zone_alloc(c, ZONE_HIGH, &want, false, ret_iova))
		return 0;
	if (zone_alloc(c, ZONE_LOW, &want, true, ret_iova))
		return 0;
	if (both && zone_alloc(c, ZONE_HIGH, &want, true, ret_iova))
		return 0;
	return msg_lit(-ENOSPC, IOVA_NOSPC);
}

int iova_alloc(struct iova_cache *c, uint64_t len, unsigned align_lg2,
               enum iova_window window, uint64_t *ret_iova)
{
	/* A length of 0 becomes the largest class: a miss. */
	uint64_t cls = (len >> SLUICE_PAGE_LG2) - 1;
	struct zone_cache *z =
	        window == IOVA_32BIT ? &c->zone[ZONE_LOW] : c->first;

	if (likely(cls < c->nr_classes && align_lg2 <= SLUICE_PAGE_LG2 &&
	           aligned_lg2(len, SLUICE_PAGE_LG2))) {
		uint32_t nr = z->nr[cls];

		if (likely(nr)) {
			z->nr[cls] = (uint16_t)(nr - 1);
			*ret_iova = z->range[cls][nr - 1];
			return 0;
		}
		if (z->end - z->cur >= len) {
			*ret_iova = z->cur;
			z->cur += len;
			return 0;
		}
	} else if (cls == c->nr_classes && z->nr[cls] &&
	           align_lg2 <= c->sp->lg2 &&
	           aligned_lg2(len, SLUICE_PAGE_LG2)) {
		*ret_iova = z->range[cls][--z->nr[cls]];
		return 0;
	}
	return alloc_miss(c, len, align_lg2, window, ret_iova);
}

/* Makes room in a full stack: the oldest half goes to the depot, where other
 * lanes find it, or, when that is full, to the fragments. */
static uint32_t spill(struct iova_cache *c, unsigned zone, uint32_t cls)
{
	struct zone_cache *z = &c->zone[zone];
	uint64_t len = (uint64_t)(cls + 1) << SLUICE_PAGE_LG2;
	uint64_t *range = z->range[cls];
	uint32_t left = STACK_MAX - MAG_RANGES;

	if (!iova_depot_put(c->sp, zone, cls, range, MAG_RANGES))
		for (uint32_t i = 0; i < MAG_RANGES; i++)
			give(c, range[i], len);
	memmove(range, range + MAG_RANGES, left * sizeof(*range));
	z->dry = 0;
	return left;
}

static void push(struct iova_cache *c, unsigned zone, uint64_t iova,
                 uint64_t cls)
{
	struct zone_cache *z = &c->zone[zone];
	uint32_t nr = z->nr[cls];

	if (nr == STACK_MAX)
		nr = spill(c, zone, (uint32_t)cls);
	z->range[cls][nr] = iova;
	z->nr[cls] = (uint16_t)(nr + 1);
}

static bool touches_reserved(const struct iova_space *sp, uint64_t iova,
                             uint64_t last)
{
	return iova_space_is_reserved(sp, iova, iova) ||
	       ((iova ^ last) >> sp->lg2 &&
	        iova_space_is_reserved(sp, last, last));
}

static bool touches_hull(const struct iova_zone *sz, uint64_t iova,
                         uint64_t last)
{
	return iova <= ld_rlx(&sz->reserved_last) &&
	       last >= ld_rlx(&sz->reserved_first);
}

/* The other zone, a full stack, and what no stack may hold: ranges of a granule
 * or more, across zones, or with pages that belong to the callers who reserved
 * them. */
static noinline void free_slow(struct iova_cache *c, uint64_t iova,
                               uint64_t len)
{
	uint64_t cls = (len >> SLUICE_PAGE_LG2) - 1;
	uint64_t last = iova + len - 1;
	unsigned zone = iova_zone_of(iova);

	if (!aligned_lg2(iova | len, SLUICE_PAGE_LG2) || last < iova)
		return;
	if (cls <= c->nr_classes && zone == iova_zone_of(last) &&
	    (!touches_hull(&c->sp->zone[zone], iova, last) ||
	     !touches_reserved(c->sp, iova, last))) {
		struct zone_cache *z = &c->zone[zone];

		if (cls < c->nr_classes) {
			push(c, zone, iova, cls);
			return;
		}
		if (z->nr[cls] < c->max_granules &&
		    aligned_lg2(iova, c->sp->lg2)) {
			z->range[cls][z->nr[cls]++] = iova;
			return;
		}
	}
	give(c, iova, len);
	c->zone[zone].dry = 0;
	c->zone[iova_zone_of(last)].dry = 0;
}

void iova_free(struct iova_cache *c, uint64_t iova, uint64_t len)
{
	uint64_t cls = (len >> SLUICE_PAGE_LG2) - 1;
	uint64_t last = iova + len - 1;
	struct zone_cache *z = c->first;
	uint32_t nr;

	/* The zone is compared, not computed, so that the stack's address does
	 * not wait for the range's. */
	if (unlikely(cls >= c->nr_classes || iova_zone_of(iova) != c->any ||
	             iova_zone_of(last) != c->any ||
	             !aligned_lg2(iova | len, SLUICE_PAGE_LG2) ||
	             touches_hull(c->hull, iova, last))) {
		free_slow(c, iova, len);
		return;
	}
	nr = z->nr[cls];
	if (unlikely(nr == STACK_MAX)) {
		free_slow(c, iova, len);
		return;
	}
	z->range[cls][nr] = iova;
	z->nr[cls] = (uint16_t)(nr + 1);
}
