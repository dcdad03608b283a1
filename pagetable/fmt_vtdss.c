/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VT-d second-stage format. Knows its bits, then makes the functions of
 * each width from the templates.
 *
 * There is no present bit: a word with neither R nor W is empty, and since
 * every leaf has one of them, a word of software bits alone never exists.
 *
 * A and D start clear. Hardware writes them only where second-stage A/D is
 * enabled (SSADE of the PASID entry) and ignores them elsewhere, so clear is
 * right in both; sluice_pt_dirty() reads D. SNP stays clear: snooping is the
 * domain's affair, and the bit is reserved where snoop control is missing.
 */
#include "pagetable/pt_tmpl.h"

/* Intel VT-d specification, 9.8 "Second-stage paging entries"; 3.7 for the
 * walk and the widths of 39, 48 and 57 bits. */
#define SS_R ((uint64_t)1 << 0)
#define SS_W ((uint64_t)1 << 1)
#define SS_PS ((uint64_t)1 << 7)
#define SS_A ((uint64_t)1 << 8)
#define SS_D ((uint64_t)1 << 9)

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_VTDSS,
        .need = SLUICE_RW,
        .present = SS_R | SS_W,
        .large = SS_PS,
        .read = SS_R,
        .write = SS_W,
        .leaf = 0,
        .link = SS_R | SS_W,
        .accessed = SS_A,
        .dirty = SS_D,
        .need_text = "a mapping needs SLUICE_READ or SLUICE_WRITE, or both",
};

/* The general paths: the format is constant, the height is not. */
static noinline int map_any(struct pt *pt, struct pagecache *pc, uint64_t iova,
                            uint64_t last, uint64_t oa, uint32_t prot,
                            struct pt_freed *freed)
{
	return pt_tmpl_map(&fmt, pt->ops->top, pt, pc, iova, last, oa, prot,
	                   freed);
}

static int populate(struct pt *pt, struct pagecache *pc, uint64_t iova,
                    uint64_t last, uint64_t oa)
{
	return pt_tmpl_populate(&fmt, pt->ops->top, pt, pc, iova, last, oa);
}

static int claim(struct pt *pt, struct pagecache *pc, uint64_t va,
                 uint64_t last, uint64_t iova, uint32_t prot)
{
	return pt_tmpl_claim(&fmt, pt->ops->top, pt, pc, va, last, iova, prot);
}

static noinline int64_t unmap_any(struct pt *pt, uint64_t iova, uint64_t last,
                                  struct pt_gather *g)
{
	return pt_tmpl_unmap(&fmt, pt->ops->top, pt, iova, last, g);
}

static int64_t remove_mapped(struct pt *pt, uint64_t iova, uint64_t last,
                             struct pt_gather *g)
{
	return pt_tmpl_remove(&fmt, pt->ops->top, pt, iova, last, g);
}

static int walk_gen(const struct pt *pt, uint64_t iova, const au64 *gen,
                    struct pt_run *ret)
{
	return pt_tmpl_walk(&fmt, pt->ops->top, pt, iova, gen, ret);
}

static int64_t dirty(struct pt *pt, uint64_t iova, uint64_t last, bool clear)
{
	return pt_tmpl_dirty(&fmt, pt->ops->top, pt, iova, last, clear);
}

static int set_dirty(struct pt *pt, uint64_t iova)
{
	return pt_tmpl_set_dirty(&fmt, pt->ops->top, pt, iova);
}

/* The straight paths, one set per width: format and height are constant. */
static int map39(struct pt *pt, struct pagecache *pc, uint64_t iova,
                 uint64_t last, uint64_t oa, uint32_t prot,
                 struct pt_freed *freed)
{
	if (likely(pt_tmpl_map_fast(&fmt, 2, pt, iova, last, oa, prot)))
		return 0;
	return map_any(pt, pc, iova, last, oa, prot, freed);
}

static int64_t unmap39(struct pt *pt, uint64_t iova, uint64_t last,
                       struct pt_gather *g)
{
	if (likely(pt_tmpl_unmap_fast(&fmt, 2, pt, iova, last, g)))
		return (int64_t)(last - iova + 1);
	return unmap_any(pt, iova, last, g);
}

static int walk39(const struct pt *pt, uint64_t iova, struct pt_run *ret)
{
	return pt_tmpl_walk(&fmt, 2, pt, iova, NULL, ret);
}

static int map48(struct pt *pt, struct pagecache *pc, uint64_t iova,
                 uint64_t last, uint64_t oa, uint32_t prot,
                 struct pt_freed *freed)
{
	if (likely(pt_tmpl_map_fast(&fmt, 3, pt, iova, last, oa, prot)))
		return 0;
	return map_any(pt, pc, iova, last, oa, prot, freed);
}

static int64_t unmap48(struct pt *pt, uint64_t iova, uint64_t last,
                       struct pt_gather *g)
{
	if (likely(pt_tmpl_unmap_fast(&fmt, 3, pt, iova, last, g)))
		return (int64_t)(last - iova + 1);
	return unmap_any(pt, iova, last, g);
}

static int walk48(const struct pt *pt, uint64_t iova, struct pt_run *ret)
{
	return pt_tmpl_walk(&fmt, 3, pt, iova, NULL, ret);
}

static int map57(struct pt *pt, struct pagecache *pc, uint64_t iova,
                 uint64_t last, uint64_t oa, uint32_t prot,
                 struct pt_freed *freed)
{
	if (likely(pt_tmpl_map_fast(&fmt, 4, pt, iova, last, oa, prot)))
		return 0;
	return map_any(pt, pc, iova, last, oa, prot, freed);
}

static int64_t unmap57(struct pt *pt, uint64_t iova, uint64_t last,
                       struct pt_gather *g)
{
	if (likely(pt_tmpl_unmap_fast(&fmt, 4, pt, iova, last, g)))
		return (int64_t)(last - iova + 1);
	return unmap_any(pt, iova, last, g);
}

static int walk57(const struct pt *pt, uint64_t iova, struct pt_run *ret)
{
	return pt_tmpl_walk(&fmt, 4, pt, iova, NULL, ret);
}

static const struct pt_ops ops39 = {
        .fmt = &fmt,
        .top = 2,
        .map = map39,
        .unmap = unmap39,
        .walk = walk39,
        .populate = populate,
        .claim = claim,
        .remove = remove_mapped,
        .walk_gen = walk_gen,
        .dirty = dirty,
        .set_dirty = set_dirty,
};

static const struct pt_ops ops48 = {
        .fmt = &fmt,
        .top = 3,
        .map = map48,
        .unmap = unmap48,
        .walk = walk48,
        .populate = populate,
        .claim = claim,
        .remove = remove_mapped,
        .walk_gen = walk_gen,
        .dirty = dirty,
        .set_dirty = set_dirty,
};

static const struct pt_ops ops57 = {
        .fmt = &fmt,
        .top = 4,
        .map = map57,
        .unmap = unmap57,
        .walk = walk57,
        .populate = populate,
        .claim = claim,
        .remove = remove_mapped,
        .walk_gen = walk_gen,
        .dirty = dirty,
        .set_dirty = set_dirty,
};

const struct pt_ops *pt_vtdss_ops(unsigned iova_bits)
{
	switch (iova_bits) {
	case 39:
		return &ops39;
	case 48:
		return &ops48;
	case 57:
		return &ops57;
	default:
		return NULL;
	}
}
