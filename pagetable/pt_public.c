/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public page table: a table, a pool of pages for each of its table sizes
 * and one hand into each. Knows lengths and extents where the inside speaks of
 * closed ranges. Tables that were made beside each other have pools and the
 * generation in common.
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

#include "pagetable/pt_public.h"

#define DEFAULT_BYTES ((uint64_t)1 << 30)
#define RUNS 64u

static const char *const names[SLUICE_PT_NR_FORMATS] = {
        [SLUICE_PT_X86_64] = "x86_64",
        [SLUICE_PT_VTDSS] = "vtdss",
        [SLUICE_PT_AMDV1] = "amdv1",
        [SLUICE_PT_ARM_LPAE_S1] = "arm_lpae_s1",
        [SLUICE_PT_ARM_LPAE_S2] = "arm_lpae_s2",
        [SLUICE_PT_RISCV] = "riscv",
        [SLUICE_PT_RISCV_G] = "riscv_g",
        [SLUICE_PT_S390] = "s390",
        [SLUICE_PT_TCE] = "tce",
};

int sluice_pt_format_by_name(const char *name)
{
	for (int i = 0; name && i < (int)NR_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	if (name && strcmp(name, "amdv2") == 0)
		return SLUICE_PT_X86_64;
	return msg_fmt(
	        -EINVAL,
	        "unknown page table format '%s': known are x86_64 "
	        "(amdv2), vtdss, amdv1, arm_lpae_s1, arm_lpae_s2, riscv, "
	        "riscv_g, s390 and tce",
	        name ? name : "");
}

const char *sluice_pt_format_name(enum sluice_pt_format format)
{
	return (unsigned)format < NR_OF(names) ? names[format] : NULL;
}

static void family_leave(struct family *fam)
{
	/* Release: what this member did; acquire: what the others did, before
	 * the last one frees it. Pairs with itself. */
	if (!fam || faa_acqrel(&fam->members, (uint32_t)-1) != 1)
		return;
	pagepool_destroy(fam->pool[0]);
	pagepool_destroy(fam->pool[1]);
	free(fam);
}

static int pool_for(uint64_t max_bytes, unsigned lg2, struct pagepool **ret)
{
	uint64_t bytes = max_bytes ? max_bytes : DEFAULT_BYTES;
	int err = pagepool_create(bytes >> lg2, lg2, ret);

	if (err == -EINVAL)
		return msg_fmt(err,
		               "a table cannot live in %llu bytes: at least "
		               "%llu and at most 2^%u",
		               (unsigned long long)max_bytes,
		               (unsigned long long)bit64(lg2), lg2 + 31);
	if (err)
		return msg_lit(err, "no address space left for the table's "
		                    "pages: lower max_bytes");
	return 0;
}

static int family_create(const struct sluice_pt_config *cfg,
                         struct family **ret)
{
	struct family *fam;
	unsigned lg2[2];
	int err = pt_table_sizes(cfg, lg2);

	if (err)
		return err;
	fam = aligned_alloc(CACHELINE, sizeof(*fam));
	if (!fam)
		return msg_lit(-ENOMEM, "out of memory for a page table");
	memset(fam, 0, sizeof(*fam));
	st_rlx(&fam->members, 1);
	err = pool_for(cfg->max_bytes, lg2[0], &fam->pool[0]);
	if (!err && lg2[0] != lg2[1])
		err = pool_for(cfg->max_bytes, lg2[1], &fam->pool[1]);
	if (!err && fam->pool[1]) {
		st_rlx(&fam->budget,
		       cfg->max_bytes ? cfg->max_bytes : DEFAULT_BYTES);
		pagepool_set_budget(fam->pool[0], &fam->budget);
		pagepool_set_budget(fam->pool[1], &fam->budget);
	}
	if (err) {
		family_leave(fam);
		return err;
	}
	*ret = fam;
	return 0;
}

/* A member of a family, which takes the caller's share in it also when it
 * fails. */
static int create_in(const struct sluice_pt_config *cfg, struct family *fam,
                     struct sluice_pt **ret_pt)
{
	struct sluice_pt *pt = calloc(1, sizeof(*pt));
	int err;

	if (!pt) {
		family_leave(fam);
		return msg_lit(-ENOMEM, "out of memory for a page table");
	}
	pt->cfg = *cfg;
	pt->family = fam;
	pagecache_init(&pt->pc[0], fam->pool[0]);
	pagecache_init(&pt->pc[1], fam->pool[1]);
	err = pt_create(cfg, pt->pc, &pt->pt);
	if (err) {
		sluice_pt_destroy(pt);
		return err;
	}
	*ret_pt = pt;
	return 0;
}

int sluice_pt_create(const struct sluice_pt_config *cfg,
                     struct sluice_pt **ret_pt)
{
	struct family *fam;
	int err = family_create(cfg, &fam);

	return err ? err : create_in(cfg, fam, ret_pt);
}

int sluice_pt_create_beside(struct sluice_pt *pt, void *ctx,
                            struct sluice_pt **ret_pt)
{
	struct sluice_pt_config cfg = pt->cfg;

	cfg.ctx = ctx;
	faa_rlx(&pt->family->members, 1);
	return create_in(&cfg, pt->family, ret_pt);
}

void sluice_pt_destroy(struct sluice_pt *pt)
{
	if (!pt)
		return;
	pt_destroy(pt->pt, pt->pc);
	pagecache_drain(&pt->pc[0]);
	if (pt->family->pool[1])
		pagecache_drain(&pt->pc[1]);
	family_leave(pt->family);
	free(pt);
}

static noinline void recycle(struct sluice_pt *pt, struct pt_freed *freed)
{
	faa_rlx(&pt->family->gen, 1);
	/* What is stored into the pages from here on is ordered after the new
	 * generation. Pairs with the loads of a word and then of the generation
	 * in pt_tmpl_walk. */
	fence_sc();
	pt_free_list(pt->pt, freed, pt->pc);
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

/* Tables of [iova, last] as this table's own, when it was in the way that they
 * are not. 0: try again. */
static noinline int make_private(struct sluice_pt *pt, uint64_t iova,
                                 uint64_t last)
{
	struct pt_freed freed = {0};
	int err = pt_unshare(pt->pt, pt->pc, iova, last, &freed);

	if (freed.nr)
		recycle(pt, &freed);
	return err;
}

int sluice_pt_map(struct sluice_pt *pt, sluice_iova_t iova, sluice_oa_t oa,
                  uint64_t len, uint32_t prot)
{
	struct pt_freed freed = {0};
	uint64_t last;
	int err;

	if (unlikely(!range_last(iova, len, &last) || (prot & ~SLUICE_RW)))
		return refuse(iova, len);
	err = pt_map(pt->pt, pt->pc, iova, last, oa, prot, &freed);
	if (unlikely(err == -EBUSY)) {
		err = make_private(pt, iova, last);
		if (!err)
			err = pt_map(pt->pt, pt->pc, iova, last, oa, prot,
			             &freed);
	}
	if (unlikely(freed.nr))
		recycle(pt, &freed);
	return err;
}

int sluice_pt_map_sg(struct sluice_pt *pt, sluice_iova_t iova,
                     const struct sluice_pt_seg *seg, uint32_t nr,
                     uint32_t prot)
{
	struct pt_freed freed = {0};
	uint64_t len = 0;
	int err;

	if (prot & ~SLUICE_RW)
		return refuse(iova, 1);
	err = pt_map_sg(pt->pt, pt->pc, iova, seg, nr, prot, &freed);
	if (unlikely(err == -EBUSY)) {
		for (uint32_t i = 0; i < nr; i++)
			len += seg[i].len;
		err = make_private(pt, iova, iova + len - 1);
		if (!err)
			err = pt_map_sg(pt->pt, pt->pc, iova, seg, nr, prot,
			                &freed);
	}
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
		/* pos is 0 behind the last byte of 64 bits. */
	} while (pos - 1 < last && nr < max);
	*nr_ext = nr;
	return (int64_t)(pos - iova);
}

/* More bytes than a result can say. */
static int too_long(void)
{
	return msg_lit(-EINVAL, "the range has 2^63 bytes or more: do it in "
	                        "two parts");
}

int64_t sluice_pt_unmap(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                        struct sluice_pt_extent *ext, uint32_t *nr_ext)
{
	uint32_t room = nr_ext ? *nr_ext : 0;
	uint64_t last;
	int64_t n;

	if (unlikely(!range_last(iova, len, &last)))
		return refuse(iova, len);
	if (unlikely(len > INT64_MAX))
		return too_long();
	for (;;) {
		if (ext && nr_ext) {
			*nr_ext = room;
			n = unmap_into(pt->pt, iova, last, ext, nr_ext);
		} else {
			n = pt_unmap(pt->pt, iova, last, NULL);
			if (n >= 0 && nr_ext)
				*nr_ext = 0;
		}
		if (likely(n != -EBUSY))
			return n;
		n = make_private(pt, iova, last);
		if (n)
			return n;
	}
}

static void to_extent(const struct pt_run *run, struct sluice_pt_extent *ret)
{
	*ret = (struct sluice_pt_extent){
	        .iova = run->iova,
	        .oa = run->oa,
	        .len = run->last - run->iova + 1,
	        .prot = run->prot & SLUICE_RW,
	};
}

int sluice_pt_walk(const struct sluice_pt *pt, sluice_iova_t iova,
                   struct sluice_pt_extent *ret_leaf)
{
	struct pt_run run;
	int err = pt_walk_gen(pt->pt, iova, &pt->family->gen, &run);

	if (err)
		return err;
	to_extent(&run, ret_leaf);
	return 0;
}

uint32_t sluice_pt_walk_batch(const struct sluice_pt *pt,
                              const sluice_iova_t *iova, uint32_t nr,
                              struct sluice_pt_extent *ret)
{
	uint32_t found = 0;
	struct pt_run run;

	for (uint32_t i = 0; i < nr; i++) {
		if (pt_walk_gen(pt->pt, iova[i], &pt->family->gen, &run)) {
			ret[i] = (struct sluice_pt_extent){.iova = iova[i]};
			continue;
		}
		to_extent(&run, &ret[i]);
		found++;
	}
	return found;
}

int sluice_pt_protect(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                      uint32_t prot)
{
	uint64_t last;
	int err;

	if (!range_last(iova, len, &last) || (prot & ~SLUICE_RW))
		return refuse(iova, len);
	do {
		err = pt_protect(pt->pt, iova, last, prot);
	} while (err == -EBUSY && !(err = make_private(pt, iova, last)));
	return err;
}

int sluice_pt_split(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len)
{
	struct pt_freed freed = {0};
	uint64_t last;
	int n;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	n = pt_split(pt->pt, pt->pc, iova, last);
	if (n != -EBUSY)
		return n;
	n = pt_unshare_ends(pt->pt, pt->pc, iova, last, &freed);
	if (freed.nr)
		recycle(pt, &freed);
	return n ? n : pt_split(pt->pt, pt->pc, iova, last);
}

/* A change of a range that may set tables free. */
static always_inline int64_t freeing(struct sluice_pt *pt, uint64_t iova,
                                     uint64_t len,
                                     int64_t (*op)(struct pt *, uint64_t,
                                                   uint64_t, struct pt_freed *))
{
	struct pt_freed freed = {0};
	uint64_t last;
	int64_t n;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	n = op(pt->pt, iova, last, &freed);
	if (freed.nr)
		recycle(pt, &freed);
	return n;
}

int64_t sluice_pt_promote(struct sluice_pt *pt, sluice_iova_t iova,
                          uint64_t len)
{
	return freeing(pt, iova, len, pt_promote);
}

int64_t sluice_pt_reclaim(struct sluice_pt *pt, sluice_iova_t iova,
                          uint64_t len)
{
	return freeing(pt, iova, len, pt_reclaim);
}

int sluice_pt_attach(struct sluice_pt *pt, struct sluice_pt *from,
                     sluice_iova_t iova, uint64_t len)
{
	struct pt_freed freed = {0};
	uint64_t last;
	int err;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	err = pt_attach(pt->pt, pt->pc, from->pt, iova, last, &freed);
	if (freed.nr)
		recycle(pt, &freed);
	return err;
}

int sluice_pt_detach(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len)
{
	struct pt_freed freed = {0};
	uint64_t last;
	int err;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	err = pt_detach(pt->pt, pt->pc, iova, last, &freed);
	if (freed.nr)
		recycle(pt, &freed);
	return err;
}

int64_t sluice_pt_dirty(struct sluice_pt *pt, sluice_iova_t iova, uint64_t len,
                        int clear)
{
	return sluice_pt_dirty_bitmap(pt, iova, len, clear, NULL);
}

int64_t sluice_pt_dirty_bitmap(struct sluice_pt *pt, sluice_iova_t iova,
                               uint64_t len, int clear, uint64_t *bitmap)
{
	uint64_t last;
	int err;

	if (!range_last(iova, len, &last))
		return refuse(iova, len);
	if (len > INT64_MAX)
		return too_long();
	if (clear && pt->pt->geo.dirty_on && pt->pt->fmt->link_shared) {
		err = pt_check_range(pt->pt, iova, last);
		if (!err)
			err = make_private(pt, iova, last);
		if (err)
			return err;
	}
	return pt_dirty(pt->pt, iova, last, clear != 0, bitmap);
}

int sluice_pt_set_dirty(struct sluice_pt *pt, sluice_iova_t iova)
{
	int err;

	do {
		err = pt_set_dirty(pt->pt, iova);
	} while (err == -EBUSY && !(err = make_private(pt, iova, iova)));
	return err;
}
