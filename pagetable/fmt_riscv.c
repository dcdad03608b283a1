/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RISC-V: Sv39, Sv48 and Sv57, and their wider second-stage forms with a root
 * of four tables. Knows their bits and widths, nothing else.
 *
 * A is preset, and D unless the walker keeps dirty marks: a walker without
 * that duty faults on a clear bit. Write without read is a reserved encoding.
 * Leaves are open to user accesses, as the second stage requires and the first
 * wants for devices.
 */
#include "pagetable/pt_inst.h"

/* RISC-V privileged architecture, 12.3.1 "Addressing and memory protection"
 * (PTE format), 12.4 and 12.5 (Sv48, Sv57), chapter 13 (Svnapot), 18.5.1
 * "Guest physical address translation" (Sv39x4 and so on). */
#define RV_V ((uint64_t)1 << 0)
#define RV_R ((uint64_t)1 << 1)
#define RV_W ((uint64_t)1 << 2)
#define RV_X ((uint64_t)1 << 3)
#define RV_U ((uint64_t)1 << 4)
#define RV_A ((uint64_t)1 << 6)
#define RV_D ((uint64_t)1 << 7)
#define RV_PPN ((((uint64_t)1 << 44) - 1) << 10)
#define RV_N ((uint64_t)1 << 63)
/* RSW, 9:8. */
#define RV_SW0_LG2 8

#define RV_LEAF (RV_V | RV_U | RV_A)

#define RV                                                                     \
	.page_lg2 = 12, .index0_lg2 = 9, .index_lg2 = 9, .top_min = 2,         \
	.top_max = 4, .leaf_levels = 0x1f, .cont = PT_CONT_NAPOT,              \
	.cont_lg2 = {4}, .cont_bits = RV_N, .oa_shr = 2, .addr = RV_PPN,       \
	.link_addr = RV_PPN, .present = {RV_V, RV_V},                          \
	.link_mask = RV_V | RV_R | RV_W | RV_X,                                \
	.link = {0, RV_V, RV_V, RV_V, RV_V}, .large_any = RV_R | RV_W | RV_X,  \
	.leaf = {RV_LEAF, RV_LEAF, RV_LEAF, RV_LEAF, RV_LEAF}, .read = RV_R,   \
	.write = RV_W | RV_D, .rd_mask = RV_R, .wr_mask = RV_W,                \
	.accessed = RV_A, .dirty = RV_D, .clean = RV_D, .need = SLUICE_READ,   \
	.need_text = "riscv cannot map without SLUICE_READ: add it",           \
	.sw_lg2 = {RV_SW0_LG2, RV_SW0_LG2},                                    \
	.link_shared = (uint64_t)1 << RV_SW0_LG2,                              \
	.link_flushed = (uint64_t)2 << RV_SW0_LG2

static const struct pt_fmt fmt = {
        RV,
        .id = SLUICE_PT_RISCV,
        .name = "riscv",
};

static const struct pt_fmt fmt_g = {
        RV,
        .id = SLUICE_PT_RISCV_G,
        .name = "riscv_g",
        .wide_root = true,
};

PT_OPS(&fmt);

int pt_plan_riscv(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                  const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	bool sign = (cfg->flags & SLUICE_PT_SIGNED) != 0;
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 48;
	unsigned full = !sign && bits % 9 == 2 ? bits + 1 : bits;

	if (full != 39 && full != 48 && full != 57)
		return msg_fmt(-EINVAL,
		               "riscv has no width of %u address bits: 39, 48 "
		               "or 57, one less for the lower half only",
		               bits);
	geo->top = (uint8_t)((full - 39) / 9 + 2);
	geo->root_lg2 = 12;
	*ret_fmt = &fmt;
	*ret_ops = &ops;
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 56);
}

int pt_plan_riscv_g(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                    const struct pt_fmt **ret_fmt,
                    const struct pt_ops **ret_ops)
{
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 50;

	if (bits != 41 && bits != 50 && bits != 59)
		return msg_fmt(-EINVAL,
		               "riscv_g has no width of %u address bits: 41, "
		               "50 or 59",
		               bits);
	geo->top = (uint8_t)((bits - 41) / 9 + 2);
	geo->root_lg2 = 14;
	*ret_fmt = &fmt_g;
	*ret_ops = pt_run_time_ops();
	return pt_geo_done(&fmt_g, geo, bits, cfg->oa_bits, 56);
}
