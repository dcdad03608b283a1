/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds and keeps firmware's claims. The tables are what ACPI gives the
 * kernel; in a captured tree anybody may have written them.
 */
#include "groups/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "groups/sysfs.h"
#include "util/util.h"

#define MAX_TABLE (1u << 20)
#define MAX_FDT (1u << 24)
#define MAX_CLAIMS (1u << 20)
#define ACPI_HEADER 36 /* ACPI 6.5, 5.2.6 */

int claim_add(struct claims *c, const struct claim *claim)
{
	if (c->nr == MAX_CLAIMS)
		return -EBADMSG;
	if (c->nr == c->room) {
		uint32_t room = c->room ? c->room * 2 : 32;
		struct claim *more = realloc(c->c, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->c = more;
		c->room = room;
	}
	c->c[c->nr++] = *claim;
	return 0;
}

const struct claim *claims_find(const struct claims *c, uint32_t segment,
                                uint16_t rid)
{
	const struct claim *rest = NULL;

	/* From the end: a later entry of a table replaces an earlier one. */
	for (uint32_t i = c->nr; i-- > 0;) {
		const struct claim *k = &c->c[i];

		uint16_t id = (uint16_t)(rid & ~k->ignore);

		if (segment < k->segment || segment > k->last_segment ||
		    id < k->first || id > k->last)
			continue;
		if (!k->remainder)
			return k;
		rest = k;
	}
	return rest;
}

static int parse(int which, const uint8_t *table, size_t len,
                 const struct topo *t, struct claims *c)
{
	switch (which) {
	case CLAIM_DMAR:
		return claims_dmar(table, len, t, c);
	case CLAIM_IVRS:
		return claims_ivrs(table, len, c);
	case CLAIM_IORT:
		return claims_iort(table, len, c);
	default:
		return claims_viot(table, len, c);
	}
}

static int read_table(int dir, const char *name, int which,
                      const struct topo *t, struct claims *c)
{
	uint8_t *buf = malloc(MAX_TABLE);
	ssize_t n;
	uint32_t says;
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	n = sysfs_read(dir, name, (char *)buf, MAX_TABLE);
	if (sysfs_lacking((int)n)) {
		rc = (int)n;
	} else if (n >= ACPI_HEADER) {
		says = claim_le32(buf + 4);
		c->tables |= 1u << which;
		if (says > (uint64_t)n || says < ACPI_HEADER)
			c->bad = name;
		rc = parse(which, buf, (size_t)min_u64((uint64_t)n, says), t,
		           c);
		if (rc == -EBADMSG) {
			c->bad = name;
			rc = 0;
		}
	} else if (n >= 0 || n == -EFBIG) {
		c->bad = name;
	}
	free(buf);
	return rc;
}

/* Firmware that has no ACPI tables describes its IOMMUs here. */
static int read_fdt(int root, struct claims *c)
{
	char *fdt = malloc(MAX_FDT);
	ssize_t n;
	int rc = 0;

	if (!fdt)
		return -ENOMEM;
	n = sysfs_read(root, "firmware/fdt", fdt, MAX_FDT);
	if (sysfs_lacking((int)n))
		rc = (int)n;
	else if (n > 0)
		rc = claims_of(fdt, (size_t)n, c);
	free(fdt);
	if (rc != -EBADMSG)
		return rc;
	c->bad = "fdt";
	return 0;
}

int claims_read(int root, const struct topo *t, struct claims *ret)
{
	static const char *const names[] = {
	        [CLAIM_DMAR] = "DMAR",
	        [CLAIM_IVRS] = "IVRS",
	        [CLAIM_IORT] = "IORT",
	        [CLAIM_VIOT] = "VIOT",
	};
	int dir = sysfs_dir(root, "firmware/acpi/tables");
	int rc = 0;

	*ret = (struct claims){0};
	if (dir < 0)
		return sysfs_lacking(dir) ? dir : read_fdt(root, ret);
	for (int i = CLAIM_DMAR; i <= CLAIM_VIOT && rc == 0; i++)
		rc = read_table(dir, names[i], i, t, ret);
	sys->close(dir);
	return rc || ret->tables ? rc : read_fdt(root, ret);
}

void claims_free(struct claims *c)
{
	free(c->c);
	*c = (struct claims){0};
}
