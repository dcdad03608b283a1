/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Domains from consistency. Besides small cases, a simulation: several devices,
 * each with its own allocator from the top of 32 bits, merged into one trace;
 * whatever the plan says must hold every event and no contradiction, and need
 * no more domains than there were.
 */
#include "tools/plan.h"

#include "yardstick/yardstick.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct trace t;
static struct plan p;
static struct trace_error err;

static void ev(enum trace_op op, uint64_t page, uint64_t pages, uint64_t oa)
{
	struct trace_event *e;

	if (t.nr == t.room) {
		t.room = t.room ? 2 * t.room : 64;
		t.ev = realloc(t.ev, t.room * sizeof(*t.ev));
		assert_non_null(t.ev);
	}
	e = &t.ev[t.nr++];
	e->op = op;
	e->iova = page << 12;
	e->len = pages << 12;
	e->paddr = oa << 12;
	e->line = ++t.nr_lines;
	*(op == TRACE_MAP ? &t.nr_maps : &t.nr_unmaps) += 1;
}

static void map(uint64_t page, uint64_t pages, uint64_t oa)
{
	ev(TRACE_MAP, page, pages, oa);
}

static void unmap(uint64_t page, uint64_t pages)
{
	ev(TRACE_UNMAP, page, pages, 0);
}

/* The sums must agree with the trace, whatever was decided. */
static void accounted(void)
{
	uint64_t maps = 0, unmaps = 0, left = 0;

	for (uint32_t d = 0; d < p.nr_domains; d++) {
		const struct plan_domain *x = &p.domain[d];

		maps += x->maps;
		unmaps += x->unmaps;
		left += x->left_pages;
		assert_int_equal(x->mapped_pages,
		                 x->unmapped_pages + x->left_pages);
		assert_true(x->maps);
	}
	assert_int_equal(maps, t.nr_maps);
	assert_int_equal(unmaps + p.unmatched_unmaps, t.nr_unmaps);
	assert_int_equal(left, p.left_pages);
}

static void make(uint32_t domains, uint64_t left)
{
	assert_int_equal(plan_make("T", &t, &p, &err), 0);
	accounted();
	assert_int_equal(p.nr_domains, domains);
	assert_int_equal(p.left_pages, left);
}

static void done(void)
{
	trace_free(&t);
	plan_free(&p);
}

static void one_domain(void **state)
{
	(void)state;
	map(10, 1, 100);
	map(11, 2, 200);
	unmap(10, 3); /* covers two maps */
	map(10, 4, 300);
	unmap(10, 4);
	map(10, 1, 1);
	make(1, 1);
	assert_int_equal(p.split_unmaps + p.partial_unmaps, 0);
	done();
}

static void two_domains(void **state)
{
	(void)state;
	map(10, 1, 100);
	map(10, 1, 200);
	unmap(10, 1);
	map(10, 1, 300);
	unmap(10, 1);
	make(2, 1);
	/* What lives shortly ends first: the first map is the one that
	 * stays. */
	assert_int_equal(p.domain[0].left_pages, 1);
	assert_int_equal(p.domain[0].unmaps, 0);
	done();
}

/* Four single pages of one device under one scatter list of another; the
 * unmap of four must take the scatter list. */
static void scatter_list(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		map(23 - i, 1, 50 + i);
	for (uint64_t i = 0; i < 4; i++)
		map(20 + i, 1, 70 + 2 * i);
	unmap(20, 4);
	unmap(21, 1);
	make(2, 3);
	assert_int_equal(p.split_unmaps, 0);
	assert_int_equal(p.domain[1].left_pages, 0);
	done();
}

static void unknown_maps(void **state)
{
	(void)state;
	unmap(10, 1); /* before the recording */
	map(20, 1, 5);
	unmap(19, 3); /* a part is from before */
	unmap(20, 1);
	ev(TRACE_UNMAP, 30, 0, 0); /* the kernel found nothing */
	map(20, 1, 6);
	make(1, 1);
	assert_int_equal(p.unmatched_unmaps, 3);
	assert_int_equal(p.partial_unmaps, 1);
	done();
}

/* A large map that goes in parts must be replayed as parts. */
static void partial(void **state)
{
	(void)state;
	map(512, 512, 1024);
	unmap(512, 1);
	unmap(1023, 1);
	unmap(600, 10);
	make(1, 500);
	assert_int_equal(p.act[0].op, TRACE_MAP);
	assert_int_equal(p.act[0].len, 4096);
	assert_int_equal(p.act[4].op, TRACE_MAP);
	assert_int_equal(p.act[4].iova, UINT64_C(1023) << 12);
	assert_int_equal(p.act[4].oa, (UINT64_C(1024) + 511) << 12);
	done();
}

static void too_many(void **state)
{
	(void)state;
	for (uint64_t i = 0; i <= PLAN_MAX_DOMAINS; i++)
		map(10, 1, i);
	assert_int_equal(plan_make("T", &t, &p, &err), -E2BIG);
	assert_non_null(strstr(err.text, "T:65: "));
	assert_null(p.act);
	done();
	for (uint64_t i = 0; i < PLAN_MAX_DOMAINS; i++)
		map(10, 1, i);
	make(PLAN_MAX_DOMAINS, PLAN_MAX_DOMAINS);
	done();
}

static uint64_t rnd_state = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

#define DEVICES 2
#define LIVE 32
#define TOP 0xfffffu

struct request {
	uint64_t page, pages;
};

struct device {
	struct oracle *space;
	struct request live[LIVE];
	unsigned nr;
	uint64_t pages;
};

/* Top-down, first fit; pieces of a request are mapped one by one. */
static void request(struct device *d, int id)
{
	uint64_t pages = UINT64_C(1) << rnd(4), page = TOP + 1 - pages;
	struct oracle_piece x;

	while (!oracle_next(d->space, page, &x) && x.iova < page + pages)
		page = x.iova - pages;
	assert_int_equal(oracle_map(d->space, page, page + pages - 1, 0, 0), 0);
	for (uint64_t i = 0; i < pages; i++)
		map(page + i, 1, 1000000u * (uint64_t)(id + 1) + rnd(9999));
	d->live[d->nr++] = (struct request){page, pages};
	d->pages += pages;
}

static void retire(struct device *d)
{
	unsigned i = (unsigned)rnd(d->nr);
	struct request r = d->live[i];

	d->live[i] = d->live[--d->nr];
	d->pages -= r.pages;
	assert_int_equal(oracle_unmap(d->space, r.page, r.page + r.pages - 1,
	                              NULL, NULL),
	                 0);
	unmap(r.page, r.pages);
}

static void simulation(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		struct device dev[DEVICES];
		uint64_t left = 0;

		memset(dev, 0, sizeof(dev));
		for (int i = 0; i < DEVICES; i++)
			dev[i].space = oracle_new();
		for (int i = 0; i < 2000; i++) {
			int id = (int)rnd(DEVICES);
			struct device *d = &dev[id];

			if (d->nr == LIVE || (d->nr && rnd(2)))
				retire(d);
			else
				request(d, id);
		}
		for (int i = 0; i < DEVICES; i++) {
			left += dev[i].pages;
			oracle_free(dev[i].space);
		}
		assert_int_equal(plan_make("T", &t, &p, &err), 0);
		accounted();
		assert_int_equal(p.unmatched_unmaps, 0);
		assert_int_equal(p.partial_unmaps, 0);
		assert_int_equal(p.left_pages, left);
		/* Two would do; what is ambiguous may cost a few more. */
		assert_in_range(p.nr_domains, 2, 8);
		done();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_domain),   cmocka_unit_test(two_domains),
	        cmocka_unit_test(scatter_list), cmocka_unit_test(unknown_maps),
	        cmocka_unit_test(partial),      cmocka_unit_test(too_many),
	        cmocka_unit_test(simulation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
