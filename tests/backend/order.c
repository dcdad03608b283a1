/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of several lanes meet in the helper: where they touch they take
 * effect in the order in which they were submitted, where they do not unmaps
 * may wait and maps go ahead. What the kernel was asked, and in which order, is
 * read from the fake.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <linux/vfio.h>
#include <sluice/domain.h>

#define LONG_US 5000000u /* no test waits so long, but for being wrong */
#define SOON_NS                                                                \
	UINT64_C(4000000000) /* and what need not wait is there by then */
#define LEARN_US 400000u
#define HURRY_NS UINT64_C(10000000000) /* for many of them, at most */
#define LOOKS 5 /* at a machine that is busy with others */

static struct rig rig;
static struct fake_vfio_call call[64];

static void up(uint32_t batch_us)
{
	rig_init(&rig, NULL, true);
	rig.be->ops->tune(rig.be, batch_us, 0, 0);
}

static void map_now(uint32_t first, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		rig_map(&rig, i, first + i, 1);
	rig_submit(&rig, 0, nr);
	rig_wait(&rig);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(rig.res[i], 0);
}

/* The calls since the last look, without those of the holder. */
static uint32_t calls(void)
{
	uint32_t n = fake_vfio_take_calls(call, NR_OF(call)), kept = 0;

	for (uint32_t i = 0; i < n; i++)
		if (call[i].iova < rig_iova(0x10000))
			call[kept++] = call[i];
	return kept;
}

static void expect_call(uint32_t i, unsigned long request, uint32_t page,
                        uint32_t nr)
{
	assert_int_equal(call[i].request, request);
	assert_int_equal(call[i].iova, rig_iova(page));
	assert_int_equal(call[i].len, nr * PAGE);
}

/* Unmapped by one lane, mapped by another, in one batch. */
static void test_map_behind_unmap(void **state)
{
	(void)state;
	for (uint32_t us = 0; us <= LONG_US; us += LONG_US) {
		up(us);
		map_now(0, 4);
		calls();
		rig_hold(&rig);
		rig_unmap(&rig, 0, 1, 2);
		rig_map(&rig, 1, 2, 1);
		rig_unmap(&rig, 2, 0, 1);
		rig_submit(&rig, 0, 3);
		fake_vfio_gate_open();
		rig_wait(&rig);
		/* Of the holder's own unmap nothing is expected. */
		rig.be->ops->tune(rig.be, SLUICE_BATCH_NO_WAIT, 0, 0);
		rig_release(&rig);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(rig.res[i], 0);
		assert_int_equal(calls(), 2);
		expect_call(0, VFIO_IOMMU_UNMAP_DMA, 0, 3);
		expect_call(1, VFIO_IOMMU_MAP_DMA, 2, 1);
		assert_false(rig_mapped(1));
		assert_true(rig_mapped(2));
		rig_fini(&rig);
	}
}

/* The other way round: the map finds the range in use, and what was mapped
 * before is what is unmapped. Unmaps that do not touch go first. */
static void test_unmap_behind_map(void **state)
{
	(void)state;
	up(0);
	map_now(0, 4);
	calls();
	rig_hold(&rig);
	rig_map(&rig, 0, 1, 1);
	rig_unmap(&rig, 1, 1, 1);
	rig_unmap(&rig, 2, 3, 1);
	rig_map(&rig, 3, 1, 1);
	rig_submit(&rig, 0, 4);
	rig_release(&rig);
	assert_int_equal(rig.res[0], -EEXIST);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(rig.res[i], 0);
	assert_int_equal(calls(), 4);
	expect_call(0, VFIO_IOMMU_UNMAP_DMA, 3, 1);
	expect_call(1, VFIO_IOMMU_MAP_DMA, 1, 1);
	expect_call(2, VFIO_IOMMU_UNMAP_DMA, 1, 1);
	expect_call(3, VFIO_IOMMU_MAP_DMA, 1, 1);
	assert_true(rig_mapped(1));
	rig_fini(&rig);
}

/* Returns when the helper has taken it. */
static void submit_one(uint32_t i)
{
	static uint32_t mark;

	rig_submit(&rig, i, 1);
	rig_map(&rig, 200, 0x10000 + mark++, 1);
	rig_submit(&rig, 200, 1);
	rig_wait_for(&rig, 200);
	assert_int_equal(rig.res[200], 0);
}

/* Unmaps come often enough for the next to wait. False: they did not, or its
 * time was over before anybody looked. */
static bool does_wait(uint32_t first)
{
	rig_unmap(&rig, 100, first, 1);
	rig_unmap(&rig, 101, first + 1, 1);
	submit_one(100);
	rig_wait_for(&rig, 100);
	submit_one(101);
	return rig.res[101] == PENDING;
}

static void make_it_wait(uint32_t first)
{
	assert_true(does_wait(first));
}

static void test_waits_for_company(void **state)
{
	(void)state;
	up(LONG_US);
	map_now(0, 8);
	make_it_wait(0);
	rig_unmap(&rig, 2, 2, 1);
	rig_unmap(&rig, 3, 4, 1);
	rig_unmap(&rig, 4, 3, 1);
	for (uint32_t i = 2; i < 5; i++)
		submit_one(i);
	calls();
	rig.be->ops->hurry(rig.be);
	rig_wait(&rig);
	for (uint32_t i = 2; i < 5; i++)
		assert_int_equal(rig.res[i], 0);
	/* The first was made with nobody there: no company was likely. */
	assert_int_equal(calls(), 1);
	expect_call(0, VFIO_IOMMU_UNMAP_DMA, 1, 4);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(rig_mapped(i), i > 4);
	rig_fini(&rig);
}

/* What waits holds up no map, unless it touches. */
static void test_maps_go_ahead(void **state)
{
	(void)state;
	up(LONG_US);
	map_now(0, 8);
	make_it_wait(0);
	calls();
	assert_true(rig_mapped(1));
	rig_map(&rig, 1, 20, 1);
	submit_one(1);
	assert_int_equal(calls(), 1);
	expect_call(0, VFIO_IOMMU_MAP_DMA, 20, 1);
	assert_true(rig_mapped(1));
	rig_map(&rig, 2, 1, 1);
	rig_submit(&rig, 2, 1);
	rig_wait(&rig);
	assert_int_equal(rig.res[2], 0);
	assert_int_equal(calls(), 2);
	expect_call(0, VFIO_IOMMU_UNMAP_DMA, 1, 1);
	expect_call(1, VFIO_IOMMU_MAP_DMA, 1, 1);
	rig_fini(&rig);
}

/* Budget that waits is given back before a map is refused. */
static void test_budget_does_not_wait(void **state)
{
	/* Of which the two that make_it_wait() leaves are taken too. */
	const struct fake_vfio_cfg few = {.entry_limit = 10};
	const struct fake_vfio_cfg small = {.memlock = 10 * PAGE};

	(void)state;
	for (int i = 0; i < 2; i++) {
		rig_init(&rig, i ? &small : &few, true);
		rig.be->ops->tune(rig.be, LONG_US, 0, 0);
		map_now(0, 8);
		make_it_wait(0);
		rig_map(&rig, 1, 20, 1);
		rig_map(&rig, 2, 21, 1);
		rig_map(&rig, 3, 22, 1);
		rig_submit(&rig, 1, 3);
		rig_wait(&rig);
		assert_int_equal(rig.res[1], 0);
		assert_int_equal(rig.res[2], 0);
		assert_int_equal(rig.res[3], i ? -ENOMEM : -ENOSPC);
		rig_fini(&rig);
	}
}

/* A full batch goes. */
static void test_batch_max(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	rig.be->ops->tune(rig.be, LONG_US, 3, 0);
	map_now(0, 8);
	make_it_wait(0);
	for (uint32_t i = 2; i < 4; i++) {
		rig_unmap(&rig, i, i, 1);
		submit_one(i);
	}
	rig_wait(&rig);
	calls();
	for (uint32_t i = 1; i < 4; i++)
		assert_false(rig_mapped(i));
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 2);
	rig_fini(&rig);
}

/* Nobody waits longer than was said. */
static void test_in_time(void **state)
{
	uint64_t start, ns;
	bool waits = false;

	(void)state;
	for (int i = 0; i < LOOKS && !waits; i++) {
		up(300000);
		map_now(0, 8);
		start = clock_ns();
		waits = does_wait(0);
		rig_unmap(&rig, 2, 4, 1);
		rig_submit(&rig, 2, 1);
		rig_wait(&rig);
		ns = clock_ns() - start;
		/* A busy machine may be late, nobody is early. */
		if (waits)
			assert_in_range(ns, 300000000, 20000000000);
		rig_fini(&rig);
	}
	assert_true(waits);
}

static void test_no_wait(void **state)
{
	(void)state;
	up(SLUICE_BATCH_NO_WAIT);
	map_now(0, 8);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(rig_do(&rig, rig_unmap(&rig, i, i, 1)), 0);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 8);
	rig_fini(&rig);
}

/* Those who wait in vain stop waiting. */
static bool learns(void)
{
	uint64_t slow = 0, fast = 0;
	struct be_counters c;

	up(LEARN_US);
	for (uint32_t i = 0; i < 80; i++) {
		uint64_t start;

		map_now(2 * i, 1);
		rig_unmap(&rig, 0, 2 * i, 1);
		start = clock_ns();
		assert_int_equal(rig_do(&rig, &rig.req[0]), 0);
		*(i < 6 ? &slow : &fast) += clock_ns() - start;
	}
	rig.be->ops->counters(rig.be, &c);
	assert_int_equal(c.kernel_unmaps, 80);
	rig_fini(&rig);
	/* All but the first wait, up to the fourth time, then one in 64. */
	return slow >= 3 * LEARN_US * UINT64_C(1000) &&
	       fast / 74 * 2 < slow / 6;
}

static void test_learns(void **state)
{
	(void)state;
	for (int i = 0; i < LOOKS; i++)
		if (learns())
			return;
	fail_msg("waits in vain change nothing");
}

static au32 busy_stop;

/* Keeps the helper turning, with maps of what is mapped. */
static void *busy(void *arg)
{
	static struct be_seg seg = {VA_BASE, PAGE};
	struct be_req req = {.op = BE_MAP,
	                     .iova = rig_iova(0x20000),
	                     .len = PAGE,
	                     .prot = SLUICE_RW,
	                     .nr_seg = 1,
	                     .seg = &seg};
	struct be_req *one = &req;
	struct fabric_cqe cqe;

	if (fabric_port_create(4, FABRIC_PLAIN, &req.port))
		abort();
	while (!ld_rlx(&busy_stop)) {
		while (!rig.be->ops->submit(rig.be, &one, 1))
			sched_yield();
		/* Long enough for a helper that has a processor. */
		for (uint32_t i = 1; !fabric_reap(req.port, &cqe, 1); i++)
			if (i % 1024 == 0)
				sched_yield();
	}
	fabric_port_destroy(req.port);
	return arg;
}

/* No lane's hurry is lost while others come and go. */
static void test_hurry(void **state)
{
	uint64_t start, end, worst = 0;
	pthread_t other;

	(void)state;
	up(LONG_US);
	st_rlx(&busy_stop, 0);
	assert_int_equal(pthread_create(&other, NULL, busy, NULL), 0);
	end = clock_ns() + HURRY_NS;
	for (uint32_t i = 0;
	     i < 3000 && worst <= SOON_NS && (i < 100 || clock_ns() < end);
	     i++) {
		map_now(2 * (i % 64), 1);
		rig_unmap(&rig, 0, 2 * (i % 64), 1);
		start = clock_ns();
		rig_submit(&rig, 0, 1);
		rig.be->ops->hurry(rig.be);
		rig_wait(&rig);
		worst = max_u64(worst, clock_ns() - start);
	}
	st_rlx(&busy_stop, 1);
	pthread_join(other, NULL);
	assert_in_range(worst, 0, SOON_NS);
	rig_fini(&rig);
}

/* Nor when the unmap that is meant comes behind more than one turn takes. */
static void test_hurry_behind_others(void **state)
{
	uint64_t start;

	(void)state;
	rig_init(&rig, NULL, true);
	rig.be->ops->tune(rig.be, LONG_US, 2, 0);
	map_now(0, 8);
	rig_unmap(&rig, 100, 0, 1);
	submit_one(100);
	rig_wait_for(&rig, 100);
	rig_hold(&rig);
	for (uint32_t i = 0; i < 4; i++)
		rig_map(&rig, i, 40 + 2 * i, 1);
	rig_unmap(&rig, 4, 1, 1);
	rig_submit(&rig, 0, 5);
	rig.be->ops->hurry(rig.be);
	start = clock_ns();
	fake_vfio_gate_open();
	rig_wait(&rig);
	assert_in_range(clock_ns() - start, 0, SOON_NS);
	rig_fini(&rig);
}

/* The stop ends what waits, and answers it. */
static void test_stop(void **state)
{
	struct fabric_cqe cqe[4];
	uint64_t start;

	(void)state;
	up(LONG_US);
	map_now(0, 8);
	make_it_wait(0);
	start = clock_ns();
	rig.be->ops->destroy(rig.be);
	assert_in_range(clock_ns() - start, 0, SOON_NS);
	assert_int_equal(fabric_reap(rig.port, cqe, 4), 1);
	assert_int_equal(cqe[0].id, 101);
	assert_int_equal(cqe[0].res, 0);
	fabric_port_destroy(rig.port);
	for (int i = 0; i < 4; i++)
		fake_vfio_close(rig.group[i].fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_map_behind_unmap),
	        cmocka_unit_test(test_unmap_behind_map),
	        cmocka_unit_test(test_waits_for_company),
	        cmocka_unit_test(test_maps_go_ahead),
	        cmocka_unit_test(test_budget_does_not_wait),
	        cmocka_unit_test(test_batch_max),
	        cmocka_unit_test(test_in_time),
	        cmocka_unit_test(test_no_wait),
	        cmocka_unit_test(test_learns),
	        cmocka_unit_test(test_hurry),
	        cmocka_unit_test(test_hurry_behind_others),
	        cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
