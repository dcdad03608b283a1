/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open device: device.c is its life, device_region.c its registers,
 * device_irq.c its interrupts. Knows VFIO's device calls (linux/vfio.h).
 */
#ifndef SLUICE_ENGINE_DEVICE_INT_H
#define SLUICE_ENGINE_DEVICE_INT_H

#include <linux/vfio.h>

#include "engine/engine_int.h"

struct device_map {
	struct device_map *next;
	void *va;
	size_t len;
};

/* One kind of interrupt. */
struct device_irq {
	uint32_t nr;          /* vectors that the device has */
	uint32_t flags;       /* VFIO_IRQ_INFO_* */
	uint32_t nr_on;       /* enabled ones */
	uint32_t nr_sized;    /* how many the kernel has made room for */
	struct event **event; /* by vector, NULL: not enabled; or no array */
};

struct sluice_device {
	struct sluice_device *next; /* in the domain's list */
	struct sluice_domain *domain;
	struct sluice_group *group;
	int fd;
	struct vfio_device_info info;
	struct device_map *maps;
	struct device_irq *irq; /* info.num_irqs of them */
	char name[];
};

static inline int device_ioctl(const struct sluice_device *dev,
                               unsigned long request, void *arg)
{
	return sys->ioctl(dev->fd, request, arg);
}

/* 0, or -EINVAL (NULL), -EPERM in a child. */
int device_check(const struct sluice_device *dev);

/* ---- device_region.c ---- */
void device_unmap_all(struct sluice_device *dev);

/* ---- device_irq.c ---- */
/* What the device has, into dev->irq. */
int device_irq_infos(struct sluice_device *dev);
/* Arms what every device has, where the kernel offers it: index is
 * VFIO_PCI_ERR_IRQ_INDEX or VFIO_PCI_REQ_IRQ_INDEX. */
int device_arm(struct sluice_device *dev, struct sluice_lane *lane,
               uint32_t index, uint32_t op, uint64_t cookie);
/* Takes every interrupt down, whatever the kernel says. */
void device_disarm_all(struct sluice_device *dev);

#endif
