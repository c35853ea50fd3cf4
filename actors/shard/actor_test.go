package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"copse/actors/loop/looptest"
	"copse/statemachine"
	"copse/statemachine/inflight"
	"copse/statemachine/tree"
	"copse/statemachine/txn"
)

// oneRaft is a raft group of one member, whose replica applies proposals at once unless
// it is stalled.
type oneRaft struct {
	feed *Feed
	bell chan struct{}

	mu      sync.Mutex
	lead    Lead
	stalled bool
	index   tree.Index
	batches int
}

func (r *oneRaft) Lead() Lead {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lead
}

func (r *oneRaft) LeadChanged() <-chan struct{} { return r.bell }
func (r *oneRaft) HighestTerm() uint64          { return r.Lead().Term }

func (r *oneRaft) setLead(l Lead) {
	r.mu.Lock()
	r.lead = l
	r.mu.Unlock()
	r.bell <- struct{}{}
}

func (r *oneRaft) stall(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = on
}

func (r *oneRaft) Propose(cmd []byte) (Entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stalled {
		return entryDone(false), nil
	}
	b, err := tree.ReadBatch(cmd)
	if err != nil {
		return nil, err
	}
	r.batches++
	n := &statemachine.ApplyResult{Epoch: b.Epoch, Batches: []statemachine.BatchID{{Epoch: b.Epoch, Number: b.Number}}}
	for more, err := b.NextSubmission(); more && err == nil; more, err = b.NextSubmission() {
		o := statemachine.Outcome{ID: b.Submission, RaftIndex: uint64(r.batches)}
		for range b.Len() {
			r.index++
			o.Data = append(o.Data, 0xff, 0, 0, 0) // done, at the index, with no body
			o.Data = binary.LittleEndian.AppendUint64(o.Data, uint64(r.index))
			o.Data = append(o.Data, 0, 0, 0, 0)
		}
		if err := b.Skip(); err != nil {
			return nil, err
		}
		n.Outcomes = append(n.Outcomes, o)
	}
	n.Last = r.index
	r.feed.Data(n)
	return entryDone(true), nil
}

type entryDone bool

func (e entryDone) Settled() (done, dropped bool) { return bool(e), false }

// noLink is a link without other members; it records the refusals sent to them.
type noLink struct {
	refusals chan Refusal
}

func (l noLink) PostSubmission(uint64, uint64, *Submission) bool { return false }
func (l noLink) PostRefusal(_ uint64, r Refusal) bool {
	l.refusals <- r
	return true
}

const self = 1

// newActor returns an actor that leads in term 2, as the only member.
func newActor(timeout time.Duration) (*Actor, *oneRaft, noLink) {
	id := tree.RequestID{Replica: self, Nonce: 7}
	feed := NewFeed(0, id, 0, 0)
	raft := &oneRaft{feed: feed, bell: make(chan struct{}, 1), lead: Lead{Member: self, Term: 2}}
	link := noLink{refusals: make(chan Refusal, 16)}
	return New(ActorOptions{
		Core: Options{Self: self, Nonce: id.Nonce, Patience: time.Second}, Shard: 1, Timeout: timeout,
		Admit: func(int) error { return nil }, Raft: raft, Link: link, Feed: feed, Timed: func() bool { return false },
	}), raft, link
}

func run(t *testing.T, a looptest.Actor) {
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		a.Stop()
		running.Wait()
	})
}

func set(key string) *tree.Command {
	return &tree.Command{Op: tree.OpSet, Key: key, Value: []byte("v"), Now: 1}
}

func TestStartAndStop(t *testing.T) {
	actor := func() *Actor { a, _, _ := newActor(time.Second); return a }
	for name, create := range map[string]func() looptest.Actor{
		"Actor": func() looptest.Actor { return actor() },
		"ReadLane": func() looptest.Actor {
			return NewReadLane(func(stop <-chan struct{}) error { return nil })
		},
		"Expirer": func() looptest.Actor {
			return NewExpirer(actor(), &expirations{bell: make(chan struct{}, 1)}, slog.New(slog.DiscardHandler))
		},
	} {
		t.Run(name, func(t *testing.T) { looptest.StartStop(t, create) })
	}
}

func TestEachWriterGetsItsOwnAnswer(t *testing.T) {
	a, raft, _ := newActor(10 * time.Second)
	run(t, a)
	const writers, writes = 50, 40
	var all sync.WaitGroup
	seen := make(chan tree.Index, writers*writes)
	for i := range writers {
		all.Go(func() {
			for range writes {
				r := a.Do(set(fmt.Sprint("/", i)))
				if r.Err != nil {
					t.Error(r.Err)
				}
				seen <- r.State.Index
			}
		})
	}
	all.Wait()
	indexes := map[tree.Index]bool{}
	for range writers * writes {
		indexes[<-seen] = true
	}
	if len(indexes) != writers*writes {
		t.Errorf("%d writes were answered with %d indexes", writers*writes, len(indexes))
	}
	if raft.batches > writers*writes/2 {
		t.Errorf("%d writes of %d writers at once took %d entries", writers*writes, writers, raft.batches)
	}
	if n := a.Pending(); n != 0 {
		t.Errorf("%d are pending in the end", n)
	}
}

func TestAWriteThatNeverSettlesIsAnswered(t *testing.T) {
	a, raft, _ := newActor(20 * time.Millisecond)
	raft.stall(true)
	run(t, a)
	if r := a.Do(set("/k")); r.Err == nil || r.Err.Cause != ErrTimeout.Error() {
		t.Errorf("got %v", r.Err)
	}
}

func TestAStopAnswersEverybody(t *testing.T) {
	a, raft, _ := newActor(time.Minute)
	raft.stall(true)
	run(t, a)
	answers := make(chan tree.Reply, 2)
	a.Submit(set("/k"), func(r tree.Reply) { answers <- r })
	a.Stop()
	a.Submit(set("/k"), func(r tree.Reply) { answers <- r })
	for range 2 {
		if r := <-answers; r.Err == nil || r.Err.Cause != ErrStopped.Error() {
			t.Errorf("got %v", r.Err)
		}
	}
}

func TestWhatCannotBeTakenIsTurnedAwayAtOnce(t *testing.T) {
	a, _, _ := newActor(time.Minute) // it doesn't run: its mailbox fills
	for range writeMailboxLimit {
		a.Submit(set("/k"), func(tree.Reply) {})
	}
	if r := a.Do(set("/k")); r.Err == nil || r.Err.Cause != ErrOverloaded.Error() {
		t.Errorf("a full mailbox: %v", r.Err)
	}
	a.admit = func(int) error { return ErrNoSpace }
	if r := a.Do(set("/k")); r.Err == nil || r.Err.Cause != ErrNoSpace.Error() {
		t.Errorf("no space: %v", r.Err)
	}
	counted := map[string]uint64{}
	for result, n := range a.Measures().Outcomes {
		counted[result] = n
	}
	if counted["overload"] != 1 || counted["no_space"] != 1 || a.Measures().Failed() != 2 {
		t.Errorf("counted %v", counted)
	}
	a.Stop()
}

// TestWhatTheDiskHasToTake asks for the room that a write takes, which need not be what its command has.
func TestWhatTheDiskHasToTake(t *testing.T) {
	a, _, _ := newActor(time.Minute) // it doesn't run
	a.Stop()
	asked := 0
	a.admit = func(bytes int) error { asked = bytes; return ErrNoSpace }
	move := func(op tree.Op) *tree.Command {
		c := (&txn.Txn{Ops: []tree.Command{{Op: op, Key: "/a", PrevValue: "/b", Now: 1}}}).Command(1)
		return &c
	}
	remove := func(id string) *tree.Command {
		c := &tree.Command{Op: tree.OpDelete, Key: "/k"}
		if id != "" {
			c.Identify(id)
		}
		return c
	}
	removals := (&txn.Txn{Ops: []tree.Command{{Op: tree.OpDelete, Key: "/k", Now: 1}}}).Command(1)
	removals.Identify("x")
	kept := set("/k")
	kept.Identify("x")
	for name, w := range map[string]struct {
		command *tree.Command
		least   int
		cause   string
	}{
		"a copy":                       {move(tree.OpCopy), txn.CopiedBytes, ErrNoSpace.Error()},
		"a rename":                     {move(tree.OpRename), txn.CopiedBytes, ErrNoSpace.Error()},
		"a removal with a kept answer": {remove("x"), 0, ErrStopped.Error()}, // it may be a repetition
		"removals with a kept answer":  {&removals, 0, ErrStopped.Error()},
		"a write with a kept answer":   {kept, 2 * set("/k").Size(), ErrNoSpace.Error()},
		"a removal":                    {remove(""), 0, ErrStopped.Error()},
	} {
		asked = 0
		r := a.Do(w.command)
		if r.Err == nil || r.Err.Cause != w.cause || asked < w.least {
			t.Errorf("%s: %v, after %d bytes were asked for", name, r.Err, asked)
		}
	}
}

func TestAPauseHoldsWritesUntilItEnds(t *testing.T) {
	a, raft, _ := newActor(time.Minute)
	run(t, a)
	if r := a.Do(set("/k")); r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := a.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := raft.batches
	answers := make(chan tree.Reply, 2)
	a.Submit(set("/k"), func(r tree.Reply) { answers <- r })
	if err := a.Pause(t.Context()); err != nil { // it has looked since
		t.Fatal(err)
	}
	if raft.batches != before || len(answers) > 0 {
		t.Fatal("a write was proposed in a pause")
	}
	if err := a.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := <-answers; r.Err != nil {
		t.Error(r.Err)
	}
	// Another term ends it too.
	if err := a.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Submit(set("/k"), func(r tree.Reply) { answers <- r })
	raft.setLead(Lead{Member: self, Term: 3})
	if r := <-answers; r.Err != nil {
		t.Error(r.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Pause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a pause that nobody waits for: %v", err)
	}
}

func TestSubmissionsOfOthers(t *testing.T) {
	a, raft, link := newActor(time.Minute)
	run(t, a)
	commands := tree.AppendCommand(nil, set("/k"))
	s := Submission{ID: tree.RequestID{Replica: 9, Nonce: 5, Number: 1}, Epoch: 2, Base: 1, Count: 1, Commands: commands, Deadline: time.Now().Add(time.Minute)}
	a.Submitted(s)
	s.ID.Number, s.Epoch = 2, 1 // meant for another leader
	a.Submitted(s)
	if got, want := <-link.refusals, (Refusal{To: 9, Nonce: 5, First: 2, Last: 2}); got != want {
		t.Errorf("refused %+v, want %+v", got, want)
	}
	if r := a.Do(set("/k")); r.Err != nil || r.State.Index != 2 {
		t.Errorf("after another member's write: %+v", r)
	}
	a.Stop()
	s.ID.Number, s.Epoch = 3, 2
	a.messages.Offer(message{submission: s})
	if raft.index != 2 {
		t.Errorf("index %d", raft.index)
	}
}

// expirations is a store with at most one expiration.
type expirations struct {
	mu   sync.Mutex
	at   int64 // 0: none
	bell chan struct{}
}

func (e *expirations) NextExpiry() (int64, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.at, e.at != 0, nil
}

func (e *expirations) ExpiryWake() <-chan struct{} { return e.bell }

func (e *expirations) Clock() statemachine.Heard { return statemachine.Heard{} }

func (e *expirations) Due(now int64, limit int) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == 0 || e.at > now {
		return 0, nil
	}
	return 1, nil
}

func (e *expirations) set(at int64) {
	e.mu.Lock()
	e.at = at
	e.mu.Unlock()
	e.bell <- struct{}{}
}

func TestTheExpirerSubmitsWhatIsDue(t *testing.T) {
	a, raft, _ := newActor(time.Minute)
	run(t, a)
	store := &expirations{bell: make(chan struct{}, 1)}
	run(t, NewExpirer(a, store, slog.New(slog.DiscardHandler)))
	store.set(time.Now().Add(10 * time.Millisecond).UnixNano())
	for deadline := time.Now().Add(10 * time.Second); ; {
		raft.mu.Lock()
		n := raft.index
		raft.mu.Unlock()
		if n > 0 {
			store.set(0)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was submitted")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestReadsThatWaitTogetherShareARound(t *testing.T) {
	rounds := 0
	begin, end := make(chan struct{}), make(chan error)
	l := NewReadLane(func(stop <-chan struct{}) error {
		rounds++
		begin <- struct{}{}
		return <-end
	})
	run(t, l)
	const readers = 20
	results := make(chan error, 2*readers+1)
	go func() { results <- l.Wait(time.Minute, 0) }()
	<-begin // alone; the others wait for the next round
	for range readers {
		go func() { results <- l.Wait(time.Minute, 0) }()
		l.Notify(time.Minute, 0, func(err error) { results <- err })
	}
	for len(l.mailbox.Messages()) < 2*readers {
		time.Sleep(time.Millisecond)
	}
	end <- nil
	<-begin
	failed := errors.New("no quorum")
	end <- failed
	ok, bad := 0, 0
	for range 2*readers + 1 {
		switch err := <-results; {
		case err == nil:
			ok++
		case errors.Is(err, failed):
			bad++
		}
	}
	if ok != 1 || bad != 2*readers || rounds != 2 || l.Failed.Load() != 1 {
		t.Errorf("%d and %d readers in %d rounds", ok, bad, rounds)
	}
	go func() { <-begin }()
	if err := l.Wait(time.Millisecond, 0); !errors.Is(err, ErrTimeout) {
		t.Errorf("a round that takes too long: %v", err)
	}
	l.Notify(time.Millisecond, 0, func(err error) { results <- err })
	if err := <-results; !errors.Is(err, ErrTimeout) {
		t.Errorf("a round that takes too long, of one that doesn't wait: %v", err)
	}
	end <- nil
	<-begin // for what has been told that it is late, and isn't told again
	end <- nil
	if l.Notify(time.Minute, time.Hour, func(err error) { results <- err }); <-results != nil || len(results) != 0 {
		t.Error("a read of a bounded age isn't answered at once, and once")
	}
}

// TestLargeWritesOfOthersNeedMemory has another member submit while there is none left, and then
// enough.
func TestLargeWritesOfOthersNeedMemory(t *testing.T) {
	budget := inflight.New(1 << 20)
	a, raft, link := newActor(time.Minute)
	a.o.InFlight = budget
	run(t, a)
	submit := func(number uint64, size int) {
		c := tree.Command{Op: tree.OpSet, Key: "/k", Value: make([]byte, size)}
		a.Submitted(Submission{ID: tree.RequestID{Replica: 9, Nonce: 5, Number: number}, Epoch: 2, Base: 1, Count: 1, Commands: tree.AppendCommand(nil, &c), Deadline: time.Now().Add(time.Minute)})
	}
	done := func(batches int) {
		t.Helper()
		for applied := -1; applied < batches; time.Sleep(time.Millisecond) {
			raft.mu.Lock()
			applied = raft.batches
			raft.mu.Unlock()
		}
	}
	done(1) // the first is empty
	budget.Take(inflight.Answers, 1<<20, 0)
	submit(1, 1)
	done(2)
	submit(2, largeWrite)
	if got, want := <-link.refusals, (Refusal{To: 9, Nonce: 5, First: 2, Last: 2}); got != want {
		t.Errorf("refused %+v, want %+v", got, want)
	}
	budget.Give(inflight.Answers, 1<<20)
	raft.stall(true)
	submit(3, largeWrite)
	if got, want := <-link.refusals, (Refusal{To: 9, Nonce: 5, First: 2, Last: 2}); got != want { // it is missing
		t.Errorf("refused %+v, want %+v", got, want)
	}
	for budget.Held(inflight.Peers) < largeWrite {
		time.Sleep(time.Millisecond)
	}
	raft.setLead(Lead{Member: 9, Term: 3})
	for budget.Held(inflight.Peers) != 0 {
		time.Sleep(time.Millisecond)
	}
}

// What a round has proved is as old as its begin, and a failed one proves nothing.
func TestAReadOfABoundedAgeTakesARoundOnlyIfItMust(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	rounds, failed := 0, error(nil)
	l := NewReadLane(func(stop <-chan struct{}) error {
		rounds++
		now = now.Add(time.Second) // a round takes so long
		return failed
	})
	l.now = func() time.Time { return now }
	run(t, l)
	for i, step := range []struct {
		pass, stale time.Duration
		fail        error
		rounds      int
	}{
		{0, time.Hour, nil, 1},                     // nothing is known yet
		{0, time.Second, nil, 1},                   // the round began a second ago
		{0, time.Second - 1, nil, 2},               // which is too long
		{0, 0, nil, 3},                             // a quorum read takes one in any case
		{4 * time.Second, 5 * time.Second, nil, 3}, // and others have it
		{1, 5 * time.Second, errors.New("no quorum"), 4},
		{0, 7 * time.Second, nil, 4}, // what was proved before still holds
		{0, 3 * time.Second, nil, 5}, // and the one that failed has proved nothing
		{-time.Hour, 7 * time.Second, nil, 5},
	} {
		now, failed = now.Add(step.pass), step.fail
		if err := l.Wait(time.Minute, step.stale); !errors.Is(err, step.fail) || rounds != step.rounds {
			t.Errorf("step %d: %v, after %d rounds", i, err, rounds)
		}
	}
}
