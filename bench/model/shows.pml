/* What a member shows, and the promises that are about it (MUST). */

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
