/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which members of a group cannot share a domain: a pure function of what each
 * needs. Members are looked at in the order of their names, so the order in
 * which they were found decides nothing.
 */
#include "groups/require.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "groups/viable.h"
#include "util/util.h"

#define LOW_BITS 32
#define SHOWN 48

/* 2^bits - 1. */
static uint64_t last_of(uint32_t bits)
{
	return bits < 64 ? bit64(bits) - 1 : UINT64_MAX;
}

static uint32_t bits_of(const struct sluice_require *m)
{
	return m->dma_bits ? m->dma_bits : 64;
}

static int by_first(const void *a, const void *b)
{
	const struct sluice_group_region *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The lowest bytes of free addresses up to last, page by page; page 0 is kept
 * free for null pointers, as everywhere. Regions are sorted. */
static bool fit(const struct sluice_group_region *r, uint32_t nr, uint64_t last,
                uint64_t bytes, uint64_t *ret_first)
{
	uint64_t at = SLUICE_PAGE_SIZE;

	for (uint32_t i = 0; i < nr && r[i].first <= last; i++) {
		if (r[i].last < at)
			continue;
		if (r[i].first > at && r[i].first - at >= bytes)
			break;
		if (r[i].last > last - SLUICE_PAGE_SIZE)
			return false;
		at = align_up(r[i].last + 1, SLUICE_PAGE_LG2);
	}
	*ret_first = at;
	return at <= last && last - at >= bytes - 1;
}

int require_room(const struct sluice_require *const *m, uint32_t nr,
                 struct room *ret)
{
	struct sluice_group_region *all;
	struct room room = {.bits = 64};
	uint32_t nr_all = 0, low_bits;
	uint64_t first;
	int rc = 0;

	for (uint32_t i = 0; i < nr; i++)
		nr_all += m[i]->nr_regions;
	all = malloc((nr_all + 1) * sizeof(*all));
	if (!all)
		return -ENOMEM;
	nr_all = 0;
	for (uint32_t i = 0; i < nr; i++) {
		room.bits = (uint32_t)min_u64(room.bits, bits_of(m[i]));
		if (__builtin_add_overflow(room.low_bytes, m[i]->low_bytes,
		                           &room.low_bytes))
			room.low_bytes = UINT64_MAX;
		for (uint32_t k = 0; k < m[i]->nr_regions; k++)
			if (grp_region_binds(&m[i]->regions[k]))
				all[nr_all++] = m[i]->regions[k];
	}
	qsort(all, nr_all, sizeof(*all), by_first);
	low_bits = (uint32_t)min_u64(room.bits, LOW_BITS);
	if (!fit(all, nr_all, last_of(room.bits), SLUICE_PAGE_SIZE, &first))
		rc = -ENOSPC;
	else if (room.low_bytes && !fit(all, nr_all, last_of(low_bits),
	                                room.low_bytes, &room.low_first))
		rc = -ERANGE;
	free(all);
	if (rc)
		return rc;
	*ret = room;
	return 0;
}

const char *require_wish(const struct sluice_require *m, char *buf, size_t len)
{
	static const char *const type[] = {
	        [SLUICE_REQUIRE_ANY] = "takes any type",
	        [SLUICE_REQUIRE_TRANSLATED] = "needs translated addresses",
	        [SLUICE_REQUIRE_IDENTITY] = "needs untranslated addresses",
	};
	char shown[SHOWN];

	if (m->why)
		snprintf(buf, len, "%s (%s)", type[m->type],
		         viable_name(m->why, shown, sizeof(shown)));
	else
		snprintf(buf, len, "%s", type[m->type]);
	return buf;
}

/* A direct region of one on addresses that the other must not be given. */
static const struct sluice_group_region *direct_hit(
        const struct sluice_require *a, const struct sluice_require *b)
{
	for (uint32_t i = 0; i < a->nr_regions; i++)
		for (uint32_t k = 0; k < b->nr_regions; k++) {
			const struct sluice_group_region *x = &a->regions[i];
			const struct sluice_group_region *y = &b->regions[k];

			if (x->type == SLUICE_RESV_DIRECT &&
			    y->type != SLUICE_RESV_DIRECT &&
			    grp_region_binds(y) && x->first <= y->last &&
			    y->first <= x->last)
				return x;
		}
	return NULL;
}

static int contradicts(const struct sluice_require *m, const char *what)
{
	char shown[SHOWN];

	return msg_fmt(-EINVAL, "the requirement of %s makes no sense: %s",
	               viable_name(m->name, shown, sizeof(shown)), what);
}

int require_check(const struct sluice_require *m)
{
	struct room room;
	int rc;

	if (!m->name || !*m->name)
		return msg_lit(-EINVAL, "a requirement without the name of a "
		                        "member");
	if ((unsigned)m->type > SLUICE_REQUIRE_IDENTITY)
		return contradicts(m, "its type is none that there is");
	if (m->dma_bits && (m->dma_bits <= SLUICE_PAGE_LG2 || m->dma_bits > 64))
		return contradicts(m, "dma_bits is not 0, nor from 13 to 64");
	if (m->nr_regions && !m->regions)
		return contradicts(m, "regions is NULL");
	for (uint32_t i = 0; i < m->nr_regions; i++)
		if (m->regions[i].first > m->regions[i].last)
			return contradicts(m, "a region ends before it begins");
	if (m->type == SLUICE_REQUIRE_IDENTITY && m->low_bytes)
		return contradicts(m, "a window below 4 GiB takes translation");
	if (direct_hit(m, m))
		return contradicts(m, "a direct region overlaps one that must "
		                      "not be used");
	rc = require_room(&m, 1, &room);
	if (rc == -ENOMEM)
		return msg_lit(rc, "out of memory for requirements");
	return rc ? contradicts(m, "its own regions leave it no address that "
	                           "it can send")
	          : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct sluice_require *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

int require_sort(const struct sluice_require *members, uint32_t nr,
                 const struct sluice_require ***ret)
{
	const struct sluice_require **m;
	char shown[SHOWN];
	int rc = 0;

	if (!members || nr == 0)
		return msg_lit(-EINVAL, "no requirements");
	for (uint32_t i = 0; i < nr && rc == 0; i++)
		rc = require_check(&members[i]);
	if (rc)
		return rc;
	m = calloc(nr, sizeof(*m));
	if (!m)
		return msg_lit(-ENOMEM, "out of memory for requirements");
	for (uint32_t i = 0; i < nr; i++)
		m[i] = &members[i];
	qsort(m, nr, sizeof(*m), by_name);
	for (uint32_t i = 1; i < nr && rc == 0; i++)
		if (strcmp(m[i - 1]->name, m[i]->name) == 0)
			rc = msg_fmt(
			        -EINVAL,
			        "%s is named twice: one requirement a member",
			        viable_name(m[i]->name, shown, sizeof(shown)));
	if (rc) {
		free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

enum blame { BLAME_NONE, BLAME_PAIRS, BLAME_ALL };

struct finding {
	const struct sluice_require **m; /* by name */
	enum blame blame;                /* for too little room */
	uint32_t nr;
	struct sluice_conflict *ret;
	uint32_t max, found;
	bool no_window; /* what there is too little of is below 4 GiB */
};

/* The pair is a conflict: x is the one that the text begins with. */
static void found(struct finding *f, enum sluice_conflict_kind kind,
                  const struct sluice_require *x,
                  const struct sluice_require *y, const char *x_needs,
                  const char *y_needs, const char *remedy)
{
	bool ordered = strcmp(x->name, y->name) < 0;
	char one[SHOWN], two[SHOWN];
	struct sluice_conflict *c;

	if (f->found++ >= f->max)
		return;
	c = &f->ret[f->found - 1];
	c->a = ordered ? x->name : y->name;
	c->b = ordered ? y->name : x->name;
	c->kind = kind;
	snprintf(c->text, sizeof(c->text),
	         "%s %s and %s %s, but a group has one domain: %s",
	         viable_name(x->name, one, sizeof(one)), x_needs,
	         viable_name(y->name, two, sizeof(two)), y_needs, remedy);
}

static bool check_direct(struct finding *f, const struct sluice_require *x,
                         const struct sluice_require *y)
{
	const struct sluice_group_region *r = direct_hit(x, y);
	char needs[96];

	if (!r)
		return false;
	snprintf(needs, sizeof(needs), "must have %#llx-%#llx mapped to itself",
	         (unsigned long long)r->first, (unsigned long long)r->last);
	found(f, SLUICE_CONFLICT_DIRECT, x, y, needs,
	      "must not be given some of these addresses",
	      "switch off in the firmware what keeps the direct region (USB "
	      "legacy support, a management controller), or leave one of the "
	      "two unbound");
	return true;
}

static void check_pair(struct finding *f, const struct sluice_require *a,
                       const struct sluice_require *b)
{
	const struct sluice_require *plain =
	        a->type == SLUICE_REQUIRE_IDENTITY ? a : b;
	const struct sluice_require *other = plain == a ? b : a;
	char one[96], two[96];

	if (plain->type == SLUICE_REQUIRE_IDENTITY &&
	    other->type == SLUICE_REQUIRE_TRANSLATED)
		found(f, SLUICE_CONFLICT_TYPE, a, b,
		      require_wish(a, one, sizeof(one)),
		      require_wish(b, two, sizeof(two)),
		      "leave one of the two unbound, or ask for the same type "
		      "for both");
	if (plain->type == SLUICE_REQUIRE_IDENTITY && other->low_bytes)
		found(f, SLUICE_CONFLICT_LOW, other, plain,
		      "needs a window of addresses below 4 GiB",
		      require_wish(plain, two, sizeof(two)),
		      "leave one of the two unbound, or do without the window");
	if (!check_direct(f, a, b))
		(void)check_direct(f, b, a);
}

/* Does it need the addresses of which there are too few? */
static bool is_narrow(const struct sluice_require *m, const struct finding *f)
{
	if (f->no_window && (m->low_bytes || bits_of(m) >= LOW_BITS))
		return m->low_bytes != 0;
	for (uint32_t i = 0; i < f->nr; i++)
		if (bits_of(f->m[i]) < bits_of(m))
			return false;
	return true;
}

static bool has_blocker(const struct sluice_require *m)
{
	for (uint32_t i = 0; i < m->nr_regions; i++)
		if (grp_region_binds(&m->regions[i]))
			return true;
	return false;
}

/* How many bytes, below which address. */
static void room_wish(const struct sluice_require *m, char *buf, size_t len)
{
	uint64_t bytes = m->low_bytes ? m->low_bytes : SLUICE_PAGE_SIZE;
	uint32_t bits = bits_of(m);

	if (m->low_bytes)
		bits = (uint32_t)min_u64(bits, LOW_BITS);
	snprintf(buf, len, "needs %llu bytes of addresses below 2^%u",
	         (unsigned long long)bytes, bits);
}

static int pair_room(const struct sluice_require *a,
                     const struct sluice_require *b)
{
	const struct sluice_require *pair[] = {a, b};
	struct room room;

	return require_room(pair, 2, &room);
}

/* Which of two is the one that there is no room for? */
static bool needs_more(const struct sluice_require *a,
                       const struct sluice_require *b)
{
	if ((a->low_bytes != 0) != (b->low_bytes != 0))
		return a->low_bytes != 0;
	if (bits_of(a) != bits_of(b))
		return bits_of(a) < bits_of(b);
	return !has_blocker(a);
}

/* x needs what y takes away. */
static void no_room(struct finding *f, const struct sluice_require *x,
                    const struct sluice_require *y)
{
	char one[96], two[128];

	room_wish(x, one, sizeof(one));
	if (has_blocker(y))
		snprintf(two, sizeof(two),
		         "has reserved addresses that leave no room");
	else
		room_wish(y, two, sizeof(two));
	found(f, SLUICE_CONFLICT_ROOM, x, y, one, two,
	      "leave one of the two unbound, or ask for less");
}

/* Whether there is too little room for all; then which pairs are to blame:
 * those that have too little by themselves, or else all that take part. */
static int blame_rooms(struct finding *f)
{
	struct room room;
	int rc = require_room(f->m, f->nr, &room);

	f->blame = BLAME_NONE;
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	f->blame = BLAME_ALL;
	f->no_window = rc == -ERANGE;
	for (uint32_t i = 0; i < f->nr; i++)
		for (uint32_t k = i + 1; k < f->nr; k++) {
			rc = pair_room(f->m[i], f->m[k]);
			if (rc == -ENOMEM)
				return rc;
			if (rc)
				f->blame = BLAME_PAIRS;
		}
	return 0;
}

static int check_room(struct finding *f, const struct sluice_require *a,
                      const struct sluice_require *b)
{
	bool na = is_narrow(a, f), nb = is_narrow(b, f);
	bool hit = f->blame == BLAME_ALL &&
	           ((na && nb) || (na && has_blocker(b)) ||
	            (nb && has_blocker(a)));

	if (f->blame == BLAME_PAIRS) {
		int rc = pair_room(a, b);

		if (rc == -ENOMEM)
			return rc;
		hit = rc != 0;
	}
	if (hit)
		no_room(f, needs_more(a, b) ? a : b, needs_more(a, b) ? b : a);
	return 0;
}

int sluice_require_conflicts(const struct sluice_require *members, uint32_t nr,
                             struct sluice_conflict *ret, uint32_t max)
{
	struct finding f = {.nr = nr, .ret = ret, .max = ret ? max : 0};
	int rc = require_sort(members, nr, &f.m);

	if (rc)
		return rc;
	rc = blame_rooms(&f);
	for (uint32_t i = 0; i < nr && rc == 0; i++)
		for (uint32_t k = i + 1; k < nr && rc == 0; k++) {
			check_pair(&f, f.m[i], f.m[k]);
			rc = check_room(&f, f.m[i], f.m[k]);
		}
	free(f.m);
	if (rc)
		return msg_lit(rc, "out of memory for requirements");
	return (int)min_u64(f.found, INT32_MAX);
}
