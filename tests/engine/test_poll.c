/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lanes with many views: idle ones are left alone and woken in time, in every
 * state that a view can be closed or taken offline in; and lanes that do not
 * poll are named, and given up by whoever knows that they are dead.
 */
#include "tests/engine/rig.h"

#include <stdlib.h>

#include "util/util.h"

#define DOMAINS 64
#define VA UINT64_C(0x7f0000001000)
#define IDLE 1000 /* more polls than it takes to fall asleep */

/* Two lanes with a view each on all domains. */
struct many {
	struct sluice_engine *engine;
	struct sluice_domain *domain[DOMAINS];
	struct sluice_lane *lane[2];
	struct sluice_view *view[2][DOMAINS];
};

static void many_up(struct many *m)
{
	const struct sluice_domain_cfg cfg = {.tlb_entries = 16,
	                                      .walk_entries = 16};

	assert_int_equal(sluice_engine_open(NULL, &m->engine), 0);
	for (unsigned l = 0; l < 2; l++)
		assert_int_equal(sluice_lane_open(m->engine, NULL, &m->lane[l]),
		                 0);
	for (unsigned d = 0; d < DOMAINS; d++) {
		assert_int_equal(
		        sluice_domain_create(m->engine, &cfg, &m->domain[d]),
		        0);
		for (unsigned l = 0; l < 2; l++)
			assert_int_equal(sluice_view_open(m->lane[l],
			                                  m->domain[d],
			                                  &m->view[l][d]),
			                 0);
	}
}

static void many_down(struct many *m)
{
	for (unsigned l = 0; l < 2; l++) {
		assert_int_equal(sluice_drain(m->lane[l], PATIENCE), 0);
		for (unsigned d = 0; d < DOMAINS; d++)
			assert_int_equal(sluice_view_close(m->view[l][d]), 0);
		assert_int_equal(sluice_lane_close(m->lane[l]), 0);
	}
	for (unsigned d = 0; d < DOMAINS; d++)
		assert_int_equal(sluice_domain_destroy(m->domain[d]), 0);
	assert_int_equal(sluice_engine_close(m->engine), 0);
}

/* All views take part in their logs. */
static void all_read(struct many *m)
{
	for (unsigned l = 0; l < 2; l++)
		for (unsigned d = 0; d < DOMAINS; d++)
			start_reading(m->view[l][d]);
}

static void idle(struct many *m)
{
	for (unsigned i = 0; i < IDLE; i++)
		for (unsigned l = 0; l < 2; l++)
			sluice_poll(m->lane[l], NULL, 0);
}

static struct sluice_ticket map_unmap(struct sluice_view *by,
                                      struct sluice_view *user)
{
	struct sluice_map_req req = {.va = VA, .len = PAGE, .prot = RW};
	struct sluice_ticket t = {0};
	sluice_iova_t iova;
	sluice_oa_t oa;

	assert_int_equal(sluice_map(by, &req, &iova), 0);
	if (user)
		assert_int_equal(sluice_translate(user, iova, 1, RW, &oa), 1);
	assert_int_equal(sluice_unmap(by, iova, PAGE, 0, &t), 1);
	return t;
}

/* Tickets wait for views that sleep, and no longer than it takes to wake
 * them. */
static void sleepers_wake(void **state)
{
	static struct many m;

	(void)state;
	many_up(&m);
	all_read(&m);
	for (unsigned round = 0; round < 3; round++) {
		idle(&m);
		for (unsigned d = 0; d < DOMAINS; d += 1 + round) {
			struct sluice_view *v = m.view[round & 1][d];
			struct sluice_ticket t =
			        map_unmap(v, m.view[~round & 1][d]);

			sluice_poll(m.lane[round & 1], NULL, 0);
			assert_false(sluice_ticket_passed(v, t));
			sluice_poll(m.lane[~round & 1], NULL, 0);
			sluice_poll(m.lane[round & 1], NULL, 0);
			assert_true(sluice_ticket_passed(v, t));
		}
	}
	idle(&m);
	many_down(&m);
}

/* Closed, reopened and offline while asleep, woken and about to be. */
static void sleepers_leave(void **state)
{
	static struct many m;
	struct sluice_ticket t;

	(void)state;
	many_up(&m);
	all_read(&m);
	idle(&m);
	/* Asleep; then woken and not yet looked at. */
	assert_int_equal(sluice_view_close(m.view[1][5]), 0);
	t = map_unmap(m.view[0][5], NULL);
	sluice_poll(m.lane[0], NULL, 0);
	assert_true(sluice_ticket_passed(m.view[0][5], t));
	map_unmap(m.view[0][6], NULL);
	sluice_poll(m.lane[0], NULL, 0);
	assert_int_equal(sluice_view_close(m.view[1][6]), 0);
	for (unsigned d = 5; d < 7; d++)
		assert_int_equal(
		        sluice_view_open(m.lane[1], m.domain[d], &m.view[1][d]),
		        0);
	idle(&m);
	assert_int_equal(sluice_lane_offline(m.lane[1]), 0);
	for (unsigned d = 0; d < DOMAINS; d++) {
		t = map_unmap(m.view[0][d], NULL);
		sluice_poll(m.lane[0], NULL, 0);
		assert_true(sluice_ticket_passed(m.view[0][d], t));
	}
	sluice_lane_online(m.lane[1]);
	t = map_unmap(m.view[0][9], m.view[1][9]);
	sluice_poll(m.lane[0], NULL, 0);
	assert_false(sluice_ticket_passed(m.view[0][9], t));
	sluice_poll(m.lane[1], NULL, 0);
	sluice_poll(m.lane[0], NULL, 0);
	assert_true(sluice_ticket_passed(m.view[0][9], t));
	many_down(&m);
}

static struct many both;
static au32 stop;

static void *unmapper(void *arg)
{
	struct sluice_lane *lane = both.lane[0];

	(void)arg;
	sluice_lane_adopt(lane);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned d = i * 7 % DOMAINS;
		struct sluice_ticket t = map_unmap(both.view[0][d], NULL);

		assert_int_equal(
		        sluice_ticket_wait(both.view[0][d], t, 60 * SECOND), 0);
	}
	st_rel(&stop, 1); /* pairs with sleepers_race */
	return NULL;
}

/* One lane falls asleep all the time, the other wakes it all the time: each
 * ticket passes. */
static void sleepers_race(void **state)
{
	pthread_t thread;

	(void)state;
	many_up(&both);
	all_read(&both);
	assert_int_equal(pthread_create(&thread, NULL, unmapper, NULL), 0);
	while (!ld_acq(&stop)) /* pairs with unmapper */
		sluice_poll(both.lane[1], NULL, 0);
	pthread_join(thread, NULL);
	sluice_lane_adopt(both.lane[0]);
	many_down(&both);
}

static void *dies(void *arg)
{
	struct sluice_view **view = arg;

	sluice_lane_adopt(both.lane[0]);
	start_reading(*view);
	return NULL;
}

/* A thread that ends without going offline holds tickets up. It is named; who
 * knows that it has ended takes its lane over. */
static void dead_lane(void **state)
{
	struct sluice_domain_stats st;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_ticket t;
	pthread_t thread;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, r.domain, &view), 0);
	both.lane[0] = lane;
	assert_int_equal(pthread_create(&thread, NULL, dies, &view), 0);
	pthread_join(thread, NULL);
	t = map_unmap(r.view, NULL);
	assert_int_equal(sluice_ticket_wait(r.view, t, 2000000), -ETIMEDOUT);
	assert_non_null(strstr(sluice_last_error(), "lane 1 has not polled"));
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.laggard_lane, sluice_lane_id(lane));
	assert_int_equal(st.laggard_records, 1);
	assert_true(st.waiting_ns >= 1000000);
	sluice_lane_adopt(lane);
	assert_int_equal(sluice_lane_offline(lane), 0);
	assert_int_equal(sluice_ticket_wait(r.view, t, PATIENCE), 0);
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.laggard_lane, UINT32_MAX);
	assert_int_equal(st.waiting_ns, 0);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	rig_down(&r);
}

/* Who does not translate is not waited for, and nothing is posted for him; who
 * has not missed for long leaves, and comes back with his next miss. */
static void only_readers_count(void **state)
{
	struct sluice_domain_stats st;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_ticket t;
	struct rig r;
	unsigned n = 0;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, r.domain, &view), 0);
	t = map_unmap(r.view, NULL);
	sluice_poll(r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(r.view, t));
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.posts, 0);
	t = map_unmap(r.view, view);
	do {
		sluice_poll(r.lane, NULL, 0);
		assert_false(sluice_ticket_passed(r.view, t));
		sluice_poll(lane, NULL, 0);
		sluice_poll(r.lane, NULL, 0);
		assert_true(sluice_ticket_passed(r.view, t));
		t = map_unmap(r.view, NULL);
		sluice_domain_get_stats(r.domain, &st);
		assert_int_equal(st.posts, ++n);
	} while (n < 4097); /* the first came after a miss */
	sluice_poll(r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(r.view, t));
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.posts, n);
	t = map_unmap(r.view, view);
	sluice_poll(r.lane, NULL, 0);
	assert_false(sluice_ticket_passed(r.view, t));
	sluice_poll(lane, NULL, 0);
	sluice_poll(r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(r.view, t));
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(sleepers_wake),
	        cmocka_unit_test(sleepers_leave),
	        cmocka_unit_test(sleepers_race),
	        cmocka_unit_test(dead_lane),
	        cmocka_unit_test(only_readers_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
