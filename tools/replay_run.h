/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One plan through the engine: first checked, step by step, against the
 * oracle, then timed. Knows no file and prints nothing.
 */
#ifndef SLUICE_TOOLS_REPLAY_RUN_H
#define SLUICE_TOOLS_REPLAY_RUN_H

#include "tools/hist.h"
#include "tools/plan.h"

#include <sluice/domain.h>

enum replay_check { REPLAY_CHECK_EACH, REPLAY_CHECK_END };

struct replay_opts {
	enum sluice_mode mode;
	enum replay_check check;
	enum sluice_pt_format format;
	uint32_t poll;   /* events between two polls */
	uint32_t repeat; /* timed passes */
	uint32_t block;  /* events between two readings of the time */
};

struct replay_result {
	uint64_t divergence;   /* checks that failed */
	uint64_t checks;       /* checks made */
	char first_bad[256];   /* the first that failed, or "" */
	struct hist pair;      /* ps for one map and one unmap, per block */
	uint64_t timed_events; /* in all timed passes */
	uint64_t timed_ps;
	uint64_t busy; /* maps that had to wait for a ticket, timed */
	/* Of one pass, the checked one. */
	uint64_t kernel_calls, invalidations, completions;
};

/* Returns: 0 (also when steps diverged), -errno with err filled when the
 * engine could not be set up or a timed step failed. */
int replay_run(const char *name, const struct plan *plan,
               const struct replay_opts *opts, struct replay_result *ret,
               struct trace_error *err);

#endif
