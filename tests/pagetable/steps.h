/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens between any two accesses to a page, without a second thread:
 * the page is protected, so that each access faults; it is made good, one
 * instruction is stepped over by the trap flag, and a function of the test
 * runs. x86-64 only, and not under ThreadSanitizer, which keeps signals back;
 * elsewhere HAVE_STEPS is not defined. In valgrind the flag does nothing.
 */
#ifndef TESTS_PAGETABLE_STEPS_H
#define TESTS_PAGETABLE_STEPS_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_STEPS
#endif
#endif

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(NO_STEPS)
#define HAVE_STEPS

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STEPS_PAGE 4096u
#define TRAP_FLAG 0x100 /* Intel SDM vol. 1, 3.4.3.3 */

static struct {
	char *page;
	/* After the instruction that reached for at; the page is good. */
	void (*after)(uintptr_t at);
	uintptr_t at;
} steps;

static void steps_protect(int prot)
{
	if (mprotect(steps.page, STEPS_PAGE, prot))
		abort();
}

static void steps_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	steps.at = (uintptr_t)info->si_addr;
	if (!steps.page || steps.at - (uintptr_t)steps.page >= STEPS_PAGE) {
		signal(sig, SIG_DFL); /* a true one: happens again */
		return;
	}
	steps_protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void steps_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	steps.after(steps.at);
	steps_protect(PROT_NONE);
}

/* Once. */
static inline void steps_catch(void (*after)(uintptr_t at))
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};

	steps.after = after;
	sigemptyset(&sa.sa_mask);
	sa.sa_sigaction = steps_fault;
	if (sigaction(SIGSEGV, &sa, NULL))
		abort();
	sa.sa_sigaction = steps_trap;
	if (sigaction(SIGTRAP, &sa, NULL))
		abort();
}

/* page: the page of the process that holds it. */
static inline void steps_begin(void *page)
{
	steps.page = (char *)((uintptr_t)page & ~(uintptr_t)(STEPS_PAGE - 1));
	steps_protect(PROT_NONE);
}

static inline void steps_end(void)
{
	steps_protect(PROT_READ | PROT_WRITE);
}

#endif
#endif
