/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VT-d second-stage format. Knows its bits and widths, nothing else.
 *
 * There is no present bit: a word with neither R nor W is empty, and since
 * every leaf has one of them, a word of software bits alone never exists.
 *
 * A and D start clear. Hardware writes them only where second-stage A/D is
 * enabled (SSADE of the PASID entry) and ignores them elsewhere, so clear is
 * right in both; sluice_pt_dirty() reads D. SNP stays clear: snooping is the
 * domain's affair, and the bit is reserved where snoop control is missing.
 */
#include "pagetable/pt_inst.h"

/* Intel VT-d specification, 9.8 "Second-stage paging entries"; 3.7 for the
 * walk and the widths of 39, 48 and 57 bits. */
#define SS_R ((uint64_t)1 << 0)
#define SS_W ((uint64_t)1 << 1)
#define SS_PS ((uint64_t)1 << 7)
#define SS_A ((uint64_t)1 << 8)
#define SS_D ((uint64_t)1 << 9)
#define SS_ADDR 0x000ffffffffff000u
/* 61:52 are ignored in every entry. */
#define SS_SW0_LG2 52

#define SS_LINK (SS_R | SS_W)

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_VTDSS,
        .name = "vtdss",
        .page_lg2 = 12,
        .index0_lg2 = 9,
        .index_lg2 = 9,
        .top_min = 2,
        .top_max = 4,
        .leaf_levels = 0x7,
        .addr = SS_ADDR,
        .link_addr = SS_ADDR,
        .present = {SS_R | SS_W, SS_R | SS_W},
        .link_mask = SS_R | SS_W | SS_PS,
        .link = {0, SS_LINK, SS_LINK, SS_LINK, SS_LINK},
        .large_any = SS_PS,
        .leaf = {0, SS_PS, SS_PS},
        .read = SS_R,
        .write = SS_W,
        .rd_mask = SS_R,
        .wr_mask = SS_W,
        .accessed = SS_A,
        .dirty = SS_D,
        .need = SLUICE_RW,
        .need_text = "a mapping needs SLUICE_READ or SLUICE_WRITE, or both",
        .sw_lg2 = {SS_SW0_LG2, SS_SW0_LG2},
        .link_shared = (uint64_t)1 << SS_SW0_LG2,
        .link_flushed = (uint64_t)2 << SS_SW0_LG2,
};

PT_OPS(&fmt);

int pt_plan_vtdss(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                  const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 48;

	if (bits != 39 && bits != 48 && bits != 57)
		return msg_fmt(-EINVAL,
		               "vtdss has no width of %u address bits: 39, 48 "
		               "or 57",
		               bits);
	geo->top = (uint8_t)((bits - 39) / 9 + 2);
	geo->root_lg2 = 12;
	*ret_fmt = &fmt;
	*ret_ops = &ops;
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 52);
}
