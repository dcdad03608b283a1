/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log with readers, each with an IOTLB.
 */
#ifndef TESTS_IOTLB_FIX_H
#define TESTS_IOTLB_FIX_H

#include "tests/iotlb/unit.h"

#define RECORDS 64u
#define READERS 4u
#define ENTRIES 1024u

struct fix {
	struct invlog *log;
	struct sluice_view view[READERS];
};

static inline int fix_up(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || invlog_create(RECORDS, READERS, &f->log))
		return -1;
	for (unsigned i = 0; i < READERS; i++)
		if (tlb_create(ENTRIES, &f->view[i].hot))
			return -1;
	return 0;
}

static inline int fix_down(void **state)
{
	struct fix *f = *state;

	for (unsigned i = 0; i < READERS; i++)
		tlb_destroy(&f->view[i].hot);
	invlog_destroy(f->log);
	free(f);
	return 0;
}

static inline bool drain(struct fix *f, uint32_t reader)
{
	struct invlog_view v = {.hot = &f->view[reader].hot};

	return invlog_drain(f->log, reader, &v) & INVLOG_GOT_FLUSH;
}

#endif
