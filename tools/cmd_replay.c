/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice replay`: reads traces, plans, runs, reports. What a trace says is
 * known to trace.c, what a step must do to replay_check.c.
 */
#include "tools/replay_report.h"
#include "tools/replay_team.h"
#include "tools/tool.h"
#include "tools/trace.h"
#include "tools/trace_int.h"

#include "yardstick/ways.h"

#include <sluice/pagetable.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CMD "replay"

static const char help_text[] =
        "Usage: sluice replay [OPTION]… TRACE…\n"
        "\n"
        "Replays kernel iommu:map and iommu:unmap traces (tracefs text, plain "
        "or gzip;\n"
        "- is standard input) on software domains: once with every step "
        "checked against\n"
        "a flat oracle, then timed.\n"
        "\n"
        "  --mode strict|lazy   protection mode of the domains [strict]\n"
        "  --check each|end     compare after each event, or only at the end "
        "[each]\n"
        "  --format F           page-table format: x86_64, vtdss [x86_64]\n"
        "  --poll N             events between two polls [32]\n"
        "  --repeat N           turns: in each, whoever is timed plays 8 "
        "passes without a\n"
        "                       pause, behind one that is not counted [20]\n"
        "  --lanes N            threads, each with a lane on the same "
        "domains; also timed\n"
        "                       by one lane, in turn, up to the number of "
        "processors [1]\n"
        "  --order trace|chain  a map that waits for a ticket holds up its "
        "lane, or only\n"
        "                       what touches the same pages [trace]\n"
        "  --deal HOW           what a lane gets of each trace: ranges, a "
        "stretch of the\n"
        "                       address space; chains, wherever they lie, "
        "which makes\n"
        "                       lanes write the same cache lines; copies, the "
        "whole trace\n"
        "                       for each lane, at addresses of its own "
        "[ranges]\n"
        "  --copies K           K copies of each trace at a time, shifted to "
        "addresses\n"
        "                       of their own, as K devices would [1]\n"
        "  --translate N        translations after each map [0]\n"
        "  --against WAY        the same steps through another way, in turn: "
        "naive, bare,\n"
        "                       glib, rte_hash, rculfhash\n"
        "  --json FILE          also write JSON (sluice-replay/1); - is "
        "stdout and\n"
        "                       leaves out the table\n"
        "  --help, --version\n"
        "\n"
        "A trace does not print domains. They are found by consistency: an "
        "IOVA that is\n"
        "mapped twice without an unmap in between belongs to two domains; the "
        "pieces that\n"
        "one unmap covers belong to one. Unmaps of what was mapped before the "
        "recording\n"
        "began are counted as unmatched.\n"
        "\n"
        "With --lanes the events are dealt: a chain (maps and unmaps of "
        "overlapping\n"
        "ranges) stays on one lane, in order; lanes get the same number of "
        "events. Each\n"
        "is checked against an oracle of its share, and the table at the end "
        "against one\n"
        "of the whole trace. A ratio is the median over the turns of "
        "rate over rate; the\n"
        "time of a turn is the mean of its passes.\n"
        "The same lanes also play apart, on domains of their own: what the "
        "machine gives\n"
        "to as many threads that share nothing.\n"
        "\n"
        "With --deal copies each lane has a device of its own: it replays the "
        "whole\n"
        "trace, in its order, at addresses of its own in the domains that all "
        "share. One\n"
        "lane plays one copy, so events differ and rates are compared: x3.8 "
        "says that\n"
        "four devices on four lanes get 3.8 times what one device on one lane "
        "gets. The\n"
        "lanes apart and the threads of --against play a copy each, too.\n"
        "\n"
        "Times: per lane, tables and caches warm (the first pass of a turn is "
        "thrown\n"
        "away), polls and waits for tickets included; lazy domains are flushed "
        "when a\n"
        "map must wait for its IOVA. An event is too short for a clock, so "
        "blocks of 128\n"
        "events are timed; ns/pair is twice the time of an event, averaged "
        "over its\n"
        "block, and p50 and p99 are over all blocks of all passes.\n"
        "\n"
        "Exit: 0 ok, 1 a trace cannot be read or a step diverged, 2 wrong "
        "usage.\n";

struct settings {
	struct replay_opts run;
	const char *json;
	int done; /* --help or --version */
};

/* One of two words: which of them, 0 or 1. */
static int choose(const char *name, const char *a, const char *b, int *ret)
{
	if (!strcmp(optarg, a))
		*ret = 0;
	else if (!strcmp(optarg, b))
		*ret = 1;
	else
		return tool_usage(CMD, "--%s is %s or %s, not \"%s\"", name, a,
		                  b, optarg);
	return TOOL_OK;
}

static int number(const char *name, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint64_t n = 0;

	if (tool_number(optarg, min, max, &n))
		return tool_usage(CMD,
		                  "--%s takes a number from %u to %u, not "
		                  "\"%s\"",
		                  name, min, max, optarg);
	*ret = (uint32_t)n;
	return TOOL_OK;
}

static uint32_t max_lanes(void)
{
	uint32_t n = team_processors();

	return n < REPLAY_MAX_LANES ? n : REPLAY_MAX_LANES;
}

static int against(const struct way **ret)
{
	char list[128] = "";
	const struct way *all;
	size_t len = 0;
	unsigned nr;

	*ret = ways_find(optarg);
	if (*ret)
		return TOOL_OK;
	all = ways_all(&nr);
	for (unsigned i = 0; i < nr && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s",
		                        i ? ", " : "", all[i].name);
	return tool_usage(CMD,
	                  "--against \"%s\": this build has %s (others need "
	                  "their package when building)",
	                  optarg, list);
}

static int format(enum sluice_pt_format *ret)
{
	int rc = sluice_pt_format_by_name(optarg);

	if (rc < 0)
		return tool_usage(CMD, "--format \"%s\": %s", optarg,
		                  sluice_last_error());
	*ret = (enum sluice_pt_format)rc;
	return TOOL_OK;
}

static int dealing(enum replay_dealing *ret)
{
	for (int i = 0; i < REPLAY_DEALINGS; i++) {
		enum replay_dealing how = (enum replay_dealing)i;

		if (strcmp(optarg, replay_deal_name(how)) != 0)
			continue;
		*ret = how;
		return TOOL_OK;
	}
	return tool_usage(CMD, "--deal is ranges, chains or copies, not \"%s\"",
	                  optarg);
}

static int option(struct settings *s, int opt, const char *name)
{
	int which = 0, rc = TOOL_OK;

	switch (opt) {
	case 'm':
		rc = choose(name, "strict", "lazy", &which);
		s->run.mode = which ? SLUICE_MODE_LAZY : SLUICE_MODE_STRICT;
		return rc;
	case 'c':
		rc = choose(name, "each", "end", &which);
		s->run.check = which ? REPLAY_CHECK_END : REPLAY_CHECK_EACH;
		return rc;
	case 'd':
		return dealing(&s->run.deal);
	case 'o':
		rc = choose(name, "trace", "chain", &which);
		s->run.order = which ? REPLAY_ORDER_CHAIN : REPLAY_ORDER_TRACE;
		return rc;
	case 'f':
		return format(&s->run.format);
	case 'a':
		return against(&s->run.against);
	case 'p':
		return number(name, 1, 512, &s->run.poll);
	case 'r':
		return number(name, 1, 1000000, &s->run.repeat);
	case 'l':
		return number(name, 1, max_lanes(), &s->run.lanes);
	case 'k':
		return number(name, 1, 1024, &s->run.copies);
	case 't':
		return number(name, 0, 1000, &s->run.translate);
	case 'j':
		s->json = optarg;
		return TOOL_OK;
	case 'h':
		fputs(help_text, stdout);
		s->done = 1;
		return TOOL_OK;
	case 'v':
		s->done = 1;
		return tool_version();
	default:
		fputs("Try: sluice replay --help\n", stderr);
		return TOOL_USAGE;
	}
}

static int parse(int argc, char **argv, struct settings *s)
{
	static const struct option longs[] = {
	        {"mode", required_argument, NULL, 'm'},
	        {"check", required_argument, NULL, 'c'},
	        {"format", required_argument, NULL, 'f'},
	        {"poll", required_argument, NULL, 'p'},
	        {"repeat", required_argument, NULL, 'r'},
	        {"lanes", required_argument, NULL, 'l'},
	        {"order", required_argument, NULL, 'o'},
	        {"against", required_argument, NULL, 'a'},
	        {"copies", required_argument, NULL, 'k'},
	        {"deal", required_argument, NULL, 'd'},
	        {"translate", required_argument, NULL, 't'},
	        {"json", required_argument, NULL, 'j'},
	        {"help", no_argument, NULL, 'h'},
	        {"version", no_argument, NULL, 'v'},
	        {NULL, 0, NULL, 0},
	};
	int opt, at = 0, rc;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "h", longs, &at)) != -1) {
		rc = option(s, opt, longs[at].name);
		if (rc || s->done)
			return rc;
	}
	if (s->run.deal == REPLAY_DEAL_COPIES && s->run.copies != 1)
		return tool_usage(CMD,
		                  "--deal copies makes one copy for each lane: "
		                  "leave --copies out, --lanes says how many");
	if (optind == argc)
		return tool_usage(CMD, "name at least one trace (- is stdin)");
	return TOOL_OK;
}

static int play(const char *name, const struct plan *plan,
                const struct settings *s, struct replay_result *ret,
                struct trace_error *err)
{
	struct plan many;
	int rc;

	if (s->run.copies == 1)
		return replay_run(name, plan, &s->run, ret, err);
	rc = replay_copies(plan, s->run.copies, &many);
	if (rc)
		return trace_fail(err, rc,
		                  rc == -ENOMEM
		                          ? "%s: no memory for the copies: "
		                            "take fewer --copies"
		                          : "%s: so many --copies exceed the "
		                            "address space: take fewer",
		                  name);
	rc = replay_run(name, &many, &s->run, ret, err);
	plan_free(&many);
	return rc;
}

static int one_file(const char *path, const struct settings *s,
                    struct replay_file *ret)
{
	const char *name = strcmp(path, "-") ? path : "(stdin)";
	struct trace_error err;
	struct trace t;
	int rc;

	memset(ret, 0, sizeof(*ret));
	ret->name = name;
	if (trace_load(path, &t, &err))
		return tool_failed(CMD, "%s", err.text);
	ret->events = t.nr;
	ret->maps = t.nr_maps;
	ret->unmaps = t.nr_unmaps;
	ret->other = t.nr_other;
	ret->lost = t.nr_lost;
	rc = plan_make(name, &t, &ret->plan, &err);
	trace_free(&t);
	if (rc)
		return tool_failed(CMD, "%s", err.text);
	rc = play(name, &ret->plan, s, &ret->run, &err);
	free(ret->plan.act);
	free(ret->plan.left);
	ret->plan.act = ret->plan.left = NULL;
	if (rc)
		return tool_failed(CMD, "%s", err.text);
	ret->done = 1;
	if (ret->lost)
		fprintf(stderr,
		        "sluice replay: %s: the kernel dropped %llu events; "
		        "record with a larger buffer_size_kb\n",
		        name, (unsigned long long)ret->lost);
	if (ret->run.divergence)
		return tool_failed(CMD, "%llu checks failed, first: %s",
		                   (unsigned long long)ret->run.divergence,
		                   ret->run.first_bad);
	return TOOL_OK;
}

static int report(const struct settings *s, const struct replay_file *f, int nr)
{
	cJSON *json;
	int rc;

	if (!s->json || strcmp(s->json, "-"))
		replay_table(stdout, &s->run, f, nr);
	if (!s->json)
		return TOOL_OK;
	json = replay_json(&s->run, f, nr);
	rc = json ? tool_write_json(CMD, s->json, json)
	          : tool_failed(CMD, "no memory for the JSON text");
	cJSON_Delete(json);
	return rc;
}

int cmd_replay(int argc, char **argv)
{
	struct settings s = {.run = {.mode = SLUICE_MODE_STRICT,
	                             .check = REPLAY_CHECK_EACH,
	                             .format = SLUICE_PT_X86_64,
	                             .poll = 32,
	                             .repeat = 20,
	                             .block = 128,
	                             .lanes = 1,
	                             .copies = 1,
	                             .deal = REPLAY_DEAL_RANGES}};
	struct tool_progress progress = {0};
	struct replay_file *f;
	int rc, nr, worst = TOOL_OK;

	rc = parse(argc, argv, &s);
	if (rc || s.done)
		return rc;
	nr = argc - optind;
	f = calloc((size_t)nr, sizeof(*f));
	if (!f)
		return tool_failed(CMD, "no memory");
	for (int i = 0; i < nr; i++) {
		tool_progress(&progress, "replay: %d of %d", i, nr);
		rc = one_file(argv[optind + i], &s, &f[i]);
		worst = rc ? rc : worst;
	}
	tool_progress_end(&progress);
	rc = report(&s, f, nr);
	free(f);
	return worst ? worst : rc;
}
