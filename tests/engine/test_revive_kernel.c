/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing back a mapping that waits in a batch, on the type1 backend with a
 * VFIO that exists only in this process: the kernel hears nothing of it, or is
 * asked as ever.
 */
#include "tests/engine/krig.h"

#include <sched.h>

static uint64_t revived(struct rig *r)
{
	struct sluice_domain_stats st;

	sluice_domain_get_stats(r->domain, &st);
	return st.revived;
}

static void the_kernel_hears_nothing(void **state)
{
	struct sluice_completion c[2];
	struct sluice_ticket t;
	sluice_iova_t iova, again;
	uint64_t va;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, 2 * PAGE, &iova);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(sluice_unmap(k.r.view, iova, 2 * PAGE, 9, &t),
		                 1);
		assert_int_equal(map(&k.r, VA, 2 * PAGE, &again), 0);
		assert_int_equal(again, iova);
		assert_maps(&k.r, iova + PAGE, VA + PAGE);
		wait_for(&k, c, 1);
		assert_int_equal(c[0].cookie, 9);
		assert_int_equal(c[0].op, SLUICE_OP_UNMAP);
		assert_int_equal(c[0].result, 0);
		assert_true(sluice_ticket_passed(k.r.view, t));
		assert_true(fake_vfio_reach(iova, &va, NULL));
	}
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), 1);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 0);
	assert_int_equal(revived(&k.r), 5);
	/* It is still one whole mapping, and dies as such. */
	assert_int_equal(unmap(&k.r, iova, PAGE), -ERANGE);
	assert_int_equal(unmap(&k.r, iova, 2 * PAGE), 1);
	wait_for(&k, c, 1);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_UNMAP_DMA), 1);
	assert_false(fake_vfio_reach(iova, &va, NULL));
	krig_down(&k);
}

static void too_late_at_the_backend(void **state)
{
	struct sluice_completion c[3];
	sluice_iova_t iova, again;
	uint64_t end = clock_ns() + PATIENCE;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	fake_vfio_gate();
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	/* The poll hands it over; it stands at the gate. */
	while (k.r.view->submitted != k.r.view->tail) {
		assert_int_equal(sluice_poll(k.r.lane, c, 1), 0);
		assert_true(clock_ns() < end);
	}
	fake_vfio_gate_wait();
	assert_int_equal(map(&k.r, VA, PAGE, &again), 1);
	assert_int_not_equal(again, iova);
	fake_vfio_gate_open();
	wait_for(&k, c, 2);
	assert_int_equal(revived(&k.r), 0);
	assert_int_equal(unmap(&k.r, again, PAGE), 1);
	krig_down(&k);
}

/* Only what is one kernel mapping alone. */
static void one_kernel_mapping(void **state)
{
	struct iovec iov[3] = {{(void *)VA, PAGE},
	                       {(void *)(VA + PAGE), PAGE},
	                       {(void *)(VA + M2), PAGE}};
	struct sluice_map_req req = {.prot = RW};
	struct sluice_completion c[4];
	sluice_iova_t iova, again, next;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, NULL, 0);
	assert_int_equal(sluice_map_sg(k.r.view, &req, iov, 3, &iova), 1);
	wait_for(&k, c, 1);
	assert_int_equal(unmap(&k.r, iova, 3 * PAGE), 1);
	assert_int_equal(map(&k.r, VA, 3 * PAGE, &again), 1);
	wait_for(&k, c, 2);
	/* Two pieces that the kernel has as one. */
	assert_int_equal(sluice_map_sg(k.r.view, &req, iov, 2, &iova), 1);
	wait_for(&k, c, 1);
	assert_int_equal(unmap(&k.r, iova, 2 * PAGE), 1);
	assert_int_equal(map(&k.r, VA, 2 * PAGE, &again), 0);
	assert_int_equal(again, iova);
	assert_int_equal(revived(&k.r), 1);
	krig_down(&k);
	/* Two mappings side by side, unmapped together. */
	krig_up(&k, NULL, NULL, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	map_and_wait(&k, VA + PAGE, PAGE, &next);
	assert_int_equal(next, iova + PAGE);
	assert_int_equal(unmap(&k.r, iova, 2 * PAGE), 1);
	assert_int_equal(map(&k.r, VA, 2 * PAGE, &again), 1);
	assert_int_not_equal(again, iova);
	assert_int_equal(revived(&k.r), 0);
	krig_down(&k);
}

/* Memory may be given back to the system as soon as a lazy unmap returns: the
 * kernel would still have the old pages. The caller must rule that out. */
static void lazy_must_be_asked(void **state)
{
	struct sluice_domain_cfg cfg = {.backend = SLUICE_BACKEND_VFIO_TYPE1,
	                                .mode = SLUICE_MODE_LAZY,
	                                .lazy_us = 1000000};
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	for (int ask = 0; ask < 2; ask++) {
		cfg.flags = ask ? SLUICE_DOMAIN_REVIVE : 0;
		krig_up(&k, NULL, &cfg, 0);
		map_and_wait(&k, VA, PAGE, &iova);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(unmap(&k.r, iova, PAGE), 0);
			for (int n = 0; n < 3; n++)
				sluice_poll(k.r.lane, NULL, 0);
			if (!ask)
				break;
			assert_int_equal(map(&k.r, VA, PAGE, &again), 0);
			assert_int_equal(again, iova);
		}
		if (!ask)
			assert_int_equal(map(&k.r, VA, PAGE, &again), 1);
		assert_int_equal(sluice_drain(k.r.lane, PATIENCE), 0);
		assert_int_equal(revived(&k.r), ask ? 10 : 0);
		assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA),
		                 ask ? 1 : 2);
		assert_int_equal(fake_vfio_mappings(NULL, 0), 1);
		krig_down(&k);
	}
}

static void strict_can_be_forbidden(void **state)
{
	const struct sluice_domain_cfg cfg = {.backend =
	                                              SLUICE_BACKEND_VFIO_TYPE1,
	                                      .flags = SLUICE_DOMAIN_NO_REVIVE};
	struct sluice_completion c[3];
	sluice_iova_t iova, again;
	struct krig k;

	(void)state;
	krig_up(&k, NULL, &cfg, 0);
	map_and_wait(&k, VA, PAGE, &iova);
	assert_int_equal(unmap(&k.r, iova, PAGE), 1);
	assert_int_equal(map(&k.r, VA, PAGE, &again), 1);
	assert_int_not_equal(again, iova);
	wait_for(&k, c, 2);
	krig_down(&k);
}

/* ---- random play with the kernel ---- */

#define BUFS 16u

struct kplay {
	struct krig k;
	uint64_t rng;
	sluice_iova_t iova[BUFS];
	bool mapped[BUFS], coming[BUFS];
	uint64_t unmaps, seen, nr_kernel, nr_again;
};

static uint64_t rnd(struct kplay *p, uint64_t n)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return p->rng % n;
}

static uint64_t len_of(uint64_t i)
{
	return (1 + i % 3) * PAGE;
}

static void kplay_poll(struct kplay *p)
{
	struct sluice_completion c[4];
	uint32_t n = sluice_poll(p->k.r.lane, c, 4);

	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(c[i].result, 0);
		if (c[i].op == SLUICE_OP_UNMAP) {
			assert_int_equal(c[i].cookie, p->seen++);
			continue;
		}
		assert_true(p->coming[c[i].cookie]);
		assert_int_equal(c[i].iova, p->iova[c[i].cookie]);
		p->coming[c[i].cookie] = false;
		p->mapped[c[i].cookie] = true;
	}
}

/* The helper's thread may not run for long: then no more fits in flight. */
static bool again(struct kplay *p, int rc)
{
	if (rc != -EAGAIN)
		return false;
	p->nr_again++;
	sched_yield();
	return true;
}

static void kplay_unmap(struct kplay *p, uint64_t i)
{
	uint64_t at = VA + i * M2, len = len_of(i), va;
	int rc;

	assert_true(fake_vfio_reach(p->iova[i], &va, NULL));
	assert_int_equal(va, at);
	assert_maps(&p->k.r, p->iova[i] + len - PAGE, at + len - PAGE);
	rc = sluice_unmap(p->k.r.view, p->iova[i], len, p->unmaps, NULL);
	/* What was refused is mapped as before. */
	if (again(p, rc))
		return;
	assert_int_equal(rc, 1);
	p->unmaps++;
	p->mapped[i] = false;
}

static void kplay_map(struct kplay *p, uint64_t i)
{
	struct sluice_map_req req = {
	        .va = VA + i * M2, .len = len_of(i), .prot = RW, .cookie = i};
	int rc = sluice_map(p->k.r.view, &req, &p->iova[i]);

	if (again(p, rc))
		return;
	assert_in_range(rc, 0, 1);
	p->mapped[i] = rc == 0;
	p->coming[i] = rc == 1;
	p->nr_kernel += rc == 1;
}

static void kplay_step(struct kplay *p)
{
	uint64_t i = rnd(p, BUFS);

	if (p->mapped[i]) {
		kplay_unmap(p, i);
		if (rnd(p, 2))
			kplay_poll(p);
	}
	if (!p->mapped[i] && !p->coming[i])
		kplay_map(p, i);
	else
		sched_yield();
	kplay_poll(p);
}

/* Until everything is mapped, and nothing is on its way. */
static void kplay_settle(struct kplay *p, uint64_t end)
{
	for (bool wait = true; wait;) {
		wait = p->seen != p->unmaps;
		for (uint64_t i = 0; i < BUFS; i++) {
			if (!p->mapped[i] && !p->coming[i])
				kplay_map(p, i);
			wait |= !p->mapped[i];
		}
		kplay_poll(p);
		assert_true(clock_ns() < end);
	}
}

/* At least nr maps by the kernel and nr without it, and nr_again times that the
 * lane must try again. */
static void kplay(const struct sluice_domain_cfg *cfg, uint64_t nr,
                  uint64_t nr_again)
{
	struct kplay p = {.rng = 1};
	uint64_t end = clock_ns() + 60 * SECOND;

	krig_up(&p.k, NULL, cfg, 0);
	/* As many as the helper's thread lets through. */
	while (revived(&p.k.r) < nr || p.nr_kernel < nr) {
		kplay_step(&p);
		assert_true(clock_ns() < end);
	}
	kplay_settle(&p, end);
	/* Its next call is an unmap's, and does not end: what comes behind it
	 * is called back, and stays in flight. */
	if (nr_again)
		fake_vfio_gate();
	for (nr_again += p.nr_again; p.nr_again < nr_again;) {
		kplay_step(&p);
		assert_true(clock_ns() < end);
	}
	fake_vfio_gate_open();
	kplay_settle(&p, end);
	assert_int_equal(fake_vfio_mappings(NULL, 0), BUFS);
	assert_int_equal(fake_vfio_calls(VFIO_IOMMU_MAP_DMA), p.nr_kernel);
	krig_down(&p.k);
}

static void plays_with_the_kernel(void **state)
{
	(void)state;
	kplay(NULL, 500, 0);
}

static void plays_with_little_room(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .backend = SLUICE_BACKEND_VFIO_TYPE1, .max_inflight = 4};

	(void)state;
	kplay(&cfg, 50, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_kernel_hears_nothing),
	        cmocka_unit_test(too_late_at_the_backend),
	        cmocka_unit_test(one_kernel_mapping),
	        cmocka_unit_test(lazy_must_be_asked),
	        cmocka_unit_test(strict_can_be_forbidden),
	        cmocka_unit_test(plays_with_the_kernel),
	        cmocka_unit_test(plays_with_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
