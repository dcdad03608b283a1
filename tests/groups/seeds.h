/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of the situations that this project grew out of: trees that
 * can be computed. Brings cmocka with what it wants before it.
 */
#ifndef SLUICE_TESTS_GROUPS_SEEDS_H
#define SLUICE_TESTS_GROUPS_SEEDS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/group.h>

#include "tests/groups/tree.h"
#include "util/util.h"

static inline struct sluice_group_set *compute(const struct tree *t)
{
	struct sluice_group_set *set = NULL;

	if (sluice_groups_compute(t->root, &set))
		fail_msg("%s", msg_last());
	return set;
}

/* A device that the IOMMU has; header: byte 0x0e of its configuration space. */
static inline void plug(const struct tree *t, const char *bdf,
                        const char *iommu, uint8_t header)
{
	uint8_t config[64] = {0x86, 0x80, 0x34, 0x12};
	char path[128], target[64];

	config[0x0e] = header;
	tree_pci(t, bdf, -1, "vfio-pci", "0x020000\n");
	snprintf(path, sizeof(path), "bus/pci/devices/%s/config", bdf);
	tree_blob(t, path, config, sizeof(config));
	snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu", bdf);
	snprintf(target, sizeof(target), "../../../class/iommu/%s", iommu);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "class/iommu/%s", iommu);
	tree_dir(t, path);
}

#endif
