/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two halves of the soak share: the lanes (lane.c), and who starts,
 * watches and counts them (soak.c).
 */
#ifndef TESTS_SOAK_SOAK_H
#define TESTS_SOAK_SOAK_H

#include <pthread.h>

#include <sluice/sluice.h>
#include "util/util.h"

#define LANES 4u
#define DOMAINS 8u
#define BUFS 64u /* of a lane in a domain */
#define PAGE ((uint64_t)SLUICE_PAGE_SIZE)
#define M2 (UINT64_C(2) << 20)
#define SPACE (4 * M2) /* of a buffer, in memory and among fixed IOVAs */
#define VA_BASE UINT64_C(0x100000000000)
#define IOVA_BASE UINT64_C(0x40000000)
#define HELD 8u
#define SECOND UINT64_C(1000000000)

enum state { IDLE, MAPPED, DYING };

struct buf {
	enum state state;
	uint64_t va, iova, len;
	struct sluice_ticket ticket;
};

/* What all lanes see of a buffer. */
struct sign {
	au64 iova; /* address | pages, where it was last mapped; 0: nowhere */
	au32 dead; /* taken back: no translation may lead here */
};

struct tally {
	uint64_t maps, map_bytes, unmaps, unmap_bytes, faults, hits;
	uint64_t completions, va_looks, va_hits, away;
};

struct window {
	struct sluice_view *view;
	struct buf buf[BUFS];
	struct tally n;
};

struct worker {
	_Alignas(128) pthread_t thread;
	uint32_t id;
	uint64_t rng, ops;
	struct sluice_lane *lane;
	struct window win[DOMAINS];
	au32 *held[HELD]; /* of translations since the last poll */
	uint32_t nr_held;
	uint32_t focus;
	uint64_t calls; /* into the engine */
	au64 done;      /* the same, for others to read */
};

struct world {
	struct sluice_engine *engine;
	struct sluice_domain *domain[DOMAINS];
	struct worker worker[LANES];
	struct sign sign[DOMAINS][LANES * BUFS];
	au32 wrong;
};

extern struct world world;

static inline bool is_lazy(uint32_t d)
{
	return d & 1;
}

static inline bool is_fixed(uint32_t d)
{
	return d & 2;
}

/* Remembers and says that engine and record disagree; rc 0: no errno. */
void diverged(const char *what, int64_t rc);
/* A lane's thread; arg is its struct worker. */
void *lane_main(void *arg);

#endif
