/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table that counts and fails. A call that fails has done nothing, but for
 * close() and munmap(): Linux frees the descriptor whatever it answers, and
 * what munmap() could not split nobody touches again.
 */
#include "tests/faults/inject.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/futex.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "util/util.h"

#define HUGE_SIZE (2l << 20)
#define MAX_HUGE 8

static struct sys_table base; /* the fake VFIO over the kernel */
static const char *tree_root;
static struct fault fault;
static au32 count[NR_CALLS];
static au32 fired, on;
static au64 fds, rings, threads, blocks, mapped;
static struct {
	void *at;
	size_t len;
} huge[MAX_HUGE];

/* Below the table no allocation is the library's. */
static _Thread_local unsigned below;

/* 0, or the errno that this call is to have. */
static int strike(enum call call)
{
	if (!ld_rlx(&on))
		return 0;
	if (faa_rlx(&count[call], 1) + 1 != fault.nth || call != fault.call)
		return 0;
	st_rlx(&fired, 1);
	return fault.err;
}

#define FAIL_AT(call)                                                          \
	do {                                                                   \
		int err_ = strike(call);                                       \
                                                                               \
		if (err_)                                                      \
			return -err_;                                          \
	} while (0)

/* ---- files ---- */

static int opened(int fd)
{
	below--;
	if (fd >= 0)
		faa_rlx(&fds, 1);
	return fd;
}

static int f_open(const char *path, int flags)
{
	FAIL_AT(strcmp(path, "/dev/vfio/vfio") ? CALL_OPEN_GROUP
	                                       : CALL_OPEN_CONTAINER);
	below++;
	return opened(base.open(path, flags));
}

static int f_openat(int at, const char *path, int flags)
{
	static const char pool[] =
	        "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	char own[512];

	FAIL_AT(CALL_OPENAT);
	if (strcmp(path, pool) == 0) {
		snprintf(own, sizeof(own), "%s/free_hugepages", tree_root);
		path = own;
	}
	below++;
	return opened(base.openat(at, path, flags));
}

static int f_close(int fd)
{
	int err = strike(CALL_CLOSE), rc;

	below++;
	rc = base.close(fd);
	below--;
	if (rc == 0)
		fsub_rlx(&fds, 1);
	return err ? -err : rc;
}

static ssize_t f_read(int fd, void *buf, size_t len)
{
	FAIL_AT(CALL_READ);
	return base.read(fd, buf, len);
}

static int f_fstatat(int at, const char *path, struct stat *ret, int flags)
{
	FAIL_AT(CALL_FSTATAT);
	return base.fstatat(at, path, ret, flags);
}

static ssize_t f_readlinkat(int at, const char *path, char *buf, size_t len)
{
	FAIL_AT(CALL_READLINKAT);
	return base.readlinkat(at, path, buf, len);
}

static ssize_t f_getdents(int fd, void *buf, size_t len)
{
	FAIL_AT(CALL_GETDENTS);
	return base.getdents(fd, buf, len);
}

static int f_eventfd(unsigned init, int flags)
{
	FAIL_AT(CALL_EVENTFD);
	below++;
	return opened(base.eventfd(init, flags));
}

/* Made only where io_uring was refused: then one call has failed already. */
static int f_epoll_create(int flags)
{
	below++;
	return opened(base.epoll_create(flags));
}

static enum call which(unsigned long request)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return CALL_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return CALL_CHECK_EXTENSION;
	case VFIO_SET_IOMMU:
		return CALL_SET_IOMMU;
	case VFIO_GROUP_GET_STATUS:
		return CALL_GROUP_STATUS;
	case VFIO_GROUP_SET_CONTAINER:
		return CALL_SET_CONTAINER;
	case VFIO_GROUP_UNSET_CONTAINER:
		return CALL_UNSET_CONTAINER;
	case VFIO_GROUP_GET_DEVICE_FD:
		return CALL_DEVICE_FD;
	case VFIO_IOMMU_GET_INFO:
		return CALL_GET_INFO;
	case VFIO_IOMMU_MAP_DMA:
		return CALL_MAP;
	case VFIO_IOMMU_UNMAP_DMA:
		return CALL_UNMAP;
	default:
		fprintf(stderr, "no entry for ioctl 0x%lx\n", request);
		abort();
	}
}

static int f_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	FAIL_AT(which(request));
	below++;
	/* The fake has no devices: any descriptor will do. */
	if (request == VFIO_GROUP_GET_DEVICE_FD)
		return opened(base.eventfd(0, EFD_CLOEXEC));
	rc = base.ioctl(fd, request, arg);
	below--;
	return rc;
}

/* ---- memory ---- */

static int f_mmap(void **at, size_t len, int prot, int flags, int fd,
                  off_t offset)
{
	int rc;

	FAIL_AT(CALL_MMAP);
	rc = base.mmap(at, len, prot, flags, fd, offset);
	if (rc == 0)
		faa_rlx(&mapped, (uint64_t)len);
	return rc;
}

static int f_munmap(void *at, size_t len)
{
	int err = strike(CALL_MUNMAP), rc = base.munmap(at, len);

	if (rc == 0)
		fsub_rlx(&mapped, (uint64_t)len);
	return err ? -err : rc;
}

static int f_mincore(void *at, size_t len, unsigned char *vec)
{
	FAIL_AT(CALL_MINCORE);
	return base.mincore(at, len, vec);
}

static int f_madvise(void *at, size_t len, int advice)
{
	FAIL_AT(CALL_MADVISE);
	return base.madvise(at, len, advice);
}

static int f_getrlimit(int resource, struct rlimit *ret)
{
	FAIL_AT(CALL_GETRLIMIT);
	return base.getrlimit(resource, ret);
}

/* Huge pages, whatever the machine has: plain ones in their place. */
static long f_huge_size(void)
{
	FAIL_AT(CALL_HUGE_SIZE);
	return HUGE_SIZE;
}

static int f_huge_get(void **at, size_t len)
{
	unsigned i = 0;
	int rc;

	FAIL_AT(CALL_HUGE_GET);
	while (huge[i].at)
		if (++i == MAX_HUGE)
			return -ENOMEM;
	rc = base.mmap(at, len, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rc)
		return rc;
	huge[i].at = *at;
	huge[i].len = len;
	faa_rlx(&mapped, (uint64_t)len);
	return 0;
}

static void f_huge_free(void *at)
{
	for (unsigned i = 0; i < MAX_HUGE; i++) {
		if (huge[i].at != at)
			continue;
		base.munmap(at, huge[i].len);
		fsub_rlx(&mapped, (uint64_t)huge[i].len);
		huge[i].at = NULL;
		return;
	}
	fprintf(stderr, "huge_free() of what huge_get() did not give\n");
	abort();
}

/* ---- threads and rings ---- */

/* Enough that none is used again before its thread has read it. */
static struct start {
	void *(*run)(void *);
	void *arg;
} starts[64];

static void *run_thread(void *arg)
{
	const struct start *start = arg;
	void *ret = start->run(start->arg);

	fsub_rlx(&threads, 1);
	return ret;
}

static int f_thread_create(pthread_t *ret, void *(*run)(void *), void *arg)
{
	static au32 next;
	struct start *start = &starts[faa_rlx(&next, 1) % NR_OF(starts)];
	int rc;

	FAIL_AT(CALL_THREAD);
	*start = (struct start){run, arg};
	faa_rlx(&threads, 1);
	rc = base.thread_create(ret, run_thread, start);
	if (rc)
		fsub_rlx(&threads, 1);
	return rc;
}

static int f_futex(au32 *word, int op, uint32_t val,
                   const struct timespec *timeout)
{
	if (op == FUTEX_WAIT)
		FAIL_AT(CALL_FUTEX_WAIT);
	return base.futex(word, op, val, timeout);
}

static int f_uring_init(unsigned entries, struct io_uring *ring,
                        struct io_uring_params *params)
{
	int rc;

	FAIL_AT(CALL_URING_INIT);
	rc = base.uring_init(entries, ring, params);
	if (rc == 0)
		faa_rlx(&rings, 1);
	return rc;
}

static void f_uring_exit(struct io_uring *ring)
{
	base.uring_exit(ring);
	fsub_rlx(&rings, 1);
}

static int f_uring_knows(struct io_uring *ring, int opcode)
{
	FAIL_AT(CALL_URING_KNOWS);
	return base.uring_knows(ring, opcode);
}

static int f_uring_submit(struct io_uring *ring, unsigned wait_nr)
{
	FAIL_AT(CALL_URING_SUBMIT);
	return base.uring_submit(ring, wait_nr);
}

static int f_uring_events(struct io_uring *ring)
{
	FAIL_AT(CALL_URING_EVENTS);
	return base.uring_events(ring);
}

static int f_uring_register(int fd, unsigned opcode, const void *arg,
                            unsigned nr)
{
	FAIL_AT(CALL_URING_REGISTER);
	return base.uring_register(fd, opcode, arg, nr);
}

/* ---- the heap (--wrap) ---- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

static bool heap_fails(void)
{
	return !below && strike(CALL_HEAP);
}

static void *block(void *p)
{
	if (p && !below && ld_rlx(&on))
		faa_rlx(&blocks, 1);
	return p;
}

void *__wrap_malloc(size_t size)
{
	return heap_fails() ? NULL : block(__real_malloc(size));
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return heap_fails() ? NULL : block(__real_calloc(nr, size));
}

void *__wrap_realloc(void *p, size_t size)
{
	if (heap_fails())
		return NULL;
	return p ? __real_realloc(p, size) : block(__real_realloc(p, size));
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	return heap_fails() ? NULL : block(__real_aligned_alloc(align, size));
}

void __wrap_free(void *p)
{
	if (p && !below && ld_rlx(&on))
		fsub_rlx(&blocks, 1);
	__real_free(p);
}

/* ---- one run ---- */

static const struct sys_table table = {
        .open = f_open,
        .openat = f_openat,
        .close = f_close,
        .read = f_read,
        .fstatat = f_fstatat,
        .readlinkat = f_readlinkat,
        .getdents = f_getdents,
        .ioctl = f_ioctl,
        .eventfd = f_eventfd,
        .epoll_create = f_epoll_create,
        .mmap = f_mmap,
        .munmap = f_munmap,
        .madvise = f_madvise,
        .mincore = f_mincore,
        .getrlimit = f_getrlimit,
        .huge_size = f_huge_size,
        .huge_get = f_huge_get,
        .huge_free = f_huge_free,
        .thread_create = f_thread_create,
        .futex = f_futex,
        .uring_init = f_uring_init,
        .uring_exit = f_uring_exit,
        .uring_knows = f_uring_knows,
        .uring_submit = f_uring_submit,
        .uring_events = f_uring_events,
        .uring_register = f_uring_register,
};

void inject_begin(const struct fake_vfio_cfg *cfg, const char *tree,
                  const struct fault *f)
{
	static struct sys_table mine;

	fake_vfio_reset(cfg);
	base = *sys;
	mine = table;
	mine.write = base.write; /* does not fail, see errnos.c */
	mine.epoll_ctl = base.epoll_ctl;
	mine.epoll_look = base.epoll_look;
	mine.socket = base.socket; /* of watches: tests/groups */
	mine.setsockopt = base.setsockopt;
	mine.bind = base.bind;
	mine.recvmsg = base.recvmsg;
	mine.pread = base.pread;
	mine.pwrite = base.pwrite;
	sys = &mine;
	tree_root = tree;
	fault = *f;
	for (unsigned i = 0; i < NR_CALLS; i++)
		st_rlx(&count[i], 0);
	st_rlx(&fired, 0);
	st_rlx(&fds, 0);
	st_rlx(&rings, 0);
	st_rlx(&threads, 0);
	st_rlx(&blocks, 0);
	st_rlx(&mapped, 0);
	st_rlx(&on, 1);
}

struct held inject_end(void)
{
	st_rlx(&on, 0);
	sys = &sys_kernel;
	return (struct held){
	        .fds = (int64_t)ld_rlx(&fds),
	        .rings = (int64_t)ld_rlx(&rings),
	        .threads = (int64_t)ld_rlx(&threads),
	        .blocks = (int64_t)ld_rlx(&blocks),
	        .mapped = (int64_t)ld_rlx(&mapped),
	};
}

bool inject_fired(void)
{
	return ld_rlx(&fired) != 0;
}

uint32_t inject_count(enum call call)
{
	return ld_rlx(&count[call]);
}
