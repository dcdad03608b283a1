/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of the log (iotlb/invlog.c): posters that reserve, write and may
 * stop anywhere, and a reader that takes records out. Knows no ticket and no
 * cursor that others see: ticket.pml. A reader writes nothing that another
 * reader or a poster loads here, so one stands for all.
 *
 * Properties: a record that is taken is the record of that position, whole;
 * of two stores to a slot one always happens before the other; when all have
 * posted a reader comes to the head.
 */
#ifdef THREE
#define NMSG 5
#define NPOSTER 3 /* one post each, of positions 1..3 */
#define NLINE 3
#define FIRST 1
#define POSTS 1
#define NLOC 9
#endif
#ifdef NAMELESS
#define NMSG 10
#define NPOSTER 3 /* as above, but only two lines for whoever comes */
#define NLINE 2
#define FIRST 1
#define POSTS 1
#define NLOC 8
#endif
#ifndef NPOSTER
#define NMSG 7
#define NPOSTER 2 /* two posts each, of positions 0..3 */
#define NLINE 2
#define FIRST 0
#define POSTS 2
#define NLOC 8
#endif
#define NATOM NLOC
#define NTHR (NPOSTER + 1)
#include "memory.pml"

#define NPOST 4
#define RING 2
#define HEAD 0
#define STAMP(p) (1 + (p) % RING)
#define DATA(p) (3 + (p) % RING)
#define SETTLED 5
#define AT(i) (6 + (i))

#define IDLE 255
#define AT_OF(p, n) ((p) * 2 + (n))
#define STAMP_OF(p) (2 * ((p) + 1))

#ifdef MUTANT_PUBLISH_RLX
#define O_STAMP RLX
#else
#define O_STAMP REL
#endif
#ifdef MUTANT_STAMP_LD_RLX
#define O_STAMP_LD RLX
#else
#define O_STAMP_LD ACQ
#endif
#ifdef MUTANT_PAYLOAD_RLX
#define O_DATA RLX
#else
#define O_DATA REL
#endif
#ifdef MUTANT_PAYLOAD_LD_RLX
#define O_DATA_LD RLX
#else
#define O_DATA_LD ACQ
#endif
#ifdef MUTANT_IDLE_RLX
#define O_IDLE RLX
#else
#define O_IDLE REL
#endif
#ifdef MUTANT_SETTLE_LD_RLX
#define O_AT_LD RLX
#else
#define O_AT_LD ACQ
#endif
#ifdef MUTANT_SETTLED_RLX
#define O_SETTLED RLX
#else
#define O_SETTLED REL
#endif
#ifdef MUTANT_SETTLED_LD_RLX
#define O_SETTLED_LD RLX
#else
#define O_SETTLED_LD ACQ
#endif
#ifdef MUTANT_HEAD_RLX
#define O_HEAD RLX
#else
#define O_HEAD SC
#endif

#ifdef MUTANT_CLAIM_RLX
#define O_CLAIM RLX
#else
#define O_CLAIM ACQREL
#endif

byte nr_posted;

inline put(l, v, o)
{
	/* Never two writers: all stores so far happened before this one. */
	d_step {
		assert(OWNS(me, l));
		append(me, l, v, o)
	}
}

inline settle()
{
	low = pos;
	met = false;
	i = 0;
	do
	:: i < NLINE ->
		load(me, AT(i), at, O_AT_LD);
		d_step {
			if
			:: at == IDLE || at / 2 >= pos
			:: else ->
				if
				:: at / 2 < low -> low = at / 2
				:: else
				fi;
				met = met || (at / 2 < pos + 1 - RING &&
				    (at % 2 == 0 || at / 2 % RING == pos % RING))
			fi;
			at = 0;
			i++
		}
	:: else -> break
	od;
	skip;
	d_step {
		append(me, SETTLED, low, O_SETTLED);
		ours = !met;
		i = 0;
		met = false
	}
}

inline slots_ours()
{
	ours = true;
#ifndef MUTANT_TWO_WRITERS
	if
	:: pos + 1 > RING ->
		load(me, SETTLED, low, O_SETTLED_LD);
		if
		:: pos + 1 > RING + low -> settle()
		:: else
		fi;
		low = 0
	:: else
	fi
#endif
}

inline announce()
{
#ifdef NAMELESS
	load(me, HEAD, low, RLX);
	line = 0;
	do
	:: line == NLINE -> break
	:: else ->
		at = IDLE;
		cas(me, AT(line), at, AT_OF(low, 0), met, O_CLAIM, ACQ);
		if
		:: met -> break
		:: else -> line++
		fi
	od;
	d_step { low = 0; at = 0; met = false }
#else
#ifdef MUTANT_NO_ANNOUNCE
	skip
#else
	load(me, HEAD, low, RLX);
#ifdef MUTANT_CXX20
	store(me, AT(line), AT_OF(low, 0), RLX);
#else
	store_on(me, AT(line), AT_OF(low, 0), RLX);
#endif
	low = 0
#endif
#endif
}

inline mark()
{
	if
	:: ours ->
#ifndef MUTANT_NO_BUSY_MARK
		put(STAMP(pos), STAMP_OF(pos) - 1, RLX);
#endif
#ifdef MUTANT_PUBLISH_EARLY
		put(STAMP(pos), STAMP_OF(pos), REL);
#endif
		skip
	:: else
	fi
}

/* With three posters a slot is written in one go, for the number of states:
 * it is read late only, and two writers are seen in whatever order. */
#if NPOSTER > 2
#define WRITE atomic
#else
#define WRITE
#endif

/* A load may be late, for it may return what is old: each takes effect with
 * the next store of its thread. A store to a line that one thread writes and
 * nobody exchanges may be early, for a load may miss it. */
proctype poster(byte me, n)
{
	byte pos, low, at, i, line = me;
	bool ours, met;

	do
	:: n > 0 ->
		atomic {
			n--;
			announce()
		}
		d_step {
			exchange(me, HEAD, pos, pos + 1, O_HEAD);
#ifndef NAMELESS
			append(me, AT(line), AT_OF(pos, 1), REL)
		}
#else
		}
		if
		:: line < NLINE -> store(me, AT(line), AT_OF(pos, 1), REL)
		:: else
		fi;
#endif
		WRITE {
			atomic {
				if
				:: line < NLINE -> slots_ours()
				:: else
				fi;
				mark()
			}
			if
			:: ours ->
				put(DATA(pos), pos + 1, O_DATA);
				put(STAMP(pos), STAMP_OF(pos), O_STAMP)
			:: else
			fi;
			d_step {
				if
				:: line < NLINE ->
					append(me, AT(line), IDLE, O_IDLE)
				:: else
				fi;
				pos = 0;
				ours = false
			}
		}
	:: else -> break
	od;
	atomic {
		gone(me);
		nr_posted++
	}
}

/* It stores nothing, so it sees no less when it comes last: each value that
 * a load could have returned is still there. */
proctype reader(byte me)
{
	byte pos = FIRST, head, stamp, data;
	bool jump;

	nr_posted == NPOSTER;
	do
	:: pos < NPOST -> atomic {
		load(me, HEAD, head, ACQ);
		if
		:: head <= pos
		:: head > pos + RING -> jump = true
		:: else ->
			load(me, STAMP(pos), stamp, O_STAMP_LD);
			if
			:: stamp > STAMP_OF(pos) -> jump = true
			:: stamp < STAMP_OF(pos) ->
				/* Waits, or has waited long enough. */
				if
				:: true
				:: jump = true
				fi
			:: stamp == STAMP_OF(pos) ->
				load(me, DATA(pos), data, O_DATA_LD);
#ifndef MUTANT_NO_RECHECK
				load(me, STAMP(pos), stamp, RLX);
#endif
				if
				:: stamp != STAMP_OF(pos) -> jump = true
				:: else ->
					assert(data == pos + 1);
					pos++
				fi
			fi
		fi;
		d_step {
			if
			:: jump -> pos = head
			:: else
			fi;
			jump = false;
			head = 0;
			stamp = 0;
			data = 0
		}}
	:: else -> break
	od
}

init {
	atomic {
		val[M(HEAD, 0)] = FIRST;
#if FIRST > 0
		val[M(STAMP(0), 0)] = STAMP_OF(0);
		val[M(DATA(0), 0)] = 1;
#endif
#if NPOSTER > 2
		run poster(2, POSTS);
#endif
#if NLINE > 2
		val[M(AT(2), 0)] = IDLE;
#endif
		val[M(AT(0), 0)] = IDLE;
		val[M(AT(1), 0)] = IDLE;
		run poster(0, POSTS);
		run poster(1, POSTS);
		run reader(NPOSTER)
	}
}
