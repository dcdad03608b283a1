/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The invalidation log from one thread: what a drain drops, what a ticket
 * waits for.
 */
#include "tests/iotlb/fix.h"

static uint64_t post1(struct fix *f, uint32_t reader, uint64_t nr)
{
	struct invlog_rec rec = rec_of(nr, 1);

	return invlog_post(f->log, reader, &rec, 1);
}

static void create_refuses(void **state)
{
	static const uint32_t bad[][2] = {{0, 1},         {32, 1}, {65, 1},
	                                  {96, 1},        {64, 0}, {64, 257},
	                                  {(1u << 21), 1}};
	struct invlog *log = NULL;

	(void)state;
	for (unsigned i = 0; i < NR_OF(bad); i++)
		assert_int_equal(invlog_create(bad[i][0], bad[i][1], &log),
		                 -EINVAL);
	assert_null(log);
	assert_int_equal(invlog_create(1u << 20, 256, &log), 0);
	invlog_destroy(log);
	invlog_destroy(NULL);
}

static void drops_what_was_posted(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec[3] = {rec_of(1, 1), rec_of(4, 4), rec_of(9, 1)};
	uint64_t ticket;

	invlog_online(f->log, 0);
	for (unsigned i = 0; i < 12; i++)
		fill(&f->view[0], i, 1, 0);
	assert_false(drain(f, 0));
	ticket = invlog_post(f->log, 1, rec, 3);
	assert_int_equal(ticket, 3);
	assert_int_equal(invlog_head(f->log), 3);
	assert_int_equal(invlog_passed(f->log), 0);
	assert_false(drain(f, 0));
	assert_int_equal(invlog_passed(f->log), 3);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(has(&f->view[0], i * PAGE),
		                 i != 1 && i != 9 && (i < 4 || i > 7));
}

static void batches(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec[INVLOG_BATCH];
	uint64_t sum = 0;

	invlog_online(f->log, 0);
	for (uint32_t n = 1; n <= INVLOG_BATCH; n++) {
		for (uint32_t i = 0; i < n; i++) {
			fill(&f->view[0], i, 1, 0);
			rec[i] = rec_of(i, 1);
		}
		fill(&f->view[0], n, 1, 0);
		sum += n;
		assert_int_equal(invlog_post(f->log, INVLOG_NOBODY, rec, n),
		                 sum);
		assert_false(drain(f, 0));
		for (uint32_t i = 0; i < n; i++)
			assert_false(has(&f->view[0], i * PAGE));
		assert_true(has(&f->view[0], n * PAGE));
		assert_int_equal(invlog_passed(f->log), sum);
	}
}

/* The poster dropped its own entries itself, and may have new ones. */
static void own_records_are_skipped(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, 0);
	invlog_online(f->log, 1);
	fill(&f->view[0], 1, 1, 0);
	fill(&f->view[1], 1, 1, 0);
	assert_int_equal(post1(f, 0, 1), 1);
	assert_false(drain(f, 0));
	assert_int_equal(invlog_passed(f->log), 0);
	assert_false(drain(f, 1));
	assert_int_equal(invlog_passed(f->log), 1);
	assert_true(has(&f->view[0], PAGE));
	assert_false(has(&f->view[1], PAGE));
	/* Nobody's records are everybody's. */
	post1(f, INVLOG_NOBODY, 1);
	drain(f, 0);
	assert_false(has(&f->view[0], PAGE));
}

/* A backlog of exactly the ring is read; one more is a lap. */
static void lapped(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, 0);
	for (unsigned more = 0; more < 2; more++) {
		fill(&f->view[0], 3, 1, 0);
		fill(&f->view[0], 500, 1, 0);
		for (unsigned i = 0; i < RECORDS + more; i++)
			post1(f, 1, i);
		assert_int_equal(drain(f, 0), more);
		assert_false(has(&f->view[0], 3 * PAGE));
		assert_int_equal(has(&f->view[0], 500 * PAGE), !more);
		assert_int_equal(invlog_passed(f->log), invlog_head(f->log));
		assert_false(drain(f, 0));
	}
}

/* Many records against a small TLB: a flush is less work. */
static void flush_is_cheaper(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec;

	tlb_destroy(&f->view[0].hot);
	assert_int_equal(tlb_create(16, &f->view[0].hot), 0);
	invlog_online(f->log, 0);
	for (unsigned i = 0; i < 32; i++)
		post1(f, 1, 100 + i);
	fill(&f->view[0], 5, 1, 0);
	assert_false(drain(f, 0));
	assert_true(has(&f->view[0], 5 * PAGE));
	for (unsigned i = 0; i < 33; i++)
		post1(f, 1, 100 + i);
	assert_true(drain(f, 0));
	assert_false(has(&f->view[0], 5 * PAGE));
	/* The same by pages: three passes over the TLB. */
	rec = rec_of(1000, 512);
	fill(&f->view[0], 5, 1, 0);
	for (unsigned i = 0; i < 2; i++)
		invlog_post(f->log, 1, &rec, 1);
	assert_false(drain(f, 0));
	assert_true(has(&f->view[0], 5 * PAGE));
	for (unsigned i = 0; i < 3; i++)
		invlog_post(f->log, 1, &rec, 1);
	assert_true(drain(f, 0));
	assert_false(has(&f->view[0], 5 * PAGE));
	assert_int_equal(invlog_passed(f->log), invlog_head(f->log));
}

static void passed_is_the_minimum(void **state)
{
	struct fix *f = *state;
	uint64_t behind = 99;

	/* Nobody online: nobody to wait for. */
	assert_int_equal(invlog_passed(f->log), 0);
	assert_int_equal(post1(f, 3, 1), 1);
	assert_int_equal(invlog_passed(f->log), 1);
	assert_int_equal(invlog_laggard(f->log, &behind), UINT32_MAX);
	assert_int_equal(behind, 0);

	invlog_online(f->log, 0);
	invlog_online(f->log, 2);
	assert_int_equal(post1(f, 3, 1), 2);
	drain(f, 0);
	assert_int_equal(post1(f, 3, 1), 3);
	assert_int_equal(invlog_passed(f->log), 1);
	assert_int_equal(invlog_laggard(f->log, &behind), 2);
	assert_int_equal(behind, 2);
	drain(f, 2);
	assert_int_equal(invlog_passed(f->log), 2);
	assert_int_equal(invlog_laggard(f->log, &behind), 0);
	assert_int_equal(behind, 1);
	/* An offline reader is not waited for, and comes back at the head. */
	invlog_offline(f->log, 0);
	assert_int_equal(invlog_passed(f->log), 3);
	assert_int_equal(post1(f, 3, 1), 4);
	invlog_online(f->log, 0);
	assert_int_equal(invlog_passed(f->log), 3);
	assert_int_equal(invlog_laggard(f->log, &behind), 2);
	drain(f, 2);
	assert_int_equal(invlog_passed(f->log), 4);
	invlog_offline(f->log, 0);
	invlog_offline(f->log, 2);
	assert_int_equal(post1(f, INVLOG_NOBODY, 1), 5);
	assert_int_equal(invlog_passed(f->log), 5);
}

/* The reader with the highest number counts too, also when it is alone. */
static void last_reader_counts(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, READERS - 1);
	post1(f, 0, 1);
	assert_int_equal(invlog_passed(f->log), 0);
	drain(f, READERS - 1);
	assert_int_equal(invlog_passed(f->log), 1);
}

/* What each of three readers must have cached, and what it has yet to hear of.
 */
#define PAGES 256u
#define BACKLOG (4 * RECORDS)
struct model {
	bool filled[PAGES];
	uint32_t nr;
	struct {
		uint64_t page;
		uint32_t poster;
	} todo[BACKLOG];
};

static void model_drain(struct fix *f, struct model *m, uint32_t me)
{
	if (drain(f, me))
		memset(m[me].filled, 0, sizeof(m[me].filled));
	else
		assert_true(m[me].nr <= RECORDS);
	for (uint32_t i = 0; i < m[me].nr; i++)
		if (m[me].todo[i].poster != me)
			m[me].filled[m[me].todo[i].page] = false;
	m[me].nr = 0;
	for (uint64_t p = 0; p < PAGES; p++)
		assert_int_equal(has(&f->view[me], p * PAGE), m[me].filled[p]);
}

static void model_post(struct fix *f, struct model *m, uint32_t me,
                       uint64_t page)
{
	uint64_t head = invlog_head(f->log);

	tlb_drop(&f->view[me].hot, page * PAGE, page * PAGE + PAGE - 1);
	m[me].filled[page] = false;
	assert_int_equal(post1(f, me, page), head + 1);
	for (uint32_t i = 0; i < READERS; i++) {
		m[i].todo[m[i].nr].page = page;
		m[i].todo[m[i].nr++].poster = me;
		if (m[i].nr == BACKLOG)
			model_drain(f, m, i);
	}
}

static void wraps_many_times(void **state)
{
	static struct model m[READERS];
	struct fix *f = *state;
	uint64_t x = 0x9e3779b97f4a7c15u;

	memset(m, 0, sizeof(m));
	for (uint32_t i = 0; i < READERS; i++)
		invlog_online(f->log, i);
	for (unsigned op = 0; op < 400000; op++) {
		uint32_t me;
		uint64_t page;

		x = x * 6364136223846793005u + 1442695040888963407u;
		me = (uint32_t)(x >> 33) % READERS;
		page = x >> 40 & (PAGES - 1);
		if ((x >> 60) < 8) {
			fill(&f->view[me], page, 1, 0);
			m[me].filled[page] = true;
		} else if ((x >> 60) < 14) {
			model_post(f, m, me, page);
		} else {
			model_drain(f, m, me);
		}
	}
	assert_true(invlog_head(f->log) > 100 * RECORDS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fix_up, fix_down)
	const struct CMUnitTest tests[] = {
	        T(create_refuses),
	        T(drops_what_was_posted),
	        T(batches),
	        T(own_records_are_skipped),
	        T(lapped),
	        T(flush_is_cheaper),
	        T(passed_is_the_minimum),
	        T(last_reader_counts),
	        T(wraps_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
