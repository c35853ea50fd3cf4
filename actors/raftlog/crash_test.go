package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"copse/statemachine/metric"

	pb "github.com/lni/dragonboat/v4/raftpb"
	"pgregory.net/rapid"
)

// small holds options with which a log of a few steps has several segments.
func small() Options {
	return Options{SegmentSize: 16 << 10, Memory: 4 << 10, Logger: slog.New(slog.DiscardHandler)}
}

func openAt(dir files, o Options) (*raftLog, error) {
	if o.Fatal == nil {
		o.Fatal = func(err error) { panic(fmt.Sprint("fatal: ", err)) }
	}
	return open(dir, o, &counts{Syncs: metric.NewDurations()})
}

// run makes the given number of steps, or fewer if the power is cut. It returns the
// acknowledged state, and what may have been done beyond it.
func run(db *raftLog, m model, steps int, draw source, trace *[]string) (acknowledged, perhaps model) {
	acknowledged, perhaps = m, m
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range steps {
			s := acknowledged.next(draw, true)
			*trace = append(*trace, s.what)
			perhaps = s.after
			if err := s.call(db); err != nil {
				panic(err)
			}
			acknowledged = s.after
		}
	}()
	<-done
	return acknowledged, perhaps
}

// crash runs a log whose power is cut after the given number of operations, and returns
// what was wrong when it was opened again.
func crash(seed uint64, steps, cutAfter int) (ended bool, err error) {
	draw := seeded(seed)
	d := newDisc()
	d.left = cutAfter
	var trace []string
	m := model{}
	maybe := m
	crashed := false
	for try := 0; ; try++ {
		o := small()
		o.Expected = try > 0 && len(trace) > 0
		o.Fatal = func(err error) {
			if !errors.Is(err, errCut) {
				panic(err)
			}
			runtime.Goexit()
		}
		db, err := openAt(d, o)
		if err == nil {
			found := m
			if wrong := m.differs(db, crashed); wrong != nil {
				if other := maybe.differs(db, crashed); other != nil {
					return true, fmt.Errorf("%w; or, with the last step, %w\n%v\n%v", wrong, other, m, trace)
				}
				found = maybe
			}
			found.adopt(db)
			if try == 3 {
				return true, nil
			}
			m, maybe = run(db, found, steps, draw, &trace)
			if d.left != 0 {
				return false, nil // it ended before the power was cut
			}
		} else if !errors.Is(err, errCut) {
			return true, fmt.Errorf("open: %w\n%v", err, trace)
		}
		crashed = true
		d = d.cut(func() bool { return draw(2) == 0 })
		if try < 2 {
			d.left = draw(20) // a second cut, often during the repair
		}
	}
}

// TestCrashAfterEachOperation cuts the power after each write, sync and rename.
func TestCrashAfterEachOperation(t *testing.T) {
	for seed := range uint64(4) {
		for after := 0; ; after++ {
			ended, err := crash(seed, 60, after)
			if err != nil {
				t.Fatalf("seed %d, cut after %d operations: %v", seed, after, err)
			}
			if !ended {
				if after < 100 {
					t.Errorf("seed %d: only %d operations", seed, after)
				}
				break
			}
		}
	}
}

func TestCrashAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		after := rapid.IntRange(0, 600).Draw(t, "after")
		if _, err := crash(seed, 250, after); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLogKeepsToItsModel makes a long run over many segments, with clean restarts.
func TestLogKeepsToItsModel(t *testing.T) {
	for seed := range uint64(5) {
		draw := seeded(seed)
		d := newDisc()
		m := model{}
		var trace []string
		for range 6 {
			db, err := openAt(d, small())
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for range 10 {
				m, _ = run(db, m, 40, draw, &trace)
				if err := m.differs(db, true); err != nil {
					t.Fatalf("seed %d: %v\n%v\n%v", seed, err, m, trace)
				}
			}
			m.settle()
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if len(d.names) > 60 {
			t.Errorf("seed %d: %d files are left", seed, len(d.names))
		}
	}
}

// TestAMissingFrameNeedsTheChain: TestEveryFrameCounts fails where frames aren't chained.
func TestAMissingFrameNeedsTheChain(t *testing.T) {
	mutant.noChain = true
	defer func() { mutant.noChain = false }()
	d, m := oneSegment(t)
	if framesServed(t, d, m) == 0 {
		t.Error("no test notices that frames are not chained")
	}
}

// TestMutants breaks the log in each of the ways that the tests should notice.
func TestMutants(t *testing.T) {
	defer func() { mutant = struct{ noSync, noChain, noSalt, bareHead, freeEarly bool }{} }()
	for name, m := range map[string]*bool{
		"no sync": &mutant.noSync, "no salt": &mutant.noSalt, "no hard state in a head": &mutant.bareHead,
		"a segment is given back too early": &mutant.freeEarly,
	} {
		*m = true
		caught := false
		for seed := uint64(0); seed < 50 && !caught; seed++ {
			caught = func() (caught bool) {
				defer func() {
					if r := recover(); r != nil {
						caught = true
					}
				}()
				_, err := crash(seed, 250, 100+int(seed)*7)
				return err != nil
			}()
		}
		*m = false
		if !caught {
			t.Errorf("%s: no test notices", name)
		}
	}
}

// TestCrashWithinALongFrame cuts the power after each operation of a log in which one entry takes several
// pieces of a frame: it is there as a whole, or not at all and then was not acknowledged.
func TestCrashWithinALongFrame(t *testing.T) {
	long := pb.Entry{Index: 2, Term: 1, Cmd: make([]byte, 5*pieceSectors*payloadSize/2)}
	for i := range long.Cmd {
		long.Cmd[i] = byte(i * 7 % 251)
	}
	lost := 0
	for seed := range uint64(3) {
		for after := 0; ; after++ {
			d := newDisc()
			d.left = after
			o := small()
			o.Fatal = func(error) { runtime.Goexit() }
			acknowledged := uint64(0)
			done := make(chan struct{})
			go func() {
				defer close(done)
				db, err := openAt(d, o)
				if err != nil {
					return
				}
				_ = db.SaveBootstrapInfo(1, 1, pb.Bootstrap{Join: true})
				for _, e := range []pb.Entry{{Index: 1, Term: 1, Cmd: []byte("short")}, long, {Index: 3, Term: 1, Cmd: []byte("short")}} {
					_ = db.SaveRaftState([]pb.Update{{ShardID: 1, ReplicaID: 1, State: pb.State{Term: 1, Vote: 1}, EntriesToSave: []pb.Entry{e}}}, 1)
					acknowledged = e.Index
				}
			}()
			<-done
			over := d.left != 0 // before the power was cut
			draw := seeded(seed + uint64(after))
			if d.left = -1; !over {
				d = d.cut(func() bool { return draw(2) == 0 })
			}
			db, err := openAt(d, small())
			if err != nil {
				t.Fatalf("seed %d, cut after %d operations: %v", seed, after, err)
			}
			found, _, err := db.IterateEntries(nil, 0, 1, 1, 1, 4, 1<<30)
			if err != nil || uint64(len(found)) < acknowledged || uint64(len(found)) > acknowledged+1 {
				t.Fatalf("seed %d, cut after %d operations: %d entries, of which %d were acknowledged: %v", seed, after, len(found), acknowledged, err)
			}
			if len(found) > 1 && !bytes.Equal(found[1].Cmd, long.Cmd) {
				t.Fatalf("seed %d, cut after %d operations: the long entry has other bytes", seed, after)
			}
			if acknowledged == 1 && len(found) == 1 {
				lost++
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if over {
				break
			}
		}
	}
	if lost < 3*3 {
		t.Errorf("the power was cut %d times within the long frame", lost)
	}
}
