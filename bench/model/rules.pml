/* The rules of logs and replicas, one step each, and the promises they keep (MUST). */

/* n = the end of the range from f on that has room for the writes ws in shard s. The
 * name that a POST / makes of its index has to belong to s. */
inline room(f, ws, s) {
	n = f + COUNT(ws) - 1;
	do :: (ws & ROOT) != 0 && PLACE(n) != s -> n++ :: else -> break od;
	skip
}

/* ---- what the logs take ---- */

inline log(s, f, ep, a, ws, st) {
	e = s * LAG + length[s];
	from[e] = f; inEpoch[e] = ep; after[e] = a; wrote[e] = ws; stale[e] = st;
	length[s]++;
	SAY("log %d: from %d in %d, settled %d, writes %d, stale %d\n", s, f, ep, a, ws, st)
}

inline enter(s, ep) { tailEpoch[s] = (ep > tailEpoch[s] -> ep : tailEpoch[s]) }

#ifdef M_NO_EPOCH_CHECK
#define OLD(s, ep) false
#else
#define OLD(s, ep) (ep < tailEpoch[s])
#endif
#if defined(M_NO_STALE_CHECK) || defined(DENSE)
#define SETTLED(s, f) false
#else
#define SETTLED(s, f) (f <= tail[s])
#endif

/* The order shard hands out a range for the batch x. */
inline logAsk(x) {
	o = SHARD(x);
	i = counter + 1;
	room(i, batch[x], o);
	MUST(n <= INDEXES, "broken: asking comes to an end\n");
	ends[i] = n;
	if
	:: slot[x] == ASK -> slot[x] = ASKED; range[x] = i; asker[i] = 1 + x
	:: else -> release(x)
	fi;
	do :: i <= n -> own[i] = 1 + o; i++ :: else -> break od;
	counter = n
}

/* The batch x takes effect in s, with indexes from i to n at most. */
inline effect(x, s) {
	MUST(i > c[0] && i > c[1], "broken: a watcher on / has passed nothing that is still to come\n");
	MUST(i > REPORT(0, s) && i > REPORT(1, s), "broken: no event comes at or below an index that its shard showed\n");
	w = 0;
	do
	:: w == WRITES -> break
	:: w < WRITES && (batch[x] & BIT(w)) == 0 -> w++
	:: w < WRITES && (batch[x] & BIT(w)) != 0 ->
		MUST((applied & BIT(w)) == 0, "broken: no write is applied twice\n");
		applied = applied | BIT(w);
		do :: (ROOT & BIT(w)) != 0 && PLACE(i) != s -> i++ :: else -> break od;
		if
		:: (FAILS & BIT(w)) != 0 ->
			MUST(i - 1 >= floor[w], "broken: a refused write shows no less than was shown before\n")
		:: else ->
			MUST(i > floor[w], "broken: a write gets more than was shown before\n");
			MUST(i > used[s], "broken: indexes grow in a shard\n");
#ifndef DENSE
			MUST(i <= n && own[i] == 1 + s, "broken: an index is used where it was handed to\n");
#endif
			used[s] = i; i++
		fi;
		floor[w] = 0; w++
	od;
	skip
}

/* The log of s takes the batch x; the state machine refuses it if it is stale. */
inline logBatch(x, s) {
	v = (OLD(s, led[x]) || SETTLED(s, range[x]));
	if
	:: v
	:: else ->
#ifdef DENSE
		i = tail[s] + 1; n = i - 1 + COUNT(batch[x] & ~FAILS);
#else
		i = range[x]; n = ends[i];
#endif
		effect(x, s);
		tail[s] = n
	fi;
	underWay(MEMBER(x), s, 0, led[x]); b = u;
	underWay(1 - MEMBER(x), s, 0, led[x]); b = b | u;
	if
	:: v && slot[x] == STRAY && (batch[x] & b) == 0 && led[x] <= tailEpoch[s] /* nothing comes of it, and nobody waits for it */
	:: else -> enter(s, led[x]); log(s, 1 + x, led[x], tail[s], batch[x], v)
	fi;
	if
	:: slot[x] == PROPOSED -> slot[x] = LOGGED
	:: else -> release(x)
	fi
}

/* It takes the fence of m, which changes nothing if it is late. */
inline logFence(m, s) {
	if
	:: !OLD(s, fence[MS(m, s)]) -> enter(s, fence[MS(m, s)]); log(s, 0, fence[MS(m, s)], tail[s], 0, false)
	:: else
	fi;
	fence[MS(m, s)] = 0
}

#define CLOSER(m, s) (1 + 4 * SLOTS + MS(m, s))

/* It takes m's Close. */
inline logClose(m, s) {
	v = (OLD(s, closeIn[MS(m, s)]));
#ifdef M_CLOSE_LOWERS
	tail[s] = (v -> tail[s] : closing[MS(m, s)]);
#else
	v = v || closing[MS(m, s)] <= tail[s];
	tail[s] = (v -> tail[s] : closing[MS(m, s)]);
#endif
	if
#ifndef TRACE
	:: v -> closing[MS(m, s)] = 0; closeIn[MS(m, s)] = 0    /* it changes nothing */
#endif
	:: else -> enter(s, closeIn[MS(m, s)]); log(s, CLOSER(m, s), closeIn[MS(m, s)], tail[s], 0, v); closeLogged[MS(m, s)] = true
	fi
}

/* ---- what the replicas apply ---- */

#define TAKES(m, j) (asker[i] == 0 && own[i] == 1 && slot[X(m, 0, j)] == ASK && ends[i] - i + 1 == COUNT(batch[X(m, 0, j)]))

/* The range from i on is for the batch x, which is proposed; unless all its writers have been answered. */
inline grant(x) {
	slot[x] = PROPOSED; range[x] = i;
	if
	:: batch[x] == 0 -> release(x)
	:: else -> SAY("%d %d < propose %d %d %d %d %d\n", MEMBER(x), SHARD(x), led[x], x, batch[x], i, ends[i])
	fi
}

/* m's replica of the order shard applies the next range; that answers the ask for it. */
inline applyOrder(m) {
	i = known[m] + 1;
	known[m] = ends[i];
	handed[MS(m, own[i] - 1)] = ends[i];
	x = (asker[i] == 0 -> 4 * SLOTS : asker[i] - 1);
	SAY("%d %d > handed %d %d %d\n", m, own[i] - 1, i, ends[i], MEMBER(x) == m);
	if
	:: MEMBER(x) == m -> asker[i] = 0; grant(x)
#ifdef M_ANSWER_BY_SHARD
	:: TAKES(m, 0) -> x = X(m, 0, 0); grant(x)
	:: TAKES(m, 1) -> x = X(m, 0, 1); grant(x)
#endif
	:: else
	fi;
	learn(m)
}

inline next(m, s) {
	e = s * LAG + pos[MS(m, s)];
	pos[MS(m, s)]++;
	settled[MS(m, s)] = after[e];
	fenced[MS(m, s)] = (inEpoch[e] > fenced[MS(m, s)] -> inEpoch[e] : fenced[MS(m, s)])
}

/* m's replica has applied a batch of a later epoch than the one whose leader m knows: it knows none. */
inline outrun(m, s) {
#ifndef M_FOLLOW_THE_OUTRUN
	if
	:: fenced[MS(m, s)] > view[MS(m, s)] && view[MS(m, s)] != 0 ->
		if :: LEADS(m, s) -> resign(m, s) :: else fi;
		view[MS(m, s)] = 0
	:: else
	fi;
#endif
	skip
}

/* m's replica of s applies the next entry. m answers its clients, and sends again what
 * was refused, or can't be applied any more. A leader forgets its batch. */
inline apply(m, s) {
	next(m, s);
	SAY("%d %d > applied %d %d %d %d %d\n", m, s, fenced[MS(m, s)], settled[MS(m, s)], from[e], inEpoch[e], stale[e]);
	outrun(m, s);
	underWay(m, s, 0, inEpoch[e]); b = u & wrote[e];
	if
	:: b != 0 && !stale[e] -> answer(m, s, b); SAY("%d %d < answer %d\n", m, s, b)
	:: b != 0 && stale[e] -> putBack(m, s, b)
	:: else
	fi;
	underWay(m, s, fenced[MS(m, s)], 0);
	putBack(m, s, u);
	x = (from[e] == 0 || from[e] > 4 * SLOTS -> 4 * SLOTS : from[e] - 1);
	if
	:: from[e] == CLOSER(m, s) && closeLogged[MS(m, s)] && closeIn[MS(m, s)] == inEpoch[e] -> closeOver(m, s)
	:: MEMBER(x) == m && slot[x] == LOGGED && led[x] == inEpoch[e] -> release(x)
	:: else
	fi;
	learn(m)
}

inline closeOver(m, s) { closing[MS(m, s)] = 0; closeIn[MS(m, s)] = 0; closeLogged[MS(m, s)] = false }

/* A snapshot takes m's replica of s to the end of the log. What became of its clients'
 * writes nobody can know: so says the answer. */
inline jump(m, s) {
	do :: pos[MS(m, s)] < length[s] -> next(m, s) :: else -> break od;
	SAY("%d %d > jumped %d %d\n", m, s, fenced[MS(m, s)], settled[MS(m, s)]);
	outrun(m, s);
	underWay(m, s, fenced[MS(m, s)], fenced[MS(m, s)]);
#ifdef M_RESEND_AFTER_JUMP
	putBack(m, s, u);
#else
	answer(m, s, u);
	if :: u != 0 -> SAY("%d %d < unknown %d\n", m, s, u) :: else fi;
#endif
	x = FIRSTX(m, s);
	do
	:: x > LASTX(m, s) -> break
	:: else ->
		if
		:: slot[x] == LOGGED -> release(x)
		:: slot[x] == PROPOSED -> unhold(x); slot[x] = STRAY
		:: else
		fi;
		x++
	od;
	if :: closeLogged[MS(m, s)] -> closeOver(m, s) :: else fi;
	learn(m)
}

/* Of the open ranges of s, those up to its counter, m remembers only where the first may start: the
 * first that it knew, or anywhere above the counter v that it had. */
inline merge(m, s) {
	if
	:: handed[MS(m, s)] > settled[MS(m, s)] ->
		if
		:: mergedLast[MS(m, s)] > settled[MS(m, s)]
		:: else ->
			i = exact[m] + 1;
			do :: i <= v && (own[i] != 1 + s || settled[MS(m, s)] >= i) -> i++ :: else -> break od;
			mergedFirst[MS(m, s)] = i
		fi;
		mergedLast[MS(m, s)] = handed[MS(m, s)]
	:: else
	fi
}

/* A snapshot takes m's replica of the order shard to the counter new. Answers that it
 * went past count as lost. */
inline jumpOrder(m, new) {
	v = known[m];
	i = v + 1;
	do :: i <= new -> handed[MS(m, own[i] - 1)] = i; i++ :: else -> break od;
	known[m] = new;
#ifndef M_SNAPSHOT_FORGETS
	merge(m, 0); merge(m, 1);
#endif
	exact[m] = new;
	pass(m, 0); pass(m, 1);
	SAY("%d 0 > handed 0 %d 0\n", m, handed[MS(m, 0)]);
	SAY("%d 1 > handed 0 %d 0\n", m, handed[MS(m, 1)]);
	learn(m)
}

inline pass(m, s) {
	x = FIRSTX(m, s);
	do
	:: x > LASTX(m, s) -> break
	:: else -> if :: slot[x] == ASKED && range[x] <= known[m] -> askAgain(m, s, x) :: else fi; x++
	od;
	skip
}

/* ---- death and return ---- */

inline reopen(m, s) {
	if
	:: LEADER(s, epoch[s]) == m -> epoch[s]++
	:: else
	fi;
	view[MS(m, s)] = 0; base[MS(m, s)] = 0; seen[MS(m, s)] = 0; pause[MS(m, s)] = false;
	queue[MS(m, s)] = 0; inbox[MS(m, s)] = 0; refusals[MS(m, s)] = 0;
	settled[MS(m, s)] = (pos[MS(m, s)] == 0 -> 0 : after[s * LAG + pos[MS(m, s)] - 1]);
	fenced[MS(m, s)] = 1;
	e = s * LAG;
	do
	:: e < s * LAG + pos[MS(m, s)] -> fenced[MS(m, s)] = (inEpoch[e] > fenced[MS(m, s)] -> inEpoch[e] : fenced[MS(m, s)]); e++
	:: else -> break
	od;
	handed[MS(m, s)] = 0;
	i = 1;
	do :: i <= known[m] -> handed[MS(m, s)] = (own[i] == 1 + s -> i : handed[MS(m, s)]); i++ :: else -> break od;
	mergedFirst[MS(m, s)] = settled[MS(m, s)] + 1;
	mergedLast[MS(m, s)] = handed[MS(m, s)];
	if :: closeLogged[MS(m, s)] -> closeOver(m, s) :: else fi;
	x = FIRSTX(m, s);
	do
	:: x > LASTX(m, s) -> break
	:: else ->
		if
		:: slot[x] == ASK -> slot[x] = STRAYASK
		:: slot[x] == PROPOSED -> slot[x] = STRAY
		:: slot[x] == ASKED -> asker[range[x]] = 0; release(x)
		:: slot[x] == UNSENT || slot[x] == LOGGED -> release(x)
		:: else
		fi;
		x++
	od;
	skip
}

/* m comes back with its replicas where pos and known say. What its actors held is gone, its
 * clients don't learn what became of their writes, and it waits at the gate. */
inline restart(m) {
	b = begun & OF(m);
	answer(m, 0, b);
	w = 0;
	do :: w == WRITES -> break :: else -> heldAs[MW(m, w)] = 0; w++ od;
	reopen(m, 0); reopen(m, 1);
	exact[m] = known[m];
#ifdef M_NO_GATE
	learn(m)
#else
	gate[m] = counter; down[m] = true;
	closed(m); c[m] = v;
	display(m)
#endif
}
