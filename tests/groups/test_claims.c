/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Firmware's tables by hand: what they claim, and that a table which is broken
 * is said to be and counts as far as it made sense. AMD's alias pairs, in any
 * order of the devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "groups/claim.h"
#include "groups/partition.h"
#include "tree.h"
#include "util/util.h"

/* A table under construction. */
struct table {
	uint8_t b[512];
	size_t len;
};

static void put(struct table *t, const void *bytes, size_t n)
{
	assert_true(t->len + n <= sizeof(t->b));
	memcpy(t->b + t->len, bytes, n);
	t->len += n;
}

#define PUT(t, ...)                                                            \
	put(t, (const uint8_t[]){__VA_ARGS__},                                 \
	    sizeof((const uint8_t[]){__VA_ARGS__}))

static void begin(struct table *t, const char *name)
{
	memset(t, 0, sizeof(*t));
	memcpy(t->b, name, 4);
	t->len = 48;
}

static size_t finish(struct table *t)
{
	t->b[4] = (uint8_t)t->len;
	t->b[5] = (uint8_t)(t->len >> 8);
	return t->len;
}

static struct topo_dev dev(uint16_t rid)
{
	return (struct topo_dev){.name = "0000:00:00.0",
	                         .rid = rid,
	                         .parent = TOPO_NONE,
	                         .is_pcie = true};
}

static void dmar(void **state)
{
	struct topo_dev d[] = {dev(0x0008), dev(0x0100), dev(0x0210),
	                       dev(0x0300)};
	struct topo t = {.dev = d, .nr = NR_OF(d)};
	struct claims c = {0};
	struct table tab;

	(void)state;
	d[0].is_bridge = true;
	d[0].secondary = 1;
	d[0].subordinate = 2;
	d[1].is_bridge = true;
	d[1].secondary = d[1].subordinate = 2;
	begin(&tab, "DMAR");
	/* One unit for 02:02.0, by its path; one for all below 00:01.0. */
	PUT(&tab, 0, 0, 16 + 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&tab, 1, 12, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0);
	PUT(&tab, 0, 0, 16 + 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&tab, 2, 8, 0, 0, 0, 0, 1, 0);
	assert_int_equal(claims_dmar(tab.b, finish(&tab), &t, &c), 0);
	assert_null(claims_find(&c, 0, 0x0300));
	assert_null(claims_find(&c, 1, 0x0100));
	assert_int_equal(claims_find(&c, 0, 0x0008)->unit, 1);
	assert_int_equal(claims_find(&c, 0, 0x0100)->unit, 1);
	/* The last to name it wins; a real table names each but once. */
	assert_int_equal(claims_find(&c, 0, 0x0210)->unit, 1);
	claims_free(&c);
	/* All the rest of the segment. */
	begin(&tab, "DMAR");
	PUT(&tab, 0, 0, 16 + 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&tab, 1, 8, 0, 0, 0, 0, 1, 0);
	PUT(&tab, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(claims_dmar(tab.b, finish(&tab), &t, &c), 0);
	assert_int_equal(claims_find(&c, 0, 0x0008)->unit, 0);
	assert_int_equal(claims_find(&c, 0, 0x0300)->unit, 1);
	assert_null(claims_find(&c, 1, 0x0300));
	claims_free(&c);
	/* A scope that is longer than its unit. */
	tab.b[48 + 17] = 9;
	assert_int_equal(claims_dmar(tab.b, tab.len, &t, &c), -EBADMSG);
	claims_free(&c);
	/* No length at all: no endless loop. */
	tab.b[50] = 0;
	assert_int_equal(claims_dmar(tab.b, tab.len, &t, &c), -EBADMSG);
	claims_free(&c);
}

/* A block of type 0x10 with the entries that follow. */
static void ivhd(struct table *t, uint8_t type, uint8_t entries)
{
	uint8_t head[40] = {type};
	size_t n = type == 0x10 ? 24 : 40;

	head[2] = (uint8_t)(n + entries);
	head[4] = 2; /* the IOMMU is 00:00.2 */
	put(t, head, n);
}

static void ivrs(void **state)
{
	struct claims c = {0};
	struct table tab;

	(void)state;
	begin(&tab, "IVRS");
	ivhd(&tab, 0x10, 4 + 4 + 4 + 8 + 8 + 4 + 4);
	PUT(&tab, 0x02, 0x08, 0x00, 0);                /* 00:01.0 */
	PUT(&tab, 0x03, 0x00, 0x01, 0);                /* 01:00.0 … */
	PUT(&tab, 0x04, 0xff, 0x01, 0);                /* … 01:1f.7 */
	PUT(&tab, 0x42, 0x11, 0x00, 0, 0, 0x10, 0, 0); /* 00:02.1 as 00:02.0 */
	PUT(&tab, 0x43, 0x00, 0x02, 0, 0, 0x08, 0, 0); /* 02:00.0 … */
	PUT(&tab, 0x04, 0xff, 0x02, 0);                /* … as 00:01.0 */
	PUT(&tab, 0x00, 0, 0, 0);
	assert_int_equal(claims_ivrs(tab.b, finish(&tab), &c), 0);
	assert_int_equal(c.nr, 4);
	assert_int_equal(claims_find(&c, 0, 0x0008)->alias, CLAIM_NO_ALIAS);
	assert_int_equal(claims_find(&c, 0, 0x0180)->alias, CLAIM_NO_ALIAS);
	assert_int_equal(claims_find(&c, 0, 0x0011)->alias, 0x0010);
	assert_int_equal(claims_find(&c, 0, 0x0277)->alias, 0x0008);
	assert_null(claims_find(&c, 0, 0x0010));
	claims_free(&c);
	/* The same IOMMU once more, better: alone. */
	ivhd(&tab, 0x11, 4);
	PUT(&tab, 0x02, 0x10, 0x00, 0);
	assert_int_equal(claims_ivrs(tab.b, finish(&tab), &c), 0);
	assert_int_equal(c.nr, 1);
	assert_non_null(claims_find(&c, 0, 0x0010));
	claims_free(&c);
	/* An end without a beginning; an entry beyond the block. */
	begin(&tab, "IVRS");
	ivhd(&tab, 0x10, 4);
	PUT(&tab, 0x04, 0xff, 0x01, 0);
	assert_int_equal(claims_ivrs(tab.b, finish(&tab), &c), -EBADMSG);
	begin(&tab, "IVRS");
	ivhd(&tab, 0x10, 4);
	PUT(&tab, 0x42, 0xff, 0x01, 0);
	assert_int_equal(claims_ivrs(tab.b, finish(&tab), &c), -EBADMSG);
	claims_free(&c);
}

static void viot(void **state)
{
	struct claims c = {0};
	struct table tab;

	(void)state;
	begin(&tab, "VIOT");
	tab.b[36] = 2; /* nodes, from 48 on */
	tab.b[38] = 48;
	PUT(&tab, 3, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	/* Segments 0 and 1, 00:00.0 to 40:1f.7, endpoints from 0x100 on. */
	PUT(&tab, 1, 0, 24, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x40, 48, 0,
	    0, 0, 0, 0, 0, 0);
	assert_int_equal(claims_viot(tab.b, finish(&tab), &c), 0);
	assert_int_equal(claims_find(&c, 1, 0x40ff)->shift, 0x100);
	assert_null(claims_find(&c, 1, 0x4100));
	assert_null(claims_find(&c, 2, 0));
	claims_free(&c);
	tab.b[36] = 3; /* a node that is not there */
	assert_int_equal(claims_viot(tab.b, tab.len, &c), -EBADMSG);
	claims_free(&c);
}

static void iort(void **state)
{
	struct claims c = {0};
	struct table tab;

	(void)state;
	begin(&tab, "IORT");
	tab.b[36] = 3;
	tab.b[40] = 48;
	/* 48: an ITS; 64: an SMMUv3; 80: a root complex of segment 2. */
	PUT(&tab, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&tab, 4, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&tab, 2, 32 + 40, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 32, 0, 0, 0);
	PUT(&tab, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0);
	/* Ids 0 to 0x7f to the SMMU from stream 0x1000 on, 0x80 to 0xff to the
	 * ITS. */
	PUT(&tab, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0x10, 0, 0, 64, 0, 0, 0, 0, 0,
	    0, 0);
	PUT(&tab, 0x80, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 0, 0, 0,
	    0, 0);
	assert_int_equal(claims_iort(tab.b, finish(&tab), &c), 0);
	assert_int_equal(claims_find(&c, 2, 0x7f)->shift, 0x1000);
	assert_null(claims_find(&c, 2, 0x80));
	assert_null(claims_find(&c, 0, 0x10));
	claims_free(&c);
	tab.b[80 + 8] = 200; /* more mappings than the node holds */
	assert_int_equal(claims_iort(tab.b, tab.len, &c), -EBADMSG);
	claims_free(&c);
}

static void broken_in_a_tree(void **state)
{
	const struct topo none = {0};
	struct claims c;
	struct tree tree;
	struct table tab;
	int root;

	(void)state;
	tree_new(&tree);
	begin(&tab, "IVRS");
	ivhd(&tab, 0x10, 4 + 4);
	PUT(&tab, 0x02, 0x08, 0x00, 0);
	PUT(&tab, 0x04, 0xff, 0x01, 0);
	tree_blob(&tree, "firmware/acpi/tables/IVRS", tab.b, finish(&tab));
	root = open(tree.root, O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0);
	assert_int_equal(claims_read(root, &none, &c), 0);
	assert_string_equal(c.bad, "IVRS");
	assert_non_null(claims_find(&c, 0, 0x0008));
	claims_free(&c);
	/* It says more than there is. */
	tab.b[5] = 0x7f;
	tree_blob(&tree, "firmware/acpi/tables/IVRS", tab.b, 60);
	assert_int_equal(claims_read(root, &none, &c), 0);
	assert_string_equal(c.bad, "IVRS");
	claims_free(&c);
	close(root);
	tree_free(&tree);
}

/* Two devices under one id are one group whichever has the lower number, with
 * the owner of the id there or not, and when one of them comes later. */
static void amd_alias_pairs(void **state)
{
	static const uint16_t pairs[][3] = {
	        /* two devices, the id of both */
	        {0x0010, 0x0018, 0x0010},
	        {0x0010, 0x0018, 0x0018},
	        {0x0010, 0x0018, 0x0020},
	        {0x0100, 0x0200, 0x0008},
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(pairs); i++) {
		struct claim k[] = {
		        {.first = pairs[i][0],
		         .last = pairs[i][0],
		         .alias = pairs[i][2],
		         .table = CLAIM_IVRS},
		        {.first = pairs[i][1],
		         .last = pairs[i][1],
		         .alias = pairs[i][2],
		         .table = CLAIM_IVRS},
		        {.first = 0x300,
		         .last = 0x300,
		         .alias = CLAIM_NO_ALIAS,
		         .table = CLAIM_IVRS},
		};
		struct topo_dev d[] = {dev(pairs[i][0]), dev(pairs[i][1]),
		                       dev(0x0300)};
		struct unit unit[3];
		struct platform p = {.kind = PLATFORM_AMD,
		                     .by_pci = true,
		                     .unit = unit,
		                     .claims = {.c = k, .nr = 3}};
		struct topo t = {.dev = d, .nr = 3};
		struct partition part;

		for (int u = 0; u < 3; u++)
			unit[u] = (struct unit){.style = STYLE_PCI};
		assert_int_equal(partition_make(&t, &p, &part), 0);
		assert_int_equal(part.leader[0], part.leader[1]);
		assert_int_not_equal(part.leader[0], part.leader[2]);
		assert_int_equal(part.bond[0].rule, SLUICE_RULE_FIRMWARE_ALIAS);
		partition_free(&part);
		/* Before the second was there. */
		d[1] = d[2];
		t.nr = 2;
		assert_int_equal(partition_make(&t, &p, &part), 0);
		assert_int_not_equal(part.leader[0], part.leader[1]);
		partition_free(&part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(dmar),
	        cmocka_unit_test(ivrs),
	        cmocka_unit_test(viot),
	        cmocka_unit_test(iort),
	        cmocka_unit_test(broken_in_a_tree),
	        cmocka_unit_test(amd_alias_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
