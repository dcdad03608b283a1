/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO's regions of a PCI device: config space by read and write, BAR0 by
 * mmap. Knows nothing of the device and nothing of DMA mappings.
 */
#include "pci.h"
#include "e1000e.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int region(int fd, const char *bdf, uint32_t index,
                  struct vfio_region_info *ret_info)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		return fail(-errno,
		            "%s: VFIO shows no region %u: is it a PCI device "
		            "bound to vfio-pci?",
		            bdf, index);
	*ret_info = info;
	return 0;
}

int pci_check_class(int fd, const char *bdf, uint32_t class)
{
	struct vfio_region_info cfg = {0};
	uint32_t word; /* revision in the lowest byte */
	int rc = region(fd, bdf, VFIO_PCI_CONFIG_REGION_INDEX, &cfg);

	if (rc)
		return rc;
	if (pread(fd, &word, sizeof(word),
	          (off_t)cfg.offset + PCI_CLASS_REVISION) != sizeof(word))
		return fail(-EIO, "%s: cannot read its config space: see dmesg",
		            bdf);
	if (word >> 8 != class)
		return fail(-ENODEV,
		            "%s is of class %06x, needed is %06x: 'lspci -Dn' "
		            "lists devices with their class",
		            bdf, word >> 8, class);
	return 0;
}

int pci_map_bar0(int fd, const char *bdf, size_t min_size, void **ret_va,
                 size_t *ret_size)
{
	struct vfio_region_info bar = {0};
	void *va;
	int rc = region(fd, bdf, VFIO_PCI_BAR0_REGION_INDEX, &bar);

	if (rc)
		return rc;
	if (!(bar.flags & VFIO_REGION_INFO_FLAG_MMAP) || bar.size < min_size)
		return fail(-ENODEV, "%s: VFIO cannot map its BAR0: see dmesg",
		            bdf);
	va = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	          (off_t)bar.offset);
	if (va == MAP_FAILED)
		return fail(-errno, "%s: cannot map its BAR0: %s", bdf,
		            strerror(errno));
	*ret_va = va;
	*ret_size = bar.size;
	return 0;
}

int pci_enable_dma(int fd, const char *bdf)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct vfio_region_info cfg = {0};
	int rc = region(fd, bdf, VFIO_PCI_CONFIG_REGION_INDEX, &cfg);

	if (rc)
		return rc;
	if (pwrite(fd, &command, sizeof(command),
	           (off_t)cfg.offset + PCI_COMMAND) != sizeof(command))
		return fail(-EIO, "%s: cannot enable bus mastering: see dmesg",
		            bdf);
	return 0;
}
