/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices on a fake VFIO: opening and closing, regions, reset. Each documented
 * error once, with the words that help.
 */
#include "tests/engine/drig.h"

static void opens_and_closes(void **state)
{
	struct sluice_device_info info;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	sluice_device_get_info(d.dev, &info);
	assert_string_equal(info.name, "0000:01:00.0");
	assert_int_equal(info.nr_regions, VFIO_PCI_NUM_REGIONS);
	assert_int_equal(info.nr_irqs, 5);
	assert_true(info.is_pci && info.can_reset);
	assert_true(sluice_device_fd(d.dev) >= 0);
	/* Errors and requests are listened to; DMA is off. */
	assert_int_equal(fake_vfio_listening(0), 2);
	assert_int_equal(fake_vfio_command(0), 2);
	assert_says(sluice_domain_detach(d.k.r.domain, &d.k.group[0]), -EBUSY,
	            "sluice_device_close()");
	assert_int_equal(sluice_device_bus_master(d.dev, 1), 0);
	assert_int_equal(fake_vfio_command(0), 6);
	assert_int_equal(sluice_device_bus_master(d.dev, 1), 0);
	assert_int_equal(sluice_device_bus_master(d.dev, 0), 0);
	assert_int_equal(fake_vfio_command(0), 2);
	assert_int_equal(sluice_device_bus_master(d.dev, 1), 0);
	/* Closing ends DMA. */
	assert_int_equal(sluice_device_close(d.dev), 0);
	assert_int_equal(fake_vfio_command(0), 2);
	assert_int_equal(fake_vfio_listening(0), 0);
	assert_int_equal(sluice_device_close(NULL), 0);
	krig_down(&d.k);
}

static void open_errors(void **state)
{
	struct sluice_device *dev = NULL;
	struct sluice_device_cfg cfg = {0};
	struct sluice_engine *other;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_PLAIN);
	assert_says(sluice_device_open(NULL, &d.k.group[0], NULL, NULL, &dev),
	            -EINVAL, "NULL");
	assert_says(sluice_device_open(d.k.r.domain, NULL, NULL, NULL, &dev),
	            -EINVAL, "NULL");
	assert_says(sluice_device_open(d.k.r.domain, &d.k.group[0], NULL, NULL,
	                               NULL),
	            -EINVAL, "NULL");
	assert_says(sluice_device_open(d.k.r.domain, &d.k.group[1], NULL, NULL,
	                               &dev),
	            -ENOENT, "sluice_domain_attach()");
	/* It is open already. */
	assert_int_equal(sluice_device_open(d.k.r.domain, &d.k.group[0], NULL,
	                                    NULL, &dev),
	                 -EBUSY);
	assert_int_equal(sluice_engine_open(NULL, &other), 0);
	assert_int_equal(sluice_lane_open(other, NULL, &cfg.lane), 0);
	assert_says(sluice_device_open(d.k.r.domain, &d.k.group[0], NULL, &cfg,
	                               &dev),
	            -EINVAL, "different engines");
	assert_int_equal(sluice_lane_close(cfg.lane), 0);
	assert_int_equal(sluice_engine_close(other), 0);
	assert_null(dev);
	/* A domain with an open device stays. */
	assert_int_equal(sluice_drain(d.k.r.lane, PATIENCE), 0);
	assert_int_equal(sluice_view_close(d.k.r.view), 0);
	assert_says(sluice_domain_destroy(d.k.r.domain), -EBUSY,
	            "sluice_device_close()");
	assert_int_equal(
	        sluice_view_open(d.k.r.lane, d.k.r.domain, &d.k.r.view), 0);
	drig_down(&d);
}

/* Each ioctl of opening is refused once: nothing is left behind. */
static void open_fails_at_each_call(void **state)
{
	struct sluice_device_cfg cfg = {0};
	struct drig d;
	uint32_t n;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_close(d.dev), 0);
	cfg.lane = d.k.r.lane;
	for (n = 1;; n++) {
		int rc;

		d.dev = NULL;
		fake_vfio_fail(0, n, EIO);
		rc = sluice_device_open(d.k.r.domain, &d.k.group[0], NULL, &cfg,
		                        &d.dev);
		if (!fake_vfio_fired())
			break;
		assert_int_equal(rc, -EIO);
		assert_string_not_equal(sluice_last_error(), "");
		assert_null(d.dev);
		assert_int_equal(fake_vfio_listening(0), 0);
	}
	/* INFO, five kinds of interrupts, two for each of config read and
	 * write, two eventfds. */
	assert_true(n > 9);
	fake_vfio_fail(0, 0, 0);
	drig_down(&d);
}

static void resets(void **state)
{
	const struct fake_vfio_cfg none = {.no_reset = true};
	struct sluice_device_info info;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_reset(d.dev), 0);
	assert_int_equal(fake_vfio_resets(0), 1);
	fake_vfio_fail(VFIO_DEVICE_RESET, 1, EAGAIN);
	assert_says(sluice_device_reset(d.dev), -EAGAIN, "again");
	fake_vfio_fail(VFIO_DEVICE_RESET, 1, EIO);
	assert_says(sluice_device_reset(d.dev), -EIO, "dmesg");
	assert_says(sluice_device_reset(NULL), -EINVAL, "NULL");
	drig_down(&d);
	drig_up(&d, &none, FABRIC_MSG_RING);
	sluice_device_get_info(d.dev, &info);
	assert_false(info.can_reset);
	assert_says(sluice_device_reset(d.dev), -EOPNOTSUPP, "no reset");
	assert_int_equal(fake_vfio_resets(0), 0);
	drig_down(&d);
}

static void not_pci(void **state)
{
	const struct fake_vfio_cfg cfg = {.not_pci = true};
	struct sluice_device_info info;
	struct drig d;

	(void)state;
	drig_up(&d, &cfg, FABRIC_MSG_RING);
	sluice_device_get_info(d.dev, &info);
	assert_false(info.is_pci);
	assert_int_equal(fake_vfio_listening(0), 0);
	assert_says(sluice_device_bus_master(d.dev, 1), -EOPNOTSUPP, "PCI");
	/* Its interrupts are its own: the fourth is one like others. */
	assert_int_equal(
	        sluice_device_irq_enable(d.dev, d.k.r.lane, 3, 0, 1, COOKIE),
	        0);
	assert_true(fake_vfio_fire(0, 3, 0));
	assert_event(&d, SLUICE_OP_IRQ, COOKIE, 0, 1);
	drig_down(&d);
}

/* ---- regions ---- */

static void regions(void **state)
{
	struct sluice_region_info info = {.size = 7};
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(
	        sluice_device_region(d.dev, SLUICE_REGION_BAR(0), &info), 0);
	assert_int_equal(info.size, 0x4000);
	assert_int_equal(info.flags, SLUICE_REGION_READ | SLUICE_REGION_WRITE |
	                                     SLUICE_REGION_MAP);
	assert_int_equal(info.nr_areas, 2);
	assert_int_equal(
	        sluice_device_region(d.dev, SLUICE_REGION_BAR(2), &info), 0);
	assert_int_equal(info.size, 16);
	assert_int_equal(info.nr_areas, 0);
	/* The kernel has no VGA here: a region of no size. */
	assert_int_equal(
	        sluice_device_region(d.dev, VFIO_PCI_VGA_REGION_INDEX, &info),
	        0);
	assert_int_equal(info.size, 0);
	assert_says(sluice_device_region(d.dev, VFIO_PCI_NUM_REGIONS, &info),
	            -EINVAL, "no number");
	assert_says(sluice_device_region(d.dev, 0, NULL), -EINVAL, "NULL");
	assert_says(sluice_device_region(NULL, 0, &info), -EINVAL, "NULL");
	fake_vfio_fail(VFIO_DEVICE_GET_REGION_INFO, 1, EIO);
	assert_says(sluice_device_region(d.dev, 0, &info), -EIO, "region 0");
	drig_down(&d);
}

static void maps_regions(void **state)
{
	void *va = NULL, *other = NULL;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_map(d.dev, 0, 0x2000, 0, &va), 0);
	assert_int_equal(sluice_device_map(d.dev, 0, 0, PAGE, &other), 0);
	((volatile char *)va)[0x1fff] = 1;
	((volatile char *)other)[0] = 1;
	assert_int_equal(fake_vfio_device_maps(), 2);
	assert_int_equal(sluice_device_unmap(d.dev, va), 0);
	assert_int_equal(fake_vfio_device_maps(), 1);
	assert_says(sluice_device_unmap(d.dev, va), -ENOENT, "mapped there");
	/* The page between: the kernel keeps it. */
	assert_says(sluice_device_map(d.dev, 0, 0x1000, PAGE, &va), -EACCES,
	            "sluice_device_read()");
	assert_says(sluice_device_map(d.dev, 0, 0, 0, &va), -EACCES,
	            "map less");
	assert_says(sluice_device_map(d.dev, 0, 0x3000, 0x2000, &va), -EINVAL,
	            "whole pages");
	assert_says(sluice_device_map(d.dev, 0, 0x800, PAGE, &va), -EINVAL,
	            "whole pages");
	assert_says(sluice_device_map(d.dev, 0, UINT64_MAX - 4095, PAGE, &va),
	            -EINVAL, "bytes");
	assert_says(sluice_device_map(d.dev, 1, 0, 0, &va), -EINVAL, "0 bytes");
	assert_says(sluice_device_map(d.dev, SLUICE_REGION_ROM, 0, 0, &va),
	            -EACCES, "let");
	assert_says(sluice_device_map(d.dev, 99, 0, 0, &va), -EINVAL,
	            "no number");
	assert_says(sluice_device_map(d.dev, 0, 0, 0, NULL), -EINVAL, "NULL");
	/* What is mapped still goes with the device. */
	drig_down(&d);
}

static void a_chain_that_leads_astray(void **state)
{
	const struct fake_vfio_cfg cfg = {.bad_cap = true};
	struct sluice_region_info info;
	struct drig d;
	void *va;

	(void)state;
	drig_up(&d, &cfg, FABRIC_MSG_RING);
	assert_int_equal(sluice_device_region(d.dev, 0, &info), 0);
	assert_int_equal(info.nr_areas, 1);
	/* The kernel itself has the last word. */
	assert_int_equal(sluice_device_map(d.dev, 0, 0, 0, &va), -EINVAL);
	drig_down(&d);
}

static void reads_and_writes(void **state)
{
	uint32_t word = 0, back = 0;
	struct drig d;

	(void)state;
	drig_up(&d, NULL, FABRIC_MSG_RING);
	assert_int_equal(
	        sluice_device_read(d.dev, SLUICE_REGION_CONFIG, 0, &word, 4),
	        0);
	assert_int_equal(le32toh(word), 0x5148abcd);
	word = 0x12345678;
	assert_int_equal(
	        sluice_device_write(d.dev, SLUICE_REGION_CONFIG, 252, &word, 4),
	        0);
	assert_int_equal(
	        sluice_device_read(d.dev, SLUICE_REGION_CONFIG, 252, &back, 4),
	        0);
	assert_int_equal(back, word);
	assert_says(
	        sluice_device_read(d.dev, SLUICE_REGION_CONFIG, 253, &back, 4),
	        -EINVAL, "256 bytes");
	assert_says(sluice_device_read(d.dev, SLUICE_REGION_CONFIG, UINT64_MAX,
	                               &back, 4),
	            -EINVAL, "256 bytes");
	assert_says(sluice_device_write(d.dev, SLUICE_REGION_ROM, 0, &word, 4),
	            -EACCES, "written");
	assert_says(sluice_device_read(d.dev, 99, 0, &back, 4), -EINVAL,
	            "no number");
	assert_says(sluice_device_read(NULL, 0, 0, &back, 4), -EINVAL, "NULL");
	assert_int_equal(back, word);
	fake_vfio_unplug(0);
	assert_says(
	        sluice_device_read(d.dev, SLUICE_REGION_CONFIG, 0, &back, 4),
	        -EIO, "gone");
	drig_down(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(opens_and_closes),
	        cmocka_unit_test(open_errors),
	        cmocka_unit_test(open_fails_at_each_call),
	        cmocka_unit_test(resets),
	        cmocka_unit_test(not_pci),
	        cmocka_unit_test(regions),
	        cmocka_unit_test(maps_regions),
	        cmocka_unit_test(a_chain_that_leads_astray),
	        cmocka_unit_test(reads_and_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
