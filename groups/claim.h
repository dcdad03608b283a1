/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What firmware says about requester ids: which IOMMU translates a range of
 * them, and under which other id a device's requests arrive. One neutral form
 * for every table; a file each reads it.
 */
#ifndef SLUICE_GROUPS_CLAIM_H
#define SLUICE_GROUPS_CLAIM_H

#include <stddef.h>
#include <stdint.h>

#include "groups/topo.h"

/* Where a claim came from. */
enum claim_table {
	CLAIM_DMAR = 1, /* Intel VT-d 4.1, chapter 8 */
	CLAIM_IVRS,     /* AMD I/O Virtualization Technology 3.08, 5.2 */
	CLAIM_IORT,     /* Arm DEN0049E */
	CLAIM_VIOT,     /* ACPI 6.5, 5.2.35 */
	CLAIM_OF,       /* a device tree's iommu-map */
};

#define CLAIM_NO_ALIAS (-1)

struct claim {
	uint32_t segment, last_segment;
	uint16_t first, last; /* requester ids, both included */
	uint16_t ignore;      /* bits of a requester id that do not count */
	/* Requests arrive under this id; CLAIM_NO_ALIAS: their own. */
	int32_t alias;
	enum claim_table table;
	uint32_t unit; /* which IOMMU: its number in the table */
	/* Only what no other claim names, and of two such the first. */
	bool remainder;
	/* What translates them arrives at first + shift: a stream id, or the
	 * endpoint number of a virtio-iommu. */
	int64_t shift;
};

struct claims {
	struct claim *c;
	uint32_t nr, room;
	uint32_t tables; /* bits 1 << enum claim_table: those that were there */
	const char *bad; /* a table that is broken, and how; NULL */
};

/* Reads firmware/acpi/tables of an open sysfs root, or firmware/fdt where there
 * are none. A broken table counts as
 * far as it made sense, and bad says so. -ENOMEM, -EMFILE, -ENFILE. */
int claims_read(int root, const struct topo *t, struct claims *ret);
void claims_free(struct claims *c);

/* The claim that names the id, or NULL. */
const struct claim *claims_find(const struct claims *c, uint32_t segment,
                                uint16_t rid);

/* ---- for the files that read one table each; any bytes will do ---- */

int claim_add(struct claims *c, const struct claim *claim);

/* len is that of the whole table, header included, and at least 36. -ENOMEM,
 * or -EBADMSG for a structure that reaches beyond its own end. */
int claims_dmar(const uint8_t *table, size_t len, const struct topo *t,
                struct claims *c);
int claims_ivrs(const uint8_t *table, size_t len, struct claims *c);
int claims_iort(const uint8_t *table, size_t len, struct claims *c);
int claims_viot(const uint8_t *table, size_t len, struct claims *c);
/* A flattened device tree: len bytes of anything. */
int claims_of(const void *fdt, size_t len, struct claims *c);

/* The id under which requests of rid arrive at the IOMMU. */
static inline int64_t claim_arrives(const struct claim *c, uint16_t rid)
{
	return (rid & ~(int64_t)c->ignore) + c->shift;
}

static inline uint16_t claim_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t claim_le32(const uint8_t *p)
{
	return claim_le16(p) | (uint32_t)claim_le16(p + 2) << 16;
}

#endif
