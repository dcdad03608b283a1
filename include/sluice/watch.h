/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A watch: the groups of the machine as they change. Where a group set is a
 * picture, a watch follows devices and groups by *handles*: a device keeps its
 * handle while drivers come and go, and one that was removed and added again
 * under the same name is another device with another handle; the old one is
 * then *stale* and found to be so. A group that is in use is *claimed*: what
 * would take a member away from its user, or let a stranger do DMA among them,
 * is told as a loss.
 *
 * Changes are what differs between two looks at sysfs. The kernel's messages
 * (uevents) only say when to look, so a lost, late or false one invents and
 * hides nothing. What came and went between two looks is not told.
 */
#ifndef SLUICE_WATCH_H
#define SLUICE_WATCH_H

#include <sluice/base.h>
#include <sluice/domain.h>
#include <sluice/group.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_watch;

/* A device or a group of one watch, for as long as it is there; 0 is none. No
 * number is used twice. */
typedef uint64_t sluice_handle_t;

/* Messages come through sluice_watch_cfg.event_fd. */
#define SLUICE_WATCH_EVENT_FD 0x1u
/* What is there when the watch begins is told first, as if it had just come. */
#define SLUICE_WATCH_INITIAL 0x2u

struct sluice_watch_cfg {
	const char *sysfs_root; /* NULL: "/sys"; as for sluice_groups_read() */
	uint32_t flags;         /* SLUICE_WATCH_* */
	/* With SLUICE_WATCH_EVENT_FD, else not looked at: a socket of datagrams
	 * in the form of uevents. Borrowed until the watch is closed. Whoever
	 * can write to it can only make the watch look. */
	int event_fd;
};

/**
 * sluice_watch_open() - begin to follow the groups of a machine.
 * @cfg:       NULL for the defaults; copied
 * @ret_watch: owned by the caller, closed by sluice_watch_close()
 *
 * Listens to the kernel itself (netlink, no udev is needed, nor a privilege).
 * In a network namespace that belongs to a user namespace (rootless
 * containers) the kernel says nothing: call sluice_watch_refresh() now and
 * then there.
 *
 * Thread: control. Blocks: reads files. Returns: 0; -EINVAL for NULL or a bad
 * event_fd; -EAFNOSUPPORT, -EPROTONOSUPPORT or -EPERM when uevents cannot be
 * had here; else as sluice_groups_read().
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_open(
        const struct sluice_watch_cfg *cfg, struct sluice_watch **ret_watch);

/**
 * sluice_watch_close() - stop following. NULL is fine.
 *
 * Thread: control, while no other call on the watch runs. Returns: 0; -EBUSY
 * while records are held or a group is claimed (nothing is closed then).
 */
SLUICE_API int sluice_watch_close(struct sluice_watch *watch);

/**
 * sluice_watch_fd() - readable when sluice_watch_poll() has something to do:
 * for poll(), epoll or a ring of your own.
 *
 * Thread: any. Owns: the watch. Valid until: it is closed. Returns: the
 * descriptor, -EINVAL for NULL.
 */
SLUICE_API int sluice_watch_fd(const struct sluice_watch *watch);

enum sluice_watch_kind {
	SLUICE_WATCH_DEVICE_ADDED = 1,
	/* Its driver and its place in a group went with it. */
	SLUICE_WATCH_DEVICE_REMOVED,
	SLUICE_WATCH_DRIVER_BOUND,
	SLUICE_WATCH_DRIVER_UNBOUND,
	SLUICE_WATCH_MEMBER_JOINED,
	SLUICE_WATCH_MEMBER_LEFT,
	SLUICE_WATCH_GROUP_ADDED,
	SLUICE_WATCH_GROUP_REMOVED,
	/* It has members, and no driver of one does DMA for the kernel. */
	SLUICE_WATCH_GROUP_VIABLE,
	SLUICE_WATCH_GROUP_NOT_VIABLE,
	/* The reserved regions of a group are not what they were. */
	SLUICE_WATCH_REGIONS_CHANGED
};

struct sluice_watch_event {
	enum sluice_watch_kind kind;
	/* A claimed group has lost what was promised to its user. */
	int loss;
	/* SLUICE_WATCH_MEMBER_JOINED and _DRIVER_BOUND: the device may be used
	 * with its group: it has no driver, or one that does no DMA of its
	 * own, and a claim's regions still fit. */
	int usable;
	sluice_handle_t device; /* 0: about a group as a whole */
	sluice_handle_t group;  /* 0: about a device in no group */
	int group_id;           /* -1 likewise */
	const char *kind_name;  /* for scripts: "device-added", … */
	const char *name;       /* of the device; NULL likewise */
	/* SLUICE_WATCH_DRIVER_*: the driver, else the one that it has; NULL:
	 * none. */
	const char *driver;
	const char *text; /* a sentence */
};

/**
 * sluice_watch_poll() - what has changed.
 * @events: filled with at most nr of them, oldest first; what they point to is
 *          valid until the next sluice_watch_poll() of this watch
 *
 * Reads what the kernel has said, looks at sysfs when it concerns devices, and
 * tells the difference: what left, then what is new, then what that means for
 * groups. Never waits for a message. When it returns nr there may be more, and
 * the descriptor need not be readable: call it again.
 *
 * Thread: control, one at a time. Blocks: reads files. Returns: how many
 * events; -EINVAL; or what kept it from looking (sluice_watch_open() lists it,
 * and -EBADMSG), in which case nothing is lost: the next call looks again.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_poll(
        struct sluice_watch *watch, struct sluice_watch_event *events,
        uint32_t nr);

/**
 * sluice_watch_refresh() - have the next sluice_watch_poll() look at sysfs,
 * whatever the kernel has said.
 *
 * Some changes come without a message: a write to a group's "type", a driver
 * whose probe failed. Thread: any. Blocks: while sluice_watch_poll() looks.
 */
SLUICE_API void sluice_watch_refresh(struct sluice_watch *watch);

/* ---- who is there ---- */

/**
 * sluice_watch_devices(), sluice_watch_groups() - handles of all that are
 * there now: members of groups, and PCI devices that are in none.
 * @handles: filled with at most nr of them, in no order; may be NULL with 0
 *
 * Thread: control. Returns: how many there are, whatever nr is.
 */
SLUICE_API uint32_t sluice_watch_devices(struct sluice_watch *watch,
                                         sluice_handle_t *handles, uint32_t nr);
SLUICE_API uint32_t sluice_watch_groups(struct sluice_watch *watch,
                                        sluice_handle_t *handles, uint32_t nr);

/**
 * sluice_watch_find() - the device of a name, as for sluice_groups_find().
 *
 * Thread: control. Returns: 0; -EINVAL for NULL; -ENODEV when there is none.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_find(struct sluice_watch *watch,
                                                   const char *name,
                                                   sluice_handle_t *ret_device);

/**
 * sluice_watch_find_group() - the group of a number, as sluice_group_id() of
 * an open one.
 *
 * Thread: control. Returns: 0; -EINVAL for NULL; -ENOENT when there is none.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_find_group(
        struct sluice_watch *watch, int id, sluice_handle_t *ret_group);

/* A device at one moment. */
struct sluice_watch_device {
	sluice_handle_t device;
	sluice_handle_t group; /* 0: in none */
	const struct sluice_group_member *member;
};

/* A group at one moment. */
struct sluice_watch_group {
	sluice_handle_t group;
	const struct sluice_group_info *info;
	const sluice_handle_t *members; /* in the order of info->members */
};

/**
 * sluice_watch_get_device(), sluice_watch_get_group() - hold a record.
 * @handle: of a device, or of a group
 *
 * A record that is held does not change, and stays when what it describes
 * goes: get it again for news. Each get wants a put; the number of a handle is
 * not reused before the last one.
 *
 * Thread: any. Blocks: while sluice_watch_poll() looks. Returns: 0; -EINVAL for
 * NULL, or what was never a handle of this kind; -ESTALE when the device or
 * group has gone, with a message; -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_get_device(
        struct sluice_watch *watch, sluice_handle_t handle,
        const struct sluice_watch_device **ret_device);
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_get_group(
        struct sluice_watch *watch, sluice_handle_t handle,
        const struct sluice_watch_group **ret_group);
/* NULL is fine. Thread: any. Blocks: likewise. */
SLUICE_API void sluice_watch_put_device(
        struct sluice_watch *watch, const struct sluice_watch_device *device);
SLUICE_API void sluice_watch_put_group(struct sluice_watch *watch,
                                       const struct sluice_watch_group *group);

/* ---- groups in use ---- */

/* Who uses a group; NULL members: nobody is asked, nobody is called. */
struct sluice_watch_user {
	/* First byte to last have just become reserved: not 0 when they are in
	 * use. NULL: they are. */
	int (*in_use)(void *ctx, uint64_t first, uint64_t last);
	/* An event with loss set, before sluice_watch_poll() returns. */
	void (*lost)(void *ctx, const struct sluice_watch_event *event);
	/* For both. They are called by sluice_watch_poll() and may not call
	 * into the watch. */
	void *ctx;
};

/**
 * sluice_watch_claim() - mark a group as in use.
 * @user: copied; NULL: the loss is told by events only
 *
 * From now on these are losses: a member leaves or is removed; a member joins
 * with, or is given, a driver that does DMA; regions become reserved that the
 * user maps; the group goes. A member that joins is judged before it is told.
 *
 * Thread: control. Returns: 0; -EINVAL; -ESTALE; -EBUSY when it is claimed
 * already; -EPERM when it is not viable, with what to type; -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_claim(
        struct sluice_watch *watch, sluice_handle_t group,
        const struct sluice_watch_user *user);

/**
 * sluice_watch_release() - the group is in use no more.
 *
 * To accept what has become of a group, release it and claim it again.
 * Thread: control. Returns: 0; -EINVAL; -ENOENT when it is not claimed. A group
 * that has gone is released like any other.
 */
SLUICE_API int sluice_watch_release(struct sluice_watch *watch,
                                    sluice_handle_t group);

/**
 * sluice_watch_complete() - is a claimed group what it was when it was claimed,
 * or better?
 * @buf: filled with the first loss as a sentence, or with ""; may be NULL with
 *       len 0
 *
 * Thread: any. Blocks: while sluice_watch_poll() looks. Returns: 1; 0 after a
 * loss, whatever came later; -EINVAL; -ENOENT when it is not claimed.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_watch_complete(
        struct sluice_watch *watch, sluice_handle_t group, char *buf,
        size_t len);

/**
 * sluice_domain_guard() - what sluice_watch_claim() needs to protect a group
 * that a domain uses.
 * @group:    attached to the domain; stays so until sluice_domain_unguard()
 * @ret_user: for sluice_watch_claim() of the group's handle
 *
 * Addresses that become reserved leave the domain's allocator, unless a lane
 * has them: then that is a loss. In a domain whose IOVAs the caller chooses it
 * always is. After a loss the lanes of the group's open devices get
 * SLUICE_OP_DEVICE_REQUEST, which says what to do; of a member that left, only
 * the lane of that device.
 *
 * Thread: control. Returns: 0; -EINVAL for NULL; -ENOENT when the group is not
 * attached here; -EBUSY when it is guarded already; -ENOMEM; -EPERM in a child
 * of the engine's process.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_domain_guard(
        struct sluice_domain *domain, struct sluice_group *group,
        struct sluice_watch_user *ret_user);

/**
 * sluice_domain_unguard() - the group is protected no more.
 *
 * Call sluice_watch_release() first: nobody may call the user any more.
 * Thread: control. Returns: 0; -EINVAL for NULL; -ENOENT when it is not
 * guarded; -EPERM in a child.
 */
SLUICE_API int sluice_domain_unguard(struct sluice_domain *domain,
                                     struct sluice_group *group);

#ifdef __cplusplus
}
#endif
#endif
