/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IORT, Arm's table: Arm DEN0049E, 3.1 (nodes, id mappings), 3.1.1.4 (PCI root
 * complexes), 3.1.1.2 and 3.1.1.5 (SMMUs).
 */
#include "groups/claim.h"

#include <errno.h>

#define HEADER 48
#define NODE_HEADER 16
#define NODE_ROOT_COMPLEX 2
#define NODE_SMMU 3
#define NODE_SMMU_V3 4
#define RC_SEGMENT 28
#define RC_LEN 32
#define MAPPING_LEN 20
#define MAPPING_SINGLE 0x01

/* Ids that go to anything but an SMMU (an ITS: interrupts) are translated by
 * nobody. */
static bool is_smmu(const uint8_t *table, size_t len, size_t at)
{
	return at >= HEADER && at + NODE_HEADER <= len &&
	       (table[at] == NODE_SMMU || table[at] == NODE_SMMU_V3);
}

static int add_mapping(const uint8_t *m, const uint8_t *table, size_t len,
                       uint32_t segment, struct claims *c)
{
	uint64_t first = claim_le32(m), last = first + claim_le32(m + 4);
	struct claim k = {.segment = segment,
	                  .last_segment = segment,
	                  .alias = CLAIM_NO_ALIAS,
	                  .table = CLAIM_IORT,
	                  .unit = claim_le32(m + 12)};

	if (claim_le32(m + 16) & MAPPING_SINGLE)
		return 0; /* of the root complex itself */
	if (!is_smmu(table, len, k.unit) || first > UINT16_MAX)
		return 0;
	k.first = (uint16_t)first;
	k.last = (uint16_t)(last > UINT16_MAX ? UINT16_MAX : last);
	k.shift = (int64_t)claim_le32(m + 8) - (int64_t)first;
	return claim_add(c, &k);
}

static int add_root(const uint8_t *n, size_t size, const uint8_t *table,
                    size_t len, struct claims *c)
{
	uint32_t nr = claim_le32(n + 8), at = claim_le32(n + 12);
	int rc = 0;

	if (size < RC_LEN || (nr && at < NODE_HEADER) || at > size ||
	    nr > (size - at) / MAPPING_LEN)
		return -EBADMSG;
	for (uint32_t i = 0; i < nr && rc == 0; i++)
		rc = add_mapping(n + at + (size_t)i * MAPPING_LEN, table, len,
		                 claim_le32(n + RC_SEGMENT), c);
	return rc;
}

int claims_iort(const uint8_t *table, size_t len, struct claims *c)
{
	uint32_t nr;
	size_t at;
	int rc = 0;

	if (len < HEADER)
		return -EBADMSG;
	nr = claim_le32(table + 36);
	at = claim_le32(table + 40);
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		const uint8_t *n = table + at;
		size_t size;

		if (at > len || len - at < NODE_HEADER)
			return -EBADMSG;
		size = claim_le16(n + 1);
		if (size < NODE_HEADER || size > len - at)
			return -EBADMSG;
		if (n[0] == NODE_ROOT_COMPLEX)
			rc = add_root(n, size, table, len, c);
		at += size;
	}
	return rc;
}
