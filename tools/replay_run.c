/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs the actions of a plan on soft domains, one lane with a view on each
 * domain, and takes the time. What has to be true after each step is known to
 * replay_check.c alone.
 */
#include "tools/replay_run.h"
#include "tools/replay_int.h"

#include "tools/ticks.h"
#include "tools/trace_int.h"

#include <sluice/engine.h>

#include <errno.h>
#include <string.h>

/* A poll with one lane lets every ticket pass within a round or two; a bound
 * turns a lost ticket into an error. */
#define MAX_TRIES 10000
#define POLL_ROOM 64
#define DRAIN_NS UINT64_C(1000000000)

static int refused(struct machine *m, int rc, const char *what)
{
	return trace_fail(m->err, rc, "%s: %s: %s: %s", m->name, what,
	                  sluice_errname(rc), sluice_last_error());
}

void machine_poll(struct machine *m)
{
	struct sluice_completion c[POLL_ROOM];
	uint32_t n;

	do {
		n = sluice_poll(m->lane, c, POLL_ROOM);
		m->completions += n;
		for (uint32_t i = 0; i < n; i++)
			m->bad_completions += c[i].result != 0;
	} while (n == POLL_ROOM);
}

static int act_once(struct machine *m, const struct plan_action *a)
{
	struct sluice_view *view = m->view[a->domain];

	if (a->op == TRACE_MAP) {
		struct sluice_map_req req = {.va = a->oa,
		                             .len = a->len,
		                             .prot = SLUICE_RW,
		                             .flags = SLUICE_MAP_FIXED};
		sluice_iova_t iova = a->iova;

		return sluice_map(view, &req, &iova);
	}
	return sluice_unmap(view, a->iova, a->len, a->line, NULL);
}

int machine_act(struct machine *m, const struct plan_action *a)
{
	int rc = act_once(m, a);

	for (int i = 0; i < MAX_TRIES && (rc == -EBUSY || rc == -EAGAIN); i++) {
		m->busy++;
		machine_poll(m);
		/* A lazy domain would sit on its invalidations for up to a
		 * millisecond: flush, as an allocator does that runs dry.
		 * Lazy unmaps owe no completion that could be lost here. */
		if (m->opts->mode == SLUICE_MODE_LAZY &&
		    sluice_drain(m->lane, DRAIN_NS) < 0)
			return -ETIMEDOUT;
		rc = act_once(m, a);
	}
	return rc;
}

int machine_settle(struct machine *m, uint64_t promised)
{
	for (int i = 0; i < MAX_TRIES && m->completions < promised; i++)
		machine_poll(m);
	return m->completions < promised ? -ETIMEDOUT : 0;
}

void machine_stats(struct machine *m, struct sluice_domain_stats *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		struct sluice_domain_stats s;

		sluice_domain_get_stats(m->domain[d], &s);
		ret_sum->kernel_maps += s.kernel_maps;
		ret_sum->kernel_unmaps += s.kernel_unmaps;
		ret_sum->invalidations += s.invalidations;
	}
}

static int open_domain(struct machine *m, uint32_t d)
{
	struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_SOFT,
	        .mode = m->opts->mode,
	        .format = m->opts->format,
	        .iova_bits = m->iova_bits,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA,
	        .last = (UINT64_C(1) << m->iova_bits) - 1,
	};
	int rc = sluice_domain_create(m->engine, &cfg, &m->domain[d]);

	if (rc < 0)
		return refused(m, rc, "a domain cannot be created");
	rc = sluice_view_open(m->lane, m->domain[d], &m->view[d]);
	return rc < 0 ? refused(m, rc, "a view cannot be opened") : 0;
}

static int power_on(struct machine *m)
{
	int rc;

	m->iova_bits = m->plan->last_iova >> 48 ? 57 : 48;
	rc = sluice_engine_open(NULL, &m->engine);
	if (rc < 0)
		return refused(m, rc, "the engine cannot be opened");
	rc = sluice_lane_open(m->engine, NULL, &m->lane);
	if (rc < 0)
		return refused(m, rc, "a lane cannot be opened");
	for (uint32_t d = 0; d < m->plan->nr_domains && !rc; d++)
		rc = open_domain(m, d);
	return rc;
}

/* Takes what is there; an error here is a defect worth an exit code. */
static int power_off(struct machine *m)
{
	int rc = 0;

	if (m->lane)
		rc |= sluice_drain(m->lane, DRAIN_NS);
	for (uint32_t d = 0; d < m->plan->nr_domains; d++) {
		rc |= sluice_view_close(m->view[d]);
		rc |= sluice_domain_destroy(m->domain[d]);
	}
	rc |= sluice_lane_close(m->lane);
	rc |= sluice_engine_close(m->engine);
	return rc ? refused(m, -EBUSY, "the engine could not be closed") : 0;
}

static int step_failed(struct machine *m, const struct plan_action *a, int rc)
{
	return trace_fail(m->err, rc,
	                  "%s:%u: the engine refused this %s: %s: %s", m->name,
	                  a->line, a->op == TRACE_MAP ? "map" : "unmap",
	                  sluice_errname(rc), sluice_last_error());
}

/* One block: poll after every opts->poll events, as a driver would. */
static int block(struct machine *m, size_t from, size_t to, uint32_t *since,
                 uint64_t *promised)
{
	for (size_t i = from; i < to; i++) {
		const struct plan_action *a = &m->plan->act[i];
		int rc = machine_act(m, a);

		if (rc < 0)
			return step_failed(m, a, rc);
		*promised += (uint64_t)rc;
		if (++*since >= m->opts->poll) {
			*since = 0;
			machine_poll(m);
		}
	}
	return 0;
}

/* Back to empty domains, so that the next pass can begin. */
static int clean(struct machine *m, uint64_t *promised)
{
	for (size_t i = 0; i < m->plan->nr_left; i++) {
		const struct plan_action *a = &m->plan->left[i];
		int rc = machine_act(m, a);

		if (rc < 0)
			return step_failed(m, a, rc);
		*promised += (uint64_t)rc;
	}
	if (machine_settle(m, *promised) < 0)
		return trace_fail(m->err, -ETIMEDOUT,
		                  "%s: completions of unmaps did not arrive",
		                  m->name);
	return 0;
}

/* warm: the pass is not counted. */
static int timed_pass(struct machine *m, int warm)
{
	const struct ticks *t = ticks_init();
	size_t nr = m->plan->nr, step = m->opts->block;
	struct replay_result *res = m->res;
	uint64_t promised = 0;
	uint32_t since = 0;
	int rc = 0;

	m->completions = 0;
	m->busy = 0;
	for (size_t i = 0; i < nr && !rc; i += step) {
		size_t end = nr - i < step ? nr : i + step;
		uint64_t from = ticks_now(t), ps;

		rc = block(m, i, end, &since, &promised);
		ps = ticks_ps(t, from, ticks_now(t));
		if (warm)
			continue;
		res->timed_ps += ps;
		res->timed_events += end - i;
		/* A tail shorter than half a block would be noise. */
		if (2 * (end - i) >= step || nr < step)
			hist_add(&res->pair, 2 * ps / (end - i), 1);
	}
	if (!warm)
		res->busy += m->busy;
	return rc ? rc : clean(m, &promised);
}

/* After an error or a divergence, what is left behind is no news. */
static void power_off_quiet(struct machine *m)
{
	struct trace_error unused;

	m->err = &unused;
	power_off(m);
}

int replay_run(const char *name, const struct plan *plan,
               const struct replay_opts *opts, struct replay_result *ret,
               struct trace_error *err)
{
	struct machine m = {.name = name,
	                    .plan = plan,
	                    .opts = opts,
	                    .res = ret,
	                    .err = err};
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = power_on(&m);
	if (!rc)
		rc = replay_checked(&m);
	/* The first pass warms tables and caches, as the drivers' first
	 * requests did before the recording. What diverged cannot be timed. */
	for (uint32_t i = 0; i <= opts->repeat && !rc && !ret->divergence; i++)
		rc = timed_pass(&m, i == 0);
	if (!rc && !ret->divergence)
		return power_off(&m);
	power_off_quiet(&m);
	return rc;
}
