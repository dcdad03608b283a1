/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reader that goes on- and offline while others post and ask (cursor.c):
 * JOINING, turn_away, raise. One reader, which comes twice, and two posters
 * that ask twice each; the first unmaps the page that is watched. Drains are
 * flushes: slots.pml and ticket.pml know more.
 *
 * Properties: no use of the page after its ticket passed and its memory was
 * reused; all uses happen before that reuse; answers never go back, not even
 * between threads that compare theirs; once the reader has left, each ticket
 * passes.
 */
#define HEAD 0
#define USED 1 /* nr_used: 0, then 1 */
#define CURSOR 2
#define WORD 3
#define BEST 4 /* the best answer so far: where askers compare */
#define CLOCK 5
#define NATOM 5
#define NLOC 6
#define NTHR 3
#ifndef NMSG
#define NMSG 13
#endif
#include "memory.pml"

#define OFFLINE 255
#define JOINING 254
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef ASKS
#define ASKS 1
#endif

#ifdef MUTANT_POST_ACQREL
#define O_POST ACQREL
#else
#define O_POST SC
#endif
#ifdef MUTANT_ONLINE_UNFENCED
#define O_JOIN REL
#else
#define O_JOIN SC
#endif
#ifdef MUTANT_ONLINE_HEAD_ACQ
#define O_JOIN_LD ACQ
#else
#define O_JOIN_LD SC
#endif
#ifdef MUTANT_AWAY_FAIL_RLX
#define O_AWAY_FAIL RLX
#else
#define O_AWAY_FAIL ACQ
#endif
/* SPARE drops two orders that the seq_cst store of JOINING makes up for. */
#ifdef SPARE
#define O_AWAY ACQ
#define O_JOINED RLX
#else
#define O_AWAY ACQREL
#define O_JOINED ACQ
#endif
#ifdef MUTANT_AWAY_RLX
#undef O_AWAY
#define O_AWAY RLX
#endif
#ifdef MUTANT_PASSED_ACQ
#define O_CURSOR_LD ACQ
#else
#define O_CURSOR_LD SC
#endif
#ifdef MUTANT_RAISE_ACQREL
#define O_RAISE ACQREL
#else
#define O_RAISE SC
#endif
#ifdef MUTANT_USED_ACQ
#define O_USED_LD ACQ
#else
#define O_USED_LD SC
#endif
#ifdef MUTANT_OFFLINE_RLX
#define O_OFFLINE RLX
#else
#define O_OFFLINE REL
#endif

bool reused, left;
byte used; /* clock of the reader that covers its last use */

inline tick()
{
	last[CLOCK]++;
	see(me, CLOCK, last[CLOCK])
}

inline online()
{
#ifdef MUTANT_ONLINE_STALE
	load(me, HEAD, head, ACQ);
#endif
	load(me, USED, word, SC);
	if
	:: word == 0 -> rmw(me, USED, word, word + 1, O_RAISE)
	:: else
	fi;
	do
	:: store(me, CURSOR, JOINING, O_JOIN);
#ifndef MUTANT_ONLINE_STALE
		load(me, HEAD, head, O_JOIN_LD);
#endif
		cursor = JOINING;
		cas(me, CURSOR, cursor, head, ok, ACQREL, O_JOINED);
		if
		:: ok -> break
		:: else
		fi
	od;
	skip;
	d_step { cursor = head; word = 0; head = 0; ok = false }
}

inline use()
{
	d_step {
		assert(!reused);
		used = last[CLOCK] + 1
	}
}

/* Walks find the word, uses the translation, until a poll drops it. */
proctype reader(byte me)
{
	byte cursor, head, word, n;
	bool ok, tlb;

	do
	:: n < ROUNDS ->
		n++;
#ifndef MUTANT_ONLINE_LATE
		online();
#endif
		do
		:: !tlb -> atomic {
			load(me, WORD, tlb, ACQ);
			if
			:: tlb -> use()
			:: else
			fi
		   }
		:: tlb -> use()
		:: atomic {
			load(me, HEAD, head, ACQ);
			if
			:: head != cursor ->
				tlb = false;
				cursor = head;
				d_step {
					tick();
					append(me, CURSOR, cursor, REL)
				}
			:: else
			fi;
			head = 0
		   }
		:: break
		od;
		skip;
		d_step {
			tlb = false;
			cursor = 0;
			tick();
			append(me, CURSOR, OFFLINE, O_OFFLINE)
		}
	:: else -> break
	od;
	skip;
	d_step {
		n = 0;
		left = true
	}
	gone(me)
}

/* The answer is there, and told to others. */
inline answer()
{
#ifdef MUTANT_PASSED_HEAD_LATE
	load(me, HEAD, min, SC);
#endif
	if
	:: cursor < min -> min = cursor
	:: else
	fi;
	skip;
	assert(min >= floor);
	d_step {
		nr = NEWEST(BEST);
		if
		:: nr < min -> nr = min
		:: else
		fi;
		exchange(me, BEST, floor, nr, REL);
		nr = 0;
		floor = 0;
		cursor = 0;
		ok = true
	}
}

inline turn_away()
{
	cas(me, CURSOR, cursor, OFFLINE, ok, O_AWAY, O_AWAY_FAIL);
	if
	:: ok -> cursor = OFFLINE
	:: else
	fi
}

inline passed()
{
	atomic {
		/* What others have been told; an acquire may be late. */
		load(me, BEST, floor, ACQ);
#ifndef MUTANT_PASSED_HEAD_LATE
		load(me, HEAD, min, SC)
#endif
	}
	load(me, USED, nr, O_USED_LD);
	/* Telling may be early: who compares may miss what was told. */
	atomic {
		if
		:: nr > 0 -> load(me, CURSOR, cursor, O_CURSOR_LD)
		:: else -> cursor = OFFLINE
		fi;
#ifdef MUTANT_PASSED_LETS_JOIN
		answer()
#else
		if
		:: cursor == JOINING
		:: else -> answer()
		fi
#endif
	}
	if
	:: !ok -> atomic { turn_away(); answer() }
	:: else
	fi;
	ok = false
}

proctype asker(byte me)
{
	byte ticket, min, floor, cursor, nr, n;
	bool ok;

	if
	:: me == 0 -> store(me, WORD, 0, RLX)
	:: else
	fi;
	rmw(me, HEAD, ticket, ticket + 1, O_POST);
	ticket++;
	do
	:: n < ASKS ->
		n++;
		passed();
		if
		:: min >= ticket -> break
		:: else -> min = 0
		fi
	:: left ->
		fresh(me, CURSOR);
		fresh(me, USED);
		passed();
		assert(min >= ticket);
		break
	od;
	skip;
	d_step {
		if
		:: me == 0 ->
			assert(SEEN(me, CLOCK) >= used);
			reused = true;
			used = 0
		:: else
		fi;
		min = 0;
		ticket = 0;
		n = 0
	}
	gone(me)
}

init {
	atomic {
		val[M(WORD, 0)] = 1;
		val[M(CURSOR, 0)] = OFFLINE;
		run asker(0);
		run asker(1);
		run reader(2)
	}
}
