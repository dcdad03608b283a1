/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trap of merging. Two neighbours in memory and in IOVA are mapped back to
 * back, each for itself. A kernel mapping dies only whole: had they been merged
 * into one on the way, one could not be taken back without the other. Here one
 * is, while the controller writes to the other without a break: the first must
 * be out of reach, and not one byte of the second may be missed.
 */
#include "pattern.h"
#include "regs.h"
#include "rig.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE SLUICE_PAGE_SIZE
#define SEED 20240611u
/* Reads of the live neighbour that each part of the test waits for. */
#define READS 200
#define FILLER (16u << 20)
#define FILLER_MAX (512u << 20)

/* The thread that keeps the controller writing to one page. */
struct reader {
	pthread_t thread;
	struct nvme *nvme;
	struct nvme_queue *queue;
	uint8_t *buf;
	sluice_iova_t iova;
	_Atomic uint64_t reads;
	_Atomic bool stop;
	_Atomic int bad;
};

/* Two pages of the disk hold different data, so that each read changes every
 * byte. */
static void expect(void *buf, unsigned which)
{
	pattern_fill(buf, which * PAGE, PAGE, SEED);
}

static int read_page(struct reader *r, unsigned which)
{
	uint32_t blocks = PAGE / nvme_get_info(r->nvme)->block_size;
	struct nvme_seg seg = {r->iova, PAGE};
	struct nvme_io io = {
	        .op = NVME_READ,
	        .lba = which * blocks,
	        .nr_blocks = blocks,
	        .seg = &seg,
	        .nr_seg = 1,
	};
	struct nvme_done done;
	int rc = nvme_submit(r->queue, &io);

	if (rc)
		return rc;
	while (!nvme_poll(r->queue, &done, 1))
		sched_yield();
	if (done.result)
		return done.result;
	return pattern_check(r->buf, which * PAGE, PAGE, SEED) == PAGE ? 0
	                                                               : -EIO;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	unsigned which = 0;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		int rc = read_page(r, which ^= 1);

		if (rc) {
			atomic_store_explicit(&r->bad, rc,
			                      memory_order_relaxed);
			return NULL;
		}
		atomic_fetch_add_explicit(&r->reads, 1, memory_order_relaxed);
	}
	return NULL;
}

/* Waits for more reads; 0 when all that came were right. */
static int more_reads(struct reader *r, uint64_t *ret_total)
{
	uint64_t from = atomic_load_explicit(&r->reads, memory_order_relaxed);
	uint64_t end = now_ms() + 20000, reads;
	int bad;

	do {
		sched_yield();
		reads = atomic_load_explicit(&r->reads, memory_order_relaxed);
		bad = atomic_load_explicit(&r->bad, memory_order_relaxed);
		if (bad)
			return fail(bad, "the live neighbour was disturbed: %s",
			            sluice_errname(bad));
	} while (reads < from + READS && now_ms() < end);
	*ret_total = reads;
	return reads < from + READS ? fail(-ETIMEDOUT, "reads do not go on")
	                            : 0;
}

static int map_one(struct rig *r, void *va, uint64_t len, uint64_t cookie,
                   sluice_iova_t *ret_iova)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)va,
	        .len = len,
	        .prot = SLUICE_RW,
	        .flags = SLUICE_MAP_COMPACT,
	        .cookie = cookie,
	};
	int rc = sluice_map(r->view, &req, ret_iova);

	if (rc == 1)
		return 0;
	return rc < 0 ? rig_failed(rc, "map")
	              : fail(-EIO, "map: done without the kernel");
}

/* Collects nr completions, all good. */
static int collect(struct rig *r, uint32_t nr)
{
	struct sluice_completion c;

	while (nr--) {
		int rc = rig_wait(r, &c);

		if (rc)
			return rc;
		if (c.result)
			return fail(c.result, "map: %s",
			            sluice_completion_text(&c));
	}
	return 0;
}

/* Maps the two pages at va so that both requests wait for the kernel at the
 * same time and are taken from the queue together: behind a large mapping that
 * keeps whoever makes the calls busy. *ret_proved: it still was when both were
 * in the queue. */
static int map_pair(struct rig *r, uint8_t *va, void *filler, uint64_t len,
                    sluice_iova_t iova[3], bool *ret_proved)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	struct sluice_completion c;
	uint32_t early;
	int rc = map_one(r, filler, len, 2, &iova[2]);

	if (rc)
		return rc;
	nanosleep(&pause, NULL); /* it has been taken by now */
	rc = map_one(r, va, PAGE, 0, &iova[0]);
	if (rc == 0)
		rc = map_one(r, va + PAGE, PAGE, 1, &iova[1]);
	if (rc)
		return rc;
	/* A completion that is there already would be the filler's. */
	early = sluice_poll(r->lane, &c, 1);
	*ret_proved = early == 0;
	return early && c.result
	               ? fail(c.result, "map: %s", sluice_completion_text(&c))
	               : collect(r, 3 - early);
}

static int unmap_pair(struct rig *r, const sluice_iova_t iova[2])
{
	int rc = rig_unmap(r, iova[0], PAGE);
	int rc2 = rig_unmap(r, iova[1], PAGE);

	return rc ? rc : rc2;
}

/* Maps the pair with larger and larger fillers until one was large enough, and
 * checks that the kernel holds two mappings, side by side. */
static int pair_up(struct rig *r, uint8_t *va, sluice_iova_t iova[2])
{
	struct sluice_domain_stats before, after;
	sluice_iova_t at[3] = {0};
	bool proved = false;
	int rc;

	for (uint64_t len = FILLER; len <= FILLER_MAX; len *= 2) {
		void *filler = rig_alloc(len);

		if (!filler)
			return -ENOMEM;
		sluice_domain_get_stats(r->domain, &before);
		rc = map_pair(r, va, filler, len, at, &proved);
		sluice_domain_get_stats(r->domain, &after);
		if (rc == 0)
			rc = rig_unmap(r, at[2], len);
		munmap(filler, len);
		if (rc)
			return rc;
		if (proved)
			break;
		rc = unmap_pair(r, at);
		if (rc)
			return rc;
	}
	memcpy(iova, at, 2 * sizeof(*iova));
	if (!proved)
		return fail(-EBUSY, "the two were never queued together");
	if (iova[1] != iova[0] + PAGE)
		return fail(-EIO, "the two are no neighbours in IOVA");
	if (after.kernel_maps - before.kernel_maps != 3)
		return fail(-EIO, "%llu mappings were made of three",
		            (unsigned long long)(after.kernel_maps -
		                                 before.kernel_maps));
	printf("pair 0x%" PRIx64 " 0x%" PRIx64 ": queued together, mapped "
	       "singly\n",
	       iova[0], iova[1]);
	return 0;
}

/* Takes the first of the pair back and lets the controller write there. */
static int cut_off(struct rig *r, uint8_t *va, const sluice_iova_t iova[2])
{
	uint32_t blocks = PAGE / nvme_get_info(r->nvme[0])->block_size;
	struct sluice_domain_stats before, after;
	int rc = nvme_read(r->nvme[0], 0, blocks, iova[0]);

	if (rc == 0 && pattern_check(va, 0, PAGE, SEED) != PAGE)
		rc = fail(-EIO, "the first page was not filled");
	memset(va, POISON, PAGE);
	sluice_domain_get_stats(r->domain, &before);
	if (rc == 0)
		rc = rig_unmap(r, iova[0], PAGE);
	sluice_domain_get_stats(r->domain, &after);
	if (rc == 0 && (after.kernel_maps != before.kernel_maps ||
	                after.kernel_unmaps != before.kernel_unmaps + 1))
		rc = fail(-EIO, "taking one back touched others");
	return rc ? rc : provoke(r->nvme[0], "stale-iova", iova[0], va);
}

static int trap_steps(struct rig *r, struct reader *live, uint8_t *va,
                      const sluice_iova_t iova[2])
{
	uint64_t before = 0, during, after = 0;
	int rc = more_reads(live, &before);

	if (rc == 0)
		rc = cut_off(r, va, iova);
	during = atomic_load_explicit(&live->reads, memory_order_relaxed);
	if (rc == 0)
		rc = more_reads(live, &after);
	if (rc == 0 && !all_poison(va, PAGE))
		rc = fail(-EIO, "the first page was written to");
	if (rc == 0 && during == before)
		rc = fail(-EIO, "no read of the neighbour fell into the unmap");
	if (rc == 0)
		printf("live neighbour: %" PRIu64 " reads before, %" PRIu64
		       " during, %" PRIu64 " after, all right\n",
		       before, during - before, after - during);
	return rc;
}

static int write_disk(struct rig *r, uint8_t *va, const sluice_iova_t iova[2])
{
	uint32_t blocks = PAGE / nvme_get_info(r->nvme[0])->block_size;

	expect(va, 0);
	expect(va + PAGE, 1);
	/* Two mappings, so two commands. */
	return nvme_write(r->nvme[0], 0, blocks, iova[0]) ||
	                       nvme_write(r->nvme[0], blocks, blocks, iova[1])
	               ? -EIO
	               : 0;
}

static int with_reader(struct rig *r, uint8_t *va, const sluice_iova_t iova[2])
{
	struct reader live = {
	        .nvme = r->nvme[0],
	        .queue = nvme_get_queue(r->nvme[0], 1),
	        .buf = va + PAGE,
	        .iova = iova[1],
	};
	int rc = -pthread_create(&live.thread, NULL, read_on, &live), bad;

	if (rc)
		return fail(rc, "no thread");
	rc = trap_steps(r, &live, va, iova);
	atomic_store_explicit(&live.stop, true, memory_order_relaxed);
	pthread_join(live.thread, NULL);
	bad = atomic_load_explicit(&live.bad, memory_order_relaxed);
	return rc ? rc : bad;
}

int trap_test(struct rig *r)
{
	uint8_t *va = rig_alloc(2 * PAGE);
	sluice_iova_t iova[2] = {0};
	int rc = va ? 0 : -ENOMEM, undo;

	if (rc == 0 && nvme_get_info(r->nvme[0])->nr_queues < 2)
		rc = fail(-EOPNOTSUPP, "the controller has one I/O queue, "
		                       "this test needs two");
	if (rc == 0)
		rc = pair_up(r, va, iova);
	if (rc == 0) {
		rc = write_disk(r, va, iova);
		if (rc == 0)
			rc = with_reader(r, va, iova);
		undo = rig_unmap(r, iova[1], PAGE);
		rc = rc ? rc : undo;
	}
	if (va)
		munmap(va, 2 * PAGE);
	if (rc == 0)
		printf("trap-test: ok\n");
	return rc;
}
