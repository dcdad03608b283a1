/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text of a trace, line by line. A map or unmap line must be whole and
 * sensible; comments and other tracepoints are skipped and counted; anything
 * else means that this is no trace, or a damaged one, and is refused with its
 * line number. Reading compressed files is in trace_file.c.
 */
#include "tools/trace.h"
#include "tools/trace_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MASK ((uint64_t)0xfff)

int trace_fail(struct trace_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return code;
}

/* A part of a line for a message: printable, short. */
static void quote(char *to, size_t room, const char *s)
{
	size_t n = 0;

	while (*s && isspace((unsigned char)*s))
		s++;
	for (; *s && n + 1 < room; s++)
		to[n++] = isprint((unsigned char)*s) ? *s : '?';
	to[n] = 0;
}

static int bad_line(struct reader *r, const char *line, const char *why)
{
	char q[96];

	quote(q, sizeof(q), line);
	return trace_fail(r->err, -EINVAL,
	                  "%s:%u: %s: \"%s\". Give a trace as "
	                  "/sys/kernel/tracing/trace prints it; cut a damaged "
	                  "line out or record again",
	                  r->name, r->trace->nr_lines, why, q);
}

/* Reads name=value; the value is hexadecimal after 0x, else decimal. */
static int number(const char **s, const char *before, uint64_t *ret)
{
	size_t n = strlen(before);
	const char *p = *s;
	char *end;
	int base = 10;

	if (strncmp(p, before, n))
		return -EINVAL;
	p += n;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	if (!isxdigit((unsigned char)*p))
		return -EINVAL;
	errno = 0;
	*ret = strtoull(p, &end, base);
	if (errno || end == p)
		return -EINVAL;
	*s = end;
	return 0;
}

static int only_space(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return !*s;
}

static int push(struct reader *r, const struct trace_event *ev)
{
	struct trace *t = r->trace;

	if (t->nr == t->room) {
		size_t room = t->room ? 2 * t->room : 1024;
		struct trace_event *p = realloc(t->ev, room * sizeof(*p));

		if (!p)
			return trace_fail(r->err, -ENOMEM,
			                  "%s:%u: no memory for more events: "
			                  "replay a shorter trace",
			                  r->name, t->nr_lines);
		t->ev = p;
		t->room = room;
	}
	t->ev[t->nr++] = *ev;
	if (ev->op == TRACE_MAP)
		t->nr_maps++;
	else
		t->nr_unmaps++;
	return 0;
}

/* Is the range one that a table of 4 KiB pages can hold? NULL: yes. */
static const char *unfit(const struct trace_event *ev)
{
	const uint64_t top = UINT64_C(1) << TRACE_IOVA_BITS;
	const uint64_t ptop = UINT64_C(1) << TRACE_PADDR_BITS;

	if ((ev->iova | ev->len | ev->paddr) & PAGE_MASK)
		return "address or size is no multiple of 4096";
	if (ev->iova >= top || ev->len > top - ev->iova)
		return "IOVA is wider than 57 bits";
	if (ev->paddr >= ptop || ev->len > ptop - ev->paddr)
		return "paddr is wider than 52 bits";
	return NULL;
}

/* s stands at "iova=" of a map or unmap line. */
static int event_line(struct reader *r, const char *line, const char *s,
                      enum trace_op op)
{
	struct trace_event ev = {.op = op, .line = r->trace->nr_lines};
	uint64_t end, size;
	const char *why;

	if (number(&s, "iova=", &ev.iova) || number(&s, " - ", &end))
		return bad_line(r, line, "the IOVA range cannot be read");
	if (op == TRACE_MAP && number(&s, " paddr=", &ev.paddr))
		return bad_line(r, line, "paddr cannot be read");
	if (number(&s, " size=", &size))
		return bad_line(r, line, "size cannot be read");
	ev.len = size;
	if (op == TRACE_UNMAP && number(&s, " unmapped_size=", &ev.len))
		return bad_line(r, line, "unmapped_size cannot be read");
	if (!only_space(s))
		return bad_line(r, line, "text after the event");
	if (end <= ev.iova || end - ev.iova != size)
		return bad_line(r, line, "range and size do not agree");
	why = unfit(&ev);
	if (why)
		return bad_line(r, line, why);
	return push(r, &ev);
}

static const char *word_end(const char *s)
{
	while (*s && !isspace((unsigned char)*s))
		s++;
	return s;
}

/* "… [CPU] flags SECONDS.MICROS: NAME: …" with flags missing in some tools.
 * Returns NAME, or NULL when the line is no event. */
static const char *event_name(const char *line)
{
	const char *s = line;

	while ((s = strchr(s, '[')) != NULL) {
		const char *e = ++s;

		while (isdigit((unsigned char)*e))
			e++;
		if (e != s && *e == ']')
			break;
	}
	for (; s && *s; s = word_end(s)) {
		const char *e;

		while (isspace((unsigned char)*s))
			s++;
		e = s;
		while (isdigit((unsigned char)*e) || *e == '.')
			e++;
		if (e == s || *e != ':')
			continue;
		s = e + 1;
		while (*s == ' ' || *s == '\t')
			s++;
		e = word_end(s);
		return e > s + 1 && e[-1] == ':' ? s : NULL;
	}
	return NULL;
}

static int lost_line(struct reader *r, const char *line)
{
	uint64_t n;
	const char *s = strstr(line, "[LOST ");

	if (strncmp(line, "CPU:", 4) || !s || number(&s, "[LOST ", &n) ||
	    strncmp(s, " EVENTS]", 8))
		return 0;
	r->trace->nr_lost += n;
	return 1;
}

int trace_line(struct reader *r, const char *line, size_t len)
{
	const char *s;
	enum trace_op op;

	r->trace->nr_lines++;
	if (memchr(line, 0, len))
		return bad_line(r, line, "a zero byte: this is no text");
	for (s = line; isspace((unsigned char)*s); s++)
		;
	if (!*s || *s == '#' || lost_line(r, s))
		return 0;
	s = event_name(line);
	if (!s)
		return bad_line(r, line, "this is no line of a trace");
	if (!strncmp(s, "map:", 4)) {
		op = TRACE_MAP;
	} else if (!strncmp(s, "unmap:", 6)) {
		op = TRACE_UNMAP;
	} else {
		r->trace->nr_other++;
		return 0;
	}
	for (s = strchr(s, ':') + 1; *s == ' ' || *s == '\t'; s++)
		;
	if (strncmp(s, "IOMMU: ", 7))
		return bad_line(r, line, "not written by an iommu tracepoint");
	return event_line(r, line, s + 7, op);
}

int trace_finish(struct reader *r)
{
	if (r->trace->nr)
		return 0;
	return trace_fail(r->err, -ENODATA,
	                  "%s:%u: no iommu:map or iommu:unmap event in the "
	                  "whole file. Enable both below "
	                  "/sys/kernel/tracing/events/iommu, then record again",
	                  r->name, r->trace->nr_lines);
}

int trace_parse(const char *name, const char *text, size_t len,
                struct trace *ret, struct trace_error *err)
{
	struct reader r = {.name = name, .trace = ret, .err = err};
	size_t at = 0;
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	while (at < len && !rc) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl ? (size_t)(nl - text) - at : len - at;
		char *line = malloc(n + 1);

		if (!line) {
			rc = trace_fail(err, -ENOMEM, "%s: no memory", name);
			break;
		}
		memcpy(line, text + at, n);
		line[n] = 0;
		rc = trace_line(&r, line, n);
		free(line);
		at += n + 1;
	}
	if (!rc)
		rc = trace_finish(&r);
	if (rc)
		trace_free(ret);
	return rc;
}

void trace_free(struct trace *t)
{
	free(t->ev);
	memset(t, 0, sizeof(*t));
}
