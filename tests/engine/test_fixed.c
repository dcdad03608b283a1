/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas as fixed buffers: data through them, who is in which table, boundaries
 * of buffers, and what is left behind.
 */
#include "tests/engine/fixed_rig.h"

#include <stdlib.h>

#define K64_LG2 16

static void every_slot(void **state)
{
	struct sluice_buf buf[SLOTS];
	uint8_t *all;
	struct fix x;
	uint32_t index;

	(void)state;
	up(&x, NULL, FIXED_PIECE_LG2);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	all = malloc(SIZE);
	assert_non_null(all);
	for (uint32_t i = 0; i < SIZE; i++)
		all[i] = byte_at(i);
	assert_int_equal(pwrite(x.file, all, SIZE, 0), SIZE);
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_int_equal(
		        sluice_arena_get(x.r.lane, x.arena[0], &buf[i]), 0);
		assert_int_equal(
		        sluice_fixed_index(x.fixed, buf[i].va, SLOT, &index),
		        SLOT);
		assert_int_equal(
		        move(&x, false, buf[i].va, SLOT, i * SLOT, index),
		        SLOT);
	}
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_memory_equal(buf[i].va, all + i * SLOT, SLOT);
		sluice_arena_put(x.r.lane, x.arena[0], buf[i].va);
	}
	/* The arena ends before the longest buffer does. */
	assert_int_equal(sluice_fixed_index(x.fixed,
	                                    base_of(x.arena[0]) + SIZE - PAGE,
	                                    2 * PAGE, &index),
	                 PAGE);
	free(all);
	down(&x);
}

static void several_arenas_one_ring(void **state)
{
	struct fix x;
	uint32_t index[3];

	(void)state;
	up(&x, &(struct sluice_fixed_cfg){.first = 5, .nr = 3},
	   FIXED_PIECE_LG2);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(sluice_fixed_add(x.fixed, x.arena[i]), 0);
		assert_int_equal(sluice_fixed_index(x.fixed,
		                                    base_of(x.arena[i]) + PAGE,
		                                    PAGE, &index[i]),
		                 PAGE);
		assert_int_equal(index[i], 5 + i);
		carry(&x, x.arena[i]);
	}
	/* The one in the middle goes, and its slot is the next one's. */
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[1]), 0);
	no_longer(&x, x.arena[1], index[1]);
	carry(&x, x.arena[0]);
	carry(&x, x.arena[2]);
	sluice_arena_destroy(x.arena[1]);
	x.arena[1] = new_arena(&x);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[1]), 0);
	for (uint32_t i = 0; i < 3; i++)
		carry(&x, x.arena[i]);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[1]), 1, &index[1]),
	        1);
	assert_int_equal(index[1], 6);
	down(&x);
}

static void one_arena_several_rings(void **state)
{
	struct fix x, y;
	uint32_t index;

	(void)state;
	up(&x, NULL, FIXED_PIECE_LG2);
	y = x;
	assert_int_equal(io_uring_queue_init(8, &y.ring, 0), 0);
	assert_int_equal(sluice_fixed_open(
	                         &(struct sluice_fixed_cfg){
	                                 .ring_fd = y.ring.ring_fd, .nr = 1},
	                         &y.fixed),
	                 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(y.fixed, x.arena[0]), 0);
	carry(&x, x.arena[0]);
	carry(&y, x.arena[0]);
	/* Both hold it. */
	sluice_arena_destroy(x.arena[0]);
	assert_non_null(strstr(sluice_last_error(), "in 2 tables"));
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), 0);
	sluice_arena_destroy(x.arena[0]);
	assert_non_null(strstr(sluice_last_error(), "in 1 tables"));
	assert_int_equal(sluice_domain_destroy(x.r.domain), -EBUSY);
	no_longer(&x, x.arena[0], 0);
	carry(&y, x.arena[0]);
	assert_int_equal(
	        sluice_fixed_index(y.fixed, base_of(x.arena[0]), 1, &index), 1);
	sluice_fixed_close(y.fixed);
	assert_int_equal(move(&y, false, base_of(x.arena[0]), PAGE, 0, index),
	                 -EFAULT);
	io_uring_queue_exit(&y.ring);
	down(&x);
}

/* Arenas that are longer than the kernel takes a buffer, made small. */
static void boundaries(void **state)
{
	const uint32_t piece = 1u << K64_LG2;
	uint32_t index = 0;
	struct fix x;
	uint8_t *va;

	(void)state;
	up(&x,
	   &(struct sluice_fixed_cfg){.first = 1, .nr = 2 * SIZE >> K64_LG2},
	   K64_LG2);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[1]), 0);
	va = base_of(x.arena[1]);
	for (uint32_t i = 0; i < SIZE / piece; i++) {
		uint8_t *at = va + i * piece;

		assert_int_equal(sluice_fixed_index(x.fixed, at, piece, &index),
		                 piece);
		assert_int_equal(index, 1 + SIZE / piece + i);
		assert_int_equal(pwrite(x.file, "0123456789abcdef", 16, 0), 16);
		assert_int_equal(
		        sluice_fixed_index(x.fixed, at + piece - 8, 16, &index),
		        8);
		/* The kernel would not take it whole. */
		if (i + 1 < SIZE / piece) {
			assert_int_equal(
			        move(&x, false, at + piece - 8, 16, 0, index),
			        -EFAULT);
			assert_int_equal(
			        move(&x, false, at + piece - 8, 8, 0, index),
			        8);
			assert_int_equal(sluice_fixed_index(x.fixed, at + piece,
			                                    8, &index),
			                 8);
			assert_int_equal(
			        move(&x, false, at + piece, 8, 8, index), 8);
			assert_memory_equal(at + piece - 8, "0123456789abcdef",
			                    16);
		}
	}
	/* The arena's end, and beyond. */
	assert_int_equal(
	        sluice_fixed_index(x.fixed, va + SIZE - 1, UINT64_MAX, &index),
	        1);
	/* No third one fits; once the first is out it does, in its place. */
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), -ENOSPC);
	assert_non_null(strstr(sluice_last_error(), "wants 4 slots"));
	assert_int_equal(sluice_fixed_remove(x.fixed, x.arena[0]), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), 0);
	assert_int_equal(
	        sluice_fixed_index(x.fixed, base_of(x.arena[2]), 1, &index), 1);
	assert_int_equal(index, 1);
	carry(&x, x.arena[2]);
	down(&x);
}

/* The caller's own buffers in a table of its own stay. */
static void shared_table(void **state)
{
	static uint8_t own[PAGE] = "own";
	struct iovec iov = {own, PAGE};
	__u64 tag = 0;
	struct fix x;

	(void)state;
	for (int shared = 1; shared >= 0; shared--) {
		struct sluice_fixed_cfg cfg = {.first = 1, .nr = 99};

		rig_up(&x.r, NULL);
		for (int i = 0; i < 3; i++)
			x.arena[i] = new_arena(&x);
		x.file = memfd_create("fixed", MFD_CLOEXEC);
		assert_int_equal(io_uring_queue_init(8, &x.ring, 0), 0);
		cfg.ring_fd = x.ring.ring_fd;
		if (shared) {
			cfg.flags = SLUICE_FIXED_SHARED;
			assert_int_equal(
			        io_uring_register_buffers_sparse(&x.ring, 100),
			        0);
		}
		assert_int_equal(sluice_fixed_open(&cfg, &x.fixed), 0);
		assert_int_equal(io_uring_register_buffers_update_tag(
		                         &x.ring, 0, &iov, &tag, 1),
		                 1);
		assert_int_equal(sluice_fixed_add(x.fixed, x.arena[2]), 0);
		carry(&x, x.arena[2]);
		assert_int_equal(move(&x, true, own, PAGE, 0, 0), PAGE);
		sluice_fixed_close(x.fixed);
		x.fixed = NULL;
		assert_int_equal(move(&x, true, own, PAGE, 0, 0),
		                 shared ? (int)PAGE : -EFAULT);
		assert_int_equal(
		        move(&x, true, base_of(x.arena[2]), PAGE, 0, 1),
		        -EFAULT);
		down(&x);
	}
}

/* ---- as the kernel has it ---- */

/* More than a GiB takes two buffers. SLUICE_LONG=1. */
static void more_than_a_gib(void **state)
{
	const struct sluice_arena_cfg cfg = {.size = (1ull << 30) + PAGE,
	                                     .no_huge = 1};
	struct sluice_arena *a;
	uint32_t index = 0;
	uintptr_t va;
	uint64_t len;
	struct fix x;

	(void)state;
	if (!getenv("SLUICE_LONG")) {
		print_message("skipped: SLUICE_LONG is not set\n");
		skip();
	}
	up(&x, &(struct sluice_fixed_cfg){.nr = 2}, FIXED_PIECE_LG2);
	assert_int_equal(sluice_arena_create(x.r.domain, &cfg, &a), 0);
	assert_int_equal(sluice_fixed_add(x.fixed, a), 0);
	arena_hold(a, &va, &len);
	arena_drop(a);
	assert_int_equal(sluice_fixed_index(x.fixed,
	                                    (void *)(va + (1u << 30) - PAGE),
	                                    len, &index),
	                 PAGE);
	assert_int_equal(index, 0);
	assert_int_equal(sluice_fixed_index(x.fixed, (void *)(va + (1u << 30)),
	                                    len, &index),
	                 PAGE);
	assert_int_equal(index, 1);
	assert_int_equal(pwrite(x.file, "end", 3, 0), 3);
	assert_int_equal(
	        move(&x, false, (void *)(va + (1u << 30)), 3, 0, index), 3);
	assert_memory_equal((void *)(va + (1u << 30)), "end", 3);
	assert_int_equal(sluice_fixed_remove(x.fixed, a), 0);
	sluice_arena_destroy(a);
	down(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_slot),
	        cmocka_unit_test(several_arenas_one_ring),
	        cmocka_unit_test(one_arena_several_rings),
	        cmocka_unit_test(boundaries),
	        cmocka_unit_test(shared_table),
	        cmocka_unit_test(more_than_a_gib),
	};
	int rc = need_uring();

	return rc ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
