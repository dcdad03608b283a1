/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench/crew.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define MIN_ROUNDS 3
#define MAX_ROUNDS 400
#define LINE 128

struct member {
	_Alignas(LINE) struct crew *crew;
	pthread_t thread;
	unsigned who;
	uint64_t start, end;
	_Atomic uint64_t arrived; /* rounds it is ready for */
	_Atomic uint64_t done;    /* rounds it has finished */
};

struct crew {
	struct member member[MAX_CREW];
	struct crew_ops ops;
	void *ctx;
	unsigned nr;
	uint64_t n;
	_Alignas(LINE) _Atomic uint64_t round; /* UINT64_MAX: over */
};

unsigned crew_size(void)
{
	unsigned n = rig_cpus();

	return n < MAX_CREW ? n : MAX_CREW;
}

static void work(struct member *m)
{
	struct crew *c = m->crew;

	m->start = now_ns();
	c->ops.work(c->ctx, m->who, c->n);
	m->end = now_ns();
}

static void *member(void *arg)
{
	struct member *m = arg;
	struct crew *c = m->crew;
	uint64_t seen = 0, round;

	rig_pin(m->who);
	c->ops.enter(c->ctx, m->who);
	for (;;) {
		/* Pairs with the acquire in everybody(): n may change. */
		atomic_store_explicit(&m->arrived, seen + 1,
		                      memory_order_release);
		/* Pairs with the releases in crew_round(), crew_close(). */
		while ((round = atomic_load_explicit(
		                &c->round, memory_order_acquire)) == seen)
			c->ops.wait(c->ctx, m->who);
		if (round == UINT64_MAX)
			break;
		seen = round;
		work(m);
		/* Pairs with the acquire in everybody(): the times. */
		atomic_store_explicit(&m->done, seen, memory_order_release);
	}
	c->ops.leave(c->ctx, m->who);
	/* Pairs with the acquire in everybody(): it has left. */
	atomic_store_explicit(&m->done, UINT64_MAX, memory_order_release);
	return NULL;
}

/* Waits until one of two words of each member has reached a value. */
static void everybody(struct crew *c, int arrived, uint64_t value)
{
	for (unsigned i = 1; i < c->nr; i++) {
		struct member *m = &c->member[i];

		/* Pairs with the releases in member(). */
		while (atomic_load_explicit(arrived ? &m->arrived : &m->done,
		                            memory_order_acquire) < value)
			c->ops.wait(c->ctx, 0);
	}
}

struct crew *crew_open(const struct crew_ops *ops, void *ctx, unsigned nr)
{
	struct crew *c = aligned_alloc(LINE, sizeof(*c));

	rig_check(c ? 0 : -ENOMEM, "memory");
	*c = (struct crew){.ops = *ops, .ctx = ctx, .nr = nr};
	ops->enter(ctx, 0);
	for (unsigned i = 0; i < nr; i++) {
		struct member *m = &c->member[i];

		m->crew = c;
		m->who = i;
		if (i)
			rig_check(pthread_create(&m->thread, NULL, member, m)
			                  ? -EAGAIN
			                  : 0,
			          "thread");
	}
	return c;
}

void crew_close(struct crew *c)
{
	/* Pairs with the acquire in member(). */
	atomic_store_explicit(&c->round, UINT64_MAX, memory_order_release);
	/* A leaver may wait for tickets, and they for us. */
	everybody(c, 0, UINT64_MAX);
	for (unsigned i = 1; i < c->nr; i++)
		pthread_join(c->member[i].thread, NULL);
	c->ops.leave(c->ctx, 0);
	free(c);
}

uint64_t crew_round(struct crew *c, uint64_t n)
{
	uint64_t round =
	        1 + atomic_load_explicit(&c->round, memory_order_relaxed);
	uint64_t start = UINT64_MAX, end = 0;

	everybody(c, 1, round);
	c->n = n;
	/* Pairs with the acquire in member(). */
	atomic_store_explicit(&c->round, round, memory_order_release);
	work(&c->member[0]);
	everybody(c, 0, round);
	for (unsigned i = 0; i < c->nr; i++) {
		const struct member *m = &c->member[i];

		start = m->start < start ? m->start : start;
		end = m->end > end ? m->end : end;
	}
	return end - start;
}

uint64_t crew_best(struct crew *c, uint64_t n, uint64_t budget_ns)
{
	uint64_t best = UINT64_MAX, began = now_ns();

	for (unsigned i = 0; i < MAX_ROUNDS; i++) {
		uint64_t ns = crew_round(c, n);

		best = ns < best ? ns : best;
		if (i >= MIN_ROUNDS && now_ns() - began > budget_ns)
			break;
	}
	return best;
}
