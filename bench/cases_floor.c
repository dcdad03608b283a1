/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the machine itself costs: nothing that is built from loads, stores and
 * locked instructions can be faster.
 */
#include "bench/crew.h"
#include "bench/rig.h"

#include <stdlib.h>
#include <sys/mman.h>

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

/* As much memory as the lowest tables of 2^20 pages take, a line at a time and
 * in a random order: behind the second cache, and where others use the host
 * often behind the third. */
#define FAR_LINES (UINT64_C(1) << 17)

struct far_line {
	_Alignas(64) struct far_line *next;
};

struct far {
	struct far_line *at;
	struct far_line *line;
};

static void *far_setup(void)
{
	size_t len = FAR_LINES * sizeof(struct far_line);
	struct far *f = malloc(sizeof(*f));
	uint64_t seed = 0x2545f4914f6cdd1d;

	rig_check(f ? 0 : -1, "memory");
	/* In large pages, as the tables. */
	f->line = aligned_alloc(UINT64_C(1) << 21, len);
	rig_check(f->line ? 0 : -1, "memory");
	(void)madvise(f->line, len, MADV_HUGEPAGE);
	for (uint64_t i = 0; i < FAR_LINES; i++)
		f->line[i].next = &f->line[i];
	/* Exchanging successors joins cycles as long as they are two. */
	for (uint64_t i = FAR_LINES - 1; i > 0; i--) {
		struct far_line *was = f->line[i].next;
		uint64_t k;

		seed = seed * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
		k = (seed >> 33) % i;
		f->line[i].next = f->line[k].next;
		f->line[k].next = was;
	}
	f->at = f->line;
	return f;
}

static void far_done(void *ctx)
{
	struct far *f = ctx;

	free(f->line);
	free(f);
}

static void far_run(void *ctx, uint64_t n)
{
	struct far *f = ctx;

	for (uint64_t i = 0; i < n; i++) {
		f->at = f->at->next;
		gb_use(f->at);
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

/* One word that others watch, and a word of each in which he answers: what is
 * left of a strict invalidation without tables, IOTLB and log. */
struct answerer {
	_Alignas(128) _Atomic uint64_t answer;
	struct roll_call *call;
	pthread_t thread;
	unsigned cpu;
};

struct roll_call {
	_Alignas(128) _Atomic uint64_t word;
	struct answerer who[MAX_POLLERS];
	unsigned nr;
};

static void *answer(void *arg)
{
	struct answerer *a = arg;
	uint64_t v;

	rig_pin(a->cpu);
	do {
		/* Pairs with the releases in calls_run() and call_done(). */
		v = atomic_load_explicit(&a->call->word, memory_order_acquire);
		if (v != atomic_load_explicit(&a->answer, memory_order_relaxed))
			/* Pairs with the acquire in calls_run(). */
			atomic_store_explicit(&a->answer, v,
			                      memory_order_release);
	} while (v != LAST);
	return NULL;
}

static void *call_setup(void)
{
	unsigned others = rig_cpus() - 1;
	struct roll_call *c;

	if (!others)
		return NULL;
	c = aligned_alloc(128, sizeof(*c));
	rig_check(c ? 0 : -1, "memory");
	atomic_init(&c->word, 0);
	c->nr = others < MAX_POLLERS ? others : MAX_POLLERS;
	for (unsigned i = 0; i < c->nr; i++) {
		struct answerer *a = &c->who[i];

		atomic_init(&a->answer, 0);
		a->call = c;
		a->cpu = i + 1;
		rig_check(pthread_create(&a->thread, NULL, answer, a) ? -1 : 0,
		          "thread");
	}
	return c;
}

static void call_done(void *ctx)
{
	struct roll_call *c = ctx;

	/* Pairs with the acquire in answer(). */
	atomic_store_explicit(&c->word, LAST, memory_order_release);
	for (unsigned i = 0; i < c->nr; i++)
		pthread_join(c->who[i].thread, NULL);
	free(c);
}

static void calls_run(void *ctx, uint64_t n)
{
	struct roll_call *c = ctx;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t v = 1 + atomic_load_explicit(&c->word,
		                                      memory_order_relaxed);

		/* Pairs with the acquire in answer(). */
		atomic_store_explicit(&c->word, v, memory_order_release);
		for (unsigned k = 0; k < c->nr; k++)
			/* Pairs with the release in answer(). */
			while (atomic_load_explicit(&c->who[k].answer,
			                            memory_order_acquire) != v)
				;
	}
}

/* Arithmetic in registers, by one thread and by one on each processor, for as
 * long as a scheduler's turns: what the host gives to who shares nothing. */
#define TURNS UINT64_C(50000000)

static void no_op(void *ctx, unsigned who)
{
	(void)ctx;
	(void)who;
}

static void reckon(void *ctx, unsigned who, uint64_t n)
{
	uint64_t x = who;

	(void)ctx;
	for (uint64_t i = 0; i < n; i++) {
		x = x * UINT64_C(6364136223846793005) + i;
		gb_use(x);
	}
}

static void *reckon_alone(void)
{
	static const struct crew_ops ops = {no_op, no_op, reckon, no_op};

	return crew_open(&ops, NULL, 1);
}

static void *reckon_all(void)
{
	static const struct crew_ops ops = {no_op, no_op, reckon, no_op};

	return crew_size() < 2 ? NULL : crew_open(&ops, NULL, crew_size());
}

static void reckon_done(void *ctx)
{
	crew_close(ctx);
}

static double turns(void *ctx, uint64_t n)
{
	return (double)crew_round(ctx, n);
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

static double far_chain(void *ctx, uint64_t n)
{
	return best(ctx, n, far_run);
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

static double calls(void *ctx, uint64_t n)
{
	return best(ctx, n, calls_run);
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
	        CASE("floor/load_8M", OPS, far_setup, far_done, far_chain),
	        CASE("floor/locked_add", OPS, word_setup, free, add),
	        CASE("floor/arithmetic_1", TURNS, reckon_alone, reckon_done,
	             turns),
	        CASE("floor/arithmetic", TURNS, reckon_all, reckon_done, turns),
	        CASE("floor/mutex_pair", OPS, mutex_setup, free, mutex),
	        CASE("floor/ping_pong", TRIPS, tennis, tennis_done, trips),
	        CASE("floor/answers", TRIPS, call_setup, call_done, calls),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
