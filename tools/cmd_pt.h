/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the parts of `sluice pt` share: the options, a running script, and how
 * results leave as text or JSON. Knows tables by <sluice/pagetable.h> only.
 */
#ifndef SLUICE_TOOLS_CMD_PT_H
#define SLUICE_TOOLS_CMD_PT_H

#include "tools/tool.h"

#include <sluice/base.h>
#include <sluice/pagetable.h>

#include <stddef.h>
#include <stdint.h>

#define PTCMD "pt"
#define PTCMD_NR_OF(a) (sizeof(a) / sizeof((a)[0]))

struct ptcmd_options {
	const char *format; /* NULL: not given */
	const char *load;   /* --load FILE */
	uint64_t bits, oas, granule_lg2, levels;
	unsigned flags; /* SLUICE_PT_* */
	int json, list, raw;
	int has_base, has_root; /* of a raw image */
	uint64_t base, root;
	int has_word, has_level; /* --decode WORD --level L */
	uint64_t word, level;
};

/* A script that runs, or whatever else prints results. */
struct ptcmd {
	struct sluice_pt *pt;
	const char *format;
	unsigned long line; /* 0: no script */
	int failed;
	int json;
	cJSON *results; /* json: what was printed since the last dump */
};

/* A command of the script. */
struct ptcmd_command {
	const char *name;
	int min, max; /* arguments */
	/* arg ends with NULL */
	void (*run)(struct ptcmd *s, char **arg);
	const char *usage; /* what follows the name */
};
extern const struct ptcmd_command ptcmd_edits[]; /* end with a NULL name */
extern const struct ptcmd_command ptcmd_looks[];

/* cmd_pt_options.c: -1: go on; otherwise the exit code, and stderr says why. */
int ptcmd_options(int argc, char **argv, struct ptcmd_options *o);
/* The table that the options describe, in s. As ptcmd_options(). */
int ptcmd_create(const struct ptcmd_options *o, struct ptcmd *s);

/* cmd_pt_load.c: fills s->pt. As ptcmd_options(). */
int ptcmd_load(const struct ptcmd_options *o, struct ptcmd *s);

/* cmd_pt_list.c: what the format with this number can be; -1: each format. An
 * exit code. */
int ptcmd_list(int format, int json);

/* cmd_pt_show.c: the line of the script failed. */
void ptcmd_complain(struct ptcmd *s, const char *what, const char *why);
/* ... with the message of the library and the name of the error. */
void ptcmd_complain_err(struct ptcmd *s, const char *what, int64_t err);
/* Arguments; complain and return -1 when they are none. */
int ptcmd_number(struct ptcmd *s, const char *cmd, const char *arg,
                 uint64_t *ret);
int ptcmd_range(struct ptcmd *s, const char *cmd, char **arg,
                uint64_t *ret_iova, uint64_t *ret_len);
int ptcmd_prot(struct ptcmd *s, const char *cmd, const char *arg,
               uint32_t *ret);
/* A new member of the results; NULL in text mode. */
cJSON *ptcmd_result(struct ptcmd *s, const char *cmd);
void ptcmd_hex(cJSON *obj, const char *name, uint64_t v);
const char *ptcmd_prot_name(uint32_t prot);
/* For sluice_pt_config: prints; ctx is a struct ptcmd. */
void ptcmd_invalidate(void *ctx, sluice_iova_t iova, uint64_t len);
/* "4K", "2M" for 12, 21. */
struct ptcmd_size {
	char text[8];
};
struct ptcmd_size ptcmd_size(unsigned lg2);
/* Numbers of the set bits, each plus add. */
cJSON *ptcmd_bits_json(uint64_t set, unsigned add);
/* One document: the results so far and, with dump, the table. 0, -errno. */
int ptcmd_json(struct ptcmd *s, int dump);
/* What a word means. 0, -errno. */
int ptcmd_explain(struct ptcmd *s, uint64_t word, uint32_t level);

#endif
