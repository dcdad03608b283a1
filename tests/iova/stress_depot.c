/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The depot's stacks alone, traded by four threads as fast as they can: each
 * range is in one place only, also when a magazine is on top again between
 * another thread's look at its link and the exchange. A plain word for each
 * range lets ThreadSanitizer judge the hand-over.
 *
 * SLUICE_STRESS_OPS: operations of all threads together.
 */
#include "engine/iova_priv.h"
#include "tests/stress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4u
#define RANGES 12u /* few, so that they come round quickly */
#define ZONE 1     /* from 4 GiB */
#define CLASS 3u

static struct {
	struct iova_space *space;
	uint64_t ops; /* of each thread */
	au32 failed;
	au32 held[RANGES];
	uint32_t touched[RANGES];
} world;

static bool take(uint64_t *ret_range)
{
	uint64_t got[MAG_RANGES];

	if (!iova_depot_get(world.space, ZONE, CLASS, got))
		return false;
	if (got[0] >= RANGES || faa_rlx(&world.held[got[0]], 1)) {
		st_rlx(&world.failed, 1);
		return false;
	}
	world.touched[got[0]]++;
	*ret_range = got[0];
	return true;
}

static void give(uint64_t range)
{
	(void)fsub_rlx(&world.held[range], 1);
	if (!iova_depot_put(world.space, ZONE, CLASS, &range, 1))
		st_rlx(&world.failed, 1);
}

/* Two come out and the first goes back before the second: without a tag its
 * magazine looks untouched to who has read the old link. */
static void *thread_main(void *arg)
{
	(void)arg;
	for (uint64_t i = 0;
	     stress_more(i, world.ops) && !ld_rlx(&world.failed); i++) {
		uint64_t a, b;
		bool two;

		if (!take(&a))
			continue;
		two = take(&b);
		give(a);
		if (two)
			give(b);
	}
	return NULL;
}

/* Each range must be there once; returns whether it is so. */
static bool all_there(void)
{
	uint64_t range;
	uint32_t nr = 0;

	while (nr <= RANGES && take(&range))
		nr++;
	return nr == RANGES && !ld_rlx(&world.failed);
}

int main(void)
{
	static const struct sluice_range usable = {0, UINT64_MAX >> 25};
	const char *ops = getenv("SLUICE_STRESS_OPS");
	pthread_t thread[THREADS];
	bool fine;

	stress_begin();
	world.ops = (ops && *ops ? strtoull(ops, NULL, 0) : 8000000) / THREADS;
	if (iova_space_create(&usable, 1, &world.space))
		abort();
	for (uint64_t i = 0; i < RANGES; i++)
		if (!iova_depot_put(world.space, ZONE, CLASS, &i, 1))
			abort();
	for (uint32_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, thread_main, NULL))
			abort();
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	fine = all_there();
	iova_space_destroy(world.space);
	if (!fine)
		fprintf(stderr, "stress_depot: a range is lost or doubled\n");
	return !fine;
}
