package cluster

import "encoding/binary"

// Two replicas of a shard that have applied the same log have the same hash at each raft
// index. This file has what members tell each other about that, and what follows from it.

// point is the hash of a replica's log up to a raft index.
type point struct{ index, hash uint64 }

// account is what a member says about its replica of one shard, when it is asked about a
// raft index:
//
//	0            8            16      24     32      33
//	┌────────────┬────────────┬───────┬──────┬───────┐
//	│ last index │ last hash  │ asked │ term │ flags │
//	└────────────┴────────────┴───────┴──────┴───────┘
//
// Numbers are big-endian.
type account struct {
	last  point  // the last entry applied
	asked uint64 // the hash at the index that was asked about
	term  uint64 // if that isn't known: the raft term of the entry; 0: the log doesn't have it
	flags byte
}

const accountSize = 33

// The flags of an account.
const (
	knowsLast  = 1 << iota // last.hash is known
	knowsAsked             // asked is known
	// upToDate: the replica has everything that any member had applied when it was asked.
	upToDate
)

func (a *account) has(flag byte) bool { return a.flags&flag != 0 }

func (a *account) append(buf []byte) []byte {
	for _, n := range []uint64{a.last.index, a.last.hash, a.asked, a.term} {
		buf = binary.BigEndian.AppendUint64(buf, n)
	}
	return append(buf, a.flags)
}

// readAccount decodes accountSize bytes.
func readAccount(b []byte) (a account) {
	for i, n := range []*uint64{&a.last.index, &a.last.hash, &a.asked, &a.term} {
		*n = binary.BigEndian.Uint64(b[8*i:])
	}
	a.flags = b[32]
	return a
}

// stance is where another member's replica stands, seen from this one. Members that
// contradict this one in the same way have equal stances.
type stance struct {
	kind stanceKind
	at   point // of a contradiction: what the other has, and where
}

type stanceKind uint8

const (
	silent    stanceKind = iota // it didn't answer, or the two can't be compared now
	agrees                      // it has the same hash at an index that both have applied
	otherHash                   // it has another one
	otherTerm                   // its log has an entry of another term, at an index that both have applied
	lacks                       // it is up to date, and doesn't have what this one has applied
)

func (s stance) contradicts() bool { return s.kind > agrees }

// stanceOf returns where the member stands that has sent the account, when it was asked
// about own. term is that of this member's own entry there, if its log has it. If later
// is true, the two can be compared once this replica has applied the account's last entry.
func stanceOf(own point, term uint64, a *account) (s stance, later bool) {
	switch {
	case own.index == 0:
		return stance{}, false // this replica has nothing to compare
	case a.has(knowsAsked):
		return compare(own, a.asked), false
	case a.last.index < own.index:
		if a.has(upToDate) {
			return stance{lacks, point{index: own.index}}, false
		}
		return stance{}, false
	case term != 0 && a.term != 0 && term != a.term:
		return stance{otherTerm, point{own.index, a.term}}, false
	}
	return stance{}, a.has(knowsLast)
}

// compare returns where a member stands that has the hash other where this one has own.
func compare(own point, other uint64) stance {
	if own.hash == other {
		return stance{kind: agrees}
	}
	return stance{otherHash, point{own.index, other}}
}

// verdict is what a member concludes about its own replica.
type verdict uint8

const (
	undecided verdict = iota // too few have answered
	sound                    // a majority agrees
	disputed                 // some members contradict this one, and no majority says who is right
	wrong                    // a majority contradicts this one, in the same way
)

// judge returns the verdict of a member, of which self says whether it is a voter itself,
// and the stance that decided it. stances are those of the other voters.
func judge(self bool, stances []stance) (verdict, stance) {
	voters, agreeing := len(stances), 0
	if self {
		voters, agreeing = voters+1, 1
	}
	majority := voters/2 + 1
	against := map[stance]int{}
	var first stance
	for _, s := range stances {
		switch {
		case s.kind == agrees:
			agreeing++
		case s.contradicts():
			if against[s]++; against[s] >= majority {
				return wrong, s
			}
			if first.kind == silent {
				first = s
			}
		}
	}
	switch {
	case agreeing >= majority:
		return sound, stance{}
	case len(against) > 0:
		return disputed, first
	}
	return undecided, stance{}
}
