/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds out which platform a tree is of and which IOMMU has each device. The
 * kernel shows that as a link of the device to its IOMMU: what firmware says,
 * and whether the kernel has come to hand the device over, in one.
 */
#include "groups/platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "groups/sysfs.h"
#include "util/util.h"

#define MAX_FDT (1u << 24)
#define CLASS_IOMMU 0x0806   /* PCI Code and ID Assignment 1.16, 1.9 */
#define VIRTIO_VENDOR 0x1af4 /* Virtio 1.2, 4.1.2.1 */
#define VIRTIO_IOMMU (0x1040 + 23)

static bool is_iommu(const struct topo_dev *d)
{
	return d->class >> 8 == CLASS_IOMMU ||
	       (d->vendor == VIRTIO_VENDOR && d->device == VIRTIO_IOMMU);
}

static enum platform_kind kind_of(const char *name, const struct topo *t)
{
	static const struct {
		const char *prefix;
		enum platform_kind kind;
	} table[] = {
	        {"dmar", PLATFORM_VTD},          {"ivhd", PLATFORM_AMD},
	        {"smmu", PLATFORM_SMMU},         {"arm-smmu", PLATFORM_SMMU},
	        {"s390-iommu", PLATFORM_S390},   {"iommu-phb", PLATFORM_POWER},
	        {"riscv-iommu", PLATFORM_RISCV},
	};
	uint32_t dev;

	for (size_t i = 0; i < NR_OF(table); i++)
		if (!strncmp(name, table[i].prefix, strlen(table[i].prefix)))
			return table[i].kind;
	dev = topo_find_name(t, name);
	if ((dev != TOPO_NONE && t->dev[dev].vendor == VIRTIO_VENDOR) ||
	    strstr(name, "virtio"))
		return PLATFORM_VIRTIO;
	return PLATFORM_OTHER;
}

/* Firmware has tables, and none of them names the device. */
static const char *not_claimed(const struct platform *p,
                               const struct topo_dev *d)
{
	if (claims_find(&p->claims, d->domain, d->rid))
		return NULL;
	if (p->claims.tables & 1u << CLAIM_DMAR)
		return "no IOMMU translates it: no scope of the firmware's "
		       "DMAR table covers it";
	if (p->claims.tables & 1u << CLAIM_IVRS)
		return "no IOMMU translates it: no entry of the firmware's "
		       "IVRS table names it";
	if (p->claims.tables & 1u << CLAIM_IORT)
		return "no IOMMU translates it: its ids lead to no SMMU in "
		       "the firmware's IORT table";
	if (p->claims.tables & 1u << CLAIM_OF)
		return "no IOMMU translates it: its id is in no range of the "
		       "device tree's iommu-map";
	if (p->claims.tables & 1u << CLAIM_VIOT)
		return "no IOMMU translates it: no range of the firmware's "
		       "VIOT table holds it";
	return NULL;
}

static const char *why_none(const struct platform *p, const struct topo_dev *d)
{
	const char *why;

	if (p->kind == PLATFORM_NONE)
		return "no IOMMU is in use on this machine";
	if (is_iommu(d))
		return "it is an IOMMU itself";
	why = not_claimed(p, d);
	if (why)
		return why;
	if (p->kind == PLATFORM_POWER && d->is_bridge)
		return "bridges are in no partitionable endpoint here: the "
		       "platform's firmware chooses what is";
	if ((p->kind == PLATFORM_SMMU || p->kind == PLATFORM_VIRTIO ||
	     p->kind == PLATFORM_RISCV) &&
	    !d->driver)
		return "no IOMMU has taken it, and no driver is bound to it: "
		       "Linux before 6.15 hands a device over when a driver "
		       "binds; or the IOMMU refused it, because another device "
		       "has its id";
	if (p->kind == PLATFORM_SMMU || p->kind == PLATFORM_VIRTIO)
		return "no IOMMU has taken it: the firmware's tables leave it "
		       "out, or the IOMMU refused it, because another device "
		       "has its id or it knows no such id";
	return "no IOMMU translates it: the firmware's tables leave its bus "
	       "out";
}

/* A tree in which no device has a link (an old kernel, or one that was not
 * copied whole): what firmware claims, or everything where it is silent. Where
 * the kernel waits for drivers it may really have handed none over. */
static const char *without_links(const struct platform *p,
                                 const struct topo_dev *d, const char *first)
{
	if (is_iommu(d) ||
	    (p->kind != PLATFORM_VTD && p->kind != PLATFORM_AMD &&
	     p->kind != PLATFORM_S390 && p->kind != PLATFORM_POWER))
		return NULL;
	if (p->claims.tables && !claims_find(&p->claims, d->domain, d->rid))
		return NULL;
	return first;
}

static void give_out(const struct topo *t, const char *first,
                     struct platform *p)
{
	bool links = false;

	for (uint32_t i = 0; i < t->nr; i++)
		links |= t->dev[i].iommu != NULL;
	for (uint32_t i = 0; i < t->nr; i++) {
		const struct topo_dev *d = &t->dev[i];
		struct unit *u = &p->unit[i];

		if (p->kind != PLATFORM_NONE)
			u->iommu =
			        links ? d->iommu : without_links(p, d, first);
		if (!u->iommu)
			u->why = why_none(p, d);
		else
			u->style = p->by_pci                  ? STYLE_PCI
			           : p->kind == PLATFORM_S390 ? STYLE_EACH
			                                      : STYLE_UNIT;
	}
}

static int lacking(int rc)
{
	return msg_fmt(rc, "cannot compute groups: %s", msg_errname(rc));
}

/* POWER's device tree; none is no error. */
static int read_power(int root, const struct topo *t, struct platform *p)
{
	char *fdt = malloc(MAX_FDT);
	ssize_t n;
	int rc;

	if (!fdt)
		return -ENOMEM;
	n = sysfs_read(root, "firmware/fdt", fdt, MAX_FDT);
	rc = sysfs_lacking((int)n) ? (int)n
	                           : power_units(t, n > 0 ? fdt : NULL,
	                                         n > 0 ? (size_t)n : 0, p);
	free(fdt);
	return rc;
}

int platform_read(int root, const struct topo *t, struct platform *p)
{
	const char *const *names;
	int rc;

	*p = (struct platform){.kind = PLATFORM_NONE};
	p->unit = calloc(t->nr ? t->nr : 1, sizeof(*p->unit));
	if (!p->unit)
		return msg_lit(-ENOMEM, "out of memory while computing groups");
	rc = sysfs_list(&p->mem, root, "class/iommu", &names, &p->nr_iommus);
	if (sysfs_lacking(rc))
		return lacking(rc);
	if (rc)
		p->nr_iommus = 0;
	if (p->nr_iommus)
		p->kind = kind_of(names[0], t);
	p->by_pci = p->kind != PLATFORM_NONE && p->kind != PLATFORM_S390 &&
	            p->kind != PLATFORM_POWER;
	rc = claims_read(root, t, &p->claims);
	if (rc)
		return lacking(rc);
	give_out(t, p->nr_iommus ? names[0] : NULL, p);
	if (p->kind == PLATFORM_POWER)
		rc = read_power(root, t, p);
	else if (p->kind == PLATFORM_SMMU)
		rc = smmu_explain(t, p);
	return rc ? lacking(rc) : 0;
}

void platform_free(struct platform *p)
{
	grp_free(&p->mem);
	claims_free(&p->claims);
	free(p->unit);
	*p = (struct platform){0};
}

/* All of one number, each bound to the first. */
static int unit_bonds(const struct platform *p, const struct topo *t,
                      int (*add)(void *ctx, const struct bond *b), void *ctx)
{
	int rc = 0;

	for (uint32_t i = 0; i < t->nr && rc == 0; i++) {
		uint32_t k = 0;

		if (p->unit[i].style != STYLE_UNIT)
			continue;
		while (p->unit[k].style != STYLE_UNIT ||
		       p->unit[k].number != p->unit[i].number)
			k++;
		if (k != i)
			rc = add(ctx, &(struct bond){
			                      .a = k,
			                      .b = i,
			                      .rule = SLUICE_RULE_ENDPOINT_UNIT,
			                      .via = TOPO_NONE});
	}
	return rc;
}

int platform_bonds(const struct platform *p, const struct topo *t,
                   int (*add)(void *ctx, const struct bond *b), void *ctx)
{
	if (p->kind == PLATFORM_POWER)
		return unit_bonds(p, t, add, ctx);
	if (p->kind == PLATFORM_AMD)
		return amd_bonds(p, t, add, ctx);
	if (p->kind == PLATFORM_SMMU)
		return smmu_bonds(p, t, add, ctx);
	return 0;
}
