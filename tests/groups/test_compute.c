/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sluice_groups_compute() when something is missing: memory at each
 * allocation, descriptors, the right to read configuration space.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/resource.h>

#include "groups/grp.h"
#include "scarce.h"
#include "tree.h"
#include "util/util.h"

/* A slot of eight functions and an IOMMU that has them; IVRS knows them. */
static void computable(const struct tree *t)
{
	uint8_t config[64] = {0x36, 0x1b, 0x10};
	uint8_t ivrs[48 + 24 + 4] = {'I', 'V', 'R', 'S', sizeof(ivrs)};

	ivrs[48] = 0x10;
	ivrs[50] = 24 + 4;
	ivrs[72] = 0x01; /* all devices */
	tree_blob(t, "firmware/acpi/tables/IVRS", ivrs, sizeof(ivrs));
	config[0x0e] = 0x80;
	tree_dir(t, "class/iommu/ivhd0");
	for (int i = 0; i < 8; i++) {
		char bdf[32], path[96];

		snprintf(bdf, sizeof(bdf), "0000:00:03.%d", i);
		tree_pci(t, bdf, -1, "nvme", "0x010802\n");
		snprintf(path, sizeof(path), "bus/pci/devices/%s/config", bdf);
		tree_blob(t, path, config, sizeof(config));
		snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu", bdf);
		tree_link(t, path, "../../../class/iommu/ivhd0");
	}
}

static void no_memory(void **state)
{
	struct sluice_group_set *set;
	const struct sluice_group_info *g;
	struct tree *t = *state;
	int n, rc = -ENOMEM;

	computable(t);
	for (n = 0; rc == -ENOMEM; n++) {
		set = UNTOUCHED;
		allocations = n;
		rc = sluice_groups_compute(t->root, &set);
		allocations = -1;
		if (rc)
			assert_ptr_equal(set, UNTOUCHED);
	}
	assert_int_equal(rc, 0);
	assert_in_range(n, 50, 1000);
	assert_int_equal(sluice_groups_count(set), 1);
	g = sluice_groups_get(set, 0);
	assert_int_equal(g->nr_members, 8);
	assert_int_equal(g->nr_reasons, 7);
	assert_string_equal(g->members[0].iommu, "ivhd0");
	sluice_group_set_free(set);
}

/* A user who is no root sees 64 bytes, which say that there is more. */
static void hidden_config(void **state)
{
	uint8_t config[64] = {0x36, 0x1b, 0x10, 0, 0, 0, 0x10};
	struct sluice_group_set *set = UNTOUCHED;
	struct tree *t = *state;

	tree_pci(t, "0000:00:03.0", -1, "nvme", "0x010802\n");
	tree_blob(t, "bus/pci/devices/0000:00:03.0/config", config,
	          sizeof(config));
	assert_int_equal(sluice_groups_compute(t->root, &set), -EACCES);
	assert_non_null(strstr(msg_last(), "run as root"));
	assert_ptr_equal(set, UNTOUCHED);
	assert_int_equal(sluice_groups_compute(NULL, NULL), -EINVAL);
	assert_int_equal(sluice_groups_compute("/nowhere", &set), -ENOENT);
}

/* With too few descriptors there is an error, never a smaller picture. */
static void no_descriptors(void **state)
{
	struct sluice_group_set *set;
	struct tree *t = *state;
	struct rlimit was, few;
	int rc = -EMFILE;

	computable(t);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	for (rlim_t n = 4; rc == -EMFILE; n++) {
		few = (struct rlimit){n, was.rlim_max};
		set = UNTOUCHED;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		rc = sluice_groups_compute(t->root, &set);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_in_range(n, 4, 64);
		if (rc)
			assert_ptr_equal(set, UNTOUCHED);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(sluice_groups_get(set, 0)->nr_members, 8);
	sluice_group_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(no_memory, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(no_descriptors, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(hidden_config, scarce_make,
	                                        scarce_unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
