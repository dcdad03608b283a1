/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce slots made on a machine that stands still between any two looks at
 * the clock: clock_gettime() is this file's own. Whatever was made to measure
 * with is taken down all the same.
 */
#include "tests/engine/bounce_rig.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STALL_S 10
#define ROUNDS 8
/* Pages: half of the tables of as many engines as measure, and more than a heap
 * grows by, or an emulator's store of translated code (qemu-user). */
#define SLACK (ROUNDS * 2048u)

static bool stalling;
static time_t stalled;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);

	if (stalling)
		stalled += STALL_S;
	ts->tv_sec += stalled;
	return rc;
}

static void create(struct rig *r)
{
	struct sluice_bounce *b;

	stalling = true;
	assert_int_equal(sluice_bounce_create(r->domain, NULL, &b), 0);
	stalling = false;
	sluice_bounce_destroy(b);
	sluice_poll(r->lane, NULL, 0);
}

/* Of the address space, in pages. */
static uint64_t in_use(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long long pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &pages), 1);
	fclose(f);
	return pages;
}

static void nothing_is_left(void **state)
{
	uint64_t before;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	for (int i = 0; i < ROUNDS; i++)
		create(&r);
	before = in_use();
	for (int i = 0; i < ROUNDS; i++)
		create(&r);
	assert_in_range(stalled, 2 * ROUNDS * STALL_S, LONG_MAX);
	assert_in_range(in_use(), 0, before + SLACK);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
