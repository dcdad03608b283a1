/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables that hold a subtree in common, each with its own thread: all change
 * what they share at the same moment, so that copies of one table, the last
 * holder's claim to it and the counters of holders meet. What one does no other
 * may see. Then all let go at once, and no page may be left behind. A walker
 * looks through all of them meanwhile. SLUICE_PT_STRESS_OPS: calls of all
 * threads together; SLUICE_STRESS_SEED; SLUICE_LONG=1: a hundred times more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "pagetable/pt_public.h"
#include "shapes.h"

#define HOLDERS 3u
#define TABLES 24u /* of level 0, below one of level 1 that all share */
#define PAGES 3u   /* in each of those */
#define SPOTS (TABLES * PAGES)
#define STEPS 12u /* of a holder in a round */

/* Who put a page there, 0 for nobody; prot. */
struct spot {
	uint8_t by;
	uint8_t prot;
};

struct party {
	struct sluice_pt *pt[HOLDERS];
	struct spot spot[HOLDERS][SPOTS];
	uint64_t page, reach, base, len;
	uint64_t rounds;
	uint64_t seed;
	au64 arrived;
	au32 stop;
	au32 wrong;
};

struct holder {
	pthread_t thread;
	struct party *p;
	unsigned id;
	uint64_t seed;
	uint64_t done;
};

static uint64_t spot_at(const struct party *p, unsigned k)
{
	return p->base + k % TABLES * p->reach * 7 + k / TABLES * p->page;
}

static uint64_t spot_oa(uint64_t iova, unsigned by)
{
	return (iova & mask64(39)) + ((uint64_t)by << 40);
}

static bool spot_ok(const struct party *p, unsigned id, unsigned k)
{
	const struct spot *s = &p->spot[id][k];
	uint64_t at = spot_at(p, k);
	struct sluice_pt_extent e = {0};
	int err = sluice_pt_walk(p->pt[id], at, &e);

	if (!s->by)
		return err == -ENOENT;
	return err == 0 && e.iova == at && e.len == p->page &&
	       e.oa == spot_oa(at, s->by) && e.prot == s->prot;
}

static void change(struct party *p, unsigned id, unsigned k)
{
	struct spot *s = &p->spot[id][k];
	struct sluice_pt *pt = p->pt[id];
	uint64_t at = spot_at(p, k);
	bool ok;

	if (!s->by) {
		*s = (struct spot){(uint8_t)(id + 1), SLUICE_RW};
		ok = sluice_pt_map(pt, at, spot_oa(at, id + 1), p->page,
		                   SLUICE_RW) == 0;
	} else if (s->prot == SLUICE_RW) {
		s->prot = SLUICE_READ;
		/* Nothing to split, but it wants tables of its own for that. */
		ok = sluice_pt_split(pt, at, p->page) == 0 &&
		     sluice_pt_protect(pt, at, p->page, SLUICE_READ) == 0;
	} else {
		*s = (struct spot){0};
		ok = sluice_pt_unmap(pt, at, p->page, NULL, NULL) ==
		     (int64_t)p->page;
	}
	if (!ok || !spot_ok(p, id, k))
		st_rlx(&p->wrong, 1);
}

/* The holders and the one who gives: n times in all so far. */
static void meet(struct party *p, uint64_t n)
{
	/* Pairs with itself: what was given is there, what was dropped is not
	 * used any more. */
	faa_acqrel(&p->arrived, 1);
	for (unsigned spins = 0; ld_acq(&p->arrived) < n * (HOLDERS + 1);
	     spins++) {
		if (spins % 128 == 127)
			sched_yield();
		cpu_relax();
	}
}

/* The first change of all is at one place: they copy the same tables. */
static void *holder_main(void *arg)
{
	struct holder *h = arg;
	struct party *p = h->p;
	struct sluice_pt *pt = p->pt[h->id];

	for (uint64_t r = 0; r < p->rounds; r++) {
		unsigned steps = r % 4 ? STEPS : 0;

		meet(p, 3 * r + 1);
		for (unsigned i = 0; i < steps; i++)
			change(p, h->id,
			       i ? (unsigned)rnd_below(&h->seed, SPOTS)
			         : (unsigned)(r % SPOTS));
		for (unsigned k = 0; k < SPOTS; k++)
			if (!spot_ok(p, h->id, k))
				st_rlx(&p->wrong, 1);
		meet(p, 3 * r + 2);
		if (sluice_pt_detach(pt, p->base, p->len) ||
		    sluice_pt_reclaim(pt, p->base, p->len) < 0)
			st_rlx(&p->wrong, 1);
		memset(p->spot[h->id], 0, sizeof(p->spot[h->id]));
		h->done += steps + SPOTS + 2;
		meet(p, 3 * r + 3);
	}
	return NULL;
}

static void *walker_main(void *arg)
{
	struct holder *h = arg;
	struct party *p = h->p;

	while (!ld_rlx(&p->stop)) {
		unsigned id = (unsigned)rnd_below(&h->seed, HOLDERS);
		uint64_t at = spot_at(p, (unsigned)rnd_below(&h->seed, SPOTS));
		struct sluice_pt_extent e;
		bool right = false;

		if (sluice_pt_walk(p->pt[id], at, &e) == -ENOENT)
			continue;
		for (unsigned by = 1; by <= HOLDERS; by++)
			right |= e.oa == spot_oa(at, by);
		if (!right || e.iova != at || e.len != p->page)
			st_rlx(&p->wrong, 1);
		h->done++;
	}
	return NULL;
}

/* What one has, the others get; some by way of the second. */
static void give(struct party *p, uint64_t round)
{
	for (unsigned k = 0; k < SPOTS; k++)
		if (rnd(&p->seed) >> 62)
			change(p, 0, k);
	for (unsigned id = 1; id < HOLDERS; id++) {
		unsigned from = round & 1 ? id - 1 : 0;

		assert_int_equal(sluice_pt_attach(p->pt[id], p->pt[from],
		                                  p->base, p->len),
		                 0);
		memcpy(p->spot[id], p->spot[from], sizeof(p->spot[id]));
	}
}

/* The pool has handed out what the tables count, apart from what lies in the
 * hands of the handles. */
static void check_pages(const struct party *p)
{
	const struct pagepool *pool = p->pt[0]->family->pool[0];
	uint64_t pages = 0;

	for (unsigned id = 0; id < HOLDERS; id++) {
		struct sluice_pt_stats s;

		sluice_pt_get_stats(p->pt[id], &s);
		assert_int_equal(s.shared_bytes, 0);
		pages += s.table_bytes >> pagepool_page_lg2(pool);
		pages += p->pt[id]->pc[0].nr;
	}
	assert_int_equal(pagepool_used(pool), pages);
}

static void party_open(struct party *p, const struct shape *shape,
                       uint64_t seed)
{
	struct sluice_pt_config cfg = shape->cfg;
	const struct pt *pt;
	unsigned shift;

	*p = (struct party){.seed = seed + 100};
	cfg.max_bytes = (uint64_t)64 << 20;
	assert_int_equal(sluice_pt_create(&cfg, &p->pt[0]), 0);
	for (unsigned id = 1; id < HOLDERS; id++)
		assert_int_equal(
		        sluice_pt_create_beside(p->pt[0], NULL, &p->pt[id]), 0);
	pt = p->pt[0]->pt;
	shift = pt_shift(pt->fmt, &pt->geo, 2);
	p->page = bit64(pt->geo.page_lg2);
	p->reach = sluice_pt_table_reach(p->pt[0]);
	p->len = bit64(shift);
	p->base = p->len;
}

static uint64_t party(const struct shape *shape, uint64_t ops, uint64_t seed)
{
	static struct party p;
	struct holder h[HOLDERS + 1];
	uint64_t done = 0;

	party_open(&p, shape, seed);
	p.rounds = ops / (HOLDERS * (STEPS + SPOTS)) + 1;
	for (unsigned i = 0; i <= HOLDERS; i++) {
		h[i] = (struct holder){.p = &p, .id = i, .seed = seed + i + 1};
		assert_int_equal(
		        pthread_create(&h[i].thread, NULL,
		                       i < HOLDERS ? holder_main : walker_main,
		                       &h[i]),
		        0);
	}
	for (uint64_t r = 0; r < p.rounds; r++) {
		give(&p, r);
		meet(&p, 3 * r + 1);
		meet(&p, 3 * r + 2);
		meet(&p, 3 * r + 3);
		check_pages(&p);
	}
	st_rlx(&p.stop, 1);
	for (unsigned i = 0; i <= HOLDERS; i++) {
		pthread_join(h[i].thread, NULL);
		assert_true(h[i].done > 0);
		done += i < HOLDERS ? h[i].done : 0;
	}
	assert_int_equal(ld_rlx(&p.wrong), 0);
	for (unsigned id = 0; id < HOLDERS; id++)
		sluice_pt_destroy(p.pt[id]);
	return done;
}

static const char *const played[] = {
        "x86_64-48",     "vtdss-48", "amdv1-48",   "arm_s1-4k-48",
        "arm_s2-4k-40d", "riscv-39", "riscv_g-50d"};

static void test_parties(void **state)
{
	const char *text = getenv("SLUICE_PT_STRESS_OPS");
	uint64_t ops = text ? strtoull(text, NULL, 0) : 800000;
	uint64_t seed;

	(void)state;
	text = getenv("SLUICE_STRESS_SEED");
	seed = text ? strtoull(text, NULL, 0) : 1;
	text = getenv("SLUICE_LONG");
	if (text && *text == '1')
		ops *= 100;
	for (unsigned i = 0; i < NR_OF(played); i++) {
		const struct shape *shape = NULL;
		uint64_t done;

		for (unsigned k = 0; k < nr_shapes; k++)
			if (strcmp(shapes[k].name, played[i]) == 0)
				shape = &shapes[k];
		assert_non_null(shape);
		done = party(shape, ops / NR_OF(played), seed);
		print_message("%s: %llu calls\n", shape->name,
		              (unsigned long long)done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_parties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
