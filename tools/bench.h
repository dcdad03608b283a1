/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pieces of `sluice bench`: options (cmd_bench.c, bench_options.c), what is
 * measured on (bench_rig.c, bench_others.c), the measuring loops (bench_loop.c,
 * bench_translate.c), the machine's own floors (bench_floor.c), output
 * (bench_report.c, bench_json.c, bench_plots.c). The matrix of all ways on a
 * kernel has a header of its own (bench_matrix.h), and so do shared buffers
 * (bench_share.h).
 */
#ifndef SLUICE_TOOLS_BENCH_H
#define SLUICE_TOOLS_BENCH_H

#include "tools/bench_raw.h"
#include "tools/hist.h"

#include <sluice/sluice.h>

#include <pthread.h>
#include <stdio.h>

#define BENCH_CMD "bench"
#define BENCH_MAX_COUNTS 16 /* numbers of threads in a list */
#define BENCH_MAX_OTHERS 8
#define BENCH_MATRIX_LANES 8 /* at most, with --matrix */

enum bench_mode {
	BENCH_STRICT,
	BENCH_BOUNCE,
	BENCH_LAZY,
	BENCH_ARENA,
	BENCH_RAW,  /* type1: ioctls by hand, in place of sluice */
	BENCH_SHARE /* buffers of several groups: bench_share.h */
};
enum bench_pin { BENCH_PIN_AUTO, BENCH_PIN_NO, BENCH_PIN_YES };

struct way;
struct naive;
struct naive_slots;
struct bench_rig;

struct bench_opts {
	uint32_t threads[BENCH_MAX_COUNTS]; /* each is a run of its own */
	uint32_t nr_threads;
	uint32_t seconds;   /* of each run */
	uint32_t granule;   /* pages of a map, or pieces of a scatter list */
	uint32_t direction; /* 0 both, 1 to the device, 2 from the device */
	uint32_t delay_ns;
	int sg;
	enum sluice_backend backend;
	enum bench_mode mode;
	enum sluice_pt_format format;
	uint32_t depth;
	uint32_t batch;
	uint64_t working_set; /* bytes for each thread */
	const char *device;
	const char *json;
	const char *report;
	const char *against; /* NULL: all */
	enum bench_pin pin;
	int matrix;

	/* What was made of them. */
	int pinned;
	const struct way *other[BENCH_MAX_OTHERS];
	uint32_t nr_others;
};

/* What is measured, and printed in this order. */
enum bench_op {
	BENCH_MAP,
	BENCH_UNMAP,
	BENCH_TICKET,
	BENCH_TRANSLATE,
	BENCH_TRANSLATE_BATCH,
	BENCH_HIT,
	BENCH_MISS,
	BENCH_PAIR,
	BENCH_NR_OPS
};

struct bench_times {
	struct hist op[BENCH_NR_OPS]; /* picoseconds for one operation */
};

/* Who is measured: sluice, then the others in the order of opts->other. */
#define BENCH_OURS 0
#define BENCH_MAX_IMPLS (1 + BENCH_MAX_OTHERS)

/* One way beside ours, as it was opened for a run. */
struct bench_other {
	const struct way *way;
	void *state;         /* of a way behind ways.h */
	struct naive *naive; /* or the naive one, which finds IOVAs itself */
	int is_naive;
};

/* One thread's state. */
struct bench_worker {
	struct bench_rig *rig;
	uint32_t id;
	pthread_t thread;
	struct sluice_lane *lane;
	struct sluice_view *view;
	char *mem; /* working_set bytes, or scattered as sg wants it */
	uint64_t nr_bufs, next_buf, stride;
	struct bench_times *times; /* one for each who is measured */
	/* Where whoever is measured now keeps the working set mapped for
	 * translations, a mapping for each buffer; NULL: it does not. */
	uint64_t *set[BENCH_MAX_IMPLS];
	uint64_t random;
	/* Scratch of one round, depth entries each. */
	uint64_t *iova, *map_ps;
	void **slot;
	struct sluice_bounce_buf *bounced;
	struct iovec *iov; /* granule pieces */
	/* Scratch of translations: the larger of depth and batch. */
	uint64_t *addr, *oa;
	int64_t *got;
	uint64_t outstanding; /* completions promised and not seen */
	uint64_t maps_due;    /* of these, those of maps */
	int bad;              /* first error of a completion */
	char why[512];        /* and what to do about it */
	char error[640];
};

/* What is kept of a run. */
struct bench_run {
	uint32_t threads;
	struct sluice_domain_stats stats; /* without the working set's maps */
	struct sluice_exposure exposure;
	struct bench_times *times; /* one for each who was measured */
};

struct bench_rig {
	const struct bench_opts *opts;
	struct bench_run *run;
	uint32_t threads;
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_group *group;
	struct sluice_arena *arena;
	struct sluice_bounce *bounce;
	struct bench_raw raw;
	struct bench_other other[BENCH_MAX_OTHERS];
	struct naive_slots *naive_slots;
	struct bench_worker *worker;
	pthread_barrier_t gate;
	uint32_t prot;
	uint64_t nr_slices;
};

/* The machine's own times in nanoseconds; 0 is not measured. */
struct bench_floors {
	double l1_load;    /* load to use, in the nearest cache */
	double locked_add; /* on a line of one's own */
	double ping_pong;  /* a line to another processor and back */
};

struct bench_report {
	const struct bench_opts *opts;
	struct bench_run run[BENCH_MAX_COUNTS];
	uint32_t nr_runs;
	struct bench_floors floors;
};

/* ---- bench_options.c ---- */
/* Reads the options. TOOL_OK, also with *ret_done set when there is nothing
 * left to do, or TOOL_USAGE after saying why. */
int bench_parse(int argc, char **argv, struct bench_opts *o, int *ret_done);

/* ---- bench_rig.c ---- */
/* A run with so many threads. 0, or TOOL_FAILED after saying why. */
int bench_run(const struct bench_opts *opts, uint32_t threads,
              struct bench_run *run);
/* Processors that this process may use, as the first call finds it. */
uint32_t bench_cpus(void);
/* The nth of them, counted round. */
void bench_pin_to(uint32_t n);
/* All but the first n of them, or, when there are no others, all. Threads that
 * are created from here on begin there. */
void bench_pin_beyond(uint32_t n);

/* ---- bench_others.c ---- */
/* Who is measured beside us, from opts->against. TOOL_OK or TOOL_USAGE. */
int bench_others_choose(struct bench_opts *opts);
/* Prints the names of those that were built. */
void bench_others_list(FILE *to);
/* Leaves out of *opts, with a word, who cannot work on this machine: unless he
 * was asked for by name, then TOOL_FAILED. */
int bench_others_try(struct bench_opts *opts);
int bench_others_open(struct bench_rig *rig);
void bench_others_close(struct bench_rig *rig);
/* A thread maps its working set there. 0 or -errno with w->error filled. */
int bench_others_fill(struct bench_worker *w, uint32_t nr);
void bench_other_enter(struct bench_worker *w, uint32_t nr);
void bench_other_leave(struct bench_worker *w, uint32_t nr);
/* Where the nth buffer of a thread lies for ways that find no IOVA. */
uint64_t bench_other_iova(const struct bench_worker *w, uint64_t buf);

/* ---- bench_loop.c ---- */
/* A thread's work for one slice: impl is BENCH_OURS or 1 + a number in
 * rig->other. 0 or -errno with w->error filled. */
int bench_slice(struct bench_worker *w, uint32_t impl, uint64_t until_ns);
/* Waits for what is in flight. */
int bench_drain(struct bench_worker *w);
/* Maps the working set for translations. 0 or -errno with w->error filled. */
int bench_fill(struct bench_worker *w);
int bench_error(struct bench_worker *w, const char *what, int rc);

/* ---- bench_translate.c ---- */
/* depth random addresses of the working set. */
int bench_translate_ours(struct bench_worker *w);
int bench_translate_other(struct bench_worker *w, uint32_t impl);

/* ---- bench_floor.c ---- */
/* The smaller of what is there and what a few milliseconds show. */
void bench_floor(struct bench_floors *f);

/* ---- output ---- */
const char *bench_op_name(enum bench_op op);
const char *bench_mode_name(enum bench_mode mode);
const char *bench_impl_name(const struct bench_opts *o, uint32_t impl);
uint32_t bench_nr_impls(const struct bench_opts *o);
/* Operations of all threads in a second. */
double bench_rate(const struct bench_run *run, uint32_t impl, enum bench_op op);
/* Rate of one thread over that in the run with the fewest; 0: there is no
 * other run, or nothing was measured. */
double bench_efficiency(const struct bench_report *rep, uint32_t run,
                        uint32_t impl, enum bench_op op);
void bench_print(FILE *to, const struct bench_report *rep);
int bench_json(const struct bench_report *rep);
/* What is the same in all JSON: struct cJSON. */
struct cJSON *bench_machine_json(void);
int bench_plots(const struct bench_report *rep);

#endif
