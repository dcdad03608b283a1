/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that come, go, change their drivers and groups at random. What a
 * watch tells is replayed: each event must fit what was told before, and after
 * each look the replay must equal a naive model of the machine. So no event is
 * missing and none is too many. Pictures are made in memory, and on a tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "groups/watch_int.h"
#include "storm.h"
#include "util/util.h"

#define NR_HELD 6
#define MAX_PLACES 256

static struct machine seen; /* when it last looked */

/* ---- the replay ---- */

static struct {
	struct {
		sluice_handle_t handle, group; /* 0: none */
		char driver[32];
	} dev[NR_DEV];
	struct {
		sluice_handle_t handle;
		int viable; /* -1: not told yet */
	} grp[NR_GRP];
	/* The last generation that each place had. */
	uint32_t last[2][MAX_PLACES];
	uint64_t events;
} told;

static unsigned index_of(const char *name)
{
	char own[16];

	for (unsigned i = 0; i < NR_DEV; i++) {
		storm_name(i, own);
		if (strcmp(own, name) == 0)
			return i;
	}
	fail_msg("%s is nobody", name);
	return 0;
}

/* Never given out before. */
static void new_handle(sluice_handle_t h)
{
	uint32_t place = (uint32_t)h & 0x7fffffff,
	         generation = (uint32_t)(h >> 32);
	uint32_t *last = &told.last[h >> 31 & 1][place];

	assert_in_range(place, 0, MAX_PLACES - 1);
	assert_true(generation > *last);
	*last = generation;
}

static void replay_device(const struct sluice_watch_event *e)
{
	unsigned i = index_of(e->name);
	const char *driver = e->driver ? e->driver : "";

	if (e->kind != SLUICE_WATCH_DEVICE_ADDED)
		assert_true(told.dev[i].handle == e->device);
	switch (e->kind) {
	case SLUICE_WATCH_DEVICE_ADDED:
		assert_true(told.dev[i].handle == 0);
		new_handle(e->device);
		told.dev[i].handle = e->device;
		told.dev[i].driver[0] = '\0';
		break;
	case SLUICE_WATCH_DEVICE_REMOVED:
		assert_true(told.dev[i].group == 0);
		told.dev[i].handle = 0;
		break;
	case SLUICE_WATCH_DRIVER_BOUND:
		assert_string_equal(told.dev[i].driver, "");
		assert_true(*driver);
		snprintf(told.dev[i].driver, 32, "%s", driver);
		break;
	case SLUICE_WATCH_DRIVER_UNBOUND:
		assert_string_equal(told.dev[i].driver, driver);
		told.dev[i].driver[0] = '\0';
		break;
	case SLUICE_WATCH_MEMBER_JOINED:
		assert_true(told.dev[i].group == 0);
		assert_true(told.grp[e->group_id].handle == e->group);
		told.dev[i].group = e->group;
		break;
	default:
		assert_int_equal(e->kind, SLUICE_WATCH_MEMBER_LEFT);
		assert_true(told.dev[i].group == e->group && e->group);
		told.dev[i].group = 0;
	}
}

static void replay_group(const struct sluice_watch_event *e)
{
	int g = e->group_id, is = e->kind == SLUICE_WATCH_GROUP_VIABLE;

	assert_in_range(g, 0, NR_GRP - 1);
	if (e->kind != SLUICE_WATCH_GROUP_ADDED)
		assert_true(told.grp[g].handle == e->group);
	switch (e->kind) {
	case SLUICE_WATCH_GROUP_ADDED:
		assert_true(told.grp[g].handle == 0);
		new_handle(e->group);
		told.grp[g].handle = e->group;
		told.grp[g].viable = -1;
		break;
	case SLUICE_WATCH_GROUP_REMOVED:
		for (unsigned i = 0; i < NR_DEV; i++)
			assert_true(told.dev[i].group != e->group);
		told.grp[g].handle = 0;
		break;
	case SLUICE_WATCH_REGIONS_CHANGED:
		assert_int_not_equal(seen.grp[g].regions, now.grp[g].regions);
		break;
	default:
		assert_true(told.grp[g].viable != is);
		told.grp[g].viable = is;
	}
}

/* ---- records and claims ---- */

static struct {
	const struct sluice_watch_device *d;
	char name[16];
	uint64_t birth;
	unsigned driver;
} held[NR_HELD];

static struct {
	sluice_handle_t handle; /* 0: not claimed */
	bool broken;
} claims[NR_GRP];

static void hold_some(struct sluice_watch *w)
{
	unsigned k = storm_roll(NR_HELD), i = storm_roll(NR_DEV);

	if (held[k].d) {
		assert_string_equal(held[k].d->member->name, held[k].name);
		assert_true(held[k].d->member->birth == held[k].birth || live);
		if (storm_drivers[held[k].driver])
			assert_string_equal(held[k].d->member->driver,
			                    storm_drivers[held[k].driver]);
		sluice_watch_put_device(w, held[k].d);
		held[k].d = NULL;
		return;
	}
	if (!seen.dev[i].birth)
		return;
	assert_int_equal(
	        sluice_watch_get_device(w, told.dev[i].handle, &held[k].d), 0);
	storm_name(i, held[k].name);
	held[k].birth = seen.dev[i].birth;
	held[k].driver = seen.dev[i].driver;
}

static void claim_some(struct sluice_watch *w)
{
	int g = (int)storm_roll(NR_GRP);

	if (claims[g].handle) {
		if (storm_roll(4))
			return;
		assert_int_equal(sluice_watch_release(w, claims[g].handle), 0);
		claims[g].handle = 0;
		return;
	}
	if (!seen.grp[g].birth || !storm_viable(&seen, g))
		return;
	claims[g].handle = told.grp[g].handle;
	claims[g].broken = false;
	assert_int_equal(sluice_watch_claim(w, claims[g].handle, NULL), 0);
}

/* What a claim must have lost between two looks. */
static bool breaks(int g)
{
	if (now.grp[g].birth != seen.grp[g].birth ||
	    now.grp[g].regions > seen.grp[g].regions || !storm_viable(&now, g))
		return true;
	for (unsigned i = 0; i < NR_DEV; i++)
		if (seen.dev[i].birth && seen.dev[i].group == g &&
		    (now.dev[i].birth != seen.dev[i].birth ||
		     now.dev[i].group != g))
			return true;
	return false;
}

static void check_claims(struct sluice_watch *w, unsigned losses)
{
	bool any = false;

	for (int g = 0; g < NR_GRP; g++) {
		if (!claims[g].handle)
			continue;
		any = any || breaks(g);
		claims[g].broken = claims[g].broken || breaks(g);
		assert_int_equal(
		        sluice_watch_complete(w, claims[g].handle, NULL, 0),
		        !claims[g].broken);
	}
	if (!any)
		assert_int_equal(losses, 0);
}

/* ---- the game ---- */

static void compare(void)
{
	for (unsigned i = 0; i < NR_DEV; i++) {
		const char *driver = storm_drivers[now.dev[i].driver];
		int g = now.dev[i].group;

		assert_int_equal(told.dev[i].handle != 0,
		                 now.dev[i].birth != 0);
		if (!now.dev[i].birth)
			continue;
		assert_string_equal(told.dev[i].driver, driver ? driver : "");
		assert_true(told.dev[i].group ==
		            (g < 0 ? 0 : told.grp[g].handle));
	}
	for (int g = 0; g < NR_GRP; g++) {
		assert_int_equal(told.grp[g].handle != 0,
		                 now.grp[g].birth != 0);
		if (now.grp[g].birth)
			assert_int_equal(told.grp[g].viable,
			                 storm_viable(&now, g));
	}
}

static void take(struct sluice_watch *w)
{
	sluice_handle_t before[NR_DEV], group[NR_GRP];
	struct sluice_watch_event e[5];
	unsigned losses = 0;
	int n;

	for (unsigned i = 0; i < NR_DEV; i++)
		before[i] = told.dev[i].handle;
	for (int g = 0; g < NR_GRP; g++)
		group[g] = told.grp[g].handle;
	if (!live)
		assert_int_equal(model_apply(&w->model, storm_draw(), false),
		                 0);
	do {
		n = sluice_watch_poll(w, e, 5);
		assert_in_range(n, 0, 5);
		for (int i = 0; i < n; i++) {
			if (e[i].name)
				replay_device(&e[i]);
			else
				replay_group(&e[i]);
			losses += e[i].loss != 0;
			told.events++;
		}
	} while (n == 5);
	compare();
	/* Who stayed is who it was; who came back is not. */
	for (unsigned i = 0; i < NR_DEV; i++)
		if (seen.dev[i].birth && now.dev[i].birth)
			assert_int_equal(before[i] == told.dev[i].handle,
			                 seen.dev[i].birth == now.dev[i].birth);
	for (int g = 0; g < NR_GRP; g++)
		if (seen.grp[g].birth && now.grp[g].birth)
			assert_int_equal(group[g] == told.grp[g].handle,
			                 seen.grp[g].birth == now.grp[g].birth);
	check_claims(w, losses);
	seen = now;
}

static void play(struct sluice_watch *w, unsigned steps)
{
	for (unsigned i = 0; i < steps; i++) {
		for (unsigned n = storm_roll(3) ? 1 : 1 + storm_roll(6); n; n--)
			storm_step();
		take(w);
		hold_some(w);
		claim_some(w);
	}
	for (unsigned k = 0; k < NR_HELD; k++) {
		sluice_watch_put_device(w, held[k].d);
		held[k].d = NULL;
	}
	for (int g = 0; g < NR_GRP; g++)
		if (claims[g].handle)
			assert_int_equal(
			        sluice_watch_release(w, claims[g].handle), 0);
	print_message("%llu events\n", (unsigned long long)told.events);
	/* Less than one for two steps: it does not listen. */
	assert_true(told.events > steps / 2);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void begin(uint64_t seed)
{
	memset(&seen, 0, sizeof(seen));
	memset(&told, 0, sizeof(told));
	memset(claims, 0, sizeof(claims));
	storm_begin(seed);
}

static void in_memory(void **state)
{
	struct live pair = {{{0}}, {0}, 0, 0};
	struct sluice_watch *w;

	(void)state;
	begin(0x9e3779b97f4a7c15u);
	live_new(&pair);
	w = live_watch(&pair, 0);
	play(w, 100000);
	live_free(&pair);
}

static void on_a_tree(void **state)
{
	static struct live machine;
	struct sluice_watch *w;

	(void)state;
	begin(0xd1b54a32d192ed03u);
	live_new(&machine);
	live = &machine;
	w = live_watch(live, 0);
	play(w, 1000);
	live_free(live);
	live = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(in_memory),
	        cmocka_unit_test(on_a_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
