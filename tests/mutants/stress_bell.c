/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lane that sleeps on its descriptor. Completions come in bursts of two and
 * the next burst waits for the answer, so a bell that is not rung for one of
 * them is missed at once: nothing else would wake the lane.
 *
 * Arguments: bursts. 0: fine, 1: a completion lay there with a silent bell.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/backend/backend.h"

#define PATIENCE_MS 100

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
		/* Pairs with sleeper: both of the last burst were seen. */
		while (i % 2 == 0 && ld_acq(&world.seen) != i)
			cpu_relax();
		for (uint32_t k = 0; k < i * 13 % 1024; k++)
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

/* Everything was posted and rung before, yet the descriptor is silent. */
static bool is_lost(int fd, uint32_t seen)
{
	return ld_acq(&world.posted) > seen && !readable(fd, 0);
}

static bool sleeper(int fd)
{
	uint32_t seen = 0;

	while (seen < world.nr) {
		struct fabric_cqe cqe[4];
		uint32_t n = fabric_reap(world.port, cqe, 4);

		seen += n;
		/* Pairs with poster. */
		st_rel(&world.seen, seen);
		if (n == 0 && !readable(fd, PATIENCE_MS) && is_lost(fd, seen))
			return false;
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
	world.nr = argc > 1 ? 2 * (uint32_t)strtoul(argv[1], NULL, 0) : 40000;
	play(FABRIC_MSG_RING);
	play(FABRIC_EVENTFD);
	return 0;
}
