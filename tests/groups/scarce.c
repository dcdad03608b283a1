/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scarce.h"
#include "tree.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_realloc(void *old, size_t size);

int allocations = -1;

static int out_of_memory(void)
{
	if (allocations < 0)
		return 0;
	return allocations == 0 || allocations-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return out_of_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return out_of_memory() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return out_of_memory() ? NULL : __real_realloc(old, size);
}

int scarce_make(void **state)
{
	struct tree *t = malloc(sizeof(*t));

	assert_non_null(t);
	tree_new(t);
	*state = t;
	return 0;
}

int scarce_unmake(void **state)
{
	allocations = -1;
	tree_free(*state);
	free(*state);
	return 0;
}
