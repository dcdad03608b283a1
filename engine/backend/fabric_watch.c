/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors of others that a port's owner watches beside its completions.
 * Where the port has an io_uring the ring tells; elsewhere an epoll descriptor
 * collects them, together with the bell of the plain ring. Knows descriptors,
 * nothing of what signals them.
 */
#include "engine/backend/fabric_int.h"

#include <errno.h>
#include <sys/epoll.h>

#define LOOK_MAX 32
#define ID_BELL UINT64_MAX

static int add(const struct fabric_port *port, int fd, uint64_t id)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = id};

	return sys->epoll_ctl(port->epoll, EPOLL_CTL_ADD, fd, &event);
}

int eport_open(struct fabric_port *port)
{
	int rc;

	if (port->epoll >= 0)
		return 0;
	rc = sys->epoll_create(EPOLL_CLOEXEC);
	if (rc < 0)
		return rc;
	port->epoll = rc;
	rc = port->bell >= 0 ? add(port, port->bell, ID_BELL) : 0;
	if (rc) {
		(void)sys->close(port->epoll);
		port->epoll = -1;
	}
	return rc;
}

int fabric_watch(struct fabric_port *port, int fd, uint64_t id)
{
	int rc;

	if (port->kind == FABRIC_MSG_RING)
		return uport_watch(port, fd, id);
	rc = eport_open(port);
	return rc ? rc : add(port, fd, id);
}

void fabric_unwatch(struct fabric_port *port, int fd, uint64_t id)
{
	struct epoll_event event = {0};

	if (port->kind == FABRIC_MSG_RING)
		uport_unwatch(port, id);
	else if (port->epoll >= 0)
		(void)sys->epoll_ctl(port->epoll, EPOLL_CTL_DEL, fd, &event);
}

uint32_t fabric_look(struct fabric_port *port, uint64_t *ids, uint32_t max)
{
	struct epoll_event event[LOOK_MAX];
	uint32_t n = 0;
	int nr;

	if (port->kind == FABRIC_MSG_RING || port->epoll < 0)
		return 0;
	nr = sys->epoll_look(port->epoll, event, (int)min_u64(max, LOOK_MAX));
	for (int i = 0; i < nr; i++)
		if (event[i].data.u64 != ID_BELL)
			ids[n++] = event[i].data.u64;
	return n;
}
