/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the VM's kernel offers, asked with bare ioctls: two VFIO groups in one
 * type1v2 container, one mapping for both, both controllers' registers, and
 * io_uring's MSG_RING. Knows the kernel's interfaces only: when this passes
 * and a test of the library does not, the fault is in the library.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define IOVA 0x100000u
#define SIZE 0x10000u

static void expect(int ok, const char *what)
{
	int err = errno;

	if (ok)
		return;
	fprintf(stderr, "vm_smoke: %s (errno: %s)\n", what, strerror(err));
	exit(1);
}

static int open_group(int container, const char *number)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%s", number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	expect(fd >= 0, path);
	expect(!ioctl(fd, VFIO_GROUP_GET_STATUS, &status), "GET_STATUS");
	expect(status.flags & VFIO_GROUP_FLAGS_VIABLE, "group not viable");
	expect(!ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container),
	       "SET_CONTAINER");
	return fd;
}

/* The controller's version (NVMe base 1.4, 3.1.2) proves the BAR is alive. */
static void check_device(int group, const char *bdf)
{
	struct vfio_region_info bar = {
	        .argsz = sizeof(bar),
	        .index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	volatile uint32_t *regs;
	int fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);

	expect(fd >= 0, "GET_DEVICE_FD");
	expect(!ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &bar), "REGION_INFO");
	expect(bar.flags & VFIO_REGION_INFO_FLAG_MMAP, "BAR0 not mappable");
	regs = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
	            (off_t)bar.offset);
	expect(regs != MAP_FAILED, "mmap of BAR0");
	expect(regs[2] >= 0x10200, "not an NVMe controller");
	printf("%s: NVMe %u.%u, BAR0 of %llu bytes\n", bdf, regs[2] >> 16,
	       regs[2] >> 8 & 0xff, (unsigned long long)bar.size);
	munmap((void *)(uintptr_t)regs, bar.size);
	close(fd);
}

static void check_mapping(int container)
{
	struct vfio_iommu_type1_dma_map map = {
	        .argsz = sizeof(map),
	        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
	        .iova = IOVA,
	        .size = SIZE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
	        .argsz = sizeof(unmap),
	        .iova = IOVA,
	        .size = SIZE,
	};
	void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(memory != MAP_FAILED, "mmap");
	map.vaddr = (uintptr_t)memory;
	expect(!ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
	expect(ioctl(container, VFIO_IOMMU_MAP_DMA, &map) && errno == EEXIST,
	       "a second MAP_DMA of the range is not EEXIST");
	unmap.size = SIZE / 2;
	expect(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) &&
	               errno == EINVAL,
	       "type1v2 split a mapping");
	unmap.size = SIZE;
	expect(!ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) &&
	               unmap.size == SIZE,
	       "UNMAP_DMA");
	munmap(memory, SIZE);
}

/* IORING_OP_MSG_RING came with Linux 5.18. */
static void check_uring(void)
{
	struct io_uring a, b;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;

	expect(!io_uring_queue_init(4, &a, 0), "io_uring_queue_init");
	expect(!io_uring_queue_init(4, &b, 0), "io_uring_queue_init");
	sqe = io_uring_get_sqe(&a);
	io_uring_prep_msg_ring(sqe, b.ring_fd, 17, 0x51ce, 0);
	expect(io_uring_submit(&a) == 1, "io_uring_submit");
	expect(!io_uring_wait_cqe(&a, &cqe) && cqe->res == 0, "MSG_RING");
	expect(!io_uring_wait_cqe(&b, &cqe) && cqe->res == 17 &&
	               cqe->user_data == 0x51ce,
	       "MSG_RING's message");
	io_uring_queue_exit(&b);
	io_uring_queue_exit(&a);
	printf("io_uring: MSG_RING works\n");
}

int main(int argc, char **argv)
{
	int container, first, second;

	if (argc != 5) {
		fprintf(stderr, "usage: vm_smoke GROUP BDF GROUP BDF\n");
		return 2;
	}
	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	expect(container >= 0, "/dev/vfio/vfio");
	expect(ioctl(container, VFIO_GET_API_VERSION) == VFIO_API_VERSION,
	       "VFIO_API_VERSION");
	expect(ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1,
	       "no VFIO_TYPE1v2_IOMMU");
	first = open_group(container, argv[1]);
	expect(!ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU),
	       "SET_IOMMU");
	second = open_group(container, argv[3]);
	check_device(first, argv[2]);
	check_device(second, argv[4]);
	check_mapping(container);
	check_uring();
	close(second);
	close(first);
	close(container);
	return 0;
}
