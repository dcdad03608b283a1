/* SPDX-License-Identifier: BSD-3-Clause */
#include "live.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATH_LEN 1024

static void path_of(const struct live *l, char buf[PATH_LEN], const char *fmt,
                    ...) __attribute__((format(printf, 3, 4)));

static void path_of(const struct live *l, char buf[PATH_LEN], const char *fmt,
                    ...)
{
	int n = snprintf(buf, PATH_LEN, "%s/", l->tree.root);
	va_list ap;

	va_start(ap, fmt);
	n += vsnprintf(buf + n, PATH_LEN - (size_t)n, fmt, ap);
	va_end(ap);
	assert_in_range(n, 1, PATH_LEN - 1);
}

void live_new(struct live *l)
{
	memset(l, 0, sizeof(*l));
	tree_new(&l->tree);
	tree_dir(&l->tree, "kernel/iommu_groups");
	tree_dir(&l->tree, "gone");
	assert_int_equal(
	        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, l->fd), 0);
}

void live_free(struct live *l)
{
	close(l->fd[0]);
	close(l->fd[1]);
	tree_free(&l->tree);
}

void live_say(struct live *l, const void *msg, size_t len)
{
	assert_int_equal(send(l->fd[1], msg, len, 0), (ssize_t)len);
}

void live_uevent(struct live *l, const char *action, const char *bdf)
{
	char msg[1024];
	int n;

	if (l->quiet)
		return;
	n = snprintf(msg, sizeof(msg),
	             "%s@/devices/pci0000:00/%s%cACTION=%s%c"
	             "DEVPATH=/devices/pci0000:00/%s%cSUBSYSTEM=pci%c"
	             "SEQNUM=1%c",
	             action, bdf, 0, action, 0, bdf, 0, 0, 0);
	live_say(l, msg, (size_t)n);
}

void live_add(struct live *l, const char *bdf, int group, const char *driver)
{
	tree_pci(&l->tree, bdf, group, driver, LIVE_CLASS);
	live_uevent(l, "add", bdf);
	if (driver)
		live_uevent(l, "bind", bdf);
}

static void put_aside(struct live *l, const char *path)
{
	char aside[PATH_LEN];

	path_of(l, aside, "gone/%u", l->gone++);
	assert_int_equal(rename(path, aside), 0);
}

static int is_empty(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n == 0;
}

static void leave_group(struct live *l, const char *bdf, int group)
{
	char path[PATH_LEN];

	if (group < 0)
		return;
	path_of(l, path, "kernel/iommu_groups/%d/devices/%s", group, bdf);
	assert_int_equal(unlink(path), 0);
	path_of(l, path, "devices/pci0000:00/%s/iommu_group", bdf);
	assert_int_equal(unlink(path), 0);
	path_of(l, path, "kernel/iommu_groups/%d/devices", group);
	if (!is_empty(path))
		return;
	path_of(l, path, "kernel/iommu_groups/%d", group);
	put_aside(l, path);
}

void live_remove(struct live *l, const char *bdf, int group)
{
	char path[PATH_LEN];

	path_of(l, path, "bus/pci/devices/%s", bdf);
	assert_int_equal(unlink(path), 0);
	leave_group(l, bdf, group);
	path_of(l, path, "devices/pci0000:00/%s", bdf);
	put_aside(l, path);
	live_uevent(l, "remove", bdf);
}

void live_move(struct live *l, const char *bdf, int from, int to)
{
	char path[PATH_LEN], driver[PATH_LEN] = "";
	ssize_t n;

	leave_group(l, bdf, from);
	path_of(l, path, "devices/pci0000:00/%s/driver", bdf);
	n = readlink(path, driver, sizeof(driver) - 1);
	driver[n > 0 ? n : 0] = '\0';
	tree_pci(&l->tree, bdf, to, n > 0 ? strrchr(driver, '/') + 1 : NULL,
	         LIVE_CLASS);
}

void live_unbind(struct live *l, const char *bdf)
{
	char path[PATH_LEN];

	path_of(l, path, "devices/pci0000:00/%s/driver", bdf);
	assert_int_equal(unlink(path), 0);
	live_uevent(l, "unbind", bdf);
}

void live_bind(struct live *l, const char *bdf, const char *driver)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "devices/pci0000:00/%s/driver", bdf);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	tree_link(&l->tree, path, target);
	live_uevent(l, "bind", bdf);
}

void live_regions(struct live *l, int group, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "kernel/iommu_groups/%d/reserved_regions",
	         group);
	tree_file(&l->tree, path, text);
}

struct sluice_watch *live_watch(struct live *l, uint32_t flags)
{
	const struct sluice_watch_cfg cfg = {
	        .sysfs_root = l->tree.root,
	        .flags = flags | SLUICE_WATCH_EVENT_FD,
	        .event_fd = l->fd[0],
	};
	struct sluice_watch *w;

	assert_int_equal(sluice_watch_open(&cfg, &w), 0);
	return w;
}

const char *live_news(struct sluice_watch *w)
{
	static char text[8192];
	struct sluice_watch_event e[8];
	size_t at = 0;
	int n;

	text[0] = '\0';
	do {
		n = sluice_watch_poll(w, e, 8);
		assert_in_range(n, 0, 8);
		for (int i = 0; i < n; i++) {
			at += (size_t)snprintf(text + at, sizeof(text) - at,
			                       "%s%s%s:", at ? " " : "",
			                       e[i].loss ? "!" : "",
			                       e[i].kind_name);
			if (e[i].name)
				at += (size_t)snprintf(text + at,
				                       sizeof(text) - at, "%s",
				                       e[i].name);
			else
				at += (size_t)snprintf(text + at,
				                       sizeof(text) - at, "%d",
				                       e[i].group_id);
			assert_in_range(at, 0, sizeof(text) - 1);
		}
	} while (n == 8);
	return text;
}
