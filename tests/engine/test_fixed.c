/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as fixed buffers of rings of this machine's kernel: data through them,
 * every refusal, who may be in which table, boundaries of buffers, and what is
 * left behind. Skipped where io_uring is forbidden.
 */
#include "tests/engine/rig.h"

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/fixed.h"
#include "util/util.h"

#define SLOT 16384u
#define SLOTS 16u
#define SIZE (SLOT * SLOTS)
#define K64_LG2 16

struct fix {
	struct rig r;
	struct io_uring ring;
	struct sluice_fixed *fixed;
	struct sluice_arena *arena[3];
	int file;
};

static struct sluice_arena *new_arena(struct fix *x)
{
	const struct sluice_arena_cfg cfg = {
	        .size = SIZE, .slot_size = SLOT, .no_huge = 1};
	struct sluice_arena *a;

	assert_int_equal(sluice_arena_create(x->r.domain, &cfg, &a), 0);
	return a;
}

static void up(struct fix *x, const struct sluice_fixed_cfg *cfg, unsigned lg2)
{
	struct sluice_fixed_cfg mine = {0};

	rig_up(&x->r, NULL);
	assert_int_equal(io_uring_queue_init(8, &x->ring, 0), 0);
	for (int i = 0; i < 3; i++)
		x->arena[i] = new_arena(x);
	x->file = memfd_create("fixed", MFD_CLOEXEC);
	assert_true(x->file >= 0);
	if (cfg)
		mine = *cfg;
	mine.ring_fd = x->ring.ring_fd;
	assert_int_equal(fixed_open_pieces(&mine, lg2, &x->fixed), 0);
}

static void down(struct fix *x)
{
	sluice_fixed_close(x->fixed);
	io_uring_queue_exit(&x->ring);
	close(x->file);
	for (int i = 0; i < 3; i++)
		sluice_arena_destroy(x->arena[i]);
	rig_down(&x->r);
}

/* One request on the ring; its result. */
static int move(struct fix *x, bool write, void *va, uint32_t len, uint64_t at,
                uint32_t index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&x->ring);
	struct io_uring_cqe *cqe;
	int res;

	assert_non_null(sqe);
	if (write)
		io_uring_prep_write_fixed(sqe, x->file, va, len, at,
		                          (int)index);
	else
		io_uring_prep_read_fixed(sqe, x->file, va, len, at, (int)index);
	assert_int_equal(io_uring_submit(&x->ring), 1);
	assert_int_equal(io_uring_wait_cqe(&x->ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&x->ring, cqe);
	return res;
}

static uint8_t *base_of(struct sluice_arena *a)
{
	uintptr_t va;
	uint64_t len;

	arena_hold(a, &va, &len);
	arena_drop(a);
	assert_int_equal(len, SIZE);
	return (uint8_t *)va;
}

static uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 7 + 1);
}

/* A page of the file goes through the arena's slot to elsewhere in the file. */
static void carry(struct fix *x, struct sluice_arena *a)
{
	uint8_t want[PAGE], got[PAGE];
	struct sluice_buf buf;
	uint32_t index;

	for (uint32_t i = 0; i < PAGE; i++)
		want[i] = byte_at((uintptr_t)a + i);
	assert_int_equal(pwrite(x->file, want, PAGE, 0), PAGE);
	assert_int_equal(sluice_arena_get(x->r.lane, a, &buf), 0);
	assert_int_equal(sluice_fixed_index(x->fixed, buf.va, PAGE, &index),
	                 PAGE);
	assert_int_equal(move(x, false, buf.va, PAGE, 0, index), PAGE);
	assert_memory_equal(buf.va, want, PAGE);
	assert_int_equal(move(x, true, buf.va, PAGE, 8 * PAGE, index), PAGE);
	assert_int_equal(pread(x->file, got, PAGE, 8 * PAGE), PAGE);
	assert_memory_equal(got, want, PAGE);
	sluice_arena_put(x->r.lane, a, buf.va);
}

static void no_longer(struct fix *x, struct sluice_arena *a, uint32_t index)
{
	uint32_t none = 77;

	assert_int_equal(sluice_fixed_index(x->fixed, base_of(a), PAGE, &none),
	                 -EFAULT);
	assert_int_equal(none, 77);
	assert_int_equal(move(x, false, base_of(a), PAGE, 0, index), -EFAULT);
}

/* ---- data ---- */

static void every_slot(void **state)
{
	struct sluice_buf buf[SLOTS];
	uint8_t *all;
	struct fix x;
	uint32_t index;

	(void)state;
	up(&x, NULL, FIXED_PIECE_LG2);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	all = malloc(SIZE);
	assert_non_null(all);
	for (uint32_t i = 0; i < SIZE; i++)
		all[i] = byte_at(i);
	assert_int_equal(pwrite(x.file, all, SIZE, 0), SIZE);
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_int_equal(
		        sluice_arena_get(x.r.lane, x.arena[0], &buf[i]), 0);
		assert_int_equal(
		        sluice_fixed_index(x.fixed, buf[i].va, SLOT, &index),
		        SLOT);
		assert_int_equal(
		        move(&x, false, buf[i].va, SLOT, i * SLOT, index),
		        SLOT);
	}
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_memory_equal(buf[i].va, all + i * SLOT, SLOT);
		sluice_arena_put(x.r.lane, x.arena[0], buf[i].va);
	}
	free(all);
	down(&x);
}

static void several_arenas_one_ring(void **state)
{
	struct fix x;
	uint32_t index[3];

	(void)state;
	up(&x, &(struct sluice_fixed_cfg){.first = 5, .nr = 3},
	   FIXED_PIECE_LG2);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(sluice_fixed_add(x.fixed, x.arena[i]), 0);
		assert_int_equal(sluice_fixed_index(x.fixed,
		                                    base_of(x.arena[i]) + PAGE,
		                                    PAGE, &index[i]),
		                 PAGE);
		assert_int_equal(index[i], 5 + i);
		carry(&x, x.arena[i]);
	}
	/* The one in the middle goes, and its slot is the next one's. */
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[1]), 0);
	no_longer(&x, x.arena[1], index[1]);
	carry(&x, x.arena[0]);
	carry(&x, x.arena[2]);
	sluice_arena_destroy(x.arena[1]);
	x.arena[1] = new_arena(&x);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[1]), 0);
	for (uint32_t i = 0; i < 3; i++)
		carry(&x, x.arena[i]);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[1]), 1, &index[1]),
	        1);
	assert_int_equal(index[1], 6);
	down(&x);
}

static void one_arena_several_rings(void **state)
{
	struct fix x, y;
	uint32_t index;

	(void)state;
	up(&x, NULL, FIXED_PIECE_LG2);
	y = x;
	assert_int_equal(io_uring_queue_init(8, &y.ring, 0), 0);
	assert_int_equal(sluice_fixed_open(
	                         &(struct sluice_fixed_cfg){
	                                 .ring_fd = y.ring.ring_fd, .nr = 1},
	                         &y.fixed),
	                 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(y.fixed, x.arena[0]), 0);
	carry(&x, x.arena[0]);
	carry(&y, x.arena[0]);
	/* Both hold it. */
	sluice_arena_destroy(x.arena[0]);
	assert_non_null(strstr(sluice_last_error(), "in 2 tables"));
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), 0);
	sluice_arena_destroy(x.arena[0]);
	assert_non_null(strstr(sluice_last_error(), "in 1 tables"));
	assert_int_equal(sluice_domain_destroy(x.r.domain), -EBUSY);
	no_longer(&x, x.arena[0], 0);
	carry(&y, x.arena[0]);
	assert_int_equal(
	        sluice_fixed_index(y.fixed, base_of(x.arena[0]), 1, &index), 1);
	sluice_fixed_close(y.fixed);
	assert_int_equal(move(&y, false, base_of(x.arena[0]), PAGE, 0, index),
	                 -EFAULT);
	io_uring_queue_exit(&y.ring);
	down(&x);
}

/* Arenas that are longer than the kernel takes a buffer, made small. */
static void boundaries(void **state)
{
	const uint32_t piece = 1u << K64_LG2;
	uint32_t index = 0;
	struct fix x;
	uint8_t *va;

	(void)state;
	up(&x,
	   &(struct sluice_fixed_cfg){.first = 1, .nr = 2 * SIZE >> K64_LG2},
	   K64_LG2);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[1]), 0);
	va = base_of(x.arena[1]);
	for (uint32_t i = 0; i < SIZE / piece; i++) {
		uint8_t *at = va + i * piece;

		assert_int_equal(sluice_fixed_index(x.fixed, at, piece, &index),
		                 piece);
		assert_int_equal(index, 1 + SIZE / piece + i);
		assert_int_equal(pwrite(x.file, "0123456789abcdef", 16, 0), 16);
		assert_int_equal(
		        sluice_fixed_index(x.fixed, at + piece - 8, 16, &index),
		        8);
		/* The kernel would not take it whole. */
		if (i + 1 < SIZE / piece) {
			assert_int_equal(
			        move(&x, false, at + piece - 8, 16, 0, index),
			        -EFAULT);
			assert_int_equal(
			        move(&x, false, at + piece - 8, 8, 0, index),
			        8);
			assert_int_equal(sluice_fixed_index(x.fixed, at + piece,
			                                    8, &index),
			                 8);
			assert_int_equal(
			        move(&x, false, at + piece, 8, 8, index), 8);
			assert_memory_equal(at + piece - 8, "0123456789abcdef",
			                    16);
		}
	}
	/* The arena's end, and beyond. */
	assert_int_equal(
	        sluice_fixed_index(x.fixed, va + SIZE - 1, UINT64_MAX, &index),
	        1);
	/* No third one fits; once the first is out it does, in its place. */
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), -ENOSPC);
	assert_non_null(strstr(sluice_last_error(), "wants 4 slots"));
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), 0);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[2]), 1, &index), 1);
	assert_int_equal(index, 1);
	carry(&x, x.arena[2]);
	down(&x);
}

/* The caller's own buffers in a table of its own stay. */
static void shared_table(void **state)
{
	static uint8_t own[PAGE] = "own";
	struct iovec iov = {own, PAGE};
	__u64 tag = 0;
	struct fix x;

	(void)state;
	for (int shared = 1; shared >= 0; shared--) {
		struct sluice_fixed_cfg cfg = {.first = 1, .nr = 99};

		rig_up(&x.r, NULL);
		for (int i = 0; i < 3; i++)
			x.arena[i] = new_arena(&x);
		x.file = memfd_create("fixed", MFD_CLOEXEC);
		assert_int_equal(io_uring_queue_init(8, &x.ring, 0), 0);
		cfg.ring_fd = x.ring.ring_fd;
		if (shared) {
			cfg.flags = SLUICE_FIXED_SHARED;
			assert_int_equal(
			        io_uring_register_buffers_sparse(&x.ring, 100),
			        0);
		}
		assert_int_equal(sluice_fixed_open(&cfg, &x.fixed), 0);
		assert_int_equal(io_uring_register_buffers_update_tag(
		                         &x.ring, 0, &iov, &tag, 1),
		                 1);
		assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), 0);
		carry(&x, x.arena[2]);
		assert_int_equal(move(&x, true, own, PAGE, 0, 0), PAGE);
		sluice_fixed_close(x.fixed);
		x.fixed = NULL;
		assert_int_equal(move(&x, true, own, PAGE, 0, 0),
		                 shared ? (int)PAGE : -EFAULT);
		assert_int_equal(
		        move(&x, true, base_of(x.arena[2]), PAGE, 0, 1),
		        -EFAULT);
		down(&x);
	}
}

/* ---- refusals ---- */

static int open_with(int fd, uint32_t first, uint32_t nr, uint32_t flags,
                     struct sluice_fixed **ret)
{
	struct sluice_fixed_cfg cfg = {
	        .ring_fd = fd, .first = first, .nr = nr, .flags = flags};

	return sluice_fixed_open(&cfg, ret);
}

static void bad_opens(void **state)
{
	struct sluice_fixed *f = NULL;
	struct io_uring ring;
	int fd;

	(void)state;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	fd = ring.ring_fd;
	assert_int_equal(sluice_fixed_open(NULL, &f), -EINVAL);
	assert_int_equal(sluice_fixed_open(&(struct sluice_fixed_cfg){0}, NULL),
	                 -EINVAL);
	assert_int_equal(open_with(-1, 0, 0, 0, &f), -EINVAL);
	assert_int_equal(open_with(fd, 0, 0, 2, &f), -EINVAL);
	assert_int_equal(open_with(fd, 0, 16385, 0, &f), -EINVAL);
	assert_int_equal(open_with(fd, 16384, 1, 0, &f), -EINVAL);
	assert_int_equal(open_with(fd, UINT32_MAX, 2, 0, &f), -EINVAL);
	assert_int_equal(open_with(1 << 20, 0, 0, 0, &f), -EBADF);
	assert_int_equal(open_with(0, 0, 0, 0, &f), -EOPNOTSUPP);
	assert_int_equal(open_with(fd, 0, 0, SLUICE_FIXED_SHARED, &f), -ENXIO);
	assert_null(f);
	assert_int_equal(open_with(fd, 0, 16384, 0, &f), 0);
	sluice_fixed_close(f);
	f = NULL;
	assert_int_equal(io_uring_register_buffers_sparse(&ring, 100), 0);
	assert_int_equal(open_with(fd, 0, 0, 0, &f), -EBUSY);
	assert_non_null(strstr(sluice_last_error(), "SLUICE_FIXED_SHARED"));
	assert_int_equal(open_with(fd, 1, 100, SLUICE_FIXED_SHARED, &f),
	                 -EINVAL);
	assert_null(f);
	sluice_fixed_close(NULL);
	io_uring_queue_exit(&ring);
}

static void bad_calls(void **state)
{
	uint32_t index = 77;
	struct fix x;

	(void)state;
	up(&x, &(struct sluice_fixed_cfg){.nr = 1}, FIXED_PIECE_LG2);
	assert_int_equal(sluice_fixed_add(NULL, x.arena[0]), -EINVAL);
	assert_int_equal(sluice_fixed_add(x.fixed, NULL), -EINVAL);
	assert_int_equal(sluice_fixed_remove(NULL, x.arena[0]), -EINVAL);
	assert_int_equal(sluice_fixed_remove(x.fixed, NULL), -EINVAL);
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), -ENOENT);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), -EEXIST);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[1]), -ENOSPC);
	assert_int_equal(
	        sluice_fixed_index(NULL, base_of(x.arena[0]), 1, &index),
	        -EINVAL);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[0]), 1, NULL),
	        -EINVAL);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[0]), 0, &index),
	        -EINVAL);
	assert_int_equal(sluice_fixed_index(x.fixed, &x, 1, &index), -EFAULT);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[0]) - 1, 1, &index),
	        -EFAULT);
	assert_int_equal(sluice_fixed_index(x.fixed, base_of(x.arena[0]) + SIZE,
	                                    1, &index),
	                 -EFAULT);
	assert_int_equal(index, 77);
	carry(&x, x.arena[0]);
	down(&x);
}

static void *from_elsewhere(void *arg)
{
	struct fix *x = arg;

	return (void *)(intptr_t)sluice_fixed_add(x->fixed, x->arena[1]);
}

static void single_issuer(void **state)
{
	pthread_t thread;
	struct fix x;
	void *rc;

	(void)state;
	rig_up(&x.r, NULL);
	if (io_uring_queue_init(8, &x.ring, IORING_SETUP_SINGLE_ISSUER)) {
		rig_down(&x.r);
		print_message("skipped: no IORING_SETUP_SINGLE_ISSUER\n");
		skip();
	}
	for (int i = 0; i < 3; i++)
		x.arena[i] = new_arena(&x);
	x.file = memfd_create("fixed", MFD_CLOEXEC);
	assert_int_equal(open_with(x.ring.ring_fd, 0, 2, 0, &x.fixed), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(pthread_create(&thread, NULL, from_elsewhere, &x), 0);
	assert_int_equal(pthread_join(thread, &rc), 0);
	assert_int_equal((intptr_t)rc, -EEXIST);
	/* Nothing of it stayed. */
	sluice_arena_destroy(x.arena[1]);
	x.arena[1] = NULL;
	carry(&x, x.arena[0]);
	down(&x);
}

/* ---- other kernels: what the table of system calls answers ---- */

static struct sys_table table;
static int answer[8], nr_answers;

static int uring_register(int fd, unsigned opcode, const void *arg, unsigned nr)
{
	int rc = nr_answers ? answer[0] : 1;

	if (nr_answers) {
		memmove(answer, answer + 1, sizeof(answer) - sizeof(answer[0]));
		nr_answers--;
	}
	/* 1: ask the kernel. */
	return rc == 1 ? sys_kernel.uring_register(fd, opcode, arg, nr) : rc;
}

static void answers(int nr, int a, int b, int c)
{
	table = sys_kernel;
	table.uring_register = uring_register;
	sys = &table;
	nr_answers = nr;
	answer[0] = a;
	answer[1] = b;
	answer[2] = c;
}

static void other_kernels(void **state)
{
	struct sluice_fixed *f = NULL;
	struct fix x;

	(void)state;
	up(&x, NULL, K64_LG2);
	answers(1, -EINVAL, 0, 0);
	assert_int_equal(open_with(x.ring.ring_fd, 0, 0, 0, &f), -EOPNOTSUPP);
	assert_non_null(strstr(sluice_last_error(), "5.19"));
	answers(1, -EPERM, 0, 0);
	assert_int_equal(open_with(x.ring.ring_fd, 0, 0, 0, &f), -EPERM);
	/* The third of four pieces is refused: the others go again. */
	answers(3, 1, 1, -ENOMEM);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), -ENOMEM);
	assert_int_equal(nr_answers, 0);
	no_longer(&x, x.arena[0], 0);
	no_longer(&x, x.arena[0], 1);
	answers(1, 0, 0, 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), -EIO);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	/* It does not let go, then it does. */
	answers(1, -ENOMEM, 0, 0);
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), -ENOMEM);
	sluice_arena_destroy(x.arena[0]);
	assert_non_null(strstr(sluice_last_error(), "sluice_fixed_remove()"));
	carry(&x, x.arena[0]);
	/* Two of four at first. */
	answers(1, 2, 0, 0);
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), 0);
	no_longer(&x, x.arena[0], 0);
	sys = &sys_kernel;
	down(&x);
}

/* ---- in a child ---- */

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "in a child: %s: \"%s\"\n", what, sluice_last_error());
	_exit(1);
}

static void assert_child(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void after_fork(void **state)
{
	uint32_t index;
	struct fix x;
	uint8_t *va;
	pid_t pid;

	(void)state;
	up(&x, NULL, FIXED_PIECE_LG2);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	va = base_of(x.arena[0]);
	pid = fork();
	if (pid == 0) {
		require(sluice_fixed_add(x.fixed, x.arena[1]) == -EPERM, "add");
		require(sluice_fixed_remove(x.fixed, x.arena[0]) == -EPERM,
		        "remove");
		require(sluice_fixed_index(x.fixed, va, 1, &index) == -EPERM,
		        "index");
		require(strstr(sluice_last_error(), "another process"), "text");
		sluice_fixed_close(x.fixed);
		_exit(0);
	}
	assert_child(pid);
	carry(&x, x.arena[0]);
	down(&x);
}

/* A user who may lock one arena and a bit, without CAP_IPC_LOCK. */
static void child_with_little(void)
{
	const struct rlimit lim = {SIZE + SIZE / 2, SIZE + SIZE / 2};
	struct fix x;
	int rc;

	require(!setrlimit(RLIMIT_MEMLOCK, &lim), "setrlimit");
	/* Nobody's id that no other test has. */
	require(getuid() || !setresuid(63219, 63219, 63219), "setresuid");
	up(&x, NULL, K64_LG2);
	rc = sluice_fixed_add(x.fixed, x.arena[0]);
	require(rc == 0, "the first");
	rc = sluice_fixed_add(x.fixed, x.arena[1]);
	require(rc == -ENOMEM, "the second");
	/* 393216 + 262144 bytes. */
	require(strstr(sluice_last_error(), "cannot pin 262144 bytes") &&
	                strstr(sluice_last_error(), "`ulimit -l 640`"),
	        "text");
	carry(&x, x.arena[0]);
	/* Room that is given back is room. */
	require(sluice_fixed_remove(x.fixed, x.arena[0]) == 0, "remove");
	for (int i = 0; i < 1000 && rc; i++) {
		usleep(1000); /* the kernel lets go in its own time */
		rc = sluice_fixed_add(x.fixed, x.arena[1]);
	}
	require(rc == 0, "the second, later");
	carry(&x, x.arena[1]);
	_exit(0);
}

static void little_memlock(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		child_with_little();
	assert_child(pid);
}

/* ---- as the kernel has it ---- */

/* More than a GiB takes two buffers. SLUICE_LONG=1. */
static void more_than_a_gib(void **state)
{
	const struct sluice_arena_cfg cfg = {.size = (1ull << 30) + PAGE,
	                                     .no_huge = 1};
	struct sluice_arena *a;
	uint32_t index = 0;
	uintptr_t va;
	uint64_t len;
	struct fix x;

	(void)state;
	if (!getenv("SLUICE_LONG"))
		skip();
	up(&x, &(struct sluice_fixed_cfg){.nr = 2}, FIXED_PIECE_LG2);
	assert_int_equal(sluice_arena_create(x.r.domain, &cfg, &a), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, a), 0);
	arena_hold(a, &va, &len);
	arena_drop(a);
	assert_int_equal(sluice_fixed_index(x.fixed,
	                                    (void *)(va + (1u << 30) - PAGE),
	                                    len, &index),
	                 PAGE);
	assert_int_equal(index, 0);
	assert_int_equal(sluice_fixed_index(x.fixed, (void *)(va + (1u << 30)),
	                                    len, &index),
	                 PAGE);
	assert_int_equal(index, 1);
	assert_int_equal(pwrite(x.file, "end", 3, 0), 3);
	assert_int_equal(
	        move(&x, false, (void *)(va + (1u << 30)), 3, 0, index), 3);
	assert_memory_equal((void *)(va + (1u << 30)), "end", 3);
	assert_int_equal(sluice_fixed_remove(x.fixed, a), 0);
	sluice_arena_destroy(a);
	down(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_slot),
	        cmocka_unit_test(several_arenas_one_ring),
	        cmocka_unit_test(one_arena_several_rings),
	        cmocka_unit_test(boundaries),
	        cmocka_unit_test(shared_table),
	        cmocka_unit_test(bad_opens),
	        cmocka_unit_test(bad_calls),
	        cmocka_unit_test(single_issuer),
	        cmocka_unit_test(other_kernels),
	        cmocka_unit_test(after_fork),
	        cmocka_unit_test(little_memlock),
	        cmocka_unit_test(more_than_a_gib),
	};
	struct io_uring ring;
	int rc = io_uring_queue_init(1, &ring, 0);

	if (rc) {
		printf("skipped: no io_uring here: %s\n", strerror(-rc));
		return 77;
	}
	io_uring_queue_exit(&ring);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
