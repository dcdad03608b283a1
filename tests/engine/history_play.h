/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two halves of the recorded play share: the lanes (history_lane.c),
 * and what they play on (history.c).
 */
#ifndef TESTS_ENGINE_HISTORY_PLAY_H
#define TESTS_ENGINE_HISTORY_PLAY_H

#include <pthread.h>

#include <sluice/sluice.h>
#include "tests/engine/history.h"
#include "util/util.h"

#define VA_BASE UINT64_C(0x7f0000000000)
#define LANES 3u
#define BUFS 32u /* of a lane in a domain */
#define ASKED 16u
#define PATIENCE_NS UINT64_C(60000000000)
#define REFUSALS 4u /* of unmaps; a view remembers sixteen */

enum state { IDLE, MAPPING, MAPPED, DYING, LOST };

struct buf {
	enum state state;
	uint64_t va, len, cookie;
	sluice_iova_t iova;
	struct sluice_ticket ticket;
	bool asked; /* the ticket is known to have passed */
};

struct window {
	struct sluice_view *view;
	struct buf buf[BUFS];
	uint64_t asked[ASKED]; /* tickets that have passed */
	uint32_t nr_asked;
	uint16_t number;
	bool looked;           /* since the last poll */
	uint64_t maps, unmaps; /* accepted */
};

struct worker {
	pthread_t thread;
	uint32_t id;
	uint64_t rng, ops, cookies;
	struct sluice_lane *lane;
	struct window win[2];
	uint16_t views;
	bool online;
	uint64_t refused_maps, refused_unmaps, dones;
};

struct world {
	struct sluice_engine *engine;
	struct sluice_domain *domain[2];
	uint32_t nr_domains;
	bool kernel;
	au64 board[2][LANES * BUFS]; /* where buffers were mapped last */
	au64 clock;
	au32 failed;
	struct worker worker[LANES];
	struct history lane[LANES];
};

extern struct world world;

/* Remembers and says that something is wrong; rc 0: no errno. */
void broken(const char *what, int rc);
/* A lane's thread; arg is its struct worker. */
void *lane_main(void *arg);

#endif
