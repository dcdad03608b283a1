/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens a group's device node. The kernel is the judge of viability where it
 * can be asked: it knows drivers that this library does not. Where the node
 * cannot be opened, sysfs names the member that is in the way.
 */
#include "groups/open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "groups/read.h"
#include "groups/viable.h"
#include "util/util.h"

/* No node although nothing blocks the group: no member has a VFIO driver, or
 * it has one and /dev does not show it. */
static int no_node(const struct sluice_group_info *info, const char *bdf,
                   const char *path)
{
	const struct sluice_group_member *m = grp_member(info, bdf);
	char todo[300] = "", name[64], driver[64];

	for (uint32_t i = 0; i < info->nr_members; i++)
		if (info->members[i].is_vfio)
			return msg_fmt(-ENOENT,
			               "%.100s does not exist, although %s is "
			               "bound to %s: 'modprobe vfio-pci', and "
			               "look whether /dev is complete here "
			               "(containers: pass the node in) and "
			               "the kernel has VFIO_GROUP",
			               path,
			               viable_name(info->members[i].name, name,
			                           sizeof(name)),
			               viable_name(info->members[i].driver,
			                           driver, sizeof(driver)));
	if (m && m->is_bridge)
		return msg_fmt(-ENOENT,
		               "%.100s does not exist: %s is a bridge, bind "
		               "an endpoint of group %d to vfio-pci ('sluice "
		               "groups --explain %s' shows how)",
		               path, bdf, info->id, bdf);
	if (m &&
	    viable_commands(m, "; ", "", todo, sizeof(todo)) >= sizeof(todo))
		todo[0] = '\0';
	return msg_fmt(-ENOENT,
	               "%.100s does not exist: no device of group %d is bound "
	               "to a VFIO driver. As root: modprobe vfio-pci%s",
	               path, info->id, todo);
}

static int node_refused(const struct sluice_group_info *info, const char *bdf,
                        const char *path, int rc)
{
	if (rc == -EBUSY)
		return msg_fmt(rc,
		               "group %d of %s is open already: one "
		               "process at a time, once. 'fuser -v %.200s' "
		               "shows which",
		               info->id, bdf, path);
	if (!info->viable)
		return viable_refuse(info);
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
		return no_node(info, bdf, path);
	case -EACCES:
		return msg_fmt(rc,
		               "no permission to open %.100s: 'chown $USER "
		               "%.100s' as root, or for good a udev rule: "
		               "SUBSYSTEM==\"vfio\", GROUP=\"vfio\", "
		               "MODE=\"0660\" and be in that group",
		               path, path);
	case -EPERM:
		return msg_fmt(rc,
		               "the kernel forbids %.200s: a container's "
		               "device rules? Pass the node in (docker: "
		               "--device), with /dev/vfio/vfio",
		               path);
	case -ENODEV:
	case -ENXIO:
		return msg_fmt(-ENODEV, "group %d went away: %s was removed?",
		               info->id, bdf);
	case -EMFILE:
	case -ENFILE:
		return msg_lit(rc, "too many open files: raise 'ulimit -n'");
	default:
		return msg_fmt(rc, "cannot open %.200s: %s", path,
		               strerror(-rc));
	}
}

static int check_status(int fd, const struct sluice_group_info *info,
                        const char *path)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	int rc = sys->ioctl(fd, VFIO_GROUP_GET_STATUS, &status);

	if (rc == -ENOTTY || rc == -EINVAL)
		return msg_fmt(-ENOTTY, "%.200s is no VFIO group", path);
	if (rc < 0)
		return msg_fmt(rc, "cannot ask for the state of group %d: %s",
		               info->id, strerror(-rc));
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return msg_fmt(-EBUSY,
		               "group %d is in a container already: another "
		               "user of this process or of a parent has it",
		               info->id);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return viable_refuse(info);
	return 0;
}

int open_node(const struct sluice_group_info *info, const char *bdf,
              const char *dev_root)
{
	char path[PATH_MAX];
	int n, fd, rc;

	n = snprintf(path, sizeof(path), "%s/%d",
	             dev_root ? dev_root : "/dev/vfio", info->id);
	if (n < 0 || (size_t)n >= sizeof(path))
		return msg_lit(-EINVAL, "the path of the VFIO nodes is too "
		                        "long");
	fd = sys->open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return node_refused(info, bdf, path, fd);
	rc = check_status(fd, info, path);
	if (rc) {
		(void)sys->close(fd);
		return rc;
	}
	return fd;
}
