/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walker's mark between any two looks of a change at the leaf: the table is
 * protected, so that each access faults; it is made good, one instruction is
 * stepped over (x86-64's trap flag), and after one of them the page is marked.
 * No other thread, so neither the load of the machine nor the number of its
 * processors matters. order_marks.c has the thread, for other processors and
 * for what more than one of them may see.
 *
 * Arguments: format. 0: fine, 1: missed, 2: usage, 77: no such steps here
 * (another processor, valgrind, ThreadSanitizer).
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "pagetable/pt_path.h"
#include "tests/mutants/marks.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_STEPS
#endif
#endif
#if !defined(__x86_64__) || defined(__SANITIZE_THREAD__)
#define NO_STEPS
#endif

#ifdef NO_STEPS
int main(void)
{
	fprintf(stderr, "skipped: no single steps in this build\n");
	return 77;
}
#else

#define TRAP_FLAG 0x100 /* Intel SDM vol. 1, 3.4.3.3 */
/* What a vector instruction may reach from where it begins. */
#define REACH 64

static struct {
	struct sluice_pt *pt;
	uint64_t len;
	uintptr_t slot;        /* of the leaf */
	char *page;            /* that holds it */
	volatile uint64_t nr;  /* accesses of this change to the slot */
	volatile uint64_t at;  /* after which the mark comes */
	volatile int err;      /* 1: not yet asked for */
	volatile bool is_slot; /* the access that is stepped over */
} world;

static bool is_away(int err)
{
	return err == 1 || err == -ENOENT || err == -EBUSY;
}

static void protect(int prot)
{
	if (mprotect(world.page, PAGE, prot))
		abort();
}

static void on_access(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t at = (uintptr_t)info->si_addr;

	if (at - (uintptr_t)world.page >= PAGE) {
		signal(sig, SIG_DFL); /* a true one: happens again */
		return;
	}
	world.is_slot = at + REACH > world.slot && at < world.slot + 8;
	protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

/* Again after the next access when the leaf is just absent (Arm) or has become
 * a table on the way to it. */
static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	if (world.is_slot && world.nr++ >= world.at && is_away(world.err))
		world.err = pt_set_dirty(world.pt->pt, PAGE);
	protect(PROT_NONE);
}

static void catch_steps(void)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};

	sigemptyset(&sa.sa_mask);
	sa.sa_sigaction = on_access;
	if (sigaction(SIGSEGV, &sa, NULL))
		die("sigaction");
	sa.sa_sigaction = on_step;
	if (sigaction(SIGTRAP, &sa, NULL))
		die("sigaction");
}

static void find_slot(void)
{
	const struct pt *pt = world.pt->pt;
	struct pt_path p;

	pt_path_start(pt, &p, PAGE);
	(void)pt_path_settle(pt->fmt, &pt->geo, &p, 0);
	world.slot = (uintptr_t)pt_path_slot(pt->fmt, &pt->geo, &p);
	world.page = (char *)align_down(world.slot, 12);
}

/* Was the mark made while the change was on? */
static bool one_round(unsigned what, uint64_t at)
{
	bool inside;

	marks_map(world.pt, world.len, what);
	find_slot();
	world.nr = 0;
	world.at = at;
	world.err = 1;
	protect(PROT_NONE);
	marks_disturb(world.pt, world.len, what);
	protect(PROT_READ | PROT_WRITE);
	inside = world.err == 0;
	if (is_away(world.err))
		world.err = pt_set_dirty(world.pt->pt, PAGE);
	if (world.err)
		die("mark");
	if (!marks_harvest(world.pt, world.len)) {
		fprintf(stderr,
		        "step_marks: change %u lost the mark after access "
		        "%llu\n",
		        what, (unsigned long long)at);
		exit(1);
	}
	return inside;
}

/* False: no access was noticed. */
static bool all_steps(unsigned what)
{
	uint64_t nr, inside = 0;

	(void)one_round(what, UINT64_MAX);
	nr = world.nr;
	if (!nr)
		return false;
	for (uint64_t at = 0; at < nr; at++)
		inside += one_round(what, at);
	printf("change %u: %llu accesses, %llu marks amid them\n", what,
	       (unsigned long long)nr, (unsigned long long)inside);
	/* A change at least looks and writes. */
	if (inside < 2) {
		fprintf(stderr, "step_marks: the marks came too late\n");
		exit(1);
	}
	return true;
}

int main(int argc, char **argv)
{
	struct sluice_pt_config cfg;
	bool ran = true;

	if (argc < 2 || !marks_config(argv[1], &cfg)) {
		fprintf(stderr, "usage: step_marks FORMAT\n");
		return 2;
	}
	world.len = marks_len(&cfg);
	if (sluice_pt_create(&cfg, &world.pt))
		die("set-up");
	catch_steps();
	for (unsigned r = 0; r < NR_CHANGES && ran; r++)
		if (marks_change(r, world.len) == r)
			ran = all_steps(r);
	sluice_pt_destroy(world.pt);
	if (!ran) {
		fprintf(stderr, "skipped: the trap flag does nothing here\n");
		return 77;
	}
	return 0;
}
#endif
