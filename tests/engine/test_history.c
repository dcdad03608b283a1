/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The judge itself: a history that keeps every promise, and the same with one
 * broken, each of which it must find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/engine/history.h"

#define PAGE 4096u

/* Lane 0 maps and unmaps three pages of a strict domain; lane 1 translates and
 * polls. */
enum {
	OPEN,
	MAP,
	MAP_DONE,
	UNMAP_1,
	UNMAP_2,
	EARLY_ASK,
	POLL_1,
	POLL_2,
	DONE_1,
	ASK_1,
	DONE_2,
	ASK_2,
	UNMAP_3,
	POLL_3,
	DONE_3,
	ASK_3,
	QUIET,
	CLOSE,
	NR_0
};

static struct ev lane_0[NR_0 + 4], lane_1[8]; /* room for insert_at */
static struct history lanes[2];

static struct ev unmap(uint64_t at, uint64_t n)
{
	return (struct ev){.begin = at,
	                   .end = at + 1,
	                   .kind = EV_UNMAP,
	                   .cookie = n,
	                   .iova = n * PAGE,
	                   .len = PAGE,
	                   .ticket = n,
	                   .result = 1};
}

static struct ev done(uint64_t at, uint64_t n)
{
	return (struct ev){.begin = at,
	                   .end = at + 1,
	                   .kind = EV_DONE,
	                   .op = OP_UNMAP,
	                   .cookie = n,
	                   .iova = n * PAGE,
	                   .len = PAGE,
	                   .passed = true,
	                   .fits = true};
}

static struct ev ask(uint64_t at, uint64_t n, bool passed)
{
	return (struct ev){.begin = at,
	                   .end = at + 1,
	                   .kind = EV_TICKET,
	                   .ticket = n,
	                   .passed = passed};
}

static struct ev plain(uint64_t at, enum ev_kind kind)
{
	return (struct ev){.begin = at, .end = at + 1, .kind = (uint8_t)kind};
}

static void good(void)
{
	lane_0[OPEN] = plain(10, EV_OPEN);
	lane_0[MAP] = unmap(20, 9);
	lane_0[MAP].kind = EV_MAP;
	lane_0[MAP].ticket = 0;
	lane_0[MAP_DONE] = done(30, 9);
	lane_0[MAP_DONE].op = OP_MAP;
	lane_0[UNMAP_1] = unmap(40, 1);
	lane_0[UNMAP_2] = unmap(50, 2);
	lane_0[EARLY_ASK] = ask(55, 2, false);
	lane_0[POLL_1] = plain(60, EV_POLL);
	lane_0[POLL_2] = plain(80, EV_POLL);
	lane_0[DONE_1] = done(80, 1);
	lane_0[ASK_1] = ask(82, 1, true);
	lane_0[DONE_2] = done(80, 2);
	lane_0[ASK_2] = ask(84, 2, true);
	lane_0[UNMAP_3] = unmap(90, 3);
	lane_0[POLL_3] = plain(110, EV_POLL);
	lane_0[DONE_3] = done(110, 3);
	lane_0[ASK_3] = ask(112, 3, true);
	lane_0[QUIET] = plain(120, EV_QUIET);
	lane_0[CLOSE] = plain(130, EV_CLOSE);
	lane_1[0] = plain(15, EV_OPEN);
	lane_1[1] = plain(30, EV_LOOK);
	lane_1[2] = plain(70, EV_POLL);
	lane_1[3] = plain(75, EV_LOOK);
	lane_1[4] = plain(100, EV_OFFLINE);
	lane_1[5] = plain(140, EV_ONLINE);
	lane_1[6] = plain(150, EV_CLOSE);
	lanes[0] = (struct history){lane_0, NR_0, NR_0};
	lanes[1] = (struct history){lane_1, 7, 7};
}

static void expect(const char *part, unsigned want_lane, size_t want_at)
{
	unsigned lane;
	size_t at;
	const char *wrong = history_check(lanes, 2, &lane, &at);

	if (!part) {
		assert_null(wrong);
		return;
	}
	assert_non_null(wrong);
	if (!strstr(wrong, part))
		fail_msg("'%s' instead of '%s'", wrong, part);
	assert_int_equal(lane, want_lane);
	assert_int_equal(at, want_at);
}

/* Takes one event out of lane 0. */
static void remove_at(size_t at)
{
	memmove(&lane_0[at], &lane_0[at + 1],
	        (lanes[0].nr - at - 1) * sizeof(*lane_0));
	lanes[0].nr--;
}

static void insert_at(size_t at, struct ev e)
{
	assert_true(lanes[0].nr < sizeof(lane_0) / sizeof(lane_0[0]));
	memmove(&lane_0[at + 1], &lane_0[at],
	        (lanes[0].nr - at) * sizeof(*lane_0));
	lane_0[at] = e;
	lanes[0].nr++;
}

static void kept_promises(void **state)
{
	(void)state;
	good();
	expect(NULL, 0, 0);
}

static void twice(void **state)
{
	(void)state;
	good();
	insert_at(DONE_3 + 1, lane_0[DONE_3]);
	expect("nobody waits", 0, DONE_3 + 1);
	good();
	insert_at(MAP_DONE + 1, lane_0[MAP_DONE]);
	expect("nobody waits", 0, MAP_DONE + 1);
}

static void missing(void **state)
{
	(void)state;
	good();
	remove_at(DONE_3);
	expect("lost", 0, QUIET - 1);
	good();
	remove_at(MAP_DONE);
	expect("lost", 0, QUIET - 1);
	good();
	remove_at(QUIET);
	remove_at(DONE_3);
	expect("closed over", 0, CLOSE - 2);
}

static void reordered(void **state)
{
	(void)state;
	good();
	lane_0[DONE_1] = done(80, 2);
	lane_0[DONE_2] = done(80, 1);
	expect("out of order", 0, DONE_2);
}

static void early(void **state)
{
	(void)state;
	good();
	lane_0[DONE_1].passed = false;
	expect("before its ticket", 0, DONE_1);
}

static void words_of_another(void **state)
{
	(void)state;
	good();
	lane_0[DONE_1].iova = 2 * PAGE;
	expect("another request", 0, DONE_1);
	good();
	lane_0[DONE_3].len = 2 * PAGE;
	expect("another request", 0, DONE_3);
	good();
	lane_0[MAP_DONE].op = OP_UNMAP;
	expect("another request", 0, MAP_DONE);
	good();
	lane_0[DONE_2].fits = false;
	expect("do not agree", 0, DONE_2);
}

static void after_close(void **state)
{
	struct ev late;

	(void)state;
	good();
	late = lane_0[DONE_3];
	remove_at(QUIET);
	remove_at(DONE_3);
	insert_at(lanes[0].nr, late);
	expect("closed over", 0, CLOSE - 2);
	good();
	insert_at(NR_0, unmap(135, 4));
	expect("not open", 0, NR_0);
}

static void tickets(void **state)
{
	(void)state;
	good();
	insert_at(ASK_2 + 1, ask(86, 1, false));
	expect("has not passed although", 0, ASK_2 + 1);
	good();
	insert_at(ASK_2 + 1, ask(86, 2, false));
	expect("has not passed although", 0, ASK_2 + 1);
	/* One that the kernel refused never does. */
	good();
	lane_0[DONE_1].result = -5;
	expect("refused unmap has passed", 0, DONE_1);
	lane_0[DONE_1].passed = false;
	expect("refused ticket has passed", 0, ASK_1);
	lane_0[ASK_1].passed = false;
	expect(NULL, 0, 0);
	/* Asked for before its refusal is told. */
	good();
	lane_0[DONE_1].result = -5;
	lane_0[DONE_1].passed = false;
	lane_0[ASK_1] = ask(81, 2, true);
	insert_at(DONE_1, ask(82, 1, false));
	insert_at(DONE_1, lane_0[ASK_1 + 1]);
	expect(NULL, 0, 0);
	/* And no refusal comes. */
	good();
	lane_0[ASK_1] = ask(82, 2, true);
	insert_at(DONE_2, ask(83, 1, false));
	expect("has not passed although", 0, DONE_2);
}

static void grace_periods(void **state)
{
	(void)state;
	/* Lane 1 does not poll before the first two. */
	good();
	lane_1[2] = plain(95, EV_POLL);
	lane_1[3] = plain(97, EV_LOOK);
	expect("neither polled nor left", 0, ASK_1);
	/* It goes on after its poll. */
	good();
	lane_1[4] = plain(115, EV_OFFLINE);
	expect("neither polled nor left", 0, ASK_3);
	lane_1[4] = plain(105, EV_CLOSE);
	lane_1[6] = plain(150, EV_POLL);
	expect(NULL, 0, 0);
	/* It has not translated, or only after the unmap, or elsewhere. */
	good();
	lane_1[1].kind = EV_QUIET;
	lane_1[2] = plain(95, EV_POLL);
	lane_1[3] = plain(97, EV_LOOK);
	expect(NULL, 0, 0);
	good();
	lane_1[1] = plain(57, EV_LOOK);
	lane_1[2] = plain(86, EV_POLL);
	lane_1[3] = plain(88, EV_QUIET);
	expect(NULL, 0, 0);
	good();
	lane_1[1].domain = 1;
	lane_1[2] = plain(86, EV_POLL);
	lane_1[3] = plain(88, EV_QUIET);
	expect(NULL, 0, 0);
}

static void dropped(void **state)
{
	(void)state;
	good();
	lane_0[POLL_3].kind = EV_DROP;
	remove_at(DONE_3);
	expect(NULL, 0, 0);
	good();
	lane_0[POLL_1].kind = EV_DROP;
	expect(NULL, 0, 0);
}

/* Asked for a million times: each answer is found without reading back to the
 * unmap, or this does not end in a test's time. */
static void old_ticket(void **state)
{
	enum { ASKS = 1000000 };
	struct history h = {.nr = NR_0 - 2 + ASKS};
	unsigned lane;
	size_t at;

	(void)state;
	good();
	h.ev = calloc(h.nr, sizeof(*h.ev));
	assert_non_null(h.ev);
	memcpy(h.ev, lane_0, (NR_0 - 2) * sizeof(*h.ev));
	for (uint64_t i = 0; i < ASKS; i++)
		h.ev[NR_0 - 2 + i] = ask(1000 + 2 * i, 1, true);
	assert_null(history_check(&h, 1, &lane, &at));
	h.ev[h.nr - 1].ticket = 7; /* of no unmap */
	assert_non_null(history_check(&h, 1, &lane, &at));
	assert_int_equal(at, h.nr - 1);
	free(h.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(kept_promises),
	        cmocka_unit_test(twice),
	        cmocka_unit_test(missing),
	        cmocka_unit_test(reordered),
	        cmocka_unit_test(early),
	        cmocka_unit_test(words_of_another),
	        cmocka_unit_test(after_close),
	        cmocka_unit_test(tickets),
	        cmocka_unit_test(grace_periods),
	        cmocka_unit_test(dropped),
	        cmocka_unit_test(old_ticket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
