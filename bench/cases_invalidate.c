/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * B15 and B16: from an unmap until its ticket has passed while other lanes
 * poll; one page, and each page of a burst of 64 (mapped as one scatter list,
 * unmapped as one, one ticket). The median of many rounds is
 * reported, because one preempted thread would spoil a mean. The naive way: a
 * generation number, and everybody who translates acknowledges it under the
 * lock that guards his copy.
 */
#include "bench/rig.h"

#include "yardstick/yardstick.h"

#include <stdlib.h>
#include <string.h>

#define BURST 64
#define ROUNDS 512
#define FEW_ROUNDS 3
#define CALLS 2
#define BUDGET_NS UINT64_C(50000000)
#define VA UINT64_C(0x7f0000001000)

struct acker {
	struct shoot *shoot;
	pthread_t thread;
	unsigned cpu;
	pthread_mutex_t lock;
	uint64_t copy; /* what stands for his cached translations */
	_Atomic uint64_t acked;
};

struct shoot {
	_Atomic uint64_t generation;
	_Atomic int stop;
	struct acker acker[MAX_POLLERS];
	unsigned nr;
};

struct set {
	struct rig rig;
	struct naive *naive;
	struct shoot shoot;
	uint64_t iova[BURST];
	double sample[ROUNDS];
};

static unsigned pollers(void)
{
	unsigned n = rig_cpus() - 1;

	return n < MAX_POLLERS ? n : MAX_POLLERS;
}

static void *acknowledge(void *arg)
{
	struct acker *a = arg;
	struct shoot *s = a->shoot;

	rig_pin(a->cpu);
	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		/* Pairs with the release in shoot_down(). */
		uint64_t g = atomic_load_explicit(&s->generation,
		                                  memory_order_acquire);

		if (g == atomic_load_explicit(&a->acked, memory_order_relaxed))
			continue;
		pthread_mutex_lock(&a->lock);
		a->copy = 0;
		pthread_mutex_unlock(&a->lock);
		/* Pairs with the acquire in shoot_down(). */
		atomic_store_explicit(&a->acked, g, memory_order_release);
	}
	return NULL;
}

static void shoot_down(struct shoot *s)
{
	/* Pairs with the acquire in acknowledge(). */
	uint64_t g = 1 + atomic_fetch_add_explicit(&s->generation, 1,
	                                           memory_order_release);

	for (unsigned i = 0; i < s->nr; i++) {
		/* Pairs with the release in acknowledge(). */
		while (atomic_load_explicit(&s->acker[i].acked,
		                            memory_order_acquire) < g)
			;
	}
}

static void *ours(void)
{
	struct set *s;

	if (!pollers())
		return NULL;
	s = calloc(1, sizeof(*s));
	rig_check(s ? 0 : -1, "memory");
	rig_check(rig_open(&s->rig, pollers()), "rig");
	return s;
}

static void *naive(void)
{
	struct set *s;

	if (!pollers())
		return NULL;
	s = calloc(1, sizeof(*s));
	rig_check(s ? 0 : -1, "memory");
	s->naive = naive_new();
	rig_check(s->naive ? 0 : -1, "memory");
	s->shoot.nr = pollers();
	for (unsigned i = 0; i < s->shoot.nr; i++) {
		struct acker *a = &s->shoot.acker[i];

		a->shoot = &s->shoot;
		a->cpu = i + 1;
		pthread_mutex_init(&a->lock, NULL);
		rig_check(pthread_create(&a->thread, NULL, acknowledge, a) ? -1
		                                                           : 0,
		          "thread");
	}
	return s;
}

static void done(void *ctx)
{
	struct set *s = ctx;

	atomic_store_explicit(&s->shoot.stop, 1, memory_order_relaxed);
	for (unsigned i = 0; i < s->shoot.nr; i++) {
		pthread_join(s->shoot.acker[i].thread, NULL);
		pthread_mutex_destroy(&s->shoot.acker[i].lock);
	}
	if (s->rig.engine)
		rig_close(&s->rig);
	naive_free(s->naive);
	free(s);
}

static double round_ours(struct set *s, unsigned burst)
{
	struct sluice_map_req req = {.prot = SLUICE_RW};
	struct sluice_ticket t = {0};
	struct iovec iov[BURST];
	uint64_t start;

	/* Every second page: no two pieces continue each other. */
	for (unsigned i = 0; i < burst; i++)
		iov[i] = (struct iovec){(void *)(uintptr_t)(VA + 2 * i * PAGE),
		                        PAGE};
	rig_check(sluice_map_sg(s->rig.view, &req, iov, burst, &s->iova[0]),
	          "map");
	start = now_ns();
	rig_check(sluice_unmap(s->rig.view, s->iova[0], burst * PAGE, 0, &t),
	          "unmap");
	rig_wait(&s->rig, t);
	return (double)(now_ns() - start) - clock_cost();
}

static double round_naive(struct set *s, unsigned burst)
{
	uint64_t start;
	int rc = 0;

	for (unsigned i = 0; i < burst; i++)
		rc |= naive_map(s->naive, VA + i * PAGE, PAGE, SLUICE_RW,
		                &s->iova[i]);
	start = now_ns();
	for (unsigned i = 0; i < burst; i++) {
		rc |= naive_unmap(s->naive, s->iova[i], PAGE);
		shoot_down(&s->shoot);
	}
	rig_check(rc, "naive");
	return (double)(now_ns() - start) - clock_cost();
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* n operations are n / burst rounds; the median round stands for all. Where
 * threads outnumber processors a round can last milliseconds: a few must do
 * then. */
static double median(struct set *s, uint64_t n, unsigned burst,
                     double (*round)(struct set *, unsigned))
{
	uint64_t start = now_ns(), done_rounds = 0, rounds = n / burst;

	while (done_rounds < rounds &&
	       (done_rounds < FEW_ROUNDS || now_ns() - start < BUDGET_NS))
		s->sample[done_rounds++] = round(s, burst);
	qsort(s->sample, done_rounds, sizeof(s->sample[0]), ascending);
	return s->sample[done_rounds / 2] * (double)rounds;
}

static double one_ours(void *ctx, uint64_t n)
{
	return median(ctx, n, 1, round_ours);
}

static double burst_ours(void *ctx, uint64_t n)
{
	return median(ctx, n, BURST, round_ours);
}

static double one_naive(void *ctx, uint64_t n)
{
	return median(ctx, n, 1, round_naive);
}

static double burst_naive(void *ctx, uint64_t n)
{
	return median(ctx, n, BURST, round_naive);
}

#define CASE(label, n, up, fn)                                                 \
	{                                                                      \
		.name = label, .batch = n, .calls = CALLS, .setup = up,        \
		.teardown = done, .timed = fn                                  \
	}

void cases_invalidate(void)
{
	static const struct gb_case cases[] = {
	        CASE("B15/sluice", ROUNDS, ours, one_ours),
	        CASE("B15/naive", ROUNDS, naive, one_naive),
	        CASE("B16/sluice", 64 * BURST, ours, burst_ours),
	        CASE("B16/naive", 64 * BURST, naive, burst_naive),
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		gb_register(&cases[i]);
}
