/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do the same job at the same time, each pinned to a processor of
 * its own. Knows nothing of what the job is.
 */
#ifndef SLUICE_TOOLS_REPLAY_TEAM_H
#define SLUICE_TOOLS_REPLAY_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

struct team;

/* Called on each thread with its number. */
typedef void team_job(void *ctx, uint32_t id);

/* Processors this process may use, at least 1. */
uint32_t team_processors(void);

/* 0, or -errno with nothing to close. */
int team_open(uint32_t nr, struct team **ret);
/* Runs the job on every thread and waits for all. */
void team_run(struct team *t, team_job *job, void *ctx);
/* NULL is fine. */
void team_close(struct team *t);

/* A place where nr threads wait for each other without sleeping, so that they
 * leave it together. Zeroes are one that nobody has reached. Who meets there
 * for the k-th time waits for k * nr arrivals. */
struct meeting {
	_Alignas(128) atomic_uint here;
};

/* One more has arrived. */
void meeting_arrive(struct meeting *m);
/* Have nr arrived? What they did before is seen then. */
int meeting_full(struct meeting *m, uint32_t nr);
/* Arrives and waits for the others. */
void meeting_wait(struct meeting *m, uint32_t nr);

/* When a thread did what it was timed for, in ticks. */
struct stint {
	uint64_t begin, end;
};

/* From the first one's begin to the last one's end. */
static inline struct stint stint_join(struct stint a, struct stint b)
{
	return (struct stint){
	        .begin = a.begin < b.begin ? a.begin : b.begin,
	        .end = a.end > b.end ? a.end : b.end,
	};
}

/* A pause in a loop that waits for another thread: n counts the rounds, and
 * after many the processor is offered to whoever else needs it. */
void team_pause(uint32_t n);

#endif
