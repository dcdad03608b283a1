/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `sluice bench` prints for programs: JSON, schema sluice-bench/1. Fields
 * may be added; those that are there stay. Measures nothing.
 */
#include "tools/bench.h"

#include "tools/tool.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SLUICE_COMMIT
#define SLUICE_COMMIT "unknown"
#endif

static double ns(uint64_t ps)
{
	return (double)ps / 1000.0;
}

static void cpu_model(char *to, size_t room)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[512];

	snprintf(to, room, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *v = strchr(line, ':');

		if (strncmp(line, "model name", 10) || !v)
			continue;
		v += 1 + strspn(v + 1, " \t");
		v[strcspn(v, "\n")] = 0;
		snprintf(to, room, "%s", v);
		break;
	}
	if (f)
		fclose(f);
}

cJSON *bench_machine_json(void)
{
	cJSON *o = cJSON_CreateObject();
	struct utsname u;
	char cpu[256];

	cpu_model(cpu, sizeof(cpu));
	cJSON_AddStringToObject(o, "cpu", cpu);
	tool_json_u64(o, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	if (!uname(&u)) {
		cJSON_AddStringToObject(o, "kernel", u.release);
		cJSON_AddStringToObject(o, "arch", u.machine);
	}
	cJSON_AddStringToObject(o, "compiler", __VERSION__);
	cJSON_AddStringToObject(o, "commit", SLUICE_COMMIT);
	cJSON_AddStringToObject(o, "version", sluice_version());
	return o;
}

/* One number as scripts know it, the most threads there were, and all. */
static void threads_json(cJSON *c, const struct bench_opts *o)
{
	cJSON *list = cJSON_CreateArray();
	uint32_t most = 0;

	for (uint32_t i = 0; i < o->nr_threads; i++) {
		most = o->threads[i] > most ? o->threads[i] : most;
		cJSON_AddItemToArray(list, cJSON_CreateNumber(o->threads[i]));
	}
	tool_json_u64(c, "threads", most);
	cJSON_AddItemToObject(c, "threads_list", list);
}

static cJSON *config_json(const struct bench_opts *o)
{
	cJSON *c = cJSON_CreateObject(), *list;

	cJSON_AddStringToObject(c, "backend", sluice_backend_name(o->backend));
	cJSON_AddStringToObject(c, "mode", bench_mode_name(o->mode));
	cJSON_AddStringToObject(c, "format", sluice_pt_format_name(o->format));
	cJSON_AddStringToObject(c, "submode", o->sg ? "sg" : "single");
	threads_json(c, o);
	tool_json_u64(c, "seconds", o->seconds);
	tool_json_u64(c, "granule", o->granule);
	tool_json_u64(c, "direction", o->direction);
	tool_json_u64(c, "delay_ns", o->delay_ns);
	tool_json_u64(c, "depth", o->depth);
	tool_json_u64(c, "batch", o->batch);
	tool_json_u64(c, "working_set", o->working_set);
	cJSON_AddBoolToObject(c, "pinned", o->pinned);
	list = cJSON_AddArrayToObject(c, "against");
	for (uint32_t i = 1; i < bench_nr_impls(o); i++)
		cJSON_AddItemToArray(list,
		                     cJSON_CreateString(bench_impl_name(o, i)));
	if (o->device)
		cJSON_AddStringToObject(c, "device", o->device);
	return c;
}

static void result_json(cJSON *list, const struct bench_report *rep,
                        uint32_t run, uint32_t impl, enum bench_op op)
{
	const struct bench_run *r = &rep->run[run];
	const struct hist *h = &r->times[impl].op[op];
	double efficiency = bench_efficiency(rep, run, impl, op);
	cJSON *o, *v;

	if (!h->count)
		return;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "name", bench_op_name(op));
	cJSON_AddStringToObject(o, "impl", bench_impl_name(rep->opts, impl));
	tool_json_u64(o, "lanes", r->threads);
	cJSON_AddStringToObject(o, "mode", bench_mode_name(rep->opts->mode));
	v = cJSON_AddObjectToObject(o, "ns");
	cJSON_AddNumberToObject(v, "min", ns(h->min));
	cJSON_AddNumberToObject(v, "p50", ns(hist_percentile(h, 0.5)));
	cJSON_AddNumberToObject(v, "p99", ns(hist_percentile(h, 0.99)));
	cJSON_AddNumberToObject(v, "p999", ns(hist_percentile(h, 0.999)));
	cJSON_AddNumberToObject(v, "max", ns(h->max));
	cJSON_AddNumberToObject(v, "mean", hist_mean(h) / 1000.0);
	/* A ticket is a latency with others behind it; it has no rate of its
	 * own but that of the unmaps. */
	if (op == BENCH_TICKET)
		op = BENCH_UNMAP;
	cJSON_AddNumberToObject(o, "ops_per_s", bench_rate(r, impl, op));
	if (efficiency > 0.0)
		cJSON_AddNumberToObject(o, "efficiency", efficiency);
	tool_json_u64(o, "count", h->count);
	cJSON_AddItemToArray(list, o);
}

static void results_json(cJSON *list, const struct bench_report *rep)
{
	for (uint32_t run = 0; run < rep->nr_runs; run++)
		for (uint32_t i = 0; i < bench_nr_impls(rep->opts); i++)
			for (int op = 0; op < BENCH_NR_OPS; op++)
				result_json(list, rep, run, i,
				            (enum bench_op)op);
}

#define PERCENTILES(to, name, from)                                            \
	do {                                                                   \
		cJSON *v = cJSON_AddObjectToObject(to, name);                  \
		tool_json_u64(v, "p50", (from).p50);                           \
		tool_json_u64(v, "p99", (from).p99);                           \
		tool_json_u64(v, "max", (from).max);                           \
	} while (0)

static cJSON *exposure_json(const struct bench_report *rep, uint32_t run)
{
	const struct sluice_exposure *e = &rep->run[run].exposure;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "mode", bench_mode_name(rep->opts->mode));
	tool_json_u64(o, "lanes", rep->run[run].threads);
	tool_json_u64(o, "samples", e->samples);
	PERCENTILES(o, "entries", e->entries);
	PERCENTILES(o, "bytes", e->bytes);
	PERCENTILES(o, "ns", e->ns);
	return o;
}

static cJSON *floors_json(const struct bench_floors *f)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddNumberToObject(o, "l1_load_ns", f->l1_load);
	cJSON_AddNumberToObject(o, "locked_add_ns", f->locked_add);
	if (f->ping_pong > 0.0)
		cJSON_AddNumberToObject(o, "ping_pong_ns", f->ping_pong);
	return o;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Of all runs: counts add up, extremes are the largest. */
static struct sluice_domain_stats sum(const struct bench_report *rep)
{
	struct sluice_domain_stats all = rep->run[0].stats;

	for (uint32_t i = 1; i < rep->nr_runs; i++) {
		const struct sluice_domain_stats *s = &rep->run[i].stats;

		all.kernel_maps += s->kernel_maps;
		all.kernel_unmaps += s->kernel_unmaps;
		all.invalidations += s->invalidations;
		all.posts += s->posts;
		all.maps += s->maps;
		all.unmaps += s->unmaps;
		all.map_bytes += s->map_bytes;
		all.unmap_bytes += s->unmap_bytes;
		all.table_bytes = larger(all.table_bytes, s->table_bytes);
		all.exposed_entries_max =
		        larger(all.exposed_entries_max, s->exposed_entries_max);
		all.exposed_bytes_max =
		        larger(all.exposed_bytes_max, s->exposed_bytes_max);
		all.exposed_ns_max =
		        larger(all.exposed_ns_max, s->exposed_ns_max);
	}
	return all;
}

static cJSON *counters_json(const struct sluice_domain_stats *s)
{
	cJSON *c = cJSON_CreateObject();

	tool_json_u64(c, "kernel_calls", s->kernel_maps + s->kernel_unmaps);
	tool_json_u64(c, "kernel_maps", s->kernel_maps);
	tool_json_u64(c, "kernel_unmaps", s->kernel_unmaps);
	tool_json_u64(c, "invalidations", s->invalidations);
	tool_json_u64(c, "posts", s->posts);
	tool_json_u64(c, "maps", s->maps);
	tool_json_u64(c, "unmaps", s->unmaps);
	tool_json_u64(c, "map_bytes", s->map_bytes);
	tool_json_u64(c, "unmap_bytes", s->unmap_bytes);
	tool_json_u64(c, "table_bytes", s->table_bytes);
	tool_json_u64(c, "exposed_entries_max", s->exposed_entries_max);
	tool_json_u64(c, "exposed_bytes_max", s->exposed_bytes_max);
	tool_json_u64(c, "exposed_ns_max", s->exposed_ns_max);
	return c;
}

int bench_json(const struct bench_report *rep)
{
	cJSON *root = cJSON_CreateObject(), *list;
	struct sluice_domain_stats s = sum(rep);
	int rc;

	if (!root)
		return tool_failed(BENCH_CMD, "no memory for the JSON text");
	cJSON_AddStringToObject(root, "schema", "sluice-bench/1");
	cJSON_AddItemToObject(root, "machine", bench_machine_json());
	cJSON_AddItemToObject(root, "config", config_json(rep->opts));
	results_json(cJSON_AddArrayToObject(root, "results"), rep);
	cJSON_AddItemToObject(root, "counters", counters_json(&s));
	list = cJSON_AddArrayToObject(root, "exposure");
	for (uint32_t i = 0; i < rep->nr_runs; i++)
		cJSON_AddItemToArray(list, exposure_json(rep, i));
	cJSON_AddItemToObject(root, "floors", floors_json(&rep->floors));
	rc = tool_write_json(BENCH_CMD, rep->opts->json, root);
	cJSON_Delete(root);
	return rc;
}
