/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the two passes of a replay: the engine they share (replay_run.c)
 * and the checks (replay_check.c).
 */
#ifndef SLUICE_TOOLS_REPLAY_INT_H
#define SLUICE_TOOLS_REPLAY_INT_H

#include "tools/replay_run.h"

#include <sluice/lane.h>
#include <sluice/map.h>

struct oracle;

struct machine {
	const char *name;
	const struct plan *plan;
	const struct replay_opts *opts;
	struct replay_result *res;
	struct trace_error *err;
	unsigned iova_bits;
	struct sluice_engine *engine;
	struct sluice_lane *lane;
	struct sluice_domain *domain[PLAN_MAX_DOMAINS];
	struct sluice_view *view[PLAN_MAX_DOMAINS];
	struct oracle *oracle[PLAN_MAX_DOMAINS]; /* of the checked pass */
	uint64_t completions; /* collected since the start of a pass */
	uint64_t bad_completions;
	uint64_t busy;
};

/* One action; polls and tries again while the engine asks for it. Returns how
 * many completions follow, or -errno. */
int machine_act(struct machine *m, const struct plan_action *a);
/* One poll, counting completions. */
void machine_poll(struct machine *m);
/* Polls until as many completions came as were promised. 0 or -ETIMEDOUT. */
int machine_settle(struct machine *m, uint64_t promised);
/* Sum over the domains. */
void machine_stats(struct machine *m, struct sluice_domain_stats *ret_sum);

/* The pass that compares with the oracle. 0 or -ENOMEM. */
int replay_checked(struct machine *m);

#endif
