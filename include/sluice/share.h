/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sharing: which groups can use one domain, so that a buffer is mapped once for
 * the devices of all. A pure function of what their IOMMUs can do.
 */
#ifndef SLUICE_SHARE_H
#define SLUICE_SHARE_H

#include <stdint.h>

#include <sluice/base.h>
#include <sluice/group.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A property that may be unknown. */
enum sluice_known { SLUICE_UNKNOWN = -1, SLUICE_NO = 0, SLUICE_YES = 1 };

/* What the IOMMU of a group can do, as far as the kernel shows it. */
struct sluice_share_caps {
	const char *iommu;  /* its name: "dmar0" */
	const char *family; /* whose tables it walks: "vtd", "amdvi", … */
	/* Bit n: leaves of 2^n bytes; 0: not known. */
	uint64_t page_sizes;
	uint32_t iova_bits;         /* width of its addresses; 0: not known */
	enum sluice_known coherent; /* its table walks see the CPU's caches */
	enum sluice_known
	        snoop; /* it can make every access of a device snoop */
};

/**
 * sluice_share_caps_read() - what the IOMMU of a group can do.
 * @root: root of sysfs, as for sluice_groups_read()
 * @name: the IOMMU's, struct sluice_group_member.iommu
 * @ret_caps: iommu is name itself, family a constant
 *
 * Intel's and AMD's registers are shown in sysfs; of others the family is known
 * by the name. Thread: any. Blocks: reads files. Returns: 0; -EINVAL; -ENOENT
 * when there is no such IOMMU; else as sluice_groups_read().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_share_caps_read(
        const char *root, const char *name, struct sluice_share_caps *ret_caps);

/* One group that is to be placed. */
struct sluice_share_group {
	int id; /* distinct */
	struct sluice_share_caps caps;
	const struct sluice_group_region *regions; /* nr_regions of them */
	uint32_t nr_regions;
};

/* Where a group goes. */
struct sluice_share_place {
	/* One domain (one VFIO container) for each number, from 0. */
	uint32_t domain;
	/* The kernel's page tables in it, from 0: a mapping is written to each,
	 * by one call. */
	uint32_t table;
	/* Why it is not in the domain, or not in the table, of the group with
	 * the lowest number; "" where it is. */
	char why[160];
};

/**
 * sluice_share_partition() - the fewest domains that a set of groups needs.
 * @groups: nr groups, in any order
 * @ret_place: nr places, in the order of groups
 *
 * Groups share a domain unless their IOMMUs have no page size or no address in
 * common, or belong to different kinds of VFIO container. In a domain they
 * share a table when their IOMMUs are of one family and agree on coherency and
 * snooping. The answer does not depend on the order of the groups: domains and
 * tables are numbered in order of the lowest group in each.
 *
 * Thread: any. Blocks: no. Returns: how many domains; -EINVAL for NULL, or two
 * groups of one id.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_share_partition(
        const struct sluice_share_group *groups, uint32_t nr,
        struct sluice_share_place *ret_place);

#ifdef __cplusplus
}
#endif
#endif
