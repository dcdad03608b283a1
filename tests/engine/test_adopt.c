/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain in a container that somebody else owns, on a VFIO that exists only
 * in this process. The owner is the test: it opens the container, puts a group
 * into it, sets the IOMMU and maps, as EAL does.
 */
#include "tests/engine/owner.h"

#include <stdio.h>

static char last_log[256];

static void keep_log(void *ctx, enum sluice_log_level level, const char *text)
{
	(void)ctx;
	if (level == SLUICE_LOG_ERROR)
		snprintf(last_log, sizeof(last_log), "%s", text);
}

static const struct sluice_range owned = {OWN_IOVA, OWN_IOVA + OWN_LEN - 1};
static const struct sluice_domain_cfg beside = {
        .backend = SLUICE_BACKEND_VFIO_TYPE1,
        .flags = SLUICE_DOMAIN_ADOPT,
        .reserved = &owned,
        .nr_reserved = 1,
};

/* The domain without lane and view. */
static void domain_up(struct krig *k, const struct owner *o,
                      const struct sluice_domain_cfg *cfg)
{
	const struct sluice_engine_cfg ecfg = {.log = keep_log};
	struct sluice_domain_cfg mine = *cfg;

	memset(k, 0, sizeof(*k));
	last_log[0] = '\0';
	mine.container_fd = o->container;
	assert_int_equal(sluice_engine_open(&ecfg, &k->r.engine), 0);
	assert_int_equal(sluice_domain_create(k->r.engine, &mine, &k->r.domain),
	                 0);
}

static void up(struct krig *k, const struct owner *o)
{
	domain_up(k, o, &beside);
	assert_int_equal(sluice_lane_open(k->r.engine, NULL, &k->r.lane), 0);
	assert_int_equal(sluice_view_open(k->r.lane, k->r.domain, &k->r.view),
	                 0);
}

static void down(struct krig *k)
{
	assert_int_equal(sluice_drain(k->r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(k->r.view), 0);
	assert_int_equal(sluice_lane_close(k->r.lane), 0);
	assert_int_equal(sluice_domain_destroy(k->r.domain), 0);
	assert_int_equal(sluice_engine_close(k->r.engine), 0);
}

static void says(const char *what)
{
	if (!strstr(sluice_last_error(), what))
		fail_msg("\"%s\" does not say \"%s\"", sluice_last_error(),
		         what);
}

/* What cannot be adopted. The real kernel answers here, too: a file that is no
 * container. */
static void refusals(void **state)
{
	struct sluice_domain_cfg cfg = beside;
	struct sluice_domain *d = NULL;
	struct sluice_engine *e;
	struct owner o;

	(void)state;
	assert_int_equal(sluice_engine_open(NULL, &e), 0);
	cfg.container_fd = 2147483647;
	assert_int_equal(sluice_domain_create(e, &cfg, &d), -EINVAL);
	says("2147483647");
	cfg.container_fd = -1;
	assert_int_equal(sluice_domain_create(e, &cfg, &d), -EINVAL);
	says("SLUICE_DOMAIN_ADOPT");
	cfg.container_fd = 0;
	cfg.backend = SLUICE_BACKEND_SOFT;
	assert_int_equal(sluice_domain_create(e, &cfg, &d), -EINVAL);
	says("SLUICE_DOMAIN_ADOPT");
	owner_open(&o, NULL);
	cfg.backend = SLUICE_BACKEND_VFIO_TYPE1;
	cfg.container_fd = o.container;
	assert_int_equal(sluice_domain_create(e, &cfg, &d), -ENODEV);
	says("no type1 IOMMU");
	assert_null(d);
	assert_int_equal(sluice_engine_close(e), 0);
	/* A refusal leaves the descriptor open. */
	assert_int_equal(fake_vfio_open_fds(), 2);
	owner_down(&o);
}

static void one_address_space(void **state)
{
	struct sluice_domain_info info;
	struct sluice_group g = {.id = 0};
	sluice_iova_t iova;
	struct owner o;
	struct krig k;
	uint64_t va;

	(void)state;
	owner_up(&o, NULL);
	up(&k, &o);
	map_and_wait(&k, VA, 3 * PAGE, &iova);
	assert_true(fake_vfio_reach(iova + PAGE, &va, NULL));
	assert_int_equal(va, VA + PAGE);
	assert_true(fake_vfio_reach(OWN_IOVA, &va, NULL));
	/* One container, which was opened once and by its owner. */
	assert_int_equal(fake_vfio_open_fds(), 2);
	assert_int_equal(fake_vfio_calls(VFIO_SET_IOMMU), 1);
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.adopted, 1);
	assert_int_equal(info.nr_groups, 0);
	assert_int_equal(info.mappings_left, 65535 - 2);
	assert_int_equal(sluice_domain_attach(k.r.domain, &g), -EINVAL);
	says("somebody else");
	assert_int_equal(sluice_domain_detach(k.r.domain, &g), -ENOENT);
	assert_null(g.owner);
	assert_int_equal(fake_vfio_calls(VFIO_GROUP_SET_CONTAINER), 1);
	/* The owner's IOVAs are not ours to give or to take. */
	assert_int_equal(unmap(&k.r, OWN_IOVA, OWN_LEN), -ENOENT);
	assert_true(fake_vfio_reach(OWN_IOVA, &va, NULL));
	assert_int_equal(unmap(&k.r, iova, 3 * PAGE), 1);
	down(&k);
	owner_down(&o);
}

/* What is reserved is handed out to nobody, however full the aperture is. */
static void keeps_away(void **state)
{
	struct sluice_domain_cfg cfg = beside;
	uint32_t nr = 0;
	sluice_iova_t iova;
	struct owner o;
	struct krig k;

	(void)state;
	cfg.first = OWN_IOVA - 64 * PAGE;
	cfg.last = OWN_IOVA + OWN_LEN + 64 * PAGE - 1;
	owner_up(&o, NULL);
	domain_up(&k, &o, &cfg);
	assert_int_equal(sluice_lane_open(k.r.engine, NULL, &k.r.lane), 0);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	while (map(&k.r, VA + nr * PAGE, PAGE, &iova) == 1) {
		struct sluice_completion c;

		wait_for(&k, &c, 1);
		assert_int_equal(c.result, 0);
		assert_true(iova + PAGE <= owned.first || iova > owned.last);
		nr++;
	}
	assert_true(nr > 0 && nr <= 128);
	assert_int_equal(fake_vfio_mappings(NULL, 0), nr + 1);
	down(&k);
	owner_down(&o);
}

/* The kernel stands between two who want one IOVA. */
static void collision(void **state)
{
	struct sluice_domain_cfg cfg = beside;
	struct sluice_completion c;
	struct owner o;
	struct krig k;

	(void)state;
	cfg.flags |= SLUICE_DOMAIN_CALLER_IOVA;
	cfg.nr_reserved = 0; /* the pointer beside it is not looked at */
	cfg.windows = &owned;
	owner_up(&o, NULL);
	domain_up(&k, &o, &cfg);
	assert_int_equal(sluice_lane_open(k.r.engine, NULL, &k.r.lane), 0);
	assert_int_equal(sluice_view_open(k.r.lane, k.r.domain, &k.r.view), 0);
	assert_int_equal(map_fixed(&k.r, VA, PAGE, OWN_IOVA + PAGE), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, -EEXIST);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
	down(&k);
	owner_down(&o);
}

/* The owner's mappings count, those that come and go later, too. */
static void budget_of_two(void **state)
{
	struct fake_vfio_cfg vfio = {.entry_limit = 8};
	struct sluice_domain_info info;
	struct sluice_completion c;
	sluice_iova_t iova;
	struct owner o;
	struct krig k;

	(void)state;
	owner_up(&o, &vfio);
	up(&k, &o);
	for (uint64_t i = 1; i < 7; i++)
		assert_int_equal(own_map(&o, OWN_IOVA + i * OWN_LEN, PAGE), 0);
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.mappings_left, 1);
	map_and_wait(&k, VA, PAGE, &iova);
	assert_int_equal(map(&k.r, VA + 8 * PAGE, PAGE, &iova), 1);
	wait_for(&k, &c, 1);
	assert_int_equal(c.result, -ENOSPC);
	assert_int_equal(own_unmap(&o, OWN_IOVA + OWN_LEN, PAGE), 0);
	/* Nobody told us: a map asks before it refuses. */
	map_and_wait(&k, VA + 8 * PAGE, PAGE, &iova);
	sluice_domain_get_info(k.r.domain, &info);
	assert_int_equal(info.mappings_left, 0);
	down(&k);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 6);
	owner_down(&o);
}

/* The container does not end with the domain, so what is left is unmapped. */
static void leaves_as_it_came(void **state)
{
	const struct sluice_arena_cfg acfg = {.size = 8 * PAGE, .no_huge = 1};
	struct fake_vfio_mapping m[2];
	struct sluice_arena *arena;
	sluice_iova_t iova;
	struct owner o;
	struct krig k;

	(void)state;
	owner_up(&o, NULL);
	up(&k, &o);
	for (uint64_t i = 0; i < 100; i++)
		map_and_wait(&k, VA + 2 * i * PAGE, PAGE, &iova);
	assert_int_equal(sluice_arena_create(k.r.domain, &acfg, &arena), 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 102);
	sluice_arena_destroy(arena);
	down(&k);
	assert_string_equal(last_log, "");
	assert_int_equal(fake_vfio_mappings(m, 2), 1);
	assert_int_equal(m[0].iova, OWN_IOVA);
	assert_int_equal(fake_vfio_open_fds(), 2);
	owner_down(&o);
}

static void what_the_kernel_keeps_is_told(void **state)
{
	sluice_iova_t iova;
	struct owner o;
	struct krig k;

	(void)state;
	owner_up(&o, NULL);
	up(&k, &o);
	map_and_wait(&k, VA, PAGE, &iova);
	fake_vfio_fail(VFIO_IOMMU_UNMAP_DMA, 1, EIO);
	down(&k);
	assert_non_null(strstr(last_log, "stays mapped"));
	assert_int_equal(fake_vfio_mappings(NULL, 0), 2);
	owner_down(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refusals),
	        cmocka_unit_test(one_address_space),
	        cmocka_unit_test(keeps_away),
	        cmocka_unit_test(collision),
	        cmocka_unit_test(budget_of_two),
	        cmocka_unit_test(leaves_as_it_came),
	        cmocka_unit_test(what_the_kernel_keeps_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
