package login

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"copse/statemachine/auth"
)

// waitFor waits until n have queued up.
func (b *bench) waitFor(n int) { waitFor(b.t, &b.turns, n) }

func waitFor(t *testing.T, q *turns, n int) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for q.queued() != n {
		select {
		case <-limit:
			t.Fatalf("%d are waiting, not %d", q.queued(), n)
		case <-time.After(time.Millisecond):
		}
	}
}

// outcome is what one who waited has got.
type outcome struct {
	who string
	err error
}

// queue makes askers wait one after the other, and returns where they tell what they got.
func queue(t *testing.T, q *turns, askers ...string) <-chan outcome {
	t.Helper()
	if err := q.take(asker{user: "first"}); err != nil {
		t.Fatal(err)
	}
	got := make(chan outcome, len(askers))
	for i, who := range askers {
		go func() { got <- outcome{who, q.take(asker{user: who})} }()
		waitFor(t, q, min(i+1, q.limit))
	}
	return got
}

func TestLinesHaveTurnsByTurns(t *testing.T) {
	q := newTurns()
	got := queue(t, &q, "a", "a", "a", "b", "b", "c")
	var order []string
	for range 6 {
		q.pass()
		o := <-got
		if o.err != nil {
			t.Fatal(o.err)
		}
		order = append(order, o.who)
	}
	if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(order, want) {
		t.Errorf("got %v want %v", order, want)
	}
	q.pass()
	if err := q.take(asker{}); err != nil || q.queued() != 0 {
		t.Errorf("when all have left: %v, %d waiting", err, q.queued())
	}
}

func TestTheLongestLineIsShortened(t *testing.T) {
	q := newTurns()
	q.limit = 4
	got := queue(t, &q, "flood", "flood", "flood", "flood", "flood", "honest")
	var sent []string
	for range 2 {
		o := <-got
		if !errors.Is(o.err, ErrBusy) {
			t.Fatalf("%s got %v", o.who, o.err)
		}
		sent = append(sent, o.who)
	}
	if want := []string{"flood", "flood"}; !slices.Equal(sent, want) {
		t.Errorf("sent away: %v want %v", sent, want)
	}
	q.pass()
	q.pass()
	for _, want := range []string{"flood", "honest"} {
		if o := <-got; o.err != nil || !slices.Contains([]string{"flood", "honest"}, o.who) {
			t.Errorf("got %v want a turn of %s", o, want)
		}
	}
	q.stop()
	for range 2 {
		<-got
	}
}

func TestPatienceEnds(t *testing.T) {
	q := newTurns()
	q.patience = time.Millisecond
	if err := q.take(asker{}); err != nil {
		t.Fatal(err)
	}
	if err := q.take(asker{}); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	if q.queued() != 0 || len(q.lines) != 0 {
		t.Errorf("%d still wait in %d lines", q.queued(), len(q.lines))
	}
	q.pass()
	if err := q.take(asker{}); err != nil {
		t.Errorf("the turn is lost: %v", err)
	}
}

func TestATurnIsNeverLost(t *testing.T) {
	q := newTurns()
	q.patience = 50 * time.Microsecond // so that some leave while they are called
	const goroutines, rounds = 8, 300
	done := make(chan int, goroutines)
	for g := range goroutines {
		go func() {
			turns := 0
			for range rounds {
				if q.take(asker{user: fmt.Sprint(g % 3)}) == nil {
					turns++
					time.Sleep(10 * time.Microsecond)
					q.pass()
				}
			}
			done <- turns
		}()
	}
	sum := 0
	for range goroutines {
		sum += <-done
	}
	if sum == 0 || q.queued() != 0 || q.taken || len(q.lines) != 0 {
		t.Errorf("%d turns; then %d waiting, taken %v, %d lines", sum, q.queued(), q.taken, len(q.lines))
	}
}

func TestStopSendsEverybodyAway(t *testing.T) {
	b := newBench(t, user(t, "u", "right"))
	got := queue(t, &b.turns, "a", "b")
	b.Stop()
	b.Stop()
	for range 2 {
		if o := <-got; !errors.Is(o.err, ErrStopped) {
			t.Errorf("%s got %v", o.who, o.err)
		}
	}
	if who, err := b.Identify(new(Client), basic("u", "right"), ""); who != (auth.Who{}) || !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, %v", who, err)
	}
	if _, err := b.Hash("x", new(Client)); !errors.Is(err, ErrStopped) {
		t.Errorf("hash: %v", err)
	}
	b.turns.rest(time.Hour) // ends at once
}

// A guess holds its turn for at least twice the time that the comparison takes.
func TestGuessingRestsBetweenGuesses(t *testing.T) {
	b := newBench(t)
	fastest := time.Hour
	for range 3 {
		began := time.Now()
		_ = bcrypt.CompareHashAndPassword([]byte(b.nobody), []byte("x"))
		fastest = min(fastest, time.Since(began))
	}
	began := time.Now()
	b.wantRefused(new(Client), basic("nobody", "x"), "nobody")
	if took := time.Since(began); took < fastest*3/2 {
		t.Errorf("a guess takes %v, of which comparing is %v", took, fastest)
	}
}
