/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A life with everything in it: groups found and opened, a domain, two lanes,
 * mappings of each kind, arenas, a ring, groups in and out, and the way back.
 * Each failing call is repeated; what can be undone is.
 */
#include "tests/faults/run.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include "util/util.h"

#define MEMLOCK (5u << 19) /* one huge page, and half a MiB */
/* An emulator keeps books on every address that was ever mapped, and each run
 * maps at others: 4 GiB a run would be too much for it. */
#define TABLES (UINT64_C(64) << 20)
#define DOMAIN_FLAGS (SLUICE_DOMAIN_VA_LOOKUP | SLUICE_DOMAIN_REVIVE)

const struct world worlds[] = {
        {.name = "soft",
         .engine = {.max_table_bytes = TABLES},
         .domain = {.flags = DOMAIN_FLAGS}},
        {.name = "type1",
         .engine = {.max_table_bytes = TABLES},
         .domain = {.backend = SLUICE_BACKEND_VFIO_TYPE1,
                    .flags = SLUICE_DOMAIN_VA_LOOKUP},
         .vfio = {.memlock = MEMLOCK}},
        {.name = "type1, lazy, no io_uring",
         .engine = {.max_table_bytes = TABLES, .no_io_uring = 1},
         .domain = {.backend = SLUICE_BACKEND_VFIO_TYPE1,
                    .mode = SLUICE_MODE_LAZY,
                    .flags = DOMAIN_FLAGS},
         .vfio = {.memlock = MEMLOCK}},
};
const unsigned nr_worlds = NR_OF(worlds);

/* fn(args), until it is not to be called again; its result is in rc. */
#define CALL(fn, ...)                                                          \
	do {                                                                   \
		quiet();                                                       \
		rc = fn(__VA_ARGS__);                                          \
	} while (again(r, #fn, rc))

/* ---- groups ---- */

static bool lacking(int err)
{
	return err == ENOMEM || err == EMFILE || err == ENFILE;
}

/* A fault may cost the picture of a group an attribute that the tree did not
 * show; never one that this process had no means to ask for. What cannot be
 * told is not taken for harmless. */
static void check_picture(struct run *r, const struct sluice_group_info *info)
{
	const struct sluice_group_member *m = info->members;
	bool whole = info->nr_members == 1 && info->nr_regions == 2 &&
	             m->is_vfio && m->is_pci && m->vendor == 0x8086 &&
	             info->viable && strcmp(info->type, "DMA") == 0;

	if (whole)
		return;
	if (!r->err || lacking(r->err))
		wrong(r, "group %d: read in part and not refused", info->id);
	if (r->err == ENOENT)
		return;
	if (info->nr_regions != 2)
		wrong(r, "group %d: reserved regions are missing", info->id);
	if (info->viable && info->nr_members && !m->is_vfio)
		wrong(r, "group %d: a driver that is not known is no blocker",
		      info->id);
}

static void read_groups(struct run *r)
{
	struct sluice_group_set *set = NULL;
	uint32_t nr;
	int rc;

	CALL(sluice_groups_read, r->tree, &set);
	nr = rc ? 0 : sluice_groups_count(set);
	if (rc == 0 && nr != 2 && (!r->err || lacking(r->err)))
		wrong(r, "%u groups instead of 2", nr);
	for (uint32_t i = 0; i < nr; i++)
		check_picture(r, sluice_groups_get(set, i));
	sluice_group_set_free(set);
}

static void open_groups(struct run *r)
{
	static const char *const bdf[2] = {"0000:01:00.0", "0000:02:00.0"};
	struct sluice_group_cfg cfg = {.sysfs_root = r->tree};
	int rc;

	for (int i = 0; i < 2; i++) {
		CALL(sluice_group_open, bdf[i], &cfg, &r->group[i]);
		if (rc == 0)
			check_picture(r, sluice_group_describe(r->group[i]));
	}
}

static void attach(struct run *r, unsigned group)
{
	int rc;

	if (is_kernel(r) && r->group[group])
		CALL(sluice_domain_attach, r->domain, r->group[group]);
}

static void open_device(struct run *r)
{
	int rc, fd = -1;

	CALL(sluice_group_device_open, r->group[0], NULL, &fd);
	if (rc == 0)
		sys->close(fd);
}

/* ---- up ---- */

static void reserve(struct run *r)
{
	struct sluice_domain_info info;
	int rc;

	sluice_domain_get_info(r->domain, &info);
	r->fixed = align_up(info.first, 30) + bit64(30);
	CALL(sluice_domain_reserve, r->domain, r->fixed, info.granule);
	if (rc)
		r->fixed = 0;
}

static bool up(struct run *r)
{
	int rc;

	CALL(sluice_engine_open, &r->w->engine, &r->engine);
	if (rc)
		return false;
	if (is_kernel(r)) {
		read_groups(r);
		open_groups(r);
	}
	CALL(sluice_domain_create, r->engine, &r->w->domain, &r->domain);
	if (rc)
		return false;
	attach(r, 0);
	reserve(r);
	for (unsigned i = 0; i < LANES; i++) {
		CALL(sluice_lane_open, r->engine, NULL, &r->lane[i]);
		if (rc)
			return false;
		CALL(sluice_view_open, r->lane[i], r->domain, &r->view[i]);
		if (rc)
			return false;
	}
	/* From here on the doorbell is rung. */
	if (is_kernel(r))
		(void)sluice_lane_event_fd(r->lane[1]);
	return true;
}

/* ---- meanwhile ---- */

static void look_up(struct run *r)
{
	uint64_t iova = 0;
	int64_t n;

	for (uint32_t i = 0; i < MAX_LIVE; i++) {
		const struct live *l = &r->live[i];

		if (!l->nr)
			continue;
		n = sluice_va_to_iova(r->view[0], l->va[0], PAGE, &iova);
		if (n != PAGE || iova != l->iova)
			wrong(r, "VA 0x%llx is at 0x%llx, not 0x%llx",
			      (unsigned long long)l->va[0],
			      (unsigned long long)iova,
			      (unsigned long long)l->iova);
	}
}

static void check(struct run *r, const char *when)
{
	run_settle(r);
	compare(r, when);
	look_up(r);
}

static void map_all(struct run *r)
{
	for (unsigned i = 0; i < 4; i++)
		run_map(r, i % LANES, i, 1);
	run_map(r, 0, 16, 8);
	run_map_sg(r, 1, 32, 4);
	run_map_sg(r, 0, 64, 6);
	run_map_fixed(r, 0, 100, 2);
	check(r, "after the maps");
}

static void turn_over(struct run *r)
{
	for (unsigned i = 0; i < 4; i++)
		run_remap(r, i % LANES, i);
	run_unmap(r, 1, 32);
	check(r, "after remapping");
	run_unmap_row(r, 0, 0, 4);
	for (unsigned i = 0; i < 4; i++)
		run_map(r, 0, i, 1);
	check(r, "after a row of unmaps");
}

static void take_iova(struct run *r)
{
	uint64_t iova = 0;
	int rc;

	CALL(sluice_iova_alloc, r->view[0], 16 * PAGE, 0, 0, &iova);
	if (rc == 0)
		sluice_iova_free(r->view[0], iova, 16 * PAGE);
}

static void arenas_up(struct run *r)
{
	static const struct sluice_arena_cfg cfg[2] = {
	        {.size = 2u << 20, .slot_size = 2048, .slots_bytes = 1u << 20},
	        {.size = 16 * PAGE, .no_huge = 1},
	};
	struct sluice_buf buf;
	int rc;

	for (int i = 0; i < 2; i++) {
		CALL(sluice_arena_create, r->domain, &cfg[i], &r->arena[i]);
		if (rc)
			continue;
		CALL(sluice_arena_alloc, r->arena[i], PAGE, PAGE, &buf);
		if (rc)
			continue;
		r->arena_at[i] = (struct range){
		        i ? buf.iova : buf.iova - (1u << 20), cfg[i].size};
		memset(buf.va, 1, PAGE);
	}
	if (!r->arena[0])
		return;
	CALL(sluice_arena_get, r->lane[0], r->arena[0], &buf);
	if (rc == 0)
		sluice_arena_put(r->lane[1], r->arena[0], buf.va);
}

/* More than may be pinned: refused, fault or not. */
static void arena_too_large(struct run *r)
{
	struct sluice_arena_cfg cfg = {.size = MEMLOCK - (2u << 20),
	                               .no_huge = 1};
	struct sluice_arena *a = NULL;
	int rc = sluice_arena_create(r->domain, &cfg, &a);

	if (rc == -ENOMEM)
		return;
	if (rc == 0 || !inject_fired())
		wrong(r, "an arena that cannot be pinned: %s",
		      rc ? sluice_errname(rc) : "made");
	sluice_arena_destroy(a);
}

static void arena_down(struct run *r, unsigned i)
{
	struct range *at = &r->arena_at[i];

	if (!r->arena[i])
		return;
	sluice_arena_destroy(r->arena[i]);
	r->arena[i] = NULL;
	maybe_add(r, at->iova, at->len);
	at->len = 0;
}

/* On a ring of the caller's, which is not the library's to lose. */
static void fixed_life(struct run *r)
{
	struct sluice_fixed_cfg cfg = {.nr = 2};
	struct sluice_fixed *fixed = NULL;
	struct io_uring ring;
	uint32_t index;
	int rc;

	if (io_uring_queue_init(1, &ring, 0))
		return;
	cfg.ring_fd = ring.ring_fd;
	CALL(sluice_fixed_open, &cfg, &fixed);
	for (int i = 0; i < 2 && rc == 0; i++)
		if (r->arena[i])
			CALL(sluice_fixed_add, fixed, r->arena[i]);
	if (sluice_fixed_index(fixed, r->arena[0], 1, &index) != -EFAULT)
		wrong(r, "the arena's object is a fixed buffer");
	if (r->arena[0])
		CALL(sluice_fixed_remove, fixed, r->arena[0]);
	/* With the other one in it. */
	sluice_fixed_close(fixed);
	io_uring_queue_exit(&ring);
}

static void ring_life(struct run *r)
{
	struct sluice_ring_cfg cfg = {.stride = PAGE, .nr_slots = 16};
	int rc;

	if (is_kernel(r))
		return;
	CALL(sluice_ring_create, r->view[0], &cfg, &r->ring);
	if (rc)
		return;
	for (uint32_t i = 0; i < 4; i++)
		CALL(sluice_ring_map, r->ring, i, (uint64_t)(i + 512) << 12,
		     PAGE, SLUICE_RW, NULL);
	CALL(sluice_ring_unmap, r->ring, 0, 4, 0, NULL);
	run_settle(r);
	CALL(sluice_ring_destroy, r->ring);
	r->ring = NULL;
}

/* A lane sleeps; the other does not wait for it. */
static void nap(struct run *r)
{
	int rc;

	CALL(sluice_lane_offline, r->lane[1]);
	run_map(r, 0, 200, 1);
	run_unmap(r, 0, 200);
	sluice_lane_online(r->lane[1]);
}

static void second_group(struct run *r, bool in)
{
	int rc;

	if (!is_kernel(r) || !r->group[1])
		return;
	if (in)
		CALL(sluice_domain_attach, r->domain, r->group[1]);
	else
		CALL(sluice_domain_detach, r->domain, r->group[1]);
}

static void middle(struct run *r)
{
	map_all(r);
	second_group(r, true);
	check(r, "with a second group");
	turn_over(r);
	arenas_up(r);
	fixed_life(r);
	if (is_kernel(r)) {
		arena_too_large(r);
		open_device(r);
	}
	take_iova(r);
	ring_life(r);
	nap(r);
	check(r, "with arenas");
	arena_down(r, 1);
	run_unmap(r, 0, 100);
	second_group(r, false);
	run_map_sg(r, 1, 128, 3);
	check(r, "without the second group");
}

/* ---- down ---- */

static void down(struct run *r)
{
	int rc;

	arena_down(r, 0);
	arena_down(r, 1);
	for (unsigned i = 0; i < LANES; i++) {
		CALL(sluice_view_close, r->view[i]);
		CALL(sluice_lane_close, r->lane[i]);
	}
	CALL(sluice_domain_destroy, r->domain);
	for (unsigned i = 0; i < 2; i++)
		CALL(sluice_group_close, r->group[i]);
	CALL(sluice_engine_close, r->engine);
}

void scenario(struct run *r)
{
	if (up(r)) {
		middle(r);
		run_unmap(r, 0, 64);
		check(r, "at the end");
		/* The rest goes with the domain. */
	}
	down(r);
	if (fake_vfio_mappings(NULL, 0))
		wrong(r, "%u mappings outlive the domain",
		      fake_vfio_mappings(NULL, 0));
}
