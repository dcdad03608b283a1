/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The situations that this project grew out of, where a group is about to be
 * used or is: real groups of a tree made by hand, the real engine, and a VFIO
 * that exists only in this process.
 */
#include "tests/engine/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "needs.h"
#include "tests/backend/fake_limits.h"
#include "tests/backend/fake_vfio.h"
#include "tree.h"

#define VA UINT64_C(0x7f0000000000)
#define COOKIE 0xc00c1e

/* ---- the default domain ---- */

/* Two are decided for and in use when the third comes, or all three are there
 * in any order: never a silent change, always both names. */
static void default_domain_conflict_of_a_third_device(void **state)
{
	static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const struct sluice_require who[] = {
	        member("0000:00:02.0", SLUICE_REQUIRE_TRANSLATED),
	        member("0000:00:02.1", SLUICE_REQUIRE_ANY),
	        member("0000:00:02.2", SLUICE_REQUIRE_IDENTITY)};
	struct sluice_decision *d = decide(who, 2);
	char before[512], after[512], text[512] = "";

	(void)state;
	assert_int_equal(sluice_decision_get(d)->type,
	                 SLUICE_REQUIRE_TRANSLATED);
	write_out(d, before, sizeof(before));
	assert_int_equal(sluice_decision_check(d, &who[2]), -EBUSY);
	assert_non_null(strstr(msg_last(), "0000:00:02.2 needs untranslated"));
	assert_non_null(strstr(msg_last(), "0000:00:02.0 needs translated"));
	write_out(d, after, sizeof(after));
	assert_string_equal(before, after);
	assert_int_equal(sluice_decision_check(d, &who[0]), 0);
	sluice_decision_free(d);
	for (int i = 0; i < 6; i++) {
		const struct sluice_require m[] = {who[orders[i][0]],
		                                   who[orders[i][1]],
		                                   who[orders[i][2]]};

		assert_int_equal(sluice_require_decide(m, 3, &d), -EBUSY);
		assert_non_null(strstr(msg_last(), "0000:00:02.0 needs tr"));
		assert_non_null(strstr(msg_last(), "0000:00:02.2 needs untr"));
		if (i)
			assert_string_equal(msg_last(), text);
		snprintf(text, sizeof(text), "%s", msg_last());
	}
}

/* ---- a group that is complete ---- */

static bool kernel_says_no;

static int status_ioctl(int fd, unsigned long request, void *arg)
{
	int rc = fake_vfio_ioctl(fd, request, arg);

	if (request == VFIO_GROUP_GET_STATUS && kernel_says_no)
		((struct vfio_group_status *)arg)->flags &=
		        ~(uint32_t)VFIO_GROUP_FLAGS_VIABLE;
	return rc;
}

static struct sys_table judging;

static void take_over(void)
{
	fake_vfio_reset(NULL);
	judging = *sys;
	judging.ioctl = status_ioctl;
	sys = &judging;
	limits = &fake_limits;
}

static const char *const names[] = {"0000:01:00.0", "0000:01:00.1",
                                    "0000:01:00.2"};

/* Open it by each of its members: 0, or a refusal that names whom. */
static void check_open(const struct tree *t, const char *blocker)
{
	struct sluice_group_cfg cfg = {.sysfs_root = t->root};
	struct sluice_group *g = NULL;

	for (size_t i = 0; i < NR_OF(names); i++) {
		int rc = sluice_group_open(names[i], &cfg, &g);

		if (!blocker) {
			assert_int_equal(rc, 0);
			assert_true(sluice_group_describe(g)->viable);
			assert_int_equal(sluice_group_close(g), 0);
			continue;
		}
		assert_int_equal(rc, -EPERM);
		assert_non_null(strstr(msg_last(), "group 0 is not viable"));
		assert_non_null(strstr(msg_last(), blocker));
		assert_non_null(strstr(msg_last(), "nvme"));
	}
	assert_int_equal(fake_vfio_open_fds(), 0);
}

/* Three members, each with nothing, VFIO, a harmless driver or one in the
 * way. */
static void group_viable_only_when_complete(void **state)
{
	static const char *const drivers[] = {NULL, "vfio-pci", "pci-stub",
	                                      "nvme"};
	uint32_t viable = 0;

	(void)state;
	for (uint32_t n = 0; n < 64; n++) {
		const uint32_t of[] = {n & 3, n >> 2 & 3, n >> 4};
		struct sluice_group_set *set;
		const char *blocker = NULL;
		struct tree t;

		take_over();
		tree_new(&t);
		for (int i = 3; i-- > 0;) {
			tree_pci(&t, names[i], 0, drivers[of[i]], "0x010802\n");
			if (of[i] == 3)
				blocker = names[i];
		}
		kernel_says_no = blocker != NULL;
		assert_int_equal(sluice_groups_read(t.root, &set), 0);
		assert_int_equal(sluice_groups_get(set, 0)->viable, !blocker);
		sluice_group_set_free(set);
		check_open(&t, blocker);
		viable += !blocker;
		tree_free(&t);
	}
	assert_int_equal(viable, 27);
}

/* ---- a group in use ---- */

struct used {
	struct tree tree;
	struct rig r;
	struct sluice_group *group;
	struct sluice_device *dev;
	sluice_iova_t iova;
};

static int await(struct used *u, struct sluice_completion *c)
{
	uint64_t end = clock_ns() + PATIENCE;

	while (!sluice_poll(u->r.lane, c, 1))
		assert_true(clock_ns() < end);
	return c->result;
}

static int map_one(struct used *u, uint64_t va, sluice_iova_t *iova)
{
	struct sluice_completion c;

	assert_int_equal(map(&u->r, va, PAGE, iova), 1);
	return await(u, &c);
}

static void use(struct used *u)
{
	const struct sluice_domain_cfg kernel = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1};
	struct sluice_device_cfg cfg = {.cookie = COOKIE};
	struct sluice_group_cfg sysfs;

	take_over();
	kernel_says_no = false;
	tree_new(&u->tree);
	tree_pci(&u->tree, names[0], 0, "vfio-pci", "0x010802\n");
	tree_pci(&u->tree, names[1], 0, NULL, "0x010802\n");
	sysfs = (struct sluice_group_cfg){.sysfs_root = u->tree.root};
	assert_int_equal(sluice_group_open(names[0], &sysfs, &u->group), 0);
	assert_int_equal(sluice_engine_open(NULL, &u->r.engine), 0);
	assert_int_equal(
	        sluice_domain_create(u->r.engine, &kernel, &u->r.domain), 0);
	assert_int_equal(sluice_lane_open(u->r.engine, NULL, &u->r.lane), 0);
	assert_int_equal(sluice_domain_attach(u->r.domain, u->group), 0);
	assert_int_equal(sluice_view_open(u->r.lane, u->r.domain, &u->r.view),
	                 0);
	cfg.lane = u->r.lane;
	assert_int_equal(
	        sluice_device_open(u->r.domain, u->group, NULL, &cfg, &u->dev),
	        0);
	assert_int_equal(map_one(u, VA, &u->iova), 0);
}

static void check_ours(const struct used *u)
{
	struct sluice_group_cfg cfg = {.sysfs_root = u->tree.root};
	struct sluice_group *other = NULL;
	uint64_t va = 0;

	/* Our device reaches our memory, and nobody else gets the group. */
	assert_true(fake_vfio_reach(u->iova, &va, NULL));
	assert_int_equal(va, VA);
	assert_int_equal(sluice_group_open(names[0], &cfg, &other), -EBUSY);
	assert_null(other);
}

/* By no call, in no order, and not when the kernel refuses. */
static void is_not_given_up(struct used *u)
{
	check_ours(u);
	assert_int_equal(sluice_group_close(u->group), -EBUSY);
	assert_non_null(strstr(msg_last(), "sluice_domain_detach"));
	check_ours(u);
	assert_int_equal(sluice_domain_attach(u->r.domain, u->group), -EBUSY);
	check_ours(u);
	assert_int_equal(sluice_domain_detach(u->r.domain, u->group), -EBUSY);
	assert_non_null(strstr(msg_last(), "sluice_device_close"));
	check_ours(u);
	assert_int_equal(sluice_domain_destroy(u->r.domain), -EBUSY);
	check_ours(u);
	/* Nor is a domain's last group while something is mapped. */
	assert_int_equal(sluice_device_close(u->dev), 0);
	assert_int_equal(sluice_domain_detach(u->r.domain, u->group), -EBUSY);
	assert_non_null(strstr(msg_last(), "1 mappings live"));
	check_ours(u);
}

/* A descriptor of a device that the library handed out and does not know any
 * more: the kernel knows it. */
static void nor_by_the_kernel(struct used *u)
{
	struct sluice_completion c;
	int fd;

	assert_true(unmap(&u->r, u->iova, PAGE) >= 0);
	assert_int_equal(await(u, &c), 0);
	assert_int_equal(sluice_group_device_open(u->group, NULL, &fd), 0);
	assert_int_equal(sluice_domain_detach(u->r.domain, u->group), -EBUSY);
	assert_non_null(strstr(msg_last(), "close their descriptors"));
	assert_int_equal(sluice_group_close(u->group), -EBUSY);
	assert_int_equal(map_one(u, VA, &u->iova), 0);
	check_ours(u);
	assert_int_equal(fake_vfio_close(fd), 0);
	check_ours(u);
}

static void release(struct used *u)
{
	assert_int_equal(sluice_drain(u->r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(u->r.view), 0);
	assert_int_equal(sluice_lane_close(u->r.lane), 0);
	assert_int_equal(sluice_domain_destroy(u->r.domain), 0);
	assert_int_equal(sluice_engine_close(u->r.engine), 0);
	assert_int_equal(sluice_group_close(u->group), 0);
	assert_int_equal(fake_vfio_open_fds(), 0);
	tree_free(&u->tree);
}

static void group_not_lost_while_used(void **state)
{
	struct sluice_completion c;
	sluice_iova_t iova;
	struct used u;

	(void)state;
	use(&u);
	is_not_given_up(&u);
	nor_by_the_kernel(&u);
	release(&u);

	/* The device is taken away: we are told, and until we let it go it is
	 * ours. */
	use(&u);
	fake_vfio_unplug(0);
	await(&u, &c);
	assert_int_equal(c.op, SLUICE_OP_DEVICE_REQUEST);
	assert_int_equal(c.cookie, COOKIE);
	assert_int_equal(sluice_device_reset(u.dev), -EAGAIN);
	check_ours(&u);
	assert_int_equal(sluice_group_close(u.group), -EBUSY);
	assert_int_equal(sluice_device_close(u.dev), 0);
	/* Gone with our leave, and what comes after says so. */
	assert_false(fake_vfio_reach(u.iova, NULL, NULL));
	assert_int_equal(map_one(&u, VA + PAGE, &iova), -ENODEV);
	release(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(default_domain_conflict_of_a_third_device),
	        cmocka_unit_test(group_viable_only_when_complete),
	        cmocka_unit_test(group_not_lost_while_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
