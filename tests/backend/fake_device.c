/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fake VFIO's devices, by the rules of linux/vfio.h and what vfio-pci is
 * seen to do: regions of which not all can be mapped, interrupts by eventfd,
 * reset.
 */
#include "tests/backend/fake_vfio_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>

#define REGION_SHIFT 40 /* of the offset at which a region is read */
#define BAR0_SIZE 0x4000u
#define ALL_DATA 0x7u
#define ALL_ACTIONS 0x38u

int fake_device_open(struct fake_group *g)
{
	const uint32_t id = htole32(0x5148abcd);

	if (g->removed || g->dev.open)
		return -EBUSY;
	memset(&g->dev, 0, sizeof(g->dev));
	memcpy(g->dev.config, &id, sizeof(id));
	/* As firmware may leave it: memory and bus mastering on. */
	g->dev.config[4] = 6;
	g->dev.open = true;
	g->device = true;
	return 0;
}

static void quiet(struct fake_device *dev, uint32_t index)
{
	for (uint32_t i = 0; i < FAKE_VECTORS; i++) {
		if (dev->fd[index][i] > 0)
			close(dev->fd[index][i]);
		dev->fd[index][i] = 0;
	}
	dev->nr_on[index] = 0;
}

void fake_device_close(struct fake_group *g)
{
	for (uint32_t i = 0; i < FAKE_IRQS; i++)
		quiet(&g->dev, i);
	g->dev.open = false;
	g->device = false;
}

/* ---- regions ---- */

static uint64_t size_of(uint32_t index)
{
	static const uint64_t size[] = {
	        [VFIO_PCI_BAR0_REGION_INDEX] = BAR0_SIZE,
	        [VFIO_PCI_BAR2_REGION_INDEX] = 16,
	        [VFIO_PCI_ROM_REGION_INDEX] = 4096,
	        [VFIO_PCI_CONFIG_REGION_INDEX] = 256,
	};

	return index < sizeof(size) / sizeof(size[0]) ? size[index] : 0;
}

/* Behind the description of BAR0: a capability that nobody knows, and that only
 * the first and the last two pages may be memory. */
static void put_areas(uint8_t *at, uint32_t from)
{
	const struct vfio_info_cap_header other = {99, 1, from + sizeof(other)};
	const struct vfio_region_info_cap_sparse_mmap sparse = {
	        .header = {VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0},
	        .nr_areas = 2,
	};
	const struct vfio_region_sparse_mmap_area area[2] = {{0, 0x1000},
	                                                     {0x2000, 0x2000}};

	memcpy(at, &other, sizeof(other));
	memcpy(at + sizeof(other), &sparse, sizeof(sparse));
	memcpy(at + sizeof(other) + sizeof(sparse), area, sizeof(area));
}

static int region_info(const struct fake_kernel *k, struct vfio_region_info *a)
{
	const uint32_t own = sizeof(*a);
	const uint32_t all = own + sizeof(struct vfio_info_cap_header) +
	                     sizeof(struct vfio_region_info_cap_sparse_mmap) +
	                     2 * sizeof(struct vfio_region_sparse_mmap_area);
	const uint32_t rw =
	        VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	uint32_t room = a->argsz;

	if (room < own || a->index > VFIO_PCI_CONFIG_REGION_INDEX)
		return -EINVAL;
	a->flags = a->index == VFIO_PCI_ROM_REGION_INDEX
	                   ? VFIO_REGION_INFO_FLAG_READ
	                   : rw;
	a->size = size_of(a->index);
	a->offset = (uint64_t)a->index << REGION_SHIFT;
	a->cap_offset = 0;
	if (a->index != VFIO_PCI_BAR0_REGION_INDEX)
		return 0;
	a->flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	a->argsz = all;
	if (room < all)
		return 0;
	/* A chain that leads out of what there is. */
	a->cap_offset = k->cfg.bad_cap ? all + 64 : own;
	put_areas((uint8_t *)a + own, own);
	return 0;
}

static int whole(uint64_t at, size_t len)
{
	uint64_t offset = at & ((UINT64_C(1) << REGION_SHIFT) - 1);

	return offset + len <= size_of((uint32_t)(at >> REGION_SHIFT));
}

static int dev_read(struct fake_group *g, void *buf, size_t len, uint64_t at)
{
	if (!whole(at, len))
		return -EINVAL;
	if (g->removed)
		return -EIO;
	memset(buf, 0, len);
	if (at >> REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX)
		memcpy(buf, g->dev.config + (uint8_t)at, len);
	return (int)len;
}

static int dev_write(struct fake_group *g, const void *buf, size_t len,
                     uint64_t at)
{
	if (!whole(at, len))
		return -EINVAL;
	if (at >> REGION_SHIFT == VFIO_PCI_CONFIG_REGION_INDEX)
		memcpy(g->dev.config + (uint8_t)at, buf, len);
	return (int)len;
}

static int dev_mmap(uint64_t at, size_t len)
{
	if (at + len <= 0x1000 || (at >= 0x2000 && at + len <= BAR0_SIZE))
		return 0;
	return -EINVAL;
}

/* ---- interrupts ---- */

static uint32_t vectors_of(uint32_t index)
{
	switch (index) {
	case VFIO_PCI_MSI_IRQ_INDEX:
		return 0;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return FAKE_VECTORS;
	default:
		return 1;
	}
}

static int irq_info(const struct fake_kernel *k, struct vfio_irq_info *a)
{
	if (a->argsz < sizeof(*a) || a->index >= FAKE_IRQS)
		return -EINVAL;
	a->count = vectors_of(a->index);
	a->flags = VFIO_IRQ_INFO_EVENTFD;
	if (a->index == VFIO_PCI_INTX_IRQ_INDEX)
		a->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (!k->cfg.resize)
		a->flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

static bool another_on(const struct fake_device *dev, uint32_t index)
{
	for (uint32_t i = 0; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
		if (i != index && index <= VFIO_PCI_MSIX_IRQ_INDEX &&
		    dev->nr_on[i])
			return true;
	return false;
}

/* By dup(): an emulator of the other byte order turns the number in an eventfd
 * round, and learns of copies by this call alone. */
static int copy_of(int fd)
{
	int own = dup(fd);

	if (own >= 0)
		(void)fcntl(own, F_SETFD, FD_CLOEXEC);
	return own;
}

/* The kernel keeps what an eventfd is, whatever becomes of its number. */
static int enable(const struct fake_kernel *k, struct fake_device *dev,
                  const struct vfio_irq_set *a)
{
	const int32_t *fd = (const void *)a->data;
	uint32_t end = a->start + a->count;

	if (a->argsz < sizeof(*a) + a->count * sizeof(*fd) || a->count == 0 ||
	    another_on(dev, a->index))
		return -EINVAL;
	if (dev->nr_on[a->index] && end > dev->nr_on[a->index] &&
	    !k->cfg.resize)
		return -EINVAL;
	for (uint32_t i = 0; i < a->count; i++) {
		int *own = &dev->fd[a->index][a->start + i];

		if (*own > 0)
			close(*own);
		*own = fd[i] < 0 ? 0 : copy_of(fd[i]);
	}
	if (end > dev->nr_on[a->index])
		dev->nr_on[a->index] = end;
	return 0;
}

bool fake_device_signal(struct fake_group *g, uint32_t index, uint32_t vector)
{
	struct fake_device *dev = &g->dev;
	const uint64_t one = 1;

	if (!dev->open || dev->fd[index][vector] <= 0)
		return false;
	if (index == VFIO_PCI_INTX_IRQ_INDEX) {
		if (dev->masked)
			return false;
		dev->masked = true;
	}
	return write(dev->fd[index][vector], &one, sizeof(one)) == sizeof(one);
}

static int set_irqs(const struct fake_kernel *k, struct fake_group *g,
                    const struct vfio_irq_set *a)
{
	uint32_t action = a->flags & ALL_ACTIONS, data = a->flags & ALL_DATA;

	if (a->argsz < sizeof(*a) || a->index >= FAKE_IRQS ||
	    a->start + a->count > vectors_of(a->index))
		return -EINVAL;
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER &&
	    data == VFIO_IRQ_SET_DATA_EVENTFD)
		return enable(k, &g->dev, a);
	if (data != VFIO_IRQ_SET_DATA_NONE)
		return -EINVAL;
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
		if (a->count == 0)
			quiet(&g->dev, a->index);
		else if (!fake_device_signal(g, a->index, a->start))
			return -EINVAL;
		return 0;
	}
	if (a->index != VFIO_PCI_INTX_IRQ_INDEX)
		return -ENOTTY;
	g->dev.masked = action == VFIO_IRQ_SET_ACTION_MASK;
	return 0;
}

int fake_device_ioctl(const struct fake_kernel *k, struct fake_group *g,
                      unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		info->flags = (k->cfg.not_pci ? VFIO_DEVICE_FLAGS_PLATFORM
		                              : VFIO_DEVICE_FLAGS_PCI) |
		              (k->cfg.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		info->num_regions = VFIO_PCI_NUM_REGIONS;
		info->num_irqs = FAKE_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(k, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return irq_info(k, arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(k, g, arg);
	case VFIO_DEVICE_RESET:
		if (g->removed)
			return -EAGAIN;
		g->dev.resets++;
		return 0;
	default:
		return -ENOTTY;
	}
}

/* ---- the system calls on a device ---- */

struct fake_group *fake_device_of(struct fake_kernel *k, int fd)
{
	int i = fd - FAKE_FD_DEVICE;

	return i >= 0 && i < FAKE_GROUPS && k->group[i].dev.open ? &k->group[i]
	                                                         : NULL;
}

static ssize_t table_pread(int fd, void *buf, size_t len, off_t at)
{
	struct fake_kernel *k;
	struct fake_group *g;
	int rc;

	if (fd < FAKE_FD_DEVICE)
		return sys_kernel.pread(fd, buf, len, at);
	k = fake_enter();
	g = fake_device_of(k, fd);
	rc = g ? dev_read(g, buf, len, (uint64_t)at) : -EBADF;
	fake_leave();
	return rc;
}

static ssize_t table_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	struct fake_kernel *k;
	struct fake_group *g;
	int rc;

	if (fd < FAKE_FD_DEVICE)
		return sys_kernel.pwrite(fd, buf, len, at);
	k = fake_enter();
	g = fake_device_of(k, fd);
	rc = g ? dev_write(g, buf, len, (uint64_t)at) : -EBADF;
	fake_leave();
	return rc;
}

static int table_mmap(void **at, size_t len, int prot, int flags, int fd,
                      off_t offset)
{
	struct fake_kernel *k;
	struct fake_group *g;
	int rc;

	if (fd < FAKE_FD_DEVICE)
		return sys_kernel.mmap(at, len, prot, flags, fd, offset);
	k = fake_enter();
	g = fake_device_of(k, fd);
	rc = g ? dev_mmap((uint64_t)offset, len) : -EBADF;
	if (rc == 0)
		rc = sys_kernel.mmap(at, len, prot, MAP_SHARED | MAP_ANONYMOUS,
		                     -1, 0);
	if (rc == 0)
		k->maps[k->nr_maps++ % FAKE_MAPS] = *at;
	fake_leave();
	return rc;
}

static int table_munmap(void *at, size_t len)
{
	struct fake_kernel *k = fake_enter();

	for (uint32_t i = 0; i < FAKE_MAPS; i++)
		if (at && k->maps[i] == at)
			k->maps[i] = NULL;
	fake_leave();
	return sys_kernel.munmap(at, len);
}

void fake_device_table(struct sys_table *table)
{
	table->pread = table_pread;
	table->pwrite = table_pwrite;
	table->mmap = table_mmap;
	table->munmap = table_munmap;
}

/* ---- what happens and has happened ---- */

bool fake_vfio_fire(uint32_t nr, uint32_t index, uint32_t vector)
{
	struct fake_kernel *k = fake_enter();
	bool told;

	told = fake_device_signal(&k->group[nr], index, vector);
	fake_leave();
	return told;
}

uint32_t fake_vfio_resets(uint32_t nr)
{
	uint32_t n = fake_enter()->group[nr].dev.resets;

	fake_leave();
	return n;
}

uint32_t fake_vfio_command(uint32_t nr)
{
	uint32_t n = fake_enter()->group[nr].dev.config[4];

	fake_leave();
	return n;
}

uint32_t fake_vfio_listening(uint32_t nr)
{
	const struct fake_kernel *k = fake_enter();
	uint32_t n = 0;

	for (uint32_t i = 0; i < FAKE_IRQS; i++)
		for (uint32_t j = 0; j < FAKE_VECTORS; j++)
			n += k->group[nr].dev.fd[i][j] > 0;
	fake_leave();
	return n;
}

uint32_t fake_vfio_device_maps(void)
{
	const struct fake_kernel *k = fake_enter();
	uint32_t n = 0;

	for (uint32_t i = 0; i < FAKE_MAPS; i++)
		n += k->maps[i] != NULL;
	fake_leave();
	return n;
}

void fake_vfio_unplug(uint32_t nr)
{
	struct fake_kernel *k = fake_enter();

	k->group[nr].removed = true;
	(void)fake_device_signal(&k->group[nr], VFIO_PCI_REQ_IRQ_INDEX, 0);
	fake_leave();
}
