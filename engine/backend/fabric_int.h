/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two halves of the fabric share: ports and sources with their plain
 * ring (fabric.c), and what io_uring adds to them (fabric_uring.c). Knows
 * completions, nothing of what they complete.
 */
#ifndef SLUICE_ENGINE_BACKEND_FABRIC_INT_H
#define SLUICE_ENGINE_BACKEND_FABRIC_INT_H

#include <liburing.h>

#include "engine/backend/backend.h"
#include "engine/backend/mpsc.h"

struct fabric_port {
	/* Read-only after creation, but for what the owner's reap writes. */
	enum fabric_kind kind;
	bool watched; /* owner: somebody may sleep on the descriptor */
	int bell;     /* eventfd: wakes a sleeper for the plain ring; or -1 */
	int epoll;    /* bell and watches, where no ring collects them; or -1 */
	/* MSG_RING: while nobody has asked for the descriptor, and what the
	 * kernel would not take. */
	struct mpsc *plain;
	struct io_uring uring;

	/* Messages so far (MSG_RING): its order matters, not its value. */
	_Alignas(CACHELINE) au32 posted;
	au32 rung;   /* the bell need not be rung: it was, or nobody listens */
	au32 asked;  /* somebody may sleep on the descriptor; a hint */
	au32 inside; /* sources that still touch the port */
};

#define SOURCE_DEPTH 256 /* messages per submission */
#define SOURCE_PORTS 32  /* ports touched between two flushes */

struct source_slot {
	struct fabric_port *port;
	struct fabric_cqe cqe;
};

struct fabric_source {
	bool has_uring;
	uint32_t nr;      /* messages queued since the last flush */
	uint32_t nr_done; /* of these, known to be delivered */
	uint32_t nr_ports;
	struct fabric_port *port[SOURCE_PORTS]; /* to be rung at the flush */
	struct source_slot slot[SOURCE_DEPTH];
	struct io_uring uring;
};

/* Through the plain ring, whatever the port's kind: cannot fail. */
void plain_post(struct fabric_source *source, struct fabric_port *port,
                const struct fabric_cqe *cqe);
/* What waits in the plain ring, and rings again when out is too short. */
uint32_t spill_reap(struct fabric_port *port, struct fabric_cqe *out,
                    uint32_t max);

/* 0, or why this kernel's io_uring cannot serve; leaves nothing behind. */
int uport_open(struct fabric_port *port, uint32_t entries);
void uport_close(struct fabric_port *port);
uint32_t uport_reap(struct fabric_port *port, struct fabric_cqe *out,
                    uint32_t max);

int uport_watch(struct fabric_port *port, int fd, uint64_t id);
void uport_unwatch(struct fabric_port *port, uint64_t id);

/* Makes the epoll descriptor, if there is none. 0 or -errno. */
int eport_open(struct fabric_port *port);

int usource_open(struct fabric_source *source);
/* fd: the port's ring, read before the post was counted. */
void usource_post(struct fabric_source *source, struct fabric_port *port,
                  int fd, const struct fabric_cqe *cqe);
void usource_flush(struct fabric_source *source);

#endif
