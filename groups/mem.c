/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A list of blocks. Control path only: nothing here is fast, all of it is
 * freed by one call.
 */
#include "groups/mem.h"

#include <stdlib.h>
#include <string.h>

struct grp_block {
	_Alignas(max_align_t) struct grp_block *next;
};

void *grp_alloc(struct grp_mem *mem, size_t nr, size_t size)
{
	struct grp_block *b;
	size_t bytes;

	if (__builtin_mul_overflow(nr, size, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*b), &bytes))
		return NULL;
	b = calloc(1, bytes);
	if (!b)
		return NULL;
	b->next = mem->head;
	mem->head = b;
	return b + 1;
}

const char *grp_strdup(struct grp_mem *mem, const char *text, size_t len)
{
	size_t n = strnlen(text, len);
	char *copy = grp_alloc(mem, n + 1, 1);

	if (copy)
		memcpy(copy, text, n);
	return copy;
}

void grp_free(struct grp_mem *mem)
{
	while (mem->head) {
		struct grp_block *b = mem->head;

		mem->head = b->next;
		free(b);
	}
}
