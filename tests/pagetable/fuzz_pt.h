/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the two files of fuzz_pt share: the game, a call, and how to give up.
 */
#ifndef SLUICE_TESTS_FUZZ_PT_H
#define SLUICE_TESTS_FUZZ_PT_H

#include <errno.h>

#include "carry.h"
#include "model.h"
#include "shapes.h"

#define UNITS ((uint64_t)1024)

struct side {
	struct sluice_pt *pt;
	struct model m;
	/* The invalidate callback. */
	uint64_t told, told_iova, told_len;
	bool want_absent; /* what it is told of must not be mapped */
};

struct fuzz {
	const struct shape *shape;
	struct sluice_pt_config cfg;
	struct sluice_pt_info info;
	struct side side[2]; /* the second may be missing */
	bool rich;           /* memory cannot run out */
	bool breaks;         /* changed leaves are absent when told */
	unsigned calls;
	struct carry_hold hold;
};

/* b: the eight bytes of the call. */
struct op {
	const uint8_t *b;
	struct side *s, *other;
	bool flag;
	uint64_t i, n, iova, len, oa;
	uint32_t prot;
};

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x))                                                      \
			give_up(__FILE__, __LINE__, #x);                       \
	} while (0)
_Noreturn void give_up(const char *file, int line, const char *what);

static inline bool out_of_memory(const struct fuzz *z, int64_t got)
{
	return got == -ENOMEM && !z->rich;
}

static inline void op_span(struct op *op, uint64_t i, uint64_t n)
{
	op->i = i;
	op->n = n;
	op->iova = model_iova(&op->s->m, i);
	op->len = n << op->s->m.unit_lg2;
}

/* Both tables around a span: what one does, the other must not see. */
void check_near(const struct fuzz *z, uint64_t i, uint64_t n);

typedef void fuzz_call(struct fuzz *z, struct op *op);
extern fuzz_call *const fuzz_calls[32];

#endif
