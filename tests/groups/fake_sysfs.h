/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder of files in memory, served through the table of system calls: as
 * fast as a fuzzer wants it, and with what no temporary folder can hold (a
 * read that fails half-way, a name of any bytes). Knows paths, links and
 * descriptors; nothing of groups. One of them at a time.
 */
#ifndef SLUICE_TESTS_GROUPS_FAKE_SYSFS_H
#define SLUICE_TESTS_GROUPS_FAKE_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path that the fake serves; any other does not exist. */
#define FAKE_SYSFS_ROOT "/fake"

enum fake_kind {
	FAKE_FILE,
	FAKE_DIR,
	FAKE_LINK,   /* data: the target */
	FAKE_FIFO,   /* opened to be read without O_NONBLOCK it would hang */
	FAKE_DENIED, /* -EACCES when it is opened */
	FAKE_SICK,   /* a file: -EIO after the first bytes */
	FAKE_GOING,  /* a file whose device is just removed: -ENODEV */
	FAKE_NR_KINDS,
};

/* Takes the kernel's place. Ends the process when there is no memory. */
void fake_sysfs_new(void);
/* All that was put in; the kernel's place is free again. */
void fake_sysfs_free(void);

/* Parents are made, data belongs to the caller. What is there already stays as
 * it is, and there is room for some hundred: false. */
bool fake_sysfs_put(enum fake_kind kind, const char *path, const void *data,
                    size_t len);

/* How the next calls behave. */
struct fake_sysfs_mood {
	bool backwards;   /* folders list their last entry first */
	uint32_t chunk;   /* a read gives at most so many bytes; 0: all */
	uint32_t fail_at; /* this call, counted from 1, fails; 0: none */
	int fail_with;    /* with -errno */
};
/* Begins a new count of calls, and forgets what was answered. */
void fake_sysfs_mood(const struct fake_sysfs_mood *mood);

/* How many descriptors are open. */
uint32_t fake_sysfs_nr_open(void);

/* Was -errno ever answered in this mood? */
bool fake_sysfs_said(int err);

#endif
