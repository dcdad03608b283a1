/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine on the type1 backend, with a VFIO that exists only in this
 * process: what reaches the kernel, when translations see it, and what a
 * refusal of the kernel leaves behind.
 */
#include "tests/engine/krig.h"

static void round_trip(struct krig *k)
{
	struct sluice_completion c;
	struct sluice_ticket t;
	sluice_iova_t iova;
	uint64_t va;

	map_and_wait(k, VA, 3 * PAGE, &iova);
	assert_maps(&k->r, iova + PAGE, VA + PAGE);
	assert_true(fake_vfio_reach(iova + PAGE, &va, NULL));
	assert_int_equal(va, VA + PAGE);
	assert_int_equal(sluice_unmap(k->r.view, iova, 3 * PAGE, 5, &t), 1);
	assert_int_equal(xlate(&k->r, iova, 1), -EFAULT);
	/* The mirror outlives the visible mapping. */
	assert_true(fake_vfio_reach(iova, &va, NULL));
	assert_false(sluice_ticket_passed(k->r.view, t));
	wait_for(k, &c, 1);
	assert_int_equal(c.op, SLUICE_OP_UNMAP);
	assert_int_equal(c.cookie, 5);
	assert_int_equal(c.result, 0);
	assert_true(sluice_ticket_passed(k->r.view, t));
	assert_false(fake_vfio_reach(iova, &va, NULL));
}

static void kernel_sees_what_lanes_map(void **state)
{
	struct krig k;

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		krig_up(&k, NULL, NULL, plain);
		round_trip(&k);
		krig_down(&k);
	}
}

static void nothing_translates_before_the_kernel_has_it(void **state)
{
	struct sluice_completion c;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	fake_vfio_gate();
	assert_int_equal(map(&k.r, VA, PAGE, &iova), 1);
	fake_vfio_gate_wait();
	for (int i = 0; i < 100; i++)
		assert_int_equal(sluice_poll(k.r.lane, &c, 1), 0);
	assert_int_equal(xlate(&k.r, iova, 1), -EFAULT);
	fake_vfio_gate_open();
	wait_for(&k, &c, 1);
	assert_maps(&k.r, iova, VA);
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	krig_down(&k);
}

static void a_group_comes_first(void **state)
{
	struct krig k;

	(void)state;
	krig_open(&k, NULL, NULL, 0);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view),
	                 -ENODEV);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[0]), 0);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[0]), -EBUSY);
	assert_int_equal(sluice_domain_detach(k.r.domain, &k.group[1]),
	                 -ENOENT);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	assert_int_equal(sluice_domain_destroy(k.r.domain), -EBUSY);
	round_trip(&k);
	assert_int_equal(sluice_domain_detach(k.r.domain, &k.group[0]), 0);
	assert_null(k.group[0].owner);
	krig_down(&k);
}

static void two_groups_one_map(void **state)
{
	struct sluice_domain_info info;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.nr_groups, 2);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 1);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	krig_down(&k);
}

/* A group that can use less: what it cannot use leaves the allocator, although
 * it borders on a hole that was never usable. */
static void a_narrower_group(void **state)
{
	static const struct fake_vfio_range wide[] = {{0, 0xfedfffff},
	                                              {0xfef00000, UINT64_MAX}};
	static const struct fake_vfio_range narrow[] = {
	        {0, 0xfdffffff}, {0xfef00000, (UINT64_C(1) << 40) - 1}};
	struct sluice_domain_info info;
	struct fake_vfio_cfg vfio = {.nr_groups = 2};
	struct krig k;

	(void)state;
	memcpy(vfio.range, wide, sizeof(wide));
	krig_up(&k, &vfio, NULL, 0);
	assert_false(iova_space_is_reserved(k.r.domain->iova, 0xfe000000,
	                                    0xfedfffff));
	fake_vfio_set_ranges(narrow, 2);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	assert_true(iova_space_is_reserved(k.r.domain->iova, 0xfe000000,
	                                   0xfedfffff));
	assert_false(iova_space_is_reserved(k.r.domain->iova, 0xfdfff000,
	                                    0xfdffffff));
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.last, (UINT64_C(1) << 40) - 1);
	round_trip(&k);
	krig_down(&k);
}

/* An open device keeps its group, and the domain with all its groups. */
static void open_device_keeps_the_domain(void **state)
{
	struct sluice_domain_info info;
	sluice_iova_t iova;
	uint64_t va;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	map_and_wait(&k, VA, PAGE, &iova);
	assert_int_equal(sluice_view_close(k.r.view), 0);
	fake_vfio_hold_device(k.group[1].fd, true);
	assert_int_equal(sluice_domain_destroy(k.r.domain), -EBUSY);
	assert_non_null(strstr(sluice_last_error(), "descriptors"));
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.nr_groups, 2);
	assert_true(fake_vfio_reach(iova, &va, NULL));
	fake_vfio_hold_device(k.group[1].fd, false);
	k.r.view = NULL;
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	krig_down(&k);
}

static void kernel_refuses_a_map(void **state)
{
	struct sluice_completion c;
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	fake_vfio_fail(VFIO_IOMMU_MAP_DMA, 1, ENOMEM);
	assert_int_equal(map(&k.r, VA, PAGE, &iova), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, -ENOMEM);
	assert_non_null(strstr(sluice_completion_text(&c), "RLIMIT_MEMLOCK"));
	assert_int_equal(xlate(&k.r, iova, 1), -EFAULT);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	/* Its IOVA is free again, and the next request is its own. */
	map_and_wait(&k, VA, PAGE, &again);
	assert_int_equal(again, iova);
	assert_int_equal(unmap(&k.r, again, PAGE), 1);
	krig_down(&k);
}

/* What the kernel did not give back is still in a device's reach: the result
 * says so, and the IOVA is never handed out again. */
static void kernel_refuses_an_unmap(void **state)
{
	struct sluice_completion c;
	sluice_iova_t iova, other;
	struct sluice_ticket t, later;
	struct sluice_exposure e;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1, EIO);
	assert_int_equal(sluice_unmap(k.r.view, iova, PAGE, 0, &t), 1);
	wait_for(&k, &c, 1);
	assert_true(c.result < 0);
	assert_non_null(strstr(sluice_completion_text(&c), "keep it"));
	assert_false(sluice_ticket_passed(k.r.view, t));
	for (int i = 0; i < 8; i++) {
		map_and_wait(&k, VA, PAGE, &other);
		assert_int_not_equal(other, iova);
		assert_int_equal(sluice_unmap(k.r.view, other, PAGE, 0, &later),
		                 1);
		wait_for(&k, &c, 1);
		assert_true(sluice_ticket_passed(k.r.view, later));
		assert_false(sluice_ticket_passed(k.r.view, t));
	}
	/* No sample: it has not stopped being exposed. */
	sluice_domain_get_exposure(k.r.domain, &e);
	assert_int_equal(e.samples, 8);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	/* The last group does not go while it is there; the domain may. */
	assert_int_equal(sluice_domain_detach(k.r.domain, &k.group[0]), -EBUSY);
	krig_down(&k);
}

static void dies_only_whole(void **state)
{
	struct iovec iov[3] = {{(void *)VA, PAGE},
	                       {(void *)(VA + PAGE), PAGE},
	                       {(void *)(VA + 16 * PAGE), PAGE}};
	struct sluice_map_req req = {.prot = RW};
	struct sluice_completion c[2];
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_map_sg(k.r.view, &req, iov, 3, &iova), 1);
	wait_for(&k, c, 1);
	/* Neighbours in VA are one call. */
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 2);
	assert_int_equal(unmap(&k.r, iova, PAGE), -ERANGE);
	assert_int_equal(unmap(&k.r, iova + PAGE, PAGE), -ERANGE);
	assert_int_equal(unmap(&k.r, iova + PAGE, 2 * PAGE), -ERANGE);
	assert_int_equal(unmap(&k.r, iova, 2 * PAGE), -ERANGE);
	assert_maps(&k.r, iova, VA);
	assert_maps(&k.r, iova + 2 * PAGE, VA + 16 * PAGE);
	assert_int_equal(unmap(&k.r, iova, 3 * PAGE), 1);
	wait_for(&k, c, 1);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 1);
	krig_down(&k);
}

/* The second map of a caller-chosen range is refused by the kernel; the first
 * one stays. */
static void fixed_twice(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA};
	struct sluice_completion c[2];
	struct krig k;
	int bad;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	assert_int_equal(map_fixed(&k.r, VA, PAGE, 0x100000), 1);
	assert_int_equal(map_fixed(&k.r, VA + PAGE, PAGE, 0x100000), 1);
	wait_for(&k, c, 2);
	bad = c[0].result ? 0 : 1;
	assert_int_equal(c[bad].result, -EEXIST);
	assert_int_equal(c[!bad].result, 0);
	assert_maps(&k.r, 0x100000, VA);
	assert_int_equal(unmap(&k.r, 0x100000, PAGE), 1);
	krig_down(&k);
}

static void arena_is_mapped_once(void **state)
{
	const struct sluice_arena_cfg cfg = {
	        .size = 1u << 20, .slot_size = 4096, .no_huge = 1};
	struct sluice_arena *a;
	struct sluice_buf buf;
	uint64_t va;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &a), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(sluice_arena_get(k.r.lane, a, &buf), 0);
		assert_true(fake_vfio_reach(buf.iova, &va, NULL));
		assert_int_equal(va, (uintptr_t)buf.va);
		assert_maps(&k.r, buf.iova, va);
		sluice_arena_put(k.r.lane, a, buf.va);
	}
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 1);
	sluice_arena_destroy(a);
	assert_int_equal(xlate(&k.r, buf.iova, 1), 1); /* until the poll */
	sluice_poll(k.r.lane, NULL, 0);
	assert_int_equal(xlate(&k.r, buf.iova, 1), -EFAULT);
	/* The next control call finds the ticket passed and lets go. */
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &a), 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	sluice_arena_destroy(a);
	sluice_poll(k.r.lane, NULL, 0);
	krig_down(&k);
}

static void memlock_names_the_cure(void **state)
{
	const struct fake_vfio_cfg vfio = {.memlock = 64u << 10};
	const struct sluice_arena_cfg cfg = {.size = 1u << 20, .no_huge = 1};
	struct sluice_arena *a = NULL;
	struct krig k;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &a), -ENOMEM);
	assert_null(a);
	assert_non_null(strstr(sluice_last_error(), "ulimit -l"));
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	krig_down(&k);
}

static void budget(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 4};
	struct sluice_completion c[5];
	struct sluice_domain_info info;
	sluice_iova_t iova[5];
	uint32_t refused = 0;
	struct krig k;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.mappings_left, 4);
	for (int i = 0; i < 5; i++)
		assert_int_equal(map(&k.r, VA, PAGE, &iova[i]), 1);
	wait_for(&k, c, 5);
	for (int i = 0; i < 5; i++)
		if (c[i].result) {
			assert_int_equal(c[i].result, -ENOSPC);
			assert_int_equal(xlate(&k.r, c[i].iova, 1), -EFAULT);
			refused++;
		} else {
			assert_int_equal(unmap(&k.r, c[i].iova, PAGE), 1);
		}
	assert_int_equal(refused, 1);
	krig_down(&k);
}

/* Tables of the VA side that are missing are found out before the kernel is
 * asked: what it has mapped is never called a failure. */
static void table_memory_of_both_sides(void **state)
{
	const struct sluice_domain_cfg cfg = {.backend =
	                                              SLUICE_BACKEND_VFIO_TYPE1,
	                                      .flags = SLUICE_DOMAIN_VA_LOOKUP};
	struct sluice_completion c;
	sluice_iova_t iova[64];
	uint32_t n = 0;
	struct krig k;
	int rc;

	(void)state;
	krig_table_bytes = 256u << 10;
	krig_up(&k, NULL, &cfg, 0);
	krig_table_bytes = 0;
	/* A leaf table of the VA side for each. */
	while ((rc = map(&k.r, VA + ((uint64_t)n << 30), PAGE, &iova[n])) ==
	       1) {
		wait_for(&k, &c, 1);
		assert_int_equal(c.result, 0);
		assert_true(++n < 64);
	}
	assert_int_equal(rc, -ENOMEM);
	assert_true(n > 4);
	assert_int_equal(fake_vfio_mappings(NULL, 0), n);
	while (n > 0)
		assert_int_equal(unmap(&k.r, iova[--n], PAGE), 1);
	krig_down(&k);
}

static void too_many_requests(void **state)
{
	struct sluice_completion c[1100];
	sluice_iova_t iova;
	struct krig k;
	int rc = 1;
	uint32_t n = 0;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	fake_vfio_gate();
	while (n < 1100 && (rc = map(&k.r, VA, PAGE, &iova)) == 1)
		n++;
	assert_int_equal(rc, -EAGAIN);
	assert_int_equal(n, 1024);
	fake_vfio_gate_open();
	wait_for(&k, c, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(c[i].result, 0);
		assert_int_equal(unmap(&k.r, c[i].iova, PAGE), 1);
	}
	wait_for(&k, c, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(c[i].result, 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	/* Neighbours shared their calls. */
	assert_true(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA) < n / 4);
	krig_down(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(kernel_sees_what_lanes_map),
	        cmocka_unit_test(nothing_translates_before_the_kernel_has_it),
	        cmocka_unit_test(a_group_comes_first),
	        cmocka_unit_test(two_groups_one_map),
	        cmocka_unit_test(a_narrower_group),
	        cmocka_unit_test(open_device_keeps_the_domain),
	        cmocka_unit_test(kernel_refuses_a_map),
	        cmocka_unit_test(kernel_refuses_an_unmap),
	        cmocka_unit_test(dies_only_whole),
	        cmocka_unit_test(fixed_twice),
	        cmocka_unit_test(arena_is_mapped_once),
	        cmocka_unit_test(memlock_names_the_cure),
	        cmocka_unit_test(budget),
	        cmocka_unit_test(table_memory_of_both_sides),
	        cmocka_unit_test(too_many_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
