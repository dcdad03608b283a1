/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread for each lane. Where lanes outnumber processors a thread gives its
 * processor up after each poll that is not its own business; what is measured
 * then is the scheduler as much as the log.
 */
#include <sched.h>
#include <stdlib.h>

#include "bench/logs/measure.h"
#include "bench/rig.h"

#define ROUNDS 5
#define SAMPLE_NS 6000000l
#define SAMPLE_CROWDED_NS 40000000l
#define ASKED 2000
#define SPINS 1000 /* then somebody else may need the processor */

enum part { PART_POST, PART_ASK, PART_POLL };

struct scene {
	const struct way *way;
	void *ctx;
	const struct shape *shape;
	uint32_t batch;
	bool crowded;
	_Alignas(APART) au32 ready;
	_Alignas(APART) au32 go, stop;
};

struct worker {
	_Alignas(APART) struct scene *scene;
	uint32_t lane;
	enum part part;
	pthread_t thread;
	uint64_t posts;
	unsigned asked;
	double sample[ASKED];
};

static void run_posts(struct worker *me)
{
	struct scene *sc = me->scene;
	uint32_t domain = me->lane % sc->shape->domains;
	struct invlog_rec rec[INVLOG_BATCH];

	for (uint32_t i = 0; i < sc->batch; i++)
		rec[i] = (struct invlog_rec){(2 * i + 1) * PAGE,
		                             (2 * i + 2) * PAGE - 1};
	while (!ld_rlx(&sc->stop)) {
		uint64_t ticket = sc->way->post(sc->ctx, me->lane, domain, rec,
		                                sc->batch);
		bool passed;

		sc->way->poll(sc->ctx, me->lane);
		passed = sc->way->passed(sc->ctx, me->lane, domain, ticket);
		gb_use(passed);
		me->posts++;
	}
}

static void run_asks(struct worker *me)
{
	struct scene *sc = me->scene;
	struct invlog_rec rec = {PAGE, 2 * PAGE - 1};
	uint32_t spins = 0;

	while (!ld_rlx(&sc->stop) && me->asked < ASKED) {
		uint64_t start = now_ns();
		uint64_t ticket = sc->way->post(sc->ctx, me->lane, 0, &rec, 1);

		while (!sc->way->passed(sc->ctx, me->lane, 0, ticket)) {
			sc->way->poll(sc->ctx, me->lane);
			if (sc->crowded || ++spins % SPINS == 0)
				sched_yield();
		}
		me->sample[me->asked++] =
		        (double)(now_ns() - start) - clock_cost();
	}
}

static void run_polls(struct worker *me)
{
	struct scene *sc = me->scene;

	/* As long as anybody may wait for this lane. */
	for (uint32_t n = 1; ld_rlx(&sc->stop) < 2; n++) {
		sc->way->poll(sc->ctx, me->lane);
		if (sc->crowded || n % (64 * SPINS) == 0)
			sched_yield();
	}
}

static void *work(void *arg)
{
	struct worker *me = arg;
	struct scene *sc = me->scene;

	rig_pin(me->lane % rig_cpus());
	/* Idle domains fall asleep, where there is sleep. */
	for (unsigned i = 0; i < 200; i++)
		sc->way->poll(sc->ctx, me->lane);
	faa_acqrel(&sc->ready, 1); /* pairs with the acquire in play */
	while (!ld_acq(&sc->go))   /* pairs with the release in play */
		sched_yield();
	if (me->part == PART_POST)
		run_posts(me);
	else if (me->part == PART_ASK)
		run_asks(me);
	else
		run_polls(me);
	return NULL;
}

/* Returns nanoseconds from go to stop. */
static double play(struct scene *sc, struct worker *w, enum part first,
                   enum part rest)
{
	struct timespec t = {0, sc->crowded ? SAMPLE_CROWDED_NS : SAMPLE_NS};
	uint32_t lanes = sc->shape->lanes;
	uint64_t start;
	double ns;

	st_rlx(&sc->ready, 0);
	st_rlx(&sc->go, 0);
	st_rlx(&sc->stop, 0);
	for (uint32_t l = 0; l < lanes; l++) {
		w[l].scene = sc;
		w[l].lane = l;
		w[l].part = l ? rest : first;
		w[l].posts = 0;
		w[l].asked = 0;
		rig_check(pthread_create(&w[l].thread, NULL, work, &w[l]) ? -1
		                                                          : 0,
		          "thread");
	}
	while (ld_acq(&sc->ready) < lanes) /* pairs with the RMW in work */
		sched_yield();
	start = now_ns();
	st_rel(&sc->go, 1); /* pairs with the acquire in work */
	nanosleep(&t, NULL);
	st_rlx(&sc->stop, 1);
	ns = (double)(now_ns() - start);
	/* Who asks gets his last answer only while the others poll. */
	pthread_join(w[0].thread, NULL);
	st_rlx(&sc->stop, 2);
	for (uint32_t l = 1; l < lanes; l++)
		pthread_join(w[l].thread, NULL);
	return ns;
}

static uint64_t flushes(const struct shape *s)
{
	uint64_t sum = 0;

	for (uint32_t l = 0; l < s->lanes; l++)
		sum += ld_rlx(&s->flushes[l]);
	return sum;
}

static void one_round(struct scene *sc, struct worker *w, struct crowd *ret)
{
	uint64_t posts = 0, before = flushes(sc->shape);
	double ns = play(sc, w, PART_POST, PART_POST);

	for (uint32_t l = 0; l < sc->shape->lanes; l++)
		posts += w[l].posts;
	ret->mposts = (double)posts / ns * 1e3;
	ret->flush_share = (double)(flushes(sc->shape) - before) /
	                   (double)(posts + !posts);
	play(sc, w, PART_ASK, PART_POLL);
	ret->latency_ns = w[0].asked ? median_of(w[0].sample, w[0].asked) : 0;
}

void crowd_measure(const struct shape *s, uint32_t batch,
                   struct crowd result[NR_WAYS])
{
	double sample[3][NR_WAYS][ROUNDS];
	struct scene sc = {
	        .shape = s, .batch = batch, .crowded = s->lanes > rig_cpus()};
	size_t sum = 0;
	struct worker *w = zalloc_lines(s->lanes * sizeof(*w), &sum);
	void *ctx[NR_WAYS];

	for (unsigned k = 0; k < NR_WAYS; k++)
		ctx[k] = ways[k]->open(s);
	for (unsigned r = 0; r < ROUNDS; r++)
		for (unsigned k = 0; k < NR_WAYS; k++) {
			struct crowd c;

			sc.way = ways[k];
			sc.ctx = ctx[k];
			one_round(&sc, w, &c);
			sample[0][k][r] = c.mposts;
			sample[1][k][r] = c.flush_share;
			sample[2][k][r] = c.latency_ns;
		}
	for (unsigned k = 0; k < NR_WAYS; k++) {
		/* The round that others on the machine disturbed least. */
		median_of(sample[0][k], ROUNDS);
		result[k].mposts = sample[0][k][ROUNDS - 1];
		result[k].flush_share = median_of(sample[1][k], ROUNDS);
		median_of(sample[2][k], ROUNDS);
		result[k].latency_ns = sample[2][k][0];
		ways[k]->close(ctx[k]);
	}
	free(w);
}
