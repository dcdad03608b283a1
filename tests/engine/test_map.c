/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Map, unmap and translate through the public API on a soft domain: what they
 * do, what they refuse, and that a refusal changes nothing.
 */
#include "tests/engine/rig.h"

static void map_translate_unmap(void **state)
{
	struct sluice_completion c;
	struct sluice_ticket t;
	sluice_iova_t iova;
	sluice_oa_t oa;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map(&r, 0x10000, 3 * PAGE, &iova), 0);
	for (int twice = 0; twice < 2; twice++) {
		assert_maps(&r, iova, 0x10000);
		assert_maps(&r, iova + 3 * PAGE - 1, 0x10000 + 3 * PAGE - 1);
	}
	/* Across the end of a leaf: short. Beyond the mapping: a fault. */
	assert_int_equal(sluice_translate(r.view, iova + 2 * PAGE + 10,
	                                  2 * PAGE, SLUICE_READ, &oa),
	                 PAGE - 10);
	assert_int_equal(xlate(&r, iova + 3 * PAGE, 1), -EFAULT);
	assert_int_equal(xlate(&r, iova - 1, 1), -EFAULT);

	assert_int_equal(sluice_unmap(r.view, iova, 3 * PAGE, 77, &t), 1);
	assert_int_equal(xlate(&r, iova, 1), -EFAULT);
	assert_false(sluice_ticket_passed(r.view, t));
	assert_int_equal(sluice_poll(r.lane, &c, 1), 1);
	assert_true(sluice_ticket_passed(r.view, t));
	assert_int_equal(c.cookie, 77);
	assert_int_equal(c.iova, iova);
	assert_int_equal(c.len, 3 * PAGE);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.op, SLUICE_OP_UNMAP);
	assert_int_equal(sluice_poll(r.lane, &c, 1), 0);
	rig_down(&r);
}

static void access_rights(void **state)
{
	const struct sluice_domain_cfg cfg = {.format = SLUICE_PT_VTDSS};
	struct sluice_map_req req = {.va = PAGE, .len = PAGE};
	sluice_iova_t ro, wo;
	sluice_oa_t oa = 1;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	req.prot = SLUICE_READ;
	assert_int_equal(sluice_map(r.view, &req, &ro), 0);
	req.prot = SLUICE_WRITE;
	assert_int_equal(sluice_map(r.view, &req, &wo), 0);
	/* Once through the table, once through the IOTLB. */
	for (int twice = 0; twice < 2; twice++) {
		oa = 1;
		assert_int_equal(
		        sluice_translate(r.view, ro, 8, SLUICE_WRITE, &oa),
		        -EACCES);
		assert_int_equal(sluice_translate(r.view, ro, 8, RW, &oa),
		                 -EACCES);
		assert_int_equal(
		        sluice_translate(r.view, wo, 8, SLUICE_READ, &oa),
		        -EACCES);
		assert_int_equal(oa, 1);
		assert_int_equal(
		        sluice_translate(r.view, wo, 8, SLUICE_WRITE, &oa), 8);
		assert_int_equal(
		        sluice_translate(r.view, ro, 8, SLUICE_READ, &oa), 8);
	}
	assert_int_equal(sluice_translate(r.view, ro, 0, SLUICE_READ, &oa),
	                 -EINVAL);
	assert_int_equal(sluice_translate(r.view, ro, 1, 0, &oa), -EINVAL);
	assert_int_equal(sluice_translate(r.view, ro, 1, 4, &oa), -EINVAL);
	rig_down(&r);
}

static void refuses_bad_maps(void **state)
{
	static const struct sluice_map_req bad[] = {
	        {.va = PAGE, .len = 0, .prot = RW},
	        {.va = PAGE + 1, .len = PAGE, .prot = RW},
	        {.va = PAGE, .len = PAGE - 1, .prot = RW},
	        {.va = UINT64_MAX - PAGE + 1, .len = 2 * PAGE, .prot = RW},
	        {.va = PAGE, .len = PAGE, .prot = 0},
	        {.va = PAGE, .len = PAGE, .prot = 8},
	        {.va = PAGE, .len = PAGE, .prot = RW, .flags = 0x80},
	        {.va = PAGE, .len = PAGE, .prot = RW, .reserved = 1},
	        {.va = PAGE, .len = PAGE, .prot = RW, .align_lg2 = 60},
	        /* x86_64 has no write-only page and 52 bits of OA. */
	        {.va = PAGE, .len = PAGE, .prot = SLUICE_WRITE},
	        {.va = UINT64_C(1) << 60, .len = PAGE, .prot = RW},
	};
	const size_t nr = sizeof(bad) / sizeof(bad[0]);
	struct sluice_domain_stats before, after;
	sluice_iova_t iova = 0x1234;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	sluice_domain_get_stats(r.domain, &before);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(sluice_map(r.view, &bad[i], &iova), -EINVAL);
		assert_int_equal(iova, 0x1234);
		assert_true(strlen(sluice_last_error()) > 10);
	}
	sluice_domain_get_stats(r.domain, &after);
	assert_int_equal(after.maps, before.maps);
	assert_int_equal(after.map_failures, nr);
	rig_down(&r);
}

static void refuses_bad_unmaps(void **state)
{
	sluice_iova_t iova = M2;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	assert_int_equal(map_fixed(&r, PAGE, 2 * PAGE, iova), 0);
	assert_int_equal(map_fixed(&r, 2 * M2, M2, 2 * M2), 0);
	assert_int_equal(unmap(&r, iova, 0), -EINVAL);
	assert_int_equal(unmap(&r, iova + 1, PAGE), -EINVAL);
	assert_int_equal(unmap(&r, iova, PAGE + 1), -EINVAL);
	assert_int_equal(unmap(&r, UINT64_MAX - PAGE + 1, 2 * PAGE), -EINVAL);
	/* Beyond the head, beyond the tail, elsewhere. */
	assert_int_equal(unmap(&r, iova - PAGE, 2 * PAGE), -ENOENT);
	assert_int_equal(unmap(&r, iova, 3 * PAGE), -ENOENT);
	assert_int_equal(unmap(&r, 64 * M2, PAGE), -ENOENT);
	/* Half of a 2 MiB leaf. */
	assert_int_equal(unmap(&r, 2 * M2, M2 / 2), -ERANGE);
	for (int twice = 0; twice < 2; twice++) {
		assert_maps(&r, iova, PAGE);
		assert_maps(&r, iova + PAGE, 2 * PAGE);
		assert_maps(&r, 3 * M2 - 1, 3 * M2 - 1);
		assert_int_equal(sluice_poll(r.lane, NULL, 0), 0);
	}
	rig_down(&r);
}

/* libvfn: a range of which only the head was mapped was called mapped, and an
 * overlap at the tail was accepted. */
static void overlap_changes_nothing(void **state)
{
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	assert_int_equal(map_fixed(&r, 0x100000, 2 * PAGE, 0x40000), 0);
	assert_int_equal(map_fixed(&r, 0x900000, 16 * PAGE, 0x40000), -EEXIST);
	assert_int_equal(map_fixed(&r, 0x900000, 2 * PAGE, 0x3f000), -EEXIST);
	assert_int_equal(map_fixed(&r, 0x900000, 4 * PAGE, 0x3f000), -EEXIST);
	assert_int_equal(map_fixed(&r, 0x900000, PAGE, 0x41000), -EEXIST);
	assert_int_equal(map_fixed(&r, 0x900000, 2 * PAGE, 0x41000), -EEXIST);
	/* A 2 MiB leaf over the 4 KiB pages. */
	assert_int_equal(map_fixed(&r, M2, M2, 0), -EEXIST);
	assert_maps(&r, 0x40000, 0x100000);
	assert_maps(&r, 0x41000, 0x101000);
	assert_int_equal(xlate(&r, 0x3f000, 1), -EFAULT);
	assert_int_equal(xlate(&r, 0x42000, 1), -EFAULT);
	assert_int_equal(unmap(&r, 0x40000, 2 * PAGE), 1);
	sluice_poll(r.lane, NULL, 0);
	/* Now the large leaf fits, over the empty table. */
	assert_int_equal(map_fixed(&r, M2, M2, 0), 0);
	assert_maps(&r, 0x40000, M2 + 0x40000);
	rig_down(&r);
}

/* DPDK's vhost IOTLB dropped the neighbour of what was unmapped. */
static void neighbours_survive(void **state)
{
	struct sluice_domain_stats s0, s1;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	for (uint64_t i = 1; i < 4; i++) {
		assert_int_equal(map_fixed(&r, 0x100000 * i, PAGE, PAGE * i),
		                 0);
		/* Often enough to be cached. */
		for (int k = 0; k < 64; k++)
			assert_maps(&r, PAGE * i, 0x100000 * i);
	}
	assert_int_equal(unmap(&r, 2 * PAGE, PAGE), 1);
	sluice_poll(r.lane, NULL, 0);
	sluice_domain_get_stats(r.domain, &s0);
	assert_maps(&r, PAGE, 0x100000);
	assert_maps(&r, 3 * PAGE, 0x300000);
	sluice_domain_get_stats(r.domain, &s1);
	/* Not only mapped still, but cached still. */
	assert_int_equal(s1.misses, s0.misses);
	assert_int_equal(xlate(&r, 2 * PAGE, 1), -EFAULT);
	rig_down(&r);
}

static void fixed_iova_waits_for_its_ticket(void **state)
{
	struct sluice_domain_stats st;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), 0);
	assert_maps(&r, 0x5000, M2); /* somebody translates */
	assert_int_equal(unmap(&r, 0x5000, PAGE), 1);
	assert_int_equal(map_fixed(&r, M2, 2 * PAGE, 0x4000), -EBUSY);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x6000), 0);
	/* With and without a remembered table. */
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), -EBUSY);
	assert_non_null(strstr(sluice_last_error(), "ticket has not passed"));
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.map_failures, 2);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x5000), 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, UINT64_C(1) << 48),
	                 -EADDRNOTAVAIL);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x7001), -EINVAL);
	assert_int_equal(map_fixed(&r, M2, 2 * PAGE, UINT64_MAX - PAGE + 1),
	                 -EINVAL);
	rig_down(&r);
}

static void scatter_list_is_one_mapping(void **state)
{
	struct iovec iov[] = {
	        {(void *)0x100000, PAGE},
	        {(void *)0x300000, 3 * PAGE},
	        {(void *)0x200000, PAGE},
	};
	struct sluice_map_req req = {.prot = RW};
	sluice_iova_t iova = 9;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 0, &iova), -EINVAL);
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 2000, &iova), -E2BIG);
	iov[1].iov_len++;
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 3, &iova), -EINVAL);
	assert_int_equal(iova, 9);
	iov[1].iov_len--;
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 3, &iova), 0);
	assert_maps(&r, iova, 0x100000);
	assert_maps(&r, iova + 2 * PAGE, 0x301000);
	assert_maps(&r, iova + 4 * PAGE, 0x200000);
	assert_int_equal(unmap(&r, iova, 5 * PAGE), 1);
	rig_down(&r);
}

/* The last piece of a scatter list meets a mapping: the pieces before it are
 * taken back, and their IOVA is not free before its ticket. */
static void scatter_list_undo(void **state)
{
	struct iovec iov[] = {{(void *)0x100000, PAGE},
	                      {(void *)0x300000, PAGE}};
	struct sluice_map_req req = {.prot = RW, .flags = SLUICE_MAP_FIXED};
	sluice_iova_t iova = 0x8000;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x9000), 0);
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 2, &iova), -EEXIST);
	assert_int_equal(xlate(&r, 0x8000, 1), -EFAULT);
	assert_maps(&r, 0x9000, M2);
	/* The translations above took place. */
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x8000), -EBUSY);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, 0x8000), 0);
	rig_down(&r);
}

static void va_to_iova(void **state)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_VA_LOOKUP};
	sluice_iova_t first, second, got;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(sluice_va_to_iova(r.view, 0x100000, 1, &got), -EFAULT);
	assert_int_equal(map(&r, 0x100000, 4 * PAGE, &first), 0);
	assert_int_equal(sluice_va_to_iova(r.view, 0x101010, 8, &got), 8);
	assert_int_equal(got, first + 0x1010);
	/* A second mapping of the same memory does not take the answer... */
	assert_int_equal(map(&r, 0x102000, 4 * PAGE, &second), 0);
	assert_int_equal(sluice_va_to_iova(r.view, 0x102000, 8, &got), 8);
	assert_int_equal(got, first + 0x2000);
	/* ...and its end does not take it away (libvfn's first unmap killed
	 * both). */
	assert_int_equal(unmap(&r, second, 4 * PAGE), 1);
	assert_int_equal(sluice_va_to_iova(r.view, 0x102000, 8, &got), 8);
	assert_int_equal(unmap(&r, first, 4 * PAGE), 1);
	assert_int_equal(sluice_va_to_iova(r.view, 0x102000, 8, &got), -EFAULT);
	assert_int_equal(sluice_va_to_iova(r.view, 0x102000, 0, &got), -EINVAL);
	rig_down(&r);
	rig_up(&r, NULL);
	assert_int_equal(sluice_va_to_iova(r.view, PAGE, 1, &got), -EOPNOTSUPP);
	rig_down(&r);
}

static void many_claims_in_one_unmap(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .flags = SLUICE_DOMAIN_VA_LOOKUP | SLUICE_DOMAIN_CALLER_IOVA};
	sluice_iova_t got;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	/* Every second VA page: no two runs merge. */
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(map_fixed(&r, 0x1000000 + 2 * i * PAGE, PAGE,
		                           0x40000 + i * PAGE),
		                 0);
	assert_int_equal(unmap(&r, 0x40000, 300 * PAGE), 1);
	for (uint64_t i = 0; i < 300; i++)
		assert_int_equal(sluice_va_to_iova(r.view,
		                                   0x1000000 + 2 * i * PAGE, 1,
		                                   &got),
		                 -EFAULT);
	rig_down(&r);
}

static void neighbours_share_a_record(void **state)
{
	struct sluice_domain_stats s;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	/* Only for another lane is anything posted. */
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane), 0);
	assert_int_equal(sluice_view_open(lane, r.domain, &view), 0);
	start_reading(view);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(map_fixed(&r, M2, PAGE, 0x40000 + i * PAGE),
		                 0);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(unmap(&r, 0x40000 + i * PAGE, PAGE), 1);
	sluice_poll(r.lane, NULL, 0);
	sluice_domain_get_stats(r.domain, &s);
	assert_int_equal(s.unmaps, 64);
	assert_int_equal(s.invalidations, 1);
	assert_int_equal(sluice_view_close(view), 0);
	assert_int_equal(sluice_lane_close(lane), 0);
	rig_down(&r);
}

static void batch_and_call(void **state)
{
	sluice_iova_t iova[4];
	sluice_oa_t oa[4] = {0};
	int64_t n[4];
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map(&r, M2, 2 * PAGE, &iova[0]), 0);
	iova[1] = iova[0] + PAGE;
	iova[2] = iova[0] + 2 * PAGE - 4;
	iova[3] = 0;
	assert_int_equal(
	        sluice_translate_batch(r.view, iova, 4, 8, SLUICE_READ, oa, n),
	        2);
	assert_int_equal(n[0], 8);
	assert_int_equal(n[1], 8);
	assert_int_equal(n[2], 4);
	assert_int_equal(n[3], -EFAULT);
	assert_int_equal(oa[1], M2 + PAGE);
	assert_int_equal(oa[3], 0);
	assert_int_equal(
	        sluice_translate_call(r.view, iova[0], 8, SLUICE_READ, oa), 8);
	rig_down(&r);
}

static void large_leaves_are_chosen(void **state)
{
	struct sluice_map_req req = {.va = UINT64_C(4) << 30,
	                             .len = (1u << 30) + M2,
	                             .prot = RW,
	                             .align_lg2 = 30};
	sluice_iova_t iova;
	sluice_oa_t oa;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	/* One translation spans the 1 GiB leaf. */
	assert_int_equal(
	        sluice_translate(r.view, iova, 1u << 30, SLUICE_READ, &oa),
	        1 << 30);
	assert_int_equal(unmap(&r, iova, req.len), 1);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(map_translate_unmap),
	        cmocka_unit_test(access_rights),
	        cmocka_unit_test(refuses_bad_maps),
	        cmocka_unit_test(refuses_bad_unmaps),
	        cmocka_unit_test(overlap_changes_nothing),
	        cmocka_unit_test(neighbours_survive),
	        cmocka_unit_test(fixed_iova_waits_for_its_ticket),
	        cmocka_unit_test(scatter_list_is_one_mapping),
	        cmocka_unit_test(scatter_list_undo),
	        cmocka_unit_test(va_to_iova),
	        cmocka_unit_test(many_claims_in_one_unmap),
	        cmocka_unit_test(neighbours_share_a_record),
	        cmocka_unit_test(batch_and_call),
	        cmocka_unit_test(large_leaves_are_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
