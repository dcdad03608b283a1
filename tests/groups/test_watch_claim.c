/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups in use: when one can be claimed, what its user loses and is told, and
 * what is no loss.
 */
#include "watched.h"

/* Only when the last one that is in the way has gone. */
static void complete_group(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t four = find_group(w, 4);

	assert_int_equal(sluice_watch_claim(w, four, NULL), -EPERM);
	assert_non_null(strstr(msg_last(), "nvme"));
	live_add(l, "0000:02:00.1", 4, "ahci");
	live_unbind(l, C);
	news(w, "driver-unbound:" C " device-added:0000:02:00.1 "
	        "member-joined:0000:02:00.1 driver-bound:0000:02:00.1");
	live_unbind(l, "0000:02:00.1");
	news(w, "driver-unbound:0000:02:00.1 group-viable:4");
	live_bind(l, C, "vfio-pci");
	news(w, "driver-bound:" C);
	live_bind(l, "0000:02:00.1", "pci-stub");
	news(w, "driver-bound:0000:02:00.1");
	assert_int_equal(sluice_watch_claim(w, four, NULL), 0);
	assert_int_equal(sluice_watch_complete(w, four, NULL, 0), 1);
	assert_int_equal(sluice_watch_release(w, four), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Nobody is in the way, and there is nothing to use. */
static void empty_group(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t g;

	tree_dir(&l->tree, "kernel/iommu_groups/9/devices");
	sluice_watch_refresh(w);
	news(w, "group-added:9 group-not-viable:9");
	g = find_group(w, 9);
	assert_int_equal(sluice_watch_claim(w, g, NULL), -EPERM);
	assert_non_null(strstr(msg_last(), "no devices"));
	live_move(l, B, 3, 9);
	sluice_watch_refresh(w);
	news(w, "member-left:" B " member-joined:" B " group-viable:9");
	assert_int_equal(sluice_watch_close(w), 0);
}

/* ---- groups in use ---- */

struct user {
	uint64_t first, last; /* mapped */
	unsigned asked, lost;
	enum sluice_watch_kind kind;
};

static int user_in_use(void *ctx, uint64_t first, uint64_t last)
{
	struct user *u = ctx;

	u->asked++;
	return first <= u->last && last >= u->first;
}

static void user_lost(void *ctx, const struct sluice_watch_event *e)
{
	struct user *u = ctx;

	assert_true(e->loss);
	u->lost++;
	u->kind = e->kind;
}

static sluice_handle_t claim(struct sluice_watch *w, int id, struct user *u)
{
	const struct sluice_watch_user user = {user_in_use, user_lost, u};
	sluice_handle_t g = find_group(w, id);
	char why[100] = "x";

	assert_int_equal(sluice_watch_claim(w, g, &user), 0);
	assert_int_equal(sluice_watch_complete(w, g, why, sizeof(why)), 1);
	assert_string_equal(why, "");
	return g;
}

static void incomplete(struct sluice_watch *w, sluice_handle_t g,
                       const char *word)
{
	char why[256];

	assert_int_equal(sluice_watch_complete(w, g, why, sizeof(why)), 0);
	if (!strstr(why, word))
		fail_msg("no \"%s\" in \"%s\"", word, why);
}

static void member_lost(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {0};
	sluice_handle_t g = claim(w, 3, &u);

	live_remove(l, B, 3);
	news(w, "!member-left:" B " device-removed:" B);
	assert_int_equal(u.lost, 1);
	assert_int_equal(u.kind, SLUICE_WATCH_MEMBER_LEFT);
	incomplete(w, g, B " left group 3");
	/* It does not come back by itself. */
	live_add(l, B, 3, NULL);
	news(w, "device-added:" B " member-joined:" B);
	incomplete(w, g, B " left group 3");
	assert_int_equal(sluice_watch_claim(w, g, NULL), -EBUSY);
	assert_int_equal(sluice_watch_close(w), -EBUSY);
	assert_int_equal(sluice_watch_release(w, g), 0);
	g = claim(w, 3, &u);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_release(w, g), -ENOENT);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void whole_group_lost(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {0};
	sluice_handle_t g = claim(w, 3, &u);

	live_remove(l, B, 3);
	live_remove(l, A, 3);
	live_add(l, A, 3, "vfio-pci");
	news(w, "!member-left:" A " device-removed:" A " !member-left:" B
	        " device-removed:" B " !group-removed:3 group-added:3 "
	        "device-added:" A " member-joined:" A " driver-bound:" A
	        " group-viable:3");
	assert_int_equal(u.lost, 3);
	/* The new group 3 is nobody's, and the claim is still there. */
	assert_true(find_group(w, 3) != g);
	assert_true((uint32_t)find_group(w, 3) != (uint32_t)g);
	incomplete(w, g, A " left");
	assert_int_equal(sluice_watch_claim(w, g, NULL), -ESTALE);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_complete(w, g, NULL, 0), -ENOENT);
	g = claim(w, 3, &u);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void last_event(struct sluice_watch *w, enum sluice_watch_kind kind,
                       struct sluice_watch_event *ret)
{
	struct sluice_watch_event e[16];
	int n = sluice_watch_poll(w, e, 16);

	assert_in_range(n, 1, 15);
	while (n-- && e[n].kind != kind)
		;
	assert_true(n >= 0);
	*ret = e[n];
}

static void member_joins(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {.first = 0x100000, .last = 0x1fffff};
	sluice_handle_t g = claim(w, 3, &u);
	struct sluice_watch_event e;

	live_add(l, "0000:01:00.2", 3, NULL);
	last_event(w, SLUICE_WATCH_MEMBER_JOINED, &e);
	assert_true(e.usable && !e.loss);
	assert_non_null(strstr(e.text, "does not disturb"));
	assert_int_equal(sluice_watch_complete(w, g, NULL, 0), 1);
	/* With regions that nobody maps. */
	live_regions(l, 3,
	             MSI "0x0000000000200000 0x00000000002fffff direct\n");
	live_add(l, "0000:01:00.3", 3, "vfio-pci");
	last_event(w, SLUICE_WATCH_MEMBER_JOINED, &e);
	assert_true(e.usable && !e.loss);
	assert_int_equal(u.asked, 1);
	assert_int_equal(sluice_watch_complete(w, g, NULL, 0), 1);
	/* With regions that somebody does. */
	live_regions(l, 3,
	             MSI "0x00000000001ff000 0x00000000002fffff direct\n");
	live_add(l, "0000:01:00.4", 3, NULL);
	last_event(w, SLUICE_WATCH_MEMBER_JOINED, &e);
	assert_true(!e.usable && e.loss);
	assert_non_null(strstr(e.text, "0x1ff000-0x1fffff is reserved"));
	assert_int_equal(u.asked, 2);
	assert_int_equal(u.lost, 2);
	assert_int_equal(u.kind, SLUICE_WATCH_REGIONS_CHANGED);
	incomplete(w, g, "0x1ff000");
	/* They do not fit later either, nor whoever comes then. */
	live_bind(l, "0000:01:00.4", "vfio-pci");
	last_event(w, SLUICE_WATCH_DRIVER_BOUND, &e);
	assert_true(!e.usable && !e.loss);
	live_add(l, "0000:01:00.5", 3, NULL);
	last_event(w, SLUICE_WATCH_MEMBER_JOINED, &e);
	assert_true(!e.usable && !e.loss);
	assert_null(strstr(e.text, "does not disturb"));
	assert_int_equal(sluice_watch_release(w, g), 0);
	/* Of no claim it is true again. */
	live_bind(l, "0000:01:00.5", "vfio-pci");
	last_event(w, SLUICE_WATCH_DRIVER_BOUND, &e);
	assert_true(e.usable);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Its driver is told behind its joining, and says nothing else of it. */
static void joins_with_a_driver(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {.first = 0x100000, .last = 0x1fffff};
	sluice_handle_t g = claim(w, 3, &u);
	struct sluice_watch_event e[8];

	live_regions(l, 3,
	             MSI "0x00000000001ff000 0x00000000002fffff direct\n");
	live_add(l, "0000:01:00.2", 3, "vfio-pci");
	assert_int_equal(sluice_watch_poll(w, e, 8), 4);
	assert_int_equal(e[1].kind, SLUICE_WATCH_MEMBER_JOINED);
	assert_true(!e[1].usable && e[1].loss);
	assert_int_equal(e[2].kind, SLUICE_WATCH_DRIVER_BOUND);
	assert_true(!e[2].usable && !e[2].loss);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void stranger_joins(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {0};
	sluice_handle_t g = claim(w, 3, &u);
	struct sluice_watch_event e;

	live_add(l, "0000:01:00.2", 3, "nvme");
	last_event(w, SLUICE_WATCH_MEMBER_JOINED, &e);
	assert_true(!e.usable && e.loss && e.group == g && e.group_id == 3);
	assert_string_equal(e.driver, "nvme");
	assert_non_null(strstr(e.text, "while group 3 is in use"));
	incomplete(w, g, "0000:01:00.2 joined group 3 with nvme");
	assert_int_equal(u.lost, 2);
	assert_int_equal(u.kind, SLUICE_WATCH_GROUP_NOT_VIABLE);
	live_unbind(l, "0000:01:00.2");
	news(w, "driver-unbound:0000:01:00.2 group-viable:3");
	assert_int_equal(sluice_watch_release(w, g), 0);
	g = claim(w, 3, &u);
	live_bind(l, B, "e1000e");
	news(w, "!driver-bound:" B " !group-not-viable:3");
	incomplete(w, g, B " was bound to e1000e");
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Regions: what was reserved before is no news; what goes is no loss; up to
 * the last address; relaxable ones bind nobody. */
static void regions(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {.first = 0, .last = UINT64_MAX};
	sluice_handle_t g = claim(w, 3, &u);

	live_regions(l, 3, "0x00000000fee10000 0x00000000fee1ffff msi\n");
	sluice_watch_refresh(w);
	news(w, "regions-changed:3");
	live_regions(l, 3,
	             "0x00000000fee10000 0x00000000fee1ffff reserved\n"
	             "0x0000000000001000 0x0000000000001fff "
	             "direct-relaxable\n");
	sluice_watch_refresh(w);
	news(w, "regions-changed:3");
	live_regions(l, 3,
	             "0x0000000000005000 0x0000000000005fff reserved\n"
	             "0x0000000000004000 0x0000000000004fff msi\n"
	             "0x00000000fee10000 0x00000000fee1ffff msi\n");
	u.first = 1;
	u.last = 0;
	sluice_watch_refresh(w);
	news(w, "regions-changed:3");
	assert_int_equal(u.asked, 2);
	/* Of two pieces, in no order. */
	live_regions(l, 3,
	             "0x0000000000004000 0x0000000000005fff reserved\n"
	             "0x00000000fee10000 0x00000000fee1ffff msi\n");
	sluice_watch_refresh(w);
	news(w, "regions-changed:3");
	assert_int_equal(u.asked, 2);
	u = (struct user){.last = UINT64_MAX};
	/* Around what was there, and behind it to the end. */
	live_regions(l, 3, "0x00000000fee00000 0xffffffffffffffff reserved\n");
	sluice_watch_refresh(w);
	news(w, "!regions-changed:3");
	assert_int_equal(u.asked, 2);
	incomplete(w, g, "0xfee00000-0xfee0ffff");
	live_regions(l, 3, MSI);
	sluice_watch_refresh(w);
	news(w, "regions-changed:3");
	assert_int_equal(sluice_watch_release(w, g), 0);
	/* Nobody to ask: all of it counts. */
	assert_int_equal(sluice_watch_claim(w, g, NULL), 0);
	live_regions(l, 3,
	             MSI "0x0000000000001000 0x0000000000001fff direct\n");
	sluice_watch_refresh(w);
	news(w, "!regions-changed:3");
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* Out of its group, and into another, while it stays itself. */
static void moves(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	struct user u = {0};
	sluice_handle_t b = find(w, B), g = claim(w, 3, &u);

	live_move(l, B, 3, -1);
	live_uevent(l, "move", B);
	news(w, "!member-left:" B);
	assert_true(find(w, B) == b);
	live_move(l, B, -1, 4);
	live_uevent(l, "move", B);
	news(w, "member-joined:" B);
	assert_true(find(w, B) == b);
	assert_int_equal(sluice_watch_release(w, g), 0);
	assert_int_equal(sluice_watch_close(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, watch_make, watch_unmake)
	        TEST(complete_group), TEST(empty_group),
	        TEST(member_lost),    TEST(whole_group_lost),
	        TEST(member_joins),   TEST(joins_with_a_driver),
	        TEST(stranger_joins), TEST(regions),
	        TEST(moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
