/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What fuzz_sysfs.c has found, one case each: trees that no kernel shows, from
 * a sysfs in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <sluice/group.h>
#include <sluice/share.h>

#include "fake_sysfs.h"
#include "util/util.h"

#define DEVICES "bus/pci/devices/"

static void put(enum fake_kind kind, const char *path, const char *text)
{
	assert_true(fake_sysfs_put(kind, path, text, strlen(text)));
}

static int setup(void **state)
{
	(void)state;
	fake_sysfs_new();
	put(FAKE_DIR, "kernel", "");
	msg_set("");
	return 0;
}

static int teardown(void **state)
{
	uint32_t nr = fake_sysfs_nr_open();

	(void)state;
	fake_sysfs_free();
	return nr ? -1 : 0;
}

static struct sluice_group_set *take(int (*how)(const char *root,
                                                struct sluice_group_set **ret))
{
	struct sluice_group_set *set = NULL;

	assert_int_equal(how(FAKE_SYSFS_ROOT, &set), 0);
	return set;
}

/* The message was left to a place that had not seen this error. */
static void denied_list_has_words(void **state)
{
	struct sluice_group_set *set = NULL;

	(void)state;
	put(FAKE_DENIED, "bus/pci/devices", "");
	assert_int_equal(sluice_groups_compute(FAKE_SYSFS_ROOT, &set), -EACCES);
	assert_null(set);
	assert_non_null(strstr(msg_last(), "bus/pci/devices"));
}

/* A name of the tree went to the terminal as it was. */
static void bus_is_defused(void **state)
{
	struct sluice_group_set *set;
	char text[2048];

	(void)state;
	put(FAKE_DIR, "kernel/iommu_groups/0/devices/x", "");
	put(FAKE_LINK, "kernel/iommu_groups/0/devices/x/subsystem",
	    "../\033[2J\n    rm -rf .");
	put(FAKE_LINK, "kernel/iommu_groups/0/devices/x/driver", "../e1000");
	set = take(sluice_groups_read);
	assert_int_equal(sluice_groups_count(set), 1);
	assert_true(sluice_group_explain_viability(sluice_groups_get(set, 0),
	                                           text, sizeof(text)) <
	            sizeof(text));
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "\n    rm"));
	assert_non_null(strstr(text, "?[2J?    rm -rf ."));
	sluice_group_set_free(set);
}

static void iommu_is_defused(void **state)
{
	struct sluice_share_caps caps;

	(void)state;
	assert_int_equal(
	        sluice_share_caps_read(FAKE_SYSFS_ROOT, "\033[2J\n", &caps),
	        -ENOENT);
	assert_non_null(strstr(msg_last(), "?[2J?"));
	assert_null(strchr(msg_last(), '\033'));
}

/* Two entries whose links lead to a third name: each device is still itself,
 * and once. */
static void entries_have_names(void **state)
{
	struct sluice_group_set *set;
	int (*const how[])(const char *, struct sluice_group_set **) = {
	        sluice_groups_read, sluice_groups_compute};

	(void)state;
	put(FAKE_DIR, "devices/0000:00:02.0", "");
	put(FAKE_LINK, DEVICES "0000:00:00.0", "../../../devices/0000:00:02.0");
	put(FAKE_LINK, DEVICES "0000:00:01.0", "../../../devices/0000:00:02.0");
	for (size_t i = 0; i < NR_OF(how); i++) {
		set = take(how[i]);
		assert_int_equal(sluice_groups_nr_ungrouped(set), 2);
		assert_string_equal(sluice_groups_ungrouped(set, 0)->name,
		                    "0000:00:00.0");
		assert_string_equal(sluice_groups_ungrouped(set, 1)->name,
		                    "0000:00:01.0");
		sluice_group_set_free(set);
	}
}

/* A table of Arm DEN0049E, 3.1: an SMMU at 48, then a root complex for each
 * domain, whose ids arrive as they are. */
static size_t make_iort(uint8_t table[168], const uint32_t domain[2])
{
	static const uint8_t smmu[16] = {4, 16};
	static const uint8_t head[48] = {'I', 'O',      'R',      'T',
	                                 168, [36] = 3, [40] = 48};
	static const uint8_t root[52] = {
	        2, 52, [8] = 1, [12] = 32, [36] = 0xff, [37] = 0xff, [44] = 48};

	memcpy(table, head, sizeof(head));
	memcpy(table + 48, smmu, sizeof(smmu));
	for (size_t i = 0; i < 2; i++) {
		uint8_t *node = table + 64 + i * sizeof(root);

		memcpy(node, root, sizeof(root));
		for (size_t k = 0; k < 4; k++)
			node[28 + k] = (uint8_t)(domain[i] >> 8 * k);
	}
	return 168;
}

/* Domains have more digits behind some host bridges: by number 2000 comes
 * before 10000, by name behind it. */
static void members_are_sorted(void **state)
{
	static const uint32_t domain[] = {0x2000, 0x10000};
	const struct sluice_group_info *g;
	struct sluice_group_set *set;
	uint8_t iort[168];
	size_t len = make_iort(iort, domain);

	(void)state;
	put(FAKE_DIR, "class/iommu/smmu3.0", "");
	put(FAKE_LINK, DEVICES "2000:00:00.0/iommu", "../smmu3.0");
	put(FAKE_LINK, DEVICES "10000:00:00.0/iommu", "../smmu3.0");
	assert_true(fake_sysfs_put(FAKE_FILE, "firmware/acpi/tables/IORT", iort,
	                           len));
	set = take(sluice_groups_compute);
	assert_int_equal(sluice_groups_count(set), 1);
	g = sluice_groups_get(set, 0);
	assert_int_equal(g->nr_members, 2);
	assert_int_equal(g->nr_reasons, 1);
	assert_string_equal(g->members[0].name, "10000:00:00.0");
	assert_string_equal(g->members[1].name, "2000:00:00.0");
	sluice_group_set_free(set);
}

/* A slash at the end of a link's target: the device seemed to hang on
 * itself. */
static void nobody_is_above_itself(void **state)
{
	struct sluice_group_set *set;

	(void)state;
	put(FAKE_DIR, "devices/0000:00:01.0/0000:01:00.0", "");
	put(FAKE_LINK, DEVICES "0000:01:00.0",
	    "../../../devices/0000:00:01.0/0000:01:00.0/");
	set = take(sluice_groups_read);
	assert_int_equal(sluice_groups_nr_ungrouped(set), 1);
	assert_string_equal(sluice_groups_ungrouped(set, 0)->name,
	                    "0000:01:00.0");
	assert_non_null(sluice_groups_ungrouped(set, 0)->parent);
	assert_string_equal(sluice_groups_ungrouped(set, 0)->parent,
	                    "0000:00:01.0");
	sluice_group_set_free(set);
}

/* The same by a path that names a device twice, or whose end has another name
 * than the entry. */
static void nobody_is_above_itself_by_name(void **state)
{
	struct sluice_group_set *set;

	(void)state;
	put(FAKE_LINK, DEVICES "0000:01:00.0",
	    "../../../devices/0000:01:00.0/0000:01:00.0");
	put(FAKE_LINK, DEVICES "0000:02:00.0",
	    "../../../devices/0000:02:00.0/0000:02:01.0");
	set = take(sluice_groups_read);
	assert_int_equal(sluice_groups_nr_ungrouped(set), 2);
	assert_null(sluice_groups_ungrouped(set, 0)->parent);
	assert_null(sluice_groups_ungrouped(set, 1)->parent);
	sluice_group_set_free(set);
}

/* An IOMMU of less than two pages, and all but the last byte reserved: the
 * search for room began again at 0, for ever. */
static void no_room_ends(void **state)
{
	const struct sluice_group_region all = {.first = 0,
	                                        .last = UINT64_MAX - 1};
	struct sluice_share_group g[2] = {
	        {.id = 0, .caps = {.family = "vtd"}, &all, 1},
	        {.id = 1, .caps = {.family = "vtd"}, &all, 1},
	};
	struct sluice_share_place at[2];

	(void)state;
	for (uint32_t bits = 1; bits <= 13; bits++) {
		g[0].caps.iova_bits = g[1].caps.iova_bits = bits;
		assert_int_equal(sluice_share_partition(g, 2, at), 2);
		assert_true(at[1].why[0] != '\0');
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        CASE(denied_list_has_words),
	        CASE(bus_is_defused),
	        CASE(iommu_is_defused),
	        CASE(entries_have_names),
	        CASE(members_are_sorted),
	        CASE(nobody_is_above_itself),
	        CASE(nobody_is_above_itself_by_name),
	        CASE(no_room_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
