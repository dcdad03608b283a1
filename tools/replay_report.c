/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Formats results of replays. Measures and decides nothing.
 */
#include "tools/replay_report.h"

#include "tools/tool.h"

#include "yardstick/ways.h"

#include <inttypes.h>
#include <string.h>

static double ns(uint64_t ps)
{
	return (double)ps / 1000.0;
}

/* A pair is two events. */
static double rate(uint64_t events, uint64_t ps)
{
	return ps ? (double)events / 2.0 * 1e12 / (double)ps : 0.0;
}

static double pairs_per_s(const struct replay_speed *v)
{
	return rate(v->events, v->median_ps);
}

static double best_ratio(const struct replay_result *r, int a, int b)
{
	const struct replay_speed *va = &r->speed[a], *vb = &r->speed[b];

	return replay_ratio(va, va->best_ps, vb, vb->best_ps);
}

static const char *base(const char *path)
{
	const char *s = strrchr(path, '/');

	return s ? s + 1 : path;
}

static void row(FILE *to, const struct replay_file *f)
{
	const struct replay_speed *v = replay_speed(&f->run);
	const struct hist *h = &v->pair;

	fprintf(to,
	        "%-22.22s %7" PRIu64 " %6" PRIu64 " %6" PRIu64 " %7" PRIu32
	        " %6" PRIu64 " %8" PRIu64 " %6.1f %6.1f %8.2f %7" PRIu64
	        " %7" PRIu64 "\n",
	        base(f->name), f->events, f->maps, f->unmaps,
	        f->plan.nr_domains, f->plan.left_pages, f->run.divergence,
	        ns(hist_percentile(h, 0.5)), ns(hist_percentile(h, 0.99)),
	        pairs_per_s(v) / 1e6, f->run.kernel_calls,
	        f->run.invalidations);
}

/* One trace after the other. */
static void add_speed(struct replay_speed *sum, const struct replay_speed *v)
{
	sum->lanes = v->lanes;
	sum->best_ps += v->best_ps;
	sum->median_ps += v->median_ps;
	sum->events += v->events;
	sum->waits += v->waits;
	sum->polls += v->polls;
	hist_merge(&sum->pair, &v->pair);
}

static void add(struct replay_file *sum, const struct replay_file *f)
{
	sum->events += f->events;
	sum->maps += f->maps;
	sum->unmaps += f->unmaps;
	sum->plan.nr_domains += f->plan.nr_domains;
	sum->plan.left_pages += f->plan.left_pages;
	sum->plan.unmatched_unmaps += f->plan.unmatched_unmaps;
	sum->run.divergence += f->run.divergence;
	sum->run.checks += f->run.checks;
	sum->run.kernel_calls += f->run.kernel_calls;
	sum->run.invalidations += f->run.invalidations;
	for (int who = 0; who < REPLAY_PLAYERS; who++)
		add_speed(&sum->run.speed[who], &f->run.speed[who]);
}

static double share(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0.0;
}

/* What keeps lanes from being faster. */
static void balance_row(FILE *to, const struct replay_file *f)
{
	const struct replay_result *r = &f->run;
	uint32_t lanes = r->speed[REPLAY_MANY].lanes;

	fprintf(to,
	        "%-22s %" PRIu64 " chains, the largest %.1f %% of the events, "
	        "the fullest lane %.1f %%\n",
	        "", r->chains, share(r->largest, r->events),
	        share(r->fullest, r->events));
	if (r->fullest * lanes > r->events + r->events / 20)
		fprintf(to,
		        "%-22s too few chains for a balance: --copies %u "
		        "replays as many devices, --deal copies one on each "
		        "lane\n",
		        "", 4 * lanes);
}

/* What more lanes bring. */
static void scaling_row(FILE *to, const struct replay_opts *opts,
                        const struct replay_file *f)
{
	const struct replay_result *r = &f->run;
	const struct replay_speed *one = &r->speed[REPLAY_ONE];
	const struct replay_speed *many = &r->speed[REPLAY_MANY];

	fprintf(to,
	        "%-22.22s %u lanes %.2f million pairs/s, one %.2f: x%.2f "
	        "(best turns x%.2f)\n",
	        base(f->name), many->lanes, pairs_per_s(many) / 1e6,
	        pairs_per_s(one) / 1e6, r->scaling,
	        best_ratio(r, REPLAY_MANY, REPLAY_ONE));
	fprintf(to,
	        "%-22s apart, each lane with domains of its own: x%.2f (best "
	        "turns x%.2f)\n",
	        "", r->apart, best_ratio(r, REPLAY_APART, REPLAY_ONE));
	if (opts->deal != REPLAY_DEAL_COPIES)
		balance_row(to, f);
}

static void against_row(FILE *to, const struct replay_opts *opts,
                        const struct replay_file *f)
{
	for (int many = 0; many < 2; many++) {
		const struct replay_result *r = &f->run;
		const struct replay_speed *v = &r->speed[REPLAY_WAY_ONE + many];

		if (!v->lanes)
			continue;
		fprintf(to,
		        "%-22.22s %s, %u lane%s: %.2f million pairs/s, sluice "
		        "x%.1f (best turns x%.1f)\n",
		        base(f->name), opts->against->name, v->lanes,
		        v->lanes == 1 ? "" : "s", pairs_per_s(v) / 1e6,
		        r->against[many],
		        best_ratio(r, REPLAY_ONE + many,
		                   REPLAY_WAY_ONE + many));
	}
}

static void head(FILE *to, const struct replay_opts *opts)
{
	fprintf(to,
	        "replay: backend soft, mode %s, format %s, poll every %u "
	        "events, %u turn%s of %u passes\n",
	        opts->mode == SLUICE_MODE_LAZY ? "lazy" : "strict",
	        sluice_pt_format_name(opts->format), opts->poll, opts->repeat,
	        opts->repeat == 1 ? "" : "s", REPLAY_PASSES);
	if (opts->lanes > 1)
		fprintf(to, "%u lanes, %s order; times and rates are theirs\n",
		        opts->lanes,
		        opts->order == REPLAY_ORDER_CHAIN ? "chain" : "trace");
	if (opts->lanes > 1 && opts->deal == REPLAY_DEAL_COPIES)
		fprintf(to,
		        "each lane replays the whole trace at addresses of its "
		        "own, as a device of its own\n"
		        "would; x: the rate of %u such lanes over that of "
		        "one\n",
		        opts->lanes);
	if (opts->copies > 1)
		fprintf(to,
		        "%u copies of each trace at a time, each shifted to "
		        "addresses of its own, as %u devices would\n",
		        opts->copies, opts->copies);
	if (opts->translate)
		fprintf(to, "%u translations after each map\n",
		        opts->translate);
	fprintf(to, "%-22s %7s %6s %6s %7s %6s %8s %6s %6s %8s %7s %7s\n", "",
	        "", "", "", "", "left", "diver-", "ns per", "pair", "million",
	        "kernel", "invali-");
	fprintf(to, "%-22s %7s %6s %6s %7s %6s %8s %6s %6s %8s %7s %7s\n",
	        "trace", "events", "maps", "unmaps", "domains", "pages",
	        "gence", "p50", "p99", "pairs/s", "calls", "dations");
}

void replay_table(FILE *to, const struct replay_opts *opts,
                  const struct replay_file *f, int nr)
{
	static struct replay_file sum;
	int done = 0;

	memset(&sum, 0, sizeof(sum));
	sum.name = "total";
	for (int i = 0; i < nr; i++)
		done += f[i].done;
	if (!done)
		return;
	head(to, opts);
	for (int i = 0; i < nr; i++) {
		if (!f[i].done)
			continue;
		row(to, &f[i]);
		add(&sum, &f[i]);
	}
	row(to, &sum);
	for (int i = 0; i < nr; i++) {
		if (f[i].run.speed[REPLAY_MANY].lanes)
			scaling_row(to, opts, &f[i]);
		against_row(to, opts, &f[i]);
	}
	fprintf(to,
	        "%" PRIu64 " checks against the oracle; %" PRIu64
	        " unmaps of what was mapped before the recording\n",
	        sum.run.checks, sum.plan.unmatched_unmaps);
}

static cJSON *domains_json(const struct plan *p)
{
	cJSON *list = cJSON_CreateArray();

	for (uint32_t d = 0; list && d < p->nr_domains; d++) {
		cJSON *o = cJSON_CreateObject();

		tool_json_u64(o, "maps", p->domain[d].maps);
		tool_json_u64(o, "unmaps", p->domain[d].unmaps);
		tool_json_u64(o, "mapped_pages", p->domain[d].mapped_pages);
		tool_json_u64(o, "unmapped_pages", p->domain[d].unmapped_pages);
		tool_json_u64(o, "left_mapped_pages", p->domain[d].left_pages);
		cJSON_AddItemToArray(list, o);
	}
	return list;
}

static void events_json(cJSON *o, const struct replay_file *f)
{
	const struct plan *p = &f->plan;
	uint64_t mapped = 0, unmapped = 0;

	for (uint32_t d = 0; d < p->nr_domains; d++) {
		mapped += p->domain[d].mapped_pages;
		unmapped += p->domain[d].unmapped_pages;
	}
	tool_json_u64(o, "events", f->events);
	tool_json_u64(o, "maps", f->maps);
	tool_json_u64(o, "unmaps", f->unmaps);
	tool_json_u64(o, "unmatched_unmaps", p->unmatched_unmaps);
	tool_json_u64(o, "partial_unmaps", p->partial_unmaps);
	tool_json_u64(o, "split_unmaps", p->split_unmaps);
	tool_json_u64(o, "other_events", f->other);
	tool_json_u64(o, "lost_events", f->lost);
	tool_json_u64(o, "domains", p->nr_domains);
	cJSON_AddItemToObject(o, "by_domain", domains_json(p));
	tool_json_u64(o, "mapped_pages", mapped);
	tool_json_u64(o, "unmapped_pages", unmapped);
	tool_json_u64(o, "left_mapped_pages", p->left_pages);
}

static void speed_json(cJSON *o, const struct replay_speed *v)
{
	cJSON *t;

	tool_json_u64(o, "lanes", v->lanes);
	t = cJSON_AddObjectToObject(o, "ns_per_pair");
	cJSON_AddNumberToObject(t, "min", ns(v->pair.min));
	cJSON_AddNumberToObject(t, "p50", ns(hist_percentile(&v->pair, 0.5)));
	cJSON_AddNumberToObject(t, "p99", ns(hist_percentile(&v->pair, 0.99)));
	tool_json_u64(o, "actions", v->events);
	cJSON_AddNumberToObject(o, "pass_ns", ns(v->median_ps));
	cJSON_AddNumberToObject(o, "best_pass_ns", ns(v->best_ps));
	cJSON_AddNumberToObject(o, "pairs_per_s", pairs_per_s(v));
	cJSON_AddNumberToObject(o, "best_pairs_per_s",
	                        rate(v->events, v->best_ps));
	tool_json_u64(o, "passes", v->passes);
	tool_json_u64(o, "ticket_waits", v->waits);
	tool_json_u64(o, "ticket_polls", v->polls);
}

static void add_player(cJSON *list, const struct replay_speed *v)
{
	cJSON *o = cJSON_CreateObject();

	speed_json(o, v);
	cJSON_AddItemToArray(list, o);
}

static void scaling_json(cJSON *o, const struct replay_result *r)
{
	cJSON *list = cJSON_AddArrayToObject(o, "by_lanes"), *t;

	add_player(list, &r->speed[REPLAY_ONE]);
	add_player(list, &r->speed[REPLAY_MANY]);
	t = cJSON_AddObjectToObject(o, "apart");
	speed_json(t, &r->speed[REPLAY_APART]);
	t = cJSON_AddObjectToObject(o, "scaling");
	cJSON_AddNumberToObject(t, "median", r->scaling);
	cJSON_AddNumberToObject(t, "best",
	                        best_ratio(r, REPLAY_MANY, REPLAY_ONE));
	cJSON_AddNumberToObject(t, "median_apart", r->apart);
	cJSON_AddNumberToObject(t, "best_apart",
	                        best_ratio(r, REPLAY_APART, REPLAY_ONE));
	tool_json_u64(t, "chains", r->chains);
	tool_json_u64(t, "largest_chain", r->largest);
	tool_json_u64(t, "fullest_lane", r->fullest);
	tool_json_u64(t, "actions", r->events);
}

/* The way's own speed, and how often ours is that. */
static void against_json(cJSON *o, const struct replay_opts *opts,
                         const struct replay_result *r)
{
	cJSON *list = cJSON_AddArrayToObject(o, "against");

	for (int many = 0; many < 2; many++) {
		const struct replay_speed *v = &r->speed[REPLAY_WAY_ONE + many];
		cJSON *t;

		if (!v->lanes)
			continue;
		t = cJSON_CreateObject();
		cJSON_AddStringToObject(t, "way", opts->against->name);
		speed_json(t, v);
		cJSON_AddNumberToObject(t, "ratio", r->against[many]);
		cJSON_AddNumberToObject(t, "best_ratio",
		                        best_ratio(r, REPLAY_ONE + many,
		                                   REPLAY_WAY_ONE + many));
		cJSON_AddItemToArray(list, t);
	}
}

static cJSON *file_json(const struct replay_opts *opts,
                        const struct replay_file *f)
{
	const struct replay_result *r = &f->run;
	const struct replay_speed *v = replay_speed(r);
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "file", f->name);
	events_json(o, f);
	tool_json_u64(o, "divergence", r->divergence);
	tool_json_u64(o, "checks", r->checks);
	speed_json(o, v);
	if (r->speed[REPLAY_MANY].lanes)
		scaling_json(o, r);
	if (opts->against)
		against_json(o, opts, r);
	tool_json_u64(o, "kernel_calls", r->kernel_calls);
	tool_json_u64(o, "invalidations", r->invalidations);
	tool_json_u64(o, "completions", r->completions);
	return o;
}

cJSON *replay_json(const struct replay_opts *opts, const struct replay_file *f,
                   int nr)
{
	cJSON *root = cJSON_CreateObject(), *list, *cfg;

	cJSON_AddStringToObject(root, "schema", "sluice-replay/1");
	cfg = cJSON_AddObjectToObject(root, "config");
	cJSON_AddStringToObject(cfg, "backend", "soft");
	cJSON_AddStringToObject(cfg, "mode",
	                        opts->mode == SLUICE_MODE_LAZY ? "lazy"
	                                                       : "strict");
	cJSON_AddStringToObject(cfg, "check",
	                        opts->check == REPLAY_CHECK_EACH ? "each"
	                                                         : "end");
	cJSON_AddStringToObject(cfg, "format",
	                        sluice_pt_format_name(opts->format));
	tool_json_u64(cfg, "poll", opts->poll);
	tool_json_u64(cfg, "repeat", opts->repeat);
	tool_json_u64(cfg, "passes", REPLAY_PASSES);
	tool_json_u64(cfg, "lanes", opts->lanes);
	tool_json_u64(cfg, "copies", opts->copies);
	tool_json_u64(cfg, "translate", opts->translate);
	cJSON_AddStringToObject(cfg, "order",
	                        opts->order == REPLAY_ORDER_CHAIN ? "chain"
	                                                          : "trace");
	cJSON_AddStringToObject(cfg, "deal", replay_deal_name(opts->deal));
	list = cJSON_AddArrayToObject(root, "files");
	for (int i = 0; i < nr; i++)
		if (f[i].done)
			cJSON_AddItemToArray(list, file_json(opts, &f[i]));
	return root;
}
