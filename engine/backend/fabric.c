/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fabric: completions from a backend's helper to a lane. Every port has a
 * plain ring; the kinds differ in how a sleeping owner is woken. Knows ports
 * and sources; what io_uring does for them is fabric_uring.c.
 */
#include "engine/backend/fabric_int.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define ENTRIES_MAX (1u << 15)

static void port_free(struct fabric_port *port)
{
	if (port->bell >= 0)
		(void)sys->close(port->bell);
	if (port->epoll >= 0)
		(void)sys->close(port->epoll);
	mpsc_destroy(port->plain);
	free(port);
}

/* The best kind that the kernel and the caller allow. */
static enum fabric_kind port_choose(struct fabric_port *port, uint32_t entries,
                                    enum fabric_kind best)
{
	if (best == FABRIC_PLAIN)
		return FABRIC_PLAIN;
	port->bell = sys->eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (port->bell < 0)
		return FABRIC_PLAIN;
	if (best == FABRIC_MSG_RING && uport_open(port, entries) == 0)
		return FABRIC_MSG_RING;
	if (eport_open(port) == 0)
		return FABRIC_EVENTFD;
	(void)sys->close(port->bell);
	port->bell = -1;
	return FABRIC_PLAIN;
}

int fabric_port_create(uint32_t entries, enum fabric_kind best_kind,
                       struct fabric_port **ret_port)
{
	struct fabric_port *port;
	int rc;

	if (entries == 0 || entries > ENTRIES_MAX || best_kind > FABRIC_PLAIN)
		return msg_lit(-EINVAL, "a completion port holds 1 to 32768 "
		                        "entries");
	port = aligned_alloc(_Alignof(struct fabric_port), sizeof(*port));
	if (!port)
		return msg_lit(-ENOMEM, "no memory for a completion port");
	memset(port, 0, sizeof(*port));
	port->bell = -1;
	port->epoll = -1;
	rc = mpsc_create(entries, sizeof(struct fabric_cqe), &port->plain);
	if (rc) {
		port_free(port);
		return msg_lit(rc, "no memory for a completion port");
	}
	port->kind = port_choose(port, entries, best_kind);
	/* A descriptor that nobody has asked for need not become readable. */
	st_rlx(&port->rung, port->kind != FABRIC_PLAIN);
	*ret_port = port;
	return 0;
}

void fabric_port_destroy(struct fabric_port *port)
{
	if (!port)
		return;
	/* A source may still be ringing the bell for a completion that was
	 * reaped already. Pairs with the release in fabric_flush. */
	while (ld_acq(&port->inside))
		sched_yield();
	if (port->kind == FABRIC_MSG_RING)
		uport_close(port);
	port_free(port);
}

enum fabric_kind fabric_port_kind(const struct fabric_port *port)
{
	return port->kind;
}

static void port_ring(struct fabric_port *port)
{
	/* One word and only read-modify-writes on it: of a poster that rings
	 * and an owner that mutes (port_mute, spill_reap), the later one sees
	 * what the earlier did to the ring. Pairs with their xchg_acqrel. */
	if (port->kind != FABRIC_PLAIN && xchg_acqrel(&port->rung, 1) == 0) {
		const uint64_t one = 1;

		(void)sys->write(port->bell, &one, sizeof(one));
	}
}

int fabric_port_fd(struct fabric_port *port)
{
	if (port->kind == FABRIC_PLAIN)
		return -EOPNOTSUPP;
	if (!port->watched) {
		port->watched = true;
		st_rlx(&port->asked, 1);
		/* From now on posters ring, those too that have not seen that
		 * they are asked to; what came before is caught up here. Pairs
		 * with the xchg_acqrel of port_ring. */
		xchg_acqrel(&port->rung, 0);
		if (!mpsc_empty(port->plain))
			port_ring(port);
	}
	return port->kind == FABRIC_MSG_RING ? port->uring.ring_fd
	                                     : port->epoll;
}

/* The ring is empty and the bell was rung: make the descriptor quiet. */
static void port_mute(struct fabric_port *port)
{
	uint64_t v;

	/* Not written yet: its poster is about to. Stay rung, the next reap
	 * comes here again. */
	if (sys->read(port->bell, &v, sizeof(v)) != sizeof(v))
		return;
	xchg_acqrel(&port->rung, 0); /* pairs with port_ring */
	if (!mpsc_empty(port->plain))
		port_ring(port);
}

uint32_t spill_reap(struct fabric_port *port, struct fabric_cqe *out,
                    uint32_t max)
{
	uint32_t n;

	xchg_acqrel(&port->rung, 0); /* pairs with port_ring */
	n = mpsc_get(port->plain, out, max);
	if (!mpsc_empty(port->plain))
		port_ring(port);
	return n;
}

uint32_t fabric_reap(struct fabric_port *port, struct fabric_cqe *out,
                     uint32_t max)
{
	uint32_t n;

	if (likely(port->kind == FABRIC_MSG_RING))
		return uport_reap(port, out, max);
	n = mpsc_get(port->plain, out, max);
	if (port->watched && ld_rlx(&port->rung) && mpsc_empty(port->plain))
		port_mute(port);
	return n;
}

int fabric_source_create(struct fabric_source **ret_source)
{
	struct fabric_source *source = calloc(1, sizeof(*source));

	if (!source)
		return msg_lit(-ENOMEM, "no memory for a completion source");
	/* Without io_uring every port is reached through its plain ring. */
	source->has_uring = usource_open(source) == 0;
	*ret_source = source;
	return 0;
}

void fabric_source_destroy(struct fabric_source *source)
{
	if (!source)
		return;
	fabric_flush(source);
	if (source->has_uring)
		sys->uring_exit(&source->uring);
	free(source);
}

static void ring_ports(struct fabric_source *source)
{
	for (uint32_t i = 0; i < source->nr_ports; i++) {
		port_ring(source->port[i]);
		/* The last touch: the owner may free the port from here on.
		 * Pairs with the acquire in fabric_port_destroy. */
		faa_acqrel(&source->port[i]->inside, (uint32_t)-1);
	}
	source->nr_ports = 0;
}

static void enter_port(struct fabric_source *source, struct fabric_port *port)
{
	for (uint32_t i = 0; i < source->nr_ports; i++)
		if (source->port[i] == port)
			return;
	if (source->nr_ports == SOURCE_PORTS)
		ring_ports(source);
	faa_rlx(&port->inside, 1);
	source->port[source->nr_ports++] = port;
}

void plain_post(struct fabric_source *source, struct fabric_port *port,
                const struct fabric_cqe *cqe)
{
	/* Before the completion: its owner may destroy the port as soon as it
	 * has reaped. The ring's release orders the two. */
	enter_port(source, port);
	while (mpsc_put(port->plain, cqe, 1) != 1)
		sched_yield();
}

void fabric_post(struct fabric_source *source, struct fabric_port *port,
                 uint64_t id, int32_t res)
{
	struct fabric_cqe cqe = {.id = id, .res = res};

	/* Who polls finds what is in memory; the kernel is asked only for the
	 * sake of a sleeper. */
	if (port->kind == FABRIC_MSG_RING && ld_rlx(&port->asked)) {
		int fd = port->uring.ring_fd;

		/* Carries what the poster wrote, and is its last touch of a
		 * port whose owner may free it once it has reaped. The way
		 * through the kernel orders both too, but no language rule
		 * says so. Pairs with the acquire in cq_reap. */
		faa_acqrel(&port->posted, 1);
		if (likely(source->has_uring)) {
			usource_post(source, port, fd, &cqe);
			return;
		}
	}
	plain_post(source, port, &cqe);
}

void fabric_flush(struct fabric_source *source)
{
	if (source->nr)
		usource_flush(source);
	ring_ports(source);
}
