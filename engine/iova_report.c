/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the free addresses of a space are. Reads everything and changes
 * nothing; while lanes run it sees their counts one after another, so a range
 * on its way may be counted twice or not at all.
 */
#include "engine/iova_priv.h"

static uint64_t reserved_in(const struct iova_space *sp,
                            const struct iova_seg *seg)
{
	uint64_t nr = 0;

	for (uint64_t s = seg->full0; s < seg->full1; s = iova_next_word(s))
		nr += (uint64_t)__builtin_popcountll(
		        ld_rlx(&sp->reserved[s >> 6]) &
		        iova_mask(s, seg->full1));
	return nr;
}

/* The longest run of clear bits. Blocks of which none is taken, or all, need
 * not be read. */
static uint64_t longest(const struct iova_space *sp, const struct iova_seg *seg)
{
	uint64_t best = 0, run = 0, s = seg->full0;

	while (s < seg->full1) {
		uint64_t end = min_u64((s | (BLOCK - 1)) + 1, seg->full1);
		uint32_t nr = ld_rlx(&sp->nr_taken[s >> BLOCK_LG2]);
		uint64_t w;

		if (nr == 0) {
			run += end - s;
			s = end;
		} else if (nr >= BLOCK) {
			run = 0;
			s = end;
		} else {
			w = ld_rlx(&sp->taken[s >> 6]) >> (s & 63);
			nr = w ? (unsigned)__builtin_ctzll(w) : 64;
			end = min_u64(iova_next_word(s), end);
			run += min_u64(nr, end - s);
			if (nr < end - s) {
				best = max_u64(best, run);
				run = 0;
				w = ~(w >> nr);
				s += nr;
				nr = w ? (unsigned)__builtin_ctzll(w) : 64;
				s = min_u64(s + nr, end);
			} else {
				s = end;
			}
		}
		best = max_u64(best, run);
	}
	return best;
}

static uint64_t pages_in(const struct iova_zone *z, uint64_t from, uint64_t to)
{
	uint64_t nr = 0;

	for (uint64_t f = from; f < to; f++)
		nr += ld_rlx(&z->nr_frag[f]);
	return nr;
}

void iova_space_report(const struct iova_space *sp,
                       struct iova_report *ret_report)
{
	struct iova_report r = {
	        .free = iova_space_free_bytes(sp),
	        .depot = ld_rlx(&sp->depot_pages) << SLUICE_PAGE_LG2,
	        .bogus = ld_rlx(&sp->nr_bogus),
	};

	for (uint32_t i = 0; i < sp->nr_segs; i++) {
		const struct iova_seg *seg = &sp->segs[i];

		if (seg->lg2 != sp->lg2)
			continue;
		r.total += (seg->full1 - seg->full0 - reserved_in(sp, seg))
		           << sp->lg2;
		r.largest = max_u64(r.largest, longest(sp, seg) << sp->lg2);
	}
	for (uint32_t i = 0; i < sp->nr_zones; i++) {
		const struct iova_zone *z = &sp->zone[i];

		r.fragments += pages_in(z, 0, ld_rlx(&z->frag_top))
		               << SLUICE_PAGE_LG2;
		r.stranded +=
		        pages_in(z, z->nr_slices,
		                 max_u64(ld_rlx(&z->far_top), z->nr_slices))
		        << SLUICE_PAGE_LG2;
	}
	*ret_report = r;
}

uint64_t iova_cache_kept(const struct iova_cache *c)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < c->sp->nr_zones; i++) {
		const struct iova_zone_cache *z = &c->zone[i];
		uint64_t cur = ld_rlx(&z->cur), end = ld_rlx(&z->end);

		bytes += ld_rlx(&z->large_bytes);
		/* The owner writes one after the other. */
		bytes += end > cur ? end - cur : 0;
		for (uint32_t cls = 0; cls <= c->nr_classes; cls++)
			bytes += (uint64_t)ld_rlx(&z->nr[cls]) * (cls + 1)
			         << SLUICE_PAGE_LG2;
	}
	return bytes;
}
