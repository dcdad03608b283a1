/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel traces of iommu:map and iommu:unmap as tracefs prints them, plain or
 * gzip. This part reads text into events and refuses what it cannot read; it
 * does not know which domain an event belongs to (plan.h does).
 */
#ifndef SLUICE_TOOLS_TRACE_H
#define SLUICE_TOOLS_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum trace_op { TRACE_MAP, TRACE_UNMAP };

/* len is what the kernel really did: the size of a map, the unmapped_size of
 * an unmap, which is 0 when there was nothing to unmap. */
struct trace_event {
	uint64_t iova;
	uint64_t len;
	uint64_t paddr; /* map only */
	uint32_t line;
	uint32_t op;
};

struct trace {
	struct trace_event *ev;
	size_t nr, room;
	uint64_t nr_maps, nr_unmaps;
	uint64_t nr_other; /* events of other tracepoints, skipped */
	uint64_t nr_lost;  /* events the kernel says it dropped */
	uint32_t nr_lines;
};

/* What is wrong, where, and what to do about it, as one line. */
struct trace_error {
	char text[512];
};

/* Bits of an IOVA and of a physical address that can be replayed. */
#define TRACE_IOVA_BITS 57
#define TRACE_PADDR_BITS 52

/**
 * trace_load() - read a whole trace.
 * @path: a file; "-" is standard input
 *
 * Returns: 0; -errno with err filled. ret is zeroed on failure.
 */
int trace_load(const char *path, struct trace *ret, struct trace_error *err);

/* The same from memory, never compressed: for tests and the fuzzer. */
int trace_parse(const char *name, const char *text, size_t len,
                struct trace *ret, struct trace_error *err);

void trace_free(struct trace *t);

#endif
