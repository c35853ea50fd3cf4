package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"copse/actors/loop/looptest"
)

// fakeReplica has applied the entries of hashes, by raft index.
type fakeReplica struct {
	mu     sync.Mutex
	last   uint64
	hashes map[uint64]uint64
	jumps  uint64 // how often a snapshot has replaced it
}

// history returns a replica with the hash 10*i at index i, from first to last, and other
// from the index fork on.
func history(first, last, fork, other uint64) *fakeReplica {
	r := &fakeReplica{last: last, hashes: map[uint64]uint64{}}
	for i := first; i <= last; i++ {
		if r.hashes[i] = 10 * i; i >= fork {
			r.hashes[i] = 10*i + other
		}
	}
	return r
}

func (r *fakeReplica) RaftIndex() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *fakeReplica) HashAt(index uint64) (hash uint64, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hash, known = r.hashes[index]
	return hash, known
}

func (r *fakeReplica) Replaced() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jumps
}

// become makes the replica another one.
func (r *fakeReplica) become(other *fakeReplica) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.hashes, r.jumps = other.last, other.hashes, other.jumps
}

const never = 1 << 20

// comparedCluster is the comparers of members with one replica each, whose ids count from
// 1. Those that are nil don't answer.
type comparedCluster struct {
	comparers []*Comparer
	logs      []*bytes.Buffer
}

func compared(terms map[uint64]uint64, replicas ...*fakeReplica) *comparedCluster {
	cl := &comparedCluster{}
	voters := map[uint64]bool{}
	for i := range replicas {
		voters[uint64(i)+1] = true
	}
	for i, r := range replicas {
		log, id := &bytes.Buffer{}, uint64(i)+1
		o := ComparerOptions{
			Self: id, Voters: func(uint64) map[uint64]bool { return voters },
			Term:    func(_, index uint64) uint64 { return terms[id] },
			Confirm: func(<-chan struct{}, uint64) error { return nil },
			Ask: func(ctx context.Context, member uint64, question []byte) ([]byte, error) {
				if replicas[member-1] == nil {
					return nil, errors.New("away")
				}
				return cl.comparers[member-1].Answer(ctx, question)
			},
		}
		if r != nil {
			o.Replicas = []Replica{r}
		}
		cl.comparers = append(cl.comparers, NewComparer(o, slog.New(slog.NewTextHandler(log, nil))))
		cl.logs = append(cl.logs, log)
	}
	return cl
}

// found says what member 1 finds: "wrong", "disputed" or "".
func (cl *comparedCluster) found(t *testing.T) string {
	t.Helper()
	c := cl.comparers[0]
	c.round(t.Context())
	if c.Differs(MembersShard) != (c.Check() != nil) {
		t.Errorf("differs %v, check %v", c.Differs(MembersShard), c.Check())
	}
	switch {
	case c.Wrong() != "":
		return "wrong"
	case c.Check() != nil:
		return "disputed"
	}
	return ""
}

func TestAMemberFindsOutWhetherItDiffers(t *testing.T) {
	whole := func() *fakeReplica { return history(1, 50, never, 0) }
	tests := map[string]struct {
		terms map[uint64]uint64
		one   *fakeReplica
		two   *fakeReplica
		three *fakeReplica
		want  string
	}{
		"all are the same":                      {nil, whole(), whole(), whole(), ""},
		"it lags":                               {nil, history(1, 40, never, 0), whole(), whole(), ""},
		"it has an entry of its own":            {nil, history(1, 50, 45, 1), whole(), whole(), "wrong"},
		"it is ahead of all":                    {nil, history(1, 60, never, 0), whole(), whole(), "wrong"},
		"another has an entry of its own":       {nil, whole(), history(1, 50, 45, 1), whole(), ""},
		"another has, and the third is away":    {nil, whole(), history(1, 50, 45, 1), nil, "disputed"},
		"each has an entry of its own":          {nil, whole(), history(1, 50, 45, 1), history(1, 50, 45, 2), "disputed"},
		"it is stuck behind another term":       {map[uint64]uint64{1: 2, 2: 4, 3: 4}, history(1, 50, 45, 1), history(90, 99, never, 0), history(90, 99, never, 0), "wrong"},
		"it is behind, and nothing can be said": {nil, whole(), history(90, 99, never, 0), history(90, 99, never, 0), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := compared(tt.terms, tt.one, tt.two, tt.three)
				if got := cl.found(t); got != tt.want {
					t.Errorf("found %q, want %q: %v", got, tt.want, cl.comparers[0].Check())
				}
				if lines := strings.Count(cl.logs[0].String(), "\n"); lines > 1 || (lines == 1) != (tt.want != "") {
					t.Errorf("logged:\n%s", cl.logs[0])
				}
			})
		})
	}
}

// The others have gone on by more than they remember; this one is compared as soon as it
// has come to where they were.
func TestAMemberThatCatchesUpIsComparedThere(t *testing.T) {
	for _, fork := range []uint64{never, 45} {
		synctest.Test(t, func(t *testing.T) {
			one := history(1, 50, fork, 1)
			cl := compared(nil, one, history(900, 999, never, 0), history(900, 999, never, 0))
			go func() {
				synctest.Wait() // it waits for its replica
				one.become(history(950, 1010, fork, 1))
			}()
			want := ""
			if fork != never {
				want = "wrong"
			}
			if got := cl.found(t); got != want {
				t.Errorf("fork at %d: found %q, want %q", fork, got, want)
			}
		})
	}
}

// It is behind for longer than a round lasts, and meanwhile the others forget where they
// were: it is compared there all the same.
func TestAMemberThatCatchesUpSlowlyIsComparedThere(t *testing.T) {
	for fork, want := range map[uint64]string{never: "", 45: "wrong"} {
		synctest.Test(t, func(t *testing.T) {
			one, two, three := history(1, 50, fork, 1), history(900, 999, never, 0), history(900, 999, never, 0)
			cl := compared(nil, one, two, three)
			if got := cl.found(t); got != "" {
				t.Fatalf("fork at %d: found %q too early", fork, got)
			}
			two.become(history(5000, 5099, never, 0))
			three.become(history(5000, 5099, never, 0))
			one.become(history(950, 1010, fork, 1))
			if got := cl.found(t); got != want {
				t.Errorf("fork at %d: found %q, want %q", fork, got, want)
			}
			if fork == never && cl.comparers[0].standings[0].good != 1010 {
				t.Errorf("%+v", cl.comparers[0].standings[0])
			}
		})
	}
}

// A snapshot replaces a replica that nobody could compare any more, and that is said; not
// so if a majority had confirmed all that it replaced.
func TestASnapshotHidesWhatWasNotCompared(t *testing.T) {
	for _, known := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			one, two, three := history(1, 50, never, 0), history(1, 50, never, 0), history(1, 50, never, 0)
			cl := compared(nil, one, two, three)
			if known {
				cl.found(t)
			}
			two.become(history(900, 999, never, 0))
			three.become(history(900, 999, never, 0))
			cl.found(t)
			snapshot := history(950, 1000, never, 0)
			snapshot.jumps = 1
			one.become(snapshot)
			two.become(history(950, 1000, never, 0))
			three.become(history(950, 1000, never, 0))
			if got := cl.found(t); got != "" {
				t.Errorf("found %q", got)
			}
			line := `msg="a snapshot has replaced this member's replica before its last entries could be compared with the majority's; it has the data of the majority now" shard=1 from=1 to=50`
			if got := cl.logs[0].String(); strings.Contains(got, line) == known || strings.Count(got, "\n") > 1 {
				t.Errorf("compared before: %v; logged:\n%s", known, got)
			}
		})
	}
}

func TestAMemberSaysThatItCannotBeCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := history(1, 50, never, 0), history(900, 999, never, 0)
		cl := compared(nil, one, two, nil)
		check := func(undecided bool, lines ...string) {
			t.Helper()
			cl.found(t)
			if got := cl.comparers[0].Undecided(MembersShard); got != undecided {
				t.Errorf("undecided: %v", got)
			}
			got := cl.logs[0].String()
			if strings.Count(got, "\n") != len(lines) {
				t.Errorf("logged:\n%s", got)
			}
			for _, line := range lines {
				if !strings.Contains(got, line) {
					t.Errorf("no %q in\n%s", line, got)
				}
			}
		}
		check(false)
		time.Sleep(undecidedLimit)
		unknown := "level=WARN msg=\"it is unknown whether this member has the data of the majority"
		check(true, unknown)
		check(true, unknown)
		one.become(history(900, 999, never, 0))
		check(false, unknown, "level=INFO msg=\"it is known again whether")
	})
}

// What is disputed stays so until a majority has decided.
func TestADisputeIsSettledByTheThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := history(1, 50, never, 0), history(1, 50, 45, 1)
		cl := compared(nil, one, two)
		for range 2 {
			if got := cl.found(t); got != "disputed" {
				t.Fatalf("found %q", got)
			}
		}
		if lines := strings.Count(cl.logs[0].String(), "\n"); lines != 1 {
			t.Errorf("logged:\n%s", cl.logs[0])
		}
		two.become(history(50, 51, never, 0)) // it was replaced
		if got := cl.found(t); got != "" {
			t.Errorf("found %q", got)
		}
	})
}

func TestAWrongMemberAnswersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := compared(nil, history(1, 50, 45, 1), history(1, 50, never, 0), history(1, 50, never, 0))
		cl.found(t)
		if _, err := cl.comparers[0].Answer(t.Context(), make([]byte, 8)); !errors.Is(err, ErrDiffers) {
			t.Errorf("answered, or %v", err)
		}
		if _, err := cl.comparers[1].Answer(t.Context(), make([]byte, 9)); err == nil {
			t.Error("a question of another size was answered")
		}
	})
}

// A member isn't compared before it knows who votes, and often until a majority agrees.
func TestHowOftenMembersAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := history(1, 50, never, 0), history(1, 40, never, 0)
		cl := compared(nil, one, two)
		c := cl.comparers[0]
		var asked []time.Duration
		began, know := time.Now(), c.o.Voters
		var confirmed atomic.Bool
		c.o.Voters = func(shard uint64) map[uint64]bool {
			if time.Since(began) < 3*busyPause {
				return nil
			}
			return know(shard)
		}
		ask := c.o.Ask
		c.o.Ask = func(ctx context.Context, member uint64, question []byte) ([]byte, error) {
			asked = append(asked, time.Since(began))
			return ask(ctx, member, question)
		}
		cl.comparers[1].o.Confirm = func(<-chan struct{}, uint64) error {
			if confirmed.Load() {
				two.become(one)
				return nil
			}
			return errors.New("no leader")
		}
		go c.Run()
		time.Sleep(2 * busyPause)
		select {
		case <-c.Compared():
			t.Error("compared before it is known with whom")
		default:
		}
		<-c.Compared()
		time.Sleep(compareAgain / 2)
		confirmed.Store(true)
		time.Sleep(compareAgain + compareEvery)
		c.Stop()
		first := 3 * busyPause
		if want := []time.Duration{first, first + compareAgain, first + compareAgain + compareEvery}; !slices.Equal(asked, want) {
			t.Errorf("asked at %v, want %v", asked, want)
		}
	})
}

func TestTheComparerStartsAndStops(t *testing.T) {
	looptest.StartStop(t, func() looptest.Actor { return compared(nil, history(1, 2, never, 0), nil).comparers[0] })
}
