/*
 * The election of a cluster: cluster/election.go, with what members.go has to do with it.
 * There are N instances, whose IDs are their numbers: 0 is the lowest.
 *
 * First all goes wrong that can, as often as it can: keepalives are missed and heard again,
 * three seconds pass or do not, and a vote that an instance may ever have sent is heard at any
 * time, or never. Then it is quiet, for a part of the instances; the others are dead or cut
 * off. Those of the part have each other in their tables, no message is lost, and nobody votes
 * again before its last vote has arrived: three seconds are longer than that takes. Then
 *
 *   1. nobody votes more than ROUNDS times: no livelock;
 *   2. when nothing happens any more, there is one master, the lowest, whom all follow.
 *
 * At any time,
 *
 *   3. nobody makes itself master against most of the votes of its table.
 *
 * A vote is for the lowest that one knows, its own number included, so at most its own number.
 */
#ifndef N
#define N 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define ALL ((1 << N) - 1)
#define NONE N
#define REST 1
#define VOTED 2
#define in(set, i) (((set) >> (i)) & 1)
#define lowest(set) (!in(set, 0) * (in(set, 1) + !in(set, 1) * (in(set, 2) * 2 + !in(set, 2) * 3)))

byte part = ALL;
bool quiet = false;

typedef Instance {
	byte table;      /* the IP-ID table, as bits */
	byte master;     /* whom it follows: itself, if it is master; NONE: its master is down */
	bool electing;
	byte vote;       /* NONE: not cast in this election */
	byte voteOf[N];  /* the others' votes; NONE: not heard in this election */
	byte flight;     /* to whom its vote, or its word who is master, is under way */
	byte told;       /* whom it has told so lately, so that it does not now */
	byte soon;       /* it has voted within three seconds; REST: and all that came of it has happened */
	byte older;      /* whose three seconds end before its own */
	byte rounds;     /* votes since it is quiet */
};
Instance n[N];
hidden byte j, k;

#define known(i)    (n[i].table | 1 << (i))
#define settled(i)  (n[i].master != NONE)   /* Node.settled: Hears removes a master that is missed */
#define rightly(i)  (settled(i) && n[i].master == lowest(known(i)))

/* Node.count: the votes for c that i has, its own included, of how many, and whether one lacks */
#define by(i, j, c) (in(n[i].table, j) && n[i].voteOf[j] == (c))
#define others(i, c) (by(i, 0, c) + by(i, 1, c) + by(i, 2, c) FOURTH(+ by(i, 3, c)))
#if N > 3
#define FOURTH(x) x
#else
#define FOURTH(x)
#endif
#define votes(i, c) (others(i, c) + (n[i].vote == (c)))
#define voters(i)   (1 + in(n[i].table, 0) + in(n[i].table, 1) + in(n[i].table, 2) + in(n[i].table, 3))
#ifdef COUNTS_ITSELF_TWICE
#define counted(i, c) (votes(i, c) + (n[i].vote == (c)))
#else
#define counted(i, c) votes(i, c)
#endif
#ifdef WAITS_FOR_NOBODY
#define waits(i) false
#else
#define waits(i) (others(i, NONE) > 0)
#endif
#define wins(i, c) (n[i].electing && n[i].vote != NONE && !waits(i) && 2 * counted(i, c) > voters(i) && in(known(i), c))
#define decided(i) (wins(i, 0) || wins(i, 1) || wins(i, 2) FOURTH(|| wins(i, 3)))

/* Node.cast */
inline cast(me) {
	if
	:: n[me].soon > 0
	:: else ->
		n[me].vote = lowest(known(me));
		if
		:: quiet ->
			n[me].soon = VOTED;
			n[me].older = (n[0].soon > 0) | (n[1].soon > 0) << 1 | (n[2].soon > 0) << 2 FOURTH(| (n[3].soon > 0) << 3);
			n[me].older = n[me].older & ~(1 << me);
			n[me].flight = part & ~(1 << me);
			n[me].rounds++;
			assert(n[me].rounds <= ROUNDS)	/* 1 */
		:: else
		fi
	fi
}

/* Node.startElection: of the votes that were heard those count that have just come. */
inline startElection(me) {
	k = 0;
	n[me].electing = true;
	n[me].vote = NONE;
	do
	:: k < N -> n[me].voteOf[k] = NONE; k++
	:: k < N && n[me].voteOf[k] != NONE -> k++
	:: k == N -> break
	od;
	k = 0;
	cast(me)
}

/* Node.election: a vote comes. */
inline election(me, from, v) {
	n[me].voteOf[from] = v;
	if
	:: n[me].electing
	:: !n[me].electing && rightly(me) ->
#ifndef SILENT
		if
		:: quiet && !in(n[me].told, from) ->
			n[me].told = n[me].told | 1 << from;
			n[me].flight = n[me].flight | 1 << from
		:: else
		fi
#endif
	:: else -> startElection(me)
	fi
}

#ifdef ANY_MASTER_WILL_DO
#define WRONG(i) false
#else
#define WRONG(i) !rightly(i)
#endif
/* It has something to do at its next tick. */
#define busy(i) (in(part, i) && (decided(i) || n[i].electing && n[i].soon == 0 || !n[i].electing && (!settled(i) || WRONG(i) && (n[i].soon == 0 || n[i].master == i))))
#define comes(i) (in(n[0].flight, i) || in(n[1].flight, i) || in(n[2].flight, i) FOURTH(|| in(n[3].flight, i)))

/* What an instance does by itself */
proctype Acts(byte i) {
	end: do
	/* Node.tickElection */
	:: atomic { in(part, i) && !n[i].electing && !settled(i) -> startElection(i) }
	:: atomic { in(part, i) && !n[i].electing && settled(i) && WRONG(i) && (n[i].soon == 0 || n[i].master == i) -> startElection(i) }
	:: atomic { in(part, i) && n[i].electing && n[i].soon == 0 && (quiet || n[i].vote != lowest(known(i))) && !(quiet && decided(i)) -> cast(i) }
	/* Node.count, elected */
	:: atomic { in(part, i) && wins(i, i) ->
		assert(2 * votes(i, i) > voters(i));	/* 3 */
		n[i].electing = false; n[i].vote = NONE; n[i].master = i }
	/* Three seconds pass. No message takes as long, nor what it leads to; and they are as long for all. */
	:: atomic { in(part, i) && n[i].soon == VOTED && n[i].flight == 0 && !comes(i) && !busy(0) && !busy(1) && !busy(2) FOURTH(&& !busy(3)) ->
		n[i].soon = REST }
	:: atomic { in(part, i) && n[i].soon == REST && n[i].older == 0 ->
		n[i].soon = 0;
		k = 0;
		do
		:: k < N -> n[k].told = n[k].told & ~(1 << i); n[k].older = n[k].older & ~(1 << i); k++
		:: else -> break
		od }
	od
}

/* What an instance hears of another */
proctype Hears(byte i; byte other) {
	end: do
	/* Node.keepalive */
	:: atomic { !quiet && !in(n[i].table, other) -> n[i].table = n[i].table | 1 << other }
	/* Node.remove: two keepalives have not come */
	:: atomic { !quiet && in(n[i].table, other) ->
		n[i].table = n[i].table & ~(1 << other);
		n[i].voteOf[other] = NONE;
		if
		:: n[i].master == other -> n[i].master = NONE
		:: else
		fi }
	:: atomic { !quiet && in(n[i].table, other) -> election(i, other, other) }
	:: atomic { !quiet && in(n[i].table, other) && other > 0 -> election(i, other, 0) }
	:: atomic { !quiet && in(n[i].table, other) && other > 1 -> election(i, other, 1) }
#if N > 3
	:: atomic { !quiet && in(n[i].table, other) && other > 2 -> election(i, other, 2) }
#endif
	/* Node.election: from here on all vote for the lowest of the part. */
	:: atomic { quiet && in(n[other].flight, i) && in(part, i) -> n[other].flight = n[other].flight & ~(1 << i); election(i, other, lowest(part)) }
	/* Node.elected */
	:: atomic { in(part, i) && wins(i, other) -> n[i].electing = false; n[i].vote = NONE; n[i].master = other }
	od
}

#define agreed         (follows(0) && follows(1) && follows(2) FOURTH(&& follows(3)))
#define knowsAll(i, p) (!in(p, i) || known(i) == p)
#define follows(i)     (!in(part, i) || n[i].master == lowest(part) && !n[i].electing)

inline forget(me) {
	n[me].table = 0; n[me].master = NONE; n[me].electing = false; n[me].vote = NONE;
	j = 0;
	do
	:: j < N -> n[me].voteOf[j] = NONE; j++
	:: else -> break
	od
}

/* It becomes quiet for those of p, at any time. Nothing is known of when they have voted last. */
proctype Quiet(byte p) {
	end: atomic { !quiet && knowsAll(0, p) && knowsAll(1, p) && knowsAll(2, p) FOURTH(&& knowsAll(3, p)) ->
		part = p;
		quiet = true;
		k = 0;
		do
		:: k < N && in(p, k) -> n[k].soon = VOTED; k++
		:: k < N && !in(p, k) -> forget(k); k++
		:: else -> break
		od }
	timeout -> assert(agreed)	/* 2 */
}

init {
	byte i = 0;
	atomic {
		do
		:: i < N ->
			forget(i);
			n[i].table = ALL & ~(1 << i);
			n[i].master = 0;
			run Acts(i);
			j = 0;
			do
			:: j < N && j != i -> run Hears(i, j); j++
			:: j < N && j == i -> j++
			:: else -> break
			od;
			i++
		:: i == N -> break
		od;
		i = 1;
		do
		:: i <= ALL -> run Quiet(i); i++
		:: else -> break
		od
	}
}

#ifdef LIVE
ltl settles { [] (quiet -> <> [] agreed) }
#endif
