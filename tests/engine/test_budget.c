/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The budget through the public API, on a kernel that is a fake: what lanes and
 * arenas are told when it is used up, what is exported, and the texts.
 */
#include "tests/engine/krig.h"

#include <stdio.h>
#include <stdlib.h>

static struct sluice_budget budget_of(struct krig *k)
{
	struct sluice_budget b;

	memset(&b, 0xa5, sizeof(b));
	assert_int_equal(sluice_domain_get_budget(k->r.domain, &b), 0);
	return b;
}

static void says(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" does not say \"%s\"", text, what);
}

static int map_one(struct krig *k, uint64_t va, sluice_iova_t *iova)
{
	struct sluice_completion c;

	assert_int_equal(map(&k->r, va, PAGE, iova), 1);
	wait_for(k, &c, 1);
	if (c.result)
		says(sluice_completion_text(&c), "sluice_budget_explain()");
	else
		assert_string_equal(sluice_completion_text(&c), "");
	return c.result;
}

static void unmap_one(struct krig *k, sluice_iova_t iova)
{
	struct sluice_completion c;

	assert_int_equal(unmap(&k->r, iova, PAGE), 1);
	wait_for(k, &c, 1);
	assert_int_equal(c.result, 0);
}

static void the_65th(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 64};
	sluice_iova_t iova[65];
	struct krig k;
	uint64_t va;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(map_one(&k, VA + 2 * i * PAGE, &iova[i]), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(map_one(&k, VA + 128 * PAGE, &iova[64]),
		                 -ENOSPC);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 64);
	for (uint32_t i = 0; i < 64; i++) {
		assert_maps(&k.r, iova[i], VA + 2 * i * PAGE);
		assert_true(fake_vfio_reach(iova[i], &va, NULL));
		assert_int_equal(va, VA + 2 * i * PAGE);
	}
	assert_int_equal(budget_of(&k).mappings, 64);
	assert_int_equal(budget_of(&k).mappings_left, 0);
	assert_int_equal(budget_of(&k).refused, 3);
	unmap_one(&k, iova[17]);
	assert_int_equal(map_one(&k, VA + 128 * PAGE, &iova[17]), 0);
	assert_int_equal(map_one(&k, VA + 130 * PAGE, &iova[64]), -ENOSPC);
	for (uint32_t i = 0; i < 64; i++)
		unmap_one(&k, iova[i]);
	assert_int_equal(budget_of(&k).mappings_left, 64);
	krig_down(&k);
}

/* Nothing of an arena's buffers is the kernel's business. */
static void ten_thousand_buffers(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 64,
	                                   .memlock = 10240 * PAGE};
	const struct sluice_arena_cfg cfg = {
	        .size = 10000 * PAGE, .slot_size = PAGE, .no_huge = 1};
	struct sluice_buf *buf = calloc(10000, sizeof(*buf));
	struct sluice_arena *a;
	struct krig k;
	uint64_t va;

	(void)state;
	assert_non_null(buf);
	krig_up(&k, &vfio, NULL, 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &a), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(sluice_arena_get(k.r.lane, a, &buf[i]), 0);
		assert_true(fake_vfio_reach(buf[i].iova, &va, NULL));
		assert_int_equal(va, (uintptr_t)buf[i].va);
	}
	assert_int_equal(budget_of(&k).mappings, 1);
	assert_int_equal(budget_of(&k).mappings_left, 63);
	assert_int_equal(budget_of(&k).pinned_bytes, 10000 * PAGE);
	for (int i = 0; i < 10000; i++)
		sluice_arena_put(k.r.lane, a, buf[i].va);
	sluice_arena_destroy(a);
	sluice_poll(k.r.lane, NULL, 0);
	krig_down(&k);
	free(buf);
}

static void arenas_are_refused(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 2,
	                                   .memlock = 300 * PAGE};
	const struct sluice_arena_cfg cfg = {.size = 256 * PAGE, .no_huge = 1};
	struct sluice_arena *a, *b = NULL;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &a), 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &b), -ENOMEM);
	assert_null(b);
	says(sluice_last_error(), "868352 bytes missing");
	says(sluice_last_error(), "ulimit -l 2048");
	fake_vfio_set_memlock(1024 * PAGE);
	assert_int_equal(map_one(&k, VA, &iova), 0);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &b), -ENOSPC);
	assert_null(b);
	says(sluice_last_error(), "1 wanted, 0 left, 1 missing");
	says(sluice_last_error(), "echo 3 > /sys/module/vfio_iommu_type1");
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 2);
	unmap_one(&k, iova);
	assert_int_equal(sluice_arena_create(k.r.domain, &cfg, &b), 0);
	sluice_arena_destroy(b);
	sluice_arena_destroy(a);
	sluice_poll(k.r.lane, NULL, 0);
	krig_down(&k);
}

/* One lane, many requests at once: what does not fit is refused, the others
 * work, and the IOVA of the refused one is free again. */
static void refused_alone(void **state)
{
	const struct fake_vfio_cfg vfio = {.entry_limit = 64,
	                                   .memlock = 40 * PAGE};
	struct sluice_completion c[9];
	sluice_iova_t iova[9];
	uint32_t bad = 0;
	struct krig k;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(map(&k.r, VA + i * M2,
		                     i == 4 ? 33 * PAGE : PAGE, &iova[i]),
		                 1);
	wait_for(&k, c, 9);
	for (uint32_t i = 0; i < 9; i++) {
		if (c[i].result) {
			assert_int_equal(c[i].result, -ENOMEM);
			assert_int_equal(xlate(&k.r, c[i].iova, 1), -EFAULT);
			bad++;
		} else {
			assert_true(xlate(&k.r, c[i].iova, 1) == 1);
			assert_true(fake_vfio_reach(c[i].iova, &(uint64_t){0},
			                            NULL));
			assert_int_equal(unmap(&k.r, c[i].iova, c[i].len), 1);
		}
	}
	/* 8 single pages and 32 are 40. */
	assert_int_equal(bad, 1);
	krig_down(&k);
}

/* ---- what is exported ---- */

static void a_soft_domain_has_no_limit(void **state)
{
	const struct sluice_domain_cfg cfg = {.first = 0x10000,
	                                      .last = 0xfffff};
	struct sluice_range usable[2];
	struct sluice_budget b;
	struct rig r;
	char text[128];

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(sluice_domain_get_budget(r.domain, &b), 0);
	assert_int_equal(b.mappings, 0);
	assert_true(b.mappings_left == UINT64_MAX);
	assert_true(b.mappings_limit == UINT64_MAX);
	assert_true(b.locked_limit == UINT64_MAX);
	assert_true(b.cgroup_limit == UINT64_MAX);
	assert_int_equal(b.nr_usable, 1);
	assert_int_equal(b.usable_bytes, 0xf0000);
	assert_int_equal(sluice_domain_usable(r.domain, usable, 2), 1);
	assert_int_equal(usable[0].first, 0x10000);
	assert_int_equal(usable[0].last, 0xfffff);
	sluice_budget_explain(&b, UINT64_MAX, UINT64_MAX, text, sizeof(text));
	assert_string_equal(text, "It fits: any number of mappings and any "
	                          "number of bytes are left.");
	rig_down(&r);
}

static void bad_arguments(void **state)
{
	struct sluice_budget b = {.mappings = 77};
	struct krig k;

	(void)state;
	krig_open(&k, NULL, NULL, 0);
	assert_int_equal(sluice_domain_get_budget(NULL, &b), -EINVAL);
	assert_int_equal(b.mappings, 77);
	assert_int_equal(sluice_domain_get_budget(k.r.domain, NULL), -EINVAL);
	assert_int_equal(sluice_domain_usable(NULL, NULL, 0), 0);
	/* No group yet: nothing is usable, no limit is known. */
	assert_int_equal(sluice_domain_usable(k.r.domain, NULL, 0), 0);
	assert_int_equal(budget_of(&k).nr_usable, 0);
	assert_true(budget_of(&k).mappings_left == UINT64_MAX);
	assert_true(budget_of(&k).mappings_limit == UINT64_MAX);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[0]), 0);
	assert_int_equal(budget_of(&k).mappings_left, 65535);
	assert_int_equal(budget_of(&k).mappings_limit, 65535);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	krig_down(&k);
}

static void usable_ranges(void **state)
{
	const struct fake_vfio_cfg vfio = {
	        .range = {{0, 0xfedfffff}, {0xfef00000, 0xffffffff}}};
	struct sluice_range r[3] = {{0, 0}, {0, 0}, {7, 7}};
	struct krig k;

	(void)state;
	krig_up(&k, &vfio, NULL, 0);
	assert_int_equal(sluice_domain_usable(k.r.domain, NULL, 0), 2);
	assert_int_equal(sluice_domain_usable(k.r.domain, r, 1), 2);
	assert_int_equal(r[0].first, PAGE);
	assert_int_equal(r[0].last, 0xfedfffff);
	assert_int_equal(r[1].last, 0);
	assert_int_equal(sluice_domain_usable(k.r.domain, r, 3), 2);
	assert_int_equal(r[1].first, 0xfef00000);
	assert_int_equal(r[1].last, 0xffffffff);
	assert_int_equal(r[2].first, 7);
	assert_int_equal(budget_of(&k).nr_usable, 2);
	assert_true(budget_of(&k).usable_bytes == 0xfff00000u - PAGE);
	krig_down(&k);
}

static void cgroup_is_told(void **state)
{
	struct sluice_budget b;
	char text[256];
	struct krig k;

	(void)state;
	fake_cgroup_is = (struct limits_cgroup){5000000, 6000000, "/cg/x"};
	fake_entries_are = 70000;
	krig_up(&k, NULL, NULL, 0);
	b = budget_of(&k);
	assert_int_equal(b.cgroup_bytes, 5000000);
	assert_int_equal(b.cgroup_limit, 6000000);
	assert_string_equal(b.cgroup, "/cg/x");
	assert_int_equal(b.entry_limit, 70000);
	sluice_budget_explain(&b, 1, 1000000, text, sizeof(text));
	says(text, "It fits");
	says(text, "lack 3520 bytes: 'echo 6003520 > /cg/x/memory.max'");
	sluice_budget_explain(&b, 1, 900000, text, sizeof(text));
	assert_null(strstr(text, "cgroup"));
	fake_cgroup_is = (struct limits_cgroup){0, UINT64_MAX, ""};
	fake_entries_are = UINT64_MAX;
	krig_down(&k);
}

/* ---- the texts ---- */

static const struct sluice_budget some = {
        .mappings = 60,
        .mappings_left = 4,
        .mappings_limit = 64,
        .entry_limit = 64,
        .locked_bytes = 61440,
        .locked_limit = 65536,
        .locked_hard_limit = 131072,
        .cgroup_limit = UINT64_MAX,
        .pid = 4711,
};

static void text_of(const struct sluice_budget *b, uint64_t mappings,
                    uint64_t bytes, char *text, size_t len)
{
	size_t n = sluice_budget_explain(b, mappings, bytes, text, len);

	assert_int_equal(n, strlen(text));
	assert_null(strchr(text, '\n'));
}

static void texts(void **state)
{
	struct sluice_budget b = some;
	char t[1024];

	(void)state;
	text_of(&b, 4, 4096, t, sizeof(t));
	assert_string_equal(t, "It fits: 4 mappings and 4096 bytes are left.");
	text_of(&b, 5, 0, t, sizeof(t));
	says(t, "Not enough mappings: 5 wanted, 4 left, 1 missing.");
	says(t, "arena");
	says(t, "'echo 65 > "
	        "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit'");
	assert_null(strstr(t, "locked"));
	b.entry_limit = 65;
	text_of(&b, 5, 0, t, sizeof(t));
	says(t, "dma_entry_limit is 65 by now");
	assert_null(strstr(t, "echo"));
	b.entry_limit = UINT64_MAX;
	text_of(&b, 5, 0, t, sizeof(t));
	says(t, "'echo 65 > ");
	/* Up to the hard limit anybody may; a page begun is a page. */
	text_of(&b, 0, 4097, t, sizeof(t));
	says(t, "8192 bytes wanted, 4096 left (61440 of 65536 locked, "
	        "RLIMIT_MEMLOCK), 4096 bytes missing.");
	says(t, "'ulimit -l 68'");
	says(t, "'prlimit --pid 4711 --memlock=69632:'");
	assert_null(strstr(t, "root"));
	/* Beyond only root. */
	b.locked_hard_limit = 65536;
	text_of(&b, 5, 8192, t, sizeof(t));
	says(t, "Not enough mappings");
	says(t, "As root now 'prlimit --pid 4711 --memlock=69632'");
	says(t, "memlock 68\" > /etc/security/limits.d/");
	says(t, "LimitMEMLOCK=69632");
	/* Locked more than the limit allows by now. */
	b.locked_limit = 4096;
	text_of(&b, 0, 4096, t, sizeof(t));
	says(t, "4096 bytes wanted, 0 left");
	says(t, "61440 bytes missing");
	b = some;
	text_of(&b, UINT64_MAX, UINT64_MAX, t, sizeof(t));
	says(t, "Not enough mappings");
	says(t, "Not enough locked memory");
}

/* Like snprintf(): cut off where the room ends, the length of the whole. */
static void texts_are_cut(void **state)
{
	char whole[1024], t[1024];
	size_t n;

	(void)state;
	n = sluice_budget_explain(&some, 9, 1 << 20, whole, sizeof(whole));
	assert_int_equal(n, strlen(whole));
	for (size_t len = 0; len < n + 3; len++) {
		size_t fits = len ? len - 1 : 0;

		memset(t, 'x', sizeof(t));
		assert_int_equal(
		        sluice_budget_explain(&some, 9, 1 << 20, t, len), n);
		if (fits > n)
			fits = n;
		assert_memory_equal(t, whole, fits);
		if (len)
			assert_int_equal(t[fits], '\0');
		assert_int_equal(t[len], 'x');
	}
	assert_int_equal(sluice_budget_explain(&some, 9, 1 << 20, NULL, 0), n);
	strcpy(t, "old");
	assert_int_equal(sluice_budget_explain(NULL, 0, 0, t, sizeof(t)), 0);
	assert_string_equal(t, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_65th),
	        cmocka_unit_test(ten_thousand_buffers),
	        cmocka_unit_test(arenas_are_refused),
	        cmocka_unit_test(refused_alone),
	        cmocka_unit_test(a_soft_domain_has_no_limit),
	        cmocka_unit_test(bad_arguments),
	        cmocka_unit_test(usable_ranges),
	        cmocka_unit_test(cgroup_is_told),
	        cmocka_unit_test(texts),
	        cmocka_unit_test(texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
