/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups --dot`: the topology as a graph for Graphviz, with a box
 * around each group. Devices hang on their bridges; what is in no group is
 * drawn dashed.
 */
#include "tools/groups.h"

#include <stdbool.h>
#include <stdio.h>

/* Names reach a quoted string: groups_shown() leaves quotes and backslashes. */
static const char *quoted(const char *name, char buf[GROUPS_NAME_LEN])
{
	groups_shown(name, buf);
	for (char *p = buf; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '?';
	return buf;
}

static void node(const struct sluice_group_member *m, bool loose)
{
	char name[GROUPS_NAME_LEN], driver[GROUPS_NAME_LEN];

	printf("    \"%s\" [shape=%s%s%s label=\"%s", quoted(m->name, name),
	       m->is_bridge ? "hexagon" : "box", loose ? " style=dashed" : "",
	       m->is_blocker ? " color=red" : "", name);
	if (m->is_pci)
		printf("\\n%04x:%04x", m->vendor, m->device);
	if (m->driver)
		printf("\\n%s", quoted(m->driver, driver));
	puts("\"];");
}

static void edge(const struct sluice_group_member *m)
{
	char name[GROUPS_NAME_LEN], parent[GROUPS_NAME_LEN];

	if (m->parent)
		printf("  \"%s\" -> \"%s\" [arrowhead=none];\n",
		       quoted(m->parent, parent), quoted(m->name, name));
}

static void group(const struct sluice_group_info *g)
{
	printf("  subgraph cluster_%d {\n    label=\"group %d%s\";\n", g->id,
	       g->id, g->viable ? "" : ", not viable");
	if (!g->viable)
		puts("    color=red;");
	for (uint32_t i = 0; i < g->nr_members; i++)
		node(&g->members[i], false);
	puts("  }");
}

static void reason(const struct sluice_group_reason *r)
{
	char a[GROUPS_NAME_LEN], b[GROUPS_NAME_LEN];

	printf("  \"%s\" -> \"%s\" [style=dotted dir=none constraint=false "
	       "label=\"%s\"];\n",
	       quoted(r->a, a), quoted(r->b, b), r->rule_name);
}

void groups_print_dot(const struct sluice_group_set *set,
                      const struct sluice_group_set *why)
{
	puts("digraph groups {\n  rankdir=LR;\n  node [fontsize=10];");
	for (uint32_t i = 0; i < sluice_groups_count(set); i++)
		group(sluice_groups_get(set, i));
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++)
		node(sluice_groups_ungrouped(set, i), true);
	for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);

		for (uint32_t k = 0; k < g->nr_members; k++)
			edge(&g->members[k]);
		if (why)
			g = groups_same(why, g);
		for (uint32_t k = 0; g && k < g->nr_reasons; k++)
			reason(&g->reasons[k]);
	}
	for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++)
		edge(sluice_groups_ungrouped(set, i));
	puts("}");
}
