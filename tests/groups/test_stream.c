/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream ids: by hand, and random devices that come and go against a model that
 * writes every id out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/stream.h>

#include "scarce.h"
#include "util/util.h"

#define IDS 256
#define DEVICES 12
#define MATCHES 3
#define STEPS 100000u
#define STEPS_A_TABLE 100u

static struct sluice_streams *table(void)
{
	struct sluice_streams *s = NULL;

	assert_int_equal(sluice_streams_create(&s), 0);
	return s;
}

static int add(struct sluice_streams *s, const char *dev, uint32_t id,
               uint32_t mask, uint32_t *group)
{
	const struct sluice_stream_match m = {id, mask};

	return sluice_streams_add(s, dev, &m, 1, group);
}

static void entries_are_shared(void **state)
{
	struct sluice_streams *s = table();
	struct sluice_stream_entry e[4];
	uint32_t g[4];

	(void)state;
	assert_int_equal(add(s, "narrow", 0x101, 0, &g[0]), 0);
	assert_int_equal(add(s, "same", 0x101, 0, &g[1]), 0);
	assert_int_equal(sluice_streams_entries(s, e, 4), 1);
	assert_int_equal(e[0].users, 2);
	/* One that is wider takes the place of the narrow one. */
	assert_int_equal(add(s, "wide", 0x10f, 0xf, &g[2]), 0);
	assert_int_equal(sluice_streams_entries(s, e, 4), 1);
	assert_int_equal(e[0].match.id, 0x100);
	assert_int_equal(e[0].match.mask, 0xf);
	assert_int_equal(e[0].users, 3);
	assert_int_equal(add(s, "other", 0x200, 0, &g[3]), 0);
	assert_true(g[0] == g[1] && g[1] == g[2] && g[2] != g[3]);
	assert_int_equal(sluice_streams_state(s, 0x108),
	                 SLUICE_STREAM_ATTACHED);
	/* It goes, and the narrow ones are served as before. */
	assert_int_equal(sluice_streams_remove(s, "wide"), 0);
	assert_int_equal(sluice_streams_entries(s, e, 4), 2);
	assert_int_equal(e[0].match.mask, 0);
	assert_int_equal(e[0].users, 2);
	assert_int_equal(sluice_streams_state(s, 0x101),
	                 SLUICE_STREAM_ATTACHED);
	assert_int_equal(sluice_streams_state(s, 0x108), SLUICE_STREAM_BLOCKED);
	assert_int_equal(sluice_streams_state(s, 0x110), SLUICE_STREAM_NEVER);
	/* More than there is room for is counted, not written. */
	e[1].group = 77;
	assert_int_equal(sluice_streams_entries(s, e, 1), 2);
	assert_int_equal(e[1].group, 77);
	sluice_streams_destroy(s);
	sluice_streams_destroy(NULL);
}

static void overlap_is_refused(void **state)
{
	struct sluice_streams *s = table();
	const struct sluice_stream_match own[] = {{0x20, 0x3}, {0x22, 0x5}};
	uint32_t g = 77;

	(void)state;
	assert_int_equal(add(s, "0000:00:01.0", 0x10, 0x3, NULL), 0);
	assert_int_equal(add(s, "0000:00:02.0", 0x12, 0x5, &g), -EINVAL);
	assert_non_null(strstr(msg_last(), "0000:00:01.0 (stream id 0x10, mask "
	                                   "0x3)"));
	assert_non_null(strstr(msg_last(), "0000:00:02.0 (stream id 0x12, mask "
	                                   "0x5)"));
	assert_non_null(strstr(msg_last(), "Correct the ids"));
	assert_int_equal(g, 77);
	assert_int_equal(sluice_streams_group(s, "0000:00:02.0", &g), -ENOENT);
	/* Nothing of it is there: not even the id that only it has. */
	assert_int_equal(sluice_streams_state(s, 0x16), SLUICE_STREAM_NEVER);
	assert_int_equal(sluice_streams_add(s, "0000:00:03.0", own, 2, &g),
	                 -EINVAL);
	assert_non_null(strstr(msg_last(), "itself"));
	/* When the first is gone the second can come: its ids are known. */
	assert_int_equal(sluice_streams_remove(s, "0000:00:01.0"), 0);
	assert_int_equal(add(s, "0000:00:02.0", 0x12, 0x5, &g), 0);
	assert_int_equal(g, 0);
	sluice_streams_destroy(s);
}

static void groups_never_merge(void **state)
{
	const struct sluice_stream_match both[] = {{0x10, 0}, {0x20, 0}};
	struct sluice_streams *s = table();
	uint32_t g = 77;

	(void)state;
	assert_int_equal(add(s, "0000:00:01.0", 0x10, 0, NULL), 0);
	assert_int_equal(add(s, "0000:00:02.0", 0x20, 0, NULL), 0);
	assert_int_equal(sluice_streams_add(s, "0000:00:03.0", both, 2, &g),
	                 -EINVAL);
	assert_non_null(strstr(msg_last(), "0000:00:01.0"));
	assert_non_null(strstr(msg_last(), "0000:00:02.0"));
	assert_non_null(strstr(msg_last(), "0000:00:03.0"));
	assert_int_equal(g, 77);
	/* Nor when nobody is there any more. */
	assert_int_equal(sluice_streams_remove(s, "0000:00:01.0"), 0);
	assert_int_equal(sluice_streams_remove(s, "0000:00:02.0"), 0);
	assert_int_equal(sluice_streams_add(s, "0000:00:03.0", both, 2, &g),
	                 -EINVAL);
	assert_int_equal(sluice_streams_add(s, "0000:00:03.0", both, 1, &g), 0);
	assert_int_equal(g, 0);
	sluice_streams_destroy(s);
}

static void bad_calls(void **state)
{
	const struct sluice_stream_match m = {1, 0};
	struct sluice_streams *s = table();
	uint32_t g;

	(void)state;
	assert_int_equal(sluice_streams_add(s, NULL, &m, 1, NULL), -EINVAL);
	assert_int_equal(sluice_streams_add(s, "", &m, 1, NULL), -EINVAL);
	assert_int_equal(sluice_streams_add(s, "a", NULL, 1, NULL), -EINVAL);
	assert_int_equal(sluice_streams_add(s, "a", &m, 0, NULL), -EINVAL);
	assert_int_equal(sluice_streams_add(s, "a", &m, 1, NULL), 0);
	assert_int_equal(sluice_streams_add(s, "a", &m, 1, NULL), -EEXIST);
	assert_int_equal(sluice_streams_remove(s, "b"), -ENOENT);
	assert_int_equal(sluice_streams_remove(s, NULL), -ENOENT);
	assert_int_equal(sluice_streams_group(s, NULL, &g), -ENOENT);
	assert_int_equal(sluice_streams_state(s, 1), SLUICE_STREAM_ATTACHED);
	assert_int_equal(sluice_streams_create(NULL), -EINVAL);
	assert_int_equal(sluice_streams_add(NULL, "a", &m, 1, NULL), -EINVAL);
	assert_int_equal(sluice_streams_remove(NULL, "a"), -EINVAL);
	assert_int_equal(sluice_streams_group(NULL, "a", &g), -EINVAL);
	assert_int_equal(sluice_streams_group(s, "a", NULL), -EINVAL);
	assert_int_equal(sluice_streams_state(NULL, 1), SLUICE_STREAM_NEVER);
	assert_int_equal(sluice_streams_entries(NULL, NULL, 0), 0);
	assert_int_equal(sluice_streams_entries(s, NULL, 0), 1);
	sluice_streams_destroy(s);
}

/* At each allocation: nothing of the device is there then. */
static void no_memory(void **state)
{
	const struct sluice_stream_match m[] = {{1, 0}, {2, 0}};
	struct sluice_streams *s = table(), *none = NULL;
	int rc = -ENOMEM, n;

	(void)state;
	allocations = 0;
	assert_int_equal(sluice_streams_create(&none), -ENOMEM);
	allocations = -1;
	assert_null(none);
	for (n = 0; rc == -ENOMEM; n++) {
		assert_int_equal(sluice_streams_state(s, 1),
		                 SLUICE_STREAM_NEVER);
		allocations = n;
		rc = sluice_streams_add(s, "a", m, 2, NULL);
		allocations = -1;
	}
	assert_int_equal(rc, 0);
	assert_in_range(n, 3, 10);
	assert_int_equal(sluice_streams_remove(s, "a"), 0);
	sluice_streams_destroy(s);
}

/* ---- random ---- */

struct model {
	struct {
		bool here;
		uint32_t nr, group;
		bool set[MATCHES][IDS];
	} dev[DEVICES];
	int group[IDS]; /* -1: never seen */
	uint32_t nr_groups;
};

static uint32_t roll(uint64_t *rng, uint32_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (uint32_t)(*rng >> 11) % n;
}

static bool in_part(const bool a[IDS], const bool b[IDS])
{
	bool both = false, only_a = false, only_b = false;

	for (int i = 0; i < IDS; i++) {
		both |= a[i] && b[i];
		only_a |= a[i] && !b[i];
		only_b |= b[i] && !a[i];
	}
	return both && only_a && only_b;
}

static bool model_refuses(const struct model *m, bool set[MATCHES][IDS],
                          uint32_t nr, int *group)
{
	*group = -1;
	for (uint32_t i = 0; i < nr; i++) {
		for (uint32_t k = 0; k < i; k++)
			if (in_part(set[i], set[k]))
				return true;
		for (int d = 0; d < DEVICES; d++)
			for (uint32_t k = 0; m->dev[d].here && k < m->dev[d].nr;
			     k++)
				if (in_part(set[i], m->dev[d].set[k]))
					return true;
		for (int id = 0; id < IDS; id++) {
			if (!set[i][id] || m->group[id] < 0)
				continue;
			if (*group >= 0 && *group != m->group[id])
				return true;
			*group = m->group[id];
		}
	}
	return false;
}

static bool step_add(struct model *m, struct sluice_streams *s, uint32_t d,
                     const char *name, uint64_t *rng)
{
	struct sluice_stream_match match[MATCHES];
	bool set[MATCHES][IDS] = {{false}};
	uint32_t nr = 1 + roll(rng, MATCHES), got = 999;
	bool refuse;
	int group, rc;

	for (uint32_t i = 0; i < nr; i++) {
		match[i].id = roll(rng, IDS);
		match[i].mask = roll(rng, 3) ? 0
		                             : roll(rng, IDS) & roll(rng, IDS) &
		                                       roll(rng, IDS);
		for (uint32_t id = 0; id < IDS; id++)
			set[i][id] = (id & ~match[i].mask) ==
			             (match[i].id & ~match[i].mask);
	}
	refuse = model_refuses(m, set, nr, &group);
	rc = sluice_streams_add(s, name, match, nr, &got);
	assert_int_equal(rc, refuse ? -EINVAL : 0);
	if (refuse) {
		assert_non_null(strstr(msg_last(), name));
		assert_int_equal(got, 999);
		return false;
	}
	if (group < 0)
		group = (int)m->nr_groups++;
	assert_int_equal(got, group);
	m->dev[d].here = true;
	m->dev[d].nr = nr;
	m->dev[d].group = got;
	memcpy(m->dev[d].set, set, sizeof(set));
	for (uint32_t i = 0; i < nr; i++)
		for (int id = 0; id < IDS; id++)
			if (set[i][id])
				m->group[id] = group;
	return true;
}

/* Each id: its state, and exactly one entry of its group where it is in use. */
static void compare(const struct model *m, const struct sluice_streams *s)
{
	struct sluice_stream_entry e[DEVICES * MATCHES];
	uint32_t nr = sluice_streams_entries(s, e, NR_OF(e));

	assert_in_range(nr, 0, NR_OF(e));
	for (uint32_t id = 0; id < IDS; id++) {
		enum sluice_stream_state want = SLUICE_STREAM_NEVER;
		bool used = false;
		int hits = 0;

		for (int d = 0; d < DEVICES; d++)
			for (uint32_t k = 0; m->dev[d].here && k < m->dev[d].nr;
			     k++)
				used |= m->dev[d].set[k][id];
		if (m->group[id] >= 0)
			want = used ? SLUICE_STREAM_ATTACHED
			            : SLUICE_STREAM_BLOCKED;

		if (sluice_streams_state(s, id) != want)
			fail_msg("id %#x is not in state %d", id, want);
		for (uint32_t i = 0; i < nr; i++) {
			if ((id & ~e[i].match.mask) != e[i].match.id)
				continue;
			hits++;
			if ((int)e[i].group != m->group[id])
				fail_msg("id %#x changed its group", id);
		}
		if (hits != used)
			fail_msg("id %#x has %d entries", id, hits);
	}
	for (int d = 0; d < DEVICES; d++) {
		char name[8];
		uint32_t g;

		snprintf(name, sizeof(name), "dev%d", d);
		if (sluice_streams_group(s, name, &g)) {
			assert_false(m->dev[d].here);
		} else {
			assert_true(m->dev[d].here);
			assert_int_equal(g, m->dev[d].group);
		}
	}
}

static void random_devices(void **state)
{
	static struct model m;
	uint64_t rng = 0x9e3779b97f4a7c15, added = 0, refused = 0;
	struct sluice_streams *s = NULL;

	(void)state;
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t d = roll(&rng, DEVICES);
		char name[8];

		if (step % STEPS_A_TABLE == 0) {
			sluice_streams_destroy(s);
			s = table();
			memset(&m, 0, sizeof(m));
			for (int id = 0; id < IDS; id++)
				m.group[id] = -1;
		}
		snprintf(name, sizeof(name), "dev%u", d);
		if (m.dev[d].here) {
			assert_int_equal(sluice_streams_remove(s, name), 0);
			m.dev[d].here = false;
		} else if (step_add(&m, s, d, name, &rng)) {
			added++;
		} else {
			refused++;
		}
		compare(&m, s);
	}
	sluice_streams_destroy(s);
	print_message("%llu came, %llu were refused\n",
	              (unsigned long long)added, (unsigned long long)refused);
	assert_true(added > STEPS / 10 && refused > STEPS / 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(entries_are_shared),
	        cmocka_unit_test(overlap_is_refused),
	        cmocka_unit_test(groups_never_merge),
	        cmocka_unit_test(bad_calls),
	        cmocka_unit_test(no_memory),
	        cmocka_unit_test(random_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
