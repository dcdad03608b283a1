/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A heap that ends: the linker puts these allocators between the library and
 * the real ones (--wrap).
 */
#ifndef SLUICE_TESTS_FAILING_HEAP_H
#define SLUICE_TESTS_FAILING_HEAP_H

#include <stdint.h>

#define HEAP_OK UINT32_MAX

/* Allocations that succeed before all others fail; HEAP_OK: none fails. */
extern unsigned heap_left;

#endif
