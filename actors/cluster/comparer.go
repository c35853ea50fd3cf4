package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"copse/actors/loop"
)

// ErrDiffers says that this member's data isn't that of most members.
var ErrDiffers = errors.New("the data of this member differs from that of most members: it must neither vote nor serve. Replace it: DELETE it from /v2/members and add it anew with an empty directory; keep a copy of this one if writes may be missing elsewhere")

// Comparer is the actor that finds out whether this member's replicas have applied the
// same entries as those of the others. A few times a minute it tells each other member
// how far its replicas are, and gets back the hash that the other had there. Where that
// can't be known any more, since the other is far ahead, it waits until this replica is
// where the other was. A member that a majority contradicts is wrong, whoever leads; and
// so is one that has applied an entry which a majority doesn't have, now that they have
// all that any member can have.
type Comparer struct {
	o     ComparerOptions
	log   *slog.Logger
	life  loop.Life
	first chan struct{} // closed when the members have been compared once
	found atomic.Pointer[findings]

	// Owned by the loop.
	standings []standing
	// waiting has where other members were that could not be compared there yet, since this
	// member's replica hadn't come so far.
	waiting map[member]point
}

// findings are what is known about this member's replicas. They are immutable.
type findings struct {
	shards []string // what is wrong with the replica of each shard; empty: nothing
	wrong  string   // what is wrong with one that a majority contradicts
	// Those that no majority has confirmed or contradicted for undecidedLimit.
	undecided []bool
}

// ComparerOptions configure a Comparer.
type ComparerOptions struct {
	Self     uint64
	Replicas []Replica                          // by shard, from MembersShard on
	Voters   func(shard uint64) map[uint64]bool // as far as this member knows
	// Term is the raft term of an entry in this member's log; 0: it isn't there.
	Term func(shard, index uint64) uint64
	// Confirm waits until this replica has all that was acknowledged before the call.
	Confirm func(stop <-chan struct{}, shard uint64) error
	// Ask makes the call that another member's Comparer answers.
	Ask func(ctx context.Context, member uint64, question []byte) ([]byte, error)
}

// Replica is a replica of a shard, as a Comparer sees it.
type Replica interface {
	RaftIndex() uint64 // of the last entry applied
	HashAt(index uint64) (hash uint64, known bool)
	Replaced() uint64 // how often a snapshot has replaced it
}

// NewComparer returns the actor.
func NewComparer(o ComparerOptions, log *slog.Logger) *Comparer {
	c := &Comparer{o: o, log: log, life: loop.NewLife(), first: make(chan struct{}), waiting: map[member]point{}}
	c.found.Store(&findings{shards: make([]string, len(o.Replicas)), undecided: make([]bool, len(o.Replicas))})
	for _, r := range o.Replicas {
		c.standings = append(c.standings, standing{since: time.Now(), replaced: r.Replaced(), seen: r.RaftIndex()})
	}
	return c
}

const (
	compareEvery = 10 * time.Second
	compareAgain = time.Second // while a majority hasn't agreed
	// compareLimit bounds how long a round waits for this member's replicas. The next one goes on
	// with that.
	compareLimit = 5 * time.Second
	comparePause = 20 * time.Millisecond
)

// Run is the actor's loop.
func (c *Comparer) Run() error {
	if !c.life.Begin() {
		return nil
	}
	defer c.life.End()
	ctx, end := c.life.Context() // what is under way ends with the actor
	defer end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	compared := sync.OnceFunc(func() { close(c.first) })
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		asked, settled := c.round(ctx)
		if asked {
			compared()
		}
		switch {
		case c.Wrong() != "": // which never changes
		case !asked:
			timer.Reset(busyPause)
		case len(c.waiting) > 0:
			timer.Reset(comparePause)
		case !settled:
			timer.Reset(compareAgain)
		default:
			timer.Reset(compareEvery)
		}
	}
}

// Stop ends the loop and waits for it.
func (c *Comparer) Stop() { c.life.Halt() }

// Compared is closed once the members have been compared for the first time, as far as
// they could be reached.
func (c *Comparer) Compared() <-chan struct{} { return c.first }

// Wrong says what is wrong with this member's data, if a majority contradicts it; that
// never changes. It may be called from any goroutine, like Differs and Check.
func (c *Comparer) Wrong() string { return c.found.Load().wrong }

// Differs reports whether another member contradicts this one's replica of the shard.
func (c *Comparer) Differs(shard uint64) bool {
	return c.found.Load().shards[shard-MembersShard] != ""
}

// Undecided reports whether no majority has confirmed or contradicted this member's replica
// of the shard for some time.
func (c *Comparer) Undecided(shard uint64) bool {
	return c.found.Load().undecided[shard-MembersShard]
}

// Check returns an error while another member contradicts this one.
func (c *Comparer) Check() error {
	for _, why := range c.found.Load().shards {
		if why != "" {
			return errors.New(why)
		}
	}
	return nil
}

// Answer serves the call that asks for accounts of this member's replicas: the question
// has a raft index of 8 bytes for each shard.
func (c *Comparer) Answer(ctx context.Context, question []byte) (answer []byte, err error) {
	if len(question) != 8*len(c.o.Replicas) {
		return nil, fmt.Errorf("a question of %d bytes about %d shards", len(question), len(c.o.Replicas))
	}
	if c.Wrong() != "" {
		return nil, ErrDiffers
	}
	for i := range c.o.Replicas {
		a := c.account(ctx, i, binary.BigEndian.Uint64(question[8*i:]))
		answer = a.append(answer)
	}
	return answer, nil
}

// account is what this member says about replica i, when it is asked about index.
func (c *Comparer) account(ctx context.Context, i int, index uint64) (a account) {
	r, shard := c.o.Replicas[i], uint64(i)+MembersShard
	if r.RaftIndex() < index && c.o.Confirm(ctx.Done(), shard) == nil {
		a.flags |= upToDate
	}
	note := func(index uint64, flag byte) (hash uint64) {
		hash, known := r.HashAt(index)
		if known {
			a.flags |= flag
		}
		return hash
	}
	a.last.index = r.RaftIndex()
	a.last.hash, a.asked = note(a.last.index, knowsLast), note(index, knowsAsked)
	if a.last.index >= index && !a.has(knowsAsked) {
		a.term = c.o.Term(shard, index)
	}
	return a
}

// replies are the accounts of the members that have answered, by member.
type replies map[uint64][]account

// round compares this member with all others. asked is false if it isn't known yet who the
// voters are, and settled is true if a majority agrees with each replica.
func (c *Comparer) round(ctx context.Context) (asked, settled bool) {
	own := make([]point, len(c.o.Replicas))
	voters := make([]map[uint64]bool, len(own))
	var question []byte
	for i, r := range c.o.Replicas {
		at := r.RaftIndex()
		if hash, known := r.HashAt(at); known {
			own[i] = point{at, hash}
		}
		if voters[i] = c.o.Voters(uint64(i) + MembersShard); len(voters[i]) == 0 {
			return false, false
		}
		question = binary.BigEndian.AppendUint64(question, own[i].index)
	}
	stances := c.settle(ctx, own, c.ask(ctx, question, voters))
	if ctx.Err() != nil {
		return false, false
	}
	before := c.found.Load()
	now := findings{shards: slices.Clone(before.shards), undecided: slices.Clone(before.undecided)}
	settled = true
	for i := range own {
		var others []stance
		for id := range voters[i] {
			if id != c.o.Self {
				others = append(others, stances[member{i, id}])
			}
		}
		is, by := judge(voters[i][c.o.Self], others)
		settled = settled && is == sound
		now.note(uint64(i)+MembersShard, is, by)
		now.undecided[i] = c.standings[i].note(c.log.With("shard", uint64(i)+MembersShard), c.o.Replicas[i], own[i].index, is)
	}
	c.tell(&now)
	c.found.Store(&now)
	return true, settled
}

// ask asks all voters but this member at once.
func (c *Comparer) ask(ctx context.Context, question []byte, voters []map[uint64]bool) replies {
	ctx, cancel := context.WithTimeout(ctx, peerLimit)
	defer cancel()
	all := replies{}
	for _, set := range voters {
		for id := range set {
			all[id] = nil
		}
	}
	delete(all, c.o.Self)
	var mu sync.Mutex
	var calls sync.WaitGroup
	for _, id := range slices.Collect(maps.Keys(all)) { // the calls write to all
		calls.Go(func() {
			answer, err := c.o.Ask(ctx, id, question)
			if err != nil || len(answer) != accountSize*len(c.o.Replicas) {
				return // it may answer the next time
			}
			var list []account
			for b := range slices.Chunk(answer, accountSize) {
				list = append(list, readAccount(b))
			}
			mu.Lock()
			defer mu.Unlock()
			all[id] = list
		})
	}
	calls.Wait()
	return all
}

// note takes over the verdict about the replica of a shard.
func (f *findings) note(shard uint64, is verdict, by stance) {
	why := &f.shards[shard-MembersShard]
	switch is {
	case undecided: // what was found before stands
	case sound:
		*why = ""
	case disputed, wrong:
		what := "has other entries up to %d of the raft log of shard %d"
		if by.kind == lacks {
			what = "has no entry %d in the raft log of shard %d, which this one has applied"
		}
		if is == wrong {
			*why = fmt.Sprintf("a majority of the members "+what, by.at.index, shard)
			f.wrong = *why
			return
		}
		*why = fmt.Sprintf("another member "+what+", and no majority says which is right", by.at.index, shard)
	}
}
