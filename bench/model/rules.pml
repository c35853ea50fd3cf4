/* The protocol's rules, one step each, and the promises they keep (MUST). */

/* n = the end of the range from f on that has room for the writes ws in shard s. The
 * name that a POST / makes of its index has to belong to s. */
inline room(f, ws, s) {
	n = f + COUNT(ws) - 1;
	do :: (ws & ROOT) != 0 && PLACE(n) != s -> n++ :: else -> break od
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
	if :: v > c[m] -> SAY("@index member=%d last=%d\n", m, v) :: else fi;
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
		:: e < s * LAG + LAG - 1 -> first[e] = first[e + 1]; after[e] = after[e + 1]; wrote[e] = wrote[e + 1]; e++
		:: else -> break
		od;
		first[e] = 0; after[e] = 0; wrote[e] = 0;
		length[s]--; pos[MS(0, s)]--; pos[MS(1, s)]--
	:: else -> break
	od
}

/* ---- what the logs take ---- */

inline release(x) { slot[x] = FREE; range[x] = 0; batch[x] = 0 }

inline log(s, f, a, ws) {
	e = s * LAG + length[s];
	first[e] = f; after[e] = a; wrote[e] = ws;
	length[s]++
}

/* The order shard hands out a range for the batch x. */
inline logAsk(x) {
	o = SHARD(x);
#ifdef M_ROOT_INDEX_FIRST
	if :: (batch[x] & ROOT) != 0 -> o = PLACE(counter + 1); shardOf[x] = o :: else fi;
#endif
	i = counter + 1;
	room(i, batch[x], o);
	MUST(n <= INDEXES, "broken: asking comes to an end\n");
	ends[i] = n;
	SAY("@grant shard=%d id=%d first=%d last=%d\n", o, (slot[x] == ASK -> x : -1), i, n);
	if
	:: slot[x] == ASK -> slot[x] = ASKED; range[x] = i; asker[i] = 1 + x
	:: else -> release(x)
	fi;
	do :: i <= n -> own[i] = 1 + o; i++ :: else -> break od;
	counter = n
}

/* The batch x takes effect in s, and uses indexes from its first to n at most. */
inline effect(x, s) {
	i = range[x];
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
			MUST(i <= n && own[i] == 1 + s, "broken: an index is used where it was handed to\n");
			used[s] = i; i++
		fi;
		floor[w] = 0; w++
	od
}

/* The log of s takes the batch x; the state machine refuses it if it is stale. */
inline logBatch(x, s) {
	room(range[x], batch[x], s);
	b = 0;
#ifdef M_NO_STALE_CHECK
	effect(x, s); b = batch[x]; tail[s] = n;
#else
	if :: range[x] > tail[s] -> effect(x, s); b = batch[x]; tail[s] = n :: else fi;
#endif
	if
	:: b == 0 && slot[x] == STRAYBATCH  /* nothing comes of it, and nobody waits for it */
	:: else -> log(s, range[x], tail[s], b)
	fi;
	SAY("@log shard=%d id=%d first=%d last=%d writes=%d\n", s, x, range[x], (b == 0 -> 0 : tail[s]), b);
	if
	:: slot[x] == PROPOSED -> slot[x] = LOGGED
	:: slot[x] == DOUBT -> slot[x] = DOUBTLOGGED
	:: else -> release(x)
	fi
}

/* The log of s takes m's Close. */
inline logClose(m, s) {
	SAY("@log shard=%d id=-1 first=0 last=%d writes=0\n", s, closing[MS(m, s)]);
	if
#ifdef M_CLOSE_LOWERS
	:: true -> tail[s] = closing[MS(m, s)]; log(s, 0, tail[s], 0)
#else
	:: closing[MS(m, s)] > tail[s] -> tail[s] = closing[MS(m, s)]; log(s, 0, tail[s], 0)
	:: else /* it changes nothing */
#endif
	fi;
	closing[MS(m, s)] = 0
}

/* ---- what becomes of a batch ---- */

/* The writes of x can't be applied any more by what was proposed so far: they go to
 * whoever leads, to be asked for again. */
inline again(m, s, x) {
	MUST(faulted, "broken: without a fault nothing is asked for twice\n");
	to = (leads[MS(m, s)] -> m : leader[s]);
	SAY("@again member=%d shard=%d id=%d writes=%d to=%d\n", m, s, x, batch[x], to);
	queue[MS(to, s)] = queue[MS(to, s)] | batch[x]
}

/* The range is settled, and the batch wasn't among what m applied, entry by entry: it
 * will be refused, if it comes at all. */
inline resolve(m, s, x) {
	if
	:: range[x] <= settled[MS(m, s)] && slot[x] == DOUBT -> again(m, s, x); slot[x] = STRAYBATCH
	:: range[x] <= settled[MS(m, s)] && (slot[x] == DOUBTLOGGED || slot[x] == DOUBTLOST) -> again(m, s, x); release(x)
	:: else
	fi
}

/* m has applied an entry of s: the batch that starts at f, with the writes b (0: refused), or a
 * Close (f is 0). */
inline settle(m, s, x) {
	if
	:: SHARD(x) != s
	:: SHARD(x) == s && range[x] == f && (slot[x] == LOGGED || slot[x] == DOUBTLOGGED) ->
		if :: b == 0 -> again(m, s, x) :: else fi;
		release(x)
	:: else -> resolve(m, s, x)
	fi
}

/* A snapshot took m past the outcome of x. Nobody can know it: so says the answer. */
inline pass(m, s, x) {
	if
	:: SHARD(x) == s && range[x] != 0 && range[x] <= settled[MS(m, s)] && slot[x] != ASKED ->
#ifdef M_RETRY_AFTER_SNAPSHOT
		again(m, s, x);
#else
		done = done | batch[x];
		SAY("@unknown member=%d shard=%d id=%d writes=%d\n", m, s, x, batch[x]);
#endif
		if
		:: slot[x] == PROPOSED || slot[x] == DOUBT || slot[x] == STRAYBATCH -> slot[x] = STRAYBATCH
		:: else -> release(x)
		fi
	:: else
	fi
}

inline doubt(m, s, x) {
	SAY("@doubt member=%d shard=%d id=%d first=%d\n", m, s, x, range[x]);
	resolve(m, s, x)
}

/* m waits no longer for x. Before the batch is proposed, that is safe. */
inline giveUp(m, s, x) {
	if
	:: slot[x] == ASK -> again(m, s, x); slot[x] = STRAYASK
	:: slot[x] == ASKED -> again(m, s, x); asker[range[x]] = 0; release(x)
#ifdef M_RETRY_UNKNOWN
	:: slot[x] == PROPOSED -> again(m, s, x); slot[x] = STRAYBATCH
#else
	:: slot[x] == PROPOSED -> slot[x] = DOUBT; doubt(m, s, x)
#endif
	:: slot[x] == LOGGED -> slot[x] = DOUBTLOGGED; doubt(m, s, x)
	:: else
	fi
}

/* ---- what the replicas apply ---- */

#define TAKES(m, j) (asker[i] == 0 && own[i] == 1 && slot[X(m, 0, j)] == ASK && ends[i] - i + 1 == COUNT(batch[X(m, 0, j)]))

/* m's replica of the order shard applies the next range; that answers the ask for it. */
inline applyOrder(m) {
	i = known[m] + 1;
	known[m] = ends[i];
	handed[MS(m, own[i] - 1)] = ends[i];
	SAY("@order member=%d shard=%d first=%d last=%d\n", m, own[i] - 1, i, ends[i]);
	if
	:: asker[i] != 0 && MEMBER(asker[i] - 1) == m ->
		SAY("@propose member=%d shard=%d id=%d first=%d last=%d\n", m, own[i] - 1, asker[i] - 1, i, ends[i]);
		slot[asker[i] - 1] = PROPOSED; asker[i] = 0
#ifdef M_ANSWER_BY_SHARD
	:: TAKES(m, 0) -> slot[X(m, 0, 0)] = PROPOSED; range[X(m, 0, 0)] = i
	:: TAKES(m, 1) -> slot[X(m, 0, 1)] = PROPOSED; range[X(m, 0, 1)] = i
#endif
	:: else
	fi;
	learn(m)
}

inline next(m, s) {
	e = s * LAG + pos[MS(m, s)];
	pos[MS(m, s)]++;
	settled[MS(m, s)] = after[e];
	f = first[e]; b = wrote[e];
	if
	:: f == 0 -> SAY("@settle member=%d shard=%d last=%d\n", m, s, after[e])
	:: f != 0 && b == 0 -> SAY("@refuse member=%d shard=%d first=%d last=%d\n", m, s, f, after[e])
	:: else -> SAY("@apply member=%d shard=%d first=%d last=%d writes=%d\n", m, s, f, after[e], b)
	fi;
	w = 0;
	do
	:: w == WRITES -> break
	:: else -> done = (HOME(w) == m -> done | (b & BIT(w)) : done); w++
	od
}

/* m's replica of s applies the next entry, and answers the clients of m. */
inline apply(m, s) {
	next(m, s);
	x = FIRSTX(m);
	do :: x <= LASTX(m) -> settle(m, s, x); x++ :: else -> break od;
	learn(m)
}

/* A snapshot takes m's replica of s to the end of the log. */
inline jump(m, s) {
	SAY("@snapshot member=%d shard=%d entries=%d\n", m, s, length[s] - pos[MS(m, s)]);
	do :: pos[MS(m, s)] < length[s] -> next(m, s) :: else -> break od;
	x = FIRSTX(m);
	do :: x <= LASTX(m) -> pass(m, s, x); x++ :: else -> break od;
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
	SAY("@catchup member=%d last=%d\n", m, new);
#ifndef M_SNAPSHOT_FORGETS
	merge(m, 0); merge(m, 1);
#endif
	exact[m] = new;
	x = FIRSTX(m);
	do
	:: x > LASTX(m) -> break
	:: else -> if :: slot[x] == ASKED && range[x] <= new -> giveUp(m, SHARD(x), x) :: else fi; x++
	od;
	learn(m)
}

/* ---- death and return ---- */

inline lose(x) {
	done = done | batch[x];
	if
	:: slot[x] == ASK || slot[x] == STRAYASK -> slot[x] = STRAYASK
	:: slot[x] == PROPOSED || slot[x] == DOUBT || slot[x] == STRAYBATCH -> slot[x] = STRAYBATCH
	:: slot[x] == ASKED -> asker[range[x]] = 0; release(x)
	:: else -> release(x)
	fi
}

inline reopen(m, s) {
	done = done | queue[MS(m, s)];
	queue[MS(m, s)] = 0;
	leads[MS(m, s)] = false;
	leader[s] = 1 - m; leads[MS(1 - m, s)] = true;
	settled[MS(m, s)] = (pos[MS(m, s)] == 0 -> 0 : after[s * LAG + pos[MS(m, s)] - 1]);
	handed[MS(m, s)] = 0;
	i = 1;
	do :: i <= known[m] -> handed[MS(m, s)] = (own[i] == 1 + s -> i : handed[MS(m, s)]); i++ :: else -> break od;
	mergedFirst[MS(m, s)] = settled[MS(m, s)] + 1;
	mergedLast[MS(m, s)] = handed[MS(m, s)]
}

/* m comes back with its replicas where pos and known say. Its mailboxes and batches are gone, its
 * clients don't learn what became of their writes, and it waits at the gate. */
inline restart(m) {
	reopen(m, 0); reopen(m, 1);
	SAY("@restart member=%d last=%d\n", m, known[m]);
	SAY("@reopen member=%d shard=0 last=%d\n", m, settled[MS(m, 0)]);
	SAY("@reopen member=%d shard=1 last=%d\n", m, settled[MS(m, 1)]);
	exact[m] = known[m];
	w = 0;
	do :: w < WRITES -> done = (HOME(w) == m -> done | (begun & BIT(w)) : done); w++ :: else -> break od;
	x = FIRSTX(m);
	do :: x <= LASTX(m) -> lose(x); x++ :: else -> break od;
#ifdef M_NO_GATE
	learn(m)
#else
	gate[m] = counter; down[m] = true;
	closed(m); c[m] = v;
	display(m)
#endif
}
