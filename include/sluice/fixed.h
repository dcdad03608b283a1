/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as fixed buffers of an io_uring: the same memory that devices reach
 * by IOVA serves READ_FIXED and WRITE_FIXED on files, block devices and
 * sockets, so that data goes from a file to a device of yours, or back, without
 * a copy. The ring is the caller's, made and used as ever; only its table of
 * buffers is kept here.
 *
 *	struct sluice_fixed_cfg cfg = {.ring_fd = ring.ring_fd};
 *	sluice_fixed_open(&cfg, &fixed);
 *	sluice_fixed_add(fixed, arena);
 *	...
 *	if (sluice_fixed_index(fixed, buf.va, len, &index) == len)
 *		io_uring_prep_read_fixed(sqe, fd, buf.va, len, at, index);
 *
 * One table for each ring; an arena may be in the tables of several rings, and
 * a table holds several arenas. A table has the size that it was opened with
 * (io_uring's cannot grow): an empty slot costs 8 bytes. The kernel pins an
 * arena's memory once more for each table, and counts it against RLIMIT_MEMLOCK
 * (of all io_urings of the user together, but for CAP_IPC_LOCK when the ring
 * was made) beside what VFIO counts.
 *
 * A table is used by one thread at a time, that of its ring. After fork() it
 * belongs to the parent: in the child every call answers -EPERM.
 */
#ifndef SLUICE_FIXED_H
#define SLUICE_FIXED_H

#include <sluice/arena.h>
#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_fixed;

/* The ring has a table already, made by io_uring_register_buffers_sparse() or
 * its like: slots first .. first + nr - 1 of it are emptied and used. Without
 * this flag the ring has none and gets one of first + nr slots. */
#define SLUICE_FIXED_SHARED 0x1u

struct sluice_fixed_cfg {
	int ring_fd;    /* of the ring; stays the caller's */
	uint32_t first; /* slots below are the caller's own */
	uint32_t nr;    /* slots for arenas, one for each GiB begun; 0: 64 */
	uint32_t flags; /* SLUICE_FIXED_SHARED */
};

/**
 * sluice_fixed_open() - a table of fixed buffers for a ring.
 *
 * The ring is open as long as the table.
 * Thread: the ring's (of a ring with IORING_SETUP_SINGLE_ISSUER: the one that
 * submits). Owns: the caller, until sluice_fixed_close().
 * Returns: 0, -EINVAL (cfg, more than 16384 slots, a shared table that ends
 * below first + nr), -ENOMEM, -EBUSY (the ring has a table: share it),
 * -ENXIO (SLUICE_FIXED_SHARED and the ring has none), -EBADF and -EOPNOTSUPP
 * (ring_fd is no io_uring, or the kernel is older than Linux 5.19 and has no
 * sparse tables), -EEXIST (another thread is the ring's single issuer),
 * or what the kernel answered (-EPERM, -EACCES: io_uring_register() is
 * forbidden).
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_fixed_open(
        const struct sluice_fixed_cfg *cfg, struct sluice_fixed **ret_fixed);

/**
 * sluice_fixed_close() - empty the table and give it up.
 *
 * Arenas that are in it are taken out, and a table that was made here goes.
 * The ring must still be open, and should be idle: older kernels wait for
 * requests that use a fixed buffer.
 * Thread: the ring's. Blocks: yes. NULL is fine.
 */
SLUICE_API void sluice_fixed_close(struct sluice_fixed *fixed);

/**
 * sluice_fixed_add() - put an arena's memory into the table.
 *
 * From here on until sluice_fixed_remove() the arena cannot be destroyed. Its
 * pages must be writable to the process, whatever prot the arena has.
 * Thread: the ring's. Blocks: yes (pins the memory).
 * Returns: 0, -EINVAL, -EEXIST (it is in the table, or another thread is the
 * ring's single issuer), -ENOSPC (the table has no run of as many empty slots:
 * the message says how many are wanted), -ENOMEM (the message names
 * RLIMIT_MEMLOCK and what to type when that may be missing), -EPERM,
 * or what the kernel answered. Nothing is pinned then.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_fixed_add(struct sluice_fixed *fixed,
                                                  struct sluice_arena *arena);

/**
 * sluice_fixed_remove() - take it out again.
 *
 * Requests that use it are finished by the kernel on the pages that they
 * began with: they should be complete before the memory is used for something
 * else.
 * Thread: the ring's. Blocks: yes. Returns: 0, -EINVAL, -ENOENT (it is not in
 * the table), -EPERM, -ENOMEM,
 * or what the kernel answered: the arena is still in the table then, some of
 * its slots may be empty, and the call can be made again.
 */
SLUICE_API int sluice_fixed_remove(struct sluice_fixed *fixed,
                                   struct sluice_arena *arena);

/**
 * sluice_fixed_index() - the buffer that a piece of memory lies in.
 * @ret_index: for io_uring_prep_read_fixed() and its like
 *
 * Arithmetic, after a look through the table's arenas.
 * Thread: the ring's. Blocks: never. Returns: how many of the len bytes lie in
 * that buffer, from va on: len, or less when a boundary of two buffers (each
 * GiB of an arena) or the arena's end comes first: ask again for the rest, and
 * submit two requests. -EFAULT when va lies in no arena of the table, -EINVAL
 * for len 0.
 */
SLUICE_API SLUICE_MUST_CHECK int64_t
sluice_fixed_index(const struct sluice_fixed *fixed, const void *va,
                   uint64_t len, uint32_t *ret_index);

#ifdef __cplusplus
}
#endif
#endif
