/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two lists: each match that was ever used, with the number of its users now,
 * and the devices that are there. The hardware's entries are the matches in use
 * that no wider one in use covers, so a wide one may come and go without a
 * trace on the narrow ones. Control path only: lists are searched from end to
 * end.
 */
#include <sluice/stream.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "groups/viable.h"
#include "util/util.h"

#define NO_GROUP UINT32_MAX
#define SHOWN 64

struct known {
	struct sluice_stream_match m;
	uint32_t users;
	uint32_t group;
	char by[SHOWN]; /* who used it last, for messages */
};

struct user {
	char *name;
	uint32_t *known; /* indexes; a match may be there twice */
	uint32_t nr;
	uint32_t group;
};

struct sluice_streams {
	struct known *known;
	struct user *user;
	uint32_t nr_known, room_known;
	uint32_t nr_users, room_users;
	uint32_t nr_groups;
};

/* Every id of b is one of a. */
static bool covers(const struct sluice_stream_match *a,
                   const struct sluice_stream_match *b)
{
	return (a->mask & b->mask) == b->mask &&
	       ((a->id ^ b->id) & ~a->mask) == 0;
}

static bool overlap(const struct sluice_stream_match *a,
                    const struct sluice_stream_match *b)
{
	return ((a->id ^ b->id) & ~(a->mask | b->mask)) == 0;
}

static bool nested(const struct sluice_stream_match *a,
                   const struct sluice_stream_match *b)
{
	return covers(a, b) || covers(b, a);
}

/* One spelling for each set of ids. */
static struct sluice_stream_match normal(const struct sluice_stream_match *m)
{
	return (struct sluice_stream_match){m->id & ~m->mask, m->mask};
}

static int no_memory(void)
{
	return msg_lit(-ENOMEM, "out of memory for stream ids");
}

static int no_streams(void)
{
	return msg_lit(-EINVAL, "streams or where to put the answer is NULL");
}

int sluice_streams_create(struct sluice_streams **ret_streams)
{
	struct sluice_streams *s;

	if (!ret_streams)
		return no_streams();
	s = calloc(1, sizeof(*s));
	if (!s)
		return no_memory();
	*ret_streams = s;
	return 0;
}

void sluice_streams_destroy(struct sluice_streams *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->nr_users; i++) {
		free(s->user[i].name);
		free(s->user[i].known);
	}
	free(s->user);
	free(s->known);
	free(s);
}

static struct user *find(const struct sluice_streams *s, const char *dev)
{
	for (uint32_t i = 0; i < s->nr_users; i++)
		if (strcmp(s->user[i].name, dev) == 0)
			return &s->user[i];
	return NULL;
}

static int partly(const char *dev, const struct sluice_stream_match *m,
                  const char *other, const struct sluice_stream_match *o)
{
	return msg_fmt(-EINVAL,
	               "%s (stream id %#x, mask %#x) and %s (stream id %#x, "
	               "mask %#x) have some stream ids in common, and neither "
	               "match covers the other: no match entry can serve both. "
	               "Correct the ids or masks of one of them in the "
	               "firmware's table or device tree",
	               dev, m->id, m->mask, other, o->id, o->mask);
}

static int two_groups(const char *dev, const struct known *a,
                      const struct known *b)
{
	return msg_fmt(-EINVAL,
	               "%s has the stream id of %s (%#x, group %u) and that of "
	               "%s (%#x, group %u): groups that were given out never "
	               "merge. Add it before those two, or correct its ids in "
	               "the firmware's table or device tree",
	               dev, a->by, a->m.id, a->group, b->by, b->m.id, b->group);
}

/* One match against all that is known; group is that of the matches before
 * it, or NULL. */
static int check_one(const struct sluice_streams *s, const char *dev,
                     const struct sluice_stream_match *m,
                     const struct known **group)
{
	for (uint32_t i = 0; i < s->nr_known; i++) {
		const struct known *k = &s->known[i];

		if (!overlap(m, &k->m))
			continue;
		if (k->users && !nested(m, &k->m))
			return partly(dev, m, k->by, &k->m);
		if (*group && (*group)->group != k->group)
			return two_groups(dev, *group, k);
		*group = k;
	}
	return 0;
}

static int check(const struct sluice_streams *s, const char *dev,
                 const struct sluice_stream_match *match, uint32_t nr,
                 const struct known **group)
{
	char shown[SHOWN];
	int rc = 0;

	*group = NULL;
	viable_name(dev, shown, sizeof(shown));
	for (uint32_t i = 0; i < nr && rc == 0; i++) {
		struct sluice_stream_match m = normal(&match[i]);

		for (uint32_t k = 0; k < i && rc == 0; k++) {
			struct sluice_stream_match o = normal(&match[k]);

			if (overlap(&m, &o) && !nested(&m, &o))
				rc = partly(shown, &m, "itself", &o);
		}
		if (rc == 0)
			rc = check_one(s, shown, &m, group);
	}
	return rc;
}

/* Room for more elements behind the nr that are there. */
static void *grown(void *list, uint32_t nr, uint32_t more, uint32_t *room,
                   size_t size)
{
	uint64_t want = max_u64((uint64_t)nr + more, (uint64_t)*room * 2);
	void *p;

	if ((uint64_t)nr + more <= *room)
		return list;
	if (want > UINT32_MAX / 2)
		return NULL;
	p = realloc(list, want * size);
	if (p)
		*room = (uint32_t)want;
	return p;
}

static int make_room(struct sluice_streams *s, uint32_t nr)
{
	void *p = grown(s->known, s->nr_known, nr, &s->room_known,
	                sizeof(*s->known));

	if (!p)
		return -ENOMEM;
	s->known = p;
	p = grown(s->user, s->nr_users, 1, &s->room_users, sizeof(*s->user));
	if (!p)
		return -ENOMEM;
	s->user = p;
	return 0;
}

static uint32_t use(struct sluice_streams *s,
                    const struct sluice_stream_match *m, const char *dev,
                    uint32_t group)
{
	uint32_t i;

	for (i = 0; i < s->nr_known; i++)
		if (s->known[i].m.id == m->id && s->known[i].m.mask == m->mask)
			break;
	if (i == s->nr_known)
		s->known[s->nr_known++] =
		        (struct known){.m = *m, .group = group};
	s->known[i].users++;
	viable_name(dev, s->known[i].by, sizeof(s->known[i].by));
	return i;
}

int sluice_streams_add(struct sluice_streams *s, const char *dev,
                       const struct sluice_stream_match *match, uint32_t nr,
                       uint32_t *ret_group)
{
	const struct known *old;
	struct user u = {.nr = nr};
	char shown[SHOWN];
	int rc;

	if (!s)
		return no_streams();
	if (!dev || !*dev || !match || nr == 0)
		return msg_lit(-EINVAL, "a device without a name or without a "
		                        "stream id");
	if (find(s, dev))
		return msg_fmt(-EEXIST,
		               "%s has its stream ids already: remove it "
		               "first",
		               viable_name(dev, shown, sizeof(shown)));
	rc = check(s, dev, match, nr, &old);
	if (rc)
		return rc;
	u.group = old ? old->group : s->nr_groups;
	if (make_room(s, nr))
		return no_memory();
	u.name = calloc(1, strlen(dev) + 1);
	u.known = calloc(nr, sizeof(*u.known));
	if (!u.name || !u.known) {
		free(u.name);
		free(u.known);
		return no_memory();
	}
	memcpy(u.name, dev, strlen(dev));
	/* No return from here. */
	s->nr_groups += u.group == s->nr_groups;
	for (uint32_t i = 0; i < nr; i++) {
		struct sluice_stream_match m = normal(&match[i]);

		u.known[i] = use(s, &m, dev, u.group);
	}
	s->user[s->nr_users++] = u;
	if (ret_group)
		*ret_group = u.group;
	return 0;
}

/* Messages name somebody who is there, where there is one. */
static void rename_known(struct sluice_streams *s, uint32_t k)
{
	for (uint32_t i = 0; i < s->nr_users; i++)
		for (uint32_t j = 0; j < s->user[i].nr; j++)
			if (s->user[i].known[j] == k)
				viable_name(s->user[i].name, s->known[k].by,
				            sizeof(s->known[k].by));
}

static int not_there(const char *dev)
{
	char shown[SHOWN];

	return msg_fmt(-ENOENT, "no device %s has stream ids here",
	               viable_name(dev ? dev : "", shown, sizeof(shown)));
}

int sluice_streams_remove(struct sluice_streams *s, const char *dev)
{
	struct user *u, gone;

	if (!s)
		return no_streams();
	u = dev ? find(s, dev) : NULL;
	if (!u)
		return not_there(dev);
	gone = *u;
	*u = s->user[--s->nr_users];
	for (uint32_t i = 0; i < gone.nr; i++)
		if (--s->known[gone.known[i]].users)
			rename_known(s, gone.known[i]);
	free(gone.name);
	free(gone.known);
	return 0;
}

enum sluice_stream_state sluice_streams_state(const struct sluice_streams *s,
                                              uint32_t id)
{
	const struct sluice_stream_match m = {id, 0};
	enum sluice_stream_state state = SLUICE_STREAM_NEVER;

	for (uint32_t i = 0; s && i < s->nr_known; i++) {
		if (!covers(&s->known[i].m, &m))
			continue;
		if (s->known[i].users)
			return SLUICE_STREAM_ATTACHED;
		state = SLUICE_STREAM_BLOCKED;
	}
	return state;
}

int sluice_streams_group(const struct sluice_streams *s, const char *dev,
                         uint32_t *ret_group)
{
	const struct user *u;

	if (!s || !ret_group)
		return no_streams();
	u = dev ? find(s, dev) : NULL;
	if (!u)
		return not_there(dev);
	*ret_group = u->group;
	return 0;
}

/* Is the match part of a wider one that is in use? */
static bool is_covered(const struct sluice_streams *s, uint32_t i)
{
	for (uint32_t k = 0; k < s->nr_known; k++)
		if (k != i && s->known[k].users &&
		    covers(&s->known[k].m, &s->known[i].m))
			return true;
	return false;
}

uint32_t sluice_streams_entries(const struct sluice_streams *s,
                                struct sluice_stream_entry *ret, uint32_t max)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; s && i < s->nr_known; i++) {
		struct sluice_stream_entry e = {.match = s->known[i].m,
		                                .group = s->known[i].group};

		if (!s->known[i].users || is_covered(s, i))
			continue;
		for (uint32_t k = 0; k < s->nr_known; k++)
			if (covers(&e.match, &s->known[k].m))
				e.users += s->known[k].users;
		if (nr < max)
			ret[nr] = e;
		nr++;
	}
	return nr;
}
