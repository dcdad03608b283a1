/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Geometry of Arm long descriptor tables, for both stages.
 */
#include "pagetable/fmt_arm.h"

/* D8.2.10 "Concatenated translation tables": at most 16. */
#define CONCAT_LG2_MAX 4u

const struct pt_fmt *arm_pick(const struct sluice_pt_config *cfg,
                              const struct pt_fmt fmts[4])
{
	unsigned granule = cfg->granule_lg2 ? cfg->granule_lg2 : 12;

	if (granule == 16)
		return &fmts[cfg->oa_bits > 48 ? 3 : 2];
	if (cfg->oa_bits > 48) {
		msg_set("only 64 KiB granules have output addresses of more "
		        "than 48 bits: set granule_lg2 to 16");
		return NULL;
	}
	if (granule == 12 || granule == 14)
		return &fmts[(granule - 12) / 2];
	msg_set("granules are 4, 16 or 64 KiB: set granule_lg2 to 12, 14 or "
	        "16");
	return NULL;
}

int arm_plan(const struct sluice_pt_config *cfg, const struct pt_fmt *f,
             struct pt_geo *geo, bool stage2)
{
	unsigned widest = f->page_lg2 == 16 ? 52 : 48;
	unsigned bits = cfg->iova_bits ? cfg->iova_bits : 48;
	unsigned left;

	if (bits < 32 || bits > widest)
		return msg_fmt(-EINVAL,
		               "%s has no width of %u address bits: 32 to 48, "
		               "to 52 with 64 KiB granules",
		               f->name, bits);
	left = bits - f->page_lg2 - f->index0_lg2; /* above level 0 */
	geo->top = (uint8_t)((left + f->index_lg2 - 1) / f->index_lg2);
	left -= (geo->top - 1u) * f->index_lg2; /* bits of the root's index */
	geo->root_lg2 = f->page_lg2;
	if (stage2 && left <= CONCAT_LG2_MAX && geo->top > 1) {
		geo->top--;
		geo->root_lg2 = (uint8_t)(f->page_lg2 + left);
	}
	return pt_geo_done(f, geo, bits, cfg->oa_bits ? cfg->oa_bits : 48,
	                   f->oa_high ? 52 : 48);
}
