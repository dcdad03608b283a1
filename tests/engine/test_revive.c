/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing back a mapping that waits in a batch: when it happens, when it must
 * not, and what is left of the unmap, on soft domains. test_revive_kernel.c has
 * the kernel, test_revive_play.c random play with and without it.
 */
#include "tests/engine/rig.h"

#define VA UINT64_C(0x7f0000000000)

static const struct sluice_domain_cfg soft = {.flags = SLUICE_DOMAIN_REVIVE};

static uint64_t revived(struct rig *r)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(r->domain, &st);
	return st.revived;
}

static void comes_back_at_its_iova(void **state)
{
	struct sluice_completion c[4];
	struct sluice_ticket t;
	sluice_iova_t iova, again, other;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(map(&r, VA, 3 * PAGE, &iova), 0);
	assert_int_equal(sluice_unmap(r.view, iova, 3 * PAGE, 7, &t), 1);
	assert_int_equal(xlate(&r, iova, 1), -EFAULT);
	assert_int_equal(map(&r, VA, 3 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(revived(&r), 1);
	assert_maps(&r, iova + 2 * PAGE, VA + 2 * PAGE);
	assert_false(sluice_ticket_passed(r.view, t));
	/* Once only: what came back does not wait any more. */
	assert_int_equal(map(&r, VA, 3 * PAGE, &other), 0);
	assert_int_not_equal(other, iova);
	assert_int_equal(sluice_poll(r.lane, c, 4), 1);
	assert_int_equal(c[0].cookie, 7);
	assert_int_equal(c[0].result, 0);
	assert_int_equal(c[0].iova, iova);
	assert_true(sluice_ticket_passed(r.view, t));
	/* Its ticket has passed, and still the IOVA is in use. */
	assert_maps(&r, iova, VA);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(map(&r, VA + M2, 3 * PAGE, &other), 0);
		assert_int_not_equal(other, iova);
	}
	assert_int_equal(unmap(&r, iova, 3 * PAGE), 1);
	assert_int_equal(sluice_poll(r.lane, c, 4), 1);
	/* Now it is free. */
	assert_int_equal(map(&r, VA, 3 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(revived(&r), 1);
	rig_down(&r);
}

/* Up and down without a poll: each unmap keeps its completion. */
static void many_times(void **state)
{
	struct sluice_completion c[20];
	sluice_iova_t iova, again;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	for (uint64_t i = 0; i < 10; i++) {
		assert_int_equal(sluice_unmap(r.view, iova, PAGE, i, NULL), 1);
		assert_int_equal(map(&r, VA, PAGE, &again), 0);
		assert_int_equal(again, iova);
	}
	assert_int_equal(unmap(&r, iova, PAGE), 1);
	assert_int_equal(sluice_poll(r.lane, c, 20), 11);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(c[i].cookie, i);
	assert_int_equal(revived(&r), 10);
	/* Given back once: two maps do not get the same. */
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	assert_int_equal(map(&r, VA, PAGE, &again), 0);
	assert_int_not_equal(again, iova);
	rig_down(&r);
}

/* What was noted of an unmap that is over says nothing of the one that has its
 * place now. */
static void notes_grow_old(void **state)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_REVIVE,
	                                      .max_inflight = 2};
	sluice_iova_t iova[4], again;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(map(&r, VA + i * M2, PAGE, &iova[i]), 0);
	assert_int_equal(unmap(&r, iova[0], PAGE), 1);
	assert_int_equal(unmap(&r, iova[1], PAGE), 1);
	assert_int_equal(unmap(&r, iova[2], PAGE), -EAGAIN);
	sluice_poll(r.lane, NULL, 0);
	assert_int_equal(unmap(&r, iova[2], PAGE), 1);
	assert_int_equal(unmap(&r, iova[3], PAGE), 1);
	for (uint64_t i = 0; i < 2; i++) {
		assert_int_equal(map(&r, VA + i * M2, PAGE, &again), 0);
		assert_int_not_equal(again, iova[2]);
		assert_int_not_equal(again, iova[3]);
	}
	assert_int_equal(revived(&r), 0);
	assert_int_equal(map(&r, VA + 2 * M2, PAGE, &again), 0);
	assert_int_equal(again, iova[2]);
	rig_down(&r);
}

static void only_the_same(void **state)
{
	struct sluice_map_req req = {.va = VA, .len = 2 * PAGE, .prot = RW};
	sluice_iova_t iova, other;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(map(&r, VA, 2 * PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova, 2 * PAGE), 1);
	assert_int_equal(map(&r, VA, PAGE, &other), 0);
	assert_int_equal(map(&r, VA, 3 * PAGE, &other), 0);
	assert_int_equal(map(&r, VA + PAGE, PAGE, &other), 0);
	req.prot = SLUICE_READ;
	assert_int_equal(sluice_map(r.view, &req, &other), 0);
	req.prot = RW;
	req.flags = SLUICE_MAP_32BIT;
	assert_int_equal(sluice_map(r.view, &req, &other), 0);
	req.flags = 0;
	req.align_lg2 = 40;
	assert_int_equal(sluice_map(r.view, &req, &other), 0);
	assert_int_equal(revived(&r), 0);
	req.align_lg2 = 13;
	assert_int_equal(sluice_map(r.view, &req, &other), 0);
	assert_int_equal(revived(&r), (iova & 0x1fff) == 0);
	rig_down(&r);
}

/* Below 4 GiB comes back below 4 GiB, whoever asks. */
static void low_ones(void **state)
{
	struct sluice_map_req req = {
	        .va = VA, .len = PAGE, .prot = RW, .flags = SLUICE_MAP_32BIT};
	sluice_iova_t iova, again;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	for (int i = 0; i < 2; i++) {
		req.flags = SLUICE_MAP_32BIT;
		assert_int_equal(sluice_map(r.view, &req, &iova), 0);
		assert_int_equal(unmap(&r, iova, PAGE), 1);
		req.flags = i ? SLUICE_MAP_32BIT : 0;
		assert_int_equal(sluice_map(r.view, &req, &again), 0);
		assert_int_equal(again, iova);
		assert_int_equal(unmap(&r, iova, PAGE), 1);
		sluice_poll(r.lane, NULL, 0);
	}
	rig_down(&r);
}

/* A range that the caller chose is the caller's to choose again. */
static void not_what_is_reserved(void **state)
{
	const uint64_t fixed = UINT64_C(0x40000000);
	sluice_iova_t iova;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(sluice_domain_reserve(r.domain, fixed, PAGE), 0);
	assert_int_equal(map_fixed(&r, VA, PAGE, fixed), 0);
	assert_int_equal(unmap(&r, fixed, PAGE), 1);
	assert_int_equal(map_fixed(&r, VA, PAGE, fixed), -EBUSY);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	assert_int_not_equal(iova, fixed);
	assert_int_equal(revived(&r), 0);
	assert_int_equal(unmap(&r, iova, PAGE), 1);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	assert_int_equal(revived(&r), 1);
	rig_down(&r);
}

/* Parts and joins: a part comes back alone, two mappings that are one run of
 * memory as one, what is not one run not at all. */
static void parts_and_lists(void **state)
{
	struct iovec iov[2] = {{(void *)VA, PAGE}, {(void *)(VA + M2), PAGE}};
	struct sluice_map_req req = {.prot = RW};
	sluice_iova_t iova, again;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(map(&r, VA, 4 * PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova + PAGE, PAGE), 1);
	assert_int_equal(map(&r, VA + PAGE, PAGE, &again), 0);
	assert_int_equal(again, iova + PAGE);
	assert_int_equal(unmap(&r, iova, 4 * PAGE), 1);
	assert_int_equal(map(&r, VA, 4 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(revived(&r), 2);
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 2, &iova), 0);
	assert_int_equal(unmap(&r, iova, 2 * PAGE), 1);
	assert_int_equal(map(&r, VA, 2 * PAGE, &again), 0);
	assert_int_not_equal(again, iova);
	assert_int_equal(xlate(&r, iova + PAGE, 1), -EFAULT);
	rig_down(&r);
}

static void large_leaves(void **state)
{
	struct sluice_map_req req = {
	        .va = VA, .len = 2 * M2, .prot = RW, .align_lg2 = 21};
	sluice_iova_t iova, again;
	struct rig r;

	(void)state;
	rig_up(&r, &soft);
	assert_int_equal(sluice_map(r.view, &req, &iova), 0);
	assert_int_equal(unmap(&r, iova, 2 * M2), 1);
	assert_int_equal(sluice_map(r.view, &req, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(xlate(&r, iova, M2), M2);
	rig_down(&r);
}

static void va_side_comes_back(void **state)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_REVIVE |
	                                               SLUICE_DOMAIN_VA_LOOKUP};
	struct iovec iov[40];
	struct sluice_map_req req = {.prot = RW};
	sluice_iova_t iova, again, second;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(map(&r, VA, 2 * PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova, 2 * PAGE), 1);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &again), -EFAULT);
	assert_int_equal(map(&r, VA, 2 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(sluice_va_to_iova(r.view, VA + PAGE, 1, &again), 1);
	assert_int_equal(again, iova + PAGE);
	/* Somebody else has the claim now: it comes back without. */
	assert_int_equal(unmap(&r, iova, 2 * PAGE), 1);
	assert_int_equal(map(&r, VA, PAGE, &second), 0);
	assert_int_equal(map(&r, VA, 2 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &again), 1);
	assert_int_equal(again, second);
	assert_int_equal(unmap(&r, iova, 2 * PAGE), 1);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &again), 1);
	/* More pieces than one look at the table returns. */
	for (uint64_t i = 0; i < 40; i++)
		iov[i] = (struct iovec){(void *)(VA + (1 + 2 * i) * M2), PAGE};
	assert_int_equal(sluice_map_sg(r.view, &req, iov, 40, &iova), 0);
	assert_int_equal(unmap(&r, iova, 40 * PAGE), 1);
	assert_int_equal(unmap(&r, iova, 40 * PAGE), -ENOENT);
	assert_int_equal(map(&r, VA + M2, 40 * PAGE, &again), 0);
	assert_int_not_equal(again, iova);
	assert_int_equal(revived(&r), 2);
	rig_down(&r);
}

static void who_may_ask(void **state)
{
	struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_REVIVE |
	                                         SLUICE_DOMAIN_NO_REVIVE};
	struct sluice_engine *engine;
	struct sluice_domain *d;
	sluice_iova_t iova, again;
	struct rig r;

	(void)state;
	assert_int_equal(sluice_engine_open(NULL, &engine), 0);
	assert_int_equal(sluice_domain_create(engine, &cfg, &d), -EINVAL);
	cfg.flags = SLUICE_DOMAIN_REVIVE | SLUICE_DOMAIN_CALLER_IOVA;
	assert_int_equal(sluice_domain_create(engine, &cfg, &d), -EINVAL);
	assert_int_equal(sluice_engine_close(engine), 0);
	/* A soft domain that was not asked, and a bad request. */
	rig_up(&r, NULL);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	assert_int_equal(unmap(&r, iova, PAGE), 1);
	assert_int_equal(unmap(&r, iova, PAGE), -ENOENT);
	assert_int_equal(map(&r, VA, PAGE, &again), 0);
	assert_int_not_equal(again, iova);
	assert_int_equal(revived(&r), 0);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(comes_back_at_its_iova),
	        cmocka_unit_test(many_times),
	        cmocka_unit_test(notes_grow_old),
	        cmocka_unit_test(only_the_same),
	        cmocka_unit_test(low_ones),
	        cmocka_unit_test(not_what_is_reserved),
	        cmocka_unit_test(parts_and_lists),
	        cmocka_unit_test(large_leaves),
	        cmocka_unit_test(va_side_comes_back),
	        cmocka_unit_test(who_may_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
