/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The x86-64 format: what CPUs walk, and as IOMMU tables VT-d first stage and
 * AMD v2. Knows its bits and widths, nothing else.
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
#include "pagetable/pt_inst.h"

/* Intel SDM vol. 3A, 4.5 "4-level paging and 5-level paging", tables 4-14 to
 * 4-20; VT-d specification 9.7 "First-stage paging entries"; AMD IOMMU
 * specification 2.2.6 "Guest and nested address translation". */
#define X86_P ((uint64_t)1 << 0)
#define X86_RW ((uint64_t)1 << 1)
#define X86_US ((uint64_t)1 << 2)
#define X86_A ((uint64_t)1 << 5)
#define X86_D ((uint64_t)1 << 6)
#define X86_PS ((uint64_t)1 << 7)
#define X86_ADDR 0x000ffffffffff000u
/* 58:52 are ignored in every entry. */
#define X86_SW0_LG2 52

#define X86_LEAF (X86_US | X86_A)
#define X86_LINK (X86_P | X86_RW | X86_US | X86_A)

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_X86_64,
        .name = "x86_64",
        .page_lg2 = 12,
        .index0_lg2 = 9,
        .index_lg2 = 9,
        .top_min = 3,
        .top_max = 4,
        .leaf_levels = 0x7,
        .addr = X86_ADDR,
        .link_addr = X86_ADDR,
        .present = {X86_P, X86_P},
        .link_mask = X86_P | X86_PS,
        .link = {0, X86_LINK, X86_LINK, X86_LINK, X86_LINK},
        .large_any = X86_PS,
        .leaf = {X86_LEAF, X86_LEAF | X86_PS, X86_LEAF | X86_PS},
        .read = X86_P,
        .write = X86_RW,
        .rd_mask = X86_P,
        .wr_mask = X86_RW,
        .accessed = X86_A,
        .dirty = X86_D,
        .need = SLUICE_READ,
        .need_text = "x86_64 cannot map without SLUICE_READ: add it, or use "
                     "vtdss for write-only mappings",
        .sw_lg2 = {X86_SW0_LG2, X86_SW0_LG2},
        .link_shared = (uint64_t)1 << X86_SW0_LG2,
        .link_flushed = (uint64_t)2 << X86_SW0_LG2,
};

PT_OPS(&fmt);

int pt_plan_x86_64(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                   const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	bool sign = (cfg->flags & SLUICE_PT_SIGNED) != 0;
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 48;

	if (bits != 48 && bits != 57 && (sign || (bits != 47 && bits != 56)))
		return msg_fmt(-EINVAL,
		               "x86_64 has no width of %u address bits: 48 or "
		               "57, 47 or 56 for the lower half only",
		               bits);
	geo->top = bits <= 48 ? 3 : 4;
	geo->root_lg2 = 12;
	*ret_fmt = &fmt;
	*ret_ops = &ops;
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 52);
}
