/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device is the same when it has the same name and the same folder in sysfs.
 * A folder that could not be looked at (the device is about to go, or a tree
 * holds links alone) may be any of that name. Devices of two buses can have
 * one name.
 */
#include "groups/watch_match.h"

#include <stdlib.h>
#include <string.h>

static int order(const char *a, const char *b, uint64_t x, uint64_t y)
{
	int rc = strcmp(a, b);

	return rc ? rc : (x > y) - (x < y);
}

static int by_known(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return order(x->m->name, y->m->name, x->birth, y->birth);
}

/* A group's member comes before one of none. */
static int by_seen(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int rc = order(x->m->name, y->m->name, x->m->birth, y->m->birth);

	if (rc == 0)
		rc = strcmp(x->m->bus, y->m->bus);
	return rc ? rc : (x->g == NULL) - (y->g == NULL);
}

int known_list(const struct watch_model *m, struct known **ret, uint32_t *nr)
{
	const struct watch_table *t = &m->devices;
	struct known *k = calloc(t->nr ? t->nr : 1, sizeof(*k));

	if (!k)
		return watch_no_memory();
	*nr = 0;
	for (uint32_t i = 0; i < t->nr; i++)
		if (t->slot[i].state == SLOT_LIVE)
			k[(*nr)++] = (struct known){.m = t->slot[i].member,
			                            .birth = t->slot[i].birth,
			                            .slot = i};
	if (*nr)
		qsort(k, *nr, sizeof(*k), by_known);
	*ret = k;
	return 0;
}

/* While a device moves it may be seen twice. */
static uint32_t drop_twins(struct seen *s, uint32_t nr)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < nr; i++) {
		const struct seen *last = kept ? &s[kept - 1] : NULL;

		if (last && strcmp(last->m->name, s[i].m->name) == 0 &&
		    last->m->birth == s[i].m->birth &&
		    (s[i].m->birth || strcmp(last->m->bus, s[i].m->bus) == 0))
			continue;
		s[kept++] = s[i];
	}
	return kept;
}

int seen_list(const struct sluice_group_set *set, struct seen **ret,
              uint32_t *ret_nr)
{
	uint32_t nr = set->nr_ungrouped, n = 0;
	struct seen *s;

	for (uint32_t i = 0; i < set->nr_groups; i++)
		nr += set->groups[i].nr_members;
	s = calloc(nr ? nr : 1, sizeof(*s));
	if (!s)
		return watch_no_memory();
	for (uint32_t i = 0; i < set->nr_groups; i++) {
		const struct sluice_group_info *g = &set->groups[i];

		for (uint32_t j = 0; j < g->nr_members; j++)
			s[n++] = (struct seen){.m = &g->members[j], .g = g};
	}
	for (uint32_t i = 0; i < set->nr_ungrouped; i++)
		s[n++] = (struct seen){.m = &set->ungrouped[i]};
	for (uint32_t i = 0; i < n; i++)
		s[i].slot = SLOT_NONE;
	if (n)
		qsort(s, n, sizeof(*s), by_seen);
	*ret = s;
	*ret_nr = drop_twins(s, n);
	return 0;
}

static bool same_device(const struct known *k, const struct seen *s, bool sure)
{
	if (k->birth && s->m->birth)
		return k->birth == s->m->birth;
	return !sure && (!*k->m->bus || !*s->m->bus ||
	                 strcmp(k->m->bus, s->m->bus) == 0);
}

/* Of one name. Who is surely somebody is so before others guess. */
static void match_run(struct known *k, uint32_t nr_known, struct seen *s,
                      uint32_t nr_seen)
{
	for (int sure = 1; sure >= 0; sure--) {
		for (uint32_t i = 0; i < nr_known; i++) {
			for (uint32_t j = 0; j < nr_seen && !k[i].kept; j++) {
				if (s[j].slot != SLOT_NONE ||
				    !same_device(&k[i], &s[j], sure))
					continue;
				k[i].kept = true;
				s[j].slot = k[i].slot;
			}
		}
	}
}

void match(struct known *k, uint32_t nr_known, struct seen *s, uint32_t nr_seen)
{
	uint32_t i = 0, j = 0;

	while (i < nr_known && j < nr_seen) {
		int rc = strcmp(k[i].m->name, s[j].m->name);
		uint32_t i_end = i + 1, j_end = j + 1;

		if (rc) {
			i += rc < 0;
			j += rc > 0;
			continue;
		}
		while (i_end < nr_known &&
		       strcmp(k[i_end].m->name, k[i].m->name) == 0)
			i_end++;
		while (j_end < nr_seen &&
		       strcmp(s[j_end].m->name, s[j].m->name) == 0)
			j_end++;
		match_run(k + i, i_end - i, s + j, j_end - j);
		i = i_end;
		j = j_end;
	}
}
