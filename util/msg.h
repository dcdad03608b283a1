/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The error message of the calling thread. A lane path hands over a constant
 * string (one pointer store); a control path formats. Both forms give err
 * back, visibly to the compiler, so that a caller can return them.
 */
#ifndef SLUICE_UTIL_MSG_H
#define SLUICE_UTIL_MSG_H

void msg_set(const char *text);
void msg_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Lane paths: text must be a string literal. Returns err. */
static inline int msg_lit(int err, const char *text)
{
	msg_set(text);
	return err;
}

static inline int msg_pass(int err)
{
	return err;
}

/* Control paths: formats into the thread's own buffer. Returns err. */
#define msg_fmt(err, ...) (msg_format(__VA_ARGS__), msg_pass(err))

const char *msg_last(void);
const char *msg_errname(int err);

#endif
