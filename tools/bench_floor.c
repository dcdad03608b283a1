/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine itself costs, taken in the same run as everything else: no
 * table in the nearest cache is faster than a load from it, no counter of
 * several threads than a locked add, and nothing that another processor must
 * answer than a line on its way there and back. Knows nothing of sluice.
 */
#include "tools/bench.h"

#include "tools/ticks.h"

#include <stdatomic.h>
#include <stdint.h>

#define CHAIN 64
#define STEPS 20000u
#define TRIES 20
#define TRIPS 2000u
#define LINE 64

struct link {
	struct link *next;
};

static double smaller(double was, double ns)
{
	return was > 0.0 && was < ns ? was : ns;
}

static double each(const struct ticks *t, uint64_t start, unsigned n)
{
	return (double)ticks_ps(t, start, ticks_now(t)) / 1000.0 / n;
}

static double load(const struct ticks *t)
{
	struct link chain[CHAIN], *at = chain;
	uint64_t start;

	for (unsigned i = 0; i < CHAIN; i++)
		chain[i].next = &chain[(i + 7) % CHAIN];
	start = ticks_now(t);
	for (unsigned i = 0; i < STEPS; i++) {
		at = at->next;
		__asm__ volatile("" : "+r"(at) : : "memory");
	}
	return each(t, start, STEPS);
}

static double add(const struct ticks *t)
{
	static _Alignas(LINE) _Atomic uint64_t word;
	uint64_t start = ticks_now(t);

	for (unsigned i = 0; i < STEPS; i++)
		/* Relaxed: on x86 a locked instruction all the same. */
		atomic_fetch_add_explicit(&word, 1, memory_order_relaxed);
	return each(t, start, STEPS);
}

struct table {
	_Alignas(LINE) _Atomic uint32_t ball;
};

/* Even: the caller's turn. The ball carries nothing, so its order is free. */
static void *answer(void *arg)
{
	struct table *table = arg;

	bench_pin_to(1);
	for (uint32_t i = 0; i < TRIPS * TRIES; i++) {
		while (atomic_load_explicit(&table->ball,
		                            memory_order_relaxed) != 2 * i + 1)
			;
		atomic_store_explicit(&table->ball, 2 * i + 2,
		                      memory_order_relaxed);
	}
	return NULL;
}

static double there_and_back(const struct ticks *t)
{
	struct table table = {.ball = 0};
	double best = 0.0;
	pthread_t other;

	if (pthread_create(&other, NULL, answer, &table))
		return 0.0;
	for (uint32_t i = 0; i < TRIES; i++) {
		uint64_t start = ticks_now(t);

		for (uint32_t k = i * TRIPS; k < (i + 1) * TRIPS; k++) {
			atomic_store_explicit(&table.ball, 2 * k + 1,
			                      memory_order_relaxed);
			while (atomic_load_explicit(&table.ball,
			                            memory_order_relaxed) !=
			       2 * k + 2)
				;
		}
		best = smaller(best, each(t, start, TRIPS));
	}
	pthread_join(other, NULL);
	return best;
}

static void *measure(void *arg)
{
	const struct ticks *t = ticks_init();
	struct bench_floors *f = arg;

	bench_pin_to(0);
	for (int i = 0; i < TRIES; i++) {
		f->l1_load = smaller(f->l1_load, load(t));
		f->locked_add = smaller(f->locked_add, add(t));
	}
	/* Two that spin on one processor would wait for its clock. */
	if (bench_cpus() > 1)
		f->ping_pong = smaller(f->ping_pong, there_and_back(t));
	return NULL;
}

void bench_floor(struct bench_floors *f)
{
	pthread_t thread;

	/* A thread of its own: the caller stays free of processors. */
	if (!pthread_create(&thread, NULL, measure, f))
		pthread_join(thread, NULL);
}
