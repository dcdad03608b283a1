/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PowerPC translation control entries: a window of pages of one size, in one
 * to five levels of big-endian doublewords. Knows their bits and how a window
 * is cut into levels, nothing else.
 *
 * The two permission bits are all there is: an entry without either is empty,
 * a table's entry has both. No bit is left for software and no dirty mark is
 * kept, so subtrees cannot be shared.
 */
#include "pagetable/pt_inst.h"

/* Power Architecture Platform Reference (PAPR), "TCE (Translation Control
 * Entry)" and OpenPOWER I/O design architecture (IODA2), "TCE tables": bits 62
 * and 63 are write and read permission, above them the real page number. */
#define TCE_READ ((uint64_t)1 << 0)
#define TCE_WRITE ((uint64_t)1 << 1)
#define TCE_RPN (((uint64_t)1 << 60) - ((uint64_t)1 << 12))

#define TCE_LINK (TCE_READ | TCE_WRITE)
#define TCE_PAGE_LG2_MAX 34u
#define TCE_TABLE_LG2_MIN 9u  /* a table fills at least 4 KiB */
#define TCE_TABLE_LG2_MAX 24u /* ... and here at most 128 MiB */

static const struct pt_fmt fmt = {
        .id = SLUICE_PT_TCE,
        .name = "tce",
        .top_min = 0,
        .top_max = 4,
        .leaf_levels = 0x1,
        .big_endian = true,
        .addr = TCE_RPN,
        .link_addr = TCE_RPN,
        .present = {TCE_LINK, TCE_LINK},
        .link_mask = TCE_LINK,
        .link = {0, TCE_LINK, TCE_LINK, TCE_LINK, TCE_LINK},
        .read = TCE_READ,
        .write = TCE_WRITE,
        .rd_mask = TCE_READ,
        .wr_mask = TCE_WRITE,
        .need = SLUICE_RW,
        .need_text = "a mapping needs SLUICE_READ or SLUICE_WRITE, or both",
};

int pt_plan_tce(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	unsigned page = cfg->granule_lg2 ? cfg->granule_lg2 : 12;
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 31;
	unsigned levels = cfg->levels ? cfg->levels : 1;
	unsigned each;

	if (page < 12 || page > TCE_PAGE_LG2_MAX)
		return msg_lit(-EINVAL, "tce pages are 2^12 to 2^34 bytes: set "
		                        "granule_lg2 to 12 to 34");
	if (bits <= page || bits > 60)
		return msg_fmt(-EINVAL,
		               "a tce window has more address bits than a page "
		               "(%u) and at most 60: iova_bits is %u",
		               page, bits);
	if (levels > 5)
		return msg_lit(-EINVAL, "tce tables have 1 to 5 levels");
	each = (bits - page + levels - 1) / levels;
	if (each < TCE_TABLE_LG2_MIN)
		each = TCE_TABLE_LG2_MIN;
	if (each > TCE_TABLE_LG2_MAX)
		return msg_fmt(-EINVAL,
		               "a tce window of 2^%u bytes needs more than %u "
		               "levels, or larger pages",
		               bits, levels);
	if ((levels - 1) * each >= bits - page)
		return msg_fmt(-EINVAL,
		               "a tce window of 2^%u bytes has no use for %u "
		               "levels",
		               bits, levels);
	geo->page_lg2 = (uint8_t)page;
	geo->index0_lg2 = (uint8_t)each;
	geo->index_lg2 = (uint8_t)each;
	geo->top = (uint8_t)(levels - 1);
	geo->root_lg2 = (uint8_t)(each + 3);
	*ret_fmt = &fmt;
	*ret_ops = pt_run_time_ops();
	return pt_geo_done(&fmt, geo, bits, cfg->oa_bits, 60);
}
