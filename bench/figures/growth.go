package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// growthOptions are those of the curves: where each is measured.
type growthOptions struct {
	requestOptions
	keys, connections, values []int
}

// growth measures copse and etcd alternately while one quantity grows: the number
// of keys, the number of connections, or the size of values.
func growth(args []string) error {
	var o growthOptions
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	o.choice(flags, "names of the curves (keys, connections, values)")
	o.timing(flags, 3, 500*time.Millisecond, 2*time.Second)
	keys := flags.String("keys", "10000,100000,1000000", "numbers of keys")
	connections := flags.String("connections", "1,10,100,1000,10000", "numbers of connections; those that don't fit are left out")
	values := flags.String("values", "16,256,4096,65536,1048576", "sizes of a value, in bytes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	for list, points := range map[*string]*[]int{keys: &o.keys, connections: &o.connections, values: &o.values} {
		if *points, err = numbers(*list); err != nil {
			return err
		}
		slices.Sort(*points)
	}
	if o.connections, err = thatFit(o.connections); err != nil {
		return err
	}
	chosen := slices.DeleteFunc(curves(o), func(c *growthCurve) bool { return !o.only.MatchString(c.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("no curve is called %v", o.only)
	}
	for round := range o.rounds {
		for _, c := range chosen {
			if err := c.round(o.requestOptions, round); err != nil {
				return fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
		}
	}
	var comparisons []*comparison
	for _, c := range chosen {
		comparisons = append(comparisons, c.comparisons()...)
	}
	fmt.Printf("`go run ./figures growth %s` (%s; commit %s; %s)\n", strings.Join(args, " "), machine(), commit(), noise(o.servers, comparisons))
	for _, c := range chosen {
		fmt.Printf("\n%s", c.markdown(o.servers))
		if err := c.draw(o.picture, o.servers); err != nil {
			return err
		}
	}
	return nil
}

// otherFiles is how many files a server may have open besides its connections.
const otherFiles = 2000

// thatFit leaves out the numbers of connections for which a process may not open
// enough files.
func thatFit(connections []int) ([]int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(connections, func(n int) bool {
		over := uint64(n)+otherFiles > limit.Cur
		if over {
			progress("%s connections are left out: a process may open %d files", count(n), limit.Cur)
		}
		return over
	}), nil
}

// round starts fresh servers. They are stopped while it isn't their turn, and their
// load grows from point to point.
func (c *growthCurve) round(o requestOptions, round int) (err error) {
	var field []*target
	defer func() { err = errors.Join(err, closeAll(field)) }()
	for _, s := range o.servers.all() {
		t, err := launch(s)
		if err != nil {
			return err
		}
		field = append(field, t)
		if err := t.pause(); err != nil {
			return err
		}
	}
	for _, p := range c.points {
		for _, t := range field {
			progress("%s, round %d: prepare %s for %s", c.name, round+1, t.name, c.label(p.at))
			if err := p.prepare(t); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		for _, b := range p.comparisons {
			if err := b.inTurn(o, round, field); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare writes the keys that are missing.
func (p *point) prepare(t *target) error {
	if err := t.proceed(); err != nil {
		return err
	}
	err := fill(t.address, "", incompressible(p.load.value), p.there, p.load.keys, p.load.connections)
	return errors.Join(err, t.pause())
}

// settle waits until the server has finished the background work that the load
// before has left, such as merging tables and closing connections.
func settle(t *target) error {
	const step, longest = 250 * time.Millisecond, 30 * time.Second
	for begin := now(); now()-begin < longest; {
		before, err := cpuTime(t.pid)
		if err != nil {
			return err
		}
		time.Sleep(step)
		after, err := cpuTime(t.pid)
		if err != nil {
			return err
		}
		if after-before < step/10 {
			return nil
		}
	}
	progress("  %s is still busy after %v", t.name, longest)
	return nil
}
