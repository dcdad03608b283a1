/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sysfs as an enemy would write it, and a machine without memory: nothing is
 * read past a bound, nothing hangs, what cannot be read never counts as
 * harmless. Run it under the sanitizers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "groups/grp.h"
#include "scarce.h"
#include "tree.h"
#include "util/util.h"

static struct sluice_group_set *read_ok(const struct tree *t)
{
	struct sluice_group_set *set = UNTOUCHED;

	assert_int_equal(sluice_groups_read(t->root, &set), 0);
	return set;
}

static void read_fails(const struct tree *t, int rc, const char *word)
{
	struct sluice_group_set *set = UNTOUCHED;

	assert_int_equal(sluice_groups_read(t->root, &set), rc);
	assert_ptr_equal(set, UNTOUCHED);
	if (!strstr(msg_last(), word))
		fail_msg("no \"%s\" in \"%s\"", word, msg_last());
}

static void no_tree(void **state)
{
	struct tree *t = *state;
	struct tree none = {"/nonexistent"}, file;
	struct sluice_group_set *set;

	read_fails(&none, -ENOENT, "/nonexistent");
	tree_file(t, "file", "x");
	snprintf(file.root, sizeof(file.root), "%.200s/file", t->root);
	read_fails(&file, -ENOTDIR, "file");
	assert_int_equal(sluice_groups_read(t->root, NULL), -EINVAL);
	set = read_ok(t);
	assert_int_equal(sluice_groups_count(set), 0);
	assert_int_equal(sluice_groups_nr_ungrouped(set), 0);
	sluice_group_set_free(set);
	sluice_group_set_free(NULL);
	assert_int_equal(sluice_groups_count(NULL), 0);
	assert_null(sluice_groups_get(NULL, 0));
	assert_null(sluice_groups_find(NULL, "00:00.0"));
	assert_int_equal(sluice_groups_nr_ungrouped(NULL), 0);
	assert_null(sluice_groups_ungrouped(NULL, 0));
	/* Files where folders belong. */
	tree_file(t, "kernel/iommu_groups", "x");
	tree_file(t, "bus/pci/devices", "x");
	set = read_ok(t);
	assert_int_equal(sluice_groups_count(set), 0);
	sluice_group_set_free(set);
}

static void odd_group_names(void **state)
{
	static const char *const names[] = {
	        "-1",         "01",      "x",
	        "2147483648", "7 ",      "99999999999999999999999",
	        "1\n",        "\033[2J", "+3"};
	struct tree *t = *state;
	struct sluice_group_set *set;
	char path[512];

	for (size_t i = 0; i < NR_OF(names); i++) {
		snprintf(path, sizeof(path), "kernel/iommu_groups/%s/devices",
		         names[i]);
		tree_dir(t, path);
	}
	tree_file(t, "kernel/iommu_groups/5", "a file");
	tree_link(t, "kernel/iommu_groups/6", "nowhere");
	tree_link(t, "kernel/iommu_groups/8", "8");
	tree_dir(t, "kernel/iommu_groups/2147483647");
	tree_dir(t, "kernel/iommu_groups/9/devices");
	read_fails(t, -ELOOP, "group 8");
	tree_link(t, "kernel/iommu_groups/8", "9");
	set = read_ok(t);
	assert_int_equal(sluice_groups_count(set), 3);
	assert_int_equal(sluice_groups_get(set, 0)->id, 8);
	assert_int_equal(sluice_groups_get(set, 2)->id, 2147483647);
	assert_string_equal(sluice_groups_get(set, 0)->type, "unknown");
	assert_int_equal(sluice_groups_get(set, 0)->nr_members, 0);
	sluice_group_set_free(set);
}

static void odd_members(void **state)
{
	struct tree *t = *state;
	struct sluice_group_set *set;
	const struct sluice_group_info *g;
	char text[4096];

	/* A dangling link, a device of ACPI, two of one name, an escape. */
	tree_link(t, "kernel/iommu_groups/1/devices/0000:00:01.0",
	          "../../../../devices/gone/0000:00:01.0");
	tree_dir(t, "devices/platform/AMDI0020:00");
	tree_link(t, "devices/platform/AMDI0020:00/subsystem",
	          "../../../bus/platform");
	tree_link(t, "devices/platform/AMDI0020:00/driver",
	          "../../../bus/platform/drivers/dw-apb-uart");
	tree_link(t, "kernel/iommu_groups/1/devices/AMDI0020:00",
	          "../../../../devices/platform/AMDI0020:00");
	tree_link(t, "kernel/iommu_groups/1/devices/AMDI0020:00.1",
	          "../../../../devices/platform/AMDI0020:00");
	tree_dir(t, "devices/a\nb\033[2J'; rm -rf ~");
	tree_link(t, "devices/a\nb\033[2J'; rm -rf ~/driver", "../evil");
	tree_link(t, "kernel/iommu_groups/1/devices/evil",
	          "../../../../devices/a\nb\033[2J'; rm -rf ~");
	set = read_ok(t);
	g = sluice_groups_find(set, "AMDI0020:00");
	assert_non_null(g);
	assert_int_equal(g->nr_members, 4);
	assert_null(sluice_groups_find(set, "AMDI0020:00.1"));
	assert_string_equal(g->members[0].name, "0000:00:01.0");
	assert_true(g->members[0].is_pci && !g->members[0].driver);
	assert_string_equal(g->members[1].bus, "platform");
	assert_false(g->members[1].is_pci);
	assert_false(g->viable);
	sluice_group_explain_viability(g, text, sizeof(text));
	assert_non_null(strstr(text, "    echo AMDI0020:00 > /sys/bus/platform/"
	                             "drivers/dw-apb-uart/unbind\n"));
	assert_non_null(strstr(text, "a?b?[2J'; rm -rf ~"));
	assert_null(strstr(text, "echo a"));
	assert_null(strstr(text, "\033"));
	sluice_group_set_free(set);
}

static void odd_attributes(void **state)
{
	struct tree *t = *state;
	struct sluice_group_set *set;
	const struct sluice_group_member *m;
	char big[9000];
	char path[512];

	memset(big, '0', sizeof(big));
	tree_pci(t, "0000:00:01.0", 1, NULL, "garbage\n");
	tree_pci(t, "0000:00:02.0", 1, NULL, "");
	tree_blob(t, "devices/pci0000:00/0000:00:02.0/class", big, sizeof(big));
	tree_blob(t, "devices/pci0000:00/0000:00:02.0/config", big,
	          sizeof(big));
	tree_pci(t, "0000:00:03.0", 1, NULL, "0x1060400\n");
	tree_blob(t, "devices/pci0000:00/0000:00:03.0/config",
	          "\x86\x80\x34\x12\0\0\0\0\1\0\4\6", 12);
	tree_pci(t, "0000:00:04.0", 1, NULL, "0x060400");
	tree_file(t, "devices/pci0000:00/0000:00:04.0/vendor", "0x10000\n");
	memset(big, 0, sizeof(big));
	memcpy(big, "\x86\x80\x34\x12\0\0\0\0\1\2\4\6", 12);
	tree_blob(t, "devices/pci0000:00/0000:00:04.0/config", big, 64);
	/* A pipe must not block us, a driver that is no link is still one. */
	tree_pci(t, "0000:00:05.0", 1, NULL, "0x020000\n");
	snprintf(path, sizeof(path), "%s/devices/pci0000:00/0000:00:05.0/class",
	         t->root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	tree_dir(t, "devices/pci0000:00/0000:00:05.0/driver");
	memset(big, 'T', sizeof(big));
	tree_blob(t, "kernel/iommu_groups/1/type", big, sizeof(big));
	set = read_ok(t);
	assert_string_equal(sluice_groups_get(set, 0)->type, "unknown");
	m = sluice_groups_get(set, 0)->members;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(m[i].pci_class, 0);
		assert_int_equal(m[i].vendor, 0);
		assert_false(m[i].is_bridge);
	}
	assert_int_equal(m[3].vendor, 0x8086);
	assert_int_equal(m[3].device, 0x1234);
	assert_int_equal(m[3].pci_class, 0x060402);
	assert_true(m[3].is_bridge);
	assert_true(m[4].is_blocker && !m[4].is_vfio);
	assert_int_equal(m[4].pci_class, 0);
	sluice_group_set_free(set);
}

static void odd_regions(void **state)
{
	static const char *const bad[] = {"garbage\n",
	                                  "0x1 0x0 msi\n",
	                                  "0x0 0x1 msi\n\n0x2\n",
	                                  "0x0 0x1",
	                                  "0x0 0x11111111111111111 msi\n",
	                                  "\n\n \n"};
	static const char *const name =
	        "kernel/iommu_groups/1/reserved_regions";
	struct tree *t = *state;
	struct sluice_group_set *set;
	char *big = calloc(1, 70000);
	char path[512];

	for (size_t i = 0; i < NR_OF(bad); i++) {
		tree_file(t, name, bad[i]);
		read_fails(t, -EBADMSG, "group 1: reserved_regions");
	}
	tree_blob(t, name, "0x0 0x1 m\0i\n", 12);
	read_fails(t, -EBADMSG, "reserved_regions");
	for (size_t i = 0; i + 12 < 70000; i += 12)
		memcpy(big + i, "0x0 0x1 msi\n", 12);
	tree_file(t, name, big);
	read_fails(t, -EBADMSG, "reserved_regions");
	big[60000] = '\0';
	tree_file(t, name, big);
	set = read_ok(t);
	assert_int_equal(sluice_groups_get(set, 0)->nr_regions, 5000);
	sluice_group_set_free(set);
	free(big);
	tree_file(t, name, "\n0x0 0x1 new-kind\n\n0x5 0x6 msi");
	set = read_ok(t);
	assert_int_equal(sluice_groups_get(set, 0)->nr_regions, 2);
	assert_int_equal(sluice_groups_get(set, 0)->regions[0].type,
	                 SLUICE_RESV_OTHER);
	assert_string_equal(sluice_groups_get(set, 0)->regions[0].text,
	                    "new-kind");
	sluice_group_set_free(set);
	snprintf(path, sizeof(path), "%s/%s", t->root, name);
	assert_int_equal(unlink(path), 0);
	tree_dir(t, name);
	read_fails(t, -EBADMSG, "reserved_regions");
}

/* Files and folders that are there and cannot be read. */
static void unreadable(void **state)
{
	static const char *const name =
	        "kernel/iommu_groups/1/reserved_regions";
	struct tree *t = *state;
	struct sluice_group_set *set;
	char path[512];

	/* A regular file whose first byte answers EIO. */
	tree_link(t, name, "/proc/self/mem");
	read_fails(t, -EIO, "cannot read reserved_regions");
	snprintf(path, sizeof(path), "%s/%s", t->root, name);
	assert_int_equal(unlink(path), 0);
	tree_link(t, "kernel/iommu_groups/1/devices", "devices");
	read_fails(t, -ELOOP, "group 1: cannot list its devices");
	tree_link(t, "kernel/iommu_groups/1/devices", "nowhere");
	tree_link(t, "bus/pci/devices", "devices");
	read_fails(t, -ELOOP, "bus/pci/devices");
	tree_link(t, "bus/pci/devices", "nowhere");
	set = read_ok(t);
	assert_int_equal(sluice_groups_count(set), 1);
	sluice_group_set_free(set);
}

/* The links of a member end in slashes, or lead to the root. */
static void odd_links(void **state)
{
	struct tree *t = *state;
	struct sluice_group_set *set;
	const struct sluice_group_info *g;
	char text[1024], longer[256];

	tree_pci(t, "0000:00:01.0", 1, NULL, "0x020000\n");
	tree_link(t, "devices/pci0000:00/0000:00:01.0/driver", "../nvme///");
	tree_pci(t, "0000:00:02.0", 2, NULL, "0x020000\n");
	tree_link(t, "devices/pci0000:00/0000:00:02.0/driver", "/");
	memset(longer, 'd', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	tree_pci(t, "0000:00:03.0", 3, longer, "0x020000\n");
	set = read_ok(t);
	g = sluice_groups_find(set, "00:01.0");
	assert_string_equal(g->members[0].driver, "nvme");
	/* Not to be told is not the same as none. */
	g = sluice_groups_find(set, "00:02.0");
	assert_true(g->members[0].is_blocker && !g->viable);
	sluice_group_explain_viability(g, text, sizeof(text));
	assert_non_null(strstr(text, "not one to put on a command line"));
	assert_null(strstr(text, "echo"));
	g = sluice_groups_find(set, "00:03.0");
	assert_false(g->viable);
	sluice_group_set_free(set);
}

/* What the machine itself says: no more than that it can be asked. */
static void this_machine(void **state)
{
	struct sluice_group *g = NULL;
	struct sluice_group_set *set = NULL;

	(void)state;
	if (access("/sys/kernel", R_OK) < 0) {
		print_message("skipped: no sysfs here\n");
		skip();
	}
	assert_int_equal(sluice_groups_read(NULL, &set), 0);
	assert_null(sluice_groups_find(set, "ffff:ff:1f.7"));
	sluice_group_set_free(set);
	assert_int_equal(sluice_group_open("ffff:ff:1f.7", NULL, &g), -ENODEV);
	assert_null(g);
}

static void ungrouped(void **state)
{
	struct tree *t = *state;
	struct sluice_group_set *set;

	tree_pci(t, "0000:00:01.0", 1, NULL, "0x060000\n");
	tree_pci(t, "0000:00:02.0", -1, "nvme", "0x010802\n");
	tree_link(t, "bus/pci/devices/0000:00:03.0", "nowhere/0000:00:03.0");
	set = read_ok(t);
	assert_int_equal(sluice_groups_nr_ungrouped(set), 2);
	assert_string_equal(sluice_groups_ungrouped(set, 0)->driver, "nvme");
	assert_string_equal(sluice_groups_ungrouped(set, 1)->name,
	                    "0000:00:03.0");
	assert_null(sluice_groups_ungrouped(set, 2));
	sluice_group_set_free(set);
}

static void explain(void **state)
{
	struct tree *t = *state;
	struct sluice_group_set *set;
	const struct sluice_group_info *g;
	char full[2048], cut[64];
	size_t n;

	tree_pci(t, "0000:00:01.0", 1, "pcieport", "0x060400\n");
	tree_pci(t, "0000:01:00.0", 1, NULL, "0x020000\n");
	tree_pci(t, "0000:02:00.0", 2, "vfio-pci", "0x020000\n");
	tree_pci(t, "0000:03:00.0", 3, "ATI (old) driver", "0x020000\n");
	tree_pci(t, "0000:00:04.0", 4, NULL, "0x060400\n");
	tree_dir(t, "kernel/iommu_groups/5");
	set = read_ok(t);
	g = sluice_groups_find(set, "01:00.0");
	assert_true(g->viable);
	n = sluice_group_explain_viability(g, full, sizeof(full));
	assert_int_equal(n, strlen(full));
	assert_non_null(strstr(full, "    modprobe vfio-pci\n"));
	assert_non_null(strstr(full, "    echo 0000:01:00.0 > "
	                             "/sys/bus/pci/drivers_probe\n"));
	assert_null(strstr(full, "0000:00:01.0"));
	assert_int_equal(sluice_group_explain_viability(g, NULL, 0), n);
	for (size_t len = 1; len <= sizeof(cut); len++) {
		memset(cut, '#', sizeof(cut));
		assert_int_equal(sluice_group_explain_viability(g, cut, len),
		                 n);
		assert_int_equal(strlen(cut), len - 1);
		assert_memory_equal(cut, full, len - 1);
		for (size_t i = len; i < sizeof(cut); i++)
			assert_int_equal(cut[i], '#');
	}
	g = sluice_groups_find(set, "02:00.0");
	sluice_group_explain_viability(g, full, sizeof(full));
	assert_non_null(strstr(full, "group 2 is viable: 1 of its 1"));
	g = sluice_groups_find(set, "03:00.0");
	sluice_group_explain_viability(g, full, sizeof(full));
	assert_non_null(strstr(
	        full, "echo 0000:03:00.0 > "
	              "'/sys/bus/pci/drivers/ATI (old) driver/unbind'\n"));
	g = sluice_groups_find(set, "00:04.0");
	sluice_group_explain_viability(g, full, sizeof(full));
	assert_non_null(strstr(full, "nothing that vfio-pci takes"));
	g = sluice_groups_get(set, 4);
	sluice_group_explain_viability(g, full, sizeof(full));
	assert_non_null(strstr(full, "no devices"));
	assert_int_equal(sluice_group_explain_viability(NULL, full, 9), 0);
	assert_string_equal(full, "");
	sluice_group_set_free(set);
}

/* Each allocation fails once; the leak checker sees what is left behind. */
static void no_memory(void **state)
{
	struct sluice_group_cfg cfg;
	struct sluice_group *g = NULL;
	struct sluice_group_set *set;
	struct tree *t = *state;
	int n, rc = -ENOMEM;

	for (int i = 0; i < 20; i++) {
		char bdf[32];

		snprintf(bdf, sizeof(bdf), "0000:00:%02x.0", i);
		tree_pci(t, bdf, i ? 1 : -1, i & 1 ? "nvme" : NULL,
		         "0x010802\n");
	}
	tree_file(t, "kernel/iommu_groups/1/reserved_regions",
	          "0x0 0x1 msi\n0x2 0x3 direct\n");
	tree_file(t, "kernel/iommu_groups/1/name", "one\n");
	for (n = 0; rc == -ENOMEM; n++) {
		set = UNTOUCHED;
		allocations = n;
		rc = sluice_groups_read(t->root, &set);
		allocations = -1;
		if (rc)
			assert_ptr_equal(set, UNTOUCHED);
	}
	assert_int_equal(rc, 0);
	assert_in_range(n, 50, 1000);
	sluice_group_set_free(set);
	cfg = (struct sluice_group_cfg){t->root, t->root};
	rc = -ENOMEM;
	for (n = 0; rc == -ENOMEM; n++) {
		allocations = n;
		rc = sluice_group_open("00:01.0", &cfg, &g);
		allocations = -1;
		assert_null(g);
	}
	assert_int_equal(rc, -EPERM);
	assert_in_range(n, 30, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(no_tree, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(odd_group_names, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(odd_members, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(odd_attributes, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(odd_regions, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(unreadable, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(odd_links, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test(this_machine),
	        cmocka_unit_test_setup_teardown(ungrouped, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(explain, scarce_make,
	                                        scarce_unmake),
	        cmocka_unit_test_setup_teardown(no_memory, scarce_make,
	                                        scarce_unmake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
