/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The C++ that Google Benchmark asks for, and nothing else.
 */
#include "bench/gbench_shim.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

static void body(benchmark::State &state, const struct gb_case *c)
{
	void *ctx = c->setup_arg ? c->setup_arg(c->arg) : c->setup();

	if (!ctx) {
		state.SkipWithError("cannot run here");
		return;
	}
	/* Warm-up: caches, tables, free lists. */
	if (c->run)
		c->run(ctx, c->batch);
	else
		c->timed(ctx, c->batch);
	/* The median call stands for all: in some of them other work had the
	 * processor. A call is long enough to hold what comes now and then. */
	std::vector<double> sample;
	auto n = static_cast<benchmark::IterationCount>(c->batch);
	if (c->run) {
		while (state.KeepRunningBatch(n)) {
			auto start = std::chrono::steady_clock::now();
			c->run(ctx, c->batch);
			std::chrono::duration<double> t =
			        std::chrono::steady_clock::now() - start;

			sample.push_back(t.count() * 1e9);
			state.SetIterationTime(t.count());
		}
	} else {
		/* Manual time is per iteration, so a call is one here; the
		 * counter gives the time of an operation. */
		while (state.KeepRunning()) {
			double t = c->timed(ctx, c->batch);

			sample.push_back(t);
			state.SetIterationTime(t * 1e-9);
		}
	}
	if (!sample.empty()) {
		auto mid = sample.begin() +
		           static_cast<std::ptrdiff_t>(sample.size() / 2);

		std::nth_element(sample.begin(), mid, sample.end());
		state.counters["ns_per_op"] =
		        *mid / static_cast<double>(c->batch);
	}
	c->teardown(ctx);
}

extern "C" void gb_register(const struct gb_case *c)
{
	auto *b = benchmark::RegisterBenchmark(
	        c->name, [c](benchmark::State &s) { body(s, c); });

	b->Unit(benchmark::kNanosecond);
	b->ComputeStatistics("min", [](const std::vector<double> &v) {
		return *std::min_element(v.begin(), v.end());
	});
	if (c->calls)
		b->Iterations(static_cast<benchmark::IterationCount>(c->calls));
	if (c->reps)
		b->Repetitions(c->reps);
	b->UseManualTime();
}

extern "C" int gb_main(int argc, char **argv)
{
	/* Ours first: what the caller gives comes later and wins. */
	static char reps[] = "--benchmark_repetitions=9";
	static char time[] = "--benchmark_min_time=0.03";
	static char mix[] = "--benchmark_enable_random_interleaving=true";
	static char agg[] = "--benchmark_report_aggregates_only=true";
	std::vector<char *> args = {argv[0], reps, time, mix, agg};

	for (int i = 1; i < argc; i++)
		args.push_back(argv[i]);
	int n = static_cast<int>(args.size());
	args.push_back(nullptr);
	benchmark::Initialize(&n, args.data());
	if (benchmark::ReportUnrecognizedArguments(n, args.data()))
		return 2;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}
