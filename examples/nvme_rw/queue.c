/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two rings of a queue pair. Knows the phase tag and the doorbells (NVMe
 * 1.4, 4.1 and 4.6), and that entries are little-endian: those of its callers
 * are in the processor's order.
 */
#include "queue.h"
#include "nvme.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE SLUICE_PAGE_SIZE

static uint64_t pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) & -(uint64_t)PAGE;
}

static uint64_t sq_bytes(uint16_t nr_slots)
{
	return pages((nr_slots + 1ull) * sizeof(struct nvme_command));
}

static uint64_t cq_bytes(uint16_t nr_slots)
{
	return pages((nr_slots + 1ull) * sizeof(struct nvme_completion));
}

static uint64_t list_bytes(uint16_t nr_slots, bool data)
{
	return data ? (uint64_t)nr_slots * PAGE : 0;
}

uint64_t queue_bytes(uint16_t nr_slots, bool data)
{
	return sq_bytes(nr_slots) + cq_bytes(nr_slots) +
	       list_bytes(nr_slots, data);
}

int queue_init(struct queue *q, const struct regs *regs,
               struct sluice_arena *arena, uint16_t id, uint16_t nr_slots,
               bool data)
{
	int rc;

	*q = (struct queue){
	        .regs = regs,
	        .id = id,
	        .nr_slots = nr_slots,
	        .nr_entries = (uint16_t)(nr_slots + 1),
	};
	q->slot = calloc(nr_slots, sizeof(*q->slot));
	q->free = calloc(nr_slots, sizeof(*q->free));
	if (!q->slot || !q->free)
		return fail(-ENOMEM, "no memory for a queue");
	rc = sluice_arena_alloc(arena, sq_bytes(nr_slots), PAGE, &q->sq_buf);
	if (rc == 0)
		rc = sluice_arena_alloc(arena, cq_bytes(nr_slots), PAGE,
		                        &q->cq_buf);
	if (rc == 0 && data)
		rc = sluice_arena_alloc(arena, list_bytes(nr_slots, data), PAGE,
		                        &q->lists);
	if (rc)
		return fail(rc, "no DMA memory for a queue: %s: %s",
		            sluice_errname(rc), sluice_last_error());
	q->sq = q->sq_buf.va;
	q->cq = q->cq_buf.va;
	queue_clear(q);
	return 0;
}

void queue_fini(struct queue *q)
{
	free(q->slot);
	free(q->free);
	*q = (struct queue){0};
}

void queue_clear(struct queue *q)
{
	memset(q->sq_buf.va, 0, sq_bytes(q->nr_slots));
	memset(q->cq_buf.va, 0, cq_bytes(q->nr_slots));
	memset(q->slot, 0, q->nr_slots * sizeof(*q->slot));
	q->tail = q->rung = q->head = 0;
	q->phase = 1; /* 4.6: the first round's, as memory is zero */
	q->nr_free = q->nr_slots;
	for (uint16_t i = 0; i < q->nr_slots; i++)
		q->free[i] = (uint16_t)(q->nr_slots - 1 - i);
}

int queue_get(struct queue *q)
{
	uint16_t slot;

	if (q->nr_free == 0)
		return -EAGAIN;
	slot = q->free[--q->nr_free];
	q->slot[slot] = (struct queue_slot){.busy = true};
	return slot;
}

void queue_put(struct queue *q, uint16_t slot)
{
	q->slot[slot].busy = false;
	q->free[q->nr_free++] = slot;
}

void *queue_list(const struct queue *q, uint16_t slot, sluice_iova_t *ret_iova)
{
	*ret_iova = q->lists.iova + (uint64_t)slot * PAGE;
	return (uint8_t *)q->lists.va + (uint64_t)slot * PAGE;
}

static void doorbell(const struct queue *q, bool cq, uint32_t value)
{
	uint32_t stride = 4u << CAP_DSTRD(q->regs->cap);

	regs_write(q->regs, REG_DOORBELL + (2u * q->id + cq) * stride, value);
}

static void put_entry(struct nvme_command *to, const struct nvme_command *cmd)
{
	*to = (struct nvme_command){
	        .opcode = cmd->opcode,
	        .flags = cmd->flags,
	        .cid = htole16(cmd->cid),
	        .nsid = htole32(cmd->nsid),
	        .metadata = htole64(cmd->metadata),
	        .prp1 = htole64(cmd->prp1),
	        .prp2 = htole64(cmd->prp2),
	        .cdw10 = htole32(cmd->cdw10),
	        .cdw11 = htole32(cmd->cdw11),
	        .cdw12 = htole32(cmd->cdw12),
	        .cdw13 = htole32(cmd->cdw13),
	        .cdw14 = htole32(cmd->cdw14),
	        .cdw15 = htole32(cmd->cdw15),
	};
}

void queue_push(struct queue *q, struct nvme_command *cmd, uint16_t slot)
{
	cmd->cid = slot;
	put_entry(&q->sq[q->tail], cmd);
	if (++q->tail == q->nr_entries)
		q->tail = 0;
}

void queue_ring(struct queue *q)
{
	if (q->tail == q->rung)
		return;
	q->rung = q->tail;
	doorbell(q, false, q->tail);
}

bool queue_next(struct queue *q, struct nvme_completion *ret)
{
	const struct nvme_completion *e = &q->cq[q->head];
	uint16_t status = le16toh(*(const volatile uint16_t *)&e->status);

	if ((status & 1) != q->phase)
		return false;
	/* The rest of the entry is valid only after the phase. */
	atomic_thread_fence(memory_order_acquire);
	*ret = (struct nvme_completion){
	        .result = le32toh(e->result),
	        .sq_head = le16toh(e->sq_head),
	        .sq_id = le16toh(e->sq_id),
	        .cid = le16toh(e->cid),
	        .status = status,
	};
	if (++q->head == q->nr_entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	return true;
}

void queue_ack(struct queue *q)
{
	doorbell(q, true, q->head);
}
