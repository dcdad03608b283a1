/* SPDX-License-Identifier: BSD-3-Clause */
#include "storm.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/util.h"

const char *const storm_drivers[NR_DRIVERS] = {NULL, "vfio-pci", "nvme",
                                               "pci-stub"};
#define BLOCKER 2
#define MSI "0x00000000fee00000 0x00000000feefffff msi\n"
#define MORE MSI "0x0000000000001000 0x0000000000001fff direct\n"
static const char *const regions[] = {"", MSI, MORE};

struct machine now;
struct live *live;
static uint64_t births, rnd;

void storm_begin(uint64_t seed)
{
	memset(&now, 0, sizeof(now));
	rnd = seed;
}

unsigned storm_roll(unsigned n)
{
	rnd ^= rnd << 13;
	rnd ^= rnd >> 7;
	rnd ^= rnd << 17;
	return (unsigned)((rnd * 0x2545f4914f6cdd1du) >> 33) % n;
}

void storm_name(unsigned i, char buf[16])
{
	snprintf(buf, 16, "0000:%02x:00.%u", i / 4 & 0xff, i % 4);
}

static unsigned members(const struct machine *m, int g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NR_DEV; i++)
		n += m->dev[i].birth && m->dev[i].group == g;
	return n;
}

bool storm_viable(const struct machine *m, int g)
{
	for (unsigned i = 0; i < NR_DEV; i++)
		if (m->dev[i].birth && m->dev[i].group == g &&
		    m->dev[i].driver == BLOCKER)
			return false;
	return members(m, g) > 0;
}

static void leave(int g)
{
	if (g >= 0 && members(&now, g) == 0)
		now.grp[g].birth = 0;
}

static void join(int g)
{
	if (g < 0 || now.grp[g].birth)
		return;
	now.grp[g].birth = ++births;
	now.grp[g].regions = 0;
}

static void come(unsigned i)
{
	char name[16];

	storm_name(i, name);
	now.dev[i].birth = ++births;
	now.dev[i].group = (int)storm_roll(NR_GRP + 1) - 1;
	now.dev[i].driver = storm_roll(NR_DRIVERS);
	join(now.dev[i].group);
	if (live)
		live_add(live, name, now.dev[i].group,
		         storm_drivers[now.dev[i].driver]);
}

static void go(unsigned i)
{
	char name[16];

	storm_name(i, name);
	now.dev[i].birth = 0;
	if (live)
		live_remove(live, name, now.dev[i].group);
	leave(now.dev[i].group);
}

static void bind(unsigned i, unsigned driver)
{
	char name[16];

	storm_name(i, name);
	now.dev[i].driver = driver;
	if (live && driver)
		live_bind(live, name, storm_drivers[driver]);
	else if (live)
		live_unbind(live, name);
}

static void move(unsigned i)
{
	int from = now.dev[i].group, to = (int)storm_roll(NR_GRP + 1) - 1;
	char name[16];

	if (from == to)
		return;
	storm_name(i, name);
	now.dev[i].group = to;
	leave(from);
	join(to);
	if (!live)
		return;
	live_move(live, name, from, to);
	live_uevent(live, "move", name);
}

void storm_step(void)
{
	unsigned i = storm_roll(NR_DEV), g = storm_roll(NR_GRP),
	         what = storm_roll(8);

	if (what == 0 && now.grp[g].birth) {
		now.grp[g].regions = storm_roll(NR_OF(regions));
		if (live) {
			live_regions(live, (int)g, regions[now.grp[g].regions]);
			live_uevent(live, "add", "0000:ff:00.0");
		}
	} else if (!now.dev[i].birth) {
		come(i);
	} else if (what == 1) {
		move(i);
	} else if (what < 4) {
		go(i);
	} else if (now.dev[i].driver) {
		bind(i, 0);
	} else {
		bind(i, 1 + storm_roll(NR_DRIVERS - 1));
	}
}

/* ---- pictures ---- */

static void draw_member(struct sluice_group_set *set, unsigned i,
                        struct sluice_group_member *ret)
{
	char name[16];

	storm_name(i, name);
	*ret = (struct sluice_group_member){
	        .name = grp_strdup(&set->mem, name, sizeof(name)),
	        .bus = "pci",
	        .driver = storm_drivers[now.dev[i].driver],
	        .is_pci = 1,
	        .is_blocker = now.dev[i].driver == BLOCKER,
	        .birth = now.dev[i].birth,
	};
}

static void draw_regions(struct sluice_group_set *set,
                         struct sluice_group_info *g, unsigned level)
{
	static const struct sluice_group_region both[] = {
	        {0xfee00000, 0xfeefffff, SLUICE_RESV_MSI, "msi"},
	        {0x1000, 0x1fff, SLUICE_RESV_DIRECT, "direct"}};
	struct sluice_group_region *r = grp_alloc(&set->mem, 2, sizeof(*r));

	memcpy(r, both, sizeof(both));
	g->regions = r;
	g->nr_regions = level;
}

struct sluice_group_set *storm_draw(void)
{
	struct sluice_group_set *set = calloc(1, sizeof(*set));

	set->groups = grp_alloc(&set->mem, NR_GRP, sizeof(*set->groups));
	set->ungrouped = grp_alloc(&set->mem, NR_DEV, sizeof(*set->ungrouped));
	for (int g = 0; g < NR_GRP; g++) {
		struct sluice_group_info *info = &set->groups[set->nr_groups];
		struct sluice_group_member *m;

		if (!now.grp[g].birth)
			continue;
		m = grp_alloc(&set->mem, NR_DEV, sizeof(*m));
		*info = (struct sluice_group_info){
		        .id = g,
		        .type = "DMA",
		        .members = m,
		        .viable = storm_viable(&now, g),
		        .birth = now.grp[g].birth};
		for (unsigned i = 0; i < NR_DEV; i++)
			if (now.dev[i].birth && now.dev[i].group == g)
				draw_member(set, i, &m[info->nr_members++]);
		draw_regions(set, info, now.grp[g].regions);
		set->nr_groups++;
	}
	for (unsigned i = 0; i < NR_DEV; i++)
		if (now.dev[i].birth && now.dev[i].group < 0)
			draw_member(set, i,
			            &set->ungrouped[set->nr_ungrouped++]);
	return set;
}
