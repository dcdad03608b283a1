/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log under chosen interleavings: one thread is stopped in the middle of a
 * call (iotlb_stall), the others run, then it goes on. Each case is the
 * schedule in which one ordering of docs/ordering.md decides; the mutants
 * without it fail here every time.
 */
#include "iotlb/invlog_priv.h"
#include "iotlb/mutant.h"
#include "tests/iotlb/fix.h"

#define FAR 4000u /* a page that no case caches */

/* What runs, once, when a call reaches the place. */
static enum stall hook_at;
static void (*hook)(struct fix *f);
static struct fix *hook_fix;

void iotlb_stall(enum stall where)
{
	void (*run)(struct fix *) = hook;

	if (!run || where != hook_at)
		return;
	hook = NULL;
	run(hook_fix);
}

static void at(enum stall where, void (*run)(struct fix *f), struct fix *f)
{
	hook_at = where;
	hook = run;
	hook_fix = f;
}

static int setup(void **state)
{
	hook = NULL;
	return fix_up(state);
}

static uint64_t post_n(struct fix *f, uint32_t poster, uint64_t nr, uint32_t n)
{
	struct invlog_rec rec = rec_of(nr, 1);
	uint64_t ticket = 0;

	while (n--)
		ticket = invlog_post(f->log, poster, &rec, 1);
	return ticket;
}

/* Reader 0 caches page 1 and hears of it while its drain is stopped. */
static void is_gone_when_passed(struct fix *f, uint64_t ticket)
{
	if (invlog_passed(f->log) >= ticket)
		assert_false(has(&f->view[0], PAGE));
}

static void lap_ring(struct fix *f)
{
	post_n(f, 2, FAR, RECORDS);
}

/* The reader has seen the stamp; then the ring goes round. What it reads then
 * is not the record it waits for. */
static void reader_overtaken_in_a_slot(void **state)
{
	struct fix *f = *state;
	uint64_t ticket;

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	ticket = post_n(f, 1, 1, 1);
	at(STALL_DRAIN_SLOT, lap_ring, f);
	drain(f, 0);
	is_gone_when_passed(f, ticket);
	drain(f, 0);
	assert_true(invlog_passed(f->log) >= ticket);
	assert_false(has(&f->view[0], PAGE));
}

static void drain_0(struct fix *f)
{
	drain(f, 0);
}

/* The poster sleeps for ever: its call never returns. */
static jmp_buf sleeper;
static void fall_asleep(struct fix *f)
{
	(void)f;
	longjmp(sleeper, 1);
}

/* Posts a lap but one, then half the slot that the reader holds. */
static void half_a_slot(struct fix *f)
{
	post_n(f, 2, FAR, RECORDS - 1);
	at(STALL_POST_PAYLOAD, fall_asleep, f);
	if (!setjmp(sleeper))
		post_n(f, 2, FAR, 1);
}

/* The reader has seen the stamp; the payload is then half of the next lap, and
 * must not be taken. */
static void half_written_slot(void **state)
{
	struct fix *f = *state;
	uint64_t ticket;

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	ticket = post_n(f, 1, 1, 1);
	at(STALL_DRAIN_SLOT, half_a_slot, f);
	drain(f, 0);
	is_gone_when_passed(f, ticket);
	for (unsigned i = 0; i < INVLOG_PATIENCE; i++)
		drain(f, 0);
	assert_true(invlog_passed(f->log) >= ticket);
	assert_false(has(&f->view[0], PAGE));
}

/* A poster stops inside its own first slot; the reader must wait. */
static void unwritten_slot_is_not_read(void **state)
{
	struct fix *f = *state;
	uint64_t ticket;

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	at(STALL_POST_PAYLOAD, drain_0, f);
	ticket = post_n(f, 1, 1, 1);
	is_gone_when_passed(f, ticket);
	at(STALL_POST_RESERVED, drain_0, f);
	fill(&f->view[0], 1, 1, 0);
	ticket = post_n(f, 1, 1, 1);
	is_gone_when_passed(f, ticket);
	drain(f, 0);
	assert_int_equal(invlog_passed(f->log), ticket);
	assert_false(has(&f->view[0], PAGE));
}

/* A poster stops between its position and its slot: later tickets wait for a
 * bounded number of polls, then the reader flushes and goes on without it. */
static void stalled_poster_is_left_behind(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec = rec_of(1, 1);
	struct poster *poster;
	uint64_t pos, ticket;

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	fill(&f->view[0], 2, 1, 0);
	pos = invlog_post_begin(f->log, 1, 1, &poster);
	ticket = post_n(f, 2, 2, 1);
	for (unsigned i = 1; i < INVLOG_PATIENCE; i++) {
		assert_false(drain(f, 0));
		assert_int_equal(invlog_passed(f->log), pos);
	}
	assert_true(drain(f, 0));
	assert_int_equal(invlog_passed(f->log), ticket);
	assert_false(has(&f->view[0], PAGE));
	/* Its record comes when nobody waits for it. */
	invlog_post_finish(f->log, poster, 1, pos, &rec, 1);
	fill(&f->view[0], 2, 1, 0);
	assert_false(drain(f, 0));
	post_n(f, 2, 2, 1);
	assert_false(drain(f, 0));
	assert_false(has(&f->view[0], 2 * PAGE));
}

/* The ring goes round while a poster sleeps inside a slot. The record that
 * would share the slot with it is lost and the reader flushes for it. Page 0
 * is the sleeper's record, so that a mix of the two would name no page. */
static uint64_t lapped_ticket;
static void lap_over_sleeper(struct fix *f)
{
	for (unsigned i = 0; i < INVLOG_PATIENCE; i++) {
		if (i == 0)
			post_n(f, 2, FAR, RECORDS - 1);
		drain(f, 0);
	}
	assert_int_equal(invlog_passed(f->log), RECORDS);
	fill(&f->view[0], 1, 1, 0);
	lapped_ticket = post_n(f, 2, 1, 1);
	at(STALL_POST_WRITTEN, drain_0, f);
}

static void two_writers_of_a_slot(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, 0);
	at(STALL_POST_PAYLOAD, lap_over_sleeper, f);
	post_n(f, 1, 0, 1);
	for (unsigned i = 0; i < INVLOG_PATIENCE; i++) {
		is_gone_when_passed(f, lapped_ticket);
		drain(f, 0);
	}
	assert_int_equal(invlog_passed(f->log), lapped_ticket);
	assert_false(has(&f->view[0], PAGE));
}

/* While a poster sleeps, only records in its own slots are lost: one in each
 * lap. Returns how often the reader had to flush. */
static unsigned flushes_in(struct fix *f, unsigned records)
{
	unsigned flushes = 0;

	for (unsigned i = 0; i < records; i++) {
		uint64_t ticket = post_n(f, 2, 1, 1);

		fill(&f->view[0], 1, 1, 0);
		for (unsigned k = 0;
		     k < INVLOG_PATIENCE && invlog_passed(f->log) < ticket; k++)
			flushes += drain(f, 0);
		assert_int_equal(invlog_passed(f->log), ticket);
		assert_false(has(&f->view[0], PAGE));
	}
	return flushes;
}

static void sleeper_costs_only_its_slots(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec = rec_of(FAR, 1);
	struct poster *poster;
	uint64_t pos;

	invlog_online(f->log, 0);
	pos = invlog_post_begin(f->log, 1, 1, &poster);
	assert_int_equal(flushes_in(f, 4 * RECORDS), 1 + 4);
	invlog_post_finish(f->log, poster, 1, pos, &rec, 1);
	assert_int_equal(flushes_in(f, 4 * RECORDS), 0);
}

/* More nameless posters at once than there are lines: the record is lost,
 * the invalidation is not. */
static void nameless_posters(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec = rec_of(1, 1);
	struct poster *poster[INVLOG_ANON + 1];
	uint64_t pos[INVLOG_ANON + 1];

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	for (unsigned i = 0; i <= INVLOG_ANON; i++)
		pos[i] =
		        invlog_post_begin(f->log, INVLOG_NOBODY, 1, &poster[i]);
	assert_null(poster[INVLOG_ANON]);
	for (unsigned i = 0; i <= INVLOG_ANON; i++)
		invlog_post_finish(f->log, poster[i], INVLOG_NOBODY, pos[i],
		                   &rec, 1);
	assert_false(drain(f, 0));
	assert_int_equal(invlog_passed(f->log), INVLOG_ANON);
	fill(&f->view[0], 1, 1, 0);
	for (unsigned i = 0; i < INVLOG_PATIENCE; i++)
		drain(f, 0);
	assert_int_equal(invlog_passed(f->log), INVLOG_ANON + 1);
	assert_false(has(&f->view[0], PAGE));
	/* The lines are free again. */
	post_n(f, INVLOG_NOBODY, FAR, 3);
	assert_false(drain(f, 0));
	assert_int_equal(invlog_passed(f->log), INVLOG_ANON + 4);
}

static void more_records(struct fix *f)
{
	post_n(f, 1, 1, 1);
}

/* A record that comes while the cursor is about to be published is not
 * covered by it. */
static void cursor_covers_what_was_read(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	post_n(f, 1, FAR, 1);
	at(STALL_DRAIN_CURSOR, more_records, f);
	drain(f, 0);
	assert_int_equal(invlog_head(f->log), 2);
	is_gone_when_passed(f, 2);
	drain(f, 0);
	assert_int_equal(invlog_passed(f->log), 2);
	assert_false(has(&f->view[0], PAGE));
}

/* Online: from the return on the reader counts. */
static void online_counts_at_once(void **state)
{
	struct fix *f = *state;

	invlog_online(f->log, 0);
	invlog_online(f->log, READERS - 1);
	post_n(f, 1, FAR, 1);
	assert_int_equal(invlog_passed(f->log), 0);
	drain(f, 0);
	assert_int_equal(invlog_passed(f->log), 0);
	drain(f, READERS - 1);
	assert_int_equal(invlog_passed(f->log), 1);
}

static uint64_t answer;
static void post_and_ask(struct fix *f)
{
	uint64_t ticket = post_n(f, 1, FAR, 1);

	answer = invlog_passed(f->log);
	assert_int_equal(answer, ticket); /* it holds nobody up */
}

/* Somebody asks while a reader joins with a head from before: the answer does
 * not go back, and the reader is not older than it. */
static void answer_never_goes_back(void **state)
{
	struct fix *f = *state;

	post_n(f, 1, FAR, 5);
	at(STALL_ONLINE, post_and_ask, f);
	invlog_online(f->log, 0);
	assert_int_equal(answer, 6);
	assert_true(invlog_passed(f->log) >= answer);
}

/* The ticket of a batch waits for its last record. */
static void ticket_covers_its_batch(void **state)
{
	struct fix *f = *state;
	struct invlog_rec rec[2] = {rec_of(1, 1), rec_of(2, 1)};

	invlog_online(f->log, 0);
	fill(&f->view[0], 1, 1, 0);
	is_gone_when_passed(f, invlog_post(f->log, 1, rec, 2));
	drain(f, 0);
	assert_int_equal(invlog_passed(f->log), 2);
}

static unsigned nr_woken;
static void count_wake(void *ctx)
{
	(void)ctx;
	nr_woken++;
}

static uint64_t late_ticket;
static void post_late(struct fix *f)
{
	late_ticket = post_n(f, 1, 1, 1);
}

/* A record comes while a reader falls asleep: the reader sees it, or is
 * called. A reader that sleeps over it holds its ticket up for ever. */
static void nobody_sleeps_over_a_record(void **state)
{
	struct fix *f = *state;
	bool asleep, woken;

	nr_woken = 0;
	invlog_set_wake(f->log, 0, count_wake, NULL);
	invlog_online(f->log, 0);
	at(STALL_SLEEP, post_late, f);
	asleep = invlog_sleep(f->log, 0, &woken);
	assert_true(nr_woken == 1 || (!asleep && !woken));
	drain(f, 0);
	assert_int_equal(invlog_passed(f->log), late_ticket);
	assert_true(invlog_sleep(f->log, 0, &woken));
	nr_woken = 0;
	post_late(f);
	assert_int_equal(nr_woken, 1);
}

/* What is held back is not passed, however often the reader drains. */
static void hold_is_kept(void **state)
{
	struct fix *f = *state;
	struct holds holds;
	struct invlog_view v = {.hot = &f->view[0].hot, .holds = &holds};
	uint64_t ticket;

	holds_init(&holds);
	invlog_online(f->log, 0);
	assert_true(holds_take(&holds, PAGE, 2 * PAGE - 1) >= 0);
	ticket = post_n(f, 1, 1, 1);
	for (unsigned i = 0; i < 3; i++)
		invlog_drain(f->log, 0, &v);
	assert_true(invlog_passed(f->log) < ticket);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fix_down)
	const struct CMUnitTest tests[] = {
	        T(reader_overtaken_in_a_slot),
	        T(half_written_slot),
	        T(unwritten_slot_is_not_read),
	        T(stalled_poster_is_left_behind),
	        T(two_writers_of_a_slot),
	        T(sleeper_costs_only_its_slots),
	        T(nameless_posters),
	        T(cursor_covers_what_was_read),
	        T(online_counts_at_once),
	        T(answer_never_goes_back),
	        T(ticket_covers_its_batch),
	        T(nobody_sleeps_over_a_record),
	        T(hold_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
