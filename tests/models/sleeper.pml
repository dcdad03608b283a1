/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Views that sleep: a lane does not poll the log of a view that had nothing
 * for it in a while, and a poster puts such a view in the lane's inbox. One
 * lane with views of two logs, two posters. Knows of the log its head only:
 * a poll brings the cursor to the head it loads. Which views sleep is the
 * lane's choice at any time; it may close one of them.
 *
 * Properties: when all have posted, one more poll of the lane brings each
 * view to the head of its log (no ticket waits for ever); no view is in the
 * inbox twice; its link is written and read by one thread at a time; nobody
 * touches a view that is freed.
 */
#define HEAD(d) (0 + (d))
#define SLEEPERS(d) (2 + (d)) /* the bit of this lane: other bits are others' */
#define INBOX 4               /* 0, or a view and 1 */
#define NEXT(d) (5 + (d))
#define NATOM 7
#define NLOC 7
#define NTHR 3
#define NVIEW 2
#ifndef NAPS
#define NAPS 2
#endif
#ifndef NMSG
#define NMSG 7
#endif
#include "memory.pml"

#ifdef MUTANT_SLEEP_REL
#define O_SLEEP ACQREL
#else
#define O_SLEEP SC
#endif
#ifdef MUTANT_AGAIN_ACQ
#define O_AGAIN ACQ
#else
#define O_AGAIN SC
#endif
#ifdef MUTANT_POST_ACQREL
#define O_POST ACQREL
#else
#define O_POST SC
#endif
#ifdef MUTANT_LOOK_ACQ
#define O_LOOK ACQ
#else
#define O_LOOK SC
#endif
#ifdef MUTANT_TAKE_RLX
#define O_TAKE RLX
#else
#define O_TAKE ACQ
#endif
#ifdef MUTANT_PUSH_RLX
#define O_PUSH RLX
#else
#define O_PUSH REL
#endif
#ifdef MUTANT_POP_RLX
#define O_POP RLX
#else
#define O_POP ACQ
#endif

mtype:state = { AWAKE, ASLEEP, QUEUED };
bool freed[NVIEW], linked[NVIEW];
byte nr_done;

/* One try: the link is stored and the inbox's top exchanged. */
inline try_push(d)
{
	atomic {
		/* The link is ours alone, and the view is there. */
		assert(!freed[d]);
		assert(OWNS(me, NEXT(d)));
		store(me, NEXT(d), top, RLX);
		cas(me, INBOX, top, d + 1, ok, O_PUSH, RLX)
	}
}

inline push(d)
{
	atomic {
		assert(!linked[d]);
		linked[d] = true;
		load(me, INBOX, top, RLX)
	}
	do
	:: !ok -> try_push(d)
	:: else -> break
	od;
	skip;
	d_step { top = 0; ok = false }
}

inline post(d)
{
	rmw(me, HEAD(d), old, old + 1, O_POST);
	load(me, SLEEPERS(d), old, O_LOOK);
	if
	:: old ->
		rmw(me, SLEEPERS(d), old, 0, O_TAKE);
#ifdef MUTANT_POSTER_BLIND
		old = 1
#endif
	:: else
	fi;
	if
	:: old -> old = 0; push(d)
	:: else
	fi
}

proctype poster(byte me)
{
	byte old, top;
	bool ok;

	post(0);
	if
	:: me == 1 -> post(1)
	:: else
	fi;
	d_step {
		nr_done++;
		va[me] = 0
	}
}

/* All that is in the inbox. To find nothing changes nothing. */
inline pop()
{
	atomic {
		NEWEST(INBOX) != 0;
		rmw(me, INBOX, top, 0, O_POP);
		do
		:: top ->
			i = top - 1;
			assert(linked[i] && state[i] != AWAKE);
			assert(!freed[i] && OWNS(me, NEXT(i)));
			top = NEWEST(NEXT(i));
			linked[i] = false;
			state[i] = AWAKE
		:: else -> break
		od;
		i = 0
	}
}

inline poll(d)
{
	load(me, HEAD(d), head, ACQ);
	cursor[d] = head;
	head = 0
}

/* Polls that change the cursor only may be late: just before the nap. */
inline nap(d)
{
	atomic {
		naps++;
		if
		:: poll(d)
		:: true
		fi;
		rmw(me, SLEEPERS(d), bits, 1, O_SLEEP);
		bits = 0
	}
#ifdef MUTANT_NO_SECOND_LOOK
	state[d] = ASLEEP;
#else
	load(me, HEAD(d), head, O_AGAIN);
	if
	:: head == cursor[d] -> state[d] = ASLEEP
	:: else ->
		rmw(me, SLEEPERS(d), bits, 0, ACQREL);
#ifdef MUTANT_READER_BLIND
		bits = 1;
#endif
		if
		:: bits
		:: else -> state[d] = QUEUED
		fi
	fi;
	d_step { head = 0; bits = 0 }
#endif
}

inline close(d)
{
	if
	:: state[d] == ASLEEP ->
#ifdef MUTANT_CLOSE_KEEPS_BIT
		state[d] = AWAKE;
#else
		rmw(me, SLEEPERS(d), bits, 0, ACQREL);
#ifdef MUTANT_CLOSE_NO_WAIT
		bits = 1;
#endif
		if
		:: bits -> state[d] = AWAKE
		:: else -> state[d] = QUEUED
		fi;
		bits = 0
#endif
	:: else
	fi;
	do
	:: state[d] == AWAKE -> break
	:: else ->
		pop() /* it comes in the end, or this is stuck */
	od;
	skip;
	d_step {
		assert(!linked[d] && OWNS(me, NEXT(d)));
		freed[d] = true
	}
}

proctype lane(byte me)
{
	byte naps, head, bits, top, i;
	byte cursor[NVIEW];
	mtype:state state[NVIEW];

	d_step {
		state[0] = AWAKE;
		state[1] = AWAKE
	}
	do
	:: pop()
	:: naps < NAPS && state[0] == AWAKE -> nap(0)
	:: naps < NAPS && state[1] == AWAKE -> nap(1)
	:: break
	od;
	if
	:: true
	:: close(0)
	fi;
	nr_done == 2;
	atomic {
		fresh(me, INBOX);
		fresh(me, HEAD(0));
		fresh(me, HEAD(1));
		if
		:: NEWEST(INBOX) != 0 -> pop()
		:: else
		fi;
		if
		:: state[0] == AWAKE && !freed[0] -> poll(0)
		:: else
		fi;
		if
		:: state[1] == AWAKE -> poll(1)
		:: else
		fi;
		assert(freed[0] || cursor[0] == NEWEST(HEAD(0)));
		assert(cursor[1] == NEWEST(HEAD(1)))
	}
}

init {
	atomic {
		run poster(0);
		run poster(1);
		run lane(2)
	}
}
