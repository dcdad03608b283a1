/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages, numbers, JSON files and progress for all commands. Knows nothing
 * of DMA.
 */
#include "tools/tool.h"

#include "tools/ticks.h"

#include <sluice/base.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

int tool_usage(const char *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "sluice %s: ", cmd);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry: sluice %s --help\n", cmd);
	return TOOL_USAGE;
}

int tool_failed(const char *cmd, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "sluice %s: ", cmd);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return TOOL_FAILED;
}

int tool_version(void)
{
	printf("sluice %d.%d.%d (libsluice %s)\n", SLUICE_VERSION_MAJOR,
	       SLUICE_VERSION_MINOR, SLUICE_VERSION_PATCH, sluice_version());
	return TOOL_OK;
}

static unsigned suffix(const char *s)
{
	if (!s[0])
		return 0;
	if (s[1])
		return 64;
	switch (s[0]) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	default:
		return 64;
	}
}

int tool_number(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	unsigned shift;
	uint64_t v;
	char *end;

	if (!s || *s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(s, &end, !strncmp(s, "0x", 2) ? 16 : 10);
	if (errno)
		return -ERANGE;
	shift = suffix(end);
	if (shift == 64)
		return -EINVAL;
	if (v > UINT64_MAX >> shift || v << shift < min || v << shift > max)
		return -ERANGE;
	*ret = v << shift;
	return 0;
}

int tool_write_json(const char *cmd, const char *path, const cJSON *json)
{
	int to_stdout = !strcmp(path, "-");
	char *text = cJSON_Print(json);
	FILE *f;
	int bad;

	if (!text)
		return tool_failed(cmd, "no memory for the JSON text");
	f = to_stdout ? stdout : fopen(path, "w");
	if (!f) {
		free(text);
		return tool_failed(cmd,
		                   "%s: cannot be written: %s. Choose another "
		                   "file for --json",
		                   path, strerror(errno));
	}
	bad = fprintf(f, "%s\n", text) < 0;
	bad |= to_stdout ? fflush(f) : fclose(f);
	free(text);
	if (bad)
		return tool_failed(cmd, "%s: writing failed: %s", path,
		                   strerror(errno));
	return TOOL_OK;
}

void tool_json_u64(cJSON *obj, const char *name, uint64_t v)
{
	cJSON_AddNumberToObject(obj, name, (double)v);
}

void tool_progress(struct tool_progress *p, const char *fmt, ...)
{
	uint64_t now = clock_ns();
	va_list ap;

	if (!p->start_ns)
		p->start_ns = now;
	if (now - p->start_ns < NS_PER_S || now - p->shown_ns < NS_PER_S / 5 ||
	    !isatty(STDERR_FILENO))
		return;
	p->shown_ns = now;
	p->shown = 1;
	fputs("\r\033[K", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

void tool_progress_end(struct tool_progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	memset(p, 0, sizeof(*p));
}
