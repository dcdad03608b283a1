/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget of a type1 container on the fake kernel: what is known to be too
 * much is refused without a MAP, what the kernel would take is never refused,
 * whoever changed the limits meanwhile; and each request has its own result.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

#include "tests/backend/fake_limits.h"

static struct rig rig;

#define OPS (rig.be->ops)

static void up(const struct fake_vfio_cfg *cfg)
{
	limits = &fake_limits;
	fake_locked_error = 0;
	st_rlx(&fake_locked_reads, 0);
	rig_init(&rig, cfg, true);
}

static int map(uint64_t page, uint64_t nr)
{
	return rig_do(&rig, rig_map(&rig, 0, page, nr));
}

static int unmap(uint64_t page, uint64_t nr)
{
	return rig_do(&rig, rig_unmap(&rig, 0, page, nr));
}

static struct sluice_budget budget(void)
{
	struct sluice_budget b = BE_BUDGET_FREE;

	OPS->budget(rig.be, &b);
	return b;
}

static uint32_t maps(void)
{
	return fake_vfio_calls(VFIO_IOMMU_MAP_DMA);
}

static int map_now(uint64_t page, uint64_t nr)
{
	return OPS->map_now(rig.be, rig_iova(page), VA_BASE + page * PAGE,
	                    nr * PAGE, SLUICE_RW);
}

static void says(const char *what)
{
	if (!strstr(msg_last(), what))
		fail_msg("\"%s\" does not say \"%s\"", msg_last(), what);
}

/* ---- mappings ---- */

/* Another user of the container takes room that the own count still has, and
 * gives room back that it has not. */
static void test_others(void **state)
{
	const struct fake_vfio_cfg cfg = {.entry_limit = 64};

	(void)state;
	up(&cfg);
	fake_vfio_others(60);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(map(i, 1), 0);
	assert_int_equal(OPS->mappings_left(rig.be), 60);
	/* The kernel says it once; from then on it is known. */
	assert_int_equal(map(4, 1), -ENOSPC);
	assert_int_equal(maps(), 5);
	assert_int_equal(OPS->mappings_left(rig.be), 0);
	assert_int_equal(map(4, 1), -ENOSPC);
	assert_int_equal(maps(), 5);
	fake_vfio_others(59);
	assert_int_equal(map(4, 1), 0);
	assert_int_equal(map(5, 1), -ENOSPC);
	assert_int_equal(maps(), 6);
	assert_int_equal(map_now(5, 1), -ENOSPC);
	says("echo 65 > ");
	assert_int_equal(budget().mappings_limit, 64);
	fake_vfio_others(0);
	assert_int_equal(budget().mappings_left, 59);
	assert_int_equal(budget().mappings, 5);
	rig_fini(&rig);
}

/* ---- locked memory ---- */

static void test_memlock(void **state)
{
	const struct fake_vfio_cfg cfg = {.memlock = 8 * PAGE};

	(void)state;
	up(&cfg);
	assert_int_equal(map(0, 3), 0);
	assert_int_equal(map(10, 5), 0);
	assert_int_equal(map(20, 1), -ENOMEM);
	assert_int_equal(maps(), 2);
	/* prlimit, while the program runs. */
	fake_vfio_set_memlock(9 * PAGE);
	assert_int_equal(map(20, 1), 0);
	assert_int_equal(map(21, 1), -ENOMEM);
	assert_int_equal(maps(), 3);
	/* What was unmapped can be locked again, no more and no less. */
	assert_int_equal(unmap(10, 5), 0);
	assert_int_equal(map(10, 6), -ENOMEM);
	assert_int_equal(map(10, 5), 0);
	assert_int_equal(maps(), 4);
	fake_vfio_set_memlock(0);
	assert_int_equal(map(21, 1000), 0);
	rig_fini(&rig);
}

/* The process locks memory by other means, too. */
static void test_locked_elsewhere(void **state)
{
	const struct fake_vfio_cfg cfg = {.memlock = 8 * PAGE};
	struct sluice_budget b;

	(void)state;
	up(&cfg);
	assert_int_equal(map(0, 2), 0);
	fake_vfio_lock(4 * PAGE);
	/* Not known yet: the kernel is asked, and refuses. */
	assert_int_equal(map(10, 3), -ENOMEM);
	assert_int_equal(maps(), 2);
	assert_int_equal(map(10, 3), -ENOMEM);
	assert_int_equal(maps(), 2);
	b = budget();
	assert_int_equal(b.pinned_bytes, 2 * PAGE);
	assert_int_equal(b.locked_bytes, 6 * PAGE);
	assert_int_equal(b.locked_limit, 8 * PAGE);
	assert_int_equal(b.refused, 1);
	fake_vfio_lock(3 * PAGE);
	assert_int_equal(map(10, 3), 0);
	rig_fini(&rig);
}

/* Memory of a device is pinned and not counted: it is never refused for want
 * of locked memory. Nor is what devices only read, of which some is not. */
static void test_not_counted(void **state)
{
	const struct fake_vfio_cfg cfg = {
	        .memlock = 2 * PAGE,
	        .device = {VA_BASE + 100 * PAGE, VA_BASE + 200 * PAGE - 1}};
	struct be_req *req;

	(void)state;
	up(&cfg);
	assert_int_equal(map(0, 2), 0);
	assert_int_equal(map(100, 50), 0);
	assert_int_equal(map(150, 50), 0);
	assert_int_equal(maps(), 3);
	assert_int_equal(map(2, 1), -ENOMEM);
	assert_int_equal(maps(), 3);
	req = rig_map(&rig, 0, 2, 1);
	req->prot = SLUICE_READ;
	assert_int_equal(rig_do(&rig, req), -ENOMEM);
	assert_int_equal(maps(), 4);
	assert_int_equal(unmap(100, 50), 0);
	assert_int_equal(map(2, 1), -ENOMEM);
	assert_int_equal(unmap(0, 2), 0);
	assert_int_equal(map(2, 2), 0);
	rig_fini(&rig);
}

/* Nothing is known: everything is the kernel's. */
static void test_unknown(void **state)
{
	const struct fake_vfio_cfg cfg = {.memlock = 2 * PAGE};

	(void)state;
	up(&cfg);
	fake_locked_error = -EACCES;
	assert_int_equal(map(0, 2), 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(map(2, 1), -ENOMEM);
	assert_int_equal(maps(), 5);
	assert_true(budget().locked_limit == UINT64_MAX);
	assert_int_equal(budget().refused, 0);
	assert_int_equal(unmap(0, 2), 0);
	rig_fini(&rig);
}

/* ---- in order, and alone ---- */

/* A refusal in the midst of a batch; an unmap ahead of a map makes room. */
static void test_alone(void **state)
{
	const struct fake_vfio_cfg cfg = {.memlock = 16 * PAGE};

	(void)state;
	up(&cfg);
	assert_int_equal(map(0, 8), 0);
	rig_hold(&rig); /* one page */
	rig_map(&rig, 1, 20, 2);
	rig_map(&rig, 2, 30, 16);
	rig_map(&rig, 3, 50, 5);
	rig_unmap(&rig, 4, 0, 8);
	rig_map(&rig, 5, 60, 8);
	rig_map(&rig, 6, 70, 1);
	rig_submit(&rig, 1, 6);
	rig_release(&rig);
	assert_int_equal(rig.res[1], 0);
	assert_int_equal(rig.res[2], -ENOMEM);
	assert_int_equal(rig.res[3], 0);
	assert_int_equal(rig.res[4], 0);
	assert_int_equal(rig.res[5], 0);
	assert_int_equal(rig.res[6], -ENOMEM);
	for (uint64_t i = 0; i < 100; i++)
		assert_int_equal(rig_mapped(i), (i >= 20 && i < 22) ||
		                                        (i >= 50 && i < 55) ||
		                                        (i >= 60 && i < 68));
	rig_fini(&rig);
}

/* The kernel's own refusal, of the nth of a batch. */
static void test_kernel_refuses_one(void **state)
{
	static const int err[] = {ENOSPC, ENOMEM, EFAULT};

	(void)state;
	for (uint32_t e = 0; e < 3; e++)
		for (uint32_t nth = 1; nth <= 8; nth++) {
			uint32_t bad = 0;

			up(NULL);
			rig_hold(&rig);
			for (uint32_t i = 0; i < 8; i++)
				rig_map(&rig, i, 2 * i, 1);
			rig_submit(&rig, 0, 8);
			/* The first is the one that is held. */
			fake_vfio_fail(VFIO_IOMMU_MAP_DMA, nth + 1, err[e]);
			rig_release(&rig);
			assert_true(fake_vfio_fired());
			for (uint32_t i = 0; i < 8; i++) {
				assert_int_equal(rig_mapped(2 * i),
				                 rig.res[i] == 0);
				if (rig.res[i])
					assert_int_equal(rig.res[i], -err[e]);
				bad += rig.res[i] != 0;
			}
			assert_int_equal(bad, 1);
			rig_fini(&rig);
		}
}

/* A full container costs one reading for all that was queued, not one each. */
static void test_one_reading(void **state)
{
	const struct fake_vfio_cfg cfg = {.entry_limit = 9,
	                                  .memlock = 9 * PAGE};
	uint32_t one, infos, reads, nr_maps;

	(void)state;
	up(&cfg);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(map(i, 1), 0);
	/* A reading asks for the size first. */
	infos = fake_vfio_calls(VFIO_IOMMU_GET_INFO);
	(void)budget();
	one = fake_vfio_calls(VFIO_IOMMU_GET_INFO) - infos;
	rig_hold(&rig); /* the ninth */
	for (uint32_t i = 0; i < 200; i++)
		rig_map(&rig, i, 100 + i, 1 + i % 2);
	rig_submit(&rig, 0, 200);
	infos = fake_vfio_calls(VFIO_IOMMU_GET_INFO);
	reads = ld_rlx(&fake_locked_reads);
	nr_maps = maps();
	rig_release(&rig);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(rig.res[i], -ENOSPC);
	assert_int_equal(maps(), nr_maps);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_GET_INFO), infos + one);
	assert_int_equal(ld_rlx(&fake_locked_reads), reads + 1);
	rig_fini(&rig);
}

/* The limit rises while a batch is under way. */
static void test_raised_meanwhile(void **state)
{
	const struct fake_vfio_cfg cfg = {.memlock = 10 * PAGE};

	(void)state;
	up(&cfg);
	rig_hold(&rig); /* one page */
	rig_map(&rig, 0, 0, 10);
	rig_map(&rig, 1, 20, 2);
	rig_map(&rig, 2, 30, 8);
	rig_map(&rig, 3, 40, 1);
	rig_submit(&rig, 0, 4);
	fake_vfio_gate_next();
	fake_vfio_gate_wait(); /* for the second: the first is refused */
	fake_vfio_set_memlock(11 * PAGE);
	rig_release(&rig);
	assert_int_equal(rig.res[0], -ENOMEM);
	assert_int_equal(rig.res[1], 0);
	assert_int_equal(rig.res[2], 0);
	assert_int_equal(rig.res[3], -ENOMEM);
	assert_int_equal(budget().refused, 2);
	rig_fini(&rig);
}

/* And what fits costs none. */
static void test_no_reading(void **state)
{
	const struct fake_vfio_cfg cfg = {.entry_limit = 64,
	                                  .memlock = 64 * PAGE};
	uint32_t infos, reads;

	(void)state;
	up(&cfg);
	infos = fake_vfio_calls(VFIO_IOMMU_GET_INFO);
	reads = ld_rlx(&fake_locked_reads);
	for (uint64_t round = 0; round < 10; round++) {
		for (uint64_t i = 0; i < 64; i++)
			assert_int_equal(map(i, 1), 0);
		assert_int_equal(unmap(0, 64), 0);
	}
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_GET_INFO), infos);
	assert_int_equal(ld_rlx(&fake_locked_reads), reads);
	/* Nor does what was unmapped after a refusal. */
	assert_int_equal(map(0, 63), 0);
	assert_int_equal(map(64, 2), -ENOMEM);
	assert_int_equal(ld_rlx(&fake_locked_reads), reads + 1);
	assert_int_equal(unmap(0, 63), 0);
	assert_int_equal(map(0, 64), 0);
	assert_int_equal(ld_rlx(&fake_locked_reads), reads + 1);
	rig_fini(&rig);
}

/* ---- control calls ---- */

static void test_messages(void **state)
{
	const struct fake_vfio_cfg cfg = {.entry_limit = 2,
	                                  .memlock = 16 * PAGE};
	struct fake_vfio_cfg none = {.entry_limit = 1, .no_avail = true};

	(void)state;
	up(&cfg);
	assert_int_equal(map_now(0, 10), 0);
	assert_int_equal(map_now(20, 7), -ENOMEM);
	says("28672 bytes wanted, 24576 left");
	says("4096 bytes missing");
	says("ulimit -l 68");
	assert_int_equal(map_now(20, 6), 0);
	assert_int_equal(map_now(30, 1), -ENOSPC);
	says("1 wanted, 0 left, 1 missing");
	says("echo 3 > "
	     "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	assert_int_equal(maps(), 2);
	/* The parameter is raised already. */
	fake_entries_are = 3;
	assert_int_equal(map_now(30, 1), -ENOSPC);
	says("dma_entry_limit is 3 by now");
	fake_entries_are = UINT64_MAX;
	assert_int_equal(OPS->unmap_now(rig.be, rig_iova(20), 6 * PAGE), 0);
	/* The kernel's word, where the numbers say otherwise. */
	fake_vfio_fail(VFIO_IOMMU_MAP_DMA, 1, ENOMEM);
	assert_int_equal(map_now(20, 1), -ENOMEM);
	says("cannot pin 4096 bytes");
	rig_fini(&rig);
	/* A kernel that does not tell its budget. */
	up(&none);
	assert_int_equal(map_now(0, 1), 0);
	assert_int_equal(map_now(1, 1), -ENOSPC);
	says("dma_entry_limit");
	assert_true(budget().mappings_left == UINT64_MAX);
	rig_fini(&rig);
}

/* ---- all of it, against a model of the kernel's rule ---- */

#define SLOTS 48

struct model {
	uint64_t pages[SLOTS]; /* mapped at page 16 * slot; 0: none */
	uint32_t nr, others, entries;
	uint64_t held, locked, memlock;
};

static void step_map(struct model *m, uint32_t slot)
{
	uint64_t pages = 1 + (uint64_t)rand() % 9;
	bool full = m->nr + m->others >= m->entries;
	bool heavy = m->held + m->locked + pages > m->memlock;
	int want = full ? -ENOSPC : heavy ? -ENOMEM : 0;

	assert_int_equal(map(16 * (uint64_t)slot, pages), want);
	if (want)
		return;
	m->pages[slot] = pages;
	m->nr++;
	m->held += pages;
}

static void step_limits(struct model *m)
{
	switch (rand() % 3) {
	case 0:
		m->others = (uint32_t)rand() % (m->entries - m->nr + 1);
		fake_vfio_others(m->others);
		break;
	case 1:
		m->memlock = 1 + (uint64_t)rand() % 100;
		fake_vfio_set_memlock(m->memlock * PAGE);
		break;
	default:
		m->locked = (uint64_t)rand() % 40;
		fake_vfio_lock(m->locked * PAGE);
		break;
	}
}

static void test_never_wrong(void **state)
{
	const struct fake_vfio_cfg cfg = {.entry_limit = 16,
	                                  .memlock = 60 * PAGE};
	struct model m = {.entries = 16, .memlock = 60};
	struct sluice_budget b;

	(void)state;
	srand(11);
	up(&cfg);
	for (int i = 0; i < 20000; i++) {
		uint32_t slot = (uint32_t)rand() % SLOTS;

		if (rand() % 10 == 0) {
			step_limits(&m);
		} else if (!m.pages[slot]) {
			step_map(&m, slot);
		} else if (rand() % 2) {
			assert_int_equal(
			        unmap(16 * (uint64_t)slot, m.pages[slot]), 0);
			m.held -= m.pages[slot];
			m.pages[slot] = 0;
			m.nr--;
		}
	}
	b = budget();
	assert_int_equal(b.mappings, m.nr);
	assert_int_equal(b.mappings_left, 16 - m.nr - m.others);
	assert_int_equal(b.pinned_bytes, m.held * PAGE);
	assert_int_equal(b.locked_bytes, (m.held + m.locked) * PAGE);
	assert_int_equal(b.locked_limit, m.memlock * PAGE);
	/* Most refusals were early. */
	assert_true(b.refused > 1000);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_others),
	        cmocka_unit_test(test_memlock),
	        cmocka_unit_test(test_locked_elsewhere),
	        cmocka_unit_test(test_not_counted),
	        cmocka_unit_test(test_unknown),
	        cmocka_unit_test(test_alone),
	        cmocka_unit_test(test_kernel_refuses_one),
	        cmocka_unit_test(test_one_reading),
	        cmocka_unit_test(test_no_reading),
	        cmocka_unit_test(test_raised_meanwhile),
	        cmocka_unit_test(test_messages),
	        cmocka_unit_test(test_never_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
