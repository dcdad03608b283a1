/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups that join a domain in use: what they cannot use is in nobody's way, or
 * the refusal names it with the mapping that lies there, and nothing has
 * changed.
 */
#include "tests/engine/krig.h"

#include <stdio.h>
#include <stdlib.h>

#define AT UINT64_C(0x40000000)

static const struct fake_vfio_range wide[] = {{0, (UINT64_C(1) << 40) - 1}};

static const struct sluice_group_region firmware = {
        AT, AT + 0xfff, SLUICE_RESV_DIRECT, "direct"};

static void up(struct krig *k, uint32_t flags)
{
	const struct sluice_domain_cfg cfg = {.flags = flags};
	struct fake_vfio_cfg vfio = {.nr_groups = 2};

	memcpy(vfio.range, wide, sizeof(wide));
	krig_up(k, &vfio, &cfg, 0);
}

/* Everything that a caller can see of the domain's groups and addresses. */
struct picture {
	struct sluice_domain_info info;
	uint32_t attaches, leaves, mappings;
};

static struct picture picture(struct krig *k)
{
	struct picture p = {
	        .attaches = fake_vfio_calls(VFIO_GROUP_SET_CONTAINER),
	        .leaves = fake_vfio_calls(VFIO_GROUP_UNSET_CONTAINER),
	        .mappings = fake_vfio_mappings(NULL, 0),
	};

	sluice_domain_get_info(k->r.domain, &p.info);
	return p;
}

static void same(const struct picture *a, const struct picture *b)
{
	assert_int_equal(a->info.nr_groups, b->info.nr_groups);
	assert_int_equal(a->info.first, b->info.first);
	assert_int_equal(a->info.last, b->info.last);
	assert_int_equal(a->info.iova_total, b->info.iova_total);
	assert_int_equal(a->info.iova_free, b->info.iova_free);
	assert_int_equal(a->attaches - a->leaves, b->attaches - b->leaves);
	assert_int_equal(a->mappings, b->mappings);
}

static void map_at(struct krig *k, uint64_t len, sluice_iova_t iova)
{
	struct sluice_completion c;

	assert_int_equal(map_fixed(&k->r, VA, len, iova), 1);
	wait_for(k, &c, 1);
	assert_int_equal(c.result, 0);
}

static void unmap_at(struct krig *k, uint64_t len, sluice_iova_t iova)
{
	assert_int_equal(unmap(&k->r, iova, len), 1);
	assert_int_equal(sluice_drain(k->r.lane, PATIENCE), 0);
}

static void says(const char *a, const char *b, const char *c)
{
	assert_non_null(strstr(sluice_last_error(), a));
	assert_non_null(strstr(sluice_last_error(), b));
	assert_non_null(strstr(sluice_last_error(), c));
}

/* The kernel is not even asked. Gone from there, the group is welcome. */
static void mapped_where_firmware_is(void **state)
{
	struct picture before, after;
	struct krig k;

	(void)state;
	up(&k, SLUICE_DOMAIN_CALLER_IOVA);
	map_at(&k, 16 * PAGE, AT - 8 * PAGE);
	map_at(&k, PAGE, AT - 100 * PAGE);
	k.group[1].regions = &firmware;
	k.group[1].nr_regions = 1;
	before = picture(&k);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), -EBUSY);
	says("0x40000000-0x40000fff (direct)", "0x3fff8000-0x40007fff",
	     "domain of its own");
	after = picture(&k);
	same(&before, &after);
	assert_int_equal(before.attaches, after.attaches);
	assert_null(k.group[1].owner);
	assert_maps(&k.r, AT, VA + 8 * PAGE);
	unmap_at(&k, 16 * PAGE, AT - 8 * PAGE);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	krig_down(&k);
}

/* What firmware gives up, and what lies elsewhere, is no obstacle. */
static void beside_and_relaxable(void **state)
{
	const struct sluice_group_region some[] = {
	        {AT + PAGE, AT + 2 * PAGE - 1, SLUICE_RESV_MSI, "msi"},
	        {AT, AT + PAGE - 1, SLUICE_RESV_DIRECT_RELAXABLE,
	         "direct-relaxable"},
	        {AT - PAGE, AT - 1, SLUICE_RESV_RESERVED, "reserved"},
	};
	struct krig k;

	(void)state;
	up(&k, SLUICE_DOMAIN_CALLER_IOVA);
	map_at(&k, PAGE, AT);
	k.group[1].regions = some;
	k.group[1].nr_regions = 3;
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	assert_maps(&k.r, AT, VA);
	unmap_at(&k, PAGE, AT);
	krig_down(&k);
}

/* What sysfs does not list, the kernel's ranges show, after it took the group:
 * which leaves again. */
static void mapped_where_the_kernel_narrows(void **state)
{
	static const struct fake_vfio_range narrow[] = {
	        {0, AT - 1}, {AT + 0x1000, (UINT64_C(1) << 40) - 1}};
	struct picture before, after;
	struct krig k;

	(void)state;
	up(&k, SLUICE_DOMAIN_CALLER_IOVA);
	map_at(&k, 2 * PAGE, AT);
	before = picture(&k);
	fake_vfio_set_ranges(narrow, 2);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), -EBUSY);
	says("0x40000000-0x40000fff", "0x40000000-0x40001fff", "unmap it");
	after = picture(&k);
	same(&before, &after);
	assert_int_equal(after.leaves, before.leaves + 1);
	assert_null(k.group[1].owner);
	unmap_at(&k, 2 * PAGE, AT);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	krig_down(&k);
}

/* A window needs a table that is ours. */
static void no_carve_on_the_kernel(void **state)
{
	const struct sluice_carve_window w = {AT, AT + PAGE - 1, 0, 0, 0};
	struct sluice_carve *carve;
	struct krig k;

	(void)state;
	up(&k, 0);
	assert_int_equal(sluice_carve_create(k.r.domain, &w, 1, &carve),
	                 -EOPNOTSUPP);
	says("one table", "container", "domain of its own");
	krig_down(&k);
}

/* The allocator's: of several ranges the last is in use, and all others are
 * still the lanes' afterwards; two of them want one granule. */
static void all_ranges_or_none(void **state)
{
	struct fake_vfio_range narrow[4] = {{0, 0}};
	struct picture before, after;
	uint64_t granule, used;
	sluice_iova_t iova;
	struct krig k;

	(void)state;
	up(&k, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	granule = iova_space_granule(k.r.domain->iova);
	used = iova & ~(granule - 1);
	assert_true(used >= 8 * granule);
	/* Two pieces of one granule below, one beside the page. */
	narrow[0].last = used - 4 * granule - 1;
	narrow[1].first = used - 4 * granule + PAGE;
	narrow[1].last = used - 4 * granule + 2 * PAGE - 1;
	narrow[2].first = used - 4 * granule + 3 * PAGE;
	narrow[2].last = used + granule - 8 * PAGE - 1;
	narrow[3].first = used + granule - 4 * PAGE;
	narrow[3].last = wide[0].last;
	if (iova >= narrow[2].last)
		narrow[2].last = used - 1, narrow[3].first = used + PAGE;
	before = picture(&k);
	fake_vfio_set_ranges(narrow, 4);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), -EBUSY);
	says("cannot use", "beside which", "attach the group before mapping");
	after = picture(&k);
	same(&before, &after);
	assert_false(iova_space_is_reserved(
	        k.r.domain->iova, used - 4 * granule, used - 3 * granule - 1));
	/* Without the last piece it may join, and the granule is gone. */
	narrow[2].last = wide[0].last;
	fake_vfio_set_ranges(narrow, 3);
	assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]), 0);
	assert_true(iova_space_is_reserved(k.r.domain->iova, used - 4 * granule,
	                                   used - 3 * granule - 1));
	after = picture(&k);
	assert_int_equal(after.info.iova_total,
	                 before.info.iova_total - granule);
	unmap_at(&k, PAGE, iova);
	krig_down(&k);
}

/* What left the allocator for one group does not come back for the next. */
static void none_comes_back(void **state)
{
	struct fake_vfio_range narrow[] = {{0, AT - 1}, wide[0]};
	uint64_t total = 0;
	struct krig k;

	(void)state;
	up(&k, 0);
	narrow[1].first = AT + PAGE;
	for (int i = 0; i < 4; i++) {
		fake_vfio_set_ranges(i % 2 ? wide : narrow, i % 2 ? 1 : 2);
		assert_int_equal(sluice_domain_attach(k.r.domain, &k.group[1]),
		                 0);
		assert_int_equal(k.r.domain->nr_usable, 2);
		assert_int_equal(k.r.domain->usable[0].last, AT - 1);
		if (i == 0)
			total = picture(&k).info.iova_total;
		assert_int_equal(picture(&k).info.iova_total, total);
		assert_int_equal(sluice_domain_detach(k.r.domain, &k.group[1]),
		                 0);
	}
	krig_down(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(mapped_where_firmware_is),
	        cmocka_unit_test(beside_and_relaxable),
	        cmocka_unit_test(mapped_where_the_kernel_narrows),
	        cmocka_unit_test(all_ranges_or_none),
	        cmocka_unit_test(none_comes_back),
	        cmocka_unit_test(no_carve_on_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
