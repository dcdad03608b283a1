/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The depot of the IOVA allocator (engine/iova_depot.c): two stacks of
 * magazines, full ones and blank ones, with a tag in the head. Three threads
 * put a range in, the first GETS of them get one out again. A magazine holds
 * one range here; all magazines exist from the start (no bump).
 *
 * Properties: a range has one owner, a magazine is filled and emptied by one
 * thread at a time, each after the last; when all is over no range and no
 * magazine is lost.
 */
#define BLANK 0
#define FULL 1
#define NEXT(m) (1 + (m)) /* magazines 1..NMAG */
#define NMAG 3
#define NATOM 5
#define MAG(m) (4 + (m))
#define NLOC 8
#define NTHR 4
#define NMSG 7
#include "memory.pml"

#ifndef GETS
#define GETS 1
#endif
#define NRANGE 4 /* 0..2 in the hands of the threads, 3 in magazine 1 */
#define NOBODY 255
#define IDX(h) ((h) & 3)
#ifdef MUTANT_NO_TAG
#define HEAD_AFTER(h, m) (m)
#else
#define HEAD_AFTER(h, m) (((h) & 252) + 4 + (m))
#endif

#ifdef MUTANT_PUSH_RLX
#define O_PUSH RLX
#else
#define O_PUSH REL
#endif
#ifdef MUTANT_POP_LD_RLX
#define O_POP_LD RLX
#else
#define O_POP_LD ACQ
#endif
#ifdef MUTANT_POP_FAIL_RLX
#define O_POP_FAIL RLX
#else
#define O_POP_FAIL ACQ
#endif
#ifdef SPARE /* the load before is of the same value: tags do not come again */
#define O_POP RLX
#else
#define O_POP ACQREL
#endif

byte owner[NRANGE] = NOBODY;
byte content[NMAG + 1] = NOBODY;
byte nr_done;

/* To mag, 0 when there is none. Loads and failed exchanges may be late. */
inline pop(stack)
{
	atomic {
		load(me, stack, head, O_POP_LD);
		ok = false;
		do
		:: ok || IDX(head) == 0 -> break
		:: else ->
			mag = IDX(head);
			load(me, NEXT(mag), next, RLX);
			cas(me, stack, head, HEAD_AFTER(head, next), ok, O_POP,
			    O_POP_FAIL)
		od;
		if
		:: ok
		:: else -> mag = 0
		fi;
		d_step { head = 0; next = 0; ok = false }
	}
}

inline push(stack)
{
	load(me, stack, head, RLX);
	do
	:: ok -> break
	:: else ->
		store(me, NEXT(mag), IDX(head), RLX);
		cas(me, stack, head, HEAD_AFTER(head, mag), ok, O_PUSH, RLX)
	od;
	skip;
	d_step { head = 0; ok = false; mag = 0 }
}

inline touch(m)
{
	assert(OWNS(me, MAG(m)));
	last[MAG(m)]++;
	see(me, MAG(m), last[MAG(m)])
}

inline put(r)
{
	pop(BLANK);
	if
	:: mag ->
		d_step {
			touch(mag);
			assert(owner[r] == me);
			content[mag] = r;
			owner[r] = NOBODY
		}
		push(FULL)
	:: else
	fi
}

inline get()
{
	pop(FULL);
	if
	:: mag ->
		d_step {
			touch(mag);
			range = content[mag];
			assert(range != NOBODY && owner[range] == NOBODY);
			content[mag] = NOBODY;
			owner[range] = me
		}
		push(BLANK)
	:: else
	fi
}

proctype thread(byte me)
{
	byte head, next, mag, range;
	bool ok;

	put(me);
	if
	:: me < GETS -> get()
	:: else
	fi;
	range = 0;
	nr_done++
}

/* Everything that is left, seen by one thread after all others. */
proctype count(byte me)
{
	byte m, n;

	nr_done == 3;
	atomic {
		m = IDX(NEWEST(FULL));
		do
		:: m == 0 -> break
		:: else ->
			n++;
			assert(n <= NMAG && content[m] != NOBODY);
			assert(owner[content[m]] == NOBODY);
			owner[content[m]] = me;
			content[m] = NOBODY;
			m = NEWEST(NEXT(m))
		od;
		m = IDX(NEWEST(BLANK));
		do
		:: m == 0 -> break
		:: else ->
			n++;
			assert(n <= NMAG);
			m = NEWEST(NEXT(m))
		od;
		assert(n == NMAG);
		assert(owner[0] != NOBODY && owner[1] != NOBODY);
		assert(owner[2] != NOBODY && owner[3] != NOBODY)
	}
}

init {
	atomic {
		owner[0] = 0;
		owner[1] = 1;
		owner[2] = 2;
		content[1] = 3;
		val[M(FULL, 0)] = 1;
		val[M(BLANK, 0)] = 2;
		val[M(NEXT(2), 0)] = 3;
		run thread(0);
		run thread(1);
		run thread(2);
		run count(3)
	}
}
