/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One mapping that the kernel refuses to make or to take away, at each place of
 * a batch and with each error: its request fails with that error, all others
 * are served, and the fake kernel holds exactly what they were told.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <linux/vfio.h>

#define PAGES 12u
#define PIECES 5u

static struct rig rig;

static const int errors[] = {ENOMEM, EINVAL, EEXIST, ENOSPC, EFAULT,
                             EINTR,  EPERM,  EBUSY,  EAGAIN, EIO};

static void submit_pages(bool unmap)
{
	for (uint32_t i = 0; i < PAGES; i++) {
		if (unmap)
			rig_unmap(&rig, i, i, 1);
		else
			rig_map(&rig, i, i, 1);
	}
	rig_submit(&rig, 0, PAGES);
}

static void expect(uint32_t culprit, int err, bool mapped)
{
	for (uint32_t i = 0; i < PAGES; i++) {
		assert_int_equal(rig.res[i], i == culprit ? -err : 0);
		assert_int_equal(rig_mapped(i), (i == culprit) != mapped);
	}
	assert_int_equal(rig.be->ops->mappings_left(rig.be), 65535 - rig_nr());
}

static void map_refused(uint32_t at, int err)
{
	rig_init(&rig, NULL, true);
	fake_vfio_refuse(VFIO_IOMMU_MAP_DMA, rig_iova(at), err, false);
	rig_hold(&rig);
	submit_pages(false);
	rig_release(&rig);
	expect(at, err, true);
	/* Nothing is left of it. */
	fake_vfio_refuse(0, 0, 0, false);
	assert_int_equal(rig_do(&rig, rig_map(&rig, 0, at, 1)), 0);
	assert_int_equal(rig_nr(), PAGES);
	rig_fini(&rig);
}

static void test_map(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_OF(errors); e++)
		for (uint32_t at = 0; at < PAGES; at++)
			map_refused(at, errors[e]);
}

/* The merged call that the culprit is in is refused whole, or takes away all
 * but it and says so. */
static void unmap_refused(uint32_t at, int err, bool partly)
{
	rig_init(&rig, NULL, true);
	submit_pages(false);
	rig_wait(&rig);
	fake_vfio_refuse(VFIO_IOMMU_UNMAP_DMA, rig_iova(at), err, partly);
	rig_hold(&rig);
	submit_pages(true);
	rig_release(&rig);
	expect(at, err, false);
	fake_vfio_refuse(0, 0, 0, false);
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, at, 1)), 0);
	assert_int_equal(rig_nr(), 0);
	rig_fini(&rig);
}

static void test_unmap(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_OF(errors); e++) {
		for (uint32_t at = 0; at < PAGES; at++) {
			unmap_refused(at, errors[e], false);
			unmap_refused(at, errors[e], true);
		}
	}
}

/* A scatter list between two single maps, and one of its pieces is refused. */
static void piece_refused(uint32_t at, int err)
{
	struct be_req *req;

	rig_init(&rig, NULL, true);
	fake_vfio_refuse(VFIO_IOMMU_MAP_DMA, rig_iova(1 + at), err, false);
	rig_hold(&rig);
	rig_map(&rig, 0, 0, 1);
	req = rig_map(&rig, 1, 1, PIECES);
	req->nr_seg = PIECES;
	for (uint32_t i = 0; i < PIECES; i++)
		req->seg[i] = (struct be_seg){VA_BASE + 2 * i * PAGE, PAGE};
	rig_map(&rig, 2, 1 + PIECES, 1);
	rig_submit(&rig, 0, 3);
	rig_release(&rig);
	assert_int_equal(rig.res[0], 0);
	assert_int_equal(rig.res[1], -err);
	assert_int_equal(rig.res[2], 0);
	assert_int_equal(rig_nr(), 2);
	assert_true(rig_mapped(0));
	assert_true(rig_mapped(1 + PIECES));
	rig_fini(&rig);
}

static void test_piece(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_OF(errors); e++)
		for (uint32_t at = 0; at < PIECES; at++)
			piece_refused(at, errors[e]);
}

/* Both at once: a batch of maps and unmaps with a culprit of either kind. */
static void test_both(void **state)
{
	(void)state;
	rig_init(&rig, NULL, true);
	submit_pages(false);
	rig_wait(&rig);
	rig_hold(&rig);
	for (uint32_t i = 0; i < PAGES; i += 2) {
		rig_unmap(&rig, i, i, 1);
		rig_map(&rig, i + 1, PAGES + i, 1);
	}
	/* This one is there already. */
	rig_map(&rig, 3, 5, 1);
	fake_vfio_refuse(VFIO_IOMMU_UNMAP_DMA, rig_iova(6), EBUSY, false);
	rig_submit(&rig, 0, PAGES);
	rig_release(&rig);
	for (uint32_t i = 0; i < PAGES; i++)
		assert_int_equal(rig.res[i], i == 3   ? -EEXIST
		                             : i == 6 ? -EBUSY
		                                      : 0);
	for (uint32_t i = 0; i < PAGES; i++)
		assert_int_equal(rig_mapped(i), i % 2 || i == 6);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_map),
	        cmocka_unit_test(test_unmap),
	        cmocka_unit_test(test_piece),
	        cmocka_unit_test(test_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
