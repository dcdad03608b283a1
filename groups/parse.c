/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parsers for what sysfs and people write. Pure functions: no file, no memory,
 * no message. What they accept is what a kernel writes, and for PCI addresses
 * what lspci prints too.
 */
#include "groups/parse.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util/util.h"

/* Longest word for a kind of region; the kernel's own have at most 16. */
#define MAX_WORD 32

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Hex digits from *p on, min to max of them; moves *p behind them. */
static bool take_hex(const char **p, const char *end, unsigned min,
                     unsigned max, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned n = 0;

	while (*p < end && n <= max && hex_digit(**p) >= 0) {
		v = v << 4 | (unsigned)hex_digit(**p);
		(*p)++;
		n++;
	}
	if (n < min || n > max)
		return false;
	*ret = v;
	return true;
}

static bool take_char(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	(*p)++;
	return true;
}

/*
 * [domain:]bus:device.function. A domain has 4 digits, or more behind some
 * host bridges (Intel VMD counts from 10000); 32 bits hold any.
 */
bool grp_bdf_parse(const char *text, char ret[GRP_BDF_LEN])
{
	uint64_t domain = 0, bus, dev, fn;
	const char *p = text, *end, *colon;

	if (!text)
		return false;
	end = text + strnlen(text, GRP_BDF_LEN);
	if (end == text + GRP_BDF_LEN)
		return false;
	colon = memchr(p, ':', (size_t)(end - p));
	if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)) &&
	    (!take_hex(&p, end, 4, 8, &domain) || !take_char(&p, end, ':')))
		return false;
	if (!take_hex(&p, end, 2, 2, &bus) || !take_char(&p, end, ':') ||
	    !take_hex(&p, end, 2, 2, &dev) || !take_char(&p, end, '.') ||
	    !take_hex(&p, end, 1, 1, &fn) || p != end)
		return false;
	if (dev > 0x1f || fn > 7)
		return false;
	snprintf(ret, GRP_BDF_LEN, "%04x:%02x:%02x.%x", (unsigned)domain,
	         (unsigned)bus & 0xff, (unsigned)dev & 0x1f, (unsigned)fn & 7);
	return true;
}

bool grp_id_parse(const char *text, int *ret_id)
{
	uint64_t v = 0;
	const char *p;

	if (!text || !*text || (*text == '0' && text[1]))
		return false;
	for (p = text; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		v = v * 10 + (unsigned)(*p - '0');
		if (v > INT_MAX)
			return false;
	}
	*ret_id = (int)v;
	return true;
}

bool grp_hex_parse(const char *text, uint64_t max, uint64_t *ret)
{
	const char *p = text, *end;
	uint64_t v;

	if (!text)
		return false;
	end = text + strlen(text);
	if (end - p > 2 && p[0] == '0' && p[1] == 'x')
		p += 2;
	if (!take_hex(&p, end, 1, 16, &v) || v > max)
		return false;
	while (p < end && isspace((unsigned char)*p))
		p++;
	if (p != end)
		return false;
	*ret = v;
	return true;
}

enum sluice_resv_type grp_resv_type(const char *word, size_t len)
{
	static const struct {
		const char *word;
		enum sluice_resv_type type;
	} types[] = {
	        {"direct", SLUICE_RESV_DIRECT},
	        {"direct-relaxable", SLUICE_RESV_DIRECT_RELAXABLE},
	        {"reserved", SLUICE_RESV_RESERVED},
	        {"msi", SLUICE_RESV_MSI},
	};

	for (size_t i = 0; i < NR_OF(types); i++)
		if (strlen(types[i].word) == len &&
		    memcmp(types[i].word, word, len) == 0)
			return types[i].type;
	return SLUICE_RESV_OTHER;
}

static bool is_word(const char *word, size_t len)
{
	if (len == 0 || len > MAX_WORD)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)word[i]))
			return false;
	return true;
}

bool grp_resv_parse(const char *line, size_t len,
                    struct sluice_group_region *ret, const char **ret_word,
                    size_t *ret_word_len)
{
	const char *p = line, *end = line + len;
	uint64_t first, last;

	if (!take_char(&p, end, '0') || !take_char(&p, end, 'x') ||
	    !take_hex(&p, end, 1, 16, &first) || !take_char(&p, end, ' ') ||
	    !take_char(&p, end, '0') || !take_char(&p, end, 'x') ||
	    !take_hex(&p, end, 1, 16, &last) || !take_char(&p, end, ' '))
		return false;
	if (first > last || !is_word(p, (size_t)(end - p)))
		return false;
	*ret = (struct sluice_group_region){
	        .first = first,
	        .last = last,
	        .type = grp_resv_type(p, (size_t)(end - p)),
	};
	*ret_word = p;
	*ret_word_len = (size_t)(end - p);
	return true;
}

/*
 * "vfio-pci", "mlx5_vfio_pci", "vfio-platform", "vfio_ap": the word vfio stands
 * between separators. "xvfio" does not count.
 */
bool grp_driver_is_vfio(const char *driver)
{
	const char *p = driver;

	while ((p = strstr(p, "vfio"))) {
		char before = p == driver ? '-' : p[-1];
		char after = p[4] ? p[4] : '-';

		if (strchr("-_", before) && strchr("-_", after))
			return true;
		p += 4;
	}
	return false;
}

/*
 * Drivers that the kernel exempts because they never use the DMA API for their
 * device (driver_managed_dma in Linux): the family of VFIO, and these.
 */
bool grp_driver_is_harmless(const char *driver)
{
	static const char *const exempt[] = {"pci-stub", "pcieport",
	                                     "fsl_mc_dprc"};

	for (size_t i = 0; i < NR_OF(exempt); i++)
		if (strcmp(driver, exempt[i]) == 0)
			return true;
	return grp_driver_is_vfio(driver);
}
