/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The face of the room: creation, and one dispatch per call through the ops
 * of the table's format and width. Also the cold halves of the templates,
 * which serve every format through its descriptor.
 */
#include "pagetable/pt_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "pagetable/pt_map.h"

static const struct pt_ops *ops_of(enum sluice_pt_format format, unsigned bits)
{
	switch (format) {
	case SLUICE_PT_X86_64:
		return pt_x86_64_ops(bits);
	case SLUICE_PT_VTDSS:
		return pt_vtdss_ops(bits);
	case SLUICE_PT_NR_FORMATS:
		break;
	}
	return NULL;
}

int pt_create(enum sluice_pt_format format, unsigned iova_bits,
              struct pagecache *pc, struct pt **ret_pt)
{
	unsigned bits = iova_bits ? iova_bits : 48;
	const struct pt_ops *ops = ops_of(format, bits);
	struct pt *pt;

	if (!ops)
		return msg_fmt(-EINVAL,
		               "no page table format %d with %u address bits: "
		               "x86_64 has 48 or 57, vtdss 39, 48 or 57",
		               (int)format, bits);
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return msg_lit(-ENOMEM, "out of memory for a page table");
	pt->root = pagecache_get(pc);
	if (!pt->root) {
		free(pt);
		return pt_no_memory();
	}
	pt->ops = ops;
	pt->max_iova = mask64(bits);
	pt->simd = pt_simd_detect();
	*ret_pt = pt;
	return 0;
}

static void destroy_table(const struct pt *pt, struct pagecache *pc, au64 *t,
                          unsigned level)
{
	for (unsigned i = 0; i < PT_SLOTS; i++) {
		uint64_t w = ld_rlx(&t[i]);

		if (pt_is_link(pt->ops->fmt, w, level))
			destroy_table(pt, pc, pt_word_table(w), level - 1);
	}
	pt_words_clear(pt->simd, t, PT_SLOTS);
	pagecache_put(pc, t);
}

void pt_destroy(struct pt *pt, struct pagecache *pc)
{
	if (!pt)
		return;
	destroy_table(pt, pc, pt->root, pt->ops->top);
	free(pt);
}

enum sluice_pt_format pt_format(const struct pt *pt)
{
	return pt->ops->fmt->id;
}

uint64_t pt_max_iova(const struct pt *pt)
{
	return pt->max_iova;
}

uint64_t pt_max_oa(const struct pt *pt)
{
	(void)pt; /* the same in every format so far */
	return PT_ADDR | PT_PAGE_MASK;
}

bool pt_table_empty(const struct pt_fmt *f, const au64 *t, unsigned level,
                    enum pt_simd simd)
{
	if (pt_words_zero(simd, t, PT_SLOTS))
		return true;
	if (level == 0)
		return false;
	for (unsigned i = 0; i < PT_SLOTS; i++) {
		uint64_t w = pt_load(&t[i]);

		if (w &&
		    (!pt_is_link(f, w, level) ||
		     !pt_table_empty(f, pt_word_table(w), level - 1, simd)))
			return false;
	}
	return true;
}

void pt_unlink(const struct pt_fmt *f, au64 *t, unsigned level,
               struct pt_freed *freed)
{
	for (unsigned i = 0; level && i < PT_SLOTS; i++) {
		uint64_t w = ld_rlx(&t[i]);

		if (!w)
			continue;
		st_rlx(&t[i], 0);
		pt_unlink(f, pt_word_table(w), level - 1, freed);
	}
	/* A walker that is still in here takes the chain word, which has no
	 * present bit, for an empty slot. */
	st_rlx(&t[0], (uint64_t)(uintptr_t)freed->head);
	freed->head = t;
	freed->nr++;
}

void pt_free_list(struct pt_freed *freed, struct pagecache *pc)
{
	while (freed->head) {
		au64 *t = freed->head;

		freed->head = (void *)(uintptr_t)ld_rlx(&t[0]);
		st_rlx(&t[0], 0);
		pagecache_put(pc, t);
	}
	freed->nr = 0;
}

int pt_refuse_range(const struct pt *pt, uint64_t iova, uint64_t last)
{
	if (last < iova)
		return msg_lit(-EINVAL, "the range is empty or wraps: give a "
		                        "length of one page or more");
	if ((iova | (last + 1)) & PT_PAGE_MASK)
		return msg_lit(-EINVAL, "address or length is no multiple of "
		                        "4096: mappings are whole pages");
	if (last > pt->max_iova)
		return msg_lit(-EINVAL, "the range ends beyond the width of "
		                        "the table: create it with more "
		                        "address bits");
	return msg_lit(-EINVAL, "bad range");
}

int pt_refuse_map(const struct pt *pt, uint64_t iova, uint64_t last,
                  uint64_t oa, uint32_t prot)
{
	if (!pt_range_ok(pt, iova, last))
		return pt_refuse_range(pt, iova, last);
	if (oa & PT_PAGE_MASK)
		return msg_lit(-EINVAL, "output address is no multiple of "
		                        "4096: mappings are whole pages");
	if (!pt_oa_ok(oa, last - iova))
		return msg_lit(-EINVAL, "output addresses end at 2^52: the "
		                        "range does not fit below");
	if (prot & ~PT_PROT_MASK)
		return msg_lit(-EINVAL, "unknown bits in prot: only "
		                        "SLUICE_READ and SLUICE_WRITE exist");
	return msg_lit(-EINVAL, pt->ops->fmt->need_text);
}

int pt_map(struct pt *pt, struct pagecache *pc, uint64_t iova, uint64_t last,
           uint64_t oa, uint32_t prot, struct pt_freed *freed)
{
	return pt->ops->map(pt, pc, iova, last, oa, prot, freed);
}

int pt_populate(struct pt *pt, struct pagecache *pc, uint64_t iova,
                uint64_t last, uint64_t oa)
{
	return pt->ops->populate(pt, pc, iova, last, oa);
}

int pt_claim(struct pt *pt, struct pagecache *pc, uint64_t va, uint64_t last,
             uint64_t iova, uint32_t prot)
{
	return pt->ops->claim(pt, pc, va, last, iova, prot);
}

int64_t pt_unmap(struct pt *pt, uint64_t iova, uint64_t last,
                 struct pt_gather *g)
{
	return pt->ops->unmap(pt, iova, last, g);
}

int pt_walk(const struct pt *pt, uint64_t iova, struct pt_run *ret_leaf)
{
	return pt->ops->walk(pt, iova, ret_leaf);
}

int pt_walk_gen(const struct pt *pt, uint64_t iova, const au64 *gen,
                struct pt_run *ret_leaf)
{
	return pt->ops->walk_gen(pt, iova, gen, ret_leaf);
}

int64_t pt_remove(struct pt *pt, uint64_t iova, uint64_t last,
                  struct pt_gather *g)
{
	return pt->ops->remove(pt, iova, last, g);
}

int64_t pt_dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear)
{
	return pt->ops->dirty(pt, iova, last, clear);
}

int pt_set_dirty(struct pt *pt, uint64_t iova)
{
	return pt->ops->set_dirty(pt, iova);
}
