/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for arenas: hugetlb pages, else transparent huge pages, else plain
 * ones. Knows no domain.
 */
#ifndef SLUICE_ENGINE_ARENA_MEM_H
#define SLUICE_ENGINE_ARENA_MEM_H

#include <stdbool.h>
#include <stdint.h>

#include <sluice/arena.h>

struct arena_mem {
	void *va;
	uint64_t len;
	enum sluice_page_kind kind;
	const char *why; /* why not hugetlb; NULL when it is */
	void *map;       /* what munmap wants */
	uint64_t map_len;
};

/* Control. len is rounded up to the pages of the kind. -ENOMEM. */
int arena_mem_alloc(uint64_t len, bool no_huge, struct arena_mem *ret_mem);
void arena_mem_free(struct arena_mem *mem);

#endif
