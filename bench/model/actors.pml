/* The rules of the actors, one step each, as the core of actors/shard has them: a member's
 * own writes (origin.go there), and its part while it leads (leader.go, ranges.go). */

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
