/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path beyond a plain hit: tables that views remember, large extents,
 * both directions, holds, faults, views that sleep, lanes that do not poll.
 */
#include "tests/engine/rig.h"

#include "util/util.h"

#include <stdlib.h>

#define VA UINT64_C(0x7f0000001000) /* no 2 MiB leaf fits */
#define BASE (UINT64_C(1) << 32)

/* A second lane on the rig's domain, of the same thread. */
struct other {
	struct sluice_lane *lane;
	struct sluice_view *view;
};

static void other_up(struct rig *r, struct other *o)
{
	assert_int_equal(sluice_lane_open(r->engine, NULL, &o->lane), 0);
	assert_int_equal(sluice_view_open(o->lane, r->domain, &o->view), 0);
}

static void other_down(struct other *o)
{
	assert_int_equal(sluice_view_close(o->view), 0);
	assert_int_equal(sluice_lane_close(o->lane), 0);
}

static int64_t other_xlate(struct other *o, uint64_t iova, uint64_t *oa)
{
	*oa = 0;
	return sluice_translate(o->view, iova, 1, SLUICE_READ, oa);
}

/* Ends everything in flight, with both lanes polling. */
static void settle(struct rig *r, struct other *o)
{
	for (unsigned i = 0; i < 4; i++) {
		sluice_poll(r->lane, NULL, 0);
		sluice_poll(o->lane, NULL, 0);
	}
}

static const enum sluice_pt_format formats[] = {
        SLUICE_PT_X86_64,      SLUICE_PT_VTDSS,       SLUICE_PT_AMDV1,
        SLUICE_PT_ARM_LPAE_S1, SLUICE_PT_ARM_LPAE_S2, SLUICE_PT_RISCV,
        SLUICE_PT_RISCV_G,
};

/* Pages one by one in every format, past a small IOTLB: each page of a table
 * that is remembered goes where it was mapped, with the rights that it has. */
static void pages_of_every_format(void **state)
{
	(void)state;
	for (unsigned f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		const struct sluice_domain_cfg cfg = {
		        .format = formats[f],
		        .flags = SLUICE_DOMAIN_CALLER_IOVA,
		        .tlb_entries = 16,
		        .walk_entries = 16,
		};
		struct rig r;

		rig_up(&r, &cfg);
		for (uint64_t i = 0; i < 700; i++) {
			struct sluice_map_req req = {
			        .va = VA + (i * 37 % 700) * PAGE,
			        .len = PAGE,
			        .prot = i & 1 ? RW : SLUICE_READ,
			        .flags = SLUICE_MAP_FIXED,
			};
			sluice_iova_t iova = BASE + i * PAGE;

			assert_int_equal(sluice_map(r.view, &req, &iova), 0);
			assert_int_equal(sluice_map(r.view, &req, &iova),
			                 -EEXIST);
		}
		for (uint64_t k = 0; k < 2100; k++) {
			uint64_t i = k * 211 % 700;
			uint64_t iova = BASE + i * PAGE;
			sluice_oa_t oa = 1;

			assert_int_equal(sluice_translate(r.view, iova + 5, 7,
			                                  SLUICE_WRITE, &oa),
			                 i & 1 ? 7 : -EACCES);
			assert_int_equal(
			        oa, i & 1 ? VA + (i * 37 % 700) * PAGE + 5 : 1);
			assert_int_equal(sluice_translate(r.view, iova, PAGE,
			                                  SLUICE_READ, &oa),
			                 PAGE);
		}
		for (uint64_t i = 0; i < 700; i++) {
			assert_int_equal(unmap(&r, BASE + i * PAGE, PAGE), 1);
			assert_int_equal(unmap(&r, BASE + i * PAGE, PAGE),
			                 -ENOENT);
			assert_int_equal(xlate(&r, BASE + i * PAGE, 1),
			                 -EFAULT);
		}
		rig_down(&r);
	}
}

/* A table that another lane remembers is replaced by a large leaf, and comes
 * back. The other lane must see the leaf at once, and a table's second life
 * must not be taken for its first. */
static void remembered_table_is_replaced(void **state)
{
	struct other o;
	struct rig r;
	sluice_oa_t oa;

	(void)state;
	rig_up(&r, &caller_iova);
	other_up(&r, &o);
	for (unsigned round = 0; round < 20; round++) {
		assert_int_equal(map_fixed(&r, VA, 2 * PAGE, BASE), 0);
		assert_int_equal(other_xlate(&o, BASE, &oa), 1);
		assert_int_equal(oa, VA);
		assert_int_equal(unmap(&r, BASE, 2 * PAGE), 1);
		settle(&r, &o);
		/* The table is empty, and remembered. */
		assert_int_equal(other_xlate(&o, BASE + PAGE, &oa), -EFAULT);
		assert_int_equal(map_fixed(&r, 16 * M2, M2, BASE), 0);
		assert_int_equal(other_xlate(&o, BASE + PAGE, &oa), 1);
		assert_int_equal(oa, 16 * M2 + PAGE);
		assert_maps(&r, BASE + 7 * PAGE, 16 * M2 + 7 * PAGE);
		/* Its page is used again, for another block. */
		settle(&r, &o);
		for (unsigned i = 1; i < 4; i++)
			assert_int_equal(map_fixed(&r, VA, PAGE, BASE + i * M2),
			                 0);
		assert_int_equal(other_xlate(&o, BASE, &oa), 1);
		assert_int_equal(oa, 16 * M2);
		assert_int_equal(unmap(&r, BASE, M2), 1);
		for (unsigned i = 1; i < 4; i++)
			assert_int_equal(unmap(&r, BASE + i * M2, PAGE), 1);
		settle(&r, &o);
		assert_int_equal(other_xlate(&o, BASE, &oa), -EFAULT);
		/* By a store through what is remembered, if that were stale. */
		assert_int_equal(map_fixed(&r, VA, PAGE, BASE), 0);
		assert_int_equal(other_xlate(&o, BASE, &oa), 1);
		assert_int_equal(unmap(&r, BASE, PAGE), 1);
		settle(&r, &o);
	}
	other_down(&o);
	rig_down(&r);
}

static void batch_says_the_same(void **state)
{
	enum { NR = 300 };
	static sluice_iova_t iova[NR];
	static sluice_oa_t oa[NR];
	static int64_t ret[NR];
	struct rig r;

	(void)state;
	rig_up(&r, &caller_iova);
	assert_int_equal(map_fixed(&r, VA, 600 * PAGE, BASE), 0);
	assert_int_equal(map_fixed(&r, 16 * M2, M2, BASE + 4 * M2), 0);
	for (uint64_t len = 1; len < 9000; len = len * 3 + 1) {
		uint32_t full = 0;

		for (uint32_t i = 0; i < NR; i++)
			iova[i] = BASE + i * 131 % 601 * PAGE + i +
			          (i % 7 ? 0 : 4 * M2);
		memset(oa, 0, sizeof(oa));
		full = sluice_translate_batch(r.view, iova, NR, len,
		                              SLUICE_READ, oa, ret);
		for (uint32_t i = 0; i < NR; i++) {
			sluice_oa_t want = 0;
			int64_t n = sluice_translate(r.view, iova[i], len,
			                             SLUICE_READ, &want);

			assert_int_equal(ret[i], n);
			assert_int_equal(oa[i], want);
			full -= n == (int64_t)len;
		}
		assert_int_equal(full, 0);
	}
	for (uint32_t access = 4; access < 6; access++) {
		assert_int_equal(sluice_translate_batch(r.view, iova, NR, 1,
		                                        access, oa, ret),
		                 0);
		assert_int_equal(ret[0], -EINVAL);
	}
	assert_int_equal(sluice_translate_batch(r.view, iova, NR, 0,
	                                        SLUICE_READ, oa, ret),
	                 0);
	assert_int_equal(ret[NR - 1], -EINVAL);
	assert_int_equal(unmap(&r, BASE, 600 * PAGE), 1);
	assert_int_equal(unmap(&r, BASE + 4 * M2, M2), 1);
	rig_down(&r);
}

/* VA to IOVA: hits are the lane's own, and end with the ticket. */
static void the_other_direction(void **state)
{
	const struct sluice_domain_cfg cfg = {.flags = SLUICE_DOMAIN_VA_LOOKUP};
	sluice_iova_t iova, got;
	struct sluice_ticket t;
	struct other o;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	other_up(&r, &o);
	assert_int_equal(map(&r, VA, 3 * PAGE, &iova), 0);
	for (unsigned twice = 0; twice < 2; twice++) {
		assert_int_equal(
		        sluice_va_to_iova(o.view, VA + PAGE + 9, 100, &got),
		        100);
		assert_int_equal(got, iova + PAGE + 9);
		assert_int_equal(
		        sluice_va_to_iova_call(r.view, VA + 9, 100, &got), 100);
		assert_int_equal(got, iova + 9);
	}
	assert_int_equal(sluice_va_to_iova(o.view, VA + 1, PAGE, &got),
	                 PAGE - 1);
	assert_int_equal(sluice_va_to_iova(o.view, VA, 0, &got), -EINVAL);
	assert_int_equal(sluice_va_to_iova(o.view, VA + 3 * PAGE, 1, &got),
	                 -EFAULT);
	assert_int_equal(sluice_unmap(r.view, iova, 3 * PAGE, 0, &t), 1);
	/* The unmapper forgets at once, others by their next poll. */
	assert_int_equal(sluice_va_to_iova(r.view, VA + 9, 1, &got), -EFAULT);
	sluice_poll(r.lane, NULL, 0);
	assert_false(sluice_ticket_passed(r.view, t));
	assert_int_equal(sluice_poll(o.lane, NULL, 0), 0);
	assert_int_equal(sluice_va_to_iova(o.view, VA + PAGE + 9, 1, &got),
	                 -EFAULT);
	/* A large one, found from another of its pages. */
	assert_int_equal(map(&r, 16 * M2, M2, &iova), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(
		        sluice_va_to_iova(o.view, 16 * M2 + i * PAGE, M2, &got),
		        M2 - i * PAGE);
		assert_int_equal(got, iova + i * PAGE);
	}
	assert_int_equal(unmap(&r, iova, M2), 1);
	settle(&r, &o);
	assert_int_equal(sluice_va_to_iova(o.view, 16 * M2, 1, &got), -EFAULT);
	assert_int_equal(sluice_lane_offline(o.lane), 0);
	assert_int_equal(sluice_va_to_iova(o.view, 16 * M2, 1, &got),
	                 -ENETDOWN);
	other_down(&o);
	rig_down(&r);
}

static void no_other_direction(void **state)
{
	sluice_iova_t got;
	struct rig r;

	(void)state;
	rig_up(&r, NULL);
	assert_int_equal(sluice_va_to_iova(r.view, VA, 1, &got), -EOPNOTSUPP);
	assert_int_equal(sluice_va_to_iova(r.view, 0, 1, &got), -EOPNOTSUPP);
	rig_down(&r);
}

static void held_across_polls(void **state)
{
	struct sluice_hold hold, more;
	sluice_iova_t iova, next;
	struct sluice_ticket t;
	struct other o;
	struct rig r;
	sluice_oa_t oa;

	(void)state;
	rig_up(&r, NULL);
	other_up(&r, &o);
	assert_int_equal(map(&r, VA, PAGE, &iova), 0);
	assert_int_equal(other_xlate(&o, iova, &oa), 1);
	assert_int_equal(sluice_hold_take(o.view, iova, 0, &hold), -EINVAL);
	assert_int_equal(sluice_hold_take(o.view, UINT64_MAX, 2, &hold),
	                 -EINVAL);
	assert_int_equal(sluice_hold_take(o.view, iova, PAGE, &hold), 0);
	assert_int_equal(sluice_unmap(r.view, iova, PAGE, 0, &t), 1);
	for (unsigned i = 0; i < 10; i++) {
		settle(&r, &o);
		assert_false(sluice_ticket_passed(r.view, t));
		/* Nothing new is found, and the IOVA is nobody's. */
		assert_int_equal(other_xlate(&o, iova, &oa), -EFAULT);
		assert_int_equal(map(&r, VA, PAGE, &next), 0);
		assert_int_not_equal(next, iova);
		assert_int_equal(unmap(&r, next, PAGE), 1);
	}
	assert_int_equal(sluice_ticket_wait(r.view, t, 1000), -ETIMEDOUT);
	assert_non_null(strstr(sluice_last_error(), "lane 1 has not polled"));
	assert_int_equal(sluice_lane_offline(o.lane), -EBUSY);
	assert_int_equal(sluice_view_close(o.view), -EBUSY);
	assert_int_equal(sluice_hold_release(o.view, hold), 0);
	assert_int_equal(sluice_hold_release(o.view, hold), -EINVAL);
	settle(&r, &o);
	assert_true(sluice_ticket_passed(r.view, t));
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(
		        sluice_hold_take(o.view, i * PAGE, PAGE, &more), 0);
	assert_int_equal(sluice_hold_take(o.view, 0, PAGE, &more), -ENOSPC);
	for (uint32_t i = 0; i < 256; i++)
		assert_int_equal(
		        sluice_hold_release(o.view, (struct sluice_hold){i}),
		        0);
	assert_int_equal(sluice_lane_offline(o.lane), 0);
	assert_int_equal(sluice_hold_take(o.view, 0, PAGE, &more), -ENETDOWN);
	other_down(&o);
	rig_down(&r);
}

/* What is asked for beyond the entry is answered in part, however long: sums
 * that wrap around 2^64 must not look like short ones. */
static void however_long(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .flags = SLUICE_DOMAIN_CALLER_IOVA};
	static const uint64_t offs[] = {0, 1, 8, PAGE / 2, PAGE - 1};
	struct sluice_domain_stats before, after;
	sluice_oa_t oa;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(map_fixed(&r, VA, PAGE, BASE), 0);
	/* Often enough to be cached. */
	for (int i = 0; i < 64; i++)
		assert_int_equal(xlate(&r, BASE, 1), 1);
	sluice_domain_get_stats(r.domain, &before);
	for (unsigned i = 0; i < NR_OF(offs); i++) {
		uint64_t off = offs[i], left = PAGE - off;
		volatile uint64_t fits[] = {1, left};
		volatile uint64_t not [] = {
		        left + 1,          UINT64_C(1) << 32, UINT64_C(1) << 63,
		        UINT64_MAX - PAGE, UINT64_MAX - off,  UINT64_MAX};

		for (unsigned k = 0; k < NR_OF(fits); k++) {
			assert_int_equal(sluice_translate(r.view, BASE + off,
			                                  fits[k], RW, &oa),
			                 fits[k]);
			assert_int_equal(oa, VA + off);
		}
		for (unsigned k = 0; k < NR_OF(not ); k++) {
			assert_int_equal(sluice_translate(r.view, BASE + off,
			                                  not [k], RW, &oa),
			                 left);
			assert_int_equal(oa, VA + off);
		}
	}
	/* Those that fit were hits, and no others. */
	sluice_domain_get_stats(r.domain, &after);
	assert_int_equal(after.misses - before.misses, NR_OF(offs) * 6);
	assert_int_equal(unmap(&r, BASE, PAGE), 1);
	rig_down(&r);
}

static void faults_are_kept(void **state)
{
	const struct sluice_domain_cfg cfg = {
	        .format = SLUICE_PT_VTDSS, .flags = SLUICE_DOMAIN_CALLER_IOVA};
	struct sluice_fault f[300];
	uint64_t dropped = 7;
	sluice_oa_t oa;
	struct rig r;

	(void)state;
	rig_up(&r, &cfg);
	assert_int_equal(sluice_lane_faults(r.lane, f, 300, &dropped), 0);
	assert_int_equal(dropped, 0);
	assert_int_equal(map_fixed(&r, VA, PAGE, BASE), 0);
	sluice_view_set_device(r.view, 0x10ull << 8 | 3);
	assert_int_equal(sluice_translate(r.view, BASE + PAGE + 8, 24,
	                                  SLUICE_WRITE, &oa),
	                 -EFAULT);
	sluice_view_set_device(r.view, 9);
	assert_int_equal(
	        sluice_translate(r.view, UINT64_MAX - 9, 2, SLUICE_READ, &oa),
	        -EINVAL);
	/* A mistake of the caller's is no fault of a device. */
	assert_int_equal(sluice_translate(r.view, BASE, 0, RW, &oa), -EINVAL);
	assert_int_equal(sluice_lane_faults(r.lane, f, 1, NULL), 1);
	assert_int_equal(f[0].iova, BASE + PAGE + 8);
	assert_int_equal(f[0].len, 24);
	assert_int_equal(f[0].access, SLUICE_WRITE);
	assert_int_equal(f[0].device, 0x10ull << 8 | 3);
	assert_int_equal(f[0].error, -EFAULT);
	assert_int_equal(f[0].lane, sluice_lane_id(r.lane));
	assert_ptr_equal(f[0].domain, r.domain);
	assert_int_equal(sluice_lane_faults(r.lane, f, 300, &dropped), 1);
	assert_int_equal(f[0].device, 9);
	assert_int_equal(f[0].error, -EINVAL);
	assert_int_equal(dropped, 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(xlate(&r, BASE + (i + 1) * PAGE, 1), -EFAULT);
	assert_int_equal(sluice_lane_faults(r.lane, f, 300, &dropped), 256);
	assert_int_equal(dropped, 1000 - 256);
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(f[i].iova, BASE + (i + 1) * PAGE);
	assert_int_equal(sluice_lane_faults(r.lane, f, 300, &dropped), 0);
	assert_int_equal(dropped, 0);
	assert_int_equal(unmap(&r, BASE, PAGE), 1);
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(pages_of_every_format),
	        cmocka_unit_test(remembered_table_is_replaced),
	        cmocka_unit_test(batch_says_the_same),
	        cmocka_unit_test(the_other_direction),
	        cmocka_unit_test(no_other_direction),
	        cmocka_unit_test(held_across_polls),
	        cmocka_unit_test(however_long),
	        cmocka_unit_test(faults_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
