/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric and the kernel: when it is entered, and kernels that refuse. A
 * seccomp filter in a child process plays those.
 */
#include "tests/backend/fabric_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/backend/deny.h"

static bool have_seccomp;

static int ask_seccomp(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(deny(SYS_io_uring_setup, ENOSYS) == 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	have_seccomp = WIFEXITED(status) && WEXITSTATUS(status);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return ask_seccomp();
}

static void need(bool have, const char *what)
{
	if (have)
		return;
	print_message("skipped: the kernel, or an emulator, has no %s\n", what);
	skip();
}

/* ---- system calls ---- */

static uint32_t nr_calls;
static struct sys_table counted;

static int counted_submit(struct io_uring *ring, unsigned wait)
{
	nr_calls++;
	return sys_kernel.uring_submit(ring, wait);
}

static ssize_t counted_write(int fd, const void *buf, size_t len)
{
	nr_calls++;
	return sys_kernel.write(fd, buf, len);
}

/* A source enters the kernel for the sake of who may sleep, and of nobody else.
 */
static void test_calls(void **state)
{
	struct fabric_source *source;
	struct fabric_port *port;

	(void)state;
	counted = sys_kernel;
	counted.uring_submit = counted_submit;
	counted.write = counted_write;
	for (size_t k = 0; k < 3; k++) {
		pair(fabric_kinds[k], 64, &port, &source);
		sys = &counted;
		nr_calls = 0;
		for (uint32_t i = 0; i < 50; i++) {
			fabric_post(source, port, i, -(int32_t)i);
			fabric_flush(source);
		}
		assert_int_equal(drain(port, 0, 50), 50);
		assert_int_equal(nr_calls, 0);
		sys = &sys_kernel;
		(void)fabric_port_fd(port);
		sys = &counted;
		fabric_post(source, port, 0, 0);
		fabric_flush(source);
		assert_int_equal(nr_calls, fabric_kinds[k] != FABRIC_PLAIN);
		sys = &sys_kernel;
		assert_int_equal(drain(port, 0, 1), 1);
		fabric_source_destroy(source);
		fabric_port_destroy(port);
	}
}

/* ---- kernels that refuse ---- */

/* Runs in a child, whose exit code is 0 or the line that failed. */
#define EXPECT(cond)                                                           \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
			        #cond);                                        \
			_exit(1);                                              \
		}                                                              \
	} while (0)

static void in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void round_trip(struct fabric_source *source, struct fabric_port *port)
{
	struct fabric_cqe cqe[600];
	uint32_t n = 0;

	/* Who does not ask is sent no messages. */
	(void)fabric_port_fd(port);
	for (uint32_t i = 0; i < 600; i++)
		fabric_post(source, port, i, (int32_t)i);
	fabric_flush(source);
	if (fabric_port_kind(port) != FABRIC_PLAIN)
		EXPECT(readable(fabric_port_fd(port)));
	/* At first less than waits: the descriptor must not fall asleep. */
	n += fabric_reap(port, cqe, 10);
	EXPECT(n == 10);
	if (fabric_port_kind(port) != FABRIC_PLAIN)
		EXPECT(readable(fabric_port_fd(port)));
	while (n < 600) {
		uint32_t got = fabric_reap(port, cqe + n, 600 - n);

		EXPECT(got);
		n += got;
	}
	EXPECT(fabric_reap(port, cqe, 1) == 0);
}

static void expect_kind(enum fabric_kind kind)
{
	struct fabric_source *source;
	struct fabric_port *port;

	EXPECT(fabric_port_create(600, FABRIC_MSG_RING, &port) == 0);
	EXPECT(fabric_port_kind(port) == kind);
	EXPECT(fabric_source_create(&source) == 0);
	round_trip(source, port);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

static void no_setup(void)
{
	EXPECT(deny(SYS_io_uring_setup, ENOSYS) == 0);
	expect_kind(FABRIC_EVENTFD);
}

static void no_enter(void)
{
	EXPECT(deny(SYS_io_uring_enter, EPERM) == 0);
	expect_kind(FABRIC_EVENTFD);
}

static void no_eventfd(void)
{
	EXPECT(deny(SYS_eventfd2, EPERM) == 0);
	expect_kind(FABRIC_PLAIN);
}

/* The lane's ring exists, the helper's cannot be made. */
static void no_source_ring(void)
{
	struct fabric_source *source;
	struct fabric_port *port;

	EXPECT(fabric_port_create(600, FABRIC_MSG_RING, &port) == 0);
	EXPECT(deny(SYS_io_uring_setup, EPERM) == 0);
	EXPECT(fabric_source_create(&source) == 0);
	round_trip(source, port);
	round_trip(source, port);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

/* io_uring_enter is taken away while messages are queued. */
static void enter_lost(void)
{
	struct fabric_source *source;
	struct fabric_port *port;

	EXPECT(fabric_port_create(600, FABRIC_MSG_RING, &port) == 0);
	EXPECT(fabric_source_create(&source) == 0);
	round_trip(source, port);
	EXPECT(deny(SYS_io_uring_enter, EPERM) == 0);
	round_trip(source, port);
	round_trip(source, port);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

/* The kernel refuses each message: the descriptor is no io_uring any more. */
static void message_refused(void)
{
	struct fabric_source *source;
	struct fabric_port *port;
	struct fabric_cqe cqe[600];
	uint32_t n = 0;
	int null;

	EXPECT(fabric_port_create(600, FABRIC_MSG_RING, &port) == 0);
	EXPECT(fabric_source_create(&source) == 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	EXPECT(dup2(null, fabric_port_fd(port)) >= 0);
	for (uint32_t i = 0; i < 600; i++)
		fabric_post(source, port, i, (int32_t)i);
	fabric_flush(source);
	while (n < 600) {
		uint32_t got = fabric_reap(port, cqe, 600);

		EXPECT(got);
		for (uint32_t i = 0; i < got; i++)
			EXPECT(cqe[i].id == n + i);
		n += got;
	}
	EXPECT(fabric_reap(port, cqe, 1) == 0);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

/* Reaping enters the kernel neither when nothing is there nor when something
 * is. */
static void silent_reap(void)
{
	struct fabric_source *source;
	struct fabric_port *port[4];
	struct fabric_cqe cqe[8];
	uint32_t n = 0;

	EXPECT(fabric_source_create(&source) == 0);
	for (size_t k = 0; k < 4; k++) {
		EXPECT(fabric_port_create(64, fabric_kinds[k % 3], &port[k]) ==
		       0);
		/* Its descriptor is the ring's: messages come there. */
		if (fabric_port_kind(port[k]) == FABRIC_MSG_RING && k == 3)
			(void)fabric_port_fd(port[k]);
		for (uint32_t i = 0; i < 20; i++)
			fabric_post(source, port[k], i, 0);
	}
	fabric_flush(source);
	EXPECT(deny_all_but_exit() == 0);
	for (uint32_t i = 0; i < 300; i++)
		n += fabric_reap(port[i % 4], cqe, 8);
	syscall(SYS_exit_group, n == 80 ? 0 : 1);
}

static void test_refusals(void **state)
{
	(void)state;
	need(have_seccomp, "seccomp filters");
	in_child(no_setup);
	in_child(no_enter);
	in_child(no_eventfd);
}

static void test_broken_messages(void **state)
{
	(void)state;
	need(have_msg_ring(), "IORING_OP_MSG_RING");
	need(have_seccomp, "seccomp filters");
	in_child(no_source_ring);
	in_child(enter_lost);
	in_child(message_refused);
}

static void test_silent(void **state)
{
	(void)state;
	need(have_seccomp, "seccomp filters");
	in_child(silent_reap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_calls),
	        cmocka_unit_test(test_refusals),
	        cmocka_unit_test(test_broken_messages),
	        cmocka_unit_test(test_silent),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
