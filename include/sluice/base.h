/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Words every other header uses: addresses, permissions, errors, version.
 *
 * Conventions of the whole API
 *  - A function that can fail returns 0 or a count on success and a negative
 *    errno on failure. An out-parameter named ret_x is written last and is
 *    untouched on failure. A failed call leaves no state behind.
 *  - len is in bytes, addresses are byte addresses, mappings are whole 4 KiB
 *    pages. _lg2 marks a log2, _ns a time, nr_ a count.
 *  - "Thread: any" may be called from any thread; "Thread: control" may block
 *    and take a mutex; "Thread: lane" belongs to the thread that owns the lane
 *    and never blocks and never takes a lock.
 *  - A configuration struct filled with zeroes asks for the defaults.
 */
#ifndef SLUICE_BASE_H
#define SLUICE_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1
#define SLUICE_VERSION_PATCH 0

#if defined(__GNUC__)
#define SLUICE_API __attribute__((visibility("default")))
#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
#define SLUICE_LIKELY(x) __builtin_expect(!!(x), 1)
#else
#define SLUICE_API
#define SLUICE_MUST_CHECK
#define SLUICE_LIKELY(x) (x)
#endif

/* Smallest unit of a mapping, bytes. */
#define SLUICE_PAGE_LG2 12
#define SLUICE_PAGE_SIZE 4096u

/* An address as a device sees it. */
typedef uint64_t sluice_iova_t;
/* An output address: what an IOVA translates to. In a software domain a host
 * virtual address; in a table walked by hardware, whatever that hardware
 * calls physical. */
typedef uint64_t sluice_oa_t;

/* What a device may do with a mapping; also what a translation asks for. */
#define SLUICE_READ 0x1u
#define SLUICE_WRITE 0x2u
#define SLUICE_RW (SLUICE_READ | SLUICE_WRITE)

/* A closed range: both ends belong to it. */
struct sluice_range {
	uint64_t first;
	uint64_t last;
};

/**
 * sluice_version() - "MAJOR.MINOR.PATCH" of the library that is loaded.
 *
 * Thread: any. Owns: the library, for ever.
 */
SLUICE_API const char *sluice_version(void);

/**
 * sluice_errname() - name of an errno value, "EEXIST" for 17 or -17.
 *
 * Thread: any. Returns: a constant string, "E?" for an unknown value.
 */
SLUICE_API const char *sluice_errname(int err);

/**
 * sluice_last_error() - what went wrong in this thread's last failed call,
 * and what to do about it, as one line of text.
 *
 * Thread: any (one message a thread). Owns: the library. Valid until: the
 * next failing sluice call of the same thread. Never NULL; "" before the
 * first failure.
 */
SLUICE_API const char *sluice_last_error(void);

/**
 * sluice_error_set() - leave a message for sluice_last_error().
 * @text: copied; cut after 511 bytes
 *
 * For libraries on top of this one whose errors are read the same way.
 * Thread: any. Returns: err.
 */
SLUICE_API int sluice_error_set(int err, const char *text);

#ifdef __cplusplus
}
#endif
#endif
