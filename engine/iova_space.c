/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IOVA space from outside: takes and gives back granules, keeps ranges for
 * callers who choose their own. Knows how slots belong to addresses and which
 * zone a request prefers; the bitmaps themselves are iova_bits.c and
 * iova_frag.c, their memory is laid out in iova_layout.c.
 */
#include "engine/iova_priv.h"

#include <errno.h>

const struct iova_seg *iova_seg_of(const struct iova_space *sp, uint64_t addr)
{
	uint32_t lo = 0, hi = sp->nr_segs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sp->segs[mid].last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == sp->nr_segs || sp->segs[lo].first > addr)
		return NULL;
	return &sp->segs[lo];
}

uint64_t iova_seg_slot(const struct iova_seg *seg, uint64_t addr)
{
	return seg->slot0 + ((addr >> seg->lg2) - seg->g0);
}

uint64_t iova_slot_addr(const struct iova_space *sp, uint64_t slot)
{
	uint32_t lo = 0, hi = sp->nr_segs;

	/* The last segment whose slot0 is not above. */
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sp->segs[mid].slot0 <= slot)
			lo = mid;
		else
			hi = mid;
	}
	return (sp->segs[lo].g0 + (slot - sp->segs[lo].slot0)) << sp->lg2;
}

static bool take_in(struct iova_space *sp, unsigned zone, uint64_t from,
                    uint64_t to, uint64_t n, struct iova_place place,
                    uint64_t *ret_slot)
{
	const struct iova_zone *z = &sp->zone[zone];

	for (uint32_t i = z->seg0; i < z->seg1; i++) {
		const struct iova_seg *seg = &sp->segs[i];

		if (seg->full1 > from && seg->full0 < to &&
		    iova_bits_find_take(sp, seg, from, to, n, place, ret_slot))
			return true;
	}
	return false;
}

/* From the hint to the end, then everywhere. The hint moves on even past holes
 * that the place has left: a second pass finds them. */
static bool take_near(struct iova_space *sp, unsigned zone, uint64_t to,
                      uint64_t n, struct iova_place place, uint64_t *hint,
                      uint64_t *ret_iova)
{
	const struct iova_zone *z = &sp->zone[zone];
	uint64_t slot;

	if (n > to - z->slot0)
		return false;
	if (!take_in(sp, zone, *hint, to, n, place, &slot) &&
	    (*hint <= z->slot0 ||
	     !take_in(sp, zone, z->slot0, to, n, place, &slot)))
		return false;
	*hint = slot + n;
	*ret_iova = iova_slot_addr(sp, slot);
	return true;
}

int iova_take(struct iova_space *sp, unsigned zone, uint64_t n,
              struct iova_place place, struct iova_hint *hint,
              uint64_t *ret_iova)
{
	/* Ranges placed apart leave holes that others fit into. */
	uint64_t *from = place.lg2 > sp->lg2 ? &hint->wide
	                 : n == 1            ? &hint->one
	                                     : &hint->run;

	return take_near(sp, zone, sp->zone[zone].slot1, n, place, from,
	                 ret_iova)
	               ? 0
	               : -ENOSPC;
}

int iova_take_part(struct iova_space *sp, unsigned zone, uint64_t n,
                   struct iova_place place, struct iova_hint *hint,
                   uint64_t *ret_iova)
{
	const struct iova_zone *z = &sp->zone[zone];

	return take_near(sp, zone, z->slot0 + z->nr_slices, n, place,
	                 &hint->part, ret_iova)
	               ? 0
	               : -ENOSPC;
}

int iova_take_slice(struct iova_space *sp, unsigned zone, unsigned align_lg2,
                    struct iova_hint *hint, uint64_t *ret_iova)
{
	const struct iova_zone *z = &sp->zone[zone];
	struct iova_place place = {align_lg2, 0};
	uint64_t at = hint->slice;

	if (!take_near(sp, zone, z->slot0 + z->nr_slices, 1, place,
	               &hint->slice, ret_iova))
		return -ENOSPC;
	if (align_lg2 > sp->lg2)
		hint->slice = at;
	return 0;
}

static void give_granules(struct iova_space *sp, uint64_t first, uint64_t last,
                          struct iova_hint *hint)
{
	const struct iova_seg *seg;

	for (; (seg = iova_seg_of(sp, first)); first = seg->last + 1) {
		uint64_t to = min_u64(last, seg->last);
		uint64_t s = max_u64(iova_seg_slot(seg, first), seg->full0);
		uint64_t e = min_u64(iova_seg_slot(seg, to) + 1, seg->full1);

		if (seg->lg2 == sp->lg2 && s < e) {
			iova_hint_lower(hint,
			                &sp->zone[iova_zone_of(sp, first)], s);
			iova_bits_release(sp, s, e);
		}
		if (to == last)
			return;
	}
}

void iova_give(struct iova_space *sp, uint64_t iova, uint64_t len,
               struct iova_hint *hint)
{
	uint64_t head = min_u64(len, -iova & mask64(sp->lg2));
	uint64_t whole = align_down(len - head, sp->lg2);
	uint64_t tail = len - head - whole;

	if (head)
		iova_frag_put(sp, iova, head >> SLUICE_PAGE_LG2, hint);
	if (whole)
		give_granules(sp, iova + head, iova + head + whole - 1, hint);
	if (tail)
		iova_frag_put(sp, iova + head + whole, tail >> SLUICE_PAGE_LG2,
		              hint);
}

static int alloc_in(struct iova_space *sp, unsigned zone, uint64_t n,
                    unsigned align_lg2, uint64_t *ret_iova)
{
	struct iova_zone *z = &sp->zone[zone];
	struct iova_hint hint = {.slice = UINT64_MAX,
	                         .one = ld_rlx(&z->hint_one),
	                         .run = ld_rlx(&z->hint_run),
	                         .part = UINT64_MAX,
	                         .wide = ld_rlx(&z->hint_wide)};
	struct iova_place place = {align_lg2, 0};
	int err = iova_take(sp, zone, n, place, &hint, ret_iova);

	if (err) {
		iova_depot_drain(sp, zone, &hint);
		err = iova_take(sp, zone, n, place, &hint, ret_iova);
	}
	/* Racing stores cost a longer search, nothing else. */
	st_rlx(&z->hint_one, hint.one);
	st_rlx(&z->hint_run, hint.run);
	st_rlx(&z->hint_wide, hint.wide);
	return err;
}

int iova_space_alloc(struct iova_space *sp, uint64_t len, unsigned align_lg2,
                     enum iova_window window, uint64_t *ret_iova)
{
	uint64_t n = len ? ((len - 1) >> sp->lg2) + 1 : 0;

	if (!n || align_lg2 > 63)
		return msg_lit(-EINVAL, "IOVA length is 0 or alignment above "
		                        "2^63: ask for at least one page");
	for (uint32_t i = 0; i < sp->order[window].nr; i++)
		if (!alloc_in(sp, sp->order[window].zone[i], n, align_lg2,
		              ret_iova)) {
			iova_check_out(sp, *ret_iova, n << sp->lg2);
			return 0;
		}
	return msg_lit(-ENOSPC, IOVA_NOSPC);
}

void iova_space_free(struct iova_space *sp, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + ((len - 1) | mask64(sp->lg2));
	struct iova_zone *z = &sp->zone[iova_zone_of(sp, iova)];
	struct iova_hint hint = {.slice = UINT64_MAX,
	                         .one = ld_rlx(&z->hint_one),
	                         .run = ld_rlx(&z->hint_run),
	                         .part = UINT64_MAX,
	                         .wide = ld_rlx(&z->hint_wide)};

	if (!len || !aligned_lg2(iova, sp->lg2) || last < iova ||
	    !iova_check_back(sp, iova, last - iova + 1))
		return;
	give_granules(sp, iova, last, &hint);
	st_rlx(&z->hint_one, hint.one);
	st_rlx(&z->hint_run, hint.run);
	st_rlx(&z->hint_wide, hint.wide);
}

uint64_t iova_space_granule(const struct iova_space *sp)
{
	return bit64(sp->lg2);
}

uint64_t iova_space_free_bytes(const struct iova_space *sp)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < sp->nr_zones; i++)
		nr += iova_bits_free(sp, sp->zone[i].slot0, sp->zone[i].slot1);
	return nr << sp->lg2;
}

/* The part of [first, last] that lies in one segment. */
struct part {
	const struct iova_seg *seg;
	uint64_t last, slot, end;
};

static bool part_of(const struct iova_space *sp, uint64_t first, uint64_t last,
                    struct part *ret_part)
{
	const struct iova_seg *seg = iova_seg_of(sp, first);
	uint64_t to;

	if (!seg)
		return false;
	to = min_u64(last, seg->last);
	*ret_part = (struct part){.seg = seg,
	                          .last = to,
	                          .slot = iova_seg_slot(seg, first),
	                          .end = iova_seg_slot(seg, to) + 1};
	return true;
}

bool iova_space_is_reserved(const struct iova_space *sp, uint64_t first,
                            uint64_t last)
{
	struct part p;

	if (first > last)
		return false;
	for (;;) {
		if (!part_of(sp, first, last, &p) ||
		    !iova_bits_reserved(sp, p.slot, p.end))
			return false;
		if (p.last == last)
			return true;
		first = p.last + 1;
	}
}

bool iova_space_touches_reserved(const struct iova_space *sp, uint64_t first,
                                 uint64_t last)
{
	for (unsigned i = 0; i < sp->nr_zones; i++) {
		const struct iova_zone *z = &sp->zone[i];

		/* Most spaces have nothing reserved near. */
		if (first <= ld_rlx(&z->reserved_last) &&
		    last >= ld_rlx(&z->reserved_first))
			return iova_space_is_reserved(sp, first, first) ||
			       iova_space_is_reserved(sp, last, last);
	}
	return false;
}

static bool is_usable(const struct iova_space *sp, uint64_t first,
                      uint64_t last)
{
	struct part p;

	while (part_of(sp, first, last, &p)) {
		if (p.last == last)
			return true;
		first = p.last + 1;
	}
	return false;
}

/* Takes every part, or none. */
static int reserve_parts(struct iova_space *sp, uint64_t first, uint64_t last)
{
	uint64_t at = first;
	struct part p;

	for (;;) {
		if (!part_of(sp, at, last, &p))
			return -EINVAL;
		if (iova_bits_reserve(sp, p.seg, p.slot, p.end))
			break;
		if (p.last == last)
			return 0;
		at = p.last + 1;
	}
	for (uint64_t u = first; u < at; u = p.last + 1)
		if (part_of(sp, u, at - 1, &p))
			iova_bits_unreserve(sp, p.seg, p.slot, p.end);
	return -EBUSY;
}

/* A free outside the hull need not look at the bits. Granules are reserved
 * whole, so the hull is of granules too. */
static void widen_hull(struct iova_space *sp, uint64_t first,
                       const struct part *p)
{
	struct iova_zone *z = &sp->zone[iova_zone_of(sp, first)];
	uint64_t last = p->last | mask64(p->seg->lg2);

	first = align_down(first, p->seg->lg2);
	st_rlx(&z->reserved_first, min_u64(ld_rlx(&z->reserved_first), first));
	st_rlx(&z->reserved_last, max_u64(ld_rlx(&z->reserved_last), last));
}

static void publish_parts(struct iova_space *sp, uint64_t first, uint64_t last)
{
	struct part p;

	while (part_of(sp, first, last, &p)) {
		widen_hull(sp, first, &p);
		iova_bits_publish(sp, p.slot, p.end);
		if (p.last == last)
			return;
		first = p.last + 1;
	}
}

/* Granules are taken whole, so two ranges may want one: what of range i no
 * range before it takes with its last granule. False: nothing. */
static bool own_part(const struct iova_space *sp,
                     const struct sluice_range *range, uint32_t i,
                     uint64_t *ret_first)
{
	uint64_t first = range[i].first;

	if (i) {
		unsigned lg2 = iova_seg_of(sp, range[i - 1].last)->lg2;
		uint64_t taken = range[i - 1].last | mask64(lg2);

		if (first <= taken && range[i].last <= taken)
			return false;
		first = max_u64(first, taken + 1);
	}
	*ret_first = first;
	return true;
}

static int take_all(struct iova_space *sp, const struct sluice_range *range,
                    uint32_t nr, uint32_t *ret_refused)
{
	uint64_t first;
	struct part p;
	uint32_t i;
	int err = 0;

	for (i = 0; i < nr && !err; i++)
		if (own_part(sp, range, i, &first))
			err = reserve_parts(sp, first, range[i].last);
	if (!err)
		return 0;
	*ret_refused = --i;
	while (i--) {
		bool more = own_part(sp, range, i, &first);

		while (more && part_of(sp, first, range[i].last, &p)) {
			iova_bits_unreserve(sp, p.seg, p.slot, p.end);
			more = p.last < range[i].last;
			first = p.last + 1;
		}
	}
	return err;
}

int iova_space_reserve_all(struct iova_space *sp,
                           const struct sluice_range *range, uint32_t nr,
                           uint32_t *ret_refused)
{
	int err;

	for (uint32_t i = 0; i < nr; i++)
		if (!is_usable(sp, range[i].first, range[i].last)) {
			*ret_refused = i;
			return -EINVAL;
		}
	pthread_mutex_lock(&sp->reserve_lock);
	err = take_all(sp, range, nr, ret_refused);
	if (err) {
		for (unsigned i = 0; i < sp->nr_zones; i++)
			iova_depot_drain(sp, i, NULL);
		err = take_all(sp, range, nr, ret_refused);
	}
	for (uint32_t i = 0; i < nr && !err; i++)
		publish_parts(sp, range[i].first, range[i].last);
	pthread_mutex_unlock(&sp->reserve_lock);
	return err;
}

int iova_space_reserve(struct iova_space *sp, uint64_t first, uint64_t last)
{
	int err;

	if (first > last || !aligned_lg2(first, SLUICE_PAGE_LG2) ||
	    !aligned_lg2(last + 1, SLUICE_PAGE_LG2))
		return msg_fmt(
		        -EINVAL, "[%#llx, %#llx] is not a range of whole pages",
		        (unsigned long long)first, (unsigned long long)last);
	if (!is_usable(sp, first, last))
		return msg_fmt(
		        -EINVAL, "[%#llx, %#llx] is outside the usable IOVAs",
		        (unsigned long long)first, (unsigned long long)last);
	/* Two reservations of one granule would each see the other's bit as
	 * handed out. */
	pthread_mutex_lock(&sp->reserve_lock);
	err = reserve_parts(sp, first, last);
	if (err) {
		for (unsigned i = 0; i < sp->nr_zones; i++)
			iova_depot_drain(sp, i, NULL);
		err = reserve_parts(sp, first, last);
	}
	if (!err)
		publish_parts(sp, first, last);
	pthread_mutex_unlock(&sp->reserve_lock);
	if (err)
		return msg_fmt(err,
		               "[%#llx, %#llx]: a part is handed out already; "
		               "reserve ranges before the first map",
		               (unsigned long long)first,
		               (unsigned long long)last);
	return 0;
}
