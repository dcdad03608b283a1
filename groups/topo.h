/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PCI devices of a sysfs tree and how they hang together, as far as it
 * decides who can be told from whom: ids, bridges, functions of a slot, and
 * what their configuration space says about isolation. Knows nothing of
 * groups.
 */
#ifndef SLUICE_GROUPS_TOPO_H
#define SLUICE_GROUPS_TOPO_H

#include <stdbool.h>
#include <stdint.h>

#include "groups/mem.h"

#define TOPO_NONE UINT32_MAX

/* PCI Express Base 6.0, 7.5.3.2: Device/Port Type. */
enum topo_port {
	TOPO_ENDPOINT = 0x0,
	TOPO_LEGACY_ENDPOINT = 0x1,
	TOPO_ROOT_PORT = 0x4,
	TOPO_UPSTREAM = 0x5,
	TOPO_DOWNSTREAM = 0x6,
	TOPO_PCIE_TO_PCI = 0x7,
	TOPO_PCI_TO_PCIE = 0x8,
	TOPO_RC_ENDPOINT = 0x9,
	TOPO_RC_EVENT = 0xa,
};

/* 6.12.1.1 and 7.7.11.2: bits of the ACS capability and control registers. */
#define TOPO_ACS_SV 0x01 /* source validation */
#define TOPO_ACS_TB 0x02 /* translation blocking */
#define TOPO_ACS_RR 0x04 /* peer-to-peer request redirect */
#define TOPO_ACS_CR 0x08 /* peer-to-peer completion redirect */
#define TOPO_ACS_UF 0x10 /* upstream forwarding */
#define TOPO_ACS_EC 0x20 /* egress control */
#define TOPO_ACS_DT 0x40 /* direct translated */

struct topo_dev {
	const char *name; /* sysfs's spelling */
	uint32_t domain;
	uint16_t rid; /* bus, device, function: PCI Express Base 6.0, 2.2.6.2 */
	uint32_t
	        parent; /* index of the bridge above, TOPO_NONE on a root bus */
	uint16_t vendor, device;
	uint32_t class; /* 0xBBSSPP */
	const char *driver;
	const char *iommu;   /* name of the IOMMU the kernel gave it to, NULL */
	const char *of_node; /* its device-tree node's path, NULL */
	bool is_bridge;      /* header type 1 or 2: has a bus below */
	uint8_t secondary, subordinate;
	bool multifunction; /* one of several functions of its slot */
	bool is_vf;
	bool is_pcie;
	enum topo_port port;
	bool has_acs;
	uint16_t acs_cap, acs_ctrl;
};

struct topo {
	struct grp_mem mem;
	struct topo_dev *dev; /* by domain and rid */
	uint32_t nr;
};

static inline uint8_t topo_bus(const struct topo_dev *d)
{
	return (uint8_t)(d->rid >> 8);
}

static inline uint8_t topo_slot(const struct topo_dev *d)
{
	return d->rid >> 3 & 0x1f;
}

static inline uint8_t topo_fn(const struct topo_dev *d)
{
	return d->rid & 7;
}

/* Reads bus/pci of an open sysfs root; sets a message. -EACCES when
 * configuration space is hidden from this user. */
int topo_read(int root, struct topo *ret);
void topo_free(struct topo *t);

/* What a configuration space of len bytes says; ids and bus numbers too when
 * they are still zero. Believes nothing: any bytes will do. */
void topo_parse_config(const uint8_t *cfg, size_t len, struct topo_dev *d);

/* Sorts, and finds each device's bridge by bus numbers where the path did not
 * tell. For topologies that are not from sysfs, too. */
void topo_settle(struct topo *t);

/* TOPO_NONE when there is none. */
uint32_t topo_find(const struct topo *t, uint32_t domain, uint16_t rid);
uint32_t topo_find_name(const struct topo *t, const char *name);

#endif
