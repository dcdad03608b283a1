/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric, every kind of it, on the kernel of this machine and on kernels
 * that refuse: a seccomp filter in a child process plays those.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/backend.h"
#include "tests/backend/deny.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const enum fabric_kind kinds[] = {FABRIC_MSG_RING, FABRIC_EVENTFD,
                                         FABRIC_PLAIN};
static bool have_msg_ring, have_seccomp;

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
	struct fabric_port *port;

	(void)state;
	if (fabric_port_create(1, FABRIC_MSG_RING, &port))
		return -1;
	have_msg_ring = fabric_port_kind(port) == FABRIC_MSG_RING;
	fabric_port_destroy(port);
	return ask_seccomp();
}

static void need(bool have, const char *what)
{
	if (have)
		return;
	print_message("skipped: the kernel, or an emulator, has no %s\n", what);
	skip();
}

static void pair(enum fabric_kind kind, uint32_t entries,
                 struct fabric_port **port, struct fabric_source **source)
{
	assert_int_equal(fabric_port_create(entries, kind, port), 0);
	if (kind != FABRIC_MSG_RING || have_msg_ring)
		assert_int_equal(fabric_port_kind(*port), kind);
	assert_int_equal(fabric_source_create(source), 0);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static uint32_t drain(struct fabric_port *port, uint64_t first, uint32_t nr)
{
	struct fabric_cqe cqe[7];
	uint32_t done = 0, n;

	while (done < nr &&
	       (n = fabric_reap(port, cqe, (uint32_t)min_u64(7, nr - done))))
		for (uint32_t i = 0; i < n; i++, done++) {
			assert_int_equal(cqe[i].id, first + done);
			assert_int_equal(cqe[i].res, -(int32_t)(first + done));
		}
	return done;
}

static void test_order_and_count(void **state)
{
	struct fabric_source *source;
	struct fabric_port *port;
	struct fabric_cqe one;

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		pair(kinds[k], 1000, &port, &source);
		assert_int_equal(fabric_reap(port, &one, 1), 0);
		for (uint32_t round = 0; round < 8; round++) {
			for (uint32_t i = 0; i < 1000; i++)
				fabric_post(source, port, i, -(int32_t)i);
			fabric_flush(source);
			assert_int_equal(drain(port, 0, 1000), 1000);
			assert_int_equal(fabric_reap(port, &one, 1), 0);
		}
		fabric_source_destroy(source);
		fabric_port_destroy(port);
	}
}

/* The descriptor is readable exactly while completions wait. */
static void test_descriptor(void **state)
{
	struct fabric_source *source;
	struct fabric_port *port;
	int fd;

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		pair(kinds[k], 64, &port, &source);
		/* Posted before anybody asked for the descriptor. */
		fabric_post(source, port, 0, 0);
		fabric_flush(source);
		fd = fabric_port_fd(port);
		assert_true(readable(fd));
		assert_int_equal(drain(port, 0, 1), 1);
		assert_false(readable(fd));
		for (uint32_t round = 0; round < 3; round++) {
			for (uint32_t i = 0; i < 20; i++)
				fabric_post(source, port, i, -(int32_t)i);
			fabric_flush(source);
			assert_true(readable(fd));
			assert_int_equal(drain(port, 0, 5), 5);
			assert_true(readable(fd));
			assert_int_equal(drain(port, 5, 15), 15);
			assert_false(readable(fd));
		}
		fabric_source_destroy(source);
		fabric_port_destroy(port);
	}
	pair(FABRIC_PLAIN, 64, &port, &source);
	assert_int_equal(fabric_port_fd(port), -EOPNOTSUPP);
	fabric_source_destroy(source);
	fabric_port_destroy(port);
}

static void test_bad_arguments(void **state)
{
	struct fabric_port *port = NULL;

	(void)state;
	assert_int_equal(fabric_port_create(0, FABRIC_PLAIN, &port), -EINVAL);
	assert_int_equal(
	        fabric_port_create((1u << 15) + 1, FABRIC_PLAIN, &port),
	        -EINVAL);
	assert_null(port);
	fabric_port_destroy(NULL);
	fabric_source_destroy(NULL);
}

/* ---- several posters, a reader that sleeps, memory that must be seen ---- */

#define POSTERS 3
#define POSTS 20000u
#define WINDOW 1024u

struct poster {
	pthread_t thread;
	struct fabric_port *port;
	uint32_t first;
	uint32_t *slot; /* written before the post, read after the reap */
	au64 credit;    /* completions this poster may have outstanding */
};

static void *post_all(void *arg)
{
	struct poster *p = arg;
	struct fabric_source *source;

	if (fabric_source_create(&source))
		return NULL;
	for (uint32_t i = 0; i < POSTS; i++) {
		if (ld_acq(&p->credit) == i) {
			fabric_flush(source);
			while (ld_acq(&p->credit) == i)
				sched_yield();
		}
		p->slot[i % WINDOW] = i;
		fabric_post(source, p->port, p->first + i, (int32_t)i);
		if (i % 16 == 15)
			fabric_flush(source);
	}
	fabric_source_destroy(source);
	return source;
}

static void collect(struct poster *poster, struct fabric_port *port, int fd)
{
	uint32_t next[POSTERS] = {0};
	struct fabric_cqe cqe[64];

	for (uint32_t done = 0; done < POSTERS * POSTS;) {
		uint32_t n = fabric_reap(port, cqe, 64);

		if (n == 0 && fd >= 0) {
			struct pollfd p = {.fd = fd, .events = POLLIN};

			assert_int_equal(poll(&p, 1, 20000), 1);
		} else if (n == 0) {
			sched_yield();
		}
		for (uint32_t i = 0; i < n; i++, done++) {
			uint32_t who = (uint32_t)(cqe[i].id / POSTS);
			struct poster *p = &poster[who];

			assert_true(who < POSTERS);
			assert_int_equal(cqe[i].res, next[who]);
			assert_int_equal(p->slot[next[who] % WINDOW],
			                 next[who]);
			next[who]++;
			st_rel(&p->credit, next[who] + WINDOW);
		}
	}
}

static void test_many_posters(void **state)
{
	static uint32_t slot[POSTERS][WINDOW];

	(void)state;
	for (size_t k = 0; k < 6; k++) {
		struct poster poster[POSTERS];
		struct fabric_port *port;
		int fd;

		assert_int_equal(fabric_port_create(POSTERS * WINDOW,
		                                    kinds[k % 3], &port),
		                 0);
		fd = k < 3 ? -1 : fabric_port_fd(port);
		for (uint32_t i = 0; i < POSTERS; i++) {
			poster[i].port = port;
			poster[i].first = i * POSTS;
			poster[i].slot = slot[i];
			st_rlx(&poster[i].credit, WINDOW);
			assert_int_equal(pthread_create(&poster[i].thread, NULL,
			                                post_all, &poster[i]),
			                 0);
		}
		collect(poster, port, fd);
		/* The posters may still be ringing: destroy waits for them. */
		fabric_port_destroy(port);
		for (uint32_t i = 0; i < POSTERS; i++) {
			void *ok;

			pthread_join(poster[i].thread, &ok);
			assert_non_null(ok);
		}
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
	struct fabric_port *port[3];
	struct fabric_cqe cqe[8];
	uint32_t n = 0;

	EXPECT(fabric_source_create(&source) == 0);
	for (size_t k = 0; k < 3; k++) {
		EXPECT(fabric_port_create(64, kinds[k], &port[k]) == 0);
		for (uint32_t i = 0; i < 20; i++)
			fabric_post(source, port[k], i, 0);
	}
	fabric_flush(source);
	EXPECT(deny_all_but_exit() == 0);
	for (uint32_t i = 0; i < 300; i++)
		n += fabric_reap(port[i % 3], cqe, 8);
	syscall(SYS_exit_group, n == 60 ? 0 : 1);
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
	need(have_msg_ring, "IORING_OP_MSG_RING");
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
	        cmocka_unit_test(test_order_and_count),
	        cmocka_unit_test(test_descriptor),
	        cmocka_unit_test(test_bad_arguments),
	        cmocka_unit_test(test_refusals),
	        cmocka_unit_test(test_broken_messages),
	        cmocka_unit_test(test_silent),
	        cmocka_unit_test(test_many_posters),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
