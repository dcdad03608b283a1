/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From firmware to stream ids: a device tree's iommu-map, and devices that get
 * one stream id between them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "groups/claim.h"
#include "groups/partition.h"
#include "util/util.h"

#define SMMU 7 /* its phandle */

/* A root with one host bridge; mask 0: without one. */
static void tree_of(char *fdt, int size, const uint32_t *map, int cells,
                    uint32_t mask)
{
	uint32_t be[16];

	assert_in_range(cells, 1, NR_OF(be));
	for (int i = 0; i < cells; i++)
		be[i] = cpu_to_fdt32(map[i]);
	assert_int_equal(fdt_create(fdt, size), 0);
	assert_int_equal(fdt_finish_reservemap(fdt), 0);
	assert_int_equal(fdt_begin_node(fdt, ""), 0);
	assert_int_equal(fdt_begin_node(fdt, "pcie@1"), 0);
	assert_int_equal(fdt_property_u32(fdt, "linux,pci-domain", 2), 0);
	assert_int_equal(
	        fdt_property(fdt, "iommu-map", be, cells * (int)sizeof(*be)),
	        0);
	if (mask)
		assert_int_equal(fdt_property_u32(fdt, "iommu-map-mask", mask),
		                 0);
	assert_int_equal(fdt_end_node(fdt), 0);
	assert_int_equal(fdt_end_node(fdt), 0);
	assert_int_equal(fdt_finish(fdt), 0);
}

static void read_map(const uint32_t *map, int nr, uint32_t mask,
                     struct claims *ret)
{
	char fdt[1024];

	tree_of(fdt, sizeof(fdt), map, nr, mask);
	assert_int_equal(claims_of(fdt, sizeof(fdt), ret), 0);
}

static void iommu_map(void **state)
{
	static const uint32_t map[] = {0,     SMMU, 0x1000, 0x80, /* 00:… */
	                               0x100, SMMU, 0x40,   0x100,
	                               0x300, SMMU, 0,      0};
	struct claims c = {0};
	const struct claim *k;

	(void)state;
	read_map(map, 12, 0, &c);
	assert_int_equal(c.tables, 1u << CLAIM_OF);
	k = claims_find(&c, 2, 0x7f);
	assert_int_equal(k->unit, SMMU);
	assert_int_equal(claim_arrives(k, 0x7f), 0x107f);
	assert_int_equal(claim_arrives(claims_find(&c, 2, 0x1ff), 0x1ff),
	                 0x13f);
	assert_null(claims_find(&c, 2, 0x80));
	assert_null(claims_find(&c, 2, 0x200));
	assert_null(claims_find(&c, 2, 0x300)); /* none of them */
	assert_null(claims_find(&c, 0, 0x7f));
	claims_free(&c);
	/* Functions do not count: those of a slot arrive as one. */
	read_map(map, 4, 0xfff8, &c);
	assert_int_equal(claim_arrives(claims_find(&c, 2, 0x1b), 0x1b), 0x1018);
	assert_int_equal(claim_arrives(claims_find(&c, 2, 0x18), 0x18), 0x1018);
	claims_free(&c);
}

/* Linux takes the first entry that an id is in (of_map_id()). */
static void first_entry_counts(void **state)
{
	static const uint32_t map[] = {0x80, SMMU,     0x1000, 0x80, /* 80-ff */
	                               0,    SMMU,     0x2000, 0x100,
	                               0xf0, SMMU + 1, 0x3000, 0x20};
	struct claims c = {0};
	const struct claim *k;

	(void)state;
	read_map(map, 12, 0, &c);
	assert_int_equal(claim_arrives(claims_find(&c, 2, 0x7f), 0x7f), 0x207f);
	assert_int_equal(claim_arrives(claims_find(&c, 2, 0x80), 0x80), 0x1000);
	k = claims_find(&c, 2, 0xff);
	assert_int_equal(k->unit, SMMU);
	assert_int_equal(claim_arrives(k, 0xff), 0x107f);
	k = claims_find(&c, 2, 0x100);
	assert_int_equal(k->unit, SMMU + 1);
	assert_int_equal(claim_arrives(k, 0x100), 0x3010);
	claims_free(&c);
}

static void broken(void **state)
{
	static const uint32_t map[] = {4, SMMU, 0, 1, 2};
	struct claims c = {0};
	char fdt[1024];

	(void)state;
	tree_of(fdt, sizeof(fdt), map, 5, 0); /* half an entry */
	assert_int_equal(claims_of(fdt, sizeof(fdt), &c), -EBADMSG);
	/* It is said to have one all the same. */
	assert_int_equal(c.tables, 1u << CLAIM_OF);
	tree_of(fdt, sizeof(fdt), map, 4, 0xfff8); /* matches nothing */
	assert_int_equal(claims_of(fdt, sizeof(fdt), &c), -EBADMSG);
	fdt[0] = 0;
	assert_int_equal(claims_of(fdt, sizeof(fdt), &c), -EBADMSG);
	assert_int_equal(claims_of(fdt, 0, &c), -EBADMSG);
	claims_free(&c);
}

/* Two slots whose ids firmware sends to one stream, and one of its own; the
 * same number at another SMMU is another stream. */
static void one_stream_is_one_group(void **state)
{
	struct claim k[] = {
	        {.first = 0x10, .last = 0x10, .table = CLAIM_IORT, .shift = 8},
	        {.first = 0x18, .last = 0x18, .table = CLAIM_IORT},
	        {.first = 0x20, .last = 0x20, .table = CLAIM_IORT},
	        {.first = 0x28,
	         .last = 0x28,
	         .table = CLAIM_IORT,
	         .shift = -0x10,
	         .unit = 1}};
	struct topo_dev d[4];
	struct unit unit[4];
	struct platform p = {.kind = PLATFORM_SMMU,
	                     .by_pci = true,
	                     .unit = unit,
	                     .claims = {.c = k, .nr = NR_OF(k)}};
	struct topo t = {.dev = d, .nr = NR_OF(d)};
	struct sluice_group_reason r;
	struct grp_mem mem = {0};
	struct partition part;

	(void)state;
	for (uint16_t i = 0; i < NR_OF(d); i++) {
		d[i] = (struct topo_dev){.name = "0000:00:00.0",
		                         .rid = k[i].first,
		                         .parent = TOPO_NONE,
		                         .is_pcie = true};
		unit[i] = (struct unit){.style = STYLE_PCI, .iommu = "smmu"};
	}
	assert_int_equal(partition_make(&t, &p, &part), 0);
	assert_int_equal(part.leader[0], part.leader[1]);
	for (uint32_t i = 2; i < 4; i++)
		assert_int_equal(part.leader[i], i);
	assert_int_equal(part.nr_bonds, 1);
	assert_int_equal(part.bond[0].rule, SLUICE_RULE_FIRMWARE_ALIAS);
	assert_int_equal(bond_say(&mem, &t, &part.bond[0], &r), 0);
	assert_non_null(strstr(r.text, "a stream id of"));
	grp_free(&mem);
	partition_free(&part);
	/* SMMUv3 has one of them: we know who has the other's id. */
	unit[1] = (struct unit){.style = STYLE_NONE};
	unit[0].iommu = "smmu3.0x9050000";
	assert_int_equal(smmu_explain(&t, &p), 0);
	assert_non_null(strstr(unit[1].why, "stream id 0x18, which"));
	assert_null(unit[0].why);
	assert_int_equal(partition_make(&t, &p, &part), 0);
	assert_int_equal(part.leader[1], TOPO_NONE);
	assert_int_equal(part.nr_bonds, 0);
	partition_free(&part);
	grp_free(&p.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(iommu_map),
	        cmocka_unit_test(first_entry_counts),
	        cmocka_unit_test(broken),
	        cmocka_unit_test(one_stream_is_one_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
