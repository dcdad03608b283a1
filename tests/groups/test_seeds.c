/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The situations that this project grew out of, a test each: what kernel
 * developers argued about when they had to decide which devices are a group.
 * On trees made by hand, so that each can be brought about in any order, and
 * on machines that were captured. Those about stream ids are in
 * test_seeds_smmu.c, those about a group in use in test_seeds_used.c.
 */
#include "seeds.h"

#include <unistd.h>

static const char *data;

static bool together(const struct sluice_group_set *set, const char *a,
                     const char *b)
{
	const struct sluice_group_info *g = sluice_groups_find(set, a);

	assert_non_null(g);
	assert_non_null(sluice_groups_find(set, b));
	return sluice_groups_find(set, b) == g;
}

static uint32_t size_of(const struct sluice_group_set *set, const char *name)
{
	const struct sluice_group_info *g = sluice_groups_find(set, name);

	assert_non_null(g);
	return g->nr_members;
}

static void unplug(const struct tree *t, const char *bdf)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", t->root, bdf);
	assert_int_equal(unlink(path), 0);
}

/* ---- AMD-Vi ---- */

/* 02.0 uses the id of 04.0; 03.0 and 05.0 use one that nobody has. */
static const char *const amd[] = {"0000:00:02.0", "0000:00:03.0",
                                  "0000:00:04.0", "0000:00:05.0"};

static void ivrs(const struct tree *t, bool backwards)
{
	static const uint8_t alias[][2] = {
	        {0x10, 0x20}, {0x18, 0x30}, {0x28, 0x30}};
	uint8_t table[48 + 24 + 4 + 3 * 8] = {'I', 'V', 'R', 'S',
	                                      sizeof(table)};
	uint8_t *e = table + 48 + 24;

	table[48] = 0x10;
	table[50] = sizeof(table) - 48;
	*e = 0x02; /* 04.0 under its own id */
	e[1] = 0x20;
	e += 4;
	for (int i = 0; i < 3; i++, e += 8) {
		const uint8_t *a = alias[backwards ? 2 - i : i];

		e[0] = 0x42;
		e[1] = a[0];
		e[5] = a[1];
	}
	tree_blob(t, "firmware/acpi/tables/IVRS", table, sizeof(table));
}

static void check_pairs(const struct tree *t)
{
	struct sluice_group_set *set = compute(t);
	const struct sluice_group_info *g;

	assert_int_equal(sluice_groups_count(set), 2);
	assert_true(together(set, amd[0], amd[2]));
	assert_true(together(set, amd[1], amd[3]));
	g = sluice_groups_find(set, amd[1]);
	assert_int_equal(g->nr_reasons, 1);
	assert_int_equal(g->reasons[0].rule, SLUICE_RULE_FIRMWARE_ALIAS);
	assert_non_null(strstr(g->reasons[0].text, "firmware"));
	sluice_group_set_free(set);
}

static void amd_alias_pair_any_probe_order(void **state)
{
	uint32_t orders = 0;

	(void)state;
	for (uint32_t code = 0; code < 256; code++) {
		uint32_t at[4] = {code & 3, code >> 2 & 3, code >> 4 & 3,
		                  code >> 6 & 3};
		struct tree t;

		if ((1u << at[0] | 1u << at[1] | 1u << at[2] | 1u << at[3]) !=
		    15)
			continue;
		tree_new(&t);
		ivrs(&t, orders & 1);
		for (int i = 0; i < 4; i++)
			plug(&t, amd[at[i]], "ivhd0", 0);
		check_pairs(&t);
		tree_free(&t);
		orders++;
	}
	assert_int_equal(orders, 24);
}

static void amd_alias_pair_hotplug(void **state)
{
	struct sluice_group_set *set;
	struct tree t;

	(void)state;
	tree_new(&t);
	ivrs(&t, false);
	/* The one that comes later is the one whose id it is … */
	plug(&t, amd[0], "ivhd0", 0);
	set = compute(&t);
	assert_int_equal(size_of(set, amd[0]), 1);
	sluice_group_set_free(set);
	plug(&t, amd[2], "ivhd0", 0);
	set = compute(&t);
	assert_true(together(set, amd[0], amd[2]));
	sluice_group_set_free(set);
	/* … or the one that uses it … */
	unplug(&t, amd[0]);
	set = compute(&t);
	assert_int_equal(size_of(set, amd[2]), 1);
	sluice_group_set_free(set);
	plug(&t, amd[0], "ivhd0", 0);
	/* … or neither has it. */
	plug(&t, amd[3], "ivhd0", 0);
	set = compute(&t);
	assert_true(together(set, amd[0], amd[2]));
	assert_int_equal(size_of(set, amd[3]), 1);
	sluice_group_set_free(set);
	plug(&t, amd[1], "ivhd0", 0);
	check_pairs(&t);
	tree_free(&t);
}

/* ---- host bridges ---- */

/* pseries: the host bridge is what is isolated; one real group for all that is
 * below it, whatever is below it. */
static void host_bridge_without_isolation_is_one_group(void **state)
{
	static const char *const cases[] = {"ppc64-pseries-02-phbs",
	                                    "ppc64-pseries-03-mf",
	                                    "ppc64-pseries-04-bridge"};
	uint32_t shared = 0;

	(void)state;
	for (size_t c = 0; c < NR_OF(cases); c++) {
		struct sluice_group_set *set;
		struct tree t;

		tree_unpack(&t, data, cases[c]);
		set = compute(&t);
		for (uint32_t i = 0; i < sluice_groups_count(set); i++) {
			const struct sluice_group_info *g =
			        sluice_groups_get(set, i);

			/* One host bridge, and all of it. */
			for (uint32_t k = 0; k < sluice_groups_count(set); k++)
				assert_int_equal(
				        strncmp(sluice_groups_get(set, k)
				                        ->members[0]
				                        .name,
				                g->members[0].name, 5) == 0,
				        i == k);
			for (uint32_t k = 0; k < g->nr_members; k++)
				assert_memory_equal(g->members[k].name,
				                    g->members[0].name, 5);
			assert_int_equal(g->nr_reasons, g->nr_members - 1);
			for (uint32_t k = 0; k < g->nr_reasons; k++)
				assert_int_equal(g->reasons[k].rule,
				                 SLUICE_RULE_ENDPOINT_UNIT);
			shared += g->nr_members > 1;
		}
		assert_int_equal(sluice_groups_nr_ungrouped(set), 0);
		sluice_group_set_free(set);
		tree_free(&t);
	}
	assert_true(shared >= 3);
}

static void check_bridge(const char *name, const char *bridge, uint32_t nr,
                         const char *behind)
{
	struct sluice_group_set *set;
	struct tree t;

	tree_unpack(&t, data, name);
	/* As we compute it, and as the kernel shows it. */
	for (int read = 0; read < 2; read++) {
		const struct sluice_group_info *g;
		bool found = false;

		if (read) {
			char sysfs[300];

			snprintf(sysfs, sizeof(sysfs), "%s/sys", t.root);
			assert_int_equal(sluice_groups_read(sysfs, &set), 0);
		} else {
			set = compute(&t);
		}
		g = sluice_groups_find(set, bridge);
		assert_non_null(g);
		assert_int_equal(g->nr_members, nr);
		assert_true(together(set, bridge, behind));
		for (uint32_t i = 0; i < nr; i++) {
			const struct sluice_group_member *m = &g->members[i];

			found |= m->is_bridge && !strcmp(m->name, bridge);
			if (strcmp(m->name, behind) == 0)
				assert_string_equal(m->parent, bridge);
		}
		assert_true(found);
		if (!read) {
			assert_int_equal(g->reasons[0].rule,
			                 SLUICE_RULE_BRIDGE_ALIAS);
			assert_non_null(strstr(g->reasons[0].text, bridge));
		}
		sluice_group_set_free(set);
	}
	tree_free(&t);
}

/* A bridge is a member as its devices are, and stays one while they come and
 * go. */
static void bridge_members_tracked(void **state)
{
	(void)state;
	check_bridge("x86-vtd-13-pci-bridge-root", "0000:00:04.0", 4,
	             "0000:01:02.0");
	check_bridge("x86-vtd-55-hotplug-shpc-a-before", "0000:01:00.0", 2,
	             "0000:02:01.0");
	check_bridge("x86-vtd-55-hotplug-shpc-b-added", "0000:01:00.0", 3,
	             "0000:02:02.0");
	check_bridge("x86-vtd-55-hotplug-shpc-c-deleted", "0000:01:00.0", 2,
	             "0000:02:01.0");
}

/* ---- s390 ---- */

/* Functions of one slot that nothing keeps apart: one group anywhere else. */
static void s390_functions_never_shared(void **state)
{
	static const struct {
		const char *iommu;
		uint32_t groups;
	} of[] = {{"s390-iommu.0001", 4}, {"smmu3.0x9050000", 1}};
	static const char *const cases[] = {"s390x-zpci-02-several",
	                                    "s390x-zpci-05-bridge",
	                                    "s390x-zpci-06-hotplug-b-added"};

	(void)state;
	for (size_t i = 0; i < NR_OF(of); i++) {
		struct sluice_group_set *set;
		struct tree t;

		tree_new(&t);
		plug(&t, "0000:00:03.0", of[i].iommu, 0x80);
		plug(&t, "0000:00:03.1", of[i].iommu, 0x80);
		plug(&t, "0000:00:03.2", of[i].iommu, 0x80);
		plug(&t, "0000:00:03.3", of[i].iommu, 0x80);
		set = compute(&t);
		assert_int_equal(sluice_groups_count(set), of[i].groups);
		sluice_group_set_free(set);
		tree_free(&t);
	}
	for (size_t i = 0; i < NR_OF(cases); i++) {
		struct sluice_group_set *set;
		struct tree t;

		tree_unpack(&t, data, cases[i]);
		set = compute(&t);
		assert_true(sluice_groups_count(set) >= 2);
		for (uint32_t k = 0; k < sluice_groups_count(set); k++)
			assert_int_equal(sluice_groups_get(set, k)->nr_members,
			                 1);
		sluice_group_set_free(set);
		tree_free(&t);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(amd_alias_pair_any_probe_order),
	        cmocka_unit_test(amd_alias_pair_hotplug),
	        cmocka_unit_test(host_bridge_without_isolation_is_one_group),
	        cmocka_unit_test(bridge_members_tracked),
	        cmocka_unit_test(s390_functions_never_shared),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER_OF_ARCHIVES\n", argv[0]);
		return 2;
	}
	data = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
