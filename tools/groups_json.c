/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups --json`: schema sluice-groups/1, in docs/groups.md.
 */
#include "tools/groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add_hex(cJSON *obj, const char *key, uint64_t v, int digits)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "0x%0*" PRIx64, digits, v);
	cJSON_AddStringToObject(obj, key, buf);
}

void groups_add_name(cJSON *obj, const char *key, const char *name)
{
	char buf[GROUPS_NAME_LEN];

	if (name)
		cJSON_AddStringToObject(obj, key, groups_shown(name, buf));
	else
		cJSON_AddNullToObject(obj, key);
}

static void add_member(cJSON *array, const struct sluice_group_member *m)
{
	cJSON *o = cJSON_CreateObject();

	groups_add_name(o, "name", m->name);
	groups_add_name(o, "bus", m->bus);
	groups_add_name(o, "driver", m->driver);
	cJSON_AddBoolToObject(o, "bridge", m->is_bridge);
	cJSON_AddBoolToObject(o, "blocks", m->is_blocker);
	groups_add_name(o, "parent", m->parent);
	groups_add_name(o, "iommu", m->iommu);
	if (m->is_pci) {
		add_hex(o, "class", m->pci_class, 6);
		add_hex(o, "vendor", m->vendor, 4);
		add_hex(o, "device", m->device, 4);
	}
	cJSON_AddItemToArray(array, o);
}

/* Everything --explain prints, so that no reader has to ask twice. */
static void add_explanation(cJSON *o, const struct sluice_group_info *g)
{
	size_t n = sluice_group_explain_viability(g, NULL, 0) + 1;
	char *text = malloc(n);

	if (!text)
		return;
	sluice_group_explain_viability(g, text, n);
	cJSON_AddStringToObject(o, "explain", text);
	free(text);
}

static void add_reason(cJSON *array, const struct sluice_group_reason *r)
{
	cJSON *o = cJSON_CreateObject();

	groups_add_name(o, "a", r->a);
	groups_add_name(o, "b", r->b);
	groups_add_name(o, "rule", r->rule_name);
	groups_add_name(o, "text", r->text);
	groups_add_name(o, "remedy", r->remedy);
	cJSON_AddItemToArray(array, o);
}

static void add_group(cJSON *groups, const struct sluice_group_info *g,
                      const struct sluice_group_set *why)
{
	const struct sluice_group_info *same = why ? groups_same(why, g) : g;
	cJSON *o = cJSON_CreateObject();
	cJSON *devices, *members, *reasons, *regions;
	char buf[GROUPS_NAME_LEN];

	cJSON_AddNumberToObject(o, "id", g->id);
	groups_add_name(o, "type", g->type);
	if (g->name)
		groups_add_name(o, "name", g->name);
	devices = cJSON_AddArrayToObject(o, "devices");
	reasons = cJSON_AddArrayToObject(o, "reasons");
	for (uint32_t i = 0; same && i < same->nr_reasons; i++)
		add_reason(reasons, &same->reasons[i]);
	cJSON_AddBoolToObject(o, "viable", g->viable);
	add_explanation(o, g);
	members = cJSON_AddArrayToObject(o, "members");
	regions = cJSON_AddArrayToObject(o, "reserved");
	for (uint32_t i = 0; i < g->nr_members; i++) {
		const struct sluice_group_member *m = &g->members[i];

		cJSON_AddItemToArray(devices, cJSON_CreateString(groups_shown(
		                                      m->name, buf)));
		add_member(members, m);
	}
	for (uint32_t i = 0; i < g->nr_regions; i++) {
		cJSON *r = cJSON_CreateObject();

		add_hex(r, "first", g->regions[i].first, 16);
		add_hex(r, "last", g->regions[i].last, 16);
		groups_add_name(r, "type", g->regions[i].text);
		cJSON_AddItemToArray(regions, r);
	}
	cJSON_AddItemToArray(groups, o);
}

static void add_loose(cJSON *root, const struct sluice_group_set *set)
{
	cJSON *loose = cJSON_AddArrayToObject(root, "ungrouped");
	cJSON *why = cJSON_AddObjectToObject(root, "ungrouped_reasons");
	char buf[GROUPS_NAME_LEN];

	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++) {
		const char *name = sluice_groups_ungrouped(set, i)->name;
		const char *text = sluice_groups_ungrouped_reason(set, i);

		groups_shown(name, buf);
		cJSON_AddItemToArray(loose, cJSON_CreateString(buf));
		if (text)
			groups_add_name(why, buf, text);
	}
}

int groups_write_json(const char *file, const struct sluice_group_set *set,
                      const struct sluice_group_info *only,
                      const struct sluice_group_set *why)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *groups;
	int rc;

	cJSON_AddStringToObject(root, "schema", "sluice-groups/1");
	groups = cJSON_AddArrayToObject(root, "groups");
	for (uint32_t i = 0; !only && i < sluice_groups_count(set); i++)
		add_group(groups, sluice_groups_get(set, i), why);
	if (only)
		add_group(groups, only, why);
	if (only)
		cJSON_AddArrayToObject(root, "ungrouped");
	else
		add_loose(root, set);
	rc = tool_write_json(GROUPS_CMD, file, root);
	cJSON_Delete(root);
	return rc;
}
