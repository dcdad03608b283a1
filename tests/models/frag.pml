/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Free pages of one granule (engine/iova_frag.c): bits and a counter. Three
 * pages in two words. Two threads give pages that they own, take a run, give
 * it again; a third may find the granule returned and take it whole. Any lane
 * may give any page, so this is also the way of a remote free.
 *
 * Properties: a page has one owner, and each owner comes after the last; the
 * words and the granule are the business of one thread when the count is
 * full; when all is free again the granule is returned, with no bit set and
 * no page counted.
 */
#define WORD(i) (i)
#define NR 2
#define TAKEN 3
#define NATOM 4
#define PAGE(p) (4 + (p))
#define NPAGE 3
#define NLOC 7
#define NTHR 3
#define NMSG 10
#include "memory.pml"

#define NOBODY 255

#ifdef MUTANT_SET_RLX
#define O_SET RLX
#else
#define O_SET REL
#endif
#ifdef MUTANT_CLEAR_RLX
#define O_CLEAR RLX
#else
#define O_CLEAR ACQ
#endif
#ifdef MUTANT_ADD_RLX
#define O_ADD RLX
#else
#define O_ADD ACQREL
#endif
#ifdef MUTANT_FULL_RLX
#define O_FULL RLX
#else
#define O_FULL ACQREL
#endif
/* SPARE: the count is one word and only exchanged, that is enough. */
#ifdef SPARE
#define O_RIGHTS RLX
#else
#define O_RIGHTS ACQREL
#endif
#ifdef MUTANT_GIVE_RLX
#define O_GIVE RLX
#else
#define O_GIVE REL
#endif
#ifdef MUTANT_TAKE_RLX
#define O_TAKE RLX
#else
#define O_TAKE ACQ
#endif

byte owner[NPAGE] = NOBODY;
byte nr_done;

/* Bits of word i that belong to pages [a, e). */
#define PAGE_IN(p, a, e) ((p) >= (a) && (p) < (e))
#define MASK(i, a, e)                                                          \
	(PAGE_IN(2 * (i), a, e) + 2 * PAGE_IN(2 * (i) + 1, a, e))

inline own(p)
{
	if
	:: PAGE_IN(p, a, e) ->
		assert(owner[p] == NOBODY);
		assert(OWNS(me, PAGE(p)));
		owner[p] = me;
		last[PAGE(p)]++;
		see(me, PAGE(p), last[PAGE(p)])
	:: else
	fi
}

inline own_all()
{
	d_step { own(0); own(1); own(2) }
}

inline disown(p)
{
	if
	:: PAGE_IN(p, a, e) ->
		assert(owner[p] == me);
		owner[p] = NOBODY
	:: else
	fi
}

inline set_word(i)
{
	if
	:: MASK(i, a, e) ->
		rmw(me, WORD(i), old, old | MASK(i, a, e), O_SET)
	:: else
	fi
}

/* [a, e) is the caller's by rights; n pages. */
inline add_pages(n)
{
	rmw(me, NR, old, old + n, O_ADD);
	if
	:: old + n == NPAGE ->
		old = NPAGE;
		cas(me, NR, old, 0, ok, O_FULL, ACQ);
		if
		:: ok ->
			d_step {
				/* No bit that somebody else may still write. */
				assert(OWNS(me, WORD(0)));
				append(me, WORD(0), 0, RLX);
				assert(OWNS(me, WORD(1)));
				append(me, WORD(1), 0, RLX)
			}
			rmw(me, TAKEN, old, 0, O_GIVE);
			assert(old)
		:: else
		fi
	:: else
	fi;
	d_step { old = 0; ok = false }
}

inline put()
{
	d_step { disown(0); disown(1); disown(2) }
#ifdef MUTANT_ADD_FIRST
	add_pages(e - a);
	set_word(0);
	set_word(1);
#else
	set_word(0);
	set_word(1);
	add_pages(e - a);
#endif
	d_step { a = 0; e = 0 }
}

/* Takes the bits, if all are there. The first look may be late, and old. */
inline clear_word(i)
{
	if
	:: ok && MASK(i, a, e) -> atomic {
		load(me, WORD(i), old, RLX);
		if
		:: (old & MASK(i, a, e)) == MASK(i, a, e) ->
			old = NEWEST(WORD(i))
		:: else
		fi;
		ok = (old & MASK(i, a, e)) == MASK(i, a, e);
		if
		:: ok ->
			rmw(me, WORD(i), old, old & ~MASK(i, a, e), O_CLEAR)
		:: else
		fi;
		old = 0
	   }
	:: else
	fi
}

/* A run of pages that looked free: the first, or none. */
inline find_run()
{
	load(me, WORD(0), old, RLX);
	load(me, WORD(1), e, RLX);
	d_step {
		old = old | (e << 2);
		a = 0;
		do
		:: a < NPAGE && !(old & (1 << a)) -> a++
		:: else -> break
		od;
		e = a;
		do
		:: e < NPAGE && (old & (1 << e)) -> e++
		:: else -> break
		od;
		old = 0
	}
}

inline take()
{
	atomic {
		find_run();
		ok = e > a;
		if
		:: ok ->
			load(me, NR, old, RLX);
			ok = old >= e - a
		:: else
		fi;
#ifndef MUTANT_NO_RIGHTS
		do
		:: ok -> /* until it succeeds or there are too few */
			cas(me, NR, old, old - (e - a), ok, O_RIGHTS, ACQ);
			if
			:: ok -> break
			:: else -> ok = old >= e - a
			fi
		:: else -> break
		od;
#endif
		old = 0
	}
	if
	:: ok ->
		clear_word(0);
		if
		:: ok ->
			clear_word(1);
			if
			:: ok
			:: else -> set_word(0)
			fi
		:: else
		fi;
		if
		:: ok -> own_all()
		:: else ->
			add_pages(e - a);
			d_step { a = 0; e = 0 }
		fi
	:: else -> d_step { a = 0; e = 0 }
	fi;
	ok = false
}

proctype lane(byte me, n)
{
	byte a, e, old;
	bool ok;

	if
	:: me == 0 -> d_step { a = 0; e = n }
	:: else -> d_step { a = n; e = NPAGE }
	fi;
	own_all();
	put();
	take();
	if
	:: e > a -> put()
	:: else
	fi;
	nr_done++
}

/* Takes the granule if it is there, and carves it. */
proctype carver(byte me)
{
	byte a, e, old;
	bool ok;

	atomic {
		if
		:: NEWEST(TAKEN) == 0 -> rmw(me, TAKEN, old, 1, O_TAKE); ok = true
		:: true
		fi;
		old = 0
	}
	if
	:: ok ->
		ok = false;
		e = NPAGE;
		own_all();
		put()
	:: else
	fi;
	ok = false;
	nr_done++
}

proctype judge()
{
	nr_done == 3;
	assert(NEWEST(TAKEN) == 0 && NEWEST(NR) == 0);
	assert(NEWEST(WORD(0)) == 0 && NEWEST(WORD(1)) == 0)
}

init {
	atomic {
		val[M(TAKEN, 0)] = 1;
		run lane(0, 1);
		run lane(1, 1);
		run carver(2);
		run judge()
	}
}
