/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What PCI itself says about which devices can be told and kept apart: the ids
 * their requests carry, and the ways on which they reach each other before an
 * IOMMU sees them. Knows a topology, no IOMMU and no file.
 */
#ifndef SLUICE_GROUPS_PCI_H
#define SLUICE_GROUPS_PCI_H

#include "groups/topo.h"

/* The requester ids that requests of device i may carry, its own first: at
 * most max of them in ret. Returns how many were written. */
uint32_t pci_ids(const struct topo *t, uint32_t i, uint16_t *ret, uint32_t max);

enum pci_bond {
	PCI_ALIAS_BRIDGE, /* via: the bridge that gives its own id */
	PCI_ALIAS_BUS,    /* via: the bridge that gives its bus's id */
	PCI_ALIAS_QUIRK,  /* two functions use one id */
	PCI_NO_ACS,       /* via: the port that does not isolate */
	PCI_FUNCTIONS,    /* functions of one slot */
};

/* May a device that wants to be alone trust d to keep requests apart? */
bool pci_isolates(const struct topo_dev *d);

/* Calls found(ctx, a, b, bond, via) for each pair that one rule keeps
 * together, where member(ctx, i) says that i takes part at all. Bonds are
 * enough to span each group, not all pairs. -ENOMEM or what found returned. */
struct pci_visit {
	bool (*member)(void *ctx, uint32_t dev);
	int (*found)(void *ctx, uint32_t a, uint32_t b, enum pci_bond bond,
	             uint32_t via);
	void *ctx;
};
int pci_bonds(const struct topo *t, const struct pci_visit *v);

#endif
