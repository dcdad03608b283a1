/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DMAR, Intel's table: VT-d specification 4.1, 8.1 (the table), 8.3 (hardware
 * units), 8.3.1 (device scopes).
 */
#include "groups/claim.h"

#include <errno.h>

#define FIRST 48
#define TYPE_DRHD 0
#define DRHD_SCOPES 16
#define DRHD_ALL 0x01 /* INCLUDE_PCI_ALL */
#define SCOPE_PATH 6
#define SCOPE_ENDPOINT 1
#define SCOPE_HIERARCHY 2

/* Follows a path of (device, function) from a bus on, each but the last a
 * bridge. TOPO_NONE when there is no such device. */
static uint32_t follow(const struct topo *t, uint32_t segment, uint8_t bus,
                       const uint8_t *path, size_t len)
{
	uint32_t dev = TOPO_NONE;

	for (size_t i = 0; i + 2 <= len; i += 2) {
		if (i) {
			if (!t->dev[dev].is_bridge)
				return TOPO_NONE;
			bus = t->dev[dev].secondary;
		}
		if (path[i] > 31 || path[i + 1] > 7)
			return TOPO_NONE;
		dev = topo_find(
		        t, segment,
		        (uint16_t)(bus << 8 | path[i] << 3 | path[i + 1]));
		if (dev == TOPO_NONE)
			return TOPO_NONE;
	}
	return dev;
}

static int add_scope(const uint8_t *s, size_t len, const struct topo *t,
                     struct claim *k, struct claims *c)
{
	uint32_t dev =
	        follow(t, k->segment, s[5], s + SCOPE_PATH, len - SCOPE_PATH);
	const struct topo_dev *d;
	int rc;

	if (dev == TOPO_NONE)
		return 0; /* a slot that may be filled later */
	d = &t->dev[dev];
	k->first = k->last = d->rid;
	rc = claim_add(c, k);
	if (rc || s[0] != SCOPE_HIERARCHY || !d->is_bridge)
		return rc;
	k->first = (uint16_t)(d->secondary << 8);
	k->last = (uint16_t)(d->subordinate << 8 | 0xff);
	return k->first <= k->last ? claim_add(c, k) : 0;
}

static int add_unit(const uint8_t *u, size_t len, const struct topo *t,
                    uint32_t nr, struct claims *c)
{
	struct claim k = {.segment = claim_le16(u + 6),
	                  .last_segment = claim_le16(u + 6),
	                  .alias = CLAIM_NO_ALIAS,
	                  .table = CLAIM_DMAR,
	                  .unit = nr};
	int rc = 0;

	if (u[4] & DRHD_ALL) {
		k.last = UINT16_MAX;
		k.remainder = true;
		rc = claim_add(c, &k);
		k.remainder = false;
	}
	for (size_t at = DRHD_SCOPES; rc == 0 && at < len;) {
		const uint8_t *s = u + at;

		if (at + SCOPE_PATH > len || s[1] < SCOPE_PATH ||
		    s[1] > len - at)
			return -EBADMSG;
		if (s[0] == SCOPE_ENDPOINT || s[0] == SCOPE_HIERARCHY)
			rc = add_scope(s, s[1], t, &k, c);
		at += s[1];
	}
	return rc;
}

int claims_dmar(const uint8_t *table, size_t len, const struct topo *t,
                struct claims *c)
{
	uint32_t nr = 0;
	int rc = 0;

	for (size_t at = FIRST; rc == 0 && at < len;) {
		const uint8_t *u = table + at;
		size_t n;

		if (at + 4 > len)
			return -EBADMSG;
		n = claim_le16(u + 2);
		if (n < 4 || n > len - at)
			return -EBADMSG;
		if (claim_le16(u) == TYPE_DRHD) {
			if (n < DRHD_SCOPES)
				return -EBADMSG;
			rc = add_unit(u, n, t, nr++, c);
		}
		at += n;
	}
	return rc;
}
