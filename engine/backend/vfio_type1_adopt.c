/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The type1 backend as a guest in a container of somebody else: its descriptor,
 * its groups and its mappings stay the owner's, who may map and unmap at any
 * time. Knows what of it is ours (the set of own mappings), nothing of the
 * owner.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/vfio.h>

int t1_adopt(struct t1 *t1, int fd)
{
	int rc = t1_ioctl(t1, fd, VFIO_GET_API_VERSION, NULL);

	if (rc != VFIO_API_VERSION)
		return msg_fmt(-EINVAL,
		               "descriptor %d is no VFIO container that is "
		               "understood: hand over the one that was opened "
		               "from /dev/vfio/vfio",
		               fd);
	rc = t1_info_get(fd, &t1->info);
	/* Without a group, or with one and no IOMMU driver, a container knows
	 * no such call. */
	if (rc == -EINVAL || rc == -ENOTTY)
		return msg_lit(
		        -ENODEV,
		        "the container has no type1 IOMMU yet: let its "
		        "owner attach a group and set the IOMMU first "
		        "(DPDK: probe a port that is bound to vfio-pci)");
	if (rc)
		return rc;
	t1->fd = fd;
	t1->adopted = true;
	t1_set_left(t1, t1->info.has_avail ? t1->info.avail : UINT64_MAX);
	t1_budget_begin(t1);
	return 0;
}

void t1_leave(struct t1 *t1)
{
	char text[96];

	for (uint64_t i = 0; t1->own.slot && i < bit64(t1->own.size_lg2); i++) {
		/* What is removed lets later ones of the set move up. */
		while (t1->own.slot[i].len) {
			struct t1_piece *p = &t1->own.slot[i];
			struct t1_cut cut = {
			        .iova = p->iova,
			        .last = p->iova + (p->len - 1),
			};

			t1_unmap(t1, &cut, 1);
			if (cut.res == 0)
				continue;
			snprintf(text, sizeof(text),
			         "IOVA 0x%llx stays mapped in a container of "
			         "somebody else: %s",
			         (unsigned long long)cut.iova,
			         msg_errname(cut.res));
			if (t1->log)
				t1->log(t1->log_ctx, SLUICE_LOG_ERROR, text);
			break;
		}
	}
}

void t1_recount(struct t1 *t1)
{
	struct t1_info info;

	if (!t1->adopted || t1_info_get(t1->fd, &info))
		return;
	t1_set_left(t1, info.has_avail ? info.avail : UINT64_MAX);
	free(info.ranges);
}
