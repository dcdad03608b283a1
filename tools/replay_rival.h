/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same steps through another way of keeping the table (yardstick/), with
 * the same dealing and the same clock, so that two rates can be compared.
 * Knows nothing of the engine.
 */
#ifndef SLUICE_TOOLS_REPLAY_RIVAL_H
#define SLUICE_TOOLS_REPLAY_RIVAL_H

#include "tools/replay_run.h"
#include "tools/replay_team.h"

struct rival;

/* 0, or -errno with err filled and nothing to close. What it is given must
 * outlive it. */
int rival_open(const char *name, const struct plan *plan,
               const struct replay_opts *opts, const struct replay_deal *deal,
               struct team *team, struct rival **ret, struct trace_error *err);
/* NULL is fine. */
void rival_close(struct rival *r);

/* A turn of all lanes, as the engine's; the mean time of its passes. 0, or
 * -errno with err filled when a step was refused or a translation was wrong. */
int rival_turn(struct rival *r, uint64_t *ret_ps, struct trace_error *err);
/* Adds the blocks of all turns. */
void rival_blocks(const struct rival *r, struct hist *to);

#endif
