/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of VFIO type1 v2 as linux/vfio.h and the kernel's behaviour state
 * them: a sorted array of mappings, the entry limit, pinned bytes, the
 * capability chain of GET_INFO. Shares no code with the backend under test.
 */
#include "tests/backend/fake_vfio_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/vfio.h>

#define PAGE_MASK 4095u

uint32_t fake_type1_find(const struct fake_container *c, uint64_t iova)
{
	uint32_t lo = 0, hi = c->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->map[mid].iova + (c->map[mid].len - 1) < iova)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool fake_type1_counted(const struct fake_kernel *k, uint64_t va)
{
	return !k->cfg.device.last || va < k->cfg.device.first ||
	       va > k->cfg.device.last;
}

uint64_t fake_type1_locked(const struct fake_kernel *k)
{
	uint64_t sum = k->locked;

	for (uint32_t i = 0; i < FAKE_CONTAINERS; i++)
		sum += k->container[i].pinned;
	return sum;
}

static bool insert(struct fake_container *c, uint32_t at,
                   const struct fake_vfio_mapping *m)
{
	if (c->nr == c->room) {
		uint32_t room = c->room ? c->room * 2 : 64;
		struct fake_vfio_mapping *more =
		        realloc(c->map, room * sizeof(*more));

		if (!more)
			return false;
		c->map = more;
		c->room = room;
	}
	memmove(c->map + at + 1, c->map + at, (c->nr - at) * sizeof(*c->map));
	c->map[at] = *m;
	c->nr++;
	c->pinned += m->counted ? m->len : 0;
	return true;
}

void fake_type1_remove(struct fake_container *c, uint32_t at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (c->map[at + i].counted)
			c->pinned -= c->map[at + i].len;
	memmove(c->map + at, c->map + at + n,
	        (c->nr - at - n) * sizeof(*c->map));
	c->nr -= n;
}

void fake_type1_clear(struct fake_container *c)
{
	free(c->map);
	c->map = NULL;
	c->nr = c->room = 0;
	c->pinned = 0;
}

static bool usable(const struct fake_kernel *k, uint64_t first, uint64_t last)
{
	for (uint32_t i = 0; i < 4; i++)
		if (first >= k->cfg.range[i].first &&
		    last <= k->cfg.range[i].last && k->cfg.range[i].last)
			return true;
	return false;
}

static void pass_time(uint32_t us)
{
	struct timespec now, end;

	if (us == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += us % 1000000 * 1000;
	end.tv_sec += us / 1000000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
	         (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
}

bool fake_type1_refuse(struct fake_kernel *k, unsigned long request,
                       const void *arg, int *ret_rc)
{
	const struct vfio_iommu_type1_dma_map *m = arg;
	const struct vfio_iommu_type1_dma_unmap *u = arg;
	uint64_t iova, len;

	if (request != VFIO_IOMMU_MAP_DMA && request != VFIO_IOMMU_UNMAP_DMA)
		return false;
	iova = request == VFIO_IOMMU_MAP_DMA ? m->iova : u->iova;
	len = request == VFIO_IOMMU_MAP_DMA ? m->size : u->size;
	pass_time(request == VFIO_IOMMU_MAP_DMA ? k->map_us : k->unmap_us);
	if (k->nr_calls < FAKE_CALLS)
		k->call[k->nr_calls++] =
		        (struct fake_vfio_call){request, iova, len};
	*ret_rc = -k->refuse.err;
	return request == k->refuse.request && k->refuse.iova - iova < len &&
	       !k->refuse.partly;
}

/* UNMAP that leaves out the mapping at refuse.iova. */
static int unmap_partly(struct fake_kernel *k, struct fake_container *c,
                        struct vfio_iommu_type1_dma_unmap *a, uint32_t at,
                        uint32_t n)
{
	uint64_t gone = 0;

	if (n == 1)
		return -k->refuse.err;
	while (n--) {
		if (c->map[at].iova == k->refuse.iova) {
			at++;
			continue;
		}
		gone += c->map[at].len;
		fake_type1_remove(c, at, 1);
	}
	a->size = gone;
	return 0;
}

int fake_type1_map(struct fake_kernel *k, struct fake_container *c, void *arg)
{
	struct vfio_iommu_type1_dma_map *a = arg;
	const uint32_t rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	uint64_t last = a->iova + a->size - 1;
	struct fake_vfio_mapping m = {a->iova, a->vaddr, a->size, a->flags,
	                              fake_type1_counted(k, a->vaddr)};
	uint32_t at;

	if (a->argsz < sizeof(*a) || a->flags & ~rw || !(a->flags & rw))
		return -EINVAL;
	if (a->size == 0 || (a->size | a->iova | a->vaddr) & PAGE_MASK)
		return -EINVAL;
	if (last < a->iova || a->vaddr + a->size - 1 < a->vaddr)
		return -EINVAL;
	at = fake_type1_find(c, a->iova);
	if (at < c->nr && c->map[at].iova <= last)
		return -EEXIST;
	if (c->nr + k->others >= k->cfg.entry_limit)
		return -ENOSPC;
	if (!usable(k, a->iova, last))
		return -EINVAL;
	if (k->cfg.memlock && m.counted &&
	    fake_type1_locked(k) + a->size > k->cfg.memlock)
		return -ENOMEM;
	return insert(c, at, &m) ? 0 : -ENOMEM;
}

int fake_type1_unmap(struct fake_kernel *k, struct fake_container *c, void *arg)
{
	struct vfio_iommu_type1_dma_unmap *a = arg;
	uint64_t last = a->iova + a->size - 1, gone = 0;
	bool shorten = k->short_at && --k->short_at == 0;
	uint32_t at, n = 0;

	if (a->argsz < sizeof(*a) || a->flags)
		return -EINVAL;
	if (a->size == 0 || (a->size | a->iova) & PAGE_MASK || last < a->iova)
		return -EINVAL;
	at = fake_type1_find(c, a->iova);
	/* A mapping that sticks out at either end must not be cut in two. */
	if (at < c->nr && c->map[at].iova < a->iova)
		return -EINVAL;
	for (; at + n < c->nr && c->map[at + n].iova <= last; n++) {
		const struct fake_vfio_mapping *m = &c->map[at + n];

		if (m->iova + (m->len - 1) > last)
			return -EINVAL;
		gone += m->len;
	}
	if (n && k->refuse.request == VFIO_IOMMU_UNMAP_DMA &&
	    k->refuse.iova - a->iova < a->size)
		return unmap_partly(k, c, a, at, n);
	if (shorten && n) {
		k->fired = true;
		gone -= c->map[at + n - 1].len;
		n -= !k->short_lie;
	}
	fake_type1_remove(c, at, n);
	a->size = gone;
	return 0;
}

static uint32_t put_ranges(const struct fake_kernel *k, uint8_t *buf,
                           uint32_t at, uint32_t next)
{
	struct vfio_iommu_type1_info_cap_iova_range h = {
	        .header = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0},
	};
	uint32_t end = at + (uint32_t)sizeof(h);

	for (uint32_t i = 0; i < 4 && k->cfg.range[i].last; i++) {
		struct vfio_iova_range r = {k->cfg.range[i].first,
		                            k->cfg.range[i].last};

		memcpy(buf + end, &r, sizeof(r));
		end += (uint32_t)sizeof(r);
		h.nr_iovas++;
	}
	h.header.next = next ? end : 0;
	memcpy(buf + at, &h, sizeof(h));
	return end;
}

static uint32_t whole_info(const struct fake_kernel *k,
                           const struct fake_container *c, uint8_t *buf)
{
	struct vfio_iommu_type1_info info = {
	        .flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
	        .iova_pgsizes = 0x40201000,
	        .cap_offset = sizeof(info),
	};
	struct vfio_iommu_type1_info_dma_avail avail = {
	        .header = {VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0},
	        .avail = k->cfg.entry_limit - c->nr - k->others,
	};
	uint32_t end;

	end = put_ranges(k, buf, sizeof(info), !k->cfg.no_avail);
	if (!k->cfg.no_avail) {
		memcpy(buf + end, &avail, sizeof(avail));
		end += (uint32_t)sizeof(avail);
	}
	info.argsz = end;
	memcpy(buf, &info, sizeof(info));
	return end;
}

int fake_type1_info(struct fake_kernel *k, struct fake_container *c, void *arg)
{
	struct vfio_iommu_type1_info *a = arg;
	uint32_t room = a->argsz, size;
	uint8_t buf[512];
	const void *from = buf;

	if (room < offsetof(struct vfio_iommu_type1_info, cap_offset))
		return -EINVAL;
	if (k->cfg.info) {
		from = k->cfg.info;
		size = (uint32_t)k->cfg.info_size;
	} else {
		size = whole_info(k, c, buf);
	}
	if (size <= room) {
		memcpy(arg, from, size);
	} else {
		memcpy(arg, from, room < sizeof(*a) ? room : sizeof(*a));
		if (room >= sizeof(*a))
			a->cap_offset = 0;
	}
	a->argsz = k->cfg.info_told ? k->cfg.info_told : size;
	return 0;
}

/* ---- what is mapped ---- */

uint32_t fake_vfio_mappings(struct fake_vfio_mapping *out, uint32_t max)
{
	const struct fake_kernel *k = fake_enter();
	uint32_t n = 0;

	for (uint32_t i = 0; i < FAKE_CONTAINERS; i++)
		for (uint32_t j = 0; j < k->container[i].nr; j++, n++)
			if (n < max)
				out[n] = k->container[i].map[j];
	fake_leave();
	return n;
}

bool fake_vfio_reach(uint64_t iova, uint64_t *ret_va, uint32_t *ret_flags)
{
	const struct fake_kernel *k = fake_enter();
	bool found = false;

	for (uint32_t i = 0; i < FAKE_CONTAINERS && !found; i++) {
		const struct fake_container *c = &k->container[i];
		uint32_t at = fake_type1_find(c, iova);

		found = at < c->nr && c->map[at].iova <= iova;
		if (found && ret_va)
			*ret_va = c->map[at].va + (iova - c->map[at].iova);
		if (found && ret_flags)
			*ret_flags = c->map[at].flags;
	}
	fake_leave();
	return found;
}

void fake_vfio_steal(uint64_t iova)
{
	struct fake_kernel *k = fake_enter();

	for (uint32_t i = 0; i < FAKE_CONTAINERS; i++) {
		struct fake_container *c = &k->container[i];
		uint32_t at = fake_type1_find(c, iova);

		if (at < c->nr && c->map[at].iova == iova)
			fake_type1_remove(c, at, 1);
	}
	fake_leave();
}
