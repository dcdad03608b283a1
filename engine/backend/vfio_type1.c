/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The VFIO type1 backend: a container, the groups in it, and the control calls
 * on it. Knows VFIO's container and group ioctls and turns their refusals into
 * advice; lanes go through vfio_type1_helper.c.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

#define PREFAULT (UINT64_C(4) << 20) /* see docs/decisions/0014 */
#define CONTAINER "/dev/vfio/vfio"

static void t1_warn(struct t1 *t1, const char *what, int rc)
{
	char text[160];

	if (!t1->log)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, msg_errname(rc));
	t1->log(t1->log_ctx, SLUICE_LOG_WARN, text);
}

/* ---- attach and detach ---- */

static int why_no_group(int rc)
{
	if (rc == -EPERM)
		return msg_lit(rc, "the kernel refuses the group: interrupt "
		                   "remapping is off; turn it on, or load "
		                   "vfio_iommu_type1 with "
		                   "allow_unsafe_interrupts=1");
	if (rc == -EBUSY)
		return msg_lit(rc, "the group is in use elsewhere: close the "
		                   "other container or program that holds it");
	if (rc == -EINVAL)
		return msg_lit(rc, "the group is in another container, or its "
		                   "IOMMU is not compatible with the groups "
		                   "that share this domain: attach it to a "
		                   "domain of its own");
	return msg_fmt(rc, "attaching the group to the container failed: %s",
	               msg_errname(rc));
}

static int group_ioctl(struct t1 *t1, struct sluice_group *group,
                       unsigned long request, int *fd)
{
	return t1_ioctl(t1, grp_fd(group), request, fd);
}

static int refresh(struct t1 *t1)
{
	struct t1_info info;
	int rc = t1_info_get(t1->fd, &info);

	if (rc)
		return rc;
	free(t1->info.ranges);
	t1->info = info;
	t1_set_left(t1, info.has_avail ? info.avail : UINT64_MAX);
	t1_budget_begin(t1);
	return 0;
}

static int attach_locked(struct t1 *t1, struct sluice_group *group)
{
	struct sluice_group **more =
	        realloc(t1->group, (t1->nr_groups + 1) * sizeof(*more));
	int rc;

	if (!more)
		return msg_lit(-ENOMEM, "no memory to attach a group");
	t1->group = more;
	rc = group_ioctl(t1, group, VFIO_GROUP_SET_CONTAINER, &t1->fd);
	if (rc < 0)
		return why_no_group(rc);
	if (t1->nr_groups == 0)
		rc = t1_ioctl(t1, t1->fd, VFIO_SET_IOMMU,
		              (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	rc = rc < 0 ? why_no_group(rc) : refresh(t1);
	if (rc < 0) {
		int undo = group_ioctl(t1, group, VFIO_GROUP_UNSET_CONTAINER,
		                       NULL);

		if (undo < 0)
			t1_warn(t1, "a group stays in its container", undo);
		return rc;
	}
	t1->group[t1->nr_groups++] = group;
	return 0;
}

static int t1_attach(struct backend *be, struct sluice_group *group)
{
	struct t1 *t1 = (struct t1 *)be;
	int rc;

	t1_lock(t1);
	rc = attach_locked(t1, group);
	t1_unlock(t1);
	return rc;
}

static int detach_locked(struct t1 *t1, struct sluice_group *group, bool drop)
{
	uint32_t i = 0;
	int rc;

	while (i < t1->nr_groups && t1->group[i] != group)
		i++;
	if (i == t1->nr_groups)
		return msg_lit(-ENOENT, "the group is not attached to this "
		                        "domain");
	/* Without a group the kernel drops the IOMMU and every mapping. */
	if (t1->nr_groups == 1 && t1->own.nr && !drop)
		return msg_fmt(
		        -EBUSY,
		        "the domain's last group cannot go while %u "
		        "mappings live: unmap them first, or destroy the "
		        "domain",
		        t1->own.nr);
	rc = group_ioctl(t1, group, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (rc == -EBUSY)
		return msg_lit(rc, "devices of the group are open: close their "
		                   "descriptors first");
	/* The kernel has taken it out: its devices are gone. */
	if (rc == -EINVAL)
		rc = 0;
	if (rc < 0)
		return msg_fmt(rc, "VFIO_GROUP_UNSET_CONTAINER: %s",
		               msg_errname(rc));
	t1->group[i] = t1->group[--t1->nr_groups];
	if (t1->nr_groups == 0) {
		own_free(&t1->own);
		t1->own = (struct t1_own){0};
		return 0;
	}
	rc = refresh(t1);
	if (rc) /* the old ranges hold for the groups that remain */
		t1_warn(t1, "the usable ranges were not read again", rc);
	return 0;
}

static int t1_detach(struct backend *be, struct sluice_group *group, bool drop)
{
	struct t1 *t1 = (struct t1 *)be;
	int rc;

	t1_lock(t1);
	rc = detach_locked(t1, group, drop);
	t1_unlock(t1);
	return rc;
}

/* ---- control calls ---- */

static int why_no_map(int rc, uint64_t iova, uint64_t len)
{
	unsigned long long at = iova, bytes = len;

	switch (rc) {
	case -EEXIST:
		return msg_fmt(rc,
		               "a part of IOVA 0x%llx, %llu bytes, is mapped "
		               "already",
		               at, bytes);
	case -ENODEV:
		return msg_lit(rc, "no group is attached to the domain: call "
		                   "sluice_domain_attach() first");
	case -EFAULT:
		return msg_lit(rc, "the memory to be mapped is not there, or "
		                   "read-only memory was to be written");
	default:
		return msg_fmt(rc,
		               "the kernel refuses IOVA 0x%llx, %llu bytes: "
		               "%s; it must lie in the domain's aperture, in "
		               "whole pages",
		               at, bytes, msg_errname(rc));
	}
}

static int t1_map_now(struct backend *be, uint64_t iova, uint64_t va,
                      uint64_t len, uint32_t prot)
{
	struct t1 *t1 = (struct t1 *)be;
	struct be_seg seg = {va, len};
	struct sluice_budget b = BE_BUDGET_FREE;
	bool full;
	int rc;

	t1_lock(t1);
	t1_budget_turn(t1);
	rc = t1_map(t1, iova, &seg, 1, prot);
	full = rc == -ENOSPC || rc == -ENOMEM;
	if (full)
		t1_budget_fill(t1, &b);
	t1_unlock(t1);
	if (full)
		return t1_why_full(rc, len, &b);
	return rc ? why_no_map(rc, iova, len) : 0;
}

static int t1_unmap_now(struct backend *be, uint64_t iova, uint64_t len)
{
	struct t1 *t1 = (struct t1 *)be;
	struct t1_cut cut = {.iova = iova};

	if (!range_last(iova, len, &cut.last))
		return msg_lit(-EINVAL, "the range is empty or wraps");
	t1_lock(t1);
	t1_unmap(t1, &cut, 1);
	t1_unlock(t1);
	if (cut.res)
		return msg_fmt(cut.res, "unmapping IOVA 0x%llx, %llu bytes: %s",
		               (unsigned long long)iova,
		               (unsigned long long)len, msg_errname(cut.res));
	return 0;
}

static int t1_usable(struct backend *be, struct sluice_range *ranges,
                     uint32_t max)
{
	struct t1 *t1 = (struct t1 *)be;
	int nr = -ENODEV;

	t1_lock(t1);
	if (t1_has_iommu(t1)) {
		nr = (int)t1->info.nr_ranges;
		memcpy(ranges, t1->info.ranges,
		       min_u64(max, t1->info.nr_ranges) * sizeof(*ranges));
	}
	t1_unlock(t1);
	return nr < 0 ? msg_lit(nr, "no group is attached to the domain: call "
	                            "sluice_domain_attach() first")
	              : nr;
}

static bool t1_mapped(struct backend *be, uint64_t iova, uint64_t last,
                      struct sluice_range *ret_mapping)
{
	struct t1 *t1 = (struct t1 *)be;
	bool found;

	t1_lock(t1);
	found = own_first(&t1->own, iova, last, ret_mapping);
	t1_unlock(t1);
	return found;
}

/* A command that only asks, should a kernel ever take VFIO's ioctls this way.
 */
static int t1_uring_cmd(struct backend *be)
{
	return fabric_uring_cmd(((struct t1 *)be)->fd, VFIO_GET_API_VERSION);
}

static void t1_tune(struct backend *be, uint32_t batch_us, uint32_t batch_max,
                    uint64_t prefault_bytes)
{
	struct t1 *t1 = (struct t1 *)be;

	st_rlx(&t1->batch_us, batch_us);
	st_rlx(&t1->batch_max, batch_max ? batch_max : T1_BATCH);
	st_rlx(&t1->prefault_bytes, prefault_bytes ? prefault_bytes : PREFAULT);
}

static uint64_t t1_mappings_left(struct backend *be)
{
	struct t1 *t1 = (struct t1 *)be;

	if (t1->adopted) {
		t1_lock(t1);
		t1_recount(t1);
		t1_unlock(t1);
	}
	return ld_rlx(&t1->shown_left);
}

static void t1_counters(struct backend *be, struct be_counters *ret)
{
	struct t1 *t1 = (struct t1 *)be;

	*ret = (struct be_counters){
	        .kernel_maps = ld_rlx(&t1->kernel_maps),
	        .kernel_unmaps = ld_rlx(&t1->kernel_unmaps),
	        .kernel_errors = ld_rlx(&t1->kernel_errors),
	};
}

/* ---- life ---- */

static void t1_destroy(struct backend *be)
{
	struct t1 *t1 = (struct t1 *)be;

	if (!t1)
		return;
	t1_helper_stop(t1);
	for (uint32_t i = 0; i < t1->nr_groups; i++) {
		int rc = group_ioctl(t1, t1->group[i],
		                     VFIO_GROUP_UNSET_CONTAINER, NULL);

		if (rc < 0)
			t1_warn(t1, "a group stays in its container", rc);
	}
	if (t1->adopted)
		t1_leave(t1);
	else if (t1->fd >= 0)
		(void)sys->close(t1->fd);
	own_free(&t1->own);
	free(t1->info.ranges);
	free(t1->group);
	pthread_mutex_destroy(&t1->lock);
	free(t1);
}

static const struct backend_ops t1_ops = {
        .name = "type1",
        .attach = t1_attach,
        .detach = t1_detach,
        .usable = t1_usable,
        .map_now = t1_map_now,
        .unmap_now = t1_unmap_now,
        .destroy = t1_destroy,
        .submit = t1_submit,
        .uring_cmd = t1_uring_cmd,
        .hurry = t1_hurry,
        .tune = t1_tune,
        .mappings_left = t1_mappings_left,
        .counters = t1_counters,
        .budget = t1_budget,
        .mapped = t1_mapped,
};

static int why_no_container(int rc)
{
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		return msg_lit(rc == -ENXIO ? -ENODEV : rc,
		               "no " CONTAINER ": run `modprobe vfio-pci` "
		               "and `modprobe vfio_iommu_type1`, and check "
		               "that the IOMMU is on");
	if (rc == -EACCES || rc == -EPERM)
		return msg_lit(rc, "no permission to open " CONTAINER
		                   ": run as root, or give this user access to "
		                   "it and to the group's file beside it");
	return msg_fmt(rc, "opening " CONTAINER ": %s", msg_errname(rc));
}

static int open_container(struct t1 *t1)
{
	int rc = sys->open(CONTAINER, O_RDWR | O_CLOEXEC);

	if (rc < 0)
		return why_no_container(rc);
	t1->fd = rc;
	rc = t1_ioctl(t1, t1->fd, VFIO_GET_API_VERSION, NULL);
	if (rc < 0)
		return msg_fmt(-ENODEV,
		               CONTAINER " is no VFIO container (%s): run "
		                         "`modprobe vfio`",
		               msg_errname(rc));
	if (rc != VFIO_API_VERSION)
		return msg_fmt(-ENODEV,
		               "VFIO API version %d instead of %d: this kernel "
		               "is not understood",
		               rc, VFIO_API_VERSION);
	rc = t1_ioctl(t1, t1->fd, VFIO_CHECK_EXTENSION,
	              (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	if (rc <= 0)
		return msg_lit(-ENODEV,
		               "this kernel offers no VFIO type1 v2 IOMMU: run "
		               "`modprobe vfio_iommu_type1`");
	return 0;
}

/* fd: the container to adopt; -1: one of our own. */
static int create(int fd,
                  void (*log)(void *ctx, enum sluice_log_level level,
                              const char *text),
                  void *log_ctx, struct backend **ret_be)
{
	struct t1 *t1 = aligned_alloc(_Alignof(struct t1), sizeof(*t1));
	int rc;

	if (!t1)
		return msg_lit(-ENOMEM, "no memory for a container");
	memset(t1, 0, sizeof(*t1));
	t1->be.ops = &t1_ops;
	t1->log = log;
	t1->log_ctx = log_ctx;
	t1->fd = -1;
	t1_tune(&t1->be, 0, 0, 0);
	t1_set_left(t1, UINT64_MAX);
	pthread_mutex_init(&t1->lock, NULL);
	rc = fd < 0 ? open_container(t1) : t1_adopt(t1, fd);
	if (rc == 0)
		rc = t1_helper_start(t1);
	if (rc) {
		t1_destroy(&t1->be);
		return rc;
	}
	*ret_be = &t1->be;
	return 0;
}

int be_type1_create(void (*log)(void *ctx, enum sluice_log_level level,
                                const char *text),
                    void *log_ctx, struct backend **ret_be)
{
	return create(-1, log, log_ctx, ret_be);
}

int be_type1_adopt(int fd,
                   void (*log)(void *ctx, enum sluice_log_level level,
                               const char *text),
                   void *log_ctx, struct backend **ret_be)
{
	return create(fd, log, log_ctx, ret_be);
}
