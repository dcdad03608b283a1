/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many transfers at a time, each with a mapping of its own: a thread for each
 * queue, a lane for each thread, a slot for each transfer in flight. What the
 * parts of the stress command share: stress.c starts threads and reports,
 * worker.c is a thread's loop, slot.c is one transfer from map to unmap.
 */
#ifndef STRESS_H
#define STRESS_H

#include "journal.h"
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>

enum stress_map {
	STRESS_STRICT, /* one mapping for each transfer */
	STRESS_BURST,  /* one for as many as the queue is deep: they begin and
	                * end together */
	STRESS_ARENA   /* none: buffers come from an arena */
};

struct stress_cfg {
	uint64_t ios;     /* 0: until the time is over */
	uint64_t seconds; /* 0: until they are done */
	uint32_t bytes;   /* of a transfer */
	uint32_t reset_ms;
	enum nvme_reset_kind reset_kind[2]; /* in turns */
	enum stress_map map;
	bool verify;
	bool irq;
	bool check; /* read once what the journal knows, write nothing */
	const char *journal;
	struct nvme_cfg nvme;
};

struct stress {
	struct stress_cfg cfg;
	struct rig *rig;
	struct journal journal;
	struct sluice_arena *arena;
	_Atomic bool stop; /* begin no transfer any more */
};

/* Where a transfer is. What its thread has to do next is in capitals; else it
 * waits for a completion. */
enum slot_state {
	SLOT_IDLE,      /* CHOOSE one */
	SLOT_CHOSEN,    /* MAP the buffer */
	SLOT_MAPPING,   /* … sluice_poll() tells */
	SLOT_MAPPED,    /* SUBMIT the command */
	SLOT_MOVING,    /* … nvme_poll() tells */
	SLOT_MOVED,     /* UNMAP the buffer */
	SLOT_UNMAPPING, /* … sluice_poll() tells; then VERIFY */
	SLOT_RETIRED    /* nothing any more */
};

struct slot {
	enum slot_state state;
	bool write;
	int result;
	void *va;
	sluice_iova_t iova;
	uint64_t unit;
	uint64_t next; /* --check: of the slot's own units */
};

struct worker {
	struct stress *st;
	unsigned nr;
	pthread_t thread;
	bool started;
	_Atomic bool done;

	struct sluice_lane *lane; /* the rig's for this thread */
	struct sluice_view *view;
	struct nvme_queue *queue;
	struct slot *slot;
	uint32_t depth;
	void *mem;           /* the slots' buffers, one behind the other */
	uint64_t room;       /* bytes of each */
	sluice_iova_t burst; /* where the current one is mapped */
	uint32_t burst_slots;
	uint64_t budget; /* transfers that may still begin */
	uint64_t rng;

	uint64_t ios, errors, wrong, retries;
};

/* The thread. */
void *worker_main(void *worker);

/* slot.c: does what there is to do; true when the slot has moved on. */
bool slot_step(struct worker *w, struct slot *s);
/* The completions of map, command and unmap. */
void slot_mapped(struct worker *w, struct slot *s, sluice_iova_t iova,
                 int result);
void slot_moved(struct worker *w, struct slot *s, const struct nvme_done *done);
void slot_unmapped(struct worker *w, struct slot *s, int result);
/* An error that belongs to no transfer, or to s. */
void slot_error(struct worker *w, struct slot *s, int result);

/* The command: argv begins with BDF. Returns the exit status. */
int stress_main(int argc, char **argv);

#endif
