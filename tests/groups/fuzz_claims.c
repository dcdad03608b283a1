/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firmware's tables and configuration spaces of a stranger: no read outside, no
 * endless loop, and every claim is a range of ids.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "groups/claim.h"
#include "groups/pci.h"
#include "groups/topo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

static void config(const uint8_t *data, size_t size)
{
	struct topo_dev d = {.parent = TOPO_NONE};

	topo_parse_config(data, size, &d);
	(void)pci_isolates(&d);
	check(!d.has_acs || d.is_pcie);
	check(d.is_pcie || !d.port);
}

static void table(unsigned which, const uint8_t *data, size_t size)
{
	/* A bridge and what is behind it, for scopes to name. */
	struct topo_dev dev[] = {
	        {.rid = 0x0008,
	         .is_bridge = true,
	         .secondary = 1,
	         .subordinate = 3,
	         .parent = TOPO_NONE},
	        {.rid = 0x0100,
	         .is_bridge = true,
	         .secondary = 2,
	         .subordinate = 2,
	         .parent = 0},
	        {.rid = 0x0208, .parent = 1},
	};
	struct topo t = {.dev = dev, .nr = 3};
	struct claims c = {0};

	if (size < 36)
		return;
	switch (which) {
	case 0:
		(void)claims_dmar(data, size, &t, &c);
		break;
	case 1:
		(void)claims_ivrs(data, size, &c);
		break;
	case 2:
		(void)claims_iort(data, size, &c);
		break;
	case 3:
		(void)claims_viot(data, size, &c);
		break;
	default:
		(void)claims_of(data, size, &c);
	}
	for (uint32_t i = 0; i < c.nr; i++) {
		check(c.c[i].first <= c.c[i].last);
		check(claims_find(&c, c.c[i].segment, c.c[i].first) != NULL);
	}
	claims_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;

	if (size < 1)
		return 0;
	/* Exactly as large as it says, so that a sanitizer sees one byte
	 * more. */
	copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] % 6 == 4)
		config(copy, size - 1);
	else
		table(data[0] % 6, copy, size - 1);
	free(copy);
	return 0;
}
