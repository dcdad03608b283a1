/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stream ids of an SMMU that several devices have: made up, and on machines
 * that were captured, whose kernel logged whom it refused and why.
 */
#include "seeds.h"

#include <fcntl.h>
#include <unistd.h>

#include "groups/platform.h"
#include <sluice/stream.h>

static const char *data;

static const struct {
	const char *name;
	struct sluice_stream_match m;
} smmu[] = {{"dma", {0x40, 0}}, {"twin", {0x40, 0}}, {"wide", {0x40, 0x7}}};

static void nth_order(uint32_t n, uint32_t at[3])
{
	static const uint8_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (int i = 0; i < 3; i++)
		at[i] = orders[n][i];
}

/* All come in each order, go in each order and come back in each. */
static void smmu_duplicate_ids_any_order(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 6 * 6 * 6; n++) {
		struct sluice_streams *s;
		uint32_t in[3], out[3], back[3], g = 77;

		nth_order(n % 6, in);
		nth_order(n / 6 % 6, out);
		nth_order(n / 36, back);
		assert_int_equal(sluice_streams_create(&s), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(sluice_streams_add(s, smmu[in[i]].name,
			                                    &smmu[in[i]].m, 1,
			                                    &g),
			                 0);
			assert_int_equal(g, 0);
			assert_int_equal(sluice_streams_entries(s, NULL, 0), 1);
		}
		for (int i = 0; i < 3; i++) {
			/* Those that are left are served. */
			assert_int_equal(sluice_streams_state(s, 0x40),
			                 SLUICE_STREAM_ATTACHED);
			assert_int_equal(
			        sluice_streams_remove(s, smmu[out[i]].name), 0);
		}
		assert_int_equal(sluice_streams_entries(s, NULL, 0), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(
			        sluice_streams_add(s, smmu[back[i]].name,
			                           &smmu[back[i]].m, 1, &g),
			        0);
			assert_int_equal(g, 0);
		}
		sluice_streams_destroy(s);
	}
}

static void smmu_ids_stable(void **state)
{
	const struct sluice_stream_match one = {0x10, 0}, two = {0x20, 0x3},
	                                 part = {0x21, 0xc};
	struct sluice_streams *s;
	uint32_t g;

	(void)state;
	assert_int_equal(sluice_streams_create(&s), 0);
	assert_int_equal(sluice_streams_state(s, 0x10), SLUICE_STREAM_NEVER);
	assert_int_equal(sluice_streams_add(s, "one", &one, 1, &g), 0);
	assert_int_equal(sluice_streams_add(s, "two", &two, 1, &g), 0);
	assert_int_equal(g, 1);
	/* Half an entry is nobody's. */
	assert_int_equal(sluice_streams_add(s, "part", &part, 1, &g), -EINVAL);
	assert_non_null(strstr(msg_last(), "part"));
	assert_non_null(strstr(msg_last(), "two"));
	assert_int_equal(sluice_streams_state(s, 0x25), SLUICE_STREAM_NEVER);
	/* Empty groups keep their ids and numbers, and ids are blocked. */
	for (int round = 0; round < 3; round++) {
		assert_int_equal(sluice_streams_remove(s, "one"), 0);
		assert_int_equal(sluice_streams_remove(s, "two"), 0);
		assert_int_equal(sluice_streams_state(s, 0x10),
		                 SLUICE_STREAM_BLOCKED);
		assert_int_equal(sluice_streams_state(s, 0x23),
		                 SLUICE_STREAM_BLOCKED);
		assert_int_equal(sluice_streams_state(s, 0x24),
		                 SLUICE_STREAM_NEVER);
		assert_int_equal(sluice_streams_add(s, "two", &two, 1, &g), 0);
		assert_int_equal(g, 1);
		assert_int_equal(sluice_streams_state(s, 0x10),
		                 SLUICE_STREAM_BLOCKED);
		assert_int_equal(sluice_streams_add(s, "one", &one, 1, &g), 0);
		assert_int_equal(g, 0);
	}
	sluice_streams_destroy(s);
}

/* The stream ids of a device, as firmware and its bridges give them. */
static uint32_t stream_ids(const struct topo *t, const struct claims *c,
                           uint32_t i, struct sluice_stream_match ret[16])
{
	uint16_t rid[16];
	uint32_t nr = pci_ids(t, i, rid, 16);

	for (uint32_t k = 0; k < nr; k++) {
		const struct claim *claim =
		        claims_find(c, t->dev[i].domain, rid[k]);

		assert_non_null(claim);
		ret[k] = (struct sluice_stream_match){
		        (uint32_t)claim_arrives(claim, rid[k]), 0};
	}
	return nr;
}

/* Those that have a group share no id; each of the others shares one. */
static void check_refused(const struct tree *t)
{
	struct sluice_streams *s;
	struct platform p;
	struct topo topo;
	uint32_t groups = 0, refused = 0;
	char sysfs[300];
	int root;

	snprintf(sysfs, sizeof(sysfs), "%s/sys", t->root);
	root = open(sysfs, O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0);
	assert_int_equal(sluice_streams_create(&s), 0);
	assert_int_equal(topo_read(root, &topo), 0);
	assert_int_equal(platform_read(root, &topo, &p), 0);
	for (int late = 0; late < 2; late++)
		for (uint32_t i = 0; i < topo.nr; i++) {
			struct sluice_stream_match m[16];
			uint32_t nr = stream_ids(&topo, &p.claims, i, m), g;

			if ((p.unit[i].style == STYLE_NONE) != late)
				continue;
			assert_int_equal(sluice_streams_add(s, topo.dev[i].name,
			                                    m, nr, &g),
			                 0);
			if (!late)
				assert_int_equal(g, groups++);
			else
				assert_true(g < groups);
			refused += (uint32_t)late;
		}
	assert_true(groups && refused);
	platform_free(&p);
	topo_free(&topo);
	sluice_streams_destroy(s);
	close(root);
}

/* What the kernel logged: "0000:02:01.0: stream 512 already in tree from dev
 * 0000:02:02.0". */
static uint32_t check_log(const struct tree *t,
                          const struct sluice_group_set *set)
{
	char *text = tree_read(t, "dmesg.txt"), *at = text;
	uint32_t found = 0;

	while ((at = strstr(at, ": stream "))) {
		char dev[16] = "", want[16], holder[16];
		const char *why = NULL;
		unsigned id;

		memcpy(dev, at - 12, 12);
		assert_int_equal(sscanf(at,
		                        ": stream %u already in tree from dev "
		                        "%15s",
		                        &id, holder),
		                 2);
		snprintf(want, sizeof(want), "id %#x,", id);
		for (uint32_t i = 0; i < sluice_groups_nr_ungrouped(set); i++)
			if (!strcmp(sluice_groups_ungrouped(set, i)->name, dev))
				why = sluice_groups_ungrouped_reason(set, i);
		assert_non_null(why);
		assert_non_null(strstr(why, want));
		assert_non_null(strstr(why, holder));
		at++;
		found++;
	}
	free(text);
	return found;
}

static void smmu_duplicate_ids_of_real_machines(void **state)
{
	static const char *const cases[] = {
	        "arm64-smmuv3-10-pcie-pci-bridge-root",
	        "arm64-smmuv3-11-pcie-pci-bridge-rp",
	        "arm64-smmuv3-12-pci-bridge-root",
	        "arm64-smmuv3-23-pcie-pci-bridge-rp-k72",
	        "arm64-smmuv3-24-bridge-nested-k72",
	        "arm64-smmuv3-26-pcie-pci-bridge-rp-k61",
	        "arm64-smmuv3-28-i82801b11-rp",
	        "arm64-iort-03-pcie-pci-bridge-rp",
	};
	uint32_t logged = 0;

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		struct sluice_group_set *set;
		struct tree t;

		tree_unpack(&t, data, cases[i]);
		check_refused(&t);
		set = compute(&t);
		logged += check_log(&t, set);
		sluice_group_set_free(set);
		tree_free(&t);
	}
	assert_int_equal(logged, 6);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(smmu_duplicate_ids_any_order),
	        cmocka_unit_test(smmu_ids_stable),
	        cmocka_unit_test(smmu_duplicate_ids_of_real_machines),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER_OF_ARCHIVES\n", argv[0]);
		return 2;
	}
	data = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
