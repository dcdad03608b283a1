/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices whose isolation or requester ids their configuration space does not
 * tell. Which they are has been reported by their makers or found out the hard
 * way over the years; Linux keeps the same list (drivers/pci/quirks.c), and as
 * its partition is what VFIO enforces, ours has to agree with it.
 */
#include "groups/quirks.h"

#include <stddef.h>

#include "util/util.h"

#define INTEL 0x8086

struct id_range {
	uint16_t vendor, first, last;
};

static bool in(const struct id_range *r, size_t nr, const struct topo_dev *d)
{
	for (size_t i = 0; i < nr; i++)
		if (r[i].vendor == d->vendor && d->device >= r[i].first &&
		    d->device <= r[i].last)
			return true;
	return false;
}

/* Functions that their makers say never talk to each other: network adapters,
 * which have ACS in none of their functions. */
static const struct id_range quiet_functions[] = {
        {INTEL, 0x105e, 0x1060}, /* 82571 */
        {INTEL, 0x10d9, 0x10d9},
        {INTEL, 0x10a7, 0x10a7}, /* 82575 */
        {INTEL, 0x10a9, 0x10a9},
        {INTEL, 0x10d6, 0x10d6},
        {INTEL, 0x10c9, 0x10c9}, /* 82576 */
        {INTEL, 0x10e6, 0x10e8},
        {INTEL, 0x150a, 0x150a},
        {INTEL, 0x150d, 0x150d},
        {INTEL, 0x1518, 0x1518},
        {INTEL, 0x1526, 0x1526},
        {INTEL, 0x1509, 0x1509}, /* 82580 */
        {INTEL, 0x150e, 0x1511},
        {INTEL, 0x1516, 0x1516},
        {INTEL, 0x1527, 0x1527},
        {INTEL, 0x1521, 0x1524}, /* I350 */
        {INTEL, 0x10c6, 0x10c6}, /* 82598 */
        {INTEL, 0x10db, 0x10db},
        {INTEL, 0x10dd, 0x10dd},
        {INTEL, 0x10e1, 0x10e1},
        {INTEL, 0x10f1, 0x10f1},
        {INTEL, 0x10f4, 0x10f4},
        {INTEL, 0x10f7, 0x10fc}, /* 82599 */
        {INTEL, 0x1507, 0x1507},
        {INTEL, 0x1514, 0x1514},
        {INTEL, 0x151c, 0x151c},
        {INTEL, 0x1528, 0x1529},
        {INTEL, 0x152a, 0x152a},
        {INTEL, 0x154a, 0x154a},
        {INTEL, 0x154d, 0x154d},
        {INTEL, 0x154f, 0x154f},
        {INTEL, 0x1551, 0x1551},
        {INTEL, 0x1558, 0x1558},
        {0x1924, 0x0903, 0x0903}, /* Solarflare */
        {0x1924, 0x0923, 0x0923},
        {0x1924, 0x0a03, 0x0a03},
        {0x19a2, 0x0710, 0x0710}, /* Emulex */
        {0x10df, 0x0720, 0x0720},
        {0x14e4, 0x16d7, 0x16d7}, /* Broadcom NetXtreme-E */
        {0x14e4, 0x16f0, 0x16f0},
        {0x14e4, 0x1750, 0x1752},
        {0x14e4, 0x1760, 0x1760},
};

/* Root ports that redirect all requests without saying so. */
static const struct id_range quiet_ports[] = {
        {0x17cb, 0x0400, 0x0401}, /* Qualcomm QDF2400 */
        {0x1def, 0xe005, 0xe00c}, /* Ampere */
        {0x177d, 0xa000, 0xa0ff}, /* Cavium ThunderX */
        {0x177d, 0xaf00, 0xafff}, {0x177d, 0xb800, 0xb8ff},
        {0x1c36, 0x0031, 0x0031}, /* Annapurna Labs */
};

const char *quirk_isolates(const struct topo_dev *d)
{
	/* Intel: root-complex endpoints cannot reach each other. */
	if (d->vendor == INTEL && d->is_pcie && d->port == TOPO_RC_ENDPOINT)
		return "Intel's root-complex endpoints reach nothing but "
		       "memory";
	if (in(quiet_functions, NR_OF(quiet_functions), d))
		return "its maker says that its functions do not reach each "
		       "other";
	if (d->is_pcie && d->port == TOPO_ROOT_PORT &&
	    in(quiet_ports, NR_OF(quiet_ports), d))
		return "its maker says that it passes no request between "
		       "devices";
	return NULL;
}

/* Requests of other functions come under function 0's or 1's number. */
static const struct id_range as_function0[] = {
        {0x1180, 0xe832, 0xe832}, /* Ricoh */
        {0x1180, 0xe476, 0xe476},
};
static const struct id_range as_function1[] = {
        {0x1b4b, 0x9120, 0x9120}, /* Marvell */
        {0x1b4b, 0x9123, 0x9123}, {0x1b4b, 0x9125, 0x9125},
        {0x1b4b, 0x9128, 0x9128}, {0x1b4b, 0x9130, 0x9130},
        {0x1b4b, 0x9170, 0x9170}, {0x1b4b, 0x9172, 0x9172},
        {0x1b4b, 0x917a, 0x917a}, {0x1b4b, 0x9182, 0x9183},
        {0x1b4b, 0x91a0, 0x91a0}, {0x1b4b, 0x9215, 0x9215},
        {0x1b4b, 0x9220, 0x9220}, {0x1b4b, 0x9230, 0x9230},
        {0x1b4b, 0x9235, 0x9235}, {0x1103, 0x0642, 0x0642}, /* HighPoint */
        {0x1103, 0x0645, 0x0645}, {0x197b, 0x2388, 0x2388}, /* JMicron */
        {0x1b1c, 0x1aac, 0x1aac},
};

int quirk_alias(const struct topo_dev *d)
{
	int slot = d->rid & 0xf8;

	if (in(as_function0, NR_OF(as_function0), d) && topo_fn(d) != 0)
		return slot;
	if (in(as_function1, NR_OF(as_function1), d) && topo_fn(d) != 1)
		return slot | 1;
	/* Adaptec 3405: an id of its own bus, 0e.0. */
	if (d->vendor == 0x9005 && d->device == 0x0285)
		return 0x0e << 3;
	return -1;
}

static const struct id_range converters[] = {
        {0x1b21, 0x1080, 0x1080}, /* ASMedia ASM1083 */
        {0x10e3, 0x8113, 0x8113}, /* Tundra */
        {0x1283, 0x8892, 0x8893}, /* ITE */
        {INTEL, 0x244e, 0x244e},  /* Intel 82801 */
};

bool quirk_converts(const struct topo_dev *d, const struct topo_dev *above)
{
	return d->is_bridge && !d->is_pcie && above && above->is_pcie &&
	       above->port != TOPO_PCIE_TO_PCI &&
	       in(converters, NR_OF(converters), d);
}

static const struct id_range roots[] = {
        {0x14e4, 0x9000, 0x9000}, /* Broadcom Vulcan */
        {0x14e4, 0x9084, 0x9084},
        {0x177d, 0x9084, 0x9084}, /* Cavium ThunderX2 */
};

bool quirk_is_root(const struct topo_dev *d)
{
	return in(roots, NR_OF(roots), d);
}
