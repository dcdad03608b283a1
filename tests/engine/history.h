/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A history: what several lanes called and what they were told, each lane in
 * its own order, with stamps of one clock around every call. Knows nothing of
 * the engine: the checker judges what was promised in writing.
 */
#ifndef TESTS_ENGINE_HISTORY_H
#define TESTS_ENGINE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ev_kind {
	EV_OPEN,    /* of a view */
	EV_CLOSE,   /* of a view */
	EV_MAP,     /* the call */
	EV_UNMAP,   /* the call */
	EV_LOOK,    /* a translation, the first since the last poll at least */
	EV_POLL,    /* the call; what it delivered follows as EV_DONE */
	EV_DROP,    /* a poll that drops its completions */
	EV_DONE,    /* one completion */
	EV_TICKET,  /* somebody asked whether a ticket has passed */
	EV_OFFLINE, /* of the lane */
	EV_ONLINE,  /* of the lane */
	EV_QUIET,   /* polled long enough: everything must have completed */
};

enum ev_op { OP_MAP, OP_UNMAP };

struct ev {
	uint64_t begin, end; /* stamps; EV_DONE: those of its poll */
	uint64_t cookie;     /* EV_MAP, EV_UNMAP, EV_DONE: of the request */
	uint64_t iova, len;
	uint64_t ticket; /* EV_UNMAP, EV_TICKET */
	int32_t result;  /* what the call returned, or the completion's */
	uint16_t view;   /* numbers of a lane's views, none is used twice */
	uint8_t kind;    /* enum ev_kind */
	uint8_t op;      /* EV_DONE: enum ev_op */
	uint8_t domain;  /* of the view */
	bool passed;     /* EV_TICKET; EV_DONE of an unmap: its own ticket */
	bool fits;       /* EV_DONE: translations agree with the result */
};

struct history {
	struct ev *ev;
	size_t nr, room;
};

#define HISTORY_LANES 8u
#define HISTORY_DOMAINS 4u

/* NULL: all promises were kept; otherwise which was not, *ret_lane and *ret_at
 * say where it shows. "out of memory" is an answer too. Lanes count from 0 and
 * begin online. */
const char *history_check(const struct history *lanes, unsigned nr_lanes,
                          unsigned *ret_lane, size_t *ret_at);

#endif
