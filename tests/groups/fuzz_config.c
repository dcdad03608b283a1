/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Machines of a stranger's configuration spaces: no read outside, what is found
 * is where it was said to be, no way up is endless, and the partition is that
 * of naive.c, whatever the order of the devices.
 *
 * Input: a byte of flags, then devices: id (2), flags, length (2), how many
 * patches; a patch is a place (2), a length and that many bytes. All else in a
 * configuration space is zero.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forest.h"
#include "groups/partition.h"
#include "groups/pci.h"

#define MAX_DEVICES 24
#define CFG_MAX 4096

enum {
	LINKS_ONLY = 0x01, /* of the machine: PCI's rules make no groups */
	UNTRANSLATED = 0x01,
	VIRTUAL = 0x02,
	DOMAIN = 0x0c,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static void check(int ok)
{
	if (!ok)
		abort();
}

static unsigned take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static unsigned take16(struct input *in)
{
	unsigned low = take(in);

	return low | take(in) << 8;
}

/* Is there a capability at all that says so, wherever the chain leads? */
static bool has_ext(const uint8_t *cfg, size_t len, const struct topo_dev *d)
{
	for (size_t at = 256; at + 8 <= len; at += 4)
		if (cfg[at] == 0x0d && cfg[at + 1] == 0 &&
		    (cfg[at + 4] | cfg[at + 5] << 8) == d->acs_cap &&
		    (cfg[at + 6] | cfg[at + 7] << 8) == d->acs_ctrl)
			return true;
	return false;
}

static bool has_pcie(const uint8_t *cfg, size_t len, const struct topo_dev *d)
{
	for (size_t at = 64; at + 4 <= len && at < 256; at += 4)
		if (cfg[at] == 0x10 && cfg[at + 2] >> 4 == (int)d->port)
			return true;
	return false;
}

static void check_parsed(const uint8_t *cfg, size_t len,
                         const struct topo_dev *before,
                         const struct topo_dev *d)
{
	unsigned type = len >= 64 ? cfg[0x0e] & 0x7f : 0;

	if (len < 64) {
		check(!memcmp(before, d, sizeof(*d)));
		return;
	}
	check(d->is_bridge == (type == 1 || type == 2));
	check(!d->is_bridge ||
	      (d->secondary == cfg[0x19] && d->subordinate == cfg[0x1a]));
	check(d->multifunction == (before->multifunction || cfg[0x0e] >> 7));
	check(d->is_pcie ? has_pcie(cfg, len, d) : !d->port);
	check(!d->has_acs || (d->is_pcie && has_ext(cfg, len, d)));
	check(d->rid == before->rid && d->domain == before->domain);
}

static void patch(struct input *in, uint8_t *cfg)
{
	for (unsigned nr = take(in); nr && in->left; nr--) {
		size_t at = take16(in) % CFG_MAX, n = take(in);

		for (; n && in->left; n--, at++) {
			unsigned byte = take(in);

			if (at < CFG_MAX)
				cfg[at] = (uint8_t)byte;
		}
	}
}

static void parse(struct input *in, struct topo_dev *d)
{
	size_t len = take16(in) % (CFG_MAX + 1);
	struct topo_dev before = *d, again;
	uint8_t full[CFG_MAX] = {0}, *cfg;

	patch(in, full);
	/* Exactly as large as it says, so that a sanitizer sees one byte
	 * more. */
	cfg = calloc(1, len ? len : 1);
	if (!cfg)
		exit(1);
	memcpy(cfg, full, len);
	topo_parse_config(cfg, len, d);
	check_parsed(cfg, len, &before, d);
	again = *d;
	topo_parse_config(cfg, len, &again);
	check(!memcmp(d, &again, sizeof(*d)));
	free(cfg);
}

/* A machine; a second device of one id is dropped, as sysfs has none. */
static void grow(struct input *in, struct forest *f)
{
	while (in->left && f->topo.nr < MAX_DEVICES) {
		struct topo_dev *d = &f->dev[f->topo.nr];
		uint16_t rid = (uint16_t)take16(in);
		unsigned flags = take(in);
		uint32_t k = 0;

		memset(d, 0, sizeof(*d));
		*d = (struct topo_dev){.rid = rid,
		                       .domain = (flags & DOMAIN) >> 2,
		                       .multifunction = (rid & 7) != 0,
		                       .parent = TOPO_NONE};
		parse(in, d);
		d->is_vf = flags & VIRTUAL;
		if (d->is_vf)
			d->multifunction = false;
		while (f->dev[k].rid != d->rid || f->dev[k].domain != d->domain)
			k++;
		if (k < f->topo.nr)
			continue;
		d->name = f->name[f->topo.nr];
		snprintf(f->name[f->topo.nr], sizeof(f->name[0]),
		         "%04x:%02x:%02x.%x", d->domain, topo_bus(d),
		         topo_slot(d), topo_fn(d));
		f->label[f->topo.nr] = flags & UNTRANSLATED;
		f->topo.nr++;
	}
}

static void settle(struct forest *f)
{
	char untranslated[MAX_DEVICES][sizeof(f->name[0])];
	uint32_t nr = 0;

	for (uint32_t i = 0; i < f->topo.nr; i++)
		if (f->label[i])
			strcpy(untranslated[nr++], f->name[i]);
	topo_settle(&f->topo);
	for (uint32_t i = 0; i < f->topo.nr; i++) {
		f->unit[i].style = STYLE_PCI;
		for (uint32_t k = 0; k < nr; k++)
			if (!strcmp(untranslated[k], f->dev[i].name))
				f->unit[i].style = STYLE_NONE;
	}
}

static void check_ways(const struct forest *f)
{
	uint16_t ids[8];

	for (uint32_t i = 0; i < f->topo.nr; i++) {
		const struct topo_dev *d = &f->dev[i];
		uint32_t nr = pci_ids(&f->topo, i, ids, 8);

		check(nr >= 1 && nr <= 8 && ids[0] == d->rid);
		check(topo_find(&f->topo, d->domain, d->rid) == i);
		check(topo_find_name(&f->topo, d->name) == i);
		if (d->parent == TOPO_NONE)
			continue;
		check(d->parent < f->topo.nr);
		/* Bus numbers fall on each step, so the way up ends. */
		check(f->dev[d->parent].is_bridge &&
		      f->dev[d->parent].domain == d->domain &&
		      topo_bus(&f->dev[d->parent]) < topo_bus(d));
	}
}

static uint32_t root(const uint32_t *set, uint32_t i)
{
	while (set[i] != i)
		i = set[i];
	return i;
}

static void check_words(const struct forest *f, const struct bond *b)
{
	struct sluice_group_reason r;
	struct grp_mem mem = {0};

	check(bond_say(&mem, &f->topo, b, &r) == 0);
	check(!strcmp(r.a, f->dev[b->a].name));
	check(!strcmp(r.b, f->dev[b->b].name));
	check(r.rule_name && *r.text);
	for (const char *p = r.text; *p; p++)
		check(isprint((unsigned char)*p));
	grp_free(&mem);
}

/* Each bond is one by its rule; they are a forest that spans each group. */
static void check_bonds(const struct forest *f, const struct partition *p)
{
	uint32_t set[MAX_DEVICES];

	for (uint32_t i = 0; i < f->topo.nr; i++)
		set[i] = i;
	for (uint32_t i = 0; i < p->nr_bonds; i++) {
		const struct bond *b = &p->bond[i];

		check(b->a < f->topo.nr && b->b < f->topo.nr && b->a != b->b);
		check(b->via == TOPO_NONE || b->via < f->topo.nr);
		check(naive_bond(f, b));
		check(root(set, b->a) != root(set, b->b));
		set[root(set, b->a)] = root(set, b->b);
		check_words(f, b);
	}
	for (uint32_t i = 0; i < f->topo.nr; i++)
		for (uint32_t k = 0; k < f->topo.nr; k++)
			if (f->unit[i].style && f->unit[k].style)
				check((root(set, i) == root(set, k)) ==
				      (p->leader[i] == p->leader[k]));
}

static void check_partition(struct forest *f, struct partition *p)
{
	uint32_t group[FOREST_MAX];
	bool all = true;

	for (uint32_t i = 0; i < f->topo.nr; i++)
		all &= f->unit[i].style != STYLE_NONE;
	check(partition_make(&f->topo, &f->platform, p) == 0);
	for (uint32_t i = 0; i < f->topo.nr; i++) {
		uint32_t lead = p->leader[i];

		check((lead == TOPO_NONE) == !f->unit[i].style);
		check(lead == TOPO_NONE ||
		      (lead <= i && p->leader[lead] == lead));
	}
	check_bonds(f, p);
	if (!all && !f->platform.by_pci)
		return;
	naive_groups(f, group);
	for (uint32_t i = 0; i < f->topo.nr; i++)
		for (uint32_t k = 0; k < f->topo.nr; k++)
			check((group[i] == group[k]) ==
			      (p->leader[i] == p->leader[k]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct forest f, g;
	struct input in = {data, size};
	unsigned flags = take(&in);
	struct partition p, q;

	memset(&f, 0, sizeof(f));
	f.topo.dev = f.dev;
	f.platform = (struct platform){.kind = PLATFORM_OTHER,
	                               .by_pci = !(flags & LINKS_ONLY),
	                               .unit = f.unit};
	grow(&in, &f);
	/* The same devices, the other way round. */
	g = f;
	g.topo.dev = g.dev;
	g.platform.unit = g.unit;
	for (uint32_t i = 0; i < f.topo.nr; i++) {
		g.dev[i] = f.dev[f.topo.nr - 1 - i];
		g.label[i] = f.label[f.topo.nr - 1 - i];
		strcpy(g.name[i], f.name[f.topo.nr - 1 - i]);
		g.dev[i].name = g.name[i];
	}
	settle(&f);
	settle(&g);
	check_ways(&f);
	check_partition(&f, &p);
	check_partition(&g, &q);
	check(p.nr_bonds == q.nr_bonds);
	for (uint32_t i = 0; i < f.topo.nr; i++)
		check(p.leader[i] == q.leader[i]);
	partition_free(&p);
	partition_free(&q);
	return 0;
}
