/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * POWER: partitionable endpoints. Under a hypervisor (PAPR) each device-tree
 * node with a DMA window is one endpoint with all that is below it, which is
 * mostly the whole host bridge. On bare metal (OPAL) firmware makes one of each
 * bus below a port, and one of everything behind a conventional bridge.
 */
#include "groups/platform.h"

#include <libfdt.h>
#include <string.h>

#include "util/util.h"

/* LoPAR 1.1, B.6.5.4 and B.6.6.1. */
static const char *const windows[] = {"ibm,dma-window", "ibm,my-dma-window"};

/* The node that has the device's window: its offset, or -1. */
static int window_node(const void *fdt, const char *path)
{
	int node = path ? fdt_path_offset(fdt, *path ? path : "/") : -1;

	while (node >= 0) {
		for (size_t i = 0; i < NR_OF(windows); i++)
			if (fdt_getprop(fdt, node, windows[i], NULL))
				return node;
		node = fdt_parent_offset(fdt, node);
	}
	return -1;
}

static bool is_bare_metal(const void *fdt)
{
	return fdt_node_check_compatible(fdt, 0, "ibm,powernv") == 0;
}

/* The bus whose endpoint the device is in: the highest conventional one above
 * it, or its own. */
static uint8_t endpoint_bus(const struct topo *t, uint32_t i)
{
	uint8_t bus = topo_bus(&t->dev[i]);

	for (uint32_t b = t->dev[i].parent; b != TOPO_NONE;
	     b = t->dev[b].parent)
		if (!t->dev[b].is_pcie || t->dev[b].port == TOPO_PCIE_TO_PCI)
			bus = t->dev[b].secondary;
	return bus;
}

int power_units(const struct topo *t, const void *fdt, size_t len,
                struct platform *p)
{
	bool good = fdt && fdt_check_full(fdt, len) == 0;
	bool bare = good && is_bare_metal(fdt);

	for (uint32_t i = 0; i < t->nr; i++) {
		const struct topo_dev *d = &t->dev[i];
		uint64_t host = (uint64_t)d->domain << 32;
		int node;

		if (p->unit[i].style != STYLE_UNIT)
			continue;
		node = good && !bare ? window_node(fdt, d->of_node) : -1;
		if (bare)
			p->unit[i].number = host | endpoint_bus(t, i);
		else
			p->unit[i].number = node >= 0 ? (uint64_t)node + 1
			                              : host | bit64(31);
	}
	return 0;
}
