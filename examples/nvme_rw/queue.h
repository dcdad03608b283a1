/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue pair: a ring of commands to the controller, a ring of completions
 * back, and a slot for each command in flight. Knows the rings, the doorbells
 * and which slots are busy; knows no command and no recovery.
 *
 * A slot's number is its command's identifier, so a completion finds its slot
 * by index, and each slot has a page of its own for a PRP list or an SGL
 * segment, which lives as long as its command. There is one ring entry more
 * than slots: a ring can never be full while a slot is free.
 *
 * Thread: one at a time.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include "nvme_spec.h"
#include "regs.h"

#include <sluice/sluice.h>
#include <stdbool.h>

struct queue_slot {
	uint64_t cookie;
	uint64_t deadline_ms;
	bool busy;
	bool aborted; /* an Abort command has named it */
};

struct queue {
	const struct regs *regs;
	struct nvme_command *sq;
	const struct nvme_completion *cq;
	struct sluice_buf sq_buf, cq_buf;
	struct sluice_buf lists; /* a page for each slot, or none */
	struct queue_slot *slot;
	uint16_t *free; /* stack of free slots */
	uint16_t nr_free;
	uint16_t nr_slots;
	uint16_t nr_entries; /* of each ring: nr_slots + 1 */
	uint16_t id;         /* 0: the admin queue */
	uint16_t tail,
	        rung;   /* next entry to write; what the controller knows */
	uint16_t head;  /* next completion to read */
	uint16_t phase; /* of completions not read yet */
};

/* Bytes of arena that a queue of this many slots takes. Without data there are
 * no lists. */
uint64_t queue_bytes(uint16_t nr_slots, bool data);

/* Memory from the arena; 0 or -errno with a line printed. */
int queue_init(struct queue *q, const struct regs *regs,
               struct sluice_arena *arena, uint16_t id, uint16_t nr_slots,
               bool data);
void queue_fini(struct queue *q);

/* The rings as new, every slot free. Only while the controller does not use
 * them: it is disabled, or has not been told of them. */
void queue_clear(struct queue *q);

/* A free slot, or -EAGAIN. */
int queue_get(struct queue *q);
void queue_put(struct queue *q, uint16_t slot);

/* The slot's page for a list: where the driver writes it, where the controller
 * reads it. */
void *queue_list(const struct queue *q, uint16_t slot, sluice_iova_t *ret_iova);

/* Puts the command of a slot into the ring; the controller sees it at the next
 * queue_ring(). */
void queue_push(struct queue *q, struct nvme_command *cmd, uint16_t slot);
void queue_ring(struct queue *q);

/* The next completion, if there is one. queue_ack() after the last one gives
 * the entries back to the controller. */
bool queue_next(struct queue *q, struct nvme_completion *ret);
void queue_ack(struct queue *q);

#endif
