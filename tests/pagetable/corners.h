/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of a table's rims share: configurations in a word, a table of
 * one, and what the last refusal said. After cmocka.h.
 */
#ifndef SLUICE_TESTS_CORNERS_H
#define SLUICE_TESTS_CORNERS_H

#include <string.h>

#include "pagetable/pt_public.h"

#define PAGE ((uint64_t)4096)
#define MIB2 ((uint64_t)1 << 21)
#define RW SLUICE_RW
#define CFG(...)                                                               \
	{                                                                      \
		.format = SLUICE_PT_##__VA_ARGS__                              \
	}

static inline void says(const char *text)
{
	if (!strstr(msg_last(), text))
		fail_msg("'%s' does not say '%s'", msg_last(), text);
}

static inline struct sluice_pt *make(struct sluice_pt_config cfg)
{
	struct sluice_pt *pt = NULL;

	if (sluice_pt_create(&cfg, &pt))
		fail_msg("%s", msg_last());
	return pt;
}

#endif
