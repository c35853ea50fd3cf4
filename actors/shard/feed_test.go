package shard

import (
	"reflect"
	"testing"

	"copse/statemachine"
	"copse/statemachine/tree"
)

const feedNonce = 5

func testFeed() *Feed { return NewFeed(1, tree.RequestID{Replica: 1, Nonce: feedNonce}, 30, 20) }

func outcomesOf(nonce uint64, size int, numbers ...uint64) (list []statemachine.Outcome) {
	for _, n := range numbers {
		list = append(list, statemachine.Outcome{ID: tree.RequestID{Replica: 1, Nonce: nonce, Number: n}, Data: make([]byte, size)})
	}
	return list
}

func rings(f *Feed) bool {
	select {
	case <-f.bell:
		return true
	default:
		return false
	}
}

// The bell rings for everything that concerns the actor. Everything concerns a leader;
// only its own submissions, a new epoch or a jump concern a follower.
func TestTheFeedRings(t *testing.T) {
	batch := []statemachine.BatchID{{Epoch: 3, Number: 1}}
	for name, c := range map[string]struct {
		tell             func(*Feed)
		follower, leader bool
	}{
		"another member's batch": {func(f *Feed) { f.Data(&statemachine.ApplyResult{Last: 21, Epoch: 3, Batches: batch}) }, false, true},
		"an outcome": {func(f *Feed) {
			f.Data(&statemachine.ApplyResult{Last: 21, Epoch: 3, Batches: batch, Outcomes: outcomesOf(feedNonce, 1, 4)})
		}, true, true},
		"an outcome of an actor before": {func(f *Feed) {
			f.Data(&statemachine.ApplyResult{Last: 21, Epoch: 3, Batches: batch, Outcomes: outcomesOf(feedNonce+1, 1, 4)})
		}, false, true},
		"another epoch":       {func(f *Feed) { f.Data(&statemachine.ApplyResult{Last: 20, Epoch: 4}) }, true, true},
		"a jump":              {func(f *Feed) { f.Data(&statemachine.ApplyResult{Last: 20, Epoch: 3, Jumped: true}) }, true, true},
		"indexes":             {func(f *Feed) { f.Order(&statemachine.ApplyResult{Handed: []tree.Index{0, 31}}) }, false, true},
		"another's indexes":   {func(f *Feed) { f.Order(&statemachine.ApplyResult{Handed: []tree.Index{99, 30}}) }, false, false},
		"fewer shards":        {func(f *Feed) { f.Order(&statemachine.ApplyResult{Handed: []tree.Index{99}}) }, false, false},
		"an ask that is lost": {func(f *Feed) { f.AskLost() }, true, true},
	} {
		for epoch, want := range map[uint64]bool{0: c.follower, 3: c.leader} {
			f := testFeed()
			f.Data(&statemachine.ApplyResult{Last: 20, Epoch: 3})
			f.take(epoch)
			rings(f)
			c.tell(f)
			if got := rings(f); got != want {
				t.Errorf("%s, to the leader of %d: rings %v, want %v", name, epoch, got, want)
			}
		}
	}
}

// One take returns everything since the previous take, in order and only once.
func TestTheFeedIsTakenWhole(t *testing.T) {
	f := testFeed()
	if got, want := f.take(3), (Applied{Handed: 30, Settled: 20}); !reflect.DeepEqual(got, want) {
		t.Errorf("at first %+v", got)
	}
	mine := tree.Grant{ID: tree.RequestID{Replica: 1, Nonce: feedNonce, Number: 8}, Slot: 1, Range: tree.Range{First: 31, Last: 33}}
	before, elsewhere := mine, mine
	before.ID.Nonce, elsewhere.Slot = feedNonce+1, 0
	f.Data(&statemachine.ApplyResult{Last: 25, Epoch: 3, Batches: []statemachine.BatchID{{Epoch: 3, Number: 1}}, Outcomes: outcomesOf(feedNonce, 1, 6)})
	f.Order(&statemachine.ApplyResult{Handed: []tree.Index{40, 33, 0}, Grants: []tree.Grant{before, mine, elsewhere}})
	f.Data(&statemachine.ApplyResult{Last: 33, Epoch: 4, Batches: []statemachine.BatchID{{Epoch: 4, Number: 2}}, Outcomes: outcomesOf(feedNonce, 1, 5)})
	f.AskLost()
	want := Applied{
		Epoch: 4, Batches: []statemachine.BatchID{{Epoch: 3, Number: 1}, {Epoch: 4, Number: 2}}, Outcomes: outcomesOf(feedNonce, 1, 6, 5),
		Handed: 33, Settled: 33, Grants: []tree.Grant{mine}, AskLost: true,
	}
	if got := f.take(0); !reflect.DeepEqual(got, want) {
		t.Errorf("taken %+v\nwant  %+v", got, want)
	}
	f.Data(&statemachine.ApplyResult{Last: 34, Epoch: 4, Batches: []statemachine.BatchID{{Epoch: 4, Number: 3}}})
	if got, want := f.take(0), (Applied{Epoch: 4, Handed: 33, Settled: 34}); !reflect.DeepEqual(got, want) {
		t.Errorf("who doesn't lead takes %+v\nwant %+v", got, want)
	}
}

// A jump drops everything before it, since nobody knows what is missing in between.
// An actor that takes too late gets only the jump.
func TestTheFeedIsBounded(t *testing.T) {
	many := make([]uint64, outcomesLimit)
	for name, overflow := range map[string]func(*Feed){
		"jumped": func(f *Feed) { f.Data(&statemachine.ApplyResult{Last: 50, Epoch: 7, Jumped: true}) },
		"outcomes": func(f *Feed) {
			f.Data(&statemachine.ApplyResult{Last: 50, Epoch: 7, Outcomes: outcomesOf(feedNonce, 0, many...)})
		},
		"batches": func(f *Feed) {
			f.Data(&statemachine.ApplyResult{Last: 50, Epoch: 7, Batches: make([]statemachine.BatchID, outcomesLimit)})
		},
		"bytes": func(f *Feed) {
			f.Data(&statemachine.ApplyResult{Last: 50, Epoch: 7, Outcomes: outcomesOf(feedNonce, outcomesBytesLimit/2+1, 2, 4, 5)})
		},
	} {
		f := testFeed()
		f.take(7)
		f.Data(&statemachine.ApplyResult{Last: 40, Epoch: 7, Batches: []statemachine.BatchID{{Epoch: 7, Number: 1}}, Outcomes: outcomesOf(feedNonce, 1, 1)})
		overflow(f)
		f.Data(&statemachine.ApplyResult{Last: 51, Epoch: 7, Outcomes: outcomesOf(feedNonce, 1, 3)})
		want := Applied{Epoch: 7, Jumped: true, Outcomes: outcomesOf(feedNonce, 1, 3), Handed: 30, Settled: 51}
		if got := f.take(7); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d outcomes, %d batches, jumped %v; want one, none, and a jump", name, len(got.Outcomes), len(got.Batches), got.Jumped)
		}
		// After a take, the feed holds results up to its limits again.
		f.Data(&statemachine.ApplyResult{Last: 52, Epoch: 7, Outcomes: outcomesOf(feedNonce, outcomesBytesLimit/outcomesLimit, many...)})
		if got := f.take(7); got.Jumped || len(got.Outcomes) != outcomesLimit {
			t.Errorf("%s: then %d outcomes, jumped %v", name, len(got.Outcomes), got.Jumped)
		}
	}
}

// A write that has been made is answered however large its answer is.
func TestTheFeedTakesOneOutcomeOfAnySize(t *testing.T) {
	f := testFeed()
	f.Data(&statemachine.ApplyResult{Last: 40, Epoch: 7, Outcomes: outcomesOf(feedNonce, 1, 1)})
	f.Data(&statemachine.ApplyResult{Last: 41, Epoch: 7, Outcomes: outcomesOf(feedNonce, outcomesBytesLimit+1, 2)})
	f.Data(&statemachine.ApplyResult{Last: 42, Epoch: 7, Outcomes: outcomesOf(feedNonce, 1, 3)})
	if got := f.take(7); got.Jumped || len(got.Outcomes) != 3 {
		t.Errorf("%d outcomes, jumped %v; want 3", len(got.Outcomes), got.Jumped)
	}
}

// TestTheFeedLeavesLargeValuesToTheWindow: replies that nobody has taken hold them only up to a limit.
func TestTheFeedLeavesLargeValuesToTheWindow(t *testing.T) {
	f := testFeed()
	for i := range uint64(6) {
		e := tree.Event{Action: tree.ActionDelete, Node: tree.Node{Key: "/k", Modified: 21 + tree.Index(i)}, HasPrev: true, Prev: tree.Node{Key: "/k", Value: make([]byte, lateBytesLimit/3)}}
		list := outcomesOf(feedNonce, 16, i)
		list[0].Late = []tree.EncodedEvent{e.Late(nil)}
		f.Data(&statemachine.ApplyResult{Last: e.Index(), Epoch: 3, Outcomes: list})
	}
	taken := f.take(3)
	if len(taken.Outcomes) != 6 || taken.Jumped {
		t.Fatalf("%d outcomes are there, jumped: %v", len(taken.Outcomes), taken.Jumped)
	}
	for i := range taken.Outcomes {
		if left := taken.Outcomes[i].Late[0].Late.IsLeft(); left != (i >= 3) {
			t.Errorf("outcome %d: left %v", i, left)
		}
	}
}
