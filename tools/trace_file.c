/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the lines of a trace come from: a file or standard input, plain or
 * gzip (zlib tells them apart). Knows nothing of what the lines say.
 */
#include "tools/trace.h"
#include "tools/trace_int.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Longer than any line the kernel prints; a longer one is not from there. */
#define LINE_MAX_BYTES 4096

static gzFile open_source(const char *path, struct trace_error *err, int *rc)
{
	struct stat st;
	gzFile gz;
	int fd;

	fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC)
	                       : dup(STDIN_FILENO);
	if (fd < 0) {
		*rc = trace_fail(err, -errno,
		                 "%s: cannot be opened: %s. Check the path "
		                 "and its permissions",
		                 path, strerror(errno));
		return NULL;
	}
	if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
		close(fd);
		*rc = trace_fail(err, -EISDIR,
		                 "%s: is a directory: name the trace files in "
		                 "it",
		                 path);
		return NULL;
	}
	gz = gzdopen(fd, "rb");
	if (!gz) {
		close(fd);
		*rc = trace_fail(err, -ENOMEM, "%s: no memory", path);
	}
	return gz;
}

static int bad_stream(struct reader *r, gzFile gz)
{
	int code;
	const char *why = gzerror(gz, &code);

	if (code == Z_ERRNO)
		return trace_fail(r->err, -EIO,
		                  "%s:%u: cannot be read: %s. Copy the file "
		                  "again",
		                  r->name, r->trace->nr_lines + 1,
		                  strerror(errno));
	return trace_fail(r->err, -EBADMSG,
	                  "%s:%u: the gzip data is cut short or damaged (%s). "
	                  "Copy the file again, or record again",
	                  r->name, r->trace->nr_lines + 1, why);
}

/* gzgets() stops at a newline but hides zero bytes; gztell() tells how many
 * bytes it really took. */
static int read_lines(struct reader *r, gzFile gz)
{
	char line[LINE_MAX_BYTES];
	z_off_t at = 0;
	int code;

	while (gzgets(gz, line, sizeof(line))) {
		size_t n = (size_t)(gztell(gz) - at);
		int rc;

		at += (z_off_t)n;
		if (n + 1 >= sizeof(line) && line[n - 1] != '\n')
			return trace_fail(r->err, -EINVAL,
			                  "%s:%u: a line of more than %d "
			                  "bytes: this is no trace. Give the "
			                  "text of /sys/kernel/tracing/trace",
			                  r->name, r->trace->nr_lines + 1,
			                  LINE_MAX_BYTES);
		if (line[n - 1] == '\n')
			line[--n] = 0;
		else if (gzerror(gz, &code) && code != Z_OK &&
		         code != Z_STREAM_END)
			return bad_stream(r, gz);
		rc = trace_line(r, line, n);
		if (rc)
			return rc;
	}
	gzerror(gz, &code);
	if (code != Z_OK && code != Z_STREAM_END)
		return bad_stream(r, gz);
	return 0;
}

int trace_load(const char *path, struct trace *ret, struct trace_error *err)
{
	struct reader r = {.name = path, .trace = ret, .err = err};
	int rc = 0;
	gzFile gz;
	int end;

	memset(ret, 0, sizeof(*ret));
	gz = open_source(path, err, &rc);
	if (!gz)
		return rc;
	if (!strcmp(path, "-"))
		r.name = "(stdin)";
	rc = read_lines(&r, gz);
	end = gzclose_r(gz);
	if (!rc && end == Z_BUF_ERROR)
		rc = trace_fail(err, -EBADMSG,
		                "%s:%u: the gzip data is cut short. Copy the "
		                "file again, or record again",
		                r.name, ret->nr_lines + 1);
	if (!rc)
		rc = trace_finish(&r);
	if (rc)
		trace_free(ret);
	return rc;
}
