/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether madvise() does here what it answers: some emulators agree to any
 * advice and do nothing. Knows no test.
 */
#ifndef TESTS_ADVICE_H
#define TESTS_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#define ADVICE_IGNORED "skipped: madvise() is ignored here, as by an emulator"

static inline bool advice_heeded(void)
{
	const size_t len = 4096;
	void *page = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool heeded;

	if (page == MAP_FAILED)
		return true;
	/* No advice of any kernel. */
	heeded = madvise(page, len, -1) != 0;
	munmap(page, len);
	return heeded;
}

#endif
