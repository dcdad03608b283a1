/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports and sources of every kind, and their descriptors, for tests of the
 * fabric.
 */
#ifndef TESTS_BACKEND_FABRIC_RIG_H
#define TESTS_BACKEND_FABRIC_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/backend/backend.h"

#include <poll.h>

static const enum fabric_kind fabric_kinds[] = {FABRIC_MSG_RING, FABRIC_EVENTFD,
                                                FABRIC_PLAIN};

/* Does the kernel, and do its filters, allow it? */
static inline bool have_msg_ring(void)
{
	struct fabric_port *port;
	bool have;

	assert_int_equal(fabric_port_create(1, FABRIC_MSG_RING, &port), 0);
	have = fabric_port_kind(port) == FABRIC_MSG_RING;
	fabric_port_destroy(port);
	return have;
}

static inline void pair(enum fabric_kind kind, uint32_t entries,
                        struct fabric_port **port,
                        struct fabric_source **source)
{
	assert_int_equal(fabric_port_create(entries, kind, port), 0);
	if (kind != FABRIC_MSG_RING || have_msg_ring())
		assert_int_equal(fabric_port_kind(*port), kind);
	assert_int_equal(fabric_source_create(source), 0);
}

static inline bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static inline uint32_t drain(struct fabric_port *port, uint64_t first,
                             uint32_t nr)
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

#endif
