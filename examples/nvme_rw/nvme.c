/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller: registers, reset, queues, commands. Knows NVMe and where its
 * own memory lies; knows nothing of how data buffers are mapped.
 */
#include "nvme.h"
#include "nvme_spec.h"
#include "pci.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE SLUICE_PAGE_SIZE
#define QUEUE_DEPTH 64 /* a submission queue of one page */
#define ADMIN 0
#define IO 1
#define NSID 1
/* One page of PRP entries names the pages after the first. */
#define MAX_TRANSFER (512 * PAGE)
#define COMMAND_TIMEOUT_MS 10000
#define RESET "reset it (echo 1 > /sys/bus/pci/devices/%s/reset)"

struct queue {
	struct nvme_command *sq;
	struct nvme_completion *cq;
	struct sluice_buf sq_buf, cq_buf;
	uint16_t id;
	uint16_t depth;
	uint16_t tail, head; /* next entry to write, to read */
	uint16_t phase;      /* of entries not read yet */
	uint16_t cid;
};

struct nvme {
	int fd;
	const char *bdf;
	uint8_t *bar;
	size_t bar_size;
	uint64_t cap;
	struct sluice_arena *arena;
	struct queue queue[2];
	struct sluice_buf prp_list, identify;
	struct nvme_info info;
};

/* ---- registers ---- */

static uint32_t read32(const struct nvme *n, uint32_t reg)
{
	return *(volatile uint32_t *)(n->bar + reg);
}

/* The device may read memory as soon as it sees the write: what was stored
 * before must be there. */
static void write32(struct nvme *n, uint32_t reg, uint32_t value)
{
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile uint32_t *)(n->bar + reg) = value;
}

/* 3.1 allows access in halves where a 64-bit one is not sure to stay whole. */
static void write64(struct nvme *n, uint32_t reg, uint64_t value)
{
	write32(n, reg, (uint32_t)value);
	write32(n, reg + 4, (uint32_t)(value >> 32));
}

static void doorbell(struct nvme *n, const struct queue *q, bool cq,
                     uint32_t value)
{
	uint32_t stride = 4u << CAP_DSTRD(n->cap);

	write32(n, REG_DOORBELL + (2u * q->id + cq) * stride, value);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Waits until CSTS & mask equals value; CAP.TO is the controller's own bound
 * for each change of state. */
static int wait_status(struct nvme *n, uint32_t mask, uint32_t value,
                       const char *what)
{
	uint64_t end = now_ms() + 500 * ((uint64_t)CAP_TO(n->cap) + 1);
	uint32_t csts;

	do {
		csts = read32(n, REG_CSTS);
		if (csts == UINT32_MAX)
			return fail(-ENODEV,
			            "%s is gone from the bus: see dmesg",
			            n->bdf);
		if ((csts & mask) == value)
			return 0;
		if (csts & CSTS_CFS)
			return fail(
			        -EIO,
			        "%s: fatal status while it should %s: " RESET,
			        n->bdf, what, n->bdf);
	} while (now_ms() < end);
	return fail(-ETIMEDOUT,
	            "%s: did not %s in the %u ms it promises: " RESET, n->bdf,
	            what, 500 * CAP_TO(n->cap), n->bdf);
}

/* ---- commands ---- */

static void submit(struct nvme *n, struct queue *q, struct nvme_command *cmd)
{
	cmd->cid = ++q->cid;
	q->sq[q->tail] = *cmd;
	q->tail = (uint16_t)((q->tail + 1) % q->depth);
	doorbell(n, q, false, q->tail);
}

/* Polls for the completion of the command that was submitted last. */
static int wait_completion(struct nvme *n, struct queue *q,
                           uint32_t *ret_status)
{
	uint64_t end = now_ms() + COMMAND_TIMEOUT_MS;
	const struct nvme_completion *e;
	uint16_t status, cid;

	do {
		e = &q->cq[q->head];
		status = *(const volatile uint16_t *)&e->status;
		if ((status & 1) != q->phase)
			continue;
		/* The rest of the entry is valid only after the phase. */
		atomic_thread_fence(memory_order_acquire);
		cid = e->cid;
		if (++q->head == q->depth) {
			q->head = 0;
			q->phase ^= 1;
		}
		doorbell(n, q, true, q->head);
		if (cid != q->cid)
			continue; /* of a command that was given up */
		*ret_status = status >> 1;
		return 0;
	} while (now_ms() < end);
	return fail(-ETIMEDOUT,
	            "%s: no answer in %d s: the controller hangs; " RESET,
	            n->bdf, COMMAND_TIMEOUT_MS / 1000, n->bdf);
}

static int execute(struct nvme *n, struct queue *q, struct nvme_command *cmd,
                   const char *what)
{
	uint32_t status = 0;
	int rc;

	submit(n, q, cmd);
	rc = wait_completion(n, q, &status);
	if (rc)
		return rc;
	/* 4.6.1: status code in bits 7:0, its type in 10:8. */
	if (status & 0x7ff)
		return fail(-EIO,
		            "%s: %s: the controller reports status type %u "
		            "code 0x%02x (NVMe 1.4, 4.6.1; DMA errors are in "
		            "'dmesg | grep DMAR')",
		            n->bdf, what, status >> 8 & 7, status & 0xff);
	return 0;
}

/* PRP1 is the first page; PRP2 the second or, for more than two, a list of all
 * after the first (4.3). IOVAs of one mapping are contiguous, so the list is
 * arithmetic. */
static void set_prps(struct nvme *n, struct nvme_command *cmd,
                     sluice_iova_t iova, uint64_t len)
{
	uint64_t *list = n->prp_list.va;
	uint64_t pages = (len + PAGE - 1) / PAGE;

	cmd->prp1 = iova;
	if (pages == 2)
		cmd->prp2 = iova + PAGE;
	if (pages <= 2)
		return;
	for (uint64_t i = 1; i < pages; i++)
		list[i - 1] = iova + i * PAGE;
	cmd->prp2 = n->prp_list.iova;
}

static int rw(struct nvme *n, uint8_t opcode, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova)
{
	struct nvme_command cmd = {
	        .opcode = opcode,
	        .nsid = NSID,
	        .cdw10 = (uint32_t)lba,
	        .cdw11 = (uint32_t)(lba >> 32),
	        .cdw12 = nr_blocks - 1,
	};
	uint64_t len = (uint64_t)nr_blocks * n->info.block_size;

	if (nr_blocks == 0 || len > n->info.max_transfer || iova % PAGE)
		return fail(-EINVAL,
		            "a transfer is 1 to %u bytes at an IOVA that "
		            "starts a page: split it",
		            n->info.max_transfer);
	if (lba > n->info.nr_blocks || nr_blocks > n->info.nr_blocks - lba)
		return fail(-EINVAL,
		            "%s: blocks %llu+%u lie beyond the disk's end: it "
		            "has %llu blocks",
		            n->bdf, (unsigned long long)lba, nr_blocks,
		            (unsigned long long)n->info.nr_blocks);
	set_prps(n, &cmd, iova, len);
	return execute(n, &n->queue[IO], &cmd,
	               opcode == NVM_READ ? "read" : "write");
}

int nvme_read(struct nvme *n, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova)
{
	return rw(n, NVM_READ, lba, nr_blocks, iova);
}

int nvme_write(struct nvme *n, uint64_t lba, uint32_t nr_blocks,
               sluice_iova_t iova)
{
	return rw(n, NVM_WRITE, lba, nr_blocks, iova);
}

int nvme_flush(struct nvme *n)
{
	struct nvme_command cmd = {.opcode = NVM_FLUSH, .nsid = NSID};

	return execute(n, &n->queue[IO], &cmd, "flush");
}

/* ---- bringing the controller up ---- */

static int map_registers(struct nvme *n)
{
	void *va;
	int rc = pci_check_class(n->fd, n->bdf, CLASS_NVME);

	if (rc == 0)
		rc = pci_map_bar0(n->fd, n->bdf, BAR_MIN, &va, &n->bar_size);
	if (rc)
		return rc;
	n->bar = va;
	n->cap = read32(n, REG_CAP) | (uint64_t)read32(n, REG_CAP + 4) << 32;
	n->info.version = read32(n, REG_VS);
	if (CAP_MPSMIN(n->cap) != 0 || CAP_MQES(n->cap) + 1 < QUEUE_DEPTH)
		return fail(-EOPNOTSUPP,
		            "%s: this example needs 4 KiB pages and %d queue "
		            "entries; the controller lacks one of them",
		            n->bdf, QUEUE_DEPTH);
	return 0;
}

/* Everything the controller keeps access to: mapped once. */
static int alloc_memory(struct nvme *n, struct sluice_domain *domain)
{
	/* Six pages are not worth a huge one. */
	struct sluice_arena_cfg cfg = {.size = 8 * PAGE, .no_huge = 1};
	int rc = sluice_arena_create(domain, &cfg, &n->arena);

	for (uint16_t i = 0; i < 2 && rc == 0; i++) {
		struct queue *q = &n->queue[i];

		q->id = i;
		q->depth = QUEUE_DEPTH;
		q->phase = 1;
		rc = sluice_arena_alloc(n->arena, PAGE, PAGE, &q->sq_buf);
		if (rc == 0)
			rc = sluice_arena_alloc(n->arena, PAGE, PAGE,
			                        &q->cq_buf);
		q->sq = q->sq_buf.va;
		q->cq = q->cq_buf.va;
	}
	if (rc == 0)
		rc = sluice_arena_alloc(n->arena, PAGE, PAGE, &n->prp_list);
	if (rc == 0)
		rc = sluice_arena_alloc(n->arena, PAGE, PAGE, &n->identify);
	if (rc)
		return fail(rc, "%s: no DMA memory for the queues: %s: %s",
		            n->bdf, sluice_errname(rc), sluice_last_error());
	return 0;
}

/* 7.6.1: off, admin queue, on. */
static int start(struct nvme *n)
{
	const struct queue *q = &n->queue[ADMIN];
	int rc;

	write32(n, REG_CC, 0);
	rc = wait_status(n, CSTS_RDY, 0, "reset");
	if (rc)
		return rc;
	write32(n, REG_AQA, (QUEUE_DEPTH - 1) << 16 | (QUEUE_DEPTH - 1));
	write64(n, REG_ASQ, q->sq_buf.iova);
	write64(n, REG_ACQ, q->cq_buf.iova);
	write32(n, REG_CC, CC_IOSQES | CC_IOCQES | CC_EN);
	return wait_status(n, CSTS_RDY, CSTS_RDY, "become ready");
}

static int identify(struct nvme *n, uint32_t cns, uint32_t nsid)
{
	struct nvme_command cmd = {
	        .opcode = ADMIN_IDENTIFY,
	        .nsid = nsid,
	        .prp1 = n->identify.iova,
	        .cdw10 = cns,
	};

	return execute(n, &n->queue[ADMIN], &cmd, "identify");
}

/* Identify's strings are padded with blanks, without a zero. */
static void copy_text(char *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	to[len] = '\0';
	while (len > 0 && to[len - 1] == ' ')
		to[--len] = '\0';
}

static int read_info(struct nvme *n)
{
	const uint8_t *id = n->identify.va;
	struct nvme_info *info = &n->info;
	uint32_t lbaf;
	int rc = identify(n, CNS_CONTROLLER, 0);

	if (rc)
		return rc;
	copy_text(info->serial, id + ID_CTRL_SERIAL, 20);
	copy_text(info->model, id + ID_CTRL_MODEL, 40);
	copy_text(info->firmware, id + ID_CTRL_FIRMWARE, 8);
	info->max_transfer = MAX_TRANSFER;
	/* MDTS: log2 of pages; 0: no limit. 2^9 pages are our own limit. */
	if (id[ID_CTRL_MDTS] != 0 && id[ID_CTRL_MDTS] < 9)
		info->max_transfer = PAGE << id[ID_CTRL_MDTS];
	rc = identify(n, CNS_NAMESPACE, NSID);
	if (rc)
		return rc;
	memcpy(&info->nr_blocks, id + ID_NS_SIZE, sizeof(info->nr_blocks));
	memcpy(&lbaf, id + ID_NS_LBAF + 4 * (id[ID_NS_FLBAS] & 0xf),
	       sizeof(lbaf));
	lbaf = lbaf >> 16 & 0xff;
	if (info->nr_blocks == 0 || lbaf < 9 || lbaf > SLUICE_PAGE_LG2)
		return fail(-EOPNOTSUPP,
		            "%s: namespace %d is not there or its blocks are "
		            "not of 512 to 4096 bytes: format it",
		            n->bdf, NSID);
	info->block_size = 1u << lbaf;
	return 0;
}

/* The completion queue first: the submission queue names it. */
static int create_io_queue(struct nvme *n)
{
	const struct queue *q = &n->queue[IO];
	struct nvme_command features = {
	        .opcode = ADMIN_SET_FEATURES,
	        .cdw10 = FEATURE_QUEUES,
	        .cdw11 = 0, /* one pair: counts are zero-based */
	};
	struct nvme_command cq = {
	        .opcode = ADMIN_CREATE_CQ,
	        .prp1 = q->cq_buf.iova,
	        .cdw10 = (QUEUE_DEPTH - 1) << 16 | IO,
	        .cdw11 = QUEUE_CONTIGUOUS,
	};
	struct nvme_command sq = {
	        .opcode = ADMIN_CREATE_SQ,
	        .prp1 = q->sq_buf.iova,
	        .cdw10 = (QUEUE_DEPTH - 1) << 16 | IO,
	        .cdw11 = IO << 16 | QUEUE_CONTIGUOUS,
	};
	struct queue *admin = &n->queue[ADMIN];
	int rc = execute(n, admin, &features, "set number of queues");

	if (rc == 0)
		rc = execute(n, admin, &cq, "create completion queue");
	if (rc == 0)
		rc = execute(n, admin, &sq, "create submission queue");
	return rc;
}

int nvme_open(struct sluice_domain *domain, int device_fd, const char *bdf,
              struct nvme **ret_nvme)
{
	struct nvme *n = calloc(1, sizeof(*n));
	int rc;

	if (!n)
		return fail(-ENOMEM, "no memory");
	n->fd = device_fd;
	n->bdf = bdf;
	rc = map_registers(n);
	if (rc == 0)
		rc = alloc_memory(n, domain);
	if (rc == 0)
		rc = pci_enable_dma(n->fd, bdf);
	if (rc == 0)
		rc = start(n);
	if (rc == 0)
		rc = read_info(n);
	if (rc == 0)
		rc = create_io_queue(n);
	if (rc) {
		nvme_close(n);
		return rc;
	}
	*ret_nvme = n;
	return 0;
}

/* 7.6.2: a normal shutdown, then off, so that no queue is used any more when
 * the arena goes. */
void nvme_close(struct nvme *n)
{
	if (!n)
		return;
	if (n->bar && read32(n, REG_CSTS) & CSTS_RDY) {
		write32(n, REG_CC, read32(n, REG_CC) | CC_SHN_NORMAL);
		(void)wait_status(n, CSTS_SHST_MASK, CSTS_SHST_DONE,
		                  "shut down");
		write32(n, REG_CC, 0);
		(void)wait_status(n, CSTS_RDY, 0, "stop");
	}
	sluice_arena_destroy(n->arena);
	if (n->bar)
		munmap(n->bar, n->bar_size);
	free(n);
}

const struct nvme_info *nvme_get_info(const struct nvme *n)
{
	return &n->info;
}
