/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers that several groups reach. On type1 a group is a device's, attached
 * to the domain. A soft domain takes no group: what uses one is a lane with a
 * view, so there a group is a lane of its own that translates every buffer, and
 * for which every ticket waits. One and several domains, few and many groups
 * take turns of some milliseconds, so that all see the same machine.
 */
#include "tools/bench_share.h"
#include "tools/ticks.h"
#include "tools/tool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TURN_NS UINT64_C(12000000)
#define VAIN_POLLS 500u

struct rig {
	const struct share *s;
	struct share_case *c;
	uint32_t nr_domains;
	struct sluice_engine *engine;
	struct sluice_domain *domain[SHARE_GROUPS];
	struct sluice_group *group[SHARE_GROUPS];
	struct sluice_lane *lane; /* who maps: a view on each domain */
	struct sluice_view *view[SHARE_GROUPS];
	/* Who translates, of a soft domain. */
	struct sluice_lane *user[SHARE_GROUPS];
	struct sluice_view *user_view[SHARE_GROUPS];
	char *memory;
	sluice_iova_t iova[SHARE_GROUPS][SHARE_DEPTH];
	uint64_t outstanding;
	int warm; /* what is measured counts */
	int bell;
};

static int refused(const char *what, int rc)
{
	return tool_failed(BENCH_CMD, "%s: %s: %s", what, sluice_errname(rc),
	                   sluice_last_error());
}

static int is_soft(const struct rig *r)
{
	return r->s->opts->backend == SLUICE_BACKEND_SOFT;
}

/* ---- a rig ---- */

static int open_domain(struct rig *r, uint32_t i)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = r->s->opts->backend,
	        .format = r->s->opts->format,
	        .max_inflight = 4096,
	};
	int rc = sluice_domain_create(r->engine, &cfg, &r->domain[i]);

	return rc ? refused("the domain", rc) : TOOL_OK;
}

static int join(struct rig *r, uint32_t i)
{
	struct sluice_domain *domain = r->domain[i % r->nr_domains];
	int rc;

	if (is_soft(r)) {
		rc = sluice_lane_open(r->engine, NULL, &r->user[i]);
		if (!rc)
			rc = sluice_view_open(r->user[i], domain,
			                      &r->user_view[i]);
		return rc ? refused("a lane", rc) : TOOL_OK;
	}
	rc = sluice_group_open(r->s->bdf[i], NULL, &r->group[i]);
	if (!rc)
		rc = sluice_domain_attach(domain, r->group[i]);
	return rc ? refused(r->s->bdf[i], rc) : TOOL_OK;
}

static int rig_open(struct rig *r)
{
	const struct sluice_engine_cfg cfg = {.max_lanes = SHARE_GROUPS + 1};
	int rc = sluice_engine_open(&cfg, &r->engine);

	if (!rc)
		rc = sluice_lane_open(r->engine, NULL, &r->lane);
	if (rc)
		return refused("the engine", rc);
	for (uint32_t i = 0; i < r->nr_domains && !rc; i++)
		rc = open_domain(r, i);
	for (uint32_t i = 0; i < r->c->groups && !rc; i++)
		rc = join(r, i);
	for (uint32_t i = 0; i < r->nr_domains && !rc; i++) {
		rc = sluice_view_open(r->lane, r->domain[i], &r->view[i]);
		if (rc)
			return refused("a view", rc);
	}
	r->bell = sluice_lane_event_fd(r->lane);
	return rc;
}

static void rig_close(struct rig *r)
{
	if (r->lane && sluice_drain(r->lane, UINT64_C(5000000000)))
		fprintf(stderr, "bench: %s\n", sluice_last_error());
	for (uint32_t i = 0; i < r->nr_domains; i++)
		(void)sluice_view_close(r->view[i]);
	(void)sluice_lane_close(r->lane);
	for (uint32_t i = 0; i < r->c->groups; i++) {
		(void)sluice_view_close(r->user_view[i]);
		(void)sluice_lane_close(r->user[i]);
		if (r->group[i])
			(void)sluice_domain_detach(r->domain[i % r->nr_domains],
			                           r->group[i]);
		(void)sluice_group_close(r->group[i]);
	}
	for (uint32_t i = 0; i < r->nr_domains; i++)
		(void)sluice_domain_destroy(r->domain[i]);
	if (r->engine)
		(void)sluice_engine_close(r->engine);
}

/* ---- a round ---- */

static void poll_users(const struct rig *r)
{
	for (uint32_t i = 0; i < r->c->groups && r->user[i]; i++)
		sluice_poll(r->user[i], NULL, 0);
}

/* Until no more than so many completions are to come. */
static int await(struct rig *r, uint64_t most)
{
	struct pollfd bell = {.fd = r->bell, .events = POLLIN};
	struct sluice_completion c[SHARE_DEPTH];
	uint32_t vain = 0;

	while (r->outstanding > most) {
		uint32_t n = sluice_poll(r->lane, c, SHARE_DEPTH);

		for (uint32_t i = 0; i < n; i++)
			if (c[i].result)
				return tool_failed(
				        BENCH_CMD, "%s",
				        sluice_completion_text(&c[i]));
		r->outstanding -= n;
		vain = n ? 0 : vain + 1;
		poll_users(r);
		if (vain > VAIN_POLLS && r->bell >= 0)
			(void)poll(&bell, 1, 5);
	}
	return TOOL_OK;
}

/* After a call that promised rc completions. 1: once more. */
static int again(struct rig *r, int *rc)
{
	if (*rc >= 0) {
		r->outstanding += (uint64_t)*rc;
		*rc = 0;
		return 0;
	}
	if (*rc != -EAGAIN || !r->outstanding)
		return 0;
	*rc = await(r, r->outstanding - 1);
	return !*rc;
}

static int map_all(struct rig *r, uint32_t d, int burst)
{
	struct iovec iov[SHARE_DEPTH];
	struct sluice_map_req req = {.len = SHARE_BYTES, .prot = SLUICE_RW};
	int rc = 0;

	for (uint32_t i = 0; i < SHARE_DEPTH && !burst && !rc; i++) {
		req.va = (uintptr_t)(r->memory + (size_t)i * SHARE_BYTES);
		do
			rc = sluice_map(r->view[d], &req, &r->iova[d][i]);
		while (again(r, &rc));
	}
	if (!burst)
		return rc;
	for (uint32_t i = 0; i < SHARE_DEPTH; i++)
		iov[i] = (struct iovec){r->memory + (size_t)i * SHARE_BYTES,
		                        SHARE_BYTES};
	do
		rc = sluice_map_sg(r->view[d], &req, iov, SHARE_DEPTH,
		                   r->iova[d]);
	while (again(r, &rc));
	for (uint32_t i = 1; i < SHARE_DEPTH; i++)
		r->iova[d][i] = r->iova[d][i - 1] + SHARE_BYTES;
	return rc;
}

static int unmap_all(struct rig *r, uint32_t d, int burst)
{
	uint64_t len = burst ? SHARE_DEPTH * SHARE_BYTES : SHARE_BYTES;
	int rc = 0;

	for (uint32_t i = 0; i < (burst ? 1 : SHARE_DEPTH) && !rc; i++)
		do
			rc = sluice_unmap(r->view[d], r->iova[d][i], len, 0,
			                  NULL);
		while (again(r, &rc));
	return rc;
}

/* Every group reaches every buffer, by one address where the domain is one. */
static int use_all(const struct rig *r)
{
	sluice_oa_t oa;

	for (uint32_t g = 0; g < r->c->groups && r->user[g]; g++)
		for (uint32_t i = 0; i < SHARE_DEPTH; i++)
			if (sluice_translate(r->user_view[g],
			                     r->iova[g % r->nr_domains][i], 64,
			                     SLUICE_READ, &oa) != 64 ||
			    oa != (uintptr_t)r->memory + i * SHARE_BYTES)
				return tool_failed(
				        BENCH_CMD,
				        "group %u does not reach buffer %u: %s",
				        g, i, sluice_last_error());
	return TOOL_OK;
}

/* ps: of all buffers. */
static void keep(const struct rig *r, enum share_what what, uint64_t ps)
{
	if (r->warm)
		hist_add(&r->c->ps[what], ps / SHARE_DEPTH, 1);
}

static int one_round(struct rig *r, int burst)
{
	const struct ticks *t = ticks_init();
	uint64_t from = ticks_now(t), ps;
	int rc = 0;

	for (uint32_t d = 0; d < r->nr_domains && !rc; d++)
		rc = map_all(r, d, burst);
	if (rc < 0)
		return refused("map", rc);
	if (!rc)
		rc = await(r, 0);
	ps = ticks_ps(t, from, ticks_now(t));
	keep(r, burst ? SHARE_BURST_MAP : SHARE_MAP, ps);
	if (!rc)
		rc = use_all(r);
	if (rc)
		return rc;
	from = ticks_now(t);
	for (uint32_t d = 0; d < r->nr_domains && !rc; d++)
		rc = unmap_all(r, d, burst);
	if (rc < 0)
		return refused("unmap", rc);
	if (!rc)
		rc = await(r, 0);
	ps += ticks_ps(t, from, ticks_now(t));
	keep(r, burst ? SHARE_BURST_PAIR : SHARE_PAIR, ps);
	return rc;
}

static void count(const struct rig *r, int burst, int sign)
{
	struct sluice_domain_stats st;

	for (uint32_t d = 0; d < r->nr_domains; d++) {
		sluice_domain_get_stats(r->domain[d], &st);
		r->c->maps[burst] += (uint64_t)sign * st.kernel_maps;
		r->c->unmaps[burst] += (uint64_t)sign * st.kernel_unmaps;
	}
}

static int turn(struct rig *r, int burst)
{
	uint64_t end;
	int rc = 0;

	/* Brings tables, and what the kernel and the processor remember. */
	r->warm = 0;
	for (int i = 0; i < 2 && !rc; i++)
		rc = one_round(r, burst);
	if (rc)
		return rc;
	r->warm = 1;
	count(r, burst, -1);
	end = clock_ns() + TURN_NS / 2;
	do {
		rc = one_round(r, burst);
		r->c->buffers[burst] += SHARE_DEPTH;
	} while (!rc && clock_ns() < end);
	count(r, burst, 1);
	return rc;
}

static int take_turn(const struct share *s, struct share_case *c, char *memory)
{
	struct rig r = {
	        .s = s,
	        .c = c,
	        .nr_domains = c->how == SHARE_ONE ? 1 : c->groups,
	        .memory = memory,
	        .bell = -1,
	};
	int rc = rig_open(&r);

	if (!rc)
		rc = turn(&r, 0);
	if (!rc)
		rc = turn(&r, 1);
	rig_close(&r);
	return rc;
}

/* ---- the command ---- */

/* "BDF,BDF": *ret_list is freed by the caller. */
static int devices(struct share *s, char **ret_list)
{
	char *rest, *list = NULL;

	s->nr_bdf = SHARE_GROUPS;
	if (s->opts->backend == SLUICE_BACKEND_SOFT)
		return TOOL_OK;
	list = strdup(s->opts->device);
	if (!list)
		return tool_failed(BENCH_CMD, "no memory");
	s->nr_bdf = 0;
	for (char *at = strtok_r(list, ",", &rest);
	     at && s->nr_bdf < SHARE_GROUPS; at = strtok_r(NULL, ",", &rest))
		s->bdf[s->nr_bdf++] = at;
	*ret_list = list;
	if (!s->nr_bdf)
		return tool_usage(BENCH_CMD, "--device names no device");
	return TOOL_OK;
}

static int run(struct share *s)
{
	uint64_t end = clock_ns() + s->opts->seconds * UINT64_C(1000000000);
	size_t len = SHARE_DEPTH * SHARE_BYTES;
	char *memory = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int rc = TOOL_OK;

	if (memory == MAP_FAILED)
		return tool_failed(BENCH_CMD, "no memory for buffers: %s",
		                   strerror(errno));
	do {
		for (uint32_t i = 0; i < s->nr_rows * SHARE_HOWS && !rc; i++) {
			struct share_case *c =
			        &s->row[i / SHARE_HOWS][i % SHARE_HOWS];

			/* One group has one domain either way. */
			if (c->groups > 1 || c->how == SHARE_ONE)
				rc = take_turn(s, c, memory);
		}
	} while (!rc && clock_ns() < end);
	munmap(memory, len);
	return rc;
}

int bench_share(const struct bench_opts *opts)
{
	struct share *s = calloc(1, sizeof(*s));
	char *list = NULL;
	int rc;

	if (!s)
		return tool_failed(BENCH_CMD, "no memory");
	s->opts = opts;
	rc = devices(s, &list);
	if (!rc && opts->pin != BENCH_PIN_NO && bench_cpus() > 1) {
		/* Helpers of the domains begin where the others are. */
		bench_pin_beyond(1);
		if (opts->backend == SLUICE_BACKEND_SOFT)
			bench_pin_to(0);
	}
	for (uint32_t n = 1; n <= s->nr_bdf && !rc; n *= 2, s->nr_rows++)
		for (int h = 0; h < SHARE_HOWS; h++) {
			s->row[s->nr_rows][h].groups = n;
			s->row[s->nr_rows][h].how = (enum share_how)h;
		}
	if (!rc)
		rc = run(s);
	if (!rc && (!opts->json || strcmp(opts->json, "-")))
		share_print(stdout, s);
	if (!rc && opts->json)
		rc = share_json(s);
	free(list);
	free(s);
	return rc;
}
