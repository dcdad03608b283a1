/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine itself costs: nothing that is built from loads, stores and
 * locked instructions can be faster.
 */
#include "bench/rig.h"

#include <stdlib.h>

#define CHAIN 64

struct link {
	struct link *next;
};

static void *chain_setup(void)
{
	struct link *l = calloc(CHAIN, sizeof(*l));

	for (int i = 0; l && i < CHAIN; i++)
		l[i].next = &l[(i + 7) % CHAIN];
	return l;
}

static void chain_run(void *ctx, uint64_t n)
{
	struct link *l = ctx;

	for (uint64_t i = 0; i < n; i++) {
		l = l->next;
		gb_use(l);
	}
}

static void *word_setup(void)
{
	return calloc(1, sizeof(_Atomic uint64_t));
}

static void add_run(void *ctx, uint64_t n)
{
	_Atomic uint64_t *word = ctx;

	/* Relaxed: on x86 a locked instruction all the same. */
	for (uint64_t i = 0; i < n; i++)
		atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

static void *mutex_setup(void)
{
	pthread_mutex_t *m = malloc(sizeof(*m));

	if (m)
		pthread_mutex_init(m, NULL);
	return m;
}

static void mutex_run(void *ctx, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pthread_mutex_lock(ctx);
		pthread_mutex_unlock(ctx);
	}
}

void cases_floor(void)
{
	static const struct gb_case cases[] = {
	        {.name = "floor/L1_load_to_use",
	         .batch = 4096,
	         .setup = chain_setup,
	         .teardown = free,
	         .run = chain_run},
	        {.name = "floor/locked_add",
	         .batch = 4096,
	         .setup = word_setup,
	         .teardown = free,
	         .run = add_run},
	        {.name = "floor/mutex_pair",
	         .batch = 4096,
	         .setup = mutex_setup,
	         .teardown = free,
	         .run = mutex_run},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
