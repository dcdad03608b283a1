/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table as the kernel serves it. One line per call, and what it takes to
 * have its error in the result.
 */
#include "util/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hugetlbfs.h>
#include <liburing.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(int rc)
{
	return rc < 0 ? -errno : rc;
}

static ssize_t length(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* ---- files ---- */

static int do_open(const char *path, int flags)
{
	return result(open(path, flags));
}

static int do_openat(int at, const char *path, int flags)
{
	return result(openat(at, path, flags));
}

static int do_close(int fd)
{
	return result(close(fd));
}

static ssize_t do_read(int fd, void *buf, size_t len)
{
	return length(read(fd, buf, len));
}

static ssize_t do_write(int fd, const void *buf, size_t len)
{
	return length(write(fd, buf, len));
}

static ssize_t do_pread(int fd, void *buf, size_t len, off_t at)
{
	return length(pread(fd, buf, len, at));
}

static ssize_t do_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	return length(pwrite(fd, buf, len, at));
}

static int do_fstatat(int at, const char *path, struct stat *ret, int flags)
{
	return result(fstatat(at, path, ret, flags));
}

static ssize_t do_readlinkat(int at, const char *path, char *buf, size_t len)
{
	return length(readlinkat(at, path, buf, len));
}

static ssize_t do_getdents(int fd, void *buf, size_t len)
{
	return length(getdents64(fd, buf, len));
}

static int do_ioctl(int fd, unsigned long request, void *arg)
{
	return result(ioctl(fd, request, arg));
}

static int do_eventfd(unsigned init, int flags)
{
	return result(eventfd(init, flags));
}

static int do_epoll_create(int flags)
{
	return result(epoll_create1(flags));
}

static int do_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return result(epoll_ctl(epoll, op, fd, event));
}

static int do_epoll_look(int epoll, struct epoll_event *ret, int max)
{
	return result(epoll_wait(epoll, ret, max, 0));
}

/* ---- sockets ---- */

static int do_socket(int family, int type, int protocol)
{
	return result(socket(family, type, protocol));
}

static int do_setsockopt(int fd, int level, int name, const void *val,
                         unsigned len)
{
	return result(setsockopt(fd, level, name, val, len));
}

static int do_bind(int fd, const struct sockaddr *addr, unsigned len)
{
	return result(bind(fd, addr, len));
}

static ssize_t do_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return length(recvmsg(fd, msg, flags));
}

/* ---- memory ---- */

static int do_mmap(void **at, size_t len, int prot, int flags, int fd,
                   off_t offset)
{
	void *p = mmap(*at, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	*at = p;
	return 0;
}

static int do_munmap(void *at, size_t len)
{
	return result(munmap(at, len));
}

static int do_mincore(void *at, size_t len, unsigned char *vec)
{
	return result(mincore(at, len, vec));
}

static int do_madvise(void *at, size_t len, int advice)
{
	return result(madvise(at, len, advice));
}

static int do_getrlimit(int resource, struct rlimit *ret)
{
	return result(getrlimit((__rlimit_resource_t)resource, ret));
}

static long do_huge_size(void)
{
	long size = gethugepagesize();

	return size > 0 ? size : -ENOENT;
}

static int do_huge_get(void **at, size_t len)
{
	void *p = get_huge_pages(len, GHP_DEFAULT);

	if (!p)
		return -ENOMEM;
	*at = p;
	return 0;
}

static void do_huge_free(void *at)
{
	free_huge_pages(at);
}

/* ---- threads ---- */

static int do_thread_create(pthread_t *ret, void *(*run)(void *), void *arg)
{
	return -pthread_create(ret, NULL, run, arg);
}

static int do_futex(au32 *word, int op, uint32_t val,
                    const struct timespec *timeout)
{
	return result((int)syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG,
	                           val, timeout, NULL, 0));
}

/* ---- liburing ---- */

static int do_uring_init(unsigned entries, struct io_uring *ring,
                         struct io_uring_params *params)
{
	int rc = io_uring_queue_init_params(entries, ring, params);

	if (rc)
		return rc;
	rc = io_uring_ring_dontfork(ring);
	if (rc)
		io_uring_queue_exit(ring);
	return rc;
}

static int do_uring_knows(struct io_uring *ring, int opcode)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	int rc;

	if (!p)
		return -ENOMEM;
	rc = io_uring_opcode_supported(p, opcode) != 0;
	io_uring_free_probe(p);
	return rc;
}

static int do_uring_submit(struct io_uring *ring, unsigned wait_nr)
{
	return wait_nr ? io_uring_submit_and_wait(ring, wait_nr)
	               : io_uring_submit(ring);
}

static int do_uring_register(int fd, unsigned opcode, const void *arg,
                             unsigned nr)
{
	return io_uring_register((unsigned)fd, opcode, arg, nr);
}

const struct sys_table sys_kernel = {
        .open = do_open,
        .openat = do_openat,
        .close = do_close,
        .read = do_read,
        .write = do_write,
        .pread = do_pread,
        .pwrite = do_pwrite,
        .fstatat = do_fstatat,
        .readlinkat = do_readlinkat,
        .getdents = do_getdents,
        .ioctl = do_ioctl,
        .eventfd = do_eventfd,
        .epoll_create = do_epoll_create,
        .epoll_ctl = do_epoll_ctl,
        .epoll_look = do_epoll_look,
        .socket = do_socket,
        .setsockopt = do_setsockopt,
        .bind = do_bind,
        .recvmsg = do_recvmsg,
        .mmap = do_mmap,
        .munmap = do_munmap,
        .madvise = do_madvise,
        .mincore = do_mincore,
        .getrlimit = do_getrlimit,
        .huge_size = do_huge_size,
        .huge_get = do_huge_get,
        .huge_free = do_huge_free,
        .thread_create = do_thread_create,
        .futex = do_futex,
        .uring_init = do_uring_init,
        .uring_exit = io_uring_queue_exit,
        .uring_knows = do_uring_knows,
        .uring_submit = do_uring_submit,
        .uring_events = io_uring_get_events,
        .uring_register = do_uring_register,
};

const struct sys_table *sys = &sys_kernel;
