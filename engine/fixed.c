/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas in an io_uring's table of fixed buffers. Knows which slots hold which
 * arena and what the kernel's refusals mean; nothing of requests, which are the
 * ring owner's, and nothing of IOVAs.
 */
#include "engine/fixed.h"
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <liburing.h>

#define TABLE_MAX (1u << 14) /* IORING_MAX_REG_BUFFERS of Linux */
#define TABLE_DEFAULT 64u
#define CLEAR_BATCH 64u

/* An arena in the table; sorted by slot. */
struct entry {
	struct sluice_arena *arena;
	uintptr_t va;
	uint64_t len;
	uint32_t slot;
	uint32_t nr;
};

struct sluice_fixed {
	struct home *home;
	struct entry *entry;
	uint32_t nr_entries;
	int ring_fd;
	uint32_t first, nr;
	unsigned piece_lg2;
	bool shared;
	uint64_t pinned; /* bytes */
};

static int check_home(const struct sluice_fixed *f)
{
	return likely(home_mine(f->home)) ? 0 : engine_foreign();
}

/* ---- the kernel's table ---- */

static int update(struct sluice_fixed *f, uint32_t slot,
                  const struct iovec *iov, uint32_t nr)
{
	struct io_uring_rsrc_update2 up = {
	        .offset = slot,
	        .data = (uintptr_t)iov,
	        .nr = nr,
	};

	return sys->uring_register(f->ring_fd, IORING_REGISTER_BUFFERS_UPDATE,
	                           &up, sizeof(up));
}

/* From the last slot down, so that a table that is too short is noticed before
 * anything changes. A slot that is empty already may be emptied. */
static int clear(struct sluice_fixed *f, uint32_t slot, uint32_t nr)
{
	static const struct iovec none[CLEAR_BATCH];

	while (nr) {
		uint32_t n = nr < CLEAR_BATCH ? nr : CLEAR_BATCH;
		int rc = update(f, slot + nr - n, none, n);

		/* Fewer than n: the same batch again. */
		if (rc <= 0)
			return rc ? rc : -EIO;
		if (rc == (int)n)
			nr -= n;
	}
	return 0;
}

static int why_no_table(int rc, bool shared)
{
	switch (rc) {
	case -EBUSY:
		return msg_lit(rc, "the ring has a table of buffers already: "
		                   "share it with SLUICE_FIXED_SHARED");
	case -ENXIO:
		return msg_lit(rc, "the ring has no table of buffers: leave "
		                   "SLUICE_FIXED_SHARED out, and it gets one");
	case -EBADF:
	case -EOPNOTSUPP:
		return msg_lit(rc, "ring_fd is not the descriptor of an "
		                   "io_uring");
	case -EINVAL:
		if (shared)
			return msg_lit(rc, "the ring's table of buffers ends "
			                   "below first + nr: make a larger "
			                   "one, it cannot grow");
		return msg_lit(-EOPNOTSUPP,
		               "this kernel has no sparse tables of buffers: "
		               "they came with Linux 5.19");
	case -EEXIST:
		return msg_lit(rc, "the ring has a single issuer "
		                   "(IORING_SETUP_SINGLE_ISSUER), and this "
		                   "thread is not the one");
	default:
		return msg_fmt(rc,
		               "io_uring_register() for the ring's table: "
		               "%s",
		               msg_errname(rc));
	}
}

static int make_table(struct sluice_fixed *f)
{
	struct io_uring_rsrc_register reg = {
	        .nr = f->first + f->nr,
	        .flags = IORING_RSRC_REGISTER_SPARSE,
	};
	int rc = f->shared ? clear(f, f->first, f->nr)
	                   : sys->uring_register(f->ring_fd,
	                                         IORING_REGISTER_BUFFERS2, &reg,
	                                         sizeof(reg));

	return rc ? why_no_table(rc, f->shared) : 0;
}

/* ---- open and close ---- */

static int check_cfg(const struct sluice_fixed_cfg *cfg)
{
	uint32_t nr = cfg->nr ? cfg->nr : TABLE_DEFAULT;

	if (cfg->ring_fd < 0)
		return msg_lit(-EINVAL, "ring_fd is not a descriptor");
	if (cfg->flags & ~SLUICE_FIXED_SHARED)
		return msg_lit(-EINVAL, "only SLUICE_FIXED_SHARED is a flag of "
		                        "fixed buffers");
	if (nr > TABLE_MAX || cfg->first > TABLE_MAX - nr)
		return msg_fmt(-EINVAL,
		               "a ring's table has %u slots at most: choose "
		               "first + nr below that",
		               TABLE_MAX);
	return 0;
}

static void fixed_free(struct sluice_fixed *f)
{
	home_close(f->home);
	free(f->entry);
	free(f);
}

int fixed_open_pieces(const struct sluice_fixed_cfg *cfg, unsigned piece_lg2,
                      struct sluice_fixed **ret_fixed)
{
	struct sluice_fixed *f;
	int rc;

	if (!cfg || !ret_fixed)
		return msg_lit(-EINVAL, "cfg or ret_fixed is NULL");
	rc = check_cfg(cfg);
	if (rc)
		return rc;
	f = calloc(1, sizeof(*f));
	if (!f)
		return msg_lit(-ENOMEM, "no memory for fixed buffers");
	f->ring_fd = cfg->ring_fd;
	f->first = cfg->first;
	f->nr = cfg->nr ? cfg->nr : TABLE_DEFAULT;
	f->shared = cfg->flags & SLUICE_FIXED_SHARED;
	f->piece_lg2 = piece_lg2;
	rc = home_open(&f->home);
	rc = rc ? msg_lit(rc, "no memory for fixed buffers") : make_table(f);
	if (rc) {
		fixed_free(f);
		return rc;
	}
	*ret_fixed = f;
	return 0;
}

int sluice_fixed_open(const struct sluice_fixed_cfg *cfg,
                      struct sluice_fixed **ret_fixed)
{
	return fixed_open_pieces(cfg, FIXED_PIECE_LG2, ret_fixed);
}

void sluice_fixed_close(struct sluice_fixed *f)
{
	if (!f || check_home(f))
		return;
	/* What the kernel will not let go of stays pinned until the ring is
	 * closed: its pages are nobody else's before that. */
	for (uint32_t i = 0; i < f->nr_entries; i++) {
		(void)clear(f, f->entry[i].slot, f->entry[i].nr);
		arena_drop(f->entry[i].arena);
	}
	if (!f->shared)
		(void)sys->uring_register(f->ring_fd, IORING_UNREGISTER_BUFFERS,
		                          NULL, 0);
	fixed_free(f);
}

/* ---- arenas in and out ---- */

/* The lowest run of nr empty slots; *ret_at: before which entry. */
static int find_run(const struct sluice_fixed *f, uint32_t nr, uint32_t *ret_at,
                    uint32_t *ret_slot)
{
	uint32_t slot = f->first, longest = 0;

	for (uint32_t i = 0; i <= f->nr_entries; i++) {
		uint32_t end =
		        i < f->nr_entries ? f->entry[i].slot : f->first + f->nr;

		if (end - slot >= nr) {
			*ret_at = i;
			*ret_slot = slot;
			return 0;
		}
		if (end - slot > longest)
			longest = end - slot;
		if (i < f->nr_entries)
			slot = f->entry[i].slot + f->entry[i].nr;
	}
	return msg_fmt(-ENOSPC,
	               "the arena wants %u slots in a row, the table has %u of "
	               "its %u: take an arena out, or open with a larger nr",
	               nr, longest, f->nr);
}

static int why_not_pinned(const struct sluice_fixed *f, int rc, uint64_t len)
{
	struct rlimit lim = {.rlim_cur = RLIM_INFINITY};
	unsigned long long want = len, have = f->pinned;

	if (rc == -EEXIST)
		return why_no_table(rc, f->shared);
	if (rc != -ENOMEM)
		return msg_fmt(rc, "io_uring_register() for %llu bytes: %s",
		               want, msg_errname(rc));
	if (sys->getrlimit(RLIMIT_MEMLOCK, &lim) ||
	    lim.rlim_cur == RLIM_INFINITY)
		return msg_fmt(rc, "no memory to pin %llu bytes for io_uring",
		               want);
	/* The kernel counts for the user, so how much of the limit was left is
	 * not known; what is asked for is enough in any case. */
	return msg_fmt(rc,
	               "cannot pin %llu bytes more for io_uring: this user may "
	               "lock %llu bytes in all (RLIMIT_MEMLOCK), of which this "
	               "ring has %llu; `ulimit -l %llu` is enough",
	               want, (unsigned long long)lim.rlim_cur, have,
	               ((unsigned long long)lim.rlim_cur + want + 1023) / 1024);
}

/* Piece by piece: a call for several would not tell which one failed. */
static int pin(struct sluice_fixed *f, const struct entry *e)
{
	uint64_t piece = bit64(f->piece_lg2);

	for (uint32_t i = 0; i < e->nr; i++) {
		uint64_t off = (uint64_t)i << f->piece_lg2;
		struct iovec iov = {(void *)(e->va + off),
		                    min_u64(piece, e->len - off)};
		int rc = update(f, e->slot + i, &iov, 1);

		if (rc == 1)
			continue;
		rc = why_not_pinned(f, rc < 0 ? rc : -EIO, e->len);
		(void)clear(f, e->slot, i);
		return rc;
	}
	return 0;
}

static struct entry *find(const struct sluice_fixed *f,
                          const struct sluice_arena *arena)
{
	for (uint32_t i = 0; i < f->nr_entries; i++)
		if (f->entry[i].arena == arena)
			return &f->entry[i];
	return NULL;
}

static int make_room(struct sluice_fixed *f)
{
	struct entry *more =
	        realloc(f->entry, (f->nr_entries + 1) * sizeof(*more));

	if (!more)
		return msg_lit(-ENOMEM, "no memory for fixed buffers");
	f->entry = more;
	return 0;
}

int sluice_fixed_add(struct sluice_fixed *f, struct sluice_arena *arena)
{
	struct entry e = {.arena = arena};
	uint32_t at;
	int rc;

	if (!f || !arena)
		return msg_lit(-EINVAL, "fixed or arena is NULL");
	if (check_home(f))
		return -EPERM;
	if (find(f, arena))
		return msg_lit(-EEXIST, "the arena is in the table already");
	arena_hold(arena, &e.va, &e.len);
	e.nr = (uint32_t)((e.len + bit64(f->piece_lg2) - 1) >> f->piece_lg2);
	rc = find_run(f, e.nr, &at, &e.slot);
	if (rc == 0)
		rc = make_room(f);
	if (rc == 0)
		rc = pin(f, &e);
	if (rc) {
		arena_drop(arena);
		return rc;
	}
	memmove(f->entry + at + 1, f->entry + at,
	        (f->nr_entries - at) * sizeof(e));
	f->entry[at] = e;
	f->nr_entries++;
	f->pinned += e.len;
	return 0;
}

int sluice_fixed_remove(struct sluice_fixed *f, struct sluice_arena *arena)
{
	struct entry *e;
	int rc;

	if (!f || !arena)
		return msg_lit(-EINVAL, "fixed or arena is NULL");
	if (check_home(f))
		return -EPERM;
	e = find(f, arena);
	if (!e)
		return msg_lit(-ENOENT, "the arena is not in the table");
	rc = clear(f, e->slot, e->nr);
	if (rc)
		return msg_fmt(rc, "io_uring_register() to empty %u slots: %s",
		               e->nr, msg_errname(rc));
	arena_drop(arena);
	f->pinned -= e->len;
	f->nr_entries--;
	memmove(e, e + 1, (size_t)(f->entry + f->nr_entries - e) * sizeof(*e));
	return 0;
}

int64_t sluice_fixed_index(const struct sluice_fixed *f, const void *va,
                           uint64_t len, uint32_t *ret_index)
{
	uintptr_t at = (uintptr_t)va;

	if (!f || !ret_index || len == 0)
		return msg_lit(-EINVAL, "fixed or ret_index is NULL, or len 0");
	if (check_home(f))
		return -EPERM;
	for (uint32_t i = 0; i < f->nr_entries; i++) {
		const struct entry *e = &f->entry[i];
		uint64_t off = at - e->va, piece = bit64(f->piece_lg2);

		if (off >= e->len)
			continue;
		*ret_index = e->slot + (uint32_t)(off >> f->piece_lg2);
		len = min_u64(len, e->len - off);
		return (int64_t)min_u64(len, piece - (off & (piece - 1)));
	}
	return msg_lit(-EFAULT, "the address lies in no arena of the table");
}
