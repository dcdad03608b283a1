/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arenas: memory mapped once. Slots travel through a stack per lane, traded in
 * bulk with a lock-free stack; other pieces are carved under a mutex.
 */
#include "engine/arena_mem.h"
#include "engine/engine_int.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STACK 126
/* A lane keeps at most this part of the slots to itself. */
#define SHARE 16

/* One lane's hand: slots by their distance from the arena's start, so that get
 * and put multiply and divide nothing; 1 KiB, lines of its own. */
struct slot_stack {
	_Alignas(CACHELINE) uint32_t nr;
	uint64_t off[STACK];
};

struct sluice_arena {
	struct sluice_domain *domain;
	struct arena_mem mem;
	uint8_t *va;
	uint64_t iova;
	uint64_t slot_size;
	uint32_t hand; /* most slots at a lane, 1 .. STACK */
	uint32_t nr_slots;
	struct idxstack depot;     /* slots at no lane */
	au32 *links;               /* of the depot */
	struct slot_stack *stacks; /* by lane id */
	struct zombie *zombie;     /* for the end: destroy cannot fail */
	pthread_mutex_t lock;      /* guards the two below */
	uint64_t next;             /* first byte not carved */
	uint32_t held;             /* tables that have the memory pinned */
};

static void arena_release(void *ctx)
{
	struct sluice_arena *a = ctx;

	arena_mem_free(&a->mem);
	pthread_mutex_destroy(&a->lock);
	free(a->links);
	free(a->stacks);
	free(a);
}

static int check_cfg(const struct sluice_arena_cfg *cfg)
{
	if (cfg->size == 0)
		return msg_lit(-EINVAL, "the arena's size is 0");
	if (cfg->prot & ~SLUICE_RW)
		return msg_lit(-EINVAL, "prot must be SLUICE_READ, "
		                        "SLUICE_WRITE or both");
	if (cfg->flags & ~SLUICE_MAP_32BIT)
		return msg_lit(-EINVAL, "only SLUICE_MAP_32BIT is a flag of "
		                        "arenas");
	if (cfg->slot_size % 64)
		return msg_lit(-EINVAL, "slot_size must be a multiple of 64");
	if (cfg->slots_bytes && !cfg->slot_size)
		return msg_lit(-EINVAL, "slots_bytes without slot_size");
	if (cfg->slots_bytes > cfg->size ||
	    (cfg->slot_size && cfg->slot_size > cfg->size))
		return msg_lit(-EINVAL, "the slots are larger than the arena");
	return 0;
}

/* Every slot starts in the depot, the lowest on top. */
static int fill_slots(struct sluice_arena *a, uint64_t bytes)
{
	uint64_t nr = bytes / a->slot_size;

	if (nr == 0 || nr > 1u << 30)
		return msg_lit(-EINVAL, "too many or too few slots: choose "
		                        "another slot_size or size");
	a->links = calloc(nr, sizeof(*a->links));
	if (!a->links)
		return msg_lit(-ENOMEM, "no memory for the arena's slots");
	a->nr_slots = (uint32_t)nr;
	a->hand = (uint32_t)min_u64(max_u64(nr / SHARE, 1), STACK);
	idxstack_init(&a->depot, a->links);
	for (uint32_t i = a->nr_slots; i > 0; i--)
		idxstack_push(&a->depot, &(uint32_t){i - 1}, 1);
	a->next = nr * a->slot_size;
	return 0;
}

/* An empty hand for each lane. */
static int arena_stacks(struct sluice_arena *a)
{
	uint32_t lanes = a->domain->engine->cfg.max_lanes;
	size_t stacks = lanes * sizeof(struct slot_stack);

	a->stacks = aligned_alloc(CACHELINE, stacks);
	if (!a->stacks)
		return msg_lit(-ENOMEM, "no memory for an arena");
	memset(a->stacks, 0, stacks);
	return 0;
}

static int arena_init(struct sluice_arena *a,
                      const struct sluice_arena_cfg *cfg)
{
	int rc;

	a->zombie = calloc(1, sizeof(*a->zombie));
	if (!a->zombie)
		return msg_lit(-ENOMEM, "no memory for an arena");
	rc = arena_stacks(a);
	if (rc)
		return rc;
	rc = arena_mem_alloc(cfg->size, cfg->no_huge, &a->mem);
	if (rc)
		return msg_fmt(rc, "cannot allocate %llu bytes for an arena",
		               (unsigned long long)cfg->size);
	a->va = a->mem.va;
	a->slot_size = cfg->slot_size;
	if (a->slot_size)
		return fill_slots(a, cfg->slots_bytes ? cfg->slots_bytes
		                                      : a->mem.len);
	return 0;
}

static void say_kind(struct sluice_domain *d, const struct arena_mem *mem)
{
	static const char *const kind[] = {
	        [SLUICE_PAGES_PLAIN] = "plain 4 KiB pages",
	        [SLUICE_PAGES_THP] = "transparent huge pages",
	        [SLUICE_PAGES_HUGE] = "hugetlb pages",
	};

	domain_log(d, SLUICE_LOG_INFO, "arena of %llu bytes on %s%s%s",
	           (unsigned long long)mem->len, kind[mem->kind],
	           mem->why ? ": " : "", mem->why ? mem->why : "");
}

int sluice_arena_create(struct sluice_domain *domain,
                        const struct sluice_arena_cfg *cfg,
                        struct sluice_arena **ret_arena)
{
	struct sluice_arena *a;
	int rc;

	if (!domain || !cfg || !ret_arena)
		return msg_lit(-EINVAL, "domain, cfg or ret_arena is NULL");
	if (engine_check(domain->engine))
		return -EPERM;
	rc = check_cfg(cfg);
	if (rc)
		return rc;
	a = calloc(1, sizeof(*a));
	if (!a)
		return msg_lit(-ENOMEM, "no memory for an arena");
	pthread_mutex_init(&a->lock, NULL);
	a->domain = domain;
	rc = arena_init(a, cfg);
	if (rc == 0) {
		say_kind(domain, &a->mem);
		pthread_mutex_lock(&domain->lock);
		rc = domain_map_now(domain, (uintptr_t)a->va, a->mem.len,
		                    cfg->prot ? cfg->prot : SLUICE_RW,
		                    cfg->flags, &a->iova);
		if (rc == 0)
			domain->nr_arenas++;
		pthread_mutex_unlock(&domain->lock);
	}
	if (rc) {
		free(a->zombie);
		arena_release(a);
		return rc;
	}
	*ret_arena = a;
	return 0;
}

void arena_hold(struct sluice_arena *a, uintptr_t *ret_va, uint64_t *ret_len)
{
	pthread_mutex_lock(&a->lock);
	a->held++;
	pthread_mutex_unlock(&a->lock);
	*ret_va = (uintptr_t)a->va;
	*ret_len = a->mem.len;
}

void arena_drop(struct sluice_arena *a)
{
	pthread_mutex_lock(&a->lock);
	a->held--;
	pthread_mutex_unlock(&a->lock);
}

static bool is_held(struct sluice_arena *a)
{
	uint32_t held;

	pthread_mutex_lock(&a->lock);
	held = a->held;
	pthread_mutex_unlock(&a->lock);
	if (!held)
		return false;
	msg_fmt(-EBUSY,
	        "the arena is not destroyed: it is in %u tables of fixed "
	        "buffers; call sluice_fixed_remove() first",
	        held);
	domain_log(a->domain, SLUICE_LOG_ERROR, "%s", sluice_last_error());
	return true;
}

void sluice_arena_destroy(struct sluice_arena *a)
{
	struct sluice_domain *d;

	if (!a)
		return;
	d = a->domain;
	if (engine_check(d->engine))
		return;
	if (is_held(a))
		return;
	a->zombie->release = arena_release;
	a->zombie->ctx = a;
	pthread_mutex_lock(&d->lock);
	d->nr_arenas--;
	domain_unmap_later(d, a->iova, a->mem.len, a->zombie);
	pthread_mutex_unlock(&d->lock);
}

int arena_carve(struct sluice_arena *whole, uint64_t len, uint64_t slot_size,
                struct sluice_arena **ret_arena)
{
	struct sluice_arena *a = calloc(1, sizeof(*a));
	struct sluice_buf piece;
	int rc;

	if (!a)
		return msg_lit(-ENOMEM, "no memory for an arena");
	pthread_mutex_init(&a->lock, NULL);
	a->domain = whole->domain;
	a->slot_size = slot_size;
	a->mem.len = len;
	rc = arena_stacks(a);
	if (!rc)
		rc = fill_slots(a, len);
	if (!rc)
		rc = sluice_arena_alloc(whole, len, SLUICE_PAGE_SIZE, &piece);
	if (rc) {
		arena_release(a);
		return rc;
	}
	a->va = piece.va;
	a->iova = piece.iova;
	*ret_arena = a;
	return 0;
}

void *arena_start(const struct sluice_arena *a)
{
	return a->va;
}

void arena_drop_carved(struct sluice_arena *a)
{
	if (a)
		arena_release(a);
}

enum sluice_page_kind sluice_arena_page_kind(const struct sluice_arena *a)
{
	return a->mem.kind;
}

void sluice_arena_get_info(const struct sluice_arena *a,
                           struct sluice_arena_info *ret_info)
{
	*ret_info = (struct sluice_arena_info){
	        .va = a->va,
	        .len = a->mem.len,
	        .iova = a->iova,
	        .page_kind = a->mem.kind,
	        .domain = a->domain,
	};
}

int sluice_arena_alloc(struct sluice_arena *a, uint64_t len, uint64_t align,
                       struct sluice_buf *ret_buf)
{
	uint64_t at, end;
	int rc = 0;

	if (align == 0)
		align = CACHELINE;
	if (len == 0 || align & (align - 1) || align > a->mem.len)
		return msg_lit(-EINVAL, "len must not be 0 and align must be "
		                        "a power of two within the arena");
	pthread_mutex_lock(&a->lock);
	at = (a->next + align - 1) & ~(align - 1);
	if (__builtin_add_overflow(at, len, &end) || end > a->mem.len)
		rc = msg_fmt(-ENOSPC,
		             "the arena has %llu bytes left, %llu are "
		             "wanted",
		             (unsigned long long)(a->mem.len - a->next),
		             (unsigned long long)len);
	else
		a->next = end;
	pthread_mutex_unlock(&a->lock);
	if (rc == 0)
		*ret_buf = (struct sluice_buf){a->va + at, a->iova + at};
	return rc;
}

/* Half a hand is traded at a time. */
static uint32_t trade(const struct sluice_arena *a)
{
	return (a->hand + 1) / 2;
}

/* What lanes that were closed have left in their hands. Under the engine's
 * lock, if nobody has it: no lane opens or closes meanwhile, and what a closed
 * one did came before it closed. */
static void salvage(struct sluice_arena *a, struct slot_stack *s)
{
	struct sluice_engine *e = a->domain->engine;

	if (pthread_mutex_trylock(&e->lock))
		return;
	for (uint32_t i = 0; i < e->cfg.max_lanes; i++) {
		struct slot_stack *left = &a->stacks[i];

		while (!e->lanes[i] && left->nr && s->nr < a->hand)
			s->off[s->nr++] = left->off[--left->nr];
	}
	pthread_mutex_unlock(&e->lock);
}

static int refill(struct sluice_arena *a, struct slot_stack *s)
{
	uint32_t slot[STACK], nr;

	if (!a->nr_slots)
		return msg_lit(-EOPNOTSUPP, "the arena was created without "
		                            "slots: set slot_size");
	nr = idxstack_pop_many(&a->depot, slot, trade(a));
	while (nr)
		s->off[s->nr++] = slot[--nr] * a->slot_size;
	if (s->nr == 0)
		salvage(a, s);
	if (s->nr == 0)
		return msg_lit(-ENOBUFS, "every slot is out: put some back, "
		                         "or create a larger arena");
	return 0;
}

static always_inline void take(const struct sluice_arena *a,
                               struct slot_stack *s, struct sluice_buf *ret)
{
	uint64_t off = s->off[--s->nr];

	ret->va = a->va + off;
	ret->iova = a->iova + off;
}

/* The rare ways of get and put, whole, so that the common ones need no stack
 * frame. */
static noinline int get_slow(struct sluice_arena *a, struct slot_stack *s,
                             struct sluice_buf *ret_buf)
{
	int rc = refill(a, s);

	if (rc == 0)
		take(a, s, ret_buf);
	return rc;
}

/* The oldest go: the newest are warm. */
static noinline void put_slow(struct sluice_arena *a, struct slot_stack *s,
                              uint64_t off)
{
	uint32_t slot[STACK], nr = trade(a);

	for (uint32_t i = 0; i < nr; i++)
		slot[i] = (uint32_t)(s->off[i] / a->slot_size);
	idxstack_push(&a->depot, slot, nr);
	s->nr -= nr;
	memmove(s->off, s->off + nr, s->nr * sizeof(s->off[0]));
	s->off[s->nr++] = off;
}

int sluice_arena_get(struct sluice_lane *lane, struct sluice_arena *a,
                     struct sluice_buf *ret_buf)
{
	struct slot_stack *s = &a->stacks[lane->id];

	if (lane_check(lane))
		return -EPERM;
	if (unlikely(s->nr == 0))
		return get_slow(a, s, ret_buf);
	take(a, s, ret_buf);
	return 0;
}

void sluice_arena_put(struct sluice_lane *lane, struct sluice_arena *a,
                      void *va)
{
	struct slot_stack *s = &a->stacks[lane->id];
	uint64_t off = (uint64_t)((uint8_t *)va - a->va);

	if (lane_check(lane))
		return;
	assert(a->slot_size && off % a->slot_size == 0 && off < a->mem.len);
	if (unlikely(s->nr >= a->hand)) {
		put_slow(a, s, off);
		return;
	}
	s->off[s->nr++] = off;
}

int sluice_arena_iova(const struct sluice_arena *a, const void *va,
                      sluice_iova_t *ret_iova)
{
	uint64_t off = (uint64_t)((const uint8_t *)va - a->va);

	if (off >= a->mem.len)
		return msg_lit(-EFAULT, "the address lies outside the arena");
	*ret_iova = a->iova + off;
	return 0;
}
