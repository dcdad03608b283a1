/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every system call that the library makes, in one table, so that a test can
 * take the kernel's place and make any of them fail. Knows how the calls are
 * made, nothing of why. A package that makes system calls of its own (liburing,
 * libhugetlbfs) has its entries here too, at the height of its functions.
 *
 * Each returns what the call returns, or -errno. No object but sys.o may import
 * what is wrapped here (tests/api/imports.py).
 */
#ifndef SLUICE_UTIL_SYS_H
#define SLUICE_UTIL_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "util/atomics.h"

struct epoll_event;
struct io_uring;
struct io_uring_params;
struct msghdr;
struct sockaddr;

struct sys_table {
	/* ---- files ---- */
	int (*open)(const char *path, int flags);
	int (*openat)(int at, const char *path, int flags);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t at);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t at);
	int (*fstatat)(int at, const char *path, struct stat *ret, int flags);
	ssize_t (*readlinkat)(int at, const char *path, char *buf, size_t len);
	/* struct dirent64 after struct dirent64, 0 at the end. */
	ssize_t (*getdents)(int fd, void *buf, size_t len);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*eventfd)(unsigned init, int flags);
	int (*epoll_create)(int flags);
	int (*epoll_ctl)(int epoll, int op, int fd, struct epoll_event *event);
	/* What is ready now: never waits. */
	int (*epoll_look)(int epoll, struct epoll_event *ret, int max);

	/* ---- sockets ---- */
	int (*socket)(int family, int type, int protocol);
	int (*setsockopt)(int fd, int level, int name, const void *val,
	                  unsigned len);
	int (*bind)(int fd, const struct sockaddr *addr, unsigned len);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);

	/* ---- memory ---- */
	/* *at: where, as mmap's first argument; on success where it is. */
	int (*mmap)(void **at, size_t len, int prot, int flags, int fd,
	            off_t offset);
	int (*munmap)(void *at, size_t len);
	int (*madvise)(void *at, size_t len, int advice);
	int (*mincore)(void *at, size_t len, unsigned char *vec);
	int (*getrlimit)(int resource, struct rlimit *ret);
	/* libhugetlbfs; bytes, -ENOENT for a kernel without such pages. */
	long (*huge_size)(void);
	int (*huge_get)(void **at, size_t len);
	void (*huge_free)(void *at);

	/* ---- threads ---- */
	int (*thread_create)(pthread_t *ret, void *(*run)(void *), void *arg);
	/* FUTEX_WAIT or FUTEX_WAKE, private to the process. timeout: of a wait,
	 * from now on; NULL for none. */
	int (*futex)(au32 *word, int op, uint32_t val,
	             const struct timespec *timeout);

	/* ---- liburing ---- */
	/* Its shared memory is absent in a child. */
	int (*uring_init)(unsigned entries, struct io_uring *ring,
	                  struct io_uring_params *params);
	void (*uring_exit)(struct io_uring *ring);
	/* Does the kernel know the opcode? 0 or 1. */
	int (*uring_knows)(struct io_uring *ring, int opcode);
	int (*uring_submit)(struct io_uring *ring, unsigned wait_nr);
	int (*uring_events)(struct io_uring *ring);
	/* By the ring's descriptor: of somebody else's ring. */
	int (*uring_register)(int fd, unsigned opcode, const void *arg,
	                      unsigned nr);
};

extern const struct sys_table sys_kernel;

/* Who serves the library's calls: sys_kernel, unless a test that links the
 * objects says otherwise, before any thread but its own calls in. */
extern const struct sys_table *sys;

/*
 * A regular file, whole and terminated by a NUL: its length. -EFBIG when it
 * does not fit with the NUL, -EINVAL when it is no regular file. Nothing that
 * path can name blocks it.
 */
ssize_t sys_read_file(int at, const char *path, char *buf, size_t size);

/* Zeroed memory that costs address space until it is touched; NULL when there
 * is none. Goes back through sys->munmap. */
void *sys_reserve(size_t len);

#endif
