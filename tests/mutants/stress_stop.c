/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper of a type1 backend at its two delicate moments. It is stopped
 * right behind a request: what was submitted before is still carried out and
 * answered. And it is called just when it falls asleep: no request waits for
 * the next one to wake it.
 */
#include "tests/backend/rig.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define ROUNDS 400
#define CALLS 20000
#define NAP_NS 30000 /* about when the helper stops spinning */
#define LOST_NS UINT64_C(15000000000)

static void answers_what_came_before_the_stop(void **state)
{
	static struct rig rig;

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct fabric_cqe cqe;

		rig_init(&rig, NULL, true);
		rig_map(&rig, 0, 1, 1);
		rig_submit(&rig, 0, 1);
		rig_wait(&rig);
		/* Just when the helper has found its queue empty. */
		for (uint32_t i = 0; i < round % 64 * 16; i++)
			cpu_relax();
		rig_unmap(&rig, 0, 1, 1);
		rig_submit(&rig, 0, 1);
		rig.be->ops->destroy(rig.be);
		assert_int_equal(fabric_reap(rig.port, &cqe, 1), 1);
		assert_int_equal(cqe.res, 0);
		assert_int_equal(rig_nr(), 0);
		fabric_port_destroy(rig.port);
		for (int i = 0; i < 4; i++)
			fake_vfio_close(rig.group[i].fd);
	}
}

/* The helper would never end. */
static void lost(void)
{
	fprintf(stderr, "stress_stop: nobody woke the helper\n");
	_exit(1);
}

static void wakes_for_each_request(void **state)
{
	static struct rig rig;
	uint32_t seed = 1;

	(void)state;
	rig_init(&rig, NULL, true);
	for (uint32_t i = 0; i < CALLS; i++) {
		uint64_t at = clock_ns(), until;
		struct fabric_cqe cqe;

		seed = seed * 1664525u + 1013904223u;
		until = at + NAP_NS - 5000 + seed % 20000;
		while (clock_ns() < until)
			cpu_relax();
		if (i % 2)
			rig_unmap(&rig, 0, 1, 1);
		else
			rig_map(&rig, 0, 1, 1);
		rig_submit(&rig, 0, 1);
		at = clock_ns();
		while (fabric_reap(rig.port, &cqe, 1) == 0) {
			if (clock_ns() - at > LOST_NS)
				lost();
			if (clock_ns() - at > 100000)
				sched_yield();
		}
		assert_int_equal(cqe.res, 0);
		rig.outstanding--;
	}
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(wakes_for_each_request),
	        cmocka_unit_test(answers_what_came_before_the_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
