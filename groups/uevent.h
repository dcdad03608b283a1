/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One message of the kernel about an object (Documentation/ABI of sysfs,
 * lib/kobject_uevent.c's format): "ACTION@PATH" and KEY=VALUE strings, each
 * with a NUL behind it. Knows the text, no socket.
 */
#ifndef SLUICE_GROUPS_UEVENT_H
#define SLUICE_GROUPS_UEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* All point into the message. */
struct uevent {
	const char *action;
	size_t action_len;
	const char *path; /* below sysfs, with a slash in front */
};

/* False, and ret is left alone, for what no kernel sends. */
bool uevent_parse(const char *msg, size_t len, struct uevent *ret);

/* May groups, members or their drivers have changed? */
bool uevent_matters(const struct uevent *u);

#endif
