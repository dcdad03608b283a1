/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of `sluice groups` share.
 */
#ifndef SLUICE_TOOLS_GROUPS_H
#define SLUICE_TOOLS_GROUPS_H

#include <sluice/group.h>

#include "tools/tool.h"

#define GROUPS_CMD "groups"
#define GROUPS_NAME_LEN 512

/* Anything but printable ASCII becomes '?': no escape sequence reaches a
 * terminal, no broken UTF-8 a JSON reader. */
const char *groups_shown(const char *name, char buf[GROUPS_NAME_LEN]);

/* groups_table.c */
void groups_print_table(const struct sluice_group_set *set);
void groups_print_member(const struct sluice_group_member *m);
void groups_say_none(const struct sluice_group_set *set);

/* groups_json.c: all groups, or only one, to file ("-": stdout). why: a
 * computed set that knows the reasons, or NULL. */
int groups_write_json(const char *file, const struct sluice_group_set *set,
                      const struct sluice_group_info *only,
                      const struct sluice_group_set *why);
/* As groups_shown() would; NULL becomes null. */
void groups_add_name(cJSON *obj, const char *key, const char *name);

/* groups_why.c: one device, in words. why as above. */
int groups_explain(const char *name, const struct sluice_group_set *set,
                   const struct sluice_group_set *why);
/* The computed group that has exactly these members, or NULL. */
const struct sluice_group_info *groups_same(const struct sluice_group_set *why,
                                            const struct sluice_group_info *g);

/* groups_dot.c: a picture for Graphviz on stdout. why as above. */
void groups_print_dot(const struct sluice_group_set *set,
                      const struct sluice_group_set *why);

/* groups_plan.c: the domains that these devices need, as text or as JSON. */
int groups_plan(const char *devices, const char *sysfs, const char *json,
                const struct sluice_group_set *set);

/* groups_watch.c: what changes, for some seconds or (NULL) until SIGINT. */
int groups_watch(const char *sysfs, const char *seconds, const char *json);

#endif
