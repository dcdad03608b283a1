/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a drain does beyond dropping: holds that keep the cursor, the two kinds
 * of records that are about something else, readers that sleep.
 */
#include "iotlb/invlog_priv.h"
#include "tests/iotlb/fix.h"

struct half {
	struct fix f;
	struct holds holds;
	struct sluice_view va;
	unsigned woken;
};

static int up(void **state)
{
	struct half *h = calloc(1, sizeof(*h));
	void *fix = NULL;

	if (!h || fix_up(&fix) || tlb_create(16, &h->va.hot))
		return -1;
	h->f = *(struct fix *)fix;
	free(fix);
	holds_init(&h->holds);
	*state = h;
	return 0;
}

static int down(void **state)
{
	struct half *h = *state;
	void *fix = malloc(sizeof(h->f));

	if (!fix)
		return -1;
	tlb_destroy(&h->va.hot);
	memcpy(fix, &h->f, sizeof(h->f));
	free(h);
	return fix_down(&fix);
}

static unsigned poll(struct half *h)
{
	struct invlog_view v = {&h->f.view[0].hot, &h->va.hot, &h->holds};

	return invlog_drain(h->f.log, 0, &v);
}

static uint64_t post(struct half *h, uint32_t poster, uint64_t nr, uint64_t n)
{
	struct invlog_rec rec = rec_of(nr, n);

	return invlog_post(h->f.log, poster, &rec, 1);
}

/* The entry goes, the ticket stays until the release. */
static void hold_keeps_the_ticket(void **state)
{
	struct half *h = *state;
	uint64_t before, ticket;
	int id;

	invlog_online(h->f.log, 0);
	fill(&h->f.view[0], 7, 1, 0);
	id = holds_take(&h->holds, 7 * PAGE, 8 * PAGE - 1);
	assert_true(id >= 0);
	before = post(h, 1, 3, 1);
	ticket = post(h, 1, 7, 1);
	post(h, 1, 9, 1);
	poll(h);
	assert_false(has(&h->f.view[0], 7 * PAGE));
	assert_int_equal(invlog_passed(h->f.log), before);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), before);
	assert_true(holds_release(&h->holds, (uint32_t)id));
	assert_int_equal(invlog_passed(h->f.log), before);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), ticket + 1);
}

/* Also the holder's own unmap waits; a hold taken after the drain does not
 * hold it back, nor does one of another range. */
static void own_and_later(void **state)
{
	struct half *h = *state;
	uint64_t ticket;
	int own, other;

	invlog_online(h->f.log, 0);
	own = holds_take(&h->holds, 7 * PAGE, 20 * PAGE);
	other = holds_take(&h->holds, 30 * PAGE, 31 * PAGE);
	ticket = post(h, 0, 8, 4);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), ticket - 1);
	holds_release(&h->holds, (uint32_t)other);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), ticket - 1);
	assert_true(holds_take(&h->holds, 8 * PAGE, 9 * PAGE) >= 0);
	holds_release(&h->holds, (uint32_t)own);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), ticket);
}

/* Who was lapped does not know what he missed: every hold counts. */
static void lapped_while_holding(void **state)
{
	struct half *h = *state;
	uint64_t ticket = 0;
	int id;

	invlog_online(h->f.log, 0);
	id = holds_take(&h->holds, 7 * PAGE, 8 * PAGE - 1);
	for (unsigned i = 0; i < 3 * RECORDS; i++)
		ticket = post(h, 1, 100, 1);
	assert_true(poll(h) & INVLOG_GOT_FLUSH);
	assert_int_equal(invlog_passed(h->f.log), 0);
	holds_release(&h->holds, (uint32_t)id);
	assert_int_equal(poll(h), 0);
	assert_int_equal(invlog_passed(h->f.log), ticket);
}

static void ids(void **state)
{
	struct half *h = *state;
	int id[HOLDS_MAX];

	for (unsigned i = 0; i < HOLDS_MAX; i++) {
		id[i] = holds_take(&h->holds, i * PAGE, i * PAGE);
		assert_true(id[i] >= 0);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(id[k], id[i]);
	}
	assert_int_equal(holds_take(&h->holds, 0, 0), -ENOSPC);
	assert_false(holds_release(&h->holds, HOLDS_MAX));
	for (unsigned i = 0; i < HOLDS_MAX; i += 3) {
		assert_true(holds_release(&h->holds, (uint32_t)id[i]));
		assert_false(holds_release(&h->holds, (uint32_t)id[i]));
	}
	/* Those that are left are still themselves. */
	invlog_online(h->f.log, 0);
	for (unsigned i = 0; i < HOLDS_MAX; i++)
		if (i % 3)
			assert_true(holds_release(&h->holds, (uint32_t)id[i]));
	assert_int_equal(h->holds.nr, 0);
	post(h, 1, 0, HOLDS_MAX);
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), 1);
}

/* Held ranges at random against a list: the cursor stands before the first
 * record that one of them overlaps. */
static void random_holds(void **state)
{
	struct half *h = *state;
	struct {
		int id;
		uint64_t nr, blocked;
	} m[8] = {{0}};
	unsigned nr_m = 0;
	uint64_t x = 88172645463325252u, head = 0;

	invlog_online(h->f.log, 0);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t want, r, page;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		r = x >> 20;
		page = r >> 8 & 15;
		if (r % 3 == 0 && nr_m < NR_OF(m)) {
			m[nr_m].id = holds_take(&h->holds, page * PAGE,
			                        (page + 1) * PAGE - 1);
			m[nr_m].nr = page;
			m[nr_m++].blocked = UINT64_MAX;
		} else if (r % 3 == 1 && nr_m) {
			unsigned k = (unsigned)(r >> 16) % nr_m;

			assert_true(
			        holds_release(&h->holds, (uint32_t)m[k].id));
			m[k] = m[--nr_m];
		} else {
			for (unsigned k = 0; k < nr_m; k++)
				if (m[k].nr == page && m[k].blocked > head)
					m[k].blocked = head;
			head = post(h, r >> 30 & 1, page, 1);
		}
		poll(h);
		want = head;
		for (unsigned k = 0; k < nr_m; k++)
			want = min_u64(want, m[k].blocked);
		assert_int_equal(invlog_passed(h->f.log), want);
	}
}

static void other_records(void **state)
{
	struct half *h = *state;
	struct invlog_rec va = {5 * PAGE | INVLOG_VA_SIDE, 6 * PAGE - 1};
	int id;

	invlog_online(h->f.log, 0);
	fill(&h->f.view[0], 0, 1, 0);
	fill(&h->f.view[0], 5, 1, 0);
	fill(&h->va, 5, 1, 0);
	fill(&h->va, 0, 1, 0);
	id = holds_take(&h->holds, 0, UINT64_MAX);
	invlog_post(h->f.log, 1, &INVLOG_TABLES, 1);
	assert_int_equal(poll(h), INVLOG_GOT_TABLES | INVLOG_GOT_MORE);
	assert_true(has(&h->f.view[0], 0));
	invlog_post(h->f.log, 1, &va, 1);
	assert_int_equal(poll(h), INVLOG_GOT_MORE);
	assert_true(has(&h->f.view[0], 5 * PAGE));
	assert_false(has(&h->va, 5 * PAGE));
	assert_true(has(&h->va, 0));
	/* Neither is about what a device reaches. */
	assert_int_equal(invlog_passed(h->f.log), 2);
	holds_release(&h->holds, (uint32_t)id);
	/* A reader without such a side does not mind. */
	drain(&h->f, 0);
	invlog_post(h->f.log, 1, &va, 1);
	drain(&h->f, 0);
	assert_true(has(&h->f.view[0], 5 * PAGE));
}

static void quiet(void **state)
{
	struct half *h = *state;

	assert_true(invlog_quiet(h->f.log, 0));
	invlog_online(h->f.log, 0);
	assert_false(invlog_quiet(h->f.log, 0));
	assert_true(invlog_quiet(h->f.log, 1));
	invlog_online(h->f.log, 3);
	assert_false(invlog_quiet(h->f.log, 1));
	invlog_offline(h->f.log, 0);
	assert_false(invlog_quiet(h->f.log, 0));
	invlog_offline(h->f.log, 3);
	assert_true(invlog_quiet(h->f.log, 0));
}

static void wake(void *ctx)
{
	++*(unsigned *)ctx;
}

static void sleepers(void **state)
{
	struct half *h = *state;
	bool woken;

	invlog_set_wake(h->f.log, 0, wake, &h->woken);
	invlog_online(h->f.log, 0);
	post(h, 1, 3, 1);
	assert_int_equal(h->woken, 0);
	/* Something is unread. */
	assert_false(invlog_sleep(h->f.log, 0, &woken));
	assert_false(woken);
	poll(h);
	assert_true(invlog_sleep(h->f.log, 0, &woken));
	post(h, 1, 3, 1);
	assert_int_equal(h->woken, 1);
	post(h, 1, 3, 1);
	assert_int_equal(h->woken, 1);
	assert_false(invlog_rouse(h->f.log, 0));
	poll(h);
	assert_int_equal(invlog_passed(h->f.log), 3);
	assert_true(invlog_sleep(h->f.log, 0, &woken));
	assert_true(invlog_rouse(h->f.log, 0));
	post(h, 1, 3, 1);
	assert_int_equal(h->woken, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
	        T(hold_keeps_the_ticket),
	        T(own_and_later),
	        T(lapped_while_holding),
	        T(ids),
	        T(random_holds),
	        T(other_records),
	        T(sleepers),
	        T(quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
