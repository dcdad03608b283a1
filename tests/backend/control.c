/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The type1 backend's control calls: containers that cannot be had, groups in
 * and out, the budget of mappings, what the messages say.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <linux/vfio.h>

static struct rig rig;

#define OPS (rig.be->ops)

static void says(const char *what)
{
	if (!strstr(msg_last(), what))
		fail_msg("\"%s\" does not say \"%s\"", msg_last(), what);
}

/* ---- no container ---- */

static int open_error;

static int open_fails(const char *path, int flags)
{
	(void)path;
	(void)flags;
	return open_error;
}

static void test_no_container(void **state)
{
	struct sys_table table = sys_kernel;
	struct backend *be = NULL;

	(void)state;
	table.open = open_fails;
	sys = &table;
	open_error = -ENOENT;
	assert_int_equal(be_type1_create(NULL, NULL, &be), -ENOENT);
	says("modprobe");
	open_error = -EACCES;
	assert_int_equal(be_type1_create(NULL, NULL, &be), -EACCES);
	says("permission");
	open_error = -EMFILE;
	assert_int_equal(be_type1_create(NULL, NULL, &be), -EMFILE);
	says("EMFILE");
	assert_null(be);
	sys = &sys_kernel;
}

static void test_wrong_kernel(void **state)
{
	struct fake_vfio_cfg cfg = {.api_version = 1};
	struct backend *be = NULL;

	(void)state;
	fake_vfio_reset(&cfg);
	assert_int_equal(be_type1_create(NULL, NULL, &be), -ENODEV);
	says("version 1");
	cfg = (struct fake_vfio_cfg){.no_type1v2 = true};
	fake_vfio_reset(&cfg);
	assert_int_equal(be_type1_create(NULL, NULL, &be), -ENODEV);
	says("vfio_iommu_type1");
	assert_null(be);
	assert_int_equal(fake_vfio_open_fds(), 0);
}

/* ---- groups ---- */

static void test_before_attach(void **state)
{
	struct sluice_range r;

	(void)state;
	rig_init(&rig, NULL, false);
	assert_int_equal(OPS->usable(rig.be, &r, 1), -ENODEV);
	assert_int_equal(
	        OPS->map_now(rig.be, IOVA_BASE, VA_BASE, PAGE, SLUICE_RW),
	        -ENODEV);
	says("attach");
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 1)), -ENODEV);
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 0, 1)), -ENOENT);
	assert_int_equal(OPS->detach(rig.be, &rig.group[0], false), -ENOENT);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 0);
	rig_fini(&rig);
}

static void test_usable(void **state)
{
	struct sluice_range r[3] = {{1, 1}, {2, 2}, {3, 3}};

	(void)state;
	rig_init(&rig, NULL, true);
	assert_int_equal(OPS->usable(rig.be, r, 1), 2);
	assert_int_equal(r[1].first, 2);
	assert_int_equal(OPS->usable(rig.be, r, 3), 2);
	assert_int_equal(r[0].first, 0);
	assert_int_equal(r[0].last, 0xfedfffff);
	assert_int_equal(r[1].first, 0xfef00000);
	assert_int_equal(r[2].first, 3);
	rig_fini(&rig);
}

static void test_share(void **state)
{
	struct fake_vfio_cfg cfg = {.not_compatible = 1u << 2};

	(void)state;
	rig_init(&rig, &cfg, true);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 4)), 0);
	assert_int_equal(OPS->attach(rig.be, &rig.group[1]), 0);
	assert_int_equal(fake_vfio_calls(VFIO_SET_IOMMU), 1);
	/* One map serves both. */
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 1);
	assert_int_equal(OPS->attach(rig.be, &rig.group[2]), -EINVAL);
	says("not compatible");
	assert_int_equal(OPS->detach(rig.be, &rig.group[2], false), -ENOENT);
	assert_true(rig_mapped(3));
	/* The first may go while the second stays. */
	assert_int_equal(OPS->detach(rig.be, &rig.group[0], false), 0);
	assert_true(rig_mapped(3));
	assert_int_equal(OPS->detach(rig.be, &rig.group[1], false), -EBUSY);
	says("1 mappings");
	assert_true(rig_mapped(3));
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 0, 4)), 0);
	fake_vfio_hold_device(rig.group[1].fd, true);
	assert_int_equal(OPS->detach(rig.be, &rig.group[1], false), -EBUSY);
	says("descriptors");
	fake_vfio_hold_device(rig.group[1].fd, false);
	assert_int_equal(OPS->detach(rig.be, &rig.group[1], false), 0);
	/* An empty container takes even the odd one. */
	assert_int_equal(OPS->attach(rig.be, &rig.group[2]), 0);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 4)), 0);
	rig_fini(&rig);
}

/* ---- budget ---- */

static void test_budget(void **state)
{
	struct fake_vfio_cfg cfg = {.entry_limit = 8};
	struct be_req *req;
	uint32_t before;

	(void)state;
	rig_init(&rig, &cfg, true);
	assert_int_equal(OPS->mappings_left(rig.be), 8);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(rig_do(&rig, rig_map(&rig, 0, i, 1)), 0);
	assert_int_equal(OPS->mappings_left(rig.be), 2);
	before = fake_vfio_calls(VFIO_IOMMU_MAP_DMA);
	/* Three pieces do not fit into two: refused without a call. */
	req = rig_map(&rig, 0, 10, 3);
	req->nr_seg = 3;
	for (uint32_t i = 0; i < 3; i++)
		req->seg[i] = (struct be_seg){VA_BASE + 2 * i * PAGE, PAGE};
	assert_int_equal(rig_do(&rig, req), -ENOSPC);
	assert_int_equal(rig_nr(), 6);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 6, 1)), 0);
	assert_int_equal(
	        OPS->map_now(rig.be, rig_iova(7), VA_BASE, PAGE, SLUICE_RW), 0);
	assert_int_equal(
	        OPS->map_now(rig.be, rig_iova(8), VA_BASE, PAGE, SLUICE_RW),
	        -ENOSPC);
	says("dma_entry_limit");
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), before + 2);
	/* An unmap over several returns them all. */
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 1, 7)), 0);
	assert_int_equal(OPS->mappings_left(rig.be), 7);
	/* In one batch unmaps come first, so a full container can turn over. */
	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(rig_do(&rig, rig_map(&rig, 0, i, 1)), 0);
	rig_unmap(&rig, RIG_REQS - 2, 7, 1);
	assert_int_equal(rig_do(&rig, &rig.req[RIG_REQS - 2]), 0);
	rig_hold(&rig);
	rig_map(&rig, 0, 20, 1);
	rig_unmap(&rig, 1, 0, 1);
	rig_submit(&rig, 0, 2);
	rig_release(&rig);
	assert_int_equal(rig.res[0], 0);
	assert_int_equal(rig.res[1], 0);
	rig_fini(&rig);
}

/* Kernels before 5.10 tell no budget; they still refuse. */
static void test_no_budget(void **state)
{
	struct fake_vfio_cfg cfg = {.entry_limit = 2, .no_avail = true};
	struct be_counters c;

	(void)state;
	rig_init(&rig, &cfg, true);
	assert_true(OPS->mappings_left(rig.be) == UINT64_MAX);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 1)), 0);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 1, 1)), 0);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 2, 1)), -ENOSPC);
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 0, 1)), 0);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 2, 1)), 0);
	assert_true(OPS->mappings_left(rig.be) == UINT64_MAX);
	OPS->counters(rig.be, &c);
	assert_int_equal(c.kernel_maps, 4);
	assert_int_equal(c.kernel_unmaps, 1);
	assert_int_equal(c.kernel_errors, 1);
	rig_fini(&rig);
}

static void test_memlock(void **state)
{
	struct fake_vfio_cfg cfg = {.memlock = 4 * PAGE};
	struct be_req *req;
	char bytes[32];

	(void)state;
	rig_init(&rig, &cfg, true);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 2)), 0);
	/* The third piece is one too many: the first two go again. */
	req = rig_map(&rig, 0, 10, 3);
	req->nr_seg = 3;
	for (uint32_t i = 0; i < 3; i++)
		req->seg[i] = (struct be_seg){VA_BASE + 2 * i * PAGE, PAGE};
	assert_int_equal(rig_do(&rig, req), -ENOMEM);
	assert_int_equal(rig_nr(), 1);
	assert_int_equal(OPS->mappings_left(rig.be), 65534);
	assert_int_equal(OPS->map_now(rig.be, rig_iova(20), VA_BASE, 3 * PAGE,
	                              SLUICE_RW),
	                 -ENOMEM);
	says("ulimit -l");
	snprintf(bytes, sizeof(bytes), " %u bytes", 3 * PAGE);
	says(bytes);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 30, 2)), 0);
	rig_fini(&rig);
}

static void test_now(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	assert_int_equal(OPS->map_now(rig.be, rig_iova(0), VA_BASE, 512 * PAGE,
	                              SLUICE_READ),
	                 0);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 1);
	assert_int_equal(
	        OPS->map_now(rig.be, rig_iova(511), VA_BASE, PAGE, SLUICE_READ),
	        -EEXIST);
	says("mapped already");
	assert_int_equal(
	        OPS->map_now(rig.be, 0xfee00000, VA_BASE, PAGE, SLUICE_READ),
	        -EINVAL);
	says("aperture");
	assert_int_equal(OPS->unmap_now(rig.be, rig_iova(0), PAGE), -EINVAL);
	assert_int_equal(OPS->unmap_now(rig.be, rig_iova(1), 511 * PAGE),
	                 -ENOENT);
	assert_int_equal(OPS->unmap_now(rig.be, rig_iova(0), 0), -EINVAL);
	assert_int_equal(OPS->unmap_now(rig.be, UINT64_MAX - 4095, 2 * PAGE),
	                 -EINVAL);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 0);
	assert_int_equal(rig_nr(), 1);
	assert_int_equal(OPS->unmap_now(rig.be, rig_iova(0), 512 * PAGE), 0);
	assert_int_equal(rig_nr(), 0);
	rig_fini(&rig);
}

/* What was submitted before the end is still done, and answered. */
static void test_destroy_drains(void **state)
{
	struct fabric_port *port;
	struct fabric_cqe cqe[64];
	struct backend *be;

	(void)state;
	rig_init(&rig, NULL, true);
	for (uint32_t round = 0; round < 20; round++) {
		uint32_t n = 0, got;

		port = rig.port;
		be = rig.be;
		for (uint32_t i = 0; i < 64; i++)
			rig_map(&rig, i, i, 1);
		rig_submit(&rig, 0, 64);
		be->ops->destroy(be);
		while ((got = fabric_reap(port, cqe, 64)))
			for (uint32_t i = 0; i < got; i++, n++)
				assert_int_equal(cqe[i].res, 0);
		assert_int_equal(n, 64);
		fabric_port_destroy(port);
		for (uint32_t i = 0; i < 4; i++)
			fake_vfio_close(rig.group[i].fd);
		assert_int_equal(fake_vfio_open_fds(), 0);
		rig_init(&rig, NULL, true);
	}
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_no_container),
	        cmocka_unit_test(test_wrong_kernel),
	        cmocka_unit_test(test_before_attach),
	        cmocka_unit_test(test_usable),
	        cmocka_unit_test(test_share),
	        cmocka_unit_test(test_budget),
	        cmocka_unit_test(test_no_budget),
	        cmocka_unit_test(test_memlock),
	        cmocka_unit_test(test_now),
	        cmocka_unit_test(test_destroy_drains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
