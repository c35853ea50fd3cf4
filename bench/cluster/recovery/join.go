package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"copse/bench/cluster/fleet"
	"copse/bench/v2api"
)

// voteGrace is how long a member that has caught up may take to get its vote.
const voteGrace = 3 * time.Second

// join replaces a member of a cluster that is full and under load.
func join(f *fleet.Fleet, o options) error {
	begin := time.Now()
	if err := fill(f, o); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d keys after %v\n", o.keys, time.Since(begin).Round(time.Second))
	writers, total, stop := startWriters(f, o, o.rate)
	defer stop()
	newcomer := len(f.Members) - 1
	if _, err := f.Remove(f.Members[newcomer]); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	wrote, began := total.Load(), time.Now()
	if err := f.Add(f.Members[newcomer]); err != nil {
		return err
	}
	serves := time.Since(began)
	if err := caughtUp(f, newcomer, 0); err != nil {
		return err
	}
	caught := time.Since(began)
	rate := float64(total.Load()-wrote) / caught.Seconds()

	// A member asks for its vote once it has caught up, and no API of v2's shows that
	// it has got it.
	time.Sleep(voteGrace)
	// Two of three are left then, so that each write needs the newcomer's vote.
	victim, _ := f.Leader()
	if victim == newcomer || victim < 0 {
		victim = 0
	}
	for _, w := range writers {
		w.forget()
	}
	f.Kill(victim)
	times, err := flowing(writers, time.Now())
	if err != nil {
		return fmt.Errorf("the new member does not vote: %w", err)
	}
	gone, _, err := lost(f, newcomer, writers)
	if err != nil {
		return err
	}
	fmt.Printf("%s, a new member of three, %d keys of %d bytes, %.0f writes/s meanwhile:\n\n", o.kind, o.keys, o.value, rate)
	fmt.Printf("| from asking to add it until it serves writes | %v |\n", serves.Round(time.Millisecond))
	fmt.Printf("| until it has what the others had at the start | %v, and %v more until it votes |\n", caught.Round(time.Millisecond), voteGrace)
	fmt.Printf("| writes with its vote, after the leader was killed | %v |\n", times.first.Round(time.Millisecond))
	fmt.Printf("| acknowledged writes lost | %d |\n", gone)
	return nil
}

// fill writes all keys, over several connections.
func fill(f *fleet.Fleet, o options) error {
	const connections = 64
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, connections)
	value := strings.Repeat("v", o.value)
	for c := range connections {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := next.Add(1) - 1; i < int64(o.keys); i = next.Add(1) - 1 {
				r := v2api.Request{Method: http.MethodPut, Key: fmt.Sprintf("/load/d%04d/k%04d", i/1000, i%1000), Value: value}
				ctx, cancel := context.WithTimeout(context.Background(), recoverLimit)
				reply, err := v2api.Do(ctx, client, f.Members[c%len(f.Members)].URL, &r)
				cancel()
				if outcome, _, _ := reply.Parse(err); outcome != v2api.Acked {
					errs <- fmt.Errorf("%v: status %d: %w", &r, reply.Status, err)
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}
