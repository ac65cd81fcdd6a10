/*
 * The lease protocol of vipd, for spin. Three members a, b and c, with clocks
 * that drift, a network that loses, delays, doubles and reorders, and members
 * that stop for any time, crash and restart, hand over, and change who is one.
 *
 *	model/run		checks everything and prints what it has seen
 *
 * The rules have the names they have in docs/guarantees.md, and the inlines
 * those of the methods of election/lease.go. -DWITHOUT_<RULE> takes a rule out;
 * model/run sees to it that spin then finds two open fences.
 *
 * Time. A tick moves all clocks by one. L < G < T are 2, 3 and 4 ticks (or, where
 * that is too much to look at, 1, 2 and 3) for 0.75, 0.95 and 1 T. Drift: in one of G ticks at most, some of the clocks stand still
 * (seen from them, the others doubled the tick). So G ticks of one clock are at
 * least G-1 = L of any other: the same order as 0.95 T x 0.9/1.1 > 0.75 T, but
 * with nothing to spare. An instant is kept as what is left until it (a deadline)
 * or of L since it (a send time), by the clock of the member that reads it. Hence
 * time itself has no bound.
 *
 * Steps. Whoever can take a step may take it now, later or never, while clocks go
 * on: that is delay, and also SIGSTOP. What the code does under the lock of its
 * rules is one step. A call that raft has answered and the rules have not judged
 * yet (`busy`) is between two steps: raft may move on meanwhile.
 *
 * Raft is one leader a term, elected by votes of a majority that survive
 * restarts. What it adds to that (pre-votes, stickiness, its own lease) only
 * forbids more, and is left out. So is who may be asked for a vote (`eligible`).
 * A member learns of a later term from an answer at any moment (`LEARNS`).
 *
 * Start: a was just elected in term 1, by itself and b.
 */

#ifndef TERMS
#define TERMS 3		/* no candidate in a later term */
#endif
#ifndef SLOTS
#define SLOTS 2		/* messages in flight or being answered at the same time, 3 at most; more are lost */
#endif
#ifndef L
#define L 2		/* lease; 2 at most */
#endif
#define G (L + 1)	/* promise */
#define T (L + 2)	/* detect */
#define NOBODY 3

/* What is checked besides: -DDRIFT -DCRASH -DHANDOVER=<last term in which one is begun> -DMEMBERSHIP=<voters at the start, a bit each>
 * -DCHANGES=<a term> -DCALM=<ticks>; -DSTILL lets no time pass. */

#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2
#define DEAD 3

typedef Member {
	/* raft */
	unsigned term : 3;	/* on disk */
	unsigned vote : 2;	/* on disk: whom in term */
	unsigned role : 2;
	unsigned granted : 3;	/* votes got, a bit each */
	/* rules */
	unsigned voted : 3;	/* highest term voted or stood in */
	unsigned promisedTo : 2;
	unsigned promisedTerm : 3;
	unsigned promised : 3;	/* left of it */
	unsigned quarantine : 3;
	unsigned abdicated : 3;
	unsigned obeyed : 3;
	unsigned heldTerm : 3;
	/* kernel */
	unsigned fence : 3;	/* left until it closes */
#ifdef MEMBERSHIP
	unsigned logTerm : 3;	/* on disk: the last entry is change number `change` of this term's leader, */
	unsigned change : 2;	/* 0 the entry with which it began */
	unsigned voters : 3;	/* on disk: the configuration there, a bit each */
	unsigned since : 3;	/* left of T since the last change */
#ifdef WITHOUT_FRESH_CONFIGURATION
	unsigned first : 3;	/* the configuration at the start of the term */
#endif
#endif
#ifdef CALM
	unsigned wait : 4;	/* left until silence is noticed */
	unsigned left : 4;	/* left of 2 T since abdication */
	unsigned beat : 3;	/* whom it has called in this tick */
#endif
}
Member m[3];
#ifdef MEMBERSHIP
byte acked[9];	/* of leader i by member j at [3*i+j]: left of L since the send time */
byte has[9];	/* 1 + the change that member j is known by leader i to have; 0 none */
#else
byte acked[3];	/* of leader i by whichever member: two of three are a majority, so that the latest counts */
#endif
#ifdef DRIFT
byte steady;	/* ticks until clocks may differ again */
#endif
#ifdef CALM
bit calm;	/* faults have stopped */
byte calmFor;	/* ticks */
bit recovered;
#endif

/* A message is a number, so that those in flight can be kept sorted: their order means nothing. */
#define APPEND 1	/* leader -> member */
#define ACK 2		/* member -> leader: Success */
#define ASK 3		/* candidate -> member */
#define VOTE 4		/* member -> candidate */
#define TAKEOVER 5	/* leader -> member */
#define MSG(kind, from, to, term, left, flag)	((kind) | (from) << 3 | (to) << 5 | (term) << 7 | (left) << 10 | (flag) << 13)
#define LOG(change, x)	((change) << 14 | (x) << 16)
#define KIND(x)		((x) & 7)
#define FROM(x)		(((x) >> 3) & 3)
#define TO(x)		(((x) >> 5) & 3)
#define TERM(x)		(((x) >> 7) & 7)
#define LEFT(x)		(((x) >> 10) & 7)	/* APPEND, ACK: of L since the send time */
#define FLAG(x)		(((x) >> 13) & 1)	/* ASK, VOTE: a transfer */
#define CHANGE(x)	(((x) >> 14) & 3)
#define CONFIG(x)	(((x) >> 16) & 7)	/* APPEND: voters; ASK: term of the last entry */
int net[3];	/* in flight, 0 none; sorted, greatest first */
int busy[3];	/* the call that raft has accepted and the rules have yet to judge */

/* Scratch within a step. Spin's breadth-first search (-DSHORTEST) wants it in the state. */
#ifdef SHORTEST
#define SCRATCH
#else
#define SCRATCH	hidden
#endif
SCRATCH int h, swap;
SCRATCH byte x, y, z, until, from, to, during;

#define NAME(i)		('a' + (i))
#define IN_FLIGHT	((net[0] != 0) + (net[1] != 0) + (net[2] != 0) + (busy[0] != 0) + (busy[1] != 0) + (busy[2] != 0))
#define FULL		(IN_FLIGHT >= SLOTS)
#define EMPTY		(net[0] == 0 && busy[0] == 0 && busy[1] == 0 && busy[2] == 0)
#define OPEN(i)		(m[i].fence > 0)
#define ALIVE(i)	(m[i].role != DEAD)
#define CHECK		assert(!(OPEN(0) && OPEN(1)) && !(OPEN(0) && OPEN(2)) && !(OPEN(1) && OPEN(2)))

#ifdef CALM
#define FAULTS		(!calm)
#define LEARNS(i)	(calm -> EMPTY : m[i].role != FOLLOWER)
#define CALLS		(!calm || EMPTY)	/* in calm, one conversation at a time */
#define FIRST(i, j)	(!calm || ALIVE(j) && !IN(j, m[i].beat))
#ifdef WITHOUT_SILENCE
#define SILENT(i)	false
#else
#define SILENT(i)	(calm && m[i].abdicated >= m[i].term && m[i].left == 0)
#endif
#define IN_CALM(i, j)	if :: calm -> m[i].beat = m[i].beat | 1 << (j) :: else fi
#define HEARD(i)	m[i].wait = (calm -> T : 0)
#define RECOVERED	recovered = calm
#else
#define FAULTS		true
#define LEARNS(i)	(m[i].role != FOLLOWER)
#define CALLS		true
#define FIRST(i, j)	true
#define SILENT(i)	false
#define IN_CALM(i, j)	skip
#define HEARD(i)	skip
#define RECOVERED	skip
#endif

#ifdef MEMBERSHIP
#ifdef WITHOUT_FRESH_CONFIGURATION
#define VOTERS(i)	m[i].first
#else
#define VOTERS(i)	m[i].voters
#endif
#define CONFIGURED(i)	m[i].voters
#else
#define VOTERS(i)	7
#define CONFIGURED(i)	7
#endif
#ifdef MEMBERSHIP
#define ACKED(i, j)	acked[3*i+j]
#define FORGET(i)	acked[3*i] = 0; acked[3*i+1] = 0; acked[3*i+2] = 0
#define AGE(i)		LESS(acked[3*i]); LESS(acked[3*i+1]); LESS(acked[3*i+2])
#else
#define ACKED(i, j)	acked[i]
#define FORGET(i)	acked[i] = 0
#define AGE(i)		LESS(acked[i])
#endif
#define IN(i, set)	(((set) >> (i)) & 1)
#define SIZE(set)	(IN(0, set) + IN(1, set) + IN(2, set))
#define MAJORITY(some, set) (2 * SIZE((some) & (set)) > SIZE(set))

/* --- the network --- */

inline ordered(k) {
	if
	:: net[k] < net[k+1] -> swap = net[k]; net[k] = net[k+1]; net[k+1] = swap
	:: else
	fi
}

inline sorted() {
	ordered(0); ordered(1); ordered(0)
}

inline send(msg) {	/* lost if there is no room */
	if
	:: !FULL -> net[2] = msg; sorted()
	:: else
	fi
}

#ifdef WITHOUT_TAKE_OVER_TERM
#define HAS_TERM(x)	(KIND(x) == APPEND || KIND(x) == ASK)
#else
#define HAS_TERM(x)	(KIND(x) == APPEND || KIND(x) == ASK || KIND(x) == TAKEOVER)
#endif

#ifdef WITHOUT_SEND_TIME
#define WORTHLESS(x)	false
#else
#define WORTHLESS(x)	(LEFT(x) == 0)
#endif

/* What nobody would heed any more is no longer in flight. */
inline tidied() {
	for (x : 0 .. 2) {
		h = net[x];
		if
		:: h != 0 && (HAS_TERM(h) && TERM(h) < m[TO(h)].term || KIND(h) == ACK && WORTHLESS(h) ||
			KIND(h) == VOTE && (TERM(h) != m[TO(h)].term || m[TO(h)].role != CANDIDATE)) -> net[x] = 0
		:: else
		fi
	}
	sorted();
	h = 0
}

/* --- the rules, as in election/lease.go --- */

/* boundToOther: a promise to somebody other than id runs. */
#define BOUND(i, id)	(m[i].promised > 0 && m[i].promisedTo != (id) && \
	(m[i].promisedTo == (i) || m[i].promisedTerm > m[i].obeyed))

/* refusal, turned round: a vote for id in term `during`, or a candidacy, is allowed. */
#define ALLOWED(i, during, id, transfer)	(m[i].quarantine == 0 && (!BOUND(i, id) || \
	(transfer) && m[i].promisedTo != (i) && m[i].promisedTerm < (during)))

/* follows: a call of the leader of term t may reach raft, and its answer may leave. */
#define FOLLOWS(i, during)	(m[i].voted <= (during) && m[i].promisedTerm <= (during))

inline shut(i) {	/* close */
	if
	:: OPEN(i) -> printf("| %c closes its fence\n", NAME(i))
	:: else
	fi;
	m[i].fence = 0;
	if
	:: m[i].promisedTo == i -> m[i].promised = 0
	:: else
	fi
}

#ifdef WITHOUT_ABDICATION
#define ENDED(i)	false
#else
#define ENDED(i)	(m[i].abdicated >= m[i].heldTerm)
#endif

inline extend(i) {
	if
	:: m[i].quarantine > 0 || m[i].voted > m[i].heldTerm || ENDED(i) || BOUND(i, i)
	:: else ->
		if
		:: m[i].term != m[i].heldTerm || !IN(i, VOTERS(i)) -> shut(i)
		:: else ->
			y = (IN((i+1)%3, VOTERS(i)) -> ACKED(i, (i+1)%3) : 0);
			z = (IN((i+2)%3, VOTERS(i)) -> ACKED(i, (i+2)%3) : 0);
			until = (SIZE(VOTERS(i)) == 1 -> L : (y > z -> y : z));
			if
			:: until > m[i].fence ->
				m[i].fence = until;
#ifndef WITHOUT_OWN_PROMISE
				m[i].promisedTerm = m[i].heldTerm; m[i].promisedTo = i; m[i].promised = until;
#endif
				RECOVERED;
				printf("| %c holds the lease of term %d for %d more: its fence is open\n", NAME(i), m[i].heldTerm, until)
			:: else
			fi
		fi
	fi
}

inline acknowledged(i, during, peer, left) {
	if
	:: during < m[i].heldTerm
	:: else ->
		if
		:: during > m[i].heldTerm -> m[i].heldTerm = during; FORGET(i)
		:: else
		fi;
#ifdef WITHOUT_SEND_TIME
		ACKED(i, peer) = L;
#else
		ACKED(i, peer) = (left > ACKED(i, peer) -> left : ACKED(i, peer));
#endif
		extend(i)
	fi
}

inline promise(i, during, leader) {
	if
	:: OPEN(i) && m[i].heldTerm < during -> shut(i)
	:: else
	fi;
#ifdef WITHOUT_PROMISE
	m[i].promised = 0;
#else
	m[i].promised = G;
#endif
	m[i].promisedTerm = during; m[i].promisedTo = leader;
	HEARD(i)
}

/* --- raft, as far as the proof rests on it --- */

inline follow(i, during) {
	if
	:: during > m[i].term -> m[i].term = during; m[i].vote = NOBODY
	:: else
	fi;
	m[i].role = FOLLOWER; m[i].granted = 0;
#ifdef MEMBERSHIP
	has[3*i] = 0; has[3*i+1] = 0; has[3*i+2] = 0; m[i].since = 0
#endif
}

inline stand(i) {
	m[i].term = m[i].term + 1; m[i].vote = i; m[i].role = CANDIDATE; m[i].granted = 1 << i;
#ifdef MEMBERSHIP
	has[3*i] = 0; has[3*i+1] = 0; has[3*i+2] = 0; m[i].since = 0;
#endif
	HEARD(i);
	printf("| %c stands in term %d\n", NAME(i), m[i].term)
}

inline lead(i) {
	m[i].role = LEADER; m[i].granted = 0;
#ifdef MEMBERSHIP
	m[i].logTerm = m[i].term; m[i].change = 0; m[i].since = T;
	has[3*i] = 0; has[3*i+1] = 0; has[3*i+2] = 0; has[3*i+i] = 1;
#ifdef WITHOUT_FRESH_CONFIGURATION
	m[i].first = m[i].voters;
#endif
#endif
	printf("| %c leads in term %d\n", NAME(i), m[i].term)
}

/* --- steps of a member --- */

#ifdef MEMBERSHIP
/* UPTODATE: the log of the candidate that asks is not behind that of member i. */
#define UPTODATE(i, ask)	(CONFIG(ask) > m[i].logTerm || CONFIG(ask) == m[i].logTerm && CHANGE(ask) >= m[i].change)
#define ENTRIES(i)		LOG(m[i].change, m[i].voters)
#define LAST(i)			LOG(m[i].change, m[i].logTerm)
#define TOLD(i)			LOG(CHANGE(h), 0)
inline write(i, append) {	/* the log becomes that of the leader */
	if
	:: m[i].logTerm < TERM(append) || m[i].change < CHANGE(append) ->
		m[i].logTerm = TERM(append); m[i].change = CHANGE(append);
		if
		:: m[i].voters != CONFIG(append) ->
			m[i].voters = CONFIG(append);
			printf("| %c learns that the voters are%c%c%c\n", NAME(i),
				(IN(0, m[i].voters) -> 'a' : ' '), (IN(1, m[i].voters) -> 'b' : ' '), (IN(2, m[i].voters) -> 'c' : ' '))
		:: else
		fi
	:: else
	fi
}
#else
#define UPTODATE(i, ask)	true
#define ENTRIES(i)		0
#define LAST(i)			0
#define TOLD(i)			0
#endif

/* Calls reach raft one after another: a member that is busy takes none. */
#ifdef WITHOUT_SERIAL
#define TAKES(i, msg)	(ALIVE(i) && (busy[i] == 0 || KIND(msg) > APPEND))
#define LEAVES(i, term)	(m[i].promisedTerm <= (term))
#else
#define TAKES(i, msg)	(ALIVE(i) && (busy[i] == 0 || KIND(msg) == ACK || KIND(msg) == VOTE))
#define LEAVES(i, term)	FOLLOWS(i, term)
#endif

inline judge_vote(i) {
	if
	:: ALLOWED(i, TERM(h), FROM(h), FLAG(h)) ->
		m[i].voted = (m[i].voted > TERM(h) -> m[i].voted : TERM(h));
		HEARD(i);
		printf("| %c votes for %c in term %d\n", NAME(i), NAME(FROM(h)), TERM(h));
		send(MSG(VOTE, i, FROM(h), TERM(h), 0, 0))
	:: else -> printf("| %c withdraws its vote for %c in term %d\n", NAME(i), NAME(FROM(h)), TERM(h))
	fi
}

inline receive(msg) {	/* everything up to raft's answer */
	h = msg; from = FROM(h); to = TO(h); during = TERM(h);
	if
	:: KIND(h) == APPEND && FOLLOWS(to, during) && during >= m[to].term ->
		follow(to, during);
#ifdef MEMBERSHIP
		write(to, h);
#endif
		busy[to] = h;
		printf("| %c takes a heartbeat of %c, term %d\n", NAME(to), NAME(from), during)
	:: KIND(h) == ACK ->
		printf("| %c is acknowledged by %c, term %d\n", NAME(to), NAME(from), during);
#ifdef MEMBERSHIP
		if
		:: m[to].role == LEADER && m[to].term == during && has[3*to+from] <= CHANGE(h) -> has[3*to+from] = 1 + CHANGE(h)
		:: else
		fi;
#endif
		acknowledged(to, during, from, LEFT(h))
	:: KIND(h) == ASK && during >= m[to].term && ALLOWED(to, during, from, FLAG(h)) ->
		if
		:: during > m[to].term -> follow(to, during)
		:: else
		fi;
		if
		:: (m[to].vote == NOBODY || m[to].vote == from) && UPTODATE(to, h) ->
			m[to].vote = from;
#ifdef WITHOUT_SERIAL
			judge_vote(to)
#else
			busy[to] = h
#endif
		:: else
		fi
	:: KIND(h) == VOTE && m[to].role == CANDIDATE && m[to].term == during ->
		m[to].granted = m[to].granted | 1 << from;
		if
		:: MAJORITY(m[to].granted, CONFIGURED(to)) -> lead(to)
		:: else
		fi
#ifdef WITHOUT_TAKE_OVER_TERM
	:: KIND(h) == TAKEOVER && m[to].role == FOLLOWER && m[to].quarantine == 0 ->
		m[to].obeyed = m[to].term;
#else
	:: KIND(h) == TAKEOVER && m[to].quarantine == 0 && during == m[to].term && m[to].voted <= during &&
		m[to].promisedTerm == during && m[to].promisedTo == from ->
		m[to].obeyed = during;
#endif
		printf("| %c obeys the take-over call that %c sent in term %d\n", NAME(to), NAME(from), during)
	:: else
	fi
}

inline judge(i) {	/* raft's answer against the rules; then it leaves */
	h = busy[i]; busy[i] = 0;
	if
	:: KIND(h) == ASK -> judge_vote(i)
	:: KIND(h) == APPEND && LEAVES(i, TERM(h)) ->
		promise(i, TERM(h), FROM(h));
		printf("| %c acknowledges %c, term %d\n", NAME(i), NAME(FROM(h)), TERM(h));
		send(MSG(ACK, i, FROM(h), TERM(h), LEFT(h), 0) | TOLD(i))
	:: else -> printf("| %c withdraws its answer to %c, term %d\n", NAME(i), NAME(FROM(h)), TERM(h))
	fi
}

#define TRANSFER(i)	(m[i].term == m[i].obeyed + 1)

inline ask(i, j) {
	m[i].voted = (m[i].voted > m[i].term -> m[i].voted : m[i].term);
	printf("| %c asks %c for its vote in term %d\n", NAME(i), NAME(j), m[i].term);
	send(MSG(ASK, i, j, m[i].term, 0, TRANSFER(i)) | LAST(i))
}

inline heartbeat(i, j) {
	printf("| %c sends %c a heartbeat, term %d\n", NAME(i), NAME(j), m[i].term);
	send(MSG(APPEND, i, j, m[i].term, L, 0) | ENTRIES(i))
}

inline abdicate(i) {
	printf("| %c abdicates in term %d\n", NAME(i), m[i].term);
	m[i].abdicated = m[i].term;
#ifndef WITHOUT_CLOSING
	shut(i)
#endif
}

inline call(i, j) {
	printf("| %c sends %c a take-over call, term %d\n", NAME(i), NAME(j), m[i].term);
	send(MSG(TAKEOVER, i, j, m[i].term, 0, 0))
}

/* What is in memory is lost, and with it the answers that are on their way. */
inline crash(i) {
	printf("| %c crashes\n", NAME(i));
	m[i].role = DEAD; m[i].granted = 0; m[i].voted = 0; m[i].promisedTo = 0; m[i].promisedTerm = 0; m[i].promised = 0;
	m[i].quarantine = 0; m[i].abdicated = 0; m[i].obeyed = 0; m[i].heldTerm = 0; busy[i] = 0;
	FORGET(i);
	for (x : 0 .. 2) {
		if
		:: TO(net[x]) == i && (KIND(net[x]) == ACK || KIND(net[x]) == VOTE) -> net[x] = 0
		:: else
		fi
	}
}

inline restart(i) {
	printf("| %c starts again\n", NAME(i));
	m[i].role = FOLLOWER; m[i].fence = 0;
#ifndef WITHOUT_QUARANTINE
	m[i].quarantine = T;
#endif
}

#ifdef MEMBERSHIP
/* COMMITTED: the last entry of leader i is known to be on a majority of the configuration that it brings. */
#define COMMITTED(i)	(2 * (IN(0, m[i].voters) * (has[3*i] > m[i].change) + IN(1, m[i].voters) * (has[3*i+1] > m[i].change) + \
	IN(2, m[i].voters) * (has[3*i+2] > m[i].change)) > SIZE(m[i].voters))
#ifdef WITHOUT_GAP
#define MAY_CHANGE(i)	(COMMITTED(i))
#elif defined(WITHOUT_COMMIT)
#define MAY_CHANGE(i)	(m[i].since == 0)
#else
#define MAY_CHANGE(i)	(m[i].since == 0 && COMMITTED(i))
#endif
inline reconfigure(i, j) {	/* j becomes a voter, or ceases to be one */
	m[i].voters = m[i].voters ^ 1 << j; m[i].change = m[i].change + 1; m[i].since = T;
	has[3*i+i] = 1 + m[i].change;
	printf("| %c makes the voters%c%c%c\n", NAME(i),
		(IN(0, m[i].voters) -> 'a' : ' '), (IN(1, m[i].voters) -> 'b' : ' '), (IN(2, m[i].voters) -> 'c' : ' '))
}
#endif

/* --- time --- */

#define LESS(n)		n = (n > 0 -> n - 1 : 0)

inline age_message(msg) {
	if
	:: KIND(msg) == APPEND && IN(FROM(msg), z) && LEFT(msg) > 0 -> msg = msg - (1 << 10)
	:: KIND(msg) == ACK && IN(TO(msg), z) && LEFT(msg) > 0 -> msg = msg - (1 << 10)
	:: else
	fi
}

inline tick(clocks) {
	z = clocks;
	printf("| tick\n");
	for (y : 0 .. 2) {
		if
		:: IN(y, z) ->
			if
			:: m[y].fence == 1 -> printf("| the fence of %c closes\n", NAME(y))
			:: else
			fi;
			LESS(m[y].fence); LESS(m[y].promised); LESS(m[y].quarantine);
			AGE(y);
#ifdef MEMBERSHIP
			LESS(m[y].since);
#endif
#ifdef CALM
			LESS(m[y].wait); LESS(m[y].left); m[y].beat = 0;
#endif
		:: else -> printf("| the clock of %c stands still\n", NAME(y))
		fi;
		age_message(busy[y])
	}
	for (y : 0 .. 2) {
		age_message(net[y])
	}
#ifdef DRIFT
	steady = (z != 7 -> G - 1 : (steady > 0 -> steady - 1 : 0));
#endif
#ifdef CALM
	calmFor = (calm -> calmFor + 1 : 0);
	assert(calmFor <= CALM);	/* somebody holds by now */
#endif
}

/* --- when faults stop --- */

#ifdef CALM
/*
 * Calm begins when nothing is in flight and a majority is alive. From then on
 * nothing is lost or delayed, clocks drift on, leaders call all members in each
 * tick, and a member stands when it has heard nothing for T, can have a majority
 * (that is the pre-vote) and is the first of those (that is election/turn.go).
 * A lease must begin or be extended within CALM ticks.
 */
#define TWO_ALIVE	(ALIVE(0) + ALIVE(1) + ALIVE(2) > 1)
#define PREVOTE(j, i)	(ALIVE(j) && m[j].term <= m[i].term && ALLOWED(j, m[i].term + 1, i, false))
#define READY(i)	(ALIVE(i) && m[i].role != LEADER && m[i].wait == 0 && m[i].term < 7 && \
	ALLOWED(i, m[i].term + 1, i, false) && (PREVOTE((i+1)%3, i) || PREVOTE((i+2)%3, i)))
#define STANDS(i)	(READY(i) && ((i) == 0 || !READY(0)) && ((i) != 2 || !READY(1)) && EMPTY)
#define PENDING(i, j)	(ALIVE(i) && ALIVE(j) && (m[j].term > m[i].term || FIRST(i, j) && \
	(m[i].role == LEADER && !SILENT(i) || m[i].role == CANDIDATE && !IN(j, m[i].granted) && ALLOWED(i, m[i].term, i, TRANSFER(i)))))
#define QUIET		(!calm || EMPTY && !READY(0) && !READY(1) && !READY(2) && !PENDING(0, 1) && !PENDING(0, 2) && \
	!PENDING(1, 0) && !PENDING(1, 2) && !PENDING(2, 0) && !PENDING(2, 1))
#define MAY_STAND(i)	(calm -> STANDS(i) : m[i].term < TERMS)
inline calmed() {
	printf("| faults stop\n");
	calm = 1; calmFor = 0;
	for (x : 0 .. 2) {
		m[x].wait = T; m[x].left = 2 * T; m[x].beat = 0
	}
}
#else
#define QUIET		true
#define MAY_STAND(i)	(m[i].term < TERMS)
#endif

/* --- everything that may happen --- */

#define DONE	tidied(); CHECK; h = 0; swap = 0; x = 0; y = 0; z = 0; until = 0; from = 0; to = 0; during = 0

#ifdef HANDOVER
#ifdef WITHOUT_CLOSING
#define MAY_CALL(i)	(m[i].term <= HANDOVER)
#else
#define MAY_CALL(i)	(m[i].abdicated == m[i].term)
#endif
#define HANDOVER_OF(i) \
	:: d_step { m[i].role == LEADER && m[i].abdicated < m[i].term && m[i].term <= HANDOVER && FAULTS -> abdicate(i); DONE }
#define HANDOVER_TO(i, j) \
	:: d_step { m[i].role == LEADER && MAY_CALL(i) && !FULL && FAULTS -> call(i, j); DONE }
#else
#define HANDOVER_OF(i)
#define HANDOVER_TO(i, j)
#endif

#ifdef CRASH
#define CRASH_OF(i) \
	:: d_step { ALIVE(i) && FAULTS -> crash(i); DONE } \
	:: d_step { !ALIVE(i) && FAULTS -> restart(i); DONE }
#else
#define CRASH_OF(i)
#endif

#ifdef MEMBERSHIP
#define MEMBERSHIP_OF(i, j) \
	:: d_step { m[i].role == LEADER && MAY_CHANGE(i) && m[i].change < CHANGES -> reconfigure(i, j); DONE }
#define ALONE(i) \
	:: d_step { m[i].role == LEADER && SIZE(VOTERS(i)) == 1 -> acknowledged(i, m[i].term, i, L); DONE }
#else
#define MEMBERSHIP_OF(i, j)
#define ALONE(i)
#endif

#define TO_PEER(i, j) \
	:: d_step { m[i].role == CANDIDATE && !FULL && CALLS && FIRST(i, j) && IN(j, CONFIGURED(i)) && !IN(j, m[i].granted) && \
		ALLOWED(i, m[i].term, i, TRANSFER(i)) -> IN_CALM(i, j); ask(i, j); DONE } \
	:: d_step { m[i].role == LEADER && !FULL && CALLS && FIRST(i, j) && IN(j, CONFIGURED(i)) && !SILENT(i) -> \
		IN_CALM(i, j); heartbeat(i, j); DONE } \
	:: d_step { ALIVE(i) && ALIVE(j) && m[j].term > m[i].term && LEARNS(i) -> \
		printf("| %c learns of term %d\n", NAME(i), m[j].term); follow(i, m[j].term); DONE } \
	HANDOVER_TO(i, j) MEMBERSHIP_OF(i, j)

#define MEMBER(i, j, k) \
	:: d_step { ALIVE(i) && IN(i, CONFIGURED(i)) && ALLOWED(i, m[i].term + 1, i, false) && MAY_STAND(i) -> stand(i); DONE } \
	:: d_step { busy[i] != 0 -> judge(i); DONE } \
	TO_PEER(i, j) TO_PEER(i, k) HANDOVER_OF(i) CRASH_OF(i) ALONE(i)

#define MESSAGE(n) \
	:: d_step { net[n] != 0 && TAKES(TO(net[n]), net[n]) -> h = net[n]; net[n] = 0; sorted(); receive(h); DONE } \
	:: d_step { net[n] != 0 && TAKES(TO(net[n]), net[n]) && !FULL && FAULTS -> receive(net[n]); DONE } \
	:: d_step { net[n] != 0 && FAULTS -> net[n] = 0; DONE }

#define TICK(clocks)	:: d_step { QUIET -> tick(clocks); DONE }

init {
	d_step {
#ifdef MEMBERSHIP
		for (x : 0 .. 2) {
			if
			:: IN(x, MEMBERSHIP) -> m[x].voters = MEMBERSHIP; m[x].logTerm = 1; m[x].term = 1; m[x].vote = (x == 2 -> NOBODY : 0)
			:: else -> m[x].vote = NOBODY
			fi
		}
#else
		m[0].term = 1; m[1].term = 1; m[2].term = 1; m[2].vote = NOBODY;
#endif
		m[0].voted = 1; m[1].voted = 1;
		lead(0)
	}
#ifdef CALM
	{
#endif
	do
	MEMBER(0, 1, 2)
	MEMBER(1, 2, 0)
	MEMBER(2, 0, 1)
	MESSAGE(0)
	MESSAGE(1)
	MESSAGE(2)
#ifndef STILL
	TICK(7)
#endif
#ifdef DRIFT
#ifdef WITHOUT_DRIFT_BOUND
#define DRIFTS	true
#else
#define DRIFTS	(steady == 0)
#endif
	:: d_step { DRIFTS && QUIET -> tick(1); DONE }
	:: d_step { DRIFTS && QUIET -> tick(2); DONE }
	:: d_step { DRIFTS && QUIET -> tick(3); DONE }
	:: d_step { DRIFTS && QUIET -> tick(4); DONE }
	:: d_step { DRIFTS && QUIET -> tick(5); DONE }
	:: d_step { DRIFTS && QUIET -> tick(6); DONE }
#endif
#ifdef CALM
	:: d_step { !calm && EMPTY && TWO_ALIVE -> calmed(); DONE }
#endif
	od
#ifdef CALM
	} unless { recovered }
#endif
}
