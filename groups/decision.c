/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was decided for the members of a group, kept by value, and newcomers
 * held against it. A decision is written once, before anybody sees it, and
 * never again: a domain in use keeps its type.
 */
#include "groups/require.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/mem.h"
#include "groups/viable.h"
#include "util/util.h"

struct sluice_decision {
	struct grp_mem mem;
	struct sluice_decision_info info;
	uint64_t *low_bytes; /* of each member */
};

static int no_memory(void)
{
	return msg_lit(-ENOMEM, "out of memory for requirements");
}

static int by_region(const void *a, const void *b)
{
	const struct sluice_group_region *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return (x->type > y->type) - (x->type < y->type);
}

static const char *word_of(enum sluice_resv_type type)
{
	switch (type) {
	case SLUICE_RESV_DIRECT:
		return "direct";
	case SLUICE_RESV_DIRECT_RELAXABLE:
		return "direct-relaxable";
	case SLUICE_RESV_RESERVED:
		return "reserved";
	case SLUICE_RESV_MSI:
		return "msi";
	case SLUICE_RESV_OTHER:
		break;
	}
	return "other";
}

/* All regions that count, sorted, each once. */
static int keep_regions(struct sluice_decision *d,
                        const struct sluice_require *const *m, uint32_t nr)
{
	struct sluice_group_region *r;
	uint32_t all = 0, n = 0;

	for (uint32_t i = 0; i < nr; i++)
		all += m[i]->nr_regions;
	r = grp_alloc(&d->mem, all, sizeof(*r));
	if (!r)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		for (uint32_t k = 0; k < m[i]->nr_regions; k++) {
			r[n] = m[i]->regions[k];
			r[n].text = word_of(r[n].type);
			n += grp_region_binds(&r[n]);
		}
	qsort(r, n, sizeof(*r), by_region);
	d->info.regions = r;
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || by_region(&r[i], &r[d->info.nr_regions - 1]))
			r[d->info.nr_regions++] = r[i];
	return 0;
}

static int keep_members(struct sluice_decision *d,
                        const struct sluice_require *const *m, uint32_t nr)
{
	struct sluice_decision_info *info = &d->info;
	const char **names = grp_alloc(&d->mem, nr, sizeof(*names));

	d->low_bytes = grp_alloc(&d->mem, nr, sizeof(*d->low_bytes));
	if (!names || !d->low_bytes)
		return -ENOMEM;
	info->members = names;
	info->nr_members = nr;
	for (uint32_t i = 0; i < nr; i++) {
		names[i] = grp_strdup(&d->mem, m[i]->name, strlen(m[i]->name));
		if (!names[i])
			return -ENOMEM;
		d->low_bytes[i] = m[i]->low_bytes;
		if (m[i]->type != SLUICE_REQUIRE_ANY && !info->type_by) {
			info->type = m[i]->type;
			info->type_by = names[i];
		}
		if (info->dma_bits < 64 && !info->bits_by &&
		    m[i]->dma_bits == info->dma_bits)
			info->bits_by = names[i];
	}
	return 0;
}

static int build(struct sluice_decision *d,
                 const struct sluice_require *const *m, uint32_t nr)
{
	struct room room;
	int rc = require_room(m, nr, &room);

	if (rc)
		return rc;
	d->info.type = SLUICE_REQUIRE_TRANSLATED;
	d->info.dma_bits = room.bits;
	d->info.low_first = room.low_first;
	d->info.low_bytes = room.low_bytes;
	rc = keep_members(d, m, nr);
	return rc ? rc : keep_regions(d, m, nr);
}

int sluice_require_decide(const struct sluice_require *members, uint32_t nr,
                          struct sluice_decision **ret_decision)
{
	const struct sluice_require **m;
	struct sluice_decision *d;
	struct sluice_conflict c;
	int rc;

	if (!ret_decision)
		return msg_lit(-EINVAL, "ret_decision is NULL");
	rc = sluice_require_conflicts(members, nr, &c, 1);
	if (rc < 0)
		return rc;
	if (rc > 1)
		return msg_fmt(-EBUSY, "%s (and %d more conflicts)", c.text,
		               rc - 1);
	if (rc == 1)
		return msg_fmt(-EBUSY, "%s", c.text);
	rc = require_sort(members, nr, &m);
	if (rc)
		return rc;
	d = calloc(1, sizeof(*d));
	rc = d ? build(d, m, nr) : -ENOMEM;
	free(m);
	if (rc) {
		sluice_decision_free(d);
		return no_memory();
	}
	*ret_decision = d;
	return 0;
}

void sluice_decision_free(struct sluice_decision *decision)
{
	if (!decision)
		return;
	grp_free(&decision->mem);
	free(decision);
}

const struct sluice_decision_info *sluice_decision_get(
        const struct sluice_decision *decision)
{
	return decision ? &decision->info : NULL;
}

/* Somebody else of the group, for a message: who, when he asked for it. */
static const char *other(const struct sluice_decision_info *info,
                         const char *who, const char *late)
{
	if (who && strcmp(who, late) != 0)
		return who;
	for (uint32_t i = 0; i < info->nr_members; i++)
		if (strcmp(info->members[i], late) != 0)
			return info->members[i];
	return late;
}

static int refuse(const struct sluice_decision *d, const char *who,
                  const struct sluice_require *late, const char *wish,
                  const char *has)
{
	char one[48], two[48];

	viable_name(late->name, one, sizeof(one));
	viable_name(other(&d->info, who, late->name), two, sizeof(two));
	return msg_fmt(-EBUSY,
	               "%s %s, but the domain of its group is in use and %s "
	               "%s: it cannot join. Unbind it, or detach the group and "
	               "decide again with all of its members",
	               one, wish, two, has);
}

static int check_type(const struct sluice_decision *d,
                      const struct sluice_require *late)
{
	char wish[96], has[96];
	const struct sluice_require his = {
	        .name = "", .type = d->info.type_by ? d->info.type : 0};

	if (late->type == SLUICE_REQUIRE_ANY || late->type == d->info.type)
		return 0;
	snprintf(has, sizeof(has), "%s%s",
	         d->info.type_by ? "" : "has translated ones: it ",
	         require_wish(&his, wish, sizeof(wish)));
	return refuse(d, d->info.type_by, late,
	              require_wish(late, wish, sizeof(wish)), has);
}

static int check_reach(const struct sluice_decision *d,
                       const struct sluice_require *late)
{
	uint64_t counted = 0;
	char wish[96], has[96];

	for (uint32_t i = 0; i < d->info.nr_members; i++)
		if (strcmp(d->info.members[i], late->name) == 0)
			counted = d->low_bytes[i];
	if (late->dma_bits && late->dma_bits < d->info.dma_bits) {
		snprintf(wish, sizeof(wish),
		         "can send only addresses below 2^%u", late->dma_bits);
		snprintf(has, sizeof(has), "may have been given any below 2^%u",
		         d->info.dma_bits);
		return refuse(d, d->info.bits_by, late, wish, has);
	}
	if (late->low_bytes <= counted)
		return 0;
	snprintf(wish, sizeof(wish), "needs %llu bytes below 4 GiB",
	         (unsigned long long)late->low_bytes);
	return refuse(d, NULL, late, wish,
	              "may have all that was not set aside before");
}

/* Is it inside what was kept free, or mapped to itself, from the beginning? All
 * is where nothing is translated; nobody is given what not all can send. */
static bool is_kept(const struct sluice_decision *d,
                    const struct sluice_group_region *r)
{
	if (r->type == SLUICE_RESV_DIRECT) {
		if (d->info.type == SLUICE_REQUIRE_IDENTITY)
			return true;
	} else if (d->info.dma_bits < 64 && r->first >> d->info.dma_bits) {
		return true;
	}
	for (uint32_t i = 0; i < d->info.nr_regions; i++) {
		const struct sluice_group_region *k = &d->info.regions[i];

		if (r->first >= k->first && r->last <= k->last &&
		    (r->type == SLUICE_RESV_DIRECT) ==
		            (k->type == SLUICE_RESV_DIRECT))
			return true;
	}
	return false;
}

static int check_regions(const struct sluice_decision *d,
                         const struct sluice_require *late)
{
	char wish[120];

	for (uint32_t i = 0; i < late->nr_regions; i++) {
		const struct sluice_group_region *r = &late->regions[i];

		if (!grp_region_binds(r) || is_kept(d, r))
			continue;
		snprintf(wish, sizeof(wish), "%s %#llx-%#llx%s",
		         r->type == SLUICE_RESV_DIRECT ? "must have"
		                                       : "must not be given",
		         (unsigned long long)r->first,
		         (unsigned long long)r->last,
		         r->type == SLUICE_RESV_DIRECT ? " mapped to itself"
		                                       : "");
		return refuse(d, NULL, late, wish,
		              "may have been given these addresses");
	}
	return 0;
}

int sluice_decision_check(const struct sluice_decision *decision,
                          const struct sluice_require *late)
{
	int rc;

	if (!decision || !late)
		return msg_lit(-EINVAL, "decision or late is NULL");
	rc = require_check(late);
	if (rc == 0)
		rc = check_type(decision, late);
	if (rc == 0)
		rc = check_reach(decision, late);
	return rc ? rc : check_regions(decision, late);
}

int sluice_require_from_group(const struct sluice_group_info *info,
                              struct sluice_require *ret, uint32_t max)
{
	if (!info || (max && !ret))
		return msg_lit(-EINVAL, "info or ret is NULL");
	for (uint32_t i = 0; i < info->nr_members && i < max; i++) {
		const struct sluice_group_member *m = &info->members[i];

		ret[i] = (struct sluice_require){
		        .name = m->name,
		        .dma_bits = m->dma_bits,
		        .regions = info->regions,
		        .nr_regions = info->nr_regions,
		};
		if (!m->is_blocker)
			continue;
		ret[i].why = m->driver;
		if (strcmp(info->type, "identity") == 0)
			ret[i].type = SLUICE_REQUIRE_IDENTITY;
		else if (strncmp(info->type, "DMA", 3) == 0)
			ret[i].type = SLUICE_REQUIRE_TRANSLATED;
	}
	return (int)info->nr_members;
}
