/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups, the slow way: device after device, each with the whole machine looked
 * at once more. Shares no code with groups/pci.c but the tables of devices.
 */
#include "forest.h"

#include "groups/quirks.h"

#define NOBODY UINT32_MAX

static bool in_play(const struct forest *f, uint32_t i)
{
	return f->unit[i].style == STYLE_PCI;
}

static uint32_t up(const struct forest *f, uint32_t i)
{
	return f->dev[i].parent;
}

static bool on_root_bus(const struct forest *f, uint32_t i)
{
	return up(f, i) == TOPO_NONE;
}

/* Does this device, as an end or as a stage of the way, keep its own traffic
 * from turning around in it? */
static bool trusted(const struct topo_dev *d)
{
	unsigned all = 0x1d, have = d->acs_cap & all;
	bool services = d->has_acs && (d->acs_ctrl & have) == have;
	bool port = d->is_pcie && (d->port == 4 || d->port == 6);
	bool end = d->is_pcie && (d->port == 0 || d->port == 1 ||
	                          d->port == 5 || d->port == 9);

	if (quirk_isolates(d))
		return true;
	if (port)
		return services;
	if (end && d->multifunction)
		return services;
	/* Linux trusts what the specification has no name for. */
	return end || (d->is_pcie && (d->port == 2 || d->port == 3 ||
	                              d->port > TOPO_RC_EVENT));
}

static bool clean_way(const struct forest *f, uint32_t bridge)
{
	if (!trusted(&f->dev[bridge]))
		return false;
	return on_root_bus(f, bridge) || clean_way(f, up(f, bridge));
}

/* 0: passes ids on; 1: its own id; 2: its bus's id. */
static int id_of_bridge(const struct forest *f, uint32_t b)
{
	const struct topo_dev *d = &f->dev[b];

	if (d->is_pcie)
		return d->port == 7 ? 2 : d->port == 8 ? 1 : 0;
	return quirk_converts(d, on_root_bus(f, b) ? NULL : &f->dev[up(f, b)])
	               ? 2
	               : 1;
}

static bool slot_mates(const struct topo_dev *a, const struct topo_dev *b)
{
	return a->domain == b->domain && topo_bus(a) == topo_bus(b) &&
	       topo_slot(a) == topo_slot(b);
}

static bool one_id(const struct forest *f, uint32_t a, uint32_t b)
{
	int x = quirk_alias(&f->dev[a]), y = quirk_alias(&f->dev[b]);

	return f->dev[a].domain == f->dev[b].domain &&
	       topo_bus(&f->dev[a]) == topo_bus(&f->dev[b]) &&
	       ((x >= 0 && x == (f->dev[b].rid & 0xff)) ||
	        (y >= 0 && y == (f->dev[a].rid & 0xff)));
}

/* All of one group become another's. */
static void merge(const struct forest *f, uint32_t *group, uint32_t i,
                  uint32_t k)
{
	uint32_t from = group[k], to = group[i];

	for (uint32_t z = 0; z < f->topo.nr; z++)
		if (group[z] == from)
			group[z] = to;
}

/* Every group that device i must be in, by each rule in turn. */
static void join(const struct forest *f, uint32_t i, uint32_t *group)
{
	uint32_t top = i;

	for (uint32_t b = up(f, i); b != TOPO_NONE; b = up(f, b)) {
		if (quirk_is_root(&f->dev[b]))
			break;
		if (id_of_bridge(f, b)) {
			merge(f, group, i, b);
			top = b;
		}
	}
	while (!on_root_bus(f, top) && !clean_way(f, up(f, top))) {
		top = up(f, top);
		merge(f, group, i, top);
	}
	for (uint32_t k = 0; k < f->topo.nr; k++) {
		if (k != i && one_id(f, i, k))
			merge(f, group, i, k);
		if (k != top && k != i && f->dev[top].multifunction &&
		    !trusted(&f->dev[top]) && !trusted(&f->dev[k]) &&
		    slot_mates(&f->dev[top], &f->dev[k]))
			merge(f, group, i, k);
	}
}

void naive_groups(const struct forest *f, uint32_t ret_group[FOREST_MAX])
{
	for (uint32_t i = 0; i < f->topo.nr; i++)
		ret_group[i] = i;
	for (uint32_t i = 0; i < f->topo.nr; i++)
		join(f, i, ret_group);
	for (uint32_t i = 0; i < f->topo.nr; i++)
		if (!in_play(f, i))
			ret_group[i] = NOBODY;
}

static bool is_above(const struct forest *f, uint32_t b, uint32_t i)
{
	for (i = up(f, i); i != TOPO_NONE; i = up(f, i))
		if (i == b)
			return true;
	return false;
}

bool naive_bond(const struct forest *f, const struct bond *b)
{
	const struct topo_dev *via =
	        b->via == TOPO_NONE ? NULL : &f->dev[b->via];

	switch (b->rule) {
	case SLUICE_RULE_BRIDGE_ALIAS:
		return is_above(f, b->b, b->a) && b->via == b->b &&
		       id_of_bridge(f, b->b) == 1 + b->bus_id;
	case SLUICE_RULE_DEVICE_ALIAS:
		return one_id(f, b->a, b->b);
	case SLUICE_RULE_NO_ACS:
		return is_above(f, b->b, b->a) && via && !trusted(via) &&
		       (b->via == b->b || is_above(f, b->via, b->b));
	case SLUICE_RULE_FUNCTIONS: {
		/* b is in the slot of a, or of a bridge above it. */
		uint32_t x = b->a;

		while (x != TOPO_NONE && !slot_mates(&f->dev[x], &f->dev[b->b]))
			x = up(f, x);
		return x != TOPO_NONE && f->dev[x].multifunction &&
		       !trusted(&f->dev[x]) && !trusted(&f->dev[b->b]);
	}
	default:
		return false;
	}
}
