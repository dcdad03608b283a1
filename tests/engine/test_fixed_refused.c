/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as fixed buffers, refused: by what the caller asks for, by kernels of
 * other times, by limits, and in a child. What was there before goes on.
 */
#include "tests/engine/fixed_rig.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define K64_LG2 16

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

static int add_later(struct fix *x, struct sluice_arena *a)
{
	uint64_t end = clock_ns() + PATIENCE;
	int rc;

	while ((rc = sluice_fixed_add(x->fixed, a)) == -ENOMEM &&
	       clock_ns() < end)
		usleep(1000);
	return rc;
}

/* A user who may lock one arena and a bit, without CAP_IPC_LOCK. */
static void child_with_little(void)
{
	const struct rlimit lim = {SIZE + SIZE / 2, SIZE + SIZE / 2};
	/* Nobody's id, nor that of a test beside this one. */
	const uid_t id = 20000 + (uid_t)getpid() % 40000;
	struct fix x;
	int rc;

	require(!setrlimit(RLIMIT_MEMLOCK, &lim), "setrlimit");
	require(getuid() || !setresuid(id, id, id), "setresuid");
	up(&x, NULL, K64_LG2);
	/* Without that right others may be here with the same one. */
	rc = add_later(&x, x.arena[0]);
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
	/* The kernel lets go in its own time. */
	require(add_later(&x, x.arena[1]) == 0, "the second, later");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bad_opens),
	        cmocka_unit_test(bad_calls),
	        cmocka_unit_test(single_issuer),
	        cmocka_unit_test(other_kernels),
	        cmocka_unit_test(after_fork),
	        cmocka_unit_test(little_memlock),
	};
	int rc = need_uring();

	return rc ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
