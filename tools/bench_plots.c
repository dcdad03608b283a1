/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice bench --report DIR`: the distributions as data, and as pictures where
 * gnuplot is installed.
 */
#include "tools/bench.h"

#include "tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char script[] =
        "# SPDX-License-Identifier: BSD-3-Clause\n"
        "set terminal svg size 900,540\n"
        "set output 'latency.svg'\n"
        "set title 'sluice bench: time of one operation'\n"
        "set logscale y\n"
        "set logscale x\n"
        "set ylabel 'ns'\n"
        "set xlabel '1 / (1 - percentile)'\n"
        "set grid\n"
        "set key left top\n"
        "plot for [i=0:*] 'latency.dat' index i using (1.0/(1.0-$1)):2 "
        "with lines lw 2 title columnheader(1)\n";

static FILE *open_in(const char *dir, const char *name, char *path, size_t room)
{
	FILE *f = NULL;
	int n = snprintf(path, room, "%s/%s", dir, name);

	if (n > 0 && (size_t)n < room)
		f = fopen(path, "w");
	if (!f)
		tool_failed(BENCH_CMD, "%s: cannot be written: %s", path,
		            strerror(errno));
	return f;
}

static void curve(FILE *f, const char *impl, const char *op, uint32_t threads,
                  const struct hist *h)
{
	uint64_t seen = 0;

	if (!h->count)
		return;
	/* Titles end at a space, hence the dash. */
	fprintf(f, "%s-%s-x%u\n", impl, op, threads);
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		double share = (double)seen / (double)h->count;

		if (!h->bucket[i])
			continue;
		fprintf(f, "%.9f %.3f\n", share,
		        (double)hist_bucket_last(i) / 1000.0);
		seen += h->bucket[i];
	}
	fputs("\n\n", f);
}

/* Returns the exit code of gnuplot, 127 when there is none. */
static int gnuplot(const char *dir)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 127;
	if (pid == 0) {
		if (!chdir(dir))
			execlp("gnuplot", "gnuplot", "latency.gp",
			       (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	return WEXITSTATUS(status);
}

static void curves(FILE *f, const struct bench_report *rep)
{
	for (uint32_t r = 0; r < rep->nr_runs; r++)
		for (uint32_t i = 0; i < bench_nr_impls(rep->opts); i++)
			for (int op = 0; op < BENCH_NR_OPS; op++)
				curve(f, bench_impl_name(rep->opts, i),
				      bench_op_name((enum bench_op)op),
				      rep->run[r].threads,
				      &rep->run[r].times[i].op[op]);
}

int bench_plots(const struct bench_report *rep)
{
	const char *dir = rep->opts->report;
	char path[4096];
	FILE *f;
	int rc;

	if (mkdir(dir, 0777) && errno != EEXIST)
		return tool_failed(BENCH_CMD, "%s: %s", dir, strerror(errno));
	f = open_in(dir, "latency.dat", path, sizeof(path));
	if (!f)
		return TOOL_FAILED;
	curves(f, rep);
	if (fclose(f))
		return tool_failed(BENCH_CMD, "%s: %s", path, strerror(errno));
	f = open_in(dir, "latency.gp", path, sizeof(path));
	if (!f)
		return TOOL_FAILED;
	fputs(script, f);
	if (fclose(f))
		return tool_failed(BENCH_CMD, "%s: %s", path, strerror(errno));
	rc = gnuplot(dir);
	if (rc == 127)
		fprintf(stderr,
		        "sluice bench: no gnuplot here; %s has the "
		        "script for it (package gnuplot-nox)\n",
		        path);
	else if (rc)
		return tool_failed(BENCH_CMD, "gnuplot failed on %s", path);
	return TOOL_OK;
}
