/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SMMU: firmware says under which stream ids the requests of a PCI device
 * arrive. One id is one translation, so devices that share one are one group
 * (SMMUv2), or only one of them is served (Linux on SMMUv3).
 */
#include "groups/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As many as bridges above, and one more. */
#define MAX_IDS 260

struct stream {
	uint32_t unit; /* which SMMU */
	uint32_t dev;
	int64_t id;
};

static uint32_t streams_of(const struct platform *p, const struct topo *t,
                           uint32_t i, struct stream *ret, uint32_t max)
{
	uint16_t ids[MAX_IDS];
	uint32_t nr = pci_ids(t, i, ids, MAX_IDS), found = 0;

	for (uint32_t k = 0; k < nr && found < max; k++) {
		const struct claim *c =
		        claims_find(&p->claims, t->dev[i].domain, ids[k]);

		if (c && (c->table == CLAIM_IORT || c->table == CLAIM_OF))
			ret[found++] = (struct stream){
			        c->unit, i, claim_arrives(c, ids[k])};
	}
	return found;
}

static int by_stream(const void *a, const void *b)
{
	const struct stream *x = a, *y = b;

	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->dev > y->dev) - (x->dev < y->dev);
}

/* The streams of all devices that an SMMU has, sorted. */
static int all_streams(const struct platform *p, const struct topo *t,
                       struct stream **ret, uint32_t *ret_nr)
{
	struct stream one[MAX_IDS], *all = NULL;
	uint32_t nr = 0, room = 0;

	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t n = p->unit[i].style == STYLE_NONE
		                     ? 0
		                     : streams_of(p, t, i, one, MAX_IDS);

		if (nr + n > room) {
			struct stream *more;

			room = (nr + n) * 2;
			more = realloc(all, room * sizeof(*all));
			if (!more) {
				free(all);
				return -ENOMEM;
			}
			all = more;
		}
		if (n)
			memcpy(all + nr, one, n * sizeof(*one));
		nr += n;
	}
	if (nr)
		qsort(all, nr, sizeof(*all), by_stream);
	*ret = all;
	*ret_nr = nr;
	return 0;
}

int smmu_bonds(const struct platform *p, const struct topo *t,
               int (*add)(void *ctx, const struct bond *b), void *ctx)
{
	struct stream *s;
	uint32_t nr, first = 0;
	int rc = all_streams(p, t, &s, &nr);

	if (rc)
		return rc;
	for (uint32_t i = 1; i < nr && rc == 0; i++) {
		if (s[i].unit != s[first].unit || s[i].id != s[first].id)
			first = i;
		if (s[i].dev != s[first].dev)
			rc = add(ctx,
			         &(struct bond){
			                 .a = s[i].dev,
			                 .b = s[first].dev,
			                 .rule = SLUICE_RULE_FIRMWARE_ALIAS,
			                 .stream = true,
			                 .via = TOPO_NONE,
			         });
	}
	free(s);
	return rc;
}

/* A device that SMMUv3 serves has the id: the index, or TOPO_NONE. */
static uint32_t holder(const struct platform *p, const struct topo *t,
                       const struct stream *s)
{
	struct stream other[MAX_IDS];

	for (uint32_t k = 0; k < t->nr; k++) {
		const char *iommu = p->unit[k].iommu;
		uint32_t nr;

		if (k == s->dev || !iommu || strncmp(iommu, "smmu3", 5) != 0)
			continue;
		nr = streams_of(p, t, k, other, MAX_IDS);
		for (uint32_t i = 0; i < nr; i++)
			if (other[i].unit == s->unit && other[i].id == s->id)
				return k;
	}
	return TOPO_NONE;
}

/* Of each device that no SMMU has because another has its id. */
int smmu_explain(const struct topo *t, struct platform *p)
{
	struct stream s[MAX_IDS];
	char text[320];

	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t nr, k = TOPO_NONE, n;

		if (p->unit[i].style != STYLE_NONE)
			continue;
		nr = streams_of(p, t, i, s, MAX_IDS);
		for (n = 0; n < nr && k == TOPO_NONE; n++)
			k = holder(p, t, &s[n]);
		if (k == TOPO_NONE)
			continue;
		snprintf(text, sizeof(text),
		         "its requests arrive under stream id %#llx, which %s "
		         "has: Linux lets SMMUv3 serve one device for each id, "
		         "the first that it finds; a PCI Express slot gives "
		         "it an id of its own",
		         (unsigned long long)s[n - 1].id, t->dev[k].name);
		p->unit[i].why = grp_strdup(&p->mem, text, sizeof(text));
		if (!p->unit[i].why)
			return -ENOMEM;
	}
	return 0;
}
