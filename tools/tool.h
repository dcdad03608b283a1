/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands of `sluice` share: exit codes, usage errors, numbers,
 * JSON files, progress. Knows nothing of DMA.
 */
#ifndef SLUICE_TOOLS_TOOL_H
#define SLUICE_TOOLS_TOOL_H

#include <cjson/cJSON.h>
#include <stdint.h>

/* Exit codes, a contract. */
#define TOOL_OK 0
#define TOOL_FAILED 1
#define TOOL_USAGE 2

int cmd_bench(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_groups(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_pt(int argc, char **argv);

/* Says what is wrong with the command line on stderr. Returns TOOL_USAGE. */
int tool_usage(const char *cmd, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
/* Says what failed on stderr. Returns TOOL_FAILED. */
int tool_failed(const char *cmd, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

/* Prints the version. Returns TOOL_OK. */
int tool_version(void);

/* A number in [min, max], decimal or 0x…, with K, M or G for 2^10, 2^20, 2^30.
 * Returns 0, -EINVAL, -ERANGE. */
int tool_number(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* Writes to a file, or to stdout for "-". Returns TOOL_OK or TOOL_FAILED (and
 * says why). */
int tool_write_json(const char *cmd, const char *path, const cJSON *json);
/* A number that JSON readers see as an integer. */
void tool_json_u64(cJSON *obj, const char *name, uint64_t v);

/* A line on stderr that is rewritten in place: only on a terminal and only
 * once the work has taken a second. Start with zeroes. */
struct tool_progress {
	uint64_t start_ns, shown_ns;
	int shown;
};
void tool_progress(struct tool_progress *p, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));
void tool_progress_end(struct tool_progress *p);

#endif
