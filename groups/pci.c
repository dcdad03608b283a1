/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PCI's rules of isolation. Three ways to belong together: requests that leave
 * a bridge under one id; ports that may turn a request around below them (PCI
 * Express Base 6.0, 6.12: access control services); functions of one slot that
 * may reach each other inside it.
 */
#include "groups/pci.h"

#include "groups/quirks.h"

/* A port keeps its devices apart when it checks their ids, and sends requests,
 * answers and what was forwarded to the root complex. */
#define WANTED (TOPO_ACS_SV | TOPO_ACS_RR | TOPO_ACS_CR | TOPO_ACS_UF)

/* What a port has no bit for it cannot do wrong (6.12.1.1: the bit of a service
 * that does not apply to a port is 0). */
static bool acs_is_on(const struct topo_dev *d)
{
	unsigned want = WANTED & d->acs_cap;

	return d->has_acs && (d->acs_ctrl & want) == want;
}

bool pci_isolates(const struct topo_dev *d)
{
	if (quirk_isolates(d))
		return true;
	if (!d->is_pcie)
		return false;
	switch (d->port) {
	case TOPO_PCIE_TO_PCI:
	case TOPO_PCI_TO_PCIE:
	case TOPO_RC_EVENT:
		return false;
	case TOPO_ROOT_PORT:
	case TOPO_DOWNSTREAM:
		return acs_is_on(d);
	case TOPO_ENDPOINT:
	case TOPO_LEGACY_ENDPOINT:
	case TOPO_UPSTREAM:
	case TOPO_RC_ENDPOINT:
		/* Alone in its slot there is nobody to reach. */
		return !d->multifunction || acs_is_on(d);
	}
	return true;
}

/* The first bridge from `from` upwards that does not isolate, or TOPO_NONE. */
static uint32_t leak(const struct topo *t, uint32_t from)
{
	while (from != TOPO_NONE && pci_isolates(&t->dev[from]))
		from = t->dev[from].parent;
	return from;
}

/* Everything below b leaves it under one id. */
static bool gives_alias(const struct topo *t, uint32_t b, enum pci_bond *bond)
{
	const struct topo_dev *d = &t->dev[b];
	const struct topo_dev *above =
	        d->parent == TOPO_NONE ? NULL : &t->dev[d->parent];

	*bond = PCI_ALIAS_BRIDGE;
	if (!d->is_pcie) {
		if (quirk_converts(d, above))
			*bond = PCI_ALIAS_BUS;
		return true;
	}
	if (d->port == TOPO_PCIE_TO_PCI)
		*bond = PCI_ALIAS_BUS;
	return d->port == TOPO_PCIE_TO_PCI || d->port == TOPO_PCI_TO_PCIE;
}

uint32_t pci_ids(const struct topo *t, uint32_t i, uint16_t *ret, uint32_t max)
{
	const struct topo_dev *d = &t->dev[i];
	int devfn = quirk_alias(d);
	enum pci_bond bond;
	uint32_t nr = 0;

	if (nr < max)
		ret[nr++] = d->rid;
	if (devfn >= 0 && nr < max)
		ret[nr++] = (uint16_t)((d->rid & 0xff00) | devfn);
	for (uint32_t b = d->parent; b != TOPO_NONE && nr < max;
	     b = t->dev[b].parent) {
		if (quirk_is_root(&t->dev[b]))
			break;
		if (!gives_alias(t, b, &bond))
			continue;
		if (bond == PCI_ALIAS_BUS)
			ret[nr++] = (uint16_t)(t->dev[b].secondary << 8);
		else
			ret[nr++] = t->dev[b].rid;
	}
	return nr;
}

/* The highest bridge that gives i an id of its own making, or i. */
static int aliases(const struct topo *t, const struct pci_visit *v, uint32_t i,
                   uint32_t *ret_top)
{
	enum pci_bond bond;
	int rc = 0;

	*ret_top = i;
	for (uint32_t b = t->dev[i].parent; b != TOPO_NONE && rc == 0;
	     b = t->dev[b].parent) {
		if (quirk_is_root(&t->dev[b]))
			break;
		if (!gives_alias(t, b, &bond))
			continue;
		if (v->member(v->ctx, b))
			rc = v->found(v->ctx, i, b, bond, b);
		*ret_top = b;
	}
	return rc;
}

/* From the highest id on, until the way up is clean. */
static int ports(const struct topo *t, const struct pci_visit *v, uint32_t i,
                 uint32_t *at)
{
	for (;;) {
		uint32_t up = t->dev[*at].parent;
		uint32_t via = up == TOPO_NONE ? TOPO_NONE : leak(t, up);
		int rc;

		if (via == TOPO_NONE)
			return 0;
		*at = up;
		if (v->member(v->ctx, up)) {
			rc = v->found(v->ctx, i, up, PCI_NO_ACS, via);
			if (rc)
				return rc;
		}
	}
}

static bool same_slot(const struct topo_dev *a, const struct topo_dev *b)
{
	return a->domain == b->domain && a->rid >> 3 == b->rid >> 3;
}

/* Of the slot of `at`, all that might be reached inside it. */
static int functions(const struct topo *t, const struct pci_visit *v,
                     uint32_t i, uint32_t at)
{
	const struct topo_dev *d = &t->dev[at];
	uint32_t first = at;
	int rc = 0;

	if (!d->multifunction || pci_isolates(d))
		return 0;
	while (first > 0 && same_slot(&t->dev[first - 1], d))
		first--;
	for (uint32_t k = first;
	     k < t->nr && same_slot(&t->dev[k], d) && rc == 0; k++)
		if (k != at && k != i && v->member(v->ctx, k) &&
		    !pci_isolates(&t->dev[k]))
			rc = v->found(v->ctx, i, k, PCI_FUNCTIONS, TOPO_NONE);
	return rc;
}

static int quirk(const struct topo *t, const struct pci_visit *v, uint32_t i)
{
	const struct topo_dev *d = &t->dev[i];
	int devfn = quirk_alias(d);
	uint32_t other;

	if (devfn < 0)
		return 0;
	other = topo_find(t, d->domain, (uint16_t)((d->rid & 0xff00) | devfn));
	if (other == TOPO_NONE || other == i || !v->member(v->ctx, other))
		return 0;
	return v->found(v->ctx, i, other, PCI_ALIAS_QUIRK, TOPO_NONE);
}

int pci_bonds(const struct topo *t, const struct pci_visit *v)
{
	int rc = 0;

	for (uint32_t i = 0; i < t->nr && rc == 0; i++) {
		uint32_t top;

		if (!v->member(v->ctx, i))
			continue;
		rc = aliases(t, v, i, &top);
		if (rc == 0)
			rc = ports(t, v, i, &top);
		if (rc == 0)
			rc = functions(t, v, i, top);
		if (rc == 0)
			rc = quirk(t, v, i);
	}
	return rc;
}
