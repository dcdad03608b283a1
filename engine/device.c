/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices: opening, reset, bus mastering, closing. Control path.
 */
#include "engine/device_int.h"

#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <sluice/device.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SLUICE_REGION_BAR(5) == VFIO_PCI_BAR5_REGION_INDEX &&
                       SLUICE_REGION_ROM == VFIO_PCI_ROM_REGION_INDEX &&
                       SLUICE_REGION_CONFIG == VFIO_PCI_CONFIG_REGION_INDEX,
               "regions are numbered as VFIO numbers them");
_Static_assert(SLUICE_IRQ_INTX == VFIO_PCI_INTX_IRQ_INDEX &&
                       SLUICE_IRQ_MSI == VFIO_PCI_MSI_IRQ_INDEX &&
                       SLUICE_IRQ_MSIX == VFIO_PCI_MSIX_IRQ_INDEX,
               "interrupts are numbered as VFIO numbers them");

int device_check(const struct sluice_device *dev)
{
	if (!dev)
		return msg_lit(-EINVAL, "the device is NULL");
	return engine_check(dev->domain->engine);
}

int device_none_open(const struct sluice_domain *domain,
                     const struct sluice_group *group)
{
	const struct sluice_device *dev = domain->devices;

	while (dev && group && dev->group != group)
		dev = dev->next;
	if (!dev)
		return guard_none(domain, group);
	return msg_fmt(-EBUSY,
	               "device %s is open: call sluice_device_close() first",
	               dev->name);
}

static int bus_master(struct sluice_device *dev, int on)
{
	uint16_t old, new;
	int rc;

	if (!(dev->info.flags & VFIO_DEVICE_FLAGS_PCI))
		return msg_fmt(-EOPNOTSUPP,
		               "%s is no PCI device: it has no bus mastering",
		               dev->name);
	rc = sluice_device_read(dev, SLUICE_REGION_CONFIG, PCI_COMMAND, &old,
	                        sizeof(old));
	if (rc)
		return rc;
	/* PCI is little-endian, and VFIO hands its bytes on as they are. */
	old = le16toh(old);
	new = on ? (uint16_t)(old | PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY)
	         : (uint16_t)(old & ~PCI_COMMAND_MASTER);
	if (new == old)
		return 0;
	new = htole16(new);
	return sluice_device_write(dev, SLUICE_REGION_CONFIG, PCI_COMMAND, &new,
	                           sizeof(new));
}

/* ---- opening ---- */

static int get_info(struct sluice_device *dev)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int rc = device_ioctl(dev, VFIO_DEVICE_GET_INFO, &info);

	if (rc < 0)
		return msg_fmt(rc, "%s: VFIO_DEVICE_GET_INFO: %s", dev->name,
		               msg_errname(rc));
	dev->info = info;
	dev->irq = calloc(info.num_irqs ? info.num_irqs : 1, sizeof(*dev->irq));
	if (!dev->irq)
		return msg_lit(-ENOMEM, "no memory for a device");
	return device_irq_infos(dev);
}

static int arm(struct sluice_device *dev, const struct sluice_device_cfg *cfg)
{
	int rc;

	if (!cfg || !cfg->lane || !(dev->info.flags & VFIO_DEVICE_FLAGS_PCI))
		return 0;
	rc = device_arm(dev, cfg->lane, VFIO_PCI_ERR_IRQ_INDEX,
	                SLUICE_OP_DEVICE_ERROR, cfg->cookie);
	if (rc)
		return rc;
	return device_arm(dev, cfg->lane, VFIO_PCI_REQ_IRQ_INDEX,
	                  SLUICE_OP_DEVICE_REQUEST, cfg->cookie);
}

static void device_free(struct sluice_device *dev)
{
	if (dev->irq)
		device_disarm_all(dev);
	device_unmap_all(dev);
	if (dev->fd >= 0)
		(void)sys->close(dev->fd);
	free(dev->irq);
	free(dev);
}

static int device_start(struct sluice_device *dev, const char *bdf,
                        const struct sluice_device_cfg *cfg)
{
	int rc = sluice_group_device_open(dev->group, bdf, &dev->fd);

	if (rc == 0)
		rc = get_info(dev);
	/* Some drivers leave it on. */
	if (rc == 0 && dev->info.flags & VFIO_DEVICE_FLAGS_PCI)
		rc = bus_master(dev, 0);
	return rc ? rc : arm(dev, cfg);
}

static int check_open(const struct sluice_domain *domain,
                      const struct sluice_group *group,
                      const struct sluice_device_cfg *cfg)
{
	if (engine_check(domain->engine))
		return -EPERM;
	if (cfg && cfg->lane && cfg->lane->engine != domain->engine)
		return msg_lit(-EINVAL, "lane and domain belong to different "
		                        "engines");
	if (cfg && cfg->lane && lane_check(cfg->lane))
		return -EPERM;
	if (grp_attached(group) != domain)
		return msg_lit(-ENOENT,
		               "the device's group is not attached to this "
		               "domain: call sluice_domain_attach() first");
	return 0;
}

int sluice_device_open(struct sluice_domain *domain, struct sluice_group *group,
                       const char *bdf, const struct sluice_device_cfg *cfg,
                       struct sluice_device **ret_dev)
{
	const char *name = bdf ? bdf : group ? grp_bdf(group) : "";
	struct sluice_device *dev;
	int rc;

	if (!domain || !group || !ret_dev)
		return msg_lit(-EINVAL, "domain, group or ret_dev is NULL");
	rc = check_open(domain, group, cfg);
	if (rc)
		return rc;
	dev = calloc(1, sizeof(*dev) + strlen(name) + 1);
	if (!dev)
		return msg_lit(-ENOMEM, "no memory for a device");
	memcpy(dev->name, name, strlen(name) + 1);
	dev->domain = domain;
	dev->group = group;
	dev->fd = -1;
	/* The group does not leave meanwhile. */
	pthread_mutex_lock(&domain->lock);
	rc = grp_attached(group) == domain ? device_start(dev, bdf, cfg)
	                                   : check_open(domain, group, cfg);
	if (rc == 0) {
		dev->next = domain->devices;
		domain->devices = dev;
	}
	pthread_mutex_unlock(&domain->lock);
	if (rc) {
		device_free(dev);
		return rc;
	}
	*ret_dev = dev;
	return 0;
}

/* ---- what it can do as a whole ---- */

void sluice_device_get_info(const struct sluice_device *dev,
                            struct sluice_device_info *ret_info)
{
	*ret_info = (struct sluice_device_info){
	        .name = dev->name,
	        .nr_regions = dev->info.num_regions,
	        .nr_irqs = dev->info.num_irqs,
	        .is_pci = !!(dev->info.flags & VFIO_DEVICE_FLAGS_PCI),
	        .can_reset = !!(dev->info.flags & VFIO_DEVICE_FLAGS_RESET),
	};
}

int sluice_device_fd(const struct sluice_device *dev)
{
	return dev->fd;
}

int sluice_device_reset(struct sluice_device *dev)
{
	int rc = device_check(dev);

	if (rc)
		return rc;
	if (!(dev->info.flags & VFIO_DEVICE_FLAGS_RESET))
		return msg_fmt(-EOPNOTSUPP,
		               "%s has no reset of its own (no FLR, no power "
		               "management reset): close and open it, or reset "
		               "it through its registers",
		               dev->name);
	rc = device_ioctl(dev, VFIO_DEVICE_RESET, NULL);
	if (rc == -EAGAIN)
		return msg_fmt(rc,
		               "the kernel is busy with %s: try to reset it "
		               "again; if it is being taken away, close it",
		               dev->name);
	if (rc < 0)
		return msg_fmt(rc, "%s was not reset: %s; see dmesg", dev->name,
		               msg_errname(rc));
	return 0;
}

int sluice_device_bus_master(struct sluice_device *dev, int on)
{
	int rc = device_check(dev);

	return rc ? rc : bus_master(dev, on);
}

/* ---- closing ---- */

int sluice_device_close(struct sluice_device *dev)
{
	struct sluice_domain *domain;
	struct sluice_device **at;

	if (!dev)
		return 0;
	domain = dev->domain;
	if (engine_check(domain->engine))
		return -EPERM;
	/* Refused by a device that is gone, which does no DMA either; the
	 * kernel does the same and more when the descriptor goes. */
	if (dev->info.flags & VFIO_DEVICE_FLAGS_PCI)
		(void)bus_master(dev, 0);
	pthread_mutex_lock(&domain->lock);
	for (at = &domain->devices; *at != dev; at = &(*at)->next)
		;
	*at = dev->next;
	/* Under the lock: whoever finds no device open finds it closed. */
	device_free(dev);
	pthread_mutex_unlock(&domain->lock);
	return 0;
}
