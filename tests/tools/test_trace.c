/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace reader: what it takes, what it skips and how it refuses. Each
 * refusal must name file and line and leave nothing behind.
 */
#include "tools/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HEAD "          dd-158     [001] d.h1.     6.351896: "
#define MAP                                                                    \
	HEAD "map: IOMMU: iova=0x00000000fffff000 - 0x0000000100000000 "       \
	     "paddr=0x0000000002c91000 size=4096"
#define UNMAP                                                                  \
	HEAD "unmap: IOMMU: iova=0x00000000fffff000 - 0x0000000100000000 "     \
	     "size=4096 unmapped_size=4096"

static struct trace t;
static struct trace_error err;

static int parse(const char *text)
{
	memset(&err, 0, sizeof(err));
	return trace_parse("T", text, strlen(text), &t, &err);
}

static void refused(const char *text, int line)
{
	char where[16];
	int rc = parse(text);

	assert_true(rc < 0);
	assert_null(t.ev);
	assert_int_equal(t.nr, 0);
	snprintf(where, sizeof(where), "T:%d: ", line);
	if (strncmp(err.text, where, strlen(where)))
		fail_msg("\"%s\" does not begin with \"%s\"", err.text, where);
	/* It must say what to do, too. */
	assert_true(strlen(err.text) > strlen(where) + 40);
}

static void good(void **state)
{
	(void)state;
	assert_int_equal(parse("# tracer: nop\n#\n\n" MAP "\n" UNMAP "\n"), 0);
	assert_int_equal(t.nr, 2);
	assert_int_equal(t.nr_maps, 1);
	assert_int_equal(t.nr_unmaps, 1);
	assert_int_equal(t.ev[0].op, TRACE_MAP);
	assert_int_equal(t.ev[0].iova, 0xfffff000);
	assert_int_equal(t.ev[0].len, 4096);
	assert_int_equal(t.ev[0].paddr, 0x2c91000);
	assert_int_equal(t.ev[0].line, 4);
	assert_int_equal(t.ev[1].op, TRACE_UNMAP);
	assert_int_equal(t.ev[1].len, 4096);
	trace_free(&t);
	/* No newline at the end, carriage returns, other columns. */
	assert_int_equal(parse(MAP), 0);
	trace_free(&t);
	assert_int_equal(parse(MAP "\r\n" UNMAP "\r\n"), 0);
	trace_free(&t);
	assert_int_equal(
	        parse("ksoftirqd/0-17 [000] 6.351896: map:     IOMMU: "
	              "iova=0x1000 - 0x2000 paddr=0x0 size=4096\n"
	              "my [odd] task-1 (  1) [000] ..s1. 6: unmap: IOMMU: "
	              "iova=0x1000 - 0x2000 size=4096 unmapped_size=0\n"),
	        0);
	assert_int_equal(t.ev[1].len, 0);
	trace_free(&t);
}

static void skipped(void **state)
{
	(void)state;
	assert_int_equal(parse("CPU:1 [LOST 42 EVENTS]\n" MAP "\n" HEAD
	                       "attach_device_to_domain: IOMMU: "
	                       "device=0000:00:03.0\n"),
	                 0);
	assert_int_equal(t.nr_lost, 42);
	assert_int_equal(t.nr_other, 1);
	assert_int_equal(t.nr, 1);
	trace_free(&t);
}

static void malformed(void **state)
{
	static const char *const bad[] = {
	        "hello\n",
	        "[001] map\n",
	        "map: IOMMU: iova=0x0 - 0x1000 paddr=0x0 size=4096\n",
	        HEAD "map: iova=0x0 - 0x1000 paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 size=4096\n",
	        HEAD "map: IOMMU: iova=0x - 0x1000 paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=-1 - 0x1000 paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 paddr=0x0 size=4096 x\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 paddr=0x0 size=8192\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x0 paddr=0x0 size=0\n",
	        HEAD "map: IOMMU: iova=0x2000 - 0x1000 paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=0x800 - 0x1800 paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 paddr=0x10 size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x200000000000000 paddr=0x0 "
	             "size=144115188075855873\n",
	        HEAD "map: IOMMU: iova=0x200000000000000 - 0x200000000001000 "
	             "paddr=0x0 size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 paddr=0x10000000000000 "
	             "size=4096\n",
	        HEAD "map: IOMMU: iova=0x0 - 0x1000 "
	             "paddr=0xfffffffffffffffffff size=4096\n",
	        HEAD "unmap: IOMMU: iova=0x0 - 0x1000 size=4096\n",
	        HEAD "unmap: IOMMU: iova=0x0 - 0x1000 size=4096 "
	             "unmapped_size=1\n",
	        HEAD "unmap: IOMMU: iova=0x0 - 0x1000 size=4096 "
	             "unmapped_size=18446744073709547520\n",
	        HEAD "map: IOMMU: iova=0x00000000ffff",
	        HEAD "map:",
	        "CPU:1 [LOST  EVENTS]\n",
	        "\x1f\x8b\x08 garbage\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[1024];

		refused(bad[i], 1);
		/* After good lines the number must be right. */
		snprintf(text, sizeof(text), "# c\n" MAP "\n%s", bad[i]);
		refused(text, 3);
	}
	assert_true(trace_parse("T", "a\0b\n", 4, &t, &err) < 0);
	assert_non_null(strstr(err.text, "zero byte"));
}

static void empty(void **state)
{
	(void)state;
	assert_int_equal(parse(""), -ENODATA);
	assert_int_equal(parse("# only comments\n"), -ENODATA);
	assert_int_equal(parse(HEAD "other: event\n"), -ENODATA);
	assert_non_null(strstr(err.text, "iommu:map"));
}

/* Files: the bundled traces, whole and damaged. */

static void *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *p;

	assert_non_null(f);
	p = malloc(1 << 20);
	assert_non_null(p);
	*len = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

static const char *data(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DATA"), name);
	return path;
}

static int load_bytes(const void *bytes, size_t len)
{
	char path[] = "/tmp/sluice-trace-XXXXXX";
	int fd = mkstemp(path);
	int rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
	memset(&err, 0, sizeof(err));
	rc = trace_load(path, &t, &err);
	unlink(path);
	return rc;
}

static void bundled(void **state)
{
	(void)state;
	assert_int_equal(trace_load(data("mixed-strict.trace.gz"), &t, &err),
	                 0);
	assert_int_equal(t.nr_maps, 8725);
	assert_int_equal(t.nr_unmaps, 6666);
	assert_int_equal(t.nr_other, 0);
	trace_free(&t);
}

static void truncated(void **state)
{
	size_t len;
	char *p = slurp(data("mixed-strict.trace.gz"), &len);
	const size_t cuts[] = {3, 11, 100, 5000, len / 2, len - 9, len - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		assert_true(load_bytes(p, cuts[i]) < 0);
		assert_null(t.ev);
		assert_true(strlen(err.text) > 20);
	}
	/* One flipped bit in the middle: data or checksum is wrong. */
	p[len / 2] = (char)(p[len / 2] ^ 0x10);
	assert_true(load_bytes(p, len) < 0);
	assert_null(t.ev);
	free(p);
}

static void bad_files(void **state)
{
	char longline[8192];

	(void)state;
	assert_int_equal(trace_load("/nonexistent/x", &t, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
	assert_int_equal(trace_load("/", &t, &err), -EISDIR);
	memset(longline, 'x', sizeof(longline));
	assert_int_equal(load_bytes(longline, sizeof(longline)), -EINVAL);
	assert_int_equal(load_bytes("", 0), -ENODATA);
	/* Lines of just the buffer's size, with and without newline. */
	for (size_t n = 4090; n < 4100; n++) {
		memset(longline, '#', sizeof(longline));
		longline[n] = '\n';
		memcpy(longline + n + 1, MAP, sizeof(MAP) - 1);
		(void)load_bytes(longline, n + sizeof(MAP));
		assert_true(t.nr == 1 || strstr(err.text, ":1: "));
		trace_free(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good),      cmocka_unit_test(skipped),
	        cmocka_unit_test(malformed), cmocka_unit_test(empty),
	        cmocka_unit_test(bundled),   cmocka_unit_test(truncated),
	        cmocka_unit_test(bad_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
