/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arm long descriptors, stage 2 (SMMU with a stage 2 stream table entry).
 * Knows the bits of its leaves; the layout that both stages share is in
 * fmt_arm.h.
 *
 * Leaves are normal write-back memory, inner shareable and never executable.
 * Where the walker keeps dirty marks, a writable leaf starts without write
 * permission and with the modifier bit (DBM) set, and the walker sets S2AP[1]
 * on the first write. DBM is written in any writable leaf: without HD the
 * walker ignores it.
 */
#include "pagetable/fmt_arm.h"

/* DDI 0487, D8.3.3 "VMSAv8-64 block and page descriptors, stage 2", D8.4.4
 * "Stage 2 data access permissions". */
#define S2_MEM_WB ((uint64_t)0xf << 2)
#define S2_READ ((uint64_t)1 << 6)
#define S2_WRITE ((uint64_t)1 << 7)
#define S2_XN ((uint64_t)2 << 53)

#define S2_LEAF (S2_MEM_WB | ARM_SH_INNER | ARM_AF | S2_XN)

#define S2                                                                     \
	.id = SLUICE_PT_ARM_LPAE_S2, .name = "arm_lpae_s2", .wide_root = true, \
	.top_min = 1,                                                          \
	.leaf = {S2_LEAF | ARM_PAGE, S2_LEAF | ARM_BLOCK,                      \
	         S2_LEAF | ARM_BLOCK},                                         \
	.read = S2_READ, .write = S2_WRITE | ARM_DBM, .rd_mask = S2_READ,      \
	.wr_mask = S2_WRITE | ARM_DBM, .dirty = S2_WRITE, .clean = S2_WRITE,   \
	.need = SLUICE_RW,                                                     \
	.need_text = "a mapping needs SLUICE_READ or SLUICE_WRITE, or both"

static const struct pt_fmt fmts[4] = {
        {ARM_4K, S2},
        {ARM_16K, S2},
        {ARM_64K, S2},
        {ARM_64K_52, S2},
};

PT_OPS(&fmts[0]);

int pt_plan_arm_s2(const struct sluice_pt_config *cfg, struct pt_geo *geo,
                   const struct pt_fmt **ret_fmt, const struct pt_ops **ret_ops)
{
	const struct pt_fmt *f = arm_pick(cfg, fmts);

	if (!f)
		return -EINVAL;
	*ret_fmt = f;
	*ret_ops = f == &fmts[0] ? &ops : pt_run_time_ops();
	return arm_plan(cfg, f, geo, true);
}
