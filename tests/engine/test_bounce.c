/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce mode on a soft domain: what a device sees and does not, what arrives
 * in the caller's memory, when buffers are mapped instead, and each error.
 */
#include "tests/engine/bounce_rig.h"

#include <stdlib.h>

#define SMALL (64u << 10) /* one slot of max_len in each size */

struct brig {
	struct rig r;
	struct sluice_bounce *b;
	char *page; /* 16 pages of the caller */
	struct sluice_bounce_buf buf;
};

static void up(struct brig *g, const struct sluice_domain_cfg *domain,
               const struct sluice_bounce_cfg *cfg)
{
	memset(g, 0, sizeof(*g));
	rig_up(&g->r, domain);
	assert_int_equal(sluice_bounce_create(g->r.domain, cfg, &g->b), 0);
	g->page = aligned_alloc(PAGE, 16 * PAGE);
	assert_non_null(g->page);
	memset(g->page, 'c', 16 * PAGE);
}

static void down(struct brig *g)
{
	assert_int_equal(g->buf.prot, 0);
	sluice_bounce_destroy(g->b);
	free(g->page);
	rig_down(&g->r);
}

static const struct sluice_bounce_cfg copies = {.break_even = NEVER_MAP};
static const struct sluice_domain_cfg vtdss = {.format = SLUICE_PT_VTDSS};

static int bmap(struct brig *g, void *va, uint64_t len, uint32_t prot)
{
	return sluice_bounce_map(g->r.view, g->b, va, len, prot, 0, &g->buf);
}

static int bunmap(struct brig *g, uint64_t used)
{
	return sluice_bounce_unmap(g->r.view, g->b, &g->buf, used, 0, NULL);
}

static int64_t dev(struct brig *g, uint64_t off, void *bytes, uint64_t len,
                   uint32_t access)
{
	return device(g->r.view, g->buf.iova + off, bytes, len, access);
}

/* ---- directions ---- */

static void to_device(void **state)
{
	struct brig g;
	char got[100];

	(void)state;
	up(&g, NULL, &copies);
	memset(g.page + 10, 'x', 100);
	assert_int_equal(bmap(&g, g.page + 10, 100, SLUICE_READ), 0);
	assert_int_equal(dev(&g, 0, got, 100, SLUICE_READ), 100);
	assert_memory_equal(got, g.page + 10, 100);
	/* What follows the copy in its slot. */
	assert_true(device_sees_zero(g.r.view, g.buf.iova + 100, 924));
	assert_int_equal(dev(&g, 0, got, 1, SLUICE_WRITE), -EACCES);
	assert_int_equal(bunmap(&g, ALL), 0);
	/* Nothing of it is left within reach. */
	assert_true(device_sees_zero(g.r.view, g.buf.iova, 1024));
	assert_int_equal(g.page[9], 'c');
	assert_int_equal(g.page[10], 'x');
	assert_int_equal(g.page[110], 'c');
	down(&g);
}

static void from_device(void **state)
{
	struct brig g;
	char bytes[100];

	(void)state;
	memset(bytes, 'd', sizeof(bytes));
	for (int f = 0; f < 2; f++) {
		struct sluice_bounce_info info;
		struct sluice_ticket t = {77};

		up(&g, f ? &vtdss : NULL, &copies);
		sluice_bounce_get_info(g.b, &info);
		assert_int_equal(info.write_only, f);
		assert_int_equal(bmap(&g, g.page + 10, 100, SLUICE_WRITE), 0);
		/* Not what the caller's memory holds. */
		if (f)
			assert_int_equal(dev(&g, 0, bytes, 1, SLUICE_READ),
			                 -EACCES);
		else
			assert_true(
			        device_sees_zero(g.r.view, g.buf.iova, 1024));
		assert_int_equal(dev(&g, 5, bytes, 90, SLUICE_WRITE), 90);
		assert_int_equal(g.page[15], 'c');
		assert_int_equal(
		        sluice_bounce_unmap(g.r.view, g.b, &g.buf, ALL, 0, &t),
		        0);
		assert_true(sluice_ticket_passed(g.r.view, t));
		assert_int_equal(g.page[9], 'c');
		assert_int_equal(g.page[10], 0); /* never written */
		assert_memory_equal(g.page + 15, bytes, 90);
		assert_int_equal(g.page[109], 0);
		assert_int_equal(g.page[110], 'c');
		if (!f)
			assert_true(
			        device_sees_zero(g.r.view, g.buf.iova, 1024));
		down(&g);
	}
}

static void both(void **state)
{
	struct brig g;
	char bytes[10] = "0123456789";

	(void)state;
	up(&g, NULL, &copies);
	assert_int_equal(bmap(&g, g.page + 1, 5000, RW), 0);
	assert_int_equal(dev(&g, 100, bytes, 10, SLUICE_WRITE), 10);
	assert_int_equal(bunmap(&g, ALL), 0);
	/* What the device left alone is as it was. */
	assert_int_equal(g.page[100], 'c');
	assert_memory_equal(g.page + 101, bytes, 10);
	assert_int_equal(g.page[111], 'c');
	assert_int_equal(g.page[5000], 'c');
	assert_true(device_sees_zero(g.r.view, g.buf.iova, 5000));
	down(&g);
}

static void only_what_was_used(void **state)
{
	struct brig g;
	char bytes[100];

	(void)state;
	memset(bytes, 'd', sizeof(bytes));
	up(&g, NULL, &copies);
	assert_int_equal(bmap(&g, g.page, 100, SLUICE_WRITE), 0);
	assert_int_equal(dev(&g, 0, bytes, 100, SLUICE_WRITE), 100);
	assert_int_equal(bunmap(&g, 40), 0);
	assert_memory_equal(g.page, bytes, 40);
	assert_int_equal(g.page[40], 'c');
	/* Nor do the bytes that the caller did not want reach the next one. */
	assert_int_equal(bmap(&g, g.page + 200, 100, SLUICE_WRITE), 0);
	assert_int_equal(bunmap(&g, ALL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(g.page[200 + i], 0);
	assert_int_equal(bmap(&g, g.page, 100, RW), 0);
	assert_int_equal(bunmap(&g, 0), 0);
	down(&g);
}

static void syncs(void **state)
{
	struct brig g;
	char bytes[64], got[64];

	(void)state;
	memset(bytes, 'd', sizeof(bytes));
	up(&g, NULL, &copies);
	for (uint32_t prot = 1; prot <= RW; prot++) {
		memset(g.page, 'c', 1000);
		assert_int_equal(bmap(&g, g.page, 1000, prot), 0);
		/* Towards the device. */
		memset(g.page + 10, 'n', 20);
		assert_int_equal(
		        sluice_bounce_sync_for_device(g.b, &g.buf, 15, 10), 0);
		if (prot & SLUICE_READ) {
			assert_int_equal(dev(&g, 10, got, 20, SLUICE_READ), 20);
			assert_memory_equal(got, "cccccnnnnnnnnnnccccc", 20);
		}
		/* And back. */
		if (prot & SLUICE_WRITE)
			assert_int_equal(dev(&g, 500, bytes, 64, SLUICE_WRITE),
			                 64);
		assert_int_equal(
		        sluice_bounce_sync_for_cpu(g.b, &g.buf, 510, 10), 0);
		assert_int_equal(g.page[509], 'c');
		assert_int_equal(g.page[510], prot & SLUICE_WRITE ? 'd' : 'c');
		assert_int_equal(g.page[520], 'c');
		/* At the edges. */
		assert_int_equal(
		        sluice_bounce_sync_for_cpu(g.b, &g.buf, 1000, 0), 0);
		assert_int_equal(
		        sluice_bounce_sync_for_device(g.b, &g.buf, 0, 1000), 0);
		assert_int_equal(bunmap(&g, 0), 0);
	}
	down(&g);
}

/* ---- lengths and slots ---- */

static void every_length_fits(void **state)
{
	static const uint64_t len[] = {1,    1023, 1024,  1025,  4095,
	                               4096, 4097, 16384, 16385, 65536};
	struct brig g;

	(void)state;
	up(&g, NULL, &copies);
	for (unsigned i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		char *got = malloc(len[i]);

		assert_non_null(got);
		memset(g.page, 'a' + (int)i, len[i]);
		assert_int_equal(bmap(&g, g.page, len[i], RW), 0);
		assert_non_null(g.buf.slot);
		assert_int_equal(g.buf.iova % (len[i] > 1024 ? PAGE : 1024), 0);
		if (len[i] <= PAGE)
			assert_int_equal(g.buf.iova / PAGE,
			                 (g.buf.iova + len[i] - 1) / PAGE);
		assert_int_equal(dev(&g, 0, got, len[i], SLUICE_READ), len[i]);
		assert_memory_equal(got, g.page, len[i]);
		assert_int_equal(bunmap(&g, ALL), 0);
		free(got);
	}
	down(&g);
}

static void odd_sizes(void **state)
{
	struct brig g;
	struct sluice_bounce_cfg cfg = copies;

	(void)state;
	/* The last size is max_len, whatever the steps are. */
	for (cfg.max_len = PAGE; cfg.max_len <= 8 * PAGE; cfg.max_len *= 2) {
		struct sluice_bounce_info info;

		up(&g, NULL, &cfg);
		sluice_bounce_get_info(g.b, &info);
		assert_int_equal(info.max_len, cfg.max_len);
		assert_int_equal(bmap(&g, g.page + 1, cfg.max_len, RW), 0);
		assert_int_equal(bunmap(&g, ALL), 0);
		assert_int_equal(bmap(&g, g.page + 1, cfg.max_len + 1, RW),
		                 -E2BIG);
		down(&g);
	}
}

static void slots_run_out(void **state)
{
	const struct sluice_bounce_cfg cfg = {
	        .bytes = 4 * SMALL, .max_len = SMALL, .break_even = NEVER_MAP};
	struct sluice_bounce_buf more[200] = {{0}};
	uint32_t nr = 0;
	struct brig g;
	int rc;

	(void)state;
	up(&g, NULL, &cfg);
	/* The small ones, then all that are larger. */
	while (nr < 200 && !(rc = sluice_bounce_map(g.r.view, g.b, g.page, 5,
	                                            RW, 0, &more[nr])))
		nr++;
	assert_int_equal(rc, -ENOBUFS);
	assert_int_equal(nr, 64 + 16 + 4 + 1);
	/* One of whole pages has another way. */
	assert_int_equal(bmap(&g, g.page, PAGE, RW), 0);
	assert_null(g.buf.slot);
	assert_int_equal(bunmap(&g, ALL), 1);
	while (nr)
		assert_int_equal(sluice_bounce_unmap(g.r.view, g.b, &more[--nr],
		                                     ALL, 0, NULL),
		                 0);
	assert_int_equal(bmap(&g, g.page, PAGE, RW), 0);
	assert_non_null(g.buf.slot);
	assert_int_equal(bunmap(&g, ALL), 0);
	down(&g);
}

/* ---- mappings ---- */

static void beyond_the_break_even(void **state)
{
	struct brig g;
	struct sluice_completion c;
	struct sluice_ticket t;
	char byte = 'd';

	(void)state;
	for (int f = 0; f < 2; f++) {
		struct sluice_bounce_cfg cfg = {.break_even = PAGE};

		up(&g, f ? &vtdss : NULL, &cfg);
		assert_int_equal(bmap(&g, g.page, PAGE, SLUICE_WRITE), 0);
		assert_non_null(g.buf.slot);
		assert_int_equal(bunmap(&g, 0), 0);
		/* The device has the caller's own pages. */
		assert_int_equal(bmap(&g, g.page, 2 * PAGE, SLUICE_WRITE), 0);
		assert_null(g.buf.slot);
		assert_int_equal(g.buf.len, 2 * PAGE);
		assert_int_equal(dev(&g, 7, &byte, 1, SLUICE_WRITE), 1);
		assert_int_equal(g.page[7], 'd');
		assert_int_equal(dev(&g, 7, &byte, 1, SLUICE_READ),
		                 f ? -EACCES : 1);
		assert_int_equal(
		        sluice_bounce_sync_for_cpu(g.b, &g.buf, 0, PAGE), 0);
		assert_int_equal(
		        sluice_bounce_sync_for_device(g.b, &g.buf, 0, PAGE), 0);
		assert_int_equal(
		        sluice_bounce_unmap(g.r.view, g.b, &g.buf, 1, 9, &t),
		        1);
		assert_int_equal(sluice_poll(g.r.lane, &c, 1), 1);
		assert_int_equal(c.cookie, 9);
		assert_true(sluice_ticket_passed(g.r.view, t));
		/* Never what does not fill its pages. */
		assert_int_equal(bmap(&g, g.page, 2 * PAGE - 1, RW), 0);
		assert_non_null(g.buf.slot);
		assert_int_equal(bunmap(&g, 0), 0);
		assert_int_equal(bmap(&g, g.page + 64, 2 * PAGE, RW), 0);
		assert_non_null(g.buf.slot);
		assert_int_equal(bunmap(&g, 0), 0);
		sluice_bounce_set_break_even(g.b, 2 * PAGE);
		assert_int_equal(bmap(&g, g.page, 2 * PAGE, RW), 0);
		assert_non_null(g.buf.slot);
		assert_int_equal(bunmap(&g, 0), 0);
		down(&g);
	}
}

static void what_is_measured(void **state)
{
	static const struct sluice_bounce_cfg one = {.max_len = PAGE};
	struct sluice_bounce_info info;
	struct brig g;

	(void)state;
	for (int i = 0; i < 2; i++) {
		up(&g, NULL, i ? &one : NULL);
		sluice_bounce_get_info(g.b, &info);
		assert_int_equal(info.max_len, i ? PAGE : 64u << 10);
		assert_int_equal(info.directions, SLUICE_BOUNCE_ALL_DIRECTIONS);
		assert_int_equal(info.bytes, 12u << 20);
		assert_true(info.copy_page_ns > 0 && info.map_page_ns > 0);
		assert_true(info.copy_max_ns >= info.copy_page_ns);
		assert_true(info.map_max_ns > 0);
		/* It is what follows from the times. */
		if (info.copy_page_ns > info.map_page_ns)
			assert_int_equal(info.break_even, 0);
		else if (info.copy_max_ns <= info.map_max_ns)
			assert_true(info.break_even == UINT64_MAX);
		else
			assert_in_range(info.break_even, PAGE, info.max_len);
		/* Every slot is zero after that. */
		assert_int_equal(bmap(&g, g.page + 1, 100, SLUICE_WRITE), 0);
		assert_true(device_sees_zero(g.r.view, g.buf.iova, PAGE));
		assert_int_equal(bunmap(&g, 0), 0);
		down(&g);
	}
	up(&g, NULL, &copies);
	sluice_bounce_get_info(g.b, &info);
	assert_int_equal(info.map_page_ns | info.map_max_ns, 0);
	assert_true(info.copy_page_ns > 0 && info.copy_max_ns > 0);
	down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(to_device),
	        cmocka_unit_test(from_device),
	        cmocka_unit_test(both),
	        cmocka_unit_test(only_what_was_used),
	        cmocka_unit_test(syncs),
	        cmocka_unit_test(every_length_fits),
	        cmocka_unit_test(odd_sizes),
	        cmocka_unit_test(slots_run_out),
	        cmocka_unit_test(beyond_the_break_even),
	        cmocka_unit_test(what_is_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
