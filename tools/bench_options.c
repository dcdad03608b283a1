/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The options of `sluice bench`, which mirror the kernel's dma_map_benchmark
 * where they mean the same. Measures nothing.
 */
#include "tools/bench.h"
#include "tools/tool.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help_text[] =
        "Usage: sluice bench [OPTION]…\n"
        "\n"
        "Measures map, unmap and translate, on software domains beside "
        "other ways of doing\n"
        "the same, in turns of 50 ms.\n"
        "\n"
        "  -t N[,N…]            threads, a lane each; a list is a run for "
        "each number and\n"
        "                       shows how rates grow [1]\n"
        "  -s N                 seconds of each run [3]\n"
        "  -g N                 pages of each map, or pieces with -m sg [1]\n"
        "  -d 0|1|2             both directions, to, from the device [0]\n"
        "  -x NS                delay between mapping and unmapping [0]\n"
        "  -m single|sg         one range, or a scatter list of single "
        "pages [single]\n"
        "  --backend soft|type1 who enforces [soft]\n"
        "  --device BDF         a device of the group to attach (type1)\n"
        "  --mode strict|bounce|lazy|arena|raw|share\n"
        "                       protection mode; raw: type1 ioctls by hand; "
        "share:\n"
        "                       buffers that 1, 2, 4, 8 groups reach, in one "
        "domain and in\n"
        "                       one each; type1: of the devices BDF,BDF,… "
        "[strict]\n"
        "  --format F           page-table format: x86_64, vtdss [x86_64]\n"
        "  --depth N            mappings alive at a time, and addresses of "
        "one\n"
        "                       translate_batch, each thread [64]\n"
        "  --batch N            calls between two polls and two readings of "
        "the time [32]\n"
        "  --working-set BYTES  memory cycled through, and what translate "
        "picks its pages\n"
        "                       from, each thread [1M]\n"
        "  --matrix             type1: raw ioctls, strict single, strict "
        "burst, bounce, lazy and\n"
        "                       arena beside each other, by size, depth, "
        "memory and -t\n"
        "  --against LIST|all|none\n"
        "                       who else is measured, names with commas "
        "[all]\n"
        "  --pin yes|no         a processor for each thread [yes where there "
        "are enough]\n"
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
        "plus unmap. On type1, map lasts until the kernel has mapped. "
        "translate is of random\n"
        "pages of a working set that stays mapped, translate_batch of depth of "
        "them in one\n"
        "call; translate_miss and translate_hit are of the depth mappings, "
        "the first and\n"
        "the second time. Percentiles are at most 1/64 too high. Exposure is "
        "how much\n"
        "unmapped memory is still within reach, and for how long: at most 1/8 "
        "too high.\n"
        "\n"
        "Others: naive is one mutex, an ordered tree and a hash; bare a table "
        "of "
        "two levels\n"
        "that readers use without protection; glib a GHashTable and a\n"
        "GTree behind a mutex; rte_hash of DPDK and rculfhash of liburcu have "
        "lookups\n"
        "without locks. naive finds IOVAs as sluice does, the rest are told "
        "theirs. Built in: ";

static const char help_end[] =
        "\n\n"
        "Exit: 0 ok, 1 an operation failed, 2 wrong usage.\n";

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
	OPT_AGAINST,
	OPT_PIN,
	OPT_MATRIX,
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

/* -t 1,2,4 */
static int counts(struct bench_opts *o)
{
	char item[16];
	const char *at = optarg;
	uint64_t n;

	o->nr_threads = 0;
	for (;;) {
		size_t len = strcspn(at, ",");

		snprintf(item, sizeof(item), "%.*s",
		         (int)(len < sizeof(item) ? len : sizeof(item)), at);
		if (len >= sizeof(item) || tool_number(item, 1, 256, &n))
			return tool_usage(BENCH_CMD,
			                  "-t takes numbers of threads from 1 "
			                  "to 256, as in 4 or 1,2,4, not "
			                  "\"%s\"",
			                  optarg);
		if (o->nr_threads == BENCH_MAX_COUNTS)
			return tool_usage(BENCH_CMD,
			                  "-t takes at most %d numbers",
			                  BENCH_MAX_COUNTS);
		o->threads[o->nr_threads++] = (uint32_t)n;
		if (!at[len])
			return TOOL_OK;
		at += len + 1;
	}
}

static int pinning(struct bench_opts *o)
{
	if (!strcmp(optarg, "yes"))
		o->pin = BENCH_PIN_YES;
	else if (!strcmp(optarg, "no"))
		o->pin = BENCH_PIN_NO;
	else
		return tool_usage(BENCH_CMD, "--pin is yes or no, not \"%s\"",
		                  optarg);
	return TOOL_OK;
}

static int protection(struct bench_opts *o)
{
	for (int i = BENCH_STRICT; i <= BENCH_SHARE; i++) {
		if (strcmp(optarg, bench_mode_name((enum bench_mode)i)))
			continue;
		o->mode = (enum bench_mode)i;
		return TOOL_OK;
	}
	return tool_usage(BENCH_CMD,
	                  "--mode is strict, bounce, lazy, arena, raw or "
	                  "share, not \"%s\"",
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

static int help(void)
{
	fputs(help_text, stdout);
	bench_others_list(stdout);
	fputs(help_end, stdout);
	return TOOL_OK;
}

static int option(struct bench_opts *o, int opt, int *ret_done)
{
	switch (opt) {
	case 't':
		return counts(o);
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
	case OPT_AGAINST:
		o->against = optarg;
		return TOOL_OK;
	case OPT_PIN:
		return pinning(o);
	case OPT_MATRIX:
		o->matrix = 1;
		return TOOL_OK;
	case 'h':
		*ret_done = 1;
		return help();
	case OPT_VERSION:
		*ret_done = 1;
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
	for (uint32_t i = 0; i < o->nr_threads; i++)
		for (uint32_t k = 0; k < i; k++)
			if (o->threads[i] == o->threads[k])
				return tool_usage(BENCH_CMD, "-t has %u twice",
				                  o->threads[i]);
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
	if (o->backend == SLUICE_BACKEND_SOFT &&
	    (o->matrix || o->mode == BENCH_RAW))
		return tool_usage(BENCH_CMD, "--matrix and --mode raw are for "
		                             "--backend type1");
	if (o->mode == BENCH_SHARE && o->matrix)
		return tool_usage(BENCH_CMD, "--mode share and --matrix: one "
		                             "at a time");
	if ((o->mode == BENCH_BOUNCE || o->mode == BENCH_RAW) && o->sg)
		return tool_usage(BENCH_CMD, "bounce and raw take single "
		                             "buffers: leave out -m sg");
	if (o->mode == BENCH_ARENA && o->sg)
		return tool_usage(BENCH_CMD, "an arena hands out single "
		                             "slots: leave out -m sg");
	return TOOL_OK;
}

/* Threads that share a processor are better left to the kernel. */
static int choose_pinning(struct bench_opts *o)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < o->nr_threads; i++)
		most = o->threads[i] > most ? o->threads[i] : most;
	if (o->pin == BENCH_PIN_YES && most > bench_cpus())
		return tool_usage(BENCH_CMD,
		                  "--pin yes: %u threads, but only %u "
		                  "processors",
		                  most, bench_cpus());
	o->pinned = o->pin != BENCH_PIN_NO && most <= bench_cpus();
	return TOOL_OK;
}

int bench_parse(int argc, char **argv, struct bench_opts *o, int *ret_done)
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
	        {"against", required_argument, NULL, OPT_AGAINST},
	        {"pin", required_argument, NULL, OPT_PIN},
	        {"matrix", no_argument, NULL, OPT_MATRIX},
	        {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, OPT_VERSION},
	        {NULL, 0, NULL, 0},
	};
	int opt, rc;

	*o = (struct bench_opts){.threads = {1},
	                         .nr_threads = 1,
	                         .seconds = 3,
	                         .granule = 1,
	                         .backend = SLUICE_BACKEND_SOFT,
	                         .mode = BENCH_STRICT,
	                         .format = SLUICE_PT_X86_64,
	                         .depth = 64,
	                         .batch = 32,
	                         .working_set = 1 << 20};
	optind = 1;
	while ((opt = getopt_long(argc, argv, "t:s:g:d:x:m:h", longs, NULL)) !=
	       -1) {
		rc = option(o, opt, ret_done);
		if (rc || *ret_done)
			return rc;
	}
	rc = check(argc, argv, o);
	if (!rc)
		rc = choose_pinning(o);
	/* Lanes of the matrix are four at most, and beside nobody. */
	for (uint32_t i = 0; i < o->nr_threads && !rc && o->matrix; i++)
		if (o->threads[i] > BENCH_MATRIX_LANES)
			rc = tool_usage(BENCH_CMD,
			                "--matrix takes at most %d "
			                "threads",
			                BENCH_MATRIX_LANES);
	return rc ? rc : bench_others_choose(o);
}
