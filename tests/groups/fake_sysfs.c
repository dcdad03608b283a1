/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tree is an array of nodes that know their parent, a descriptor an entry
 * of another. Path walk as path_resolution(7) has it; what leads out of the
 * tree leads nowhere.
 */
#include "fake_sysfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/sys.h"

#define MAX_NODES 512
#define MAX_FDS 32
#define FIRST_FD 100000
#define MAX_LINKS 40 /* path_resolution(7): symbolic links in one walk */

struct node {
	char *name;
	uint32_t parent;
	enum fake_kind kind;
	const void *data;
	size_t len;
};

struct open {
	bool used;
	uint32_t node;
	size_t at;
};

static struct {
	struct node node[MAX_NODES];
	uint32_t nr;
	struct open fd[MAX_FDS];
	struct fake_sysfs_mood mood;
	uint32_t calls;
	bool said[256];
	struct sys_table table;
} fake;

static int say(int rc)
{
	if (rc < 0 && rc > -256)
		fake.said[-rc] = true;
	return rc;
}

/* Is it this call's turn to fail? */
static int fate(void)
{
	fake.calls++;
	return fake.calls == fake.mood.fail_at ? fake.mood.fail_with : 0;
}

static int child(uint32_t dir, const char *name, size_t len)
{
	for (uint32_t i = 1; i < fake.nr; i++)
		if (fake.node[i].parent == dir &&
		    !strncmp(fake.node[i].name, name, len) &&
		    !fake.node[i].name[len])
			return (int)i;
	return -ENOENT;
}

static int walk(uint32_t at, const char *path, bool follow, unsigned *links);

static int walk_link(uint32_t at, const struct node *n, unsigned *links)
{
	char target[PATH_MAX];

	if (++*links > MAX_LINKS)
		return -ELOOP;
	if (n->len == 0 || n->len >= sizeof(target))
		return n->len ? -ENAMETOOLONG : -ENOENT;
	memcpy(target, n->data, n->len);
	target[n->len] = '\0';
	return walk(at, target, true, links);
}

/* The node, or -errno. follow: the last part too, when it is a link. */
static int walk(uint32_t at, const char *path, bool follow, unsigned *links)
{
	if (*path == '/' || !*path)
		return -ENOENT;
	while (*path) {
		size_t len = strcspn(path, "/");
		const char *rest = path + len + strspn(path + len, "/");
		int i = (int)at;

		if (fake.node[at].kind != FAKE_DIR)
			return -ENOTDIR;
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if (len == 2 && !memcmp(path, "..", 2)) {
			if (at == 0)
				return -ENOENT;
			i = (int)fake.node[at].parent;
		} else if (len != 1 || *path != '.') {
			i = child(at, path, len);
		}
		if (i > 0 && fake.node[i].kind == FAKE_LINK &&
		    (path[len] == '/' || follow))
			i = walk_link(at, &fake.node[i], links);
		if (i < 0)
			return i;
		if (path[len] == '/' && fake.node[i].kind != FAKE_DIR)
			return -ENOTDIR;
		at = (uint32_t)i;
		path = rest;
	}
	return (int)at;
}

static struct open *find(int fd)
{
	int i = fd - FIRST_FD;

	return i >= 0 && i < MAX_FDS && fake.fd[i].used ? &fake.fd[i] : NULL;
}

static int resolve(int at, const char *path, bool follow)
{
	size_t n = strlen(FAKE_SYSFS_ROOT);
	const struct open *o = find(at);
	unsigned links = 0;

	if (*path == '/') {
		if (strncmp(path, FAKE_SYSFS_ROOT, n) != 0)
			return -ENOENT;
		return path[n] ? walk(0, path + n + 1, follow, &links) : 0;
	}
	return o ? walk(o->node, path, follow, &links) : -EBADF;
}

static int fake_openat(int at, const char *path, int flags)
{
	int rc = fate();
	int node = rc ? rc : resolve(at, path, true);

	if (node < 0)
		return say(node);
	if (fake.node[node].kind == FAKE_DENIED)
		return say(-EACCES);
	if (flags & O_DIRECTORY && fake.node[node].kind != FAKE_DIR)
		return say(-ENOTDIR);
	if (fake.node[node].kind == FAKE_FIFO && !(flags & O_NONBLOCK))
		abort(); /* it would never return */
	for (int i = 0; i < MAX_FDS; i++) {
		if (fake.fd[i].used)
			continue;
		fake.fd[i] =
		        (struct open){.used = true, .node = (uint32_t)node};
		return FIRST_FD + i;
	}
	return say(-EMFILE);
}

static int fake_close(int fd)
{
	struct open *o = find(fd);

	if (!o)
		abort(); /* closed twice, or never opened */
	o->used = false;
	return 0;
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	struct open *o = find(fd);
	const struct node *n = o ? &fake.node[o->node] : NULL;
	int rc = fate();

	if (rc || !n)
		return say(rc ? rc : -EBADF);
	if (n->kind == FAKE_DIR)
		return say(-EISDIR);
	if (n->kind == FAKE_GOING)
		return say(-ENODEV);
	if (n->kind == FAKE_SICK && o->at > 0)
		return say(-EIO);
	if (len > n->len - o->at)
		len = n->len - o->at;
	if (fake.mood.chunk && len > fake.mood.chunk)
		len = fake.mood.chunk;
	if (len)
		memcpy(buf, (const char *)n->data + o->at, len);
	o->at += len;
	return n->kind == FAKE_SICK && !len ? say(-EIO) : (ssize_t)len;
}

static int fake_fstatat(int at, const char *path, struct stat *ret, int flags)
{
	static const mode_t mode[] = {
	        [FAKE_FILE] = S_IFREG,   [FAKE_DIR] = S_IFDIR,
	        [FAKE_LINK] = S_IFLNK,   [FAKE_FIFO] = S_IFIFO,
	        [FAKE_DENIED] = S_IFDIR, [FAKE_SICK] = S_IFREG,
	        [FAKE_GOING] = S_IFREG,
	};
	const struct open *o = find(at);
	int node = fate();

	if (node == 0 && !*path)
		node = o && flags & AT_EMPTY_PATH ? (int)o->node : -EBADF;
	else if (node == 0)
		node = resolve(at, path, !(flags & AT_SYMLINK_NOFOLLOW));
	if (node < 0)
		return say(node);
	*ret = (struct stat){.st_mode = mode[fake.node[node].kind],
	                     .st_ino = (ino_t)node + 1};
	return 0;
}

static ssize_t fake_readlinkat(int at, const char *path, char *buf, size_t len)
{
	int rc = fate();
	int node = rc ? rc : resolve(at, path, false);
	const struct node *n;

	if (node < 0)
		return say(node);
	n = &fake.node[node];
	if (n->kind != FAKE_LINK)
		return say(-EINVAL);
	if (len > n->len)
		len = n->len;
	memcpy(buf, n->data, len);
	return (ssize_t)len;
}

/* The nth entry of a folder: "." and "..", then its children. */
static const char *entry(uint32_t dir, size_t nth)
{
	if (nth < 2)
		return nth ? ".." : ".";
	nth -= 2;
	for (uint32_t k = 1; k < fake.nr; k++) {
		uint32_t i = fake.mood.backwards ? fake.nr - k : k;

		if (fake.node[i].parent == dir && nth-- == 0)
			return fake.node[i].name;
	}
	return NULL;
}

static ssize_t fake_getdents(int fd, void *buf, size_t len)
{
	struct open *o = find(fd);
	size_t used = 0;
	int rc = fate();
	const char *name;

	if (rc || !o)
		return say(rc ? rc : -EBADF);
	if (fake.node[o->node].kind != FAKE_DIR)
		return say(-ENOTDIR);
	while ((name = entry(o->node, o->at))) {
		struct dirent64 *e = (void *)((char *)buf + used);
		size_t size =
		        offsetof(struct dirent64, d_name) + strlen(name) + 1;

		size = (size + 7) & ~(size_t)7;
		if (size > len - used)
			break;
		e->d_ino = 1;
		e->d_off = 0;
		e->d_reclen = (unsigned short)size;
		e->d_type = DT_UNKNOWN;
		strcpy(e->d_name, name);
		used += size;
		o->at++;
	}
	return (ssize_t)used;
}

/* Takes name, which is len bytes, and nothing of it when there is no room. */
static int add(uint32_t dir, const char *name, size_t len, enum fake_kind kind)
{
	char *copy;

	if (fake.nr == MAX_NODES || len > NAME_MAX)
		return -ENOSPC;
	copy = strndup(name, len);
	if (!copy)
		exit(1);
	fake.node[fake.nr] =
	        (struct node){.name = copy, .parent = dir, .kind = kind};
	return (int)fake.nr++;
}

bool fake_sysfs_put(enum fake_kind kind, const char *path, const void *data,
                    size_t len)
{
	uint32_t at = 0;

	for (;;) {
		size_t n = strcspn(path, "/");
		bool last = path[n] == '\0';
		int i;

		if (n == 0 || (n <= 2 && !strncmp(path, "..", n)) ||
		    fake.node[at].kind != FAKE_DIR)
			return false;
		i = child(at, path, n);
		if (last && i >= 0)
			return false;
		if (i < 0)
			i = add(at, path, n, last ? kind : FAKE_DIR);
		if (i < 0)
			return false;
		at = (uint32_t)i;
		if (last)
			break;
		path += n + 1;
	}
	fake.node[at].data = data;
	fake.node[at].len = len;
	return true;
}

void fake_sysfs_new(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.node[0].kind = FAKE_DIR;
	fake.nr = 1;
	fake.table = sys_kernel;
	fake.table.openat = fake_openat;
	fake.table.close = fake_close;
	fake.table.read = fake_read;
	fake.table.fstatat = fake_fstatat;
	fake.table.readlinkat = fake_readlinkat;
	fake.table.getdents = fake_getdents;
	sys = &fake.table;
}

void fake_sysfs_free(void)
{
	sys = &sys_kernel;
	for (uint32_t i = 1; i < fake.nr; i++)
		free(fake.node[i].name);
	fake.nr = 0;
}

void fake_sysfs_mood(const struct fake_sysfs_mood *mood)
{
	fake.mood = *mood;
	fake.calls = 0;
	memset(fake.said, 0, sizeof(fake.said));
}

uint32_t fake_sysfs_nr_open(void)
{
	uint32_t nr = 0;

	for (int i = 0; i < MAX_FDS; i++)
		nr += fake.fd[i].used;
	return nr;
}

bool fake_sysfs_said(int err)
{
	return err < 0 && err > -256 && fake.said[-err];
}
