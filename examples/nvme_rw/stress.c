/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stress command: its options, its threads, what the main thread does
 * beside them (the clock, resets, signals), and the report.
 */
#include "regs.h"
#include "stress.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES 4096
/* Units are counted in 32 bits where they are cut into slots. */
#define MAX_UNITS (1u << 24)

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* ---- options ---- */

struct option {
	const char *name;
	uint64_t max; /* 0: a switch; UINT64_MAX: text */
};

static const struct option options[] = {
        {"--ios", 1ull << 40},
        {"--seconds", 86400},
        {"--queues", 64},
        {"--depth", 1024},
        {"--bytes", 1u << 21},
        {"--timeout", 600000},
        {"--lose", 1u << 30},
        {"--reset-ms", 60000},
        {"--reset", UINT64_MAX},
        {"--per-io-map", UINT64_MAX},
        {"--journal", UINT64_MAX},
        {"--verify", 0},
        {"--check", 0},
        {"--irq", 0},
        {"--prp", 0},
};

static bool set_number(struct stress_cfg *c, const char *name, uint64_t n)
{
	if (!strcmp(name, "--ios"))
		c->ios = n;
	else if (!strcmp(name, "--seconds"))
		c->seconds = n;
	else if (!strcmp(name, "--queues"))
		c->nvme.nr_queues = (uint16_t)n;
	else if (!strcmp(name, "--depth"))
		c->nvme.depth = (uint16_t)n;
	else if (!strcmp(name, "--bytes"))
		c->bytes = (uint32_t)n;
	else if (!strcmp(name, "--timeout"))
		c->nvme.timeout_ms = (uint32_t)n;
	else if (!strcmp(name, "--lose"))
		c->nvme.lose_every = (uint32_t)n;
	else
		c->reset_ms = (uint32_t)n;
	return n > 0;
}

static bool set_text(struct stress_cfg *c, const char *name, const char *text)
{
	static const char *const maps[] = {"strict", "burst", "arena"};

	if (!strcmp(name, "--journal")) {
		c->journal = text;
		return true;
	}
	if (!strcmp(name, "--reset")) {
		bool function = !strcmp(text, "function");
		bool both = !strcmp(text, "both");

		c->reset_kind[0] =
		        function ? NVME_RESET_FUNCTION : NVME_RESET_CONTROLLER;
		c->reset_kind[1] = function || both ? NVME_RESET_FUNCTION
		                                    : NVME_RESET_CONTROLLER;
		return function || both || !strcmp(text, "controller");
	}
	for (int i = 0; i < 3; i++) {
		if (!strcmp(text, maps[i])) {
			c->map = (enum stress_map)i;
			return true;
		}
	}
	return false;
}

static void set_switch(struct stress_cfg *c, const char *name)
{
	if (!strcmp(name, "--irq"))
		c->irq = true;
	else if (!strcmp(name, "--prp"))
		c->nvme.no_sgl = true;
	else if (!strcmp(name, "--check"))
		c->check = c->verify = true;
	else
		c->verify = true;
}

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(options[i].name, name))
			return &options[i];
	return NULL;
}

static bool parse(int argc, char **argv, struct stress_cfg *c)
{
	for (int i = 0; i < argc; i++) {
		const struct option *o = find(argv[i]);
		uint64_t n;

		if (!o)
			return false;
		if (o->max == 0) {
			set_switch(c, o->name);
			continue;
		}
		if (++i == argc)
			return false;
		if (o->max == UINT64_MAX
		            ? !set_text(c, o->name, argv[i])
		            : !parse_number(argv[i], &n) || n > o->max ||
		                      !set_number(c, o->name, n))
			return false;
	}
	return c->check ? c->journal && !c->ios && !c->seconds
	                : c->ios || c->seconds;
}

/* ---- threads ---- */

static int open_stress(struct stress *st)
{
	struct stress_cfg *c = &st->cfg;
	const struct nvme_info *info = nvme_get_info(st->rig->nvme[0]);
	uint64_t nr = info->nr_blocks * info->block_size / c->bytes;
	struct sluice_arena_cfg cfg = {.slot_size = SLUICE_PAGE_SIZE};
	int rc;

	if (nr > MAX_UNITS)
		nr = MAX_UNITS;
	if (c->nvme.nr_queues > info->nr_queues || c->nvme.depth > info->depth)
		return fail(-EINVAL,
		            "the controller has %u queues of %u commands: "
		            "choose --queues and --depth within that",
		            info->nr_queues, info->depth);
	if (c->bytes % info->block_size || c->bytes > info->max_transfer ||
	    nr < (uint64_t)c->nvme.nr_queues * c->nvme.depth)
		return fail(-EINVAL,
		            "--bytes must be a multiple of %u, at most %u, "
		            "and fit the disk once for each command in flight",
		            info->block_size, info->max_transfer);
	if (c->map == STRESS_ARENA) {
		while (cfg.slot_size < c->bytes)
			cfg.slot_size *= 2;
		/* Lanes keep a sixteenth for themselves. */
		cfg.size = 2ull * c->nvme.nr_queues * c->nvme.depth *
		           cfg.slot_size;
		rc = sluice_arena_create(st->rig->domain, &cfg, &st->arena);
		if (rc)
			return rig_failed(rc, "arena");
	}
	return journal_open(&st->journal, c->journal, nr, c->bytes);
}

static void init_worker(struct worker *w, struct stress *st, unsigned nr)
{
	const struct stress_cfg *c = &st->cfg;
	uint64_t part = c->ios / c->nvme.nr_queues;

	*w = (struct worker){
	        .st = st,
	        .nr = nr,
	        .lane = st->rig->thread_lane[nr],
	        .depth = c->nvme.depth,
	        .room = (c->bytes + SLUICE_PAGE_SIZE - 1) &
	                -(uint64_t)SLUICE_PAGE_SIZE,
	        .budget = c->ios ? part + (nr < c->ios % c->nvme.nr_queues)
	                         : UINT64_MAX,
	        .rng = (now_ms() << 8 | (nr + 1)) * 0x9e3779b97f4a7c15u | 1,
	};
}

static void start(struct worker *w)
{
	int rc = pthread_create(&w->thread, NULL, worker_main, w);

	w->started = rc == 0;
	if (rc == 0)
		return;
	fail(0, "no thread: %s: raise 'ulimit -u'", strerror(rc));
	slot_error(w, NULL, -ENODEV);
	atomic_store_explicit(&w->done, true, memory_order_release);
}

/* What goes on beside the I/O, until the last thread is done. */
static void watch(struct stress *st, struct worker *w)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	const struct stress_cfg *c = &st->cfg;
	uint64_t end = c->seconds ? now_ms() + 1000 * c->seconds : UINT64_MAX;
	uint64_t reset = c->reset_ms ? now_ms() + c->reset_ms : UINT64_MAX;
	unsigned turn = 0, done = 0;

	while (done < c->nvme.nr_queues) {
		nanosleep(&pause, NULL);
		if (rig_look(st->rig) || interrupted || now_ms() >= end)
			atomic_store_explicit(&st->stop, true,
			                      memory_order_relaxed);
		if (now_ms() >= reset) {
			if (nvme_reset(st->rig->nvme[0],
			               c->reset_kind[turn++ % 2]))
				reset = UINT64_MAX;
			else
				reset = now_ms() + c->reset_ms;
		}
		done = 0;
		for (unsigned i = 0; i < c->nvme.nr_queues; i++)
			done += atomic_load_explicit(&w[i].done,
			                             memory_order_acquire);
	}
}

static int report(const struct stress *st, const struct worker *w, uint64_t ms,
                  uint64_t calls)
{
	uint64_t ios = 0, errors = 0, wrong = 0, retries = 0;
	struct nvme_counts n;

	nvme_get_counts(st->rig->nvme[0], &n);
	for (unsigned i = 0; i < st->cfg.nvme.nr_queues; i++) {
		ios += w[i].ios;
		errors += w[i].errors;
		wrong += w[i].wrong;
		retries += w[i].retries;
	}
	printf("stress: ios %" PRIu64 " errors %" PRIu64 " wrong-bytes %" PRIu64
	       " retries %" PRIu64 " timeouts %u aborts %u resets %u "
	       "kernel-calls %" PRIu64 " ms %" PRIu64 " ios/s %" PRIu64 "\n",
	       ios, errors, wrong, retries, n.timeouts, n.aborts, n.resets,
	       calls, ms, ms ? ios * 1000 / ms : 0);
	return errors || wrong ? -EIO : 0;
}

static uint64_t kernel_calls(struct rig *r)
{
	struct sluice_domain_stats s;

	sluice_domain_get_stats(r->domain, &s);
	return s.kernel_maps + s.kernel_unmaps;
}

static int run(struct stress *st)
{
	unsigned nr = st->cfg.nvme.nr_queues;
	struct worker *w = calloc(nr, sizeof(*w));
	uint64_t from, calls;
	int rc;

	if (!w)
		return fail(-ENOMEM, "no memory");
	/* This thread does not poll: its lane must not hold tickets back. */
	if (sluice_lane_offline(st->rig->lane)) {
		free(w);
		return rig_failed(-EBUSY, "lane");
	}
	from = now_ms();
	calls = kernel_calls(st->rig);
	for (unsigned i = 0; i < nr; i++) {
		init_worker(&w[i], st, i);
		start(&w[i]);
	}
	watch(st, w);
	for (unsigned i = 0; i < nr; i++)
		if (w[i].started)
			pthread_join(w[i].thread, NULL);
	sluice_lane_online(st->rig->lane);
	rc = report(st, w, now_ms() - from, kernel_calls(st->rig) - calls);
	free(w);
	return rc;
}

int stress_main(int argc, char **argv)
{
	const struct sigaction act = {.sa_handler = on_signal};
	struct stress st = {
	        .cfg =
	                {
	                        .bytes = BYTES,
	                        .nvme = {.nr_queues = 1, .depth = 16},
	                },
	};
	struct rig rig;
	bool asked;
	int rc;

	if (argc < 2 || !parse(argc - 2, argv + 2, &st.cfg))
		return 2;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (rig_open(&rig, argv, 1, &st.cfg.nvme, st.cfg.nvme.nr_queues,
	             st.cfg.irq))
		return 1;
	st.rig = &rig;
	rc = open_stress(&st);
	if (rc == 0)
		rc = run(&st);
	journal_close(&st.journal);
	sluice_arena_destroy(st.arena);
	asked = rig.asked;
	rig_close(&rig);
	return rc ? 1 : asked ? 3 : 0;
}
