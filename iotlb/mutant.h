/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the tests break this room on purpose. A mutant is one ordering taken
 * away; a stall is a place where a thread may be held up for long. Knows
 * nothing of the log itself. In a normal build both are nothing.
 *
 * -DSLUICE_MUTANT=MUTANT_<name> compiles one mutant. On x86-64 a weaker
 * memory order alone changes no instruction, hence a mutant performs the
 * reordering that the weaker order would allow. Those named RELAXED only drop
 * the order: ThreadSanitizer sees them.
 * -DSLUICE_STALLS makes each STALL() call iotlb_stall() of the test program.
 */
#ifndef SLUICE_IOTLB_MUTANT_H
#define SLUICE_IOTLB_MUTANT_H

enum mutant {
	MUTANT_NONE,
	/* the log */
	MUTANT_PUBLISH_EARLY, /* a slot's stamp before its payload */
	MUTANT_NO_BUSY_MARK,  /* a slot is overwritten unannounced */
	MUTANT_NO_RECHECK,    /* the reader does not look at the stamp again */
	MUTANT_TWO_WRITERS,   /* a poster writes although a stalled one may */
	MUTANT_SKIP_UNPUBLISHED, /* a reader takes an empty slot for read */
	MUTANT_LAP_KEEPS_TLB,    /* a lapped reader jumps without a flush */
	MUTANT_TICKET_EARLY,     /* the ticket is the head before the post */
	/* cursors */
	MUTANT_CURSOR_EARLY,     /* covers records that were not read */
	MUTANT_ONLINE_LATE,      /* walks before its cursor can be seen */
	MUTANT_ONLINE_STALE,     /* joins at a head from long ago */
	MUTANT_ONLINE_UNFENCED,  /* loads the head before its store is out */
	MUTANT_PASSED_SKIPS_ONE, /* does not wait for the last reader */
	MUTANT_PASSED_LETS_JOIN, /* does not turn a joining reader away */
	MUTANT_HOLDS_IGNORED,    /* a cursor goes over what is held */
	MUTANT_SLEEP_UNFENCED,   /* looks at the head before its bit is out */
	MUTANT_WAKE_NOBODY,      /* a poster lets sleepers lie */
	MUTANT_CURSOR_RELAXED,
	MUTANT_OFFLINE_RELAXED,
	MUTANT_PASSED_RELAXED,
	/* the test's own unmapper and lane: the caller's side of the contract
	 */
	MUTANT_CLEAR_AFTER_POST,
	MUTANT_USE_AFTER_POLL,
};

#ifndef SLUICE_MUTANT
#define SLUICE_MUTANT MUTANT_NONE
#endif
#define MUTANT(name) (SLUICE_MUTANT == MUTANT_##name)

enum stall {
	STALL_POST_RESERVED, /* position taken, nothing written */
	STALL_POST_PAYLOAD,  /* in the middle of a slot */
	STALL_POST_WRITTEN,  /* payload whole, stamp to come */
	STALL_DRAIN_SLOT,    /* stamp seen, payload not yet read */
	STALL_DRAIN_CURSOR,  /* entries dropped, cursor not yet published */
	STALL_ONLINE,        /* head seen, cursor not yet published */
	STALL_SLEEP,         /* bit set, head not yet looked at */
};

#ifdef SLUICE_STALLS
void iotlb_stall(enum stall where);
#define STALL(where) iotlb_stall(STALL_##where)
#else
#define STALL(where) ((void)0)
#endif

#endif
