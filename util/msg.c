/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/msg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local const char *last_text = "";
static _Thread_local char last_buf[512];

void msg_set(const char *text)
{
	last_text = text;
}

void msg_format(const char *fmt, ...)
{
	/* An argument may be the previous message: format beside it first. */
	char text[sizeof(last_buf)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(last_buf, text, sizeof(text));
	last_text = last_buf;
}

const char *msg_last(void)
{
	return last_text;
}

const char *msg_errname(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "E?";
}
