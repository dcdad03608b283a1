/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pieces of `sluice bench`: options (cmd_bench.c), what is measured on
 * (bench_rig.c), the measuring loop (bench_loop.c), output (bench_report.c).
 */
#ifndef SLUICE_TOOLS_BENCH_H
#define SLUICE_TOOLS_BENCH_H

#include "tools/hist.h"

#include <sluice/sluice.h>

#include <pthread.h>
#include <stdio.h>

#define BENCH_CMD "bench"

enum bench_mode { BENCH_STRICT, BENCH_LAZY, BENCH_ARENA };

struct bench_opts {
	uint32_t threads;
	uint32_t seconds;
	uint32_t granule;   /* pages of a map, or pieces of a scatter list */
	uint32_t direction; /* 0 both, 1 to the device, 2 from the device */
	uint32_t delay_ns;
	int sg;
	enum sluice_backend backend;
	enum bench_mode mode;
	enum sluice_pt_format format;
	uint32_t depth;
	uint32_t batch;
	uint64_t working_set; /* bytes for each thread */
	const char *device;
	const char *json;
	const char *report;
};

/* What is measured, and printed in this order. */
enum bench_op {
	BENCH_MAP,
	BENCH_UNMAP,
	BENCH_TICKET,
	BENCH_HIT,
	BENCH_MISS,
	BENCH_PAIR,
	BENCH_NR_OPS
};

struct bench_times {
	struct hist op[BENCH_NR_OPS]; /* picoseconds for one operation */
};

struct bench_rig;

/* One thread's state. */
struct bench_worker {
	struct bench_rig *rig;
	uint32_t id;
	pthread_t thread;
	struct sluice_lane *lane;
	struct sluice_view *view;
	char *mem; /* working_set bytes, or scattered as sg wants it */
	uint64_t nr_bufs, next_buf, stride;
	struct bench_times ours, naive;
	/* Scratch of one round, depth entries each. */
	uint64_t *iova, *map_ps;
	void **slot;
	struct iovec *iov;    /* granule pieces */
	uint64_t outstanding; /* completions promised and not seen */
	int bad;              /* first error of a completion */
	char error[256];
};

struct naive;
struct naive_slots;

struct bench_rig {
	const struct bench_opts *opts;
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_arena *arena;
	struct naive *naive; /* NULL: no naive way to compare with */
	struct naive_slots *naive_slots;
	struct bench_worker *worker;
	pthread_barrier_t gate;
	uint32_t prot;
	uint64_t nr_slices;
	int stop;
	struct sluice_domain_stats stats;
	struct bench_times ours, naive_times;
};

/* Slices are 50 ms; each fourth belongs to the naive way. */
#define BENCH_SLICE_NS UINT64_C(50000000)
#define BENCH_IS_NAIVE(slice) ((slice) % 4 == 3)

/* 0, or TOOL_FAILED after saying why. */
int bench_rig_open(struct bench_rig *rig, const struct bench_opts *opts);
void bench_rig_close(struct bench_rig *rig);
int bench_rig_run(struct bench_rig *rig);

/* A thread's work for one slice. 0 or -errno with w->error filled. */
int bench_slice(struct bench_worker *w, int naive, uint64_t until_ns);
/* Waits for what is in flight. */
int bench_drain(struct bench_worker *w);

void bench_print(FILE *to, const struct bench_rig *rig);
int bench_json(const struct bench_rig *rig);
int bench_plots(const struct bench_rig *rig);
const char *bench_op_name(enum bench_op op);
const char *bench_mode_name(enum bench_mode mode);

#endif
