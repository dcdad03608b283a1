/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translations of random pages of the working set, a mapping for each buffer of
 * it: one call for each address, timed by the batch, and one call for `depth`
 * addresses. The addresses are drawn before the time is read. Knows no map and
 * no unmap.
 */
#include "tools/bench.h"

#include "yardstick/ways.h"
#include "yardstick/yardstick.h"
#include "tools/ticks.h"

#include <errno.h>

#define WANT 64 /* bytes of an access */
#define ALWAYS_INLINE inline __attribute__((__always_inline__))

/* Marsaglia's xorshift, 13 7 17: any order that no prefetcher guesses. */
static uint64_t draw(struct bench_worker *w)
{
	uint64_t x = w->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	w->random = x;
	return x;
}

static void draw_addresses(struct bench_worker *w, const uint64_t *set,
                           uint32_t n)
{
	uint32_t granule = w->rig->opts->granule;
	uint64_t pages = w->nr_bufs * granule;

	for (uint32_t i = 0; i < n; i++) {
		/* No division: there are fewer than 2^32 pages. */
		uint64_t page = (draw(w) >> 32) * pages >> 32;

		w->addr[i] =
		        set[page / granule] + page % granule * SLUICE_PAGE_SIZE;
	}
}

static int done(struct bench_worker *w, uint32_t impl, enum bench_op op,
                uint64_t ticks, uint32_t n, int64_t worst)
{
	if (worst != WANT)
		return bench_error(w, "translate",
		                   worst < 0 ? (int)worst : -EIO);
	hist_add(&w->times[impl].op[op], ticks / n, n);
	return 0;
}

static ALWAYS_INLINE int64_t one(struct bench_worker *w,
                                 const struct bench_other *other, int naive,
                                 uint64_t iova, uint64_t *oa)
{
	uint32_t prot = w->rig->prot;
	int rc;

	if (!other)
		return sluice_translate(w->view, iova, WANT, prot, oa);
	if (naive)
		return naive_translate(other->naive, iova, WANT, prot, oa);
	rc = other->way->translate(other->state, iova, prot, oa);
	return rc < 0 ? rc : WANT;
}

/* n calls, timed together. */
static ALWAYS_INLINE int single(struct bench_worker *w,
                                const struct bench_other *other, int naive,
                                uint32_t impl, enum bench_op op, uint32_t n)
{
	const struct ticks *t = ticks_init();
	uint64_t start, ps, sum = 0, oa = 0;
	int64_t worst = WANT;

	draw_addresses(w, w->set[impl], n);
	start = ticks_now(t);
	for (uint32_t i = 0; i < n; i++) {
		int64_t got = one(w, other, naive, w->addr[i], &oa);

		worst = got < worst ? got : worst;
		sum += oa;
	}
	__asm__ volatile("" : : "r"(sum));
	ps = ticks_ps(t, start, ticks_now(t));
	return done(w, impl, op, ps, n, worst);
}

static int batch_ours(struct bench_worker *w, uint32_t n)
{
	const struct ticks *t = ticks_init();
	uint64_t start, ps;
	uint32_t full;

	draw_addresses(w, w->set[BENCH_OURS], n);
	start = ticks_now(t);
	full = sluice_translate_batch(w->view, w->addr, n, WANT, w->rig->prot,
	                              w->oa, w->got);
	ps = ticks_ps(t, start, ticks_now(t));
	return done(w, BENCH_OURS, BENCH_TRANSLATE_BATCH, ps, n,
	            full == n ? WANT : -EFAULT);
}

/* `depth` addresses in batches, then `depth` of them at once. Others know no
 * call for many: theirs is a loop. */
static ALWAYS_INLINE int all(struct bench_worker *w,
                             const struct bench_other *other, int naive,
                             uint32_t impl)
{
	const struct bench_opts *o = w->rig->opts;
	uint32_t n;
	int rc = 0;

	for (uint32_t i = 0; i < o->depth && !rc; i += n) {
		n = o->batch < o->depth - i ? o->batch : o->depth - i;
		rc = single(w, other, naive, impl, BENCH_TRANSLATE, n);
	}
	if (rc)
		return rc;
	if (!other)
		return batch_ours(w, o->depth);
	return single(w, other, naive, impl, BENCH_TRANSLATE_BATCH, o->depth);
}

int bench_translate_ours(struct bench_worker *w)
{
	return all(w, NULL, 0, BENCH_OURS);
}

int bench_translate_other(struct bench_worker *w, uint32_t impl)
{
	const struct bench_other *other = &w->rig->other[impl - 1];

	return other->is_naive ? all(w, other, 1, impl)
	                       : all(w, other, 0, impl);
}
