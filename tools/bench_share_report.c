/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared buffers as a table for people and as JSON (sluice-share/1). Measures
 * nothing.
 */
#include "tools/bench_share.h"
#include "tools/tool.h"

const char *share_what_name(enum share_what what)
{
	static const char *const names[] = {"map", "pair", "burst_map",
	                                    "burst_pair"};

	return names[what];
}

/* Nanoseconds for a buffer. */
static double p50(const struct share_case *c, enum share_what what)
{
	return (double)hist_percentile(&c->ps[what], 0.5) / 1e3;
}

static double lowest(const struct share_case *c, enum share_what what)
{
	return (double)c->ps[what].min / 1e3;
}

/* Against one group: the best rounds of one run. */
static double ratio(const struct share *s, const struct share_case *c,
                    enum share_what what)
{
	double one = lowest(&s->row[0][SHARE_ONE], what);

	return one > 0.0 ? lowest(c, what) / one : 0.0;
}

static double calls(const struct share_case *c, const uint64_t *nr, int burst)
{
	return c->buffers[burst] ? (double)nr[burst] / (double)c->buffers[burst]
	                         : 0.0;
}

static void row(FILE *to, const struct share *s, const struct share_case *c)
{
	if (!c->buffers[0])
		return;
	fprintf(to, "%6u %-10s", c->groups,
	        c->groups == 1        ? "one"
	        : c->how == SHARE_ONE ? "one for all"
	                              : "one each");
	for (int w = 0; w < SHARE_WHATS; w++)
		fprintf(to, " %9.1f %6.2fx", lowest(c, (enum share_what)w),
		        ratio(s, c, (enum share_what)w));
	if (s->opts->backend != SLUICE_BACKEND_SOFT)
		fprintf(to, "  %5.3f/%-5.3f %.4f/%.4f", calls(c, c->maps, 0),
		        calls(c, c->unmaps, 0), calls(c, c->maps, 1),
		        calls(c, c->unmaps, 1));
	fputc('\n', to);
}

void share_print(FILE *to, const struct share *s)
{
	int soft = s->opts->backend == SLUICE_BACKEND_SOFT;

	fprintf(to,
	        "%s, a buffer of 4 KiB for every group, ns, the best round; "
	        "%s\n",
	        sluice_backend_name(s->opts->backend),
	        soft ? "a group is a lane that translates each buffer"
	             : "map lasts until the kernel has mapped");
	fprintf(to, "%6s %-10s", "groups", "domains");
	for (int w = 0; w < SHARE_WHATS; w++)
		fprintf(to, " %9s %7s", share_what_name((enum share_what)w),
		        "");
	fprintf(to, "%s\n", soft ? "" : "  MAP/UNMAP each, in bursts");
	for (uint32_t i = 0; i < s->nr_rows; i++)
		for (int h = 0; h < SHARE_HOWS; h++)
			row(to, s, &s->row[i][h]);
}

static cJSON *case_json(const struct share *s, const struct share_case *c)
{
	cJSON *o = cJSON_CreateObject();

	tool_json_u64(o, "groups", c->groups);
	tool_json_u64(o, "domains", c->how == SHARE_ONE ? 1 : c->groups);
	for (int w = 0; w < SHARE_WHATS; w++) {
		enum share_what what = (enum share_what)w;
		cJSON *t = cJSON_AddObjectToObject(o, share_what_name(what));

		cJSON_AddNumberToObject(t, "min", lowest(c, what));
		cJSON_AddNumberToObject(t, "p50", p50(c, what));
		cJSON_AddNumberToObject(t, "ratio", ratio(s, c, what));
		tool_json_u64(t, "rounds", c->ps[what].count);
	}
	for (int burst = 0; burst < 2; burst++) {
		cJSON *t = cJSON_AddObjectToObject(o, burst ? "burst_calls"
		                                            : "calls");

		tool_json_u64(t, "buffers", c->buffers[burst]);
		tool_json_u64(t, "maps", c->maps[burst]);
		tool_json_u64(t, "unmaps", c->unmaps[burst]);
	}
	return o;
}

int share_json(const struct share *s)
{
	cJSON *root = cJSON_CreateObject(), *list;
	int rc;

	if (!root)
		return tool_failed(BENCH_CMD, "no memory for the JSON text");
	cJSON_AddStringToObject(root, "schema", "sluice-share/1");
	cJSON_AddItemToObject(root, "machine", bench_machine_json());
	cJSON_AddStringToObject(root, "backend",
	                        sluice_backend_name(s->opts->backend));
	tool_json_u64(root, "bytes", SHARE_BYTES);
	tool_json_u64(root, "depth", SHARE_DEPTH);
	list = cJSON_AddArrayToObject(root, "cases");
	for (uint32_t i = 0; i < s->nr_rows; i++)
		for (int h = 0; h < SHARE_HOWS; h++)
			if (s->row[i][h].buffers[0])
				cJSON_AddItemToArray(
				        list, case_json(s, &s->row[i][h]));
	rc = tool_write_json(BENCH_CMD, s->opts->json, root);
	cJSON_Delete(root);
	return rc;
}
