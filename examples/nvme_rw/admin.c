/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The admin queue: enabling the controller, one command at a time, and the
 * commands that I/O queues need. Knows NVMe 1.4, 5 and 7.6; knows nothing of
 * when a command is late on an I/O queue.
 */
#include "nvme_int.h"

#include <errno.h>
#include <sched.h>

/* Polls for the completion of the only command in flight. */
static int wait_completion(struct nvme *n, struct nvme_completion *ret)
{
	uint64_t end = now_ms() + n->cfg.timeout_ms;

	while (!queue_next(&n->admin, ret)) {
		if (now_ms() >= end)
			return -ETIMEDOUT;
		sched_yield();
	}
	queue_ack(&n->admin);
	return 0;
}

int admin_command(struct nvme *n, struct nvme_command *cmd, const char *what,
                  uint32_t *ret_result)
{
	struct nvme_completion done;
	int slot = queue_get(&n->admin);
	uint32_t status;
	int rc;

	/* Those that never came back keep their slots: see below. */
	if (slot < 0)
		return fail(-ETIMEDOUT, "%s: admin commands hang", n->bdf);
	queue_push(&n->admin, cmd, (uint16_t)slot);
	queue_ring(&n->admin);
	do {
		rc = wait_completion(n, &done);
		/* A slot whose completion never came is not used again before
		 * the controller is reset: it might still come. */
		if (rc)
			return fail(rc, "%s: %s: no answer in %u ms", n->bdf,
			            what, n->cfg.timeout_ms);
		if (done.cid < n->admin.nr_slots)
			queue_put(&n->admin, done.cid);
	} while (done.cid != slot);
	status = done.status >> 1;
	if (status & STATUS_ANY)
		return fail(-EIO,
		            "%s: %s: the controller reports status type %u "
		            "code 0x%02x (NVMe 1.4, 4.6.1)",
		            n->bdf, what, STATUS_TYPE(status),
		            STATUS_CODE(status));
	if (ret_result)
		*ret_result = done.result;
	return 0;
}

int admin_identify(struct nvme *n, uint32_t cns, uint32_t nsid)
{
	struct nvme_command cmd = {
	        .opcode = ADMIN_IDENTIFY,
	        .nsid = nsid,
	        .prp1 = n->identify.iova,
	        .cdw10 = cns,
	};

	return admin_command(n, &cmd, "identify", NULL);
}

/* Counts are zero-based, completion queues in the upper half. */
int admin_nr_queues(struct nvme *n, uint32_t *nr)
{
	struct nvme_command cmd = {
	        .opcode = ADMIN_SET_FEATURES,
	        .cdw10 = FEATURE_QUEUES,
	        .cdw11 = (*nr - 1) << 16 | (*nr - 1),
	};
	uint32_t granted = 0, sq, cq;
	int rc = admin_command(n, &cmd, "set number of queues", &granted);

	if (rc)
		return rc;
	sq = (granted & 0xffff) + 1;
	cq = (granted >> 16) + 1;
	*nr = sq < cq ? sq : cq;
	return 0;
}

/* The completion queue first: the submission queue names it. Vector 0 belongs
 * to the admin queue, which is polled. */
int admin_create_queue(struct nvme *n, struct nvme_queue *q)
{
	uint32_t id = q->ring.id;
	uint32_t size = (q->ring.nr_entries - 1u) << 16 | id;
	struct nvme_command cq = {
	        .opcode = ADMIN_CREATE_CQ,
	        .prp1 = q->ring.cq_buf.iova,
	        .cdw10 = size,
	        .cdw11 = QUEUE_CONTIGUOUS |
	                 (n->cfg.irq_lane ? id << 16 | QUEUE_INTERRUPTS : 0),
	};
	struct nvme_command sq = {
	        .opcode = ADMIN_CREATE_SQ,
	        .prp1 = q->ring.sq_buf.iova,
	        .cdw10 = size,
	        .cdw11 = id << 16 | QUEUE_CONTIGUOUS,
	};
	int rc = admin_command(n, &cq, "create completion queue", NULL);

	if (rc == 0)
		rc = admin_command(n, &sq, "create submission queue", NULL);
	return rc;
}

int admin_abort(struct nvme *n, uint16_t queue, uint16_t cid, bool *ret_hit)
{
	struct nvme_command cmd = {
	        .opcode = ADMIN_ABORT,
	        .cdw10 = (uint32_t)cid << 16 | queue,
	};
	uint32_t result;
	int rc = admin_command(n, &cmd, "abort", &result);

	if (rc == 0)
		*ret_hit = !(result & ABORT_MISSED);
	return rc;
}

int controller_stop(struct nvme *n)
{
	regs_write(&n->regs, REG_CC, 0);
	return regs_wait(&n->regs, CSTS_RDY, 0, "stop");
}

/* 7.6.1 */
int controller_start(struct nvme *n)
{
	struct queue *q = &n->admin;
	uint32_t size = q->nr_entries - 1u;

	queue_clear(q);
	regs_write(&n->regs, REG_AQA, size << 16 | size);
	regs_write64(&n->regs, REG_ASQ, q->sq_buf.iova);
	regs_write64(&n->regs, REG_ACQ, q->cq_buf.iova);
	regs_write(&n->regs, REG_CC, CC_IOSQES | CC_IOCQES | CC_EN);
	return regs_wait(&n->regs, CSTS_RDY, CSTS_RDY, "become ready");
}
