/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes CPU cache lines back to memory, for walkers that do not snoop. A file
 * of its own, so that a test of that order can put a model in its place.
 */
#include "pagetable/pt_priv.h"

#if defined(__x86_64__)
#include <immintrin.h>

static void line_back(const char *p)
{
	_mm_clflush(p);
}

static void lines_done(void)
{
	_mm_mfence();
}
#elif defined(__aarch64__)
static void line_back(const char *p)
{
	__asm__ volatile("dc cvac, %0" ::"r"(p) : "memory");
}

static void lines_done(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}
#else
/* Other machines here keep device walks coherent, or give user space no means
 * to write a line back; pt_create refuses the flag there. */
static void line_back(const char *p)
{
	(void)p;
}

static void lines_done(void)
{
	fence_sc();
}
#endif

void pt_flush_lines(const void *p, uint64_t bytes)
{
	const char *at = (const char *)align_down((uintptr_t)p, 6);
	const char *end = (const char *)p + bytes;

	for (; at < end; at += CACHELINE)
		line_back(at);
	lines_done();
}

bool pt_can_flush(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
	return true;
#else
	return false;
#endif
}
