/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel in which one chosen call fails: the library's table of system calls
 * (util/sys.h) over the fake VFIO, and the heap through --wrap. Counts every
 * call and what the library holds: descriptors, rings, threads, mapped bytes,
 * blocks of the heap. Knows no sluice call.
 */
#ifndef SLUICE_TESTS_FAULTS_INJECT_H
#define SLUICE_TESTS_FAULTS_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/backend/fake_vfio.h"

/* One for each entry of the table that can fail, ioctl by request. */
enum call {
	CALL_HEAP,
	CALL_OPEN_CONTAINER,
	CALL_OPEN_GROUP,
	CALL_OPENAT,
	CALL_CLOSE,
	CALL_READ,
	CALL_FSTATAT,
	CALL_READLINKAT,
	CALL_GETDENTS,
	CALL_EVENTFD,
	CALL_MMAP,
	CALL_MUNMAP,
	CALL_MADVISE,
	CALL_MINCORE,
	CALL_GETRLIMIT,
	CALL_HUGE_SIZE,
	CALL_HUGE_GET,
	CALL_THREAD,
	CALL_FUTEX_WAIT,
	CALL_URING_INIT,
	CALL_URING_KNOWS,
	CALL_URING_SUBMIT,
	CALL_URING_EVENTS,
	CALL_URING_REGISTER,
	CALL_API_VERSION,
	CALL_CHECK_EXTENSION,
	CALL_SET_IOMMU,
	CALL_GROUP_STATUS,
	CALL_SET_CONTAINER,
	CALL_UNSET_CONTAINER,
	CALL_DEVICE_FD,
	CALL_GET_INFO,
	CALL_MAP,
	CALL_UNMAP,
	NR_CALLS,
	CALL_NONE = NR_CALLS
};

#define MAX_ERRNOS 12

struct call_info {
	const char *name;
	int err[MAX_ERRNOS]; /* what the call can answer, 0 at the end */
};

/* errnos.c */
extern const struct call_info call_info[NR_CALLS];

struct fault {
	enum call call; /* CALL_NONE: only count */
	uint32_t nth;   /* from 1 */
	int err;
};

/* What the library holds. All 0 before it is called and after it is done. */
struct held {
	int64_t fds, rings, threads, blocks, mapped;
};

/* Takes the kernel's place, with a fresh fake VFIO. tree: where the file with
 * the number of free huge pages is. */
void inject_begin(const struct fake_vfio_cfg *cfg, const char *tree,
                  const struct fault *fault);
/* Gives the kernel back and tells what is still held. */
struct held inject_end(void);
bool inject_fired(void);
uint32_t inject_count(enum call call);

#endif
