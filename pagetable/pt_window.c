/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows: ranges of single pages whose tables are found once and kept, so
 * that mapping a page is one store and unmapping a run is one sweep. Knows
 * words and tables; who owns the range is the caller's business.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "pagetable/pt_path.h"

/* One hold on a table, in the upper bits of its counter. A table has at most
 * 512 pages, and each window at least one of them. The lower bits count those
 * who share the table; 2^22 of them is beyond what memory holds. */
#define HOLD (1u << PT_HOLD_LG2)

/* Words that are put together by one shift and one or. */
static bool plain(const struct pt *pt)
{
	const struct pt_fmt *f = pt->fmt;

	return !f->oa_high && pt_empty(f, 0) == 0 && !pt->geo.flush &&
	       !pt->geo.is_signed;
}

static void hold(struct pt_window *w, struct pt *pt, uint32_t nr, uint32_t by)
{
	for (uint32_t i = 0; i < nr; i++)
		faa_rlx(pt_counter(pt, w->table[i], 0), by);
}

static struct pt_window *window_alloc(struct pt *pt, uint64_t iova,
                                      uint64_t last)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned shift = pt_shift(f, &pt->geo, 1);
	uint64_t nr = (last >> shift) - (iova >> shift) + 1;
	struct pt_window *w;

	w = nr <= UINT32_MAX ? calloc(1, sizeof(*w) + nr * sizeof(au64 *))
	                     : NULL;
	if (!w)
		return NULL;
	w->pt = pt;
	w->nr_tables = (uint32_t)nr;
	w->page_lg2 = (uint8_t)pt_page_lg2(f, &pt->geo);
	w->index_lg2 = (uint8_t)pt_index_lg2(f, &pt->geo, 0);
	w->oa_shr = f->oa_shr;
	w->swapped = pt_swapped(f);
	w->mask = (uint32_t)mask64(w->index_lg2);
	w->first = pt_index(f, &pt->geo, iova, 0, PT_LEVELS_MAX);
	for (uint32_t prot = 0; prot <= SLUICE_RW; prot++)
		if (pt_prot_ok(f, prot))
			w->word[prot] =
			        pt_leaf_word(f, &pt->geo, 0, 0, 0, prot);
	return w;
}

int pt_window_open(struct pt *pt, struct pagecache *pc, uint64_t iova,
                   uint64_t last, struct pt_window **ret_window)
{
	unsigned shift = pt_shift(pt->fmt, &pt->geo, 1);
	/* Nowhere congruent to iova in more than a page: no larger leaf. */
	uint64_t oa =
	        (iova & mask64(shift)) ^ bit64(pt_page_lg2(pt->fmt, &pt->geo));
	struct pt_window *w;
	int rc;

	if (!plain(pt))
		return msg_lit(-EOPNOTSUPP, "this table format has no windows");
	rc = pt_populate(pt, pc, iova, last, oa);
	if (rc)
		return rc;
	w = window_alloc(pt, iova, last);
	if (!w)
		return msg_lit(-ENOMEM, "no memory for a window");
	for (uint32_t i = 0; i < w->nr_tables; i++) {
		uint64_t at = max_u64(iova, ((iova >> shift) + i) << shift);

		w->table[i] = pt_table_at(pt->fmt, pt, at, 0);
		if (!w->table[i]) {
			free(w);
			return msg_lit(-EEXIST, "a large leaf is in the way");
		}
	}
	hold(w, pt, w->nr_tables, HOLD);
	*ret_window = w;
	return 0;
}

void pt_window_close(struct pt_window *w)
{
	if (!w)
		return;
	hold(w, w->pt, w->nr_tables, 0u - HOLD);
	free(w);
}

/* The slot of a page; *ret_n: how many of nr from there on are in its table. */
static au64 *part(const struct pt_window *w, uint64_t page, uint64_t nr,
                  unsigned *ret_n)
{
	uint64_t at = w->first + page;
	uint64_t i = at & w->mask;

	*ret_n = (unsigned)min_u64(nr, w->mask + 1u - i);
	return &w->table[at >> w->index_lg2][i];
}

bool pt_window_fill(const struct pt_window *w, uint64_t page, uint64_t nr,
                    uint64_t oa, uint32_t prot)
{
	uint64_t word = pt_window_word(w, oa, prot);
	uint64_t step = bit64(w->page_lg2) >> w->oa_shr;
	unsigned n;

	for (uint64_t i = 0; i < nr; i += n) {
		const au64 *slot = part(w, page + i, nr - i, &n);

		if (!pt_words_zero(w->pt->simd, slot, n))
			return false;
	}
	for (uint64_t i = 0; i < nr; i += n) {
		au64 *slot = part(w, page + i, nr - i, &n);

		pt_run_fill(w->pt->fmt, w->pt, slot, n, word + i * step, step);
	}
	return true;
}

void pt_window_clear(const struct pt_window *w, uint64_t page, uint64_t nr)
{
	unsigned n;

	for (uint64_t i = 0; i < nr; i += n) {
		au64 *slot = part(w, page + i, nr - i, &n);

		pt_words_clear(w->pt->simd, slot, n);
	}
}
