/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The x86-64 format: what CPUs walk, and as IOMMU tables VT-d first stage and
 * AMD v2. Knows its bits, then makes the functions of each width from the
 * templates.
 *
 * Write without read cannot be said: R/W only adds writing to a present,
 * hence readable, page. Such a prot is refused rather than widened.
 *
 * A (accessed) is set beforehand in links and leaves: the walker always keeps
 * this flag, nobody here ages pages, and a preset flag saves the walker a
 * locked write (SDM 4.8 lets software choose the initial value). D starts
 * clear: it answers sluice_pt_dirty(). XD stays clear: first-stage tables
 * reserve it unless execute requests are enabled (VT-d spec 9.7).
 */
#include "pagetable/pt_tmpl.h"

/* Intel SDM vol. 3A, 4.5 "4-level paging and 5-level paging", tables 4-14 to
 * 4-20; VT-d specification 9.7 "First-stage paging entries". */
#define X86_P ((uint64_t)1 << 0)
#define X86_RW ((uint64_t)1 << 1)
#define X86_US ((uint64_t)1 << 2)
#define X86_A ((uint64_t)1 << 5)
#define X86_D ((uint64_t)1 << 6)
#define X86_PS ((uint64_t)1 << 7)

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_X86_64,
        .need = SLUICE_READ,
        .present = X86_P,
        .large = X86_PS,
        .read = X86_P,
        .write = X86_RW,
        .leaf = X86_US | X86_A,
        .link = X86_P | X86_RW | X86_US | X86_A,
        .accessed = X86_A,
        .dirty = X86_D,
        .need_text = "x86_64 cannot map without SLUICE_READ: add it, or use "
                     "vtdss for write-only mappings",
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

const struct pt_ops *pt_x86_64_ops(unsigned iova_bits)
{
	switch (iova_bits) {
	case 48:
		return &ops48;
	case 57:
		return &ops57;
	default:
		return NULL;
	}
}
