/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's side of the copy: a file or block device that is read into, and
 * written from, pieces of an arena. By io_uring with the arena as fixed buffers
 * where that can be had; else by pread() and pwrite(), with the same results.
 * Knows no controller.
 */
#ifndef FILE_H
#define FILE_H

#include <sluice/sluice.h>
#include <stdbool.h>
#include <stdint.h>

/* Direct I/O wants memory, offsets and lengths in multiples of this; a device's
 * own block may be smaller. */
#define FILE_ALIGN 4096u

struct file;

struct file_cfg {
	const char *path;
	bool write;     /* else it is only read */
	bool cached;    /* no O_DIRECT, even where it is possible */
	bool no_uring;  /* pread() and pwrite() even where io_uring is */
	uint32_t depth; /* requests in flight */
};

struct file_info {
	uint64_t size;  /* when it was opened */
	bool is_device; /* a block device */
	bool direct;    /* past the page cache */
	bool uring;
	/* Since it was opened. */
	uint64_t requests; /* of io_uring; all on fixed buffers */
	uint64_t enters;   /* io_uring_enter() calls that made them */
	uint64_t preads;   /* pread() and pwrite() calls */
};

struct file_done {
	uint32_t tag;
	int result; /* 0 or -errno */
};

/* Every piece that is moved lies in the arena. */
int file_open(const struct file_cfg *cfg, struct sluice_arena *arena,
              struct file **ret_file);
/* Nothing is in flight. NULL is fine. */
void file_close(struct file *file);
const struct file_info *file_get_info(const struct file *file);

/* Begins to move len bytes at offset at. Of room bytes at va, len rounded up to
 * FILE_ALIGN are there to be read into, or hold zeroes after len to be written
 * from. tag: below depth, in flight once. Cannot fail: file_poll() tells. */
void file_start(struct file *file, bool write, uint32_t tag, void *va,
                uint32_t len, uint64_t at);
/* What has ended. wait: sleeps until something has, if anything is in flight.
 * Ends early when the kernel refuses requests altogether: -errno. */
int file_poll(struct file *file, bool wait, struct file_done *out,
              uint32_t max);
uint32_t file_in_flight(const struct file *file);

/* Makes what was written durable, and the file (not a device) size bytes long.
 */
int file_finish(struct file *file, uint64_t size);

#endif
