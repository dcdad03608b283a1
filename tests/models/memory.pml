/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * C11 atomics for a checker that only knows interleavings. Knows no protocol.
 *
 * A location keeps all values ever stored to it, in modification order, each
 * with the view it was released with. A thread has a view too: for each
 * location the oldest value it may still read. A load may return any value
 * that is not older (the checker tries them all); an acquire load joins the
 * view it finds, a release store leaves its own, an RMW reads the newest and
 * passes the view it found on (release sequence). A seq_cst load sees what
 * seq_cst stores before it left. What the model cannot show: a load that
 * reads from a later store of its own thread's future (load buffering), and
 * stores of two threads to one location that take effect in another order
 * than they are executed in.
 *
 * The including file sets NTHR, NATOM (atomic locations 0..), NLOC (NATOM to
 * NLOC - 1: plain memory, see OWNS()), and NMSG, the most values a location
 * may have, up to 16; a run that wants more hits a bound, which is no
 * violation. Views are packed: a field of FW bits for each location, its top
 * bit clear.
 */
#if NMSG > 8
#define FW 5
#define FPW 6
#define TSMASK 15
#define TOPS 554189328 /* 0x21084210 */
#define ONES 34636833  /* 0x02108421 */
#else
#define FW 4
#define FPW 8
#define TSMASK 7
#define TOPS -2004318072 /* 0x88888888 */
#define ONES 286331153   /* 0x11111111 */
#endif

#define RLX 0
#define ACQ 1
#define REL 2
#define ACQREL 3
#define SC 7

byte last[NLOC];        /* number of the newest value */
byte val[NATOM * NMSG]; /* the values */
int ma[NATOM * NMSG];   /* their views */
int va[NTHR];           /* views of the threads */
int sa;                 /* newest seq_cst stores */
#if NLOC > FPW
int mb[NATOM * NMSG];
int vb[NTHR];
int sb;
#endif
hidden int x1, x2;
hidden byte bound_hit;

#define M(l, k) ((l) * NMSG + (k))
#define NEWEST(l) val[M(l, last[l])]

#if NLOC > FPW
#define FIELD(a, b, l)                                                         \
	((((l) < FPW)->((a) >> (FW * (l))) : ((b) >> (FW * ((l) - FPW)))) &    \
	 TSMASK)
#define SEEN(t, l) FIELD(va[t], vb[t], l)
#define SEEN_SC(l) FIELD(sa, sb, l)
#else
#define FIELD(a, l) (((a) >> (FW * (l))) & TSMASK)
#define SEEN(t, l) FIELD(va[t], l)
#define SEEN_SC(l) FIELD(sa, l)
#endif

/* The larger of each two fields. */
inline join(d, s)
{
	x1 = ((d | TOPS) - s) & TOPS;
	x2 = x1 - ((x1 >> (FW - 1)) & ONES);
	d = (d & x2) | (s & ~x2)
}

inline see(t, l, k)
{
#if NLOC > FPW
	if
	:: (l) < FPW -> va[t] = va[t] + (((k) - SEEN(t, l)) << (FW * (l)))
	:: else -> vb[t] = vb[t] + (((k) - SEEN(t, l)) << (FW * ((l) - FPW)))
	fi
#else
	va[t] = va[t] + (((k) - SEEN(t, l)) << (FW * (l)))
#endif
}

inline see_sc(l)
{
#if NLOC > FPW
	if
	:: (l) < FPW -> sa = sa + ((last[l] - SEEN_SC(l)) << (FW * (l)))
	:: else -> sb = sb + ((last[l] - SEEN_SC(l)) << (FW * ((l) - FPW)))
	fi
#else
	sa = sa + ((last[l] - SEEN_SC(l)) << (FW * (l)))
#endif
}

inline acquire(t, l, k)
{
	join(va[t], ma[M(l, k)]);
#if NLOC > FPW
	join(vb[t], mb[M(l, k)]);
#endif
}

/* Appends a value; the view so far in the new entry is that of the release
 * sequence. */
inline append(t, l, v, o)
{
	bound_hit = last[l] >= NMSG - 1;
	assert(!bound_hit);
	last[l]++;
	val[M(l, last[l])] = v;
	see(t, l, last[l]);
	if
	:: (o) & REL ->
		join(ma[M(l, last[l])], va[t]);
#if NLOC > FPW
		join(mb[M(l, last[l])], vb[t]);
#endif
	:: else
	fi;
	if
	:: (o) == SC -> see_sc(l)
	:: else
	fi
}

inline store(t, l, v, o)
{
	d_step {
		append(t, l, v, o)
	}
}

/* By the thread that stored the newest value: C17 has such a store go on with
 * the release sequence, C++20 has not. */
inline store_on(t, l, v, o)
{
	d_step {
		ma[M(l, last[l] + 1)] = ma[M(l, last[l])];
#if NLOC > FPW
		mb[M(l, last[l] + 1)] = mb[M(l, last[l])];
#endif
		append(t, l, v, o)
	}
}

/* In a d_step: the newest value to `old`, the expression `v` after it. */
inline exchange(t, l, old, v, o)
{
	old = NEWEST(l);
	see(t, l, last[l]);
	if
	:: (o) & ACQ -> acquire(t, l, last[l])
	:: else
	fi;
	/* The release sequence goes on, whatever the order of the RMW. */
	ma[M(l, last[l] + 1)] = ma[M(l, last[l])];
#if NLOC > FPW
	mb[M(l, last[l] + 1)] = mb[M(l, last[l])];
#endif
	append(t, l, v, o)
}

/* `v` may use `old`. */
inline rmw(t, l, old, v, o)
{
	d_step {
		exchange(t, l, old, v, o)
	}
}

#define MAY_READ(t, l, k, o)                                                   \
	(k <= last[l] && k >= SEEN(t, l) && ((o) != SC || k >= SEEN_SC(l)))

inline fetch(t, l, k, r, o)
{
	r = val[M(l, k)];
	see(t, l, k);
	if
	:: (o) & ACQ -> acquire(t, l, k)
	:: else
	fi
}

inline load(t, l, r, o)
{
	if
	:: d_step { MAY_READ(t, l, 0, o) -> fetch(t, l, 0, r, o) }
	:: d_step { MAY_READ(t, l, 1, o) -> fetch(t, l, 1, r, o) }
	:: d_step { MAY_READ(t, l, 2, o) -> fetch(t, l, 2, r, o) }
	:: d_step { MAY_READ(t, l, 3, o) -> fetch(t, l, 3, r, o) }
#if NMSG > 4
	:: d_step { MAY_READ(t, l, 4, o) -> fetch(t, l, 4, r, o) }
#endif
#if NMSG > 5
	:: d_step { MAY_READ(t, l, 5, o) -> fetch(t, l, 5, r, o) }
#endif
#if NMSG > 6
	:: d_step { MAY_READ(t, l, 6, o) -> fetch(t, l, 6, r, o) }
#endif
#if NMSG > 7
	:: d_step { MAY_READ(t, l, 7, o) -> fetch(t, l, 7, r, o) }
#endif
#if NMSG > 8
	:: d_step { MAY_READ(t, l, 8, o) -> fetch(t, l, 8, r, o) }
#endif
#if NMSG > 9
	:: d_step { MAY_READ(t, l, 9, o) -> fetch(t, l, 9, r, o) }
#endif
#if NMSG > 10
	:: d_step { MAY_READ(t, l, 10, o) -> fetch(t, l, 10, r, o) }
#endif
#if NMSG > 11
	:: d_step { MAY_READ(t, l, 11, o) -> fetch(t, l, 11, r, o) }
#endif
#if NMSG > 12
	:: d_step { MAY_READ(t, l, 12, o) -> fetch(t, l, 12, r, o) }
#endif
#if NMSG > 13
	:: d_step { MAY_READ(t, l, 13, o) -> fetch(t, l, 13, r, o) }
#endif
#if NMSG > 14
	:: d_step { MAY_READ(t, l, 14, o) -> fetch(t, l, 14, r, o) }
#endif
#if NMSG > 15
	:: d_step { MAY_READ(t, l, 15, o) -> fetch(t, l, 15, r, o) }
#endif
	fi
}

/* Strong CAS. `got` holds the expected value; when that is not what is found,
 * the found one, and `ok` is false. It may fail on a value that is old. */
#define FAILS(t, l, k, got, o) (MAY_READ(t, l, k, o) && val[M(l, k)] != got)

inline cas(t, l, got, v, ok, o, o2)
{
	if
	:: d_step { NEWEST(l) == got -> exchange(t, l, got, v, o); ok = true }
	:: d_step { FAILS(t, l, 0, got, o2) -> fetch(t, l, 0, got, o2); ok = false }
	:: d_step { FAILS(t, l, 1, got, o2) -> fetch(t, l, 1, got, o2); ok = false }
	:: d_step { FAILS(t, l, 2, got, o2) -> fetch(t, l, 2, got, o2); ok = false }
	:: d_step { FAILS(t, l, 3, got, o2) -> fetch(t, l, 3, got, o2); ok = false }
#if NMSG > 4
	:: d_step { FAILS(t, l, 4, got, o2) -> fetch(t, l, 4, got, o2); ok = false }
#endif
#if NMSG > 5
	:: d_step { FAILS(t, l, 5, got, o2) -> fetch(t, l, 5, got, o2); ok = false }
#endif
#if NMSG > 6
	:: d_step { FAILS(t, l, 6, got, o2) -> fetch(t, l, 6, got, o2); ok = false }
#endif
#if NMSG > 7
	:: d_step { FAILS(t, l, 7, got, o2) -> fetch(t, l, 7, got, o2); ok = false }
#endif
#if NMSG > 8
	:: d_step { FAILS(t, l, 8, got, o2) -> fetch(t, l, 8, got, o2); ok = false }
#endif
#if NMSG > 9
	:: d_step { FAILS(t, l, 9, got, o2) -> fetch(t, l, 9, got, o2); ok = false }
#endif
#if NMSG > 10
	:: d_step { FAILS(t, l, 10, got, o2) -> fetch(t, l, 10, got, o2); ok = false }
#endif
#if NMSG > 11
	:: d_step { FAILS(t, l, 11, got, o2) -> fetch(t, l, 11, got, o2); ok = false }
#endif
#if NMSG > 12
	:: d_step { FAILS(t, l, 12, got, o2) -> fetch(t, l, 12, got, o2); ok = false }
#endif
#if NMSG > 13
	:: d_step { FAILS(t, l, 13, got, o2) -> fetch(t, l, 13, got, o2); ok = false }
#endif
#if NMSG > 14
	:: d_step { FAILS(t, l, 14, got, o2) -> fetch(t, l, 14, got, o2); ok = false }
#endif
#if NMSG > 15
	:: d_step { FAILS(t, l, 15, got, o2) -> fetch(t, l, 15, got, o2); ok = false }
#endif
	fi
}

/* Time passes: stores become visible in the end, to all. Orders nothing. */
inline fresh(t, l)
{
	d_step {
		see(t, l, last[l])
	}
}

/* A thread that is over, so that its state is one. */
inline gone(t)
{
	d_step {
		va[t] = 0;
#if NLOC > FPW
		vb[t] = 0
#endif
	}
}

/* All stores to the location happened before. */
#define OWNS(t, l) (SEEN(t, l) == last[l])
