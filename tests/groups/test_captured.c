/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trees captured from real kernels: the set must say what the kernel said
 * (expected-groups.txt and expected-ungrouped.txt beside each tree). Numbers
 * follow probe order, so partitions are compared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "groups/grp.h"
#include "tree.h"
#include "util/util.h"

static const char *data;

struct machine {
	struct tree tree;
	struct sluice_group_set *set;
};

static void open_machine(struct machine *m, const char *name)
{
	char path[512];

	tree_unpack(&m->tree, data, name);
	snprintf(path, sizeof(path), "%s/sys", m->tree.root);
	assert_int_equal(sluice_groups_read(path, &m->set), 0);
}

static void close_machine(struct machine *m)
{
	sluice_group_set_free(m->set);
	tree_free(&m->tree);
}

/* Members of a line, in the kernel's order, against ours, which is sorted. */
static uint32_t check_line(const struct sluice_group_set *set, char *members)
{
	const struct sluice_group_info *g = NULL;
	uint32_t nr = 0;
	char *save, *name;

	for (name = strtok_r(members, " ", &save); name;
	     name = strtok_r(NULL, " ", &save), nr++) {
		const struct sluice_group_info *in;

		in = sluice_groups_find(set, name);
		assert_non_null(in);
		if (g)
			assert_ptr_equal(in, g);
		g = in;
	}
	assert_non_null(g);
	assert_int_equal(g->nr_members, nr);
	for (uint32_t i = 1; i < nr; i++)
		assert_true(strcmp(g->members[i - 1].name, g->members[i].name) <
		            0);
	return nr;
}

static void check_partition(const struct machine *m)
{
	char *text = tree_read(&m->tree, "expected-groups.txt"), *save, *line;
	uint32_t nr = 0;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), nr++) {
		char *colon = strstr(line, ": ");

		assert_non_null(colon);
		assert_in_range(check_line(m->set, colon + 2), 1, 1000);
	}
	assert_int_equal(sluice_groups_count(m->set), nr);
	free(text);
}

static void check_ungrouped(const struct machine *m)
{
	char *text = tree_read(&m->tree, "expected-ungrouped.txt");
	char *save, *line;
	uint32_t nr = 0;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save), nr++) {
		const struct sluice_group_member *dev = NULL;
		uint32_t i;

		assert_null(sluice_groups_find(m->set, line));
		for (i = 0; (dev = sluice_groups_ungrouped(m->set, i)); i++)
			if (strcmp(dev->name, line) == 0)
				break;
		assert_non_null(dev);
		assert_true(dev->is_pci);
	}
	assert_int_equal(sluice_groups_nr_ungrouped(m->set), nr);
	free(text);
}

static void partitions(void **state)
{
	static const char *const cases[] = {
	        "x86-vtd-13-pci-bridge-root",
	        "x86-amdvi-08-mf-endpoints-rp",
	        "x86-virtio-01-plain",
	        "x86-vtd-47-iommu-off",
	        "arm64-smmuv3-11-pcie-pci-bridge-rp",
	        "s390x-zpci-02-several",
	        "ppc64-powernv9-02-mf",
	        "riscv64-sys-01-plain",
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		struct machine m;

		print_message("%s\n", cases[i]);
		open_machine(&m, cases[i]);
		check_partition(&m);
		check_ungrouped(&m);
		close_machine(&m);
	}
}

static const struct sluice_group_info *group_of(const struct machine *m,
                                                const char *bdf)
{
	const struct sluice_group_info *g = sluice_groups_find(m->set, bdf);

	assert_non_null(g);
	return g;
}

static void vtd(void **state)
{
	const struct sluice_group_info *g;
	struct machine m;
	char text[2048];

	(void)state;
	open_machine(&m, "x86-vtd-13-pci-bridge-root");
	g = group_of(&m, "01:02.0");
	assert_string_equal(g->type, "DMA-FQ");
	assert_null(g->name);
	assert_false(g->viable);
	assert_int_equal(g->nr_regions, 1);
	assert_int_equal(g->regions[0].first, 0xfee00000);
	assert_int_equal(g->regions[0].last, 0xfeefffff);
	assert_int_equal(g->regions[0].type, SLUICE_RESV_MSI);
	assert_string_equal(g->regions[0].text, "msi");
	assert_string_equal(g->members[0].name, "0000:00:04.0");
	assert_true(g->members[0].is_bridge);
	assert_int_equal(g->members[0].pci_class, 0x060400);
	assert_int_equal(g->members[0].vendor, 0x1b36);
	assert_int_equal(g->members[0].device, 0x0001);
	assert_null(g->members[0].driver);
	assert_string_equal(g->members[3].driver, "virtio-pci");
	assert_true(g->members[3].is_blocker);
	sluice_group_explain_viability(g, text, sizeof(text));
	assert_non_null(strstr(text,
	                       "    echo 0000:01:03.0 > "
	                       "/sys/bus/pci/drivers/virtio-pci/unbind\n"));
	assert_null(strstr(text, "0000:00:04.0"));
	/* The ISA bridge's floppy window: two kinds in one group. */
	g = group_of(&m, "0000:00:1F.2");
	assert_int_equal(g->nr_regions, 2);
	assert_int_equal(g->regions[0].type, SLUICE_RESV_DIRECT_RELAXABLE);
	close_machine(&m);
}

static void smmu(void **state)
{
	const struct sluice_group_info *g;
	struct machine m;

	(void)state;
	open_machine(&m, "arm64-smmuv3-11-pcie-pci-bridge-rp");
	g = group_of(&m, "0000:02:02.0");
	/* pcieport is fine, shpchp and e1000 are not. */
	assert_string_equal(g->members[0].driver, "pcieport");
	assert_false(g->members[0].is_blocker);
	assert_string_equal(g->members[1].driver, "shpchp");
	assert_true(g->members[1].is_blocker && g->members[1].is_bridge);
	assert_true(g->members[2].is_blocker);
	g = group_of(&m, "0000:00:00.0");
	assert_true(g->viable && g->members[0].is_vfio);
	assert_null(sluice_groups_find(m.set, "0000:02:01.0"));
	close_machine(&m);
}

static void other_platforms(void **state)
{
	const struct sluice_group_info *g;
	struct machine m;

	(void)state;
	open_machine(&m, "s390x-zpci-02-several");
	g = group_of(&m, "0100:00:00.0");
	assert_int_equal(g->nr_regions, 2);
	assert_int_equal(g->regions[1].first, 0x140000000);
	assert_int_equal(g->regions[1].type, SLUICE_RESV_RESERVED);
	close_machine(&m);

	open_machine(&m, "ppc64-powernv9-02-mf");
	g = group_of(&m, "0000:01:00.1");
	assert_non_null(g->name);
	assert_string_equal(g->type, "unknown");
	assert_int_equal(g->nr_regions, 0);
	close_machine(&m);
}

/* The folder above sys/ is taken as well. */
static void folder_above(void **state)
{
	struct sluice_group_set *set;
	struct machine m;

	(void)state;
	open_machine(&m, "riscv64-sys-01-plain");
	assert_int_equal(sluice_groups_read(m.tree.root, &set), 0);
	assert_int_equal(sluice_groups_count(set), sluice_groups_count(m.set));
	assert_in_range(sluice_groups_count(set), 1, 1000);
	for (uint32_t i = 1; i < sluice_groups_count(set); i++)
		assert_true(sluice_groups_get(set, i - 1)->id <
		            sluice_groups_get(set, i)->id);
	assert_null(sluice_groups_get(set, sluice_groups_count(set)));
	sluice_group_set_free(set);
	close_machine(&m);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(partitions),
	        cmocka_unit_test(vtd),
	        cmocka_unit_test(smmu),
	        cmocka_unit_test(other_platforms),
	        cmocka_unit_test(folder_above),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER_OF_ARCHIVES\n", argv[0]);
		return 2;
	}
	data = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
