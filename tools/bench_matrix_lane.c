/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rounds of the matrix: map so many buffers and wait until the device
 * could use them, unmap them and, in strict ways, wait until it cannot any
 * more. Each lane is a thread that does nothing else.
 */
#include "tools/bench_matrix.h"
#include "tools/ticks.h"
#include "tools/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VAIN_POLLS 500u
#define SLICE_NS UINT64_C(8000000) /* of one way, at least */
#define CLOCK_NS UINT64_C(50000)   /* between two looks at the clock */
#define HUGE ((uintptr_t)MATRIX_HUGE)
#define RAW_IOVA (UINT64_C(1) << 32)

struct lane {
	struct matrix_rig *rig;
	enum matrix_way way;
	uint32_t id;
	pthread_t thread;
	pthread_barrier_t *gate;
	struct sluice_lane *lane;
	struct sluice_view *view;
	int bell;     /* readable when something completed; or -1: polls */
	char *window; /* where buffers begin */
	void *mapped;
	uint64_t mapped_len;
	/* depth entries each */
	char **va;
	uint64_t *iova;
	void **slot;
	struct sluice_bounce_buf *bounced;
	struct iovec *iov;
	uint64_t outstanding; /* completions to come */
	uint32_t turn;        /* of a round with one buffer: its direction */
	uint64_t pairs, ns;
	double best; /* nanoseconds of a pair, in the best chunk */
	int rc;
};

static uint32_t prot_of(const struct lane *l, uint32_t i)
{
	static const uint32_t prot[] = {0, SLUICE_READ, SLUICE_WRITE};

	/* A driver's buffers go one way or the other: half of them each. */
	if (l->way == MATRIX_BOUNCE)
		return prot[1 + (i + l->turn) % 2];
	return SLUICE_RW;
}

/* Nothing else is to be done. A lane with a processor of its own polls, as it
 * is meant to; another sleeps after a while until something completes. */
static void await(struct lane *l, uint64_t most)
{
	struct pollfd bell = {.fd = l->bell, .events = POLLIN};
	struct sluice_completion c[64];

	for (uint32_t vain = 0; l->outstanding > most && !l->rc;) {
		uint32_t n = sluice_poll(l->lane, c, 64);

		for (uint32_t i = 0; i < n; i++)
			if (c[i].result)
				l->rc = c[i].result;
		l->outstanding -= n;
		vain = n ? 0 : vain + 1;
		if (l->bell >= 0 && vain > VAIN_POLLS)
			(void)poll(&bell, 1, 5);
	}
}

/* A call that may have to be made again: after a poll. */
static int again(struct lane *l, int rc)
{
	if (rc >= 0) {
		l->outstanding += (uint64_t)rc;
		return 0;
	}
	if (rc != -EAGAIN && rc != -ENOBUFS && rc != -ENOSPC) {
		l->rc = rc;
		return 0;
	}
	if (l->outstanding)
		await(l, l->outstanding - 1);
	else
		sluice_poll(l->lane, NULL, 0);
	return 1;
}

static void round_raw(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;

	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		l->rc = bench_raw_map(&l->rig->raw, l->iova[i],
		                      (uintptr_t)l->va[i], c->len,
		                      prot_of(l, i));
	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		l->rc = bench_raw_unmap(&l->rig->raw, l->iova[i], c->len);
}

static void round_single(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;

	for (uint32_t i = 0; i < c->depth && !l->rc; i++) {
		struct sluice_map_req req = {.va = (uintptr_t)l->va[i],
		                             .len = c->len,
		                             .prot = prot_of(l, i)};

		while (again(l, sluice_map(l->view, &req, &l->iova[i])))
			;
	}
	await(l, 0);
	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		while (again(
		        l, sluice_unmap(l->view, l->iova[i], c->len, 0, NULL)))
			;
	await(l, 0);
}

static void round_burst(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;
	struct sluice_map_req req = {.prot = prot_of(l, 0)};

	while (again(l,
	             sluice_map_sg(l->view, &req, l->iov, c->depth, l->iova)))
		;
	await(l, 0);
	if (l->rc)
		return;
	while (again(l, sluice_unmap(l->view, l->iova[0], c->depth * c->len, 0,
	                             NULL)))
		;
	await(l, 0);
}

static void round_bounce(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;
	struct sluice_bounce *b = l->rig->bounce;

	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		while (again(l, sluice_bounce_map(l->view, b, l->va[i], c->len,
		                                  prot_of(l, i), 0,
		                                  &l->bounced[i])))
			;
	if (l->outstanding)
		await(l, 0);
	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		while (again(l, sluice_bounce_unmap(l->view, b, &l->bounced[i],
		                                    SLUICE_BOUNCE_USED_ALL, 0,
		                                    NULL)))
			;
	if (l->outstanding)
		await(l, 0);
	l->turn++;
}

static void round_arena(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;
	struct sluice_buf buf;

	for (uint32_t i = 0; i < c->depth && !l->rc; i++) {
		l->rc = sluice_arena_get(l->lane, l->rig->arena, &buf);
		l->slot[i] = buf.va;
	}
	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		sluice_arena_put(l->lane, l->rig->arena, l->slot[i]);
}

/* One poll a round, when its buffers are in use. */
static void round_lazy(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;
	/* Its buffers are alike. */
	struct sluice_map_req req = {.len = c->len, .prot = prot_of(l, 0)};

	for (uint32_t i = 0; i < c->depth && !l->rc; i++) {
		req.va = (uintptr_t)l->va[i];
		while (again(l, sluice_map(l->view, &req, &l->iova[i])))
			;
	}
	if (l->outstanding)
		await(l, 0);
	else
		sluice_poll(l->lane, NULL, 0);
	for (uint32_t i = 0; i < c->depth && !l->rc; i++)
		while (again(
		        l, sluice_unmap(l->view, l->iova[i], c->len, 0, NULL)))
			;
}

static void rounds(struct lane *l, uint64_t nr)
{
	static void (*const round[])(struct lane *) = {
	        round_raw,    round_single, round_burst,
	        round_bounce, round_lazy,   round_arena};

	for (uint64_t i = 0; i < nr && !l->rc; i++)
		round[l->way](l);
}

/* A part of the window, on the same memory as other parts and lanes: so many
 * large buffers fit, and nothing is filled with zeroes again and again. */
static int back(struct lane *l, uint64_t at, uint64_t len, uint64_t off)
{
	void *p = mmap(l->window + at, len, PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_FIXED | MAP_POPULATE, l->rig->memory,
	               (off_t)(off % l->rig->memory_len));

	return p == MAP_FAILED ? -ENOMEM : 0;
}

/* Contiguous: one large page after another. */
static int back_all(struct lane *l, uint64_t len)
{
	uint64_t step = l->rig->memory_len;
	int rc = 0;

	for (uint64_t at = 0; at < len && !rc; at += step)
		rc = back(l, at, step, 0);
	return rc;
}

static int place_buffers(struct lane *l)
{
	const struct matrix_cell *c = l->rig->cell;
	uint64_t stride = (c->scattered ? 2 : 1) * c->len;
	uint64_t need = stride * c->depth;
	uint32_t step = c->scattered && c->depth > 2 ? 5 : 1;
	int rc = 0;

	/* Room to begin at a large page, and to end with the memory. */
	l->mapped_len = need + l->rig->memory_len + HUGE;
	l->mapped = mmap(NULL, l->mapped_len, PROT_NONE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->mapped == MAP_FAILED) {
		l->mapped = NULL;
		return -ENOMEM;
	}
	l->window = (char *)(((uintptr_t)l->mapped + HUGE - 1) & ~(HUGE - 1));
	if (!c->scattered)
		rc = back_all(l, need);
	for (uint32_t i = 0; i < c->depth && !rc; i++) {
		/* Scattered: in no order either (5 and 2^n share nothing). */
		uint32_t at = i * step % c->depth;

		l->va[i] = l->window + at * stride;
		l->iov[i] = (struct iovec){l->va[i], c->len};
		l->iova[i] = RAW_IOVA + ((uint64_t)l->id << 34) + at * stride;
		if (c->scattered)
			rc = back(l, at * stride, c->len, at * c->len);
	}
	return rc;
}

static void lane_open(struct lane *l)
{
	uint32_t depth = l->rig->cell->depth;

	l->va = calloc(depth, sizeof(*l->va));
	l->iova = calloc(depth, sizeof(*l->iova));
	l->slot = calloc(depth, sizeof(*l->slot));
	l->bounced = calloc(depth, sizeof(*l->bounced));
	l->iov = calloc(depth, sizeof(*l->iov));
	if (!l->va || !l->iova || !l->slot || !l->bounced || !l->iov) {
		l->rc = -ENOMEM;
		return;
	}
	l->rc = place_buffers(l);
	if (l->rc || l->way == MATRIX_RAW)
		return;
	l->rc = sluice_lane_open(l->rig->engine, NULL, &l->lane);
	if (!l->rc)
		l->rc = sluice_view_open(l->lane, l->rig->domain, &l->view);
	if (!l->rc && !l->rig->pinned)
		l->bell = sluice_lane_event_fd(l->lane);
}

static void lane_close(struct lane *l)
{
	/* A poll that waits for others is no part of a measurement. */
	if (l->view) {
		if (sluice_drain(l->lane, UINT64_C(5000000000)) && !l->rc)
			l->rc = -ETIMEDOUT;
		(void)sluice_view_close(l->view);
	}
	(void)sluice_lane_close(l->lane);
	if (l->mapped)
		munmap(l->mapped, l->mapped_len);
	free(l->va);
	free(l->iova);
	free(l->slot);
	free(l->bounced);
	free(l->iov);
}

/* Rounds until the time is over, with the clock read seldom. */
static void timed(struct lane *l)
{
	uint64_t start = clock_ns(), now = start, nr = 1;
	uint32_t depth = l->rig->cell->depth;

	while (now - start < SLICE_NS && !l->rc) {
		uint64_t before = now;
		double each;

		rounds(l, nr);
		l->pairs += nr * depth;
		now = clock_ns();
		each = (double)(now - before) / (double)(nr * depth);
		if (l->best == 0.0 || each < l->best)
			l->best = each;
		if (now - before < CLOCK_NS)
			nr *= 2;
	}
	l->ns = now - start;
}

static void *work(void *arg)
{
	struct lane *l = arg;

	lane_open(l);
	if (l->rig->pinned)
		bench_pin_to(l->id);
	rounds(l, 1);
	/* Twice before and after: counters are read between the two. */
	pthread_barrier_wait(l->gate);
	pthread_barrier_wait(l->gate);
	if (!l->rc)
		timed(l);
	pthread_barrier_wait(l->gate);
	pthread_barrier_wait(l->gate);
	lane_close(l);
	return NULL;
}

static uint64_t kernel_calls(const struct matrix_rig *rig)
{
	struct sluice_domain_stats s;

	sluice_domain_get_stats(rig->domain, &s);
	return s.kernel_maps + s.kernel_unmaps;
}

/* What the lanes have done, and the kernel for them. */
static int tally(struct matrix_rig *rig, struct lane *l, uint64_t calls,
                 uint32_t time)
{
	struct matrix_cell *c = rig->cell;
	enum matrix_way way = l->way;
	double rate = 0.0;
	uint64_t pairs = 0;

	for (uint32_t i = 0; i < c->lanes; i++) {
		if (l[i].rc)
			return tool_failed(BENCH_CMD, "%s, lane %u: %s (%s)",
			                   matrix_way_name(way), i,
			                   sluice_errname(l[i].rc),
			                   sluice_last_error());
		rate += (double)l[i].pairs / (double)l[i].ns;
		pairs += l[i].pairs;
	}
	/* One lane: what it does when nobody disturbs it. Of several, each is
	 * best when others are not there at all. */
	c->ns[way][time] = c->lanes == 1 ? l->best : 1.0 / rate;
	c->calls[way] = way == MATRIX_RAW ? 2.0 : (double)calls / (double)pairs;
	return TOOL_OK;
}

int matrix_measure(struct matrix_rig *rig, enum matrix_way way, uint32_t time)
{
	struct lane lanes[BENCH_MATRIX_LANES] = {{0}};
	uint32_t nr = rig->cell->lanes;
	pthread_barrier_t gate;
	uint64_t calls = 0;

	if (pthread_barrier_init(&gate, NULL, nr + 1))
		return tool_failed(BENCH_CMD, "no memory for a barrier");
	for (uint32_t i = 0; i < nr; i++) {
		lanes[i] = (struct lane){.rig = rig,
		                         .way = way,
		                         .id = i,
		                         .bell = -1,
		                         .gate = &gate};
		if (pthread_create(&lanes[i].thread, NULL, work, &lanes[i])) {
			/* The others wait at the gate for good. */
			fputs("sluice bench: no thread\n", stderr);
			exit(TOOL_FAILED);
		}
	}
	pthread_barrier_wait(&gate);
	if (rig->domain)
		calls = kernel_calls(rig);
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	if (rig->domain)
		calls = kernel_calls(rig) - calls;
	pthread_barrier_wait(&gate);
	for (uint32_t i = 0; i < nr; i++)
		pthread_join(lanes[i].thread, NULL);
	pthread_barrier_destroy(&gate);
	return tally(rig, lanes, calls, time);
}
