/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIOT, virtio-iommu's table: ACPI 6.5, 5.2.35.
 */
#include "groups/claim.h"

#include <errno.h>

#define HEADER 48
#define NODE_PCI_RANGE 1
#define PCI_RANGE_LEN 24

static int add_range(const uint8_t *n, struct claims *c)
{
	struct claim k = {.segment = claim_le16(n + 8),
	                  .last_segment = claim_le16(n + 10),
	                  .first = claim_le16(n + 12),
	                  .last = claim_le16(n + 14),
	                  .alias = CLAIM_NO_ALIAS,
	                  .table = CLAIM_VIOT,
	                  .unit = claim_le16(n + 16),
	                  .shift = claim_le32(n + 4)};

	if (k.first > k.last || k.segment > k.last_segment)
		return -EBADMSG;
	k.shift -= k.first;
	return claim_add(c, &k);
}

int claims_viot(const uint8_t *table, size_t len, struct claims *c)
{
	size_t at;
	uint32_t nr;
	int rc = 0;

	if (len < HEADER)
		return -EBADMSG;
	nr = claim_le16(table + 36);
	at = claim_le16(table + 38);
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		const uint8_t *n = table + at;
		size_t size;

		if (at + 4 > len)
			return -EBADMSG;
		size = claim_le16(n + 2);
		if (size < 4 || size > len - at)
			return -EBADMSG;
		if (n[0] == NODE_PCI_RANGE)
			rc = size < PCI_RANGE_LEN ? -EBADMSG : add_range(n, c);
		at += size;
	}
	return rc;
}
