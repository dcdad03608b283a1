/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stack of small numbers alone: four threads take and give as fast as they
 * can. Who holds a number owns a plain word, so ThreadSanitizer judges the
 * hand-over; a number that two hold at once, or nobody, is found in any build.
 *
 * SLUICE_STRESS_OPS: takes of all threads together.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/stress.h"
#include "util/bits.h"
#include "util/idxstack.h"

#define THREADS 4u
#define NUMBERS 8u /* few, so that the same one comes back soon */

static struct {
	struct idxstack stack;
	au32 next[NUMBERS];
	au32 held[NUMBERS];
	au32 wrong;
	uint32_t owned[NUMBERS];
	uint64_t ops; /* of each thread */
} world;

static bool take(uint32_t *ret_idx)
{
	uint32_t idx = idxstack_pop(&world.stack);

	if (idx == IDXSTACK_NONE)
		return false;
	if (idx >= NUMBERS || faa_rlx(&world.held[idx], 1)) {
		st_rlx(&world.wrong, 1);
		return false;
	}
	world.owned[idx]++;
	*ret_idx = idx;
	return true;
}

static void give(const uint32_t *idx, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		world.owned[idx[i]]++;
		fsub_rlx(&world.held[idx[i]], 1);
	}
	idxstack_push(&world.stack, idx, n);
}

static uint32_t take_two(uint32_t *idx)
{
	uint32_t n = idxstack_pop_many(&world.stack, idx, 2);

	for (uint32_t i = 0; i < n; i++) {
		if (idx[i] >= NUMBERS || faa_rlx(&world.held[idx[i]], 1)) {
			st_rlx(&world.wrong, 1);
			return 0;
		}
		world.owned[idx[i]]++;
	}
	return n;
}

/* Two come out, at once or not; the first goes back before the second, or both
 * at once. */
static void *thread_main(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; stress_more(i, world.ops) && !ld_rlx(&world.wrong);
	     i += 2) {
		uint32_t idx[2];
		uint32_t n = i & 4 ? take_two(idx) : take(&idx[0]);

		if (n == 1 && !(i & 4))
			n += take(&idx[1]);
		if (n == 0)
			continue;
		if (i & 2) {
			give(idx, n);
			continue;
		}
		for (uint32_t k = 0; k < n; k++)
			give(&idx[k], 1);
	}
	return NULL;
}

int main(void)
{
	const char *ops = getenv("SLUICE_STRESS_OPS");
	pthread_t thread[THREADS];
	uint32_t idx, nr = 0;

	stress_begin();
	world.ops = (ops && *ops ? strtoull(ops, NULL, 0) : 8000000) / THREADS;
	idxstack_init(&world.stack, world.next);
	for (idx = 0; idx < NUMBERS; idx++)
		idxstack_push(&world.stack, &idx, 1);
	for (uint32_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, thread_main, NULL))
			abort();
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	while (nr <= NUMBERS && take(&idx))
		nr++;
	if (nr != NUMBERS || ld_rlx(&world.wrong)) {
		fprintf(stderr, "stress_idxstack: a number is lost or "
		                "doubled\n");
		return 1;
	}
	return 0;
}
