/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine for a long time: lanes map, unmap, translate in both directions
 * and poll on strict and lazy domains, with and without an allocator, beside an
 * exact record. A lane knows what each of its own addresses must give; of
 * another's it knows that the answer, if any, names a buffer that has not been
 * taken back. In the end every counter adds up, and the resident memory has
 * not grown since the lanes were warm.
 *
 * Arguments: operations of all lanes, seed. 10^7 unless told; SLUICE_LONG=1:
 * 10^9; SLUICE_SOAK_OPS: so many. 0: no divergence; 1: otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/soak/soak.h"

/* The rest of the run may add so much: what lanes keep at most, and one large
 * page of tables, which the engine takes when it needs its 33rd. */
#define GROWTH_KIB (2048 + 2048)
#define WARM_OPS 5000000

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SHADOWED 1 /* the sanitizer's memory counts too */
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SHADOWED 1
#endif
#ifndef SHADOWED
#define SHADOWED 0
#endif

struct world world;

static void set_up(uint64_t ops, uint64_t seed)
{
	for (uint32_t d = 0; d < DOMAINS; d++) {
		struct sluice_domain_cfg cfg = {
		        .mode = is_lazy(d) ? SLUICE_MODE_LAZY
		                           : SLUICE_MODE_STRICT,
		        .flags = is_fixed(d) ? SLUICE_DOMAIN_CALLER_IOVA : 0,
		        .log_records = d ? 1024 : 64,
		        .tlb_entries = 64,
		        .lazy_entries = 32,
		        .max_inflight = 64,
		};

		if (d == 0)
			cfg.flags |= SLUICE_DOMAIN_VA_LOOKUP;
		if (sluice_domain_create(world.engine, &cfg, &world.domain[d]))
			diverged("domain", -ENOMEM);
	}
	for (uint32_t k = 0; k < LANES; k++) {
		struct worker *w = &world.worker[k];

		w->id = k;
		w->ops = ops / LANES;
		w->rng = seed * 0x9e3779b97f4a7c15u + k + 1;
		for (uint32_t d = 0; d < DOMAINS; d++)
			for (uint32_t i = 0; i < BUFS; i++)
				w->win[d].buf[i].va =
				        VA_BASE +
				        ((d * LANES + k) * BUFS + i) * SPACE;
	}
}

static long resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size, pages = 0;

	if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static uint64_t done_so_far(uint64_t *ret_least)
{
	uint64_t done = 0, least = UINT64_MAX;

	for (uint32_t k = 0; k < LANES; k++) {
		uint64_t of_one = ld_rlx(&world.worker[k].done);

		done += of_one;
		least = min_u64(least, of_one);
	}
	if (ret_least)
		*ret_least = least;
	return done;
}

/* Samples while lanes run: when each is warm, and the highest from there on,
 * which may be GROWTH_KIB more. A short run only warms up. */
static void watch(uint64_t ops)
{
	uint64_t warm = max_u64(ops / 10, WARM_OPS);
	long first = 0, high = 0, now;
	uint64_t done, least;

	do {
		usleep(ops > 100000000 ? 100000 : 2000);
		done = done_so_far(&least);
		now = resident_kib();
		if (least < warm / LANES)
			continue;
		if (!first)
			first = now;
		if (now > high)
			high = now;
	} while (done < ops / LANES * LANES && !ld_rlx(&world.wrong));
	printf("resident: %ld KiB when warm, %ld KiB at most since\n", first,
	       high);
	if (!SHADOWED && high > first + GROWTH_KIB)
		diverged("resident memory grows", 0);
}

static void expect_equal(const char *what, uint32_t d, uint64_t engine,
                         uint64_t counted)
{
	if (engine == counted)
		return;
	fprintf(stderr, "soak: domain %u, %s: %llu, counted %llu\n", d, what,
	        (unsigned long long)engine, (unsigned long long)counted);
	diverged("a counter does not add up", 0);
}

static struct tally add_up(uint32_t d)
{
	struct tally sum = {0};

	for (uint32_t k = 0; k < LANES; k++) {
		const struct tally *n = &world.worker[k].win[d].n;

		sum.maps += n->maps;
		sum.map_bytes += n->map_bytes;
		sum.unmaps += n->unmaps;
		sum.unmap_bytes += n->unmap_bytes;
		sum.faults += n->faults;
		sum.hits += n->hits;
		sum.completions += n->completions;
		sum.va_looks += n->va_looks;
		sum.va_hits += n->va_hits;
		sum.away += n->away;
	}
	return sum;
}

static void check_counters(uint32_t d)
{
	struct sluice_domain_stats st;
	struct tally sum = add_up(d);

	sluice_domain_get_stats(world.domain[d], &st);
	expect_equal("maps", d, st.maps, sum.maps);
	expect_equal("bytes mapped", d, st.map_bytes, sum.map_bytes);
	expect_equal("unmaps", d, st.unmaps, sum.unmaps);
	expect_equal("bytes unmapped", d, st.unmap_bytes, sum.unmap_bytes);
	expect_equal("maps undone", d, sum.maps, sum.unmaps);
	expect_equal("failures", d, st.map_failures, 0);
	expect_equal("faults", d, st.faults, sum.faults);
	expect_equal("completions", d, sum.completions,
	             is_lazy(d) ? 0 : sum.unmaps);
	/* Records of both sides, and of unlinked tables. */
	if (st.misses < sum.faults ||
	    st.misses > sum.faults + sum.hits + sum.va_looks ||
	    st.invalidations > 2 * sum.unmaps + sum.maps ||
	    st.posts > sum.unmaps + sum.maps ||
	    st.exposed_entries_max > (uint64_t)LANES * 64)
		diverged("counters contradict each other", 0);
	printf("domain %u: %llu maps, %llu translations, %llu faults, %llu "
	       "records in %llu posts, %llu flushes\n",
	       d, (unsigned long long)sum.maps, (unsigned long long)sum.hits,
	       (unsigned long long)sum.faults,
	       (unsigned long long)st.invalidations,
	       (unsigned long long)st.posts,
	       (unsigned long long)st.view_flushes);
	if (!sum.maps || !sum.hits || !sum.faults ||
	    (d == 0 && (!sum.va_hits || !sum.away)))
		diverged("nothing was exercised", 0);
}

static void tear_down(void)
{
	for (uint32_t k = 0; k < LANES; k++) {
		struct worker *w = &world.worker[k];
		int rc = 0;

		sluice_lane_adopt(w->lane);
		for (uint32_t d = 0; d < DOMAINS && rc == 0; d++)
			rc = sluice_view_close(w->win[d].view);
		if (rc == 0)
			rc = sluice_lane_close(w->lane);
		if (rc)
			diverged("close", rc);
	}
	for (uint32_t d = 0; d < DOMAINS; d++)
		if (sluice_domain_destroy(world.domain[d]))
			diverged("domain destroy", -EBUSY);
	if (sluice_engine_close(world.engine))
		diverged("engine close", -EBUSY);
}

static uint64_t how_many(int argc, char **argv)
{
	const char *env = getenv("SLUICE_SOAK_OPS");
	const char *lng = getenv("SLUICE_LONG");

	if (argc > 1)
		return strtoull(argv[1], NULL, 0);
	if (env && *env)
		return strtoull(env, NULL, 0);
	return lng && *lng && *lng != '0' ? 1000000000 : 10000000;
}

int main(int argc, char **argv)
{
	uint64_t ops = how_many(argc, argv), start;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	double seconds;

	if (sluice_engine_open(NULL, &world.engine))
		return 1;
	set_up(ops, seed);
	start = clock_ns();
	for (uint32_t k = 0; k < LANES; k++)
		if (pthread_create(&world.worker[k].thread, NULL, lane_main,
		                   &world.worker[k]))
			abort();
	watch(ops);
	for (uint32_t k = 0; k < LANES; k++)
		pthread_join(world.worker[k].thread, NULL);
	seconds = (double)(clock_ns() - start) / 1e9;
	printf("%llu operations in %.1f s, %.1f million a second\n",
	       (unsigned long long)done_so_far(NULL), seconds,
	       (double)done_so_far(NULL) / seconds / 1e6);
	for (uint32_t d = 0; d < DOMAINS && !ld_rlx(&world.wrong); d++)
		check_counters(d);
	if (!ld_rlx(&world.wrong))
		tear_down();
	return ld_rlx(&world.wrong) != 0;
}
