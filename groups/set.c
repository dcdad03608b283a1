/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The group set: every group of the machine, and the PCI devices that are in
 * none. A picture: it does not follow what happens later.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/group.h>

#include "groups/mem.h"
#include "groups/parse.h"
#include "groups/read.h"
#include "groups/set.h"
#include "groups/sysfs.h"
#include "util/util.h"

static int by_id(const void *a, const void *b)
{
	const struct sluice_group_info *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int listing_failed(int rc, const char *what)
{
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory while reading groups");
	return msg_fmt(rc, "cannot list %s in sysfs: %s", what, strerror(-rc));
}

static int read_groups(struct sluice_group_set *set, int root)
{
	const char *const *names;
	uint32_t nr;
	int rc, id;

	rc = sysfs_list(&set->mem, root, "kernel/iommu_groups", &names, &nr);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc)
		return listing_failed(rc, "kernel/iommu_groups");
	set->groups = grp_alloc(&set->mem, nr, sizeof(*set->groups));
	if (!set->groups)
		return listing_failed(-ENOMEM, "");
	for (uint32_t i = 0; i < nr; i++) {
		if (!grp_id_parse(names[i], &id))
			continue;
		rc = grp_read_one(&set->mem, root, id,
		                  &set->groups[set->nr_groups]);
		if (rc == 0)
			set->nr_groups++;
		else if (rc != -ENOENT)
			return rc;
	}
	if (set->nr_groups)
		qsort(set->groups, set->nr_groups, sizeof(*set->groups), by_id);
	return 0;
}

static int read_ungrouped(struct sluice_group_set *set, int root)
{
	const char *const *names;
	const char *group;
	uint32_t nr;
	int rc, dir;

	rc = sysfs_list(&set->mem, root, "bus/pci/devices", &names, &nr);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc)
		return listing_failed(rc, "bus/pci/devices");
	dir = sysfs_dir(root, "bus/pci/devices");
	if (dir < 0)
		return sysfs_lacking(dir)
		               ? listing_failed(dir, "bus/pci/devices")
		               : 0;
	set->ungrouped = grp_alloc(&set->mem, nr, sizeof(*set->ungrouped));
	rc = set->ungrouped ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		char path[NAME_MAX + sizeof("/iommu_group")];

		snprintf(path, sizeof(path), "%s/iommu_group", names[i]);
		rc = sysfs_link_name(&set->mem, dir, path, &group);
		if (sysfs_lacking(rc))
			break;
		if (rc == 0 || sluice_groups_find(set, names[i])) {
			rc = 0;
			continue;
		}
		rc = grp_read_member(&set->mem, dir, names[i], names[i],
		                     &set->ungrouped[set->nr_ungrouped]);
		/* The entry's name, wherever its link may lead. */
		if (rc == 0)
			set->ungrouped[set->nr_ungrouped++].name = names[i];
	}
	(void)sys->close(dir);
	return rc ? listing_failed(rc, "bus/pci/devices") : 0;
}

int sluice_groups_read(const char *root, struct sluice_group_set **ret_set)
{
	struct sluice_group_set *set;
	int fd, rc;

	if (!ret_set)
		return msg_lit(-EINVAL, "ret_set is NULL");
	fd = grp_root_open(root);
	if (fd < 0)
		return fd;
	set = calloc(1, sizeof(*set));
	if (!set) {
		(void)sys->close(fd);
		return listing_failed(-ENOMEM, "");
	}
	rc = read_groups(set, fd);
	if (rc == 0)
		rc = read_ungrouped(set, fd);
	(void)sys->close(fd);
	if (rc) {
		sluice_group_set_free(set);
		return rc;
	}
	*ret_set = set;
	return 0;
}

void sluice_group_set_free(struct sluice_group_set *set)
{
	if (!set)
		return;
	grp_free(&set->mem);
	free(set);
}

uint32_t sluice_groups_count(const struct sluice_group_set *set)
{
	return set ? set->nr_groups : 0;
}

const struct sluice_group_info *sluice_groups_get(
        const struct sluice_group_set *set, uint32_t n)
{
	return set && n < set->nr_groups ? &set->groups[n] : NULL;
}

const struct sluice_group_info *sluice_groups_find(
        const struct sluice_group_set *set, const char *name)
{
	if (!set || !name)
		return NULL;
	for (uint32_t i = 0; i < set->nr_groups; i++)
		if (grp_member(&set->groups[i], name))
			return &set->groups[i];
	return NULL;
}

uint32_t sluice_groups_nr_ungrouped(const struct sluice_group_set *set)
{
	return set ? set->nr_ungrouped : 0;
}

const struct sluice_group_member *sluice_groups_ungrouped(
        const struct sluice_group_set *set, uint32_t n)
{
	return set && n < set->nr_ungrouped ? &set->ungrouped[n] : NULL;
}

const char *sluice_groups_ungrouped_reason(const struct sluice_group_set *set,
                                           uint32_t n)
{
	return set && set->why && n < set->nr_ungrouped ? set->why[n] : NULL;
}
