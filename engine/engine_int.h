/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine's own structures. Who may touch what: a lane's and a view's
 * fields belong to the lane's thread; a domain's and the engine's fields are
 * read-only after creation or guarded by the mutex named beside them; counters
 * have one writer and any reader.
 */
#ifndef SLUICE_ENGINE_ENGINE_INT_H
#define SLUICE_ENGINE_ENGINE_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <sluice/sluice.h>
#include "engine/backend/backend.h"
#include "engine/event.h"
#include "engine/exposure.h"
#include "engine/iova.h"
#include "engine/revive.h"
#include "groups/grp.h"
#include "iotlb/iotlb.h"
#include "pagetable/pt.h"
#include "util/util.h"

/* Software bits of a leaf, as the engine uses them. */
#define LEAF_CLAIMED PT_SW0 /* this leaf answers VA -> IOVA for its memory */
#define LEAF_HEAD PT_SW1    /* first leaf of a mapping of a kernel backend */

#define MAX_SG 1024
#define MAP_WINDOW_SHIFT 24
#define MAP_WINDOWS SLUICE_MAP_WINDOW(0x7)
#define MAP_FLAGS                                                              \
	(SLUICE_MAP_FIXED | SLUICE_MAP_32BIT | SLUICE_MAP_COMPACT | MAP_WINDOWS)
_Static_assert(SLUICE_MAX_WINDOWS == IOVA_MAX_WINDOWS &&
                       IOVA_MAX_WINDOWS <= MAP_WINDOWS >> MAP_WINDOW_SHIFT,
               "a window has no name");

struct sluice_engine {
	struct sluice_engine_cfg cfg;
	struct home *home;
	struct pagepool *pool;
	pthread_mutex_t lock; /* guards the three below */
	struct sluice_lane **lanes;
	uint32_t nr_lanes;
	uint32_t nr_domains;
};

/* ---- engine.c ---- */
/* What a child of the engine's process is told. */
int engine_foreign(void);
/* 0, or -EPERM in a child. */
static inline int engine_check(const struct sluice_engine *engine)
{
	return likely(home_mine(engine->home)) ? 0 : engine_foreign();
}

struct zombie;

struct sluice_domain {
	struct sluice_engine *engine;
	struct sluice_domain_cfg cfg;
	struct pt *pt;  /* IOVA -> OA */
	struct pt *rev; /* VA -> IOVA, or NULL */
	struct invlog *log;
	struct backend *be; /* NULL: soft */
	uint64_t lazy_ticks;
	au32 nr_groups; /* written under lock, read by lanes */
	/* Counts maps that unlinked tables. Who owns a page, and finds the
	 * number that it had when it last looked, may use what it remembers of
	 * the tables there. */
	au64 unlinked;

	pthread_mutex_t lock; /* guards everything below */
	struct iova_space *iova;
	au64 first, last; /* read by lanes; a further group may narrow them */
	/* Around all that sluice_domain_reserve() reserved; read by lanes. */
	au64 reserved_first, reserved_last;
	struct sluice_range *usable; /* ascending, nr_usable of them */
	uint32_t nr_usable;
	struct pagecache pc;
	struct sluice_view **views; /* by lane id, max_lanes of them */
	uint32_t nr_views;
	uint32_t nr_arenas;
	uint32_t nr_carves;
	uint32_t uring_cmd;            /* what sluice_domain_info says */
	struct sluice_device *devices; /* open ones */
	struct guard *guards;
	struct sluice_group **groups; /* nr_groups of them */
	uint32_t room_groups;
	struct zombie *zombies;
	struct sluice_domain_stats closed; /* sums of closed views */
	struct exposure closed_exposure;   /* likewise */
};

/* An unmap between its call and its completion. */
struct pend {
	uint64_t iova;
	uint64_t len;
	uint64_t cookie;
	uint64_t ticks;   /* lane->now at the unmap: not later than it */
	uint64_t log_seq; /* ticket in the log, once posted */
	union {
		struct {
			int32_t result;
			uint8_t flags; /* PEND_* */
			uint8_t state; /* enum pend_state */
			uint16_t req;  /* PEND_AT_BACKEND: the lane's request */
		};
		uint64_t how; /* all of them */
	};
};
/* For each of some numbers that pages share, by their low bits, the ticket of
 * the last unmap of such a page: a quick "no" for a map whose IOVA the caller
 * chose. Of larger unmaps only the last is kept. */
#define FILTER_SLOTS 256
#define FILTER_MAX_PAGES 64
struct pend_filter {
	uint64_t large;
	uint64_t last[FILTER_SLOTS];
};
#define PEND_NOTIFY 0x1 /* post a completion */
/* The range stays in use: a ring's slots, or a mapping that was revived. The
 * ticket passes like any other, but neither the allocator nor the backend gets
 * the range back. */
#define PEND_STAYS 0x2
/* The allocator does not get the range back, the backend does: its IOVA was
 * chosen by the caller, or is a ring's. */
#define PEND_FIXED 0x4
/* Goes on in the next one, whose result counts for both. */
#define PEND_MORE 0x8
enum pend_state { PEND_WAITS, PEND_AT_BACKEND, PEND_DONE };

/* Single-writer counters, see struct sluice_domain_stats. */
struct view_stats {
	au64 maps, map_bytes, unmaps, unmap_bytes;
	au64 map_failures, unmap_failures;
	au64 misses, faults;
	au64 invalidations, posts, flushes;
	au64 waiting_since; /* ticks; 0: nothing waits */
	au64 revived;
	/* Of one page by the near ways, not among those above: maps, maps that
	 * were revived, and unmaps. */
	au64 pages_mapped, pages_revived, pages_unmapped;
};

#define REFUSED_MAX 16

struct sluice_view {
	/* First, and in this order: the inline hit paths read them. */
	struct sluice_view_hot hot;
	struct sluice_view_hot va;
	struct pt_near near; /* tables that the miss path knows */
	struct pt_near va_near;
	struct sluice_lane *lane;
	struct sluice_domain *domain;
	struct pt *pt;
	struct invlog *log;
	struct iova_cache *iova;    /* NULL: the caller chooses */
	struct sluice_carve *carve; /* windows that it sees, or NULL */
	uint32_t reader;            /* number in the log: the lane's id */
	bool lazy;
	/* Soft, without a VA side; nothing is revived. */
	bool plain;
	/* Is in the lane's list of views to poll; and may be asleep in the
	 * log: whoever wakes it puts it into the lane's inbox, once. */
	bool awake, asleep;
	/* Takes part in the log: from the first miss, until it has not missed
	 * for long. Who does not translate holds no ticket up. */
	bool reading;
	uint32_t vain_drains;
	uint64_t misses_then; /* at the last of them */
	/* Misses that fill the IOTLB, up to its size; a number of misses with
	 * none of these bits is that of one that fills it. */
	uint64_t fills, fill_mask;
	uint64_t unlinked; /* of the domain, when near was last dropped */
	uint32_t idle_polls;
	uint64_t inbox_next;
	struct invlog_view log_side;
	uint64_t device; /* of the faults to come */

	/* Invalidations not posted yet. */
	uint32_t nr_batch;
	uint64_t batch_bytes; /* pend_bytes when the batch began */
	uint64_t batch_ticks;

	/* The ring of unmaps in flight, by ever-growing index:
	 * emitted <= passed <= submitted <= cleared <= posted <= tail; those
	 * below cleared have passed in the log. */
	struct pend *pend;
	uint64_t pend_mask;
	uint64_t emitted, passed, submitted, cleared, posted, tail;
	uint64_t pend_bytes; /* of [passed, tail) */
	uint64_t log_passed; /* last answer of invlog_passed */

	/* Tables unlinked by a map, whose grace period ends when the log
	 * passes: freed_new_seq those of the newest maps, freed_seq the ones
	 * that are looked at next. */
	struct pt_freed freed_new, freed_wait;
	uint64_t freed_seq, freed_new_seq;

	struct revive *revive; /* NULL: mappings are not revived */
	/* What struct pend says how of an unmap of one mapping that begins, and
	 * of one that came back before any backend had it. */
	uint64_t how_new, how_back;
	uint32_t nr_rings;
	uint32_t nr_maps_inflight; /* at the backend */
	int32_t burst_result; /* of the parts with PEND_MORE that have ended */
	uint32_t nr_recalled; /* unmaps that are there for nothing */
	/* Tickets of unmaps that the kernel refused: they never pass. When the
	 * list is full, none from its last entry on does. */
	uint32_t nr_refused;
	uint64_t refused[REFUSED_MAX];
	struct view_stats st;
	struct pend_filter filter; /* only without an allocator */
	struct invlog_rec batch[INVLOG_BATCH];
	struct exposure exposure;
};

/* A request at a kernel backend. */
struct lane_req {
	struct be_req be;
	struct sluice_view *view;
	struct sluice_ring *ring; /* BE_MAP: whose slots these are, or NULL */
	uint64_t cookie;
	uint64_t pend; /* BE_UNMAP: index in the view's ring */
	uint32_t flags;
};

/* What a lane needs for kernel backends; created with the first such view. */
struct lane_kernel {
	struct fabric_port *port;
	struct lane_req *req;
	struct be_seg *seg; /* MAX_SG for each request, touched when used */
	size_t seg_bytes;
	uint32_t *free;
	uint32_t nr_free;
	uint32_t nr_req;
	struct lane_events events;
	uint32_t nr_unmaps;  /* at backends */
	uint32_t vain_polls; /* in a row, nothing was submitted between */
};

#define FAULTS_MAX 256u

struct fault_ring {
	uint32_t head, tail; /* count on for ever */
	uint64_t dropped;
	struct sluice_fault fault[FAULTS_MAX];
};

struct sluice_lane {
	struct sluice_engine *engine;
	uint32_t id;
	bool online;
	pthread_t owner;
	uint64_t
	        now; /* ticks at the last poll with work, or start of a batch */
	struct pagecache pc;
	struct sluice_view **views;
	uint32_t nr_views;
	/* Views to poll, and those that others woke. */
	uint32_t nr_awake;
	struct sluice_view **awake;
	struct sluice_lane_cfg cfg;
	struct lane_kernel *kernel;
	struct fault_ring faults;
	_Alignas(CACHELINE) au64 inbox; /* the last view, or 0 */
};

/* Memory whose mapping is gone, or tables that were unlinked on the control
 * path, waiting for a ticket. */
struct zombie {
	struct zombie *next;
	uint64_t seq;
	uint64_t iova;
	uint64_t len; /* 0: no range */
	struct pt_freed tables;
	bool in_backend;
	void (*release)(void *ctx);
	void *ctx;
};

/* ---- lane.c ---- */
#ifdef SLUICE_DEBUG_CHECKS
int lane_check(const struct sluice_lane *lane);
#else
static inline int lane_check(const struct sluice_lane *lane)
{
	(void)lane;
	return 0;
}
#endif

/* Adds a view to those that sluice_poll() looks at. */
static inline void view_awake(struct sluice_view *view)
{
	view->idle_polls = 0;
	if (view->awake)
		return;
	view->awake = true;
	view->lane->awake[view->lane->nr_awake++] = view;
}
/* Takes the views that others woke. */
void lane_open_inbox(struct sluice_lane *lane);
/* For invlog_set_wake: ctx is the view. Any thread. */
void view_wake(void *ctx);

/* ---- translate.c, fault.c ---- */
/* Forgets tables: some were unlinked. */
void view_forget(struct sluice_view *view);
/* Takes part in the log, and no longer: then nothing is cached. */
void view_join(struct sluice_view *view);
void view_leave(struct sluice_view *view);

/* Before a map or unmap uses what the view remembers. The caller owns the
 * range: what was unlinked there before that is counted. */
static inline void view_look(struct sluice_view *view)
{
	uint64_t now = ld_rlx(&view->domain->unlinked);

	if (likely(view->unlinked == now))
		return;
	view_forget(view);
	view->unlinked = now;
}

/* The IOTLB is empty: every miss may fill it again. */
static inline void view_refill(struct sluice_view *view)
{
	view->fills = view->fill_mask = 0;
}
void fault_record(struct fault_ring *r, const struct sluice_fault *f);

/* ---- view.c: posting and retiring ---- */
bool view_idle(const struct sluice_view *view);
void view_post(struct sluice_view *view);
/* A map has unlinked tables: they are in freed_new. */
void view_unlinked(struct sluice_view *view);
uint32_t view_poll(struct sluice_view *view, struct sluice_completion *out,
                   uint32_t max, bool drop);
static inline bool view_has_room(const struct sluice_view *view)
{
	return view->tail - view->emitted <= view->pend_mask;
}
/* Does [iova, last] touch an unmap of this view whose ticket has not passed? */
bool view_is_pending(const struct sluice_view *view, uint64_t iova,
                     uint64_t last);
/* The same for a map whose IOVA the caller chose. Where nobody translates its
 * ticket passes here: the map need not wait for the next poll. */
bool view_must_wait(struct sluice_view *view, uint64_t iova, uint64_t last);

/* ---- map.c, kernel.c ---- */
struct map_args {
	const struct sluice_map_req *req;
	const struct iovec *iov;
	uint32_t nr;
	uint64_t len;  /* all pieces */
	uint64_t like; /* the IOVA where it would have the memory's leaves */
	struct sluice_ring *ring; /* the IOVA is that of slots, or NULL */
};
/* Writes the leaves of all pieces. 0 or -errno with everything undone except
 * what needs a ticket, which is queued; *ret_undone says that the IOVA is
 * given back by that ticket. */
int map_leaves(struct sluice_view *view, uint64_t iova,
               const struct be_seg *seg, uint32_t nr, uint32_t prot,
               bool *ret_undone);
int map_error(int rc); /* sets the message that fits */
int map_no_iova(int rc);
int kernel_map(struct sluice_view *view, const struct map_args *args,
               uint64_t iova);
/* ring_kernel.c: the answer to the map of [iova, iova + len). mapped: or the
 * slots are free when the ticket has passed. */
void ring_map_done(struct sluice_ring *ring, uint64_t iova, uint64_t len,
                   bool mapped, uint64_t ticket);
/* Hands the unmaps [from, to) over. Returns the first that did not fit. */
uint64_t kernel_unmap(struct sluice_view *view, uint64_t from, uint64_t to);
/* Calls back an unmap that was handed over, for leaves to be written again.
 * False: the backend is at it, or there is no memory for them. */
bool kernel_recall(struct sluice_view *view, struct pend *p,
                   const struct be_seg *seg);
uint32_t kernel_reap(struct sluice_lane *lane, struct sluice_completion *out,
                     uint32_t max, bool drop);
/* Does [iova, last] begin and end with whole mappings? */
bool kernel_whole(const struct sluice_view *view, uint64_t iova, uint64_t last);
int lane_kernel_create(struct sluice_lane *lane);
void lane_kernel_destroy(struct lane_kernel *k);

/* Removes [iova, last] from the table, and from the VA side what it claimed.
 * view NULL: on the control path. */
int64_t unmap_leaves(struct sluice_domain *domain, struct sluice_view *view,
                     uint64_t iova, uint64_t last);
/* Gives [va, last] of the VA side back. */
void unclaim(struct sluice_domain *domain, struct sluice_view *view,
             uint64_t va, uint64_t last);

/* ---- domain.c, aperture.c, control.c ---- */
/* The window that the flags of a map ask for; -EINVAL. */
int aperture_window(const struct sluice_domain *domain, uint32_t flags);
/* The allocator's part of the information. Called with the domain's lock. */
void aperture_report(const struct sluice_domain *domain,
                     struct sluice_domain_info *info);
/* Checks and copies the configuration's windows. */
int aperture_copy_windows(struct sluice_domain_cfg *cfg);
/* sluice_domain_create on a backend that the caller made, for tests; it goes
 * with the domain, and stays the caller's when this fails. */
int domain_create_on(struct sluice_engine *engine,
                     const struct sluice_domain_cfg *cfg, struct backend *be,
                     struct sluice_domain **ret_domain);
/* What the allocator may use: the format's, the configuration's and, for a
 * kernel backend, the kernel's ranges. Called with the domain's lock. */
int aperture_init(struct sluice_domain *domain);
/* After a further group: ranges that are no longer usable leave the
 * allocator. -EBUSY when they are in use. */
int aperture_shrink(struct sluice_domain *domain);
/* Takes addresses away for ever that nobody has; -EBUSY. What was taken before
 * may be again. */
int aperture_take(struct sluice_domain *domain, uint64_t first, uint64_t last);
/* ---- view_open.c, carve.c ---- */
/* carve: of this domain, or NULL. */
int view_open(struct sluice_lane *lane, struct sluice_domain *domain,
              struct sluice_carve *carve, struct sluice_view **ret_view);
/* A view comes or goes. Called with the domain's lock. NULL is fine. */
void carve_count(struct sluice_carve *carve, int add);
/* What a carved view finds: as pt_walk_near(). */
int carve_walk(struct sluice_view *view, uint64_t iova,
               struct pt_run *ret_leaf);
/* ---- attach.c: what keeps a group out of a domain in use ---- */
/* 0, or -EBUSY: a mapping lies where the group says that it must not. */
int attach_check(struct sluice_domain *domain, struct sluice_group *group);
/* The same for one range. word: what it is, or NULL. */
int attach_check_range(struct sluice_domain *domain,
                       const struct sluice_range *range, const char *word);
/* rc, with a message: lanes keep addresses of the range. */
int attach_in_hand(struct sluice_domain *domain, int rc,
                   const struct sluice_range *range);
void domain_log(struct sluice_domain *domain, enum sluice_log_level level,
                const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Frees zombies whose ticket has passed; all = true when nobody can use them
 * any more. Called with the domain's lock. */
void domain_reap(struct sluice_domain *domain, bool all);
/* Control-path mapping of memory for the domain's lifetime or until
 * domain_unmap_later. Called with the domain's lock. */
int domain_map_now(struct sluice_domain *domain, uint64_t va, uint64_t len,
                   uint32_t prot, uint32_t flags, uint64_t *ret_iova);
/* Removes it; release(ctx) runs when nothing reaches the memory any more.
 * z is caller-allocated, freed with the release. */
void domain_unmap_later(struct sluice_domain *domain, uint64_t iova,
                        uint64_t len, struct zombie *z);
/* ---- arena.c ---- */
/* Where its memory is; it is not destroyed before arena_drop(). */
void arena_hold(struct sluice_arena *arena, uintptr_t *ret_va,
                uint64_t *ret_len);
void arena_drop(struct sluice_arena *arena);
/* ---- device.c ---- */
/* -EBUSY when a device of the group is open, or it is guarded; NULL: of any
 * group. Called with the domain's lock. */
int device_none_open(const struct sluice_domain *domain,
                     const struct sluice_group *group);

/* ---- guard.c ---- */
struct guard;
/* -EBUSY when the group is guarded; NULL: any group. Called with the domain's
 * lock. */
int guard_none(const struct sluice_domain *domain,
               const struct sluice_group *group);

void view_stats_add(struct sluice_domain_stats *sum,
                    const struct sluice_view *view);

/* ---- arena.c ---- */
/* Slots in a piece of an arena that has none: only sluice_arena_get and _put
 * are for them, and the piece stays with the whole. Control. */
int arena_carve(struct sluice_arena *whole, uint64_t len, uint64_t slot_size,
                struct sluice_arena **ret_arena);
/* Its memory. */
void *arena_start(const struct sluice_arena *arena);
/* Before the whole goes. NULL is fine. */
void arena_drop_carved(struct sluice_arena *arena);

#endif
