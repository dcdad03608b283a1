/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `sluice doctor`: what is looked at, and what came out.
 */
#ifndef SLUICE_TOOLS_DOCTOR_H
#define SLUICE_TOOLS_DOCTOR_H

#include <stddef.h>

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_NOTE,   /* works, but slower or smaller than it could */
	DOCTOR_BROKEN, /* devices cannot be driven like this */
};

#define DOCTOR_TEXT 512

struct doctor_finding {
	const char *check; /* a word, for scripts */
	enum doctor_state state;
	char text[DOCTOR_TEXT]; /* what is */
	char fix[DOCTOR_TEXT];  /* what to type; lines; "" for nothing */
};

/* Where the machine is: prefixes of what is looked at, for tests. */
struct doctor_place {
	const char *sys;    /* "/sys" */
	const char *proc;   /* "/proc" */
	const char *dev;    /* "/dev" */
	const char *device; /* a PCI address to look at closer, or NULL */
};

/* Each fills in one finding. */
typedef void doctor_check(const struct doctor_place *at,
                          struct doctor_finding *f);

extern doctor_check *const doctor_checks[];
extern const size_t doctor_nr_checks;

#endif
