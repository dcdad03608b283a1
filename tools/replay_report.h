/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a replay prints: a table for people, JSON (sluice-replay/1) for scripts.
 */
#ifndef SLUICE_TOOLS_REPLAY_REPORT_H
#define SLUICE_TOOLS_REPLAY_REPORT_H

#include "tools/plan.h"
#include "tools/replay_run.h"

#include <cjson/cJSON.h>
#include <stdio.h>

struct replay_file {
	const char *name;
	struct plan plan; /* its actions are gone by now */
	struct replay_result run;
	uint64_t events, maps, unmaps, other, lost; /* as the file says */
	int done; /* the trace could be read and was run */
};

/* Files that are not done are left out: their error was told on stderr. */
void replay_table(FILE *to, const struct replay_opts *opts,
                  const struct replay_file *f, int nr);
/* NULL when there is no memory. */
cJSON *replay_json(const struct replay_opts *opts, const struct replay_file *f,
                   int nr);

#endif
