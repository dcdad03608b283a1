/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One plan through the engine: first checked, step by step, against the
 * oracle, then timed, by one lane and by several, and beside another way of
 * keeping the same table. Knows no file and prints nothing.
 */
#ifndef SLUICE_TOOLS_REPLAY_RUN_H
#define SLUICE_TOOLS_REPLAY_RUN_H

#include "tools/hist.h"
#include "tools/replay_deal.h"

#include <sluice/domain.h>

/* Timed passes of a turn. They follow each other, and a pass that is not
 * counted, without a sleep: threads that have slept before each pass look
 * slower than lanes that poll are. The one that is not counted warms tables,
 * caches and processors, as the drivers' first requests did before the
 * recording: whose turn it was before must make no difference. */
#define REPLAY_PASSES 8u
/* All of a turn, the first of which is not counted. */
#define REPLAY_ROUNDS (1u + REPLAY_PASSES)

enum replay_check { REPLAY_CHECK_EACH, REPLAY_CHECK_END };

/* What may overtake what on a lane. */
enum replay_order {
	/* Nothing: a map that must wait for a ticket holds up its lane. */
	REPLAY_ORDER_TRACE,
	/* Other chains: a map that must wait holds up its own chain only. */
	REPLAY_ORDER_CHAIN
};

struct way;

struct replay_opts {
	enum sluice_mode mode;
	enum replay_check check;
	enum sluice_pt_format format;
	enum replay_dealing deal;
	enum replay_order order;
	uint32_t poll;             /* events between two polls */
	uint32_t repeat;           /* turns */
	uint32_t block;            /* events between two readings of the time */
	uint32_t lanes;            /* 1: no scaling */
	uint32_t copies;           /* devices that replay the trace at a time */
	uint32_t translate;        /* translations after each map */
	const struct way *against; /* NULL: none */
};

/* Who played, by how many lanes. */
enum replay_player {
	REPLAY_ONE,
	REPLAY_MANY,  /* REPLAY_DEAL_COPIES: each a copy, one lane plays one */
	REPLAY_APART, /* as many, each with domains of its own */
	REPLAY_WAY_ONE,
	REPLAY_WAY_MANY,
	REPLAY_PLAYERS
};

struct replay_speed {
	uint32_t lanes; /* 0: did not play */
	/* Of a pass, from the first lane's start to the last lane's end: the
	 * mean of a turn's passes is a sample. */
	uint64_t best_ps, median_ps;
	uint64_t events;  /* of a pass */
	uint64_t passes;  /* timed, in all turns; the next three are theirs */
	uint64_t waits;   /* maps that had to wait for a ticket */
	uint64_t polls;   /* spent on that */
	struct hist pair; /* ps of a lane for one map and one unmap, by block */
	uint64_t *turn_ps; /* samples, while it runs */
};

struct replay_result {
	uint64_t divergence; /* checks that failed */
	uint64_t checks;     /* checks made */
	char first_bad[256]; /* the first that failed, or "" */
	/* Of one pass, the checked one with all lanes. */
	uint64_t kernel_calls, invalidations, completions;
	struct replay_speed speed[REPLAY_PLAYERS];
	/* Medians over the turns of rate over rate, each of two turns of the
	 * same round; 0 when not measured. */
	double scaling;    /* many lanes to one */
	double apart;      /* many lanes apart to one: what the machine gives */
	double against[2]; /* engine to way, by one lane and by many */
	/* How the trace was dealt. */
	uint64_t chains, largest, fullest, events;
};

/* How often a's rate is b's, when a pass took so long: events may differ. */
static inline double replay_ratio(const struct replay_speed *a, uint64_t a_ps,
                                  const struct replay_speed *b, uint64_t b_ps)
{
	double a_took = (double)a_ps * (double)b->events;
	double b_took = (double)b_ps * (double)a->events;

	return a_took > 0.0 ? b_took / a_took : 0.0;
}

/* The player whose times are the result's. */
static inline const struct replay_speed *replay_speed(
        const struct replay_result *r)
{
	return &r->speed[r->speed[REPLAY_MANY].lanes ? REPLAY_MANY
	                                             : REPLAY_ONE];
}

/* Returns: 0 (also when steps diverged), -errno with err filled when the
 * engine could not be set up or a timed step failed. */
int replay_run(const char *name, const struct plan *plan,
               const struct replay_opts *opts, struct replay_result *ret,
               struct trace_error *err);

#endif
