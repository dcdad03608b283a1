/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounce mode: an arena for each direction, its slots in sizes, and the choice
 * between a copy and a mapping. Whoever has a slot has it alone, and a slot
 * that nobody has is zero: so wiping is a part of the unmap. Knows lengths and
 * directions; how bytes move is bounce_copy.c's, what is cheaper
 * bounce_measure.c's.
 */
#include "engine/bounce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_LG2 10 /* of SLUICE_BOUNCE_MIN_SLOT */
#define STEP_LG2 2 /* from size to size */
#define MAX_SIZES 7
#define DEFAULT_MAX (64u << 10)
#define DEFAULT_BYTES (4u << 20)

_Static_assert(SLUICE_BOUNCE_MIN_SLOT == 1u << MIN_LG2, "two names differ");
_Static_assert(SLUICE_BOUNCE_MAX_LEN <= SLUICE_BOUNCE_MIN_SLOT
                                                << STEP_LG2 * (MAX_SIZES - 1),
               "the longest slot has no size");

/* The slots of one direction. */
struct pool {
	struct sluice_arena *whole; /* NULL: none */
	struct sluice_arena *slots[MAX_SIZES];
};

struct sluice_bounce {
	struct sluice_domain *domain;
	au64 break_even;
	uint64_t max_len;
	uint32_t nr_sizes;
	bool words;
	bool write_only;
	struct pool pool[SLUICE_RW + 1]; /* by prot; that of 0 is empty */
	struct sluice_bounce_info info;
};

/* ---- creation ---- */

static uint64_t size_of(const struct sluice_bounce *b, uint32_t size)
{
	return min_u64((uint64_t)SLUICE_BOUNCE_MIN_SLOT << STEP_LG2 * size,
	               b->max_len);
}

/* The smallest that holds len, which is at most max_len. */
static always_inline uint32_t size_for(uint64_t len)
{
	uint32_t lg2 = lg2_ceil(len);

	return lg2 <= MIN_LG2 ? 0 : (lg2 - MIN_LG2 + STEP_LG2 - 1) / STEP_LG2;
}

static int check_cfg(const struct sluice_domain *d,
                     const struct sluice_bounce_cfg *cfg)
{
	if (d->cfg.mode == SLUICE_MODE_LAZY)
		return msg_lit(-EINVAL, "bounce is strict protection: create "
		                        "the domain in strict mode");
	if (cfg->max_len < SLUICE_PAGE_SIZE ||
	    cfg->max_len > SLUICE_BOUNCE_MAX_LEN ||
	    cfg->max_len & (cfg->max_len - 1))
		return msg_lit(-EINVAL, "max_len must be a power of two from "
		                        "4096 to SLUICE_BOUNCE_MAX_LEN");
	if (cfg->directions & ~SLUICE_BOUNCE_ALL_DIRECTIONS)
		return msg_lit(-EINVAL, "directions is a set of "
		                        "SLUICE_BOUNCE_TO_DEVICE, "
		                        "_FROM_DEVICE and _BOTH");
	if (cfg->flags & ~SLUICE_MAP_32BIT)
		return msg_lit(-EINVAL, "only SLUICE_MAP_32BIT is a flag of "
		                        "bounce slots");
	return 0;
}

static void pool_close(struct pool *pool)
{
	for (uint32_t i = 0; i < MAX_SIZES; i++)
		arena_drop_carved(pool->slots[i]);
	sluice_arena_destroy(pool->whole);
}

/* Every part is a multiple of max_len, and begins at a page. */
static int pool_open(struct sluice_bounce *b,
                     const struct sluice_bounce_cfg *cfg, uint32_t prot)
{
	struct pool *pool = &b->pool[prot];
	uint64_t part = cfg->bytes / b->nr_sizes & ~(b->max_len - 1);
	struct sluice_arena_cfg arena = {
	        .size = part * b->nr_sizes,
	        .prot = prot == SLUICE_WRITE && !b->write_only ? SLUICE_RW
	                                                       : prot,
	        .flags = cfg->flags,
	        .no_huge = cfg->no_huge,
	};
	int rc = 0;

	if (part == 0)
		return msg_fmt(-EINVAL,
		               "%llu bytes are too few for %u sizes of slots "
		               "up to max_len: at least %llu",
		               (unsigned long long)cfg->bytes, b->nr_sizes,
		               (unsigned long long)(b->max_len * b->nr_sizes));
	rc = sluice_arena_create(b->domain, &arena, &pool->whole);
	for (uint32_t i = 0; i < b->nr_sizes && !rc; i++)
		rc = arena_carve(pool->whole, part, size_of(b, i),
		                 &pool->slots[i]);
	if (!rc) {
		b->info.bytes += arena.size;
		b->info.directions |= 1u << prot;
	}
	return rc;
}

static int learn_costs(struct sluice_bounce *b, void *slot, bool maps,
                       struct bounce_costs *c)
{
	int rc = bounce_measure(b->domain, slot, b->max_len, maps, c);

	if (rc)
		return rc;
	b->words = c->words;
	if (maps)
		st_rlx(&b->break_even, bounce_break_even(c, b->max_len));
	if (maps && !c->map_page_ns)
		domain_log(b->domain, SLUICE_LOG_WARN,
		           "bounce: the kernel refused scratch memory, so what "
		           "a mapping costs is not known: all that fits is "
		           "copied");
	else
		domain_log(b->domain, SLUICE_LOG_INFO,
		           "bounce: 4 KiB copied in %llu ns, mapped in %llu; "
		           "%llu KiB in %llu and %llu",
		           (unsigned long long)c->copy_page_ns,
		           (unsigned long long)c->map_page_ns,
		           (unsigned long long)b->max_len >> 10,
		           (unsigned long long)c->copy_max_ns,
		           (unsigned long long)c->map_max_ns);
	b->info.copy_page_ns = c->copy_page_ns;
	b->info.copy_max_ns = c->copy_max_ns;
	b->info.map_page_ns = c->map_page_ns;
	b->info.map_max_ns = c->map_max_ns;
	return 0;
}

/* max_len bytes that no lane has yet. */
static void *first_slot(struct sluice_bounce *b)
{
	for (uint32_t prot = SLUICE_READ; prot <= SLUICE_RW; prot++)
		if (b->pool[prot].whole)
			return arena_start(b->pool[prot].whole);
	return NULL;
}

static int bounce_init(struct sluice_bounce *b,
                       const struct sluice_bounce_cfg *cfg)
{
	struct bounce_costs costs = {0};
	int rc = bounce_learn(b->domain, &costs);

	b->max_len = cfg->max_len;
	b->nr_sizes = size_for(b->max_len) + 1;
	b->write_only = costs.write_only;
	st_rlx(&b->break_even, cfg->break_even);
	for (uint32_t prot = SLUICE_READ; prot <= SLUICE_RW && !rc; prot++)
		if (cfg->directions & 1u << prot)
			rc = pool_open(b, cfg, prot);
	if (!rc)
		rc = learn_costs(b, first_slot(b), !cfg->break_even, &costs);
	b->info.max_len = b->max_len;
	b->info.write_only = b->write_only;
	return rc;
}

int sluice_bounce_create(struct sluice_domain *domain,
                         const struct sluice_bounce_cfg *cfg,
                         struct sluice_bounce **ret_bounce)
{
	struct sluice_bounce_cfg c = {0};
	struct sluice_bounce *b;
	int rc;

	if (!domain || !ret_bounce)
		return msg_lit(-EINVAL, "domain or ret_bounce is NULL");
	if (cfg)
		c = *cfg;
	c.bytes = c.bytes ? c.bytes : DEFAULT_BYTES;
	c.max_len = c.max_len ? c.max_len : DEFAULT_MAX;
	c.directions =
	        c.directions ? c.directions : SLUICE_BOUNCE_ALL_DIRECTIONS;
	rc = check_cfg(domain, &c);
	if (rc)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return msg_lit(-ENOMEM, "no memory for bounce slots");
	b->domain = domain;
	rc = bounce_init(b, &c);
	if (rc) {
		sluice_bounce_destroy(b);
		return rc;
	}
	*ret_bounce = b;
	return 0;
}

void sluice_bounce_destroy(struct sluice_bounce *b)
{
	if (!b)
		return;
	for (uint32_t prot = 0; prot <= SLUICE_RW; prot++)
		pool_close(&b->pool[prot]);
	free(b);
}

void sluice_bounce_get_info(const struct sluice_bounce *b,
                            struct sluice_bounce_info *ret_info)
{
	*ret_info = b->info;
	ret_info->break_even = ld_rlx(&b->break_even);
}

void sluice_bounce_set_break_even(struct sluice_bounce *b, uint64_t break_even)
{
	st_rlx(&b->break_even, break_even);
}

/* ---- map ---- */

/* A slot of the size that fits, or of a larger one. */
static int get_slot(struct sluice_view *view, struct sluice_bounce *b,
                    uint64_t len, uint32_t prot, struct sluice_bounce_buf *buf)
{
	const struct pool *pool = &b->pool[prot];
	struct sluice_buf slot;
	int rc = -ENOBUFS;

	if (unlikely(!pool->whole))
		return msg_lit(-EOPNOTSUPP,
		               "this direction has no slots: name it in "
		               "sluice_bounce_cfg.directions, or map whole "
		               "pages");
	if (unlikely(len > b->max_len))
		return msg_lit(-E2BIG, "the buffer is longer than max_len of "
		                       "sluice_bounce_cfg, and not whole "
		                       "pages: align it or split it");
	for (uint32_t i = size_for(len); i < b->nr_sizes; i++) {
		rc = sluice_arena_get(view->lane, pool->slots[i], &slot);
		if (likely(rc == 0)) {
			buf->iova = slot.iova;
			buf->slot = slot.va;
			buf->size = i;
		}
		if (rc != -ENOBUFS)
			return rc;
	}
	return msg_lit(-ENOBUFS, "every slot that would do is out: unmap "
	                         "buffers, or give sluice_bounce_cfg more "
	                         "bytes");
}

static int check_map(const struct sluice_view *view,
                     const struct sluice_bounce *b, const void *va,
                     uint64_t len, uint32_t prot,
                     const struct sluice_bounce_buf *buf)
{
	uint64_t last;

	if (unlikely(!va || !buf || view->domain != b->domain))
		return msg_lit(-EINVAL, "va or buf is NULL, or the view is on "
		                        "another domain than the slots");
	if (unlikely(!range_last((uintptr_t)va, len, &last)))
		return msg_lit(-EINVAL, "the length is zero or the range wraps "
		                        "around the end of the address space");
	if (unlikely(prot == 0 || prot & ~SLUICE_RW))
		return msg_lit(-EINVAL, "prot must be SLUICE_READ, "
		                        "SLUICE_WRITE or both");
	if (unlikely(buf->prot))
		return msg_lit(-EBUSY, "buf holds a buffer: unmap it first, or "
		                       "clear it before its first use");
	return 0;
}

static noinline int map_pages(struct sluice_view *view,
                              const struct sluice_bounce *b, void *va,
                              uint64_t len, uint32_t prot, uint64_t cookie,
                              struct sluice_bounce_buf *buf)
{
	struct sluice_map_req req = {
	        .va = (uintptr_t)va,
	        .len = len,
	        .prot = prot == SLUICE_WRITE && !b->write_only ? SLUICE_RW
	                                                       : prot,
	        .cookie = cookie,
	};
	sluice_iova_t iova;
	int rc = sluice_map(view, &req, &iova);

	if (rc >= 0)
		*buf = (struct sluice_bounce_buf){
		        .iova = iova, .va = va, .len = len, .prot = prot};
	return rc;
}

int sluice_bounce_map(struct sluice_view *view, struct sluice_bounce *b,
                      void *va, uint64_t len, uint32_t prot, uint64_t cookie,
                      struct sluice_bounce_buf *buf)
{
	bool whole = aligned_lg2((uintptr_t)va | len, SLUICE_PAGE_LG2);
	int rc = check_map(view, b, va, len, prot, buf);

	if (unlikely(rc))
		return rc;
	if (whole && len > ld_rlx(&b->break_even))
		return map_pages(view, b, va, len, prot, cookie, buf);
	rc = get_slot(view, b, len, prot, buf);
	if (unlikely(rc)) {
		if (whole && rc != -EPERM)
			return map_pages(view, b, va, len, prot, cookie, buf);
		return rc;
	}
	/* No return from here. */
	buf->va = va;
	buf->len = len;
	buf->prot = prot;
	if (prot & SLUICE_READ)
		copy_bytes(b->words, buf->slot, va, len);
	return 0;
}

/* ---- unmap, sync ---- */

static int check_held(const struct sluice_bounce_buf *buf)
{
	if (likely(buf && buf->prot))
		return 0;
	return msg_lit(-ENOENT, "buf holds no buffer: it was never mapped, or "
	                        "is unmapped already");
}

static noinline int unmap_pages(struct sluice_view *view,
                                struct sluice_bounce_buf *buf, uint64_t cookie,
                                struct sluice_ticket *ret_ticket)
{
	int rc = sluice_unmap(view, buf->iova, buf->len, cookie, ret_ticket);

	if (rc >= 0)
		buf->prot = 0;
	return rc;
}

int sluice_bounce_unmap(struct sluice_view *view, struct sluice_bounce *b,
                        struct sluice_bounce_buf *buf, uint64_t used,
                        uint64_t cookie, struct sluice_ticket *ret_ticket)
{
	int rc = check_held(buf);

	if (unlikely(rc))
		return rc;
	if (lane_check(view->lane))
		return -EPERM;
	if (used == SLUICE_BOUNCE_USED_ALL)
		used = buf->len;
	if (unlikely(used > buf->len || view->domain != b->domain))
		return msg_lit(-EINVAL, "used is longer than the buffer, or "
		                        "the view is on another domain than "
		                        "the slots");
	if (!buf->slot)
		return unmap_pages(view, buf, cookie, ret_ticket);
	if (buf->prot & SLUICE_WRITE)
		copy_bytes(b->words, buf->va, buf->slot, used);
	copy_wipe(b->words, buf->slot, buf->len);
	sluice_arena_put(view->lane, b->pool[buf->prot].slots[buf->size],
	                 buf->slot);
	buf->prot = 0;
	if (ret_ticket)
		ret_ticket->seq = 0; /* has passed */
	return 0;
}

static int check_part(const struct sluice_bounce_buf *buf, uint64_t off,
                      uint64_t len)
{
	int rc = check_held(buf);

	if (unlikely(rc))
		return rc;
	if (unlikely(off > buf->len || len > buf->len - off))
		return msg_lit(-EINVAL, "the part that is to be synced reaches "
		                        "beyond the buffer");
	return 0;
}

int sluice_bounce_sync_for_cpu(const struct sluice_bounce *b,
                               const struct sluice_bounce_buf *buf,
                               uint64_t off, uint64_t len)
{
	int rc = check_part(buf, off, len);

	if (!rc && buf->slot && buf->prot & SLUICE_WRITE)
		copy_bytes(b->words, (char *)buf->va + off,
		           (char *)buf->slot + off, len);
	return rc;
}

int sluice_bounce_sync_for_device(const struct sluice_bounce *b,
                                  const struct sluice_bounce_buf *buf,
                                  uint64_t off, uint64_t len)
{
	int rc = check_part(buf, off, len);

	if (!rc && buf->slot && buf->prot & SLUICE_READ)
		copy_bytes(b->words, (char *)buf->slot + off,
		           (char *)buf->va + off, len);
	return rc;
}
