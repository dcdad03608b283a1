/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of the IOVA allocator, shared by its own files only.
 *
 * Free address space lives at one of four heights, from fast to general:
 *   cache     exact-size LIFO stacks and a bump slice, one lane's own
 *   depot     magazines of 63 ranges of one size, any lane, lock-free stacks
 *   fragments one bit a page (set: free), counted per granule; merges
 *             neighbours whoever freed them and returns whole granules.
 *             Granules that are never carved only have the count: it tells
 *             when the last piece of a larger range came back
 *   granules  one bit a granule (set: taken), counted per block
 * A granule that lanes carve is taken in the lowest map and its free pages
 * are known to exactly one of the other three. A slot is the index of a
 * granule in the granule bitmap; segments tie slots to addresses.
 */
#ifndef SLUICE_ENGINE_IOVA_PRIV_H
#define SLUICE_ENGINE_IOVA_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/iova.h"

#define GRANULE_LG2_MAX 21u /* 2 MiB: what one 512-entry leaf table covers */
#define GRANULES_MIN_LG2 8u /* at least 256 in the largest usable range */
#define MANAGED_LG2 46u     /* bytes of usable space that are handed out */
#define FAR_GRANULE_LG2 30u /* beyond, ranges can only be reserved */
#define FAR_SLOTS_LG2 27u   /* as many as a 57-bit aperture has of those */
#define SLICE_SLOTS_LG2 19u /* granules per zone that may be carved: 1 TiB */
#define BLOCK_LG2 12u       /* granules under one counter */
#define BLOCK ((uint64_t)1 << BLOCK_LG2)
#define PAGES_MAX 512u /* pages of the largest granule */
#define FRAG_WANT 8u   /* free pages that make a granule worth a look */
#define MAG_RANGES 63u
#define MAG_MAX 4096u /* magazines a space may own */

/* The address space falls into zones at 4 GiB and at both ends of each window;
 * no range crosses from one into the next. */
#define MAX_ZONES (2 + 2 * IOVA_MAX_WINDOWS)

/* A usable range, cut at 4 GiB and at the end of what is managed. Slots of
 * [full0, full1) can be handed out; the others are rims and padding. */
struct iova_seg {
	uint64_t first, last;
	uint64_t g0; /* number of the granule at slot0, a multiple of 64 */
	uint64_t slot0;
	uint64_t full0, full1;
	unsigned lg2; /* granule size */
};

/* Where a search starts; whatever is free below it was skipped for a reason
 * and is found on the second pass. */
struct iova_hint {
	uint64_t slice; /* granules to carve */
	uint64_t one;   /* ranges of one granule */
	uint64_t run;   /* of several */
	uint64_t part;  /* that leave pages of a granule to others */
	uint64_t wide;  /* placed by more than a granule */
};

/* A range may begin at off, modulo 2^lg2. */
struct iova_place {
	unsigned lg2; /* at least a page */
	uint64_t off;
};

struct iova_zone {
	uint64_t first, last;
	uint32_t seg0, seg1;
	uint64_t slot0, slot1;
	uint64_t nr_slices; /* slots from slot0 that may be carved */
	uint64_t large0;    /* where the search for larger ranges starts, */
	uint64_t part0;     /* and that for those with pages left over */
	au64 *frag;         /* pages/64 words for each of them, at least one */
	au32 *nr_frag; /* of each slot: free pages, less rights given out */
	/* A bit a granule where a search may find pages, and one for each word
	 * of these; only hints. */
	au64 *some_frag, *some_words;
	au64 frag_top; /* no fragment was ever put at or above */
	au64 far_top;  /* the same for granules that are never carved */
	au64 hint_one, hint_run, hint_wide;
	au64 reserved_first, reserved_last; /* all reserved lies within */
};

/* Zones that a request may use, the best first. */
struct iova_order {
	uint32_t nr;
	uint32_t zone[MAX_ZONES];
};

struct iova_mag {
	au32 next;
	uint32_t nr;
	uint64_t range[MAG_RANGES];
};

struct iova_space {
	unsigned lg2;   /* granule */
	uint32_t pages; /* of a granule */
	uint32_t words; /* fragment words of a granule */
	uint32_t nr_segs;
	uint32_t nr_zones; /* without a gap, ascending */
	struct iova_seg *segs;
	struct iova_zone zone[MAX_ZONES];
	struct iova_order order[IOVA_NR_WINDOWS];
	uint64_t nr_slots;
	au64 *taken;
	au64 *reserved;
	au32 *nr_taken; /* per block: never more than its set bits */
	void *map;      /* holds the bitmaps, fragments and magazines */
	size_t map_len;
	pthread_mutex_t reserve_lock;
	au64 *live;     /* debug builds: a bit a page that is handed out */
	au64 nr_bogus;  /* frees of what was not */
	au32 hunger;    /* allocations that found nothing */
	au32 nr_caches; /* created so far: spreads their slices */
	struct iova_mag *mags; /* [1..MAG_MAX], 0 means none */
	_Alignas(CACHELINE) au32 mag_bump;
	_Alignas(CACHELINE) au64 mag_free;
	au64 depot_pages; /* in magazines */
	_Alignas(CACHELINE) au64 depot[MAX_ZONES][PAGES_MAX];
};

#define STACK_MAX (2 * MAG_RANGES)
/* Not a power of two: tops of different sizes use different cache sets. */
#define STACK_ROOM 136u
#define LARGE_KEPT 32u

struct iova_large {
	uint64_t iova, len;
};

/* Written by the owner alone; the counts are read by reports. */
struct iova_zone_cache {
	au64 cur, end; /* the slice: bytes, empty when equal */
	struct iova_hint hint;
	uint64_t frag_at;
	uint32_t dry;
	/* Ranges of more than a granule, the newest last. */
	uint32_t nr_large;
	au64 large_bytes;
	struct iova_large large[LARGE_KEPT];
	au32 nr[PAGES_MAX];
	uint64_t range[PAGES_MAX][STACK_ROOM];
};

struct iova_cache {
	struct iova_space *sp;
	uint32_t nr_classes;   /* sizes of 1..nr_classes pages are cached, */
	uint32_t max_granules; /* so many whole granules of each zone, */
	/* The zone that IOVA_ANY tries first: where it begins, in which pages
	 * of it a range below a granule begins and does not reach its end, and
	 * what is reserved in it. */
	uint64_t any_first, any_pages;
	struct iova_zone_cache *any;
	const struct iova_zone *hull;
	/* By window, the zone that is tried first; else one without ranges. */
	struct iova_zone_cache *first[IOVA_NR_WINDOWS];
	uint64_t max_large[MAX_ZONES]; /* and so many bytes of larger ranges */
	size_t map_len;
	uint32_t hunger; /* as last answered */
	uint32_t relief_skips;
	struct iova_zone_cache zone[];
};

struct iova_want {
	uint64_t len;
	struct iova_place place;
};

#define IOVA_NOSPC                                                             \
	"no free IOVA range of this size and alignment: unmap and poll until " \
	"tickets pass, or widen the domain's aperture"

static inline unsigned iova_zone_of(const struct iova_space *sp, uint64_t iova)
{
	unsigned i = 0;

	while (iova > sp->zone[i].last)
		i++;
	return i;
}

/* Bits [s & 63, ...) of the word of s, up to e. */
static inline uint64_t iova_mask(uint64_t s, uint64_t e)
{
	uint64_t left = e - s;
	unsigned n = left < 64 ? (unsigned)left : 64;

	return mask64(n) << (s & 63);
}

/* Pages; what is not whole pages becomes a number too large for any use, so
 * that one comparison checks both. */
static inline uint64_t iova_pages(uint64_t bytes)
{
	return bytes >> SLUICE_PAGE_LG2 | bytes << (64 - SLUICE_PAGE_LG2);
}

static inline uint64_t iova_next_word(uint64_t s)
{
	return (s | 63) + 1;
}

/* A granule came free: dense again before new ground is broken. */
static inline void iova_hint_lower(struct iova_hint *hint,
                                   const struct iova_zone *z, uint64_t slot)
{
	if (!hint)
		return;
	hint->slice = min_u64(hint->slice, slot);
	if (slot >= z->large0) {
		hint->one = min_u64(hint->one, slot);
		hint->run = min_u64(hint->run, slot);
		hint->wide = min_u64(hint->wide, slot);
	}
	if (slot >= z->part0)
		hint->part = min_u64(hint->part, slot);
}

/* iova_cache.c */
/* Has a lane found nothing since this one last gave what it keeps? */
static inline bool iova_cache_is_asked(const struct iova_cache *c)
{
	return ld_rlx(&c->sp->hunger) != c->hunger;
}
/* Gives all of it, now and then. */
void iova_cache_relieve(struct iova_cache *c);

/* iova_recycle.c: a free that no stack takes as it is. */
void iova_free_slow(struct iova_cache *c, uint64_t iova, uint64_t len);

/* iova_check.c: each page is handed out once, and comes back once. */
#ifdef SLUICE_DEBUG_CHECKS
void iova_check_out(struct iova_space *sp, uint64_t iova, uint64_t len);
/* False: a part of it is not handed out. The free must not go on then. */
bool iova_check_back(struct iova_space *sp, uint64_t iova, uint64_t len);
#else
static inline void iova_check_out(struct iova_space *sp, uint64_t iova,
                                  uint64_t len)
{
	(void)sp;
	(void)iova;
	(void)len;
}

static inline bool iova_check_back(struct iova_space *sp, uint64_t iova,
                                   uint64_t len)
{
	(void)sp;
	(void)iova;
	(void)len;
	return true;
}
#endif

/* iova_space.c: addresses and slots. */
const struct iova_seg *iova_seg_of(const struct iova_space *sp, uint64_t addr);
uint64_t iova_seg_slot(const struct iova_seg *seg, uint64_t addr);
uint64_t iova_slot_addr(const struct iova_space *sp, uint64_t slot);
/* n granules from the hint on, else anywhere in the zone. The range begins in
 * the first of them, at place.off modulo the granule. */
int iova_take(struct iova_space *sp, unsigned zone, uint64_t n,
              struct iova_place place, struct iova_hint *hint,
              uint64_t *ret_iova);
/* The same where pages that are left over may be carved. */
int iova_take_part(struct iova_space *sp, unsigned zone, uint64_t n,
                   struct iova_place place, struct iova_hint *hint,
                   uint64_t *ret_iova);
/* One granule that may be carved. */
int iova_take_slice(struct iova_space *sp, unsigned zone, unsigned align_lg2,
                    struct iova_hint *hint, uint64_t *ret_iova);
/* Gives [iova, iova + len) back: whole granules and fragments. Granules that
 * are free, reserved or no part of the space are left alone. hint may be
 * NULL. */
void iova_give(struct iova_space *sp, uint64_t iova, uint64_t len,
               struct iova_hint *hint);

/* iova_zone.c: which parts of the address space a request may use. */
/* Where zones begin and end. */
void iova_zones_init(struct iova_space *sp, const struct sluice_range *windows,
                     uint32_t nr);
/* In which order they are tried; when it is known how large they are. */
void iova_zones_order(struct iova_space *sp, const struct sluice_range *windows,
                      uint32_t nr);
bool iova_in_window(const struct iova_zone *z,
                    const struct sluice_range *windows, uint32_t nr);
/* Bytes of the ranges that lie in the zone, UINT64_MAX for more. */
uint64_t iova_usable(const struct iova_zone *z, const struct sluice_range *r,
                     uint32_t nr);

/* iova_bits.c: the granule bitmap. */
bool iova_bits_find_take(struct iova_space *sp, const struct iova_seg *seg,
                         uint64_t from, uint64_t to, uint64_t n,
                         struct iova_place place, uint64_t *ret_slot);
bool iova_bits_take(struct iova_space *sp, uint64_t slot, uint64_t n);
/* Those of the slots that are taken and not reserved. */
void iova_bits_release(struct iova_space *sp, uint64_t slot, uint64_t end);
bool iova_bits_is_out(const struct iova_space *sp, uint64_t slot);
/* For create: slots that nobody may ever take. */
void iova_bits_exclude(struct iova_space *sp, uint64_t slot, uint64_t end);
int iova_bits_reserve(struct iova_space *sp, const struct iova_seg *seg,
                      uint64_t slot, uint64_t end);
void iova_bits_publish(struct iova_space *sp, uint64_t slot, uint64_t end);
void iova_bits_unreserve(struct iova_space *sp, const struct iova_seg *seg,
                         uint64_t slot, uint64_t end);
bool iova_bits_reserved(const struct iova_space *sp, uint64_t slot,
                        uint64_t end);
uint64_t iova_bits_free(const struct iova_space *sp, uint64_t slot,
                        uint64_t end);

static inline void iova_cache_give(struct iova_cache *c, uint64_t iova,
                                   uint64_t len)
{
	iova_give(c->sp, iova, len, &c->zone[iova_zone_of(c->sp, iova)].hint);
}

/* iova_frag.c: pages of granules being carved. */
/* Within one granule. hint: as in iova_give. */
void iova_frag_put(struct iova_space *sp, uint64_t iova, uint64_t pages,
                   struct iova_hint *hint);
/* A run of at least nr and FRAG_WANT pages that holds nr pages at the
 * alignment. Looks at few granules, from *at on, which moves there. Out: the
 * aligned start, and the end of the run; both in bytes. */
bool iova_frag_take(struct iova_space *sp, unsigned zone, uint32_t nr,
                    unsigned align_lg2, uint64_t *at, uint64_t *ret_iova,
                    uint64_t *ret_end);
/* A run of at least nr pages; looks everywhere. */
bool iova_frag_take_any(struct iova_space *sp, unsigned zone, uint32_t nr,
                        unsigned align_lg2, uint64_t *ret_iova,
                        uint64_t *ret_end);

/* iova_large.c: a lane's ranges of a granule or more. */
/* From those that the lane keeps. */
bool iova_large_pop(struct iova_zone_cache *z, const struct iova_want *want,
                    uint64_t *ret_iova);
/* False: not one to keep. */
bool iova_large_push(struct iova_cache *c, unsigned zone, uint64_t iova,
                     uint64_t len);
/* From the space. The pages before and behind go to who needs fewer. */
bool iova_large_take(struct iova_cache *c, unsigned zone,
                     const struct iova_want *want, uint64_t *ret_iova);
void iova_large_flush(struct iova_cache *c, unsigned zone);

/* iova_depot.c: magazines. */
bool iova_depot_put(struct iova_space *sp, unsigned zone, uint32_t cls,
                    const uint64_t *ranges, uint32_t nr);
/* Up to MAG_RANGES ranges; returns how many. */
uint32_t iova_depot_get(struct iova_space *sp, unsigned zone, uint32_t cls,
                        uint64_t *ranges);
/* Turns the zone's magazines into fragments and granules. */
void iova_depot_drain(struct iova_space *sp, unsigned zone,
                      struct iova_hint *hint);

#endif
