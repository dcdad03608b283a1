/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where messages come from: the kernel's multicast of uevents (netlink(7),
 * NETLINK_KOBJECT_UEVENT), or a socket of the caller's. Knows who may send
 * them; what they say is uevent.c's.
 */
#include "groups/watch_int.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "groups/uevent.h"

/* The kernel's own; 2 is what udev sends when it is done. */
#define GROUP_KERNEL 1u
/* A message has at most 2 KiB of keys (lib/kobject_uevent.c) and a path. */
#define MAX_MESSAGE 8192
/* Then the fd is readable still, and the caller may look around. */
#define MAX_BURST 4096
/* What a hub of thousands of devices says at once; as a user what the system
 * allows. */
#define QUEUE_BYTES (16 << 20)

static int refused(int rc, const char *what)
{
	return msg_fmt(rc,
	               "cannot listen to the kernel's messages about devices "
	               "(%s): %s; without them, hand in a socket of your own "
	               "(SLUICE_WATCH_EVENT_FD) and call "
	               "sluice_watch_refresh() now and then",
	               what, strerror(-rc));
}

int source_open(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK,
	                           .nl_groups = GROUP_KERNEL};
	const int bytes = QUEUE_BYTES;
	int fd = sys->socket(AF_NETLINK,
	                     SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	                     NETLINK_KOBJECT_UEVENT);
	int rc;

	if (fd < 0)
		return refused(fd, "socket");
	/* A queue that is too short costs a look at everything, no event. */
	if (sys->setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
	                    sizeof(bytes)))
		(void)sys->setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes,
		                      sizeof(bytes));
	rc = sys->bind(fd, (const struct sockaddr *)(const void *)&addr,
	               sizeof(addr));
	if (rc) {
		(void)sys->close(fd);
		return refused(rc, "bind");
	}
	return fd;
}

/* The kernel is port 0, which no process can have. Of a socket of another
 * family its owner knows who writes to it. */
static bool trusted(const struct sockaddr_nl *from, size_t len, bool kernel)
{
	if (len < sizeof(from->nl_family) || from->nl_family != AF_NETLINK)
		return !kernel;
	return len >= sizeof(*from) && from->nl_pid == 0;
}

/* 1: look; 0: a message of no interest; -EAGAIN: there is none. */
static int read_one(int fd, bool kernel)
{
	char buf[MAX_MESSAGE];
	union {
		struct sockaddr_nl nl;
		struct sockaddr_storage any;
	} from;
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_name = &from,
	                     .msg_namelen = sizeof(from),
	                     .msg_iov = &iov,
	                     .msg_iovlen = 1};
	ssize_t n = sys->recvmsg(fd, &msg, MSG_DONTWAIT);
	struct uevent u;

	/* Messages were dropped: nobody knows which. */
	if (n == -ENOBUFS)
		return 1;
	if (n == -EINTR)
		return 0;
	if (n < 0)
		return (int)n;
	/* The other end of a caller's socket is closed, or says nothing. */
	if (n == 0)
		return -EAGAIN;
	if (!trusted(&from.nl, msg.msg_namelen, kernel))
		return 0;
	if (msg.msg_flags & MSG_TRUNC)
		return 1;
	return uevent_parse(buf, (size_t)n, &u) && uevent_matters(&u);
}

/* Linux drops what does not fit until the queue is empty, and says so only once
 * (net/netlink/af_netlink.c, NETLINK_S_CONGESTED). */
int source_drain(int fd, bool kernel, bool *ret_more)
{
	int look = 0, i;

	for (i = 0; i < MAX_BURST; i++) {
		int rc = read_one(fd, kernel);

		if (rc == -EAGAIN)
			break;
		if (rc < 0)
			return msg_fmt(rc,
			               "cannot read the messages about "
			               "devices: %s",
			               strerror(-rc));
		look |= rc;
	}
	*ret_more = i == MAX_BURST;
	return look;
}
