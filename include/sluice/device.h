/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices: one member of an attached group, opened. Its registers and config
 * space, its reset, and its interrupts, errors and the host's wish to have it
 * back, which arrive in sluice_poll() of a lane beside everything else there.
 *
 * Calls on one device must not overlap, but for sluice_device_irq_unmask(),
 * sluice_device_read() and sluice_device_write().
 */
#ifndef SLUICE_DEVICE_H
#define SLUICE_DEVICE_H

#include <sluice/base.h>
#include <sluice/domain.h>
#include <sluice/group.h>
#include <sluice/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_device;

/* Numbers of a PCI device's regions and interrupts, as VFIO counts them.
 * Devices of other buses have their own. */
#define SLUICE_REGION_BAR(n) ((uint32_t)(n)) /* 0 to 5 */
#define SLUICE_REGION_ROM 6u
#define SLUICE_REGION_CONFIG 7u
#define SLUICE_IRQ_INTX 0u
#define SLUICE_IRQ_MSI 1u
#define SLUICE_IRQ_MSIX 2u

struct sluice_device_cfg {
	/* Whose sluice_poll() tells of errors (SLUICE_OP_DEVICE_ERROR) and of
	 * the wish to have the device back (SLUICE_OP_DEVICE_REQUEST), of the
	 * domain's engine and of the calling thread. NULL: nobody is told, and
	 * whoever unplugs the device waits until it is closed. */
	struct sluice_lane *lane;
	uint64_t cookie; /* of these completions */
};

/**
 * sluice_device_open() - open one device of a group.
 * @domain:  what the device's DMA goes through
 * @group:   attached to the domain; stays so until the device is closed
 * @bdf:     PCI address of the member, or the exact name of one of another
 *           bus; NULL for the one that the group was opened by
 * @cfg:     NULL: no lane is told of errors and requests; copied
 * @ret_dev: owned by the caller, closed by sluice_device_close()
 *
 * The kernel resets the device if it can. Bus mastering is off: no DMA before
 * sluice_device_bus_master().
 *
 * When somebody takes the device away (hot-unplug, or another driver is bound)
 * the lane gets SLUICE_OP_DEVICE_REQUEST, perhaps more than once, and the one
 * who asked waits. What to do: give the device no more work, stop its DMA
 * (through its registers, or sluice_device_bus_master() with 0; the kernel does
 * not reset it meanwhile), sluice_unmap() what only it used, sluice_drain(),
 * then sluice_device_close(), sluice_domain_detach() and sluice_group_close().
 * After a surprise removal the order is the same; registers then read as ones
 * and calls fail, which sluice_device_close() overlooks.
 * SLUICE_OP_DEVICE_ERROR means that the device reported an error it cannot
 * correct (PCIe AER): reset it, or close it.
 *
 * Thread: control, and the thread of cfg->lane. Blocks: yes. Returns: 0;
 * -EINVAL (NULL, or a lane of another engine); -ENOENT when the group is not
 * attached to this domain; -ENODEV when the device is no member, not bound to
 * a VFIO driver, or gone; -EBUSY when another process has it; -EMFILE, -ENOMEM;
 * -EPERM in a child of the engine's process; or what the kernel answered.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_open(
        struct sluice_domain *domain, struct sluice_group *group,
        const char *bdf, const struct sluice_device_cfg *cfg,
        struct sluice_device **ret_dev);

/**
 * sluice_device_close() - stop the device's DMA and give it back.
 *
 * Bus mastering goes off, interrupts are taken down, mapped regions are
 * unmapped (pointers into them end here), the descriptor is closed; the kernel
 * resets the device then. What the domain has mapped stays mapped, and requests
 * in flight complete as always. Lanes that were told of its interrupts are not
 * told any more from the sluice_poll() on that begins next.
 *
 * Thread: control, while no call on the device runs; any thread, whatever
 * lanes the interrupts go to. Blocks: yes, for the reset. Returns: 0; -EPERM
 * in a child of the engine's process. NULL is fine.
 */
SLUICE_API int sluice_device_close(struct sluice_device *dev);

struct sluice_device_info {
	const char
	        *name; /* its PCI address; valid until the device is closed */
	uint32_t nr_regions;
	uint32_t nr_irqs; /* kinds of interrupts, not vectors */
	int is_pci;
	int can_reset; /* sluice_device_reset() works */
};

/* Thread: any. */
SLUICE_API void sluice_device_get_info(const struct sluice_device *dev,
                                       struct sluice_device_info *ret_info);

/* The VFIO descriptor, for what this header has no call for. Whoever changes
 * the state of interrupts through it answers for that. Thread: any. Owns: the
 * device. Valid until: it is closed. */
SLUICE_API int sluice_device_fd(const struct sluice_device *dev);

/**
 * sluice_device_reset() - bring the device back to its state after power-on.
 *
 * Its DMA has ended when this returns. Its registers are those of a fresh
 * device; config space, bus mastering included, and the interrupts that were
 * enabled are as before.
 *
 * Thread: control. Blocks: yes, up to seconds. Returns: 0; -EOPNOTSUPP when
 * the device has no reset of its own; -EAGAIN when the kernel is busy with the
 * device: try again, or, after SLUICE_OP_DEVICE_REQUEST, do without; -EPERM in
 * a child; or what the kernel answered.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_reset(struct sluice_device *dev);

/* ---- regions ---- */

#define SLUICE_REGION_READ 0x1u
#define SLUICE_REGION_WRITE 0x2u
#define SLUICE_REGION_MAP 0x4u /* at least parts can be mapped */

struct sluice_region_info {
	uint64_t size;  /* bytes; 0: the device has no such region */
	uint32_t flags; /* SLUICE_REGION_* */
	/* Parts that can be mapped; 1 for the whole region. */
	uint32_t nr_areas;
};

/**
 * sluice_device_region() - what there is behind a number.
 *
 * Thread: control. Returns: 0; -EINVAL (no such number, NULL); -EPERM in a
 * child.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_region(
        struct sluice_device *dev, uint32_t index,
        struct sluice_region_info *ret_info);

/**
 * sluice_device_map() - registers as memory.
 * @index:  of the region, most often SLUICE_REGION_BAR(n)
 * @offset: into the region, a multiple of 4096
 * @len:    bytes, whole pages; 0 for all from offset on
 * @ret_va: where they are, until sluice_device_unmap() or the device is closed
 *
 * They are not there in a child after fork(). Access to a region while memory
 * decoding is off (sluice_device_bus_master() turns it on) may kill the
 * process; so may access during a reset.
 *
 * Thread: control. Returns: 0; -EINVAL (no such region, not whole pages, or
 * beyond its end); -EACCES when the kernel does not let this part be mapped
 * (use sluice_device_read() there); -ENOMEM; -EPERM in a child.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_map(struct sluice_device *dev,
                                                   uint32_t index,
                                                   uint64_t offset,
                                                   uint64_t len, void **ret_va);

/* Thread: control. Returns: 0; -ENOENT when nothing of this device is mapped
 * at va; -EPERM in a child. */
SLUICE_API int sluice_device_unmap(struct sluice_device *dev, void *va);

/**
 * sluice_device_read() - read from a region by the kernel, config space most
 * often. The bytes come as the device has them: those of config space are
 * little-endian.
 *
 * Thread: any. Blocks: for the device. Returns: 0; -EINVAL (no such region, or
 * beyond its end); -EACCES when the region cannot be read; -EIO when the
 * kernel read less, as of a device that is gone; -EPERM in a child.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_read(struct sluice_device *dev,
                                                    uint32_t index,
                                                    uint64_t offset, void *buf,
                                                    size_t len);
/* The same in the other direction. */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_write(struct sluice_device *dev,
                                                     uint32_t index,
                                                     uint64_t offset,
                                                     const void *buf,
                                                     size_t len);

/**
 * sluice_device_bus_master() - let the device do DMA, or no longer.
 * @on: not 0: bus mastering and memory decoding on; 0: bus mastering off
 *
 * Off ends DMA and message interrupts; requests that the device has under way
 * may still arrive for some microseconds: unmaps wait for nothing, the IOMMU
 * refuses them.
 *
 * Thread: control. Returns: 0; -EOPNOTSUPP for a device that is not PCI; -EIO;
 * -EPERM in a child.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_bus_master(
        struct sluice_device *dev, int on);

/* ---- interrupts ---- */

#define SLUICE_IRQ_MASKABLE 0x1u   /* sluice_device_irq_mask() works */
#define SLUICE_IRQ_AUTOMASKED 0x2u /* masked when it fires: unmask it then */
#define SLUICE_IRQ_NORESIZE 0x4u   /* vectors: as many as enabled at first */

struct sluice_irq_info {
	uint32_t nr;    /* vectors; 0: the device has no such interrupt */
	uint32_t flags; /* SLUICE_IRQ_* */
};

/* Thread: control. Returns: 0; -EINVAL (no such number, NULL); -EPERM in a
 * child. */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_irq(
        struct sluice_device *dev, uint32_t index,
        struct sluice_irq_info *ret_info);

/**
 * sluice_device_irq_enable() - have a lane told of interrupts.
 * @lane:   of the domain's engine and of the calling thread
 * @index:  SLUICE_IRQ_MSIX, …
 * @first:  first vector
 * @nr:     vectors
 * @cookie: of the completions
 *
 * From now on sluice_poll() of the lane gives a completion with op
 * SLUICE_OP_IRQ, the cookie, the vector in iova, and in len how often it fired
 * since the last one. Interrupts are never lost: those for which there is no
 * room, or that came during sluice_drain() or sluice_ticket_wait(), wait for
 * the next sluice_poll() with room. No system call is made while nothing
 * fires; without io_uring the lane asks the kernel every 20 microseconds of
 * polling.
 *
 * The lane is kept informed through its io_uring, or by epoll where it has
 * none; sluice_lane_event_fd() is readable then too.
 *
 * INTx masks itself when it fires: call sluice_device_irq_unmask() when the
 * device's reason is gone. With SLUICE_IRQ_NORESIZE (MSI, and MSI-X before
 * Linux 6.5) the first call says how many vectors there are, first + nr: begin
 * with the highest. Only one of INTx, MSI and MSI-X is enabled at a time.
 *
 * Thread: lane (the one that is given), control. Blocks: yes. Returns: 0;
 * -EINVAL (no such vector, lane of another engine); -EEXIST when one of them
 * is enabled already; -ENOSPC for more vectors than NORESIZE lets it have now;
 * -EBUSY when another kind is enabled; -EMFILE, -ENOMEM; -EPERM in a child; or
 * what the kernel answered.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_irq_enable(
        struct sluice_device *dev, struct sluice_lane *lane, uint32_t index,
        uint32_t first, uint32_t nr, uint64_t cookie);

/**
 * sluice_device_irq_disable() - all vectors of one kind.
 *
 * What has fired and was not told yet is dropped. Thread: control, whatever
 * lanes were told. Blocks: yes. Returns: 0; -EINVAL; -ENOENT when none is
 * enabled; -EPERM in a child; or what the kernel answered (they are off for
 * the lanes all the same).
 */
SLUICE_API int sluice_device_irq_disable(struct sluice_device *dev,
                                         uint32_t index);

/**
 * sluice_device_irq_mask(), sluice_device_irq_unmask() - hold an interrupt
 * back, and let it through again.
 *
 * Thread: any. Returns: 0; -EINVAL; -EOPNOTSUPP without SLUICE_IRQ_MASKABLE
 * (MSI and MSI-X: mask in the device); -EPERM in a child; or what the kernel
 * answered.
 */
SLUICE_API int sluice_device_irq_mask(struct sluice_device *dev, uint32_t index,
                                      uint32_t vector);
SLUICE_API int sluice_device_irq_unmask(struct sluice_device *dev,
                                        uint32_t index, uint32_t vector);

/**
 * sluice_device_irq_trigger() - the kernel signals an enabled vector, as if it
 * had fired: a test of the way to the lane.
 *
 * Thread: any. Returns: 0; -EINVAL; -EPERM in a child; or what the kernel
 * answered.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_device_irq_trigger(
        struct sluice_device *dev, uint32_t index, uint32_t vector);

#ifdef __cplusplus
}
#endif
#endif
