/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of a stranger: no read outside, and what is taken for one of the
 * kernel's has the form of one, by a second reader that goes byte by byte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "groups/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

/* A string "X=…" of which X is not empty. */
static size_t key(const char *m, size_t at, size_t size)
{
	size_t i = at;

	while (i < size && m[i] != '\0' && m[i] != '=')
		i++;
	if (i == at || i == size || m[i] != '=')
		return 0;
	while (i < size && m[i])
		i++;
	return i < size ? i + 1 : 0;
}

/* Of the form alone, not whether keys and head agree. */
static int formed(const char *m, size_t size, size_t *ret_at)
{
	size_t i = 0;

	while (i < size && m[i] >= 'a' && m[i] <= 'z')
		i++;
	if (i == 0 || i + 1 >= size || m[i] != '@' || m[i + 1] != '/')
		return 0;
	*ret_at = i;
	while (i < size && m[i])
		i++;
	if (i == size)
		return 0;
	for (i++; i < size;) {
		i = key(m, i, size);
		if (!i)
			return 0;
	}
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Exactly as large as it says, so that a sanitizer sees one byte
	 * more. */
	char *copy = malloc(size ? size : 1);
	struct uevent u = {0};
	size_t at = 0;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (uevent_parse(copy, size, &u)) {
		check(formed(copy, size, &at));
		check(u.action == copy && u.action_len == at);
		check(u.path == copy + at + 1);
		if (uevent_matters(&u))
			check(strncmp(u.path, "/devices/", 9) == 0 &&
			      (u.action[0] == 'a' || u.action[0] == 'r' ||
			       u.action[0] == 'b' || u.action[0] == 'u' ||
			       u.action[0] == 'm'));
	} else {
		check(!u.action);
		/* Refused although formed: then a key contradicts the head. */
		if (formed(copy, size, &at))
			check(memmem(copy, size, "ACTION=", 7) ||
			      memmem(copy, size, "DEVPATH=", 8));
	}
	free(copy);
	return 0;
}
