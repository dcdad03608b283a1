/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The little languages of sysfs, as pure functions on bounded text: PCI
 * addresses, reserved_regions lines, numbers. Knows no file.
 */
#ifndef SLUICE_GROUPS_PARSE_H
#define SLUICE_GROUPS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sluice/group.h>

/* "00000000:00:00.0" and its terminator: a domain has 4 to 8 digits. */
#define GRP_BDF_LEN 17

/*
 * A PCI address as people type it ("0000:00:1f.2", "00:1F.2") in sysfs's
 * spelling. Nothing may follow it. Returns false, and leaves ret alone, for
 * anything else, NULL included.
 */
bool grp_bdf_parse(const char *text, char ret[GRP_BDF_LEN]);

/* A plain decimal number in sysfs's spelling: no sign, no leading zero. */
bool grp_id_parse(const char *text, int *ret_id);

/* "0x1af4" or "1af4" and blanks after it, up to max. */
bool grp_hex_parse(const char *text, uint64_t max, uint64_t *ret);

/*
 * One line, [line, line + len) without its newline:
 *   0x00000000fee00000 0x00000000feefffff msi
 * The region's text is left NULL; its place in the line is returned.
 */
bool grp_resv_parse(const char *line, size_t len,
                    struct sluice_group_region *ret, const char **ret_word,
                    size_t *ret_word_len);

/* The kernel's word for a kind of region to its number. */
enum sluice_resv_type grp_resv_type(const char *word, size_t len);

/* True when the driver leaves DMA to user space (VFIO's family). */
bool grp_driver_is_vfio(const char *driver);

/* True when a device bound to the driver does not block its group. */
bool grp_driver_is_harmless(const char *driver);

#endif
