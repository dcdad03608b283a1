/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads sleep between jobs, so that a job of one of them is not disturbed by
 * the others.
 */
#include "tools/replay_team.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* Rounds of a pause: far longer than a line takes to travel, far shorter than
 * a time slice. */
#define SPINS 4096

struct member {
	struct team *team;
	uint32_t id;
	pthread_t thread;
};

struct team {
	uint32_t nr;
	pthread_mutex_t lock; /* guards the four below */
	pthread_cond_t begin, end;
	uint64_t round;
	uint32_t busy;
	team_job *job; /* NULL: go home */
	void *ctx;
	cpu_set_t may;
	struct member member[];
};

uint32_t team_processors(void)
{
	cpu_set_t may;

	if (sched_getaffinity(0, sizeof(may), &may))
		return 1;
	return CPU_COUNT(&may) > 0 ? (uint32_t)CPU_COUNT(&may) : 1;
}

/* The id-th processor that is ours. Where pinning is refused the replay is
 * still right, only noisier. */
static void pin(const struct team *t, uint32_t id)
{
	uint32_t n = 0;

	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t set;

		if (!CPU_ISSET(cpu, &t->may) || n++ != id)
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
		return;
	}
}

static void *work(void *ctx)
{
	struct member *me = ctx;
	struct team *t = me->team;
	uint64_t seen = 0;

	pin(t, me->id);
	for (;;) {
		team_job *job;

		pthread_mutex_lock(&t->lock);
		while (t->round == seen)
			pthread_cond_wait(&t->begin, &t->lock);
		seen = t->round;
		job = t->job;
		pthread_mutex_unlock(&t->lock);
		if (!job)
			return NULL;
		job(t->ctx, me->id);
		pthread_mutex_lock(&t->lock);
		if (--t->busy == 0)
			pthread_cond_signal(&t->end);
		pthread_mutex_unlock(&t->lock);
	}
}

static void announce(struct team *t, team_job *job, void *ctx)
{
	pthread_mutex_lock(&t->lock);
	t->job = job;
	t->ctx = ctx;
	t->busy = t->nr;
	t->round++;
	pthread_cond_broadcast(&t->begin);
	pthread_mutex_unlock(&t->lock);
}

void team_run(struct team *t, team_job *job, void *ctx)
{
	announce(t, job, ctx);
	pthread_mutex_lock(&t->lock);
	while (t->busy)
		pthread_cond_wait(&t->end, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

void team_close(struct team *t)
{
	if (!t)
		return;
	announce(t, NULL, NULL);
	for (uint32_t i = 0; i < t->nr; i++)
		pthread_join(t->member[i].thread, NULL);
	pthread_cond_destroy(&t->begin);
	pthread_cond_destroy(&t->end);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int team_open(uint32_t nr, struct team **ret)
{
	struct team *t = calloc(1, sizeof(*t) + nr * sizeof(t->member[0]));

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->begin, NULL);
	pthread_cond_init(&t->end, NULL);
	if (sched_getaffinity(0, sizeof(t->may), &t->may))
		CPU_ZERO(&t->may);
	for (uint32_t i = 0; i < nr; i++) {
		struct member *m = &t->member[i];
		int rc;

		*m = (struct member){.team = t, .id = i};
		rc = pthread_create(&m->thread, NULL, work, m);
		if (rc) {
			team_close(t); /* with those there are */
			return -rc;
		}
		t->nr++;
	}
	*ret = t;
	return 0;
}

void meeting_arrive(struct meeting *m)
{
	/* Release: pairs with the acquire in meeting_full. */
	(void)atomic_fetch_add_explicit(&m->here, 1, memory_order_release);
}

int meeting_full(struct meeting *m, uint32_t nr)
{
	/* Acquire: pairs with the releases in meeting_arrive. */
	return atomic_load_explicit(&m->here, memory_order_acquire) >= nr;
}

void meeting_wait(struct meeting *m, uint32_t nr)
{
	meeting_arrive(m);
	for (uint32_t n = 0; !meeting_full(m, nr); n++)
		team_pause(n);
}

void team_pause(uint32_t n)
{
	if (n > SPINS) {
		sched_yield();
		return;
	}
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}
