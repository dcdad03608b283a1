/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an IOMMU can do, from the registers that its driver shows in sysfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sluice/share.h>

#include "groups/read.h"
#include "groups/sysfs.h"
#include "groups/viable.h"
#include "util/util.h"

/* Intel VT-d 4.1, 11.4.2: the capability register. */
#define VTD_CAP_MGAW(cap) (((cap) >> 16 & 0x3f) + 1)
#define VTD_CAP_2M(cap) ((cap) >> 34 & 1)
#define VTD_CAP_1G(cap) ((cap) >> 35 & 1)
/* 11.4.3: the extended one. */
#define VTD_ECAP_COHERENT(ecap) ((ecap)&1)
#define VTD_ECAP_SNOOP(ecap) ((ecap) >> 7 & 1)
/* AMD I/O Virtualization Technology 3.08, 2.2.3: v1 tables have leaves of any
 * power of two; accesses snoop unless a device asks otherwise. */
#define AMD_PAGE_SIZES (~UINT64_C(0) << 12)

static const struct {
	const char *prefix;
	const char *family;
} families[] = {
        {"dmar", "vtd"},        {"ivhd", "amdvi"},
        {"smmu3", "smmuv3"},    {"arm-smmu", "smmu"},
        {"smmu", "smmu"},       {"s390-iommu", "s390"},
        {"iommu-phb", "power"}, {"riscv-iommu", "riscv"},
        {"virtio", "virtio"},
};

/* virtio-iommu's are named after their PCI function. */
static const char *family_of(const char *name)
{
	for (size_t i = 0; i < NR_OF(families); i++)
		if (!strncmp(name, families[i].prefix,
		             strlen(families[i].prefix)))
			return families[i].family;
	return strchr(name, ':') ? "virtio" : "other";
}

static int read_vtd(int dir, struct sluice_share_caps *c)
{
	uint64_t cap, ecap;
	int rc = sysfs_hex(dir, "intel-iommu/cap", UINT64_MAX, &cap);

	if (rc == 0)
		rc = sysfs_hex(dir, "intel-iommu/ecap", UINT64_MAX, &ecap);
	if (rc)
		return sysfs_lacking(rc) ? rc : 0;
	c->page_sizes =
	        bit64(12) | VTD_CAP_2M(cap) << 21 | VTD_CAP_1G(cap) << 30;
	c->iova_bits = (uint32_t)VTD_CAP_MGAW(cap);
	c->coherent = VTD_ECAP_COHERENT(ecap) ? SLUICE_YES : SLUICE_NO;
	c->snoop = VTD_ECAP_SNOOP(ecap) ? SLUICE_YES : SLUICE_NO;
	return 0;
}

static int read_one(int root, const char *name, struct sluice_share_caps *c)
{
	char path[300], shown[64];
	int dir, rc = 0;

	viable_name(name, shown, sizeof(shown));
	snprintf(path, sizeof(path), "class/iommu/%s", name);
	dir = sysfs_dir(root, path);
	if (dir < 0)
		return sysfs_lacking(dir)
		               ? msg_fmt(dir, "cannot read IOMMU %s: %s", shown,
		                         msg_errname(dir))
		               : msg_fmt(-ENOENT,
		                         "there is no IOMMU %s: sluice groups "
		                         "--json lists them",
		                         shown);
	*c = (struct sluice_share_caps){
	        .iommu = name,
	        .family = family_of(name),
	        .coherent = SLUICE_UNKNOWN,
	        .snoop = SLUICE_UNKNOWN,
	};
	if (!strcmp(c->family, "vtd")) {
		rc = read_vtd(dir, c);
	} else if (!strcmp(c->family, "amdvi")) {
		c->page_sizes = AMD_PAGE_SIZES;
		c->iova_bits = 64;
		c->coherent = c->snoop = SLUICE_YES;
	}
	sys->close(dir);
	return rc ? msg_fmt(rc, "cannot read IOMMU %s: %s", shown,
	                    msg_errname(rc))
	          : 0;
}

int sluice_share_caps_read(const char *root, const char *name,
                           struct sluice_share_caps *ret_caps)
{
	int fd, rc;

	if (!name || !ret_caps || !*name || *name == '.' || strchr(name, '/') ||
	    strlen(name) > 255)
		return msg_lit(-EINVAL, "name must be that of an IOMMU, as "
		                        "struct sluice_group_member.iommu has "
		                        "it, and ret_caps not NULL");
	fd = grp_root_open(root);
	if (fd < 0)
		return fd;
	rc = read_one(fd, name, ret_caps);
	sys->close(fd);
	return rc;
}
