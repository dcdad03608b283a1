/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups as connected components (union-find, Tarjan 1975). A bond is a fact
 * about two devices alone, so the order in which bonds come, and devices are
 * looked at, decides nothing.
 */
#include "groups/partition.h"

#include <errno.h>
#include <stdlib.h>

struct making {
	struct partition *p;
	const struct platform *platform;
	bool all; /* devices that no IOMMU has count too */
};

static uint32_t leader(struct partition *p, uint32_t i)
{
	while (p->leader[i] != i) {
		p->leader[i] = p->leader[p->leader[i]];
		i = p->leader[i];
	}
	return i;
}

/* Only a bond that connects what was not connected yet is kept: the chain. */
static int add(void *ctx, const struct bond *b)
{
	struct making *m = ctx;
	struct partition *p = m->p;
	uint32_t x = leader(p, b->a), y = leader(p, b->b);
	struct bond *more;

	if (x == y)
		return 0;
	if (p->nr_bonds == p->room) {
		uint32_t room = p->room ? p->room * 2 : 64;

		more = realloc(p->bond, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->bond = more;
		p->room = room;
	}
	p->bond[p->nr_bonds++] = *b;
	if (x < y)
		p->leader[y] = x;
	else
		p->leader[x] = y;
	return 0;
}

static bool pci_member(void *ctx, uint32_t dev)
{
	const struct making *m = ctx;

	return m->all || m->platform->unit[dev].style == STYLE_PCI;
}

static int pci_found(void *ctx, uint32_t a, uint32_t b, enum pci_bond kind,
                     uint32_t via)
{
	static const enum sluice_group_rule rule[] = {
	        [PCI_ALIAS_BRIDGE] = SLUICE_RULE_BRIDGE_ALIAS,
	        [PCI_ALIAS_BUS] = SLUICE_RULE_BRIDGE_ALIAS,
	        [PCI_ALIAS_QUIRK] = SLUICE_RULE_DEVICE_ALIAS,
	        [PCI_NO_ACS] = SLUICE_RULE_NO_ACS,
	        [PCI_FUNCTIONS] = SLUICE_RULE_FUNCTIONS,
	};
	const struct bond bond = {.a = a,
	                          .b = b,
	                          .rule = rule[kind],
	                          .bus_id = kind == PCI_ALIAS_BUS,
	                          .via = via};

	return add(ctx, &bond);
}

/* Bonds that end at a device of no group connect nothing. */
static int prune(const struct topo *t, const struct platform *platform,
                 struct partition *p)
{
	uint32_t *ends = calloc(t->nr ? t->nr : 1, sizeof(*ends));
	uint32_t gone;

	if (!ends)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nr_bonds; i++) {
		ends[p->bond[i].a]++;
		ends[p->bond[i].b]++;
	}
	do {
		uint32_t kept = 0;

		for (uint32_t i = 0; i < p->nr_bonds; i++) {
			const struct bond *b = &p->bond[i];
			bool a_ends =
			        ends[b->a] == 1 && !platform->unit[b->a].style;
			bool b_ends =
			        ends[b->b] == 1 && !platform->unit[b->b].style;

			if (a_ends || b_ends) {
				ends[b->a]--;
				ends[b->b]--;
			} else {
				p->bond[kept++] = *b;
			}
		}
		gone = p->nr_bonds - kept;
		p->nr_bonds = kept;
	} while (gone);
	free(ends);
	return 0;
}

/* The lowest member leads its group, and nobody a device of none. */
static int crown(const struct topo *t, const struct platform *platform,
                 struct partition *p)
{
	uint32_t *first = malloc((t->nr ? t->nr : 1) * sizeof(*first));

	if (!first)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr; i++)
		first[i] = TOPO_NONE;
	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t *lowest = &first[leader(p, i)];

		if (platform->unit[i].style && *lowest == TOPO_NONE)
			*lowest = i;
	}
	for (uint32_t i = 0; i < p->nr_bonds; i++)
		p->bond[i].lead = first[leader(p, p->bond[i].a)];
	/* From the end: the lowest of a component is read by all above it. */
	for (uint32_t i = t->nr; i-- > 0;)
		first[i] = platform->unit[i].style ? first[leader(p, i)]
		                                   : TOPO_NONE;
	free(p->leader);
	p->leader = first;
	return 0;
}

int partition_make(const struct topo *t, const struct platform *platform,
                   struct partition *p)
{
	struct making m = {p, platform, false};
	const struct pci_visit visit = {pci_member, pci_found, &m};
	int rc;

	*p = (struct partition){0};
	p->leader = calloc(t->nr ? t->nr : 1, sizeof(*p->leader));
	if (!p->leader)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr; i++)
		p->leader[i] = i;
	rc = pci_bonds(t, &visit);
	/* A port that is in no group itself may still turn requests around. */
	m.all = platform->by_pci;
	if (rc == 0 && m.all)
		rc = pci_bonds(t, &visit);
	if (rc == 0)
		rc = platform_bonds(platform, t, add, &m);
	if (rc == 0)
		rc = prune(t, platform, p);
	if (rc == 0)
		rc = crown(t, platform, p);
	return rc;
}

void partition_free(struct partition *p)
{
	free(p->leader);
	free(p->bond);
	*p = (struct partition){0};
}
