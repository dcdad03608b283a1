/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups --explain`: why a device is in its group, what would get it
 * out, and what keeps the group from being used. The group is the kernel's
 * where there is one; the reasons are computed, and when the two do not agree,
 * that is said.
 */
#include "tools/groups.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_members(const struct sluice_group_info *a,
                         const struct sluice_group_info *b)
{
	if (a->nr_members != b->nr_members)
		return false;
	for (uint32_t i = 0; i < a->nr_members; i++)
		if (strcmp(a->members[i].name, b->members[i].name) != 0)
			return false;
	return true;
}

const struct sluice_group_info *groups_same(const struct sluice_group_set *why,
                                            const struct sluice_group_info *g)
{
	const struct sluice_group_info *w;

	if (g->nr_members == 0)
		return NULL;
	w = sluice_groups_find(why, g->members[0].name);
	return w && same_members(w, g) ? w : NULL;
}

static void print_reasons(const struct sluice_group_info *g)
{
	char buf[GROUPS_NAME_LEN];

	if (g->nr_members == 1)
		puts("\nalone: its requests carry an id of its own, and no "
		     "device reaches it but by way of the IOMMU");
	else if (g->nr_reasons)
		puts("\nwhy they belong together:");
	for (uint32_t i = 0; i < g->nr_reasons; i++) {
		const struct sluice_group_reason *r = &g->reasons[i];

		printf("  %s\n", groups_shown(r->text, buf));
		if (r->remedy)
			printf("      to separate them: %s\n",
			       groups_shown(r->remedy, buf));
	}
}

/* The kernel answered otherwise than the rules do. */
static void print_difference(const char *name,
                             const struct sluice_group_set *why)
{
	const struct sluice_group_info *w = sluice_groups_find(why, name);
	char buf[GROUPS_NAME_LEN];

	puts("\nthe rules give another answer than this kernel:");
	if (!w) {
		puts("  they leave the device in no group");
	} else {
		printf("  computed:");
		for (uint32_t i = 0; i < w->nr_members; i++)
			printf(" %s", groups_shown(w->members[i].name, buf));
		puts("");
	}
	puts("  the kernel decides when it finds a device, by what it knows "
	     "then: functions\n  that were hot-added, drivers that bind late "
	     "and firmware's choice of endpoints\n  are known causes; see "
	     "docs/groups.md. What the kernel has is what holds.");
}

static int explain_loose(const char *name, const struct sluice_group_set *set,
                         const struct sluice_group_set *why)
{
	char bdf[GROUPS_NAME_LEN], buf[GROUPS_NAME_LEN];
	const struct sluice_group_set *s = why ? why : set;

	snprintf(bdf, sizeof(bdf), "0000:%s", name);
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(s); i++) {
		const char *dev = sluice_groups_ungrouped(s, i)->name;
		const char *text = sluice_groups_ungrouped_reason(s, i);

		if (strcmp(dev, bdf) != 0 && strcmp(dev, bdf + 5) != 0)
			continue;
		return tool_failed(GROUPS_CMD,
		                   "%s is in no group: %s. It cannot be given "
		                   "away safely",
		                   name,
		                   text ? groups_shown(text, buf)
		                        : "no IOMMU translates its DMA");
	}
	return tool_failed(GROUPS_CMD,
	                   "no device \"%s\" here: 'sluice groups' lists them, "
	                   "PCI addresses look like 0000:01:00.0",
	                   name);
}

int groups_explain(const char *name, const struct sluice_group_set *set,
                   const struct sluice_group_set *why)
{
	const struct sluice_group_info *g = sluice_groups_find(set, name);
	const struct sluice_group_info *w;
	char word[GROUPS_NAME_LEN], *text;
	size_t n;

	if (!g) {
		if (!sluice_groups_count(set))
			groups_say_none(set);
		return explain_loose(name, set, why);
	}
	n = sluice_group_explain_viability(g, NULL, 0) + 1;
	text = malloc(n);
	if (!text)
		return tool_failed(GROUPS_CMD, "no memory for the explanation");
	printf("group %d, type %s, %u device%s:\n", g->id,
	       groups_shown(g->type, word), g->nr_members,
	       g->nr_members == 1 ? "" : "s");
	for (uint32_t i = 0; i < g->nr_members; i++) {
		printf("  ");
		groups_print_member(&g->members[i]);
	}
	w = why ? groups_same(why, g) : g;
	if (w)
		print_reasons(w);
	else
		print_difference(name, why);
	if (g->nr_regions)
		puts("\nreserved addresses:");
	for (uint32_t i = 0; i < g->nr_regions; i++)
		printf("  0x%016" PRIx64 "-0x%016" PRIx64 " %s\n",
		       g->regions[i].first, g->regions[i].last,
		       groups_shown(g->regions[i].text, word));
	sluice_group_explain_viability(g, text, n);
	printf("\n%s", text);
	free(text);
	return TOOL_OK;
}
