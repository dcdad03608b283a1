/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs `sluice pt` as a child process with files for its three streams. Knows
 * no table. Include after cmocka.
 */
#ifndef SLUICE_TESTS_RUN_CMD_H
#define SLUICE_TESTS_RUN_CMD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/tool.h"

struct ran {
	int code;
	char *out;
	char *err;
};

/* Closes f. */
static inline char *slurp(FILE *f)
{
	long len;
	char *s;

	fseek(f, 0, SEEK_END);
	len = ftell(f);
	assert_true(len >= 0);
	s = calloc(1, (size_t)len + 1);
	assert_non_null(s);
	rewind(f);
	assert_int_equal(fread(s, 1, (size_t)len, f), len);
	fclose(f);
	return s;
}

static inline struct ran run(const char *script, char *const *argv)
{
	FILE *in = tmpfile();
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	struct ran r = {0};
	int status = 0;
	int argc = 0;
	pid_t pid;

	assert_true(in && out && err);
	assert_int_equal(fwrite(script, 1, strlen(script), in), strlen(script));
	rewind(in);
	while (argv[argc])
		argc++;
	assert_true(argc < 24);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char *copy[24] = {0};

		memcpy(copy, argv, (size_t)argc * sizeof(*argv));
		dup2(fileno(in), 0);
		dup2(fileno(out), 1);
		dup2(fileno(err), 2);
		status = cmd_pt(argc, copy);
		fflush(stdout);
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	r.code = WEXITSTATUS(status);
	r.out = slurp(out);
	r.err = slurp(err);
	fclose(in);
	return r;
}

static inline void done(struct ran *r)
{
	free(r->out);
	free(r->err);
}

#define ARGS(...) ((char *[]){"pt", __VA_ARGS__, NULL})

/* out and err NULL: whatever comes there, and nothing. */
static inline void expect(const char *script, char *const *argv, int code,
                          const char *out, const char *err)
{
	struct ran r = run(script, argv);

	assert_int_equal(r.code, code);
	if (out)
		assert_string_equal(r.out, out);
	if (err && !strstr(r.err, err))
		fail_msg("'%s' lacks '%s'", r.err, err);
	if (!err)
		assert_string_equal(r.err, "");
	done(&r);
}

#endif
