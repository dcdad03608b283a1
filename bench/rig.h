/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cases stand on: an engine with a lane and a view, time, and threads that
 * poll. Knows no case.
 */
#ifndef SLUICE_BENCH_RIG_H
#define SLUICE_BENCH_RIG_H

#include "bench/gbench_shim.h"

#include <sluice/sluice.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define PAGE UINT64_C(4096)
#define POLLED_VA UINT64_C(0x7e0000001000)
#define MAX_POLLERS 3

struct poller {
	struct rig *rig;
	pthread_t thread;
	unsigned cpu;
	_Atomic int ready; /* 1 running, -1 failed */
	int started;
};

struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct poller poller[MAX_POLLERS];
	unsigned nr_pollers;
	sluice_iova_t polled; /* a page that the pollers translate */
	_Atomic int stop;
};

/* pollers: threads with a lane and a view that do nothing but poll. 0 or -1
 * (told on stderr); rig_close() also takes what a failed open left. */
int rig_open(struct rig *rig, unsigned pollers);
/* The same, for a domain of so many pages. */
int rig_open_for(struct rig *rig, unsigned pollers, uint64_t pages);
/* Another domain in the place of the one that rig_open() made, while nothing is
 * mapped and no thread polls. */
void rig_domain(struct rig *rig, const struct sluice_domain_cfg *cfg);
void rig_close(struct rig *rig);

/* Polls until the ticket has passed. */
void rig_wait(struct rig *rig, struct sluice_ticket t);
/* Polls until nothing is in flight. */
void rig_settle(struct rig *rig);

/* Ends the benchmark: a case that fails must not report a number. */
void rig_check(int rc, const char *what);

/* The nth processor this process may use, or the last. */
void rig_pin(unsigned n);
unsigned rig_cpus(void);

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What one reading of the time adds to a measured piece. */
double clock_cost(void);

/* The cases, by file. */
void cases_translate(void);
void cases_map(void);
void cases_unmap(void);
void cases_alloc(void);
void cases_iova(void);
void cases_invalidate(void);
void cases_ring(void);
void cases_floor(void);
void cases_format(void);
void cases_random(void);
void cases_scale(void);
void cases_memory(void);

/* B23 in a process of its own: prints the bytes of a page. Exit code. */
int memory_child(const char *who);

#endif
