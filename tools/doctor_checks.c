/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The checks of `sluice doctor`. Each looks at one thing that keeps devices
 * from being driven from user space, or makes that slow, and knows what to type
 * about it. Reads files and asks the kernel for limits; changes nothing.
 */
#include "tools/doctor.h"

#include <sluice/sluice.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/io_uring.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP_IPC_LOCK_BIT 14 /* capabilities(7) */
#define ENOUGH_LOCKED (UINT64_C(1) << 30)

static void is(struct doctor_finding *f, enum doctor_state state,
               const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void fix(struct doctor_finding *f, const char *fmt, ...)
        __attribute__((format(printf, 2, 3)));

static void is(struct doctor_finding *f, enum doctor_state state,
               const char *fmt, ...)
{
	va_list ap;

	f->state = state;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

static void fix(struct doctor_finding *f, const char *fmt, ...)
{
	size_t n = strlen(f->fix);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->fix + n, sizeof(f->fix) - n, fmt, ap);
	va_end(ap);
}

/* The beginning of a file; false when there is none. */
static bool slurp(const char *root, const char *path, char *buf, size_t len)
{
	char full[256];
	ssize_t n = -1;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", root, path);
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		n = read(fd, buf, len - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* The number behind a word at the start of a line, or def. */
static uint64_t field(const char *text, const char *word, int base,
                      uint64_t def)
{
	const char *at = text;
	size_t n = strlen(word);

	while (at && strncmp(at, word, n) != 0) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at + n, NULL, base) : def;
}

static bool exists(const char *root, const char *path)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return access(full, F_OK) == 0;
}

/* ---- the checks ---- */

static void how_to_switch_on(const struct doctor_place *at,
                             struct doctor_finding *f)
{
	char cpu[4096];

	slurp(at->proc, "cpuinfo", cpu, sizeof(cpu));
	if (strstr(cpu, "GenuineIntel"))
		fix(f, "switch VT-d on in the firmware's setup, then:\n"
		       "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on /' "
		       "/etc/default/grub && update-grub && reboot\n");
	else if (strstr(cpu, "AuthenticAMD"))
		fix(f, "switch AMD-Vi (IOMMU) on in the firmware's setup; the "
		       "kernel needs no option\n");
	else
		fix(f, "switch the IOMMU (SMMU) on in the firmware's setup\n");
	fix(f, "in a virtual machine: give it a virtual IOMMU (QEMU: -device "
	       "intel-iommu,intremap=on with -M q35,kernel-irqchip=split)\n");
}

static void check_iommu(const struct doctor_place *at, struct doctor_finding *f)
{
	struct sluice_group_set *set;
	uint32_t groups, loose;

	f->check = "iommu";
	if (sluice_groups_read(at->sys, &set)) {
		is(f, DOCTOR_BROKEN, "groups cannot be read: %s",
		   sluice_last_error());
		return;
	}
	groups = sluice_groups_count(set);
	loose = sluice_groups_nr_ungrouped(set);
	sluice_group_set_free(set);
	if (groups) {
		is(f, DOCTOR_OK,
		   "an IOMMU is in use: %u groups, %u PCI devices in none",
		   groups, loose);
		return;
	}
	is(f, DOCTOR_BROKEN, "no IOMMU is in use: no device can be isolated");
	how_to_switch_on(at, f);
}

static void look_at(const struct sluice_group_set *set, const char *device,
                    struct doctor_finding *f)
{
	const struct sluice_group_info *g = sluice_groups_find(set, device);

	if (!g) {
		is(f, DOCTOR_BROKEN, "%s is in no group, or not there", device);
		fix(f, "sluice groups --explain %s\n", device);
		return;
	}
	for (uint32_t i = 0; g->viable && i < g->nr_members; i++)
		if (g->members[i].is_vfio) {
			is(f, DOCTOR_OK, "%s can be opened: group %d", device,
			   g->id);
			return;
		}
	is(f, DOCTOR_BROKEN,
	   g->viable ? "%s: no member of group %d has a VFIO "
	               "driver, so it cannot be opened"
	             : "%s: a kernel driver holds a member of "
	               "group %d",
	   device, g->id);
	fix(f,
	    "sluice groups --explain %s | sed -n 's/^    //p'    # read it, "
	    "then pipe it to sh\n",
	    device);
}

static void check_groups(const struct doctor_place *at,
                         struct doctor_finding *f)
{
	struct sluice_group_set *set;
	uint32_t ready = 0, free_ones = 0;

	f->check = "groups";
	if (sluice_groups_read(at->sys, &set)) {
		is(f, DOCTOR_BROKEN, "groups cannot be read: %s",
		   sluice_last_error());
		return;
	}
	for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
		const struct sluice_group_info *g = sluice_groups_get(set, i);
		bool vfio = false;

		for (uint32_t k = 0; k < g->nr_members; k++)
			vfio |= g->members[k].is_vfio;
		ready += g->viable && vfio;
		free_ones += g->viable && !vfio;
	}
	if (at->device)
		look_at(set, at->device, f);
	else if (ready)
		is(f, DOCTOR_OK, "%u groups can be opened now", ready);
	else
		is(f, DOCTOR_NOTE,
		   "no group can be opened now; %u would be with a VFIO driver",
		   free_ones);
	if (!at->device && !ready)
		fix(f,
		    "sluice groups                  # choose a device\n"
		    "sluice groups --explain DEVICE # what to type for it\n");
	sluice_group_set_free(set);
}

static void check_vfio(const struct doctor_place *at, struct doctor_finding *f)
{
	char path[256], limit[32];
	int fd;

	f->check = "vfio";
	snprintf(path, sizeof(path), "%s/vfio/vfio", at->dev);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		is(f, DOCTOR_BROKEN, "%s may not be opened by this user", path);
		fix(f,
		    "chmod 666 %s    # safe: groups have rights of their "
		    "own\n",
		    path);
		return;
	}
	if (fd < 0 || !exists(at->sys, "module/vfio_iommu_type1")) {
		is(f, DOCTOR_BROKEN, "VFIO is not loaded");
		fix(f, "modprobe vfio-pci\nmodprobe vfio_iommu_type1\n");
	} else {
		slurp(at->sys,
		      "module/vfio_iommu_type1/parameters/dma_entry_limit",
		      limit, sizeof(limit));
		is(f, DOCTOR_OK,
		   "VFIO is there; a container takes %llu mappings",
		   strtoull(limit, NULL, 10));
	}
	if (fd >= 0)
		close(fd);
}

static void check_memlock(const struct doctor_place *at,
                          struct doctor_finding *f)
{
	struct rlimit lim = {0};
	char status[4096];
	bool may_lock;

	f->check = "memlock";
	slurp(at->proc, "self/status", status, sizeof(status));
	may_lock = field(status, "CapEff:", 16, 0) >> CAP_IPC_LOCK_BIT & 1;
	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (may_lock || lim.rlim_cur == RLIM_INFINITY) {
		is(f, DOCTOR_OK, "memory can be pinned without limit%s",
		   may_lock ? " (CAP_IPC_LOCK)" : "");
		return;
	}
	is(f, lim.rlim_cur < ENOUGH_LOCKED ? DOCTOR_BROKEN : DOCTOR_NOTE,
	   "this process may pin %" PRIu64 " KiB for devices",
	   (uint64_t)lim.rlim_cur / 1024);
	fix(f, "ulimit -l unlimited    # or, for good, as root:\n"
	       "echo '* - memlock unlimited' > "
	       "/etc/security/limits.d/sluice.conf    # and log in again\n"
	       "LimitMEMLOCK=infinity    # in a systemd unit\n");
}

static void check_hugepages(const struct doctor_place *at,
                            struct doctor_finding *f)
{
	char info[4096], thp[64];
	uint64_t total, idle;

	f->check = "hugepages";
	slurp(at->proc, "meminfo", info, sizeof(info));
	slurp(at->sys, "kernel/mm/transparent_hugepage/enabled", thp,
	      sizeof(thp));
	total = field(info, "HugePages_Total:", 10, 0);
	idle = field(info, "HugePages_Free:", 10, 0);
	if (idle) {
		is(f, DOCTOR_OK,
		   "%" PRIu64 " of %" PRIu64 " hugetlb pages are free", idle,
		   total);
		return;
	}
	is(f, DOCTOR_NOTE,
	   "no hugetlb page is free; arenas use transparent huge pages%s",
	   strstr(thp, "[never]") ? ", which are switched off: 4 KiB pages"
	                          : "");
	fix(f, "echo 512 > /proc/sys/vm/nr_hugepages\n");
	if (strstr(thp, "[never]"))
		fix(f, "echo madvise > "
		       "/sys/kernel/mm/transparent_hugepage/enabled\n");
}

static void check_io_uring(const struct doctor_place *at,
                           struct doctor_finding *f)
{
	struct io_uring_params p = {0};
	char off[16];
	long fd;

	f->check = "io_uring";
	fd = syscall(SYS_io_uring_setup, 8, &p);
	if (fd >= 0) {
		close((int)fd);
		is(f, DOCTOR_OK, "io_uring works: completions travel by it");
		return;
	}
	is(f, DOCTOR_NOTE,
	   "io_uring does not (%s): completions travel through a plain ring, "
	   "which works as well but cannot be waited for together with files "
	   "and sockets",
	   errno == ENOSYS  ? "this kernel has none"
	   : errno == EPERM ? "forbidden"
	                    : "see errno");
	if (slurp(at->proc, "sys/kernel/io_uring_disabled", off, sizeof(off)) &&
	    off[0] != '0')
		fix(f, "sysctl kernel.io_uring_disabled=0\n");
}

doctor_check *const doctor_checks[] = {
        check_iommu,   check_vfio,      check_groups,
        check_memlock, check_hugepages, check_io_uring,
};
const size_t doctor_nr_checks =
        sizeof(doctor_checks) / sizeof(doctor_checks[0]);
