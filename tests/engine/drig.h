/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rig with the device of its first group open, on each way by which a lane
 * can be told: its io_uring, an epoll descriptor, no descriptor at all.
 */
#ifndef TESTS_ENGINE_DRIG_H
#define TESTS_ENGINE_DRIG_H

#include "tests/engine/krig.h"

#include <poll.h>
#include <unistd.h>

#include "engine/device_int.h"

#define COOKIE 0xc00c1e
#define DEVICE_COOKIE 0xdec1ce

struct drig {
	struct krig k;
	struct sluice_device *dev;
};

static int drig_no_uring(unsigned entries, struct io_uring *ring,
                         struct io_uring_params *params)
{
	(void)entries;
	(void)ring;
	(void)params;
	return -ENOSYS;
}

/* From now on, until the next fake_vfio_reset(). */
static inline void drig_deny_uring(void)
{
	static struct sys_table table;

	table = *sys;
	table.uring_init = drig_no_uring;
	sys = &table;
}

static inline void drig_up(struct drig *d, const struct fake_vfio_cfg *vfio,
                           enum fabric_kind kind)
{
	struct sluice_device_cfg cfg = {.cookie = DEVICE_COOKIE};
	struct krig *k = &d->k;

	if (kind == FABRIC_EVENTFD)
		krig_tamper = drig_deny_uring;
	krig_open(k, vfio, NULL, kind == FABRIC_PLAIN);
	krig_tamper = NULL;
	assert_int_equal(sluice_domain_attach(k->r.domain, &k->group[0]), 0);
	assert_int_equal(sluice_view_open(k->r.lane, k->r.domain, &k->r.view),
	                 0);
	cfg.lane = k->r.lane;
	assert_int_equal(sluice_device_open(k->r.domain, &k->group[0], NULL,
	                                    &cfg, &d->dev),
	                 0);
}

static inline void drig_down(struct drig *d)
{
	assert_int_equal(sluice_device_close(d->dev), 0);
	assert_int_equal(fake_vfio_listening(0), 0);
	assert_int_equal(fake_vfio_device_maps(), 0);
	krig_down(&d->k);
}

static inline bool drig_readable(struct drig *d)
{
	struct pollfd p = {.fd = sluice_lane_event_fd(d->k.r.lane),
	                   .events = POLLIN};

	assert_true(p.fd >= 0);
	return poll(&p, 1, 0) == 1;
}

/* Nothing more comes, although what could come has had its time. */
static inline void assert_quiet(struct drig *d)
{
	struct sluice_completion c;

	usleep(100);
	for (int i = 0; i < 50; i++)
		assert_int_equal(sluice_poll(d->k.r.lane, &c, 1), 0);
}

static inline void assert_event(struct drig *d, uint32_t op, uint64_t cookie,
                                uint64_t vector, uint64_t times)
{
	uint64_t end = clock_ns() + PATIENCE;
	struct sluice_completion c = {0};

	while (!sluice_poll(d->k.r.lane, &c, 1))
		assert_true(clock_ns() < end);
	assert_int_equal(c.op, op);
	assert_int_equal(c.cookie, cookie);
	assert_int_equal(c.iova, vector);
	assert_int_equal(c.len, times);
	assert_int_equal(c.result, 0);
}

static inline void assert_says(int rc, int want, const char *words)
{
	assert_int_equal(rc, want);
	if (!strstr(sluice_last_error(), words))
		fail_msg("\"%s\" does not say \"%s\"", sluice_last_error(),
		         words);
}

#endif
