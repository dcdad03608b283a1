/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups --plan`: which domains (VFIO containers) a set of devices
 * needs, and why not fewer.
 */
#include "tools/groups.h"

#include <sluice/base.h>
#include <sluice/share.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 256

struct plan {
	const struct sluice_group_set *set;
	struct sluice_share_group group[MAX_DEVICES];
	const struct sluice_group_info *info[MAX_DEVICES];
	struct sluice_share_place place[MAX_DEVICES];
	uint32_t nr;
	int nr_domains;
};

static int add(struct plan *p, const char *sysfs, const char *device)
{
	const struct sluice_group_info *g = sluice_groups_find(p->set, device);
	struct sluice_share_group *to = &p->group[p->nr];
	const char *iommu = NULL;

	if (!g)
		return tool_failed(
		        GROUPS_CMD,
		        "%s is in no group, or not there: see sluice "
		        "groups --explain %s",
		        device, device);
	for (uint32_t i = 0; i < p->nr; i++)
		if (p->info[i] == g)
			return TOOL_OK; /* of one group: always together */
	if (p->nr == MAX_DEVICES)
		return tool_failed(GROUPS_CMD, "more than %d groups",
		                   MAX_DEVICES);
	for (uint32_t i = 0; i < g->nr_members && !iommu; i++)
		iommu = g->members[i].iommu;
	*to = (struct sluice_share_group){
	        .id = g->id,
	        .caps = {.family = "other",
	                 .coherent = SLUICE_UNKNOWN,
	                 .snoop = SLUICE_UNKNOWN},
	        .regions = g->regions,
	        .nr_regions = g->nr_regions,
	};
	if (iommu && sluice_share_caps_read(sysfs, iommu, &to->caps))
		return tool_failed(GROUPS_CMD, "%s", sluice_last_error());
	p->info[p->nr++] = g;
	return TOOL_OK;
}

static int collect(struct plan *p, const char *sysfs, const char *devices)
{
	char *list = strdup(devices), *save, *d;
	int rc = list ? TOOL_OK : tool_failed(GROUPS_CMD, "no memory");

	for (d = list ? strtok_r(list, ", ", &save) : NULL; d && !rc;
	     d = strtok_r(NULL, ", ", &save))
		rc = add(p, sysfs, d);
	free(list);
	if (rc == TOOL_OK && p->nr == 0)
		rc = tool_usage(GROUPS_CMD, "--plan needs devices, separated "
		                            "by commas");
	return rc;
}

static const char *known(enum sluice_known k)
{
	return k == SLUICE_YES ? "yes" : k == SLUICE_NO ? "no" : "not known";
}

static void print_caps(const struct sluice_share_caps *c)
{
	char buf[GROUPS_NAME_LEN];

	printf("      IOMMU %s (%s)",
	       c->iommu ? groups_shown(c->iommu, buf) : "not known", c->family);
	if (c->iova_bits)
		printf(", %" PRIu32 " address bits", c->iova_bits);
	if (c->page_sizes)
		printf(", page sizes 0x%" PRIx64, c->page_sizes);
	printf(", coherent walks: %s, enforced snooping: %s\n",
	       known(c->coherent), known(c->snoop));
}

static void print_group(const struct plan *p, uint32_t i)
{
	const struct sluice_group_info *g = p->info[i];
	char buf[GROUPS_NAME_LEN];

	printf("  group %d:", g->id);
	for (uint32_t k = 0; k < g->nr_members; k++)
		printf(" %s", groups_shown(g->members[k].name, buf));
	puts(g->viable ? "" : "    (not viable: see --explain)");
	print_caps(&p->group[i].caps);
	if (p->place[i].why[0])
		printf("      %s %u: %s\n",
		       p->place[i].domain ? "not in domain 0 but in domain"
		                          : "a page table of its own, number",
		       p->place[i].domain ? p->place[i].domain
		                          : p->place[i].table,
		       p->place[i].why);
}

static void print(const struct plan *p)
{
	printf("%d domain%s for %u group%s:\n", p->nr_domains,
	       p->nr_domains == 1 ? "" : "s", p->nr, p->nr == 1 ? "" : "s");
	for (uint32_t d = 0; d < (uint32_t)p->nr_domains; d++) {
		printf("domain %u: each buffer is mapped once for all of\n", d);
		for (uint32_t i = 0; i < p->nr; i++)
			if (p->place[i].domain == d)
				print_group(p, i);
	}
}

static int write(const struct plan *p, const char *file)
{
	cJSON *root = cJSON_CreateObject(), *list;
	char buf[GROUPS_NAME_LEN];
	int rc;

	cJSON_AddStringToObject(root, "schema", "sluice-plan/1");
	cJSON_AddNumberToObject(root, "domains", p->nr_domains);
	list = cJSON_AddArrayToObject(root, "groups");
	for (uint32_t i = 0; i < p->nr; i++) {
		cJSON *o = cJSON_CreateObject();
		cJSON *devices;

		cJSON_AddNumberToObject(o, "id", p->info[i]->id);
		devices = cJSON_AddArrayToObject(o, "devices");
		for (uint32_t k = 0; k < p->info[i]->nr_members; k++)
			cJSON_AddItemToArray(
			        devices,
			        cJSON_CreateString(groups_shown(
			                p->info[i]->members[k].name, buf)));
		cJSON_AddNumberToObject(o, "domain", p->place[i].domain);
		cJSON_AddNumberToObject(o, "table", p->place[i].table);
		cJSON_AddStringToObject(o, "why", p->place[i].why);
		cJSON_AddItemToArray(list, o);
	}
	rc = tool_write_json(GROUPS_CMD, file, root);
	cJSON_Delete(root);
	return rc;
}

int groups_plan(const char *devices, const char *sysfs, const char *json,
                const struct sluice_group_set *set)
{
	struct plan *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return tool_failed(GROUPS_CMD, "no memory");
	p->set = set;
	rc = collect(p, sysfs, devices);
	if (rc == TOOL_OK) {
		p->nr_domains =
		        sluice_share_partition(p->group, p->nr, p->place);
		if (p->nr_domains < 0)
			rc = tool_failed(GROUPS_CMD, "%s", sluice_last_error());
		else if (json)
			rc = write(p, json);
		else
			print(p);
	}
	free(p);
	return rc;
}
