/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads a message as if it had been written by somebody hostile: nothing of it
 * is believed but that it may be time to look at sysfs.
 */
#include "groups/uevent.h"

#include <string.h>

#include "util/util.h"

static bool key_is(const char *line, const char *key, const char *val,
                   size_t len)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) != 0 ||
	       (strlen(line + n) == len && memcmp(line + n, val, len) == 0);
}

bool uevent_parse(const char *msg, size_t len, struct uevent *ret)
{
	const char *end = msg + len, *at;
	struct uevent u;

	/* Every string of it ends inside. */
	if (len == 0 || end[-1] != '\0')
		return false;
	at = strchr(msg, '@');
	if (!at || at == msg || at[1] != '/')
		return false;
	u.action = msg;
	u.action_len = (size_t)(at - msg);
	u.path = at + 1;
	for (size_t i = 0; i < u.action_len; i++)
		if (msg[i] < 'a' || msg[i] > 'z')
			return false;
	/* What follows is keys, and says no other thing than the head does. */
	for (const char *p = u.path + strlen(u.path) + 1; p < end;
	     p += strlen(p) + 1) {
		const char *eq = strchr(p, '=');

		if (!eq || eq == p)
			return false;
		if (!key_is(p, "ACTION=", u.action, u.action_len) ||
		    !key_is(p, "DEVPATH=", u.path, strlen(u.path)))
			return false;
	}
	*ret = u;
	return true;
}

bool uevent_matters(const struct uevent *u)
{
	static const char *const actions[] = {"add", "remove", "bind", "unbind",
	                                      "move"};

	/* Modules, buses and classes have no group. */
	if (strncmp(u->path, "/devices/", 9) != 0)
		return false;
	for (size_t i = 0; i < NR_OF(actions); i++)
		if (strlen(actions[i]) == u->action_len &&
		    memcmp(u->action, actions[i], u->action_len) == 0)
			return true;
	return false;
}
