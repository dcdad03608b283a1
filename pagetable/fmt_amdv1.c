/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The AMD v1 format (host page tables). Knows its bits and widths, nothing
 * else.
 *
 * Every power of two is a page size: a leaf with next level 7 says its size in
 * the low address bits, and stands in as many slots as it covers. The size
 * that a slot has by itself is written with next level 0. 512 GiB and what a
 * higher level holds by itself are left out: hardware is known to mistake such
 * leaves, so 256 GiB is the largest.
 *
 * Levels are added at the top when an address needs them: the device table
 * entry's mode must follow (sluice_pt_get_info()).
 */
#include "pagetable/pt_inst.h"

/* AMD I/O virtualization technology (IOMMU) specification, 48882, 2.2.3 "I/O
 * page tables for host translations": tables "PDE" and "PTE". */
#define AMD_PR ((uint64_t)1 << 0)
#define AMD_A ((uint64_t)1 << 5)
#define AMD_D ((uint64_t)1 << 6)
#define AMD_NL_LG2 9
#define AMD_NL ((uint64_t)7 << AMD_NL_LG2)
#define AMD_ADDR 0x000ffffffffff000u
#define AMD_IR ((uint64_t)1 << 61)
#define AMD_IW ((uint64_t)1 << 62)
/* 4:1 are ignored in every entry. */
#define AMD_SW0_LG2 1

/* The next level of a link is the mode number of the table it names. */
#define AMD_LINK(level)                                                        \
	(AMD_PR | AMD_IR | AMD_IW | (uint64_t)(level) << AMD_NL_LG2)

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_AMDV1,
        .name = "amdv1",
        .page_lg2 = 12,
        .index0_lg2 = 9,
        .index_lg2 = 9,
        .top_min = 2,
        .top_max = 5,
        .leaf_levels = 0x7,
        .grows = true,
        .cont = PT_CONT_AMD,
        .cont_lg2 = {8, 8, 8},
        .cont_bits = AMD_NL,
        .addr = AMD_ADDR,
        .link_addr = AMD_ADDR,
        .present = {AMD_PR, AMD_PR},
        .link_mask = AMD_PR | AMD_NL,
        .link = {0, AMD_LINK(1), AMD_LINK(2), AMD_LINK(3), AMD_LINK(4),
                 AMD_LINK(5)},
        .leaf = {AMD_PR, AMD_PR, AMD_PR},
        .read = AMD_IR,
        .write = AMD_IW,
        .rd_mask = AMD_IR,
        .wr_mask = AMD_IW,
        .accessed = AMD_A,
        .dirty = AMD_D,
        .need = SLUICE_RW,
        .need_text = "a mapping needs SLUICE_READ or SLUICE_WRITE, or both",
        .sw_lg2 = {AMD_SW0_LG2, AMD_SW0_LG2},
        .link_shared = (uint64_t)1 << AMD_SW0_LG2,
        .link_flushed = (uint64_t)2 << AMD_SW0_LG2,
};

PT_OPS(&fmt);

int pt_plan_amdv1(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                  const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 48;
	unsigned levels = cfg->levels ? cfg->levels : 3;

	if (bits < 30 || bits > 64)
		return msg_fmt(-EINVAL,
		               "amdv1 has no width of %u address bits: 30 to "
		               "64",
		               bits);
	if (levels < 3 || levels > 6 ||
	    (levels > 3 && bits <= (levels - 1) * 9 + 12))
		return msg_fmt(
		        -EINVAL,
		        "amdv1 begins with 3 to 6 levels, and %u address "
		        "bits do not need %u",
		        bits, levels);
	/* pt_grow adds the others. */
	geo->top = (uint8_t)(levels - 1);
	geo->root_lg2 = 12;
	*ret_fmt = &fmt;
	*ret_ops = &ops;
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 52);
}
