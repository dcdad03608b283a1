/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `sluice bench` prints: three lines in the manner of the kernel's
 * dma_map_benchmark, a table, JSON (sluice-bench/1). Measures nothing.
 */
#include "tools/bench.h"

#include "tools/tool.h"

#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef SLUICE_COMMIT
#define SLUICE_COMMIT "unknown"
#endif

const char *bench_op_name(enum bench_op op)
{
	static const char *const names[] = {
	        "map",           "unmap",          "ticket",
	        "translate_hit", "translate_miss", "pair"};

	return names[op];
}

const char *bench_mode_name(enum bench_mode mode)
{
	static const char *const names[] = {"strict", "lazy", "arena"};

	return names[mode];
}

static double ns(uint64_t ps)
{
	return (double)ps / 1000.0;
}

static double rate(const struct bench_rig *rig, const struct hist *h)
{
	double mean = hist_mean(h);

	return mean > 0.0 ? rig->opts->threads * 1e12 / mean : 0.0;
}

static void kernel_line(FILE *to, const char *what, const struct hist *h)
{
	fprintf(to, "average %s latency(us):%.4f standard deviation:%.4f\n",
	        what, hist_mean(h) / 1e6, hist_stddev(h) / 1e6);
}

static void row(FILE *to, const struct bench_rig *rig, enum bench_op op)
{
	const struct hist *h = &rig->ours.op[op];
	const struct hist *n = &rig->naive_times.op[op];

	if (!h->count)
		return;
	fprintf(to, "%-14s %8.1f %8.1f %8.1f %8.1f %10.2f", bench_op_name(op),
	        ns(h->min), ns(hist_percentile(h, 0.5)),
	        ns(hist_percentile(h, 0.99)), ns(hist_percentile(h, 0.999)),
	        op == BENCH_TICKET ? 0.0 : rate(rig, h) / 1e6);
	if (n->count) {
		double mine = ns(hist_percentile(h, 0.5));
		double theirs = ns(hist_percentile(n, 0.5));

		fprintf(to, " %9.1f %6.1fx", theirs,
		        mine > 0.0 ? theirs / mine : 0.0);
	}
	fputc('\n', to);
}

void bench_print(FILE *to, const struct bench_rig *rig)
{
	static const char *const dir[] = {"BIDIRECTIONAL", "TO_DEVICE",
	                                  "FROM_DEVICE"};
	const struct bench_opts *o = rig->opts;
	const struct sluice_domain_stats *s = &rig->stats;
	const struct hist *ticket = &rig->ours.op[BENCH_TICKET];
	double exposed;

	fprintf(to,
	        "dma mapping benchmark(%s): threads:%u seconds:%u node:-1 "
	        "dir:%s granule:%u\n",
	        o->sg ? "SG_MODE" : "SINGLE_MODE", o->threads, o->seconds,
	        dir[o->direction], o->granule);
	kernel_line(to, "map", &rig->ours.op[BENCH_MAP]);
	kernel_line(to, "unmap", &rig->ours.op[BENCH_UNMAP]);
	fprintf(to, "backend %s, mode %s, format %s, depth %u, batch %u\n\n",
	        sluice_backend_name(o->backend), bench_mode_name(o->mode),
	        sluice_pt_format_name(o->format), o->depth, o->batch);
	fprintf(to, "%-14s %8s %8s %8s %8s %10s", "ns", "min", "p50", "p99",
	        "p99.9", "million/s");
	if (rig->naive)
		fprintf(to, " %9s %7s", "naive p50", "ratio");
	fputc('\n', to);
	for (int op = 0; op < BENCH_NR_OPS; op++)
		row(to, rig, (enum bench_op)op);
	/* In strict mode our own clock saw each ticket pass; the engine's
	 * counter also holds the time a lane idled before its first unmap. */
	exposed = ticket->count ? ns(ticket->max) : (double)s->exposed_ns_max;
	fprintf(to,
	        "\nkernel calls %" PRIu64 ", invalidations %" PRIu64
	        ", bytes mapped %" PRIu64 ", longest exposure %.1f us\n",
	        s->kernel_maps + s->kernel_unmaps, s->invalidations,
	        s->map_bytes, exposed / 1e3);
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

static cJSON *machine_json(void)
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

static cJSON *config_json(const struct bench_opts *o)
{
	cJSON *c = cJSON_CreateObject();

	cJSON_AddStringToObject(c, "backend", sluice_backend_name(o->backend));
	cJSON_AddStringToObject(c, "mode", bench_mode_name(o->mode));
	cJSON_AddStringToObject(c, "format", sluice_pt_format_name(o->format));
	cJSON_AddStringToObject(c, "submode", o->sg ? "sg" : "single");
	tool_json_u64(c, "threads", o->threads);
	tool_json_u64(c, "seconds", o->seconds);
	tool_json_u64(c, "granule", o->granule);
	tool_json_u64(c, "direction", o->direction);
	tool_json_u64(c, "delay_ns", o->delay_ns);
	tool_json_u64(c, "depth", o->depth);
	tool_json_u64(c, "batch", o->batch);
	tool_json_u64(c, "working_set", o->working_set);
	if (o->device)
		cJSON_AddStringToObject(c, "device", o->device);
	return c;
}

static void result_json(cJSON *list, const struct bench_rig *rig,
                        enum bench_op op, int naive)
{
	const struct bench_times *t = naive ? &rig->naive_times : &rig->ours;
	const struct hist *h = &t->op[op];
	cJSON *o, *v;

	if (!h->count)
		return;
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "name", bench_op_name(op));
	cJSON_AddStringToObject(o, "impl", naive ? "naive" : "sluice");
	tool_json_u64(o, "lanes", rig->opts->threads);
	cJSON_AddStringToObject(o, "mode", bench_mode_name(rig->opts->mode));
	v = cJSON_AddObjectToObject(o, "ns");
	cJSON_AddNumberToObject(v, "min", ns(h->min));
	cJSON_AddNumberToObject(v, "p50", ns(hist_percentile(h, 0.5)));
	cJSON_AddNumberToObject(v, "p99", ns(hist_percentile(h, 0.99)));
	cJSON_AddNumberToObject(v, "p999", ns(hist_percentile(h, 0.999)));
	cJSON_AddNumberToObject(v, "max", ns(h->max));
	cJSON_AddNumberToObject(v, "mean", hist_mean(h) / 1000.0);
	/* A ticket is a latency with others behind it; it has no rate of its
	 * own but that of the unmaps. */
	cJSON_AddNumberToObject(
	        o, "ops_per_s",
	        rate(rig, op == BENCH_TICKET ? &t->op[BENCH_UNMAP] : h));
	tool_json_u64(o, "count", h->count);
	cJSON_AddItemToArray(list, o);
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

int bench_json(const struct bench_rig *rig)
{
	cJSON *root = cJSON_CreateObject(), *list;
	int rc;

	if (!root)
		return tool_failed(BENCH_CMD, "no memory for the JSON text");
	cJSON_AddStringToObject(root, "schema", "sluice-bench/1");
	cJSON_AddItemToObject(root, "machine", machine_json());
	cJSON_AddItemToObject(root, "config", config_json(rig->opts));
	list = cJSON_AddArrayToObject(root, "results");
	for (int op = 0; op < BENCH_NR_OPS; op++)
		result_json(list, rig, (enum bench_op)op, 0);
	for (int op = 0; op < BENCH_NR_OPS; op++)
		result_json(list, rig, (enum bench_op)op, 1);
	cJSON_AddItemToObject(root, "counters", counters_json(&rig->stats));
	rc = tool_write_json(BENCH_CMD, rig->opts->json, root);
	cJSON_Delete(root);
	return rc;
}
