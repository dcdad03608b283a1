/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO_IOMMU_GET_INFO and its capability chain: usable IOVA ranges, mappings
 * that are left, page sizes. Knows the layout of linux/vfio.h and believes no
 * offset, count or size in it.
 */
#include "engine/backend/vfio_type1_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

#define INFO_MAX (1u << 20) /* more than a thousand times what kernels send */
#define INFO_TRIES 4        /* the chain may grow between two calls */

static int bad(const char *what)
{
	return msg_fmt(-EPROTO,
	               "VFIO_IOMMU_GET_INFO: %s: this kernel's answer is not "
	               "understood",
	               what);
}

static int parse_ranges(const uint8_t *cap, size_t room, struct t1_info *info)
{
	struct vfio_iommu_type1_info_cap_iova_range head;
	uint64_t at = 0;

	if (info->ranges)
		return bad("two lists of IOVA ranges");
	if (room < sizeof(head))
		return bad("IOVA ranges cut off");
	memcpy(&head, cap, sizeof(head));
	if (head.nr_iovas == 0 ||
	    head.nr_iovas > (room - sizeof(head)) / sizeof(*head.iova_ranges))
		return bad("impossible number of IOVA ranges");
	info->ranges = calloc(head.nr_iovas, sizeof(*info->ranges));
	if (!info->ranges)
		return msg_lit(-ENOMEM, "no memory for the IOVA ranges");
	for (uint32_t i = 0; i < head.nr_iovas; i++) {
		struct vfio_iova_range r;

		memcpy(&r, cap + sizeof(head) + i * sizeof(r), sizeof(r));
		if (r.start > r.end || (i && r.start <= at))
			return bad("IOVA ranges not ascending");
		at = r.end;
		info->ranges[i] = (struct sluice_range){r.start, r.end};
	}
	info->nr_ranges = head.nr_iovas;
	return 0;
}

static int parse_avail(const uint8_t *cap, size_t room, struct t1_info *info)
{
	struct vfio_iommu_type1_info_dma_avail c;

	if (room < sizeof(c))
		return bad("number of mappings cut off");
	memcpy(&c, cap, sizeof(c));
	info->avail = c.avail;
	info->has_avail = true;
	return 0;
}

static int parse_chain(const uint8_t *buf, size_t size, uint32_t at,
                       struct t1_info *info)
{
	size_t low = offsetof(struct vfio_iommu_type1_info, cap_offset);

	while (at) {
		struct vfio_info_cap_header h;
		int rc = 0;

		/* Offsets must grow, or the chain could be a circle. */
		if (at < low || at > size || size - at < sizeof(h))
			return bad("capability outside the answer");
		memcpy(&h, buf + at, sizeof(h));
		low = at + sizeof(h);
		if (h.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE &&
		    h.version == 1)
			rc = parse_ranges(buf + at, size - at, info);
		else if (h.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL &&
		         h.version == 1)
			rc = parse_avail(buf + at, size - at, info);
		if (rc)
			return rc;
		at = h.next;
	}
	return 0;
}

/* Kernels before 5.4 name no ranges: then every address may do, and a MAP
 * outside the hardware's reach is refused one by one. */
static int all_ranges(struct t1_info *info)
{
	info->ranges = malloc(sizeof(*info->ranges));
	if (!info->ranges)
		return msg_lit(-ENOMEM, "no memory for the IOVA ranges");
	info->ranges[0] = (struct sluice_range){0, UINT64_MAX};
	info->nr_ranges = 1;
	return 0;
}

int t1_info_parse(const void *buf, size_t size, struct t1_info *ret_info)
{
	struct vfio_iommu_type1_info head = {0};
	size_t fixed = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct t1_info info = {0};
	int rc = 0;

	if (size < fixed)
		return bad("shorter than its header");
	memcpy(&head, buf, size < sizeof(head) ? fixed : sizeof(head));
	if (head.flags & VFIO_IOMMU_INFO_PGSIZES)
		info.pgsizes = head.iova_pgsizes;
	if (head.flags & VFIO_IOMMU_INFO_CAPS && size >= sizeof(head))
		rc = parse_chain(buf, size, head.cap_offset, &info);
	if (rc == 0 && !info.ranges)
		rc = all_ranges(&info);
	if (rc) {
		free(info.ranges);
		return rc;
	}
	*ret_info = info;
	return 0;
}

int t1_info_get(int fd, struct t1_info *ret_info)
{
	uint32_t size = sizeof(struct vfio_iommu_type1_info);

	for (int i = 0; i < INFO_TRIES; i++) {
		struct vfio_iommu_type1_info *buf = calloc(1, size);
		uint32_t told;
		int rc;

		if (!buf)
			return msg_lit(-ENOMEM, "no memory for IOMMU info");
		buf->argsz = size;
		rc = sys->ioctl(fd, VFIO_IOMMU_GET_INFO, buf);
		told = buf->argsz;
		if (rc == 0 && told <= size)
			rc = t1_info_parse(buf, told, ret_info);
		else if (rc < 0)
			msg_fmt(rc, "VFIO_IOMMU_GET_INFO: %s", msg_errname(rc));
		free(buf);
		if (rc < 0)
			return rc;
		if (told <= size)
			return 0;
		if (told > INFO_MAX)
			return bad("impossible size");
		size = told;
	}
	return bad("size changes with every call");
}
