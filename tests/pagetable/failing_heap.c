/* SPDX-License-Identifier: BSD-3-Clause */
#include "failing_heap.h"

#include <stdbool.h>
#include <stdlib.h>

unsigned heap_left = HEAP_OK;

static bool heap_fails(void)
{
	if (heap_left == HEAP_OK)
		return false;
	if (heap_left == 0)
		return true;
	heap_left--;
	return false;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_malloc(size_t size)
{
	return heap_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return heap_fails() ? NULL : __real_calloc(nr, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return heap_fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return heap_fails() ? NULL : __real_aligned_alloc(align, size);
}
