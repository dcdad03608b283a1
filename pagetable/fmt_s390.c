/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * s390 region, segment and page tables, as zPCI walks them. Knows their bits
 * and widths, nothing else.
 *
 * Words are big-endian doublewords. An empty slot is not zero: zero would name
 * a table or a page at address 0, so tables are filled with invalid entries.
 * Every page can be read; P takes writing away. No dirty mark is kept, and
 * links have no bit for software, so subtrees cannot be shared. Tables of 2048
 * slots are 16 KiB, page tables of 256 slots 2 KiB.
 */
#include "pagetable/pt_inst.h"

/* z/Architecture Principles of Operation, SA22-7832, chapter 3 "Dynamic address
 * translation": region-table, segment-table and page-table entries, enhanced
 * DAT facilities 1 (1 MiB) and 2 (2 GiB). */
#define S390_TL ((uint64_t)3) /* regions: the table is 16 KiB long */
#define S390_TT(level) ((uint64_t)((level)-1) << 2)
#define S390_I ((uint64_t)0x20)       /* invalid, above level 0 */
#define S390_PAGE_I ((uint64_t)0x400) /* invalid, level 0 */
#define S390_P ((uint64_t)0x200)      /* no writing */
#define S390_FC ((uint64_t)0x400)     /* format control: a frame, no table */
#define S390_ADDR (~(uint64_t)0xfff)
#define S390_LINK_ADDR (~(uint64_t)0x7ff)
/* 7:0 of a page-table entry are free; of a frame, 15:12 are without meaning
 * while the access-control validity bit is 0. */
#define S390_SW0_LG2 0
#define S390_LARGE_SW0_LG2 12

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_S390,
        .name = "s390",
        .page_lg2 = 12,
        .index0_lg2 = 8,
        .index_lg2 = 11,
        .top_min = 1,
        .top_max = 4,
        .leaf_levels = 0x7,
        .big_endian = true,
        .addr = S390_ADDR,
        .link_addr = S390_LINK_ADDR,
        .present = {S390_PAGE_I, S390_I},
        .absent = true,
        .link_mask = S390_I | S390_FC | S390_TT(4),
        .link = {0, S390_TT(1), S390_TT(2) | S390_TL, S390_TT(3) | S390_TL,
                 S390_TT(4) | S390_TL},
        .empty = {S390_PAGE_I, S390_I | S390_TT(1), S390_I | S390_TT(2),
                  S390_I | S390_TT(3), S390_I | S390_TT(4)},
        .leaf = {S390_P, S390_P | S390_FC | S390_TT(1),
                 S390_P | S390_FC | S390_TT(2)},
        .write = S390_P,
        .rd_not = 1,
        .wr_mask = S390_P,
        .wr_not = S390_P,
        .need = SLUICE_READ,
        .need_text = "s390 cannot map without SLUICE_READ: add it",
        .sw_lg2 = {S390_SW0_LG2, S390_LARGE_SW0_LG2},
};

int pt_plan_s390(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                 const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 42;

	if (bits != 31 && bits != 42 && bits != 53 && bits != 64)
		return msg_fmt(-EINVAL,
		               "s390 has no width of %u address bits: 31, 42, "
		               "53 or 64",
		               bits);
	geo->top = (uint8_t)((bits - 31) / 11 + 1);
	geo->root_lg2 = 14;
	*ret_fmt = &fmt;
	*ret_ops = pt_run_time_ops();
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 64);
}
