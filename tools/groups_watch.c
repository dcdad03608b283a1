/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice groups --watch`: what changes, as it changes, one line each. With
 * --json a line is a JSON object (schema sluice-watch/1, in docs/groups.md).
 */
#include "tools/groups.h"

#include <sluice/watch.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_EVENTS 64
#define MAX_SECONDS 1e9

struct output {
	FILE *f;
	int json;
	uint64_t start_ns;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void add_handle(cJSON *o, const char *key, sluice_handle_t handle)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "0x%016" PRIx64, handle);
	if (handle)
		cJSON_AddStringToObject(o, key, buf);
	else
		cJSON_AddNullToObject(o, key);
}

static void print_json(FILE *f, const cJSON *o)
{
	char *line = cJSON_PrintUnformatted(o);

	if (line)
		fprintf(f, "%s\n", line);
	free(line);
}

static void say_ready(const struct output *out, struct sluice_watch *w)
{
	uint32_t devices = sluice_watch_devices(w, NULL, 0);
	uint32_t groups = sluice_watch_groups(w, NULL, 0);
	cJSON *o;

	if (!out->json) {
		fprintf(out->f, "watching %u groups, %u devices\n", groups,
		        devices);
		fflush(out->f);
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "schema", "sluice-watch/1");
	cJSON_AddStringToObject(o, "event", "ready");
	cJSON_AddNumberToObject(o, "groups", groups);
	cJSON_AddNumberToObject(o, "devices", devices);
	print_json(out->f, o);
	cJSON_Delete(o);
	fflush(out->f);
}

static void print_event(const struct output *out,
                        const struct sluice_watch_event *e)
{
	uint64_t ms = (now_ns() - out->start_ns) / 1000000;
	char buf[GROUPS_NAME_LEN];
	cJSON *o;

	if (!out->json) {
		fprintf(out->f, "%" PRIu64 ".%03u %-16s %s\n", ms / 1000,
		        (unsigned)(ms % 1000), e->kind_name,
		        groups_shown(e->text, buf));
		return;
	}
	o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "event", e->kind_name);
	cJSON_AddNumberToObject(o, "ms", (double)ms);
	groups_add_name(o, "device", e->name);
	add_handle(o, "device_handle", e->device);
	if (e->group_id >= 0)
		cJSON_AddNumberToObject(o, "group", e->group_id);
	else
		cJSON_AddNullToObject(o, "group");
	add_handle(o, "group_handle", e->group);
	groups_add_name(o, "driver", e->driver);
	cJSON_AddBoolToObject(o, "usable", e->usable);
	cJSON_AddBoolToObject(o, "loss", e->loss);
	groups_add_name(o, "text", e->text);
	print_json(out->f, o);
	cJSON_Delete(o);
}

static int print_news(const struct output *out, struct sluice_watch *w)
{
	struct sluice_watch_event events[MAX_EVENTS];
	int n;

	do {
		n = sluice_watch_poll(w, events, MAX_EVENTS);
		for (int i = 0; i < n; i++)
			print_event(out, &events[i]);
	} while (n == MAX_EVENTS);
	fflush(out->f);
	return n < 0 ? tool_failed(GROUPS_CMD, "%s", sluice_last_error())
	             : TOOL_OK;
}

/* SIGINT and SIGTERM end the wait, and only the wait. */
static void catch_signals(sigset_t *ret_before)
{
	const struct sigaction act = {.sa_handler = on_signal};
	sigset_t both;

	sigemptyset(&both);
	sigaddset(&both, SIGINT);
	sigaddset(&both, SIGTERM);
	sigprocmask(SIG_BLOCK, &both, ret_before);
	sigdelset(ret_before, SIGINT);
	sigdelset(ret_before, SIGTERM);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

static int follow(const struct output *out, struct sluice_watch *w,
                  double seconds, const sigset_t *mask)
{
	uint64_t end = out->start_ns + (uint64_t)(seconds * 1e9);
	struct pollfd fd = {.fd = sluice_watch_fd(w), .events = POLLIN};
	int rc = TOOL_OK;

	while (rc == TOOL_OK && !stop) {
		uint64_t now = now_ns(), left = end > now ? end - now : 0;
		const struct timespec ts = {(time_t)(left / 1000000000u),
		                            (long)(left % 1000000000u)};

		if (!left)
			break;
		if (ppoll(&fd, 1, &ts, mask) > 0)
			rc = print_news(out, w);
		if (ferror(out->f))
			rc = TOOL_FAILED;
	}
	return rc;
}

static int parse_seconds(const char *text, double *ret)
{
	char *end;

	*ret = MAX_SECONDS;
	if (!text)
		return TOOL_OK;
	*ret = strtod(text, &end);
	if (end == text || *end || !isfinite(*ret) || *ret < 0 ||
	    *ret > MAX_SECONDS)
		return tool_usage(GROUPS_CMD, "--for %s: no number of seconds",
		                  text);
	return TOOL_OK;
}

int groups_watch(const char *sysfs, const char *seconds, const char *json)
{
	const struct sluice_watch_cfg cfg = {.sysfs_root = sysfs};
	struct output out = {stdout, json != NULL, now_ns()};
	struct sluice_watch *w;
	sigset_t mask;
	double limit;
	int rc = parse_seconds(seconds, &limit);

	if (rc)
		return rc;
	if (json && strcmp(json, "-") != 0)
		out.f = fopen(json, "we");
	if (!out.f)
		return tool_failed(GROUPS_CMD, "cannot write %s: %s", json,
		                   strerror(errno));
	catch_signals(&mask);
	if (sluice_watch_open(&cfg, &w)) {
		rc = tool_failed(GROUPS_CMD, "%s", sluice_last_error());
	} else {
		say_ready(&out, w);
		rc = follow(&out, w, limit, &mask);
		sluice_watch_close(w);
	}
	if (out.f != stdout && fclose(out.f))
		rc = tool_failed(GROUPS_CMD, "cannot write %s", json);
	return rc;
}
