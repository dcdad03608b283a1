/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside of a watch: watch.c is its life and what it reads, watch_source.c the
 * socket, watch_diff.c the difference of two pictures, watch_event.c what is
 * told of it, watch_slot.c handles, watch_hold.c records lent out,
 * watch_claim.c groups in use.
 *
 * A picture (struct sluice_group_set) never changes once it is the model's. A
 * slot is a device or a group through all pictures in which it is.
 */
#ifndef SLUICE_GROUPS_WATCH_INT_H
#define SLUICE_GROUPS_WATCH_INT_H

#include <pthread.h>
#include <stdbool.h>

#include <sluice/watch.h>

#include "groups/set.h"
#include "util/util.h"

#define SLOT_NONE UINT32_MAX

/* -ENOMEM, with a message. */
int watch_no_memory(void);

/* ---- slots ---- */

enum slot_state {
	SLOT_FREE,
	SLOT_LIVE,   /* in the picture */
	SLOT_GONE,   /* not any more, but something holds it */
	SLOT_RETIRED /* its numbers are used up */
};

struct watch_claim;

struct watch_slot {
	enum slot_state state;
	uint32_t generation; /* of its user, or of the next one */
	uint32_t holds;      /* records lent out, and the claim */
	uint32_t next_free;
	uint64_t birth; /* 0: not known */
	/* While it is live, in the model's picture: */
	const struct sluice_group_member *member; /* of a device */
	const struct sluice_group_info *info;     /* of a group */
	/* Of a group, while two pictures are compared: in the next one. */
	const struct sluice_group_info *next;
	uint32_t group; /* of a device: its group's slot; SLOT_NONE */
	struct watch_claim *claim; /* of a group */
};

enum slot_kind { SLOT_DEVICE, SLOT_GROUP };

struct watch_table {
	struct watch_slot *slot;
	uint32_t nr, room, free; /* free: head of a list, SLOT_NONE */
	enum slot_kind kind;
};

void slots_init(struct watch_table *t, enum slot_kind kind);
void slots_destroy(struct watch_table *t);
/* Makes the next nr slots_take() succeed. -ENOMEM. */
int slots_reserve(struct watch_table *t, uint32_t nr);
/* A slot, live from now on. */
uint32_t slots_take(struct watch_table *t);
/* As if it had not been taken. */
void slots_untake(struct watch_table *t, uint32_t i);
/* It is not in the picture any more. */
void slots_leave(struct watch_table *t, uint32_t i);
void slots_hold(struct watch_table *t, uint32_t i);
void slots_unhold(struct watch_table *t, uint32_t i);

sluice_handle_t slots_handle(const struct watch_table *t, uint32_t i);
/* The slot of a handle. -EINVAL, or -ESTALE when its user is gone, with a
 * message; gone: one that is held is found all the same. */
int slots_find(const struct watch_table *t, sluice_handle_t handle, bool gone,
               uint32_t *ret_i);

/* ---- the model ---- */

struct watch_pic {
	uint32_t refs;
	struct sluice_group_set *set;
};

struct watch_event {
	struct watch_event *next;
	struct sluice_watch_event pub;
	struct watch_claim *claim; /* whose loss it is */
};

struct watch_events {
	struct watch_event *head, **tail;
};

struct watch_model {
	struct watch_table devices, groups;
	struct watch_pic *pic;      /* NULL: none yet */
	struct watch_events events; /* not fetched yet */
	uint32_t nr_held;           /* records and claims */
};

void model_init(struct watch_model *m);
/* Nothing is held. */
void model_destroy(struct watch_model *m);

void pic_put(struct watch_pic *pic);

/* Has the model show set, which is its own from now on, and tells the
 * difference. -ENOMEM: nothing has changed, set is the caller's still. */
int model_apply(struct watch_model *m, struct sluice_group_set *set,
                bool silent);

/* ---- watch_event.c ---- */
void events_init_list(struct watch_events *l);
void events_append(struct watch_events *l, struct watch_event *e);
void events_free(struct watch_events *l);

/* What an event is about; the text is made of it. */
struct watch_news {
	enum sluice_watch_kind kind;
	const struct sluice_group_member *member; /* NULL: of no device */
	const struct sluice_group_info *info;     /* NULL: in no group */
	sluice_handle_t device, group;
	const char *driver;
	struct watch_claim *claim; /* of the group, NULL: not in use */
	bool unfit; /* regions of the group are in its user's way */
	bool loss;
	const char *why; /* what is lost, behind the sentence; NULL */
};
int events_add(struct watch_events *l, const struct watch_news *news);

/* A group with members, none of which is in the way. */
bool watch_viable(const struct sluice_group_info *info);

/* ---- watch_claim.c ---- */
struct watch_claim {
	struct sluice_watch_user user;
	bool complete;
	bool unfit; /* regions became reserved that the user maps */
	char why[256];
};
/* Regions of now that were not in old and that the user maps: 0, or 1 with a
 * sentence in why. */
int claim_regions(const struct watch_claim *claim,
                  const struct sluice_group_info *old,
                  const struct sluice_group_info *now, char *why, size_t len);
/* The event has happened. */
void claim_lost(struct watch_claim *claim, const struct sluice_watch_event *e);

/* ---- watch_source.c ---- */
/* A socket that the kernel tells of its objects; or, with a message, -errno. */
int source_open(void);
/* Reads what there is. kernel: nobody else is believed. 1: look at sysfs; 0;
 * or, with a message, -errno. *ret_more, unless it failed: not all was read,
 * and what was dropped may not be said by what is left. */
int source_drain(int fd, bool kernel, bool *ret_more);

/* ---- watch.c ---- */
struct sluice_watch {
	pthread_mutex_t lock; /* guards everything below */
	struct watch_model model;
	struct watch_events lent; /* by the last sluice_watch_poll() */
	char *root;               /* NULL: the machine's */
	int fd;
	bool own_fd;
	bool dirty; /* sysfs is to be looked at */
};

#endif
