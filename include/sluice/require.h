/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the devices of a group need of the one domain that they all have to
 * share, settled before the first of them is attached: a domain that is in use
 * never changes its type, so what does not fit has to be found out before.
 *
 * Requirements are collected from whoever knows them (the caller, and sysfs by
 * sluice_require_from_group()), sluice_require_decide() makes a decision of
 * them or names the two members that cannot both be served, and a member that
 * comes later is held against the decision by sluice_decision_check().
 * Nothing here touches a file or a device.
 */
#ifndef SLUICE_REQUIRE_H
#define SLUICE_REQUIRE_H

#include <stdint.h>

#include <sluice/base.h>
#include <sluice/group.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sluice_require_type {
	SLUICE_REQUIRE_ANY = 0,
	SLUICE_REQUIRE_TRANSLATED, /* addresses that a domain gives out */
	SLUICE_REQUIRE_IDENTITY    /* physical addresses, untranslated */
};

/* What one member needs. Zeroes ask for nothing. */
struct sluice_require {
	const char *name; /* of the member: "0000:01:00.0" */
	enum sluice_require_type type;
	/* Addresses below 2^dma_bits are what it can send: 13 to 64; 0: not
	 * known, taken for all. */
	uint32_t dma_bits;
	/* It needs that many bytes of addresses below 4 GiB for itself. */
	uint64_t low_bytes;
	/* Addresses it must not be given, or (SLUICE_RESV_DIRECT) must have
	 * mapped to themselves. SLUICE_RESV_DIRECT_RELAXABLE asks for nothing
	 * once the device is given away. */
	const struct sluice_group_region *regions;
	uint32_t nr_regions;
	const char *why; /* who says so, for messages; NULL */
};

/* Why two members cannot share a domain. */
enum sluice_conflict_kind {
	/* One needs translation, the other none. */
	SLUICE_CONFLICT_TYPE = 1,
	/* One needs addresses below 4 GiB, the other no translation. */
	SLUICE_CONFLICT_LOW,
	/* One must have addresses mapped to themselves that the other must not
	 * be given. */
	SLUICE_CONFLICT_DIRECT,
	/* What is reserved for one leaves too few addresses that the other can
	 * send. */
	SLUICE_CONFLICT_ROOM
};

struct sluice_conflict {
	const char *a; /* names of two members, a before b */
	const char *b;
	enum sluice_conflict_kind kind;
	char text[400]; /* both wishes, and what to do */
};

/**
 * sluice_require_conflicts() - every pair of members that cannot share a
 * domain.
 * @members: nr of them, in any order
 * @ret:     at most max of the pairs, in order of their names and of kinds: a
 *           pair with two reasons is there twice. Names belong to the members.
 *           NULL with max 0
 *
 * The order of the members changes nothing.
 *
 * Thread: any. Blocks: no. Returns: how many of these there are, max or not;
 * -EINVAL, with a message, for NULL, no members, one name twice, or a
 * requirement that contradicts itself; -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_require_conflicts(
        const struct sluice_require *members, uint32_t nr,
        struct sluice_conflict *ret, uint32_t max);

struct sluice_decision;

/* What was decided. */
struct sluice_decision_info {
	/* SLUICE_REQUIRE_TRANSLATED or _IDENTITY; translated when no member
	 * asked for either. */
	enum sluice_require_type type;
	const char *type_by; /* the first that asked for it; NULL: none */
	uint32_t dma_bits;   /* what all can send; 64: nobody needs less */
	const char *bits_by; /* the first that needs so few; NULL: none */
	/* The lowest place below 4 GiB for all that need one; 0 bytes: none
	 * does. */
	uint64_t low_first;
	uint64_t low_bytes;
	/* Regions of all, each once, by address; those that are relaxed when a
	 * device is given away are left out. The direct ones have to be mapped
	 * to themselves before a device is attached. */
	const struct sluice_group_region *regions;
	uint32_t nr_regions;
	const char *const *members; /* sorted */
	uint32_t nr_members;
};

/**
 * sluice_require_decide() - one domain for all members, or why there is none.
 * @members: nr of them, in any order: it changes nothing
 * @ret_decision: owned by the caller, freed by sluice_decision_free(). Keeps
 *                copies of everything
 *
 * Thread: any. Blocks: no. Owns: the caller. Returns: 0; -EBUSY when two
 * members cannot share a domain: the message names both, what each needs and
 * what to do, for the first pair of sluice_require_conflicts(); -EINVAL and
 * -ENOMEM as there, and for a ret_decision of NULL.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_require_decide(
        const struct sluice_require *members, uint32_t nr,
        struct sluice_decision **ret_decision);

/**
 * sluice_decision_get() - what was decided.
 *
 * Thread: any. Blocks: no. Owns: the decision. Valid until: it is freed.
 * Returns: NULL for NULL.
 */
SLUICE_API const struct sluice_decision_info *sluice_decision_get(
        const struct sluice_decision *decision);

/**
 * sluice_decision_check() - whether a member that comes later fits.
 * @late: may be one of the decision's members that comes back
 *
 * The decision never changes. A domain that is in use serves the newcomer as it
 * is, or the newcomer must not join: its type, the reach of its addresses and
 * its regions are held against what was decided. low_bytes fits only for a
 * member that was counted with as many.
 *
 * Thread: any. Blocks: no. Returns: 0; -EBUSY when it does not fit, with a
 * message that names it and the member in whose way it is, what each needs and
 * what to do; -EINVAL for NULL or a requirement that contradicts itself;
 * -ENOMEM.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_decision_check(
        const struct sluice_decision *decision,
        const struct sluice_require *late);

/**
 * sluice_decision_free() - NULL is fine.
 *
 * Thread: any. Blocks: no.
 */
SLUICE_API void sluice_decision_free(struct sluice_decision *decision);

/**
 * sluice_require_from_group() - what the kernel shows of the members' needs.
 * @info: of a set or of an open group
 * @ret:  at most max requirements, in the order of the members; names and
 *        regions belong to info
 *
 * A driver of the kernel that is bound works with the type that the group has
 * now, and with as many bits of address as it asked for. The kernel does not
 * tell whose a reserved region is: each member gets the group's. Add what you
 * know yourself before you call sluice_require_decide().
 *
 * Thread: any. Blocks: no. Valid until: info goes. Returns: how many members
 * there are, max or not; -EINVAL for NULL.
 */
SLUICE_API SLUICE_MUST_CHECK int sluice_require_from_group(
        const struct sluice_group_info *info, struct sluice_require *ret,
        uint32_t max);

#ifdef __cplusplus
}
#endif
#endif
