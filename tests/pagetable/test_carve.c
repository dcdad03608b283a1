/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One group's window carved out of a table that hardware walks: a table beside
 * the shared one holds its subtrees around the window and, in the table of the
 * lowest level that the window begins and ends in, leaves of its own. Judged
 * page by page against what was asked for; what it costs is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sluice/pagetable.h>

#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define OA (UINT64_C(1) << 36)

/* Interrupts of x86, half of a table of the lowest level. */
#define WINDOW UINT64_C(0xfee00000)
#define WINDOW_LAST UINT64_C(0xfeefffff)

/* What everybody maps: large leaves below 3 GiB, single pages in the 64 MiB
 * around the window, large ones again from 4 to 8 GiB. */
#define SMALL UINT64_C(0xfc000000)
#define SMALL_END UINT64_C(0x100000000)

static struct sluice_pt *shared_up(enum sluice_pt_format format)
{
	const struct sluice_pt_config cfg = {.format = format};
	struct sluice_pt *pt;

	assert_int_equal(sluice_pt_create(&cfg, &pt), 0);
	assert_int_equal(sluice_pt_map(pt, 0, OA, 3 * GIB, SLUICE_RW), 0);
	assert_int_equal(
	        sluice_pt_map(pt, 4 * GIB, OA + 4 * GIB, 4 * GIB, SLUICE_RW),
	        0);
	/* No two pages continue each other: none is a large leaf. */
	for (uint64_t at = SMALL; at < SMALL_END; at += PAGE)
		assert_int_equal(sluice_pt_map(pt, at, OA + (at ^ PAGE), PAGE,
		                               SLUICE_RW),
		                 0);
	return pt;
}

static uint64_t shared_oa(uint64_t at)
{
	return at >= SMALL && at < SMALL_END ? OA + (at ^ PAGE) : OA + at;
}

static int in_window(uint64_t at)
{
	return at >= WINDOW && at <= WINDOW_LAST;
}

/* A table that maps what the shared one does, but for the window, which is
 * mapped to itself, or not at all. */
static struct sluice_pt *carve(struct sluice_pt *shared, int mapped)
{
	uint64_t reach, first, end;
	struct sluice_pt *pt;

	assert_int_equal(sluice_pt_create_beside(shared, NULL, &pt), 0);
	reach = sluice_pt_table_reach(pt);
	first = WINDOW / reach * reach;
	end = (WINDOW_LAST / reach + 1) * reach;
	assert_int_equal(sluice_pt_attach(pt, shared, 0, first), 0);
	assert_int_equal(sluice_pt_attach(pt, shared, end, 8 * GIB - end), 0);
	for (uint64_t at = first; at < end; at += PAGE) {
		struct sluice_pt_extent e;

		if (!in_window(at) && !sluice_pt_walk(shared, at, &e))
			assert_int_equal(sluice_pt_map(pt, at,
			                               e.oa + at - e.iova, PAGE,
			                               e.prot),
			                 0);
	}
	if (mapped)
		assert_int_equal(sluice_pt_map(pt, WINDOW, WINDOW,
		                               WINDOW_LAST + 1 - WINDOW,
		                               SLUICE_WRITE | SLUICE_READ),
		                 0);
	return pt;
}

static void expect_at(const struct sluice_pt *pt, uint64_t at, uint64_t oa)
{
	struct sluice_pt_extent e;

	assert_int_equal(sluice_pt_walk(pt, at, &e), 0);
	assert_int_equal(e.oa + (at - e.iova), oa);
}

/* All pages around the window, every 1 MiB elsewhere. */
static void judge(const struct sluice_pt *pt, int carved, int mapped)
{
	struct sluice_pt_extent e;

	for (uint64_t at = 0; at < 8 * GIB;
	     at += at >= SMALL && at < SMALL_END ? PAGE : MIB) {
		if (at >= 3 * GIB && at < SMALL)
			assert_int_not_equal(sluice_pt_walk(pt, at, &e), 0);
		else if (!carved || !in_window(at))
			expect_at(pt, at, shared_oa(at));
		else if (mapped)
			expect_at(pt, at, at);
		else
			assert_int_not_equal(sluice_pt_walk(pt, at, &e), 0);
	}
}

static void carved(enum sluice_pt_format format, int mapped)
{
	struct sluice_pt *shared = shared_up(format), *pt;
	struct sluice_pt_stats before, after, mine;
	struct sluice_pt_extent gone;
	uint64_t own;

	sluice_pt_get_stats(shared, &before);
	pt = carve(shared, mapped);
	judge(pt, 1, mapped);
	judge(shared, 0, 0);
	/* The shared table is as it was; the other has a path to the window. */
	sluice_pt_get_stats(shared, &after);
	sluice_pt_get_stats(pt, &mine);
	assert_int_equal(after.table_bytes, before.table_bytes);
	own = mine.table_bytes - mine.shared_bytes;
	assert_true(own <= 5 * PAGE);
	assert_true(own * 4 < before.table_bytes);
	print_message("%s, window %s: %u bytes of its own, %u shared\n",
	              sluice_pt_format_name(format),
	              mapped ? "to itself" : "faults", (unsigned)own,
	              (unsigned)mine.shared_bytes);
	/* A snapshot: what is taken out on one side stays on the other. */
	assert_int_equal(sluice_pt_detach(shared, 4 * GIB, 4 * GIB), 0);
	expect_at(pt, 5 * GIB, OA + 5 * GIB);
	assert_int_not_equal(sluice_pt_walk(shared, 5 * GIB, &gone), 0);
	sluice_pt_destroy(shared);
	judge(pt, 1, mapped);
	sluice_pt_destroy(pt);
}

static void windows(void **state)
{
	static const enum sluice_pt_format format[] = {
	        SLUICE_PT_X86_64,      SLUICE_PT_VTDSS,       SLUICE_PT_AMDV1,
	        SLUICE_PT_ARM_LPAE_S1, SLUICE_PT_ARM_LPAE_S2, SLUICE_PT_RISCV,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(format) / sizeof(*format); i++) {
		carved(format[i], 0);
		carved(format[i], 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(windows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
