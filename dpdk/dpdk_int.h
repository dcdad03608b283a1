/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libsluice-dpdk's own structures. A client of libsluice's public calls and of
 * EAL's; knows no inside of either.
 *
 * Two locks, because EAL calls back with its memory lock held: `lock` guards
 * counters and is a leaf; `arenas_lock` guards the arenas, is held across calls
 * of EAL and never taken in a callback.
 */
#ifndef SLUICE_DPDK_DPDK_INT_H
#define SLUICE_DPDK_DPDK_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <sluice/dpdk.h>
#include <sluice/foreign.h>

/* A device for which an arena was mapped by rte_dev_dma_map(), or that reaches
 * it anyway. */
struct dev_map {
	struct dev_map *next;
	struct rte_device *dev; /* NULL: those in the container */
	bool mapped;
};

/* An arena that is external memory of EAL. */
struct extmem {
	struct extmem *next;
	struct sluice_arena *arena; /* compared, not followed */
	void *va;
	uint64_t len;
	uint64_t iova;
	struct dev_map *devs;
};

struct sluice_dpdk {
	struct sluice_domain *domain;
	bool adopted;
	uint32_t flags;
	uint32_t id; /* in telemetry.c's table */
	bool has_events;
	char event_name[32];

	pthread_mutex_t arenas_lock;
	struct extmem *arenas;

	pthread_mutex_t lock;
	struct sluice_dpdk_info info;
};

/* ---- eal.c: what EAL says of itself, and errors ---- */

/* 0 when EAL runs and this is its primary process. */
int eal_check(void);
/* Leaves a message for sluice_last_error(); returns err. */
int fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -rte_errno, or -EIO where EAL left none. */
int eal_errno(void);
/* A line in EAL's log, level error. */
void eal_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- memory.c: EAL's memory in the domain ---- */

int memory_start(struct sluice_dpdk *d);
void memory_stop(struct sluice_dpdk *d);

/* ---- arena.c ---- */

int arenas_drop_all(struct sluice_dpdk *d);

/* ---- telemetry.c ---- */

/* Gives d its id. -ENOSPC, -EEXIST. */
int telemetry_add(struct sluice_dpdk *d);
void telemetry_remove(struct sluice_dpdk *d);

#endif
