/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the two halves of the trace reader: lines (trace.c) and files
 * (trace_file.c).
 */
#ifndef SLUICE_TOOLS_TRACE_INT_H
#define SLUICE_TOOLS_TRACE_INT_H

#include "tools/trace.h"

struct reader {
	const char *name;
	struct trace *trace;
	struct trace_error *err;
};

/* Takes one line without its newline, zero-terminated. 0 or -errno. */
int trace_line(struct reader *r, const char *line, size_t len);
/* After the last line. 0 or -errno. */
int trace_finish(struct reader *r);
/* Fills err and returns code. */
int trace_fail(struct trace_error *err, int code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

#endif
