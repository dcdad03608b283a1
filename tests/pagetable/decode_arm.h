/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The decoder of Arm VMSAv8-64 tables: how a stream table entry or a context
 * descriptor describes the walk, as far as the words depend on it. Not for
 * 52-bit addresses with 4K and 16K granules (DS = 1), nor for 128-bit
 * descriptors.
 */
#ifndef SLUICE_TESTS_DECODE_ARM_H
#define SLUICE_TESTS_DECODE_ARM_H

#include "decode.h"

struct decode_arm_cfg {
	unsigned granule_lg2; /* 12, 14 or 16 */
	unsigned ias;         /* input bits: 64 - T0SZ */
	unsigned oas;         /* output bits: up to 48, or 52 with 64K */
	int stage2;
	unsigned concat; /* tables side by side at the root of stage 2, or 1 */
	int start_level; /* architectural level of the root */
	int dbm;         /* hardware keeps the dirty state (HA and HD set) */
};

/* A leaf is dirty only where dbm is set; a run of contiguous entries is one
 * leaf, dirty if any of them is. Reading ends at the first breach. */
const char *decode_arm(struct decode_image *im,
                       const struct decode_arm_cfg *cfg, decode_fn *fn,
                       void *ctx);

#endif
