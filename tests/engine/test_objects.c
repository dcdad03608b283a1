/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Engine, lanes, domains, arenas, limits and modes through the public API.
 */
#include "tests/engine/rig.h"

static void caller_and_allocator_do_not_meet(void **state)
{
	sluice_iova_t fixed = UINT64_C(0x40000000), iova;
	struct sluice_domain_info info;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(map_fixed(&r, M2, PAGE, fixed), -EADDRNOTAVAIL);
	assert_int_equal(sluice_domain_reserve(r.domain, fixed, PAGE), 0);
	assert_int_equal(map_fixed(&r, M2, PAGE, fixed), 0);
	assert_maps(&r, fixed, M2);
	assert_int_equal(map(&r, M2, PAGE, &iova), 0);
	sluice_domain_get_info(r.domain, &info);
	/* The allocator's granule is taken. */
	assert_int_equal(sluice_domain_reserve(r.domain, iova, PAGE), -EBUSY);
	assert_int_equal(sluice_domain_reserve(r.domain, 1, PAGE), -EINVAL);
	assert_int_equal(
	        sluice_domain_reserve(r.domain, UINT64_C(1) << 50, PAGE),
	        -EINVAL);
	assert_int_equal(info.first, PAGE);
	rig_down(&r);
}

static void aperture_runs_out(void **state)
{
	const struct sluice_domain_cfg cfg = {.first = 0x100000,
	                                      .last = 0x1fffff};
	sluice_iova_t iova[300];
	uint32_t n = 0;
	int rc = 0;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	while (n < 300 && (rc = map(&r, M2, PAGE, &iova[n])) == 0) {
		assert_in_range(iova[n], 0x100000, 0x1ff000);
		n++;
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(n, 256);
	assert_non_null(strstr(sluice_last_error(), "aperture"));
	assert_int_equal(unmap(&r, iova[7], PAGE), 1);
	/* Not before the ticket. */
	assert_int_equal(map(&r, M2, PAGE, &iova[0]), -ENOSPC);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(map(&r, M2, PAGE, &iova[0]), 0);
	assert_int_equal(iova[0], iova[7]);
	rig_down(&r);
}

static void low_window(void **state)
{
	struct sluice_map_req req = {
	        .va = M2, .len = PAGE, .prot = RW, .flags = SLUICE_MAP_32BIT};
	const struct sluice_range msi = {0xfee00000, 0xfeefffff};
	const struct sluice_domain_cfg cfg = {.reserved = &msi,
	                                      .nr_reserved = 1};
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(sluice_map(r.view, &req, &iova), 0);
		assert_true(iova + PAGE <= UINT64_C(1) << 32);
		assert_true(iova + PAGE <= msi.first || iova > msi.last);
	}
	req.align_lg2 = 30;
	req.flags = 0;
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	assert_int_equal(iova & 0x3fffffff, 0);
	rig_down(&r);
}

static void lazy_bounds(void **state)
{
	const struct sluice_domain_cfg cfg = {.mode = SLUICE_MODE_LAZY,
	                                      .lazy_entries = 4,
	                                      .lazy_us = 1000000000};
	struct sluice_domain_stats s;
	struct sluice_ticket t[4];
	sluice_iova_t iova[4];
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	for (int i = 0; i < 4; i++)
		assert_int_equal(map(&r, 0x100000, PAGE, &iova[i]), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sluice_unmap(r.view, iova[i], PAGE, 0, &t[i]),
		                 0);
		assert_int_equal(sluice_poll(r.lane, NULL, 0), 0);
		assert_false(sluice_ticket_passed(r.view, t[i]));
	}
	assert_int_equal(sluice_unmap(r.view, iova[3], PAGE, 0, &t[3]), 0);
	sluice_poll(r.lane, NULL, 0);
	for (int i = 0; i < 4; i++)
		assert_true(sluice_ticket_passed(r.view, t[i]));
	sluice_domain_get_stats(r.domain, &s);
	assert_int_equal(s.exposed_entries_max, 4);
	assert_int_equal(s.exposed_bytes_max, 4 * PAGE);
	rig_down(&r);
}

static void inflight_limit(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .flags = SLUICE_DOMAIN_CALLER_IOVA, .max_inflight = 4};
	struct sluice_completion c[8];
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(map_fixed(&r, M2, PAGE, i * PAGE), 0);
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(sluice_unmap(r.view, i * PAGE, PAGE, i, NULL),
		                 1);
	assert_int_equal(sluice_unmap(r.view, 5 * PAGE, PAGE, 5, NULL),
	                 -EAGAIN);
	assert_maps(&r, 5 * PAGE, M2);
	/* Completions wait for room and keep their order. */
	assert_int_equal(sluice_poll(r.lane, c, 3), 3);
	assert_int_equal(sluice_unmap(r.view, 5 * PAGE, PAGE, 5, NULL), 1);
	assert_int_equal(sluice_poll(r.lane, c + 3, 5), 2);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(c[i].cookie, i + 1);
	rig_down(&r);
}

static void table_memory_limit(void **state)
{
	const struct sluice_engine_cfg ecfg = {.max_table_bytes = 64u << 10};
	struct sluice_domain_stats s;
	sluice_iova_t iova = 0;
	int rc = 0;
	struct rig r;

	(void)state;
	assert_int_equal(sluice_engine_open(&ecfg, &r.engine), 0);
	assert_int_equal(
	        sluice_domain_create(r.engine, &caller_iova, &r.domain), 0);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &r.lane), 0);
	assert_int_equal(sluice_view_open(r.lane, r.domain, &r.view), 0);
	for (uint64_t i = 0; i < 64 && rc == 0; i++) {
		iova = (i + 1) << 30;
		rc = map_fixed(&r, M2 + PAGE, PAGE, iova);
	}
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(xlate(&r, iova, 1), -EFAULT);
	if (iova > UINT64_C(1) << 30)
		assert_maps(&r, UINT64_C(1) << 30, M2 + PAGE);
	sluice_domain_get_stats(r.domain, &s);
	assert_true(s.table_bytes <= 64u << 10);
	rig_down(&r);
}

static void two_lanes(void **state)
{
	struct sluice_domain_stats st;
	struct sluice_view *view2;
	struct sluice_lane *lane2;
	struct sluice_ticket t;
	sluice_iova_t iova;
	sluice_oa_t oa;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_lane_open(r.engine, NULL, &lane2), 0);
	assert_int_equal(sluice_view_open(lane2, r.domain, &view2), 0);
	assert_int_equal(sluice_view_open(lane2, r.domain, &view2), -EEXIST);
	assert_int_equal(map(&r, M2, PAGE, &iova), 0);
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), 8);
	assert_int_equal(sluice_unmap(r.view, iova, PAGE, 0, &t), 1);
	for (int i = 0; i < 10; i++)
		sluice_poll(r.lane, NULL, 0);
	/* The other lane may still use what it got; the ticket waits. */
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), 8);
	assert_false(sluice_ticket_passed(r.view, t));
	sluice_domain_get_stats(r.domain, &st);
	assert_int_equal(st.laggard_lane, sluice_lane_id(lane2));
	assert_int_equal(sluice_drain(r.lane, 1000000), -ETIMEDOUT);
	assert_non_null(strstr(sluice_last_error(), "lane 1"));
	assert_int_equal(sluice_view_close(r.view), -EBUSY);
	sluice_poll(lane2, NULL, 0);
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), -EFAULT);
	sluice_poll(r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(r.view, t));

	/* Offline: nobody waits, nothing translates. */
	assert_int_equal(map(&r, M2, PAGE, &iova), 0);
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), 8);
	sluice_lane_offline(lane2);
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), -ENETDOWN);
	assert_int_equal(sluice_unmap(view2, iova, PAGE, 0, NULL), -ENETDOWN);
	assert_int_equal(sluice_unmap(r.view, iova, PAGE, 0, &t), 1);
	sluice_poll(r.lane, NULL, 0);
	assert_true(sluice_ticket_passed(r.view, t));
	sluice_lane_online(lane2);
	assert_int_equal(sluice_translate(view2, iova, 8, RW, &oa), -EFAULT);

	assert_int_equal(sluice_domain_destroy(r.domain), -EBUSY);
	assert_int_equal(sluice_engine_close(r.engine), -EBUSY);
	assert_int_equal(sluice_lane_close(lane2), -EBUSY);
	assert_int_equal(sluice_view_close(view2), 0);
	assert_int_equal(sluice_lane_close(lane2), 0);
	rig_down(&r);
}

static void *map_elsewhere(void *arg)
{
	sluice_iova_t iova = 5;

	return (void *)(intptr_t)map(arg, M2, PAGE, &iova);
}

static void wrong_thread(void **state)
{
#ifdef SLUICE_DEBUG_CHECKS
	const int want = -EPERM;
#else
	const int want = 0;
#endif
	pthread_t thread;
	struct rig r;
	void *ret;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(pthread_create(&thread, NULL, map_elsewhere, &r), 0);
	pthread_join(thread, &ret);
	assert_int_equal((int)(intptr_t)ret, want);
	rig_down(&r);
}

static void arena(void **state)
{
	const struct sluice_domain_cfg dcfg = {.flags =
	                                               SLUICE_DOMAIN_VA_LOOKUP};
	const struct sluice_arena_cfg cfg = {
	        .size = 4u << 20, .slot_size = 2048, .slots_bytes = 2u << 20};
	struct sluice_arena_cfg bad = cfg;
	struct sluice_buf buf[1024], more;
	struct sluice_arena *a;
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, &dcfg);
	bad.slot_size = 100;
	assert_int_equal(sluice_arena_create(r.domain, &bad, &a), -EINVAL);
	bad = cfg;
	bad.size = 0;
	assert_int_equal(sluice_arena_create(r.domain, &bad, &a), -EINVAL);
	assert_int_equal(sluice_arena_create(r.domain, &cfg, &a), 0);
	assert_int_equal(sluice_domain_destroy(r.domain), -EBUSY);
	for (int i = 0; i < 1024; i++) {
		assert_int_equal(sluice_arena_get(r.lane, a, &buf[i]), 0);
		memset(buf[i].va, i, 2048);
		assert_maps(&r, buf[i].iova, (uintptr_t)buf[i].va);
		assert_int_equal(sluice_va_to_iova(r.view, (uintptr_t)buf[i].va,
		                                   8, &iova),
		                 8);
		assert_int_equal(iova, buf[i].iova);
	}
	assert_int_equal(sluice_arena_get(r.lane, a, &more), -ENOBUFS);
	for (int i = 0; i < 1024; i++)
		assert_int_equal(*(uint8_t *)buf[i].va, (uint8_t)i);
	for (int i = 0; i < 1024; i++)
		sluice_arena_put(r.lane, a, buf[i].va);
	assert_int_equal(sluice_arena_get(r.lane, a, &more), 0);
	assert_int_equal(sluice_arena_alloc(a, 64 << 10, 4096, &more), 0);
	assert_int_equal(more.iova % 4096, 0);
	assert_int_equal(sluice_arena_iova(a, more.va, &iova), 0);
	assert_int_equal(iova, more.iova);
	assert_int_equal(sluice_arena_iova(a, &iova, &iova), -EFAULT);
	assert_int_equal(sluice_arena_alloc(a, 4u << 20, 0, &more), -ENOSPC);
	assert_int_equal(sluice_arena_alloc(a, 64, 3, &more), -EINVAL);
	iova = more.iova;
	sluice_arena_destroy(a);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(xlate(&r, iova, 1), -EFAULT);
	rig_down(&r);
}

static void refuses_bad_configurations(void **state)
{
	static const struct sluice_domain_cfg bad[] = {
	        {.backend = (enum sluice_backend)7},
	        {.mode = (enum sluice_mode)7},
	        {.format = (enum sluice_pt_format)7},
	        {.iova_bits = 33},
	        {.flags = 0x80},
	        {.first = 1, .last = 0xffff},
	        {.first = 0x2000, .last = 0x1fff},
	        {.last = UINT64_MAX},
	        {.nr_reserved = 1},
	        {.log_records = 100},
	        {.tlb_entries = 8},
	        {.max_inflight = 1u << 20},
	};
	const struct sluice_range all = {0, UINT64_MAX}, upside = {9, 1};
	const struct sluice_domain_cfg none = {.reserved = &all,
	                                       .nr_reserved = 1};
	const struct sluice_domain_cfg odd = {.reserved = &upside,
	                                      .nr_reserved = 1};
	const struct sluice_engine_cfg lanes = {.max_lanes = 1000};
	struct sluice_domain *d = NULL;
	struct sluice_engine *e = NULL;

	(void)state;
	assert_int_equal(sluice_engine_open(&lanes, &e), -EINVAL);
	assert_null(e);
	assert_int_equal(sluice_engine_open(NULL, &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(sluice_domain_create(e, &bad[i], &d), -EINVAL);
		assert_null(d);
	}
	assert_int_equal(sluice_domain_create(e, &none, &d), -EINVAL);
	assert_int_equal(sluice_domain_create(e, &odd, &d), -EINVAL);
	assert_null(d);
	assert_int_equal(sluice_domain_create(NULL, NULL, &d), -EINVAL);
	assert_int_equal(sluice_engine_close(e), 0);
	assert_int_equal(sluice_engine_close(NULL), 0);
	assert_int_equal(sluice_domain_destroy(NULL), 0);
	assert_int_equal(sluice_view_close(NULL), 0);
	assert_int_equal(sluice_lane_close(NULL), 0);
	sluice_arena_destroy(NULL);
}

static void lanes_run_out(void **state)
{
	const struct sluice_engine_cfg cfg = {.max_lanes = 2};
	struct sluice_lane *lane[3];
	struct sluice_engine *e;

	(void)state;
	assert_int_equal(sluice_engine_open(&cfg, &e), 0);
	assert_int_equal(sluice_lane_open(e, NULL, &lane[0]), 0);
	assert_int_equal(sluice_lane_open(e, NULL, &lane[1]), 0);
	assert_int_equal(sluice_lane_open(e, NULL, &lane[2]), -ENOSPC);
	assert_int_equal(sluice_lane_close(lane[0]), 0);
	assert_int_equal(sluice_lane_open(e, NULL, &lane[2]), 0);
	assert_int_equal(sluice_lane_id(lane[2]), 0);
	assert_int_equal(sluice_lane_close(lane[1]), 0);
	assert_int_equal(sluice_lane_close(lane[2]), 0);
	assert_int_equal(sluice_engine_close(e), 0);
}

static void iova_without_mapping(void **state)
{
	sluice_iova_t a, b;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_iova_alloc(r.view, PAGE, 0, 0, &a), 0);
	assert_int_equal(sluice_iova_alloc(r.view, PAGE, 0, 0, &b), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(sluice_iova_alloc(r.view, 100, 0, 0, &b), -EINVAL);
	assert_int_equal(sluice_iova_alloc(r.view, 0, 0, 0, &b), -EINVAL);
	sluice_iova_free(r.view, a, PAGE);
	sluice_iova_free(r.view, b, PAGE);
	rig_down(&r);
	rig_up(&r, &caller_iova);
	assert_int_equal(sluice_iova_alloc(r.view, PAGE, 0, 0, &a),
	                 -EOPNOTSUPP);
	assert_int_equal(map(&r, M2, PAGE, &a), -EADDRNOTAVAIL);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(caller_and_allocator_do_not_meet),
	        cmocka_unit_test(aperture_runs_out),
	        cmocka_unit_test(low_window),
	        cmocka_unit_test(lazy_bounds),
	        cmocka_unit_test(inflight_limit),
	        cmocka_unit_test(table_memory_limit),
	        cmocka_unit_test(two_lanes),
	        cmocka_unit_test(wrong_thread),
	        cmocka_unit_test(arena),
	        cmocka_unit_test(refuses_bad_configurations),
	        cmocka_unit_test(lanes_run_out),
	        cmocka_unit_test(iova_without_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
