/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Google Benchmark for C: the only door to it. A case runs n operations per
 * call, so that the harness costs nothing measurable; it either lets the
 * harness take the time or returns the time itself, when only a part of what
 * it does is the matter.
 */
#ifndef SLUICE_BENCH_GBENCH_SHIM_H
#define SLUICE_BENCH_GBENCH_SHIM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gb_case {
	const char *name; /* "B1/sluice", "B1/naive", "floor/…" */
	uint64_t batch;   /* operations of one call */
	uint64_t calls;   /* 0: until the times are steady; else this many */
	int reps;         /* 0: as many as asked for, or 9 */
	/* Returns NULL when the machine cannot run the case: it is skipped. */
	void *(*setup)(void);
	/* For cases that differ in a value: takes the place of setup. */
	void *(*setup_arg)(const void *arg);
	const void *arg;
	void (*teardown)(void *ctx);
	/* Exactly one of the two. timed returns nanoseconds for all n. */
	void (*run)(void *ctx, uint64_t n);
	double (*timed)(void *ctx, uint64_t n);
};

/* Keeps the pointer. */
void gb_register(const struct gb_case *c);
int gb_main(int argc, char **argv);

/* The compiler must assume that x is used, and may be changed. */
#define gb_use(x) __asm__ volatile("" : "+r"(x) : : "memory")

#ifdef __cplusplus
}
#endif
#endif
