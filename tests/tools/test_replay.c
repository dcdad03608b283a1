/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks of a replay and its turns. The checks are put to the test by an
 * engine that lies: the linker puts the two calls below between the replay and
 * the engine, and what they do wrong must be found, by one lane and by several.
 */
#include "tools/replay_run.h"
#include "tools/replay_team.h"

#include <sluice/map.h>

#include "yardstick/ways.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/tools/hand_plan.h"

/* The lies. Set while no lane runs; the last is its owner's. */
static uint64_t wrong_oa_at = UINT64_MAX;   /* maps this IOVA elsewhere */
static uint64_t not_unmapped = UINT64_MAX;  /* unmaps its neighbour instead */
static uint64_t mapped_beside = UINT64_MAX; /* and maps the page behind, too */
static uint64_t refused = UINT64_MAX;       /* not mapped any more ... */
static unsigned until_refused;              /* ... after so many times */

int __real_sluice_map(struct sluice_view *view,
                      const struct sluice_map_req *req, sluice_iova_t *iova);
int __real_sluice_unmap(struct sluice_view *view, sluice_iova_t iova,
                        uint64_t len, uint64_t cookie,
                        struct sluice_ticket *ret_ticket);
int __wrap_sluice_map(struct sluice_view *view,
                      const struct sluice_map_req *req, sluice_iova_t *iova);
int __wrap_sluice_unmap(struct sluice_view *view, sluice_iova_t iova,
                        uint64_t len, uint64_t cookie,
                        struct sluice_ticket *ret_ticket);

int __wrap_sluice_map(struct sluice_view *view,
                      const struct sluice_map_req *req, sluice_iova_t *iova)
{
	struct sluice_map_req r = *req;
	int rc;

	if (*iova == refused && until_refused == 0)
		return -EIO;
	if (*iova == wrong_oa_at)
		r.va += PAGE;
	if (*iova == mapped_beside)
		r.len += PAGE;
	rc = __real_sluice_map(view, &r, iova);
	if (rc >= 0 && *iova == refused)
		until_refused--;
	return rc;
}

int __wrap_sluice_unmap(struct sluice_view *view, sluice_iova_t iova,
                        uint64_t len, uint64_t cookie,
                        struct sluice_ticket *ret_ticket)
{
	if (iova == not_unmapped && len > PAGE) {
		iova += PAGE;
		len -= PAGE;
	}
	return __real_sluice_unmap(view, iova, len, cookie, ret_ticket);
}

#define RINGS 64
#define COPY_PAGES UINT64_C(0x2000) /* the power of two behind them */

static uint64_t ring(uint64_t i)
{
	return 0x1000 + i * 7 % RINGS * 32;
}

/* Two devices, each with half of the rings, map and unmap in turn: a map must
 * wait for the ticket of the unmap before. */
static void make_rings(void)
{
	for (uint64_t i = 0; i < UINT64_C(62) * RINGS; i++)
		act(i / RINGS % 2 ? TRACE_UNMAP : TRACE_MAP, (uint16_t)(i % 2),
		    ring(i), 2);
}

static struct replay_opts opts = {.format = SLUICE_PT_X86_64,
                                  .poll = 200,
                                  .repeat = 1,
                                  .block = 128,
                                  .lanes = 1,
                                  .copies = 1};
static struct replay_result res;

static void run(uint32_t lanes)
{
	struct trace_error err = {""};

	opts.lanes = lanes;
	if (replay_run("T", &plan, &opts, &res, &err))
		fail_msg("%s", err.text);
}

/* As the command line allows, but never one: two threads may share. */
static uint32_t several(void)
{
	return team_processors() < 4 ? 2 : 4;
}

static void played(enum replay_player who, uint32_t lanes, uint64_t events)
{
	const struct replay_speed *v = &res.speed[who];

	assert_int_equal(v->lanes, lanes);
	assert_int_equal(v->events, events);
	assert_int_equal(v->passes, opts.repeat * REPLAY_PASSES);
	assert_true(v->best_ps > 0);
	assert_true(v->median_ps >= v->best_ps);
	assert_true(v->pair.count > 0);
	assert_null(v->turn_ps);
}

static void clean(void **state)
{
	static const uint32_t used[] = {0, 3};
	uint32_t n = several();

	(void)state;
	make_rings();
	for (int mode = 0; mode < 4 * REPLAY_DEALINGS; mode++) {
		uint32_t copies;

		opts.repeat = mode ? 1 : 3;
		opts.order = mode & 1 ? REPLAY_ORDER_CHAIN : REPLAY_ORDER_TRACE;
		opts.translate = used[mode >> 1 & 1];
		opts.deal = (enum replay_dealing)(mode >> 2);
		copies = opts.deal == REPLAY_DEAL_COPIES ? n : 1;
		opts.against = ways_find("naive");
		run(n);
		assert_int_equal(res.divergence, 0);
		assert_true(res.checks > 4 * plan.nr);
		assert_int_equal(res.completions, copies * plan.nr / 2);
		assert_int_equal(res.chains, copies * RINGS);
		assert_int_equal(res.fullest, copies * plan.nr / n);
		played(REPLAY_ONE, 1, plan.nr);
		played(REPLAY_MANY, n, copies * plan.nr);
		played(REPLAY_APART, n, copies * plan.nr);
		played(REPLAY_WAY_ONE, 1, plan.nr);
		played(REPLAY_WAY_MANY, n, copies * plan.nr);
		assert_true(res.scaling > 0.0);
		assert_true(res.against[0] > 0.0 && res.against[1] > 0.0);
		/* Each ring is used again while its ticket is out: who
		 * translates waits for it. */
		assert_int_equal(res.speed[REPLAY_ONE].waits > 0,
		                 opts.translate > 0);
	}
	opts.against = NULL;
	opts.order = REPLAY_ORDER_TRACE;
	opts.translate = 0;
	run(1); /* REPLAY_DEAL_COPIES: one */
	played(REPLAY_ONE, 1, plan.nr);
	assert_int_equal(res.speed[REPLAY_MANY].lanes, 0);
	assert_true(res.scaling == 0.0);
	opts.deal = REPLAY_DEAL_RANGES;
	plan_free(&plan);
}

/* Events of a over its time, by the same of b. */
static void rate_over_rate(double ratio, enum replay_player a,
                           enum replay_player b)
{
	const struct replay_speed *va = &res.speed[a], *vb = &res.speed[b];
	double want = (double)va->events / (double)va->median_ps /
	              ((double)vb->events / (double)vb->median_ps);

	assert_true(ratio > want * 0.999999 && ratio < want * 1.000001);
}

/* Who plays more events is not slower for it. One turn: its time is the median.
 */
static void rates(void **state)
{
	(void)state;
	make_rings();
	opts.against = ways_find("naive");
	for (int how = 0; how < REPLAY_DEALINGS; how++) {
		opts.deal = (enum replay_dealing)how;
		run(several());
		rate_over_rate(res.scaling, REPLAY_MANY, REPLAY_ONE);
		rate_over_rate(res.apart, REPLAY_APART, REPLAY_ONE);
		rate_over_rate(res.against[0], REPLAY_ONE, REPLAY_WAY_ONE);
		rate_over_rate(res.against[1], REPLAY_MANY, REPLAY_WAY_MANY);
	}
	opts.against = NULL;
	opts.deal = REPLAY_DEAL_RANGES;
	plan_free(&plan);
}

/* The planted fault is found in the domain and at the page where it is. */
static void found(uint32_t lanes, uint64_t page, const char *what)
{
	char where[64];

	run(lanes);
	assert_true(res.divergence > 0);
	assert_int_equal(res.speed[REPLAY_ONE].lanes, 0); /* not timed */
	snprintf(where, sizeof(where), "IOVA 0x%llx: %s",
	         (unsigned long long)(page * PAGE), what);
	if (!strstr(res.first_bad, where))
		fail_msg("\"%s\" lacks \"%s\"", res.first_bad, where);
}

static void lies(void **state)
{
	uint64_t page = ring(40);

	(void)state;
	make_rings();
	for (uint32_t lanes = 1; lanes <= several(); lanes++) {
		wrong_oa_at = page * PAGE;
		found(lanes, page, "translates to the wrong address");
		wrong_oa_at = UINT64_MAX;
		mapped_beside = page * PAGE;
		found(lanes, page + 2, "translates, but must not be mapped");
		mapped_beside = UINT64_MAX;
		not_unmapped = page * PAGE;
		found(lanes, page, "translates, but must not be mapped");
		not_unmapped = UINT64_MAX;
		run(lanes);
		assert_int_equal(res.divergence, 0);
	}
	plan_free(&plan);
}

/* Of the copies the last, which one lane alone does not play. */
static void lies_in_a_copy(void **state)
{
	uint32_t n = several();
	uint64_t page = ring(40) + (n - 1) * COPY_PAGES;

	(void)state;
	make_rings();
	opts.deal = REPLAY_DEAL_COPIES;
	wrong_oa_at = page * PAGE;
	found(n, page, "translates to the wrong address");
	wrong_oa_at = UINT64_MAX;
	not_unmapped = page * PAGE;
	found(n, page, "translates, but must not be mapped");
	not_unmapped = UINT64_MAX;
	opts.deal = REPLAY_DEAL_RANGES;
	plan_free(&plan);
}

/* Found at the end when nothing is compared on the way. */
static void lies_at_the_end(void **state)
{
	(void)state;
	make_rings();
	opts.check = REPLAY_CHECK_END;
	not_unmapped = ring(40) * PAGE;
	run(several());
	assert_true(res.divergence > 0);
	not_unmapped = UINT64_MAX;
	run(several());
	assert_int_equal(res.divergence, 0);
	opts.check = REPLAY_CHECK_EACH;
	plan_free(&plan);
}

/* How often a ring is mapped: in a pass, and until several lanes are in the
 * middle of their turn, behind so many passes of one lane. */
#define RING_MAPS 31u
#define AMIDST(PASSES) (RING_MAPS * ((PASSES) + 3) + 5)

static void fails(const char *what)
{
	struct trace_error err = {""};

	opts.lanes = several();
	assert_int_equal(replay_run("T", &plan, &opts, &res, &err), -EIO);
	if (strncmp(err.text, "T:", 2) || !strstr(err.text, what))
		fail_msg("\"%s\" lacks \"%s\"", err.text, what);
}

/* A lane that fails in a turn is reported and holds up nobody. */
static void lane_fails(void **state)
{
	(void)state;
	make_rings();
	refused = ring(40) * PAGE;
	for (int mode = 0; mode < 2 * REPLAY_DEALINGS; mode++) {
		opts.order = mode & 1 ? REPLAY_ORDER_CHAIN : REPLAY_ORDER_TRACE;
		opts.deal = (enum replay_dealing)(mode >> 1);
		/* The checked passes come first. */
		until_refused = AMIDST(2 + REPLAY_ROUNDS);
		fails("the engine refused this map");
		assert_int_equal(until_refused, 0);
	}
	opts.order = REPLAY_ORDER_TRACE;
	opts.deal = REPLAY_DEAL_RANGES;
	refused = UINT64_MAX;
	plan_free(&plan);
}

static unsigned until_way_refuses;

static int reluctant_map(void *w, uint64_t iova, uint64_t oa, uint64_t len,
                         uint32_t prot)
{
	if (iova == ring(40) * PAGE && until_way_refuses-- == 0)
		return -EIO;
	return ways_find("naive")->map(w, iova, oa, len, prot);
}

static void way_fails(void **state)
{
	struct way reluctant = *ways_find("naive");

	(void)state;
	make_rings();
	reluctant.map = reluctant_map;
	opts.against = &reluctant;
	until_way_refuses = AMIDST(REPLAY_ROUNDS);
	fails("refused this event");
	opts.against = NULL;
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(clean),
	        cmocka_unit_test(rates),
	        cmocka_unit_test(lies),
	        cmocka_unit_test(lies_in_a_copy),
	        cmocka_unit_test(lies_at_the_end),
	        cmocka_unit_test(lane_fails),
	        cmocka_unit_test(way_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
