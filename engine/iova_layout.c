/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Birth and death of an IOVA space: cuts the usable ranges into segments,
 * chooses the granule, lays bitmaps, fragments and magazines into one
 * reservation of address space whose memory arrives by page fault.
 *
 * At most 2^46 bytes are handed out. What lies beyond (48-bit apertures and
 * wider) gets segments of coarse granules that can only be reserved, so
 * a caller may still choose its own addresses there.
 */
#include "engine/iova_priv.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_LG2 6u /* CACHELINE */
#define WINDOW_GRANULES_LG2 3u

static bool windows_valid(const struct sluice_range *w, uint32_t nr)
{
	for (uint32_t i = 0; i < nr && nr <= IOVA_MAX_WINDOWS; i++)
		if (w[i].first > w[i].last ||
		    !aligned_lg2(w[i].first, SLUICE_PAGE_LG2) ||
		    !aligned_lg2(w[i].last + 1, SLUICE_PAGE_LG2))
			return false;
	return nr <= IOVA_MAX_WINDOWS;
}

static bool ranges_valid(const struct sluice_range *r, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (r[i].first > r[i].last ||
		    !aligned_lg2(r[i].first, SLUICE_PAGE_LG2) ||
		    !aligned_lg2(r[i].last + 1, SLUICE_PAGE_LG2) ||
		    (i && r[i].first <= r[i - 1].last))
			return false;
	return nr > 0;
}

/* The largest granule that leaves 256 of them in the largest range, and eight
 * in each window. */
static unsigned granule_for(const struct sluice_range *r, uint32_t nr,
                            const struct sluice_range *w, uint32_t nr_w)
{
	uint64_t span = 0; /* less one: the whole 64 bits do not fit */
	unsigned lg2;

	for (uint32_t i = 0; i < nr; i++)
		span = max_u64(span, r[i].last - r[i].first);
	lg2 = span == UINT64_MAX ? 64 : lg2_floor(span + 1);
	if (lg2 < SLUICE_PAGE_LG2 + GRANULES_MIN_LG2)
		return SLUICE_PAGE_LG2;
	lg2 -= GRANULES_MIN_LG2;
	for (uint32_t i = 0; i < nr_w; i++) {
		unsigned w_lg2 = lg2_floor((w[i].last - w[i].first) | 1);

		/* One less than its length: 2^n - 1 becomes n - 1. */
		w_lg2 += w[i].last - w[i].first == mask64(w_lg2 + 1);
		lg2 = w_lg2 < lg2 + WINDOW_GRANULES_LG2
		              ? w_lg2 - WINDOW_GRANULES_LG2
		              : lg2;
	}
	if (lg2 < SLUICE_PAGE_LG2)
		return SLUICE_PAGE_LG2;
	return lg2 < GRANULE_LG2_MAX ? lg2 : GRANULE_LG2_MAX;
}

/* Wider than 57 bits, granules grow, not their number. */
static unsigned far_granule_for(const struct sluice_range *r, uint32_t nr)
{
	unsigned lg2 = lg2_ceil(r[nr - 1].last);

	return lg2 > FAR_GRANULE_LG2 + FAR_SLOTS_LG2 ? lg2 - FAR_SLOTS_LG2
	                                             : FAR_GRANULE_LG2;
}

/* Page 0 is a reserved value for too many devices to hand it out; a granule
 * that ends at 2^64 has no end to compute with. */
static void set_full(struct iova_seg *seg)
{
	uint64_t from = max_u64(seg->first, SLUICE_PAGE_SIZE);
	uint64_t g = ((from - 1) >> seg->lg2) + 1;
	uint64_t end = seg->last >> seg->lg2;

	if (aligned_lg2(seg->last + 1, seg->lg2) && seg->last != UINT64_MAX)
		end++;
	seg->full0 = seg->slot0 + (g - seg->g0);
	seg->full1 = max_u64(seg->full0, seg->slot0 + (end - seg->g0));
}

static void add_seg(struct iova_space *sp, uint64_t first, uint64_t last,
                    unsigned lg2)
{
	struct iova_seg *seg = &sp->segs[sp->nr_segs++];

	*seg = (struct iova_seg){.first = first,
	                         .last = last,
	                         .g0 = align_down(first >> lg2, 6),
	                         .slot0 = sp->nr_slots,
	                         .lg2 = lg2};
	set_full(seg);
	sp->nr_slots += align_up((last >> lg2) - seg->g0 + 1, BLOCK_LG2);
}

/* Cuts one zone out of the usable ranges; of left bytes are handed out, what
 * lies behind can be reserved. segs has room. */
static void cut_zone(struct iova_space *sp, struct iova_zone *z,
                     const struct sluice_range *r, uint32_t nr, uint64_t left)
{
	unsigned far_lg2 = far_granule_for(r, nr);
	bool full = false;

	z->seg0 = z->seg1 = sp->nr_segs;
	z->slot0 = z->slot1 = sp->nr_slots;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t first = max_u64(r[i].first, z->first);
		uint64_t last = min_u64(r[i].last, z->last), end = 0;

		if (first > last)
			continue;
		if (!full && last - first >= left) {
			end = align_down(first + left, far_lg2);
			full = true;
		} else if (!full) {
			left -= last - first + 1;
			add_seg(sp, first, last, sp->lg2);
			z->seg1 = sp->nr_segs;
			z->slot1 = sp->nr_slots;
			continue;
		}
		if (end > first) {
			add_seg(sp, first, end - 1, sp->lg2);
			z->seg1 = sp->nr_segs;
			z->slot1 = sp->nr_slots;
			first = end;
		}
		add_seg(sp, first, last, far_lg2);
	}
	if (sp->pages > 1)
		z->nr_slices =
		        min_u64(z->slot1 - z->slot0, bit64(SLICE_SLOTS_LG2));
}

static void cut(struct iova_space *sp, const struct sluice_range *r,
                uint32_t nr, const struct sluice_range *w, uint32_t nr_w)
{
	uint64_t left = bit64(MANAGED_LG2), share[MAX_ZONES] = {0};

	/* Windows have what they can, the rest what is left. */
	for (unsigned in = 2; in-- > 0;)
		for (uint32_t i = 0; i < sp->nr_zones; i++)
			if (in == iova_in_window(&sp->zone[i], w, nr_w)) {
				share[i] = min_u64(
				        left, iova_usable(&sp->zone[i], r, nr));
				left -= share[i];
			}
	for (uint32_t i = 0; i < sp->nr_zones; i++)
		cut_zone(sp, &sp->zone[i], r, nr, share[i]);
}

static size_t take_room(size_t *at, uint64_t bytes)
{
	size_t pos = *at;

	*at = align_up(pos + bytes, LINE_LG2);
	return pos;
}

static uint64_t live_bytes(const struct iova_space *sp)
{
#ifdef SLUICE_DEBUG_CHECKS
	return sp->nr_slots / 8 * sp->pages;
#else
	(void)sp;
	return 0;
#endif
}

/* Everything that page faults fill: bitmaps, fragments, magazines. */
static int lay_out(struct iova_space *sp)
{
	size_t len = 0, taken, reserved, nr_taken, mags, live;
	size_t frag[MAX_ZONES], nr_frag[MAX_ZONES], some[MAX_ZONES];
	uint8_t *base;

	taken = take_room(&len, sp->nr_slots / 8);
	reserved = take_room(&len, sp->nr_slots / 8);
	nr_taken = take_room(&len, (sp->nr_slots >> BLOCK_LG2) * sizeof(au32));
	live = take_room(&len, live_bytes(sp));
	mags = take_room(&len, (MAG_MAX + 1) * sizeof(struct iova_mag));
	for (unsigned i = 0; i < sp->nr_zones; i++) {
		const struct iova_zone *z = &sp->zone[i];

		frag[i] = take_room(&len,
		                    z->nr_slices * sp->words * sizeof(au64));
		nr_frag[i] =
		        take_room(&len, (z->slot1 - z->slot0) * sizeof(au32));
		/* Slots come in blocks, so both are whole words. */
		some[i] =
		        take_room(&len, (z->nr_slices + z->nr_slices / 64) / 8);
	}
	base = sys_reserve(len);
	if (!base)
		return -ENOMEM;
	sp->map = base;
	sp->map_len = len;
	sp->taken = (au64 *)(void *)(base + taken);
	sp->reserved = (au64 *)(void *)(base + reserved);
	sp->live = (au64 *)(void *)(base + live);
	sp->nr_taken = (au32 *)(void *)(base + nr_taken);
	sp->mags = (struct iova_mag *)(void *)(base + mags);
	for (unsigned i = 0; i < sp->nr_zones; i++) {
		sp->zone[i].frag = (au64 *)(void *)(base + frag[i]);
		sp->zone[i].nr_frag = (au32 *)(void *)(base + nr_frag[i]);
		sp->zone[i].some_frag = (au64 *)(void *)(base + some[i]);
		sp->zone[i].some_words =
		        sp->zone[i].some_frag + sp->zone[i].nr_slices / 64;
	}
	return 0;
}

static void exclude_rims(struct iova_space *sp)
{
	for (uint32_t i = 0; i < sp->nr_segs; i++) {
		const struct iova_seg *seg = &sp->segs[i];
		uint64_t end = i + 1 < sp->nr_segs ? sp->segs[i + 1].slot0
		                                   : sp->nr_slots;

		iova_bits_exclude(sp, seg->slot0, seg->full0);
		iova_bits_exclude(sp, seg->full1, end);
	}
}

/* Large ranges start beyond what is carved, where there is a beyond: small
 * buffers then stay dense below. Those that leave pages of a granule to others
 * start halfway, where these can be carved. */
static void set_hints(struct iova_space *sp)
{
	for (unsigned i = 0; i < sp->nr_zones; i++) {
		struct iova_zone *z = &sp->zone[i];
		uint64_t nr = z->slot1 - z->slot0;

		z->large0 = z->part0 = z->slot0;
		if (nr > bit64(SLICE_SLOTS_LG2 + 1)) {
			z->large0 += z->nr_slices;
			z->part0 += z->nr_slices / 2;
		}
		st_rlx(&z->hint_one, z->large0);
		st_rlx(&z->hint_run, z->large0);
		st_rlx(&z->hint_wide, z->large0);
		st_rlx(&z->reserved_first, UINT64_MAX);
	}
}

int iova_space_create(const struct sluice_range *usable, uint32_t nr,
                      struct iova_space **ret_space)
{
	return iova_space_create_windows(usable, nr, NULL, 0, ret_space);
}

int iova_space_create_windows(const struct sluice_range *usable, uint32_t nr,
                              const struct sluice_range *windows,
                              uint32_t nr_windows,
                              struct iova_space **ret_space)
{
	struct iova_space *sp;

	if (!ranges_valid(usable, nr) || !windows_valid(windows, nr_windows))
		return msg_fmt(-EINVAL,
		               "usable IOVA ranges must be whole pages, "
		               "ascending and disjoint, and at least one; "
		               "windows whole pages, and at most %u",
		               IOVA_MAX_WINDOWS);
	sp = aligned_alloc(CACHELINE, align_up(sizeof(*sp), LINE_LG2));
	if (!sp)
		return -ENOMEM;
	*sp = (struct iova_space){
	        .lg2 = granule_for(usable, nr, windows, nr_windows)};
	pthread_mutex_init(&sp->reserve_lock, NULL);
	sp->pages = 1u << (sp->lg2 - SLUICE_PAGE_LG2);
	sp->words = sp->pages < 64 ? 1 : sp->pages / 64;
	/* Each edge of a zone, and the end of what is handed out, makes one
	 * more out of a range. */
	sp->segs = calloc((size_t)nr + MAX_ZONES + 1, sizeof(*sp->segs));
	iova_zones_init(sp, windows, nr_windows);
	if (sp->segs)
		cut(sp, usable, nr, windows, nr_windows);
	if (!sp->segs || lay_out(sp)) {
		iova_space_destroy(sp);
		return -ENOMEM;
	}
	exclude_rims(sp);
	set_hints(sp);
	iova_zones_order(sp, windows, nr_windows);
	*ret_space = sp;
	return 0;
}

void iova_space_destroy(struct iova_space *sp)
{
	if (!sp)
		return;
	if (sp->map)
		(void)sys->munmap(sp->map, sp->map_len);
	pthread_mutex_destroy(&sp->reserve_lock);
	free(sp->segs);
	free(sp);
}
