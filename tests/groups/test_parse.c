/* SPDX-License-Identifier: BSD-3-Clause */
/* The parsers of groups/: what they take, what they refuse, and that a refusal
 * writes nothing. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "groups/parse.h"
#include "util/util.h"

static void bdf_takes(void **state)
{
	static const char *const cases[][2] = {
	        {"0000:00:1f.2", "0000:00:1f.2"},
	        {"00:1f.2", "0000:00:1f.2"},
	        {"FF:1F.7", "0000:ff:1f.7"},
	        {"ABCD:00:00.0", "abcd:00:00.0"},
	        {"10000:e1:00.0", "10000:e1:00.0"},
	        {"ffffffff:ff:1f.7", "ffffffff:ff:1f.7"},
	};

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		char bdf[GRP_BDF_LEN] = "untouched";

		assert_true(grp_bdf_parse(cases[i][0], bdf));
		assert_string_equal(bdf, cases[i][1]);
	}
}

static void bdf_refuses(void **state)
{
	static const char *const cases[] = {
	        "",
	        "0",
	        "00:1f",
	        "00:1f.",
	        "00:1f.8",
	        "00:20.0",
	        "0:1f.0",
	        "000:00:1f.0",
	        "000000000:00:1f.0",
	        "0000:00:1f.2 ",
	        " 0000:00:1f.2",
	        "0000:00:1f.2\n",
	        "0000:00:1f.22",
	        "0000:00:001.0",
	        "0000:000:1f.0",
	        "0000-00-1f.2",
	        "0000:00:1g.0",
	        "0000::1f.0",
	        ":00:1f.0",
	        "0000:00:1f:2",
	        "0000:00:00:00.0",
	        "../../../etc",
	        "0x00:00:1f.0",
	        "0000:00:1f.2.1",
	        "-000:00:1f.2",
	        "00000000000000000000000000000000000000:00:00.0"};

	(void)state;
	for (size_t i = 0; i < NR_OF(cases); i++) {
		char bdf[GRP_BDF_LEN] = "untouched";

		assert_false(grp_bdf_parse(cases[i], bdf));
		assert_string_equal(bdf, "untouched");
	}
	assert_false(grp_bdf_parse(NULL, NULL));
}

static void ids(void **state)
{
	static const char *const bad[] = {
	        "",   "-1",  "+1",  "01",         "1 ",
	        " 1", "1\n", "0x1", "2147483648", "99999999999999999999999",
	        "one"};
	int id = -7;

	(void)state;
	for (size_t i = 0; i < NR_OF(bad); i++)
		assert_false(grp_id_parse(bad[i], &id));
	assert_false(grp_id_parse(NULL, &id));
	assert_int_equal(id, -7);
	assert_true(grp_id_parse("0", &id));
	assert_int_equal(id, 0);
	assert_true(grp_id_parse("2147483647", &id));
	assert_int_equal(id, INT_MAX);
}

static void hex(void **state)
{
	static const char *const bad[] = {"",
	                                  "0x",
	                                  "x1",
	                                  "0x1000000",
	                                  "0x1 2",
	                                  "garbage",
	                                  "0x11111111111111111",
	                                  "-1",
	                                  "0x060400 x"};
	uint64_t v = 7;

	(void)state;
	for (size_t i = 0; i < NR_OF(bad); i++)
		assert_false(grp_hex_parse(bad[i], 0xffffff, &v));
	assert_int_equal(v, 7);
	assert_true(grp_hex_parse("0x060400\n", 0xffffff, &v));
	assert_int_equal(v, 0x060400);
	assert_true(grp_hex_parse("ffffffffffffffff", UINT64_MAX, &v));
	assert_int_equal(v, UINT64_MAX);
}

static bool resv(const char *line, struct sluice_group_region *r)
{
	const char *word;
	size_t n;

	return grp_resv_parse(line, strlen(line), r, &word, &n);
}

static void regions(void **state)
{
	static const struct {
		const char *line;
		uint64_t first, last;
		enum sluice_resv_type type;
	} good[] = {
	        {"0x00000000fee00000 0x00000000feefffff msi", 0xfee00000,
	         0xfeefffff, SLUICE_RESV_MSI},
	        {"0x0 0xffffffffffffffff reserved", 0, UINT64_MAX,
	         SLUICE_RESV_RESERVED},
	        {"0x1000 0x1000 direct", 0x1000, 0x1000, SLUICE_RESV_DIRECT},
	        {"0x0 0xffffff direct-relaxable", 0, 0xffffff,
	         SLUICE_RESV_DIRECT_RELAXABLE},
	        {"0x0 0x1 directed", 0, 1, SLUICE_RESV_OTHER},
	        {"0x0 0x1 MSI", 0, 1, SLUICE_RESV_OTHER},
	};
	static const char *const bad[] = {
	        "",
	        "0x0",
	        "0x0 0x1",
	        "0x0 0x1 ",
	        "0 1 msi",
	        "0x2 0x1 msi",
	        "0x0  0x1 msi",
	        "0x0 0x1 msi now",
	        "0x0 0x1 msi\r",
	        "0x11111111111111111 0x2 msi",
	        "-0x1 0x2 msi",
	        "0xg 0x1 msi",
	        "0x0 0x1 aaaaaaaaaabbbbbbbbbbccccccccccddd",
	        "0x0\t0x1\tmsi"};
	struct sluice_group_region r = {.first = 7, .last = 9};

	(void)state;
	for (size_t i = 0; i < NR_OF(bad); i++)
		assert_false(resv(bad[i], &r));
	assert_int_equal(r.first, 7);
	assert_int_equal(r.last, 9);
	for (size_t i = 0; i < NR_OF(good); i++) {
		assert_true(resv(good[i].line, &r));
		assert_int_equal(r.first, good[i].first);
		assert_int_equal(r.last, good[i].last);
		assert_int_equal(r.type, good[i].type);
	}
}

static void drivers(void **state)
{
	static const char *const vfio[] = {"vfio-pci",      "vfio-platform",
	                                   "vfio_ap",       "vfio",
	                                   "mlx5_vfio_pci", "hisi-acc-vfio-pci",
	                                   "vfio-fsl-mc",   "xvfio-vfio"};
	static const char *const harmless[] = {"pci-stub", "pcieport",
	                                       "fsl_mc_dprc", "vfio-pci"};
	static const char *const other[] = {
	        "",       "nvme",      "xvfio-pci", "vfiox",    "notvfio",
	        "shpchp", "pci-stub2", "pcieport ", "VFIO-PCI", "?"};

	(void)state;
	for (size_t i = 0; i < NR_OF(vfio); i++)
		assert_true(grp_driver_is_vfio(vfio[i]));
	for (size_t i = 0; i < NR_OF(harmless); i++)
		assert_true(grp_driver_is_harmless(harmless[i]));
	for (size_t i = 0; i < NR_OF(other); i++) {
		assert_false(grp_driver_is_vfio(other[i]));
		assert_false(grp_driver_is_harmless(other[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(bdf_takes),   cmocka_unit_test(ids),
	        cmocka_unit_test(bdf_refuses), cmocka_unit_test(hex),
	        cmocka_unit_test(regions),     cmocka_unit_test(drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
