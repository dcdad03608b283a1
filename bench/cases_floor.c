/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine itself costs: nothing that is built from loads, stores and
 * locked instructions can be faster.
 */
#include "bench/rig.h"

#include <stdlib.h>

#define CHAIN 64
#define OPS 4096
#define TRIPS 64
#define TRY_NS UINT64_C(5000000) /* tries of a call go on for this long */

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

/* A word goes to and fro between two processors: two line transfers. */
struct table_tennis {
	_Alignas(128) _Atomic uint64_t ball; /* even: ours to play */
	pthread_t thread;
};

#define LAST UINT64_MAX

static void *play_back(void *arg)
{
	struct table_tennis *t = arg;
	uint64_t v;

	rig_pin(1);
	for (;;) {
		/* Pairs with the release in trips() and tennis_done(). */
		v = atomic_load_explicit(&t->ball, memory_order_acquire);
		if (v == LAST)
			return NULL;
		if (v & 1)
			/* Pairs with the acquire in trips(). */
			atomic_store_explicit(&t->ball, v + 1,
			                      memory_order_release);
	}
}

static void *tennis(void)
{
	struct table_tennis *t;

	if (rig_cpus() < 2)
		return NULL;
	t = aligned_alloc(128, sizeof(*t));
	rig_check(t ? 0 : -1, "memory");
	atomic_init(&t->ball, 0);
	rig_check(pthread_create(&t->thread, NULL, play_back, t) ? -1 : 0,
	          "thread");
	return t;
}

static void tennis_done(void *ctx)
{
	struct table_tennis *t = ctx;

	/* Pairs with the acquire in play_back(). */
	atomic_store_explicit(&t->ball, LAST, memory_order_release);
	pthread_join(t->thread, NULL);
	free(t);
}

static void trips_run(void *ctx, uint64_t n)
{
	struct table_tennis *t = ctx;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t v = 1 + atomic_load_explicit(&t->ball,
		                                      memory_order_relaxed);

		/* Pairs with the acquire in play_back(). */
		atomic_store_explicit(&t->ball, v, memory_order_release);
		/* Pairs with the release in play_back(). */
		while (atomic_load_explicit(&t->ball, memory_order_acquire) ==
		       v)
			;
	}
}

/* The shortest of many short tries: a floor that is too high because other
 * work was in the way would flatter whatever is held against it. */
static double best(void *ctx, uint64_t n, void (*run)(void *, uint64_t))
{
	uint64_t least = UINT64_MAX, began = now_ns(), start, ns;

	do {
		start = now_ns();
		run(ctx, n);
		ns = now_ns() - start;
		least = ns < least ? ns : least;
	} while (now_ns() - began < TRY_NS);
	return (double)least - clock_cost();
}

static double chain(void *ctx, uint64_t n)
{
	return best(ctx, n, chain_run);
}

static double add(void *ctx, uint64_t n)
{
	return best(ctx, n, add_run);
}

static double mutex(void *ctx, uint64_t n)
{
	return best(ctx, n, mutex_run);
}

static double trips(void *ctx, uint64_t n)
{
	return best(ctx, n, trips_run);
}

#define CASE(label, n, up, down, fn)                                           \
	{                                                                      \
		.name = label, .batch = n, .calls = 1, .setup = up,            \
		.teardown = down, .timed = fn                                  \
	}

void cases_floor(void)
{
	static const struct gb_case cases[] = {
	        CASE("floor/L1_load_to_use", OPS, chain_setup, free, chain),
	        CASE("floor/locked_add", OPS, word_setup, free, add),
	        CASE("floor/mutex_pair", OPS, mutex_setup, free, mutex),
	        CASE("floor/ping_pong", TRIPS, tennis, tennis_done, trips),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
