/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a replay: the engine under test and its lanes
 * (replay_machine.c), what one lane does in a timed pass (replay_lane.c), the
 * checks (replay_check.c), another way beside it (replay_rival.c), and who
 * plays when (replay_run.c).
 */
#ifndef SLUICE_TOOLS_REPLAY_INT_H
#define SLUICE_TOOLS_REPLAY_INT_H

#include "tools/replay_run.h"
#include "tools/replay_team.h"

#include <sluice/lane.h>
#include <sluice/map.h>

struct oracle;
struct machine;

/* A lane and its share. Touched by its thread alone while a job runs. */
struct player {
	struct machine *m;
	uint32_t id;
	const struct replay_part *part;
	struct sluice_lane *lane;
	struct sluice_view *view[PLAN_MAX_DOMAINS];
	uint32_t until_poll;
	/* Since the start of a pass. */
	uint64_t completions, promised, bad_completions;
	/* Of the timed passes of a turn. */
	uint64_t waits, polls;
	struct stint played[REPLAY_ROUNDS];
	struct hist pair; /* of all turns */
	/* REPLAY_ORDER_CHAIN: how many steps of each chain were passed over,
	 * and the first of each chain that waits. */
	uint32_t *behind;
	uint32_t *waiting;
	uint32_t nr_waiting;
	int rc;
	struct trace_error err; /* when rc says so */
	/* Of the checked pass. */
	struct oracle *oracle[PLAN_MAX_DOMAINS];
	uint64_t checks, divergence;
	char first_bad[256];
};

/* What lanes share, or one lane has to itself. */
struct stage {
	struct sluice_engine *engine;
	struct sluice_domain *domain[PLAN_MAX_DOMAINS];
};

/* As many lanes as the deal has parts, and their stages. */
struct machine {
	const char *name;
	const struct plan *plan;
	const struct replay_opts *opts;
	const struct replay_deal *deal;
	struct team *team;
	struct trace_error *err;
	unsigned iova_bits;
	uint32_t nr; /* lanes */
	int apart;   /* each lane has a stage of its own */
	struct stage *stage;
	struct player **player;
	struct oracle *whole[PLAN_MAX_DOMAINS]; /* the trace, not dealt */
	/* Of the job that runs. */
	struct meeting ready, played, cleaned;
};

/* ---- replay_machine.c ---- */
int machine_on(struct machine *m);
/* An error here is a defect worth an exit code. */
int machine_off(struct machine *m);
/* Runs the job on every lane. The first error of a lane. */
int machine_run(struct machine *m, team_job *job);
/* Sum over the domains. */
void machine_stats(const struct machine *m,
                   struct sluice_domain_stats *ret_sum);
/* A turn of all lanes; the mean time of its passes. */
int machine_turn(struct machine *m, uint64_t *ret_ps);

/* ---- replay_lane.c ---- */
/* One step; polls and tries again while the engine asks for it. Returns how
 * many completions follow, or -errno. */
int player_act(struct player *p, const struct replay_step *s);
/* One poll, counting completions. */
void player_poll(struct player *p);
/* Polls until as many completions came as were promised. 0 or -ETIMEDOUT. */
int player_settle(struct player *p);
/* Posts what a lazy domain holds back and waits for its tickets. */
int player_flush(struct player *p);
/* This lane is done; polls until as many as all are, since their tickets wait
 * for it. */
void player_await(struct player *p, struct meeting *at, uint32_t all);
/* The timed part of a round: every step of the share. */
int player_play(struct player *p, uint32_t round);
/* Unmaps what the share leaves mapped. */
int player_clean(struct player *p);
/* Fills p->err; returns rc. */
int player_failed(struct player *p, const struct replay_step *s, uint32_t line,
                  int rc);

/* ---- replay_check.c ---- */
/* The pass that compares with the oracle; adds to the result. 0, -errno. */
int replay_checked(struct machine *m, struct replay_result *res);

#endif
