/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a socket does to messages: it fails between two of them, and it drops
 * what does not fit. What they were about is told all the same.
 */
#include "watched.h"

#include <sys/socket.h>

/* What recvmsg() answers before there is anything from the machine. */
static struct {
	int good;        /* messages that come through first */
	int rc;          /* then once; 0: none */
	unsigned boring; /* then so many that concern no device */
} fake;

static ssize_t t_recvmsg(int fd, struct msghdr *msg, int flags)
{
	static const char boring[] = "add@/module/nvme\0ACTION=add";
	int rc = fake.rc;

	if (fake.good) {
		fake.good--;
	} else if (rc) {
		fake.rc = 0;
		return rc;
	} else if (fake.boring) {
		fake.boring--;
		assert_true(msg->msg_iov->iov_len >= sizeof(boring));
		memcpy(msg->msg_iov->iov_base, boring, sizeof(boring));
		msg->msg_namelen = 0;
		msg->msg_flags = 0;
		return sizeof(boring);
	}
	return sys_kernel.recvmsg(fd, msg, flags);
}

static int make(void **state)
{
	static struct sys_table table;

	memset(&fake, 0, sizeof(fake));
	table = sys_kernel;
	table.recvmsg = t_recvmsg;
	sys = &table;
	return watch_make(state);
}

static int unmake(void **state)
{
	sys = &sys_kernel;
	return watch_unmake(state);
}

/* A message was read, then the socket failed: nobody says it again. */
static void fails_behind_a_message(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct sluice_watch_event e;

	news(w, "");
	live_unbind(l, A);
	fake.good = 1;
	fake.rc = -EIO;
	assert_int_equal(sluice_watch_poll(w, &e, 1), -EIO);
	news(w, "driver-unbound:" A);
	/* Nor what it lost when it failed at once. */
	l->quiet = 1;
	live_bind(l, A, "vfio-pci");
	fake.rc = -EIO;
	assert_int_equal(sluice_watch_poll(w, &e, 1), -EIO);
	news(w, "driver-bound:" A);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Linux says once that it drops messages, and drops them until the queue is
 * empty: what is in it when it is not read to its end may say nothing of what
 * happened since. */
static void drops_until_it_is_empty(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);

	news(w, "");
	l->quiet = 1;
	fake.rc = -ENOBUFS;
	fake.boring = 6000;
	news(w, "");
	assert_in_range(fake.boring, 1, 5999);
	live_unbind(l, A);
	news(w, "driver-unbound:" A);
	assert_int_equal(fake.boring, 0);
	/* All is read and nothing is said: no need to look. */
	live_bind(l, A, "vfio-pci");
	news(w, "");
	assert_int_equal(sluice_watch_close(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	        TEST(fails_behind_a_message),
	        TEST(drops_until_it_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
