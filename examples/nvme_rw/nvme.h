/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An NVMe controller, driven from user space. This header is the place to start
 * reading; below it lie, each knowing only what is under it:
 *
 *	nvme.c      opens and closes a controller, asks what it is
 *	io.c        commands in, completions out: what a thread does all day
 *	recover.c   timeouts, Abort, reset, and how queues come back
 *	admin.c     the admin queue, and creating I/O queues with it
 *	data.c      PRP lists and SGLs
 *	queue.c     the two rings of a queue pair
 *	regs.c      registers
 *	nvme_spec.h the words of the specification
 *
 * and above it rig.c, which shows libsluice's own life cycle around a driver.
 *
 * The driver is given a sluice device and the domain that its DMA goes through.
 *Queues, lists and Identify data come from an arena of its own, mapped once.
 *The caller's data is named by IOVA, so whoever maps it decides what the
 *controller may touch, and for how long.
 *
 * One thread for each queue: submit and poll on different queues share nothing
 * and take no lock, as lanes do. A queue's memory is touched by its own thread
 * alone, even when the controller is reset by another one (recover.c).
 *
 * A failing call prints one line to stderr that says what to do, and returns
 * -errno; nvme_submit() and nvme_poll(), which run often, print nothing for
 * what their caller has to expect.
 */
#ifndef NVME_H
#define NVME_H

#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdint.h>

struct nvme;
struct nvme_queue;

/* What is wished for; zeroes ask for the defaults. */
struct nvme_cfg {
	uint16_t nr_queues;  /* I/O queue pairs; 0: 1 */
	uint16_t depth;      /* commands in flight on each; 0: 32 */
	uint32_t timeout_ms; /* of a command; 0: 10 s */
	/* A lane for each queue, that of its thread: sluice_poll() then tells
	 * of the queue's interrupts (SLUICE_OP_IRQ), and a thread without work
	 * may sleep on sluice_lane_event_fd(); for a second at most, since
	 * commands that are late are found by nvme_poll(). The lanes are the
	 * calling thread's until nvme_open() returns, and outlive the
	 * controller. NULL: no interrupts, the thread polls. */
	struct sluice_lane *const *irq_lane;
	bool no_sgl; /* PRPs even where the controller has SGLs */
	/* Tests of the recovery: every nth completion is taken from the ring
	 * and forgotten, as if the controller had never sent it. 0: none. */
	uint32_t lose_every;
};

/* What there is. */
struct nvme_info {
	char serial[21];
	char model[41];
	char firmware[9];
	uint32_t version; /* as the VS register has it */
	uint64_t nr_blocks;
	uint32_t block_size;
	uint32_t max_transfer; /* bytes of one read or write */
	uint32_t max_segs;     /* pieces of one; whole pages without SGLs */
	uint16_t max_depth;    /* commands in flight on a queue (CAP.MQES) */
	uint16_t max_queues;   /* I/O queue pairs that it granted */
	uint16_t nr_queues, depth; /* in use: the wish within the limits */
	bool sgl;                  /* it has SGLs, and they are used */
};

/* Resets and starts the controller. The device stays the caller's and must
 * outlive it; nothing of it is used after nvme_close(). cfg may be NULL.
 * Thread: control. */
int nvme_open(struct sluice_domain *domain, struct sluice_device *dev,
              const char *bdf, const struct nvme_cfg *cfg,
              struct nvme **ret_nvme);

/* Shuts the controller down and frees its queues: nothing may be in flight that
 * anybody waits for. NULL is fine. Thread: control. */
void nvme_close(struct nvme *nvme);

const struct nvme_info *nvme_get_info(const struct nvme *nvme);

/* The nth I/O queue, below info.nr_queues. It belongs to one thread at a time.
 */
struct nvme_queue *nvme_get_queue(struct nvme *nvme, unsigned n);

/* ---- commands in flight ---- */

enum nvme_op { NVME_READ, NVME_WRITE, NVME_FLUSH };

/* A piece of memory as the controller sees it. */
struct nvme_seg {
	sluice_iova_t iova;
	uint32_t len;
};

struct nvme_io {
	enum nvme_op op;
	uint64_t lba;
	uint32_t nr_blocks;
	const struct nvme_seg *seg; /* nr_blocks of memory; not kept */
	uint32_t nr_seg;
	uint64_t cookie; /* returned with the completion */
};

struct nvme_done {
	uint64_t cookie;
	/* 0; -EIO: the controller reports an error, see status; -ECANCELED:
	 * given up by a reset, may or may not have been done, submit it again;
	 * -ENODEV: the controller is lost, see nvme_poll(). In each case it
	 * does not touch the memory any more. */
	int result;
	uint16_t status; /* NVMe 1.4, 4.6.1, without the phase tag */
};

/* Queues a command; the controller sees it at the next nvme_poll(), so that
 * several share one doorbell. Returns 0; -EAGAIN: poll, then try again (no free
 * slot, or the queue is coming back from a reset); -EINVAL: outside the disk or
 * the limits; -ENODEV: the controller is lost.
 * Thread: the queue's. Blocks: never. */
int nvme_submit(struct nvme_queue *queue, const struct nvme_io *io);

/* The heartbeat of a queue: tells the controller what was submitted, collects
 * what it has finished, and looks after commands that take too long. Each
 * command that was accepted gets exactly one completion. When the recovery
 * fails, the controller is lost: it is cut off from memory, commands end with
 * -ENODEV and new ones are refused.
 * Thread: the queue's. Blocks: only in a recovery. Returns: how many are in
 * out. */
uint32_t nvme_poll(struct nvme_queue *queue, struct nvme_done *out,
                   uint32_t max);

/* Commands without completion yet. */
uint32_t nvme_in_flight(const struct nvme_queue *queue);

/* ---- recovery by hand ---- */

enum nvme_reset_kind {
	NVME_RESET_CONTROLLER, /* CC.EN: the controller's own */
	NVME_RESET_FUNCTION    /* the PCI function's, through VFIO */
};

/* Resets the controller while other threads use their queues: what is in flight
 * ends with -ECANCELED, and each queue comes back at its thread's next polls.
 * Thread: any, but no queue may be polled meanwhile by this one. Blocks.
 * Returns: 0 or -ENODEV when the controller is lost. */
int nvme_reset(struct nvme *nvme, enum nvme_reset_kind kind);

/* Since it was opened. */
struct nvme_counts {
	uint32_t timeouts; /* commands that took too long */
	uint32_t aborts;   /* of these, ended by an Abort command */
	uint32_t resets;   /* by a timeout or by hand */
};

void nvme_get_counts(const struct nvme *nvme, struct nvme_counts *ret);

/* ---- one at a time, on queue 0, while nobody else uses it ---- */

/* Moves nr_blocks blocks between the disk and contiguous IOVAs that start on
 * a page; at most max_transfer bytes. Given up by a reset, it is done again.
 * -EIO when the controller reports an error, -ENODEV when it is lost. */
int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t nr_blocks,
              sluice_iova_t iova);
int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t nr_blocks,
               sluice_iova_t iova);

/* Makes what was written durable. */
int nvme_flush(struct nvme *nvme);

/* Prints "PROGRAM: …" to stderr and returns rc. */
int fail(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
