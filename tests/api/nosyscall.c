/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The promise of lane.h: on a soft domain map, unmap, translate, poll and the
 * arena's get and put, and bounce's copies, make no system call. Two lanes work
 * under a seccomp filter that traps every call but write and exit_group, from
 * their first operation on, long enough that IOVA slices are refilled, tables
 * grow and the log wraps many times. Knows the public API only, and the atomics
 * it needs to end two threads without a call.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sluice/sluice.h>
#include "util/util.h"

#define LANES 2
#define SLOTS 2048            /* mappings alive at a time, each lane */
#define SLOT_BYTES (2u << 20) /* of address space for each */
#define STEPS 1000000
#define BUFS 64 /* arena slots held at a time */

struct slot {
	uint64_t va;
	uint64_t len;
	sluice_iova_t iova;
};

struct worker {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_arena *arena;
	struct sluice_bounce *bounce; /* NULL: lazy */
	struct sluice_lane *lane;
	struct sluice_view *view;
	struct slot *slot;
	struct sluice_buf buf[BUFS];
	struct sluice_bounce_buf bounced;
	uint64_t rng;
	uint64_t pending; /* completions to come */
	uint64_t maps, unmaps, refused;
};

static au32 ready, finished;
static const char *trapped = "system call on a lane path, number";

/* Only write and exit_group from here on, and in no other thread. */
static int lock_down(void)
{
	struct sock_filter code[] = {
	        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	                 offsetof(struct seccomp_data, nr)),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_write, 2, 0),
	        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 1, 0),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
		return -errno;
	return 0;
}

/* Under the filter even stdio might call more than write. */
static void die(const char *what, long number)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "%s %ld: %s\n", what, number,
	                 sluice_last_error());

	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(3);
	_exit(1);
}

static void on_sigsys(int sig, siginfo_t *info, void *ctx)
{
	(void)sig;
	(void)ctx;
	die(trapped, info->si_syscall);
}

static uint64_t next(struct worker *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng;
}

static void poll_lane(struct worker *w)
{
	struct sluice_completion done[32];
	uint32_t n = sluice_poll(w->lane, done, 32);

	for (uint32_t i = 0; i < n; i++)
		if (done[i].result)
			die("completion", done[i].result);
	w->pending -= n;
}

static void map_slot(struct worker *w, struct slot *s)
{
	uint64_t pages = 1u << (next(w) % 10);
	struct sluice_map_req req = {.va = s->va, .prot = SLUICE_RW};
	struct iovec iov[2];
	int r;

	req.len = pages << SLUICE_PAGE_LG2;
	req.flags = next(w) % 8 ? 0 : SLUICE_MAP_32BIT;
	if (pages > 1 && next(w) % 4 == 0) {
		iov[0].iov_base = (void *)(uintptr_t)s->va;
		iov[0].iov_len = SLUICE_PAGE_SIZE;
		iov[1].iov_base = (void *)(uintptr_t)(s->va + SLUICE_PAGE_SIZE);
		iov[1].iov_len = req.len - SLUICE_PAGE_SIZE;
		r = sluice_map_sg(w->view, &req, iov, 2, &s->iova);
	} else {
		r = sluice_map(w->view, &req, &s->iova);
	}
	if (r == -ENOSPC || r == -EAGAIN) {
		w->refused++;
		poll_lane(w);
		return;
	}
	if (r)
		die("map", r);
	s->len = req.len;
	w->maps++;
}

static void use_slot(struct worker *w, const struct slot *s)
{
	uint64_t off = next(w) % s->len;
	sluice_iova_t iova;
	sluice_oa_t oa;

	if (sluice_translate(w->view, s->iova + off, 1, SLUICE_READ, &oa) != 1)
		die("translate", (long)off);
	if (oa != s->va + off)
		die("wrong translation", (long)off);
	if (sluice_va_to_iova(w->view, s->va + off, 1, &iova) != 1 ||
	    iova != s->iova + off)
		die("va_to_iova", (long)off);
}

static void unmap_slot(struct worker *w, struct slot *s)
{
	struct sluice_ticket ticket;
	sluice_oa_t oa;
	int r = sluice_unmap(w->view, s->iova, s->len, 0, &ticket);

	if (r == -EAGAIN) {
		w->refused++;
		poll_lane(w);
		return;
	}
	if (r < 0)
		die("unmap", r);
	w->pending += (uint64_t)r;
	w->unmaps++;
	if (sluice_translate(w->view, s->iova, 1, SLUICE_READ, &oa) != -EFAULT)
		die("translation after unmap", 0);
	(void)sluice_ticket_passed(w->view, ticket);
	s->len = 0;
}

static void turn_buffer(struct worker *w)
{
	struct sluice_buf *b = &w->buf[next(w) % BUFS];
	int r;

	if (b->va) {
		sluice_arena_put(w->lane, w->arena, b->va);
		b->va = NULL;
		return;
	}
	r = sluice_arena_get(w->lane, w->arena, b);
	if (r)
		die("arena get", r);
}

/* A copy of any length and direction, synced while it is in use. */
static void turn_bounced(struct worker *w)
{
	struct sluice_bounce_buf *b = &w->bounced;
	static char memory[LANES][70000];
	char *from = memory[sluice_lane_id(w->lane)] + next(w) % 4096;
	int r = 0;

	if (b->prot && next(w) % 2)
		r = sluice_bounce_sync_for_cpu(w->bounce, b, 0, b->len);
	else if (b->prot)
		r = sluice_bounce_unmap(w->view, w->bounce, b,
		                        SLUICE_BOUNCE_USED_ALL, 0, NULL);
	else
		r = sluice_bounce_map(w->view, w->bounce, from,
		                      1 + next(w) % 65536,
		                      1 + (uint32_t)(next(w) % 3), 0, b);
	if (r)
		die("bounce", r);
}

static void setup_worker(struct worker *w)
{
	size_t bytes = (size_t)SLOTS * SLOT_BYTES;
	char *va = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	w->slot = calloc(SLOTS, sizeof(*w->slot));
	if (va == MAP_FAILED || !w->slot)
		die("memory", errno);
	for (uint32_t i = 0; i < SLOTS; i++)
		w->slot[i].va =
		        (uint64_t)(uintptr_t)va + (uint64_t)i * SLOT_BYTES;
	r = sluice_lane_open(w->engine, NULL, &w->lane);
	if (!r)
		r = sluice_view_open(w->lane, w->domain, &w->view);
	if (r)
		die("set-up", r);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	setup_worker(w);
	/* A lane that others wait for must poll: start together. */
	faa_acqrel(&ready, 1);
	while (ld_acq(&ready) < LANES)
		cpu_relax();
	if (lock_down())
		die("seccomp", 0);
	for (uint32_t i = 0; i < STEPS; i++) {
		struct slot *s = &w->slot[next(w) % SLOTS];

		if (!s->len)
			map_slot(w, s);
		if (s->len)
			use_slot(w, s);
		if (s->len && next(w) % 2)
			unmap_slot(w, s);
		turn_buffer(w);
		if (w->bounce && i % 8 == 0)
			turn_bounced(w);
		if (i % 16 == 0)
			poll_lane(w);
	}
	while (w->pending)
		poll_lane(w);
	faa_acqrel(&finished, 1);
	/* Returning would unmap a stack; the other lane waits for our polls. */
	for (;;)
		poll_lane(w);
	return NULL;
}

/* In a child of its own: it ends without tidying up. */
static void run(enum sluice_mode mode)
{
	static struct worker worker[LANES];
	struct sluice_domain_cfg cfg = {.mode = mode,
	                                .flags = SLUICE_DOMAIN_VA_LOOKUP,
	                                .log_records = 256,
	                                .tlb_entries = 64};
	struct sluice_arena_cfg acfg = {.size = 4u << 20, .slot_size = 2048};
	struct sluice_bounce_cfg bcfg = {.break_even = UINT64_MAX};
	struct timespec nap = {0, 1000000};
	struct sluice_domain_stats stats;
	struct worker *w = &worker[0];
	pthread_t thread;

	if (sluice_engine_open(NULL, &w->engine) ||
	    sluice_domain_create(w->engine, &cfg, &w->domain) ||
	    sluice_arena_create(w->domain, &acfg, &w->arena))
		die("set-up", 0);
	if (mode == SLUICE_MODE_STRICT &&
	    sluice_bounce_create(w->domain, &bcfg, &w->bounce))
		die("set-up of bounce", 0);
	for (uint32_t i = 0; i < LANES; i++) {
		worker[i] = worker[0];
		worker[i].rng = 0x9e3779b97f4a7c15u * (i + 1);
	}
	for (uint32_t i = 0; i < LANES; i++)
		if (pthread_create(&thread, NULL, work, &worker[i]))
			die("thread", i);
	while (ld_acq(&finished) < LANES)
		nanosleep(&nap, NULL);
	sluice_domain_get_stats(w->domain, &stats);
	printf("%s: %llu maps, %llu unmaps, %llu records, %llu table bytes\n",
	       mode == SLUICE_MODE_STRICT ? "strict" : "lazy",
	       (unsigned long long)stats.maps, (unsigned long long)stats.unmaps,
	       (unsigned long long)stats.invalidations,
	       (unsigned long long)stats.table_bytes);
	fflush(stdout);
	/* The log must have wrapped and tables must have been added, or this
	 * run proved little. */
	_exit(stats.invalidations < 100 * cfg.log_records ||
	      stats.table_bytes < 64 * SLUICE_PAGE_SIZE);
}

/* Exit code of fn in a child. */
static int in_child(void (*fn)(enum sluice_mode), enum sluice_mode mode)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct sigaction sa = {.sa_sigaction = on_sigsys,
		                       .sa_flags = SA_SIGINFO};

		sigaction(SIGSYS, &sa, NULL);
		fn(mode);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* The filter itself, seen to work: this must be trapped. */
static void control(enum sluice_mode mode)
{
	(void)mode;
	trapped = "control, to be trapped: system call";
	if (lock_down())
		_exit(77);
	(void)getppid();
}

int main(void)
{
	int r = in_child(control, SLUICE_MODE_STRICT);

	if (r == 77) {
		printf("skipped: seccomp filters are not allowed here\n");
		return 77;
	}
	if (r != 1) {
		printf("the filter lets calls through: this proves nothing\n");
		return 1;
	}
	r = in_child(run, SLUICE_MODE_STRICT);
	if (!r)
		r = in_child(run, SLUICE_MODE_LAZY);
	return r ? 1 : 0;
}
