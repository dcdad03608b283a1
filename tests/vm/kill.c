/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Starts a program and kills it, again and again, at a random moment of its
 * life. Knows the journal that the program stores into while it does I/O, so
 * that it can tell how many were hit in the middle; knows nothing of the
 * program. Compiled, because a shell that forks for each step spends more time
 * on that than the program lives.
 *
 *   vm_kill ROUNDS SECONDS JOURNAL OUTPUT PROGRAM [ARG…]
 *
 * What the program says goes to OUTPUT: one that says something, or ends
 * by itself, ends the test. After SECONDS no round begins any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/util.h"

/* A life is at least this long; the longest is twice what the start takes. */
#define LIFE_MIN_US 20000
#define LIFE_LEAST_MAX_US 200000
/* No program takes longer for its start. */
#define START_MAX_US 60000000

extern char **environ;

struct kill_test {
	const char *output;
	char **argv;
	const uint8_t *journal;
	uint8_t *before; /* the journal when the program started */
	size_t size;
	uint64_t rng;
};

static int fail(const char *what)
{
	fprintf(stderr, "vm_kill: %s: %s\n", what, strerror(errno));
	return -1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void nap(uint64_t us)
{
	struct timespec t = {.tv_sec = (time_t)(us / 1000000),
	                     .tv_nsec = (long)(us % 1000000 * 1000)};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static uint64_t below(struct kill_test *k, uint64_t n)
{
	k->rng ^= k->rng << 13;
	k->rng ^= k->rng >> 7;
	k->rng ^= k->rng << 17;
	return k->rng % n;
}

static int map_journal(struct kill_test *k, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) || st.st_size == 0)
		return fail(path);
	k->size = (size_t)st.st_size;
	p = mmap(NULL, k->size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	k->before = malloc(k->size);
	if (p == MAP_FAILED || !k->before)
		return fail("no memory");
	k->journal = p;
	return 0;
}

static int changed(const struct kill_test *k)
{
	return memcmp(k->before, k->journal, k->size) != 0;
}

static int begin(struct kill_test *k, pid_t *ret_pid)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC;
	posix_spawn_file_actions_t to;

	memcpy(k->before, k->journal, k->size);
	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_addopen(&to, 1, k->output, flags, 0600);
	posix_spawn_file_actions_adddup2(&to, 1, 2);
	errno = posix_spawn(ret_pid, k->argv[0], &to, NULL, k->argv, environ);
	posix_spawn_file_actions_destroy(&to);
	return errno ? fail(k->argv[0]) : 0;
}

/* It was alive until now and has said nothing. */
static int end(struct kill_test *k, pid_t pid)
{
	struct stat st;
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || stat(k->output, &st))
		return fail("the program is lost");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !st.st_size)
		return 0;
	fprintf(stderr, "vm_kill: status 0x%x, %lld bytes of output\n",
	        (unsigned)status, (long long)st.st_size);
	return -1;
}

/* It can still be waited for. */
static int ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ||
	       info.si_pid == pid;
}

/* How long a start takes until the first I/O. */
static int try_start(struct kill_test *k, uint64_t *ret_us)
{
	uint64_t from = now_us();
	pid_t pid;

	if (begin(k, &pid))
		return -1;
	while (!changed(k) && !ended(pid) && now_us() - from < START_MAX_US)
		nap(1000);
	*ret_us = now_us() - from;
	if (end(k, pid))
		return -1;
	errno = ETIMEDOUT;
	return *ret_us < START_MAX_US ? 0 : fail("no I/O begins");
}

/* A life of up to twice the start: about half of them see I/O. *start follows
 * what the machine's load makes of it. */
static int one_round(struct kill_test *k, uint64_t *start, int *hit)
{
	uint64_t most = max_u64(*start * 2, LIFE_LEAST_MAX_US);
	uint64_t life = LIFE_MIN_US + below(k, most - LIFE_MIN_US);
	pid_t pid;

	if (begin(k, &pid))
		return -1;
	nap(life);
	if (end(k, pid))
		return -1;
	if (changed(k)) {
		++*hit;
		if (life < *start)
			*start -= *start / 8;
	} else if (life > *start) {
		*start += *start / 8;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct kill_test k = {.rng = now_us() | 1};
	uint64_t start, until;
	int rounds, nr, hit = 1;

	if (argc < 6)
		return 2;
	rounds = atoi(argv[1]);
	k.output = argv[4];
	k.argv = argv + 5;
	if (rounds < 1 || map_journal(&k, argv[3]) || try_start(&k, &start))
		return 1;
	until = now_us() + (uint64_t)atoi(argv[2]) * 1000000;
	/* The trial was the first one. */
	for (nr = 1; nr < rounds && now_us() < until; nr++) {
		if (one_round(&k, &start, &hit)) {
			fprintf(stderr, "vm_kill: in round %d\n", nr + 1);
			return 1;
		}
	}
	printf("killed %d times of %d, %d of them in the middle of I/O; the "
	       "first I/O takes about %llu ms\n",
	       nr, rounds, hit, (unsigned long long)start / 1000);
	return hit * 4 < nr;
}
