/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do the same work at the same time, each on its own processor:
 * the caller is the first of them. Knows no case.
 */
#ifndef SLUICE_BENCH_CREW_H
#define SLUICE_BENCH_CREW_H

#include "bench/rig.h"

#define MAX_CREW 4u

struct crew_ops {
	/* In the thread itself, before its first and after its last round. */
	void (*enter)(void *ctx, unsigned who);
	void (*leave)(void *ctx, unsigned who);
	void (*work)(void *ctx, unsigned who, uint64_t n);
	/* Again and again while others still work. */
	void (*wait)(void *ctx, unsigned who);
};

struct crew;

/* The number of threads there can be: processors, at most MAX_CREW. */
unsigned crew_size(void);
/* Ends the benchmark when a thread cannot be started. */
struct crew *crew_open(const struct crew_ops *ops, void *ctx, unsigned nr);
void crew_close(struct crew *crew);

/* Everybody does n operations. Returns the nanoseconds from the first start to
 * the last end. */
uint64_t crew_round(struct crew *crew, uint64_t n);

/* The shortest round of as many as fit in the budget: a round in which a
 * thread was preempted says nothing about sharing. */
uint64_t crew_best(struct crew *crew, uint64_t n, uint64_t budget_ns);

#endif
