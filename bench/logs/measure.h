/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two ways to measure a way: one thread that plays all lanes, and one
 * thread for each lane.
 */
#ifndef SLUICE_BENCH_LOGS_MEASURE_H
#define SLUICE_BENCH_LOGS_MEASURE_H

#include "bench/logs/logs.h"

/* Domains in which anything happens; the others are open and idle. */
#define BUSY 4u

enum solo_op { OP_POST, OP_IDLE, OP_READ, OP_PASSED, OP_WAKE, NR_OPS };
extern const char *const solo_op_name[NR_OPS];

/* Runs one kind of operation n times; begin and end surround it. */
struct solo_clock {
	void (*begin)(void *ctx);
	void (*end)(void *ctx, enum solo_op op, uint64_t n);
	void *ctx;
};

/* A round on one way: posts of lane 0, a poll of lane 1 (or 0, when there is
 * no other) that reads them, questions for the ticket, polls that find
 * nothing. OP_READ counts records, the others calls. */
void solo_round(const struct way *way, void *ctx, const struct shape *s,
                uint32_t batch, const struct solo_clock *clock);
/* A post to a domain where every other lane sleeps. */
void solo_wake(const struct way *way, void *ctx, const struct shape *s,
               const struct solo_clock *clock);
/* Ends the program when a way does not keep its promise. */
void solo_check(const struct way *way, const struct shape *s);

/* The medians of interleaved rounds: ns[way][op]; OP_READ for each record,
 * without what a poll that finds nothing costs. */
void solo_measure(const struct shape *s, uint32_t batch, double ns[][NR_OPS]);

/* Million posts a second of all lanes together, each to its own domain as far
 * as there are enough, polling in between; and the median time in ns from a
 * post of lane 0 until its ticket has passed while the others poll. The best
 * of some interleaved rounds. */
struct crowd {
	double mposts;
	double flush_share; /* flushes for each post */
	double latency_ns;
};
void crowd_measure(const struct shape *s, uint32_t batch,
                   struct crowd result[NR_WAYS]);

double median_of(double *sample, unsigned n);

#endif
