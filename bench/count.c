/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operations of format.c and count_*.c below callgrind, which counts
 * instructions: a number that no neighbour on the machine disturbs. Each
 * operation runs few and then many times, and each time ends in a dump that
 * bears a label, so that bench/count can take what starting costs out. Counts
 * nothing itself.
 */
#include "bench/count_engine.h"
#include "bench/format.h"

#include <stdio.h>
#include <string.h>
#include <valgrind/callgrind.h>

#ifdef __clang__
#define COMPILER "clang"
#define MAJOR __clang_major__
#define MINOR __clang_minor__
#define PATCH __clang_patchlevel__
#else
#define COMPILER "gcc"
#define MAJOR __GNUC__
#define MINOR __GNUC_MINOR__
#define PATCH __GNUC_PATCHLEVEL__
#endif

#ifdef __x86_64__
#define MACHINE "x86_64"
/* sluice chooses by processor: what it sees here, below valgrind. */
static const char *vectors(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return "avx512";
	return __builtin_cpu_supports("avx2") ? "avx2" : "none";
}
#else
#define MACHINE "other"
static const char *vectors(void)
{
	return "none";
}
#endif

static void toggle(void *ctx)
{
	(void)ctx;
	CALLGRIND_TOGGLE_COLLECT;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

static void count(struct fmt_set *s, const struct fmt_op *op, uint64_t n)
{
	char label[64];

	snprintf(label, sizeof(label), "%s/%s %llu", op->name, s->geo->name,
	         (unsigned long long)n);
	CALLGRIND_ZERO_STATS;
	fmt_once(s, op, n, toggle, NULL);
	CALLGRIND_DUMP_STATS_AT(label);
}

static void count_all(const struct fmt_geometry *geo)
{
	struct fmt_set *s = fmt_open(geo);

	for (unsigned o = 0; o < nr_fmt_ops; o++) {
		const struct fmt_op *op = &fmt_ops[o];

		if (!fmt_has(s, op))
			continue;
		/* Tables are linked and symbols bound. */
		fmt_once(s, op, op->many, nothing, NULL);
		count(s, op, op->few);
		count(s, op, op->many);
	}
	fmt_close(s);
}

static void count_op(const struct eng_op *op)
{
	const uint64_t times[] = {op->few, op->many};
	struct eng_set *s = op->open();
	char label[64];

	/* Tables are linked, symbols bound, and caches as they will be. */
	op->run(s, op->many);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(label, sizeof(label), "engine/%s %llu", op->name,
		         (unsigned long long)times[i]);
		CALLGRIND_ZERO_STATS;
		eng_once(op, s, times[i]);
		CALLGRIND_DUMP_STATS_AT(label);
	}
	eng_close(s);
}

static void count_engine(const struct eng_op *op)
{
	for (; op->name; op++)
		count_op(op);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--about") == 0) {
		printf("%s %s %d.%d.%d %s\n", MACHINE, COMPILER, MAJOR, MINOR,
		       PATCH, vectors());
		return 0;
	}
	if (argc != 1 || !RUNNING_ON_VALGRIND) {
		fprintf(stderr, "%s: to be run by bench/count\n", argv[0]);
		return 2;
	}
	for (unsigned g = 0; g < nr_fmt_geometries; g++)
		count_all(&fmt_geometries[g]);
	count_engine(eng_translate_ops);
	count_engine(eng_map_ops);
	count_engine(eng_lane_ops);
	return 0;
}
