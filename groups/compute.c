/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The computed picture: reads a tree, has it partitioned, and puts members,
 * reasons and what is in no group into words. Knows no rule.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/partition.h"
#include "groups/read.h"
#include "groups/set.h"
#include "groups/sysfs.h"
#include "util/util.h"

struct compute {
	struct topo topo;
	struct platform platform;
	struct partition part;
	struct sluice_group_set *set;
};

static int read_member(struct compute *c, int dir, uint32_t i,
                       struct sluice_group_member *m)
{
	const char *name = c->topo.dev[i].name;
	int rc;

	/* The topology goes before the picture does. */
	name = grp_strdup(&c->set->mem, name, strlen(name));
	if (!name)
		return -ENOMEM;
	rc = grp_read_member(&c->set->mem, dir, name, name, m);
	/* Reasons know it by the entry, wherever its link may lead. */
	if (rc == 0)
		m->name = name;
	return rc;
}

static int by_member_name(const void *a, const void *b)
{
	const struct sluice_group_member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int fill_group(struct compute *c, int dir, uint32_t lead,
                      struct sluice_group_info *g)
{
	struct sluice_group_member *m;
	uint32_t nr = 0;
	int rc = 0;

	for (uint32_t i = lead; i < c->topo.nr; i++)
		nr += c->part.leader[i] == lead;
	m = grp_alloc(&c->set->mem, nr, sizeof(*m));
	if (!m)
		return -ENOMEM;
	g->members = m;
	g->viable = 1;
	for (uint32_t i = lead; i < c->topo.nr && rc == 0; i++) {
		if (c->part.leader[i] != lead)
			continue;
		rc = read_member(c, dir, i, &m[g->nr_members]);
		if (rc == 0 && m[g->nr_members++].is_blocker)
			g->viable = 0;
	}
	/* Names of domains with five digits are not in order of numbers. */
	qsort(m, g->nr_members, sizeof(*m), by_member_name);
	return rc;
}

static int fill_reasons(struct compute *c, uint32_t lead,
                        struct sluice_group_info *g)
{
	struct sluice_group_reason *r;
	uint32_t nr = 0;
	int rc = 0;

	for (uint32_t i = 0; i < c->part.nr_bonds; i++)
		nr += c->part.bond[i].lead == lead;
	if (nr == 0)
		return 0;
	r = grp_alloc(&c->set->mem, nr, sizeof(*r));
	if (!r)
		return -ENOMEM;
	g->reasons = r;
	for (uint32_t i = 0; i < c->part.nr_bonds && rc == 0; i++)
		if (c->part.bond[i].lead == lead)
			rc = bond_say(&c->set->mem, &c->topo, &c->part.bond[i],
			              &r[g->nr_reasons++]);
	return rc;
}

static int fill(struct compute *c, int dir)
{
	struct sluice_group_set *set = c->set;
	uint32_t nr = c->topo.nr;
	int rc = 0;

	set->groups = grp_alloc(&set->mem, nr, sizeof(*set->groups));
	set->ungrouped = grp_alloc(&set->mem, nr, sizeof(*set->ungrouped));
	set->why = grp_alloc(&set->mem, nr, sizeof(*set->why));
	if (!set->groups || !set->ungrouped || !set->why)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		const struct unit *u = &c->platform.unit[i];
		struct sluice_group_info *g = &set->groups[set->nr_groups];

		if (u->style == STYLE_NONE) {
			const char *why = u->why ? u->why : "";

			set->why[set->nr_ungrouped] =
			        grp_strdup(&set->mem, why, strlen(why));
			rc = read_member(c, dir, i,
			                 &set->ungrouped[set->nr_ungrouped]);
			if (!set->why[set->nr_ungrouped++])
				rc = -ENOMEM;
		} else if (c->part.leader[i] == i) {
			g->id = (int)set->nr_groups++;
			g->type = "unknown";
			rc = fill_group(c, dir, i, g);
			if (rc == 0)
				rc = fill_reasons(c, i, g);
		}
	}
	return rc;
}

static int compute(struct compute *c, int root)
{
	int dir, rc;

	rc = topo_read(root, &c->topo);
	if (rc)
		return rc;
	rc = platform_read(root, &c->topo, &c->platform);
	if (rc)
		return rc;
	rc = partition_make(&c->topo, &c->platform, &c->part);
	dir = sysfs_dir(root, "bus/pci/devices");
	if (rc == 0 && sysfs_lacking(dir))
		rc = dir;
	if (rc == 0)
		rc = fill(c, dir);
	if (dir >= 0)
		sys->close(dir);
	return rc ? msg_fmt(rc, "cannot compute groups: %s", msg_errname(rc))
	          : 0;
}

int sluice_groups_compute(const char *root, struct sluice_group_set **ret_set)
{
	struct compute c = {0};
	int fd, rc;

	if (!ret_set)
		return msg_lit(-EINVAL, "ret_set is NULL");
	fd = grp_root_open(root);
	if (fd < 0)
		return fd;
	c.set = calloc(1, sizeof(*c.set));
	rc = c.set ? compute(&c, fd)
	           : msg_lit(-ENOMEM, "out of memory while computing groups");
	sys->close(fd);
	platform_free(&c.platform);
	topo_free(&c.topo);
	partition_free(&c.part);
	if (rc) {
		sluice_group_set_free(c.set);
		return rc;
	}
	*ret_set = c.set;
	return 0;
}
