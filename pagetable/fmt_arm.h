/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stage 1 and stage 2 of the Arm long descriptor format have in common:
 * the layout of descriptors for each granule, and the geometry of a table.
 * Source: Arm Architecture Reference Manual, DDI 0487, D8.2 "Translation
 * process" (granules, levels, concatenated tables) and D8.3 "Translation table
 * descriptor formats"; SMMUv3, IHI 0070, 3.4 "Address sizes".
 */
#ifndef SLUICE_PAGETABLE_FMT_ARM_H
#define SLUICE_PAGETABLE_FMT_ARM_H

#include "pagetable/pt_inst.h"

#define ARM_VALID ((uint64_t)1 << 0)
#define ARM_TYPE ((uint64_t)3 << 0)
#define ARM_PAGE ((uint64_t)3 << 0) /* at level 0 (architectural level 3) */
#define ARM_BLOCK ((uint64_t)1 << 0)
#define ARM_TABLE ((uint64_t)3 << 0)
#define ARM_SH_INNER ((uint64_t)3 << 8)
#define ARM_AF ((uint64_t)1 << 10)
#define ARM_DBM ((uint64_t)1 << 51)
#define ARM_CONT ((uint64_t)1 << 52)
/* 58:55 are software's in leaves, and ignored in table descriptors. */
#define ARM_SW0_LG2 55
/* Address bits of a granule; 51:48 are kept in 15:12 (64 KiB). */
#define ARM_ADDR(lg2)                                                          \
	((((uint64_t)1 << 48) - 1) & ~(((uint64_t)1 << (lg2)) - 1))
#define ARM_ADDR_52 (ARM_ADDR(16) | (uint64_t)0xf << 12)

/* The part of a descriptor that both stages share. */
#define ARM_COMMON(granule, bits)                                              \
	.page_lg2 = (granule), .index0_lg2 = (bits), .index_lg2 = (bits),      \
	.bbm = true, .cont = PT_CONT_BIT, .cont_bits = ARM_CONT,               \
	.present = {ARM_VALID, ARM_VALID}, .link_mask = ARM_TYPE,              \
	.link = {0, ARM_TABLE, ARM_TABLE, ARM_TABLE, ARM_TABLE},               \
	.accessed = ARM_AF, .sw_lg2 = {ARM_SW0_LG2, ARM_SW0_LG2},              \
	.link_shared = (uint64_t)1 << ARM_SW0_LG2,                             \
	.link_flushed = (uint64_t)2 << ARM_SW0_LG2

/* Runs of contiguous entries, D8.7.1 "The Contiguous bit": 64 KiB, 32 MiB and
 * 16 GiB; 2 MiB and 1 GiB; 2 MiB and 16 GiB. */
#define ARM_4K                                                                 \
	ARM_COMMON(12, 9), .top_max = 3, .leaf_levels = 0x7,                   \
	                   .cont_lg2 = {4, 4, 4}, .addr = ARM_ADDR(12),        \
	                   .link_addr = ARM_ADDR(12)
#define ARM_16K                                                                \
	ARM_COMMON(14, 11), .top_max = 3, .leaf_levels = 0x3,                  \
	                    .cont_lg2 = {7, 5}, .addr = ARM_ADDR(14),          \
	                    .link_addr = ARM_ADDR(14)
#define ARM_64K                                                                \
	ARM_COMMON(16, 13), .top_max = 2, .leaf_levels = 0x3,                  \
	                    .cont_lg2 = {5, 5}, .addr = ARM_ADDR(16),          \
	                    .link_addr = ARM_ADDR(16)
/* With 52 output address bits a block of 4 TiB exists as well. */
#define ARM_64K_52                                                             \
	ARM_COMMON(16, 13), .top_max = 2, .leaf_levels = 0x7,                  \
	                    .cont_lg2 = {5, 5}, .addr = ARM_ADDR_52,           \
	                    .link_addr = ARM_ADDR_52, .oa_high = true

/* Which of the four descriptors a configuration asks for; NULL: none, and the
 * error says what there is. */
const struct pt_fmt *arm_pick(const struct sluice_pt_config *cfg,
                              const struct pt_fmt fmts[4]);
/* Levels and root. stage2: a small root becomes concatenated tables. */
int arm_plan(const struct sluice_pt_config *cfg, const struct pt_fmt *f,
             struct pt_geo *geo, bool stage2);

#endif
