/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `sluice bench` prints for people: three lines in the manner of the
 * kernel's dma_map_benchmark, tables. Measures nothing.
 */
#include "tools/bench.h"

#include "yardstick/ways.h"

#include <inttypes.h>

const char *bench_op_name(enum bench_op op)
{
	static const char *const names[] = {"map",
	                                    "unmap",
	                                    "ticket",
	                                    "translate",
	                                    "translate_batch",
	                                    "translate_hit",
	                                    "translate_miss",
	                                    "pair"};

	return names[op];
}

const char *bench_mode_name(enum bench_mode mode)
{
	static const char *const names[] = {"strict", "bounce", "lazy",
	                                    "arena",  "raw",    "share"};

	return names[mode];
}

const char *bench_impl_name(const struct bench_opts *o, uint32_t impl)
{
	return impl == BENCH_OURS ? "sluice" : o->other[impl - 1]->name;
}

uint32_t bench_nr_impls(const struct bench_opts *o)
{
	return 1 + o->nr_others;
}

double bench_rate(const struct bench_run *run, uint32_t impl, enum bench_op op)
{
	double mean = hist_mean(&run->times[impl].op[op]);

	return mean > 0.0 ? run->threads * 1e12 / mean : 0.0;
}

double bench_efficiency(const struct bench_report *rep, uint32_t run,
                        uint32_t impl, enum bench_op op)
{
	const struct bench_run *r = &rep->run[run], *base = rep->run;
	double alone;

	for (uint32_t i = 0; i < rep->nr_runs; i++)
		if (rep->run[i].threads < base->threads)
			base = &rep->run[i];
	alone = bench_rate(base, impl, op) / base->threads;
	if (rep->nr_runs < 2 || alone <= 0.0)
		return 0.0;
	return bench_rate(r, impl, op) / r->threads / alone;
}

static double ns(uint64_t ps)
{
	return (double)ps / 1000.0;
}

static double p50(const struct bench_run *run, uint32_t impl, enum bench_op op)
{
	return ns(hist_percentile(&run->times[impl].op[op], 0.5));
}

static void kernel_line(FILE *to, const char *what, const struct hist *h)
{
	fprintf(to, "average %s latency(us):%.4f standard deviation:%.4f\n",
	        what, hist_mean(h) / 1e6, hist_stddev(h) / 1e6);
}

static void head(FILE *to, const struct bench_opts *o,
                 const struct bench_run *run)
{
	static const char *const dir[] = {"BIDIRECTIONAL", "TO_DEVICE",
	                                  "FROM_DEVICE"};

	fprintf(to,
	        "dma mapping benchmark(%s): threads:%u seconds:%u node:-1 "
	        "dir:%s granule:%u\n",
	        o->sg ? "SG_MODE" : "SINGLE_MODE", run->threads, o->seconds,
	        dir[o->direction], o->granule);
	kernel_line(to, "map", &run->times[BENCH_OURS].op[BENCH_MAP]);
	kernel_line(to, "unmap", &run->times[BENCH_OURS].op[BENCH_UNMAP]);
	fprintf(to,
	        "backend %s, mode %s, format %s, depth %u, batch %u, threads "
	        "%s\n\n",
	        sluice_backend_name(o->backend), bench_mode_name(o->mode),
	        sluice_pt_format_name(o->format), o->depth, o->batch,
	        o->pinned ? "pinned" : "not pinned");
}

static void row(FILE *to, const struct bench_run *run, enum bench_op op)
{
	const struct hist *h = &run->times[BENCH_OURS].op[op];

	if (!h->count)
		return;
	fprintf(to, "%-15s %8.1f %8.1f %8.1f %8.1f %10.1f", bench_op_name(op),
	        ns(h->min), ns(hist_percentile(h, 0.5)),
	        ns(hist_percentile(h, 0.99)), ns(hist_percentile(h, 0.999)),
	        ns(h->max));
	/* A ticket is waited for beside others: it has no rate of its own. */
	if (op != BENCH_TICKET)
		fprintf(to, " %10.2f", bench_rate(run, BENCH_OURS, op) / 1e6);
	fputc('\n', to);
}

static void others(FILE *to, const struct bench_opts *o,
                   const struct bench_run *run)
{
	if (!o->nr_others)
		return;
	fprintf(to, "\n%-15s", "p50 of others");
	for (uint32_t i = 1; i < bench_nr_impls(o); i++)
		fprintf(to, " %18s", bench_impl_name(o, i));
	fputc('\n', to);
	for (int op = 0; op < BENCH_NR_OPS; op++) {
		double mine = p50(run, BENCH_OURS, (enum bench_op)op);

		if (!run->times[1].op[op].count)
			continue;
		fprintf(to, "%-15s", bench_op_name((enum bench_op)op));
		for (uint32_t i = 1; i < bench_nr_impls(o); i++) {
			double theirs = p50(run, i, (enum bench_op)op);

			fprintf(to, " %10.1f %6.1fx", theirs,
			        mine > 0.0 ? theirs / mine : 0.0);
		}
		fputc('\n', to);
	}
}

static void exposure(FILE *to, const struct bench_opts *o,
                     const struct bench_run *run)
{
	const struct sluice_exposure *e = &run->exposure;

	fprintf(to,
	        "\nkernel calls %" PRIu64 ", invalidations %" PRIu64
	        ", bytes mapped %" PRIu64 "\n",
	        run->stats.kernel_maps + run->stats.kernel_unmaps,
	        run->stats.invalidations, run->stats.map_bytes);
	if (!e->samples) {
		fprintf(to, "exposure (%s): %s\n", bench_mode_name(o->mode),
		        o->mode == BENCH_ARENA ? "slots stay within reach"
		                               : "none was counted");
		return;
	}
	fprintf(to, "%-15s %8s %8s %10s   (%s, %" PRIu64 " unmaps)\n",
	        "exposure", "p50", "p99", "max", bench_mode_name(o->mode),
	        e->samples);
	fprintf(to, "%-15s %8.2f %8.2f %10.2f\n", "us", (double)e->ns.p50 / 1e3,
	        (double)e->ns.p99 / 1e3, (double)e->ns.max / 1e3);
	fprintf(to, "%-15s %8" PRIu64 " %8" PRIu64 " %10" PRIu64 "\n",
	        "entries", e->entries.p50, e->entries.p99, e->entries.max);
	fprintf(to, "%-15s %8" PRIu64 " %8" PRIu64 " %10" PRIu64 "\n", "KiB",
	        e->bytes.p50 >> 10, e->bytes.p99 >> 10, e->bytes.max >> 10);
}

static void one_run(FILE *to, const struct bench_opts *o,
                    const struct bench_run *run)
{
	head(to, o, run);
	fprintf(to, "%-15s %8s %8s %8s %8s %10s %10s\n", "ns", "min", "p50",
	        "p99", "p99.9", "max", "million/s");
	for (int op = 0; op < BENCH_NR_OPS; op++)
		row(to, run, (enum bench_op)op);
	others(to, o, run);
	exposure(to, o, run);
	fputc('\n', to);
}

static void scaling(FILE *to, const struct bench_report *rep)
{
	if (rep->nr_runs < 2)
		return;
	fprintf(to,
	        "million/s, and how much of the rate of one thread is "
	        "left\n%-26s",
	        "threads");
	for (uint32_t i = 0; i < rep->nr_runs; i++)
		fprintf(to, " %15u", rep->run[i].threads);
	fputc('\n', to);
	for (uint32_t k = 0; k < bench_nr_impls(rep->opts) * BENCH_NR_OPS;
	     k++) {
		enum bench_op op = (enum bench_op)(k % BENCH_NR_OPS);
		uint32_t impl = k / BENCH_NR_OPS;

		if (op == BENCH_TICKET || !rep->run[0].times[impl].op[op].count)
			continue;
		fprintf(to, "%-10s %-15s", bench_impl_name(rep->opts, impl),
		        bench_op_name(op));
		for (uint32_t i = 0; i < rep->nr_runs; i++)
			fprintf(to, " %10.2f %4.2f",
			        bench_rate(&rep->run[i], impl, op) / 1e6,
			        bench_efficiency(rep, i, impl, op));
		fputc('\n', to);
	}
	fputc('\n', to);
}

void bench_print(FILE *to, const struct bench_report *rep)
{
	const struct bench_floors *f = &rep->floors;

	for (uint32_t i = 0; i < rep->nr_runs; i++)
		one_run(to, rep->opts, &rep->run[i]);
	scaling(to, rep);
	fprintf(to,
	        "floors of this machine (ns): L1 load to use %.2f, locked "
	        "add %.2f",
	        f->l1_load, f->locked_add);
	if (f->ping_pong > 0.0)
		fprintf(to, ", a line to another processor and back %.0f",
		        f->ping_pong);
	fputc('\n', to);
}
