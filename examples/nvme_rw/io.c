/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands in flight: what a thread does with its queue all day. Knows reads,
 * writes and flushes; of trouble only whom to call.
 */
#include "data.h"
#include "nvme_int.h"
#include "nvme_spec.h"

#include <errno.h>
#include <sched.h>

/* Empty polls between two looks at the clock. */
#define IDLE_POLLS 64

static bool gone(const struct nvme *n)
{
	return atomic_load_explicit(&n->lost, memory_order_relaxed);
}

/* Whether the rings are known to the controller. Pairs with the release in
 * reset(): of a command that was in flight in a former life, nothing is
 * read or written after this returned false. */
static bool alive(const struct nvme_queue *q)
{
	return atomic_load_explicit(&q->nvme->epoch, memory_order_acquire) ==
	       q->epoch;
}

static int check(const struct nvme_info *info, const struct nvme_io *io)
{
	uint64_t len = (uint64_t)io->nr_blocks * info->block_size, have = 0;

	if (io->op == NVME_FLUSH)
		return 0;
	for (uint32_t i = 0; i < io->nr_seg; i++)
		have += io->seg[i].len;
	if (len == 0 || len > info->max_transfer || have != len ||
	    io->nr_seg > info->max_segs)
		return -EINVAL;
	if (io->lba >= info->nr_blocks ||
	    io->nr_blocks > info->nr_blocks - io->lba)
		return -EINVAL;
	return 0;
}

static int build(struct nvme_queue *q, const struct nvme_io *io, uint16_t slot,
                 struct nvme_command *ret)
{
	static const uint8_t opcode[] = {
	        [NVME_READ] = NVM_READ,
	        [NVME_WRITE] = NVM_WRITE,
	        [NVME_FLUSH] = NVM_FLUSH,
	};
	struct nvme_command cmd = {.opcode = opcode[io->op], .nsid = NSID};
	sluice_iova_t list_iova;
	void *list = queue_list(&q->ring, slot, &list_iova);
	int rc = 0;

	if (io->op != NVME_FLUSH) {
		cmd.cdw10 = (uint32_t)io->lba;
		cmd.cdw11 = (uint32_t)(io->lba >> 32);
		cmd.cdw12 = io->nr_blocks - 1;
		rc = q->nvme->info.sgl ? data_sgl(&cmd, io->seg, io->nr_seg,
		                                  list, list_iova)
		                       : data_prp(&cmd, io->seg, io->nr_seg,
		                                  list, list_iova);
	}
	if (rc == 0)
		*ret = cmd;
	return rc;
}

int nvme_submit(struct nvme_queue *q, const struct nvme_io *io)
{
	struct nvme *n = q->nvme;
	struct nvme_command cmd = {0};
	int rc = check(&n->info, io), slot;

	if (rc)
		return rc;
	if (gone(n))
		return -ENODEV;
	if (!alive(q))
		return -EAGAIN;
	slot = queue_get(&q->ring);
	if (slot < 0)
		return slot;
	rc = build(q, io, (uint16_t)slot, &cmd);
	if (rc) {
		queue_put(&q->ring, (uint16_t)slot);
		return rc;
	}
	q->ring.slot[slot].cookie = io->cookie;
	q->ring.slot[slot].deadline_ms = now_ms() + n->cfg.timeout_ms;
	queue_push(&q->ring, &cmd, (uint16_t)slot);
	return 0;
}

static bool lose_this(struct nvme_queue *q)
{
	if (q->nvme->cfg.lose_every == 0 || --q->to_lose)
		return false;
	q->to_lose = q->nvme->cfg.lose_every;
	return true;
}

static uint32_t reap(struct nvme_queue *q, struct nvme_done *out, uint32_t max)
{
	struct nvme_completion e;
	bool any = false;
	uint32_t n = 0;

	while (n < max && queue_next(&q->ring, &e)) {
		const struct queue_slot *s;

		any = true;
		/* What the controller says is checked, not believed. */
		if (e.cid >= q->ring.nr_slots || !q->ring.slot[e.cid].busy ||
		    lose_this(q))
			continue;
		s = &q->ring.slot[e.cid];
		out[n++] = (struct nvme_done){
		        .cookie = s->cookie,
		        .result = e.status >> 1 & STATUS_ANY ? -EIO : 0,
		        .status = e.status >> 1,
		};
		queue_put(&q->ring, e.cid);
	}
	if (any)
		queue_ack(&q->ring);
	return n;
}

/* Store, then load, both sequentially consistent, against the same in
 * close_gate(): either the one who resets sees us inside and waits, or we see
 * the gate closed and keep away from the doorbells. */
static bool enter(struct nvme_queue *q)
{
	atomic_store_explicit(&q->inside, true, memory_order_seq_cst);
	if (!atomic_load_explicit(&q->nvme->gate, memory_order_seq_cst))
		return true;
	atomic_store_explicit(&q->inside, false, memory_order_release);
	return false;
}

uint32_t nvme_poll(struct nvme_queue *q, struct nvme_done *out, uint32_t max)
{
	uint32_t n;

	if (!alive(q) || gone(q->nvme))
		return recover_queue(q, out, max);
	if (!enter(q))
		return 0;
	queue_ring(&q->ring);
	n = reap(q, out, max);
	atomic_store_explicit(&q->inside, false, memory_order_release);
	if (n) {
		q->idle = 0;
	} else if (nvme_in_flight(q) && ++q->idle >= IDLE_POLLS) {
		q->idle = 0;
		recover_late(q);
	}
	return n;
}

uint32_t nvme_in_flight(const struct nvme_queue *q)
{
	return (uint32_t)(q->ring.nr_slots - q->ring.nr_free);
}

/* ---- one at a time ---- */

static int once(struct nvme_queue *q, const struct nvme_io *io,
                struct nvme_done *ret)
{
	int rc;

	for (;;) {
		rc = nvme_submit(q, io);
		if (rc != -EAGAIN)
			break;
		(void)nvme_poll(q, ret, 1);
	}
	if (rc)
		return rc;
	while (!nvme_poll(q, ret, 1))
		sched_yield();
	return ret->result;
}

static int execute(struct nvme *n, const struct nvme_io *io, const char *what)
{
	struct nvme_done done = {0};
	int rc, tries = 3;

	do
		rc = once(&n->io[0], io, &done);
	while (rc == -ECANCELED && --tries);
	if (rc == -EIO)
		return fail(rc,
		            "%s: %s: the controller reports status type %u "
		            "code 0x%02x (NVMe 1.4, 4.6.1; DMA errors are in "
		            "'dmesg | grep DMAR')",
		            n->bdf, what, STATUS_TYPE(done.status),
		            STATUS_CODE(done.status));
	if (rc)
		return fail(rc, "%s: %s: %s", n->bdf, what,
		            rc == -ECANCELED ? "given up by a reset three "
		                               "times"
		                             : "the controller is lost");
	return 0;
}

static int rw(struct nvme *n, enum nvme_op op, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova)
{
	struct nvme_seg seg = {iova, nr_blocks * n->info.block_size};
	struct nvme_io io = {
	        .op = op,
	        .lba = lba,
	        .nr_blocks = nr_blocks,
	        .seg = &seg,
	        .nr_seg = 1,
	};

	if (check(&n->info, &io) || iova % SLUICE_PAGE_SIZE)
		return fail(-EINVAL,
		            "%s: a transfer is 1 to %u bytes at an IOVA that "
		            "starts a page, and ends before block %llu: "
		            "%llu+%u does not",
		            n->bdf, n->info.max_transfer,
		            (unsigned long long)n->info.nr_blocks,
		            (unsigned long long)lba, nr_blocks);
	return execute(n, &io, op == NVME_READ ? "read" : "write");
}

int nvme_read(struct nvme *n, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova)
{
	return rw(n, NVME_READ, lba, nr_blocks, iova);
}

int nvme_write(struct nvme *n, uint64_t lba, uint32_t nr_blocks,
               sluice_iova_t iova)
{
	return rw(n, NVME_WRITE, lba, nr_blocks, iova);
}

int nvme_flush(struct nvme *n)
{
	struct nvme_io io = {.op = NVME_FLUSH};

	return execute(n, &io, "flush");
}
