/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a group with a hand-written VFIO in place of the kernel's: each way
 * it can fail, the message that goes with it, and that a failure leaves no
 * descriptor open and the out-parameter alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "groups/grp.h"
#include "tree.h"
#include "util/util.h"

#define GROUP_FD 1000
#define DEVICE_FD 2000
#define UNTOUCHED ((struct sluice_group *)(uintptr_t)0x5a5a)

/* The kernel's side. */
static struct {
	int open_rc, status_rc, device_rc;
	uint32_t flags;
	int opens, closes, flags_seen;
	char path[512], device[256];
} fake;

static int fake_open(const char *path, int flags)
{
	fake.opens++;
	fake.flags_seen = flags;
	snprintf(fake.path, sizeof(fake.path), "%s", path);
	return fake.open_rc;
}

static int fake_close(int fd)
{
	assert_int_equal(fd, GROUP_FD);
	fake.closes++;
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;

	assert_int_equal(fd, GROUP_FD);
	if (request == VFIO_GROUP_GET_DEVICE_FD) {
		snprintf(fake.device, sizeof(fake.device), "%s",
		         (const char *)arg);
		return fake.device_rc;
	}
	assert_int_equal(request, VFIO_GROUP_GET_STATUS);
	assert_int_equal(status->argsz, sizeof(*status));
	status->flags = fake.flags;
	return fake.status_rc;
}

/* Sysfs is read with the real calls. */
static int table_close(int fd)
{
	return fd < GROUP_FD ? sys_kernel.close(fd) : fake_close(fd);
}

static void take_over(void)
{
	static struct sys_table table;

	table = sys_kernel;
	table.open = fake_open;
	table.close = table_close;
	table.ioctl = fake_ioctl;
	sys = &table;
}

static struct tree tree;

static int make_machine(void **state)
{
	(void)state;
	tree_new(&tree);
	/* 3: a bridge, a disk for us; 4: a disk of the kernel's and two more
	 * devices; 5: nobody's; 6: a bridge alone; 7: no-IOMMU */
	tree_pci(&tree, "0000:00:01.0", 3, "pcieport", "0x060400\n");
	tree_pci(&tree, "0000:01:00.0", 3, "vfio-pci", "0x010802\n");
	tree_file(&tree, "kernel/iommu_groups/3/reserved_regions",
	          "0x00000000fee00000 0x00000000feefffff msi\n");
	tree_pci(&tree, "0000:00:1f.2", 4, "ahci", "0x010601\n");
	tree_pci(&tree, "0000:00:1f.0", 4, NULL, "0x060100\n");
	tree_pci(&tree, "0000:00:1f.3", 4, "i801_smbus", "0x0c0500\n");
	tree_pci(&tree, "0000:02:00.0", 5, NULL, "0x020000\n");
	tree_pci(&tree, "0000:00:02.0", 6, NULL, "0x060400\n");
	tree_pci(&tree, "0000:03:00.0", 7, "vfio-pci", "0x020000\n");
	tree_file(&tree, "kernel/iommu_groups/7/name", "vfio-noiommu\n");
	tree_pci(&tree, "0000:04:00.0", -1, "nvme", "0x010802\n");
	tree_pci(&tree, "0000:05:00.0", 99, NULL, "0x020000\n");
	tree_link(&tree, "devices/pci0000:00/0000:05:00.0/iommu_group",
	          "../../../kernel/iommu_groups/98");
	tree_pci(&tree, "0000:06:00.0", -1, NULL, "0x020000\n");
	tree_link(&tree, "devices/pci0000:00/0000:06:00.0/iommu_group",
	          "../../../kernel/iommu_groups/many");
	tree_pci(&tree, "0000:07:00.0", 8, "vfio-pci", "0x020000\n");
	tree_file(&tree, "kernel/iommu_groups/8/reserved_regions",
	          "0xfee00000 msi\n");
	return 0;
}

static int remove_machine(void **state)
{
	(void)state;
	tree_free(&tree);
	return 0;
}

static int healthy(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.open_rc = GROUP_FD;
	fake.flags = VFIO_GROUP_FLAGS_VIABLE;
	fake.device_rc = DEVICE_FD;
	take_over();
	return 0;
}

static int try_open(const char *bdf, struct sluice_group **ret)
{
	struct sluice_group_cfg cfg = {.sysfs_root = tree.root};

	return sluice_group_open(bdf, &cfg, ret);
}

/* Expects rc, and each of the words in the message. */
static void refused(const char *bdf, int rc, const char *const *words)
{
	struct sluice_group *g = UNTOUCHED;

	assert_int_equal(try_open(bdf, &g), rc);
	assert_ptr_equal(g, UNTOUCHED);
	assert_int_equal(fake.opens && fake.open_rc >= 0 ? 1 : 0, fake.closes);
	for (; *words; words++)
		if (!strstr(msg_last(), *words))
			fail_msg("no \"%s\" in \"%s\"", *words, msg_last());
}

#define REFUSED(bdf, rc, ...)                                                  \
	refused(bdf, rc, (const char *const[]){__VA_ARGS__, NULL})

static void opens(void **state)
{
	const struct sluice_group_region *r;
	struct sluice_group *g;
	uint32_t nr;

	(void)state;
	assert_int_equal(try_open("01:00.0", &g), 0);
	assert_string_equal(fake.path, "/dev/vfio/3");
	assert_true(fake.flags_seen & O_CLOEXEC);
	assert_int_equal(fake.flags_seen & O_ACCMODE, O_RDWR);
	assert_int_equal(sluice_group_id(g), 3);
	assert_int_equal(grp_fd(g), GROUP_FD);
	assert_null(grp_attached(g));
	assert_int_equal(sluice_group_describe(g)->nr_members, 2);
	r = grp_regions(g, &nr);
	assert_int_equal(nr, 1);
	assert_int_equal(r[0].first, 0xfee00000);
	assert_int_equal(sluice_group_close(g), 0);
	assert_int_equal(fake.closes, 1);
	assert_int_equal(sluice_group_close(NULL), 0);
	assert_int_equal(sluice_group_id(NULL), -EINVAL);
	assert_null(sluice_group_describe(NULL));
}

static void other_dev_root(void **state)
{
	struct sluice_group_cfg cfg = {tree.root, "/elsewhere"};
	struct sluice_group *g = UNTOUCHED;
	char deep[8192];

	(void)state;
	assert_int_equal(sluice_group_open("01:00.0", &cfg, &g), 0);
	assert_string_equal(fake.path, "/elsewhere/3");
	assert_int_equal(sluice_group_close(g), 0);
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	cfg.dev_root = deep;
	g = UNTOUCHED;
	assert_int_equal(sluice_group_open("01:00.0", &cfg, &g), -EINVAL);
	assert_ptr_equal(g, UNTOUCHED);
	assert_int_equal(fake.opens, 1);
	cfg.sysfs_root = "/nonexistent";
	assert_int_equal(sluice_group_open("01:00.0", &cfg, &g), -ENOENT);
	assert_non_null(strstr(msg_last(), "/nonexistent"));
	assert_ptr_equal(g, UNTOUCHED);
}

static void bad_device(void **state)
{
	(void)state;
	REFUSED("nvme0", -EINVAL, "nvme0", "0000:01:00.0");
	REFUSED("", -EINVAL, "PCI address");
	REFUSED(NULL, -EINVAL, "PCI address");
	REFUSED("01:00.0\033[2J", -EINVAL, "01:00.0?[2J");
	REFUSED("0000:01:00.1", -ENODEV, "0000:01:00.1", "lspci");
	REFUSED("0000:04:00.0", -ENOENT, "no IOMMU group", "intel_iommu=on");
	REFUSED("0000:05:00.0", -ENODEV, "group 98");
	REFUSED("0000:06:00.0", -EBADMSG, "0000:06:00.0");
	REFUSED("0000:03:00.0", -ENOENT, "no-IOMMU");
	REFUSED("0000:07:00.0", -EBADMSG, "group 8", "reserved_regions");
	assert_int_equal(fake.opens, 0);
	assert_int_equal(try_open("0000:01:00.0", NULL), -EINVAL);
}

static void node_errors(void **state)
{
	(void)state;
	fake.open_rc = -EACCES;
	REFUSED("01:00.0", -EACCES, "chown", "/dev/vfio/3", "udev");
	fake.open_rc = -EBUSY;
	REFUSED("01:00.0", -EBUSY, "group 3 of 0000:01:00.0 is open",
	        "fuser -v /dev/vfio/3");
	fake.open_rc = -ENOENT;
	REFUSED("01:00.0", -ENOENT, "/dev/vfio/3", "modprobe vfio-pci",
	        "container");
	REFUSED("02:00.0", -ENOENT, "modprobe vfio-pci",
	        "echo vfio-pci > "
	        "/sys/bus/pci/devices/0000:02:00.0/driver_override",
	        "echo 0000:02:00.0 > /sys/bus/pci/drivers_probe");
	REFUSED("00:02.0", -ENOENT, "is a bridge", "endpoint");
	fake.open_rc = -EPERM;
	REFUSED("01:00.0", -EPERM, "container", "--device");
	fake.open_rc = -ENXIO;
	REFUSED("01:00.0", -ENODEV, "group 3 went away");
	fake.open_rc = -EMFILE;
	REFUSED("01:00.0", -EMFILE, "ulimit -n");
	fake.open_rc = -EIO;
	REFUSED("01:00.0", -EIO, "/dev/vfio/3");
}

static void not_viable(void **state)
{
	(void)state;
	/* sysfs knows why the node cannot be opened… */
	fake.open_rc = -ENOENT;
	REFUSED("00:1f.0", -EPERM, "group 4 is not viable",
	        "0000:00:1f.2 is bound to ahci", "and 1 more",
	        "sluice groups --explain",
	        "echo 0000:00:1f.2 > /sys/bus/pci/drivers/ahci/unbind",
	        "echo vfio-pci > "
	        "/sys/bus/pci/devices/0000:00:1f.2/driver_override");
	fake.open_rc = -EACCES;
	REFUSED("00:1f.2", -EPERM, "0000:00:1f.2 is bound to ahci");
	fake.open_rc = -EBUSY;
	REFUSED("00:1f.2", -EBUSY, "open already");
	/* … or why the kernel says no. */
	healthy(NULL);
	fake.flags = 0;
	REFUSED("00:1f.2", -EPERM, "0000:00:1f.2 is bound to ahci");
	healthy(NULL);
	fake.flags = 0;
	REFUSED("01:00.0", -EPERM, "group 3 is not viable", "try again");
}

/* The kernel says yes to a driver we do not know: the kernel is right. */
static void kernel_is_judge(void **state)
{
	struct sluice_group *g;

	(void)state;
	assert_int_equal(try_open("00:1f.2", &g), 0);
	assert_int_equal(sluice_group_id(g), 4);
	assert_int_equal(sluice_group_close(g), 0);
}

static void status_errors(void **state)
{
	(void)state;
	fake.status_rc = -ENOTTY;
	REFUSED("01:00.0", -ENOTTY, "/dev/vfio/3 is no VFIO group");
	healthy(NULL);
	fake.status_rc = -EIO;
	REFUSED("01:00.0", -EIO, "group 3");
	healthy(NULL);
	fake.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	REFUSED("01:00.0", -EBUSY, "container already");
}

static void devices(void **state)
{
	struct sluice_group *g;
	int owner, fd = -7;

	(void)state;
	assert_int_equal(try_open("01:00.0", &g), 0);
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), -ENOTCONN);
	assert_non_null(strstr(msg_last(), "sluice_domain_attach"));
	grp_set_attached(g, &owner);
	assert_ptr_equal(grp_attached(g), &owner);
	assert_int_equal(sluice_group_close(g), -EBUSY);
	assert_non_null(strstr(msg_last(), "sluice_domain_detach"));
	assert_int_equal(fake.closes, 0);
	assert_int_equal(sluice_group_device_open(g, "02:00.0", &fd), -ENODEV);
	assert_int_equal(sluice_group_device_open(g, "garbage", &fd), -ENODEV);
	assert_int_equal(sluice_group_device_open(NULL, NULL, &fd), -EINVAL);
	assert_int_equal(sluice_group_device_open(g, NULL, NULL), -EINVAL);
	fake.device_rc = -ENODEV;
	assert_int_equal(sluice_group_device_open(g, "00:01.0", &fd), -ENODEV);
	assert_string_equal(fake.device, "0000:00:01.0");
	assert_non_null(strstr(msg_last(), "driver_override"));
	fake.device_rc = -EBUSY;
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), -EBUSY);
	fake.device_rc = -EMFILE;
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), -EMFILE);
	fake.device_rc = -EIO;
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), -EIO);
	assert_int_equal(fd, -7);
	fake.device_rc = DEVICE_FD;
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), 0);
	assert_int_equal(fd, DEVICE_FD);
	assert_string_equal(fake.device, "0000:01:00.0");
	grp_set_attached(g, NULL);
	assert_int_equal(sluice_group_close(g), 0);
	assert_int_equal(fake.closes, 1);
}

/* The kernel would do for a child what it does for its parent. */
static void another_process(void **state)
{
	struct sluice_group *g;
	int owner, fd = -7, status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(try_open("01:00.0", &g), 0);
	grp_set_attached(g, &owner);
	assert_int_equal(grp_check(g), 0);
	pid = fork();
	if (pid == 0)
		_exit(sluice_group_device_open(g, NULL, &fd) != -EPERM ||
		      !strstr(msg_last(), "another process") || fd != -7 ||
		      grp_check(g) != -EPERM);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(sluice_group_device_open(g, NULL, &fd), 0);
	grp_set_attached(g, NULL);
	assert_int_equal(sluice_group_close(g), 0);
}

/* A kernel says ENOTTY for a folder too; an emulator has never heard of it. */
static bool vfio_ioctl_known(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_CLOEXEC), err;

	assert_true(fd >= 0);
	err = ioctl(fd, VFIO_GROUP_GET_STATUS, NULL) < 0 ? errno : 0;
	close(fd);
	return err != ENOSYS;
}

/* The real system calls, on nodes that are no VFIO groups. */
static void real_calls(void **state)
{
	struct sluice_group *g = UNTOUCHED;
	struct sluice_group_cfg cfg = {.sysfs_root = tree.root};
	char dev[512];

	(void)state;
	sys = &sys_kernel;
	snprintf(dev, sizeof(dev), "%s/dev", tree.root);
	cfg.dev_root = dev;
	assert_int_equal(sluice_group_open("01:00.0", &cfg, &g), -ENOENT);
	tree_file(&tree, "dev/3", "");
	if (!vfio_ioctl_known(dev)) {
		print_message("skipped: qemu-user passes no VFIO ioctl on\n");
		skip();
	}
	assert_int_equal(sluice_group_open("01:00.0", &cfg, &g), -ENOTTY);
	assert_ptr_equal(g, UNTOUCHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(opens, healthy),
	        cmocka_unit_test_setup(other_dev_root, healthy),
	        cmocka_unit_test_setup(bad_device, healthy),
	        cmocka_unit_test_setup(node_errors, healthy),
	        cmocka_unit_test_setup(not_viable, healthy),
	        cmocka_unit_test_setup(kernel_is_judge, healthy),
	        cmocka_unit_test_setup(status_errors, healthy),
	        cmocka_unit_test_setup(devices, healthy),
	        cmocka_unit_test_setup(another_process, healthy),
	        cmocka_unit_test_setup(real_calls, healthy),
	};

	return cmocka_run_group_tests(tests, make_machine, remove_machine);
}
