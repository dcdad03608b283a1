/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake VFIO's descriptors, containers, groups, faults and gate. Knows no
 * rule about mappings; those are in fake_type1.c.
 */
#include "tests/backend/fake_vfio_int.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/vfio.h>

/* Far above what a test opens, so that a fake descriptor that reaches a real
 * system call fails. */
#define DEV_VFIO "/dev/vfio/"
#define FD_CONTAINER 1000000
#define FD_GROUP 2000000
#define NR_REQUESTS 32 /* VFIO_BASE + 0..31 */

enum gate { GATE_OPEN, GATE_SHUT, GATE_WAITED_AT };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct fake_kernel k;
static uint32_t calls[NR_REQUESTS];
static enum gate gate;
static struct {
	unsigned long request;
	uint32_t nth; /* calls until it happens; 0: none */
	int err;
} fault;

struct fake_kernel *fake_enter(void)
{
	pthread_mutex_lock(&lock);
	return &k;
}

void fake_leave(void)
{
	pthread_mutex_unlock(&lock);
}

static struct fake_group *device_of(int fd)
{
	return fake_device_of(&k, fd);
}

static int table_open(const char *path, int flags)
{
	return strncmp(path, DEV_VFIO, strlen(DEV_VFIO)) == 0
	               ? fake_vfio_open(path, flags)
	               : sys_kernel.open(path, flags);
}

static int table_close(int fd)
{
	return fd < FD_CONTAINER ? sys_kernel.close(fd) : fake_vfio_close(fd);
}

static int table_ioctl(int fd, unsigned long request, void *arg)
{
	return fd < FD_CONTAINER ? sys_kernel.ioctl(fd, request, arg)
	                         : fake_vfio_ioctl(fd, request, arg);
}

static void take_over(void)
{
	static struct sys_table table;

	table = sys_kernel;
	table.open = table_open;
	table.close = table_close;
	table.ioctl = table_ioctl;
	fake_device_table(&table);
	sys = &table;
}

void fake_vfio_reset(const struct fake_vfio_cfg *cfg)
{
	static const struct fake_vfio_range common[] = {
	        {0, 0xfedfffff}, {0xfef00000, 0xffffffffffff}};

	take_over();
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < FAKE_CONTAINERS; i++)
		fake_type1_clear(&k.container[i]);
	memset(&k, 0, sizeof(k));
	memset(calls, 0, sizeof(calls));
	memset(&fault, 0, sizeof(fault));
	gate = GATE_OPEN;
	if (cfg)
		k.cfg = *cfg;
	if (!k.cfg.entry_limit)
		k.cfg.entry_limit = 65535;
	if (!k.cfg.nr_groups)
		k.cfg.nr_groups = 4;
	if (!k.cfg.range[0].last)
		memcpy(k.cfg.range, common, sizeof(common));
	pthread_mutex_unlock(&lock);
}

void fake_vfio_set_ranges(const struct fake_vfio_range *range, uint32_t nr)
{
	pthread_mutex_lock(&lock);
	memset(k.cfg.range, 0, sizeof(k.cfg.range));
	memcpy(k.cfg.range, range, nr * sizeof(*range));
	pthread_mutex_unlock(&lock);
}

void fake_vfio_set_memlock(uint64_t bytes)
{
	pthread_mutex_lock(&lock);
	k.cfg.memlock = bytes;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_lock(uint64_t bytes)
{
	pthread_mutex_lock(&lock);
	k.locked = bytes;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_others(uint32_t nr)
{
	pthread_mutex_lock(&lock);
	k.others = nr;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_locked(uint64_t *ret_bytes, uint64_t *ret_limit)
{
	pthread_mutex_lock(&lock);
	*ret_bytes = fake_type1_locked(&k);
	*ret_limit = k.cfg.memlock ? k.cfg.memlock : UINT64_MAX;
	pthread_mutex_unlock(&lock);
}

bool fake_vfio_counted(uint64_t va)
{
	bool counted;

	pthread_mutex_lock(&lock);
	counted = fake_type1_counted(&k, va);
	pthread_mutex_unlock(&lock);
	return counted;
}

uint32_t fake_vfio_open_fds(void)
{
	uint32_t n = 0;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < FAKE_CONTAINERS; i++)
		n += k.container[i].open;
	for (uint32_t i = 0; i < FAKE_GROUPS; i++)
		n += (uint32_t)k.group[i].open + k.group[i].dev.open;
	pthread_mutex_unlock(&lock);
	return n;
}

static struct fake_container *container_of(int fd)
{
	int i = fd - FD_CONTAINER;

	return i >= 0 && i < FAKE_CONTAINERS && k.container[i].open
	               ? &k.container[i]
	               : NULL;
}

static struct fake_group *group_of(int fd)
{
	int i = fd - FD_GROUP;

	return i >= 0 && i < FAKE_GROUPS && k.group[i].open ? &k.group[i]
	                                                    : NULL;
}

static int open_locked(const char *path)
{
	unsigned nr;
	char end;

	if (strcmp(path, "/dev/vfio/vfio") == 0) {
		for (int i = 0; i < FAKE_CONTAINERS; i++) {
			if (k.container[i].open)
				continue;
			k.container[i].open = true;
			return FD_CONTAINER + i;
		}
		return -EMFILE;
	}
	if (sscanf(path, "/dev/vfio/%u%c", &nr, &end) != 1 ||
	    nr >= k.cfg.nr_groups || nr >= FAKE_GROUPS)
		return -ENOENT;
	if (k.group[nr].open)
		return -EBUSY;
	if (k.group[nr].removed)
		return -ENOENT;
	k.group[nr] = (struct fake_group){.open = true};
	return FD_GROUP + (int)nr;
}

int fake_vfio_open(const char *path, int flags)
{
	int rc;

	(void)flags;
	pthread_mutex_lock(&lock);
	rc = open_locked(path);
	pthread_mutex_unlock(&lock);
	return rc;
}

static void leave(struct fake_group *g)
{
	struct fake_container *c = g->in;

	g->in = NULL;
	if (--c->nr_groups)
		return;
	c->iommu = false;
	fake_type1_clear(c);
}

int fake_vfio_close(int fd)
{
	struct fake_container *c;
	struct fake_group *g;
	int rc = 0;

	pthread_mutex_lock(&lock);
	c = container_of(fd);
	g = group_of(fd);
	if (device_of(fd)) {
		g = device_of(fd);
		fake_device_close(g);
		/* Nothing keeps a group without devices in. */
		if (g->removed && g->in)
			leave(g);
	} else if (g) {
		if (g->in)
			leave(g);
		g->open = false;
	} else if (c) {
		/* Groups keep the container alive; none of our tests relies
		 * on that, so it is a leak here. */
		c->open = c->nr_groups != 0;
	} else {
		rc = -EBADF;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void fake_vfio_hold_device(int group_fd, bool open)
{
	pthread_mutex_lock(&lock);
	group_of(group_fd)->device = open;
	pthread_mutex_unlock(&lock);
}

static int set_container(struct fake_group *g, int *fd)
{
	struct fake_container *c = container_of(*fd);
	uint32_t me = 1u << (g - k.group);

	if (!c)
		return -EBADF;
	if (g->in)
		return -EINVAL;
	if (c->iommu && k.cfg.not_compatible & me)
		return -EINVAL;
	g->in = c;
	c->nr_groups++;
	return 0;
}

static int group_ioctl(struct fake_group *g, unsigned long request, void *arg)
{
	struct vfio_group_status *st = arg;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		st->flags = VFIO_GROUP_FLAGS_VIABLE |
		            (g->in ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0u);
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(g, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		if (!g->in)
			return -EINVAL;
		if (g->device)
			return -EBUSY;
		leave(g);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		if (!g->in || !g->in->iommu)
			return -EINVAL;
		return fake_device_open(g)
		               ? -EBUSY
		               : FAKE_FD_DEVICE + (int)(g - k.group);
	default:
		return -ENOTTY;
	}
}

static int container_ioctl(struct fake_container *c, unsigned long request,
                           void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return k.cfg.api_version;
	case VFIO_CHECK_EXTENSION:
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU &&
		       !k.cfg.no_type1v2;
	case VFIO_SET_IOMMU:
		/* Type1 (v1) is what EAL asks for; for whole mappings, the
		 * only ones here, its rules are the same. */
		if (c->iommu || !c->nr_groups || k.cfg.no_type1v2 ||
		    ((uintptr_t)arg != VFIO_TYPE1v2_IOMMU &&
		     (uintptr_t)arg != VFIO_TYPE1_IOMMU))
			return -EINVAL;
		c->iommu = true;
		return 0;
	default:
		break;
	}
	if (!c->iommu)
		return -EINVAL;
	switch (request) {
	case VFIO_IOMMU_GET_INFO:
		return fake_type1_info(&k, c, arg);
	case VFIO_IOMMU_MAP_DMA:
		return fake_type1_map(&k, c, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return fake_type1_unmap(&k, c, arg);
	default:
		return -ENOTTY;
	}
}

static uint32_t number(unsigned long request)
{
	return (uint32_t)(request - VFIO_GET_API_VERSION) % NR_REQUESTS;
}

static bool faulty(unsigned long request)
{
	if (!fault.nth || (fault.request && fault.request != request))
		return false;
	if (--fault.nth)
		return false;
	k.fired = true;
	return true;
}

static void pass_gate(unsigned long request)
{
	if (request != VFIO_IOMMU_MAP_DMA && request != VFIO_IOMMU_UNMAP_DMA)
		return;
	if (gate != GATE_SHUT)
		return;
	gate = GATE_WAITED_AT;
	pthread_cond_broadcast(&moved);
	while (gate == GATE_WAITED_AT)
		pthread_cond_wait(&moved, &lock);
}

int fake_vfio_ioctl(int fd, unsigned long request, void *arg)
{
	struct fake_container *c;
	struct fake_group *g;
	int rc;

	pthread_mutex_lock(&lock);
	calls[number(request)]++;
	pass_gate(request);
	c = container_of(fd);
	g = group_of(fd);
	if (faulty(request))
		rc = -fault.err;
	else if (device_of(fd))
		rc = fake_device_ioctl(&k, device_of(fd), request, arg);
	else if (c && fake_type1_refuse(&k, request, arg, &rc))
		k.fired = true;
	else if (c)
		rc = container_ioctl(c, request, arg);
	else
		rc = g ? group_ioctl(g, request, arg) : -EBADF;
	pthread_mutex_unlock(&lock);
	return rc;
}

void fake_vfio_fail(unsigned long request, uint32_t nth, int err)
{
	pthread_mutex_lock(&lock);
	fault.request = request;
	fault.nth = nth;
	fault.err = err;
	k.fired = false;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_short(uint32_t nth, bool lie)
{
	pthread_mutex_lock(&lock);
	k.short_at = nth;
	k.short_lie = lie;
	k.fired = false;
	pthread_mutex_unlock(&lock);
}

bool fake_vfio_fired(void)
{
	bool fired;

	pthread_mutex_lock(&lock);
	fired = k.fired;
	pthread_mutex_unlock(&lock);
	return fired;
}

void fake_vfio_refuse(unsigned long request, uint64_t iova, int err,
                      bool partly)
{
	pthread_mutex_lock(&lock);
	k.refuse.request = request;
	k.refuse.iova = iova;
	k.refuse.err = err;
	k.refuse.partly = partly;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_slow(uint32_t map_us, uint32_t unmap_us)
{
	pthread_mutex_lock(&lock);
	k.map_us = map_us;
	k.unmap_us = unmap_us;
	pthread_mutex_unlock(&lock);
}

uint32_t fake_vfio_take_calls(struct fake_vfio_call *out, uint32_t max)
{
	uint32_t n;

	pthread_mutex_lock(&lock);
	n = k.nr_calls < max ? k.nr_calls : max;
	memcpy(out, k.call, n * sizeof(*out));
	k.nr_calls = 0;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_vfio_gate(void)
{
	pthread_mutex_lock(&lock);
	gate = GATE_SHUT;
	pthread_mutex_unlock(&lock);
}

void fake_vfio_gate_wait(void)
{
	pthread_mutex_lock(&lock);
	while (gate != GATE_WAITED_AT)
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
}

void fake_vfio_gate_open(void)
{
	pthread_mutex_lock(&lock);
	gate = GATE_OPEN;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

void fake_vfio_gate_next(void)
{
	pthread_mutex_lock(&lock);
	gate = GATE_SHUT;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

uint32_t fake_vfio_calls(unsigned long request)
{
	uint32_t n = 0;

	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; i < NR_REQUESTS; i++)
		if (!request || i == number(request))
			n += calls[i];
	pthread_mutex_unlock(&lock);
	return n;
}
