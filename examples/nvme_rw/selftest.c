/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme_rw's tests on a real controller: what is written comes back, what is
 * taken back is out of reach, what is mapped once serves two. They overwrite
 * the start of the disk.
 */
#include "pattern.h"
#include "rig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SEED 20240607u

/* Writes blocks from one buffer and reads them into another with poison behind
 * it, which must stay. Buffers have a page more than the transfer. */
static int round_trip(struct rig *r, uint32_t blocks, uint8_t *out, uint8_t *in,
                      uint64_t room)
{
	const struct nvme_info *info = nvme_get_info(r->nvme[0]);
	uint64_t len = (uint64_t)blocks * info->block_size;
	sluice_iova_t from, to;
	int rc;

	pattern_fill(out, 0, len, SEED + blocks);
	memset(in, POISON, room);
	rc = rig_map(r, out, room, SLUICE_READ, &from);
	if (rc)
		return rc;
	rc = rig_map(r, in, room, SLUICE_WRITE, &to);
	if (rc == 0) {
		rc = nvme_write(r->nvme[0], 0, blocks, from);
		if (rc == 0)
			rc = nvme_read(r->nvme[0], 0, blocks, to);
		if (rig_unmap(r, to, room) && rc == 0)
			rc = -EIO;
	}
	if (rig_unmap(r, from, room) && rc == 0)
		rc = -EIO;
	if (rc)
		return rc;
	if (pattern_check(in, 0, len, SEED + blocks) != len)
		return fail(-EIO, "%u blocks came back changed", blocks);
	if (!all_poison(in + len, room - len))
		return fail(-EIO, "%u blocks wrote beyond their end", blocks);
	printf("selftest: %u blocks: ok\n", blocks);
	return 0;
}

/* One block, one PRP, two, the shortest list, odd ends, the longest list. */
int selftest(struct rig *r)
{
	const struct nvme_info *info = nvme_get_info(r->nvme[0]);
	uint32_t page = SLUICE_PAGE_SIZE / info->block_size;
	uint32_t most = info->max_transfer / info->block_size;
	uint32_t sizes[] = {1,        page,         page + 1, 2 * page,
	                    3 * page, 3 * page + 1, most - 1, most};
	uint64_t room = info->max_transfer + SLUICE_PAGE_SIZE;
	uint8_t *out = rig_alloc(room), *in = rig_alloc(room);
	int rc = out && in ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !rc; i++)
		rc = round_trip(r, sizes[i], out, in, room);
	if (rc == 0)
		rc = nvme_flush(r->nvme[0]);
	if (in)
		munmap(in, room);
	if (out)
		munmap(out, room);
	return rc;
}

int provoke(struct nvme *nvme, const char *what, sluice_iova_t iova,
            const uint8_t *buf)
{
	/* An IOMMU holds few fault records (an emulated one: one) until the
	 * kernel has read them. */
	const struct timespec pause = {.tv_nsec = 100000000};
	int rc;

	/* Before the command: the line is there even if it hangs. */
	printf("%s 0x%" PRIx64 "\n", what, iova);
	fflush(stdout);
	rc = nvme_read(nvme, 0, 1, iova);
	nanosleep(&pause, NULL);
	if (!all_poison(buf, SLUICE_PAGE_SIZE))
		return fail(-EIO,
		            "%s: the controller wrote to memory that is "
		            "not its own",
		            what);
	printf("%s: memory untouched, the controller %s\n", what,
	       rc ? "reports an error" : "noticed nothing");
	return rc == -EIO ? 0 : rc;
}

static int fault_steps(struct rig *r, uint8_t *buf)
{
	const struct nvme_info *info = nvme_get_info(r->nvme[0]);
	sluice_iova_t iova;
	int rc;

	/* A disk whose first block is known. */
	pattern_fill(buf, 0, info->block_size, SEED);
	rc = rig_map(r, buf, SLUICE_PAGE_SIZE, SLUICE_RW, &iova);
	if (rc)
		return rc;
	rc = nvme_write(r->nvme[0], 0, 1, iova);
	memset(buf, POISON, SLUICE_PAGE_SIZE);
	if (rc == 0)
		rc = nvme_read(r->nvme[0], 0, 1, iova);
	if (rc == 0 &&
	    pattern_check(buf, 0, info->block_size, SEED) != info->block_size)
		rc = fail(-EIO, "a mapped buffer was not filled");
	memset(buf, POISON, 2 * SLUICE_PAGE_SIZE);
	if (rig_unmap(r, iova, SLUICE_PAGE_SIZE) || rc)
		return rc ? rc : -EIO;
	rc = provoke(r->nvme[0], "stale-iova", iova, buf);
	if (rc)
		return rc;
	/* The second of two pages: the first one's IOVA may be recycled. */
	rc = rig_map(r, buf, 2 * SLUICE_PAGE_SIZE, SLUICE_READ, &iova);
	if (rc)
		return rc;
	rc = provoke(r->nvme[0], "read-only-iova", iova + SLUICE_PAGE_SIZE,
	             buf + SLUICE_PAGE_SIZE);
	if (rig_unmap(r, iova, 2 * SLUICE_PAGE_SIZE) && rc == 0)
		rc = -EIO;
	/* Refused DMA must not have broken the controller. */
	return rc ? rc : nvme_flush(r->nvme[0]);
}

int fault_test(struct rig *r)
{
	uint8_t *buf = rig_alloc(2 * SLUICE_PAGE_SIZE);
	int rc = buf ? fault_steps(r, buf) : -ENOMEM;

	if (buf)
		munmap(buf, 2 * SLUICE_PAGE_SIZE);
	if (rc == 0)
		printf("fault-test: ok\n");
	return rc;
}

/* Both controllers write the buffer to their disks, then each reads it back:
 * at one IOVA, through one mapping. */
static int two_steps(struct rig *r, uint8_t *buf, sluice_iova_t iova)
{
	uint32_t block = nvme_get_info(r->nvme[0])->block_size;
	int rc = 0;

	for (unsigned i = 0; i < r->nr && rc == 0; i++) {
		pattern_fill(buf, 0, block, SEED + i);
		rc = nvme_write(r->nvme[i], 0, 1, iova);
	}
	for (unsigned i = 0; i < r->nr && rc == 0; i++) {
		memset(buf, POISON, SLUICE_PAGE_SIZE);
		rc = nvme_read(r->nvme[i], 0, 1, iova);
		if (rc == 0 && pattern_check(buf, 0, block, SEED + i) != block)
			rc = fail(-EIO,
			          "controller %u did not fill the "
			          "shared buffer",
			          i);
	}
	return rc;
}

int two_test(struct rig *r)
{
	uint8_t *buf = rig_alloc(SLUICE_PAGE_SIZE);
	struct sluice_domain_stats before, after;
	sluice_iova_t iova;
	int rc = buf ? 0 : -ENOMEM;

	sluice_domain_get_stats(r->domain, &before);
	if (rc == 0)
		rc = rig_map(r, buf, SLUICE_PAGE_SIZE, SLUICE_RW, &iova);
	if (rc == 0) {
		rc = two_steps(r, buf, iova);
		if (rig_unmap(r, iova, SLUICE_PAGE_SIZE) && rc == 0)
			rc = -EIO;
		memset(buf, POISON, SLUICE_PAGE_SIZE);
	}
	sluice_domain_get_stats(r->domain, &after);
	/* Taken back once, it is out of reach for both. */
	for (unsigned i = 0; i < r->nr && rc == 0; i++)
		rc = provoke(r->nvme[i], "stale-iova", iova, buf);
	if (buf)
		munmap(buf, SLUICE_PAGE_SIZE);
	if (rc == 0)
		printf("two: ok, %" PRIu64 " map and %" PRIu64 " unmap calls "
		       "to the kernel\n",
		       after.kernel_maps - before.kernel_maps,
		       after.kernel_unmaps - before.kernel_unmaps);
	return rc;
}
