/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of `sluice groups`, and what to say where there is none.
 */
#include "tools/groups.h"

#include <inttypes.h>
#include <stdio.h>

const char *groups_shown(const char *name, char buf[GROUPS_NAME_LEN])
{
	size_t i;

	for (i = 0; name[i] && i < GROUPS_NAME_LEN - 1; i++)
		buf[i] = (char)(name[i] >= ' ' && name[i] <= '~' ? name[i]
		                                                 : '?');
	buf[i] = '\0';
	return buf;
}

void groups_print_member(const struct sluice_group_member *m)
{
	char name[GROUPS_NAME_LEN], driver[GROUPS_NAME_LEN];

	printf("%-13s %-16s", groups_shown(m->name, name),
	       m->driver ? groups_shown(m->driver, driver) : "-");
	if (m->is_pci)
		printf(" %04x:%04x class %06" PRIx32, m->vendor, m->device,
		       m->pci_class);
	printf("%s\n", m->is_bridge ? " bridge" : "");
}

static void print_group(const struct sluice_group_info *g)
{
	char type[GROUPS_NAME_LEN];

	for (uint32_t i = 0; i < g->nr_members || i == 0; i++) {
		if (i == 0)
			printf("%5d  %-9s %-4s ", g->id,
			       groups_shown(g->type, type),
			       g->viable ? "yes" : "no");
		else
			printf("%22s", "");
		if (i < g->nr_members)
			groups_print_member(&g->members[i]);
		else
			puts("(no devices)");
	}
}

void groups_print_table(const struct sluice_group_set *set)
{
	uint32_t n = sluice_groups_count(set);
	uint32_t loose = sluice_groups_nr_ungrouped(set);
	int blocked = 0;

	if (n)
		puts("GROUP  TYPE      OK?  DEVICE        DRIVER           "
		     "ID");
	for (uint32_t i = 0; i < n; i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);

		print_group(g);
		blocked |= !g->viable;
	}
	if (n && loose)
		puts("\nIn no group (no IOMMU translates their DMA):");
	for (uint32_t i = 0; n && i < loose; i++) {
		printf("%22s", "");
		groups_print_member(sluice_groups_ungrouped(set, i));
	}
	if (blocked)
		puts("\nno: a member is bound to a kernel driver; "
		     "'sluice groups --explain DEVICE' says what to type.");
}

void groups_say_none(const struct sluice_group_set *set)
{
	fprintf(stderr,
	        "sluice groups: the kernel has no IOMMU groups (%u PCI "
	        "devices without). Likely causes:\n"
	        "  the IOMMU is off in the firmware: switch VT-d, AMD-Vi or "
	        "SMMU on\n"
	        "  the kernel does not use it: boot with intel_iommu=on "
	        "(Intel); AMD and Arm need nothing\n"
	        "  this is a virtual machine without one: add a virtual IOMMU "
	        "(QEMU: -device intel-iommu)\n"
	        "What the kernel found: dmesg | grep -i -e dmar -e amd-vi -e "
	        "iommu\n",
	        sluice_groups_nr_ungrouped(set));
}
