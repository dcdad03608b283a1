/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each error of bounce mode on a soft domain, and that it changes nothing; and
 * a heap that ends during creation.
 */
#include "tests/engine/bounce_rig.h"

#include <stdlib.h>

#include "tests/pagetable/failing_heap.h"

static const struct sluice_bounce_cfg copies = {.break_even = NEVER_MAP};

static void refused(struct sluice_domain *domain,
                    const struct sluice_bounce_cfg *cfg, int want,
                    const char *word)
{
	struct sluice_bounce *b = (void *)1;

	assert_int_equal(sluice_bounce_create(domain, cfg, &b), want);
	assert_ptr_equal(b, (void *)1);
	assert_non_null(strstr(sluice_last_error(), word));
}

static void creation(void **state)
{
	static const struct sluice_domain_cfg lazy = {.mode = SLUICE_MODE_LAZY};
	struct sluice_bounce_cfg c = copies;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	refused(NULL, NULL, -EINVAL, "NULL");
	assert_int_equal(sluice_bounce_create(r.domain, NULL, NULL), -EINVAL);
	c.max_len = 2048;
	refused(r.domain, &c, -EINVAL, "max_len");
	c.max_len = 3 * PAGE;
	refused(r.domain, &c, -EINVAL, "max_len");
	c.max_len = 2 * SLUICE_BOUNCE_MAX_LEN;
	refused(r.domain, &c, -EINVAL, "max_len");
	c = copies;
	c.directions = 1;
	refused(r.domain, &c, -EINVAL, "directions");
	c = copies;
	c.flags = SLUICE_MAP_FIXED;
	refused(r.domain, &c, -EINVAL, "SLUICE_MAP_32BIT");
	c = copies;
	c.bytes = 4 * (64u << 10) - 1;
	refused(r.domain, &c, -EINVAL, "at least 262144");
	sluice_bounce_destroy(NULL);
	rig_down(&r);

	rig_up(&r, &lazy);
	refused(r.domain, NULL, -EINVAL, "strict");
	rig_down(&r);
	rig_up(&r, &caller_iova);
	refused(r.domain, NULL, -EOPNOTSUPP, "allocator");
	rig_down(&r);
}

static void no_addresses(void **state)
{
	const struct sluice_domain_cfg narrow = {.first = 1u << 20,
	                                         .last = (3u << 20) - 1};
	struct rig r;

	(void)state;
	rig_up(&r, &narrow);
	refused(r.domain, NULL, -ENOSPC, "IOVA");
	rig_down(&r);
}

static void no_memory(void **state)
{
	struct sluice_bounce *b = NULL;
	unsigned failed = 0;
	struct rig r;
	int rc = -ENOMEM;

	(void)state;
	rig_up(&r, NULL);
	for (unsigned n = 0; rc; n++) {
		heap_left = n;
		rc = sluice_bounce_create(r.domain, NULL, &b);
		heap_left = HEAP_OK;
		if (!rc)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_null(b);
		failed++;
		/* Nothing is left, or the domain would not go. */
		sluice_poll(r.lane, NULL, 0);
	}
	assert_true(failed > 10);
	sluice_bounce_destroy(b);
	rig_down(&r);
}

struct brig {
	struct rig r;
	struct sluice_bounce *b;
	struct sluice_bounce_buf buf;
};

static void up(struct brig *g, const struct sluice_bounce_cfg *cfg)
{
	memset(g, 0, sizeof(*g));
	rig_up(&g->r, NULL);
	assert_int_equal(sluice_bounce_create(g->r.domain, cfg, &g->b), 0);
}

static void down(struct brig *g)
{
	sluice_bounce_destroy(g->b);
	rig_down(&g->r);
}

static char mem[4 * PAGE] __attribute__((aligned(PAGE)));

static int bmap(struct brig *g, void *va, uint64_t len, uint32_t prot)
{
	return sluice_bounce_map(g->r.view, g->b, va, len, prot, 0, &g->buf);
}

static int bunmap(struct brig *g, uint64_t used)
{
	return sluice_bounce_unmap(g->r.view, g->b, &g->buf, used, 0, NULL);
}

static void maps(void **state)
{
	struct sluice_bounce_cfg some = {.directions = SLUICE_BOUNCE_TO_DEVICE,
	                                 .break_even = NEVER_MAP};
	const struct sluice_bounce_buf none = {0};
	struct brig g, other;

	(void)state;
	up(&g, &some);
	rig_up(&other.r, NULL);
	assert_int_equal(bmap(&g, NULL, 1, RW), -EINVAL);
	assert_int_equal(sluice_bounce_map(g.r.view, g.b, mem, 1, RW, 0, NULL),
	                 -EINVAL);
	assert_int_equal(
	        sluice_bounce_map(other.r.view, g.b, mem, 1, RW, 0, &g.buf),
	        -EINVAL);
	assert_int_equal(bmap(&g, mem, 0, RW), -EINVAL);
	assert_int_equal(bmap(&g, mem, UINT64_MAX, RW), -EINVAL);
	assert_int_equal(bmap(&g, mem, 1, 0), -EINVAL);
	assert_int_equal(bmap(&g, mem, 1, 4), -EINVAL);
	assert_int_equal(bmap(&g, mem + 1, 65537, SLUICE_READ), -E2BIG);
	assert_int_equal(bmap(&g, mem + 1, 1, RW), -EOPNOTSUPP);
	assert_memory_equal(&g.buf, &none, sizeof(none));
	/* Whole pages need no slots. */
	assert_int_equal(bmap(&g, mem, PAGE, RW), 0);
	assert_null(g.buf.slot);
	assert_int_equal(bmap(&g, mem, 1, SLUICE_READ), -EBUSY);
	assert_int_equal(bunmap(&g, ALL), 1);
	rig_down(&other.r);
	down(&g);
}

static void unmaps_and_syncs(void **state)
{
	struct brig g, other;

	(void)state;
	up(&g, &copies);
	rig_up(&other.r, NULL);
	assert_int_equal(bunmap(&g, ALL), -ENOENT);
	assert_int_equal(sluice_bounce_unmap(g.r.view, g.b, NULL, 0, 0, NULL),
	                 -ENOENT);
	assert_int_equal(sluice_bounce_sync_for_cpu(g.b, &g.buf, 0, 0),
	                 -ENOENT);
	assert_int_equal(sluice_bounce_sync_for_device(g.b, &g.buf, 0, 0),
	                 -ENOENT);
	assert_int_equal(bmap(&g, mem + 1, 100, RW), 0);
	assert_int_equal(bunmap(&g, 101), -EINVAL);
	assert_int_equal(
	        sluice_bounce_unmap(other.r.view, g.b, &g.buf, 0, 0, NULL),
	        -EINVAL);
	assert_int_equal(sluice_bounce_sync_for_cpu(g.b, &g.buf, 101, 0),
	                 -EINVAL);
	assert_int_equal(sluice_bounce_sync_for_cpu(g.b, &g.buf, 50, 51),
	                 -EINVAL);
	assert_int_equal(
	        sluice_bounce_sync_for_device(g.b, &g.buf, 1, UINT64_MAX),
	        -EINVAL);
	assert_int_equal(bunmap(&g, ALL), 0);
	assert_int_equal(bunmap(&g, ALL), -ENOENT);
	rig_down(&other.r);
	down(&g);
}

/* Errors of sluice_map() and sluice_unmap() come through. */
static void of_mappings(void **state)
{
	static const struct sluice_bounce_cfg maps_all = {.break_even = 1};
	const struct sluice_bounce_buf none = {0};
	struct brig g;

	(void)state;
	up(&g, &maps_all);
	assert_int_equal(sluice_lane_offline(g.r.lane), 0);
	assert_int_equal(bmap(&g, mem, PAGE, RW), -ENETDOWN);
	assert_memory_equal(&g.buf, &none, sizeof(none));
	sluice_lane_online(g.r.lane);
	assert_int_equal(bmap(&g, mem, PAGE, RW), 0);
	assert_int_equal(sluice_lane_offline(g.r.lane), 0);
	assert_int_equal(bunmap(&g, ALL), -ENETDOWN);
	assert_int_equal(g.buf.prot, RW);
	sluice_lane_online(g.r.lane);
	assert_int_equal(bunmap(&g, ALL), 1);
	assert_int_equal(g.buf.prot, 0);
	down(&g);
}

static void *elsewhere(void *arg)
{
	struct brig *g = arg;

	return (void *)(intptr_t)bmap(g, mem + 1, 10, RW);
}

static void wrong_thread(void **state)
{
#ifdef SLUICE_DEBUG_CHECKS
	const int want = -EPERM;
#else
	const int want = 0;
#endif
	pthread_t thread;
	struct brig g;
	void *ret;

	(void)state;
	up(&g, &copies);
	assert_int_equal(pthread_create(&thread, NULL, elsewhere, &g), 0);
	pthread_join(thread, &ret);
	assert_int_equal((int)(intptr_t)ret, want);
	assert_int_equal(g.buf.prot, want ? 0 : RW);
	if (!want)
		assert_int_equal(bunmap(&g, ALL), 0);
	down(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(creation),
	        cmocka_unit_test(no_addresses),
	        cmocka_unit_test(no_memory),
	        cmocka_unit_test(maps),
	        cmocka_unit_test(unmaps_and_syncs),
	        cmocka_unit_test(of_mappings),
	        cmocka_unit_test(wrong_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
