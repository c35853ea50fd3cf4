/* What there is: bounds, faults, and the state of order shard, logs, members and writes. */

#ifndef WRITES
#define WRITES    3     /* named by a bit each, in the masks that follow */
#endif
#ifndef SECOND
#define SECOND    2     /* mask: those in shard 1, not 0 */
#endif
#ifndef ELSEWHERE
#define ELSEWHERE 14    /* mask: those whose client talks to member 1, not 0 */
#endif
#ifndef ROOT
#define ROOT      0     /* mask: the one that is a POST /; it may go through either shard */
#endif
#ifndef FAILS
#define FAILS     0     /* mask: those that v2 refuses (compare failed): no event, no index */
#endif
#ifndef CHANGES
#define CHANGES   0     /* a shard gets another leader, */
#endif
#ifndef CHANGING
#define CHANGING  1     /* shard 0, or with 2 either of them, */
#endif
#ifndef OLDACTS
#define OLDACTS   0     /* and the old one, which doesn't know yet, asks or closes once more */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS  0     /* an ask or a batch is lost, or only taken for lost */
#endif
#ifndef JUMPS
#define JUMPS     0     /* a snapshot brings up a replica of a data shard */
#endif
#ifndef ORDERJUMPS
#define ORDERJUMPS 0    /* or of the order shard, or a member merges open ranges for want of room */
#endif
#ifndef RESTARTS
#define RESTARTS  0     /* a member dies, and starts from what it had on disk */
#endif
#ifndef LAG
#define LAG       3     /* entries of a data shard that some replica has yet to apply */
#endif
#define INDEXES   16    /* more are not handed out: asking would go on for ever */

#define ALL       ((1 << WRITES) - 1)
#define BIT(w)    (1 << (w))
#define COUNT(b)  (((b) & 1) + (((b) >> 1) & 1) + (((b) >> 2) & 1) + (((b) >> 3) & 1))
#define HOME(w)   ((ELSEWHERE & BIT(w)) != 0)
#define IN(w)     ((SECOND & BIT(w)) != 0)
#define PLACE(i)  ((i) & 1)     /* the shard that a name made of index i belongs to */

#define MS(m, s)  ((m) * 2 + (s))           /* member m's part of shard s */
#define X(m, s, j) (MS(m, s) * 2 + (j))     /* a batch: an actor has two under way at most */
#define FIRSTX(m) X(m, 0, 0)
#define LASTX(m)  X(m, 1, 1)
#define MEMBER(x) ((x) / 4)
#ifdef M_ROOT_INDEX_FIRST
byte shardOf[8];
#define SHARD(x)  shardOf[x]
#else
#define SHARD(x)  (((x) / 2) % 2)
#endif

/* With -DPRINTF the checker says which promise was broken. */
#define MUST(cond, text) if :: (cond) :: else -> printf(text); assert(false) fi

/* With -DTRACE a simulation prints a line for each event: see doc.go. */
#ifdef TRACE
#define SAY(...) printf(__VA_ARGS__)
#else
#define SAY(...) skip
#endif

mtype = {
	FREE,
	ASK,            /* the ask is on its way to the order shard */
	ASKED,          /* it is in the log, and not applied here yet */
	PROPOSED,       /* the range is known here, the batch is on its way to its shard */
	LOGGED,         /* it is in the log, and not applied here yet */
	DOUBT,          /* as PROPOSED, but timed out, or its proposer leads no more */
	DOUBTLOGGED,    /* as LOGGED, likewise */
	DOUBTLOST,      /* it will not arrive; nobody can tell this from DOUBT */
	STRAYASK,       /* on its way, and nobody waits for it any more */
	STRAYBATCH
}

/* The order shard's log, by index. */
byte counter;
byte own[INDEXES + 2];      /* 1 + the shard that was handed the index; 0: nobody, or all have applied it */
byte ends[INDEXES + 2];     /* the end of the range that starts here */
byte asker[INDEXES + 2];    /* 1 + the batch that the range starting here was asked for; 0: nobody waits */

/* The logs of the data shards, from the first entry that some replica has yet to apply.
 * What an entry does follows from the log before it, so that is kept with it. */
byte length[2];
byte first[2 * LAG];        /* of a batch; 0: a Close */
byte after[2 * LAG];        /* the settled index once it is applied */
byte wrote[2 * LAG];        /* the writes of a batch; 0: refused as stale */
byte tail[2];               /* the settled index at the end of the log */
byte used[2];               /* the last index that a write got */

/* What the members know. */
byte known[2];              /* the counter of the order replica */
byte handed[4];             /* MS: the last index handed out to s, by the order replica */
byte pos[4];                /* MS: how far the replica of s has come */
byte settled[4];            /* MS: the settled index there */
byte exact[2];              /* ranges above this are known one by one; of those below */
byte mergedFirst[4];        /* MS: it is known that no open one starts below this */
byte mergedLast[4];         /* MS: or ends above that; 0: none is open */
byte c[2];                  /* the closed index */
bool down[2];               /* started again, and not serving yet: */
byte gate[2];               /* not before c gets here */

/* The actors. */
byte leader[2];
bool leads[4];              /* MS: m takes itself for the leader of s */
byte queue[4];              /* MS: the writes in the mailbox */
byte closing[4];            /* MS: a Close on its way; 0: none */
mtype slot[8];              /* X: a batch, */
byte range[8];              /*    its first index, */
byte batch[8];              /*    and its writes */

/* The writes. */
byte begun, applied, done;  /* masks; done: the client was answered */
byte floor[WRITES];         /* the largest index that was shown anywhere when the write began */
byte shown[2];              /* the largest that the member has shown */

bool faulted;
byte changes = CHANGES;
byte oldacts = OLDACTS;
byte timeouts = TIMEOUTS;
byte jumps = JUMPS;
byte orderjumps = ORDERJUMPS;
byte restarts = RESTARTS;

hidden byte b, e, f, i, n, o, to, v, w, x;   /* scratch, within one step */
