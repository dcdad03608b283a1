/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The near way of reviving pages on a lazy kernel domain: what is different
 * must go the long way, and be answered as there. VFIO is a fake one.
 */
#include "tests/engine/krig.h"

static const struct sluice_domain_cfg lazy = {
        .backend = SLUICE_BACKEND_VFIO_TYPE1,
        .mode = SLUICE_MODE_LAZY,
        .flags = SLUICE_DOMAIN_REVIVE,
        .lazy_us = 60000000,
};

static void stats(struct krig *k, struct sluice_domain_stats *st)
{
	sluice_domain_get_stats(k->r.domain, st);
}

/* Down and up again, three times: the note of the first is that of others. */
static void counted_as_ever(void **state)
{
	struct sluice_domain_stats st;
	struct sluice_ticket t, u;
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &lazy, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(sluice_unmap(k.r.view, iova, PAGE, 0, &t), 0);
		assert_int_equal(xlate(&k.r, iova, 1), -EFAULT);
		assert_int_equal(unmap(&k.r, iova, PAGE), -ENOENT);
		assert_int_equal(t.seq, i + 1);
		assert_int_equal(map(&k.r, VA, PAGE, &again), 0);
		assert_int_equal(again, iova);
		assert_maps(&k.r, iova, VA);
		assert_false(sluice_ticket_passed(k.r.view, t));
	}
	stats(&k, &st);
	assert_int_equal(st.maps, 4);
	assert_int_equal(st.map_bytes, 4 * PAGE);
	assert_int_equal(st.unmaps, 3);
	assert_int_equal(st.unmap_bytes, 3 * PAGE);
	assert_int_equal(st.unmap_failures, 3);
	assert_int_equal(st.revived, 3);
	assert_int_equal(sluice_ticket_wait(k.r.view, t, PATIENCE), 0);
	/* Too late for the near way and for the long one. */
	assert_int_equal(sluice_unmap(k.r.view, iova, PAGE, 0, &u), 0);
	assert_int_equal(sluice_ticket_wait(k.r.view, u, PATIENCE), 0);
	assert_int_equal(map(&k.r, VA, PAGE, &again), 1);
	krig_down(&k);
}

static void another_request(void **state)
{
	struct sluice_map_req req = {.va = VA, .len = PAGE, .prot = RW};
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &lazy, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(unmap(&k.r, iova, PAGE), 0);
		req.prot = 0;
		assert_int_equal(sluice_map(k.r.view, &req, &again), -EINVAL);
		req.prot = RW | 4;
		assert_int_equal(sluice_map(k.r.view, &req, &again), -EINVAL);
		req.prot = RW;
		req.va = VA + 1;
		assert_int_equal(sluice_map(k.r.view, &req, &again), -EINVAL);
		req.va = VA;
		req.reserved = 1;
		assert_int_equal(sluice_map(k.r.view, &req, &again), -EINVAL);
		req.reserved = 0;
		req.flags = 1u << 31;
		assert_int_equal(sluice_map(k.r.view, &req, &again), -EINVAL);
		req.flags = 0;
		assert_int_equal(unmap(&k.r, iova + 1, PAGE), -EINVAL);
		assert_int_equal(sluice_lane_offline(k.r.lane), 0);
		assert_int_equal(sluice_map(k.r.view, &req, &again), -ENETDOWN);
		sluice_lane_online(k.r.lane);
		assert_int_equal(sluice_map(k.r.view, &req, &again), 0);
		assert_int_equal(again, iova);
		assert_int_equal(sluice_lane_offline(k.r.lane), 0);
		assert_int_equal(unmap(&k.r, iova, PAGE), -ENETDOWN);
		sluice_lane_online(k.r.lane);
	}
	krig_down(&k);
}

/* A page of a larger mapping, the first and another; and two at once. */
static void whole_ones_only(void **state)
{
	sluice_iova_t iova, next, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &lazy, 0);
	map_and_wait(&k, VA, 2 * PAGE, &iova);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(unmap(&k.r, iova, PAGE), -ERANGE);
		assert_int_equal(unmap(&k.r, iova + PAGE, PAGE), -ERANGE);
		assert_int_equal(unmap(&k.r, iova, 2 * PAGE), 0);
		assert_int_equal(map(&k.r, VA, 2 * PAGE, &again), 0);
		assert_int_equal(again, iova);
	}
	map_and_wait(&k, VA + M2, PAGE, &iova);
	map_and_wait(&k, VA + 2 * M2, PAGE, &next);
	assert_int_equal(next, iova + PAGE);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(unmap(&k.r, iova, PAGE), 0);
		assert_int_equal(map(&k.r, VA + M2, PAGE, &again), 0);
		assert_int_equal(again, iova);
	}
	assert_int_equal(unmap(&k.r, iova, 2 * PAGE), 0);
	assert_int_equal(xlate(&k.r, iova, 1), -EFAULT);
	assert_int_equal(xlate(&k.r, next, 1), -EFAULT);
	krig_down(&k);
}

/* ---- many pages, at random ---- */

#define BUFS 1200u
#define STEPS 60000u

struct page {
	struct sluice_map_req req;
	sluice_iova_t iova;
	bool mapped;
};

/* Many of them in one slot, and each prot. */
static void begin(struct krig *k, struct page *page)
{
	struct sluice_completion c;

	for (uint64_t i = 0; i < BUFS; i++) {
		uint64_t at = i < 32 ? i << 20 : i + (i % 5 << 20);

		page[i].req = (struct sluice_map_req){
		        .va = VA + at * PAGE,
		        .len = PAGE,
		        .prot = i % 3 == 0 ? SLUICE_READ : RW,
		};
		assert_int_equal(
		        sluice_map(k->r.view, &page[i].req, &page[i].iova), 1);
		wait_for(k, &c, 1);
		page[i].mapped = true;
	}
}

static void judge(struct krig *k, const struct page *p)
{
	sluice_oa_t oa;
	uint64_t va;

	if (!p->mapped) {
		assert_int_equal(xlate(&k->r, p->iova, 1), -EFAULT);
		return;
	}
	assert_true(sluice_translate(k->r.view, p->iova, 1, SLUICE_READ, &oa) ==
	            1);
	assert_int_equal(oa, p->req.va);
	assert_int_equal(
	        sluice_translate(k->r.view, p->iova, 1, SLUICE_WRITE, &oa),
	        p->req.prot == RW ? 1 : -EACCES);
	assert_true(fake_vfio_reach(p->iova, &va, NULL));
	assert_int_equal(va, p->req.va);
}

/* With what the helper has not come to there may be too many in flight. */
static void unmap_page(struct krig *k, const struct page *p)
{
	int rc = unmap(&k->r, p->iova, PAGE);

	if (rc == -EAGAIN) {
		assert_int_equal(sluice_drain(k->r.lane, PATIENCE), 0);
		rc = unmap(&k->r, p->iova, PAGE);
	}
	assert_int_equal(rc, 0);
}

static void plays_with_pages(void **state)
{
	static struct page page[BUFS];
	struct sluice_domain_cfg cfg = lazy;
	struct sluice_domain_stats st;
	struct sluice_completion c;
	uint64_t rng = 1, unmaps = 0;
	struct krig k;

	(void)state;
	cfg.lazy_entries = 64;
	krig_up(&k, NULL, &cfg, 0);
	begin(&k, page);
	for (uint32_t i = 0; i < STEPS; i++) {
		struct page *p;
		int rc = 0;

		rng ^= rng << 13;
		rng ^= rng >> 7;
		rng ^= rng << 17;
		/* Mostly the same few. */
		p = &page[rng % (rng >> 20 & 7 ? 48 : BUFS)];
		if (p->mapped) {
			unmap_page(&k, p);
			unmaps++;
		} else {
			rc = sluice_map(k.r.view, &p->req, &p->iova);
			assert_in_range(rc, 0, 1);
			if (rc)
				wait_for(&k, &c, 1);
		}
		p->mapped = !p->mapped;
		judge(&k, p);
		/* Of others the IOVA may be somebody's again. */
		if (page[i % BUFS].mapped)
			judge(&k, &page[i % BUFS]);
		if (i % 16 == 0)
			sluice_poll(k.r.lane, NULL, 0);
	}
	stats(&k, &st);
	assert_int_equal(st.unmaps, unmaps);
	assert_true(st.revived > STEPS / 20);
	for (uint32_t i = 0; i < BUFS; i++)
		if (page[i].mapped)
			unmap_page(&k, &page[i]);
	assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
	assert_int_equal(fake_vfio_mappings(NULL, 0), 0);
	krig_down(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(counted_as_ever),
	        cmocka_unit_test(another_request),
	        cmocka_unit_test(whole_ones_only),
	        cmocka_unit_test(plays_with_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
