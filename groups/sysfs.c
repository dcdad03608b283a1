/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads sysfs as if it had been written by somebody hostile: a captured tree
 * may be. Each read has a bound, nothing but regular files is read, and no
 * open can block. Links are followed, so a tree can show files from outside of
 * it: read trees of strangers as a user who may not see secrets.
 */
#include "groups/sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "groups/parse.h"
#include "util/util.h"

/* More entries than any folder of groups or devices has: 2^16 functions in
 * each of a few PCI domains. */
#define MAX_ENTRIES (1u << 20)

int sysfs_dir(int at, const char *path)
{
	return sys->openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

ssize_t sysfs_read(int at, const char *path, char *buf, size_t size)
{
	return sys_read_file(at, path, buf, size);
}

uint64_t sysfs_birth(int dir)
{
	struct stat st;

	if (dir < 0 || sys->fstatat(dir, "", &st, AT_EMPTY_PATH))
		return 0;
	return st.st_ino;
}

int sysfs_hex(int at, const char *path, uint64_t max, uint64_t *ret)
{
	char buf[32];
	ssize_t n = sysfs_read(at, path, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	return grp_hex_parse(buf, max, ret) ? 0 : -EINVAL;
}

int sysfs_link_name(struct grp_mem *mem, int at, const char *path,
                    const char **ret)
{
	char target[PATH_MAX];
	ssize_t n = sys->readlinkat(at, path, target, sizeof(target));
	const char *name;

	if (n < 0)
		return (int)n;
	if (n == sizeof(target))
		return -ENAMETOOLONG;
	while (n > 0 && target[n - 1] == '/')
		n--;
	name = memrchr(target, '/', (size_t)n);
	name = name ? name + 1 : target;
	n -= name - target;
	if (n == 0)
		return -EINVAL;
	name = grp_strdup(mem, name, (size_t)n);
	if (!name)
		return -ENOMEM;
	*ret = name;
	return 0;
}

/* Cuts the last part off, and the slashes around it; NULL when it was the only
 * one, else where that part begins. */
static char *cut_last(char *path)
{
	size_t n = strlen(path);
	char *slash;

	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return slash ? slash + 1 : NULL;
}

int sysfs_link_above(struct grp_mem *mem, int at, const char *path,
                     const char **ret)
{
	char target[PATH_MAX];
	ssize_t n = sys->readlinkat(at, path, target, sizeof(target) - 1);
	char *above;

	*ret = NULL;
	if (n <= 0)
		return sysfs_lacking((int)n) ? (int)n : 0;
	target[n] = '\0';
	if (!cut_last(target))
		return 0;
	above = cut_last(target);
	if (!above)
		above = target;
	*ret = grp_strdup(mem, above, strlen(above));
	return *ret ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* The array doubles inside mem: what it leaves behind there is as much again,
 * and gone with the picture. */
static int push(struct grp_mem *mem, const char ***names, uint32_t *nr,
                uint32_t *room, const char *name)
{
	const char **v = *names;

	if (*nr == MAX_ENTRIES)
		return -E2BIG;
	if (*nr == *room) {
		*room = *room ? *room * 2 : 16;
		v = grp_alloc(mem, *room, sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (*nr)
			memcpy(v, *names, *nr * sizeof(*v));
		*names = v;
	}
	v[*nr] = grp_strdup(mem, name, NAME_MAX);
	if (!v[*nr])
		return -ENOMEM;
	(*nr)++;
	return 0;
}

/* One buffer of the kernel's records. */
static int push_all(struct grp_mem *mem, const char *buf, size_t len,
                    const char ***names, uint32_t *nr, uint32_t *room)
{
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		const struct dirent64 *e = (const void *)(buf + at);

		if (e->d_name[0] != '.')
			rc = push(mem, names, nr, room, e->d_name);
		at += e->d_reclen;
	}
	return rc;
}

int sysfs_list(struct grp_mem *mem, int at, const char *path,
               const char *const **ret_names, uint32_t *ret_nr)
{
	_Alignas(struct dirent64) char buf[8192];
	int fd = sysfs_dir(at, path);
	const char **names = NULL;
	uint32_t nr = 0, room = 0;
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return fd;
	while (rc == 0 && (n = sys->getdents(fd, buf, sizeof(buf))) != 0)
		rc = n < 0 ? (int)n
		           : push_all(mem, buf, (size_t)n, &names, &nr, &room);
	(void)sys->close(fd);
	if (rc)
		return rc;
	if (nr)
		qsort(names, nr, sizeof(*names), by_name);
	*ret_names = names;
	*ret_nr = nr;
	return 0;
}
