/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The copy, and walks of it. A lock makes each write-back of a line one step;
 * walks load words, so other threads may go on.
 */
#include "shadow.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pagetable/pt_walk.h"

#define POISON 0xa5a5a5a5a5a5a5a5u
#define LINE_WORDS (CACHELINE / sizeof(uint64_t))

static struct {
	pthread_mutex_t lock;
	const au64 *live;
	au64 *copy;
	au32 *known;     /* a line has been written back */
	uint32_t *stamp; /* operation that wrote it back last ... */
	uint32_t *times; /* ... and how often */
	uint32_t *lost;  /* operation that forgets it */
	uint64_t lines;
	uint64_t high; /* one more than the last line ever written back */
	uint32_t op;
	uint64_t drop;
	uint64_t useful;
	struct shadow_count nr;
	void (*hook)(void *ctx, bool after);
	void *ctx;
} sh = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *zeroes(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

void shadow_open(uint64_t bytes)
{
	sh.live = NULL;
	sh.lines = bytes / CACHELINE;
	sh.copy = zeroes(bytes);
	sh.known = zeroes(sh.lines * sizeof(*sh.known));
	sh.stamp = zeroes(sh.lines * sizeof(*sh.stamp));
	sh.times = zeroes(sh.lines * sizeof(*sh.times));
	sh.lost = zeroes(sh.lines * sizeof(*sh.lost));
	sh.high = 0;
	sh.op = 0;
	sh.drop = 0;
	sh.useful = 0;
	shadow_begin();
}

void shadow_close(void)
{
	munmap(sh.copy, sh.lines * CACHELINE);
	munmap(sh.known, sh.lines * sizeof(*sh.known));
	munmap(sh.stamp, sh.lines * sizeof(*sh.stamp));
	munmap(sh.times, sh.lines * sizeof(*sh.times));
	munmap(sh.lost, sh.lines * sizeof(*sh.lost));
	sh.hook = NULL;
}

uint64_t shadow_base(void)
{
	return (uintptr_t)sh.live;
}

const void *shadow_memory(void)
{
	return (const void *)sh.copy;
}

void shadow_begin(void)
{
	sh.op++;
	sh.nr = (struct shadow_count){0};
}

struct shadow_count shadow_counts(void)
{
	return sh.nr;
}

void shadow_drop(uint64_t nth)
{
	sh.drop = nth ? sh.useful + nth : 0;
}

bool shadow_dropped(void)
{
	return sh.drop && sh.useful >= sh.drop;
}

void shadow_hook(void (*fn)(void *ctx, bool after), void *ctx)
{
	sh.hook = fn;
	sh.ctx = ctx;
}

static bool line_differs(uint64_t line)
{
	if (!ld_rlx(&sh.known[line]))
		return true;
	for (uint64_t i = line * LINE_WORDS; i < (line + 1) * LINE_WORDS; i++)
		if (ld_rlx(&sh.live[i]) != ld_rlx(&sh.copy[i]))
			return true;
	return false;
}

static void line_back(uint64_t line)
{
	for (uint64_t i = line * LINE_WORDS; i < (line + 1) * LINE_WORDS; i++)
		st_rlx(&sh.copy[i], ld_acq(&sh.live[i]));
	/* Release: the words first; pairs with word_at. */
	for_rel(&sh.known[line], 1);
	sh.high = max_u64(sh.high, line + 1);
}

/* Lines [first, end) as the pool counts them. */
static void lines_back(uint64_t first, uint64_t end)
{
	bool useful = false;
	bool drop;

	for (uint64_t i = first; i < end; i++) {
		bool differs = line_differs(i);

		useful |= differs;
		sh.nr.lines++;
		if (sh.stamp[i] != sh.op) {
			sh.stamp[i] = sh.op;
			sh.times[i] = 0;
			sh.nr.distinct++;
			sh.nr.changed += differs;
		}
		sh.nr.most = max_u64(sh.nr.most, ++sh.times[i]);
	}
	sh.useful += useful;
	drop = useful && sh.useful == sh.drop;
	for (uint64_t i = first; i < end; i++) {
		if (drop)
			sh.lost[i] = sh.op;
		if (sh.lost[i] != sh.op)
			line_back(i);
	}
}

void pt_flush_lines(const void *p, uint64_t bytes)
{
	static _Thread_local bool inside;
	bool outer = !inside && sh.hook;
	uint64_t first;
	uint64_t end;

	/* The root is the first page of a pool, which begins a huge page. */
	if (!sh.live)
		sh.live = (const au64 *)align_down((uintptr_t)p, 21);
	first = ((uintptr_t)p - (uintptr_t)sh.live) / CACHELINE;
	end = ((uintptr_t)p + bytes - (uintptr_t)sh.live + CACHELINE - 1) /
	      CACHELINE;
	if (outer) {
		inside = true;
		sh.hook(sh.ctx, false);
	}
	pthread_mutex_lock(&sh.lock);
	sh.nr.calls++;
	if (first >= sh.lines || end > sh.lines || first >= end)
		sh.nr.outside++;
	else
		lines_back(first, end);
	pthread_mutex_unlock(&sh.lock);
	if (outer) {
		sh.hook(sh.ctx, true);
		inside = false;
	}
}

bool pt_can_flush(void)
{
	return true;
}

void shadow_take(const void *p)
{
	pthread_mutex_lock(&sh.lock);
	line_back(((uintptr_t)p - (uintptr_t)sh.live) / CACHELINE);
	pthread_mutex_unlock(&sh.lock);
}

void shadow_evict(uint64_t *seed)
{
	pthread_mutex_lock(&sh.lock);
	for (uint64_t i = 0; i < sh.high; i++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		if (*seed >> 63 && line_differs(i))
			line_back(i);
	}
	pthread_mutex_unlock(&sh.lock);
}

/* A word of the copy; false: no place of the pool. */
static bool word_at(const au64 *p, uint64_t *ret)
{
	uint64_t i = ((uintptr_t)p - (uintptr_t)sh.live) / sizeof(*p);

	if (i / LINE_WORDS >= sh.lines)
		return false;
	/* Pairs with line_back. */
	*ret = ld_acq(&sh.known[i / LINE_WORDS]) ? ld_rlx(&sh.copy[i]) : POISON;
	return true;
}

struct scan {
	const struct pt *pt;
	unsigned top;
	bool live;
	shadow_leaf_fn *fn;
	void *ctx;
};

static const char *scan_leaf(const struct scan *s, uint64_t w, unsigned level,
                             unsigned index, uint64_t iova)
{
	const struct pt_fmt *f = s->pt->fmt;
	const struct pt_geo *g = &s->pt->geo;
	unsigned cont = pt_word_cont(f, g, w, level);
	unsigned shift = pt_shift(f, g, level);
	uint64_t at = pt_signed_iova(g, iova);
	struct pt_run item = {
	        .iova = at,
	        .last = at | mask64(shift),
	        .oa = pt_word_oa(f, g, w, level, cont) +
	              ((index & mask64(cont)) << shift),
	        .prot = pt_word_prot(f, w, level),
	};

	return s->fn(s->ctx, &item, shift + cont) ? NULL : "a wrong leaf";
}

static const char *scan_table(const struct scan *s, const au64 *t,
                              unsigned level, uint64_t base)
{
	const struct pt_fmt *f = s->pt->fmt;
	const struct pt_geo *g = &s->pt->geo;
	unsigned slots = pt_slots(f, g, level, s->top);
	unsigned shift = pt_shift(f, g, level);
	const char *wrong = NULL;

	for (unsigned i = 0; i < slots && !wrong; i++) {
		uint64_t iova = base + ((uint64_t)i << shift);
		uint64_t quiet = 0;
		uint64_t w;
		bool link;

		if (!word_at(&t[i], &w))
			return "a link to what is no table";
		if (w == POISON)
			return "memory that was never written back";
		w = pt_order(f, w);
		link = pt_is_link(f, w, level);
		if (link)
			quiet = f->link_shared | f->link_flushed;
		if (s->live && ((w ^ pt_load(f, &t[i])) & ~quiet))
			return "a word that was not written back";
		if (w == pt_empty(f, level))
			continue;
		if (link)
			wrong = scan_table(s, pt_word_table(f, w), level - 1,
			                   iova);
		else if (pt_is_leaf(f, w, level))
			wrong = scan_leaf(s, w, level, i, iova);
		else
			return "a word that means nothing";
	}
	return wrong;
}

const char *shadow_scan(const struct pt *pt, uint64_t root, bool live,
                        shadow_leaf_fn *fn, void *ctx)
{
	struct scan s = {pt, pt_root_top(root), live, fn, ctx};

	return scan_table(&s, pt_root_table(root), s.top, 0);
}

int shadow_walk(const struct pt *pt, uint64_t root, uint64_t iova,
                struct pt_run *ret)
{
	const struct pt_fmt *f = pt->fmt;
	const struct pt_geo *g = &pt->geo;
	const au64 *t = pt_root_table(root);
	unsigned top = pt_root_top(root);
	unsigned level = top;

	for (;; level--) {
		uint64_t w;

		if (!word_at(&t[pt_index(f, g, iova, level, top)], &w) ||
		    w == POISON)
			return -EIO;
		w = pt_order(f, w);
		if (pt_is_link(f, w, level)) {
			t = pt_word_table(f, w);
			continue;
		}
		if (!pt_is_leaf(f, w, level))
			return w == pt_empty(f, level) ? -ENOENT : -EIO;
		pt_leaf_run(f, g, level, iova, w, ret);
		return 0;
	}
}
