/* The protocol's rules, one step each, and the promises they keep (MUST). */

/* n = the end of the range from f on that has room for the writes ws in shard s. The
 * name that a POST / makes of its index has to belong to s. */
inline room(f, ws, s) {
	n = f + COUNT(ws) - 1;
	do :: (ws & ROOT) != 0 && PLACE(n) != s -> n++ :: else -> break od;
	skip
}

/* ---- what a member shows ---- */

/* The index of a read in shard s. */
#ifdef M_LAST_FROM_COUNTER
#define REPORT(m, s) known[m]
#else
#define REPORT(m, s) (settled[MS(m, s)] > c[m] -> settled[MS(m, s)] : c[m])
#endif

inline atmost(a) { if :: v > (a) -> v = (a) :: else fi }

inline belowMerged(m, s) {
	if
	:: mergedLast[MS(m, s)] > settled[MS(m, s)] -> atmost(mergedFirst[MS(m, s)] - 1)
	:: else -> mergedFirst[MS(m, s)] = 0; mergedLast[MS(m, s)] = 0
	fi
}

inline belowSettled(m, s) {
	if :: handed[MS(m, s)] > settled[MS(m, s)] -> atmost(settled[MS(m, s)]) :: else fi
}

/* v = the closed index by what m knows: below the first open range of any shard. */
inline closed(m) {
	v = known[m];
#if defined(M_WATCH_TO_COUNTER)
#elif defined(M_WITHOUT_RANGES)
	belowSettled(m, 0); belowSettled(m, 1);
#else
	belowMerged(m, 0); belowMerged(m, 1);
	i = exact[m] + 1;
	do
	:: i <= known[m] && (own[i] == 0 || settled[MS(m, own[i] - 1)] >= i) -> i++
	:: else -> break
	od;
	if :: i <= known[m] -> atmost(i - 1) :: else fi;
#endif
	skip
}

/* m has learned something: its c moves, and what it shows. */
inline learn(m) {
	closed(m);
	MUST(v >= c[m], "broken: c never falls\n");
	c[m] = v;
	display(m)
}

inline display(m) {
	i = 1;
	do
	:: i <= c[m] ->
		MUST(own[i] == 0 || settled[MS(m, own[i] - 1)] >= i, "broken: c passes nothing that is not applied\n");
		i++
	:: else -> break
	od;
	if
	:: down[m] && c[m] >= gate[m] ->
		MUST(c[m] >= shown[m], "broken: nothing falls in a restart\n");
		down[m] = false; gate[m] = 0
	:: else
	fi;
	if :: !down[m] && REPORT(m, 0) > shown[m] -> shown[m] = REPORT(m, 0) :: else fi;
	if :: !down[m] && REPORT(m, 1) > shown[m] -> shown[m] = REPORT(m, 1) :: else fi;
	forget()
}

/* What all have applied is of no interest any more; without it there are fewer states. */
inline forget() {
#if RESTARTS == 0
	i = 1;
	do
	:: i > counter -> break
	:: else ->
		if
		:: own[i] != 0 && known[0] >= i && known[1] >= i &&
		   settled[MS(0, own[i] - 1)] >= i && settled[MS(1, own[i] - 1)] >= i -> own[i] = 0; ends[i] = 0
		:: else
		fi;
		i++
	od;
	shift(0); shift(1);
#endif
	skip
}

inline shift(s) {
	do
	:: pos[MS(0, s)] > 0 && pos[MS(1, s)] > 0 ->
		e = s * LAG;
		do
		:: e < s * LAG + LAG - 1 ->
			from[e] = from[e + 1]; inEpoch[e] = inEpoch[e + 1]; after[e] = after[e + 1];
			wrote[e] = wrote[e + 1]; stale[e] = stale[e + 1]; e++
		:: else -> break
		od;
		from[e] = 0; inEpoch[e] = 0; after[e] = 0; wrote[e] = 0; stale[e] = false;
		length[s]--; pos[MS(0, s)]--; pos[MS(1, s)]--
	:: else -> break
	od;
	skip
}

/* ---- every member: its clients' writes ---- */

/* The writes ws of m, which were under way, are to be sent again: they aren't applied,
 * and won't be. */
inline putBack(m, s, ws) {
	MUST(ws == 0 || faulted, "broken: without a fault nothing is asked for twice\n");
	queue[MS(m, s)] = queue[MS(m, s)] | (ws);
	unsend(ws)
}

inline unsend(ws) {
	r = 0;
	do
	:: r == WRITES -> break
	:: else -> if :: ((ws) & BIT(r)) != 0 -> sentIn[r] = 0; sentAs[r] = 0 :: else fi; r++
	od;
	skip
}

/* u = the writes of m that are under way to s, sent in an epoch below that or in it. */
inline underWay(m, s, below, at) {
	u = 0; r = 0;
	do
	:: r == WRITES -> break
	:: else -> u = (HOME(r) == m && IN(r) == s && sentIn[r] != 0 && (sentIn[r] < below || sentIn[r] == at) -> u | BIT(r) : u); r++
	od;
	skip
}

inline answer(m, s, ws) { done = done | (ws); unsend(ws) }

/* m submits what waits to the leader, another member, that it knows of. */
inline submit(m, s) {
	x = FIRSTX(m, s);
	do :: flying[x] != 0 -> x++ :: else -> break od;
	number[MS(m, s)]++;
	MUST(number[MS(m, s)] < NUMBERS, "broken: sending comes to an end\n");
	base[MS(m, s)] = (base[MS(m, s)] == 0 -> number[MS(m, s)] : base[MS(m, s)]);
	flying[x] = number[MS(m, s)]; flyIn[x] = view[MS(m, s)]; flyBase[x] = base[MS(m, s)]; flyWrites[x] = queue[MS(m, s)];
	r = 0;
	do
	:: r == WRITES -> break
	:: else -> if :: (flyWrites[x] & BIT(r)) != 0 -> sentIn[r] = view[MS(m, s)]; sentAs[r] = number[MS(m, s)] :: else fi; r++
	od;
	queue[MS(m, s)] = 0; pause[MS(m, s)] = false;
	SAY("%d %d < submit %d %d %d %d\n", m, s, flying[x], flyBase[x], flyIn[x], flyWrites[x])
}

/* m takes back what the leader has refused. */
inline takeBack(m, s) {
	SAY("%d %d > refusals %d\n", m, s, refusals[MS(m, s)]);
	refusedOf(m, s);
	pause[MS(m, s)] = (u != 0 -> true : pause[MS(m, s)]);
	putBack(m, s, u);
	refusals[MS(m, s)] = 0
}

/* u = the writes of m under way whose submissions are among the refused. */
inline refusedOf(m, s) {
	u = 0; r = 0;
	do
	:: r == WRITES -> break
	:: else -> u = (HOME(r) == m && IN(r) == s && sentAs[r] != 0 && (refusals[MS(m, s)] & BIT(sentAs[r])) != 0 -> u | BIT(r) : u); r++
	od;
	skip
}

/* ---- the leader: what it takes in, and gives back ---- */

/* m refuses the writes ws that it holds: it promises never to propose them. Its own
 * go back at once. */
inline refuse(m, s, ws) {
	w = 0; n = 0; u = 0;
	do
	:: w == WRITES -> break
	:: else ->
		if
		:: ((ws) & BIT(w)) == 0
		:: ((ws) & BIT(w)) != 0 && HOME(w) == m -> u = (sentIn[w] == view[MS(m, s)] -> u | BIT(w) : u)
		:: ((ws) & BIT(w)) != 0 && HOME(w) != m -> n = n | BIT(heldAs[MW(m, w)]); heldAs[MW(m, w)] = 0
		fi;
		w++
	od;
	refuseNumbers(m, s, n);
	pause[MS(m, s)] = (u != 0 -> true : pause[MS(m, s)]);
	putBack(m, s, u)
}

inline refuseNumbers(m, s, ns) {
	refusals[MS(1 - m, s)] = refusals[MS(1 - m, s)] | (ns);
	if :: (ns) != 0 -> SAY("%d %d < refuse %d\n", m, s, ns) :: else fi
}

/* The submission x arrives at m. Numbers that are missing before it are refused. */
inline accept(m, s, x) {
	SAY("%d %d > submission %d %d %d %d\n", m, s, flying[x], flyBase[x], flyIn[x], flyWrites[x]);
#ifdef M_ANY_EPOCH
	if
	:: !LEADS(m, s) ->
#else
	if
	:: view[MS(m, s)] != flyIn[x] ->
#endif
		refuseNumbers(m, s, BIT(flying[x]))
	:: else ->
		v = (seen[MS(m, s)] == 0 -> flyBase[x] - 1 : seen[MS(m, s)]);
		if
#ifdef M_TAKE_REFUSED
		:: flying[x] <= v -> take(m, s, x)
#else
		:: flying[x] <= v /* refused already */
#endif
		:: else ->
			refuseNumbers(m, s, BIT(flying[x]) - BIT(v + 1));
			seen[MS(m, s)] = flying[x];
			take(m, s, x)
		fi
	fi;
	land(x)
}

inline take(m, s, x) {
	inbox[MS(m, s)] = inbox[MS(m, s)] | flyWrites[x];
	w = 0;
	do :: w == WRITES -> break :: else -> heldAs[MW(m, w)] = ((flyWrites[x] & BIT(w)) != 0 -> flying[x] : heldAs[MW(m, w)]); w++ od;
	skip
}

inline land(x) { flying[x] = 0; flyIn[x] = 0; flyBase[x] = 0; flyWrites[x] = 0; flyLate[x] = false }

/* A number of the other member that m, the leader, hasn't seen. */
#define MISSING(m, s) ((seen[MS(m, s)] == 0 -> base[MS(1 - m, s)] - 1 : seen[MS(m, s)]) < number[MS(1 - m, s)])

/* m waits for long, and submits nothing: what the leader, l, misses before it is refused. */
inline probe(m, s, l) {
	SAY("%d %d > overdue\n", m, s);
	number[MS(m, s)]++;
	SAY("%d %d < submit %d %d %d 0\n", m, s, number[MS(m, s)], base[MS(m, s)], view[MS(m, s)]);
	SAY("%d %d > submission %d %d %d 0\n", l, s, number[MS(m, s)], base[MS(m, s)], view[MS(m, s)]);
	v = (seen[MS(l, s)] == 0 -> base[MS(m, s)] - 1 : seen[MS(l, s)]);
	refuseNumbers(l, s, BIT(number[MS(m, s)]) - BIT(v + 1));
	seen[MS(l, s)] = number[MS(m, s)]
}

/* ---- the leader: its batches ---- */

inline release(x) {
	if :: slot[x] != STRAY && slot[x] != STRAYASK -> unhold(x) :: else fi;
	slot[x] = FREE; range[x] = 0; batch[x] = 0; led[x] = 0; late[x] = false
}

/* What is proposed is never refused: the number is of no interest any more. */
inline unhold(x) {
	w = 0;
	do :: w == WRITES -> break :: else -> heldAs[MW(MEMBER(x), w)] = ((batch[x] & BIT(w)) != 0 -> 0 : heldAs[MW(MEMBER(x), w)]); w++ od;
	skip
}

/* m gathers the writes ws, of its inbox and its own clients, for the batch x. */
inline gather(m, s, ws) {
	x = FIRSTX(m, s);
	do :: slot[x] != FREE -> x++ :: else -> break od;
	batch[x] = ws; led[x] = view[MS(m, s)];
	w = 0;
	do
	:: w == WRITES -> break
	:: else -> sentIn[w] = ((queue[MS(m, s)] & batch[x] & BIT(w)) != 0 -> view[MS(m, s)] : sentIn[w]); w++
	od;
	inbox[MS(m, s)] = inbox[MS(m, s)] & ~batch[x];
	queue[MS(m, s)] = queue[MS(m, s)] & ~batch[x];
	pause[MS(m, s)] = false;
#ifdef DENSE
	slot[x] = PROPOSED;
	SAY("%d %d < propose %d %d %d 0 0\n", m, s, led[x], x, batch[x])
#else
	slot[x] = ASK;
	SAY("%d %d < ask %d\n", m, s, COUNT(batch[x]))
#endif
}

/* m waits no longer for its ask x: nothing of it was proposed, so it may ask again. */
inline askAgain(m, s, x) {
	MUST(faulted, "broken: without a fault nothing is asked for twice\n");
	SAY("%d %d > asklost\n", m, s);
	inbox[MS(m, s)] = inbox[MS(m, s)] | batch[x];
	if
	:: slot[x] == ASK -> slot[x] = STRAYASK
	:: else -> asker[range[x]] = 0; batch[x] = 0; release(x)
	fi
}

/* m leads no more: what isn't proposed is refused, and the rest forgotten. */
inline resign(m, s) {
	refuse(m, s, inbox[MS(m, s)]); inbox[MS(m, s)] = 0;
	x = FIRSTX(m, s);
	do
	:: x > LASTX(m, s) -> break
	:: else ->
		if
		:: slot[x] == ASK -> refuse(m, s, batch[x]); slot[x] = STRAYASK
		:: slot[x] == ASKED -> refuse(m, s, batch[x]); asker[range[x]] = 0; release(x)
		:: slot[x] == UNSENT -> refuse(m, s, batch[x]); release(x)
#ifdef M_REFUSE_PROPOSED
		:: slot[x] == PROPOSED -> refuse(m, s, batch[x]); slot[x] = STRAY
#else
		:: slot[x] == PROPOSED -> unhold(x); slot[x] = STRAY
#endif
		:: slot[x] == LOGGED -> release(x)
		:: else
		fi;
		x++
	od;
	skip
}

/* m learns who leads. A new leader begins with an empty batch. */
inline follow(m, s) {
	SAY("%d %d > lead %d %d\n", m, s, LEADER(s, epoch[s]), epoch[s]);
	if :: LEADS(m, s) -> resign(m, s) :: else fi;
	view[MS(m, s)] = epoch[s];
	base[MS(m, s)] = 0; seen[MS(m, s)] = 0; pause[MS(m, s)] = false;
#ifdef M_RESEND_UNFENCED
	underWay(m, s, view[MS(m, s)], 0);
	putBack(m, s, u);
#endif
#ifndef M_NO_FENCE
	if
	:: LEADS(m, s) -> fence[MS(m, s)] = view[MS(m, s)]; SAY("%d %d < propose %d fence\n", m, s, view[MS(m, s)])
	:: else
	fi;
#endif
	skip
}

/* m closes what was handed out. */
inline close(m, s) {
	closing[MS(m, s)] = handed[MS(m, s)]; closeIn[MS(m, s)] = view[MS(m, s)];
	SAY("%d %d < propose %d close %d\n", m, s, view[MS(m, s)], closing[MS(m, s)])
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
