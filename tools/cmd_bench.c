/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice bench`: a run for each number of threads, then what there is to say
 * about them.
 */
#include "tools/bench.h"
#include "tools/bench_matrix.h"
#include "tools/bench_share.h"
#include "tools/tool.h"

#include <stdlib.h>
#include <string.h>

static int run_all(struct bench_report *rep, struct bench_opts *o)
{
	int rc = bench_others_try(o);

	rep->opts = o;
	if (!rc)
		bench_floor(&rep->floors);
	for (uint32_t i = 0; i < o->nr_threads && !rc; i++) {
		rc = bench_run(o, o->threads[i], &rep->run[i]);
		rep->nr_runs = i + 1;
		bench_floor(&rep->floors);
	}
	return rc;
}

int cmd_bench(int argc, char **argv)
{
	struct bench_report *rep;
	struct bench_opts o;
	int done = 0;
	int rc = bench_parse(argc, argv, &o, &done);

	if (rc || done)
		return rc;
	if (o.matrix)
		return bench_matrix(&o);
	if (o.mode == BENCH_SHARE)
		return bench_share(&o);
	rep = calloc(1, sizeof(*rep));
	if (!rep)
		return tool_failed(BENCH_CMD, "no memory");
	rc = run_all(rep, &o);
	if (!rc && (!o.json || strcmp(o.json, "-")))
		bench_print(stdout, rep);
	if (!rc && o.json)
		rc = bench_json(rep);
	if (!rc && o.report)
		rc = bench_plots(rep);
	for (uint32_t i = 0; i < rep->nr_runs; i++)
		free(rep->run[i].times);
	free(rep);
	return rc;
}
