/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine beside EAL. Calls of EAL
 * that need hardware are replaced at link time, and checked there. Brings
 * cmocka with what it wants before it.
 */
#ifndef TESTS_DPDK_RIG_H
#define TESTS_DPDK_RIG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <unistd.h>

#include <sluice/dpdk.h>
#include <sluice/sluice.h>
#include "tests/dpdk/eal.h"

#define PAGE 4096u
#define M2 (2u << 20)
#define PATIENCE UINT64_C(20000000000) /* for what must come */

/* Soft, apart from EAL's IOVAs, and known to EAL. */
struct rig {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct sluice_dpdk *dpdk;
};

extern struct rig rig;

void up(uint32_t flags, uint32_t dpdk_flags);
void down(void);
struct sluice_arena *new_arena(uint64_t size, uint32_t no_huge);
struct rte_device *null_dev(void);
/* EAL's IOVA of an address, as its drivers look it up. */
uint64_t eal_iova(const void *va);
void says(const char *what);
/* The VA side's answer. */
int64_t ask(const void *va, sluice_iova_t *iova);
void poll_once(void);

/* ---- what EAL was asked for ---- */

extern struct dma {
	struct rte_device *dev;
	void *va;
	uint64_t iova;
	size_t len;
	int nr;    /* mapped now */
	int error; /* of the next call, if not 0 */
} dma;

extern rte_mem_event_callback_t event; /* the rig's */
extern void *event_arg;
extern int event_error, nr_events;
extern enum rte_iova_mode iova_mode; /* what EAL says */

#endif
