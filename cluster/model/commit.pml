/*
 * Commit and take-over: cluster/replicate.go and pull.go, with what election.go and members.go
 * have to do with them. There are three instances; 0 is master at first, 1 and 2 its slaves.
 * The lower number is the lower ID. A peer announces twice: first that it has completed its
 * download, later that it has stopped. Each step of an instance is a step here; between any two
 * an instance may die.
 *
 * A message is a bit that is set when it is sent, and may be taken in by whom it is for, at any
 * time, any number of times, or never: so messages are lost, doubled and overtaken. After a
 * second none is under way any more.
 *
 * Which one is master is decided as election.pml shows it to be: who is left and has the
 * lowest ID. Each instance finds that out when it likes.
 *
 *   1. When the peer is answered, the master has recorded it, and all that it waits for; what an earlier
 *      master has committed, all that have read what this one has.
 *   2. A master answers only when it has all that was answered and that somebody alive has.
 *   3. No table goes back from "has stopped" to "has completed".
 *   4. No master counts the download twice.
 *   5. When nothing happens any more, tables are alike, and the peer was answered.
 *
 * DEATHS instances may die. CUTS: so often an instance takes another one for dead that lives.
 * JOINS: this instance is a new slave, which its master has not read. CLIENT: the peer asks this
 * instance alone. CLOSE: both requests come within one second.
 */
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef CLIENT
#define CLIENT NONE
#endif
#ifndef ASKS
#define ASKS 2
#endif
#ifndef REPEATS
#define REPEATS 0   /* so often it asks again although it was answered */
#endif
#ifndef SECONDS
#define SECONDS 1   /* so often a second passes; then time stands still for stamps */
#endif
#ifndef SIZE
#define SIZE 3     /* so many instances are there */
#endif
#define N 3
#define NONE 3
#define SECOND 16   /* in which fewer stamps are made; n.doubt() */
#define bit(i) (1 << (i))
#define in(set, i) (((set) >> (i)) & 1)
#define max(a, b) ((a) > (b) -> (a) : (b))

#define ASKED 1      /* it was sent, and DS-ready is waited for */
#define COMMITTED 2  /* DS-done is waited for */
#define FOLLOWS 3    /* another one of the same peer is under way */

typedef Instance {
	bool up, serving, aligned;
	byte master;            /* whom it follows; itself: it is master; NONE: nobody */
	byte tenure;            /* how often it has become a slave */
	byte member, told, got; /* whom it knows; of these, as master: who was read; who has read it since */
	byte tenureOf[N];

	byte row, stamp;        /* of the peer: 0 none, else the number of the request and 1 */
	byte count[N];          /* downloads that were completed under each master */
	byte done, byAll;       /* requests, as bits, as are the following; byAll: done by all */
	byte doneAt[2];
	bool whole;             /* a master whose members have all read what it has */

	byte heard, committed, client;
	byte heardAt[2];

	byte phase[2], at[2], counts[2]; /* of a master: transaction, stamp */
	byte wait[2], ready[2], finished[2];
	byte answer, own, spread, asker, fresh;
};
Instance n[N];

/* What is under way from and to each master; numbers are of the request or commit that is. */
typedef Wire {
	byte request, commit, word;        /* to its slaves; DS-done to CLIENT */
	byte requestAt[2], commitAt[2], commitCounts[2];
	byte ready[N], done[N];            /* to it */
	byte asked, askedAt[2];            /* requests of CLIENT */
};
Wire w[N];
byte air;                              /* requests of the peer */

byte clock = SECOND, seconds = SECONDS, deaths = DEATHS, cuts = CUTS, repeats = REPEATS;
byte asked, answered;                  /* how many requests the peer has sent; which were answered */
byte holders[2];
hidden byte k, q, h;

#define isMaster(i)  (n[i].up && n[i].master == i)
#define follows(i, m) (n[i].up && n[i].master == (m) && (m) != (i))
#define has(i, r)    (n[i].row > (r))
#define flying(i, r) (n[i].phase[r] == ASKED || n[i].phase[r] == COMMITTED)
#ifdef OLDER_WINS
#define surely(i, since) (n[i].stamp >= (since) + SECOND)
#else
#define surely(i, since) (n[i].stamp + SECOND >= (since))
#endif
/* Node.overtaken: something else is known of the peer that is not, or for sure not older. */
#define says(i, r)             (n[i].row == (r) + 1)
#define other(i, r)            (n[i].row > 0 && !says(i, r) && !in(n[i].done, r))
#define overtaken(i, r, since) (other(i, r) && surely(i, since))
#define late(i, r)             (other(i, r) && n[i].stamp >= n[i].heardAt[r] + SECOND)
#define add(set, i)  set = set | bit(i)
#define del(set, i)  set = set & ~bit(i)

/* Who hears the peer: all; CLIENT alone as long as it lives. */
#define HEARS(i) (CLIENT >= N || (i) == CLIENT || !n[CLIENT % N].up)

#ifdef TRUSTS
#define SAME(i, m) true
#else
#define SAME(i, m) (n[i].tenureOf[m] == n[m].tenure)
#endif
#ifdef SERVES_AT_ONCE
#define READ(i) true
#else
#define READ(i) ((n[i].member & ~n[i].told) == 0)
#endif
#ifdef DONE_BEFORE_ALL
#define allHave(i, r) true
#else
#define allHave(i, r) (n[i].whole || in(n[i].byAll, r))
#endif
#ifdef HAS_ANY
#define hasIt(i, r) (n[i].row > 0 && n[i].stamp + SECOND >= n[i].heardAt[r])
#else
#define hasIt(i, r) (says(i, r) || n[i].row > 0 && n[i].stamp >= n[i].heardAt[r] + SECOND)
#endif
/* A slave does not pass on a second request of a peer before the first is done. */
#ifdef OUT_OF_TURN
#define turn(i, r) true
#else
#define turn(i, r) ((r) == 0 || !in(n[i].client, 0)) /* isTurn */
#endif
#ifdef DONE_AT_ANY_TIME
#define same(i, m, r) in(n[i].done, r)
#else
#define same(i, m, r) (in(n[i].done, r) && n[i].doneAt[r] == w[m].commitAt[r])
#endif
#define kept(i, r) (has(i, r) || !in(answered, r) || !(n[0].up && has(0, r) || n[1].up && has(1, r) || n[2].up && has(2, r)))

/* table.put of the row: 3 */
inline put(me, value, time) {
	if
#ifdef LAST_WINS
	:: value > 0 && (value != n[me].row || time != n[me].stamp) ->
#else
	:: value > 0 && (time > n[me].stamp || time == n[me].stamp && value > n[me].row) ->
#endif
		assert(!(n[me].row == 2 && value == 1));
		n[me].row = value; n[me].stamp = time
	:: else
	fi
}

/* The peer is answered, and those of all have recorded what it asked: 1 */
inline tell(me, rq, all) {
	assert(has(me, rq));
	assert(in(answered, rq) || !(in(all, 0) && n[0].up && !has(0, rq) || in(all, 1) && n[1].up && !has(1, rq) || in(all, 2) && n[2].up && !has(2, rq)));
	add(answered, rq);
	holders[rq] = has(0, rq) | has(1, rq) << 1 | has(2, rq) << 2
}

inline forget(me, rq) {
	del(n[me].heard, rq); del(n[me].committed, rq); del(n[me].client, rq); n[me].heardAt[rq] = 0
}

/* Node.offer */
inline offer(me, rq) {
	if
	:: n[me].master == NONE || n[me].master == me
	:: else ->
		if
		:: in(n[me].client, rq) && n[me].aligned && late(me, rq) -> forget(me, rq)
		:: else ->
			if
			:: in(n[me].client, rq) && n[me].aligned && turn(me, rq) -> add(w[n[me].master].asked, rq); w[n[me].master].askedAt[rq] = n[me].heardAt[rq]
			:: else
			fi;
			if
			:: !in(n[me].committed, rq) && !in(n[n[me].master].done, rq) -> add(w[n[me].master].ready[me], rq)
			:: else
			fi
		fi
	fi
}

/* Node.keep */
inline keep(me, rq, its, since) {
	if
	:: !in(n[me].heard, rq) -> add(n[me].heard, rq); n[me].heardAt[rq] = since
	:: else -> n[me].heardAt[rq] = (since < n[me].heardAt[rq] -> since : n[me].heardAt[rq])
	fi;
	if
	:: its -> add(n[me].client, rq)
	:: else
	fi;
	offer(me, rq)
}

/* Node.begin */
inline begin(me, rq) {
	n[me].phase[rq] = ASKED;
	n[me].wait[rq] = n[me].told;
	if
	:: in(n[me].spread, rq) && n[me].told > 0 -> add(w[me].request, rq); w[me].requestAt[rq] = n[me].at[rq]
	:: else
	fi
}

/* No answer to what is over has an effect. */
inline endOf(me, rq) {
	n[me].phase[rq] = 0; n[me].at[rq] = 0; n[me].counts[rq] = 0;
	n[me].wait[rq] = 0; n[me].ready[rq] = 0; n[me].finished[rq] = 0;
	del(w[me].ready[0], rq); del(w[me].ready[1], rq); del(w[me].ready[2], rq);
	del(w[me].done[0], rq); del(w[me].done[1], rq); del(w[me].done[2], rq);
	del(n[me].answer, rq); del(n[me].own, rq); del(n[me].spread, rq); del(n[me].asker, rq); del(n[me].fresh, rq)
}

/* Node.commitOwn: 4 */
inline commitOwn(me, rq) {
	n[me].phase[rq] = COMMITTED;
	if
#ifdef OLDER_WINS
	:: n[me].row > 0 && n[me].stamp >= n[me].at[rq] && n[me].stamp < n[me].at[rq] + SECOND ->
#else
	:: n[me].row > 0 && n[me].stamp >= n[me].at[rq] && n[me].stamp < n[me].at[rq] + SECOND && in(n[me].fresh, rq) ->
#endif
		n[me].at[rq] = n[me].stamp + 1; clock = max(clock, n[me].at[rq])
#ifndef OLDER_WINS
	:: says(me, rq) && n[me].stamp >= n[me].at[rq] && !in(n[me].fresh, rq) -> n[me].at[rq] = n[me].stamp
#endif
	:: else
	fi;
	if
	:: rq == 0 && (n[me].row == 0 || n[me].row == 2) ->
		assert(n[me].count[me] == 0);
		n[me].count[me]++; n[me].counts[rq] = n[me].count[me]
	:: else
	fi;
	put(me, rq + 1, n[me].at[rq]);
	if
	:: n[me].wait[rq] > 0 -> add(w[me].commit, rq); w[me].commitAt[rq] = n[me].at[rq]; w[me].commitCounts[rq] = n[me].counts[rq]
	:: else
	fi
}

/* Node.finish */
inline finish(me, rq) {
	add(n[me].done, rq); add(n[me].byAll, rq); n[me].doneAt[rq] = n[me].at[rq];
	if
	:: in(n[me].asker, rq) -> add(w[me].word, rq)
	:: else
	fi;
	if
	:: in(n[me].answer, rq) -> k = n[me].told; tell(me, rq, k)
	:: else
	fi;
	endOf(me, rq);
	if
	:: n[me].phase[1 - rq] == FOLLOWS -> begin(me, 1 - rq)
	:: else
	fi
}

/* Node.move: the other one may have been waiting. */
inline move(me) {
	q = 0;
	do
	:: n[me].phase[q] == ASKED && (n[me].wait[q] & ~n[me].ready[q]) == 0 -> commitOwn(me, q)
	:: n[me].phase[q] == COMMITTED && (n[me].wait[q] & ~n[me].finished[q]) == 0 -> finish(me, q); q = 0
	:: else ->
		q++;
		if
		:: q == 2 -> break
		:: else
		fi
	od
}

/* Node.propose and queue */
inline propose(me, rq, since, forAsker, forOwn, toAll) {
	if
	:: n[me].phase[rq] == 0 && in(n[me].done, rq) ->   /* Node.proposeDone */
		if
		:: allHave(me, rq) && forAsker -> add(w[me].word, rq)
		:: allHave(me, rq) && !forAsker -> k = (in(n[me].byAll, rq) -> 0 : (n[me].whole -> n[me].got : n[me].told)); tell(me, rq, k)
		:: !allHave(me, rq) && !forAsker -> keep(me, rq, forOwn, since)
		:: else
		fi
	:: else ->
		if
		:: n[me].phase[rq] > 0
		:: else ->
			n[me].at[rq] = since;
			if
			:: clock - since < SECOND -> clock++; n[me].at[rq] = clock; add(n[me].fresh, rq)
			:: else
			fi;
			if
			:: toAll -> add(n[me].spread, rq)
			:: else
			fi;
			if
			:: n[me].phase[1 - rq] > 0 -> n[me].phase[rq] = FOLLOWS
			:: else -> begin(me, rq)
			fi
		fi;
		if
		:: forOwn -> add(n[me].own, rq)
		:: else
		fi;
		if
		:: forAsker -> add(n[me].asker, rq)
		:: else -> add(n[me].answer, rq)
		fi;
		move(me)
	fi
}

inline notWaitFor(me, other) {
	del(n[me].wait[0], other); del(n[me].ready[0], other); del(n[me].finished[0], other);
	del(n[me].wait[1], other); del(n[me].ready[1], other); del(n[me].finished[1], other)
}

inline waitFor(me, other) {
	q = 0;
	do
	:: q < 2 && flying(me, q) -> add(n[me].wait[q], other); q++
	:: q < 2 && !flying(me, q) -> q++
	:: else -> break
	od
}

/* what one instance takes of the rows of another; k: whether something was new */
inline copy(me, from) {
	k = n[me].stamp;
	q = n[from].row; h = n[from].stamp;
	put(me, q, h);
	k = (k != n[me].stamp);
	q = 0;
	do
	:: q < N ->
		if
		:: n[from].count[q] > n[me].count[q] -> n[me].count[q] = n[from].count[q]; k = 1
		:: else
		fi;
		q++
	:: else -> break
	od
}

/* Node.resign, handOver */
inline resign(me) {
	n[me].serving = false; n[me].whole = false; n[me].told = 0; n[me].got = 0;
	q = 0;
	do
	:: q < 2 && n[me].phase[q] > 0 ->
		forget(me, q);
		add(n[me].heard, q); n[me].heardAt[q] = n[me].at[q];
		if
		:: in(n[me].own, q) -> add(n[me].client, q)
		:: else
		fi;
		endOf(me, q);
		q++
	:: q < 2 && n[me].phase[q] == 0 -> q++
	:: else -> break
	od
}

#define wire(m) (w[m].request | w[m].commit | w[m].word | w[m].ready[0] | w[m].ready[1] | w[m].ready[2] | w[m].done[0] | w[m].done[1] | w[m].done[2] | w[m].asked)

inline clear(m) {
	w[m].request = 0; w[m].commit = 0; w[m].word = 0; w[m].asked = 0;
	w[m].requestAt[0] = 0; w[m].commitAt[0] = 0; w[m].commitCounts[0] = 0; w[m].askedAt[0] = 0;
	w[m].requestAt[1] = 0; w[m].commitAt[1] = 0; w[m].commitCounts[1] = 0; w[m].askedAt[1] = 0;
	w[m].ready[0] = 0; w[m].ready[1] = 0; w[m].ready[2] = 0;
	w[m].done[0] = 0; w[m].done[1] = 0; w[m].done[2] = 0
}

inline flush() { air = 0; clear(0); clear(1); clear(2) }

/* The peer asks, and asks again until it is answered, and perhaps once more. */
proctype Peer() {
	end: do
	:: atomic { asked == 0 -> asked = 1; air = bit(0) }
	:: atomic { asked == 1 && ASKS > 1 -> asked = 2;
#ifdef CLOSE
		clock++;
#else
		clock = clock + 2 * SECOND; flush();
#endif
		air = bit(1) }
	:: atomic { asked > 0 && !in(air, asked - 1) && !in(answered, asked - 1) -> add(air, asked - 1) }
	:: atomic { asked > 0 && !in(air, asked - 1) && in(answered, asked - 1) && repeats > 0 -> repeats--; add(air, asked - 1) }
	od
}

/* A second passes. */
proctype Time() {
	end: do
	:: atomic { seconds > 0 && asked > 0 -> seconds--; clock = clock + SECOND; flush() }
	:: atomic { seconds == 0 && (air | wire(0) | wire(1) | wire(2)) -> flush() }
	od
}

/* What an instance does with a request by itself, or because of the peer */
proctype Request(byte i; byte r) {
	end: do
	/* Node.Heard of a slave, or a master that does not serve yet */
	:: atomic { n[i].up && in(air, r) && HEARS(i) && !(isMaster(i) && n[i].serving) && (!in(n[i].heard, r) ||
		n[i].master < N && n[i].master != i && !in(n[i].committed, r) && !in(w[n[i].master].ready[i], r) && !in(n[n[i].master].done, r)) ->
		keep(i, r, (i == CLIENT), clock) }
	/* and of a master */
	:: atomic { isMaster(i) && n[i].serving && in(air, r) && HEARS(i) && n[i].phase[r] == 0 && !(in(n[i].done, r) && !allHave(i, r) && in(n[i].heard, r)) ->
		propose(i, r, clock, false, (i == CLIENT), (i == CLIENT)) }
	/* Node.proposeAgain: in the order in which they were heard */
	:: atomic { isMaster(i) && n[i].serving && in(n[i].heard, r) && (in(n[i].done, r) -> allHave(i, r) : true) &&
		(r == 0 || !in(n[i].heard, 0) || in(n[i].done, 0) && !allHave(i, 0)) ->
		if
		:: overtaken(i, r, n[i].heardAt[r]) -> forget(i, r)
		:: else ->
			h = n[i].heardAt[r]; k = in(n[i].client, r);
			forget(i, r);
			propose(i, r, h, false, k, true)
		fi }
	/* Node.resend */
	:: atomic { isMaster(i) && n[i].phase[r] == ASKED && (n[i].wait[r] & ~n[i].ready[r]) && !in(w[i].request, r) ->
		add(w[i].request, r); w[i].requestAt[r] = n[i].at[r] }
	:: atomic { isMaster(i) && n[i].phase[r] == COMMITTED && (n[i].wait[r] & ~n[i].finished[r]) && !(in(w[i].request, r) && in(w[i].commit, r)) ->
		add(w[i].request, r); w[i].requestAt[r] = n[i].at[r];
		add(w[i].commit, r); w[i].commitAt[r] = n[i].at[r]; w[i].commitCounts[r] = n[i].counts[r] }
	/* Node.tickTransactions of a slave: it asks its master again */
	:: atomic { n[i].up && n[i].master != i && n[i].master < N && in(n[i].client, r) && n[i].aligned && turn(i, r) && !in(w[n[i].master].asked, r) -> offer(i, r) }
	od
}

/* What an instance takes in of another about a request */
proctype Message(byte i; byte m; byte r) {
	end: do
	/* Node.ready */
	:: atomic { isMaster(i) && n[i].phase[r] == ASKED && in(n[i].wait[r], m) && !in(n[i].ready[r], m) && in(w[i].ready[m], r) -> add(n[i].ready[r], m); move(i) }
	/* Node.finished of a master */
	:: atomic { isMaster(i) && n[i].phase[r] == COMMITTED && in(n[i].wait[r], m) && !in(n[i].finished[r], m) && in(w[i].done[m], r) ->
		add(n[i].ready[r], m); add(n[i].finished[r], m); move(i) }
	/* Node.forwarded of a slave */
	:: atomic { follows(i, m) && n[i].aligned && in(w[m].request, r) && (!in(n[i].heard, r) || !in(n[i].committed, r) && !in(w[m].ready[i], r) && !in(n[m].done, r)) ->
		keep(i, r, false, w[m].requestAt[r]) }
	/* and of a master */
	:: atomic { m == CLIENT && isMaster(i) && n[i].serving && in(n[i].member, m) && in(w[i].asked, r) &&
		(n[i].phase[r] == 0 && !(in(n[i].done, r) && (in(w[i].word, r) || !allHave(i, r))) || n[i].phase[r] > 0 && !in(n[i].asker, r)) &&
		!(clock - w[i].askedAt[r] >= SECOND && overtaken(i, r, w[i].askedAt[r])) ->
		propose(i, r, w[i].askedAt[r], true, false, true) }
	/* Node.commit */
	:: atomic { follows(i, m) && in(w[m].commit, r) && in(n[i].heard, r) && !(in(n[i].committed, r) && same(i, m, r)) && n[i].aligned ->
#ifndef FORGETS
		put(i, r + 1, w[m].commitAt[r]);
		n[i].count[m] = max(n[i].count[m], w[m].commitCounts[r]);
#endif
		add(n[i].done, r); del(n[i].byAll, r); n[i].doneAt[r] = w[m].commitAt[r];
		if
		:: in(n[i].client, r) -> add(n[i].committed, r)
		:: else -> forget(i, r)
		fi;
		if
		:: n[m].phase[r] == COMMITTED -> add(w[m].done[i], r)
		:: else
		fi }
	:: atomic { follows(i, m) && in(w[m].commit, r) && same(i, m, r) && (!in(n[i].heard, r) || in(n[i].committed, r)) &&
		!in(w[m].done[i], r) && n[m].phase[r] == COMMITTED && !in(n[m].finished[r], i) -> add(w[m].done[i], r) }
	/* Node.finished of a slave: the master's word */
	:: atomic { i == CLIENT && follows(i, m) && in(w[m].word, r) && in(n[i].client, r) &&
		(in(n[i].committed, r) || hasIt(i, r)) ->
		forget(i, r); tell(i, r, 0) }
	od
}

/* What an instance has to do with another */
proctype Pair(byte i; byte m) {
	end: do
	/* Node.remove: two keepalives have not come, or it has said that it leaves */
	:: atomic { n[i].up && in(n[i].member, m) && !(n[m].up && cuts == 0) ->
		if
		:: n[m].up -> cuts--
		:: else
		fi;
		del(n[i].member, m); del(n[i].told, m); del(n[i].got, m); n[i].tenureOf[m] = 0;
		notWaitFor(i, m);
		move(i);
		if
		:: n[i].master == m -> n[i].master = NONE
		:: else
		fi }
	/* Node.keepalive */
	:: atomic { n[i].up && n[m].up && !in(n[i].member, m) -> add(n[i].member, m) }
	/* Node.becomeSlave: the lowest that it knows */
	:: atomic { n[i].up && n[i].master != m && m < i && in(n[i].member, m) && (n[i].member & (bit(m) - 1)) == 0 ->
		if
		:: n[i].master == i -> resign(i)
		:: else
		fi;
		n[i].master = m; n[i].aligned = false; n[i].tenure++;
		h = 0;
		do
		:: h < 2 && in(n[i].heard, h) ->
			del(n[i].committed, h);
			if
			:: in(n[i].client, h) && overtaken(i, h, n[i].heardAt[h]) -> forget(i, h)
			:: else -> offer(i, h)
			fi;
			h++
		:: h < 2 && !in(n[i].heard, h) -> h++
		:: else -> break
		od }
	/* A new master reads what a member has: tickPulls, asked, goOn. */
	:: atomic { isMaster(i) && in(n[i].member, m) && !in(n[i].told, m) && follows(m, i) ->
		n[m].aligned = true;
		copy(i, m);
		n[i].got = (k -> 0 : n[i].got); del(n[i].got, m);
		add(n[i].told, m);
#ifndef NO_WAIT
		waitFor(i, m)
#endif
		}
	/* Node.hasPulled: it has become its slave anew. */
#ifndef TRUSTS
	:: atomic { isMaster(i) && in(n[i].member, m) && follows(m, i) && n[i].tenureOf[m] != n[m].tenure ->
		n[i].tenureOf[m] = n[m].tenure;
		del(n[i].told, m); del(n[i].got, m);
		notWaitFor(i, m); move(i) }
#endif
	/* The member reads what its master has: toPull. */
	:: atomic { isMaster(i) && n[i].serving && in(n[i].told, m) && !in(n[i].got, m) && follows(m, i) && SAME(i, m) -> copy(m, i); add(n[i].got, m) }
	:: atomic { isMaster(i) && n[i].serving && in(n[i].told, m) && !in(n[i].got, m) && follows(m, i) && !n[m].aligned -> n[m].aligned = true }
	od
}

proctype Self(byte i) {
	end: do
	/* Node.becomeMaster */
	:: atomic { n[i].up && n[i].master == NONE && (n[i].member & (bit(i) - 1)) == 0 -> n[i].master = i; n[i].serving = false; n[i].whole = false; n[i].told = 0; n[i].got = 0 }
	/* Node.tickPulls: 2 */
	:: atomic { isMaster(i) && !n[i].serving && READ(i) -> n[i].serving = true;
#if CUTS == 0
		assert(kept(i, 0) && kept(i, 1))
#endif
		}
	:: atomic { isMaster(i) && n[i].serving && !n[i].whole && (n[i].member & ~n[i].got) == 0 -> n[i].whole = true }
	/* It dies. */
	:: atomic { n[i].up && deaths > 0 && asked > 0 -> deaths--;
		n[i].up = false;
		resign(i); forget(i, 0); forget(i, 1);
		n[i].master = NONE; n[i].aligned = false; n[i].tenure = 0; n[i].member = 0; n[i].done = 0; n[i].byAll = 0; n[i].doneAt[0] = 0; n[i].doneAt[1] = 0; n[i].whole = false; n[i].row = 0; n[i].stamp = 0;
		n[i].tenureOf[0] = 0; n[i].tenureOf[1] = 0; n[i].tenureOf[2] = 0; n[i].count[0] = 0; n[i].count[1] = 0; n[i].count[2] = 0 }
	od
}

#define first (n[0].up -> 0 : (n[1].up -> 1 : 2))
#define alike(i, m) (!n[i].up || !n[m].up || n[i].row == n[m].row && n[i].stamp == n[m].stamp && n[i].count[0] == n[m].count[0] && n[i].count[1] == n[m].count[1] && n[i].count[2] == n[m].count[2])
#define living (n[0].up | n[1].up << 1 | n[2].up << 2)

/* 5 */
proctype Quiet() {
	timeout ->
	assert(!n[0].up || n[0].master == first); assert(!n[1].up || n[1].master == first); assert(!n[2].up || n[2].master == first);
	assert(living == 0 || asked == ASKS && in(answered, ASKS - 1));
	assert(alike(0, 1)); assert(alike(0, 2)); assert(alike(1, 2));
	assert(!(holders[0] & living) || has(first, 0));
	assert(!(holders[1] & living) || has(first, 1))
}

init {
	byte i = 0, m = 0;
	atomic {
		do
		:: i < SIZE ->
			n[i].up = true; n[i].member = (bit(SIZE) - 1) & ~bit(i);
			n[i].aligned = (i > 0); n[i].tenure = (i > 0);
			run Self(i); run Request(i, 0); run Request(i, 1);
			m = 0;
			do
			:: m < SIZE && m != i -> n[i].tenureOf[m] = (i == 0); run Pair(i, m); run Message(i, m, 0); run Message(i, m, 1); m++
			:: m < SIZE && m == i -> m++
			:: else -> break
			od;
			i++
		:: i == SIZE -> break
		od;
		n[0].serving = true; n[0].whole = true; n[0].told = n[0].member; n[0].got = n[0].member;
#ifdef JOINS
		del(n[0].told, JOINS); del(n[0].got, JOINS); n[0].tenureOf[JOINS] = 0; n[JOINS].aligned = false; n[0].whole = false;
#endif
		run Peer(); run Time(); run Quiet();
		i = 0; m = 0
	}
}
