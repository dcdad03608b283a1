/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One open VFIO group: found by a member's address, checked, opened, lent to a
 * domain, closed. Knows VFIO's group calls (linux/vfio.h) and how they fail;
 * the container, and so every mapping, is the engine's business.
 */
#include "groups/grp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/mem.h"
#include "groups/open.h"
#include "groups/parse.h"
#include "groups/read.h"
#include "groups/sysfs.h"
#include "groups/viable.h"
#include "util/util.h"

struct sluice_group {
	int fd;
	struct home *home;
	void *owner;
	struct grp_mem mem;
	struct sluice_group_info info;
	char bdf[GRP_BDF_LEN];
};

/* The number of the group that sysfs links the device to. */
static int find_id(struct grp_mem *mem, int root, const char *bdf, int *ret_id)
{
	char path[64];
	const char *name;
	int dir, rc;

	snprintf(path, sizeof(path), "bus/pci/devices/%s", bdf);
	dir = sysfs_dir(root, path);
	if (dir == -ENOENT || dir == -ENOTDIR)
		return msg_fmt(-ENODEV,
		               "no PCI device %s: 'lspci -D' lists them", bdf);
	if (dir < 0)
		return msg_fmt(dir, "cannot look at %s in sysfs: %s", bdf,
		               strerror(-dir));
	rc = sysfs_link_name(mem, dir, "iommu_group", &name);
	(void)sys->close(dir);
	if (rc == -ENOENT)
		return msg_fmt(rc,
		               "%s is in no IOMMU group: no IOMMU translates "
		               "its DMA. Switch it on in the firmware (VT-d, "
		               "AMD-Vi, SMMU) and boot with intel_iommu=on "
		               "(Intel) or iommu.passthrough=0 (Arm); 'dmesg "
		               "| grep -i -e DMAR -e IOMMU' tells",
		               bdf);
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory while opening a group");
	if (rc || !grp_id_parse(name, ret_id))
		return msg_fmt(-EBADMSG,
		               "the iommu_group link of %s leads to no group",
		               bdf);
	return 0;
}

static int describe(struct sluice_group *g, int root)
{
	int id = 0;
	int rc = find_id(&g->mem, root, g->bdf, &id);

	if (rc)
		return rc;
	rc = grp_read_one(&g->mem, root, id, &g->info);
	if (rc == -ENOENT || (rc == 0 && !grp_member(&g->info, g->bdf)))
		return msg_fmt(-ENODEV,
		               "group %d of %s changed while it was read: the "
		               "device is being removed or added, try again",
		               id, g->bdf);
	if (rc)
		return rc;
	if (g->info.name && strcmp(g->info.name, "vfio-noiommu") == 0)
		return msg_fmt(-ENOENT,
		               "group %d of %s is a no-IOMMU group: nothing "
		               "translates its DMA, so there is nothing for a "
		               "domain to do. Switch the IOMMU on",
		               id, g->bdf);
	return 0;
}

int sluice_group_open(const char *bdf, const struct sluice_group_cfg *cfg,
                      struct sluice_group **ret_group)
{
	static const struct sluice_group_cfg defaults;
	struct sluice_group *g;
	char parsed[GRP_BDF_LEN], shown[64];
	int root, rc;

	if (!ret_group)
		return msg_lit(-EINVAL, "ret_group is NULL");
	if (!grp_bdf_parse(bdf, parsed))
		return msg_fmt(
		        -EINVAL,
		        "'%s' is no PCI address: write it like "
		        "0000:01:00.0",
		        viable_name(bdf ? bdf : "", shown, sizeof(shown)));
	if (!cfg)
		cfg = &defaults;
	root = grp_root_open(cfg->sysfs_root);
	if (root < 0)
		return root;
	g = calloc(1, sizeof(*g));
	if (!g) {
		(void)sys->close(root);
		return msg_lit(-ENOMEM, "out of memory while opening a group");
	}
	memcpy(g->bdf, parsed, sizeof(g->bdf));
	rc = describe(g, root);
	(void)sys->close(root);
	if (rc == 0 && home_open(&g->home))
		rc = msg_lit(-ENOMEM, "out of memory while opening a group");
	if (rc == 0)
		rc = open_node(&g->info, g->bdf, cfg->dev_root);
	if (rc < 0) {
		home_close(g->home);
		grp_free(&g->mem);
		free(g);
		return rc;
	}
	g->fd = rc;
	*ret_group = g;
	return 0;
}

int sluice_group_close(struct sluice_group *group)
{
	if (!group)
		return 0;
	if (group->owner)
		return msg_fmt(-EBUSY,
		               "group %d is attached to a domain: call "
		               "sluice_domain_detach() first",
		               group->info.id);
	/* Linux frees the descriptor whatever close() answers. */
	(void)sys->close(group->fd);
	home_close(group->home);
	grp_free(&group->mem);
	free(group);
	return 0;
}

int sluice_group_id(const struct sluice_group *group)
{
	return group ? group->info.id : -EINVAL;
}

const struct sluice_group_info *sluice_group_describe(
        const struct sluice_group *group)
{
	return group ? &group->info : NULL;
}

int grp_check(const struct sluice_group *group)
{
	if (home_mine(group->home))
		return 0;
	return msg_lit(-EPERM, "this group belongs to another process: it was "
	                       "opened before a fork(). One process at a time "
	                       "can have it");
}

static int device_refused(const struct sluice_group *g, const char *name,
                          int rc)
{
	char shown[64];

	viable_name(name, shown, sizeof(shown));
	switch (rc) {
	case -ENODEV:
		return msg_fmt(rc,
		               "%s is not bound to a VFIO driver, only its "
		               "group is usable: echo vfio-pci > "
		               "/sys/bus/pci/devices/%s/driver_override; echo "
		               "%s > /sys/bus/pci/drivers_probe",
		               shown, shown, shown);
	case -EBUSY:
		return msg_fmt(rc,
		               "%s is in use: by another process, or it "
		               "is being reset",
		               shown);
	case -EMFILE:
	case -ENFILE:
		return msg_lit(rc, "too many open files: raise 'ulimit -n'");
	default:
		return msg_fmt(rc, "the kernel did not open %s of group %d: %s",
		               shown, g->info.id, strerror(-rc));
	}
}

int sluice_group_device_open(struct sluice_group *group, const char *bdf,
                             int *ret_fd)
{
	const struct sluice_group_member *m;
	char name[256], shown[64];
	int rc;

	if (!group || !ret_fd)
		return msg_lit(-EINVAL, "group or ret_fd is NULL");
	if (!bdf)
		bdf = group->bdf;
	if (grp_check(group))
		return -EPERM;
	m = grp_member(&group->info, bdf);
	if (!m)
		return msg_fmt(-ENODEV, "%s is no member of group %d",
		               viable_name(bdf, shown, sizeof(shown)),
		               group->info.id);
	if (!group->owner)
		return msg_fmt(-ENOTCONN,
		               "group %d is attached to no domain, so %s has "
		               "no addresses: call sluice_domain_attach() "
		               "first",
		               group->info.id, group->bdf);
	if ((size_t)snprintf(name, sizeof(name), "%s", m->name) >= sizeof(name))
		return msg_lit(-EINVAL, "the name of the device is too long");
	rc = sys->ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	if (rc < 0)
		return device_refused(group, name, rc);
	*ret_fd = rc;
	return 0;
}

const char *grp_bdf(const struct sluice_group *group)
{
	return group->bdf;
}

int grp_fd(const struct sluice_group *group)
{
	return group->fd;
}

void grp_set_attached(struct sluice_group *group, void *owner)
{
	group->owner = owner;
}

void *grp_attached(const struct sluice_group *group)
{
	return group->owner;
}

const struct sluice_group_region *grp_regions(const struct sluice_group *group,
                                              uint32_t *ret_nr)
{
	*ret_nr = group->info.nr_regions;
	return group->info.regions;
}
