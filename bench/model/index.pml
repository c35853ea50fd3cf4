/*
 * The index protocol of docs/SHARDS.md, for two data shards on two members.
 *
 * Raft is taken for granted. A group is a log that anybody may append to, in any
 * order, and that each replica applies in order at its own pace. Who leads is a
 * hint: a member that leads no more goes on until it learns so, and what it sent
 * may still arrive. No promise rests on leadership, only progress does.
 *
 * There are no readers: every read is taken to happen everywhere at all times. What
 * a member could show is what a write that begins must get above, and what no
 * later event may be at or below. A watcher on / is its member's closed index c:
 * c never falls, passes only what is applied, and nothing comes at or below it later.
 *
 * Faults have budgets that need not be used up. All else comes to an end, so a
 * state in which nothing can happen must be the wanted one: see Judge.
 *
 * -DM_x breaks one rule; index_test.go says which promise has to break with it.
 */
#include "state.pml"
#include "rules.pml"

#define ASKING(x)     (slot[x] == ASK || slot[x] == ASKED)
#define ROOMY(m, s)   (!ASKING(X(m, s, 0)) && !ASKING(X(m, s, 1)) && (slot[X(m, s, 0)] == FREE || slot[X(m, s, 1)] == FREE))
#define MAYACT(m, s)  (leads[MS(m, s)] && (leader[s] == m || oldacts > 0))

/* The batch x is on its way to s, and there is no doubt about it. */
#ifdef M_NO_DOUBT
#define SENT(x, s)    (SHARD(x) == s && range[x] != 0 && slot[x] != ASKED && slot[x] != STRAYBATCH)
#else
#define SENT(x, s)    (SHARD(x) == s && (slot[x] == PROPOSED || slot[x] == LOGGED))
#endif
#ifdef M_CLOSE_OWN
#define IDLE(m, s)    true
#else
#define IDLE(m, s)    (!SENT(X(m, 0, 0), s) && !SENT(X(m, 0, 1), s) && !SENT(X(m, 1, 0), s) && !SENT(X(m, 1, 1), s))
#endif
#ifdef M_NO_LATE_CLOSE
byte since[2];      /* the counter when the shard got its leader */
#define OPEN(m, s)    (handed[MS(m, s)] > settled[MS(m, s)] && since[s] > settled[MS(m, s)])
#else
#define OPEN(m, s)    (handed[MS(m, s)] > settled[MS(m, s)])
#endif

inline act(m, s) { oldacts = (leader[s] == m -> oldacts : oldacts - 1) }

inline gather(m, s, ws) {
	act(m, s);
	x = (slot[X(m, s, 0)] == FREE -> X(m, s, 0) : X(m, s, 1));
	slot[x] = ASK;
	batch[x] = ws;
	queue[MS(m, s)] = queue[MS(m, s)] & ~batch[x];
	SAY("@gather member=%d shard=%d id=%d writes=%d\n", m, s, x, batch[x]);
	SAY("@ask member=%d shard=%d id=%d count=%d\n", m, s, x, COUNT(batch[x]))
}

/* m's actor for shard s. */
proctype Actor(byte m, s) {
end:
	do
	/* Gather what waits and ask, one ask at a time. A batch is all plain, or all POST /. */
	:: d_step { MAYACT(m, s) && ROOMY(m, s) && (queue[MS(m, s)] & ~ROOT) != 0 -> gather(m, s, queue[MS(m, s)] & ~ROOT) }
	:: d_step { MAYACT(m, s) && ROOMY(m, s) && (queue[MS(m, s)] & ROOT) != 0 -> gather(m, s, queue[MS(m, s)] & ROOT) }
	/* Close what is open, unless a batch of its own is on its way and will. */
	:: d_step { MAYACT(m, s) && OPEN(m, s) && IDLE(m, s) && closing[MS(m, s)] == 0 ->
		act(m, s); closing[MS(m, s)] = handed[MS(m, s)];
		SAY("@close member=%d shard=%d last=%d\n", m, s, closing[MS(m, s)]) }
	:: d_step { closing[MS(m, s)] != 0 && length[s] < LAG -> logClose(m, s) }
	/* Learn of another leader, and leave the rest to it. */
	:: d_step { leads[MS(m, s)] && leader[s] != m ->
		leads[MS(m, s)] = false;
		SAY("@follow member=%d shard=%d writes=%d\n", m, s, queue[MS(m, s)]);
		queue[MS(1 - m, s)] = queue[MS(1 - m, s)] | queue[MS(m, s)];
		queue[MS(m, s)] = 0;
		giveUp(m, s, X(m, s, 0)); giveUp(m, s, X(m, s, 1)) }
	od
}

/* One batch of that actor's, on its way. */
proctype Batch(byte m, s, y) {
end:
	do
	:: d_step { slot[y] == ASK || slot[y] == STRAYASK -> logAsk(y) }
	:: d_step { slot[y] == STRAYASK || slot[y] == STRAYBATCH -> release(y) }
	/* What one member proposes stays in order, unless something was lost. */
	:: d_step { (slot[y] == DOUBT || slot[y] == STRAYBATCH ||
		slot[y] == PROPOSED && !(slot[y ^ 1] == PROPOSED && range[y ^ 1] < range[y])) &&
		length[SHARD(y)] < LAG -> logBatch(y, SHARD(y)) }
	:: d_step { slot[y] == DOUBT -> slot[y] = DOUBTLOST;
		SAY("@drop member=%d shard=%d id=%d first=%d\n", m, s, y, range[y]);
		resolve(m, s, y) }
	:: d_step { timeouts > 0 && (ASKING(y) || slot[y] == PROPOSED || slot[y] == LOGGED) ->
		timeouts--; faulted = true;
		SAY("@lose member=%d shard=%d id=%d\n", m, s, y);
		giveUp(m, s, y) }
#ifdef M_LATE_JOIN
	:: d_step { slot[y] == PROPOSED && queue[MS(m, s)] != 0 && COUNT(queue[MS(m, s)]) == COUNT(batch[y]) ->
		b = batch[y]; batch[y] = queue[MS(m, s)]; queue[MS(m, s)] = b }
#endif
	od
}

proctype Replicas(byte m) {
end:
	do
	:: d_step { known[m] < counter -> applyOrder(m) }
	:: d_step { pos[MS(m, 0)] < length[0] -> apply(m, 0) }
	:: d_step { pos[MS(m, 1)] < length[1] -> apply(m, 1) }
	:: d_step { jumps > 0 && pos[MS(m, 0)] < length[0] -> jumps--; faulted = true; jump(m, 0) }
	:: d_step { jumps > 0 && pos[MS(m, 1)] < length[1] -> jumps--; faulted = true; jump(m, 1) }
	:: d_step { orderjumps > 0 && known[m] < counter -> orderjumps--; faulted = true; jumpOrder(m, counter) }
	:: d_step { orderjumps > 0 && (OPEN(m, 0) || OPEN(m, 1)) -> orderjumps--; jumpOrder(m, known[m]) }
	od
}

inline begin(w, m, s) {
	begun = begun | BIT(w);
	queue[MS(m, s)] = queue[MS(m, s)] | BIT(w);
	floor[w] = (shown[0] > shown[1] -> shown[0] : shown[1]);
	SAY("@write member=%d shard=%d writes=%d home=%d above=%d\n", m, s, BIT(w), HOME(w), floor[w])
}

#define MAYGO(y, m, s) ((ROOT & BIT(y) || IN(y) == s) && leads[MS(m, s)] && !down[HOME(y)])

/* A client sends its write to its member, which sends it on to one that takes itself for the leader. */
proctype Client(byte y) {
	if
	:: d_step { MAYGO(y, 0, 0) -> begin(y, 0, 0) }
	:: d_step { MAYGO(y, 0, 1) -> begin(y, 0, 1) }
	:: d_step { MAYGO(y, 1, 0) -> begin(y, 1, 0) }
	:: d_step { MAYGO(y, 1, 1) -> begin(y, 1, 1) }
	fi
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
	leader[s] = 1 - leader[s];
	leads[MS(leader[s], s)] = true;
	SAY("@lead member=%d shard=%d\n", leader[s], s);
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
	/* From now on all goes well. A trace is to show the faults. */
	:: d_step { changes + oldacts + timeouts + jumps + orderjumps + restarts > 0 ->
		changes = 0; oldacts = 0; timeouts = 0; jumps = 0; orderjumps = 0; restarts = 0 }
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
		leads[MS(0, 0)] = true;
		leader[1] = 1; leads[MS(1, 1)] = true;
		x = 0;
		do
		:: x < 8 ->
			slot[x] = FREE;
#ifdef M_ROOT_INDEX_FIRST
			shardOf[x] = (x / 2) % 2;
#endif
			run Batch(MEMBER(x), (x / 2) % 2, x); x++
		:: else -> break
		od;
		run Actor(0, 0); run Actor(0, 1); run Actor(1, 0); run Actor(1, 1);
		run Replicas(0); run Replicas(1);
		w = 0;
		do :: w < WRITES -> run Client(w); w++ :: else -> break od;
		if :: RESTARTS > 0 -> run Power(0); run Power(1) :: else fi;
		run Faults(); run Judge()
	}
}
