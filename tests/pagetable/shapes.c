/* SPDX-License-Identifier: BSD-3-Clause */
#include "shapes.h"

#define SHAPE(text, id, ...)                                                   \
	{                                                                      \
		text,                                                          \
		{                                                              \
			.format = SLUICE_PT_##id, __VA_ARGS__                  \
		}                                                              \
	}

const struct shape shapes[] = {
        SHAPE("x86_64-48", X86_64, .iova_bits = 48),
        SHAPE("x86_64-57", X86_64, .iova_bits = 57),
        SHAPE("x86_64-47", X86_64, .iova_bits = 47),
        SHAPE("x86_64-48s", X86_64, .iova_bits = 48, .flags = SLUICE_PT_SIGNED),
        SHAPE("x86_64-57s", X86_64, .iova_bits = 57, .flags = SLUICE_PT_SIGNED),
        SHAPE("vtdss-39", VTDSS, .iova_bits = 39),
        SHAPE("vtdss-48", VTDSS, .iova_bits = 48),
        SHAPE("vtdss-57", VTDSS, .iova_bits = 57),
        SHAPE("amdv1-30", AMDV1, .iova_bits = 30),
        SHAPE("amdv1-48", AMDV1, .iova_bits = 48),
        SHAPE("amdv1-64", AMDV1, .iova_bits = 64),
        SHAPE("amdv1-48n", AMDV1, .iova_bits = 48,
              .flags = SLUICE_PT_NO_CONTIG),
        SHAPE("arm_s1-4k-48", ARM_LPAE_S1, .iova_bits = 48),
        SHAPE("arm_s1-4k-32", ARM_LPAE_S1, .iova_bits = 32),
        SHAPE("arm_s1-4k-39d", ARM_LPAE_S1, .iova_bits = 39,
              .flags = SLUICE_PT_DIRTY),
        SHAPE("arm_s1-4k-48n", ARM_LPAE_S1, .iova_bits = 48,
              .flags = SLUICE_PT_NO_CONTIG),
        SHAPE("arm_s1-16k-48", ARM_LPAE_S1, .granule_lg2 = 14, .iova_bits = 48),
        SHAPE("arm_s1-16k-36d", ARM_LPAE_S1, .granule_lg2 = 14, .iova_bits = 36,
              .flags = SLUICE_PT_DIRTY),
        SHAPE("arm_s1-64k-48", ARM_LPAE_S1, .granule_lg2 = 16, .iova_bits = 48),
        SHAPE("arm_s1-64k-52", ARM_LPAE_S1, .granule_lg2 = 16, .iova_bits = 52,
              .oa_bits = 52),
        SHAPE("arm_s2-4k-48", ARM_LPAE_S2, .iova_bits = 48),
        SHAPE("arm_s2-4k-40d", ARM_LPAE_S2, .iova_bits = 40,
              .flags = SLUICE_PT_DIRTY),
        SHAPE("arm_s2-4k-32", ARM_LPAE_S2, .iova_bits = 32),
        SHAPE("arm_s2-4k-43", ARM_LPAE_S2, .iova_bits = 43),
        SHAPE("arm_s2-16k-40", ARM_LPAE_S2, .granule_lg2 = 14, .iova_bits = 40),
        SHAPE("arm_s2-16k-48", ARM_LPAE_S2, .granule_lg2 = 14, .iova_bits = 48),
        SHAPE("arm_s2-64k-44", ARM_LPAE_S2, .granule_lg2 = 16, .iova_bits = 44),
        SHAPE("arm_s2-64k-52", ARM_LPAE_S2, .granule_lg2 = 16, .iova_bits = 52,
              .oa_bits = 52, .flags = SLUICE_PT_DIRTY),
        SHAPE("riscv-39", RISCV, .iova_bits = 39),
        SHAPE("riscv-48", RISCV, .iova_bits = 48),
        SHAPE("riscv-57", RISCV, .iova_bits = 57),
        SHAPE("riscv-39sd", RISCV, .iova_bits = 39,
              .flags = SLUICE_PT_SIGNED | SLUICE_PT_DIRTY),
        SHAPE("riscv-48n", RISCV, .iova_bits = 48,
              .flags = SLUICE_PT_NO_CONTIG),
        SHAPE("riscv_g-41", RISCV_G, .iova_bits = 41),
        SHAPE("riscv_g-50d", RISCV_G, .iova_bits = 50,
              .flags = SLUICE_PT_DIRTY),
        SHAPE("riscv_g-59", RISCV_G, .iova_bits = 59),
        SHAPE("s390-31", S390, .iova_bits = 31),
        SHAPE("s390-42", S390, .iova_bits = 42),
        SHAPE("s390-53", S390, .iova_bits = 53),
        SHAPE("s390-64", S390, .iova_bits = 64),
        SHAPE("tce-4k-31x1", TCE, .iova_bits = 31),
        SHAPE("tce-64k-40x2", TCE, .iova_bits = 40, .granule_lg2 = 16,
              .levels = 2),
        SHAPE("tce-4k-50x3", TCE, .iova_bits = 50, .levels = 3),
        SHAPE("tce-2m-59x4", TCE, .iova_bits = 59, .granule_lg2 = 21,
              .levels = 4),
        SHAPE("tce-4k-60x5", TCE, .iova_bits = 60, .levels = 5),
};

const unsigned nr_shapes = sizeof(shapes) / sizeof(shapes[0]);
