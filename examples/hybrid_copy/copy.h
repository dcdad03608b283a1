/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The copy itself: slots of an arena, each of which the kernel fills from a
 * file and a controller empties to its disk, or the other way round. Nobody
 * copies what is in them. Knows the two sides by their headers.
 */
#ifndef COPY_H
#define COPY_H

#include "../nvme_rw/rig.h"
#include "file.h"

struct slot;

/* Where data comes from and goes to. */
enum copy_side { COPY_FILE, COPY_DISK, COPY_NOWHERE };

struct copy {
	struct rig *rig;
	struct sluice_arena *arena;
	struct file *file;
	uint64_t lba;   /* where it begins on the disk */
	uint64_t bytes; /* the last block is filled up with zeroes */
	struct slot *slot;
	uint32_t depth; /* slots */
	uint32_t slot_size;
	uint32_t nr_chunks; /* pieces of slot_size */
	/* Since it was opened. */
	uint64_t uses;     /* of slots: data came into one */
	uint64_t commands; /* of the controller */
};

/* Takes depth slots from the arena, which the file's ring has, too. What is in
 * copy above slot is filled in by the caller. */
int copy_open(struct copy *copy);
void copy_close(struct copy *copy);

/* Moves all of it. crc, if not NULL: the CRC-32 of each chunk as it came, so
 * that the order in which chunks come does not matter. Returns 0, -errno with
 * a message, -ESHUTDOWN when somebody wants the device back; nothing is in
 * flight then. */
int copy_run(struct copy *copy, enum copy_side from, enum copy_side to,
             uint32_t *crc);

/* CRC-32 (as zlib, gzip and PNG have it) of the whole. */
uint32_t copy_crc(const struct copy *copy, const uint32_t *crc);

#endif
