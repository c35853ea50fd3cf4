/*
 * The index protocol of docs/SHARDS.md, for two data shards on two members.
 *
 * Raft is taken for granted. A group is a log that anybody may append to, and that
 * each replica applies in order at its own pace. Each epoch has one leader, and every
 * member learns of it at its own pace: a leader that leads no more goes on until it
 * knows, and what it proposed may still arrive, or be lost. What a leader proposes
 * whom raft still has for the leader arrives, or is dropped and reported.
 *
 * There are no readers: every read is taken to happen everywhere at all times. What
 * a member could show is what a write that begins must get above, and what no
 * later event may be at or below. A watcher on / is its member's closed index c:
 * c never falls, passes only what is applied, and nothing comes at or below it later.
 *
 * Faults have budgets that need not be used up. All else comes to an end, so a
 * state in which nothing can happen must be the wanted one: see Judge.
 *
 * -DDENSE leaves one data shard, without an order shard. -DM_x breaks one rule;
 * index_test.go says which promise has to break with it. -DTRACE prints what each
 * actor takes in and does, for actors/shard to replay.
 */
#include "state.pml"
#include "shows.pml"
#include "actors.pml"
#include "rules.pml"

#if SLOTS == 2
#define ALLOF(P, m, s, y) (P(X(m, s, 0), y) && P(X(m, s, 1), y))
#else
#define ALLOF(P, m, s, y) (P(X(m, s, 0), y) && P(X(m, s, 1), y) && P(X(m, s, 2), y) && P(X(m, s, 3), y))
#endif
#define TAKEN(x, y)   (slot[x] != FREE)
#define FLIES(x, y)   (flying[x] != 0)
#define STAYS(x, y)   (slot[x] != ASK && slot[x] != ASKED && slot[x] != UNSENT)
#define BEHIND(x, y)  (flying[x] == 0 || flyLate[x] || flying[x] >= flying[y])
#define HELDUP(x, y)  (flying[x] == 0 || flyLate[x])
#define RESENT(x, y)  (slot[x] != UNSENT)
#define LATER(x, y)   (slot[x] != PROPOSED || led[x] != led[y] || range[x] >= range[y])
/* Closing waits for the batch x. */
#define SETTLES(x)    ((slot[x] == PROPOSED || slot[x] == LOGGED) && !late[x] || slot[x] == UNSENT)
#ifdef M_CLOSE_OWN
#define IDLE(x, y)    true
#else
#define IDLE(x, y)    (!SETTLES(x))
#endif
#ifdef M_NO_LATE_CLOSE
byte since[2];      /* the counter when the shard got its leader */
#define OPEN(m, s)    (handed[MS(m, s)] > settled[MS(m, s)] && since[s] > settled[MS(m, s)])
#else
#define OPEN(m, s)    (handed[MS(m, s)] > settled[MS(m, s)])
#endif

#define WAITING(m, s)   (inbox[MS(m, s)] | queue[MS(m, s)])
#define MAYSUBMIT(m, s) (queue[MS(m, s)] != 0 && view[MS(m, s)] != 0 && !LEADS(m, s) && !ALLOF(FLIES, m, s, 0) && \
	(!pause[MS(m, s)] || view[MS(1 - m, s)] == view[MS(m, s)]))
#define MAYGATHER(m, s) (WAITING(m, s) != 0 && LEADS(m, s) && ALLOF(STAYS, m, s, 0) && !ALLOF(TAKEN, m, s, 0))
#define MAYCLOSE(m, s)  (OPEN(m, s) && LEADS(m, s) && fenced[MS(m, s)] == view[MS(m, s)] && closing[MS(m, s)] == 0 && ALLOF(IDLE, m, s, 0))

/* Something that m sent to the present leader is under way. */
#define SENT(w, m, s)  ((w) < WRITES && HOME(w) == m && IN(w) == s && sentIn[(w) % WRITES] == view[MS(m, s)])
#define PENDING(m, s)  (SENT(0, m, s) || SENT(1, m, s) || SENT(2, m, s) || SENT(3, m, s))

/* The actor of shard s on m; l is the other member. */
proctype Actor(byte m, s, l) {
end:
	do
	:: d_step { MAYSUBMIT(m, s) -> submit(m, s) }
	/* Gather what waits and ask, one ask at a time. A batch is all plain, or all POST /. */
	:: d_step { MAYGATHER(m, s) && (WAITING(m, s) & ~ROOT) != 0 -> gather(m, s, WAITING(m, s) & ~ROOT) }
	:: d_step { MAYGATHER(m, s) && (WAITING(m, s) & ROOT) != 0 -> gather(m, s, WAITING(m, s) & ROOT) }
	/* Close what is open, unless a batch of its own is on its way and will. */
	:: d_step { MAYCLOSE(m, s) -> close(m, s) }
	:: d_step { view[MS(m, s)] != epoch[s] && READY(m, s) -> follow(m, s) }
	:: d_step { refusals[MS(m, s)] != 0 && READY(m, s) -> takeBack(m, s) }
#ifndef TRACE
	/* Writes whose clients have been answered drop out. */
	:: d_step { (inbox[MS(m, s)] & done) != 0 -> inbox[MS(m, s)] = inbox[MS(m, s)] & ~done }
#endif
#if LOSSES > 0
#ifndef M_NO_PROBE
	:: d_step { PENDING(m, s) && !LEADS(m, s) && view[MS(m, s)] == view[MS(l, s)] && base[MS(m, s)] != 0 && MISSING(l, s) &&
		ALLOF(HELDUP, m, s, 0) && READY(m, s) && READY(l, s) -> probe(m, s, l) }
#endif
#ifndef TRACE
	:: d_step { losses > 0 && refusals[MS(m, s)] != 0 -> losses--; faulted = true;
		refusedOf(m, s); overtime = overtime | u; refusals[MS(m, s)] = 0 }
#endif
#endif
	od
}

/* What that actor has proposed besides batches. */
proctype Proposals(byte m, s) {
end:
	do
	:: d_step { fence[MS(m, s)] != 0 && length[s] < LAG -> logFence(m, s) }
	:: d_step { closing[MS(m, s)] != 0 && !closeLogged[MS(m, s)] && length[s] < LAG -> logClose(m, s) }
	:: d_step { fence[MS(m, s)] != 0 && fence[MS(m, s)] < view[MS(m, s)] -> fence[MS(m, s)] = 0 }
	:: d_step { closing[MS(m, s)] != 0 && !closeLogged[MS(m, s)] && closeIn[MS(m, s)] < view[MS(m, s)] -> closeOver(m, s) }
	od
}

/* One batch of that actor's, and one submission. */
proctype Batch(byte m, s, y, l) {
end:
	do
	:: d_step { slot[y] == ASK || slot[y] == STRAYASK -> logAsk(y) }
	:: d_step { slot[y] == STRAYASK || slot[y] == STRAY && led[y] < epoch[s] -> release(y) }
	/* What one member proposes stays in order, unless something was dropped. */
	:: d_step { (slot[y] == STRAY || slot[y] == PROPOSED && ALLOF(LATER, m, s, y)) && fence[MS(m, s)] != led[y] &&
		length[s] < LAG -> logBatch(y, s) }
#ifndef TRACE
	:: d_step { slot[y] == ASKED && (batch[y] & done) != 0 -> batch[y] = batch[y] & ~done }
#endif
	:: d_step { timeouts > 0 && (slot[y] == ASK || slot[y] == ASKED) && READY(m, s) -> timeouts--; faulted = true; askAgain(m, s, y) }
#ifndef TRACE
	:: d_step { timeouts > 0 && (slot[y] == PROPOSED || slot[y] == LOGGED) && !late[y] -> timeouts--; faulted = true; late[y] = true }
#endif
	:: d_step { drops > 0 && slot[y] == PROPOSED && READY(m, s) -> drops--; faulted = true; slot[y] = UNSENT;
		SAY("%d %d > dropped %d %d\n", m, s, led[y], y) }
#ifdef M_REPROPOSE_LATE
	:: d_step { slot[y] == LOGGED && late[y] -> slot[y] = UNSENT; late[y] = false }
#endif
	:: d_step { slot[y] == UNSENT -> slot[y] = PROPOSED;
		SAY("%d %d < propose %d %d %d %d %d\n", m, s, led[y], y, batch[y], range[y], ends[range[y]]) }
#ifdef M_LATE_JOIN
	:: d_step { slot[y] == PROPOSED && inbox[MS(m, s)] != 0 && COUNT(inbox[MS(m, s)]) == COUNT(batch[y]) ->
		b = batch[y]; batch[y] = inbox[MS(m, s)]; inbox[MS(m, s)] = b }
#endif
	/* Submissions arrive in order, but for those that are held up. */
	:: d_step { flying[y] != 0 && (flyLate[y] || ALLOF(BEHIND, m, s, y)) && READY(l, s) -> accept(l, s, y) }
#if LOSSES > 0
	:: d_step { losses > 0 && flying[y] != 0 && !flyLate[y] -> losses--; faulted = true; flyLate[y] = true }
	:: d_step { flyLate[y] -> land(y) }
#endif
	od
}

proctype Replicas(byte m) {
end:
	do
	:: d_step { known[m] < counter && READY(m, 0) && READY(m, 1) -> applyOrder(m) }
	:: d_step { pos[MS(m, 0)] < length[0] && READY(m, 0) -> apply(m, 0) }
	:: d_step { pos[MS(m, 1)] < length[1] && READY(m, 1) -> apply(m, 1) }
	:: d_step { jumps > 0 && pos[MS(m, 0)] < length[0] && READY(m, 0) -> jumps--; faulted = true; jump(m, 0) }
	:: d_step { jumps > 0 && pos[MS(m, 1)] < length[1] && READY(m, 1) -> jumps--; faulted = true; jump(m, 1) }
	:: d_step { orderjumps > 0 && known[m] < counter && READY(m, 0) && READY(m, 1) -> orderjumps--; faulted = true; jumpOrder(m, counter) }
	:: d_step { orderjumps > 0 && (OPEN(m, 0) || OPEN(m, 1)) -> orderjumps--; jumpOrder(m, known[m]) }
	od
}

inline begin(w, m, s) {
	begun = begun | BIT(w);
	rootIn = ((ROOT & BIT(w)) != 0 -> s : rootIn);
	queue[MS(m, s)] = queue[MS(m, s)] | BIT(w);
	floor[w] = (shown[0] > shown[1] -> shown[0] : shown[1]);
	SAY("%d %d > write %d\n", m, s, w)
}

#define MAYGO(y, m, s) (HOME(y) == m && ((ROOT & BIT(y)) != 0 || IN(y) == s) && !down[m] && READY(m, s))

/* A client sends its write to its member, and is answered when its time is over at the latest. */
proctype Client(byte y) {
	if
	:: d_step { MAYGO(y, 0, 0) -> begin(y, 0, 0) }
	:: d_step { MAYGO(y, 0, 1) -> begin(y, 0, 1) }
	:: d_step { MAYGO(y, 1, 0) -> begin(y, 1, 0) }
	:: d_step { MAYGO(y, 1, 1) -> begin(y, 1, 1) }
	fi;
end:
	do
	:: d_step { (done & BIT(y)) == 0 && (deadlines > 0 || (overtime & BIT(y)) != 0) ->
		deadlines = ((overtime & BIT(y)) != 0 -> deadlines : deadlines - 1);
		queue[MS(HOME(y), IN(y))] = queue[MS(HOME(y), IN(y))] & ~BIT(y);
		answer(HOME(y), 0, BIT(y)) }
	od
}

/* What was applied before m died may have to be applied again: any prefix of it was on disk. */
proctype Power(byte m) {
end:
	do
	:: atomic { restarts > 0 && !down[m] && !down[1 - m] && (known[m] > 0 || begun != 0) ->
		restarts--; faulted = true;
		do :: pos[MS(m, 0)] > 0 -> pos[MS(m, 0)]-- :: break od;
		do :: pos[MS(m, 1)] > 0 -> pos[MS(m, 1)]-- :: break od;
		do
		:: known[m] > 0 -> do :: known[m]--; if :: ends[known[m] + 1] != 0 -> break :: else fi od
		:: break
		od;
		d_step { restart(m) } }
	od
}

inline change(s) {
	changes--; faulted = true;
	epoch[s]++;
#ifdef M_NO_LATE_CLOSE
	since[s] = counter;
#endif
	skip
}

proctype Faults() {
end:
	do
	:: d_step { changes > 0 -> change(0) }
	:: d_step { changes > 0 && CHANGING > 1 -> change(1) }
#ifndef TRACE
	/* From now on all goes well. */
	:: d_step { changes + timeouts + drops + losses + deadlines + jumps + orderjumps + restarts > 0 ->
		changes = 0; timeouts = 0; drops = 0; losses = 0; deadlines = 0; jumps = 0; orderjumps = 0; restarts = 0 }
#endif
	od
}

/* Nothing can happen any more. */
proctype Judge() {
	timeout -> d_step {
		MUST(begun == ALL && done == ALL && queue[0] + queue[1] + queue[2] + queue[3] == 0, "broken: every write is answered\n");
		MUST(c[0] == counter && c[1] == counter, "broken: c reaches the counter\n");
		MUST(!down[0] && !down[1], "broken: who starts again serves again\n");
		skip
	}
}

init {
	atomic {
		epoch[0] = 1; tailEpoch[0] = 1; epoch[1] = 1; tailEpoch[1] = 1;
		x = 0;
		do :: x < 4 -> view[x] = 1; fenced[x] = 1; x++ :: else -> break od;
		x = 0;
		do :: x < 4 * SLOTS -> slot[x] = FREE; run Batch(MEMBER(x), SHARD(x), x, 1 - MEMBER(x)); x++ :: else -> break od;
		run Actor(0, 0, 1); run Actor(0, 1, 1); run Actor(1, 0, 0); run Actor(1, 1, 0);
		run Proposals(0, 0); run Proposals(0, 1); run Proposals(1, 0); run Proposals(1, 1);
		run Replicas(0); run Replicas(1);
		w = 0;
		do :: w < WRITES -> run Client(w); w++ :: else -> break od;
		if :: RESTARTS > 0 -> run Power(0); run Power(1) :: else fi;
		run Faults(); run Judge()
	}
}
