package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"copse/bench/cluster/fleet"
)

// recoverLimit ends a wait for what does not come.
const recoverLimit = 60 * time.Second

// failover kills the leader again and again.
func failover(f *fleet.Fleet, o options) error {
	writers, total, stop := startWriters(f, o, 0)
	defer stop()
	var first, all []time.Duration
	gone, covered := 0, 0
	for kill := range o.kills {
		time.Sleep(time.Second)
		leader, ok := f.Leader()
		if !ok {
			return errors.New("there is no leader")
		}
		for _, w := range writers {
			w.forget()
		}
		f.Kill(leader)
		killed := time.Now()
		times, err := flowing(writers, killed)
		if err != nil {
			return err
		}
		first, all = append(first, times.first), append(all, times.all)
		n, late, err := lost(f, (leader+1)%len(f.Members), writers)
		if err != nil {
			return err
		}
		gone, covered = gone+n, covered+late
		if err := f.Restart(leader); err != nil {
			return err
		}
		if err := caughtUp(f, leader, (leader+1)%len(f.Members)); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "kill %d of %d: %v\n", kill+1, o.kills, times.first.Round(time.Millisecond))
	}
	fmt.Printf("%s, %d kills of the leader, %d writers, %d writes acknowledged:\n\n", o.kind, o.kills, o.writers, total.Load())
	fmt.Printf("| until the first write after the kill is acknowledged | %s |\n", spread(first))
	fmt.Printf("| until every writer has one acknowledged | %s |\n", spread(all))
	fmt.Printf("| acknowledged writes lost | %d |\n", gone)
	fmt.Printf("| acknowledged writes behind which an earlier one came that its client had given up | %d |\n", covered)
	return nil
}

// recovery is the time that it took after a kill.
type recovery struct{ first, all time.Duration }

// flowing waits until every writer has had a write acknowledged that it began
// after the kill.
func flowing(writers []*writer, killed time.Time) (recovery, error) {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for ; time.Since(killed) < recoverLimit; <-poll.C {
		var r recovery
		done := 0
		for _, w := range writers {
			end, ok := w.after(killed)
			if !ok {
				continue
			}
			took := end.Sub(killed)
			if done++; done == 1 || took < r.first {
				r.first = took
			}
			r.all = max(r.all, took)
		}
		if done == len(writers) {
			return r, nil
		}
	}
	return recovery{}, fmt.Errorf("no writes %v after the kill", recoverLimit)
}

// caughtUp waits until a member shows the index that another one showed at the start.
func caughtUp(f *fleet.Fleet, member, than int) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for goal, begin := uint64(0), time.Now(); time.Since(begin) < recoverLimit; <-poll.C {
		if goal == 0 {
			goal = index(f, than)
		}
		if goal > 0 && index(f, member) >= goal {
			return nil
		}
		if f.Ended(member) {
			return fmt.Errorf("member %d ended by itself:\n%s", member, f.Members[member].LogTail())
		}
	}
	return fmt.Errorf("member %d has not caught up after %v", member, recoverLimit)
}
