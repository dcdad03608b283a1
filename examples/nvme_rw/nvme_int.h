/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of the driver share: the controller's own state, and which of
 * its calls need its lock. Not for users of the driver.
 */
#ifndef NVME_INT_H
#define NVME_INT_H

#include "nvme.h"
#include "queue.h"

#include <pthread.h>
#include <stdatomic.h>

#define NSID 1
#define NR_IO_MAX 64
/* Admin commands go one at a time. */
#define ADMIN_SLOTS 8
#define TIMEOUT_MS 10000
#define DEPTH 32

/* An I/O queue. epoch: the life of the controller in which its rings were
 * created; when it is not the controller's any more, they have to be again. */
struct nvme_queue {
	struct queue ring;
	struct nvme *nvme;
	uint32_t epoch;
	uint32_t idle;    /* empty polls since the clock was looked at */
	uint32_t to_lose; /* cfg.lose_every, counting down */
	/* Its thread may write to its doorbells. */
	_Atomic bool inside;
};

struct nvme {
	struct sluice_device *dev;
	const char *bdf;
	struct regs regs;
	struct nvme_cfg cfg;
	struct nvme_info info;
	struct sluice_arena *arena;
	struct sluice_buf identify;
	struct nvme_queue io[NR_IO_MAX];

	/* The admin queue, and starting and stopping the controller. */
	pthread_mutex_t lock;
	struct queue admin;

	/* Grows when the controller has stopped: whoever sees it grown knows
	 * that nothing of an earlier life is read or written any more. */
	_Atomic uint32_t epoch;
	_Atomic bool gate; /* closed: no thread may begin to be inside */
	_Atomic bool lost;
	_Atomic uint32_t timeouts, aborts, resets;
};

/* Says what libsluice's last failed call was about; returns rc. */
int nvme_failed(const struct nvme *n, int rc, const char *what);

/* ---- admin.c: all need the lock, except before nvme_open() returns ---- */

/* Submits and waits. ret_result: dword 0 of the completion, may be NULL. */
int admin_command(struct nvme *n, struct nvme_command *cmd, const char *what,
                  uint32_t *ret_result);
int admin_identify(struct nvme *n, uint32_t cns, uint32_t nsid);
/* Asks for I/O queues; *nr comes back smaller when there are fewer. */
int admin_nr_queues(struct nvme *n, uint32_t *nr);
int admin_create_queue(struct nvme *n, struct nvme_queue *q);
/* *ret_hit: the command is ended, its completion on the way. */
int admin_abort(struct nvme *n, uint16_t queue, uint16_t cid, bool *ret_hit);

/* Disables the controller: when this returns 0 it uses no queue. */
int controller_stop(struct nvme *n);
/* Enables it, with an empty admin queue and no other. */
int controller_start(struct nvme *n);

/* ---- recover.c ---- */

/* The controller had its queues created anew since q's: ends what was in
 * flight, then creates q again. Returns completions in out. */
uint32_t recover_queue(struct nvme_queue *q, struct nvme_done *out,
                       uint32_t max);
/* Looks for commands of q past their deadline. */
void recover_late(struct nvme_queue *q);

#endif
