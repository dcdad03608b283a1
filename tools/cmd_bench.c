/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice bench`: reads the options, which mirror the kernel's
 * dma_map_benchmark where they mean the same, and calls the rig.
 */
#include "tools/bench.h"
#include "tools/tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help_text[] =
        "Usage: sluice bench [OPTION]…\n"
        "\n"
        "Measures map, unmap and translate, on software domains beside the "
        "naive way of\n"
        "doing the same (one mutex, an ordered tree, a hash) in the same "
        "run.\n"
        "\n"
        "  -t N                 threads, a lane each [1]\n"
        "  -s N                 seconds [3]\n"
        "  -g N                 pages of each map, or pieces with -m sg [1]\n"
        "  -d 0|1|2             both directions, to, from the device [0]\n"
        "  -x NS                delay between mapping and unmapping [0]\n"
        "  -m single|sg         one range, or a scatter list of single "
        "pages [single]\n"
        "  --backend soft|type1 who enforces [soft]\n"
        "  --device BDF         a device of the group to attach (type1)\n"
        "  --mode strict|lazy|arena\n"
        "                       protection mode [strict]\n"
        "  --format F           page-table format: x86_64, vtdss [x86_64]\n"
        "  --depth N            mappings alive at a time, each thread [64]\n"
        "  --batch N            calls between two polls and two readings of "
        "the time [32]\n"
        "  --working-set BYTES  memory cycled through, each thread [1M]\n"
        "  --json FILE          also write JSON (sluice-bench/1); - is "
        "stdout and leaves\n"
        "                       out the table\n"
        "  --report DIR         write distributions, and plots where there "
        "is gnuplot\n"
        "  --help, --version\n"
        "\n"
        "Times are of one operation: a batch is timed and divided, the cost "
        "of reading\n"
        "the time-stamp counter taken off. unmap includes the batch's poll; "
        "ticket is the\n"
        "time from a batch's first unmap until nothing can reach the memory; "
        "pair is map\n"
        "plus unmap. On type1, map lasts until the kernel has mapped.\n"
        "\n"
        "Exit: 0 ok, 1 an operation failed, 2 wrong usage.\n";

struct settings {
	struct bench_opts o;
	int done;
};

enum {
	OPT_BACKEND = 256,
	OPT_DEVICE,
	OPT_MODE,
	OPT_FORMAT,
	OPT_DEPTH,
	OPT_BATCH,
	OPT_SET,
	OPT_JSON,
	OPT_REPORT,
	OPT_VERSION
};

static int number(const char *name, uint64_t min, uint64_t max, uint32_t *ret)
{
	uint64_t n;

	if (tool_number(optarg, min, max, &n))
		return tool_usage(BENCH_CMD,
		                  "%s takes a number from %llu to %llu, not "
		                  "\"%s\"",
		                  name, (unsigned long long)min,
		                  (unsigned long long)max, optarg);
	*ret = (uint32_t)n;
	return TOOL_OK;
}

static int protection(struct bench_opts *o)
{
	for (int i = BENCH_STRICT; i <= BENCH_ARENA; i++) {
		if (strcmp(optarg, bench_mode_name((enum bench_mode)i)))
			continue;
		o->mode = (enum bench_mode)i;
		return TOOL_OK;
	}
	if (!strcmp(optarg, "bounce"))
		return tool_usage(BENCH_CMD,
		                  "this version has no bounce mode yet; choose "
		                  "strict, lazy or arena");
	return tool_usage(BENCH_CMD,
	                  "--mode is strict, lazy or arena, not "
	                  "\"%s\"",
	                  optarg);
}

static int words(struct bench_opts *o, int opt)
{
	int rc;

	switch (opt) {
	case 'm':
		o->sg = !strcmp(optarg, "sg") || !strcmp(optarg, "1");
		if (o->sg || !strcmp(optarg, "single") || !strcmp(optarg, "0"))
			return TOOL_OK;
		return tool_usage(BENCH_CMD, "-m is single or sg, not \"%s\"",
		                  optarg);
	case OPT_BACKEND:
		for (int i = 0; i < 2; i++) {
			o->backend = i ? SLUICE_BACKEND_VFIO_TYPE1
			               : SLUICE_BACKEND_SOFT;
			if (!strcmp(optarg, sluice_backend_name(o->backend)))
				return TOOL_OK;
		}
		return tool_usage(BENCH_CMD,
		                  "--backend is soft or type1, not "
		                  "\"%s\"",
		                  optarg);
	case OPT_FORMAT:
		rc = sluice_pt_format_by_name(optarg);
		if (rc < 0)
			return tool_usage(BENCH_CMD, "--format \"%s\": %s",
			                  optarg, sluice_last_error());
		o->format = (enum sluice_pt_format)rc;
		return TOOL_OK;
	default:
		return protection(o);
	}
}

static int option(struct settings *s, int opt)
{
	struct bench_opts *o = &s->o;

	switch (opt) {
	case 't':
		return number("-t", 1, 256, &o->threads);
	case 's':
		return number("-s", 1, 300, &o->seconds);
	case 'g':
		return number("-g", 1, 1024, &o->granule);
	case 'd':
		return number("-d", 0, 2, &o->direction);
	case 'x':
		return number("-x", 0, 10000000, &o->delay_ns);
	case OPT_DEPTH:
		return number("--depth", 1, 65536, &o->depth);
	case OPT_BATCH:
		return number("--batch", 1, 1024, &o->batch);
	case OPT_SET:
		if (!tool_number(optarg, 4096, UINT64_C(1) << 40,
		                 &o->working_set))
			return TOOL_OK;
		return tool_usage(BENCH_CMD,
		                  "--working-set takes 4K to 1024G, "
		                  "not \"%s\"",
		                  optarg);
	case OPT_DEVICE:
		o->device = optarg;
		return TOOL_OK;
	case OPT_JSON:
		o->json = optarg;
		return TOOL_OK;
	case OPT_REPORT:
		o->report = optarg;
		return TOOL_OK;
	case 'h':
		fputs(help_text, stdout);
		s->done = 1;
		return TOOL_OK;
	case OPT_VERSION:
		s->done = 1;
		return tool_version();
	case '?':
		fputs("Try: sluice bench --help\n", stderr);
		return TOOL_USAGE;
	default:
		return words(o, opt);
	}
}

/* What only makes sense together, and names nobody asked for. */
static int check(int argc, char **argv, const struct bench_opts *o)
{
	if (optind < argc)
		return tool_usage(BENCH_CMD, "\"%s\" is no option",
		                  argv[optind]);
	if (o->backend == SLUICE_BACKEND_VFIO_TYPE1 && !o->device)
		return tool_usage(BENCH_CMD,
		                  "--backend type1 needs --device BDF: a "
		                  "device bound to vfio-pci (sluice groups "
		                  "lists them)");
	if (o->backend == SLUICE_BACKEND_SOFT && o->device)
		return tool_usage(BENCH_CMD, "--device is for --backend "
		                             "type1");
	if (o->mode == BENCH_ARENA && o->sg)
		return tool_usage(BENCH_CMD, "an arena hands out single "
		                             "slots: leave out -m sg");
	return TOOL_OK;
}

static int parse(int argc, char **argv, struct settings *s)
{
	static const struct option longs[] = {
	        {"backend", required_argument, NULL, OPT_BACKEND},
	        {"device", required_argument, NULL, OPT_DEVICE},
	        {"mode", required_argument, NULL, OPT_MODE},
	        {"format", required_argument, NULL, OPT_FORMAT},
	        {"depth", required_argument, NULL, OPT_DEPTH},
	        {"batch", required_argument, NULL, OPT_BATCH},
	        {"working-set", required_argument, NULL, OPT_SET},
	        {"json", required_argument, NULL, OPT_JSON},
	        {"report", required_argument, NULL, OPT_REPORT},
	        {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, OPT_VERSION},
	        {NULL, 0, NULL, 0},
	};
	int opt, rc;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "t:s:g:d:x:m:h", longs, NULL)) !=
	       -1) {
		rc = option(s, opt);
		if (rc || s->done)
			return rc;
	}
	return check(argc, argv, &s->o);
}

int cmd_bench(int argc, char **argv)
{
	struct settings s = {.o = {.threads = 1,
	                           .seconds = 3,
	                           .granule = 1,
	                           .backend = SLUICE_BACKEND_SOFT,
	                           .mode = BENCH_STRICT,
	                           .format = SLUICE_PT_X86_64,
	                           .depth = 64,
	                           .batch = 32,
	                           .working_set = 1 << 20}};
	struct bench_rig *rig;
	int rc;

	rc = parse(argc, argv, &s);
	if (rc || s.done)
		return rc;
	rig = calloc(1, sizeof(*rig));
	if (!rig)
		return tool_failed(BENCH_CMD, "no memory");
	rc = bench_rig_open(rig, &s.o);
	if (!rc)
		rc = bench_rig_run(rig);
	if (!rc && (!s.o.json || strcmp(s.o.json, "-")))
		bench_print(stdout, rig);
	if (!rc && s.o.json)
		rc = bench_json(rig);
	if (!rc && s.o.report)
		rc = bench_plots(rig);
	bench_rig_close(rig);
	free(rig);
	return rc;
}
