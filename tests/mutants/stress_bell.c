/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane that sleeps on its descriptor. The first completion of three wakes it,
 * the second comes about when it is awake, the third at once, and the next
 * three wait for the answer: a bell that is not rung for the last is missed,
 * nothing else would wake the lane.
 *
 * Arguments: completions. 0: fine, 1: a completion lay there with a silent
 * bell.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/backend/backend.h"

#define PATIENCE_MS 100
#define LOST_MS 1000 /* more than a bell takes that was just rung */

static struct {
	struct fabric_port *port;
	uint32_t nr;
	au32 posted; /* and flushed */
	au32 seen;
} world;

static void *poster(void *arg)
{
	struct fabric_source *source;

	if (fabric_source_create(&source))
		return arg;
	for (uint32_t i = 0; i < world.nr; i++) {
		/* Pairs with sleeper: the last burst was seen. */
		while (i % 3 == 0 && ld_acq(&world.seen) != i)
			cpu_relax();
		/* About when the lane has woken. */
		for (uint32_t k = i % 3 == 1 ? i * 7919 % 4096 : 0; k > 0; k--)
			cpu_relax();
		fabric_post(source, world.port, i, 0);
		fabric_flush(source);
		/* Pairs with is_lost. */
		st_rel(&world.posted, i + 1);
	}
	fabric_source_destroy(source);
	return NULL;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* Everything was posted and rung before, yet the descriptor stays silent. */
static bool is_lost(int fd, uint32_t seen)
{
	return ld_acq(&world.posted) > seen && !readable(fd, LOST_MS);
}

/* Sleeps after each look, whatever it found: the descriptor has to tell. */
static bool sleeper(int fd)
{
	uint32_t seen = 0;

	while (seen < world.nr) {
		struct fabric_cqe cqe[4];

		if (!readable(fd, PATIENCE_MS) && is_lost(fd, seen))
			return false;
		seen += fabric_reap(world.port, cqe, 4);
		/* Pairs with poster. */
		st_rel(&world.seen, seen);
	}
	return true;
}

static void play(enum fabric_kind kind)
{
	pthread_t thread;

	st_rlx(&world.posted, 0);
	st_rlx(&world.seen, 0);
	if (fabric_port_create(4, kind, &world.port) ||
	    pthread_create(&thread, NULL, poster, NULL))
		abort();
	/* The poster may be stuck for good. */
	if (!sleeper(fabric_port_fd(world.port))) {
		fprintf(stderr, "stress_bell: kind %d: nobody rang\n",
		        (int)kind);
		_exit(1);
	}
	pthread_join(thread, NULL);
	fabric_port_destroy(world.port);
}

int main(int argc, char **argv)
{
	world.nr = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 40000;
	play(FABRIC_MSG_RING);
	play(FABRIC_EVENTFD);
	return 0;
}
