/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rig with a ring of this machine's kernel, three arenas, and a file to move
 * data from and to.
 */
#ifndef TESTS_ENGINE_FIXED_RIG_H
#define TESTS_ENGINE_FIXED_RIG_H

#include "tests/engine/rig.h"

#include <liburing.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "engine/fixed.h"

#define SLOT 16384u
#define SLOTS 16u
#define SIZE (SLOT * SLOTS)
#define K64_LG2 16

struct fix {
	struct rig r;
	struct io_uring ring;
	struct sluice_fixed *fixed;
	struct sluice_arena *arena[3];
	int file;
};

static inline struct sluice_arena *new_arena(struct fix *x)
{
	const struct sluice_arena_cfg cfg = {
	        .size = SIZE, .slot_size = SLOT, .no_huge = 1};
	struct sluice_arena *a;

	assert_int_equal(sluice_arena_create(x->r.domain, &cfg, &a), 0);
	return a;
}

static inline void up(struct fix *x, const struct sluice_fixed_cfg *cfg,
                      unsigned lg2)
{
	struct sluice_fixed_cfg mine = {0};

	rig_up(&x->r, NULL);
	assert_int_equal(io_uring_queue_init(8, &x->ring, 0), 0);
	for (int i = 0; i < 3; i++)
		x->arena[i] = new_arena(x);
	x->file = memfd_create("fixed", MFD_CLOEXEC);
	assert_true(x->file >= 0);
	if (cfg)
		mine = *cfg;
	mine.ring_fd = x->ring.ring_fd;
	assert_int_equal(fixed_open_pieces(&mine, lg2, &x->fixed), 0);
}

static inline void down(struct fix *x)
{
	sluice_fixed_close(x->fixed);
	io_uring_queue_exit(&x->ring);
	close(x->file);
	for (int i = 0; i < 3; i++)
		sluice_arena_destroy(x->arena[i]);
	rig_down(&x->r);
}

/* One request on the ring; its result. */
static inline int move(struct fix *x, bool write, void *va, uint32_t len,
                       uint64_t at, uint32_t index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&x->ring);
	struct io_uring_cqe *cqe;
	int res;

	assert_non_null(sqe);
	if (write)
		io_uring_prep_write_fixed(sqe, x->file, va, len, at,
		                          (int)index);
	else
		io_uring_prep_read_fixed(sqe, x->file, va, len, at, (int)index);
	assert_int_equal(io_uring_submit(&x->ring), 1);
	assert_int_equal(io_uring_wait_cqe(&x->ring, &cqe), 0);
	res = cqe->res;
	io_uring_cqe_seen(&x->ring, cqe);
	return res;
}

static inline uint8_t *base_of(struct sluice_arena *a)
{
	uintptr_t va;
	uint64_t len;

	arena_hold(a, &va, &len);
	arena_drop(a);
	assert_int_equal(len, SIZE);
	return (uint8_t *)va;
}

static inline uint8_t byte_at(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8) * 7 + 1);
}

/* A page of the file goes through the arena's slot to elsewhere in the file. */
static inline void carry(struct fix *x, struct sluice_arena *a)
{
	uint8_t want[PAGE], got[PAGE];
	struct sluice_buf buf;
	uint32_t index;

	for (uint32_t i = 0; i < PAGE; i++)
		want[i] = byte_at((uintptr_t)a + i);
	assert_int_equal(pwrite(x->file, want, PAGE, 0), PAGE);
	assert_int_equal(sluice_arena_get(x->r.lane, a, &buf), 0);
	assert_int_equal(sluice_fixed_index(x->fixed, buf.va, PAGE, &index),
	                 PAGE);
	assert_int_equal(move(x, false, buf.va, PAGE, 0, index), PAGE);
	assert_memory_equal(buf.va, want, PAGE);
	assert_int_equal(move(x, true, buf.va, PAGE, 8 * PAGE, index), PAGE);
	assert_int_equal(pread(x->file, got, PAGE, 8 * PAGE), PAGE);
	assert_memory_equal(got, want, PAGE);
	sluice_arena_put(x->r.lane, a, buf.va);
}

static inline void no_longer(struct fix *x, struct sluice_arena *a,
                             uint32_t index)
{
	uint32_t none = 77;

	assert_int_equal(sluice_fixed_index(x->fixed, base_of(a), PAGE, &none),
	                 -EFAULT);
	assert_int_equal(none, 77);
	assert_int_equal(move(x, false, base_of(a), PAGE, 0, index), -EFAULT);
}

/* 77 with the reason, where there is no io_uring. */
static inline int need_uring(void)
{
	struct io_uring ring;
	int rc = io_uring_queue_init(1, &ring, 0);

	if (rc) {
		printf("skipped: no io_uring here: %s\n", strerror(-rc));
		return 77;
	}
	io_uring_queue_exit(&ring);
	return 0;
}

#endif
