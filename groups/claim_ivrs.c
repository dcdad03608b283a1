/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IVRS, AMD's table: AMD I/O Virtualization Technology specification 3.08,
 * 5.2.2 (IVHD blocks), 5.2.2.4 to 5.2.2.6 (device entries). Where blocks of
 * several types describe one IOMMU, the highest type is the most complete and
 * counts alone (5.2.2.1).
 */
#include "groups/claim.h"

#include <errno.h>

#define FIRST 48

enum entry {
	DEV_ALL = 0x01,
	DEV_SELECT = 0x02,
	DEV_RANGE = 0x03,
	DEV_RANGE_END = 0x04,
	DEV_ALIAS = 0x42,
	DEV_ALIAS_RANGE = 0x43,
	DEV_EXT = 0x46,
	DEV_EXT_RANGE = 0x47,
	DEV_ACPI_HID = 0xf0,
};

#define HID_UID_LEN 21
#define HID_FIXED 22

/* A range goes on until its end comes. */
struct open_range {
	bool open;
	uint16_t first;
	int32_t alias;
};

static size_t entry_len(const uint8_t *e, size_t left)
{
	if (e[0] == DEV_ACPI_HID)
		return left > HID_UID_LEN ? HID_FIXED + (size_t)e[HID_UID_LEN]
		                          : left + 1;
	return (size_t)4 << (e[0] >> 6);
}

static int add_entry(const uint8_t *e, struct claim *k, struct open_range *r,
                     struct claims *c)
{
	uint16_t id = claim_le16(e + 1);

	k->first = k->last = id;
	k->alias = CLAIM_NO_ALIAS;
	switch (e[0]) {
	case DEV_ALL:
		k->first = 0;
		k->last = UINT16_MAX;
		return claim_add(c, k);
	case DEV_ALIAS:
		k->alias = claim_le16(e + 5);
		return claim_add(c, k);
	case DEV_SELECT:
	case DEV_EXT:
		return claim_add(c, k);
	case DEV_RANGE:
	case DEV_EXT_RANGE:
	case DEV_ALIAS_RANGE:
		*r = (struct open_range){true, id,
		                         e[0] == DEV_ALIAS_RANGE
		                                 ? claim_le16(e + 5)
		                                 : CLAIM_NO_ALIAS};
		return 0;
	case DEV_RANGE_END:
		if (!r->open || r->first > id)
			return -EBADMSG;
		r->open = false;
		k->first = r->first;
		k->alias = r->alias;
		return claim_add(c, k);
	}
	return 0; /* padding, and what is no PCI function */
}

static int add_unit(const uint8_t *b, size_t len, uint32_t nr, struct claims *c)
{
	size_t at = b[0] == 0x10 ? 24 : 40;
	struct open_range range = {0};
	struct claim k = {.table = CLAIM_IVRS, .unit = nr};
	int rc = 0;

	if (len < at)
		return -EBADMSG;
	k.segment = k.last_segment = claim_le16(b + 16);
	while (rc == 0 && at < len) {
		size_t n;

		if (at + 4 > len)
			return -EBADMSG;
		n = entry_len(b + at, len - at);
		if (n > len - at)
			return -EBADMSG;
		rc = add_entry(b + at, &k, &range, c);
		at += n;
	}
	return rc;
}

static bool is_ivhd(uint8_t type)
{
	return type == 0x10 || type == 0x11 || type == 0x40;
}

/* Blocks of one IOMMU have its own requester id and segment. */
static bool described_better(const uint8_t *table, size_t len, const uint8_t *b)
{
	for (size_t at = FIRST; at + 18 <= len;) {
		const uint8_t *o = table + at;
		size_t n = claim_le16(o + 2);

		if (n < 18 || n > len - at)
			return false;
		if (is_ivhd(o[0]) && o[0] > b[0] &&
		    claim_le16(o + 4) == claim_le16(b + 4) &&
		    claim_le16(o + 16) == claim_le16(b + 16))
			return true;
		at += n;
	}
	return false;
}

int claims_ivrs(const uint8_t *table, size_t len, struct claims *c)
{
	uint32_t nr = 0;
	int rc = 0;

	for (size_t at = FIRST; rc == 0 && at < len;) {
		const uint8_t *b = table + at;
		size_t n;

		if (at + 4 > len)
			return -EBADMSG;
		n = claim_le16(b + 2);
		if (n < 4 || n > len - at)
			return -EBADMSG;
		if (is_ivhd(b[0])) {
			if (n < 18)
				return -EBADMSG;
			if (!described_better(table, len, b))
				rc = add_unit(b, n, nr++, c);
		}
		at += n;
	}
	return rc;
}
