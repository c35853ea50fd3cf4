/* What there is: bounds, faults, and the state of order shard, logs, members and writes. */

#ifndef WRITES
#define WRITES    3     /* named by a bit each, in the masks that follow */
#endif
#ifdef DENSE            /* one data shard: no order shard, and a batch takes the next indexes when it is applied */
#define SECOND    0
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
#define CHANGING  1     /* shard 0, or with 2 either of them */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS  0     /* an ask is lost, or only taken for lost; a batch takes so long that it may be lost */
#endif
#ifndef DROPS
#define DROPS     0     /* raft drops a batch, and says so */
#endif
#ifndef LOSSES
#define LOSSES    0     /* a submission is held up until later ones have passed it, or lost; a refusal is lost */
#endif
#ifndef DEADLINES
#define DEADLINES 0     /* a client is answered, since its time is over */
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
#ifndef SLOTS
#define SLOTS     2     /* batches, and submissions, that an actor has under way at most */
#endif
#define INDEXES   16    /* more are not handed out: asking would go on for ever */
#define NUMBERS   14    /* nor has a member more submissions to a shard */

#define ALL       ((1 << WRITES) - 1)
#define BIT(w)    (1 << (w))
#define COUNT(b)  (((b) & 1) + (((b) >> 1) & 1) + (((b) >> 2) & 1) + (((b) >> 3) & 1))
#define HOME(w)   ((ELSEWHERE & BIT(w)) != 0)
#define IN(w)     (((ROOT & BIT(w)) != 0 -> rootIn : (SECOND & BIT(w)) != 0))
#define OF(m)     (m == 0 -> ALL & ~ELSEWHERE : ALL & ELSEWHERE)
#define PLACE(i)  ((i) & 1)     /* the shard that a name made of index i belongs to */

#define MS(m, s)  ((m) * 2 + (s))           /* member m's part of shard s */
#define MW(m, w)  ((m) * WRITES + (w))
#define X(m, s, j) (MS(m, s) * SLOTS + (j)) /* a batch, or a submission from m */
#define FIRSTX(m, s) X(m, s, 0)
#define LASTX(m, s) X(m, s, SLOTS - 1)
#define MEMBER(x) ((x) / (2 * SLOTS))
#define SHARD(x)  (((x) / SLOTS) % 2)

/* Who leads s in an epoch, and whether m takes itself for the leader. */
#define LEADER(s, e) (((s) + (e) + 1) & 1)
#define LEADS(m, s) (view[MS(m, s)] != 0 && LEADER(s, view[MS(m, s)]) == m)

/* With -DPRINTF the checker says which promise was broken. */
#define MUST(cond, text) if :: (cond) :: else -> printf(text); assert(false) fi

/* A simulation says what happens, for actors/shard to replay. There, as in the core, whatever can
 * be done is done before the next input is taken in. */
#if defined(TRACE) || defined(SHOW)
#define SAY(...) printf(__VA_ARGS__)
#else
#define SAY(...) skip
#endif
#ifdef TRACE
#define READY(m, s) (!MAYSUBMIT(m, s) && !MAYGATHER(m, s) && !MAYCLOSE(m, s) && ALLOF(RESENT, m, s, 0))
#else
#define READY(m, s) true
#endif

mtype = {
	FREE,
	ASK,            /* the ask is on its way to the order shard */
	ASKED,          /* it is in the log, and not applied here yet */
	PROPOSED,       /* the batch is on its way to its shard */
	UNSENT,         /* raft has dropped it */
	LOGGED,         /* it is in the log, and not applied here yet */
	STRAYASK,       /* on its way, and nobody waits for it any more */
	STRAY
}

/* The order shard's log, by index. */
byte counter;
byte own[INDEXES + 2];      /* 1 + the shard that was handed the index; 0: nobody, or all have applied it */
byte ends[INDEXES + 2];     /* the end of the range that starts here */
byte asker[INDEXES + 2];    /* 1 + the batch that the range starting here was asked for; 0: nobody waits */

/* The logs of the data shards, from the first entry that some replica has yet to apply.
 * What an entry does follows from the log before it, so that is kept with it. */
byte length[2];
byte from[2 * LAG];           /* 1 + the batch; above all batches: a Close; 0: a fence */
byte inEpoch[2 * LAG];          /* its epoch */
byte after[2 * LAG];        /* the settled index once it is applied */
byte wrote[2 * LAG];        /* its writes */
bool stale[2 * LAG];        /* it is refused, and they weren't written */
byte tail[2];               /* the settled index at the end of the log */
byte tailEpoch[2];          /* and the epoch */
byte used[2];               /* the last index that a write got */

/* What the members know. */
byte known[2];              /* the counter of the order replica */
byte handed[4];             /* MS: the last index handed out to s, by the order replica */
byte pos[4];                /* MS: how far the replica of s has come */
byte settled[4];            /* MS: the settled index there */
byte fenced[4];             /* MS: the epoch there: no batch of a lower one is applied any more */
byte exact[2];              /* ranges above this are known one by one; of those below */
byte mergedFirst[4];        /* MS: it is known that no open one starts below this */
byte mergedLast[4];         /* MS: or ends above that; 0: none is open */
byte c[2];                  /* the closed index */
bool down[2];               /* started again, and not serving yet: */
byte gate[2];               /* not before c gets here */

/* Every member's actor: its clients' writes, to whoever leads. */
byte epoch[2];              /* in which somebody leads the shard, and, */
byte view[4];               /* MS: as far as m knows; 0: nobody */
byte queue[4];              /* MS: the writes to be sent next */
bool pause[4];              /* MS: one was refused: it isn't sent again at once */
byte sentIn[WRITES];        /* the epoch in which the write is under way; 0: it isn't */
byte sentAs[WRITES];        /* and the number of its submission, if that went to another member */
byte number[4];             /* MS: of the last submission */
byte base[4];               /* MS: and of the first one to the present leader; 0: none yet */
short refusals[4];          /* MS: the numbers that the leader has refused, on their way to m */
byte flying[4 * SLOTS];     /* X: a submission on its way: its number; 0: none, */
byte flyIn[4 * SLOTS];      /*    its epoch, */
byte flyBase[4 * SLOTS];    /*    the number of the first one to that leader, */
byte flyWrites[4 * SLOTS];  /*    its writes, */
bool flyLate[4 * SLOTS];    /*    and whether it has been held up */

/* The leader's. */
byte inbox[4];              /* MS: what waits at m */
byte seen[4];               /* MS: the number of the other member's last submission in this epoch; 0: none */
byte heldAs[2 * WRITES];    /* MW: the number of the submission with w that m holds; 0: none, or its own */
byte fence[4];              /* MS: the empty batch that begins this epoch is on its way; 0: none is */
byte closing[4];            /* MS: a Close of all up to here is under way; 0: none */
byte closeIn[4];            /* MS: and its epoch */
bool closeLogged[4];        /* MS: it is in the log */
mtype slot[4 * SLOTS + 1];  /* X: a batch (the last is nobody's), */
byte range[4 * SLOTS];      /*    its first index, */
byte batch[4 * SLOTS];      /*    its writes, */
byte led[4 * SLOTS + 1];        /*    its epoch, */
bool late[4 * SLOTS];       /*    and whether it has been under way so long that it may be lost */

/* The writes. */
byte begun, applied, done;  /* masks; done: the client was answered */
byte overtime;              /* a refusal of them was lost: only the deadline ends them */
byte rootIn;                /* the shard that the POST / goes through */
byte floor[WRITES];         /* the largest index that was shown anywhere when the write began */
byte shown[2];              /* the largest that the member has shown */

bool faulted;
byte changes = CHANGES;
byte timeouts = TIMEOUTS;
byte drops = DROPS;
byte losses = LOSSES;
byte deadlines = DEADLINES;
byte jumps = JUMPS;
byte orderjumps = ORDERJUMPS;
byte restarts = RESTARTS;

hidden byte b, e, f, i, n, o, r, u, v, w, x;   /* scratch, within one step */
