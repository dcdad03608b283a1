/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A domain that uses a group somebody watches: which addresses it calls its
 * own, whom it tells, and that neither goes while it is guarded. The watch is
 * this test.
 */
#include "tests/engine/drig.h"

#include <sluice/watch.h>
#include <sys/wait.h>

#define EACH_KIND(kind)                                                        \
	for (enum fabric_kind kind = FABRIC_MSG_RING; kind <= FABRIC_PLAIN;    \
	     kind++)

static struct sluice_watch_user guard(struct drig *d)
{
	struct sluice_watch_user u = {0};

	assert_int_equal(sluice_domain_guard(d->k.r.domain, &d->k.group[0], &u),
	                 0);
	assert_true(u.in_use && u.lost && u.ctx);
	return u;
}

static void unguard(struct drig *d)
{
	assert_int_equal(sluice_domain_unguard(d->k.r.domain, &d->k.group[0]),
	                 0);
}

static void lose(const struct sluice_watch_user *u, enum sluice_watch_kind kind,
                 const char *name)
{
	const struct sluice_watch_event e = {
	        .kind = kind, .loss = 1, .name = name};

	u->lost(u->ctx, &e);
}

static void tells_the_lane(void **state)
{
	struct sluice_watch_user u;
	struct drig d;

	(void)state;
	EACH_KIND(kind)
	{
		drig_up(&d, NULL, kind);
		u = guard(&d);
		assert_quiet(&d);
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, "0000:77:00.0");
		assert_quiet(&d);
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, d.dev->name);
		assert_event(&d, SLUICE_OP_DEVICE_REQUEST, DEVICE_COOKIE, 0, 1);
		/* A stranger who joined concerns all. */
		lose(&u, SLUICE_WATCH_MEMBER_JOINED, "0000:77:00.0");
		assert_event(&d, SLUICE_OP_DEVICE_REQUEST, DEVICE_COOKIE, 0, 1);
		lose(&u, SLUICE_WATCH_GROUP_REMOVED, NULL);
		assert_event(&d, SLUICE_OP_DEVICE_REQUEST, DEVICE_COOKIE, 0, 1);
		unguard(&d);
		drig_down(&d);
	}
}

/* A device of another bus has an interrupt where PCI has requests. */
static void leaves_interrupts_alone(void **state)
{
	const struct fake_vfio_cfg vfio = {.not_pci = true};
	struct sluice_watch_user u;
	struct drig d;

	(void)state;
	drig_up(&d, &vfio, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_irq_enable(d.dev, d.k.r.lane,
	                                          VFIO_PCI_REQ_IRQ_INDEX, 0, 1,
	                                          COOKIE),
	                 0);
	u = guard(&d);
	lose(&u, SLUICE_WATCH_GROUP_REMOVED, NULL);
	assert_quiet(&d);
	assert_true(fake_vfio_fire(0, VFIO_PCI_REQ_IRQ_INDEX, 0));
	assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 1);
	unguard(&d);
	drig_down(&d);
}

/* The kernel names a device in full and in small letters; who opened it may
 * have written less, or more, and otherwise. Behind some bridges domains have
 * five digits. */
static void tells_by_any_spelling(void **state)
{
	static const char *const spelling[] = {"0A:00.0", "0000:0a:00.0",
	                                       "00000:0A:00.0"};
	struct sluice_device_cfg cfg = {.cookie = DEVICE_COOKIE};
	struct sluice_watch_user u;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	u = guard(&d);
	cfg.lane = d.k.r.lane;
	for (size_t i = 0; i < NR_OF(spelling); i++) {
		assert_int_equal(sluice_device_close(d.dev), 0);
		assert_int_equal(sluice_device_open(d.k.r.domain, &d.k.group[0],
		                                    spelling[i], &cfg, &d.dev),
		                 0);
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, "0000:0b:00.0");
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, "10000:0a:00.0");
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, "0001:0a:00.0");
		assert_quiet(&d);
		lose(&u, SLUICE_WATCH_MEMBER_LEFT, "0000:0a:00.0");
		assert_event(&d, SLUICE_OP_DEVICE_REQUEST, DEVICE_COOKIE, 0, 1);
	}
	unguard(&d);
	drig_down(&d);
}

/* What is reserved now is not handed out any more, or somebody has it. */
static void takes_addresses(void **state)
{
	struct sluice_domain_info before, after;
	struct sluice_watch_user u;
	sluice_iova_t iova;
	uint64_t free_at;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	u = guard(&d);
	map_and_wait(&d.k, VA, PAGE, &iova);
	sluice_domain_get_info(d.k.r.domain, &before);
	assert_int_equal(u.in_use(u.ctx, iova, iova + PAGE - 1), 1);
	assert_int_equal(u.in_use(u.ctx, iova, iova), 1);
	sluice_domain_get_info(d.k.r.domain, &after);
	assert_true(after.iova_total == before.iova_total);
	/* Far from what lanes have: it goes, once, and asking again is no
	 * news. */
	free_at = align_down((before.first + iova) / 2, 30);
	assert_true(free_at > before.first && free_at + (1 << 30) < iova);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(u.in_use(u.ctx, free_at, free_at + PAGE - 1),
		                 0);
		sluice_domain_get_info(d.k.r.domain, &after);
		assert_true(after.iova_total < before.iova_total);
		assert_true(after.iova_total >=
		            before.iova_total - before.granule);
	}
	/* Nor is what it could never use. */
	assert_int_equal(u.in_use(u.ctx, before.last + 1, UINT64_MAX), 0);
	/* All there is cannot go, and then nothing of it does. */
	before = after;
	assert_int_equal(u.in_use(u.ctx, 0, UINT64_MAX), 1);
	sluice_domain_get_info(d.k.r.domain, &after);
	assert_true(after.iova_total == before.iova_total);
	assert_true(unmap(&d.k.r, iova, PAGE) >= 0);
	unguard(&d);
	drig_down(&d);
}

static void refuses(void **state)
{
	struct sluice_watch_user u = {0};
	struct sluice_domain *dom;
	struct sluice_group *g;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	dom = d.k.r.domain;
	g = &d.k.group[0];
	assert_says(sluice_domain_guard(NULL, g, &u), -EINVAL, "NULL");
	assert_says(sluice_domain_guard(dom, NULL, &u), -EINVAL, "NULL");
	assert_says(sluice_domain_guard(dom, g, NULL), -EINVAL, "NULL");
	assert_says(sluice_domain_guard(dom, &d.k.group[1], &u), -ENOENT,
	            "not attached");
	assert_null(u.ctx);
	assert_says(sluice_domain_unguard(NULL, g), -EINVAL, "NULL");
	assert_says(sluice_domain_unguard(dom, NULL), -EINVAL, "NULL");
	assert_says(sluice_domain_unguard(dom, g), -ENOENT, "not guarded");
	u = guard(&d);
	assert_says(sluice_domain_guard(dom, g, &u), -EBUSY, "is guarded");
	assert_says(sluice_domain_unguard(dom, &d.k.group[1]), -ENOENT,
	            "not guarded");
	/* Neither the group nor the domain goes. */
	assert_int_equal(sluice_device_close(d.dev), 0);
	assert_says(sluice_domain_detach(dom, g), -EBUSY,
	            "sluice_domain_unguard()");
	assert_int_equal(sluice_drain(d.k.r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(d.k.r.view), 0);
	assert_says(sluice_domain_destroy(dom), -EBUSY,
	            "sluice_domain_unguard()");
	unguard(&d);
	assert_int_equal(sluice_view_open(d.k.r.lane, dom, &d.k.r.view), 0);
	krig_down(&d.k);
}

/* Nobody was named to be told; a closed device is not. */
static void nobody_to_tell(void **state)
{
	struct sluice_watch_user u;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_close(d.dev), 0);
	u = guard(&d);
	lose(&u, SLUICE_WATCH_GROUP_REMOVED, NULL);
	assert_quiet(&d);
	assert_int_equal(sluice_device_open(d.k.r.domain, &d.k.group[0], NULL,
	                                    NULL, &d.dev),
	                 0);
	lose(&u, SLUICE_WATCH_GROUP_REMOVED, NULL);
	assert_quiet(&d);
	unguard(&d);
	drig_down(&d);
}

static void in_a_child(void **state)
{
	struct sluice_watch_user u;
	struct drig d;
	int status;
	pid_t pid;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	guard(&d);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int rc = sluice_domain_guard(d.k.r.domain, &d.k.group[0], &u);

		_exit(rc == -EPERM && sluice_domain_unguard(d.k.r.domain,
		                                            &d.k.group[0]) ==
		                              -EPERM
		              ? 0
		              : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unguard(&d);
	drig_down(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(tells_the_lane),
	        cmocka_unit_test(leaves_interrupts_alone),
	        cmocka_unit_test(tells_by_any_spelling),
	        cmocka_unit_test(takes_addresses),
	        cmocka_unit_test(refuses),
	        cmocka_unit_test(nobody_to_tell),
	        cmocka_unit_test(in_a_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
