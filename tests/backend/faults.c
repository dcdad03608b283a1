/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every ioctl made to fail once, with every error, in a scenario that has them
 * all. Afterwards what the requests were told is exactly what the fake kernel
 * holds: no success that is none, no failure that left something behind.
 */
#include "tests/backend/rig.h"

#include <errno.h>
#include <string.h>
#include <linux/vfio.h>

static struct rig rig;

static const int errors[] = {ENOMEM, EINVAL, EEXIST, ENOSPC,
                             EFAULT, EINTR,  EPERM,  EBUSY};

#define PAGES 64u
#define NR_ERRORS NR_OF(errors)

/* The oracle: which VA each page of the test must reach, from results alone. */
static uint64_t want[PAGES];

static void believe(uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++) {
		const struct be_req *req = &rig.req[i];
		uint64_t page = (req->iova - IOVA_BASE) / PAGE;

		if (rig.res[i])
			continue;
		if (req->op == BE_UNMAP) {
			memset(want + page, 0, req->len / PAGE * sizeof(*want));
			continue;
		}
		for (uint32_t s = 0; s < req->nr_seg; s++)
			for (uint64_t o = 0; o < req->seg[s].len; o += PAGE)
				want[page++] = req->seg[s].va + o;
	}
}

static void compare(void)
{
	struct fake_vfio_mapping m[PAGES];
	uint32_t n = fake_vfio_mappings(m, PAGES);

	for (uint32_t i = 0; i < PAGES; i++) {
		uint64_t va = 0;

		fake_vfio_reach(rig_iova(i), &va, NULL);
		assert_int_equal(va, want[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		assert_in_range(m[i].iova, rig_iova(0), rig_iova(PAGES) - 1);
	assert_int_equal(rig.be->ops->mappings_left(rig.be), 65535 - n);
}

static uint32_t failures(uint32_t first, uint32_t nr)
{
	uint32_t bad = 0;

	for (uint32_t i = first; i < first + nr; i++)
		bad += rig.res[i] != 0;
	return bad;
}

static void scatter(struct be_req *req, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		req->seg[i] =
		        (struct be_seg){req->seg[0].va + 2 * i * PAGE, PAGE};
	req->nr_seg = nr;
}

/* Maps of every shape, then unmaps that can merge. The helper is not held: its
 * holder's own calls would take the faults. How many batches it makes of them
 * is therefore open, and must not matter. */
static uint32_t scenario(void)
{
	uint32_t bad, alone = 0;

	memset(want, 0, sizeof(want));
	for (uint32_t i = 0; i < 8; i++)
		rig_map(&rig, i, i, 1);
	scatter(rig_map(&rig, 8, 8, 5), 5);
	rig_map(&rig, 9, 16, 8);
	scatter(rig_map(&rig, 10, 24, 3), 3);
	rig_submit(&rig, 0, 11);
	rig_wait(&rig);
	believe(0, 11);
	bad = failures(0, 11);
	compare();

	for (uint32_t i = 0; i < 8; i++)
		rig_unmap(&rig, 11 + i, i, 1);
	rig_unmap(&rig, 19, 8, 5);
	rig_unmap(&rig, 20, 24, 3);
	rig_map(&rig, 21, 32, 1);
	rig_submit(&rig, 11, 11);
	rig_wait(&rig);
	believe(11, 11);
	/* A batch of one unmap has nobody to be told apart from. */
	for (uint32_t i = 0; i < 8; i++)
		alone += rig.res[11 + i] && !rig.res[i];
	assert_in_range(alone, 0, fake_vfio_fired());
	compare();
	return bad + failures(11, 11);
}

/* With one fault a request may fail, and its unmap finds nothing: two at most.
 * A fault in a merged unmap costs nobody anything; one whose batch was fast
 * enough to go alone fails by itself. */
static void fault_at(unsigned long request, uint32_t nth, int err)
{
	uint32_t bad;

	fake_vfio_fail(request, nth, err);
	bad = scenario();
	assert_in_range(bad, 0, fake_vfio_fired() ? 2 : 0);
}

static void test_each_call(void **state)
{
	static const unsigned long request[] = {VFIO_IOMMU_MAP_DMA,
	                                        VFIO_IOMMU_UNMAP_DMA};
	uint32_t total = 0;

	(void)state;
	for (uint32_t r = 0; r < NR_OF(request); r++) {
		for (uint32_t e = 0; e < NR_ERRORS; e++) {
			bool fired = true;

			for (uint32_t nth = 1; fired; nth++) {
				rig_init(&rig, NULL, true);
				fault_at(request[r], nth, errors[e]);
				fired = fake_vfio_fired();
				rig_fini(&rig);
				total += fired;
			}
		}
	}
	/* 18 maps, and at least one unmap, with each error. */
	assert_true(total >= 19 * NR_ERRORS);
}

/* The result is the errno of the fault, of that request and no other. */
static void test_own_errno(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_ERRORS; e++) {
		for (uint32_t nth = 1; nth <= 5; nth++) {
			rig_init(&rig, NULL, true);
			rig_map(&rig, 0, 0, 1);
			scatter(rig_map(&rig, 1, 1, 3), 3);
			rig_map(&rig, 2, 4, 1);
			fake_vfio_fail(VFIO_IOMMU_MAP_DMA, nth, errors[e]);
			rig_submit(&rig, 0, 3);
			rig_wait(&rig);
			for (uint32_t i = 0; i < 3; i++) {
				bool mine = i == (nth + 1) / 3;

				if (nth == 1)
					mine = i == 0;
				if (nth == 5)
					mine = i == 2;
				assert_int_equal(rig.res[i],
				                 mine ? -errors[e] : 0);
			}
			rig_fini(&rig);
		}
	}
}

static void map_three(void)
{
	rig_init(&rig, NULL, true);
	memset(want, 0, sizeof(want));
	for (uint32_t i = 0; i < 5; i++)
		rig_map(&rig, i, i, 1);
	rig_submit(&rig, 0, 5);
	rig_wait(&rig);
	believe(0, 5);
	compare();
}

/* Pages 1..3 in one batch, while the helper is held. */
static void unmap_three(void)
{
	rig_hold(&rig);
	for (uint32_t i = 0; i < 3; i++)
		rig_unmap(&rig, i, 1 + i, 1);
	rig_submit(&rig, 0, 3);
}

/* The merged call is refused: each alone is not. */
static void test_merged_refused(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_ERRORS; e++) {
		map_three();
		unmap_three();
		fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1, errors[e]);
		rig_release(&rig);
		assert_true(fake_vfio_fired());
		assert_int_equal(failures(0, 3), 0);
		believe(0, 3);
		compare();
		rig_fini(&rig);
	}
}

/* A single unmap that is refused leaves the mapping, and can be repeated. */
static void test_single_refused(void **state)
{
	(void)state;
	for (uint32_t e = 0; e < NR_ERRORS; e++) {
		map_three();
		fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1, errors[e]);
		assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 2, 1)),
		                 -errors[e]);
		compare();
		assert_int_equal(rig_do(&rig, &rig.req[0]), 0);
		believe(0, 1);
		compare();
		rig_fini(&rig);
	}
}

/* The merged call removes less than it covers and says so. */
static void test_short(void **state)
{
	(void)state;
	map_three();
	unmap_three();
	fake_vfio_short(1, false);
	rig_release(&rig);
	assert_true(fake_vfio_fired());
	assert_int_equal(failures(0, 3), 0);
	believe(0, 3);
	compare();
	rig_fini(&rig);
}

/* Bytes stay unaccounted for: nobody is told a success that cannot be proved,
 * neighbours live, and the range can be mapped again. */
static void unproved(void)
{
	rig_release(&rig);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(rig.res[i], -EIO);
		want[1 + i] = 0;
	}
	compare();
	rig_map(&rig, 0, 1, 3);
	assert_int_equal(rig_do(&rig, &rig.req[0]), 0);
	believe(0, 1);
	compare();
	rig_fini(&rig);
}

static void test_unaccounted(void **state)
{
	(void)state;
	map_three();
	unmap_three();
	fake_vfio_short(1, true);
	unproved();
	map_three();
	unmap_three();
	fake_vfio_steal(rig_iova(2));
	unproved();
	/* Alone. */
	map_three();
	fake_vfio_steal(rig_iova(2));
	assert_int_equal(rig_do(&rig, rig_unmap(&rig, 0, 2, 1)), -EIO);
	want[2] = 0;
	compare();
	rig_fini(&rig);
}

/* Attaching takes four calls; each failure leaves the group outside. */
static void test_attach(void **state)
{
	struct sluice_range r;

	(void)state;
	for (uint32_t e = 0; e < NR_ERRORS; e++) {
		for (uint32_t nth = 1; nth <= 4; nth++) {
			rig_init(&rig, NULL, false);
			fake_vfio_fail(0, nth, errors[e]);
			assert_int_equal(
			        rig.be->ops->attach(rig.be, &rig.group[0]),
			        -errors[e]);
			assert_true(fake_vfio_fired());
			assert_true(*msg_last());
			assert_int_equal(rig.be->ops->usable(rig.be, &r, 1),
			                 -ENODEV);
			assert_int_equal(
			        rig.be->ops->attach(rig.be, &rig.group[0]), 0);
			/* A second group that fails does not disturb. */
			assert_int_equal(rig_do(&rig, rig_map(&rig, 0, 0, 1)),
			                 0);
			fake_vfio_fail(0, nth < 4 ? nth : 1, errors[e]);
			assert_int_equal(
			        rig.be->ops->attach(rig.be, &rig.group[1]),
			        -errors[e]);
			assert_true(rig_mapped(0));
			assert_int_equal(
			        rig.be->ops->attach(rig.be, &rig.group[1]), 0);
			rig_fini(&rig);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_each_call),
	        cmocka_unit_test(test_own_errno),
	        cmocka_unit_test(test_merged_refused),
	        cmocka_unit_test(test_single_refused),
	        cmocka_unit_test(test_short),
	        cmocka_unit_test(test_unaccounted),
	        cmocka_unit_test(test_attach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
