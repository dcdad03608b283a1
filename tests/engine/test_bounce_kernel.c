/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce mode on the type1 backend with a VFIO that exists only in this
 * process: copies call no kernel, what devices may do with slots, when a
 * mapping is made, what is measured, and refusals of the kernel.
 */
#include "tests/engine/krig.h"

#include <stdlib.h>

#define ALL SLUICE_BOUNCE_USED_ALL
#define FLAG_RD VFIO_DMA_MAP_FLAG_READ
#define FLAG_WR VFIO_DMA_MAP_FLAG_WRITE

static char mem[16 * PAGE] __attribute__((aligned(PAGE)));
static const struct sluice_bounce_cfg copies = {.break_even = UINT64_MAX};

struct brig {
	struct krig k;
	struct sluice_bounce *b;
	struct sluice_bounce_buf buf;
};

static void up(struct brig *g, const struct fake_vfio_cfg *vfio,
               const struct sluice_domain_cfg *domain,
               const struct sluice_bounce_cfg *cfg)
{
	memset(g, 0, sizeof(*g));
	krig_up(&g->k, vfio, domain, 0);
	assert_int_equal(sluice_bounce_create(g->k.r.domain, cfg, &g->b), 0);
}

static void down(struct brig *g)
{
	sluice_bounce_destroy(g->b);
	krig_down(&g->k);
}

static int bmap(struct brig *g, void *va, uint64_t len, uint32_t prot)
{
	return sluice_bounce_map(g->k.r.view, g->b, va, len, prot, 3, &g->buf);
}

static int bunmap(struct brig *g, uint64_t used)
{
	return sluice_bounce_unmap(g->k.r.view, g->b, &g->buf, used, 4, NULL);
}

static void copies_call_no_kernel(void **state)
{
	struct brig g;
	uint32_t before;
	uint64_t va;

	(void)state;
	up(&g, NULL, NULL, &copies);
	before = fake_vfio_calls(0);
	for (uint64_t i = 0; i < 3000; i++) {
		uint32_t prot = 1 + (uint32_t)i % 3;

		assert_int_equal(bmap(&g, mem + i, 1 + i * 4 % 60000, prot), 0);
		/* The device is on the slot, not on the buffer. */
		assert_true(fake_vfio_reach(g.buf.iova, &va, NULL));
		assert_ptr_equal((void *)(uintptr_t)va, g.buf.slot);
		if (prot & SLUICE_WRITE)
			memset((void *)(uintptr_t)va, 'd', 1);
		assert_int_equal(bunmap(&g, ALL), 0);
		if (prot & SLUICE_WRITE)
			assert_int_equal(mem[i], 'd');
		assert_int_equal(*(char *)(uintptr_t)va, 0);
		assert_int_equal(sluice_poll(g.k.r.lane, NULL, 0), 0);
	}
	assert_int_equal(fake_vfio_calls(0), before);
	down(&g);
}

static void what_devices_may(void **state)
{
	static const struct sluice_domain_cfg vtdss = {.format =
	                                                       SLUICE_PT_VTDSS};
	static const uint32_t want[2][4] = {
	        {0, FLAG_RD, FLAG_RD | FLAG_WR, FLAG_RD | FLAG_WR},
	        {0, FLAG_RD, FLAG_WR, FLAG_RD | FLAG_WR}};
	struct sluice_completion c;
	struct brig g;
	uint32_t flags;

	(void)state;
	for (int f = 0; f < 2; f++) {
		up(&g, NULL, f ? &vtdss : NULL, &copies);
		for (uint32_t prot = 1; prot <= RW; prot++) {
			assert_int_equal(bmap(&g, mem, 10, prot), 0);
			assert_true(fake_vfio_reach(g.buf.iova, NULL, &flags));
			assert_int_equal(flags, want[f][prot]);
			assert_int_equal(bunmap(&g, ALL), 0);
			/* Mapped themselves they may no more. */
			sluice_bounce_set_break_even(g.b, 0);
			assert_int_equal(bmap(&g, mem, PAGE, prot), 1);
			wait_for(&g.k, &c, 1);
			assert_int_equal(c.result, 0);
			assert_int_equal(c.cookie, 3);
			assert_true(fake_vfio_reach(g.buf.iova, NULL, &flags));
			assert_int_equal(flags, want[f][prot]);
			assert_int_equal(bunmap(&g, ALL), 1);
			wait_for(&g.k, &c, 1);
			assert_int_equal(c.cookie, 4);
			assert_false(fake_vfio_reach(c.iova, NULL, &flags));
			sluice_bounce_set_break_even(g.b, UINT64_MAX);
		}
		down(&g);
	}
}

static void a_mapping_takes_its_time(void **state)
{
	struct sluice_completion c;
	struct brig g;

	(void)state;
	up(&g, NULL, NULL, &copies);
	sluice_bounce_set_break_even(g.b, PAGE);
	fake_vfio_gate();
	assert_int_equal(bmap(&g, mem, 2 * PAGE, RW), 1);
	fake_vfio_gate_wait();
	/* Not yet there to be unmapped. */
	assert_int_equal(bunmap(&g, ALL), -ENOENT);
	assert_int_equal(g.buf.prot, RW);
	fake_vfio_gate_open();
	wait_for(&g.k, &c, 1);
	assert_int_equal(bunmap(&g, ALL), 1);
	wait_for(&g.k, &c, 1);
	/* One that the kernel refuses. */
	fake_vfio_fail(VFIO_IOMMU_MAP_DMA, 1, ENOMEM);
	assert_int_equal(bmap(&g, mem, 2 * PAGE, RW), 1);
	wait_for(&g.k, &c, 1);
	assert_int_equal(c.result, -ENOMEM);
	assert_int_equal(bunmap(&g, ALL), -ENOENT);
	g.buf = (struct sluice_bounce_buf){0};
	assert_int_equal(bmap(&g, mem, PAGE, RW), 0);
	assert_int_equal(bunmap(&g, ALL), 0);
	down(&g);
}

static void measured(void **state)
{
	static const struct sluice_bounce_cfg small = {.max_len = PAGE};
	struct sluice_bounce_info info;
	struct fake_vfio_mapping m[8];
	struct brig g;

	(void)state;
	for (int i = 0; i < 2; i++) {
		up(&g, NULL, NULL, i ? &small : NULL);
		sluice_bounce_get_info(g.b, &info);
		assert_true(info.copy_page_ns && info.copy_max_ns);
		assert_true(info.map_page_ns && info.map_max_ns);
		/* The slots; nothing is left of the scratch memory. */
		assert_int_equal(fake_vfio_mappings(m, 8), 3);
		/* Nine rounds each. */
		assert_in_range(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 3 + 18,
		                3 + 18);
		down(&g);
	}
}

static void not_measured(void **state)
{
	struct sluice_bounce_info info;
	struct fake_vfio_mapping m[8];

	(void)state;
	/* The scratch memory is refused, or its second length, or cannot be
	 * taken back. */
	for (int i = 0; i < 3; i++) {
		struct brig g = {0};

		krig_up(&g.k, NULL, NULL, 0);
		if (i < 2)
			fake_vfio_fail(VFIO_IOMMU_MAP_DMA, i ? 3 + 10 : 3 + 1,
			               ENOMEM);
		else
			fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1, EINVAL);
		assert_int_equal(sluice_bounce_create(g.k.r.domain, NULL, &g.b),
		                 0);
		assert_true(fake_vfio_fired());
		sluice_bounce_get_info(g.b, &info);
		assert_true(info.copy_page_ns > 0);
		assert_int_equal(info.map_page_ns | info.map_max_ns, 0);
		assert_true(info.break_even == UINT64_MAX);
		assert_int_equal(fake_vfio_mappings(m, 8), i == 2 ? 4 : 3);
		assert_int_equal(bmap(&g, mem, PAGE, RW), 0);
		assert_int_equal(bunmap(&g, ALL), 0);
		down(&g);
	}
}

static void refusals(void **state)
{
	const struct fake_vfio_cfg few = {.entry_limit = 2},
	                           locked = {.memlock = 9u << 20};
	struct sluice_bounce *b = NULL;
	struct krig k;

	(void)state;
	krig_up(&k, &few, NULL, 0);
	assert_int_equal(sluice_bounce_create(k.r.domain, NULL, &b), -ENOSPC);
	krig_down(&k);
	krig_up(&k, &locked, NULL, 0);
	assert_int_equal(sluice_bounce_create(k.r.domain, NULL, &b), -ENOMEM);
	assert_non_null(strstr(sluice_last_error(), "RLIMIT_MEMLOCK"));
	krig_down(&k);
	krig_open(&k, NULL, NULL, 0);
	assert_int_equal(sluice_bounce_create(k.r.domain, NULL, &b), -ENODEV);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[0]), 0);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	krig_down(&k);
	assert_null(b);
}

/* Ten thousand buffers where the kernel takes 64 mappings. */
static void the_budget_lasts(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 64};
	const struct sluice_bounce_cfg cfg = {.bytes = 2 * 10240 * PAGE,
	                                      .max_len = PAGE,
	                                      .directions = SLUICE_BOUNCE_BOTH,
	                                      .break_even = UINT64_MAX};
	struct sluice_bounce_buf *buf = calloc(10000, sizeof(*buf));
	struct sluice_domain_info info;
	struct brig g;

	(void)state;
	assert_non_null(buf);
	up(&g, &vfio, NULL, &cfg);
	for (int i = 0; i < 10000; i++) {
		memset(mem, i % 251, PAGE);
		assert_int_equal(sluice_bounce_map(g.k.r.view, g.b, mem, PAGE,
		                                   RW, 0, &buf[i]),
		                 0);
	}
	sluice_domain_get_info(g.k.r.domain, &info);
	assert_int_equal(info.mappings_left, 63);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(sluice_bounce_unmap(g.k.r.view, g.b, &buf[i],
		                                     ALL, 0, NULL),
		                 0);
		assert_int_equal((unsigned char)mem[PAGE - 1], i % 251);
	}
	down(&g);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(copies_call_no_kernel),
	        cmocka_unit_test(what_devices_may),
	        cmocka_unit_test(a_mapping_takes_its_time),
	        cmocka_unit_test(measured),
	        cmocka_unit_test(not_measured),
	        cmocka_unit_test(refusals),
	        cmocka_unit_test(the_budget_lasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
