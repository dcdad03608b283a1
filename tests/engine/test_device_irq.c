/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Interrupts, errors and requests of a device on their way to a lane, by
 * io_uring, by epoll and without a descriptor: none is lost, none comes twice,
 * and a device that is taken away leaves nothing in flight.
 */
#include "tests/engine/drig.h"

#define EACH_KIND(kind)                                                        \
	for (enum fabric_kind kind = FABRIC_MSG_RING; kind <= FABRIC_PLAIN;    \
	     kind++)

static void enable(struct drig *d, uint32_t first, uint32_t nr)
{
	assert_int_equal(sluice_device_irq_enable(d->dev, d->k.r.lane,
	                                          SLUICE_IRQ_MSIX, first, nr,
	                                          COOKIE),
	                 0);
}

static void tells(void **state)
{
	struct drig d;

	(void)state;
	EACH_KIND(kind)
	{
		drig_up(&d, NULL, kind);
		enable(&d, 0, 3);
		assert_quiet(&d);
		assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 2));
		assert_event(&d, SLUICE_OP_IRQ, COOKIE, 2, 1);
		assert_quiet(&d);
		/* By the kernel's own hand. */
		assert_int_equal(
		        sluice_device_irq_trigger(d.dev, SLUICE_IRQ_MSIX, 1),
		        0);
		assert_event(&d, SLUICE_OP_IRQ, COOKIE, 1, 1);
		/* Counted while nobody looks. */
		for (int i = 0; i < 500; i++)
			assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 0));
		usleep(1000);
		assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 500);
		assert_quiet(&d);
		assert_true(fake_vfio_fire(0, VFIO_PCI_ERR_IRQ_INDEX, 0));
		assert_event(&d, SLUICE_OP_DEVICE_ERROR, DEVICE_COOKIE, 0, 1);
		drig_down(&d);
	}
}

/* More than the lane's completion queue has room for: the kernel stops to
 * watch, and is asked to go on. */
static void survives_a_storm(void **state)
{
	struct sluice_completion c;
	uint64_t told = 0;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	enable(&d, 0, 2);
	for (int i = 0; i < 10000; i++)
		assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, i & 1));
	for (int i = 0; i < 2000; i++)
		while (sluice_poll(d.k.r.lane, &c, 1))
			told += c.len;
	assert_int_equal(told, 10000);
	/* Both are watched again, and the kernel's answers still arrive. */
	assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 0));
	assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 1);
	assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 1));
	assert_event(&d, SLUICE_OP_IRQ, COOKIE, 1, 1);
	drig_down(&d);
}

static void waits_for_room(void **state)
{
	struct sluice_completion c[2];
	struct drig d;

	(void)state;
	EACH_KIND(kind)
	{
		drig_up(&d, NULL, kind);
		enable(&d, 0, 8);
		for (uint32_t i = 0; i < 8; i++)
			assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, i));
		usleep(1000);
		/* What drops completions drops no interrupt. */
		assert_int_equal(sluice_poll(d.k.r.lane, NULL, 0), 0);
		assert_int_equal(sluice_drain(d.k.r.lane, PATIENCE), 0);
		for (uint32_t i = 0; i < 8; i += 2) {
			assert_int_equal(sluice_poll(d.k.r.lane, c, 2), 2);
			assert_int_equal(c[0].iova, i);
			assert_int_equal(c[1].iova, i + 1);
		}
		assert_quiet(&d);
		drig_down(&d);
	}
}

static void wakes(void **state)
{
	struct drig d;

	(void)state;
	for (enum fabric_kind kind = FABRIC_MSG_RING; kind <= FABRIC_EVENTFD;
	     kind++) {
		drig_up(&d, NULL, kind);
		assert_false(drig_readable(&d));
		enable(&d, 0, 1);
		assert_false(drig_readable(&d));
		for (int i = 0; i < 5; i++) {
			assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 0));
			assert_true(drig_readable(&d));
			assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 1);
			assert_quiet(&d);
			assert_false(drig_readable(&d));
		}
		drig_down(&d);
	}
	drig_up(&d, NULL, FABRIC_PLAIN);
	assert_int_equal(sluice_lane_event_fd(d.k.r.lane), -EOPNOTSUPP);
	drig_down(&d);
}

/* Off means off, also for what has fired and was not told. */
static void disables(void **state)
{
	struct drig d;

	(void)state;
	EACH_KIND(kind)
	{
		drig_up(&d, NULL, kind);
		enable(&d, 0, 4);
		assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 3));
		usleep(1000);
		assert_int_equal(sluice_poll(d.k.r.lane, NULL, 0), 0);
		assert_int_equal(
		        sluice_device_irq_disable(d.dev, SLUICE_IRQ_MSIX), 0);
		assert_int_equal(fake_vfio_listening(0), 2);
		assert_false(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 3));
		assert_quiet(&d);
		/* A new one in the same place hears nothing of the old. */
		enable(&d, 0, 4);
		assert_quiet(&d);
		assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 3));
		assert_event(&d, SLUICE_OP_IRQ, COOKIE, 3, 1);
		drig_down(&d);
	}
}

static void intx(void **state)
{
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_irq_enable(d.dev, d.k.r.lane,
	                                          SLUICE_IRQ_INTX, 0, 1, 1),
	                 0);
	assert_true(fake_vfio_fire(0, SLUICE_IRQ_INTX, 0));
	assert_event(&d, SLUICE_OP_IRQ, 1, 0, 1);
	assert_false(fake_vfio_fire(0, SLUICE_IRQ_INTX, 0));
	assert_int_equal(sluice_device_irq_unmask(d.dev, SLUICE_IRQ_INTX, 0),
	                 0);
	assert_true(fake_vfio_fire(0, SLUICE_IRQ_INTX, 0));
	assert_event(&d, SLUICE_OP_IRQ, 1, 0, 1);
	assert_int_equal(sluice_device_irq_unmask(d.dev, SLUICE_IRQ_INTX, 0),
	                 0);
	assert_int_equal(sluice_device_irq_mask(d.dev, SLUICE_IRQ_INTX, 0), 0);
	assert_false(fake_vfio_fire(0, SLUICE_IRQ_INTX, 0));
	assert_says(sluice_device_irq_mask(d.dev, SLUICE_IRQ_MSIX, 0),
	            -EOPNOTSUPP, "in the device");
	assert_says(sluice_device_irq_unmask(d.dev, SLUICE_IRQ_INTX, 1),
	            -EINVAL, "no number");
	assert_says(sluice_device_irq_unmask(d.dev, 9, 0), -EINVAL, "kinds");
	assert_says(sluice_device_irq_unmask(NULL, 0, 0), -EINVAL, "NULL");
	fake_vfio_fail(VFIO_DEVICE_SET_IRQS, 1, EIO);
	assert_says(sluice_device_irq_unmask(d.dev, SLUICE_IRQ_INTX, 0), -EIO,
	            "unmask");
	drig_down(&d);
}

static int on(struct drig *d, uint32_t index, uint32_t first, uint32_t nr)
{
	return sluice_device_irq_enable(d->dev, d->k.r.lane, index, first, nr,
	                                COOKIE);
}

static void errors(void **state)
{
	struct sluice_irq_info info;
	struct sluice_engine *engine;
	struct sluice_lane *lane;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_irq(d.dev, SLUICE_IRQ_MSIX, &info), 0);
	assert_int_equal(info.nr, 8);
	assert_int_equal(info.flags, SLUICE_IRQ_NORESIZE);
	assert_int_equal(sluice_device_irq(d.dev, SLUICE_IRQ_INTX, &info), 0);
	assert_int_equal(info.flags,
	                 SLUICE_IRQ_MASKABLE | SLUICE_IRQ_AUTOMASKED);
	assert_says(sluice_device_irq(d.dev, 5, &info), -EINVAL, "kinds");
	assert_says(sluice_device_irq(d.dev, 0, NULL), -EINVAL, "NULL");
	assert_says(on(&d, 5, 0, 1), -EINVAL, "kinds");
	assert_says(on(&d, SLUICE_IRQ_MSIX, 0, 0), -EINVAL, "vectors");
	assert_says(on(&d, SLUICE_IRQ_MSIX, 7, 2), -EINVAL, "vectors");
	assert_says(on(&d, SLUICE_IRQ_MSIX, UINT32_MAX, 2), -EINVAL, "vectors");
	assert_says(on(&d, SLUICE_IRQ_MSI, 0, 1), -EINVAL, "0 vectors");
	assert_says(on(&d, VFIO_PCI_REQ_IRQ_INDEX, 0, 1), -EINVAL,
	            "sluice_device_open()");
	assert_says(sluice_device_irq_disable(d.dev, VFIO_PCI_REQ_IRQ_INDEX),
	            -EINVAL, "sluice_device_open()");
	assert_says(sluice_device_irq_disable(d.dev, SLUICE_IRQ_MSIX), -ENOENT,
	            "enabled");
	assert_says(
	        sluice_device_irq_enable(d.dev, NULL, SLUICE_IRQ_MSIX, 0, 1, 0),
	        -EINVAL, "lane");
	assert_int_equal(sluice_engine_open(NULL, &engine), 0);
	assert_int_equal(sluice_lane_open(engine, NULL, &lane), 0);
	assert_says(
	        sluice_device_irq_enable(d.dev, lane, SLUICE_IRQ_MSIX, 0, 1, 0),
	        -EINVAL, "another engine");
	assert_int_equal(sluice_lane_close(lane), 0);
	assert_int_equal(sluice_engine_close(engine), 0);
	/* The kernel refuses: nothing is left. */
	fake_vfio_fail(VFIO_DEVICE_SET_IRQS, 1, ENOSPC);
	assert_says(on(&d, SLUICE_IRQ_MSIX, 0, 4), -ENOSPC, "did not enable");
	assert_quiet(&d);
	assert_int_equal(on(&d, SLUICE_IRQ_MSIX, 2, 2), 0);
	assert_says(on(&d, SLUICE_IRQ_MSIX, 1, 2), -EEXIST, "already");
	assert_says(on(&d, SLUICE_IRQ_INTX, 0, 1), -EBUSY,
	            "sluice_device_irq_disable()");
	assert_says(on(&d, SLUICE_IRQ_MSIX, 4, 1), -ENOSPC, "highest");
	assert_int_equal(on(&d, SLUICE_IRQ_MSIX, 0, 2), 0);
	assert_says(sluice_lane_close(d.k.r.lane), -EBUSY, "interrupts");
	fake_vfio_fail(VFIO_DEVICE_SET_IRQS, 1, EIO);
	assert_says(sluice_device_irq_disable(d.dev, SLUICE_IRQ_MSIX), -EIO,
	            "did not disable");
	assert_says(sluice_device_irq_trigger(d.dev, SLUICE_IRQ_MSIX, 8),
	            -EINVAL, "no number");
	drig_down(&d);
}

static void adds_vectors(void **state)
{
	const struct fake_vfio_cfg cfg = {.resize = true};
	struct drig d;

	(void)state;
	drig_up(&d, &cfg, FABRIC_MSG_RING);
	enable(&d, 0, 1);
	enable(&d, 5, 3);
	assert_true(fake_vfio_fire(0, SLUICE_IRQ_MSIX, 7));
	assert_event(&d, SLUICE_OP_IRQ, COOKIE, 7, 1);
	drig_down(&d);
}

/* No descriptor left for the nth eventfd. */
static int eventfds_left;

static int few_eventfds(unsigned init, int flags)
{
	return eventfds_left-- > 0 ? sys_kernel.eventfd(init, flags) : -EMFILE;
}

static void count_eventfds(void)
{
	static struct sys_table table;

	table = *sys;
	table.eventfd = few_eventfds;
	sys = &table;
}

static void without_descriptors(void **state)
{
	struct drig d;

	(void)state;
	eventfds_left = 1000;
	krig_tamper = count_eventfds;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	eventfds_left = 3;
	assert_says(on(&d, SLUICE_IRQ_MSIX, 0, 4), -EMFILE, "ulimit -n");
	assert_int_equal(fake_vfio_listening(0), 2);
	eventfds_left = 4;
	assert_int_equal(on(&d, SLUICE_IRQ_MSIX, 0, 4), 0);
	drig_down(&d);
}

/* ---- taken away ---- */

/* As sluice_device_open() says. */
static void unplugged(void **state)
{
	struct drig d;
	sluice_iova_t a, b;

	(void)state;
	EACH_KIND(kind)
	{
		drig_up(&d, NULL, kind);
		enable(&d, 0, 2);
		map_and_wait(&d.k, VA, 4 * PAGE, &a);
		map_and_wait(&d.k, VA + 8 * PAGE, PAGE, &b);
		fake_vfio_unplug(0);
		assert_event(&d, SLUICE_OP_DEVICE_REQUEST, DEVICE_COOKIE, 0, 1);
		assert_says(sluice_device_reset(d.dev), -EAGAIN, "taken away");
		assert_true(unmap(&d.k.r, a, 4 * PAGE) >= 0);
		assert_true(unmap(&d.k.r, b, PAGE) >= 0);
		assert_int_equal(sluice_drain(d.k.r.lane, PATIENCE), 0);
		assert_int_equal(sluice_device_close(d.dev), 0);
		/* The kernel has taken the group out already. */
		assert_int_equal(
		        sluice_domain_detach(d.k.r.domain, &d.k.group[0]), 0);
		/* Another one takes its place. */
		assert_int_equal(
		        sluice_domain_attach(d.k.r.domain, &d.k.group[1]), 0);
		map_and_wait(&d.k, VA, PAGE, &a);
		assert_true(fake_vfio_reach(a, NULL, NULL));
		krig_down(&d.k);
	}
}

/* Closed before anything is unmapped: with the group the kernel has dropped
 * every mapping, so what is in flight ends well and nothing new begins. */
static void unplugged_rudely(void **state)
{
	struct sluice_completion c;
	struct sluice_ticket ticket;
	struct drig d;
	sluice_iova_t a, b;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	map_and_wait(&d.k, VA, 4 * PAGE, &a);
	map_and_wait(&d.k, VA + 8 * PAGE, PAGE, &b);
	fake_vfio_unplug(0);
	assert_int_equal(sluice_device_close(d.dev), 0);
	assert_false(fake_vfio_reach(a, NULL, NULL));
	assert_true(sluice_unmap(d.k.r.view, a, 4 * PAGE, 0, &ticket) >= 0);
	assert_int_equal(sluice_ticket_wait(d.k.r.view, ticket, PATIENCE), 0);
	assert_int_equal(map(&d.k.r, VA + 16 * PAGE, PAGE, &a), 1);
	wait_for(&d.k, &c, 1);
	assert_int_equal(c.result, -ENODEV);
	assert_true(sluice_unmap(d.k.r.view, b, PAGE, 0, &ticket) >= 0);
	assert_int_equal(sluice_ticket_wait(d.k.r.view, ticket, PATIENCE), 0);
	assert_int_equal(sluice_domain_detach(d.k.r.domain, &d.k.group[0]), 0);
	krig_down(&d.k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(tells),
	        cmocka_unit_test(survives_a_storm),
	        cmocka_unit_test(waits_for_room),
	        cmocka_unit_test(wakes),
	        cmocka_unit_test(disables),
	        cmocka_unit_test(intx),
	        cmocka_unit_test(errors),
	        cmocka_unit_test(adds_vectors),
	        cmocka_unit_test(without_descriptors),
	        cmocka_unit_test(unplugged),
	        cmocka_unit_test(unplugged_rudely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
