/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How lanes hear of an unmap, measured for docs/decisions/0009: a log for each
 * domain (what sluice has), a log for each posting lane in each domain, an
 * inbox for each lane. All ways interleaved in one run, medians.
 *
 *   sluice-bench-logs            the tables of the page
 *   sluice-bench-logs --all      every combination
 *   sluice-bench-logs LANES DOMAINS RECORDS
 *   bench/logs/instructions      the same calls, counted by callgrind
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/logs/measure.h"
#include "bench/rig.h"

#ifdef HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#endif

#define RECORDS 256
#define TLB_ENTRIES 128

const struct way *const ways[NR_WAYS] = {
        &way_domain,        &way_domain_sleep, &way_poster,
        &way_poster_packed, &way_poster_sleep, &way_inbox,
};

void *zalloc_lines(size_t size, size_t *sum)
{
	size_t whole = align_up(size, lg2_ceil(APART));
	void *p = aligned_alloc(APART, whole);

	rig_check(p ? 0 : -1, "memory");
	memset(p, 0, whole);
	*sum += whole;
	return p;
}

static struct shape shape_open(uint32_t lanes, uint32_t domains)
{
	struct shape s = {
	        .lanes = lanes, .domains = domains, .records = RECORDS};
	size_t pairs = (size_t)lanes * domains, sum = 0;

	s.hot = zalloc_lines(pairs * sizeof(*s.hot), &sum);
	s.flushes = zalloc_lines(lanes * sizeof(*s.flushes), &sum);
	for (size_t i = 0; i < pairs; i++)
		rig_check(tlb_create(TLB_ENTRIES, &s.hot[i]), "tlb");
	return s;
}

static void shape_close(struct shape *s)
{
	for (size_t i = 0; i < (size_t)s->lanes * s->domains; i++)
		tlb_destroy(&s->hot[i]);
	free(s->hot);
	free(s->flushes);
}

static void header(const char *what)
{
	printf("\n%s\n\n| lanes | domains | records a post |", what);
	for (unsigned k = 0; k < NR_WAYS; k++)
		printf(" %s |", ways[k]->name);
	printf("\n|---|---|---|");
	for (unsigned k = 0; k < NR_WAYS; k++)
		printf("---|");
	puts("");
}

static void solo_row(uint32_t lanes, uint32_t domains, uint32_t batch)
{
	struct shape s = shape_open(lanes, domains);
	double ns[NR_WAYS][NR_OPS];

	for (unsigned k = 0; k < NR_WAYS; k++)
		solo_check(ways[k], &s);
	solo_measure(&s, batch, ns);
	printf("| %u | %u | %u |", lanes, domains, batch);
	for (unsigned k = 0; k < NR_WAYS; k++)
		printf(" %.1f · %.1f · %.1f · %.1f · %.0f |", ns[k][OP_POST],
		       ns[k][OP_IDLE], ns[k][OP_READ], ns[k][OP_PASSED],
		       ns[k][OP_WAKE]);
	puts("");
	fflush(stdout);
	shape_close(&s);
}

static void crowd_row(uint32_t lanes, uint32_t domains, uint32_t batch)
{
	struct shape s = shape_open(lanes, domains);
	struct crowd c[NR_WAYS];

	crowd_measure(&s, batch, c);
	printf("| %u%s | %u | %u |", lanes, lanes > rig_cpus() ? "*" : "",
	       domains, batch);
	for (unsigned k = 0; k < NR_WAYS; k++)
		printf(" %.2f · %.2f · %.2f |", c[k].mposts, c[k].flush_share,
		       c[k].latency_ns / 1e3);
	puts("");
	fflush(stdout);
	shape_close(&s);
}

static void bytes_row(uint32_t lanes, uint32_t domains)
{
	struct shape s = shape_open(lanes, domains);

	printf("| %u | %u | – |", lanes, domains);
	for (unsigned k = 0; k < NR_WAYS; k++) {
		void *ctx = ways[k]->open(&s);

		printf(" %.0f |",
		       (double)ways[k]->bytes(ctx) / ((double)lanes * domains));
		ways[k]->close(ctx);
	}
	puts("");
	shape_close(&s);
}

static const uint32_t all_lanes[] = {1, 2, 4, 8, 16};
static const uint32_t all_domains[] = {1, 10, 100, 1000};
static const uint32_t all_batches[] = {1, 8, 32};

#define SOLO                                                                   \
	"One thread plays all lanes; 4 domains are busy. ns for a post "       \
	"· a poll that finds nothing · each record that a poll reads · "    \
	"passed() · a post to a domain where all sleep"
#define CROWD                                                                     \
	"A thread for each lane (* more than processors). Million posts a "       \
	"second of all lanes, lane i to domain i · IOTLB flushes a post · µs " \
	"from a post to its ticket, median"
#define BYTES                                                                  \
	"Bytes for each lane and domain, rings of 256 records (inbox: 4096)"

static void one_cell(uint32_t lanes, uint32_t domains, uint32_t batch)
{
	header(SOLO);
	solo_row(lanes, domains, batch);
	header(CROWD);
	crowd_row(lanes, domains, batch);
	header(BYTES);
	bytes_row(lanes, domains);
}

/* Of the batch sizes the smaller tables show one; of the lanes the powers of
 * four. */
static void tables(bool all)
{
	header(SOLO);
	for (unsigned d = 0; d < NR_OF(all_domains); d++)
		for (unsigned l = 0; l < NR_OF(all_lanes); l += all ? 1 : 2)
			for (unsigned b = 0; b < NR_OF(all_batches); b++)
				if (all || b == 0 || (d == 1 && l == 2))
					solo_row(all_lanes[l], all_domains[d],
					         all_batches[b]);
	header(CROWD);
	for (unsigned d = 0; d < NR_OF(all_domains); d++)
		for (unsigned l = 1; l < NR_OF(all_lanes); l++)
			for (unsigned b = 0; b < NR_OF(all_batches); b++)
				if (all || b == 0 || (d == 0 && b == 2))
					crowd_row(all_lanes[l], all_domains[d],
					          all_batches[b]);
	header(BYTES);
	for (unsigned d = 0; d < NR_OF(all_domains); d++)
		for (unsigned l = 0; l < NR_OF(all_lanes); l += all ? 1 : 2)
			bytes_row(all_lanes[l], all_domains[d]);
}

#ifdef HAVE_CALLGRIND
static void count_begin(void *ctx)
{
	(void)ctx;
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
}

static void count_end(void *ctx, enum solo_op op, uint64_t n)
{
	char label[128];

	CALLGRIND_TOGGLE_COLLECT;
	snprintf(label, sizeof(label), "%s|%s|%llu", (const char *)ctx,
	         solo_op_name[op], (unsigned long long)n);
	CALLGRIND_DUMP_STATS_AT(label);
}

static void ignore_begin(void *ctx)
{
	(void)ctx;
}

static void ignore_end(void *ctx, enum solo_op op, uint64_t n)
{
	(void)ctx;
	(void)op;
	(void)n;
}

static void count_cell(uint32_t lanes, uint32_t domains, uint32_t batch)
{
	struct shape s = shape_open(lanes, domains);
	struct solo_clock ignore = {ignore_begin, ignore_end, NULL};

	for (unsigned k = 0; k < NR_WAYS; k++) {
		char cell[64];
		struct solo_clock count = {count_begin, count_end, cell};
		void *ctx = ways[k]->open(&s);

		snprintf(cell, sizeof(cell), "%u|%u|%u|%s", lanes, domains,
		         batch, ways[k]->name);
		for (unsigned i = 0; i < 100; i++)
			for (uint32_t l = 0; l < lanes; l++)
				ways[k]->poll(ctx, l);
		solo_round(ways[k], ctx, &s, batch, &ignore);
		solo_round(ways[k], ctx, &s, batch, &count);
		ways[k]->close(ctx);
	}
	shape_close(&s);
}

static int count(void)
{
	if (!RUNNING_ON_VALGRIND)
		return 2;
	for (unsigned l = 0; l < NR_OF(all_lanes); l += 2)
		for (unsigned d = 0; d < 3; d += 2) {
			count_cell(all_lanes[l], all_domains[d], 1);
			count_cell(all_lanes[l], all_domains[d], 32);
		}
	return 0;
}
#endif

int main(int argc, char **argv)
{
	bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
	uint32_t cell[3] = {0};

#ifdef HAVE_CALLGRIND
	if (argc == 2 && strcmp(argv[1], "--count") == 0)
		return count();
#endif
	for (int i = 1; i < argc && argc == 4; i++)
		cell[i - 1] = (uint32_t)strtoul(argv[i], NULL, 0);
	if (argc > 1 && !all &&
	    (!cell[0] || !cell[1] || !cell[2] || cell[0] > MAX_LANES ||
	     cell[2] > INVLOG_BATCH)) {
		fprintf(stderr, "usage: %s [--all | LANES DOMAINS RECORDS]\n",
		        argv[0]);
		return 2;
	}
	rig_pin(0);
	printf("%u processors\n", rig_cpus());
	if (cell[0])
		one_cell(cell[0], cell[1], cell[2]);
	else
		tables(all);
	return 0;
}
