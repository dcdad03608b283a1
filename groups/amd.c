/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AMD-Vi: firmware may say that requests of a device arrive under another id
 * (IVRS alias entries). The IOMMU cannot tell such devices apart, whichever of
 * them was found first.
 */
#include "groups/platform.h"

static const struct claim *alias_of(const struct platform *p,
                                    const struct topo_dev *d)
{
	const struct claim *c = claims_find(&p->claims, d->domain, d->rid);

	return c && c->table == CLAIM_IVRS && c->alias != CLAIM_NO_ALIAS ? c
	                                                                 : NULL;
}

/* Who has the id: the device whose own it is, else the first that arrives
 * under it. */
static uint32_t owner(const struct platform *p, const struct topo *t,
                      uint32_t domain, uint16_t id)
{
	uint32_t own = topo_find(t, domain, id);

	for (uint32_t i = 0; own == TOPO_NONE && i < t->nr; i++) {
		const struct claim *c = alias_of(p, &t->dev[i]);

		if (t->dev[i].domain == domain && c && c->alias == id)
			return i;
	}
	return own;
}

int amd_bonds(const struct platform *p, const struct topo *t,
              int (*add)(void *ctx, const struct bond *b), void *ctx)
{
	int rc = 0;

	for (uint32_t i = 0; i < t->nr && rc == 0; i++) {
		const struct topo_dev *d = &t->dev[i];
		const struct claim *c = alias_of(p, d);
		uint32_t o;

		if (!c || p->unit[i].style == STYLE_NONE)
			continue;
		o = owner(p, t, d->domain, (uint16_t)c->alias);
		if (o != i && o != TOPO_NONE)
			rc = add(ctx,
			         &(struct bond){
			                 .a = i,
			                 .b = o,
			                 .rule = SLUICE_RULE_FIRMWARE_ALIAS,
			                 .via = TOPO_NONE,
			         });
	}
	return rc;
}
