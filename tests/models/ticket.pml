/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cursors and tickets of the log (iotlb/invlog.c drain, cursor.c passed): two
 * posters and two readers that walk, cache, use and poll. One poster unmaps
 * the page that is watched; the other's record comes before or after and
 * its page does not matter: what holds for one page holds for each. Slots are
 * what slots.pml shows them to be: a reader finds the record of its position or
 * nothing, and a record may be lost; it may flush at any time (overtaken,
 * stuck, too much work). Readers are online from the start: online.pml.
 *
 * Properties: no use of a page after its ticket has passed and its memory was
 * reused; all uses happen before that reuse; when all have posted and the
 * readers poll on, each ticket passes.
 */
#define HEAD 0
#define WORD 1
#define CURSOR(r) (2 + (r))
#define CLOCK(r) (4 + (r)) /* how often reader r has published its cursor */
#define NATOM 4
#define NLOC 6
#define NPOSTER 2
#define NREADER 2
#define NTHR 4
#define NMSG 4
#include "memory.pml"

#define OFFLINE 255

#ifdef MUTANT_HEAD_RLX
#define O_HEAD RLX
#else
#define O_HEAD SC
#endif
#ifdef MUTANT_HEAD_LD_RLX
#define O_HEAD_LD RLX
#else
#define O_HEAD_LD ACQ
#endif
#ifdef MUTANT_CURSOR_RLX
#define O_CURSOR RLX
#else
#define O_CURSOR REL
#endif
#ifdef MUTANT_OFFLINE_RLX
#define O_OFFLINE RLX
#else
#define O_OFFLINE REL
#endif
#ifdef MUTANT_PASSED_RLX
#define O_CURSOR_LD RLX
#else
#define O_CURSOR_LD SC
#endif
#ifdef MUTANT_PASSED_SKIPS_ONE
#define NASKED (NREADER - 1)
#else
#define NASKED NREADER
#endif

bool written[NPOSTER]; /* by position */
byte page_pos;         /* where the record of the page is */
bool reused;
byte used[NREADER]; /* clock of the reader that covers its last use */
byte nr_posted, nr_settled;

inline use()
{
	d_step {
		assert(!reused);
		used[r] = last[CLOCK(r)] + 1
	}
}

inline publish(v, o)
{
	d_step {
		last[CLOCK(r)]++;
		see(me, CLOCK(r), last[CLOCK(r)]);
		append(me, CURSOR(r), v, o)
	}
}

/* patient: for the 64th time. All in one: the loads may be late, the slots
 * may be found unwritten though they are not, the cursor has one writer. */
inline poll(patient)
{
	atomic {
#ifdef MUTANT_USE_AFTER_POLL
		held = tlb;
#endif
		load(me, HEAD, head, O_HEAD_LD);
		pos = cursor;
		do
		:: pos < head && written[pos] ->
			tlb = tlb && pos != page_pos;
			pos++
		:: pos < head -> break
#ifdef MUTANT_SKIP_UNPUBLISHED
		:: pos < head && !written[pos] -> pos++
#endif
		:: pos == head -> break
		od;
		if
		:: pos < head && !(patient) /* waits for the slot */
#ifdef MUTANT_NO_PATIENCE
		:: pos < head
#else
		:: pos < head ->
#ifndef MUTANT_LAP_KEEPS_TLB
			tlb = false;
#endif
			pos = head
#endif
		:: pos == head
		fi;
		if
		:: pos != cursor ->
#ifdef MUTANT_CURSOR_EARLY
			load(me, HEAD, pos, ACQ);
#endif
			cursor = pos;
			publish(pos, O_CURSOR)
		:: else
		fi;
		d_step { pos = 0; head = 0 }
	}
}

proctype reader(byte me, r)
{
	byte cursor, head, pos;
	bool tlb;
#ifdef MUTANT_USE_AFTER_POLL
	bool held;
#endif

	do
	:: atomic {
		if
		:: tlb
		:: else -> load(me, WORD, tlb, ACQ)
		fi;
		if
		:: tlb -> use()
		:: else
		fi
	   }
#ifdef MUTANT_USE_AFTER_POLL
	:: held -> use()
#endif
	:: poll(false)
	:: break
	od;
	/* Either it leaves, or it polls on when all have posted. */
	if
	:: true
	:: nr_posted == NPOSTER -> atomic {
		fresh(me, HEAD);
		poll(false);
		poll(true);
		/* No ticket is lost. */
		assert(cursor == NPOSTER)
	   }
	fi;
	atomic {
		if
		:: cursor == NPOSTER
		:: publish(OFFLINE, O_OFFLINE)
		fi;
		gone(me);
		cursor = 0;
		tlb = false;
		nr_settled++
	}
}

/* All in one: the only post that the load of head could be too late to miss
 * has seen nothing of the readers. */
inline ask()
{
	atomic {
		load(me, HEAD, min, SC);
		i = 0;
		do
		:: i < NASKED ->
			load(me, CURSOR(i), cursor, O_CURSOR_LD);
			if
			:: cursor < min -> min = cursor
			:: else
			fi;
			i++
		:: else -> break
		od;
		cursor = 0;
		i = 0
	}
}

inline write_record(p)
{
	if
	:: written[p] = true
	:: true /* lost: the slot belongs to an older post */
	fi;
	nr_posted++
}

proctype other(byte me)
{
	byte pos;

	rmw(me, HEAD, pos, pos + 1, O_HEAD);
	atomic {
		write_record(pos);
		pos = 0;
		gone(me)
	}
}

proctype unmapper(byte me)
{
	byte pos, ticket, min, cursor, i;

#ifndef MUTANT_CLEAR_AFTER_POST
	store(me, WORD, 0, RLX);
#endif
	d_step {
		exchange(me, HEAD, pos, pos + 1, O_HEAD);
		page_pos = pos;
		ticket = pos + 1
	}
#ifdef MUTANT_CLEAR_AFTER_POST
	store(me, WORD, 0, RLX);
#endif
#ifdef MUTANT_TICKET_EARLY
	ticket--;
#endif
	atomic {
		write_record(pos);
		pos = 0
	}
	do
	:: atomic {
		ask();
		if
		:: min >= ticket -> break
		:: else -> min = 0
		fi
	   }
	:: nr_settled == NREADER ->
		d_step {
			see(me, CURSOR(0), last[CURSOR(0)]);
			see(me, CURSOR(1), last[CURSOR(1)])
		}
		ask();
		/* No ticket is lost. */
		assert(min >= ticket);
		break
	od;
	skip;
	d_step {
		/* The uses are over before the memory is another's. */
		assert(SEEN(me, CLOCK(0)) >= used[0]);
		assert(SEEN(me, CLOCK(1)) >= used[1]);
		reused = true;
		used[0] = 0;
		used[1] = 0;
		ticket = 0;
		min = 0
	}
	gone(me)
}

init {
	atomic {
		val[M(WORD, 0)] = true; /* mapped */
		run unmapper(0);
		run other(1);
		run reader(2, 0);
		run reader(3, 1)
	}
}
