/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way of an unmap to its ticket, step by step, with two lanes that one
 * thread plays: what makes a lazy batch go out, whom a ticket waits for and for
 * whom not, and what may not be used before.
 */
#include "tests/engine/rig.h"

#include "util/util.h"

#define IOVA UINT64_C(0x40000000)
#define VA UINT64_C(0x200000000000)
#define NEVER (1u << 30)

struct two {
	struct rig r; /* lane and view of the one who unmaps */
	struct sluice_lane *lane;
	struct sluice_view *view;
};

static void two_up(struct two *t, const struct sluice_domain_cfg *cfg)
{
	rig_up(&t->r, cfg);
	assert_int_equal(sluice_lane_open(t->r.engine, NULL, &t->lane), 0);
	assert_int_equal(sluice_view_open(t->lane, t->r.domain, &t->view), 0);
}

static void two_down(struct two *t)
{
	if (t->view)
		assert_int_equal(sluice_view_close(t->view), 0);
	assert_int_equal(sluice_lane_close(t->lane), 0);
	rig_down(&t->r);
}

static bool passes(struct two *t, struct sluice_ticket ticket)
{
	for (int i = 0; i < 4; i++) {
		sluice_poll(t->r.lane, NULL, 0);
		if (t->view)
			sluice_poll(t->lane, NULL, 0);
	}
	return sluice_ticket_passed(t->r.view, ticket);
}

/* Only a lane that has translated is waited for. */
static void look(struct two *t, sluice_iova_t iova)
{
	sluice_oa_t oa;

	assert_int_equal(sluice_translate(t->view, iova, 1, RW, &oa), 1);
}

static struct sluice_ticket unmap_one(struct two *t, uint64_t pages)
{
	struct sluice_ticket ticket;
	sluice_iova_t iova;

	assert_int_equal(map(&t->r, VA, pages * PAGE, &iova), 0);
	if (t->view)
		look(t, iova);
	assert_true(sluice_unmap(t->r.view, iova, pages * PAGE, 0, &ticket) >=
	            0);
	return ticket;
}

static void lazy_by_bytes(void **state)
{
	const struct sluice_domain_cfg cfg = {.mode = SLUICE_MODE_LAZY,
	                                      .lazy_entries = NEVER,
	                                      .lazy_bytes = 16 * PAGE,
	                                      .lazy_us = NEVER};
	struct sluice_ticket first;
	struct two t;

	(void)state;
	two_up(&t, &cfg);
	first = unmap_one(&t, 15);
	assert_false(passes(&t, first));
	unmap_one(&t, 1);
	assert_true(passes(&t, first));
	two_down(&t);
}

static void lazy_by_time(void **state)
{
	const struct sluice_domain_cfg cfg = {.mode = SLUICE_MODE_LAZY,
	                                      .lazy_entries = NEVER,
	                                      .lazy_bytes = (uint64_t)NEVER
	                                                    << 20,
	                                      .lazy_us = 20000};
	uint64_t start = clock_ns();
	struct sluice_ticket ticket;
	struct two t;

	(void)state;
	two_up(&t, &cfg);
	ticket = unmap_one(&t, 1);
	while (!passes(&t, ticket))
		assert_true(clock_ns() - start < PATIENCE);
	/* The clock of the lanes is not this one: half will do. */
	assert_true(clock_ns() - start > SECOND / 100);
	two_down(&t);
}

/* A part of what was unmapped, by every page of it. */
static void busy_until_the_ticket(void **state)
{
	static const uint64_t sizes[] = {1, 4, 64, 65, 300};
	struct two t;

	(void)state;
	two_up(&t, &caller_iova);
	for (unsigned i = 0; i < NR_OF(sizes); i++) {
		uint64_t len = sizes[i] * PAGE;
		struct sluice_ticket ticket;

		assert_int_equal(map_fixed(&t.r, VA, len, IOVA), 0);
		look(&t, IOVA);
		assert_int_equal(sluice_unmap(t.r.view, IOVA, len, 0, &ticket),
		                 1);
		sluice_poll(t.r.lane, NULL, 0);
		for (uint64_t at = 0; at < len; at += PAGE)
			assert_int_equal(map_fixed(&t.r, VA, PAGE, IOVA + at),
			                 -EBUSY);
		assert_int_equal(
		        map_fixed(&t.r, VA, 100 * PAGE, IOVA - 99 * PAGE),
		        -EBUSY);
		assert_int_equal(map_fixed(&t.r, VA, PAGE, IOVA + len), 0);
		assert_true(passes(&t, ticket));
		assert_int_equal(map_fixed(&t.r, VA, len, IOVA), 0);
		assert_int_equal(unmap(&t.r, IOVA, len + PAGE), 1);
		while (sluice_drain(t.r.lane, 0))
			sluice_poll(t.lane, NULL, 0);
	}
	two_down(&t);
}

static void waits_for_a_lane_that_is_there(void **state)
{
	struct sluice_ticket ticket;
	struct two t;

	(void)state;
	two_up(&t, NULL);
	ticket = unmap_one(&t, 1);
	for (int i = 0; i < 100; i++)
		sluice_poll(t.r.lane, NULL, 0);
	assert_false(sluice_ticket_passed(t.r.view, ticket));
	sluice_poll(t.lane, NULL, 0);
	sluice_poll(t.r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(t.r.view, ticket));
	two_down(&t);
}

static void does_not_wait_for_a_closed_view(void **state)
{
	struct sluice_ticket ticket;
	struct two t;

	(void)state;
	two_up(&t, NULL);
	unmap_one(&t, 1);
	assert_int_equal(sluice_view_close(t.view), 0);
	t.view = NULL;
	ticket = unmap_one(&t, 1);
	assert_true(passes(&t, ticket));
	two_down(&t);
}

/* Nobody but the lane itself could post what it has gathered. */
static void offline_lane_leaves_no_batch(void **state)
{
	const struct sluice_domain_cfg cfg = {.mode = SLUICE_MODE_LAZY,
	                                      .lazy_entries = NEVER,
	                                      .lazy_us = NEVER};
	sluice_iova_t iova;
	sluice_oa_t oa;
	struct two t;

	(void)state;
	two_up(&t, &cfg);
	assert_int_equal(map(&t.r, VA, PAGE, &iova), 0);
	assert_int_equal(sluice_translate(t.view, iova, 1, RW, &oa), 1);
	assert_int_equal(unmap(&t.r, iova, PAGE), 0);
	sluice_lane_offline(t.r.lane);
	sluice_poll(t.lane, NULL, 0);
	assert_int_equal(sluice_translate(t.view, iova, 1, RW, &oa), -EFAULT);
	sluice_lane_online(t.r.lane);
	while (sluice_drain(t.r.lane, 0))
		sluice_poll(t.lane, NULL, 0);
	two_down(&t);
}

/* Nobody tells a lane that is offline what it should drop. */
static void offline_lane_keeps_nothing(void **state)
{
	struct sluice_ticket ticket;
	sluice_iova_t iova;
	sluice_oa_t oa;
	struct two t;

	(void)state;
	two_up(&t, NULL);
	assert_int_equal(map(&t.r, VA, PAGE, &iova), 0);
	/* Often enough to be cached. */
	for (int i = 0; i < 64; i++)
		look(&t, iova);
	assert_int_equal(sluice_lane_offline(t.lane), 0);
	assert_int_equal(sluice_unmap(t.r.view, iova, PAGE, 0, &ticket), 1);
	assert_true(passes(&t, ticket));
	sluice_lane_online(t.lane);
	assert_int_equal(sluice_translate(t.view, iova, 1, RW, &oa), -EFAULT);
	two_down(&t);
}

/* A large leaf takes the place of a table in which others may be walking. */
static void unlinked_table_waits(void **state)
{
	struct two t;

	(void)state;
	two_up(&t, &caller_iova);
	assert_int_equal(map_fixed(&t.r, VA, PAGE, IOVA), 0);
	look(&t, IOVA);
	assert_int_equal(unmap(&t.r, IOVA, PAGE), 1);
	sluice_poll(t.r.lane, NULL, 0);
	sluice_poll(t.lane, NULL, 0);
	assert_int_equal(sluice_drain(t.r.lane, PATIENCE), 0);
	assert_int_equal(map_fixed(&t.r, VA, M2, IOVA), 0);
	assert_int_equal(sluice_drain(t.r.lane, SECOND / 1000), -ETIMEDOUT);
	assert_int_equal(sluice_view_close(t.r.view), -EBUSY);
	sluice_poll(t.lane, NULL, 0);
	assert_int_equal(sluice_drain(t.r.lane, PATIENCE), 0);
	two_down(&t);
}

/* Until nothing of either lane is in flight. */
static void settle(struct two *t)
{
	int one, two;

	do {
		one = sluice_drain(t->r.lane, 0);
		two = sluice_drain(t->lane, 0);
	} while (one || two);
}

/* The other lane takes the table of IOVA away, and uses it for what follows:
 * eight pages there. */
static void use_table_again(struct two *t)
{
	struct sluice_map_req req = {.va = VA + M2,
	                             .len = M2,
	                             .prot = RW,
	                             .flags = SLUICE_MAP_FIXED};
	sluice_iova_t iova = IOVA;

	assert_int_equal(sluice_map(t->view, &req, &iova), 0);
	settle(t);
	assert_int_equal(sluice_unmap(t->view, iova, M2, 0, NULL), 1);
	settle(t);
	iova += M2;
	req.len = 8 * PAGE;
	assert_int_equal(sluice_map(t->view, &req, &iova), 0);
}

/* What the first lane has used there once, it remembers. */
static void two_up_with_a_table(struct two *t)
{
	two_up(t, &caller_iova);
	assert_int_equal(map_fixed(&t->r, VA, PAGE, IOVA), 0);
	assert_int_equal(unmap(&t->r, IOVA, PAGE), 1);
	settle(t);
}

static void two_unmap_and_down(struct two *t)
{
	assert_int_equal(sluice_unmap(t->view, IOVA + M2, 8 * PAGE, 0, NULL),
	                 1);
	settle(t);
	two_down(t);
}

/* A page, and a few at once. */
static void map_goes_where_the_table_is_now(void **state)
{
	sluice_oa_t oa;
	struct two t;

	(void)state;
	for (uint64_t nr = 1; nr <= 3; nr++) {
		uint64_t len = nr * PAGE, at = IOVA + 9 * PAGE;

		two_up_with_a_table(&t);
		use_table_again(&t);
		assert_int_equal(map_fixed(&t.r, VA, len, at), 0);
		assert_int_equal(sluice_translate(t.view, at + M2, 1, RW, &oa),
		                 -EFAULT);
		assert_int_equal(sluice_translate(t.view, at, 1, RW, &oa), 1);
		assert_int_equal(oa, VA);
		assert_int_equal(unmap(&t.r, at, len), 1);
		settle(&t);
		two_unmap_and_down(&t);
	}
}

/* A lane that was told, and one that came later. */
static void walk_goes_where_the_table_is_now(void **state)
{
	struct two t;

	(void)state;
	for (int told = 0; told < 2; told++) {
		two_up_with_a_table(&t);
		if (told)
			assert_int_equal(xlate(&t.r, IOVA, 1), -EFAULT);
		use_table_again(&t);
		assert_int_equal(xlate(&t.r, IOVA + 5 * M2, 1), -EFAULT);
		for (uint64_t i = 0; i < 8; i++)
			assert_int_equal(xlate(&t.r, IOVA + i * PAGE, 1),
			                 -EFAULT);
		assert_maps(&t.r, IOVA + M2, VA + M2);
		two_unmap_and_down(&t);
	}
}

static void completions_that_do_not_fit_wait(void **state)
{
	struct sluice_completion c;
	sluice_iova_t iova[3];
	struct two t;

	(void)state;
	two_up(&t, NULL);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(map(&t.r, VA + i * PAGE, PAGE, &iova[i]), 0);
	look(&t, iova[0]);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(sluice_unmap(t.r.view, iova[i], PAGE, i, NULL),
		                 1);
	assert_int_equal(sluice_poll(t.r.lane, &c, 1), 0);
	sluice_poll(t.lane, NULL, 0);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(sluice_poll(t.r.lane, &c, 1), 1);
		assert_int_equal(c.cookie, i);
		assert_int_equal(c.iova, iova[i]);
		assert_int_equal(c.result, 0);
	}
	assert_int_equal(sluice_poll(t.r.lane, &c, 1), 0);
	two_down(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(lazy_by_bytes),
	        cmocka_unit_test(lazy_by_time),
	        cmocka_unit_test(busy_until_the_ticket),
	        cmocka_unit_test(waits_for_a_lane_that_is_there),
	        cmocka_unit_test(does_not_wait_for_a_closed_view),
	        cmocka_unit_test(offline_lane_leaves_no_batch),
	        cmocka_unit_test(offline_lane_keeps_nothing),
	        cmocka_unit_test(unlinked_table_waits),
	        cmocka_unit_test(map_goes_where_the_table_is_now),
	        cmocka_unit_test(walk_goes_where_the_table_is_now),
	        cmocka_unit_test(completions_that_do_not_fit_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
