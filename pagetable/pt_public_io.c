/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public calls that look at a table or carry it in and out: no caller is in
 * a hurry here.
 */
#include "pagetable/pt_public.h"

#include "pagetable/pt_unmap.h"

static uint64_t leaf_sizes(const struct pt *pt)
{
	const struct pt_fmt *f = pt->fmt;
	unsigned top = pt->fmt->grows ? pt->fmt->top_max : pt->geo.top;
	uint64_t sizes = 0;

	for (unsigned level = 0; level <= top; level++) {
		unsigned shift = pt_shift(f, &pt->geo, level);
		unsigned cont = f->cont_lg2[level];

		if (!pt_level_has_leaves(f, level) || shift >= 64 ||
		    mask64(shift) > pt->geo.max_iova)
			continue;
		sizes |= bit64(shift);
		if (!pt->geo.contig || !cont)
			continue;
		for (unsigned c = f->cont == PT_CONT_AMD ? 1 : cont; c <= cont;
		     c++)
			if (mask64(shift + c) <= pt->geo.max_iova)
				sizes |= bit64(shift + c);
	}
	return sizes;
}

void sluice_pt_get_info(const struct sluice_pt *pt,
                        struct sluice_pt_info *ret_info)
{
	const struct pt_geo *g = &pt->pt->geo;
	uint64_t root = pt_root_word(pt->pt);
	unsigned top = pt_root_top(root);

	*ret_info = (struct sluice_pt_info){
	        .format = pt->pt->fmt->id,
	        .max_iova = pt_max_iova(pt->pt),
	        .max_oa = g->max_oa,
	        .leaf_sizes = leaf_sizes(pt->pt),
	        .granule_lg2 = g->page_lg2,
	        .levels = top + 1,
	        .root_bytes = bit64(top == g->top ? g->root_lg2 : g->table_lg2),
	        .root = (const void *)pt_root_table(root),
	};
}

uint64_t sluice_pt_table_reach(const struct sluice_pt *pt)
{
	return bit64(pt_shift(pt->pt->fmt, &pt->pt->geo, 1));
}

int sluice_pt_dump(const struct sluice_pt *pt,
                   int (*fn)(void *ctx, const struct sluice_pt_word *word),
                   void *ctx)
{
	return pt_dump(pt->pt, fn, ctx);
}

int64_t sluice_pt_image(const struct sluice_pt *pt, uint64_t base, void *buf,
                        uint64_t size)
{
	return pt_image(pt->pt, base, buf, size);
}

int sluice_pt_load(struct sluice_pt *pt, const struct sluice_pt_word *word,
                   uint64_t nr)
{
	return pt_load_words(pt->pt, pt->pc, word, nr);
}

int sluice_pt_load_image(struct sluice_pt *pt, uint64_t base, const void *buf,
                         uint64_t size, uint64_t root)
{
	return pt_load_image(pt->pt, pt->pc, base, buf, size, root);
}

int sluice_pt_explain(const struct sluice_pt *pt, uint64_t word, uint32_t level,
                      struct sluice_pt_meaning *ret_meaning)
{
	unsigned top = pt_root_top(pt_root_word(pt->pt));

	if (level > top)
		return msg_fmt(-EINVAL, "this table has levels 0 to %u", top);
	pt_explain(pt->pt, word, level, ret_meaning);
	return 0;
}

void sluice_pt_get_stats(const struct sluice_pt *pt,
                         struct sluice_pt_stats *ret_stats)
{
	pt_count(pt->pt, ret_stats);
}
