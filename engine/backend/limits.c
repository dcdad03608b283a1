/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads limits from /proc, /sys and the kernel. Knows their files and what
 * their numbers mean for pinned memory; decides nothing.
 */
#include "engine/backend/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <sluice/base.h>
#include "util/util.h"

/* linux/capability.h: CAP_IPC_LOCK. */
#define IPC_LOCK_BIT 14
/* Inode of the first user namespace, since Linux 3.8. Only there does the
 * capability lift the limit. */
#define INIT_USER_NS 0xeffffffdu
#define CGROUP_ROOT "/sys/fs/cgroup"

static bool first_user_ns(void)
{
	struct stat st;

	/* No file: a kernel without user namespaces. */
	return sys->fstatat(AT_FDCWD, "/proc/self/ns/user", &st, 0) ||
	       st.st_ino == INIT_USER_NS;
}

/* The number behind a line's name. */
static bool number_of(const char *text, const char *name, int base,
                      uint64_t *ret)
{
	const char *at = strstr(text, name);

	if (!at)
		return false;
	*ret = strtoull(at + strlen(name), NULL, base);
	return true;
}

int limits_locked(struct limits_locked *ret)
{
	/* Of a user who is in hundreds of groups it may not be enough: then the
	 * limit is not known. */
	char text[8192];
	struct limits_locked l;
	struct rlimit lim;
	uint64_t kib, caps;
	ssize_t n;
	int rc;

	rc = sys->getrlimit(RLIMIT_MEMLOCK, &lim);
	if (rc)
		return rc;
	/* Capabilities are a thread's own. */
	n = sys_read_file(AT_FDCWD, "/proc/thread-self/status", text,
	                  sizeof(text));
	if (n < 0)
		return (int)n;
	/* A thread's name stands in one line, the newline escaped. */
	if (!number_of(text, "\nVmLck:", 10, &kib) ||
	    !number_of(text, "\nCapEff:", 16, &caps))
		return -ENODATA;
	l.bytes = kib * 1024;
	l.limit = lim.rlim_cur == RLIM_INFINITY ? UINT64_MAX : lim.rlim_cur;
	l.hard = lim.rlim_max == RLIM_INFINITY ? UINT64_MAX : lim.rlim_max;
	if (caps >> IPC_LOCK_BIT & 1 && first_user_ns())
		l.limit = UINT64_MAX;
	*ret = l;
	return 0;
}

/* The number in a file; UINT64_MAX for "max" or when there is none. */
static uint64_t number_in(const char *path)
{
	char text[32], *end;
	uint64_t n;

	if (sys_read_file(AT_FDCWD, path, text, sizeof(text)) < 0)
		return UINT64_MAX;
	n = strtoull(text, &end, 10);
	return end == text ? UINT64_MAX : n;
}

uint64_t limits_entries(void)
{
	return number_in("/sys/module/vfio_iommu_type1/parameters/"
	                 "dma_entry_limit");
}

static uint64_t room(const struct limits_cgroup *c)
{
	if (c->limit == UINT64_MAX)
		return UINT64_MAX;
	return c->limit > c->bytes ? c->limit - c->bytes : 0;
}

static void tighter(const char *dir, struct limits_cgroup *c)
{
	char file[sizeof(c->path) + 16];
	struct limits_cgroup here;

	snprintf(file, sizeof(file), "%s/memory.max", dir);
	here.limit = number_in(file);
	snprintf(file, sizeof(file), "%s/memory.current", dir);
	here.bytes = number_in(file);
	if (here.limit == UINT64_MAX || here.bytes == UINT64_MAX ||
	    (c->limit != UINT64_MAX && room(&here) >= room(c)))
		return;
	c->limit = here.limit;
	c->bytes = here.bytes;
	snprintf(c->path, sizeof(c->path), "%s", dir);
}

void limits_cgroup_at(const char *root, const char *path,
                      struct limits_cgroup *ret)
{
	char dir[sizeof(ret->path)];
	size_t base = strlen(root);
	int n;

	*ret = (struct limits_cgroup){0, UINT64_MAX, ""};
	n = snprintf(dir, sizeof(dir), "%s%s", root, path);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return;
	for (;;) {
		char *end = strrchr(dir, '/');

		tighter(dir, ret);
		if (!end || (size_t)(end - dir) < base)
			return;
		*end = '\0';
	}
}

void limits_cgroup(struct limits_cgroup *ret)
{
	char text[4096], *at;

	*ret = (struct limits_cgroup){0, UINT64_MAX, ""};
	if (sys_read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof(text)) <
	    0)
		return;
	/* cgroup v2 has hierarchy 0 and names no controllers. */
	at = strncmp(text, "0::", 3) ? strstr(text, "\n0::") : text;
	if (!at)
		return;
	at = strchr(at, '/');
	if (!at)
		return;
	at[strcspn(at, "\n")] = '\0';
	limits_cgroup_at(CGROUP_ROOT, strcmp(at, "/") ? at : "", ret);
}

static bool ordinary(uint64_t va)
{
	void *page = (void *)(uintptr_t)align_down(va, SLUICE_PAGE_LG2);

	/* Device memory: EINVAL. No memory: ENOMEM. Before Linux 5.14 EINVAL
	 * always, which says "cannot tell". */
	return sys->madvise(page, SLUICE_PAGE_SIZE, MADV_POPULATE_READ) == 0;
}

bool limits_counted(uint64_t va, uint64_t len)
{
	return ordinary(va) && ordinary(va + len - 1);
}

const struct limits_table limits_kernel = {limits_locked, limits_counted,
                                           limits_cgroup, limits_entries};
const struct limits_table *limits = &limits_kernel;
