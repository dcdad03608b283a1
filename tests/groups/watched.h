/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of watches share: a machine with group 3, two functions for
 * us, and group 4, a disk of the kernel's.
 */
#ifndef SLUICE_TESTS_GROUPS_WATCHED_H
#define SLUICE_TESTS_GROUPS_WATCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "groups/watch_int.h"
#include "live.h"
#include "util/util.h"

#define A "0000:01:00.0"
#define B "0000:01:00.1"
#define C "0000:02:00.0"
#define MSI "0x00000000fee00000 0x00000000feefffff msi\n"

static inline int watch_make(void **state)
{
	struct live *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	live_new(l);
	live_add(l, A, 3, "vfio-pci");
	live_add(l, B, 3, NULL);
	live_regions(l, 3, MSI);
	live_add(l, C, 4, "nvme");
	*state = l;
	return 0;
}

static inline int watch_unmake(void **state)
{
	live_free(*state);
	free(*state);
	return 0;
}

static inline sluice_handle_t find(struct sluice_watch *w, const char *name)
{
	sluice_handle_t h = 0;

	assert_int_equal(sluice_watch_find(w, name, &h), 0);
	assert_true(h != 0);
	return h;
}

static inline sluice_handle_t find_group(struct sluice_watch *w, int id)
{
	sluice_handle_t h = 0;

	assert_int_equal(sluice_watch_find_group(w, id, &h), 0);
	assert_true(h != 0);
	return h;
}

static inline void stale(struct sluice_watch *w, sluice_handle_t h)
{
	const struct sluice_watch_device *d = NULL;

	assert_int_equal(sluice_watch_get_device(w, h, &d), -ESTALE);
	assert_non_null(strstr(msg_last(), "has gone"));
	assert_null(d);
}

static inline void news(struct sluice_watch *w, const char *expected)
{
	assert_string_equal(live_news(w), expected);
}

#endif
