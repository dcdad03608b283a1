/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The software IOTLB alone, through the public hit path.
 */
#include "tests/iotlb/unit.h"

#define ENTRIES 64u
#define LEAF_2M 512u
#define LEAF_1G (512u * 512u)

static int setup(void **state)
{
	struct sluice_view *view = calloc(1, sizeof(*view));

	*state = view;
	return view ? tlb_create(ENTRIES, &view->hot) : -1;
}

static int teardown(void **state)
{
	struct sluice_view *view = *state;

	tlb_destroy(&view->hot);
	free(view);
	return 0;
}

static void create_refuses(void **state)
{
	static const uint32_t bad[] = {0, 1, 8, 15, 17, 96, 65535, 131072};
	struct sluice_view_hot hot = {.tlb_mask = 7};

	(void)state;
	for (unsigned i = 0; i < NR_OF(bad); i++)
		assert_int_equal(tlb_create(bad[i], &hot), -EINVAL);
	assert_null(hot.tlb);
	assert_int_equal(hot.tlb_mask, 7);
	for (uint32_t n = 16; n <= 65536; n *= 2) {
		assert_int_equal(tlb_create(n, &hot), 0);
		assert_int_equal(hot.tlb_mask, n - 1);
		assert_int_equal((uintptr_t)hot.tlb % CACHELINE, 0);
		tlb_destroy(&hot);
		assert_null(hot.tlb);
	}
}

/* An empty entry never hits, whatever first and span say. */
static void empty_never_hits(void **state)
{
	struct sluice_view *view = *state;
	uint64_t oa = 7;

	for (unsigned i = 0; i < ENTRIES; i++)
		assert_false(cached(view, i * PAGE, &oa));
	for (unsigned i = 0; i < ENTRIES; i++)
		view->hot.tlb[i] =
		        (struct sluice_tlb_entry){.first = 0, .delta = 1};
	for (uint32_t access = 0; access < 8; access++)
		assert_int_equal(sluice_translate(view, PAGE, 1, access, &oa),
		                 -EFAULT);
	assert_int_equal(oa, 7);
}

static void hit(void **state)
{
	struct sluice_view *view = *state;
	uint64_t oa = 0;

	tlb_fill(&view->hot, 5 * PAGE, 5 * PAGE, 6 * PAGE - 1,
	         0x7000 - 5 * PAGE, SLUICE_READ);
	assert_int_equal(
	        sluice_translate(view, 5 * PAGE + 8, 4088, SLUICE_READ, &oa),
	        4088);
	assert_int_equal(oa, 0x7008);
	/* One byte too far, wrong access, neighbours, nothing wanted. */
	assert_int_equal(
	        sluice_translate(view, 5 * PAGE + 8, 4089, SLUICE_READ, &oa),
	        -EFAULT);
	assert_int_equal(sluice_translate(view, 5 * PAGE, 1, SLUICE_WRITE, &oa),
	                 -EFAULT);
	assert_int_equal(sluice_translate(view, 5 * PAGE, 1, SLUICE_RW, &oa),
	                 -EFAULT);
	assert_int_equal(sluice_translate(view, 5 * PAGE, 0, SLUICE_READ, &oa),
	                 -EFAULT);
	assert_int_equal(sluice_translate(view, 5 * PAGE, 1, 0, &oa), -EFAULT);
	assert_false(has(view, 4 * PAGE));
	assert_false(has(view, 6 * PAGE));
	/* Same slot, other page. */
	assert_false(has(view, (5 + ENTRIES) * PAGE));
	assert_int_equal(oa, 0x7008);
}

/* Lengths and offsets whose sum wraps around or whose bits look harmless. */
static void odd_lengths(void **state)
{
	static const uint64_t len[] = {1,          2,          4095,
	                               4096,       4097,       8192,
	                               UINT32_MAX, 1ull << 32, (1ull << 32) + 1,
	                               1ull << 63, -4096ull,   -4095ull,
	                               -9ull,      -1ull,      0};
	struct sluice_view *view = *state;

	tlb_fill(&view->hot, 64 * PAGE, 64 * PAGE, 65 * PAGE - 1, 0, SLUICE_RW);
	for (unsigned i = 0; i < NR_OF(len); i++) {
		for (uint64_t off = 0; off < PAGE; off++) {
			uint64_t oa;
			bool fits = len[i] && len[i] <= PAGE - off;

			assert_int_equal(sluice_translate(view, 64 * PAGE + off,
			                                  len[i], SLUICE_RW,
			                                  &oa),
			                 fits ? (int64_t)len[i] : -EFAULT);
			/* Below it, by so much that a sum comes out inside. */
			assert_int_equal(
			        sluice_translate(view, 64 * PAGE - 1 - off,
			                         len[i], SLUICE_RW, &oa),
			        -EFAULT);
			assert_int_equal(sluice_translate(view, off, len[i],
			                                  SLUICE_RW, &oa),
			                 -EFAULT);
		}
	}
}

/* Bits of prot that are no permission do not make an access legal. */
static void prot_is_masked(void **state)
{
	struct sluice_view *view = *state;
	uint64_t oa;

	tlb_fill(&view->hot, 0, 0, PAGE - 1, 0, SLUICE_READ | 0x304u);
	assert_int_equal(sluice_translate(view, 0, 1, 0x4u, &oa), -EFAULT);
	assert_true(has(view, 0));
}

/* DPDK's vhost IOTLB dropped the entry next to the range. */
static void neighbours_stay(void **state)
{
	struct sluice_view *view = *state;

	for (unsigned i = 0; i < 8; i++)
		fill(view, i, 1, 0);
	assert_false(tlb_drop(&view->hot, 3 * PAGE, 5 * PAGE - 1));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(has(view, i * PAGE), i != 3 && i != 4);
	/* An extent that only shares slots with the range. */
	fill(view, ENTRIES + 6, 1, 0);
	assert_false(tlb_drop(&view->hot, 6 * PAGE, 7 * PAGE - 1));
	assert_true(has(view, (ENTRIES + 6) * PAGE));
}

static void first_and_last_page(void **state)
{
	struct sluice_view *view = *state;
	uint64_t top = UINT64_MAX / PAGE; /* number of the last page */

	fill(view, 0, 1, 0);
	tlb_fill(&view->hot, top * PAGE, top * PAGE, UINT64_MAX, 0, SLUICE_RW);
	assert_true(has(view, UINT64_MAX));
	tlb_drop(&view->hot, 0, PAGE - 1);
	assert_false(has(view, 0));
	assert_true(has(view, UINT64_MAX));
	tlb_drop(&view->hot, top * PAGE, UINT64_MAX);
	assert_false(has(view, UINT64_MAX));
}

/* A large extent sits in one slot for each page that missed on it. */
static void large_extents(void **state)
{
	static const uint64_t pages[] = {2, 16, LEAF_2M, LEAF_1G};
	struct sluice_view *view = *state;

	for (unsigned k = 0; k < NR_OF(pages); k++) {
		uint64_t n = pages[k], nr = 4 * n;
		uint64_t step = n > ENTRIES ? n / ENTRIES + 1 : 1;

		for (uint64_t at = 0; at < n; at += step)
			fill(view, nr, n, at);
		fill(view, nr - 1, 1, 0);
		tlb_fill(&view->hot, (nr + n) * PAGE, (nr + n) * PAGE,
		         (nr + n + 1) * PAGE - 1, 0, SLUICE_RW);
		assert_true(has(view, (nr + n) * PAGE));
		tlb_drop(&view->hot, nr * PAGE, (nr + n) * PAGE - 1);
		for (uint64_t at = 0; at < n; at++)
			assert_false(has(view, (nr + at) * PAGE));
		assert_true(has(view, (nr + n) * PAGE));
		tlb_flush(&view->hot);
	}
}

/* As many pages as entries and more: one pass, outsiders stay. */
static void big_range(void **state)
{
	struct sluice_view *view = *state;

	for (uint64_t n = ENTRIES - 2; n < ENTRIES + 3; n++) {
		for (uint64_t i = 0; i < ENTRIES; i++)
			fill(view, 1024 + i, 1, 0);
		fill(view, 5, 1, 0);
		assert_false(tlb_drop(&view->hot, 1024 * PAGE,
		                      (1024 + n) * PAGE - 1));
		for (uint64_t i = 0; i < n && i < ENTRIES; i++)
			assert_false(has(view, (1024 + i) * PAGE));
		assert_true(has(view, 5 * PAGE));
	}
	/* Everything: says that nothing is left. */
	assert_true(tlb_drop(&view->hot, 0, UINT64_MAX));
	assert_false(has(view, 5 * PAGE));
}

static void flush(void **state)
{
	struct sluice_view *view = *state;

	for (unsigned i = 0; i < ENTRIES; i++)
		fill(view, i, 1, 0);
	tlb_flush(&view->hot);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_false(has(view, i * PAGE));
}

/* Against a list that remembers each fill that is still in its slot. */
static void random_model(void **state)
{
	struct sluice_view *view = *state;
	struct {
		uint64_t nr, pages;
	} model[ENTRIES] = {0};
	uint64_t x = 88172645463325252u;

	for (unsigned op = 0; op < 200000; op++) {
		uint64_t r, pages, nr, at;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		r = x >> 11;
		pages = (uint64_t)1 << (r & 7);
		nr = (r >> 3) % 512 / pages * pages;
		at = (r >> 20) % pages;
		if (r >> 40 & 3) {
			fill(view, nr, pages, at);
			model[(nr + at) % ENTRIES].nr = nr;
			model[(nr + at) % ENTRIES].pages = pages;
			continue;
		}
		/* The leaves of a power of two: larger ones than the range
		 * would be split, so they die with it here too. */
		nr = nr / 128 * 128;
		pages = 128 * (1 + (r >> 30) % 3);
		tlb_drop(&view->hot, nr * PAGE, (nr + pages) * PAGE - 1);
		for (unsigned i = 0; i < ENTRIES; i++)
			if (model[i].nr >= nr && model[i].nr < nr + pages)
				model[i].pages = 0;
		for (unsigned i = 0; i < ENTRIES; i++)
			assert_int_equal((view->hot.tlb[i].size[0] |
			                  view->hot.tlb[i].size[1]) != 0,
			                 model[i].pages != 0);
	}
}

/* An extent of 2 MiB is found from any page of it; it goes with its range and
 * with a flush, and not with its neighbours. */
static void large_are_found(void **state)
{
	struct sluice_view *view = *state;
	struct sluice_view_hot *hot = &view->hot;
	uint64_t size = LEAF_2M * PAGE;

	assert_null(tlb_find_large(hot, 3 * size, SLUICE_READ));
	fill(view, 3 * LEAF_2M, LEAF_2M, 5);
	fill(view, 4 * LEAF_2M, LEAF_2M, 0);
	fill(view, 9, 1, 0);
	assert_null(tlb_find_large(hot, 9 * PAGE, SLUICE_READ));
	assert_null(tlb_find_large(hot, 5 * size, SLUICE_READ));
	assert_null(tlb_find_large(hot, 3 * size - 1, SLUICE_READ));
	assert_false(has(view, 3 * size + 77 * PAGE));
	assert_non_null(tlb_find_large(hot, 3 * size + 77 * PAGE, SLUICE_RW));
	assert_true(has(view, 3 * size + 77 * PAGE));
	assert_non_null(tlb_find_large(hot, 4 * size - 1, SLUICE_WRITE));
	tlb_drop(hot, 3 * size, 4 * size - 1);
	assert_null(tlb_find_large(hot, 3 * size + 5 * PAGE, SLUICE_READ));
	assert_false(has(view, 3 * size + 77 * PAGE));
	assert_non_null(tlb_find_large(hot, 4 * size, SLUICE_READ));
	/* A read-only one does not answer for writes. */
	tlb_fill(hot, 8 * size, 8 * size, 9 * size - 1, 0, SLUICE_READ);
	assert_null(tlb_find_large(hot, 8 * size, SLUICE_RW));
	assert_non_null(tlb_find_large(hot, 8 * size + 1, SLUICE_READ));
	tlb_flush(hot);
	assert_null(tlb_find_large(hot, 4 * size, SLUICE_READ));
	assert_null(tlb_find_large(hot, 8 * size, SLUICE_READ));
}

/* Extents of up to 1 GiB against a list: none is found that was dropped. */
static void large_model(void **state)
{
	struct sluice_view *view = *state;
	static uint8_t
	        alive[2048]; /* blocks of 2 MiB, by their extent's size */
	uint64_t size = LEAF_2M * PAGE;
	uint64_t x = 88172645463325252u;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t r, blocks, nr, at;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		r = x >> 11;
		blocks = r & 1 ? 1 : r & 2 ? 512 : (uint64_t)1 << (r >> 4 & 3);
		nr = (r >> 8) % 2048 / blocks * blocks;
		at = (r >> 24) % blocks;
		if (r >> 45 & 1) {
			for (uint64_t b = nr; b < nr + blocks; b++)
				if (alive[b] &&
				    alive[b] != lg2_floor(blocks) + 1)
					blocks = 0;
			if (!blocks)
				continue;
			for (uint64_t b = nr; b < nr + blocks; b++)
				alive[b] = (uint8_t)(lg2_floor(blocks) + 1);
			fill(view, nr * LEAF_2M, blocks * LEAF_2M,
			     at * LEAF_2M + (r >> 40 & 511));
		} else if (r >> 46 & 1) {
			/* Whole extents: all of 1 GiB goes. */
			nr = nr / 512 * 512;
			blocks = r >> 47 & 1 ? 512 : 2048 - nr;
			memset(&alive[nr], 0, blocks);
			tlb_drop(&view->hot, nr * size,
			         (nr + blocks) * size - 1);
		}
		nr = (r >> 12) % 2048;
		if (tlb_find_large(&view->hot, nr * size + (r & 0xfffff),
		                   SLUICE_READ))
			assert_true(alive[nr]);
	}
}

/* A flush of nothing is nothing, and what is cached after it goes with the
 * next. */
static void flush_twice(void **state)
{
	struct sluice_view *view = *state;

	for (unsigned i = 0; i < 3; i++) {
		tlb_flush(&view->hot);
		assert_false(has(view, 5 * PAGE));
		fill(view, 5, 1, 0);
		assert_true(has(view, 5 * PAGE));
	}
	tlb_drop_page(&view->hot, 6 * PAGE);
	tlb_drop_page(&view->hot, (5 + ENTRIES) * PAGE);
	assert_true(has(view, 5 * PAGE));
	tlb_drop_page(&view->hot, 5 * PAGE);
	assert_false(has(view, 5 * PAGE));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(create_refuses), T(empty_never_hits), T(hit),
	        T(prot_is_masked), T(neighbours_stay),  T(first_and_last_page),
	        T(large_extents),  T(big_range),        T(flush),
	        T(random_model),   T(large_are_found),  T(large_model),
	        T(flush_twice),    T(odd_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
