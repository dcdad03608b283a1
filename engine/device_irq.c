/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's interrupts: eventfds made, given to the kernel, told to a lane,
 * taken back. Knows VFIO_DEVICE_SET_IRQS; how an event comes to sluice_poll()
 * is event.c's.
 */
#include "engine/device_int.h"

#include <errno.h>
#include <sluice/device.h>
#include <stdlib.h>
#include <string.h>

int device_irq_infos(struct sluice_device *dev)
{
	for (uint32_t i = 0; i < dev->info.num_irqs; i++) {
		struct vfio_irq_info info = {.argsz = sizeof(info), .index = i};
		int rc = device_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info);

		/* That is how the kernel says that it has none of this kind. */
		if (rc == -EINVAL)
			continue;
		if (rc < 0)
			return msg_fmt(rc, "%s: VFIO_DEVICE_GET_IRQ_INFO: %s",
			               dev->name, msg_errname(rc));
		dev->irq[i].nr = info.count;
		dev->irq[i].flags = info.flags;
	}
	return 0;
}

/* action: what and with which data; without eventfds nr counts vectors. */
static int set_irqs(const struct sluice_device *dev, uint32_t flags,
                    uint32_t index, uint32_t first, uint32_t nr)
{
	struct vfio_irq_set set = {
	        .argsz = sizeof(set),
	        .flags = VFIO_IRQ_SET_DATA_NONE | flags,
	        .index = index,
	        .start = first,
	        .count = nr,
	};
	int rc = device_ioctl(dev, VFIO_DEVICE_SET_IRQS, &set);

	return rc < 0 ? rc : 0;
}

static int set_eventfds(const struct sluice_device *dev, uint32_t index,
                        uint32_t first, struct event *const *event, uint32_t nr)
{
	size_t size = sizeof(struct vfio_irq_set) + nr * sizeof(int32_t);
	struct vfio_irq_set *set = calloc(1, size);
	int32_t *fd;
	int rc;

	if (!set)
		return -ENOMEM;
	set->argsz = (uint32_t)size;
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->start = first;
	set->count = nr;
	fd = (int32_t *)(void *)set->data;
	for (uint32_t i = 0; i < nr; i++)
		fd[i] = event[i]->fd;
	rc = device_ioctl(dev, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return rc < 0 ? rc : 0;
}

static void end_events(struct device_irq *irq, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		if (!irq->event[i])
			continue;
		event_end(irq->event[i]);
		irq->event[i] = NULL;
	}
}

/* The eventfds of vectors that are free, and the kernel told of them. */
static int irq_on(struct sluice_device *dev, struct sluice_lane *lane,
                  uint32_t index, uint32_t first, uint32_t nr, uint32_t op,
                  uint64_t cookie)
{
	struct device_irq *irq = &dev->irq[index];
	int rc = lane->kernel ? 0 : lane_kernel_create(lane);

	if (rc)
		return rc;
	if (!irq->event)
		irq->event = calloc(irq->nr, sizeof(struct event *));
	if (!irq->event)
		return msg_lit(-ENOMEM, "no memory for interrupts");
	for (uint32_t i = first; i < first + nr && rc == 0; i++)
		rc = event_create(lane, op, i, cookie, &irq->event[i]);
	if (rc == 0) {
		rc = set_eventfds(dev, index, first, irq->event + first, nr);
		if (rc)
			rc = msg_fmt(rc,
			             "%s: the kernel did not enable vectors %u "
			             "to %u of interrupt %u: %s",
			             dev->name, first, first + nr - 1, index,
			             msg_errname(rc));
	}
	if (rc) {
		end_events(irq, first, nr);
		return rc;
	}
	irq->nr_on += nr;
	irq->nr_sized = (uint32_t)max_u64(irq->nr_sized, first + nr);
	return 0;
}

int device_arm(struct sluice_device *dev, struct sluice_lane *lane,
               uint32_t index, uint32_t op, uint64_t cookie)
{
	/* No errors before PCIe; no requests before Linux 4.0. */
	if (index >= dev->info.num_irqs || dev->irq[index].nr == 0)
		return 0;
	return irq_on(dev, lane, index, 0, 1, op, cookie);
}

static int irq_off(struct sluice_device *dev, uint32_t index)
{
	struct device_irq *irq = &dev->irq[index];
	int rc = 0;

	if (irq->nr_on)
		rc = set_irqs(dev, VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0);
	if (irq->event)
		end_events(irq, 0, irq->nr);
	irq->nr_on = 0;
	irq->nr_sized = 0;
	return rc;
}

void device_disarm_all(struct sluice_device *dev)
{
	for (uint32_t i = 0; i < dev->info.num_irqs; i++) {
		(void)irq_off(dev, i);
		free(dev->irq[i].event);
	}
}

/* ---- what a caller may ask for ---- */

static int irq_check(const struct sluice_device *dev, uint32_t index)
{
	int rc = device_check(dev);

	if (rc)
		return rc;
	if (index >= dev->info.num_irqs)
		return msg_fmt(-EINVAL,
		               "%s has %u kinds of interrupts, no number %u",
		               dev->name, dev->info.num_irqs, index);
	return 0;
}

int sluice_device_irq(struct sluice_device *dev, uint32_t index,
                      struct sluice_irq_info *ret_info)
{
	uint32_t flags;
	int rc = irq_check(dev, index);

	if (rc)
		return rc;
	if (!ret_info)
		return msg_lit(-EINVAL, "ret_info is NULL");
	flags = dev->irq[index].flags;
	ret_info->nr = dev->irq[index].nr;
	ret_info->flags =
	        (flags & VFIO_IRQ_INFO_MASKABLE ? SLUICE_IRQ_MASKABLE : 0) |
	        (flags & VFIO_IRQ_INFO_AUTOMASKED ? SLUICE_IRQ_AUTOMASKED : 0) |
	        (flags & VFIO_IRQ_INFO_NORESIZE ? SLUICE_IRQ_NORESIZE : 0);
	return 0;
}

/* A PCI device signals in one way at a time; its errors and requests are the
 * kernel's own. */
static int check_kind(const struct sluice_device *dev, uint32_t index)
{
	if (!(dev->info.flags & VFIO_DEVICE_FLAGS_PCI))
		return 0;
	if (index > SLUICE_IRQ_MSIX)
		return msg_fmt(-EINVAL,
		               "%s: errors and requests are told to the lane "
		               "that sluice_device_open() was given",
		               dev->name);
	for (uint32_t i = 0; i <= SLUICE_IRQ_MSIX; i++)
		if (i != index && i < dev->info.num_irqs && dev->irq[i].nr_on)
			return msg_fmt(-EBUSY,
			               "%s has interrupt %u enabled: call "
			               "sluice_device_irq_disable() first",
			               dev->name, i);
	return 0;
}

static int check_vectors(const struct sluice_device *dev, uint32_t index,
                         uint32_t first, uint32_t nr)
{
	const struct device_irq *irq = &dev->irq[index];

	if (nr == 0 || first >= irq->nr || nr > irq->nr - first)
		return msg_fmt(-EINVAL,
		               "%s has %u vectors of interrupt %u, not %u from "
		               "%u on",
		               dev->name, irq->nr, index, nr, first);
	if (!(irq->flags & VFIO_IRQ_INFO_EVENTFD))
		return msg_fmt(-EINVAL,
		               "%s: the kernel signals no eventfd for "
		               "interrupt %u",
		               dev->name, index);
	for (uint32_t i = first; irq->event && i < first + nr; i++)
		if (irq->event[i])
			return msg_fmt(-EEXIST,
			               "%s: vector %u of interrupt %u is "
			               "enabled already",
			               dev->name, i, index);
	if (irq->nr_on && irq->flags & VFIO_IRQ_INFO_NORESIZE &&
	    first + nr > irq->nr_sized)
		return msg_fmt(-ENOSPC,
		               "%s was given %u vectors of interrupt %u when "
		               "the first was enabled, and this kernel adds "
		               "none: disable them and begin with the highest",
		               dev->name, irq->nr_sized, index);
	return 0;
}

int sluice_device_irq_enable(struct sluice_device *dev,
                             struct sluice_lane *lane, uint32_t index,
                             uint32_t first, uint32_t nr, uint64_t cookie)
{
	int rc = irq_check(dev, index);

	if (rc)
		return rc;
	if (!lane || lane->engine != dev->domain->engine)
		return msg_lit(-EINVAL, "lane is NULL, or of another engine "
		                        "than the device's domain");
	if (lane_check(lane))
		return -EPERM;
	rc = check_kind(dev, index);
	if (rc == 0)
		rc = check_vectors(dev, index, first, nr);
	if (rc)
		return rc;
	return irq_on(dev, lane, index, first, nr, SLUICE_OP_IRQ, cookie);
}

int sluice_device_irq_disable(struct sluice_device *dev, uint32_t index)
{
	int rc = irq_check(dev, index);

	if (rc)
		return rc;
	if (dev->info.flags & VFIO_DEVICE_FLAGS_PCI && index > SLUICE_IRQ_MSIX)
		return check_kind(dev, index);
	if (dev->irq[index].nr_on == 0)
		return msg_fmt(-ENOENT,
		               "%s: no vector of interrupt %u is "
		               "enabled",
		               dev->name, index);
	rc = irq_off(dev, index);
	if (rc)
		return msg_fmt(rc,
		               "%s: the kernel did not disable interrupt %u: "
		               "%s",
		               dev->name, index, msg_errname(rc));
	return 0;
}

static int act(struct sluice_device *dev, uint32_t action, const char *what,
               uint32_t index, uint32_t vector)
{
	int rc = irq_check(dev, index);

	if (rc)
		return rc;
	if (vector >= dev->irq[index].nr)
		return msg_fmt(-EINVAL,
		               "%s has %u vectors of interrupt %u, no number "
		               "%u",
		               dev->name, dev->irq[index].nr, index, vector);
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER &&
	    !(dev->irq[index].flags & VFIO_IRQ_INFO_MASKABLE))
		return msg_fmt(-EOPNOTSUPP,
		               "%s: the kernel does not mask interrupt %u: "
		               "mask it in the device",
		               dev->name, index);
	rc = set_irqs(dev, action, index, vector, 1);
	if (rc)
		return msg_fmt(rc,
		               "%s: the kernel did not %s vector %u of "
		               "interrupt %u: %s",
		               dev->name, what, vector, index, msg_errname(rc));
	return 0;
}

int sluice_device_irq_mask(struct sluice_device *dev, uint32_t index,
                           uint32_t vector)
{
	return act(dev, VFIO_IRQ_SET_ACTION_MASK, "mask", index, vector);
}

int sluice_device_irq_unmask(struct sluice_device *dev, uint32_t index,
                             uint32_t vector)
{
	return act(dev, VFIO_IRQ_SET_ACTION_UNMASK, "unmask", index, vector);
}

int sluice_device_irq_trigger(struct sluice_device *dev, uint32_t index,
                              uint32_t vector)
{
	return act(dev, VFIO_IRQ_SET_ACTION_TRIGGER, "signal", index, vector);
}
