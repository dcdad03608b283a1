/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arm long descriptors, stage 1 (SMMU with a context descriptor). Knows the
 * bits of its leaves; the layout that both stages share is in fmt_arm.h.
 *
 * Leaves are normal memory of MAIR index 0, inner shareable, not global
 * (ASID), open to unprivileged accesses and never executable. Where the walker
 * keeps dirty marks, a writable leaf starts read-only with the modifier bit
 * (DBM) set and the walker clears AP[2] on the first write. DBM is written in
 * any writable leaf: without HD the walker ignores it.
 */
#include "pagetable/fmt_arm.h"

/* DDI 0487, D8.3.2 "VMSAv8-64 block and page descriptors, stage 1", D8.4
 * "Memory access control". */
#define S1_AP1 ((uint64_t)1 << 6) /* unprivileged */
#define S1_AP2 ((uint64_t)1 << 7) /* read-only */
#define S1_NG ((uint64_t)1 << 11)
#define S1_PXN ((uint64_t)1 << 53)
#define S1_UXN ((uint64_t)1 << 54)

#define S1_LEAF                                                                \
	(S1_AP1 | S1_AP2 | ARM_SH_INNER | ARM_AF | S1_NG | S1_PXN | S1_UXN)

#define S1                                                                     \
	.id = SLUICE_PT_ARM_LPAE_S1, .name = "arm_lpae_s1",                    \
	.leaf = {S1_LEAF | ARM_PAGE, S1_LEAF | ARM_BLOCK,                      \
	         S1_LEAF | ARM_BLOCK},                                         \
	.write = S1_AP2 | ARM_DBM, .rd_not = 1, .wr_mask = S1_AP2 | ARM_DBM,   \
	.wr_not = S1_AP2, .dirty = S1_AP2, .dirty_low = true, .clean = S1_AP2, \
	.need = SLUICE_READ,                                                   \
	.need_text = "arm_lpae_s1 cannot map without SLUICE_READ: add it, or " \
	             "use arm_lpae_s2 for write-only mappings"

static const struct pt_fmt fmts[4] = {
        {ARM_4K, S1, .top_min = 2},
        {ARM_16K, S1, .top_min = 1},
        {ARM_64K, S1, .top_min = 1},
        {ARM_64K_52, S1, .top_min = 1},
};

PT_OPS(&fmts[0]);

int pt_plan_arm_s1(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                   const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	const struct pt_fmt *f = arm_pick(cfg, fmts);

	if (!f)
		return -EINVAL;
	*ret_fmt = f;
	*ret_ops = f == &fmts[0] ? &ops : pt_run_time_ops();
	return arm_plan(cfg, f, geo, false);
}
