/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle against brute force: an array with one slot for each address.
 * Whoever judges must be judged first.
 */
#include "yardstick/yardstick.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SPACE 256
#define ROUNDS 200000

struct cell {
	uint64_t oa, tag;
	uint32_t prot;
	int used;
};

static uint64_t rnd_state = 88172645463325252u;

static uint64_t rnd(uint64_t below)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state % below;
}

static int any(const struct cell *c, uint64_t iova, uint64_t last, int used)
{
	for (uint64_t i = iova; i <= last; i++)
		if (c[i].used == used)
			return 1;
	return 0;
}

/* Removed pieces must come in order, touch, and say what was there. */
struct removed {
	const struct cell *c;
	uint64_t next;
};

static void removed(void *ctx, const struct oracle_piece *p)
{
	struct removed *r = ctx;

	assert_int_equal(p->iova, r->next);
	assert_true(p->last >= p->iova);
	for (uint64_t i = p->iova; i <= p->last; i++) {
		assert_true(r->c[i].used);
		assert_int_equal(p->oa + (i - p->iova), r->c[i].oa);
		assert_int_equal(p->tag, r->c[i].tag);
		assert_int_equal(p->prot, r->c[i].prot);
	}
	r->next = p->last + 1;
}

static void compare(const struct oracle *o, const struct cell *c)
{
	struct oracle_piece p;
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < SPACE; i++) {
		int rc = oracle_lookup(o, i, &p);

		bytes += (uint64_t)c[i].used;
		assert_int_equal(rc, c[i].used ? 0 : -ENOENT);
		if (rc)
			continue;
		assert_true(p.iova <= i && i <= p.last);
		assert_int_equal(p.oa + (i - p.iova), c[i].oa);
	}
	assert_int_equal(oracle_bytes(o), bytes);
}

static void random_map(struct oracle *o, struct cell *c, uint64_t iova,
                       uint64_t last)
{
	uint64_t oa = rnd(1 << 30), tag = rnd(1000);
	uint32_t prot = (uint32_t)rnd(4);
	int rc = oracle_map_tag(o, iova, last, oa, prot, tag);

	assert_int_equal(rc, any(c, iova, last, 1) ? -EEXIST : 0);
	for (uint64_t i = iova; !rc && i <= last; i++)
		c[i] = (struct cell){oa + (i - iova), tag, prot, 1};
}

static void random_unmap(struct oracle *o, struct cell *c, uint64_t iova,
                         uint64_t last)
{
	struct removed r = {c, iova};
	int rc = oracle_unmap(o, iova, last, removed, &r);

	assert_int_equal(rc, any(c, iova, last, 0) ? -ENOENT : 0);
	assert_int_equal(r.next, rc ? iova : last + 1);
	for (uint64_t i = iova; !rc && i <= last; i++)
		c[i].used = 0;
}

static void brute_force(void **state)
{
	struct oracle *o = oracle_new();
	static struct cell c[SPACE];

	(void)state;
	memset(c, 0, sizeof(c));
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t iova = rnd(SPACE), len = 1 + rnd(12);
		uint64_t last = iova + len - 1;

		if (last >= SPACE)
			last = SPACE - 1;
		if (rnd(2))
			random_map(o, c, iova, last);
		else
			random_unmap(o, c, iova, last);
		if (i % 64 == 0)
			compare(o, c);
	}
	compare(o, c);
	oracle_free(o);
}

static void edges(void **state)
{
	struct oracle *o = oracle_new();
	struct oracle_piece p;

	(void)state;
	assert_int_equal(oracle_map(o, 5, 4, 0, 3), -EINVAL);
	assert_int_equal(oracle_unmap(o, 5, 4, NULL, NULL), -EINVAL);
	assert_int_equal(oracle_map(o, 0, 9, UINT64_MAX - 8, 3), -EINVAL);
	assert_int_equal(oracle_count(o), 0);
	assert_int_equal(oracle_next(o, 0, &p), -ENOENT);
	assert_int_equal(oracle_unmap(o, 0, 0, NULL, NULL), -ENOENT);

	/* Both ends of the space. */
	assert_int_equal(oracle_map(o, 0, 0xfff, 0x1000, 3), 0);
	assert_int_equal(oracle_map(o, UINT64_MAX - 0xfff, UINT64_MAX, 0, 1),
	                 0);
	assert_int_equal(oracle_map(o, UINT64_MAX, UINT64_MAX, 0, 1), -EEXIST);
	assert_int_equal(oracle_pages(o), 2);
	assert_int_equal(oracle_next(o, 1, &p), 0);
	assert_int_equal(p.iova, 0);
	assert_int_equal(oracle_next(o, 0x1000, &p), 0);
	assert_int_equal(p.last, UINT64_MAX);
	assert_int_equal(oracle_unmap(o, 0, UINT64_MAX, NULL, NULL), -ENOENT);
	assert_int_equal(oracle_count(o), 2);
	assert_int_equal(oracle_unmap(o, UINT64_MAX, UINT64_MAX, NULL, NULL),
	                 0);
	assert_int_equal(oracle_lookup(o, UINT64_MAX, &p), -ENOENT);
	assert_int_equal(oracle_lookup(o, UINT64_MAX - 1, &p), 0);
	oracle_free(o);
}

/* A hole in the middle of one piece: both rests keep their addresses. */
static void hole(void **state)
{
	struct oracle *o = oracle_new();
	struct oracle_piece p;

	(void)state;
	assert_int_equal(oracle_map_tag(o, 0x1000, 0x8fff, 0x100000, 3, 7), 0);
	assert_int_equal(oracle_unmap(o, 0x3000, 0x4fff, NULL, NULL), 0);
	assert_int_equal(oracle_count(o), 2);
	assert_int_equal(oracle_pages(o), 6);
	assert_int_equal(oracle_lookup(o, 0x5000, &p), 0);
	assert_int_equal(p.iova, 0x5000);
	assert_int_equal(p.oa, 0x104000);
	assert_int_equal(p.tag, 7);
	assert_int_equal(oracle_lookup(o, 0x4fff, &p), -ENOENT);
	assert_int_equal(oracle_map(o, 0x2fff, 0x3000, 0, 1), -EEXIST);
	assert_int_equal(oracle_map(o, 0x3000, 0x4fff, 0, 1), 0);
	/* One unmap over three pieces. */
	assert_int_equal(oracle_unmap(o, 0x1000, 0x8fff, NULL, NULL), 0);
	assert_int_equal(oracle_count(o), 0);
	oracle_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(brute_force),
	        cmocka_unit_test(edges),
	        cmocka_unit_test(hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
