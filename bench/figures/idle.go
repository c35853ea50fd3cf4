package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"copse/bench/peer"
)

// idleSetting is a member or a cluster that has nothing to do.
type idleSetting struct {
	name                    string
	members, shards, parked int
}

var idleSettings = []idleSetting{
	{name: "alone", members: 1, shards: 1},
	{name: "alone, 10,000 parked long-polls", members: 1, shards: 1, parked: 10_000},
	{name: "alone, 16 shards", members: 1, shards: 16},
	{name: "each of three", members: 3, shards: 1},
	{name: "each of three, 16 shards", members: 3, shards: 16},
}

// leadersSpread is how long members of a new cluster move leaders to each other, one each second.
const leadersSpread = 12 * time.Second

// idleFigure measures what members take that nobody asks for anything.
func idleFigure(args []string) error {
	var field lineup
	flags := flag.NewFlagSet("idle", flag.ContinueOnError)
	field.flags(flags)
	d := flags.Duration("d", 15*time.Second, "how long to measure")
	turns := flags.Int("turns", 1, "how often to measure each server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := newResults(field.all())
	for range *turns {
		for _, s := range idleSettings {
			for _, c := range field.all() {
				if s.shards > 1 && !c.kind.IsCopse() {
					continue
				}
				progress("%s, %s", s.name, c.name)
				r.turn(c.name)
				if err := s.measure(c.kind, *d, r); err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, c.name, err)
				}
			}
		}
	}
	fmt.Printf("`go run ./figures idle %s` (%s; commit %s)\n\n%s", strings.Join(args, " "), machine(), commit(), r.markdown())
	return nil
}

func (s idleSetting) measure(kind peer.Kind, d time.Duration, r *results) (err error) {
	members, err := startMembers(kind, s.members, peer.Sharded(kind, s.shards))
	defer func() {
		for _, m := range members {
			err = errors.Join(err, m.Close())
		}
	}()
	if err != nil {
		return err
	}
	if s.parked > 0 {
		l, err := openLongPolls(members[0].Address, "/watched", s.parked)
		if err != nil {
			return err
		}
		defer l.close()
		if err := l.park(); err != nil {
			return err
		}
	}
	time.Sleep(idle)
	if s.members > 1 {
		time.Sleep(leadersSpread)
	}
	before := make([]time.Duration, len(members))
	for i, m := range members {
		if before[i], err = scheduledTime(m.PID()); err != nil {
			return err
		}
	}
	begin := time.Now()
	time.Sleep(d)
	seconds := time.Since(begin).Seconds()
	for i, m := range members {
		after, err := scheduledTime(m.PID())
		if err != nil {
			return err
		}
		rss, err := resident(m.PID())
		if err != nil {
			return err
		}
		r.add(s.name+": CPU each second", millis, (after-before[i]).Seconds()/seconds)
		r.add(s.name+": resident memory", mebibytes, rss)
	}
	return nil
}

// scheduledTime is the CPU time of all threads of a process, to the nanosecond: an idle
// one uses less in seconds than the kernel's ticks can tell.
func scheduledTime(pid int) (all time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q", thread, text)
		}
		all += time.Duration(ns)
	}
	return all, nil
}
