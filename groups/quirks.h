/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of single devices that their configuration space does not
 * tell, or tells wrong: data, and how to look it up. Knows no tree.
 */
#ifndef SLUICE_GROUPS_QUIRKS_H
#define SLUICE_GROUPS_QUIRKS_H

#include <stdbool.h>
#include <stdint.h>

#include "groups/topo.h"

/* Isolates although it has no ACS that says so. NULL, or why. */
const char *quirk_isolates(const struct topo_dev *d);

/* A further function number that the device's requests carry, or -1. */
int quirk_alias(const struct topo_dev *d);

/* A bridge without a PCI Express capability of its own that nevertheless
 * converts: what is behind it appears under its secondary bus. above is the
 * bridge that it hangs on, or NULL. */
bool quirk_converts(const struct topo_dev *d, const struct topo_dev *above);

/* Requests keep their ids up to here: the IOMMU sits in this bridge. */
bool quirk_is_root(const struct topo_dev *d);

#endif
