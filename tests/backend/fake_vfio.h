/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VFIO that exists only in this process: containers, groups and type1 v2
 * mappings by the rules of linux/vfio.h, faults at any call, a gate that holds
 * a caller inside an ioctl. One fake kernel per process; all calls take its
 * mutex. fake_vfio_reset() puts it under the library (util/sys.h).
 */
#ifndef SLUICE_TESTS_BACKEND_FAKE_VFIO_H
#define SLUICE_TESTS_BACKEND_FAKE_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/sys.h"

/* ---- the system calls ---- */

/* What the library's table does with /dev/vfio and descriptors from there; the
 * kernel gets the rest. "/dev/vfio/vfio" and "/dev/vfio/N" for N below
 * nr_groups. */
int fake_vfio_open(const char *path, int flags);
int fake_vfio_close(int fd);
int fake_vfio_ioctl(int fd, unsigned long request, void *arg);

/* ---- what kind of kernel it is ---- */

struct fake_vfio_range {
	uint64_t first;
	uint64_t last;
};

struct fake_vfio_cfg {
	int api_version;
	bool no_type1v2;
	bool no_avail;        /* no DMA_AVAIL capability */
	uint32_t entry_limit; /* 0 for 65535 */
	uint64_t memlock;     /* bytes that the process can lock; 0: any */
	/* Memory of a device: VAs that the kernel pins without counting. */
	struct fake_vfio_range device;
	uint32_t nr_groups;      /* 0 for 4 */
	uint32_t not_compatible; /* bitmap: groups that share with nobody */
	const void *info;        /* answer of GET_INFO, verbatim */
	size_t info_size;
	uint32_t info_told; /* argsz to tell instead of info_size */
	struct fake_vfio_range range[4]; /* all 0: two common ones */
	/* Of devices. */
	bool no_reset;
	bool not_pci;
	bool resize;  /* vectors can be added */
	bool bad_cap; /* the chain of a region's capabilities leads astray */
};

/* Forgets everything and makes itself `sys`; cfg may be NULL. No descriptor
 * may be open. */
void fake_vfio_reset(const struct fake_vfio_cfg *cfg);
/* The usable ranges change, as they do when another group joins. */
void fake_vfio_set_ranges(const struct fake_vfio_range *range, uint32_t nr);
/* Descriptors that are open: 0 at the end of a test that leaks none. */
uint32_t fake_vfio_open_fds(void);
/* The process may lock so many bytes from now on; 0: any. */
void fake_vfio_set_memlock(uint64_t bytes);
/* What the process has locked by other means: mlock(), io_uring. */
void fake_vfio_lock(uint64_t bytes);
/* Mappings that another user of each container holds. */
void fake_vfio_others(uint32_t nr);
/* What /proc would tell of the process: locked bytes, and the limit. */
void fake_vfio_locked(uint64_t *ret_bytes, uint64_t *ret_limit);
/* Would the kernel count this memory? */
bool fake_vfio_counted(uint64_t va);
/* A device of the group is open: it cannot leave its container. */
void fake_vfio_hold_device(int group_fd, bool open);

/* ---- devices: one in each group ---- */

/*
 * BAR0: 16 KiB, the second page (the MSI-X table) cannot be mapped; BAR2: 16
 * bytes, read and write only; ROM: one page, read only; config space: 256
 * bytes, the first word 0x5148abcd. INTx, eight MSI-X vectors, errors and
 * requests.
 */

/* The device of group nr fires: false when nobody listens or it is masked. */
bool fake_vfio_fire(uint32_t nr, uint32_t index, uint32_t vector);
uint32_t fake_vfio_resets(uint32_t nr);
uint32_t fake_vfio_command(uint32_t nr);   /* register of config space */
uint32_t fake_vfio_listening(uint32_t nr); /* vectors with an eventfd, all */
uint32_t fake_vfio_device_maps(void);      /* regions that are mapped */
/* The device of group nr is taken away: requests fire now; when it is closed
 * its group leaves the container by itself and cannot be used any more. */
void fake_vfio_unplug(uint32_t nr);

/* ---- faults ---- */

/* The nth call (from 1, counted from now) of request, or of any ioctl when
 * request is 0, fails with -err and changes nothing. */
void fake_vfio_fail(unsigned long request, uint32_t nth, int err);
/* The nth UNMAP from now removes one mapping less than it covers; with lie it
 * removes all but reports one less. */
void fake_vfio_short(uint32_t nth, bool lie);
/* From now on each call of request (MAP or UNMAP) whose range holds iova fails
 * with -err; request 0: none does. partly: such an UNMAP of more than this one
 * mapping removes the others before and says, with success, how much. */
void fake_vfio_refuse(unsigned long request, uint64_t iova, int err,
                      bool partly);
bool fake_vfio_fired(void); /* the last fault that was set has happened */

/* ---- the gate ---- */

/* The next MAP or UNMAP waits inside the ioctl until the gate opens. */
void fake_vfio_gate(void);
void fake_vfio_gate_wait(void); /* until a caller stands at the gate */
void fake_vfio_gate_open(void);
void fake_vfio_gate_next(void); /* lets one through and stays shut */

/* Each MAP and UNMAP takes at least so long, with the container locked. */
void fake_vfio_slow(uint32_t map_us, uint32_t unmap_us);

/* ---- what happened ---- */

/* One MAP or UNMAP, in the order in which they came in. */
struct fake_vfio_call {
	unsigned long request;
	uint64_t iova, len;
};

/* All since the last call of this, at most 4096. */
uint32_t fake_vfio_take_calls(struct fake_vfio_call *out, uint32_t max);

uint32_t fake_vfio_calls(unsigned long request); /* 0: all ioctls */

struct fake_vfio_mapping {
	uint64_t iova, va, len;
	uint32_t flags; /* VFIO_DMA_MAP_FLAG_* */
	bool counted;   /* as locked memory */
};

/* Mappings of all containers together, by IOVA in the order of containers. */
uint32_t fake_vfio_mappings(struct fake_vfio_mapping *out, uint32_t max);
/* What a device would reach at iova: false for a fault. */
bool fake_vfio_reach(uint64_t iova, uint64_t *ret_va, uint32_t *ret_flags);
/* Removes a mapping behind everybody's back. */
void fake_vfio_steal(uint64_t iova);

#endif
