/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stream ids of one SMMU, for whoever drives it: which device has which,
 * which of its match entries devices share, the group that goes with them. Arm
 * IHI 0062 (SMMUv2), SMMU_SMRn: an entry matches ids by value and by a mask of
 * bits that do not count; what becomes of an id that two entries match is a
 * fault or cannot be told. No hardware, firmware table or file is touched.
 *
 * What is known of an id is never forgotten: its group is its group for good,
 * and once it has been attached it is blocked while nobody has it.
 *
 * Thread: any, one call at a time on one struct sluice_streams. Nothing blocks.
 */
#ifndef SLUICE_STREAM_H
#define SLUICE_STREAM_H

#include <sluice/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ids that are id but for the bits of mask. */
struct sluice_stream_match {
	uint32_t id;
	uint32_t mask; /* bits that do not count */
};

enum sluice_stream_state {
	/* What the SMMU does with unknown ids, which may be bypass. */
	SLUICE_STREAM_NEVER = 0,
	SLUICE_STREAM_ATTACHED,
	SLUICE_STREAM_BLOCKED, /* known, and nobody has it now */
};

/* One entry of the hardware's table, used by one device or more. */
struct sluice_stream_entry {
	struct sluice_stream_match match;
	uint32_t users; /* matches of devices that it serves */
	uint32_t group;
};

struct sluice_streams;

/**
 * sluice_streams_create() - an SMMU of which no id is known.
 * @ret_streams: owned by the caller, freed by sluice_streams_destroy()
 *
 * Returns: 0; -EINVAL for NULL; -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_streams_create(
        struct sluice_streams **ret_streams);
/* NULL is fine. */
SLUICE_API void sluice_streams_destroy(struct sluice_streams *streams);

/**
 * sluice_streams_add() - a device comes.
 * @dev:       its name, any; copied
 * @match:     nr of them, copied
 * @ret_group: NULL, or the number of its group, from 0 on
 *
 * Two devices share an entry when the match of one covers that of the other,
 * and are one group then. All of it is done or nothing.
 *
 * Returns: 0, or with a message that names both devices: -EINVAL (no name, no
 * match; a match that overlaps another's in part; ids that belong to two groups
 * already: groups never merge), -EEXIST (the device is there already), -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_streams_add(
        struct sluice_streams *streams, const char *dev,
        const struct sluice_stream_match *match, uint32_t nr,
        uint32_t *ret_group);

/**
 * sluice_streams_remove() - a device goes; entries that others use stay.
 *
 * Returns: 0; -ENOENT, with a message, when it is not there; -EINVAL for NULL.
 */
SLUICE_API int sluice_streams_remove(struct sluice_streams *streams,
                                     const char *dev);

/* What becomes of requests under this id. */
SLUICE_API enum sluice_stream_state sluice_streams_state(
        const struct sluice_streams *streams, uint32_t id);

/* The group of a device. Returns: 0; -ENOENT, with a message, when it is not
 * there; -EINVAL for NULL. */
SLUICE_API SLUICE_MUST_CHECK int sluice_streams_group(
        const struct sluice_streams *streams, const char *dev,
        uint32_t *ret_group);

/**
 * sluice_streams_entries() - what the hardware has to hold now.
 * @ret: room for max entries; NULL with max 0
 *
 * No two of them match one id. Returns: how many there are, max or not.
 */
SLUICE_API uint32_t sluice_streams_entries(const struct sluice_streams *streams,
                                           struct sluice_stream_entry *ret,
                                           uint32_t max);

#ifdef __cplusplus
}
#endif
#endif
