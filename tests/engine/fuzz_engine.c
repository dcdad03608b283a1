/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes as calls on a domain whose IOVAs the caller chooses, judged by the
 * oracle: one lane maps, unmaps and asks in both directions, a second one only
 * translates and polls when told to, so it may hold what is gone, but never
 * beyond its ticket. Aborts where engine and oracle differ.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/sluice.h>
#include "yardstick/yardstick.h"

#define PAGE UINT64_C(4096)
#define LARGE (UINT64_C(1) << 21)
#define AREA (4 * LARGE)
#define BASE (UINT64_C(511) << 30) /* leaf tables of two GiB-sized tables */
#define VA UINT64_C(0x7f0000000000)
#define INFLIGHT 16
#define OP_BYTES 5

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__,          \
			        __LINE__, #x, sluice_last_error());            \
			abort();                                               \
		}                                                              \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct gone {
	uint64_t first, last;
	struct sluice_ticket ticket;
};

struct fuzz {
	struct sluice_engine *engine;
	struct sluice_domain *domain;
	struct sluice_lane *lane[2];
	struct sluice_view *view[2];
	struct oracle *oracle;
	struct gone gone[INFLIGHT];
	unsigned nr_gone;
	uint64_t next_cookie, next_done;
};

struct op {
	unsigned code;
	uint64_t first, last, va;
	uint32_t prot;
};

static struct op decode(const uint8_t *b)
{
	static const uint32_t prots[] = {SLUICE_READ, SLUICE_WRITE, SLUICE_RW};
	uint64_t at = (b[1] | (uint64_t)(b[2] & 7) << 8) * PAGE;
	uint64_t len = (b[3] % 12 + 1) * PAGE;
	uint64_t shift = b[4] % 4 * PAGE;
	struct op op = {.code = b[0] % 8, .prot = prots[b[0] / 8 % 3]};

	if (b[3] >= 240) { /* large leaves, and ranges that need both sizes */
		at &= ~(LARGE - 1);
		len = (b[3] & 1) ? LARGE : LARGE + 3 * PAGE;
	}
	at %= AREA;
	op.first = BASE + at;
	op.last = op.first + len - 1;
	op.va = VA + at + (b[4] / 4 % 2) * 8 * PAGE + (b[3] >= 240 ? 0 : shift);
	return op;
}

static void forget_passed(struct fuzz *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < f->nr_gone; i++)
		if (!sluice_ticket_passed(f->view[0], f->gone[i].ticket))
			f->gone[n++] = f->gone[i];
	f->nr_gone = n;
}

static int waits(const struct fuzz *f, uint64_t first, uint64_t last)
{
	for (unsigned i = 0; i < f->nr_gone; i++)
		if (first <= f->gone[i].last && last >= f->gone[i].first)
			return 1;
	return 0;
}

static int overlaps(const struct fuzz *f, uint64_t first, uint64_t last)
{
	struct oracle_piece p;

	return !oracle_next(f->oracle, first, &p) && p.iova <= last;
}

static int all_mapped(const struct fuzz *f, uint64_t first, uint64_t last)
{
	struct oracle_piece p;

	for (;;) {
		if (oracle_lookup(f->oracle, first, &p))
			return 0;
		if (p.last >= last)
			return 1;
		first = p.last + 1;
	}
}

/* Does a large leaf span the border before at? One call maps a block with it
 * when the block lies inside the call and the addresses are congruent. */
static int splits(const struct fuzz *f, uint64_t at)
{
	uint64_t block = at & ~(LARGE - 1);
	struct oracle_piece p;

	return at != block && !oracle_lookup(f->oracle, at, &p) &&
	       p.iova <= block && p.last >= block + LARGE - 1 &&
	       ((p.oa ^ p.iova) & (LARGE - 1)) == 0;
}

static void do_map(struct fuzz *f, const struct op *op)
{
	struct sluice_map_req req = {.va = op->va,
	                             .len = op->last - op->first + 1,
	                             .prot = op->prot,
	                             .flags = SLUICE_MAP_FIXED};
	sluice_iova_t iova = op->first;
	int rc = sluice_map(f->view[0], &req, &iova);

	/* Where nobody translates, tickets pass there. */
	forget_passed(f);
	if (waits(f, op->first, op->last)) {
		CHECK(rc == -EBUSY);
	} else if (overlaps(f, op->first, op->last)) {
		CHECK(rc == -EEXIST);
	} else {
		CHECK(rc == 0);
		/* Each call its own tag: the oracle must not join them. */
		CHECK(!oracle_map_tag(f->oracle, op->first, op->last, op->va,
		                      op->prot, ++f->next_cookie));
	}
}

static void do_unmap(struct fuzz *f, const struct op *op)
{
	struct gone *g = &f->gone[f->nr_gone];
	int rc, cut = splits(f, op->first) || splits(f, op->last + 1);
	int whole = all_mapped(f, op->first, op->last);

	rc = sluice_unmap(f->view[0], op->first, op->last - op->first + 1,
	                  f->next_cookie + 1, &g->ticket);
	if (rc == -EAGAIN) {
		CHECK(f->next_cookie >= f->next_done);
		return;
	}
	if (rc == 1) {
		CHECK(whole && !cut);
		CHECK(!oracle_unmap(f->oracle, op->first, op->last, NULL,
		                    NULL));
		CHECK(f->nr_gone < INFLIGHT);
		g->first = op->first;
		g->last = op->last;
		f->nr_gone++;
		f->next_cookie++;
	} else {
		CHECK(rc == -ENOENT ? !whole : rc == -ERANGE && cut);
	}
}

static void do_translate(struct fuzz *f, unsigned who, const struct op *op)
{
	uint64_t len = op->last - op->first + 1;
	struct oracle_piece p;
	sluice_oa_t oa = 0;
	int64_t n =
	        sluice_translate(f->view[who], op->first, len, op->prot, &oa);
	int live = !oracle_lookup(f->oracle, op->first, &p);

	/* What another lane holds may be gone, while its ticket waits. */
	if (who == 1 && waits(f, op->first, op->first) && n != -EFAULT)
		return;
	if (!live) {
		CHECK(n == -EFAULT);
	} else if (op->prot & ~p.prot) {
		CHECK(n == -EACCES);
	} else {
		CHECK(n > 0 && (uint64_t)n <= len);
		CHECK(oa == p.oa + (op->first - p.iova));
		CHECK(op->first + (uint64_t)n - 1 <= p.last);
	}
}

static void do_va(struct fuzz *f, const struct op *op)
{
	struct oracle_piece p;
	sluice_iova_t iova = 0;
	int64_t n = sluice_va_to_iova(f->view[0], op->va, 1, &iova);

	CHECK(n == 1 || n == -EFAULT);
	if (n == 1) {
		CHECK(!oracle_lookup(f->oracle, iova, &p));
		CHECK(p.oa + (iova - p.iova) == op->va);
	}
}

static void do_poll(struct fuzz *f, unsigned who)
{
	struct sluice_completion c[4];
	uint32_t n = sluice_poll(f->lane[who], c, who ? 1 : 4);

	CHECK(who == 0 || n == 0);
	for (uint32_t i = 0; i < n; i++) {
		CHECK(c[i].op == SLUICE_OP_UNMAP && c[i].result == 0);
		CHECK(c[i].cookie > f->next_done); /* in the order of calls */
		f->next_done = c[i].cookie;
	}
	forget_passed(f);
}

static void set_up(struct fuzz *f)
{
	const struct sluice_engine_cfg ecfg = {.max_lanes = 2,
	                                       .max_table_bytes = 1u << 20};
	const struct sluice_domain_cfg cfg = {
	        .format = SLUICE_PT_VTDSS,
	        .flags = SLUICE_DOMAIN_CALLER_IOVA | SLUICE_DOMAIN_VA_LOOKUP,
	        .tlb_entries = 16,
	        .log_records = 64,
	        .max_inflight = INFLIGHT,
	};

	memset(f, 0, sizeof(*f));
	CHECK((f->oracle = oracle_new()));
	CHECK(!sluice_engine_open(&ecfg, &f->engine));
	CHECK(!sluice_domain_create(f->engine, &cfg, &f->domain));
	for (int i = 0; i < 2; i++) {
		CHECK(!sluice_lane_open(f->engine, NULL, &f->lane[i]));
		CHECK(!sluice_view_open(f->lane[i], f->domain, &f->view[i]));
	}
}

static void tear_down(struct fuzz *f)
{
	sluice_lane_offline(f->lane[1]);
	CHECK(!sluice_drain(f->lane[0], UINT64_C(1000000000)));
	for (int i = 0; i < 2; i++) {
		CHECK(!sluice_view_close(f->view[i]));
		CHECK(!sluice_lane_close(f->lane[i]));
	}
	CHECK(!sluice_domain_destroy(f->domain));
	CHECK(!sluice_engine_close(f->engine));
	oracle_free(f->oracle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f;

	set_up(&f);
	for (size_t i = 0; i + OP_BYTES <= size && i < 4000; i += OP_BYTES) {
		struct op op = decode(data + i);

		switch (op.code) {
		case 0:
		case 1:
			do_map(&f, &op);
			break;
		case 2:
		case 3:
			do_unmap(&f, &op);
			break;
		case 4:
			do_translate(&f, 0, &op);
			break;
		case 5:
			do_translate(&f, 1, &op);
			break;
		case 6:
			do_va(&f, &op);
			break;
		default:
			do_poll(&f, op.prot == SLUICE_RW);
			break;
		}
	}
	tear_down(&f);
	return 0;
}
