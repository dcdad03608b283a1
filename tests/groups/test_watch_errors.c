/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A watch that is refused, told lies, or short of memory and descriptors: each
 * documented error, and after each that nothing was lost and nothing is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "groups/watch_int.h"
#include "live.h"
#include "scarce.h"
#include "util/util.h"

#define A "0000:01:00.0"
#define B "0000:01:00.1"
#define NO_WATCH ((struct sluice_watch *)(uintptr_t)0x5a5a)

/* The kernel's netlink, over the pair of the machine. */
static struct {
	struct live *l;
	int socket_rc, bind_rc, force_rc;
	int recv_rc; /* once; 0: what was sent */
	int family;  /* of senders */
	uint32_t pid;
	int closes, options;
	int vanishing; /* of groups: reserved_regions goes while it is read */
	long left;     /* file calls that still succeed; negative: all */
	int err;
} fake;

static int fails(void)
{
	if (fake.left < 0)
		return 0;
	return fake.left-- == 0 ? fake.err : 0;
}

static int t_openat(int at, const char *path, int flags)
{
	int err = fails();

	if (fake.vanishing && strcmp(path, "reserved_regions") == 0)
		return -ENODEV;
	return err ? -err : sys_kernel.openat(at, path, flags);
}

static ssize_t t_read(int fd, void *buf, size_t len)
{
	int err = fails();

	return err ? -err : sys_kernel.read(fd, buf, len);
}

static ssize_t t_readlinkat(int at, const char *path, char *buf, size_t len)
{
	int err = fails();

	return err ? -err : sys_kernel.readlinkat(at, path, buf, len);
}

static ssize_t t_getdents(int fd, void *buf, size_t len)
{
	int err = fails();

	return err ? -err : sys_kernel.getdents(fd, buf, len);
}

static int t_close(int fd)
{
	if (fd == fake.l->fd[0]) {
		fake.closes++;
		return 0;
	}
	return sys_kernel.close(fd);
}

static int t_socket(int family, int type, int protocol)
{
	assert_int_equal(family, AF_NETLINK);
	assert_int_equal(type, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_equal(protocol, NETLINK_KOBJECT_UEVENT);
	return fake.socket_rc ? fake.socket_rc : fake.l->fd[0];
}

static int t_setsockopt(int fd, int level, int name, const void *val,
                        unsigned len)
{
	assert_int_equal(fd, fake.l->fd[0]);
	assert_int_equal(level, SOL_SOCKET);
	assert_true(val && len == sizeof(int));
	fake.options++;
	return name == SO_RCVBUFFORCE ? fake.force_rc : -EPERM;
}

static int t_bind(int fd, const struct sockaddr *addr, unsigned len)
{
	struct sockaddr_nl nl;

	assert_int_equal(fd, fake.l->fd[0]);
	assert_int_equal(len, sizeof(nl));
	memcpy(&nl, addr, sizeof(nl));
	assert_int_equal(nl.nl_family, AF_NETLINK);
	assert_int_equal(nl.nl_groups, 1);
	return fake.bind_rc;
}

static ssize_t t_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl nl = {.nl_family = (sa_family_t)fake.family,
	                         .nl_pid = fake.pid};
	ssize_t n = fake.recv_rc;

	fake.recv_rc = 0;
	assert_true(flags & MSG_DONTWAIT);
	if (n)
		return n;
	n = sys_kernel.recvmsg(fd, msg, flags);
	if (n < 0 || !fake.family)
		return n;
	memcpy(msg->msg_name, &nl, sizeof(nl));
	msg->msg_namelen = sizeof(nl);
	return n;
}

static int make(void **state)
{
	static struct sys_table table;
	struct live *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	live_new(l);
	live_add(l, A, 3, "vfio-pci");
	live_add(l, B, 3, NULL);
	*state = l;
	memset(&fake, 0, sizeof(fake));
	fake.l = l;
	fake.left = -1;
	fake.family = AF_NETLINK;
	table = sys_kernel;
	table.openat = t_openat;
	table.read = t_read;
	table.readlinkat = t_readlinkat;
	table.getdents = t_getdents;
	table.close = t_close;
	table.socket = t_socket;
	table.setsockopt = t_setsockopt;
	table.bind = t_bind;
	table.recvmsg = t_recvmsg;
	sys = &table;
	return 0;
}

static int unmake(void **state)
{
	sys = &sys_kernel;
	allocations = -1;
	live_free(*state);
	free(*state);
	return 0;
}

static int open_kernel(const struct live *l, struct sluice_watch **ret)
{
	const struct sluice_watch_cfg cfg = {.sysfs_root = l->tree.root};

	return sluice_watch_open(&cfg, ret);
}

static struct sluice_watch *opened(const struct live *l)
{
	struct sluice_watch *w = NULL;

	assert_int_equal(open_kernel(l, &w), 0);
	return w;
}

static void said(const char *word)
{
	if (!strstr(msg_last(), word))
		fail_msg("no \"%s\" in \"%s\"", word, msg_last());
}

static void open_refused(void **state)
{
	struct live *l = *state;
	struct sluice_watch_cfg cfg = {.sysfs_root = l->tree.root};
	struct sluice_watch *w = NO_WATCH;
	static const int rcs[] = {-EAFNOSUPPORT, -EPROTONOSUPPORT, -EPERM,
	                          -EMFILE};

	assert_int_equal(sluice_watch_open(&cfg, NULL), -EINVAL);
	cfg.flags = 0x80;
	assert_int_equal(sluice_watch_open(&cfg, &w), -EINVAL);
	said("SLUICE_WATCH_");
	cfg.flags = SLUICE_WATCH_EVENT_FD;
	cfg.event_fd = -1;
	assert_int_equal(sluice_watch_open(&cfg, &w), -EINVAL);
	said("event_fd -1");
	cfg.event_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sluice_watch_open(&cfg, &w), -EINVAL);
	close(cfg.event_fd);
	for (size_t i = 0; i < NR_OF(rcs); i++) {
		fake.socket_rc = rcs[i];
		assert_int_equal(open_kernel(l, &w), rcs[i]);
		said("SLUICE_WATCH_EVENT_FD");
		fake.socket_rc = 0;
		fake.bind_rc = rcs[i];
		assert_int_equal(open_kernel(l, &w), rcs[i]);
		said("bind");
		assert_int_equal(fake.closes, (int)i + 1);
		fake.bind_rc = 0;
	}
	cfg.flags = 0;
	cfg.sysfs_root = "/nonexistent";
	assert_int_equal(sluice_watch_open(&cfg, &w), -ENOENT);
	assert_ptr_equal(w, NO_WATCH);
	/* A long queue is a wish. */
	fake.options = 0;
	fake.force_rc = -EPERM;
	w = opened(l);
	assert_int_equal(fake.options, 2);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void arguments(void **state)
{
	struct sluice_watch *w = opened(*state);
	const struct sluice_watch_device *d;
	const struct sluice_watch_group *g;
	struct sluice_watch_event e;
	sluice_handle_t h, dev;

	assert_int_equal(sluice_watch_close(NULL), 0);
	assert_int_equal(sluice_watch_fd(NULL), -EINVAL);
	assert_int_equal(sluice_watch_poll(NULL, &e, 1), -EINVAL);
	assert_int_equal(sluice_watch_poll(w, NULL, 1), -EINVAL);
	assert_int_equal(sluice_watch_poll(w, &e, 1u << 31), -EINVAL);
	assert_int_equal(sluice_watch_find(w, NULL, &h), -EINVAL);
	assert_int_equal(sluice_watch_find(NULL, A, &h), -EINVAL);
	assert_int_equal(sluice_watch_find(w, A, NULL), -EINVAL);
	assert_int_equal(sluice_watch_find(w, "0000:07:00.0", &h), -ENODEV);
	assert_int_equal(sluice_watch_find_group(NULL, 3, &h), -EINVAL);
	assert_int_equal(sluice_watch_find_group(w, 3, NULL), -EINVAL);
	assert_int_equal(sluice_watch_find_group(w, 7, &h), -ENOENT);
	said("no group 7");
	assert_int_equal(sluice_watch_find_group(w, 3, &h), 0);
	assert_int_equal(sluice_watch_find(w, A, &dev), 0);
	assert_int_equal(sluice_watch_get_device(NULL, dev, &d), -EINVAL);
	assert_int_equal(sluice_watch_get_device(w, dev, NULL), -EINVAL);
	assert_int_equal(sluice_watch_get_group(NULL, h, &g), -EINVAL);
	assert_int_equal(sluice_watch_get_group(w, h, NULL), -EINVAL);
	/* Never handles: none, of the other kind, of no place, of later. */
	assert_int_equal(sluice_watch_get_device(w, 0, &d), -EINVAL);
	assert_int_equal(sluice_watch_get_device(w, h, &d), -EINVAL);
	said("no handle of a device");
	assert_int_equal(sluice_watch_get_group(w, dev, &g), -EINVAL);
	assert_int_equal(sluice_watch_get_device(w, dev + 100, &d), -EINVAL);
	assert_int_equal(sluice_watch_get_device(w, dev + (1ull << 32), &d),
	                 -EINVAL);
	assert_int_equal(sluice_watch_claim(NULL, h, NULL), -EINVAL);
	assert_int_equal(sluice_watch_claim(w, dev, NULL), -EINVAL);
	assert_int_equal(sluice_watch_release(NULL, h), -EINVAL);
	assert_int_equal(sluice_watch_release(w, dev), -EINVAL);
	assert_int_equal(sluice_watch_release(w, h), -ENOENT);
	said("not claimed");
	assert_int_equal(sluice_watch_complete(NULL, h, NULL, 0), -EINVAL);
	assert_int_equal(sluice_watch_complete(w, dev, NULL, 0), -EINVAL);
	assert_int_equal(sluice_watch_complete(w, h, NULL, 0), -ENOENT);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Only the kernel can make it look. */
static void senders(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = opened(l);

	assert_string_equal(live_news(w), "");
	fake.pid = 4711;
	live_unbind(l, A);
	assert_string_equal(live_news(w), "");
	fake.pid = 0;
	fake.family = 0; /* no address, as of a socket pair */
	live_uevent(l, "unbind", A);
	assert_string_equal(live_news(w), "");
	fake.family = AF_UNIX;
	live_uevent(l, "unbind", A);
	assert_string_equal(live_news(w), "");
	fake.family = AF_NETLINK;
	live_uevent(l, "unbind", A);
	assert_string_equal(live_news(w), "driver-unbound:" A);
	assert_int_equal(sluice_watch_close(w), 0);
	assert_int_equal(fake.closes, 1);
}

/* Messages that were dropped: everything is looked at. */
static void overflow(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = opened(l);
	struct sluice_watch_event e;

	live_news(w);
	l->quiet = 1;
	live_remove(l, A, 3);
	live_add(l, A, 3, NULL);
	live_bind(l, B, "nvme");
	assert_string_equal(live_news(w), "");
	fake.recv_rc = -ENOBUFS;
	assert_string_equal(live_news(w),
	                    "member-left:" A " device-removed:" A
	                    " device-added:" A " member-joined:" A
	                    " driver-bound:" B " group-not-viable:3");
	fake.recv_rc = -EINTR;
	assert_string_equal(live_news(w), "");
	fake.recv_rc = -EBADF;
	assert_int_equal(sluice_watch_poll(w, &e, 1), -EBADF);
	said("cannot read the messages");
	assert_int_equal(sluice_watch_close(w), 0);
}

/* All that was said is read before it looks. */
static void drained(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = opened(l);
	char c;

	for (int i = 0; i < 4; i++)
		live_uevent(l, "add", A);
	assert_string_equal(live_news(w), "");
	assert_int_equal(recv(l->fd[0], &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void malformed_regions(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = opened(l);
	struct sluice_watch_event e;

	/* What is waiting is told first. */
	live_bind(l, B, "nvme");
	assert_int_equal(sluice_watch_poll(w, &e, 1), 1);
	live_regions(l, 3, "0x1000 msi\n");
	live_unbind(l, A);
	assert_int_equal(sluice_watch_poll(w, &e, 1), 1);
	assert_int_equal(e.kind, SLUICE_WATCH_GROUP_NOT_VIABLE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sluice_watch_poll(w, &e, 1), -EBADMSG);
		said("reserved_regions");
	}
	live_regions(l, 3, "");
	assert_string_equal(live_news(w), "driver-unbound:" A);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* A group that goes while it is read is gone, and no reason to give up. */
static void vanishing_group(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = opened(l);

	live_news(w);
	fake.vanishing = 1;
	sluice_watch_refresh(w);
	assert_string_equal(live_news(w), "member-left:" A " member-left:" B
	                                  " group-removed:3");
	fake.vanishing = 0;
	sluice_watch_refresh(w);
	assert_string_equal(live_news(w),
	                    "group-added:3 member-joined:" A " member-joined:" B
	                    " group-viable:3");
	assert_int_equal(sluice_watch_close(w), 0);
}

static const char changed[] =
        "!member-left:" A " device-removed:" A
        " group-added:5 device-added:0000:00:05.0 "
        "member-joined:0000:00:05.0 driver-bound:0000:00:05.0 "
        "driver-bound:" B " !regions-changed:3 group-viable:5";

/* One look in which something fails: nothing has changed, and the next one
 * tells all of it. False: nothing failed. */
static int one_look(struct live *l, long files, int err, int memory)
{
	struct sluice_watch_event e[16];
	struct sluice_watch *w = opened(l);
	sluice_handle_t a, b, h[8], g;
	int n, failed;

	assert_int_equal(sluice_watch_find_group(w, 3, &g), 0);
	assert_int_equal(sluice_watch_find(w, A, &a), 0);
	assert_int_equal(sluice_watch_claim(w, g, NULL), 0);
	live_remove(l, A, 3);
	live_add(l, "0000:00:05.0", 5, "vfio-pci");
	live_bind(l, B, "vfio-pci");
	live_regions(l, 3, "0x1000 0x1fff direct\n");
	fake.left = files;
	fake.err = err;
	allocations = memory;
	msg_set("of another call");
	n = sluice_watch_poll(w, e, 16);
	failed = n < 0;
	fake.left = -1;
	allocations = -1;
	if (failed) {
		assert_int_equal(n, memory >= 0 ? -ENOMEM : -err);
		assert_string_not_equal(msg_last(), "of another call");
		assert_int_equal(sluice_watch_devices(w, h, 8), 2);
		assert_int_equal(sluice_watch_find(w, A, &b), 0);
		assert_true(a == b);
		assert_int_equal(sluice_watch_groups(w, h, 8), 1);
		assert_int_equal(sluice_watch_complete(w, g, NULL, 0), 1);
		assert_string_equal(live_news(w), changed);
	} else {
		assert_int_equal(n, 9);
	}
	assert_int_equal(sluice_watch_complete(w, g, NULL, 0), 0);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
	/* As it was. */
	live_remove(l, "0000:00:05.0", 5);
	live_regions(l, 3, "");
	live_unbind(l, B);
	live_add(l, A, 3, "vfio-pci");
	return failed;
}

static void no_descriptors(void **state)
{
	long n = 0;

	while (one_look(*state, n, EMFILE, -1))
		n++;
	assert_in_range(n, 60, 400);
}

static void no_memory(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = NO_WATCH;
	const struct sluice_watch_device *d = NULL;
	const struct sluice_watch_group *g = NULL;
	sluice_handle_t dev, grp;
	int n = 0;

	while (one_look(l, -1, 0, n))
		n++;
	assert_in_range(n, 20, 400);
	for (n = 0;; n++) {
		int rc;

		allocations = n;
		rc = open_kernel(l, &w);
		allocations = -1;
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_ptr_equal(w, NO_WATCH);
	}
	assert_in_range(n, 20, 400);
	assert_int_equal(sluice_watch_find(w, A, &dev), 0);
	assert_int_equal(sluice_watch_find_group(w, 3, &grp), 0);
	allocations = 0;
	assert_int_equal(sluice_watch_get_device(w, dev, &d), -ENOMEM);
	assert_int_equal(sluice_watch_get_group(w, grp, &g), -ENOMEM);
	assert_int_equal(sluice_watch_claim(w, grp, NULL), -ENOMEM);
	allocations = -1;
	assert_int_equal(sluice_watch_close(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, unmake)
	        TEST(open_refused),    TEST(arguments),
	        TEST(senders),         TEST(overflow),
	        TEST(drained),         TEST(malformed_regions),
	        TEST(vanishing_group), TEST(no_descriptors),
	        TEST(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
