/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme_rw's PRP lists and SGLs, read back by the rules of the specification:
 * the addresses that a controller would touch are those that were meant, byte
 * for byte, and what PRPs cannot say is refused.
 */
#include "examples/nvme_rw/data.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#define PAGE SLUICE_PAGE_SIZE
#define LIST_IOVA 0xabcd000u
#define MAX_BYTES (DATA_MAX + PAGE)

/* Where each dword of the transfer lies. */
static uint64_t want[MAX_BYTES / 4], have[MAX_BYTES / 4];

static uint32_t spread(const struct nvme_seg *seg, uint32_t nr)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < nr; i++)
		for (uint32_t at = 0; at < seg[i].len; at += 4)
			want[n++] = seg[i].iova + at;
	return n;
}

/* 4.3: the first entry may begin anywhere in its page, the others at its
 * start; the second is a list when two pages are not enough. */
static void walk_prp(const struct nvme_command *cmd, const uint64_t *list,
                     uint32_t dwords)
{
	uint32_t first = (uint32_t)(PAGE - cmd->prp1 % PAGE) / 4, n = 0;
	uint32_t rest = dwords > first ? dwords - first : 0;
	bool listed = rest > PAGE / 4;

	assert_int_equal(cmd->flags, 0);
	for (; n < dwords && n < first; n++)
		have[n] = cmd->prp1 + n * 4;
	if (listed)
		assert_true(cmd->prp2 == LIST_IOVA);
	for (uint32_t page = 0; n < dwords; page++) {
		uint64_t at = listed ? le64toh(list[page]) : cmd->prp2;

		assert_true(page < PAGE / 8);
		assert_true(at % PAGE == 0);
		for (uint32_t i = 0; i < PAGE / 4 && n < dwords; i++, n++)
			have[n] = at + i * 4;
	}
}

/* 4.4: one data block in the command, or a last segment of them. */
static void walk_sgl(const struct nvme_command *cmd,
                     const struct nvme_sgl *list, uint32_t dwords)
{
	/* As it goes into the ring. */
	const uint64_t pointer[2] = {htole64(cmd->prp1), htole64(cmd->prp2)};
	struct nvme_sgl one;
	uint32_t nr = 1, n = 0;

	memcpy(&one, pointer, sizeof(one));
	assert_int_equal(cmd->flags, COMMAND_SGL);
	if (one.type == SGL_LAST_SEGMENT) {
		assert_true(le64toh(one.address) == LIST_IOVA);
		assert_int_equal(le32toh(one.length) % 16, 0);
		nr = le32toh(one.length) / 16;
	} else {
		list = &one;
	}
	for (uint32_t i = 0; i < nr; i++) {
		assert_int_equal(list[i].type, SGL_DATA);
		assert_memory_equal(list[i].reserved, "\0\0\0", 3);
		for (uint32_t at = 0; at < le32toh(list[i].length); at += 4) {
			assert_true(n < dwords);
			have[n++] = le64toh(list[i].address) + at;
		}
	}
	assert_int_equal(n, dwords);
}

static void both(const struct nvme_seg *seg, uint32_t nr, bool prp_can)
{
	static uint64_t list[512];
	static struct nvme_sgl sgl[DATA_MAX_SEGS];
	struct nvme_command cmd = {0};
	uint32_t dwords = spread(seg, nr);

	memset(list, 0xff, sizeof(list));
	if (!prp_can) {
		assert_int_equal(data_prp(&cmd, seg, nr, list, LIST_IOVA),
		                 -EINVAL);
	} else {
		assert_int_equal(data_prp(&cmd, seg, nr, list, LIST_IOVA), 0);
		walk_prp(&cmd, list, dwords);
		assert_memory_equal(have, want, dwords * sizeof(*have));
	}
	memset(sgl, 0xff, sizeof(sgl));
	memset(&cmd, 0, sizeof(cmd));
	assert_int_equal(data_sgl(&cmd, seg, nr, sgl, LIST_IOVA), 0);
	walk_sgl(&cmd, sgl, dwords);
	assert_memory_equal(have, want, dwords * sizeof(*have));
}

/* Every length around the edges of one page, two, a list and a full list, from
 * the start of a page and from within. */
static void contiguous(void **state)
{
	static const uint32_t pages[] = {1, 2, 3, 4, 17, 511, 512};

	(void)state;
	for (uint32_t offset = 0; offset < PAGE; offset += 508)
		for (uint32_t i = 0; i < 7; i++)
			for (uint32_t d = 0; d < 3; d++) {
				uint32_t len = pages[i] * PAGE + 4 * d - 4;
				struct nvme_seg seg = {0x70000000u + offset,
				                       len};

				if (len <= DATA_MAX)
					both(&seg, 1, true);
			}
}

static void scattered(void **state)
{
	struct nvme_seg seg[DATA_MAX_SEGS];

	(void)state;
	for (uint32_t i = 0; i < DATA_MAX_SEGS; i++)
		seg[i] = (struct nvme_seg){0x90000000u - i * 3 * PAGE,
		                           PAGE * (1 + i % 2)};
	both(seg, 2, true);
	both(seg, 3, true);
	both(seg, DATA_MAX_SEGS, true);
	/* Ragged at both ends is fine, in between it is not. */
	seg[0] = (struct nvme_seg){0x50000f00u, 0x100};
	seg[2].len = 512;
	both(seg, 3, true);
	both(seg, 4, false);
	seg[0].len = 0x80;
	both(seg, 2, false);
	seg[0] = (struct nvme_seg){0x50000f02u, 0xfe};
	both(seg, 1, false);
}

static void refused(void **state)
{
	struct nvme_seg seg[DATA_MAX_SEGS + 1];
	struct nvme_sgl sgl[DATA_MAX_SEGS];
	struct nvme_command cmd = {0};
	uint64_t list[512];

	(void)state;
	for (uint32_t i = 0; i <= DATA_MAX_SEGS; i++)
		seg[i] = (struct nvme_seg){0x90000000u + i * 3 * PAGE, PAGE};
	assert_int_equal(data_sgl(&cmd, seg, 0, sgl, LIST_IOVA), -EINVAL);
	assert_int_equal(data_prp(&cmd, seg, 0, list, LIST_IOVA), -EINVAL);
	assert_int_equal(data_sgl(&cmd, seg, DATA_MAX_SEGS + 1, sgl, LIST_IOVA),
	                 -EINVAL);
	/* A page more than PRP1 and a full list. */
	seg[0].len = 514 * PAGE;
	assert_int_equal(data_prp(&cmd, seg, 1, list, LIST_IOVA), -EINVAL);
	seg[0].len = 0;
	assert_int_equal(data_prp(&cmd, seg, 1, list, LIST_IOVA), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(contiguous),
	        cmocka_unit_test(scattered),
	        cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
