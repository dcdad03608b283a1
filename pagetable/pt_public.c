/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public page table: a table, its own pool of pages and one hand into it.
 * Knows lengths and extents where the inside speaks of closed ranges.
 *
 * A table that a larger leaf replaced goes back to the pool at once although
 * a walker may still be in it. That is safe by a generation: it is bumped
 * before the page can get new content, and a walk believes no word that it
 * read under an older one (pt_tmpl_walk).
 */
#include <sluice/pagetable.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pagetable/pt_priv.h"

#define DEFAULT_BYTES ((uint64_t)1 << 30)
#define RUNS 64u

struct sluice_pt {
	struct pt *pt;
	struct pagecache pc;
	struct pagepool *pool;
	_Alignas(CACHELINE) au64 gen;
};

static const char *const names[SLUICE_PT_NR_FORMATS] = {
        [SLUICE_PT_X86_64] = "x86_64",
        [SLUICE_PT_VTDSS] = "vtdss",
};

int sluice_pt_format_by_name(const char *name)
{
	for (int i = 0; name && i < (int)NR_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return msg_fmt(-EINVAL,
	               "unknown page table format '%s': known are x86_64 and "
	               "vtdss",
	               name ? name : "");
}

const char *sluice_pt_format_name(enum sluice_pt_format format)
{
	return (unsigned)format < NR_OF(names) ? names[format] : NULL;
}

int sluice_pt_create(enum sluice_pt_format format, unsigned iova_bits,
                     uint64_t max_bytes, struct sluice_pt **ret_pt)
{
	uint64_t pages = (max_bytes ? max_bytes : DEFAULT_BYTES) / 4096;
	struct sluice_pt *pt;
	int err;

	pt = aligned_alloc(CACHELINE, sizeof(*pt));
	if (!pt)
		return msg_lit(-ENOMEM, "out of memory for a page table");
	memset(pt, 0, sizeof(*pt));
	err = pagepool_create(pages, &pt->pool);
	if (err == -EINVAL) {
		msg_fmt(err,
		        "a table cannot live in %llu bytes: at least 4096 "
		        "and at most 2^43",
		        (unsigned long long)max_bytes);
		goto fail;
	}
	if (err) {
		msg_lit(err, "no address space left for the table's pages: "
		             "lower max_bytes");
		goto fail;
	}
	pagecache_init(&pt->pc, pt->pool);
	err = pt_create(format, iova_bits, &pt->pc, &pt->pt);
	if (err)
		goto fail;
	*ret_pt = pt;
	return 0;
fail:
	sluice_pt_destroy(pt);
	return err;
}

void sluice_pt_destroy(struct sluice_pt *pt)
{
	if (!pt)
		return;
	if (pt->pool) {
		pt_destroy(pt->pt, &pt->pc);
		pagecache_drain(&pt->pc);
	}
	pagepool_destroy(pt->pool);
	free(pt);
}

static noinline void recycle(struct sluice_pt *pt, struct pt_freed *freed)
{
	st_rlx(&pt->gen, ld_rlx(&pt->gen) + 1);
	/* What is stored into the pages from here on is ordered after the new
	 * generation. Pairs with the loads of a word and then of the generation
	 * in pt_tmpl_walk. */
	fence_sc();
	pt_free_list(freed, &pt->pc);
}

static noinline int refuse(uint64_t iova, uint64_t len)
{
	uint64_t last;

	if (!range_last(iova, len, &last))
		return msg_lit(-EINVAL, "the range is empty or wraps: give a "
		                        "length of one page or more");
	return msg_lit(-EINVAL, "unknown bits in prot: only SLUICE_READ and "
	                        "SLUICE_WRITE exist");
}

int sluice_pt_map(struct sluice_pt *pt, sluice_iova_t iova, sluice_oa_t oa,
                  uint64_t len, uint32_t prot)
{
	struct pt_freed freed = {0};
	uint64_t last;
	int err;

	if (unlikely(!range_last(iova, len, &last) || (prot & ~SLUICE_RW)))
		return refuse(iova, len);
	err = pt->pt->ops->map(pt->pt, &pt->pc, iova, last, oa, prot, &freed);
	if (unlikely(freed.nr))
		recycle(pt, &freed);
	return err;
}

/* Appends a run, joined to the last extent where it continues it: removal
 * comes in portions. There is room for one more. */
static void put_extent(struct sluice_pt_extent *ext, uint32_t *nr,
                       const struct pt_run *run)
{
	struct sluice_pt_extent *e = *nr ? &ext[*nr - 1] : NULL;
	uint64_t len = run->last - run->iova + 1;
	uint32_t prot = run->prot & SLUICE_RW;

	if (e && e->oa + e->len == run->oa && e->prot == prot)
		e->len += len;
	else
		ext[(*nr)++] = (struct sluice_pt_extent){run->iova, run->oa,
		                                         len, prot};
}

/* Removes in portions of RUNS; only the first has to look whether the whole
 * range is mapped. */
static int64_t unmap_into(struct pt *pt, uint64_t iova, uint64_t last,
                          struct sluice_pt_extent *ext, uint32_t *nr_ext)
{
	struct pt_run run[RUNS];
	uint32_t max = *nr_ext;
	uint32_t nr = 0;
	uint64_t pos = iova;

	do {
		struct pt_gather g = {.run = run, .merge_heads = true};
		int64_t n;

		g.max = (uint32_t)min_u64(RUNS, max - nr);
		n = pos == iova ? pt_unmap(pt, pos, last, &g)
		                : pt_remove(pt, pos, last, &g);
		if (n < 0)
			return n;
		for (uint32_t i = 0; i < g.nr; i++)
			put_extent(ext, &nr, &run[i]);
		pos += (uint64_t)n;
		if (n == 0)
			break;
	} while (pos <= last && nr < max);
	*nr_ext = nr;
	return (int64_t)(pos - iova);
}

int64_t sluice_pt_unmap(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                        struct sluice_pt_extent *ext, uint32_t *nr_ext)
{
	int64_t n;
	uint64_t last;

	if (unlikely(!range_last(iova, len, &last)))
		return refuse(iova, len);
	if (ext && nr_ext)
		return unmap_into(pt->pt, iova, last, ext, nr_ext);
	n = pt_unmap(pt->pt, iova, last, NULL);
	if (n >= 0 && nr_ext)
		*nr_ext = 0;
	return n;
}

int sluice_pt_walk(const struct sluice_pt *pt, sluice_iova_t iova,
                   struct sluice_pt_extent *ret_leaf)
{
	struct pt_run run;
	int err = pt_walk_gen(pt->pt, iova, &pt->gen, &run);

	if (err)
		return err;
	*ret_leaf = (struct sluice_pt_extent){
	        .iova = run.iova,
	        .oa = run.oa,
	        .len = run.last - run.iova + 1,
	        .prot = run.prot & SLUICE_RW,
	};
	return 0;
}

int64_t sluice_pt_dirty(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                        int clear)
{
	uint64_t last;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	return pt_dirty(pt->pt, iova, last, clear != 0);
}

int sluice_pt_set_dirty(struct sluice_pt *pt, sluice_iova_t iova)
{
	return pt_set_dirty(pt->pt, iova);
}

int sluice_pt_dump(const struct sluice_pt *pt,
                   int (*fn)(void *ctx, const struct sluice_pt_word *word),
                   void *ctx)
{
	return pt_dump(pt->pt, fn, ctx);
}

void sluice_pt_get_stats(const struct sluice_pt *pt,
                         struct sluice_pt_stats *ret_stats)
{
	pt_count(pt->pt, ret_stats);
}
