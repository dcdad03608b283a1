/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rig on the type1 backend with a VFIO that exists only in this process.
 * Groups are replaced at link time, so no sysfs is needed: one per program.
 */
#ifndef TESTS_ENGINE_KRIG_H
#define TESTS_ENGINE_KRIG_H

#include "tests/engine/rig.h"

#include <linux/vfio.h>

#include "engine/engine_int.h"
#include "tests/backend/fake_limits.h"
#include "tests/backend/fake_vfio.h"

#define VA UINT64_C(0x7f0000000000)

struct sluice_group {
	int id;
	int fd;
	void *owner;
	const struct sluice_group_region *regions;
	uint32_t nr_regions;
};

int grp_fd(const struct sluice_group *group)
{
	return group->fd;
}

const char *grp_bdf(const struct sluice_group *group)
{
	return group->id ? "0000:02:00.0" : "0000:01:00.0";
}

const struct sluice_group_region *grp_regions(const struct sluice_group *group,
                                              uint32_t *ret_nr)
{
	*ret_nr = group->nr_regions;
	return group->regions;
}

int grp_check(const struct sluice_group *group)
{
	(void)group;
	return 0;
}

/* The group's one device, by any name. */
int sluice_group_device_open(struct sluice_group *group, const char *bdf,
                             int *ret_fd)
{
	char name[] = "device";
	int rc = fake_vfio_ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, name);

	(void)bdf;
	if (rc < 0)
		return msg_fmt(rc, "the fake kernel did not open a device: %s",
		               msg_errname(rc));
	*ret_fd = rc;
	return 0;
}

int sluice_group_id(const struct sluice_group *group)
{
	return group->id;
}

void grp_set_attached(struct sluice_group *group, void *owner)
{
	group->owner = owner;
}

void *grp_attached(const struct sluice_group *group)
{
	return group->owner;
}

/* Limit of page-table memory of the next rig; 0: the default. */
static uint64_t krig_table_bytes;

struct krig {
	struct rig r;
	struct sluice_group group[2];
};

/* Changes the table of system calls, before any thread of an engine is there
 * to read it; NULL: nobody does. */
static void (*krig_tamper)(void);

static inline void krig_open(struct krig *k, const struct fake_vfio_cfg *vfio,
                             const struct sluice_domain_cfg *cfg,
                             int no_io_uring)
{
	const struct sluice_engine_cfg ecfg = {
	        .no_io_uring = no_io_uring,
	        .max_table_bytes = krig_table_bytes,
	};
	char path[] = "/dev/vfio/0";
	struct backend *be;

	fake_vfio_reset(vfio);
	if (krig_tamper)
		krig_tamper();
	limits = &fake_limits;
	for (int i = 0; i < 2; i++) {
		path[sizeof(path) - 2] = (char)('0' + i);
		k->group[i] = (struct sluice_group){
		        .id = i, .fd = fake_vfio_open(path, 0)};
	}
	assert_int_equal(sluice_engine_open(&ecfg, &k->r.engine), 0);
	assert_int_equal(be_type1_create(NULL, NULL, &be), 0);
	assert_int_equal(domain_create_on(k->r.engine, cfg, be, &k->r.domain),
	                 0);
	assert_int_equal(sluice_lane_open(k->r.engine, NULL, &k->r.lane), 0);
}

static inline void krig_up(struct krig *k, const struct fake_vfio_cfg *vfio,
                           const struct sluice_domain_cfg *cfg, int no_io_uring)
{
	krig_open(k, vfio, cfg, no_io_uring);
	assert_int_equal(sluice_domain_attach(k->r.domain, &k->group[0]), 0);
	assert_int_equal(sluice_view_open(k->r.lane, k->r.domain, &k->r.view),
	                 0);
}

static inline void krig_down(struct krig *k)
{
	assert_int_equal(sluice_drain(k->r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(k->r.view), 0);
	assert_int_equal(sluice_lane_close(k->r.lane), 0);
	assert_int_equal(sluice_domain_destroy(k->r.domain), 0);
	assert_null(k->group[0].owner);
	assert_null(k->group[1].owner);
	assert_int_equal(sluice_engine_close(k->r.engine), 0);
	for (int i = 0; i < 2; i++)
		fake_vfio_close(k->group[i].fd);
	assert_int_equal(fake_vfio_open_fds(), 0);
}

/* Polls until n completions have come. */
static inline void wait_for(struct krig *k, struct sluice_completion *c,
                            uint32_t n)
{
	uint64_t end = clock_ns() + PATIENCE;
	uint32_t got = 0;

	while (got < n) {
		got += sluice_poll(k->r.lane, c + got, n - got);
		assert_true(clock_ns() < end);
	}
	assert_int_equal(sluice_poll(k->r.lane, c, 1), 0);
}

static inline void map_and_wait(struct krig *k, uint64_t va, uint64_t len,
                                sluice_iova_t *iova)
{
	struct sluice_completion c;

	assert_int_equal(map(&k->r, va, len, iova), 1);
	wait_for(k, &c, 1);
	assert_int_equal(c.op, SLUICE_OP_MAP);
	assert_int_equal(c.result, 0);
	assert_int_equal(c.iova, *iova);
}

#endif
