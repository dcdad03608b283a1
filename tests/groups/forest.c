/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Grows random PCI trees: root ports with and without ACS, switches, bridges to
 * conventional buses, slots of several functions, virtual functions, devices
 * of the tables in groups/quirks.c, and some that no IOMMU has.
 */
#include "forest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/util.h"

/* A tree without numbers: first child, next sibling in each slot. */
struct node {
	struct topo_dev dev;
	bool loose;
	uint32_t slot, fn;
	uint32_t parent;
};

struct grower {
	uint64_t rng;
	struct node node[FOREST_MAX];
	uint32_t nr;
};

static uint64_t roll(uint64_t *rng)
{
	/* splitmix64: Steele, Lea, Flood 2014. */
	uint64_t z = *rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t pick(uint64_t *rng, uint32_t n)
{
	return (uint32_t)(roll(rng) % n);
}

static void paint(struct grower *g, struct topo_dev *d)
{
	static const uint16_t ids[][2] = {
	        {0x8086, 0x10c9}, {0x8086, 0x244e}, {0x1b4b, 0x9230},
	        {0x1180, 0xe832}, {0x9005, 0x0285}, {0x8086, 0x1234},
	        {0x1b36, 0x0010}, {0x17cb, 0x0400}, {0x14e4, 0x9084},
	};
	uint32_t k = pick(&g->rng, 12);

	d->vendor = k < NR_OF(ids) ? ids[k][0] : 0x1af4;
	d->device = k < NR_OF(ids) ? ids[k][1] : 0x1041;
	if (d->is_pcie && pick(&g->rng, 2)) {
		d->has_acs = true;
		d->acs_cap = (uint16_t)(pick(&g->rng, 3) ? 0x1f
		                                         : pick(&g->rng, 128));
		d->acs_ctrl = (uint16_t)(pick(&g->rng, 3) ? 0x1d
		                                          : pick(&g->rng, 128));
	}
}

static uint32_t add(struct grower *g, uint32_t parent, uint32_t slot,
                    uint32_t fn, int port)
{
	struct node *n = &g->node[g->nr];

	memset(n, 0, sizeof(*n));
	n->parent = parent;
	n->slot = slot;
	n->fn = fn;
	n->loose = pick(&g->rng, 24) == 0;
	n->dev.is_pcie = port >= 0;
	if (port >= 0)
		n->dev.port = (enum topo_port)port;
	paint(g, &n->dev);
	return g->nr++;
}

static void fill_bus(struct grower *g, uint32_t bridge, bool pcie, bool root,
                     unsigned depth);

/* What a function is depends on the bus it is on. */
static int kind(struct grower *g, bool pcie, bool root, bool *ret_bridge)
{
	uint32_t k = pick(&g->rng, 10);

	*ret_bridge = false;
	if (!pcie) {
		*ret_bridge = k < 3;
		return k == 2 ? TOPO_PCI_TO_PCIE : -1;
	}
	if (root && k < 4) {
		*ret_bridge = true;
		return TOPO_ROOT_PORT;
	}
	if (k == 4) {
		*ret_bridge = true;
		return TOPO_PCIE_TO_PCI;
	}
	if (k == 5) {
		*ret_bridge = true;
		return root ? -1 : TOPO_UPSTREAM;
	}
	if (root)
		return k == 6 ? -1 : k == 7 ? TOPO_RC_EVENT : TOPO_RC_ENDPOINT;
	return k == 6 ? TOPO_LEGACY_ENDPOINT : TOPO_ENDPOINT;
}

/* Below an upstream port: downstream ports only. */
static void fill_switch(struct grower *g, uint32_t upstream, unsigned depth)
{
	uint32_t nr = 1 + pick(&g->rng, 3);

	for (uint32_t s = 0; s < nr && g->nr < FOREST_MAX; s++) {
		uint32_t i = add(g, upstream, s, 0, TOPO_DOWNSTREAM);

		g->node[i].dev.is_bridge = true;
		fill_bus(g, i, true, false, depth + 1);
	}
}

static void fill_slot(struct grower *g, uint32_t bridge, uint32_t slot,
                      bool pcie, bool root, unsigned depth)
{
	uint32_t nr = pick(&g->rng, 3) ? 1 : 1 + pick(&g->rng, 4);

	for (uint32_t fn = 0; fn < nr && g->nr < FOREST_MAX; fn++) {
		bool down;
		int port = kind(g, pcie, root, &down);
		uint32_t i = add(g, bridge, slot, fn, port);
		struct topo_dev *d = &g->node[i].dev;

		d->multifunction = nr > 1;
		if (fn && port == TOPO_ENDPOINT && pick(&g->rng, 3) == 0) {
			d->is_vf = true;
			d->multifunction = false;
		}
		if (!down)
			continue;
		d->is_bridge = true;
		if (port == TOPO_UPSTREAM)
			fill_switch(g, i, depth + 1);
		else
			fill_bus(g, i,
			         port == TOPO_ROOT_PORT ||
			                 port == TOPO_PCI_TO_PCIE,
			         false, depth + 1);
	}
}

static void fill_bus(struct grower *g, uint32_t bridge, bool pcie, bool root,
                     unsigned depth)
{
	uint32_t slots = root   ? 1 + pick(&g->rng, 5)
	                 : pcie ? 1
	                        : pick(&g->rng, 4);

	if (depth > 4)
		return;
	for (uint32_t s = 0; s < slots && g->nr < FOREST_MAX; s++)
		fill_slot(g, bridge, s, pcie, root, depth);
}

/* Numbers buses in the order of a scan: depth first, slot after slot, in an
 * order of slots that order decides. */
static void scan(struct forest *f, const struct grower *g, uint32_t bridge,
                 uint8_t bus, uint8_t *next, const uint32_t *order)
{
	for (uint32_t k = 0; k < g->nr; k++) {
		uint32_t i = order[k];
		const struct node *n = &g->node[i];
		struct topo_dev *d;

		if (n->parent != bridge)
			continue;
		d = &f->dev[f->topo.nr];
		*d = n->dev;
		d->rid = (uint16_t)((uint32_t)bus << 8 | n->slot << 3 | n->fn);
		f->label[f->topo.nr] = i;
		d->class = i; /* carries the label through the sorting */
		f->topo.nr++;
		if (!d->is_bridge)
			continue;
		d->secondary = ++*next;
		scan(f, g, i, d->secondary, next, order);
		d->subordinate = *next;
	}
}

static void settle(struct forest *f, const struct grower *g)
{
	f->topo.dev = f->dev;
	topo_settle(&f->topo);
	f->platform = (struct platform){
	        .kind = PLATFORM_VTD, .by_pci = true, .unit = f->unit};
	for (uint32_t i = 0; i < f->topo.nr; i++) {
		f->label[i] = f->dev[i].class;
		f->dev[i].class = 0;
		snprintf(f->name[i], sizeof(f->name[i]), "0000:%02x:%02x.%x",
		         topo_bus(&f->dev[i]), topo_slot(&f->dev[i]),
		         topo_fn(&f->dev[i]));
		f->dev[i].name = f->name[i];
		f->unit[i] = (struct unit){.style = g->node[f->label[i]].loose
		                                            ? STYLE_NONE
		                                            : STYLE_PCI};
	}
}

void forest_grow(struct forest *f, uint64_t seed, uint64_t order_seed)
{
	struct grower g = {.rng = seed};
	uint32_t order[FOREST_MAX];
	uint8_t next = 0;

	memset(f, 0, sizeof(*f));
	fill_bus(&g, TOPO_NONE, true, true, 0);
	for (uint32_t i = 0; i < g.nr; i++)
		order[i] = i;
	for (uint32_t i = g.nr; order_seed && i > 1; i--) {
		uint32_t k = pick(&order_seed, i), was = order[i - 1];

		order[i - 1] = order[k];
		order[k] = was;
	}
	scan(f, &g, TOPO_NONE, 0, &next, order);
	assert_int_equal(f->topo.nr, g.nr);
	settle(f, &g);
}

void forest_cut(struct forest *f, const bool gone[FOREST_MAX])
{
	uint32_t to[FOREST_MAX], nr = 0;

	for (uint32_t i = 0; i < f->topo.nr; i++) {
		uint32_t up = f->dev[i].parent;

		/* Parents come first: lower bus numbers. */
		to[i] = gone[i] || (up != TOPO_NONE && to[up] == TOPO_NONE)
		                ? TOPO_NONE
		                : nr++;
	}
	for (uint32_t i = 0; i < f->topo.nr; i++) {
		uint32_t k = to[i];

		if (k == TOPO_NONE)
			continue;
		f->dev[k] = f->dev[i];
		if (f->dev[k].parent != TOPO_NONE)
			f->dev[k].parent = to[f->dev[k].parent];
		f->label[k] = f->label[i];
		f->unit[k] = f->unit[i];
	}
	f->topo.nr = nr;
}
