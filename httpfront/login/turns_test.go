package login

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

// hostOf makes an address of the first letter.
func hostOf(who string) asker { return asker{from: netip.AddrFrom4([4]byte{10, 0, 0, who[0]})} }

// queue makes askers wait one after the other, and returns where they tell what they got.
func queue(t *testing.T, q *turns, askers ...string) <-chan outcome {
	t.Helper()
	if _, err := q.take(asker{}); err != nil {
		t.Fatal(err)
	}
	got := make(chan outcome, len(askers))
	for i, who := range askers {
		go func() {
			_, err := q.take(hostOf(who))
			got <- outcome{who, err}
		}()
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
	if _, err := q.take(asker{}); err != nil || q.queued() != 0 {
		t.Errorf("when all have left: %v, %d waiting", err, q.queued())
	}
}

// ahead makes n requests wait that name no user, then one of u, which gets a turn. They
// tell their numbers when their turns come.
func ahead(t *testing.T, q *turns, n int) (u *waiter, turns <-chan int) {
	t.Helper()
	if _, err := q.take(asker{}); err != nil {
		t.Fatal(err)
	}
	others := make(chan int, n)
	for i := range n {
		go func() {
			if _, err := q.take(asker{}); err == nil {
				others <- i
			}
		}()
		waitFor(t, q, i+1)
	}
	got := make(chan *waiter)
	go func() {
		w, err := q.take(asker{user: "u"})
		if err != nil {
			t.Error(err)
		}
		got <- w
	}()
	waitFor(t, q, n+1)
	q.pass()
	if first := <-others; first != 0 {
		t.Fatalf("the first turn is number %d's", first)
	}
	q.pass()
	return <-got, others
}

func TestARightPasswordOvertakesItsHost(t *testing.T) {
	q := newTurns()
	u, others := ahead(t, &q, 5)
	if q.queued() != 5 { // in the host's line: four, and u
		t.Errorf("%d wait", q.queued())
	}
	q.leave(u)
	for want := range 4 {
		q.pass()
		if got := <-others; got != want+1 {
			t.Errorf("number %d has the turn, not %d", got, want+1)
		}
	}
	if q.pass(); q.taken || q.queued() != 0 {
		t.Error("the turn is lost")
	}
}

// Whoever sends many passwords of unknown users, and then one that may be a user's, can't
// tell by the order of the refusals.
func TestAWrongPasswordIsRefusedInItsHostsOrder(t *testing.T) {
	q := newTurns()
	u, others := ahead(t, &q, 3)
	refused := make(chan error)
	go func() { refused <- q.settle(u) }()
	for want := range 2 {
		if got := <-others; got != want+1 {
			t.Errorf("number %d has the turn, not %d", got, want+1)
		}
		select {
		case <-refused:
			t.Fatalf("refused before number %d's turn has passed", want+1)
		default:
		}
		q.pass()
	}
	if err := <-refused; err != nil {
		t.Error(err)
	}
	if _, err := q.take(asker{user: "u"}); err != nil || q.queued() != 0 {
		t.Errorf("the turn is lost: %v", err)
	}
}

// As one whose user doesn't exist is sent away, so is one that gives a user's wrong password.
func TestAWrongPasswordHasNoPlaceOfItsOwn(t *testing.T) {
	for when, shorten := range map[string]func(*turns){"before its turn": nil, "after its turn": (*turns).shorten} {
		q := newTurns()
		if _, err := q.take(asker{}); err != nil {
			t.Fatal(err)
		}
		w := &waiter{turn: make(chan error, 2), until: time.Now().Add(time.Hour)}
		q.enqueue(asker{user: "u"}, w)
		q.enqueue(asker{}, w)
		w.due = true
		if shorten == nil {
			q.remove(1, 0)
		}
		q.pass()
		if err := q.wait(w); err != nil {
			t.Fatal(err)
		}
		if shorten != nil {
			shorten(&q)
		}
		if err := q.settle(w); !errors.Is(err, ErrBusy) {
			t.Errorf("sent away %s: got %v", when, err)
		}
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

// Two hundred hosts send wrong passwords without end, for a user that exists or for none:
// whoever logs in for the first time gets a turn all the same, with the patience of 35 turns.
func TestAFloodFromManyHostsKeepsNobodyOut(t *testing.T) {
	const hosts, cost = 200, 140 * time.Millisecond
	for _, named := range []string{"", "u"} {
		synctest.Test(t, func(t *testing.T) {
			q := newTurns()
			defer q.stop()
			var floods sync.WaitGroup
			for i := range hosts {
				a := asker{user: named, from: netip.AddrFrom4([4]byte{10, 1, 0, byte(i)})}
				floods.Go(func() {
					for {
						w, err := q.take(a)
						if errors.Is(err, ErrStopped) {
							return
						}
						if err == nil {
							time.Sleep(cost)
							q.wrong(a)
							_ = q.settle(w)
						}
					}
				})
			}
			time.Sleep(hosts * cost * 2) // each of them has been wrong
			for i := range 20 {
				began := time.Now()
				w, err := q.take(asker{user: "u", from: netip.AddrFrom4([4]byte{10, 2, 0, byte(i)})})
				if took := time.Since(began); err != nil || took > 2*cost {
					t.Errorf("named %q: number %d got %v after %v", named, i, err, took)
				}
				if err == nil {
					time.Sleep(cost / 2)
					q.leave(w)
					q.pass()
				}
			}
			q.stop()
			floods.Wait()
		})
	}
}

// Where too many wait, those are sent away who have been wrong.
func TestThoseWhoWereWrongAreSentAwayFirst(t *testing.T) {
	q := newTurns()
	q.limit = 3
	for range 2 {
		q.wrong(hostOf("w"))
	}
	q.wrong(hostOf("v"))
	got := queue(t, &q, "w", "honest", "v", "honest")
	if o := <-got; o.who != "w" || !errors.Is(o.err, ErrBusy) {
		t.Errorf("%s got %v", o.who, o.err)
	}
	for _, want := range []string{"honest", "honest", "v"} {
		q.pass()
		if o := <-got; o.who != want || o.err != nil {
			t.Errorf("got %v want a turn of %s", o, want)
		}
	}
}

func TestBlameIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, host := newBlame(), hostOf("a")
		user := host
		user.user = "u"
		want := func(unknown, known int) {
			t.Helper()
			if got, of := b.on(host), b.on(user); got != unknown || of != known {
				t.Errorf("blame %d and %d, want %d and %d", got, of, unknown, known)
			}
		}
		b.add(host)
		want(1, 0)
		b.add(user)
		want(2, 1)
		for range 20 {
			b.add(host)
		}
		want(blameMost, 1)
		hashes := host
		if hashes.hashes = true; b.on(hashes) != 0 {
			t.Error("a new password is late")
		}
		time.Sleep(blameLast + 1)
		want(0, 0)
		b.add(user)
		want(1, 1)
		for i := range blameLimit + 100 {
			b.add(asker{from: netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})})
		}
		if len(b.of) != blameLimit {
			t.Errorf("%d are remembered", len(b.of))
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	q := newTurns()
	q.patience = time.Millisecond
	if _, err := q.take(asker{}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"", "u"} {
		if _, err := q.take(asker{user: user}); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v", err)
		}
	}
	if q.queued() != 0 || len(q.lines) != 0 {
		t.Errorf("%d still wait in %d lines", q.queued(), len(q.lines))
	}
	q.pass()
	if _, err := q.take(asker{}); err != nil {
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
			for i := range rounds {
				w, err := q.take(asker{user: []string{"", "a", "b"}[g%3]})
				if err != nil {
					continue
				}
				turns++
				time.Sleep(10 * time.Microsecond)
				if i%2 == 0 { // the password was right
					q.leave(w)
					q.pass()
				} else {
					_ = q.settle(w)
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

// A guess rests, with its turn, for as long as the comparison took; a right password doesn't.
func TestGuessingRestsBetweenGuesses(t *testing.T) {
	b := newBench(t, user(t, "u", "right"))
	var rests []time.Duration
	b.rest = func(d time.Duration) {
		if !b.turns.taken {
			t.Error("the next one has the turn already")
		}
		rests = append(rests, d)
	}
	b.wantUser(new(Client), basic("u", "right"), "u")
	if len(rests) > 0 {
		t.Errorf("a right password rests: %v", rests)
	}
	b.wantRefused(new(Client), basic("nobody", "x"), "nobody")
	b.wantRefused(new(Client), basic("u", "x"), "u")
	if len(rests) != 2 || min(rests[0], rests[1]) <= 0 {
		t.Errorf("rests: %v", rests)
	}
}
