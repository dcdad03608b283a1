/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's regions: what there is, as memory, by read and write. What the
 * kernel says is believed only where it is consistent.
 */
#include "engine/device_int.h"

#include <errno.h>
#include <sluice/device.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define INFO_MAX 65536u

/* A region as the kernel describes it, with its capabilities behind. */
struct region {
	struct vfio_region_info *info;
	const struct vfio_region_sparse_mmap_area *area; /* or NULL: all */
	uint32_t nr_areas;
};

static int ask(const struct sluice_device *dev, uint32_t index, uint32_t size,
               struct vfio_region_info **ret_info)
{
	struct vfio_region_info *info = calloc(1, size);
	int rc;

	if (!info)
		return msg_lit(-ENOMEM, "no memory to look at a region");
	info->argsz = size;
	info->index = index;
	rc = device_ioctl(dev, VFIO_DEVICE_GET_REGION_INFO, info);
	/* So it says that the device has none, of VGA for one. */
	if (rc == -EINVAL) {
		*info = (struct vfio_region_info){.index = index};
	} else if (rc < 0) {
		free(info);
		return msg_fmt(rc, "%s: the kernel shows no region %u: %s",
		               dev->name, index, msg_errname(rc));
	}
	*ret_info = info;
	return 0;
}

/* Offsets of capabilities only ever grow, so a chain ends. */
static void find_areas(struct region *region)
{
	const struct vfio_region_info *info = region->info;
	const uint8_t *base = (const void *)info;
	uint32_t at =
	        info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	while (at >= sizeof(*info) && at % 8 == 0 &&
	       at <= info->argsz - sizeof(struct vfio_info_cap_header)) {
		const struct vfio_info_cap_header *cap =
		        (const void *)(base + at);
		const struct vfio_region_info_cap_sparse_mmap *sparse =
		        (const void *)cap;

		if (cap->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP &&
		    at <= info->argsz - sizeof(*sparse) &&
		    sparse->nr_areas <= (info->argsz - at - sizeof(*sparse)) /
		                                sizeof(*sparse->areas)) {
			region->area = sparse->areas;
			region->nr_areas = sparse->nr_areas;
			return;
		}
		if (cap->next <= at)
			return;
		at = cap->next;
	}
}

static int region_get(const struct sluice_device *dev, uint32_t index,
                      struct region *ret)
{
	uint32_t size = sizeof(*ret->info);
	struct region region = {0};
	int rc;

	if (index >= dev->info.num_regions)
		return msg_fmt(-EINVAL, "%s has %u regions, no number %u",
		               dev->name, dev->info.num_regions, index);
	rc = ask(dev, index, size, &region.info);
	if (rc)
		return rc;
	if (region.info->argsz > size) {
		size = region.info->argsz;
		free(region.info);
		if (size > INFO_MAX)
			return msg_fmt(-EINVAL,
			               "%s: the kernel wants %u bytes to "
			               "describe region %u",
			               dev->name, size, index);
		rc = ask(dev, index, size, &region.info);
		if (rc)
			return rc;
		region.info->argsz = size;
	} else {
		region.info->argsz = size;
	}
	find_areas(&region);
	*ret = region;
	return 0;
}

int sluice_device_region(struct sluice_device *dev, uint32_t index,
                         struct sluice_region_info *ret_info)
{
	struct region region;
	uint32_t flags;
	int rc = device_check(dev);

	if (rc)
		return rc;
	if (!ret_info)
		return msg_lit(-EINVAL, "ret_info is NULL");
	rc = region_get(dev, index, &region);
	if (rc)
		return rc;
	flags = region.info->flags;
	*ret_info = (struct sluice_region_info){
	        .size = region.info->size,
	        .flags =
	                (flags & VFIO_REGION_INFO_FLAG_READ ? SLUICE_REGION_READ
	                                                    : 0) |
	                (flags & VFIO_REGION_INFO_FLAG_WRITE
	                         ? SLUICE_REGION_WRITE
	                         : 0) |
	                (flags & VFIO_REGION_INFO_FLAG_MMAP ? SLUICE_REGION_MAP
	                                                    : 0),
	        .nr_areas = !(flags & VFIO_REGION_INFO_FLAG_MMAP) ? 0
	                    : region.area ? region.nr_areas
	                                  : 1,
	};
	free(region.info);
	return 0;
}

/* ---- as memory ---- */

static bool mappable(const struct region *region, uint64_t offset, uint64_t len)
{
	if (!(region->info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return false;
	if (!region->area)
		return true;
	for (uint32_t i = 0; i < region->nr_areas; i++) {
		const struct vfio_region_sparse_mmap_area *a = &region->area[i];

		if (offset >= a->offset && len <= a->size &&
		    offset - a->offset <= a->size - len)
			return true;
	}
	return false;
}

static int map_check(const struct sluice_device *dev,
                     const struct region *region, uint64_t offset,
                     uint64_t *len)
{
	const struct vfio_region_info *info = region->info;

	if (offset >= info->size)
		return msg_fmt(-EINVAL, "%s: region %u has %llu bytes",
		               dev->name, info->index,
		               (unsigned long long)info->size);
	if (*len == 0)
		*len = info->size - offset;
	if (!aligned_lg2(offset | *len, SLUICE_PAGE_LG2) ||
	    *len > info->size - offset)
		return msg_fmt(-EINVAL,
		               "%s: only whole pages within the %llu bytes of "
		               "region %u can be mapped",
		               dev->name, (unsigned long long)info->size,
		               info->index);
	if (!mappable(region, offset, *len))
		return msg_fmt(-EACCES,
		               "%s: the kernel does not let these %llu bytes "
		               "of region %u be mapped: use "
		               "sluice_device_read() and _write(), or map less",
		               dev->name, (unsigned long long)*len,
		               info->index);
	return 0;
}

static int map_region(struct sluice_device *dev, const struct region *region,
                      uint64_t offset, uint64_t len, struct device_map *map)
{
	const uint32_t flags = region->info->flags;
	int prot = (flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
	           (flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0);
	int rc = sys->mmap(&map->va, len, prot, MAP_SHARED, dev->fd,
	                   (off_t)(region->info->offset + offset));

	/* A child shall not reach the device. */
	if (rc == 0) {
		rc = sys->madvise(map->va, len, MADV_DONTFORK);
		if (rc)
			(void)sys->munmap(map->va, len);
	}
	if (rc)
		return msg_fmt(rc, "%s: region %u cannot be mapped: %s",
		               dev->name, region->info->index, msg_errname(rc));
	map->len = len;
	return 0;
}

int sluice_device_map(struct sluice_device *dev, uint32_t index,
                      uint64_t offset, uint64_t len, void **ret_va)
{
	struct device_map *map;
	struct region region;
	int rc = device_check(dev);

	if (rc)
		return rc;
	if (!ret_va)
		return msg_lit(-EINVAL, "ret_va is NULL");
	rc = region_get(dev, index, &region);
	if (rc)
		return rc;
	map = calloc(1, sizeof(*map));
	rc = map ? map_check(dev, &region, offset, &len)
	         : msg_lit(-ENOMEM, "no memory to map a region");
	if (rc == 0)
		rc = map_region(dev, &region, offset, len, map);
	free(region.info);
	if (rc) {
		free(map);
		return rc;
	}
	map->next = dev->maps;
	dev->maps = map;
	*ret_va = map->va;
	return 0;
}

static void unmap_one(struct device_map **at)
{
	struct device_map *map = *at;

	*at = map->next;
	(void)sys->munmap(map->va, map->len);
	free(map);
}

int sluice_device_unmap(struct sluice_device *dev, void *va)
{
	int rc = device_check(dev);

	if (rc)
		return rc;
	for (struct device_map **at = &dev->maps; *at; at = &(*at)->next)
		if ((*at)->va == va) {
			unmap_one(at);
			return 0;
		}
	return msg_fmt(-ENOENT, "nothing of %s is mapped there", dev->name);
}

void device_unmap_all(struct sluice_device *dev)
{
	while (dev->maps)
		unmap_one(&dev->maps);
}

/* ---- by the kernel ---- */

static int access_check(const struct sluice_device *dev, uint32_t index,
                        uint64_t offset, size_t len, uint32_t flag,
                        uint64_t *ret_at)
{
	struct vfio_region_info info;
	struct region region;
	int rc = device_check(dev);

	if (rc)
		return rc;
	rc = region_get(dev, index, &region);
	if (rc)
		return rc;
	info = *region.info;
	free(region.info);
	if (offset > info.size || len > info.size - offset)
		return msg_fmt(-EINVAL,
		               "%s: region %u has %llu bytes, not %llu at %llu",
		               dev->name, index, (unsigned long long)info.size,
		               (unsigned long long)len,
		               (unsigned long long)offset);
	if (!(info.flags & flag))
		return msg_fmt(-EACCES,
		               "%s: the kernel does not let region %u "
		               "be %s",
		               dev->name, index,
		               flag == VFIO_REGION_INFO_FLAG_READ ? "read"
		                                                  : "written");
	*ret_at = info.offset + offset;
	return 0;
}

static int short_access(const struct sluice_device *dev, uint32_t index,
                        ssize_t n)
{
	return msg_fmt(-EIO,
	               "%s: the kernel did not reach region %u (%s): is the "
	               "device gone?",
	               dev->name, index, n < 0 ? msg_errname((int)n) : "short");
}

int sluice_device_read(struct sluice_device *dev, uint32_t index,
                       uint64_t offset, void *buf, size_t len)
{
	uint64_t at = 0;
	ssize_t n;
	int rc = access_check(dev, index, offset, len,
	                      VFIO_REGION_INFO_FLAG_READ, &at);

	if (rc)
		return rc;
	n = sys->pread(dev->fd, buf, len, (off_t)at);
	return n == (ssize_t)len ? 0 : short_access(dev, index, n);
}

int sluice_device_write(struct sluice_device *dev, uint32_t index,
                        uint64_t offset, const void *buf, size_t len)
{
	uint64_t at = 0;
	ssize_t n;
	int rc = access_check(dev, index, offset, len,
	                      VFIO_REGION_INFO_FLAG_WRITE, &at);

	if (rc)
		return rc;
	n = sys->pwrite(dev->fd, buf, len, (off_t)at);
	return n == (ssize_t)len ? 0 : short_access(dev, index, n);
}
