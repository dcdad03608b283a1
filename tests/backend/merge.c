/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the type1 backend merges and what it must not: kernel calls are counted
 * in the fake VFIO while its helper is held.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <string.h>
#include <linux/vfio.h>

static struct rig rig;

static uint32_t maps(void)
{
	return fake_vfio_calls(VFIO_IOMMU_MAP_DMA);
}

static uint32_t unmaps(void)
{
	return fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA);
}

static void test_sg_contiguous(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	/* 64 pieces that continue each other arrive as one segment. */
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 64)), 0);
	assert_int_equal(maps(), 1);
	assert_int_equal(rig_nr(), 1);
	assert_true(rig_mapped(63));
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 0, 64)), 0);
	assert_int_equal(unmaps(), 1);
	rig_fini(&rig);
}

static void test_sg_scattered(void **state)
{
	struct be_req *req;
	uint64_t va;

	(void)state;
	rig_init(&rig, NULL, true);
	req = rig_map(&rig, 0, 0, 64);
	req->nr_seg = 64;
	for (uint32_t i = 0; i < 64; i++)
		req->seg[i] = (struct be_seg){VA_BASE + 2 * i * PAGE, PAGE};
	assert_int_equal(rig_do(&rig, req), 0);
	assert_int_equal(maps(), 64);
	for (uint32_t i = 0; i < 64; i++) {
		assert_true(fake_vfio_reach(rig_iova(i), &va, NULL));
		assert_int_equal(va, VA_BASE + 2 * i * PAGE);
	}
	/* They die together: one call for all. */
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 0, 64)), 0);
	assert_int_equal(unmaps(), 1);
	assert_int_equal(rig_nr(), 0);
	rig_fini(&rig);
}

static void test_maps_never_joined(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	rig_hold(&rig);
	for (uint32_t i = 0; i < 64; i++)
		rig_map(&rig, i, i, 1);
	rig_submit(&rig, 0, 64);
	rig_release(&rig);
	assert_int_equal(rig_nr(), 64);
	/* So each can be revoked alone, and no neighbour goes with it. */
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 31, 1)), 0);
	assert_false(rig_mapped(31));
	assert_true(rig_mapped(30));
	assert_true(rig_mapped(32));
	assert_int_equal(rig_nr(), 63);
	rig_fini(&rig);
}

static void map_pages(uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		rig_map(&rig, i, i, 1);
	rig_submit(&rig, 0, nr);
	rig_wait(&rig);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(rig.res[i], 0);
}

static void test_unmaps_joined(void **state)
{
	uint32_t before;

	(void)state;
	rig_init(&rig, NULL, true);
	map_pages(66);
	rig_hold(&rig);
	/* Pages 1..64 in an order that is not the addresses'. */
	for (uint32_t i = 0; i < 64; i++)
		rig_unmap(&rig, i, 1 + i * 37 % 64, 1);
	rig_submit(&rig, 0, 64);
	before = unmaps();
	rig_release(&rig);
	/* One, and one more to take the holder's mapping away. */
	assert_int_equal(unmaps() - before, 2);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(rig.res[i], 0);
	assert_int_equal(rig_nr(), 2);
	assert_true(rig_mapped(0));
	assert_true(rig_mapped(65));
	rig_fini(&rig);
}

static void test_live_neighbour_between(void **state)
{
	uint32_t before;

	(void)state;
	rig_init(&rig, NULL, true);
	map_pages(65);
	rig_hold(&rig);
	for (uint32_t i = 0, n = 0; i < 65; i++)
		if (i != 32)
			rig_unmap(&rig, n++, i, 1);
	rig_submit(&rig, 0, 64);
	before = unmaps();
	rig_release(&rig);
	assert_int_equal(unmaps() - before, 3);
	assert_int_equal(rig_nr(), 1);
	assert_true(rig_mapped(32));
	rig_fini(&rig);
}

/* A request that names no whole mapping is refused and does not spoil the
 * neighbours that it would have been merged with. */
static void test_bad_among_good(void **state)
{
	static const int want[] = {0, -ENOENT, 0, -EINVAL, 0, -ENOENT, 0};
	uint32_t before;

	(void)state;
	rig_init(&rig, NULL, true);
	rig_map(&rig, 0, 0, 1);
	rig_map(&rig, 1, 2, 1);
	rig_map(&rig, 2, 3, 4);
	rig_map(&rig, 3, 8, 1);
	rig_submit(&rig, 0, 4);
	rig_wait(&rig);
	assert_int_equal(rig_nr(), 4);
	rig_hold(&rig);
	rig_unmap(&rig, 0, 0, 1);
	rig_unmap(&rig, 1, 1, 1); /* a hole */
	rig_unmap(&rig, 2, 2, 1);
	rig_unmap(&rig, 3, 3, 2); /* half of a mapping */
	rig_unmap(&rig, 4, 8, 1);
	rig_unmap(&rig, 5, 5, 2); /* its other half */
	rig_map(&rig, 6, 9, 1);
	rig_submit(&rig, 0, 7);
	before = unmaps();
	rig_release(&rig);
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(rig.res[i], want[i]);
	assert_int_equal(unmaps() - before, 4);
	assert_int_equal(rig_nr(), 2);
	for (uint32_t i = 3; i < 7; i++)
		assert_true(rig_mapped(i));
	assert_true(rig_mapped(9));
	/* Tail overlap: the last page of the range belongs to another. */
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 1, 3)), -EEXIST);
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 3, 5)), -EINVAL);
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 3, 0)), -EINVAL);
	assert_int_equal(rig_nr(), 2);
	rig_fini(&rig);
}

/* The same mapping unmapped twice in one batch: one success. */
static void test_twice(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	map_pages(3);
	rig_hold(&rig);
	rig_unmap(&rig, 0, 0, 1);
	rig_unmap(&rig, 1, 1, 1);
	rig_unmap(&rig, 2, 1, 1);
	rig_submit(&rig, 0, 3);
	rig_release(&rig);
	assert_int_equal(rig.res[0], 0);
	assert_int_equal(rig.res[1] + rig.res[2], -ENOENT);
	assert_int_equal(rig_nr(), 1);
	assert_true(rig_mapped(2));
	rig_fini(&rig);
}

/* Submitting never waits for the helper, which stands inside an ioctl, and
 * takes what fits. */
static void test_never_blocks(void **state)
{
	static struct be_req dummy;
	static struct be_req *many[16384];
	struct fabric_port *port;
	struct fabric_cqe cqe[64];
	uint32_t taken, left;

	(void)state;
	rig_init(&rig, NULL, true);
	assert_int_equal(fabric_port_create(1u << 15, FABRIC_PLAIN, &port), 0);
	dummy = *rig_unmap(&rig, 0, 0x1000, 1);
	dummy.port = port;
	for (uint32_t i = 0; i < 16384; i++)
		many[i] = &dummy;
	rig_hold(&rig);
	taken = rig.be->ops->submit(rig.be, many, 16384);
	assert_int_equal(taken, 8192);
	assert_int_equal(rig.be->ops->submit(rig.be, many, 1), 0);
	fake_vfio_gate_open();
	for (left = taken; left;)
		left -= fabric_reap(port, cqe, 64);
	rig_release(&rig);
	fabric_port_destroy(port);
	rig_fini(&rig);
}

static void test_prot(void **state)
{
	static const uint32_t flag[] = {
	        [SLUICE_READ] = VFIO_DMA_MAP_FLAG_READ,
	        [SLUICE_WRITE] = VFIO_DMA_MAP_FLAG_WRITE,
	        [SLUICE_RW] = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	};
	uint32_t got;

	(void)state;
	rig_init(&rig, NULL, true);
	for (uint32_t p = SLUICE_READ; p <= SLUICE_RW; p++) {
		rig_map(&rig, 0, p, 1)->prot = p;
		assert_int_equal(rig_do(&rig, &rig.req[0]), 0);
		assert_true(fake_vfio_reach(rig_iova(p), NULL, &got));
		assert_int_equal(got, flag[p]);
	}
	rig_map(&rig, 0, 9, 1)->prot = 0;
	assert_int_equal(rig_do(&rig, &rig.req[0]), -EINVAL);
	rig_map(&rig, 0, 9, 1)->nr_seg = 0;
	assert_int_equal(rig_do(&rig, &rig.req[0]), -EINVAL);
	assert_int_equal(rig_nr(), 3);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_sg_contiguous),
	        cmocka_unit_test(test_sg_scattered),
	        cmocka_unit_test(test_maps_never_joined),
	        cmocka_unit_test(test_unmaps_joined),
	        cmocka_unit_test(test_live_neighbour_between),
	        cmocka_unit_test(test_bad_among_good),
	        cmocka_unit_test(test_twice),
	        cmocka_unit_test(test_never_blocks),
	        cmocka_unit_test(test_prot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
