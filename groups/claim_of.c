/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device tree's iommu-map: the devicetree binding of PCI IOMMUs
 * (pci-iommu.txt) has entries of four cells, the first requester id, the IOMMU,
 * the first id that arrives there, how many; iommu-map-mask says which bits of
 * a requester id count.
 */
#include "groups/claim.h"

#include <errno.h>
#include <libfdt.h>

#define CELLS 4

static uint32_t cell(const fdt32_t *p)
{
	return fdt32_to_cpu(*p);
}

/* The number of its first host bridge where the node does not say: Linux
 * counts, and a tree with several says. */
static uint32_t domain_of(const void *fdt, int node)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, "linux,pci-domain", &len);

	return p && len == sizeof(*p) ? cell(p) : 0;
}

static int add_entry(const fdt32_t *e, uint32_t domain, uint32_t mask,
                     struct claims *c)
{
	uint64_t first = cell(&e[0]), nr = cell(&e[3]);
	struct claim k = {.segment = domain,
	                  .last_segment = domain,
	                  .first = (uint16_t)first,
	                  .alias = CLAIM_NO_ALIAS,
	                  .table = CLAIM_OF,
	                  .ignore = (uint16_t)~mask,
	                  /* The first entry that holds an id counts. */
	                  .remainder = true,
	                  .unit = cell(&e[1]),
	                  .shift = (int64_t)cell(&e[2]) - (int64_t)first};

	if (first & ~(uint64_t)mask)
		return -EBADMSG; /* bits that no masked id has */
	if (nr == 0 || first > UINT16_MAX)
		return 0;
	nr += first - 1;
	k.last = (uint16_t)(nr > UINT16_MAX ? UINT16_MAX : nr);
	return claim_add(c, &k);
}

static int add_node(const void *fdt, int node, struct claims *c)
{
	int len, mask_len, rc = 0;
	const fdt32_t *map = fdt_getprop(fdt, node, "iommu-map", &len);
	const fdt32_t *m;
	uint32_t mask = UINT16_MAX;

	if (!map)
		return 0;
	c->tables |= 1u << CLAIM_OF;
	m = fdt_getprop(fdt, node, "iommu-map-mask", &mask_len);
	if (m && mask_len == sizeof(*m))
		mask = cell(m);
	if (len % (int)(CELLS * sizeof(*map)))
		return -EBADMSG;
	for (int i = 0; i < len / (int)sizeof(*map) && rc == 0; i += CELLS)
		rc = add_entry(map + i, domain_of(fdt, node), mask, c);
	return rc;
}

int claims_of(const void *fdt, size_t len, struct claims *c)
{
	int node, rc = 0;

	if (fdt_check_full(fdt, len))
		return -EBADMSG;
	for (node = 0; node >= 0 && rc == 0;
	     node = fdt_next_node(fdt, node, NULL))
		rc = add_node(fdt, node, c);
	return rc;
}
