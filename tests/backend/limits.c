/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Limits as this machine's kernel has them: locked bytes move with mlock(), the
 * limit with setrlimit() and with the capability; cgroups from a tree of files.
 * The capability part is skipped where the test has none to drop.
 */
#include "engine/backend/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/advice.h"

#define PAGE 4096u

static void *pages(size_t n, int prot)
{
	void *p =
	        mmap(NULL, n * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void test_locked_bytes(void **state)
{
	struct limits_locked before, with, after;
	void *p = pages(3, PROT_READ | PROT_WRITE);

	(void)state;
	assert_int_equal(limits_locked(&before), 0);
	/* Past the sanitizers, which make mlock() do nothing. */
	if (syscall(SYS_mlock, p, 3 * PAGE)) {
		print_message("mlock: %s\n", strerror(errno));
		munmap(p, 3 * PAGE);
		skip();
	}
	assert_int_equal(limits_locked(&with), 0);
	munmap(p, 3 * PAGE);
	assert_int_equal(limits_locked(&after), 0);
	assert_int_equal(with.bytes, before.bytes + 3 * PAGE);
	assert_int_equal(after.bytes, before.bytes);
}

/* Of this thread: every capability, or all but one. */
static int drop_cap(unsigned bit)
{
	struct __user_cap_header_struct head = {
	        .version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].effective &= ~(1u << bit);
	data[0].permitted &= ~(1u << bit);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

static void test_limit(void **state)
{
	struct rlimit lim, low;
	struct limits_locked l;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &lim), 0);
	assert_int_equal(drop_cap(CAP_IPC_LOCK), 0);
	low = lim;
	low.rlim_cur = 5 * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	assert_int_equal(limits_locked(&l), 0);
	assert_int_equal(l.limit, 5 * PAGE);
	assert_true(l.hard == (lim.rlim_max == RLIM_INFINITY ? UINT64_MAX
	                                                     : lim.rlim_max));
	low.rlim_cur = 6 * PAGE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	assert_int_equal(limits_locked(&l), 0);
	assert_int_equal(l.limit, 6 * PAGE);
}

/* Runs before the capability is gone. */
static void test_capable(void **state)
{
	struct limits_locked l;
	struct stat st;

	(void)state;
	/* The kernel's own word: it may raise the hard limit, or not. */
	if (stat("/proc/self/ns/user", &st) == 0 && st.st_ino != 0xeffffffdu) {
		print_message("not in the first user namespace\n");
		skip();
	}
	assert_int_equal(limits_locked(&l), 0);
	if (l.limit != UINT64_MAX) {
		print_message("no CAP_IPC_LOCK to drop\n");
		skip();
	}
	assert_int_equal(drop_cap(CAP_SYS_TIME), 0);
	assert_int_equal(limits_locked(&l), 0);
	assert_true(l.limit == UINT64_MAX);
}

static void test_counted(void **state)
{
	char *p = pages(4, PROT_READ | PROT_WRITE);
	struct limits_locked l;

	(void)state;
	assert_int_equal(limits_locked(&l), 0);
	if (!advice_heeded()) {
		print_message(ADVICE_IGNORED ": nothing can be told\n");
		munmap(p, 4 * PAGE);
		skip();
	}
	assert_true(limits_counted((uintptr_t)p, 4 * PAGE));
	assert_true(limits_counted((uintptr_t)p + 8, PAGE));
	assert_int_equal(munmap(p + 3 * PAGE, PAGE), 0);
	assert_false(limits_counted((uintptr_t)p, 4 * PAGE));
	assert_true(limits_counted((uintptr_t)p, 3 * PAGE));
	assert_int_equal(munmap(p, PAGE), 0);
	assert_false(limits_counted((uintptr_t)p, 3 * PAGE));
	munmap(p + PAGE, 2 * PAGE);
}

/* ---- cgroups ---- */

static char root[64];

static void put(const char *dir, const char *file, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", root, dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s%s/%s", root, dir, file);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void at(const char *path, uint64_t bytes, uint64_t limit,
               const char *where)
{
	struct limits_cgroup c;
	char want[256];

	limits_cgroup_at(root, path, &c);
	snprintf(want, sizeof(want), "%s%s", where ? root : "",
	         where ? where : "");
	assert_true(c.limit == limit);
	assert_true(c.bytes == bytes);
	assert_string_equal(c.path, want);
}

static void test_cgroup(void **state)
{
	char command[96], far[300];

	(void)state;
	strcpy(root, "/tmp/sluice-cgroup-XXXXXX");
	assert_non_null(mkdtemp(root));
	at("/a/b", 0, UINT64_MAX, NULL);
	put("/a", "memory.max", "1000000\n");
	put("/a", "memory.current", "400000\n");
	put("/a/b", "memory.max", "max\n");
	put("/a/b", "memory.current", "300000\n");
	at("/a/b", 400000, 1000000, "/a");
	at("/a", 400000, 1000000, "/a");
	at("", 0, UINT64_MAX, NULL);
	/* The one with the least room counts, not the smallest. */
	put("/a/b", "memory.max", "950000\n");
	at("/a/b", 400000, 1000000, "/a");
	put("/a/b", "memory.max", "850000\n");
	at("/a/b", 300000, 850000, "/a/b");
	put("/a/b", "memory.current", "900000\n");
	at("/a/b", 900000, 850000, "/a/b");
	put("", "memory.max", "10\n");
	put("", "memory.current", "11\n");
	at("/a", 11, 10, "");
	put("", "memory.max", "nonsense\n");
	at("/a", 400000, 1000000, "/a");
	/* A path that has no room says nothing. */
	memset(far, 'x', sizeof(far) - 1);
	far[0] = '/';
	far[sizeof(far) - 1] = '\0';
	at(far, 0, UINT64_MAX, NULL);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}

/* Whatever this machine has, it is whole. */
static void test_own_cgroup(void **state)
{
	struct limits_cgroup c;

	(void)state;
	limits_cgroup(&c);
	assert_int_equal(c.limit == UINT64_MAX, c.path[0] == '\0');
	if (c.path[0])
		assert_int_equal(access(c.path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(test_locked_bytes),
	        cmocka_unit_test(test_capable),
	        cmocka_unit_test(test_limit),
	        cmocka_unit_test(test_counted),
	        cmocka_unit_test(test_cgroup),
	        cmocka_unit_test(test_own_cgroup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
