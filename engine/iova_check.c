/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Debug builds: a bit for each page that is handed out, so that a range that
 * is freed twice, or never was handed out, is refused instead of being handed
 * out to two owners. Knows pages only; release builds have none of it.
 */
#include "engine/iova_priv.h"

#ifdef SLUICE_DEBUG_CHECKS
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Pages of [first, last] that lie in one segment, as bits of sp->live. */
struct bits {
	uint64_t at, end;
	uint64_t last;
};

static bool bits_of(const struct iova_space *sp, uint64_t first, uint64_t last,
                    struct bits *ret_bits)
{
	const struct iova_seg *seg = iova_seg_of(sp, first);
	uint64_t base, to;

	if (!seg)
		return false;
	to = min_u64(last, seg->last);
	*ret_bits = (struct bits){.last = to};
	/* Never handed out, so it had better be reserved. */
	if (seg->lg2 != sp->lg2)
		return iova_space_is_reserved(sp, first, to);
	base = seg->slot0 * sp->pages;
	ret_bits->at =
	        base + ((first - (seg->g0 << seg->lg2)) >> SLUICE_PAGE_LG2);
	ret_bits->end =
	        base + ((to - (seg->g0 << seg->lg2)) >> SLUICE_PAGE_LG2) + 1;
	return true;
}

static void die(uint64_t iova)
{
	fprintf(stderr, "sluice: IOVA 0x%llx is handed out twice\n",
	        (unsigned long long)iova);
	abort();
}

void iova_check_out(struct iova_space *sp, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1;
	struct bits b;

	for (uint64_t at = iova;; at = b.last + 1) {
		if (!bits_of(sp, at, last, &b))
			die(at);
		for (uint64_t p = b.at; p < b.end; p = iova_next_word(p)) {
			uint64_t mask = iova_mask(p, b.end);

			/* Relaxed: the allocator orders owners, not this. */
			if (for_rlx(&sp->live[p >> 6], mask) & mask)
				die(iova);
		}
		if (b.last == last)
			return;
	}
}

/* Pages that a caller reserved come back from unmaps too. */
static bool all_reserved(const struct iova_space *sp, uint64_t word,
                         uint64_t missing)
{
	for (; missing; missing &= missing - 1) {
		uint64_t p = word * 64 + (unsigned)__builtin_ctzll(missing);

		if (!iova_bits_reserved(sp, p / sp->pages, p / sp->pages + 1))
			return false;
	}
	return true;
}

static bool is_live(const struct iova_space *sp, const struct bits *b)
{
	for (uint64_t p = b->at; p < b->end; p = iova_next_word(p)) {
		uint64_t mask = iova_mask(p, b->end);
		uint64_t missing = mask & ~ld_rlx(&sp->live[p >> 6]);

		if (missing && !all_reserved(sp, p >> 6, missing))
			return false;
	}
	return true;
}

bool iova_check_back(struct iova_space *sp, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1;
	struct bits b = {0};

	/* What is malformed is left alone by the free itself. */
	if (!len || last < iova || !aligned_lg2(iova | len, SLUICE_PAGE_LG2))
		return true;
	for (uint64_t at = iova;; at = b.last + 1) {
		if (!bits_of(sp, at, last, &b) || !is_live(sp, &b)) {
			faa_rlx(&sp->nr_bogus, 1);
			(void)msg_fmt(-EINVAL,
			              "0x%llx-0x%llx is freed and not all of "
			              "it is handed out: freed twice?",
			              (unsigned long long)iova,
			              (unsigned long long)last);
			return false;
		}
		if (b.last == last)
			break;
	}
	for (uint64_t at = iova;; at = b.last + 1) {
		(void)bits_of(sp, at, last, &b);
		for (uint64_t p = b.at; p < b.end; p = iova_next_word(p))
			fand_rlx(&sp->live[p >> 6], ~iova_mask(p, b.end));
		if (b.last == last)
			return true;
	}
}
#else
/* Not an empty file. */
typedef int iova_check_is_for_debug_builds;
#endif
