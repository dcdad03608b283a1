/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A place that the caller chose is mapped again before the ticket of its last
 * unmap: at once where nobody translates, else when the ticket has passed.
 */
#include "tests/engine/rig.h"

/* nr pages at iova are unmapped and mapped again at once. */
static void comes_back_at_once(struct rig *r, sluice_iova_t iova, uint64_t nr,
                               uint64_t cookie)
{
	struct sluice_ticket t;

	assert_int_equal(sluice_unmap(r->view, iova, nr * PAGE, cookie, &t), 1);
	assert_false(sluice_ticket_passed(r->view, t));
	assert_int_equal(map_fixed(r, M2 + M2, nr * PAGE, iova), 0);
	assert_true(sluice_ticket_passed(r->view, t));
}

/* Where nobody translates, a fixed map need not wait for the next poll: the
 * ticket passes, and its completion comes as ever. */
static void fixed_iova_of_nobody_passes(void **state)
{
	struct sluice_completion c[4];
	struct sluice_domain_stats st;
	struct sluice_ticket t;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	/* A page, with and without a remembered table, a few, and many. */
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), 0);
	assert_int_equal(map_fixed(&r, M2, 3 * PAGE, 0x8000), 0);
	assert_int_equal(map_fixed(&r, M2, 100 * PAGE, 0x100000), 0);
	comes_back_at_once(&r, 0x5000, 1, 10);
	comes_back_at_once(&r, 0x8000, 3, 11);
	comes_back_at_once(&r, 0x100000, 100, 12);
	comes_back_at_once(&r, 0x5000, 1, 13);
	assert_int_equal(sluice_poll(r.lane, c, 4), 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(c[i].cookie, 10 + i);
		assert_int_equal(c[i].op, SLUICE_OP_UNMAP);
		assert_int_equal(c[i].result, 0);
	}
	assert_int_equal(c[1].iova, 0x8000);
	assert_int_equal(c[1].len, 3 * PAGE);
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.maps, 7);
	assert_int_equal(st.map_bytes, 209 * PAGE);
	assert_int_equal(st.unmaps, 4);
	assert_int_equal(st.unmap_bytes, 105 * PAGE);
	assert_int_equal(st.map_failures, 0);
	/* Once a translation is in somebody's hands, it is over with the next
	 * poll only. */
	assert_maps(&r, 0x5000, 2 * M2);
	assert_int_equal(sluice_unmap(r.view, 0x5000, PAGE, 14, &t), 1);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), -EBUSY);
	assert_false(sluice_ticket_passed(r.view, t));
	rig_down(&r);
}

/* nr pages were mapped, translated by another lane, and unmapped. */
static void up_with_another(struct rig *r, uint64_t nr,
                            struct sluice_lane **other,
                            struct sluice_view **view, struct sluice_ticket *t)
{
	sluice_oa_t oa;

	rig_up(r, &caller_iova);
	assert_int_equal(sluice_lane_open(r->engine, NULL, other), 0);
	assert_int_equal(sluice_view_open(*other, r->domain, view), 0);
	assert_int_equal(map_fixed(r, M2, nr * PAGE, 0x5000), 0);
	assert_int_equal(sluice_translate(*view, 0x5000, 1, SLUICE_READ, &oa),
	                 1);
	assert_int_equal(sluice_unmap(r->view, 0x5000, nr * PAGE, 1, t), 1);
}

/* It is another lane that translates. */
static void fixed_iova_waits_for_another_lane(void **state)
{
	struct sluice_lane *other;
	struct sluice_view *view;
	struct sluice_ticket t;
	struct rig r;

	(void)state;
	up_with_another(&r, 1, &other, &view, &t);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), -EBUSY);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), -EBUSY);
	assert_false(sluice_ticket_passed(r.view, t));
	sluice_poll(other, NULL, 0);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), 0);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(other), 0);
	rig_down(&r);
}

/* A lane that is offline is told so, whatever waits. */
static void fixed_iova_of_a_lane_offline(void **state)
{
	struct sluice_lane *other;
	struct sluice_view *view;
	struct sluice_ticket t;
	struct rig r;

	(void)state;
	for (uint64_t nr = 1; nr <= 3; nr++) {
		up_with_another(&r, nr, &other, &view, &t);
		assert_int_equal(sluice_lane_offline(r.lane), 0);
		assert_int_equal(map_fixed(&r, M2, nr * PAGE, 0x5000),
		                 -ENETDOWN);
		/* Nor does the ticket pass there. */
		assert_int_equal(sluice_view_close(view), 0);
		assert_int_equal(map_fixed(&r, M2, nr * PAGE, 0x5000),
		                 -ENETDOWN);
		assert_false(sluice_ticket_passed(r.view, t));
		sluice_lane_online(r.lane);
		assert_int_equal(map_fixed(&r, M2, nr * PAGE, 0x5000), 0);
		assert_int_equal(sluice_lane_close(other), 0);
		rig_down(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(fixed_iova_of_nobody_passes),
	        cmocka_unit_test(fixed_iova_waits_for_another_lane),
	        cmocka_unit_test(fixed_iova_of_a_lane_offline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
