/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A watch on a machine that changes: who keeps a handle and who does not, what
 * is told, and what the messages of the kernel have to do with it.
 */
#include "watched.h"

static void unbind_rebind(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t a = find(w, A);
	const struct sluice_watch_device *d;

	news(w, "");
	live_unbind(l, A);
	news(w, "driver-unbound:" A);
	live_bind(l, A, "nvme");
	news(w, "driver-bound:" A " group-not-viable:3");
	live_unbind(l, A);
	live_bind(l, A, "vfio-pci");
	news(w, "driver-unbound:" A " driver-bound:" A " group-viable:3");
	assert_true(find(w, "01:00.0") == a);
	assert_int_equal(sluice_watch_get_device(w, a, &d), 0);
	assert_string_equal(d->member->driver, "vfio-pci");
	assert_true(d->device == a && d->group == find_group(w, 3));
	sluice_watch_put_device(w, d);
	/* Another look changes nothing. */
	sluice_watch_refresh(w);
	news(w, "");
	assert_true(find(w, A) == a);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void remove_add(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t a = find(w, A), again;

	live_remove(l, A, 3);
	news(w, "member-left:" A " device-removed:" A);
	stale(w, a);
	assert_int_equal(sluice_watch_find(w, A, &again), -ENODEV);
	assert_non_null(strstr(msg_last(), A));
	live_add(l, A, 3, NULL);
	news(w, "device-added:" A " member-joined:" A);
	again = find(w, A);
	assert_true(again != a);
	/* The same place, another generation. */
	assert_true((uint32_t)again == (uint32_t)a);
	assert_int_equal(again >> 32, (a >> 32) + 1);
	stale(w, a);
	/* Between two looks. */
	live_remove(l, A, 3);
	live_add(l, A, 3, "vfio-pci");
	news(w, "member-left:" A " device-removed:" A " device-added:" A
	        " member-joined:" A " driver-bound:" A);
	stale(w, again);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* The number of a group is used again, its handle is not. */
static void group_again(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	const struct sluice_watch_group *g;
	sluice_handle_t four = find_group(w, 4);

	live_remove(l, C, 4);
	live_add(l, C, 4, NULL);
	news(w, "member-left:" C " device-removed:" C " group-removed:4 "
	        "group-added:4 device-added:" C " member-joined:" C
	        " group-viable:4");
	assert_int_equal(sluice_watch_get_group(w, four, &g), -ESTALE);
	assert_true(find_group(w, 4) != four);
	assert_int_equal(sluice_watch_close(w), 0);
}

static void records(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	const struct sluice_watch_device *d[3], *now;
	const struct sluice_watch_group *g;
	sluice_handle_t a = find(w, A), three = find_group(w, 3);

	for (int i = 0; i < 3; i++)
		assert_int_equal(sluice_watch_get_device(w, a, &d[i]), 0);
	assert_int_equal(sluice_watch_get_group(w, three, &g), 0);
	assert_int_equal(g->info->nr_members, 2);
	assert_true(g->members[0] == a && g->members[1] == find(w, B));
	live_bind(l, A, "nvme");
	live_news(w);
	/* What is held does not change. */
	assert_string_equal(d[0]->member->driver, "vfio-pci");
	assert_true(g->info->viable);
	assert_int_equal(sluice_watch_get_device(w, a, &now), 0);
	assert_string_equal(now->member->driver, "nvme");
	live_remove(l, A, 3);
	live_news(w);
	live_add(l, A, 3, NULL);
	live_news(w);
	stale(w, a);
	/* Its number is in use until the last one is put, in any order. */
	assert_true((uint32_t)find(w, A) != (uint32_t)a);
	assert_int_equal(sluice_watch_close(w), -EBUSY);
	assert_non_null(strstr(msg_last(), "5 records"));
	sluice_watch_put_device(w, d[1]);
	sluice_watch_put_device(w, now);
	sluice_watch_put_group(w, g);
	assert_string_equal(d[0]->member->name, A);
	sluice_watch_put_device(w, d[0]);
	live_add(l, "0000:05:00.0", -1, NULL);
	live_news(w);
	assert_true((uint32_t)find(w, "05:00.0") != (uint32_t)a);
	assert_string_equal(d[2]->member->name, A);
	sluice_watch_put_device(w, d[2]);
	live_add(l, "0000:06:00.0", -1, NULL);
	live_news(w);
	assert_true((uint32_t)find(w, "06:00.0") == (uint32_t)a);
	stale(w, a);
	sluice_watch_put_device(w, NULL);
	sluice_watch_put_group(w, NULL);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* A place whose generations are used up is not used again. */
static void generations_end(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t a = find(w, A), last;
	uint32_t place = (uint32_t)a;

	w->model.devices.slot[place].generation = UINT32_MAX;
	last = find(w, A);
	assert_int_equal(last >> 32, UINT32_MAX);
	live_remove(l, A, 3);
	live_news(w);
	for (int i = 0; i < 4; i++) {
		live_add(l, A, 3, NULL);
		live_news(w);
		assert_true((uint32_t)find(w, A) != place);
		stale(w, last);
		stale(w, a);
		live_remove(l, A, 3);
		live_news(w);
	}
	assert_int_equal(sluice_watch_close(w), 0);
}

static void initial(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, SLUICE_WATCH_INITIAL);
	sluice_handle_t h[8];

	news(w, "group-added:3 group-added:4 device-added:" A
	        " member-joined:" A " driver-bound:" A " device-added:" B
	        " member-joined:" B " device-added:" C " member-joined:" C
	        " driver-bound:" C " group-viable:3 group-not-viable:4");
	assert_int_equal(sluice_watch_devices(w, h, 8), 3);
	assert_int_equal(sluice_watch_devices(w, h, 1), 3);
	assert_int_equal(sluice_watch_devices(w, NULL, 0), 3);
	assert_int_equal(sluice_watch_groups(w, h, 8), 2);
	assert_true(h[0] == find_group(w, 3) && h[1] == find_group(w, 4));
	assert_int_equal(sluice_watch_close(w), 0);
}

/* A device of another bus is known by its group, and stays when it leaves. */
static void other_bus(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	sluice_handle_t h;
	char path[400];

	tree_dir(&l->tree, "devices/platform/smmu-dev");
	tree_link(&l->tree, "devices/platform/smmu-dev/subsystem",
	          "../../../bus/platform");
	tree_link(&l->tree, "bus/platform/devices/smmu-dev",
	          "../../../devices/platform/smmu-dev");
	tree_link(&l->tree, "kernel/iommu_groups/4/devices/smmu-dev",
	          "../../../../devices/platform/smmu-dev");
	sluice_watch_refresh(w);
	news(w, "device-added:smmu-dev member-joined:smmu-dev");
	h = find(w, "smmu-dev");
	snprintf(path, sizeof(path),
	         "%s/kernel/iommu_groups/4/devices/smmu-dev", l->tree.root);
	assert_int_equal(remove(path), 0);
	sluice_watch_refresh(w);
	news(w, "member-left:smmu-dev");
	assert_true(find(w, "smmu-dev") == h);
	snprintf(path, sizeof(path), "%s/bus/platform/devices/smmu-dev",
	         l->tree.root);
	assert_int_equal(remove(path), 0);
	sluice_watch_refresh(w);
	news(w, "device-removed:smmu-dev");
	stale(w, h);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* ---- messages ---- */

static int readable(struct sluice_watch *w)
{
	struct pollfd fd = {.fd = sluice_watch_fd(w), .events = POLLIN};

	return poll(&fd, 1, 0);
}

static void messages(void **state)
{
#define MESSAGE(text)                                                          \
	{                                                                      \
		text, sizeof(text)                                             \
	}
	static const struct {
		const char *text;
		size_t len;
	} odd[] = {
	        MESSAGE(""),
	        MESSAGE("add"),
	        MESSAGE("add@"),
	        MESSAGE("add@devices/x"),
	        MESSAGE("@/devices/x"),
	        MESSAGE("ADD@/devices/x"),
	        MESSAGE("add@/devices/x\0ACTION=remove"),
	        MESSAGE("add@/devices/x\0="),
	        MESSAGE("add@/devices/x\0DEVPATH=/devices/y"),
	        MESSAGE("libudev"),
	        MESSAGE("add@/module/vfio"),
	        MESSAGE("change@/devices/pci0000:00/" A),
	        {"add@/devices/x", 14}, /* no NUL */
	};
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, 0);
	char big[9000];

	assert_int_equal(readable(w), 1); /* from before it looked */
	news(w, "");
	assert_int_equal(readable(w), 0);
	/* None of these makes it look. */
	l->quiet = 1;
	live_unbind(l, A);
	for (size_t i = 0; i < NR_OF(odd); i++)
		live_say(l, odd[i].text, odd[i].len);
	assert_int_equal(readable(w), 1);
	news(w, "");
	assert_int_equal(readable(w), 0);
	/* One that was cut is not known to be of no interest. */
	memset(big, 'x', sizeof(big));
	live_say(l, big, sizeof(big));
	news(w, "driver-unbound:" A);
	live_bind(l, A, "vfio-pci");
	l->quiet = 0;
	live_uevent(l, "bind", C);
	news(w, "driver-bound:" A);
	assert_int_equal(sluice_watch_close(w), 0);
}

/* More than the caller has room for: in order, none twice, none lost. */
static void little_room(void **state)
{
	struct live *l = *state;
	struct sluice_watch *w = live_watch(l, SLUICE_WATCH_INITIAL);
	struct sluice_watch_event e;
	char all[2048] = "";
	int n = 0;

	assert_int_equal(sluice_watch_poll(w, NULL, 0), 0);
	live_remove(l, C, 4);
	while (sluice_watch_poll(w, &e, 1) == 1) {
		snprintf(all + strlen(all), sizeof(all) - strlen(all), " %s",
		         e.kind_name);
		n++;
	}
	assert_int_equal(n, 15);
	assert_non_null(strstr(all, "group-viable group-not-viable member-left "
	                            "device-removed group-removed"));
	assert_int_equal(sluice_watch_close(w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, watch_make, watch_unmake)
	        TEST(unbind_rebind), TEST(remove_add),      TEST(group_again),
	        TEST(records),       TEST(generations_end), TEST(initial),
	        TEST(other_bus),     TEST(messages),        TEST(little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
