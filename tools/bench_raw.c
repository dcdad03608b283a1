/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench_raw.h"

#include "tools/bench.h"
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int refused(const char *what)
{
	return tool_failed(BENCH_CMD, "raw container: %s: %s", what,
	                   strerror(errno));
}

static int open_group(const char *bdf)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
	         bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -1;
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%.16s", basename(link));
	return open(path, O_RDWR | O_CLOEXEC);
}

int bench_raw_open(const char *bdf, struct bench_raw *raw)
{
	raw->group = -1;
	raw->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (raw->container < 0)
		return refused("/dev/vfio/vfio");
	raw->group = open_group(bdf);
	if (raw->group < 0)
		return refused(bdf);
	if (ioctl(raw->group, VFIO_GROUP_SET_CONTAINER, &raw->container))
		return refused("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(raw->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return refused("VFIO_SET_IOMMU");
	return TOOL_OK;
}

void bench_raw_close(struct bench_raw *raw)
{
	if (raw->group >= 0) {
		(void)ioctl(raw->group, VFIO_GROUP_UNSET_CONTAINER);
		close(raw->group);
	}
	if (raw->container >= 0)
		close(raw->container);
	raw->group = raw->container = -1;
}

int bench_raw_map(const struct bench_raw *raw, uint64_t iova, uint64_t va,
                  uint64_t len, uint32_t prot)
{
	struct vfio_iommu_type1_dma_map map = {
	        .argsz = sizeof(map),
	        .flags = (prot & SLUICE_READ ? VFIO_DMA_MAP_FLAG_READ : 0u) |
	                 (prot & SLUICE_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0u),
	        .vaddr = va,
	        .iova = iova,
	        .size = len,
	};

	return ioctl(raw->container, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

int bench_raw_unmap(const struct bench_raw *raw, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
	        .argsz = sizeof(unmap),
	        .iova = iova,
	        .size = len,
	};

	return ioctl(raw->container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? -errno : 0;
}
