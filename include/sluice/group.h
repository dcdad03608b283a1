/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IOMMU groups: devices that the hardware cannot keep apart from each other.
 * Two nouns. A *group set* is a picture of the groups of a machine (or of a
 * captured sysfs tree), with members, reserved regions and whether each group
 * can be used from user space. A *group* is one VFIO group that this process
 * has opened, ready to be attached to a domain.
 *
 * A group is usable (viable) when each of its members is bound to a VFIO-class
 * driver, to one that is known to do no DMA of its own (pci-stub, pcieport), or
 * to none.
 */
#ifndef SLUICE_GROUP_H
#define SLUICE_GROUP_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the kernel says about a range that a device must not be given freely. */
enum sluice_resv_type {
	SLUICE_RESV_OTHER = 0, /* a word this version does not know: see text */
	SLUICE_RESV_DIRECT,    /* firmware needs it mapped to itself, always */
	SLUICE_RESV_DIRECT_RELAXABLE, /* … until the device is given away */
	SLUICE_RESV_RESERVED,         /* never usable as an IOVA */
	SLUICE_RESV_MSI               /* interrupt messages go here */
};

/* One line of a group's reserved_regions; both ends belong to it. */
struct sluice_group_region {
	uint64_t first;
	uint64_t last;
	enum sluice_resv_type type;
	const char *text; /* the kernel's word for the type */
};

/* One device of a group, bridges included. */
struct sluice_group_member {
	const char *name;   /* "0000:00:1f.2", or what its bus calls it */
	const char *bus;    /* "pci", "platform", "acpi", … or "" */
	const char *driver; /* NULL: no driver is bound */
	/* From the PCI class, vendor and device ids; all 0 elsewhere. */
	uint32_t pci_class; /* 0xBBSSPP: base class, sub-class, interface */
	uint16_t vendor;
	uint16_t device;
	/* Of PCI: addresses below 2^dma_bits are what the driver that is bound
	 * asked for; 0: not known, always where no driver of the kernel is. */
	uint32_t dma_bits;
	int is_pci;
	int is_bridge;      /* PCI-to-PCI bridge or PCIe port, class 0604 */
	int is_vfio;        /* bound to a VFIO-class driver: can be opened */
	int is_blocker;     /* its driver keeps the group from being used */
	const char *parent; /* PCI address of the bridge above; NULL: none */
	const char *iommu;  /* name of the IOMMU that has it; NULL: none */
	/* Which one of those that had this name: the inode of its folder in
	 * sysfs, which Linux gives out once; 0: not known. */
	uint64_t birth;
};

/* What keeps two devices in one group. */
enum sluice_group_rule {
	/* Requests leave a bridge under one id for all that is behind it. */
	SLUICE_RULE_BRIDGE_ALIAS = 1,
	/* Two functions are known to use one id. */
	SLUICE_RULE_DEVICE_ALIAS,
	/* The firmware says that two devices use one id. */
	SLUICE_RULE_FIRMWARE_ALIAS,
	/* A port on the way up may send requests back down: no ACS. */
	SLUICE_RULE_NO_ACS,
	/* Functions of one slot may reach each other: no ACS. */
	SLUICE_RULE_FUNCTIONS,
	/* The host bridge, or firmware, isolates only larger units. */
	SLUICE_RULE_ENDPOINT_UNIT
};

/* One link of the chain that holds a group together. */
struct sluice_group_reason {
	/* Two members; or one is a bridge on the way that no IOMMU has, and
	 * that is in no group itself. */
	const char *a;
	const char *b;
	enum sluice_group_rule rule;
	const char *rule_name; /* for scripts: "bridge-alias", "no-acs", … */
	const char *text;      /* a sentence about a and b */
	const char *remedy;    /* what would separate them; NULL: nothing */
};

struct sluice_group_info {
	int id;           /* the kernel's number: may differ after a reboot */
	const char *type; /* "DMA", "DMA-FQ", "identity", … or "unknown" */
	const char *name; /* NULL where the platform names no groups */
	const struct sluice_group_member *members; /* sorted by name */
	uint32_t nr_members;
	const struct sluice_group_region *regions; /* as the kernel sorts */
	uint32_t nr_regions;
	int viable;
	/* A computed group: a chain that connects all members, as few links as
	 * that takes. Empty when the groups were read from the kernel, which
	 * does not tell its reasons. */
	const struct sluice_group_reason *reasons;
	uint32_t nr_reasons;
	uint64_t birth; /* as a member's: numbers of groups are used again */
};

struct sluice_group_set;

/**
 * sluice_groups_read() - take a picture of the kernel's groups.
 * @root:    root of sysfs, NULL for "/sys". A folder that holds the tree as
 *           "sys" below it is taken too
 * @ret_set: owned by the caller, freed by sluice_group_set_free()
 *
 * A machine without an IOMMU (or with it switched off) has no groups: that is
 * an empty set, not an error. Devices that come and go while the picture is
 * taken may be missing from it.
 *
 * Thread: any. Blocks: reads files. Owns: the caller. Valid until: freed.
 * Returns: 0; -ENOENT or -ENOTDIR when root is no folder; -EACCES; -EBADMSG
 * for a malformed reserved_regions file (a range that cannot be read must not
 * be taken for usable); -E2BIG for more entries than any kernel makes;
 * -EMFILE, -ENFILE, -ENOMEM; or what the kernel answered when sysfs was read.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_groups_read(
        const char *root, struct sluice_group_set **ret_set);

/**
 * sluice_groups_compute() - what the groups are and why, from the topology.
 * @root:    as for sluice_groups_read()
 * @ret_set: likewise
 *
 * Applies the rules that make a group (requester ids, ACS, slots, the
 * platform's own) to the devices of the tree, without a look at the kernel's
 * answer. Groups are numbered from 0 in order of their first member; reserved
 * regions and the type of the default domain are the kernel's to know and stay
 * empty. Which IOMMU each device has been given to is read where the kernel
 * shows it (the device's "iommu" link): one that none has taken yet is in no
 * group. See docs/groups.md for where a kernel may answer otherwise.
 *
 * Thread: any. Blocks: reads files. Owns: the caller. Valid until: freed.
 * Returns: 0; -EACCES when configuration space is hidden from this user (run
 * as root); else as sluice_groups_read().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_groups_compute(
        const char *root, struct sluice_group_set **ret_set);

/**
 * sluice_group_set_free() - free the set and all it lent out. NULL is fine.
 *
 * Thread: any. Blocks: no.
 */
SLUICE_API void sluice_group_set_free(struct sluice_group_set *set);

/**
 * sluice_groups_count() - how many groups the set holds.
 *
 * Thread: any. Blocks: no.
 */
SLUICE_API uint32_t sluice_groups_count(const struct sluice_group_set *set);

/**
 * sluice_groups_get() - the nth group, in order of their ids.
 *
 * Thread: any. Blocks: no. Owns: the set. Valid until: the set is freed.
 * Returns: NULL when n is not below sluice_groups_count().
 */
SLUICE_API const struct sluice_group_info *sluice_groups_get(
        const struct sluice_group_set *set, uint32_t n);

/**
 * sluice_groups_find() - the group that a device is in.
 * @name: a PCI address ("0000:00:1f.2"; "00:1f.2" and capitals are fine) or
 *        the exact name of a device of another bus
 *
 * Thread: any. Blocks: no. Owns: the set. Valid until: the set is freed.
 * Returns: NULL when no group has such a member.
 */
SLUICE_API const struct sluice_group_info *sluice_groups_find(
        const struct sluice_group_set *set, const char *name);

/**
 * sluice_groups_nr_ungrouped() - how many PCI devices are in no group: no
 * IOMMU translates their DMA.
 *
 * Thread: any. Blocks: no.
 */
SLUICE_API uint32_t
sluice_groups_nr_ungrouped(const struct sluice_group_set *set);

/**
 * sluice_groups_ungrouped() - the nth PCI device that is in no group.
 *
 * Thread: any. Blocks: no. Owns: the set. Valid until: the set is freed.
 * Returns: NULL when n is out of range.
 */
SLUICE_API const struct sluice_group_member *sluice_groups_ungrouped(
        const struct sluice_group_set *set, uint32_t n);

/**
 * sluice_groups_ungrouped_reason() - why the nth such device is in no group.
 *
 * Thread: any. Blocks: no. Owns: the set. Valid until: the set is freed.
 * Returns: a sentence; NULL when n is out of range or the set was read from the
 * kernel, which does not tell.
 */
SLUICE_API const char *sluice_groups_ungrouped_reason(
        const struct sluice_group_set *set, uint32_t n);

/**
 * sluice_group_explain_viability() - why a group can or cannot be used, and
 * the exact commands that change it.
 * @info: of a set or of an open group
 * @buf:  filled with lines of text, always terminated; may be NULL with len 0
 * @len:  bytes in buf
 *
 * Command lines begin with four spaces; they are for a root shell on the
 * machine that the picture was taken of. Names that do not belong on a command
 * line are shown with '?' and get no command.
 *
 * Thread: any. Blocks: no. Returns: length of the whole text without its
 * terminator, as snprintf() would: not below len means that it was cut.
 */
SLUICE_API size_t sluice_group_explain_viability(
        const struct sluice_group_info *info, char *buf, size_t len);

/* Where to look; zeroes or NULL ask for the machine's own. */
struct sluice_group_cfg {
	const char *sysfs_root; /* NULL: "/sys" */
	const char *dev_root;   /* NULL: "/dev/vfio" */
};

struct sluice_group;

/**
 * sluice_group_open() - open the VFIO group of a device.
 * @bdf: PCI address of any member that is bound to a VFIO-class driver:
 *       "0000:01:00.0" or "01:00.0"
 * @cfg: NULL for the defaults; not kept
 * @ret_group: owned by the caller, closed by sluice_group_close()
 *
 * Attach it to a domain with sluice_domain_attach() next. Whether the group is
 * viable is judged by the kernel where it lets the group be opened; sysfs then
 * tells which member is to blame.
 *
 * Thread: control. Blocks: yes. Returns 0 or, with a message that says what to
 * type:
 * -EINVAL  bdf is no PCI address
 * -ENODEV  no such device, or it went away meanwhile
 * -ENOENT  the device is in no group (IOMMU off), or the group has no device
 *          node (no member is bound to a VFIO driver, module not loaded)
 * -EPERM   the group is not viable, or a container's rules forbid the node
 * -EACCES  the device node's owner or mode forbids it
 * -EBUSY   another process, or this one, has the group open already
 * -EBADMSG sysfs holds something that no kernel writes
 * -ENOTTY  the device node is not a VFIO group
 * -EMFILE, -ENFILE, -ENOMEM; or what the kernel answered when sysfs was read
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_group_open(
        const char *bdf, const struct sluice_group_cfg *cfg,
        struct sluice_group **ret_group);

/**
 * sluice_group_close() - close the group; the kernel drivers may have it again.
 *
 * NULL is fine. Device file descriptors stay open: they are the caller's.
 * Thread: control. Blocks: yes. Returns: 0, -EBUSY while it is attached to a
 * domain (detach it first; nothing is closed then).
 */
SLUICE_API int sluice_group_close(struct sluice_group *group);

/**
 * sluice_group_id() - the kernel's number of the group.
 *
 * Thread: any. Blocks: no. Returns: the number, -EINVAL for NULL.
 */
SLUICE_API int sluice_group_id(const struct sluice_group *group);

/**
 * sluice_group_describe() - the group as sysfs showed it when it was opened.
 *
 * Thread: any. Blocks: no. Owns: the group. Valid until: it is closed.
 * Returns: NULL for NULL.
 */
SLUICE_API const struct sluice_group_info *sluice_group_describe(
        const struct sluice_group *group);

/**
 * sluice_group_device_open() - a file descriptor for one device of the group.
 * @group:  attached to a domain
 * @bdf:    PCI address of the member, or the exact name of one of another bus;
 *          NULL for the one that the group was opened by
 * @ret_fd: a VFIO device file descriptor (close-on-exec); the caller closes it,
 *          before the group is detached
 *
 * Thread: control. Blocks: yes. Returns: 0; -EINVAL; -ENOTCONN when the group
 * is not attached; -ENODEV when the device is not a member, or not bound to a
 * VFIO driver; -EBUSY; -EMFILE; -EPERM in a child of the process that opened
 * the group; or what the kernel answered. sluice_device_open() does more.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_group_device_open(
        struct sluice_group *group, const char *bdf, int *ret_fd);

#ifdef __cplusplus
}
#endif
#endif
