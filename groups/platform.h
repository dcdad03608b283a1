/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which IOMMU translates each device, and by which rules that platform makes
 * groups. One file a platform behind platform_bonds(); this is their common
 * face.
 */
#ifndef SLUICE_GROUPS_PLATFORM_H
#define SLUICE_GROUPS_PLATFORM_H

#include "groups/bond.h"
#include "groups/claim.h"
#include "groups/pci.h"
#include "groups/topo.h"

enum style {
	STYLE_NONE = 0, /* no IOMMU: in no group */
	STYLE_PCI,      /* pci_bonds() */
	STYLE_EACH,     /* alone, whatever the topology looks like */
	STYLE_UNIT,     /* with all of the same unit number */
};

struct unit {
	enum style style;
	const char *iommu; /* its name, NULL for STYLE_NONE */
	const char *why;   /* STYLE_NONE: a sentence */
	uint64_t number;   /* STYLE_UNIT */
};

enum platform_kind {
	PLATFORM_NONE, /* no IOMMU is in use */
	PLATFORM_VTD,
	PLATFORM_AMD,
	PLATFORM_SMMU,
	PLATFORM_S390,
	PLATFORM_POWER,
	PLATFORM_VIRTIO,
	PLATFORM_RISCV,
	PLATFORM_OTHER,
};

struct platform {
	struct grp_mem mem;
	enum platform_kind kind;
	struct unit *unit; /* for each device of the topology */
	bool by_pci;       /* PCI's rules make the groups */
	uint32_t nr_iommus;
	struct claims claims; /* what firmware's tables say */
};

/* Sets a message. */
int platform_read(int root, const struct topo *t, struct platform *ret);
void platform_free(struct platform *p);

/* What the platform adds to PCI's own bonds. */
int platform_bonds(const struct platform *p, const struct topo *t,
                   int (*add)(void *ctx, const struct bond *b), void *ctx);

/* amd.c: devices that firmware says have one id. */
int amd_bonds(const struct platform *p, const struct topo *t,
              int (*add)(void *ctx, const struct bond *b), void *ctx);

/* smmu.c: devices that firmware gives one stream id; and why a device that no
 * SMMU has is without: another has its id. -ENOMEM. */
int smmu_bonds(const struct platform *p, const struct topo *t,
               int (*add)(void *ctx, const struct bond *b), void *ctx);
int smmu_explain(const struct topo *t, struct platform *p);

/* power.c: partitionable endpoints. fdt: len bytes of anything, or NULL. */
int power_units(const struct topo *t, const void *fdt, size_t len,
                struct platform *p);

#endif
