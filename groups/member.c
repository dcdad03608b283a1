/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One device of a group, as its sysfs folder shows it. A device may vanish
 * while it is read, and a captured tree may lack any attribute: what is not
 * there stays empty. What cannot be told about a driver counts as a driver in
 * the way, never as none.
 */
#include "groups/read.h"

#include <errno.h>
#include <string.h>

#include "groups/parse.h"
#include "groups/sysfs.h"
#include "util/util.h"

/* PCI Local Bus 3.0, section 6.1 and appendix D. */
#define PCI_HEADER_BYTES 64
#define PCI_VENDOR_ID 0x00
#define PCI_DEVICE_ID 0x02
#define PCI_CLASS_PROG 0x09
#define PCI_CLASS_BRIDGE_PCI 0x0604

static unsigned le16(const unsigned char *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

/* Ids from the device's configuration space, for trees that have nothing
 * else. */
static int ids_from_config(int dir, struct sluice_group_member *m)
{
	char buf[8192];
	const unsigned char *cfg = (const unsigned char *)buf;
	ssize_t n = sysfs_read(dir, "config", buf, sizeof(buf));

	if (n < PCI_HEADER_BYTES)
		return sysfs_lacking((int)n) ? (int)n : 0;
	m->vendor = (uint16_t)le16(cfg + PCI_VENDOR_ID);
	m->device = (uint16_t)le16(cfg + PCI_DEVICE_ID);
	m->pci_class = cfg[PCI_CLASS_PROG] |
	               (uint32_t)le16(cfg + PCI_CLASS_PROG + 1) << 8;
	return 0;
}

static int read_ids(int dir, struct sluice_group_member *m)
{
	uint64_t class = 0, vendor = 0, device = 0;
	int rc = sysfs_hex(dir, "class", 0xffffff, &class);

	if (rc == 0)
		rc = sysfs_hex(dir, "vendor", 0xffff, &vendor);
	if (rc == 0)
		rc = sysfs_hex(dir, "device", 0xffff, &device);
	if (rc == 0) {
		m->pci_class = (uint32_t) class;
		m->vendor = (uint16_t)vendor;
		m->device = (uint16_t)device;
	} else {
		if (!sysfs_lacking(rc))
			rc = ids_from_config(dir, m);
		if (rc)
			return rc;
	}
	m->is_bridge = m->pci_class >> 8 == PCI_CLASS_BRIDGE_PCI;
	return 0;
}

static int read_driver(struct grp_mem *mem, int dir,
                       struct sluice_group_member *m)
{
	/* A folder that is there and cannot be opened has a driver as well. */
	int rc =
	        dir < 0 ? dir : sysfs_link_name(mem, dir, "driver", &m->driver);

	if (sysfs_lacking(rc))
		return rc;
	if (rc == -ENOENT)
		return 0;
	if (rc)
		m->driver = "?";
	m->is_vfio = grp_driver_is_vfio(m->driver);
	m->is_blocker = !grp_driver_is_harmless(m->driver);
	return 0;
}

/* Until a driver has asked for more the kernel shows 32, and after one it shows
 * what that one asked for: only a driver that is bound tells. */
static int read_reach(int dir, struct sluice_group_member *m)
{
	char text[8];
	int bits = 0;
	ssize_t n;

	if (!m->is_blocker)
		return 0;
	n = sysfs_read(dir, "dma_mask_bits", text, sizeof(text));
	if (sysfs_lacking((int)n))
		return (int)n;
	if (n > 0) {
		text[strcspn(text, "\n")] = '\0';
		if (grp_id_parse(text, &bits) && bits > 12 && bits <= 64)
			m->dma_bits = (uint32_t)bits;
	}
	return 0;
}

/* What it hangs on, and who translates for it. */
static int read_place(struct grp_mem *mem, int at, int dir, const char *path,
                      struct sluice_group_member *m)
{
	char bdf[GRP_BDF_LEN];
	int rc = sysfs_link_above(mem, at, path, &m->parent);

	/* No device is above itself, by its own name or by its entry's. */
	if (m->parent && (!grp_bdf_parse(m->parent, bdf) ||
	                  !strcmp(bdf, m->name) || !strcmp(bdf, path)))
		m->parent = NULL;
	if (rc || dir < 0)
		return rc;
	rc = sysfs_link_name(mem, dir, "iommu", &m->iommu);
	return sysfs_lacking(rc) ? rc : 0;
}

int grp_read_member(struct grp_mem *mem, int at, const char *path,
                    const char *fallback, struct sluice_group_member *ret)
{
	struct sluice_group_member m = {.name = fallback, .bus = ""};
	int dir = sysfs_dir(at, path);
	char bdf[GRP_BDF_LEN];
	int rc;

	/* The link's own name may have ".N" behind it, where two buses have a
	 * device of one name; the target has the device's. */
	rc = sysfs_link_name(mem, at, path, &m.name);
	if (!sysfs_lacking(rc) && dir >= 0)
		rc = sysfs_link_name(mem, dir, "subsystem", &m.bus);
	if (!sysfs_lacking(rc))
		rc = read_driver(mem, dir, &m);
	if (rc)
		goto out;
	m.is_pci = strcmp(m.bus, "pci") == 0 ||
	           (!*m.bus && grp_bdf_parse(m.name, bdf) &&
	            strcmp(bdf, m.name) == 0);
	if (m.is_pci && !*m.bus)
		m.bus = "pci";
	if (dir >= 0 && m.is_pci)
		rc = read_ids(dir, &m);
	if (rc == 0 && dir >= 0 && m.is_pci)
		rc = read_reach(dir, &m);
	if (rc == 0)
		rc = read_place(mem, at, dir, path, &m);
	m.birth = sysfs_birth(dir);
	if (rc == 0)
		*ret = m;
out:
	if (dir >= 0)
		(void)sys->close(dir);
	return rc;
}
