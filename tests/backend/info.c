/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The capability chain of VFIO_IOMMU_GET_INFO: well-formed, short, circular,
 * hostile. A refused answer leaves the caller's copy untouched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/vfio_type1_int.h"
#include "tests/backend/fake_vfio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

struct blob {
	struct vfio_iommu_type1_info info;
	struct {
		struct vfio_iommu_type1_info_dma_avail cap;
		uint32_t pad;
	} avail;
	struct vfio_info_cap_header unknown;
	/* struct vfio_iommu_type1_info_cap_iova_range with its array */
	struct {
		struct vfio_info_cap_header header;
		uint32_t nr_iovas;
		uint32_t reserved;
	} ranges;
	struct vfio_iova_range range[3];
};

static const struct blob good = {
        .info = {.argsz = sizeof(struct blob),
                 .flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
                 .iova_pgsizes = 0x1000,
                 .cap_offset = offsetof(struct blob, avail)},
        .avail.cap = {{VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1,
                       offsetof(struct blob, unknown)},
                      77},
        .unknown = {0x4711, 1, offsetof(struct blob, ranges)},
        .ranges = {{VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0}, 3, 0},
        .range = {{0x1000, 0x1fff}, {0x3000, 0x4fff}, {0x8000, UINT64_MAX}},
};

/* On memory that ends where the answer does, for AddressSanitizer. */
static int parse(const void *buf, size_t size, struct t1_info *info)
{
	void *copy = malloc(size ? size : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, buf, size);
	rc = t1_info_parse(copy, size, info);
	free(copy);
	return rc;
}

static void refuse(const struct blob *b, size_t size)
{
	struct t1_info info, before;

	memset(&info, 0x5a, sizeof(info));
	before = info;
	assert_int_equal(parse(b, size, &info), -EPROTO);
	assert_memory_equal(&info, &before, sizeof(info));
}

static void test_good(void **state)
{
	struct t1_info info;
	struct blob b = good;

	(void)state;
	assert_int_equal(parse(&b, sizeof(b), &info), 0);
	assert_int_equal(info.pgsizes, 0x1000);
	assert_true(info.has_avail);
	assert_int_equal(info.avail, 77);
	assert_int_equal(info.nr_ranges, 3);
	assert_int_equal(info.ranges[1].first, 0x3000);
	assert_true(info.ranges[2].last == UINT64_MAX);
	free(info.ranges);
	/* A version we do not know is a capability we do not know. */
	b.avail.cap.header.version = 2;
	assert_int_equal(parse(&b, sizeof(b), &info), 0);
	assert_false(info.has_avail);
	free(info.ranges);
}

/* Old kernels tell less. */
static void test_old(void **state)
{
	struct blob b = good;
	struct t1_info info;

	(void)state;
	b.info.flags = 0;
	assert_int_equal(
	        parse(&b, offsetof(struct vfio_iommu_type1_info, cap_offset),
	              &info),
	        0);
	assert_int_equal(info.pgsizes, 0);
	assert_false(info.has_avail);
	assert_int_equal(info.nr_ranges, 1);
	assert_true(info.ranges[0].last == UINT64_MAX);
	free(info.ranges);
}

static void test_garbage(void **state)
{
	struct blob b;

	(void)state;
	refuse(&good, 0);
	refuse(&good, 15);
	/* Cut off at any byte after the chain was announced. */
	for (size_t n = sizeof(good.info); n < sizeof(good); n++)
		refuse(&good, n);
	b = good, b.info.cap_offset = 4;
	refuse(&b, sizeof(b));
	b = good, b.info.cap_offset = UINT32_MAX;
	refuse(&b, sizeof(b));
	b = good, b.info.cap_offset = sizeof(b) - 7;
	refuse(&b, sizeof(b));
	b = good, b.unknown.next = offsetof(struct blob, unknown);
	refuse(&b, sizeof(b));
	b = good, b.unknown.next = offsetof(struct blob, avail);
	refuse(&b, sizeof(b));
	b = good, b.ranges.nr_iovas = 0;
	refuse(&b, sizeof(b));
	b = good, b.ranges.nr_iovas = 4;
	refuse(&b, sizeof(b));
	b = good, b.ranges.nr_iovas = 0x10000003;
	refuse(&b, sizeof(b));
	b = good, b.range[1].start = 0x1fff;
	refuse(&b, sizeof(b));
	b = good, b.range[1].end = 0x2fff;
	refuse(&b, sizeof(b));
	/* The same list twice. */
	b = good, b.unknown.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	refuse(&b, sizeof(b));
}

/* Random bytes: no access outside, no endless loop, and what is accepted is a
 * sane list. */
static void test_random(void **state)
{
	(void)state;
	srand(3);
	for (int i = 0; i < 200000; i++) {
		union {
			struct blob b;
			uint8_t byte[sizeof(struct blob)];
		} u = {good};
		struct t1_info info;
		size_t n = (size_t)rand() % (sizeof(u) + 1);

		for (int j = rand() % 6; j >= 0; j--)
			u.byte[(size_t)rand() % sizeof(u)] = (uint8_t)rand();
		if (rand() % 2)
			n = sizeof(u);
		if (parse(&u, n, &info))
			continue;
		assert_true(info.nr_ranges > 0);
		for (uint32_t r = 0; r < info.nr_ranges; r++) {
			assert_true(info.ranges[r].first <=
			            info.ranges[r].last);
			if (r)
				assert_true(info.ranges[r - 1].last <
				            info.ranges[r].first);
		}
		free(info.ranges);
	}
}

/* The size the kernel tells: two calls, a limit, no endless loop. */
static int get(const struct fake_vfio_cfg *cfg, struct t1_info *info)
{
	int c, g, rc;

	fake_vfio_reset(cfg);
	c = fake_vfio_open("/dev/vfio/vfio", 0);
	g = fake_vfio_open("/dev/vfio/0", 0);
	assert_int_equal(fake_vfio_ioctl(g, VFIO_GROUP_SET_CONTAINER, &c), 0);
	assert_int_equal(
	        fake_vfio_ioctl(c, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU),
	        0);
	rc = t1_info_get(c, info);
	fake_vfio_close(g);
	fake_vfio_close(c);
	assert_int_equal(fake_vfio_open_fds(), 0);
	return rc;
}

static void test_size(void **state)
{
	struct fake_vfio_cfg cfg = {.info = &good, .info_size = sizeof(good)};
	struct t1_info info;

	(void)state;
	assert_int_equal(get(NULL, &info), 0);
	assert_int_equal(info.nr_ranges, 2);
	assert_int_equal(info.avail, 65535);
	free(info.ranges);
	assert_int_equal(get(&cfg, &info), 0);
	assert_int_equal(info.avail, 77);
	free(info.ranges);
	cfg.info_told = (1u << 20) + 1;
	assert_int_equal(get(&cfg, &info), -EPROTO);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_GET_INFO), 1);
	cfg.info_told = UINT32_MAX;
	assert_int_equal(get(&cfg, &info), -EPROTO);
	/* It grew between the calls: what did not come reads as zeroes. */
	cfg.info_told = sizeof(good) + 64;
	assert_int_equal(get(&cfg, &info), 0);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_GET_INFO), 2);
	free(info.ranges);
	cfg.info_told = 8;
	assert_int_equal(get(&cfg, &info), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_good),    cmocka_unit_test(test_old),
	        cmocka_unit_test(test_garbage), cmocka_unit_test(test_random),
	        cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
