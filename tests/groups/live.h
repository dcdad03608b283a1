/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A machine whose devices come and go: a tree (tree.h) that is changed as the
 * kernel changes sysfs, and a socket on which it says so. A folder that goes is
 * kept aside, so that the next one of its name has another inode, as in sysfs.
 */
#ifndef SLUICE_TESTS_GROUPS_LIVE_H
#define SLUICE_TESTS_GROUPS_LIVE_H

#include <sluice/watch.h>

#include "tree.h"

#define LIVE_CLASS "0x020000\n"

struct live {
	struct tree tree;
	int fd[2]; /* the watch's end, and the kernel's */
	unsigned gone;
	int quiet; /* nothing is said */
};

void live_new(struct live *l);
void live_free(struct live *l);

/* Each does it and says it. group: -1 for none. */
void live_add(struct live *l, const char *bdf, int group, const char *driver);
void live_remove(struct live *l, const char *bdf, int group);
void live_bind(struct live *l, const char *bdf, const char *driver);
void live_unbind(struct live *l, const char *bdf);
/* Out of its group and into another; -1: none. Says nothing. */
void live_move(struct live *l, const char *bdf, int from, int to);
/* Nobody says it in a kernel either. */
void live_regions(struct live *l, int group, const char *text);

/* One message, as it stands. */
void live_say(struct live *l, const void *msg, size_t len);
void live_uevent(struct live *l, const char *action, const char *bdf);

struct sluice_watch *live_watch(struct live *l, uint32_t flags);

/* The next events as words: "device-added:0000:01:00.0 group-viable:3 …", with
 * '!' in front of losses. Valid until the next call. */
const char *live_news(struct sluice_watch *w);

#endif
